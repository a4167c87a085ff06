"""Captions that are looked up, and those of a trained prefix, on pairs that a test makes by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tokenizers
import torch
import transformers

from analysis.experiments import captions as experiment
from analysis.experiments.captions import (
    CALIBRATED,
    CEILING,
    PICTURE,
    PREFIX,
    RANDOM,
    nearest_captions,
    rows_of,
    texts_of,
    trained_captions,
)  # fmt: skip
from analysis.experiments.trial import Trial
from analysis.tasks.captions import metrics
from modtrans_core import PairedEmbeddings, Pairing, preset

KINDS, N = 12, 240
WORDS = ["red", "green", "blue", "small", "large", "round", "old", "new", "wet", "dry", "far", "near"]


def pair_set():
    """Pictures of twelve kinds, whose captions are four words each; the second caption is the kind's alone."""
    rng = np.random.default_rng(0)
    kind, shape = rng.integers(KINDS, size=N), (N, 2, 10)
    texts = rng.normal(size=(KINDS, 10)) + 1.0
    text = texts[kind][:, None] + 0.05 * rng.normal(size=shape)
    image = np.tanh(texts @ rng.normal(size=(10, 8)))[kind] + 0.15 * rng.normal(size=(N, 8))
    said = [" ".join(WORDS[(k + step) % KINDS] for step in range(4)) for k in range(KINDS)]
    key = np.array([f"item {i}" for i in range(N)])
    captions = {name: [said[k], f"a {said[k]}"] for name, k in zip(key.tolist(), kind.tolist(), strict=True)}
    return PairedEmbeddings({"image": image, "text": text}, key=key, metadata={"captions": captions})


@pytest.fixture(scope="module")
def trial():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(metrics, "has_java", lambda: False)  # the same numbers with and without it
        yield Trial.of(pair_set(), "image", "text", 0)


@pytest.fixture(scope="module")
def table(trial):
    return nearest_captions(trial, ("ridge", CALIBRATED))


def test_a_translation_lies_between_a_random_caption_and_the_true_ones_nearest(table):
    score = table.set_index(["method", "ranking"])["bleu_4"]
    assert score[RANDOM, ""] < score["ridge", "centered"] < score[CEILING, ""] + 1e-9
    assert score[CEILING, ""] > 99.9 and score[RANDOM, ""] < 50 and score[PICTURE, ""] > score[RANDOM, ""]
    assert table["items"].eq(48).all() and table["gallery"].eq(2 * 168).all() and table["tokens"].eq("words").all()
    of = table["method"].isin(["ridge", CALIBRATED])
    assert table[of].groupby("method")["ranking"].apply(list).map(lambda has: has == ["plain", "centered", "own"]).all()


def test_centered_is_the_own_ranking_of_a_method_that_has_none(table):
    by = table.set_index(["method", "ranking"])[["bleu_1", "rouge_l", "cider"]]
    np.testing.assert_allclose(by.loc["ridge", "own"], by.loc["ridge", "centered"])


def test_items_whose_captions_have_no_word_are_left_out(trial, table):
    """As alt texts, "..." or an emoji, have none."""
    told = trial.test.pairs.metadata["captions"]
    mute = trial.test.pairs.key[:2].tolist()
    captions = {**told, mute[0]: ["...", "\U0001f600"], mute[1]: ["...", told[mute[1]][1]]}
    pairs = replace(trial.test.pairs, metadata={"captions": captions})
    some = replace(trial, test=Pairing(pairs, "image", "text"))
    found = nearest_captions(some, ["ridge"])
    assert found["items"].eq(table["items"].iloc[0] - 1).all()


def test_shuffled_captions_leave_nothing(trial):
    """What must fail: captions that belong to other items score as random ones do."""
    pairs = trial.train.pairs
    told = pairs.metadata["captions"]
    other = dict(zip(told, np.random.default_rng(1).permutation([*told.values()]).tolist(), strict=True))
    parts = (PairedEmbeddings(p.arrays, key=p.key, metadata={"captions": other}) for p in pair_set().split(0))
    shuffled = Trial.between(0, *(type(trial.train)(part, "image", "text") for part in parts))
    score = nearest_captions(shuffled, ["ridge"]).set_index(["method", "ranking"])["bleu_1"]
    assert score["ridge", "centered"] < score[RANDOM, ""] + 15 and score[CEILING, ""] < 60


