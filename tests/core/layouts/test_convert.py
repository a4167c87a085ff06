"""From layout to layout and back: the same items, vectors, names, captions, groups and parts."""

import numpy as np
import pytest

from modtrans_core import PairedEmbeddings

pytest.importorskip("pyarrow")

from modtrans_core.layouts.convert import convert
from modtrans_core.store.names import read_items

load = PairedEmbeddings.load


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    n, counts = 25, rng.integers(1, 3, 25)
    key = np.array([f"k{index}" for index in range(n)])
    PairedEmbeddings(
        {"image": rng.normal(size=(n, 7)), "text": rng.normal(size=(n, 2, 5))},
        {"text": counts},
        group=np.arange(n) // 2,
        key=key,
        metadata={
            "image": {"encoder": "a"},
            "captions": {k: [f"{k} {j}" for j in range(m)] for k, m in zip(key, counts, strict=True)},
        },
        own_split=np.arange(n) // 2 % 3,
    ).save(tmp_path / "pairs.npz")
    return tmp_path / "pairs.npz"


def test_through_every_layout_and_back(tmp_path, path):
    convert(path, tmp_path / "one.safetensors")
    convert(tmp_path / "one.safetensors", tmp_path / "shards", "shards", shard_items=10)
    convert(tmp_path / "shards", tmp_path / "back.npz")
    first = load(path)
    for name in ("one.safetensors", "shards", "back.npz"):
        found = load(tmp_path / name)
        assert found.fingerprint() == first.fingerprint() and list(found.key) == list(first.key), name
        assert found.metadata["image"] == first.metadata["image"]
        assert read_items(tmp_path / name) == read_items(path)
    assert load(tmp_path / "back.npz").metadata == first.metadata
    names = sorted(file.name for file in (tmp_path / "shards").glob("[!.]*"))
    assert names == [f"{number:06d}.{kind}" for number in range(3) for kind in ("parquet", "safetensors")]


@pytest.mark.parametrize(
    ("layout", "gone"), [("shards", "000001.safetensors"), ("clip-retrieval", "text_emb/text_emb_0.npy")]
)
def test_a_folder_that_lacks_a_file_of_vectors_is_no_set(tmp_path, path, layout, gone):
    convert(path, tmp_path / "set", layout, shard_items=10)
    load(tmp_path / "set")
    (tmp_path / "set" / gone).unlink()
    with pytest.raises(ValueError, match=f"set/{gone}: missing, but .modtrans.json lists it; write the whole set anew"):
        load(tmp_path / "set")


def test_float16_halves_the_file(tmp_path, path):
    convert(path, tmp_path / "half.npz", dtype="float16")
    half, whole = load(tmp_path / "half.npz"), load(path)
    np.testing.assert_array_equal(half.modality("image"), whole.modality("image").astype(np.float16).astype("f4"))


def test_clip_retrievals_rows_become_items_of_one_group(tmp_path, path):
    convert(path, tmp_path / "indexed")
    (tmp_path / "indexed" / "modtrans.safetensors").unlink()  # as clip-retrieval itself leaves a folder
    first = load(path)
    names = list(dict.fromkeys(first.key))
    expected = np.repeat([names.index(name) for name in first.key], first.counts["text"])
    for mapped in (False, True):
        group = load(tmp_path / "indexed", mapped).group
        np.testing.assert_array_equal(group, np.searchsorted(expected, expected))  # the first row of the name
    convert(tmp_path / "indexed", tmp_path / "back.npz")
    found = load(tmp_path / "back.npz")
    assert list(found.key) == list(np.repeat(first.key, first.counts["text"]))
    assert len(np.unique(found.group)) == len(first)
    assert found.metadata["captions"] == [[text] for key in first.key for text in first.metadata["captions"][key]]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_rows_of_one_name_keep_their_own_captions(tmp_path, path, suffix):
    convert(path, tmp_path / "indexed")
    rows = read_items(tmp_path / "indexed").select(["key", "caption"])
    convert(tmp_path / "indexed", tmp_path / f"one{suffix}")
    convert(tmp_path / f"one{suffix}", tmp_path / "shards", "shards", shard_items=10)
    convert(tmp_path / f"one{suffix}", tmp_path / "again")
    for name in (f"one{suffix}", "shards", "again"):
        assert read_items(tmp_path / name).select(["key", "caption"]) == rows, name
    some = load(tmp_path / f"one{suffix}").take(np.array([5, -1]))
    assert some.metadata["captions"] == rows.take([5, len(rows) - 1])["caption"].to_pylist()


