"""MS-COCO as it is distributed: folders or zip files, 2014 and 2017, and Karpathy's split."""

import json
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

from modtrans_core.embed.encoders import CLIP
from modtrans_core.embed.sources import load_source
from modtrans_core.embed.sources import opening as module
from modtrans_core.embed.sources.opening import OUTSIDE
from modtrans_core.embed.sources.reading import read

pytest.importorskip("PIL")

COLOURS = ("red", "lime", "blue", "white", "black", "yellow")


def annotate(root, part, files):
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    content = {
        "info": {"year": 2017},
        "licenses": [{"id": 1, "name": "Attribution License"}],
        "images": [{"id": 10 + i, "file_name": name, "license": 1} for i, name in enumerate(files)],
        "annotations": [
            {"id": 100 * i + j, "image_id": 10 + i, "caption": f"thing {i}, said {j}. "}
            for j in range(5)
            for i in range(len(files))
        ],
    }
    (root / "annotations" / f"captions_{part}.json").write_text(json.dumps(content))


def names_of(part):
    start = 0 if part.startswith("train") else 500
    prefix = f"COCO_{part}_" if part.endswith("2014") else ""
    return [f"{prefix}{start + i:012d}.jpg" for i in range(3)]


@pytest.fixture
def make(tmp_path, jpeg):
    """COCO with so many parts, each in a folder or in a zip file."""

    def make(*parts, zipped=False, within="", root="coco"):
        root = tmp_path / root
        for part in parts:
            names = names_of(part)
            annotate(root, part, names)
            pictures = {name: jpeg(colour) for name, colour in zip(names, COLOURS, strict=False)}
            (root / within).mkdir(exist_ok=True)
            if zipped:
                with zipfile.ZipFile(root / within / f"{part}.zip", "w") as archive:
                    archive.writestr(f"{part}/", b"")
                    for name, data in pictures.items():
                        archive.writestr(f"{part}/{name}", data)
            else:
                (root / within / part).mkdir()
                for name, data in pictures.items():
                    (root / within / part / name).write_bytes(data)
        return root

    return make


@pytest.mark.parametrize("within", ["", "images"])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("year", ["2014", "2017"])
def test_both_years_from_folders_and_zip_files(make, read_all, year, zipped, within):
    root = make(f"train{year}", f"val{year}", zipped=zipped, within=within)
    before = sorted(root.rglob("*"))
    source = load_source(f"coco:{root}")
    items, skipped = read_all(source)
    assert not skipped and source.encoders == {"image": CLIP, "text": CLIP}
    assert tuple(source.independent) == tuple(source.at_most(4).independent) == ("text",)
    assert [*items] == [f"{part}{year}/{name}" for part in ("train", "val") for name in names_of(f"{part}{year}")]
    assert [item.split for item in items.values()] == ["train"] * 3 + ["test"] * 3
    item = items[f"val{year}/{names_of(f'val{year}')[1]}"]
    assert item.values["text"] == tuple(f"thing 1, said {j}." for j in range(5))
    assert np.abs(read("image", item.values["image"]).astype(int) - [0, 255, 0]).max() <= 4
    assert sorted(root.rglob("*")) == before  # nothing is extracted
    facts = source.facts
    assert facts["parts"] == [f"train{year}", f"val{year}"] and facts["items"] == 6 and "CC BY 4.0" in facts["licence"]
    assert facts["captions"] == [f"captions_train{year}.json", f"captions_val{year}.json"]
    for part, splits in [("train", {"train"}), ("val", {"test"}), ("both", {"train", "test"})]:
        chosen, _ = read_all(load_source(f"coco:{root}", settings={"part": part, "year": year}))
        assert {item.split for item in chosen.values()} == splits


