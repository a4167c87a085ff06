"""Pair sets: what is read, what is refused, how they are split."""

import copy
import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modtrans_core import PairedEmbeddings
from modtrans_core.layouts.clip_retrieval import write_clip_retrieval
from modtrans_core.split import SPLITS


def make(n=40, several=True, seed=0):
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(n, 3, 5)) if several else rng.normal(size=(n, 5))
    return PairedEmbeddings(
        {"image": rng.normal(size=(n, 7)), "text": text},
        counts={"text": rng.integers(1, 4, n)} if several else {},
        group=rng.integers(0, max(4, n // 2), n),
        key=np.array([f"item {i}" for i in range(n)]),
        metadata={"image": {"encoder": "a"}, "dataset": {"licence": "CC0"}},
    )


def same(a, b):
    assert a.arrays.keys() == b.arrays.keys() and a.metadata == b.metadata
    for name in a.arrays:
        np.testing.assert_array_equal(a.arrays[name], b.arrays[name])
    for name in a.counts:
        np.testing.assert_array_equal(a.counts[name], b.counts[name])
    np.testing.assert_array_equal(a.group, b.group)
    np.testing.assert_array_equal(a.key, b.key)
    np.testing.assert_array_equal(a.own_split, b.own_split)
    np.testing.assert_array_equal(a.label, b.label)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_what_is_saved_is_what_is_loaded(tmp_path, suffix):
    pairs = make()
    pairs.save(tmp_path / f"pairs{suffix}")
    loaded = PairedEmbeddings.load(tmp_path / f"pairs{suffix}")
    same(pairs, loaded)
    assert loaded.fingerprint() == pairs.fingerprint()
    assert [path.name for path in tmp_path.iterdir()] == [f"pairs{suffix}"]


def test_a_folder_of_shards_is_their_concatenation(tmp_path):
    pairs = make(30)
    for index, items in enumerate(np.split(np.arange(30), 3)):
        pairs.take(items).save(tmp_path / f"{index}.npz")
    same(PairedEmbeddings.load(tmp_path), pairs)


def test_float16_is_widened_and_the_callers_arrays_are_left_alone():
    given_ = np.ones((3, 2), np.float16)
    pairs = PairedEmbeddings({"a": given_, "b": np.ones((3, 4), np.float64)})
    assert pairs.modality("a").dtype == pairs.modality("b").dtype == np.float32
    assert given_.dtype == np.float16


@given(seed=st.integers(0, 10**6), n=st.integers(30, 200))
def test_split_keeps_groups_whole_and_loses_nothing(seed, n):
    pairs = make(n, seed=seed)
    parts = pairs.split(seed)
    assert sorted(np.concatenate([part.key for part in parts])) == sorted(pairs.key)
    groups = [set(part.group) for part in parts]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
    largest = np.bincount(pairs.groups).max()
    assert all(len(part) for part in parts)
    for part, share in zip(parts, (0.7, 0.1, 0.2), strict=True):
        assert abs(len(part) - share * n) <= largest + 1
    same(parts[0], pairs.split(seed)[0])


def test_split_seed_matters():
    pairs = make(100)
    assert list(pairs.split(0)[2].key) != list(pairs.split(1)[2].key)


def with_own(pairs, own):
    return replace(pairs, own_split=np.asarray(own))


@given(seed=st.integers(0, 10**6), n=st.integers(30, 200), given_=st.sets(st.integers(-1, 2), min_size=1))
def test_the_data_sets_own_split_is_followed(seed, n, given_):
    """Whichever parts it has: the test is its own, nothing of it is trained on, and what is cut is cut by group."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) // 2
    own = rng.permutation(np.resize(sorted(given_), (n + 1) // 2))[group]  # whole groups
    pairs = with_own(PairedEmbeddings({"a": rng.normal(size=(n, 3))}, group=group, key=np.arange(n).astype(str)), own)
    present = given_ - {-1}
    if present == {1, 2}:
        with pytest.raises(ValueError, match="own_split: has a validation and a test part but none to train on"):
            pairs.split(seed)
        return
    parts = [set(part.key) for part in pairs.split(seed)]
    if len(present) < 2:  # nothing is told apart
        assert parts == [set(part.key) for part in replace(pairs, own_split=None).split(seed)]
        return
    called = {name: set(pairs.key[own == index]) for index, name in enumerate(SPLITS)}
    assert parts[2] == (called["test"] or called["validation"])
    assert parts[0] | parts[1] | parts[2] == set(pairs.key[own >= 0]) and not parts[0] & parts[1]
    if present == {0, 1, 2}:
        assert parts == list(called.values())
    else:
        assert parts[0] | parts[1] == called["train"]
        assert abs(len(parts[1]) - len(called["train"]) / 8) <= 3  # .1 of .7 + .1, to within a group of 2
        assert not {int(key) // 2 for key in parts[0]} & {int(key) // 2 for key in parts[1]}
    two = [set(part.key) for part in pairs.split(seed, (0.9, 0.1))]
    assert two == [parts[0] | parts[1], parts[2]]
    ignored = [set(part.key) for part in pairs.split(seed, own=False)]
    assert ignored == [set(part.key) for part in replace(pairs, own_split=None).split(seed)]


def test_the_seed_decides_only_what_the_own_split_leaves_open():
    whole = with_own(make(60), np.arange(60) % 3)
    lacking = with_own(replace(make(60), group=None), np.arange(60) % 2 * 2)
    with pytest.warns(UserWarning, match="tears .* groups apart"):
        assert [list(part.key) for part in whole.split(0)] == [list(part.key) for part in whole.split(1)]
    one, other = lacking.split(0), lacking.split(1)
    assert list(one[2].key) == list(other[2].key) and list(one[1].key) != list(other[1].key)


def test_groups_that_the_own_split_tears_apart_are_told(recwarn):
    pairs = PairedEmbeddings({"a": ok(8)}, group=np.array([0, 0, 1, 1, 2, 2, 3, 3]))
    with_own(pairs, [0, 0, 0, 0, 1, 1, 2, 2]).split()
    with_own(pairs, [0, 0, 0, -1, 1, 1, 2, -1]).split()
    with_own(pairs, [0, 1, 0, 1, 0, 1, 2, 2]).split(fractions=(0.5, 0.5))  # train and validation are one part
    assert not recwarn
    with pytest.warns(UserWarning, match="tears 2 of 4 groups apart"):
        with_own(pairs, [0, 1, 0, 0, 1, 2, 2, 2]).split()


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_the_own_split_is_kept_and_told_apart(tmp_path, suffix):
    pairs = make(30)
    own = np.arange(30) % 4 - 1
    marked = with_own(pairs, own)
    assert marked.own_split.dtype == np.int8 and len({pairs.fingerprint(), marked.fingerprint()}) == 2
    assert marked.fingerprint() != with_own(pairs, own[::-1]).fingerprint()
    marked.save(tmp_path / f"pairs{suffix}")
    same(PairedEmbeddings.load(tmp_path / f"pairs{suffix}"), marked)
    np.testing.assert_array_equal(marked.take(np.array([5, 2])).own_split, own[[5, 2]])
    np.testing.assert_array_equal(marked.at_most(7).own_split, own[np.linspace(0, 29, 7).astype(int)])
    (tmp_path / f"pairs{suffix}").unlink()
    for index, items in enumerate(np.split(np.arange(30), 3)):
        marked.take(items).save(tmp_path / f"{index}{suffix}")
    for mapped in (True, False):
        assert PairedEmbeddings.load(tmp_path, mapped).fingerprint() == marked.fingerprint()
    pairs.take(np.arange(5)).save(tmp_path / f"1{suffix}")
    with pytest.raises(ValueError, match=rf"shards differ: .*1{suffix} has no own_split"):
        PairedEmbeddings.load(tmp_path)


def test_the_fingerprint_of_a_set_without_own_split_is_what_it_was():
    pairs = PairedEmbeddings({"a": np.arange(1.0, 7).reshape(3, 2)}, group=np.array([4, 4, 1]))
    expected = hashlib.sha256(b"a" + np.arange(1.0, 7).astype("<f4").tobytes() + np.arange(3).astype("<i8").tobytes())
    expected.update(np.array([1, 1, 0], "<i8").tobytes())
    assert pairs.fingerprint() == expected.hexdigest()


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_float16_on_disk(tmp_path, suffix):
    pairs = make(30)
    pairs.save(tmp_path / f"half{suffix}", dtype="float16")
    pairs.save(tmp_path / f"whole{suffix}")
    half = PairedEmbeddings.load(tmp_path / f"half{suffix}")
    for name, array in pairs.arrays.items():
        np.testing.assert_array_equal(half.modality(name), array.astype(np.float16).astype(np.float32))
    sizes = [(tmp_path / f"{name}{suffix}").stat().st_size for name in ("half", "whole")]
    assert sizes[1] - sizes[0] == 2 * sum(array.size for array in pairs.arrays.values())
    for value in (1e-9, 1e6):
        with pytest.raises(ValueError, match=r"image: .* in row 2 .* float16; float32 holds them"):
            PairedEmbeddings({"image": spoilt(value)}).save(tmp_path / "no.npz", dtype="float16")
    with pytest.raises(ValueError, match="dtype: 'int8', float32 or float16"):
        pairs.save(tmp_path / "no.npz", dtype="int8")
    assert not (tmp_path / "no.npz").exists()


def ok(n=4, d=3):
    return np.ones((n, d), np.float32)


def spoilt(value, n=4):
    array = ok(n)
    array[2] = value
    return array


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"arrays": {}}, "at least one modality"),
        ({"arrays": {"image": ok(4), "text": ok(5)}}, "text: 5 items.*4.*must match"),
        ({"arrays": {"image": np.ones((3, 2), int)}}, "image: int64.*floats"),
        ({"arrays": {"image": np.ones(3)}}, r"image: float64 of shape \(3,\)"),
        ({"arrays": {"image": np.ones((0, 2))}}, "no empty side"),
        ({"arrays": {"image": spoilt(np.nan)}}, "image: NaN or infinity in row 2"),
        ({"arrays": {"image": spoilt(np.inf)}}, "image: NaN or infinity in row 2"),
        ({"arrays": {"image": spoilt(0)}}, "image: a zero vector in row 2"),
        ({"arrays": {"text": np.ones((2, 3, 4))}, "counts": {"text": [0, 1]}}, "text_count: integers from 1 to 3"),
        ({"arrays": {"text": np.ones((2, 3, 4))}, "counts": {"text": [4, 1]}}, "text_count: integers from 1 to 3"),
        (
            {"arrays": {"text": ok()}, "counts": {"text": [1, 1, 1, 1]}},
            r"text_count: given, but 'text' is not.*\(n, m, d\)",
        ),
        ({"arrays": {"text": ok()}, "group": np.arange(3)}, r"group.*shape \(3,\).*\(4,\)"),
        ({"arrays": {"text": ok()}, "group": np.ones(4)}, "group: float64"),
        ({"arrays": {"text": ok()}, "key": ["a"]}, "key"),
        ({"arrays": {"text": ok()}, "own_split": np.zeros(3, int)}, r"own_split: integers .*\(4,\)"),
        ({"arrays": {"text": ok()}, "own_split": np.array([0, 1, 2, 3])}, "own_split: integers from -1 to 2"),
        ({"arrays": {"text": ok()}, "own_split": np.zeros(4)}, "own_split: integers from -1 to 2"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, words):
    with pytest.raises(ValueError, match=words) as caught:
        PairedEmbeddings(**arguments)
    assert "\n" not in str(caught.value)


def test_absent_captions_may_hold_anything():
    text = np.ones((2, 2, 3))
    text[0, 1] = np.nan
    rows, item = PairedEmbeddings({"text": text}, {"text": np.array([1, 2])}).rows("text")
    assert rows.shape == (3, 3) and list(item) == [0, 1, 1]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 1, 0.5, 0.98])
def test_a_torn_file_is_refused_by_name(tmp_path, suffix, keep):
    path = tmp_path / f"pairs{suffix}"
    make().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)] if keep != 1 else b"garbage")
    with pytest.raises(ValueError, match=f"pairs{suffix}: "):
        PairedEmbeddings.load(path)


def test_missing_things_are_named(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        PairedEmbeddings.load(tmp_path / "none.npz")
    with pytest.raises(ValueError, match=r"folder with no .npz or .safetensors"):
        PairedEmbeddings.load(tmp_path)
    with pytest.raises(ValueError, match="modality 'audio'.*image, text"):
        make().modality("audio")
    with pytest.raises(ValueError, match=r"unknown suffix '.csv'"):
        make().save(tmp_path / "pairs.csv")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "pairs.npz"
    make().save(path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        make(seed=1).save(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_groups_too_few_to_split():
    with pytest.raises(ValueError, match="2 groups, 3 are needed, one a part"):
        PairedEmbeddings({"a": ok()}, group=np.array([0, 0, 1, 1])).split()


def labelled(n=30):
    pairs = make(n)
    names = {"classes": ["cat", "dog", "ship"]}
    return replace(pairs, label=np.arange(n) % 4 - 1, metadata={**pairs.metadata, **names})


@pytest.mark.parametrize("name", ["pairs.npz", "pairs.safetensors", "clip_retrieval", "shards"])
def test_labels_and_the_names_of_classes_are_kept_in_every_layout(tmp_path, name):
    pairs, path = labelled(), tmp_path / name
    if path.suffix:
        pairs.save(path)
    elif name == "shards":
        for index, items in enumerate(np.split(np.arange(30), 3)):
            pairs.take(items).save(path / f"{index}.safetensors")
    else:
        pairs = replace(pairs, arrays={m: a[:, 0] if a.ndim == 3 else a for m, a in pairs.arrays.items()}, counts={})
        write_clip_retrieval(pairs, path)
    for mapped in (False, True):
        loaded = PairedEmbeddings.load(path, mapped=mapped)
        np.testing.assert_array_equal(loaded.label, pairs.label)
        assert loaded.metadata["classes"] == pairs.metadata["classes"]
        np.testing.assert_array_equal(loaded.take(np.array([7, 2])).label, pairs.label[[7, 2]])


def test_labels_follow_their_items_through_splits_and_choices():
    pairs = labelled()
    place = dict(zip(pairs.key, pairs.label, strict=True))
    for part in (*pairs.split(3), pairs.at_most(11)):
        assert [place[key] for key in part.key] == part.label.tolist()
    assert pairs.fingerprint() != replace(pairs, label=(pairs.label + 2) % 4 - 1).fingerprint()


def test_a_label_without_a_class_is_refused():
    with pytest.raises(ValueError, match=r"^label: 3 of item 5, -1 to 2, the last of the metadata's classes, is neede"):
        replace(labelled(), label=np.where(np.arange(30) == 5, 3, 0))
    with pytest.raises(ValueError, match=r"^label: -2 of item 0, -1 or more is needed"):
        PairedEmbeddings({"a": np.eye(2)}, label=np.array([-2, 9]))
    with pytest.raises(ValueError, match="integers of shape"):
        PairedEmbeddings({"a": np.eye(2)}, label=np.ones(2))


def test_shards_whose_classes_differ_are_refused(tmp_path):
    pairs = labelled()
    pairs.save(tmp_path / "0.npz")
    replace(pairs, metadata={**pairs.metadata, "classes": ["dog", "cat", "ship"]}).save(tmp_path / "1.npz")
    with pytest.raises(ValueError, match="other classes than"):
        PairedEmbeddings.load(tmp_path)


@pytest.mark.parametrize(
    "fractions",
    [0.7, "ab", None, (0.5, "a"), (np.nan,) * 3, (0.7, 0.3, np.nan), (0.5, 0.5, 0.0), (1.5, -0.5), (0.5, 0.4)],
)
def test_shares_that_are_none_are_refused(fractions):
    with pytest.raises(ValueError, match="fractions: .* positive numbers that sum to 1 (is|are) needed"):
        make().split(0, fractions)


@pytest.mark.parametrize("seed", [-1, 1.5, "a"])
def test_a_seed_that_is_none_is_named(seed):
    with pytest.raises(ValueError, match="seed: .* an integer >= 0 is needed"):
        make().split(seed)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_the_same_set_is_the_same_bytes(tmp_path, suffix):
    pairs = PairedEmbeddings({"image": np.eye(2, 3)}, key=["ü", 'a"\n'], metadata={"a": "\x7f\u2028\x01☃"})
    files = [tmp_path / f"{number}{suffix}" for number in range(12)]
    for file in files:
        pairs.save(file)
    assert len({file.read_bytes() for file in files}) == 1
    again = PairedEmbeddings.load(files[0])
    assert again.key.tolist() == pairs.key.tolist() and again.metadata == pairs.metadata


@pytest.mark.parametrize(
    "items", [[4], [-5], [], [0.0], 1, [[0, 1]], None, "a", np.ones(3, bool), np.zeros(4, bool), slice(3, 2)], ids=str
)
def test_items_that_are_none_are_refused_by_name(items):
    with pytest.raises(ValueError, match="^items: .*at least one of 0 to 3, or a mask of 4, is needed"):
        PairedEmbeddings({"image": np.eye(4)}).take(items)


def test_items_are_numbers_a_mask_or_a_slice():
    pairs = PairedEmbeddings({"image": np.eye(4)}, key=list("abcd"))
    for items in ([1, 3], [1, -1], np.array([False, True, False, True]), slice(1, 4, 2)):
        assert pairs.take(items).key.tolist() == ["b", "d"]
    for number in (0, 2.5, "3"):
        with pytest.raises(ValueError, match="^items: .*, a whole number from 1 on is needed"):
            pairs.at_most(number)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda pairs: pickle.loads(pickle.dumps(pairs))])
def test_a_copy_cannot_be_written_to_either(again):
    pairs = make()
    found = again(pairs)
    same(pairs, found)
    for array in (found.modality("image"), found.modality("text")):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_nothing_is_shared_with_what_was_given():
    given_ = {
        "arrays": {"image": np.eye(3)}, "group": np.arange(3), "label": np.arange(3), "own_split": np.zeros(3, np.int8),
        "key": np.array(["a", "b", "c"]), "metadata": {"image": {"encoder": "a"}, "classes": ["x", "y", "z"]},
    }  # fmt: skip
    pairs, wanted = PairedEmbeddings(**given_), PairedEmbeddings(**copy.deepcopy(given_))
    for name in ("group", "label", "own_split"):
        given_[name][:] = 1
    given_["arrays"]["image"][:], given_["key"][0] = 1, "z"
    given_["metadata"]["image"]["encoder"] = given_["metadata"]["classes"][0] = "z"
    given_["metadata"]["more"] = given_["arrays"]["more"] = 1
    same(pairs, wanted)


@pytest.mark.parametrize(
    "key", [["a", np.nan, np.nan, "b"], ["a", None, "b", "c"], ["a", 1, "b", "c"], ["a", "", "", "b"]]
)
def test_a_missing_name_is_not_the_text_nan(key):
    with pytest.raises(ValueError, match="^key: .*text is needed"):
        PairedEmbeddings({"image": np.eye(4)}, key=key)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_list_of_tensors_is_taken_as_one_is(dtype):
    rows = torch.eye(3, dtype=dtype, requires_grad=True)
    for given_ in (rows, list(rows), [*rows.tolist()]):
        assert PairedEmbeddings({"image": given_}).modality("image").tolist() == np.eye(3).tolist()


@pytest.mark.parametrize("name", ["group", "key", "own_split", "label"])
def test_rows_of_different_shapes_are_named(name):
    with pytest.raises(ValueError, match=f"^{name}: rows of different shapes"):
        PairedEmbeddings({"image": np.eye(2)}, **{name: [[1], [1, 2]]})


def test_vectors_too_short_for_their_type_are_refused(tmp_path):
    PairedEmbeddings({"image": 1e-30 * np.eye(3)})
    with pytest.raises(ValueError, match="image: a vector too short for float32 in row 0"):
        PairedEmbeddings({"image": 1e-42 * np.eye(3)})
    with pytest.raises(ValueError, match="image: a vector too short for float16 in row 0.*float32 holds them"):
        PairedEmbeddings({"image": 1e-6 * np.eye(3)}).save(tmp_path / "short.npz", "float16")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"a": {1}}, "JSON values"),
        ({"a": np.int64(1)}, "JSON values"),
        ({"classes": 5}, "a list is"),
        ({"classes": "ab"}, "a list is"),
        ({"captions": 5}, "lists of texts"),
        ({"captions": "abc"}, "lists of texts"),
        ({"captions": {"x": 1}}, "lists of texts"),
        ({"a": 1j}, "JSON"),
    ],
)
def test_no_set_has_metadata_that_its_file_could_not_hold(metadata, words):
    with pytest.raises(ValueError, match=f"^metadata: .*{words}"):
        PairedEmbeddings({"image": np.eye(3)}, metadata=metadata)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_name_that_is_no_text_is_refused(tmp_path, suffix):
    with pytest.raises(ValueError, match="a name in UTF-8 is needed"):
        PairedEmbeddings({"image": np.eye(3)}).save(tmp_path / f"\udcff{suffix}")
