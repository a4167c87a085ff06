"""CelebA: as distributed, as on Kaggle, from a zip, and with captions from elsewhere."""

import io
import json
import os
import zipfile
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from modtrans_core.embed.sources import Item, Skipped, load_source
from modtrans_core.embed.sources.face_captions import face_captions
from modtrans_core.embed.sources.reading import read

ATTRIBUTES = [
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
]
PEOPLE = {
    "000001.jpg": {"Smiling", "Young", "Blond_Hair", "Eyeglasses", "No_Beard"},
    "000002.jpg": {"Male", "Gray_Hair", "Wearing_Hat", "Wearing_Necktie"},
    "000003.jpg": {"Young", "No_Beard", "Wavy_Hair", "Brown_Hair", "Attractive", "Blurry"},
    "000004.jpg": {"Male", "Young", "No_Beard", "Bald", "Sideburns", "Big_Nose"},
}
SPLIT = dict(zip(PEOPLE, (0, 0, 1, 2), strict=True))
IDENTITY = dict(zip(PEOPLE, (2880, 7, 7, 10177), strict=True))


def jpeg():
    file = io.BytesIO()
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(file, "JPEG")
    return file.getvalue()


def numbers(held):
    return ["1" if name in held else "-1" for name in ATTRIBUTES]


def distributed(root, anno="", evaluation="", pictures="img_align_celeba"):
    """The three lists and the pictures, in the format of the official archive, which aligns with several blanks."""
    for folder in (anno, evaluation, pictures):
        (root / folder).mkdir(parents=True, exist_ok=True)
    lines = [str(len(PEOPLE)), " ".join(ATTRIBUTES) + " "]
    lines += [f"{name} " + "".join(f"{value:>3}" for value in numbers(held)) for name, held in PEOPLE.items()]
    (root / anno / "list_attr_celeba.txt").write_text("\r\n".join(lines) + "\r\n")
    (root / evaluation / "list_eval_partition.txt").write_text("".join(f"{n} {s}\n" for n, s in SPLIT.items()))
    (root / anno / "identity_CelebA.txt").write_text("".join(f"{n} {i}\n" for n, i in IDENTITY.items()))
    for name in PEOPLE:
        (root / pictures / name).write_bytes(jpeg())
    return root


def entries(path, **arguments):
    return [entry for shard in load_source(f"celeba:{path}", **arguments).shards(3) for entry in shard.read()]


def texts(path, **settings):
    return {
        entry.key: entry.values["text"] if isinstance(entry, Item) else entry.reason
        for entry in entries(path, settings=settings)
    }


def test_captions_of_a_folder_lie_in_it(tmp_path):
    distributed(tmp_path)
    (tmp_path / "list_attr_celeba.txt").unlink()
    (tmp_path / "secret").write_text("mine")
    given = tmp_path / "given"
    (given / "000003.txt").mkdir(parents=True)
    (given / "000001.txt").write_text("one")
    (given / "000002.txt").symlink_to(tmp_path / "secret")
    os.mkfifo(given / "000004.txt")
    found = texts(tmp_path, captions=str(given))
    assert found["000001"] == ("one",) and found["000002"] == "outside the folder"


def check(found):
    assert [item.key for item in found] == [name.removesuffix(".jpg") for name in PEOPLE]
    assert [item.split for item in found] == ["train", "train", "validation", "test"]
    assert [item.group for item in found] == [2880, 7, 7, 10177]
    assert found[0].values["text"] == (
        "a photo of a smiling young woman with blond hair and eyeglasses",
        "a smiling young woman who has blond hair and wears eyeglasses",
        "she is smiling and young, has blond hair and wears eyeglasses",
    )
    assert all(read("image", item.values["image"]).shape == (9, 7, 3) for item in found)


def test_as_distributed(tmp_path):
    check(entries(distributed(tmp_path)))
    source = load_source(f"celeba:{tmp_path}")
    assert source.grouped and source.facts["licence"] == "non-commercial research only"
    assert source.facts["items"] == 4


def test_in_the_folders_of_the_official_archive(tmp_path):
    check(entries(distributed(tmp_path, "Anno", "Eval", "Img/img_align_celeba")))


