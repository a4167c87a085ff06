"""A folder and its captions file, in every format, and all that can be wrong with either."""

import csv
import io
import json
import os
import pickle
import posixpath
import unicodedata

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modtrans_core.embed.encoders import CLAP, CLIP
from modtrans_core.embed.sources import Skipped, load_source
from modtrans_core.embed.sources.reading import read

pytest.importorskip("PIL")


@pytest.fixture
def photos(tmp_path, jpeg):
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for name, colour in [("Red.JPG", "red"), ("deep/blue.jpg", "blue"), ("green.jpg", "lime")]:
        (folder / name).write_bytes(jpeg(colour))
    return folder


def captions_of(items):
    return {key: item.values["text"] for key, item in items.items()}


def load(folder, **settings):
    return load_source(f"folder:{folder}", settings=settings)


EXPECTED = {"Red.JPG": ("a red thing", "red, again"), "deep/blue.jpg": ("a blue thing",)}
RECORDS = [
    {"image": "Red.JPG", "caption": ["a red thing", "red, again"], "split": "train", "group": "warm"},
    {"image": "deep/blue.jpg", "caption": " a  blue\nthing ", "split": "val"},
]
COCO = {
    "images": [{"id": 7, "file_name": "Red.JPG"}, {"id": 3, "file_name": "deep/blue.jpg"}],
    "annotations": [
        {"id": 0, "image_id": 7, "caption": "a red thing"},
        {"id": 1, "image_id": 3, "caption": "a blue thing\n"},
        {"id": 2, "image_id": 7, "caption": "red, again"},
    ],
}
FILES = {
    "captions.csv": 'image,caption\nRed.JPG,a red thing\ndeep/blue.jpg," a  blue\nthing "\nRed.JPG,"red, again"\n',
    "captions.tsv": "filepath\ttitle\r\nRed.JPG\ta red thing\r\ndeep/blue.jpg\ta blue thing\r\nRed.JPG\tred, again\r\n",
    "semicolons.csv": "\ufeffText;File_Name\na red thing;./Red.JPG\nred, again;Red.JPG\na blue thing;deep//blue.jpg\n",
    "captions.jsonl": "".join(json.dumps(record) + "\n" for record in RECORDS) + "\n",
    "captions.json": json.dumps(COCO),
    "list.json": "\ufeff" + json.dumps(RECORDS),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_says_the_same(photos, read_all, name):
    (photos / name).write_text(FILES[name], encoding="utf-8")
    source = load(photos, **({} if name.startswith("captions") else {"captions": name}))
    items, skipped = read_all(source)
    assert captions_of(items) == EXPECTED and skipped == {"green.jpg": "no caption"}
    picture = read("image", items["deep/blue.jpg"].values["image"])
    assert picture.shape == (16, 24, 3) and picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - [0, 0, 255]).max() <= 4
    assert source.encoders == {"image": CLIP, "text": CLIP}
    facts = source.facts
    assert (facts["name"], facts["folder"], facts["captions"]) == ("photos", "photos", [name])
    assert (facts["listed"], facts["items"], facts["skipped"]) == (3, 2, {"no caption": 1})
    assert len(facts["captions_sha256"][0]) == 64
    json.dumps(facts)
    pickle.loads(pickle.dumps(source.items))


def test_splits_and_groups_are_taken(photos, read_all):
    (photos / "captions.csv").write_text(
        "image,caption,split,group\nRed.JPG,a,Train,warm\nRed.JPG,b,,\ndeep/blue.jpg,c,dev,cold\ngreen.jpg,d,test,cold\n"
    )
    source = load(photos)
    items, _ = read_all(source)
    assert source.grouped
    assert {key: (item.split, item.group) for key, item in items.items()} == {
        "Red.JPG": ("train", 0),
        "deep/blue.jpg": ("validation", 1),
        "green.jpg": ("test", 1),
    }
    assert [item.key for item in load_source(f"folder:{photos}", limit=1).items] == ["Red.JPG"]
    (photos / "captions.csv").write_text(
        "image,caption,split,group\nRed.JPG,a,train,\nRed.JPG,b,test,\ngreen.jpg,c,,\n"
    )
    items, skipped = read_all(load(photos))
    assert items["green.jpg"].split is None and items["green.jpg"].group == -1
    assert skipped == {"Red.JPG": "rows disagree on its split", "deep/blue.jpg": "no caption"}


