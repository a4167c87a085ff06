"""Items that repeat are one group, and entries of a list are none."""

import copy
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import modtrans_core as mt
from modtrans_core.layouts.arrays import load_pairs
from modtrans_core.repeats import FEW, OFTEN, repeated

RNG = np.random.default_rng(0)
PICTURE = np.repeat(np.arange(60), 5)
ROWS = {"image": RNG.normal(size=(60, 8))[PICTURE].astype(np.float32), "text": RNG.normal(size=(300, 6))}


@pytest.mark.parametrize("how", ["equal images", "equal texts", "one name"])
def test_five_captions_that_are_five_rows_are_one_group(tmp_path, how):
    arrays = dict(zip(ROWS, reversed(ROWS.values()), strict=True)) if how == "equal texts" else ROWS
    key = None
    if how == "one name":
        arrays, key = {"image": RNG.normal(size=(300, 8)), "text": ROWS["text"]}, [f"{name}.jpg" for name in PICTURE]
    order = RNG.permutation(300)
    pairs = mt.PairedEmbeddings(arrays, key=key).take(order)
    for suffix in (".npz", ".safetensors"):
        pairs.save(tmp_path / f"flat{suffix}")
        loaded = mt.PairedEmbeddings.load(tmp_path / f"flat{suffix}")
        assert repr(loaded).endswith(", in 60 groups)")
    for name, array in {**pairs.arrays, **({"key": pairs.key} if key else {})}.items():
        np.save(tmp_path / f"{name}.npy", array)
    names = ",".join(f"{name}={tmp_path}/{name}.npy" for name in ("image", "text", *(["key"] if key else [])))
    for found in (loaded, load_pairs(names), pairs.grouped()):
        same = PICTURE[order][:, None] == PICTURE[order]
        np.testing.assert_array_equal(found.groups[:, None] == found.groups, same)
    parts = [set(PICTURE[order][np.isin(loaded.groups, part.groups)]) for part in pairs.split(seed=1)]
    assert sum(map(len, parts)) == 60 == len(set.union(*parts))


@pytest.mark.parametrize("mapped", [False, True])
def test_names_beside_the_vectors_are_no_reason_to_look_at_nothing_else(tmp_path, mapped):
    """The two rows of a name that is there twice are a group, and so are equal rows, where they are in memory."""
    names = [f"{row}.jpg" for row in range(300)]
    names[299] = names[0]
    for part, modality in (("img_emb", "image"), ("text_emb", "text")):
        (tmp_path / part).mkdir()
        np.save(tmp_path / part / f"{part}_0.npy", ROWS[modality].astype(np.float32))
    (tmp_path / "metadata").mkdir()
    pq.write_table(pa.table({"image_path": names}), tmp_path / "metadata" / "metadata_0.parquet")
    found = mt.PairedEmbeddings.load(tmp_path, mapped=mapped)
    assert len(np.unique(found.groups)) == (299 if mapped else 59) and found.groups[0] == found.groups[299]


def test_groups_that_are_given_stay():
    own = mt.PairedEmbeddings(ROWS, group=np.arange(300))
    assert own.grouped() is own and len(np.unique(own.groups)) == 300
    alone = mt.PairedEmbeddings({"text": ROWS["text"]})
    assert alone.grouped() is alone


@pytest.mark.parametrize(("different", "times", "label"), [(60, OFTEN + 1, False), (FEW, 5, False), (60, 5, True)])
def test_names_of_classes_are_a_list(different, times, label):
    which = np.arange(different * times) % different
    arrays = {"image": RNG.normal(size=(len(which), 8)), "text": RNG.normal(size=(different, 6))[which]}
    pairs = mt.PairedEmbeddings(arrays, label=which if label else None)
    train, *_ = pairs.split(seed=0)
    assert pairs.grouped().group is None and len(set(map(bytes, train.modality("text")))) == different
    for part in (train, train.at_most(3 * different), pairs.grouped().take(np.arange(2 * different))):
        assert part.grouped() is part, "a part of a list is decided upon with the whole"
    if label:
        assert mt.PairedEmbeddings(arrays).grouped().group is not None


def test_other_vectors_or_names_are_looked_through_anew():
    names = RNG.normal(size=(60, 6))[np.arange(60 * (OFTEN + 1)) % 60]
    pairs = mt.PairedEmbeddings({"image": RNG.normal(size=(len(names), 8)), "text": names}).grouped()
    five = np.arange(len(names)) // 5
    for other in (
        replace(pairs, arrays={"image": RNG.normal(size=(len(names), 8))[five], "text": RNG.normal(size=names.shape)}),
        replace(pairs, key=five.astype(str)),
    ):
        np.testing.assert_array_equal(other.grouped().groups, 5 * five)
    assert copy.deepcopy(pairs).grouped().group is None


