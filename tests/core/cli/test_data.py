"""`modtrans convert`; what `modtrans embed` does is in the tests of its room."""

import json

import numpy as np
import pytest

from modtrans_core import PairedEmbeddings
from modtrans_core.scores import ceiling


def test_convert(folder, modtrans):
    assert modtrans("convert", "pairs.npz", "shards", "--layout", "shards", "--shard-items", "30")[0] == 0
    assert PairedEmbeddings.load("shards").fingerprint() == PairedEmbeddings.load("pairs.npz").fingerprint()
    status, _, err = modtrans("convert", "pairs.npz", "shards")
    assert status == 1 and "shards: exists" in err
    status, _, err = modtrans("convert", "pairs.npz", "pairs.csv")
    assert status == 1 and "pairs.csv: a name that ends in .npz, .safetensors is needed" in err
    assert modtrans("convert", "shards", "shards", "--overwrite")[0] == 0  # clip-retrieval's in its place
    assert (folder / "shards" / "img_emb" / "img_emb_0.npy").exists() and not list(folder.glob(".*"))


def test_independent_targets_have_a_ceiling(folder, modtrans):
    """Two captions of each picture: without a word nothing is known of them, and skill is measured against 1."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(80, 8))
    text = (image @ rng.normal(size=(8, 6)))[:, None] + 0.5 * rng.normal(size=(80, 2, 6))
    PairedEmbeddings({"image": image, "text": text}, metadata={"dataset": {"name": "x"}}).save("two.npz")
    assert modtrans("convert", "two.npz", "said.npz", "--independent", "text")[0] == 0
    said = PairedEmbeddings.load("said.npz")
    assert said.metadata == {"dataset": {"name": "x"}, "independent": ["text"]}
    assert modtrans("convert", "said.npz", "again", "--layout", "shards", "--independent", "image")[0] == 0
    again = PairedEmbeddings.load("again")
    assert again.independent("text") and again.independent("image")
    status, _, err = modtrans("convert", "two.npz", "none.npz", "--independent", "sound")
    assert status == 1 and "modality 'sound': not in this pair set, which has image, text" in err
    assert modtrans("train", "two.npz", "--out", "run", "--device", "cpu")[0] == 0
    unknown, known = (modtrans("evaluate", "run", name, "--json")[1] for name in ("two.npz", "said.npz"))
    unknown, known = json.loads(unknown), json.loads(known)
    assert unknown["ceiling"] is None
    assert unknown["skill"] == pytest.approx((unknown["cosine"] - unknown["floor"]) / (1 - unknown["floor"]))
    assert known["ceiling"] == pytest.approx(ceiling(said.split(0)[2].modality("text")))
    assert known["skill"] > unknown["skill"]
    assert "and 1 (no ceiling is known: no item has two" in modtrans("evaluate", "run", "two.npz")[1]
    assert "share of the way from floor to ceiling" in modtrans("evaluate", "run", "said.npz")[1]