@pytest.mark.parametrize("here", ["", "./"])
def test_from_a_zip_with_nothing_unpacked(tmp_path, here):
    distributed(tmp_path)
    with zipfile.ZipFile(tmp_path / "img_align_celeba.zip", "w") as archive:
        archive.writestr("img_align_celeba/", "")
        for name in PEOPLE:
            archive.writestr(f"{here}img_align_celeba/{name}", jpeg())
        archive.writestr("__MACOSX/img_align_celeba/000009.jpg", b"a resource fork")
        archive.writestr("../../000008.jpg", jpeg())
        archive.writestr("/etc/000007.jpg", jpeg())
    for name in PEOPLE:
        (tmp_path / "img_align_celeba" / name).unlink()
    (tmp_path / "img_align_celeba").rmdir()
    before = sorted(tmp_path.rglob("*"))
    check(entries(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before


def test_as_on_kaggle(tmp_path):
    distributed(tmp_path, pictures="img_align_celeba/img_align_celeba")
    for file in tmp_path.glob("*.txt"):
        file.unlink()
    rows = [",".join(["image_id", *ATTRIBUTES]), *(",".join([name, *numbers(held)]) for name, held in PEOPLE.items())]
    (tmp_path / "list_attr_celeba.csv").write_text("\n".join(rows))
    partition = "".join(f"{name},{split}\n" for name, split in SPLIT.items())
    (tmp_path / "list_eval_partition.csv").write_text("image_id,partition\n" + partition)
    found = entries(tmp_path)
    assert [item.group for item in found] == [-1] * 4 and not load_source(f"celeba:{tmp_path}").grouped
    assert [item.split for item in found] == ["train", "train", "validation", "test"]
    assert found[1].values["text"][0] == "a photo of an older man with grey hair, a beard, a hat and a necktie"


def test_missing_pictures_and_missing_attributes(tmp_path):
    distributed(tmp_path)
    (tmp_path / "img_align_celeba" / "000002.jpg").unlink()
    (tmp_path / "img_align_celeba" / "000005.jpg").write_bytes(jpeg())
    found = entries(tmp_path)
    assert [entry for entry in found if isinstance(entry, Skipped)] == [
        Skipped("000002", "missing picture"),
        Skipped("000005", "no attributes"),
    ]
    assert len(found) == 5


def test_a_limit_takes_whole_people(tmp_path):
    found = entries(distributed(tmp_path), limit=3, seed=1)
    assert len(found) == 3 and ("000002" in {i.key for i in found}) == ("000003" in {i.key for i in found})


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("c.csv", 'image,caption\n000001.jpg,"one, with a comma"\n000001.jpg,two\n000001.jpg,three\n000002.jpg,x\n'),
        ("c.txt", "000001.jpg one, with a comma\n000001.jpg\ttwo\n\n000001.jpg  three\n000002.jpg x\n"),
        (
            "c.json",
            json.dumps(
                [
                    {"image": "000001.jpg", "captions": ["one, with a comma", "two", "three"]},
                    {"image": "000002.jpg", "caption": "x"},
                ]
            ),
        ),
    ],
)
def test_captions_from_a_file(tmp_path, name, contents):
    distributed(tmp_path)
    (tmp_path / "list_attr_celeba.txt").unlink()
    (tmp_path / name).write_text(contents)
    assert texts(tmp_path, captions=str(tmp_path / name)) == {
        "000001": ("one, with a comma", "two", "three"),
        "000002": ("x",),
        "000003": "no caption",
        "000004": "no caption",
    }


def test_multi_modal_celeba_hq(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "celeba-caption").mkdir()
    for number in range(4):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(jpeg())
    (tmp_path / "celeba-caption" / "0.txt").write_bytes(b"She has brown hair.\r\n\r\nThis person smiles. \r\n")
    (tmp_path / "celeba-caption" / "1.txt").write_bytes(b"")
    (tmp_path / "celeba-caption" / "2.txt").write_bytes("Zürich".encode("latin-1"))
    (tmp_path / "celeba-caption" / "9.txt").write_bytes(b"nobody")
    assert texts(tmp_path, captions=str(tmp_path / "celeba-caption")) == {
        "0": ("She has brown hair.", "This person smiles."),
        "1": "no caption",
        "2": "caption is not UTF-8",
        "3": "no caption",
        "9": "missing picture",
    }


@pytest.mark.parametrize("name", ["c.csv", "c.txt"])
def test_a_caption_that_is_not_utf8_is_skipped_alone(tmp_path, name):
    distributed(tmp_path)
    separator = "," if name == "c.csv" else " "
    lines = [f"{picture}{separator}{text}" for picture, text in (("000001.jpg", "Zürich"), ("000002.jpg", "fine"))]
    (tmp_path / name).write_bytes("\n".join(["image,caption"] * (name == "c.csv") + lines).encode("latin-1"))
    found = texts(tmp_path, captions=str(tmp_path / name))
    assert found["000001"] == "caption is not UTF-8" and found["000002"] == ("fine",)