def test_twenty_captions_of_a_video_are_no_list():
    """As MSR-VTT has them; whichever side they are on, nothing of a test is trained on."""
    video, order = np.repeat(RNG.normal(size=(90, 8)), 20, axis=0), RNG.permutation(1800)
    pairs = mt.PairedEmbeddings({"video": video[order], "text": RNG.normal(size=(1800, 6))})
    for train, _, test in (pairs.split(seed) for seed in range(3)):
        assert not set(map(bytes, train.modality("video"))) & set(map(bytes, test.modality("video")))


@pytest.mark.parametrize("named", [False, True])
def test_captions_that_videos_share_do_not_join_them(named):
    """As in MSVD, where one short sentence is said of many: by it nearly all would be one group."""
    video, said = np.repeat(np.arange(90), 20), RNG.integers(0, 700, 1800)
    rows = {"text": RNG.normal(size=(700, 6))[said], "video": RNG.normal(size=(90, 8))[video]}
    rows = {"text": rows["text"], "video": RNG.normal(size=(1800, 8))} if named else rows
    found = mt.PairedEmbeddings(rows, key=[f"{name}.mp4" for name in video] if named else None).grouped()
    np.testing.assert_array_equal(found.groups, 20 * video)


def test_a_few_that_are_shared_do_join():
    said = np.arange(300)
    said[[0, 150]] = 299  # of pictures 0, 30 and 59
    found = mt.PairedEmbeddings({"image": ROWS["image"], "text": ROWS["text"][said]}).grouped()
    assert len(np.unique(found.groups)) == 58 and len(set(found.groups[[0, 150, 299]])) == 1


def test_names_of_classes_are_certified_by_new_conditions():
    """Every name was trained on, and a part of the test has them less often than what is taken for a list."""
    from analysis.translators.certify import observe

    name = RNG.normal(size=(60, 6))
    which = np.arange(60 * (OFTEN + 1)) % 60
    image = name[which] @ RNG.normal(size=(6, 8)) + RNG.normal(size=(len(which), 8))
    pairs = mt.PairedEmbeddings({"image": image, "text": name[which]}).grouped()
    train, validation, test = pairs.split(seed=0)
    translator = mt.fit(train, preset="ridge", validation=validation)
    observed = observe(translator, test, whole=pairs, seen_targets=True)
    assert len(set(observed.group)) == len(test) and observed.largest_group == 1


def test_rows_that_are_nearly_equal_are_not():
    x = np.repeat(RNG.normal(size=(200, 8)).astype(np.float32), 2, axis=0)
    assert repeated({"image": x}).tolist() == np.repeat(np.arange(0, 400, 2), 2).tolist()
    x[::2, 3] = np.nextafter(x[::2, 3], np.float32(9))
    assert repeated({"image": x}) is None


def test_a_certificate_counts_the_groups():
    from analysis.translators.certify import certify_translator

    train, validation, test = mt.PairedEmbeddings(ROWS).split(seed=0)
    translator = mt.fit(train, preset="ridge", validation=validation)
    observed = certify_translator(translator, test, 0.5)
    assert len(test) == 60 and observed.groups == 12
    assert mt.evaluate(translator, test)["cosine"] < 0.4  # texts of random numbers cannot be told from a picture


def test_minus_zero_is_zero():
    x = np.repeat(RNG.normal(size=(200, 8)), 2, axis=0)
    x[:, 3] = np.tile([0.0, -0.0], 200)
    assert repeated({"image": x}).tolist() == np.repeat(np.arange(0, 400, 2), 2).tolist()


def test_whatever_is_fitted_or_scored_repeats_are_one_group():
    """In memory as in a file: the cosine that is expected is that of groups that were left out."""
    text = RNG.normal(size=(60, 6))[PICTURE]
    image = text @ RNG.normal(size=(6, 8)) + RNG.normal(size=(300, 8))
    flat = mt.PairedEmbeddings({"image": image, "text": text})
    fitted = [mt.fit(pairs, device="cpu") for pairs in (flat, flat.grouped())]
    expected = [translator.expected_cosine(image) for translator in fitted]
    np.testing.assert_array_equal(*expected)
    part = flat.take(np.arange(3, 300))  # two more rows of a text that was fitted to
    alone = mt.fit(flat.take(np.arange(3)), preset="ridge", validation=flat.take(np.arange(100, 102)), device="cpu")
    with pytest.warns(UserWarning, match="of 297 items are no test"):
        found = mt.evaluate(alone, part, ranking=True)
    assert found["rankings"]["own"] == mt.scores.score(
        alone.translate(part.modality("image")), part.modality("text"), mean=alone.mean.numpy(),
        alike=part.grouped().groups, ranking=True,
    )["rankings"]["own"]  # fmt: skip
