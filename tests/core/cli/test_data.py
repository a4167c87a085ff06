"""`modtrans convert`; what `modtrans embed` does is in the tests of its room."""

import json
import shutil

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


def test_arrays_are_packed_or_used_as_they_are(folder, modtrans):
    pairs = PairedEmbeddings.load("pairs.npz")
    np.save("image.npy", pairs.modality("image").astype(np.float64))
    np.save("text.npy", pairs.modality("text"))
    np.save("ids.npy", np.array([f"item {number // 2}" for number in range(80)]))
    np.save("key.npy", np.arange(80).astype(str))
    arguments = ["image=image.npy", "text=text.npy", "group=ids.npy", "key=key.npy"]
    assert modtrans("pack", *arguments, "packed.npz") == (
        0,
        "",
        "packed.npz: PairedEmbeddings(image (80, 8), text (80, 6), in 40 groups)\n",
    )
    packed = PairedEmbeddings.load("packed.npz")
    for name in ("image", "text"):
        np.testing.assert_array_equal(packed.modality(name), pairs.modality(name))
    assert len(np.unique(packed.groups)) == 40 and (packed.groups[::2] == packed.groups[1::2]).all()
    assert list(packed.key) == [str(number) for number in range(80)]
    arrays = "image=image.npy,text=packed.npz:text,group=ids.npy"
    for out, given in (("one", "packed.npz"), ("two", arrays)):
        assert modtrans("train", given, "--out", out, "--preset", "ridge")[0] == 0
    one, two = modtrans("evaluate", "one", "packed.npz", "--json"), modtrans("evaluate", "two", arrays, "--json")
    assert one == two and json.loads(one[1])["cosine"] > 0.9


def test_names_of_files_may_be_long_in_a_list_and_have_a_sign(folder, modtrans):
    pairs = PairedEmbeddings.load("pairs.npz")
    for name in ("image", "text"):
        np.save(f"{'a' * 130}{name}.npy", pairs.modality(name))
    files = [f"{name}={'a' * 130}{name}.npy" for name in ("image", "text")]
    assert modtrans("train", ",".join(files), "--out", "run", "--preset", "ridge")[0] == 0
    assert modtrans("evaluate", "run", ",".join(files), "--split", "all")[0] == 0
    (folder / "lr=0.1").mkdir()
    for out in ("lr=0.1/p.npz", "./lr=0.2/p.npz"):
        assert modtrans("pack", *files, out)[0] == 0 and len(PairedEmbeddings.load(out)) == 80
    status, _, err = modtrans("pack", *files)
    assert status == 1 and "last, a name to write" in err and not (folder / "text=a").exists()


def test_a_folder_that_the_user_made_in_a_set_is_not_removed(folder, modtrans):
    for layout in ("shards", "clip-retrieval"):
        assert modtrans("convert", "pairs.npz", "out", "--layout", layout, "--overwrite")[0] == 0
        (folder / "out" / "mine" / "deep").mkdir(parents=True)
        status, _, err = modtrans("convert", "pairs.npz", "out", "--layout", layout, "--overwrite")
        assert status == 1 and "out: holds mine/deep, which was not written here" in err
        shutil.rmtree(folder / "out" / "mine")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["image=c.npy"], "files: 'image=c.npy', NAME=FILE and, last, a name to write, in a folder ./NAME=VALUE"),
        (["image=c.npy", "text=none.npy", "out.npz"], "text: 'none.npy', a file that exists is needed"),
        (["image=c.npy", "text=pairs.npz:texts", "out.npz"], "pairs.npz: column: 'texts', one of image, text, audio"),
        (
            ["image=c.npy", "text=c.txt", "out.npz"],
            "text: 'c.txt', a file that ends in .npy, .npz, .pt, .csv, .parquet is",
        ),
        (["image=c.npy:image", "out.npz"], "image: 'c.npy:image', no column: a .npy file is one array"),
        (["image=c.npy", "image=c.npy", "out.npz"], "files: 'image=c.npy', one value of image is needed"),
        (["image=c.npy", "text=short.npy", "out.npz"], "text: 3 items, but another modality has 80"),
        (["image=c.npy", "text=torn.npy", "out.npz"], "torn.npy: "),
        (["image=c.npy", "out.csv"], "OUT: 'out.csv', a name that ends in .npz or .safetensors is needed"),
        (["image=c.npy", "pairs.npz"], "pairs.npz: exists"),
    ],
)
def test_what_cannot_be_packed_is_one_line(folder, modtrans, arguments, words):
    np.save("short.npy", np.eye(3))
    (folder / "torn.npy").write_bytes(b"\x93NUMPY torn")
    before = sorted(folder.iterdir())
    status, _, err = modtrans("pack", *arguments)
    assert status == 1 and words in err and err.count("\n") == 1
    assert sorted(folder.iterdir()) == before