def test_what_is_there_is_taken(make, read_all):
    root = make("val2017", "train2014", "val2014")
    annotate(root, "train2017", names_of("train2017"))  # as in the archive of annotations, without the pictures
    assert load_source(f"coco:{root}").facts["parts"] == ["val2017"]
    assert load_source(f"coco:{root}", settings={"year": "2014"}).facts["parts"] == ["train2014", "val2014"]
    assert load_source(f"coco:{root}", settings={"part": "both"}).facts["parts"] == ["train2014", "val2014"]
    with pytest.raises(ValueError, match=r"looked for annotations/captions_\(train\)\(2017\)\.json, each with"):
        load_source(f"coco:{root}", settings={"part": "train", "year": "2017"})


def test_karpathy_split(make, read_all):
    root = make("val2014", "train2014")
    images = [
        {
            "filepath": part,
            "filename": name,
            "sentences": [{"raw": f"{name} {k}.", "tokens": []} for k in range(5)],
            "split": split,
        }
        for part, splits in [("train2014", ["train"] * 3), ("val2014", ["restval", "val", "test"])]
        for name, split in zip(names_of(part), splits, strict=True)
    ]
    images.append({"filepath": "../..", "filename": "x.jpg", "sentences": [{"raw": "x"}], "split": "test"})
    (root / "dataset_coco.json").write_text(json.dumps({"images": images, "dataset": "coco"}))
    source = load_source(f"coco:{root}", settings={"part": "karpathy"})
    items, skipped = read_all(source)
    assert [item.split for item in items.values()] == ["train"] * 4 + ["validation", "test"]
    assert skipped == {"../../x.jpg": "outside the folder"}
    for item in items.values():
        assert len(item.values["text"]) == 5 and read("image", item.values["image"]).shape == (16, 24, 3)
    assert load_source(f"coco:{root}").facts["parts"] == ["train2014", "val2014"]
    assert load_source(f"coco:{root}").facts["captions"] == ["captions_train2014.json", "captions_val2014.json"]
    for file in (root / "annotations").iterdir():
        file.unlink()
    assert load_source(f"coco:{root}").facts["captions"] == ["dataset_coco.json"]
    with pytest.raises(ValueError, match="part karpathy is of year 2014, not 2017"):
        load_source(f"coco:{root}", settings={"part": "karpathy", "year": "2017"})


@pytest.mark.parametrize("zipped", [False, True])
def test_hostile_names_and_missing_pictures(make, read_all, tmp_path, jpeg, zipped):
    root = make("val2017", zipped=zipped)
    (tmp_path / "secret.jpg").write_bytes(jpeg())
    (root / "secret.jpg").write_bytes(jpeg())
    names = ["../secret.jpg", "../../secret.jpg", "missing.jpg", names_of("val2017")[0]]
    annotate(root, "val2017", names)
    items, skipped = read_all(load_source(f"coco:{root}"))
    assert skipped.pop("secret.jpg") == skipped.pop("val2017/../../secret.jpg") == "outside the folder"
    assert read("image", items.pop(f"val2017/{names[3]}").values["image"]).shape == (16, 24, 3)
    if zipped:
        assert skipped == {"val2017/missing.jpg": "missing file"} and not items
    else:
        with pytest.raises(ValueError, match="^missing file$"):
            read("image", items["val2017/missing.jpg"].values["image"])


def test_hostile_members_of_a_zip_file(make, read_all, tmp_path, jpeg, monkeypatch):
    root = make("val2017", zipped=True)
    first, second, third = names_of("val2017")
    file = root / "val2017.zip"
    with warnings.catch_warnings(), zipfile.ZipFile(file, "a") as archive:
        warnings.simplefilter("ignore")  # of the duplicate name
        archive.writestr(f"val2017/{first}", jpeg("black"))
        archive.writestr("../../escaped.jpg", jpeg())
        archive.writestr("/tmp/escaped.jpg", jpeg())
    at = file.read_bytes().index(jpeg(COLOURS[1]))
    damaged = bytearray(file.read_bytes())
    damaged[at + 200] ^= 0xFF
    file.write_bytes(damaged)
    items, skipped = read_all(load_source(f"coco:{root}"))
    assert skipped == {f"val2017/{first}": "several files of one name in the zip"}
    with pytest.raises(ValueError, match="^damaged or encrypted in the zip$"):
        read("image", items[f"val2017/{second}"].values["image"])
    assert read("image", items[f"val2017/{third}"].values["image"]).shape == (16, 24, 3)
    assert not list(tmp_path.rglob("escaped.jpg"))
    monkeypatch.setattr(module, "LARGEST", 100)
    with pytest.raises(ValueError, match="^file over 0 MiB in the zip$"):
        read("image", items[f"val2017/{third}"].values["image"])