def test_captions_and_pictures_elsewhere(photos, tmp_path, read_all, monkeypatch):
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "of.csv").write_text(FILES["captions.csv"])
    for settings_ in (
        {"captions": str(tmp_path / "words" / "of.csv")},
        {"captions": "../words/of.csv"},
    ):
        assert captions_of(read_all(load(photos, **settings_))[0]) == EXPECTED
    (tmp_path / "words" / "captions.csv").write_text(FILES["captions.csv"])
    for images in (str(photos), "../photos"):
        items, _ = read_all(load(tmp_path / "words", images=images))
        assert captions_of(items) == EXPECTED and read("image", items["Red.JPG"].values["image"]).shape == (16, 24, 3)
    monkeypatch.chdir(tmp_path)
    assert captions_of(read_all(load("photos", captions="words/of.csv"))[0]) == EXPECTED
    assert captions_of(read_all(load("words", images="photos"))[0]) == EXPECTED


def test_sounds(tmp_path, sound, read_all):
    tone = np.sin(np.arange(800) / 5) / 2
    for format in ("WAV", "FLAC"):
        (tmp_path / f"tone.{format.lower()}").write_bytes(sound(tone, format, "PCM_16"))
    (tmp_path / "other.wav").write_bytes(b"")
    (tmp_path / "captions.csv").write_text("audio,caption\ntone.wav,a tone\ntone.flac,a tone\n")
    source = load(tmp_path, modality="audio")
    items, skipped = read_all(source)
    assert source.encoders == {"audio": CLAP, "text": CLAP} and skipped == {"other.wav": "no caption"}
    for item in items.values():
        samples, rate = read("audio", item.values["audio"])
        assert rate == 16_000 and np.abs(samples - tone).max() < 2**-14