def test_files_end_to_end_have_the_captions_of_all_and_say_what_all_say(tmp_path):
    rng, folder = np.random.default_rng(0), tmp_path / "shards"
    folder.mkdir()
    for number in range(3):
        metadata = {
            "captions": {f"{number}{i}": [f"text {number} {i}"] for i in range(2)},
            "independent": ["image", "text"][: number + 1],
            "licence": "CC0",
            "dataset": f"set {number}",
        }
        arrays = {name: rng.normal(size=(2, 3)) for name in ("image", "text")}
        PairedEmbeddings(arrays, key=np.array([f"{number}0", f"{number}1"]), metadata=metadata).save(
            folder / f"{number}.npz"
        )
    convert(folder, tmp_path / "one.npz")
    found = load(tmp_path / "one.npz")
    assert found.metadata["captions"] == {f"{i}{j}": [f"text {i} {j}"] for i in range(3) for j in range(2)}
    assert found.metadata["licence"] == "CC0" and "dataset" not in found.metadata
    assert found.independent("image") and not found.independent("text")
    PairedEmbeddings({name: rng.normal(size=(2, 3)) for name in ("image", "text")}).save(folder / "3.npz")
    with pytest.raises(ValueError, match=r"shards differ: .*3.npz has no key, but others have"):
        load(folder)


@pytest.mark.parametrize("captions", [{}, {"captions": [[f"text {row}"] for row in range(4)]}])
@pytest.mark.parametrize("layout", ["shards", "clip-retrieval"])
def test_items_that_nothing_names_are_given_no_names(tmp_path, layout, captions):
    """Their places would be names that strangers in another set have too, which are one group where both are read."""
    for name, seed in (("a", 0), ("b", 1)):
        rows = np.random.default_rng(seed).normal(size=(4, 3))
        PairedEmbeddings({"image": rows, "text": -rows}, metadata=captions).save(tmp_path / f"{name}.npz")
        convert(tmp_path / f"{name}.npz", tmp_path / name, layout)
        assert load(tmp_path / name).key is None
        found = read_items(tmp_path / name)
        assert found["key"].to_pylist() == ["0", "1", "2", "3"]
        assert not captions or found["caption"].to_pylist() == captions["captions"]
        convert(tmp_path / name, tmp_path / "both" / f"{name}.npz")
        assert load(tmp_path / "both" / f"{name}.npz").metadata == captions
    joined = load(tmp_path / "both")
    assert (
        joined.key is None
        and len(set(joined.groups)) == 8
        and joined.metadata == {name: several * 2 for name, several in captions.items()}
    )


def test_names_in_a_shard_are_kept_where_the_table_beside_it_has_none(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "set").mkdir()
    PairedEmbeddings({"image": np.eye(3)}, key=np.array(["a", "b", "c"])).save(tmp_path / "set" / "0.npz")
    pq.write_table(pa.table({"url": ["x", "y", "z"]}), tmp_path / "set" / "0.parquet")
    assert read_items(tmp_path / "set").to_pydict() == {"key": ["a", "b", "c"], "url": ["x", "y", "z"]}
    for out in ("one.npz", "clip", "shards"):
        convert(tmp_path / "set", tmp_path / out, "shards" if out == "shards" else "clip-retrieval")
        assert load(tmp_path / out).key.tolist() == ["a", "b", "c"]


def test_a_shard_has_at_least_an_item(tmp_path):
    PairedEmbeddings({"image": np.ones((4, 3))}).save(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="shard_items: 0"):
        convert(tmp_path / "a.npz", tmp_path / "new", "shards", shard_items=0)


def test_captions_that_have_no_row_are_counted(tmp_path):
    metadata = {"captions": {"a": ["one", "two", "three"], "b": ["four"]}}
    given = PairedEmbeddings({"image": np.eye(2), "text": np.eye(2)}, key=np.array(["a", "b"]), metadata=metadata)
    given.save(tmp_path / "two.npz")
    with pytest.warns(UserWarning, match="^2 captions without a vector are left out: a row has one"):
        convert(tmp_path / "two.npz", tmp_path / "rows")


@pytest.mark.parametrize("out", ["one.npz", "folder"])
def test_equal_rows_become_groups_where_that_is_asked_for(tmp_path, out):
    rng = np.random.default_rng(0)
    text = np.arange(1200) % 12  # so few that they are taken for a list
    pairs = PairedEmbeddings({"image": rng.normal(size=(1200, 9)), "text": rng.normal(size=(12, 8))[text]})
    pairs.save(tmp_path / "flat.npz")
    for asked, groups in ((False, 1200), (True, 12)):
        convert(tmp_path / "flat.npz", tmp_path / f"{asked}-{out}", "shards", group_duplicates=asked)
        assert len(np.unique(load(tmp_path / f"{asked}-{out}").groups)) == groups
