"""Flickr8k and Flickr30k in the forms in which they go round, with their known quirks."""

import json

import pytest

from modtrans_core.embed.encoders import CLIP
from modtrans_core.embed.sources import load_source
from modtrans_core.embed.sources.reading import read

pytest.importorskip("PIL")

NAMES = ("1000268201_693b08cb0e.jpg", "1001773457_577c3a7d70.jpg", "1002674143_1b742ab4b8.jpg")


@pytest.fixture
def make(tmp_path, jpeg):
    """A folder of pictures of that name, and files beside it."""

    def make(folder, **files):
        (tmp_path / folder).mkdir(parents=True)
        for name in NAMES:
            (tmp_path / folder / name).write_bytes(jpeg())
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return make


TOKENS = "".join(f"{name}#{k}\tA dog number {i} ,  said {k} .\n" for i, name in enumerate(NAMES) for k in range(5))
LISTS = dict(
    zip(
        ("Flickr_8k.trainImages.txt", "Flickr_8k.devImages.txt", "Flickr_8k.testImages.txt"),
        (f"{name}\n" for name in NAMES),
        strict=True,
    )
)
EXPECTED = {name: tuple(f"A dog number {i} , said {k} ." for k in range(5)) for i, name in enumerate(NAMES)}


def check(source, read_all, splits):
    items, skipped = read_all(source)
    assert {key: item.values["text"] for key, item in items.items()} == EXPECTED and not skipped
    assert [item.split for item in items.values()] == splits
    assert all(read("image", item.values["image"]).shape == (16, 24, 3) for item in items.values())
    assert source.encoders == {"image": CLIP, "text": CLIP} and tuple(source.independent) == ("text",)


@pytest.mark.parametrize("beside", ["", "Flickr8k_text/"])
@pytest.mark.parametrize("folder", ["Flicker8k_Dataset", "Flickr8k_Dataset/Flicker8k_Dataset", "Flicker8k_Images"])
def test_the_token_file_of_flickr8k(make, read_all, folder, beside):
    files = {f"{beside}Flickr8k.token.txt": TOKENS, **{f"{beside}{name}": text for name, text in LISTS.items()}}
    source = load_source(f"flickr:{make(folder, **files)}")
    check(source, read_all, ["train", "validation", "test"])
    assert source.facts["name"] == "Flickr8k" and source.facts["captions"] == ["Flickr8k.token.txt"]


def test_the_token_file_without_lists(make, read_all):
    check(load_source(f"flickr:{make('Images', **{'Flickr8k.token.txt': TOKENS})}"), read_all, [None] * 3)


def test_kaggles_table_of_flickr8k(make, read_all):
    rows = "".join(f'{name},"{text}"\n' for name, texts in EXPECTED.items() for text in texts)
    source = load_source(f"flickr:{make('Images', **{'captions.txt': 'image,caption' + chr(10) + rows})}")
    check(source, read_all, [None] * 3)


def test_the_token_file_of_flickr30k(make, read_all):
    source = load_source(f"flickr:{make('flickr30k-images', **{'results_20130124.token': TOKENS})}")
    check(source, read_all, [None] * 3)
    assert source.facts["name"] == "Flickr30k"


def test_kaggles_table_of_flickr30k_with_its_malformed_row(make, read_all):
    rows = [f"{name}| {k}| {text}" for name, texts in EXPECTED.items() for k, text in enumerate(texts)]
    assert rows[-1].count("|") == 2
    rows[-1] = rows[-1].replace("| 4|", "| 4  ")  # as 2199200615.jpg has it
    table = "\n".join(["image_name| comment_number| comment", *rows])
    root = make("flickr30k_images/flickr30k_images", **{"results.csv": table})
    check(load_source(f"flickr:{root}"), read_all, [None] * 3)
    (root / "flickr30k_images" / "results.csv").write_text(table)
    (root / "results.csv").unlink()
    check(load_source(f"flickr:{root / 'flickr30k_images'}"), read_all, [None] * 3)


@pytest.mark.parametrize(
    ("file", "name"), [("dataset_flickr8k.json", "Flickr8k"), ("dataset_flickr30k.json", "Flickr30k")]
)
def test_karpathy_comes_first(make, read_all, file, name):
    images = [
        {"filename": key, "sentences": [{"raw": text, "tokens": []} for text in texts], "split": split}
        for (key, texts), split in zip(EXPECTED.items(), ("train", "val", "test"), strict=True)
    ]
    text = json.dumps({"images": images, "dataset": name.lower()})
    root = make("Images", **{file: text, "captions.txt": "image,caption\nx.jpg,another\n"})
    source = load_source(f"flickr:{root}")
    check(source, read_all, ["train", "validation", "test"])
    assert source.facts["name"] == name and source.facts["captions"] == [file]
    other, _ = read_all(load_source(f"flickr:{root}", settings={"captions": "captions.txt"}))
    assert list(other) == ["x.jpg"]


def test_damaged_lines_are_skipped(make, read_all):
    lines = [
        "a.jpg#0\tfirst",
        "a.jpg#1 no tab",
        "b.jpg#0\t  ",
        "../c.jpg#0\tout",
        "d.jpg#0",
        "plain.jpg\twithout a number",
        "",
    ]
    root = make("Images", **{"Flickr8k.token.txt": "\n".join(lines)})
    items, skipped = read_all(load_source(f"flickr:{root}"))
    assert {key: item.values["text"] for key, item in items.items()} == {
        "a.jpg": ("first",),
        "plain.jpg": ("without a number",),
    }
    assert skipped == {"b.jpg": "empty caption", "../c.jpg": "outside the folder", "d.jpg": "line without a tab"}
    with pytest.raises(ValueError, match="^missing file$"):
        read("image", items["a.jpg"].values["image"])
    (root / "Flickr8k.token.txt").unlink()
    (root / "results.csv").write_text(
        "image_name| comment_number| comment\na.jpg| 0| yes | or no\nb.jpg| zero| no\nc.jpg\n"
    )
    items, skipped = read_all(load_source(f"flickr:{root}"))
    assert items["a.jpg"].values["text"] == ("yes | or no",)
    assert skipped == {"b.jpg": "line without two bars", "c.jpg": "line without two bars"}


def test_what_is_missing_is_named(make, tmp_path):
    root = make("Pictures", **{"Flickr8k.token.txt": TOKENS})
    with pytest.raises(ValueError, match="no folder of pictures; looked for Flicker8k_Dataset, "):
        load_source(f"flickr:{root}")
    with pytest.raises(
        ValueError, match="no captions file; looked for dataset_flickr8k.json, .*results.csv, captions.txt"
    ):
        load_source(f"flickr:{root / 'Pictures'}")
    with pytest.raises(ValueError, match="captions: 'words.csv', one of dataset_flickr8k.json, "):
        load_source(f"flickr:{root}", settings={"captions": "words.csv"})
    (root / "Pictures").rename(root / "Images")
    for name in ("Flickr_8k.trainImages.txt", "Flickr_8k.testImages.txt"):
        (root / name).write_text(f"{NAMES[0]}\n")
    with pytest.raises(ValueError, match=f"'{NAMES[0]}' is in test and train; one split is needed"):
        load_source(f"flickr:{root}")


def test_a_file_may_be_named_by_its_absolute_path(make, read_all):
    root = make("Images", **{"captions.txt": ""})
    (root / "captions.txt").write_text(f"image,caption\n{root}/Images/a.jpg,first\n{root}/b.jpg,out\n")
    items, skipped = read_all(load_source(f"flickr:{root}"))
    assert [*items] == ["a.jpg"] and skipped == {f"{root}/b.jpg": "outside the folder"}