def test_hostile_names_are_skipped(photos, tmp_path, read_all):
    (tmp_path / "secret.jpg").write_bytes((photos / "green.jpg").read_bytes())
    (photos / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    names = ["../secret.jpg", "deep/../../secret.jpg", str(tmp_path / "secret.jpg"), "..", "", ".", "deep/../Red.JPG"]
    with open(photos / "captions.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [("image", "caption"), *((name, "a") for name in [*names, "out.jpg", "gone.jpg", "deep"])]
        )
    items, skipped = read_all(load(photos))
    outside = dict.fromkeys(names[:4], "outside the folder")
    assert outside.items() <= skipped.items()
    assert skipped[""] == skipped["."] == "no file name"
    assert set(items) == {"Red.JPG", "out.jpg", "gone.jpg", "deep"}
    for key, reason in {"out.jpg": "outside the folder", "gone.jpg": "missing file", "deep": "not a file"}.items():
        with pytest.raises(ValueError, match=f"^{reason}$"):
            read("image", items[key].values["image"])


def test_captions_that_are_not_utf_8_or_empty(photos, read_all):
    lines = [
        b"image,caption",
        b"Red.JPG,caf\xe9",
        b"Red.JPG,a red thing",
        b"deep/blue.jpg,caf\xe9",
        b"green.jpg,   ",
        b"gr\xfcn.jpg,a",
        b"short.jpg",
        b"long.jpg,a,b",
    ]
    (photos / "captions.csv").write_bytes(b"\n".join(lines))
    source = load(photos)
    items, skipped = read_all(source)
    assert captions_of(items) == {"Red.JPG": ("a red thing",)}
    assert skipped == {
        "deep/blue.jpg": "caption is not UTF-8",
        "green.jpg": "empty caption",
        r"gr\udcfcn.jpg": "file name is not UTF-8",
        "short.jpg": "row with more or fewer cells than columns",
        "long.jpg": "row with more or fewer cells than columns",
    }
    assert source.facts["captions_skipped"] == {
        "caption is not UTF-8": 2,
        "empty caption": 1,
        "row with more or fewer cells than columns": 2,
    }
    assert len(source.identity()) == 64


def test_odd_values_in_jsonl(photos, read_all):
    records = [
        {"file": "Red.JPG", "text": ["a", "", None, 3, "\ud800", ["b"]]},
        {"file": "deep/blue.jpg", "text": []},
        {"file": "green.jpg"},
        {"file": 3, "text": "a"},
        {"file": None, "text": "a"},
    ]
    (photos / "captions.jsonl").write_text("\n".join(map(json.dumps, records)))
    source = load(photos)
    items, skipped = read_all(source)
    assert captions_of(items) == {"Red.JPG": ("a",)}
    assert skipped == {
        "deep/blue.jpg": "no caption",
        "green.jpg": "no caption",
        "3": "file name is not text",
        "None": "file name is not text",
    }
    assert source.facts["captions_skipped"] == {
        "empty caption": 1,
        "caption is not text": 3,
        "caption is not UTF-8": 1,
    }


BROKEN = {
    ("captions.csv", ""): "first line ''; needed are the names of a column of files (image, file,",
    ("captions.csv", "picture,caption\na,b\n"): "first line 'picture,caption'",
    ("captions.csv", "image,words\na,b\n"): "and one of captions (caption, captions, text, title)",
    ("captions.csv", 'image,caption\na,b\nc,"d\ne,f\n'): "row from line 3 on: damaged CSV (unexpected end of data)",
    ("captions.csv", "image,caption\na," + "b" * 200_000): "row from line 2 on: damaged CSV (field larger",
    ("captions.csv", "image,caption" + "b" * 200_000): "first line: damaged CSV (field larger",
    ("captions.csv", "image,caption,split\na,b,holdout\n"): "split 'holdout', one of train, training,",
    ("captions.csv", "image,caption\n"): "no file has a caption; skipped: 3 for 'no caption'",
    ("captions.tsv", "image,caption\na,b\n"): "first line 'image,caption'",
    ("captions.jsonl", '{"image": "a", "caption": "b"}\n{"image": '): "line 2: not valid JSON (",
    ("captions.jsonl", '{"caption": "b"}\n'): "line 1 has 'caption'; one of image, file,",
    ("captions.jsonl", "[1]\n"): "line 1 has no names; one of image,",
    ("captions.json", '{"images": ['): "not valid JSON (",
    ("captions.json", "[" * 100_000): "not valid JSON (nested too deep)",
    ("captions.json", '{"pictures": []}'): "found 'pictures'; a list of objects, COCO's images and annotations,",
    ("captions.json", "3"): "found int; a list of objects",
    ("captions.json", '{"images": [{"id": 1}], "annotations": []}'): "damaged at 'file_name'; images with id and",
    ("captions.json", '{"images": [], "annotations": [{"image_id": 4, "caption": "a"}]}'): "damaged at 4; images",
    (
        "captions.json",
        '{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}], "annotations": []}',
    ): "two images have the id 1",
    ("captions.json", '{"images": [3], "annotations": []}'): "images with id and file_name",
    ("captions.json", '{"images": [{"filename": "a"}]}'): "damaged at 'sentences'; images with filename and",
}


@pytest.mark.parametrize(("name", "text"), BROKEN)
def test_a_damaged_captions_file_is_one_line_that_names_it(photos, name, text):
    (photos / name).write_text(text)
    with pytest.raises(ValueError) as error:
        load(photos)
    assert f"{name}: " in str(error.value) and BROKEN[name, text] in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_missing_is_named(photos, tmp_path):
    for name, settings_, words in [
        (photos, {}, "no captions file; looked for captions.csv, captions.tsv, captions.jsonl, captions.json"),
        (photos, {"captions": "words.csv"}, f"set: captions 'words.csv': no such file in {photos} or elsewhere"),
        (photos, {"captions": "Red.JPG"}, "suffix '.JPG', one of .csv, .tsv, .jsonl, .json is needed"),
        (photos, {"modality": "video"}, "modality: 'video', image or audio is needed"),
        (tmp_path / "none", {}, "there is no such folder"),
        (photos / "Red.JPG", {}, "not a folder"),
        (photos, {"pictures": "x"}, "'pictures' is not a setting of folder, which has captions, images, modality"),
    ]:
        with pytest.raises(ValueError) as error:
            load(name, **settings_)
        assert words in str(error.value) and "\n" not in str(error.value)
    (photos / "captions.csv").write_bytes("image,caption\n".encode("utf-16"))
    with pytest.raises(ValueError, match="the text is UTF-16, UTF-8 is needed"):
        load(photos)
    (photos / "captions.csv").write_text(FILES["captions.csv"])
    with pytest.raises(ValueError, match="set images:none: there is no such folder"):
        load(photos, images="none")


KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\\"), min_size=1)
PAIRS = st.dictionaries(
    KEYS, st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4), min_size=1, max_size=8
)