def test_rows_of_table_5_say_what_was_looked_up(table):
    rows = {(row.row, row.score): row for row in rows_of(pd.concat([table, table.assign(seed=1)]))}
    row = rows["ours + ClipCap", "BLEU-4"]
    assert row.poster == 23.6 and row.splits == 2 and row.sd == 0 and row.floor < row.ours
    assert "the poster 0.70" in row.why and "the poster" not in rows["ours + ClipCap", "ROUGE-L"].why
    assert rows[PICTURE, "BLEU-1"].poster is None and rows[PICTURE, "BLEU-1"].verdict == ""


@pytest.mark.parametrize(
    ("bleu_4", "word"), [(20.0, "reproduced in mechanism"), (49.0, "could not be"), (1.0, "could not be")]
)
def test_the_mechanism_is_a_larger_loss_of_four_words_than_of_one(bleu_4, word):
    ours = {"bleu_1": 40.0, "bleu_4": bleu_4, "rouge_l": 40.0}
    others = {"bleu_1": 50.0, "bleu_4": 50.0, "rouge_l": 50.0}
    makers = {(CALIBRATED, "centered"): ours, (RANDOM, ""): dict.fromkeys(ours, 5.0), (CEILING, ""): others}
    makers |= {("ridge", "centered"): ours, (PICTURE, ""): ours}
    table = [{"method": m, "ranking": r, "seed": 0, "gallery": 9, **scores} for (m, r), scores in makers.items()]
    assert {row.verdict for row in rows_of(pd.DataFrame(table)) if row.row == "ours + ClipCap"} == {word}


def test_table_5_asks_for_every_seed(monkeypatch, table):
    asked = []
    monkeypatch.setattr(experiment, "load_pairs", lambda name: (None, "a path"))
    monkeypatch.setattr(experiment, "every_trial", lambda *given: asked.append(given[1:4]) or [table])
    assert len(experiment.table5_rows(None, 3)) == 9 and asked == [("a path", [("image", "text")], 3)]


def test_a_prefix_that_is_trained_says_more_of_the_true_embedding_than_of_the_mean(trial):
    def load():
        torch.manual_seed(0)
        words = {word: place for place, word in enumerate(["<end>", "a", *WORDS])}
        cut = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="a"))
        cut.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        sizes = {"vocab_size": 14, "n_positions": 32, "n_embd": 64, "n_layer": 1, "n_head": 1, "initializer_range": 0.2}
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
        return model, transformers.PreTrainedTokenizerFast(tokenizer_object=cut, eos_token="<end>")

    found = trained_captions(trial, 60, 20, load).set_index("ranking")
    assert (found["method"] == PREFIX).all() and (found["items"] == 20).all()
    assert found.loc["true embedding", "bleu_1"] > found.loc["mean", "bleu_1"] + 10
    assert found.loc["translation", "bleu_1"] > found.loc["mean", "bleu_1"]


def test_the_noise_is_as_much_as_translations_of_unseen_items_are_off(trial, monkeypatch):
    """Of validation items, which the translator was not fitted to; those that it was fitted to come out better."""
    given = []

    def noted(*parts, noise, **_):
        given.append(noise)
        raise StopIteration

    monkeypatch.setattr(experiment, "train_decoder", noted)
    with pytest.raises(StopIteration):
        trained_captions(trial, 1, 20, lambda: ("model", "tokenizer"))
    part, reached = trial.validation, {}
    for unseen in (True, False):
        fitted = trial.fit(preset(CALIBRATED), unseen=unseen)
        reached[unseen] = trial.score(fitted.translate(np.asarray(part.c)), part=part)["cosine"]
    assert (1 + 10 * given[0]) ** -0.5 == pytest.approx(reached[True]) and reached[True] < reached[False]


def test_captions_belong_to_the_vectors(trial):
    pairs = trial.test.pairs
    told = pairs.metadata["captions"]
    for key in (np.repeat("one", len(pairs)), None):  # item by item, where names repeat or there are none
        held = PairedEmbeddings(pairs.arrays, key=key, metadata={"captions": [told[name] for name in pairs.key]})
        assert texts_of(type(trial.test)(held, "image", "text")) == texts_of(trial.test)
    assert texts_of(trial.test)[0] == told[pairs.key[0]]
    for captions, words in (
        ({}, "not in the metadata of this pair set"),
        ({**told, pairs.key[3]: ["one"]}, f"captions: 1 of {pairs.key[3]}, as many as its text vectors, 2, are needed"),
    ):
        bad = PairedEmbeddings(pairs.arrays, key=pairs.key, metadata={"captions": captions})
        with pytest.raises(ValueError, match=words):
            texts_of(type(trial.test)(bad, "image", "text"))
