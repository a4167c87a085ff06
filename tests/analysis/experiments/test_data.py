"""The pair set of a notebook."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from analysis.experiments.data import (
    ENCODERS,
    WHOLE,
    at_most,
    dataset_name,
    is_drawn,
    is_openmoji,
    load_pairs,
    one_vector,
    shares,
    warn_of_equal,
)
from analysis.experiments.domains import crossings_within
from analysis.experiments.encoder_sets import named as named_sets
from analysis.experiments.table_2 import named as shared
from modtrans_core import PairedEmbeddings
from modtrans_core.embed import pair_set
from modtrans_core.embed.encoders import IMAGE_ENCODER, TEXT_ENCODER
from modtrans_core.repeats import OFTEN


def test_a_pair_set_is_that_of_the_file_or_the_cached_one(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    pairs = PairedEmbeddings({"image": rng.normal(size=(9, 3)), "text": rng.normal(size=(9, 2, 4))})
    pairs.save(tmp_path / "own.npz")
    data, path = load_pairs(str(tmp_path / "own.npz"))
    assert path == tmp_path / "own.npz" and data.fingerprint() == pairs.fingerprint()
    monkeypatch.setattr(pair_set, "cached_openmoji", lambda progress: tmp_path / "own.npz")
    assert load_pairs("")[1] == path
    np.testing.assert_allclose(np.linalg.norm(one_vector(data, "image"), axis=1), 1)
    assert one_vector(data, "text").shape == (9, 4)


def test_a_smaller_pair_set_is_written_only_where_there_are_more_items(tmp_path):
    rng = np.random.default_rng(0)
    PairedEmbeddings({"image": rng.normal(size=(9, 3)), "text": rng.normal(size=(9, 4))}).save(tmp_path / "own.npz")
    for items in (0, 9, 20):
        assert at_most(tmp_path / "own.npz", items, tmp_path / "small.npz") == tmp_path / "own.npz"
    assert not (tmp_path / "small.npz").exists()
    assert at_most(tmp_path / "own.npz", 4, tmp_path / "small.npz") == tmp_path / "small.npz"
    assert len(PairedEmbeddings.load(tmp_path / "small.npz")) == 4


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("mine", "mine"),
        ({"name": "mine"}, "mine"),
        ("", None),
        (None, None),
        (["mine"], None),
        ({"name": 3}, None),
        (3, None),
    ],
)
def test_a_data_set_is_named_by_a_text_or_an_object_or_not_at_all(tmp_path, said, name):
    rng = np.random.default_rng(0)
    metadata = {"dataset": said, "image": "CLIP ViT-B/32"}
    pairs = PairedEmbeddings({"image": rng.normal(size=(20, 3)), "text": rng.normal(size=(20, 3))}, metadata=metadata)
    pairs.save(tmp_path / "own.npz")
    assert dataset_name(pairs) == name and not is_openmoji(pairs)
    assert [one.name for one in shared([tmp_path / "own.npz"])] == [name or "own"]
    assert [*crossings_within(pairs, "image")] == ["low → high"]
    assert [*named_sets([tmp_path / "own.npz"])] == ["own"]


@pytest.mark.parametrize(
    ("items", "text", "whole"), [(WHOLE, TEXT_ENCODER, True), (WHOLE - 1, TEXT_ENCODER, False), (WHOLE, "other", False)]
)
def test_a_part_of_openmoji_or_other_vectors_of_it_are_not_what_findings_were_made_on(items, text, whole):
    assert ENCODERS == [IMAGE_ENCODER, TEXT_ENCODER]
    metadata = {"dataset": {"name": "OpenMoji"}, "image": {"encoder": IMAGE_ENCODER}, "text": {"encoder": text}}
    vectors = np.ones((items, 2), dtype=np.float32)
    assert is_openmoji(PairedEmbeddings({"image": vectors, "text": vectors}, metadata=metadata)) is whole


@pytest.mark.parametrize(
    ("key", "dataset", "drawn"),
    [
        (["1F408", "2764-FE0F"], "OpenMoji", True),
        (["1F408", "2764"], {"name": "OpenMoji"}, True),
        (["1F408", "2764"], "emoji drawn after OpenMoji", False),
        (["1F408", "heart"], "OpenMoji", False),
        (None, "OpenMoji", False),
    ],
)
def test_emoji_are_drawn_where_all_names_are_theirs(key, dataset, drawn):
    pairs = PairedEmbeddings({"image": np.eye(2)}, key=key and np.array(key), metadata={"dataset": dataset})
    assert is_drawn(pairs) == drawn


def test_fewer_items_are_as_many_a_group_as_in_all(tmp_path):
    """Names of classes are each its own, though some of the items have them as often as captions repeat a picture."""
    rng = np.random.default_rng(0)
    which = np.arange(60 * (OFTEN + 1)) % 60
    pairs = PairedEmbeddings({"image": rng.normal(size=(len(which), 8)), "text": rng.normal(size=(60, 6))[which]})
    pairs.save(tmp_path / "all.npz")
    found = PairedEmbeddings.load(at_most(tmp_path / "all.npz", 600, tmp_path / "some.npz"))
    assert len(found) == len(np.unique(found.groups)) == 600


def test_what_equals_an_item_to_train_on_is_warned_of():
    own_split = np.repeat([0, 1, 2], [7, 1, 4])
    arrays = {"image": np.eye(12), "text": np.repeat(np.eye(4, 9), [6, 2, 3, 1], axis=0)}
    pairs = PairedEmbeddings(arrays, group=np.arange(12), own_split=own_split)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_equal("set.npz", pairs, "image", "text")
    needed = "^set.npz: 1 of 4 test items equal one to train on: 0 in image, 1 in text. .* --group-duplicates keeps"
    with pytest.warns(UserWarning, match=needed):
        warn_of_equal("set.npz", replace(pairs, own_split=np.repeat([0, 2, 1], [7, 4, 1])), "image", "text")


def test_a_notebook_says_what_equals_an_item_to_train_on(tmp_path):
    z = np.random.default_rng(0).standard_normal((2, 60, 8))
    arrays = {"text-de": np.repeat(z[0, :12], 5, axis=0), "sound": z[1]}
    PairedEmbeddings(arrays, group=np.arange(60)).save(tmp_path / "set.npz")
    for route in (("text-de", "sound"), ("image", "text")):  # of a set that has not both its first two
        with pytest.warns(
            UserWarning, match=r"set.npz: 12 of 12 test items equal one to train on: 12 in text-de, 0 in"
        ):
            load_pairs(str(tmp_path / "set.npz"), route=route)
    PairedEmbeddings({"image": z[0, :2], "text": z[1, :2]}).save(tmp_path / "few.npz")
    with pytest.raises(ValueError, match=r"few.npz: group: 2 groups, 3 are needed"):
        load_pairs(str(tmp_path / "few.npz"), route=("image", "text"))


def test_shares_are_those_of_the_split_that_is_followed():
    pairs = PairedEmbeddings({"image": np.eye(20) + 1}, own_split=np.repeat([0, 2], [12, 8]))
    assert shares(pairs) == {"shares": [50, 10, 40], "own_split": True}
    part = PairedEmbeddings({"image": np.eye(20) + 1}, own_split=np.zeros(20, dtype=int))
    assert shares(part) == {"shares": [70, 10, 20], "own_split": False}
