"""From a run to a table of captions, by the command and by its parts."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import tokenizers
import torch
import transformers

import modtrans_core as mt
from analysis.cli import VERBS_HERE
from analysis.tasks.captions.write import caption_items, read_references, scores
from analysis.tasks.items import asked
from modtrans_core import PairedEmbeddings
from modtrans_core.cli.verb import run
from modtrans_core.layouts.convert import convert

KEYS = np.array([f"item {i}" for i in range(40)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, small):
    """A run that translates into 6 dimensions, a decoder of these, a tokenizer, and pairs with captions."""
    folder = tmp_path_factory.mktemp("captions")
    z = np.random.default_rng(0).normal(size=(40, small.D))
    captions = {key: ["a cat", "one cat"] for key in KEYS.tolist()}
    pairs = mt.PairedEmbeddings({"text": z @ np.eye(small.D, 5), "image": z}, key=KEYS, metadata={"captions": captions})
    pairs.save(folder / "pairs.npz")
    mt.fit(pairs.take(np.arange(20, 40)), "text", "image", preset="ridge").save(folder / "run")
    for mapper in ("MLP", "transformer"):
        torch.save(small.state(mapper), folder / f"{mapper}.pt")
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel({f"w{i}": i for i in range(40)}, unk_token="w0"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=model).save_pretrained(folder / "tokens")
    return folder


def command(folder, out, *more, decoder="transformer", pairs="pairs.npz"):
    where = [str(folder / "run"), str(folder / pairs), str(out)]
    usual = {"--decoder": str(folder / f"{decoder}.pt"), "--tokenizer": str(folder / "tokens"), "--limit": "4"}
    how = [text for option, value in usual.items() if option not in more for text in (option, value)]
    return run(VERBS_HERE, "modtrans", "", ["caption", *where, *how, *more])


@pytest.fixture(autouse=True)
def no_java(monkeypatch):
    """METEOR takes seconds to start."""
    monkeypatch.setattr("analysis.tasks.captions.write.has_java", lambda: False)


def test_the_command_writes_a_caption_of_each_item_and_prints_scores(folder, tmp_path, capsys):
    out = tmp_path / "captions.csv"
    assert command(folder, out, "--beam", "2", "--json") == 0
    rows = list(csv.reader(out.open()))
    assert rows[0] == ["key", "caption"] and [key for key, _ in rows[1:]] == KEYS[[0, 13, 26, 39]].tolist()
    assert all(word.startswith("w") for _, text in rows[1:] for word in text.split())
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["items"] == 2 and found["bleu_1"] < 1e-6  # two of the four are no test
    assert "scored without 2 of them, which the run was fitted to" in said.err
    assert command(folder, out) == 1 and "exists" in capsys.readouterr().err
    (tmp_path / "true.json").write_text(json.dumps({KEYS[13]: [rows[2][1]]}))
    assert (
        command(folder, out, "--beam", "2", "--overwrite", "--json", "--references", str(tmp_path / "true.json")) == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["items"] == 1 and found["bleu_1"] > 0.999


@pytest.mark.parametrize(
    ("decoder", "given", "words"),
    [
        ("transformer", ["--beam", "0"], "beam: 0, 1 to 1000 is needed"),
        ("transformer", ["--limit", "0"], "limit: 0, a whole number from 1 on is needed"),
        ("transformer", ["--length", "nan"], "length: nan, a positive number is needed"),
        ("transformer", ["--length=-1"], "length: -1.0, a positive number is needed"),
        ("transformer", ["--length", "9"], "length: 9.0, none for a decoder of unit embeddings is needed"),
        ("MLP", [], "length: None, the mean length of raw training embeddings is needed"),
        ("transformer", {"pairs": "none.npz"}, "none.npz"),
        ("transformer", {"out": "a.txt"}, "OUT: "),
        ("transformer", ["--tokenizer", "empty"], "a folder with GPT-2's tokenizer"),
        ("transformer", ["--tokenizer", "few"], "'few': '3 words', the decoder's 40 is needed"),
    ],
)
def test_it_refuses_in_one_line_before_a_network_is_made(folder, tmp_path, capfd, monkeypatch, decoder, given, words):
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel({f"w{i}": i for i in range(3)}, unk_token="w0"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=model).save_pretrained(tmp_path / "few")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(transformers, "GPT2LMHeadModel", None)
    where = given if isinstance(given, dict) else {}
    out = tmp_path / where.get("out", "a.csv")
    assert command(folder, out, *(() if where else given), decoder=decoder, pairs=where.get("pairs", "pairs.npz")) == 1
    said = capfd.readouterr().err
    assert words in said and said.count("\n") == 1 and not out.exists()


def test_a_tokenizer_of_the_hub_is_asked_for_once(folder, tmp_path, capfd, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: folder / {"gpt2": "tokens"}[name])
    assert command(folder, tmp_path / "a.csv", "--tokenizer", "gpt2") == 0
    assert command(folder, tmp_path / "b.csv", "--tokenizer", "other") == 1
    said = capfd.readouterr().err
    assert "or a name and a network to download it, is needed" in said and "Retrying" not in said


def test_nothing_is_said_but_by_the_command(folder, tmp_path, capfd):
    before, out = torch.get_rng_state(), tmp_path / "a.csv"
    assert command(folder, out, "--length", "9", "--beam", "1", decoder="MLP") == 0
    assert capfd.readouterr().err.startswith(f"{out}: 4 captions\n") and torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("beam", ["1", "3"])
def test_what_is_not_finite_says_nothing(folder, tmp_path, capfd, beam):
    state = torch.load(folder / "MLP.pt")
    assert command(folder, tmp_path / "a.csv", "--length", "1e39", "--beam", beam, decoder="MLP") == 1
    assert "the decoder's numbers are not finite" in capfd.readouterr().err
    state["clip_project.model.0.bias"][0] = torch.nan
    torch.save(state, folder / "nan.pt")
    assert command(folder, tmp_path / "a.csv", "--length", "9", "--beam", beam, decoder="nan") == 1
    assert "clip_project.model.0.bias: 'not finite', a tensor of finite numbers is needed" in capfd.readouterr().err
    assert not (tmp_path / "a.csv").exists()


def test_items_without_names_are_scored_by_their_places_in_any_layout(folder, tmp_path, capsys, monkeypatch):
    pairs = PairedEmbeddings.load(folder / "pairs.npz")
    texts = {"captions": [["a cat", f"cat {item}"] for item in range(40)]}
    unnamed = PairedEmbeddings(pairs.arrays, metadata=texts)
    unnamed.save(tmp_path / "unnamed.npz")
    convert(tmp_path / "unnamed.npz", tmp_path / "shards", "shards")
    found = []
    for name in ("unnamed.npz", "shards"):
        assert command(folder, tmp_path / f"{name}.csv", "--json", pairs=tmp_path / name) == 0
        found.append((capsys.readouterr().out, (tmp_path / f"{name}.csv").read_text()))
    assert found[0] == found[1] and json.loads(found[0][0])["items"] == 2 and "\n13," in found[0][1]
    PairedEmbeddings(pairs.arrays).save(tmp_path / "mute.npz")
    assert command(folder, tmp_path / "mute.csv", pairs=tmp_path / "mute.npz") == 0
    said = capsys.readouterr()
    assert said.out == "" and said.err == f"{tmp_path / 'mute.csv'}: 4 captions\n"
    unnamed.take(np.arange(20, 40)).save(tmp_path / "seen.npz")
    assert command(folder, tmp_path / "seen.csv", pairs=tmp_path / "seen.npz") == 0
    assert "nothing is scored: no item that the run was not fitted to has captions" in capsys.readouterr().err
    monkeypatch.setattr(transformers, "GPT2LMHeadModel", None)
    (tmp_path / "none.json").write_text("{}")
    for references in ("none.json", "mute.npz", "seen.npz"):
        more = ("--references", str(tmp_path / references))
        assert command(folder, tmp_path / "new.csv", *more, pairs=tmp_path / "seen.npz") == 1
        assert "captions of an item that the run was not fitted to is needed" in capsys.readouterr().err
    assert not (tmp_path / "new.csv").exists()


def test_a_decoder_of_other_embeddings_is_refused(folder, tmp_path, capsys):
    state = torch.load(folder / "transformer.pt")
    state["clip_project.linear.weight"] = torch.zeros(512, 7)
    torch.save(state, folder / "other.pt")
    assert command(folder, tmp_path / "a.csv", decoder="other") == 1
    assert "translates into 6 dimensions, 7 are needed" in capsys.readouterr().err


def test_references_are_read_from_pair_sets_and_json(folder, tmp_path):
    assert read_references(folder / "pairs.npz")["item 3"] == ["a cat", "one cat"]
    (tmp_path / "bad.json").write_text('{"a": "no list"}')
    with pytest.raises(ValueError, match="maps each key to a list of captions"):
        read_references(tmp_path / "bad.json")
    with pytest.raises(ValueError, match="references: of none of the captions"):
        scores([("a", "x")], {"b": ["x"]})


def test_captions_that_are_rows_of_one_name_are_references_of_one_item(tmp_path):
    """clip-retrieval's layout has a row for each caption."""
    rng = np.random.default_rng(0)
    arrays = {"image": rng.normal(size=(2, 3)), "text": rng.normal(size=(2, 2, 4))}
    captions = {"captions": {"a": ["a cat", "one cat"], "b": ["a dog", "some dog"]}}
    PairedEmbeddings(arrays, key=np.array(["a", "b"]), metadata=captions).save(tmp_path / "pairs.npz")
    convert(tmp_path / "pairs.npz", tmp_path / "folder")
    assert read_references(tmp_path / "folder") == captions["captions"]


def test_rows_of_one_name_keep_the_captions_that_differ(folder, tmp_path):
    pairs = PairedEmbeddings({"text": np.random.default_rng(1).normal(size=(4, 5))}, key=list("aabb"))
    pairs.save(tmp_path / "named.npz")
    decoder = SimpleNamespace(caption=lambda z, **_: ["a cat", "one cat", "a dog", "a dog"][: len(z)])
    captions = caption_items(decoder, *asked(mt.load(folder / "run"), tmp_path / "named.npz"))
    assert captions == [("a", "a cat"), ("a", "one cat"), ("b", "a dog")]
    assert scores(captions, {"a": ["a cat"], "b": ["a dog"]})["items"] == 3


def test_a_caption_without_a_word_is_no_reference(tmp_path):
    (tmp_path / "true.json").write_text(json.dumps({"a": ["...", "a cat"], "b": ["", " ?! "], "c": ["Ä"]}))
    assert read_references(tmp_path / "true.json") == {"a": ["a cat"], "c": ["Ä"]}