@settings(max_examples=60)
@given(PAIRS, st.sampled_from(["csv", "tsv", "semicolons", "jsonl", "json"]), st.booleans())
def test_whatever_is_written_is_read(tmp_path_factory, pairs, form, mark):
    """Any keys and captions, as csv and json write them; what the source keeps is told by rule, not by its code."""
    assume(all(posixpath.normpath(key) == key and key[0] != "/" and ".." not in key.split("/") for key in pairs))
    folder = tmp_path_factory.mktemp("any")
    rows = [(key, text) for key, texts in pairs.items() for text in texts]
    records = [{"image": key, "caption": texts} for key, texts in pairs.items()]
    if form == "jsonl":
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    elif form == "json":
        text = json.dumps(records)
    else:
        buffer = io.StringIO(newline="")
        delimiter = {"csv": ",", "tsv": "\t", "semicolons": ";"}[form]
        csv.writer(buffer, delimiter=delimiter).writerows([("image", "caption"), *rows])
        text = buffer.getvalue()
    path = folder / f"captions.{'csv' if form == 'semicolons' else form}"
    path.write_bytes(("\ufeff" if mark else "").encode() + text.encode())
    tidy = {key: tuple(" ".join(t.split()) for t in texts if t.split()) for key, texts in pairs.items()}
    if not any(tidy.values()):
        with pytest.raises(ValueError, match=f"no file has a caption; skipped: {len(pairs)} for 'empty caption'$"):
            load_source(f"folder:{folder}")
        return
    source = load_source(f"folder:{folder}")
    assert {item.key: item.values["text"] for item in source.items} == {k: t for k, t in tidy.items() if t}
    skipped = {entry.key: entry.reason for entry in source.entries if isinstance(entry, Skipped)}
    assert skipped == {key: "empty caption" for key, texts in tidy.items() if not texts}


def test_nothing_is_looked_at_on_disk_for_each_row(tmp_path, monkeypatch):
    n = 5_000
    (tmp_path / "captions.csv").write_text("image,caption\n" + "".join(f"{i:07d}.jpg,a thing {i}\n" for i in range(n)))
    looked = []
    for name in ("stat", "lstat"):
        look = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, look=look, **k: looked.append(1) or look(*a, **k))
    source = load_source(f"folder:{tmp_path}")
    assert len(source.items) == n and len(source.shards(1000)) == 5
    assert 0 < len(looked) < 100


def test_texts_beside_the_pictures_are_their_captions(photos, read_all, tmp_path):
    """As img2dataset and clip-retrieval have them."""
    (photos / "Red.txt").write_text("\ufeffa red thing\n", encoding="utf-8")
    (photos / "deep" / "blue.txt").write_text("a blue\nthing")
    (tmp_path / "secret.txt").write_text("not yours")
    (photos / "green.txt").symlink_to(tmp_path / "secret.txt")
    for source in (load(photos), load_source(str(photos))):
        items, skipped = read_all(source)
        assert captions_of(items) == {"Red.JPG": ("a red thing",), "deep/blue.jpg": ("a blue thing",)}
        assert skipped == {"green.jpg": "outside the folder"}
    before = load(photos).facts["captions_sha256"]
    (photos / "Red.txt").write_text("another thing")
    assert load(photos).facts["captions_sha256"] != before
    (photos / "captions.csv").write_text(FILES["captions.csv"])
    assert captions_of(read_all(load(photos))[0]) == EXPECTED


def test_the_separators_of_windows(photos, read_all, jpeg):
    (photos / "odd\\name.jpg").write_bytes(jpeg("red"))
    rows = "image,caption\ndeep\\blue.jpg,a blue thing\nodd\\name.jpg,an odd one\n.\\Red.JPG,red\n"
    (photos / "captions.csv").write_text(rows)
    items, skipped = read_all(load(photos))
    wanted = {"deep/blue.jpg": ("a blue thing",), "odd\\name.jpg": ("an odd one",), "Red.JPG": ("red",)}
    assert captions_of(items) == wanted and skipped == {"green.jpg": "no caption"}


@pytest.mark.parametrize(("there", "named"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_either_form_of_an_accent_names_the_file(tmp_path, read_all, jpeg, there, named):
    """Archives of macOS have the letter and the accent apart, what people type has one character."""
    name = "caf\u00e9.jpg"
    (tmp_path / unicodedata.normalize(there, name)).write_bytes(jpeg("red"))
    for before in ("", f"{tmp_path}/"):
        (tmp_path / "captions.csv").write_text(
            f"image,caption\n{before}{unicodedata.normalize(named, name)},a red thing\n"
        )
        items, skipped = read_all(load(tmp_path))
        assert captions_of(items) == {unicodedata.normalize(there, name): ("a red thing",)} and not skipped


@pytest.mark.parametrize("source", ["folder", "flickr"])
def test_a_pipe_holds_no_captions_and_nobody_waits_for_it(tmp_path, source):
    (tmp_path / "Images").mkdir()
    os.mkfifo(tmp_path / ("captions.csv" if source == "folder" else "captions.txt"))
    with pytest.raises(ValueError, match=r"captions\.(csv|txt): a pipe or a device, a file is needed"):
        load_source(f"{source}:{tmp_path}")