@pytest.mark.parametrize(
    ("file", "contents", "message"),
    [
        (
            "list_attr_celeba.txt",
            "4\nMale Young\n000001.jpg 1 2\n",
            r"000001\.jpg: 2 numbers are needed, each -1 or 1$",
        ),
        ("list_attr_celeba.txt", "4\nMale Young\n000001.jpg 1\n", r"000001\.jpg: 2 numbers are needed"),
        ("list_attr_celeba.txt", "", r"list_attr_celeba\.txt: the line with the attributes' names was expected"),
        ("list_attr_celeba.txt", "<html>\n", "names was expected, found '<html>'$"),
        ("list_eval_partition.txt", "000001.jpg 3\n", r"'000001\.jpg 3': a picture and a number from 0 to 2"),
        ("list_eval_partition.txt", "000001.jpg\n", r"'000001\.jpg': a picture and a number from 0 to 2"),
        ("identity_CelebA.txt", "000001.jpg -5\n", "a picture and a number from 0 to"),
    ],
)
def test_damaged_lists_are_one_line(tmp_path, file, contents, message):
    distributed(tmp_path)
    (tmp_path / file).write_text(contents)
    with pytest.raises(ValueError, match=message):
        entries(tmp_path)


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("c.json", "{", "not valid JSON"),
        ("c.csv", 'image,caption\n"000001.jpg', "damaged CSV"),
        ("c.yaml", "", r"c\.yaml: suffix '\.yaml', one of \.csv"),
    ],
)
def test_damaged_captions_are_one_line(tmp_path, name, contents, message):
    distributed(tmp_path)
    (tmp_path / name).write_text(contents)
    with pytest.raises(ValueError, match=message):
        texts(tmp_path, captions=str(tmp_path / name))


def test_what_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="no such folder$"):
        entries(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no folder of pictures, which is called img_align_celeba or"):
        entries(tmp_path)
    (tmp_path / "img_align_celeba").mkdir()
    with pytest.raises(ValueError, match=r"no list_attr_celeba\.txt or \.csv, and no captions are given"):
        entries(tmp_path)
    with pytest.raises(ValueError, match="captions: .*nothing: no such file or folder$"):
        texts(tmp_path, captions=str(tmp_path / "nothing"))


def test_damaged_zips(tmp_path):
    distributed(tmp_path, pictures="aside")
    with zipfile.ZipFile(tmp_path / "img_align_celeba.zip", "w") as archive:
        for name in PEOPLE:
            archive.writestr(f"img_align_celeba/{name}", jpeg())
    data = bytearray((tmp_path / "img_align_celeba.zip").read_bytes())
    data[60:80] = bytes(20)  # within the first picture, whose checksum no longer fits
    other = tmp_path / "other"
    distributed(other, pictures="aside")
    (other / "img_align_celeba.zip").write_bytes(data)
    first, second, *_ = entries(other)
    with pytest.raises(ValueError, match="^damaged or encrypted in the zip$"):
        read("image", first.values["image"])
    assert read("image", second.values["image"]).shape == (9, 7, 3)
    for cut in (0, 200):
        broken = tmp_path / str(cut)
        distributed(broken, pictures="aside")
        (broken / "img_align_celeba.zip").write_bytes(bytes(data[:cut]))
        with pytest.raises(ValueError, match=r"img_align_celeba\.zip: not a zip file"):
            entries(broken)


def test_every_attribute_but_the_judgement_is_said():
    """Turned on alone, each changes the captions; `Attractive` does not."""
    nobody = dict.fromkeys(ATTRIBUTES, False)
    said = {name for name in ATTRIBUTES if face_captions({**nobody, name: True}) != face_captions(nobody)}
    assert said == set(ATTRIBUTES) - {"Attractive"}


def test_captions_differ_and_read_as_english():
    rng = np.random.default_rng(0)
    for _ in range(300):
        captions = face_captions(dict(zip(ATTRIBUTES, (rng.random(40) < 0.2).tolist(), strict=True)))
        assert len(set(captions)) == 3
        for words in map(str.split, captions):
            assert all(
                (word[0] in "aeiou") == (article == "an") for article, word in pairwise(words) if article in ("a", "an")
            )
            assert len(words) < 60 and "" not in words


def test_what_is_not_stated_is_not_said():
    assert face_captions({}) == ("a photo of a person", "a person")
    assert face_captions({"Smiling": True}) == (
        "a photo of a smiling person",
        "a smiling person",
        "this person is smiling",
    )
    assert face_captions({"Male": True, "No_Beard": False})[1] == "a man who has a beard"