@pytest.mark.parametrize("keep", [0, 1, 0.5, 0.99])
def test_a_zip_file_that_is_cut_short(make, keep):
    root = make("val2017", zipped=True)
    file = root / "val2017.zip"
    data = file.read_bytes()
    file.write_bytes(data[: int(keep if keep == 1 else keep * len(data))])
    with pytest.raises(ValueError, match=r"val2017\.zip: not a zip file, or not all of it \(\d+ bytes\)$"):
        load_source(f"coco:{root}")


FORKED = """
import sys
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

from modtrans_core.embed.sources.opening import ZipFiles

files = ZipFiles(Path(sys.argv[1]))  # is open before the fork
names = list(files) * 9


def digest(name):
    return sha256(files(name)()).hexdigest()


with get_context("fork").Pool(2) as pool:
    there = pool.map_async(digest, names, chunksize=1)
    here = [digest(name) for name in names]
    assert here == there.get()
"""
"""for a process without threads, which alone may be forked"""


def test_a_zip_file_read_in_a_forked_process(tmp_path):
    """Both read the same file at once; a shared place in it would mix them up."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(40):
            archive.writestr(f"{i}", rng.bytes(100_000))  # more than is read ahead
    subprocess.run([sys.executable, "-c", FORKED, tmp_path / "a.zip"], check=True, timeout=300)


def test_what_is_missing_is_named(make, tmp_path):
    root = make("val2017")
    for path, settings, words in [
        (
            tmp_path,
            {},
            r"no COCO captions with their pictures; looked for annotations/captions_\(train\|val\)\(2017\|2014\)",
        ),
        (root, {"part": "both"}, r"captions_\(train and val\)\(2017\|2014\)\.json"),
        (root, {"part": "karpathy"}, "looked for dataset_coco.json or annotations/dataset_coco.json"),
        (root, {"year": "2015"}, "year: '2015', 2017 or 2014 is needed"),
        (root, {"part": "test"}, "part: 'test', one of train, val, both, karpathy is needed"),
    ]:
        with pytest.raises(ValueError, match=words):
            load_source(f"coco:{path}", settings=settings)
    (root / "dataset_coco.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"no pictures of train2014 or val2014; looked for train2014/, images/train2014/"
    ):
        load_source(f"coco:{root}", settings={"part": "karpathy"})
    file = root / "annotations" / "captions_val2017.json"
    file.write_text(file.read_text()[:300])
    with pytest.raises(ValueError, match=r"captions_val2017\.json: not valid JSON"):
        load_source(f"coco:{root}")


@pytest.mark.parametrize("zipped", [False, True])
def test_an_absolute_path_that_lies_inside_is_inside(make, read_all, tmp_path, zipped):
    """As FiftyOne exports them; outside, and where the pictures are in a zip file, it is refused as what it is."""
    make("val2017", zipped=zipped)
    here = tmp_path / "coco" / "val2017"
    (tmp_path / "other.jpg").touch()
    names = names_of("val2017")
    annotate(tmp_path / "coco", "val2017", [f"{here}/{names[0]}", names[1], f"{tmp_path}/other.jpg"])
    items, skipped = read_all(load_source(f"coco:{tmp_path}/coco"))
    found = {f"val2017/{name}" for name in (names[1:2] if zipped else names[:2])}
    assert {*items} == found
    assert skipped == dict.fromkeys([*([f"{here}/{names[0]}"] if zipped else []), f"{tmp_path}/other.jpg"], OUTSIDE)
