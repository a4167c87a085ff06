"""What a translated picture says, in words: the training caption whose embedding is nearest to the translation.

A captioner of the poster reads the embedding with a language model. This one looks it up, so that it needs no weights:
what it says of a translation lies between what it says at random and what it says of the item's true embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from analysis.experiments.data import load_pairs, one_vector
from analysis.experiments.poster_tables import Row
from analysis.experiments.trial import Trial, every_trial
from analysis.tasks.captions.checkpoint import Decoder
from analysis.tasks.captions.metrics import BLEU, score_captions, tokenize
from analysis.tasks.captions.prefix import CONFIG, smollm2, train_decoder
from modtrans_core import PairedEmbeddings, Translator, preset
from modtrans_core.checks import refuse_unless
from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.ranking import nearest
from modtrans_core.scores import away_from
from modtrans_core.search import rank
from modtrans_core.store.contents import CAPTIONS, captions_by_item
from modtrans_core.vectors import unit

RANDOM, PICTURE, CEILING = "a random caption", "the nearest picture's caption", "the true caption's nearest"
CALIBRATED = "calibrated"
SCORES = (*BLEU, "rouge_l", "cider")


PREFIX = "trained prefix"
COLUMNS = {"BLEU-1": "bleu_1", "BLEU-4": "bleu_4", "ROUGE-L": "rouge_l"}
"""the poster's Table 5 -> ours"""
KEPT = {"BLEU-1": 65.9 / 74.7, "BLEU-4": 23.6 / 33.5}
"""of ClipCap's score with true embeddings, what the poster keeps with translated ones"""


def nearest_captions(trial: Trial, methods: Sequence[str] = ("ridge", CALIBRATED)) -> pd.DataFrame:
    """The scores of captions that are looked up among those of the training items.

    Parameters
    ----------
    trial : from pictures to texts; the pair set has keys and, in its metadata, the captions of each.
    methods : presets whose translations are looked up: by cosine (`plain`), less the mean of the training targets on
        both sides (`centered`), and by the translator's own ranking (`own`).

    Returns
    -------
    One row a way to caption: `route`, `method`, `ranking`, `seed`; `SCORES`, times 100; `items`, the test items that
    were captioned; `gallery`, the training captions to choose from; `tokens`, by what they were cut. Beside the methods
    are `RANDOM`; `PICTURE`, the first caption of the training item whose picture is nearest; and `CEILING`, the nearest
    to the embedding of the item's own first caption.

    Raises
    ------
    ValueError
        A pair set without keys or captions, or with another number of captions than of vectors.
    """
    gallery, item = trial.train.pairs.rows(trial.train.target)
    said = [text for several in texts_of(trial.train) for text in several]
    c, centred = one_vector(trial.test.pairs, trial.test.source), away_from(trial.mean, unit(gallery))
    chosen = {(RANDOM, ""): np.random.default_rng([trial.seed, 3]).integers(len(said), size=len(c))}
    for method in methods:
        translator = trial.fit(preset(method))
        zhat = translator.translate(c)
        chosen[method, "plain"] = _nearest(unit(zhat), unit(gallery))
        chosen[method, "centered"] = _nearest(away_from(trial.mean, zhat), centred)
        chosen[method, "own"] = rank(translator, c, gallery, 1)[0][:, 0]
    picture = _nearest(c, one_vector(trial.train.pairs, trial.train.source))
    chosen[PICTURE, ""] = np.searchsorted(item, picture)  # its first caption
    chosen[CEILING, ""] = _nearest(one_vector(trial.test.pairs, trial.test.target), unit(gallery))
    made = {name: [said[row] for row in rows.tolist()] for name, rows in chosen.items()}
    return _scored(trial, made, texts_of(trial.test)).assign(gallery=len(said))


def trained_captions(
    trial: Trial, steps: int, items: int = 200, load: Callable[[], tuple[Any, Any]] = smollm2
) -> pd.DataFrame:
    """The scores of captions that a frozen language model says after a prefix, which was trained on texts alone.

    The prefix learns to say a training caption from its embedding, with as much noise as translations are off: with
    variance v in each of d coordinates the cosine of an embedding with its noisy self is about 1/sqrt(1 + v d).

    Parameters
    ----------
    steps : of the prefix' training.
    items : test items that are captioned, at most, evenly spaced.
    load : gives a causal language model of transformers and its tokenizer.

    Returns
    -------
    Rows as those of `nearest_captions`, the method `PREFIX`. In place of a ranking stands what is read: the
    translation, the true embedding, or the mean of the training targets, the same for all.
    """
    test, translator = trial.test.at_most(items), trial.fit(preset(CALIBRATED), unseen=True)
    reached = trial.score(translator.translate(np.asarray(trial.validation.c)), part=trial.validation)["cosine"]
    vectors, _ = trial.train.pairs.rows(trial.train.target)
    pairing = Pairing(PairedEmbeddings({"text": vectors}), "text", "text")
    said = [text for several in texts_of(trial.train) for text in several]
    noise = (1 / float(reached or 1.0) ** 2 - 1) / vectors.shape[1]
    decoder = train_decoder(pairing, said, *load(), noise=noise, config=replace(CONFIG, steps=steps, seed=trial.seed))
    return _scored(trial, said_by(decoder, trial, translator, test), texts_of(test)).assign(gallery=len(said))


def said_by(decoder: Decoder, trial: Trial, translator: Translator, test: Pairing) -> dict[tuple[str, str], list[str]]:
    """What a decoder says of each item's translation, of its true embedding, and of the mean."""
    read = {
        "translation": translator.translate(one_vector(test.pairs, test.source)),
        "true embedding": one_vector(test.pairs, test.target),
        "mean": trial.mean[None],
    }
    made = {(PREFIX, name): decoder.caption(vectors, width=1, longest=16) for name, vectors in read.items()}
    made[PREFIX, "mean"] *= len(test.pairs)
    return made


def _scored(trial: Trial, made: Mapping[tuple[str, str], list[str]], references: list[list[str]]) -> pd.DataFrame:
    """One row a method and ranking, whose captions are given one an item; items whose own have no word are left out."""
    flat = [text for several in references for text in several]
    cut, tokens = tokenize([*flat, *(text for said in made.values() for text in said)])
    rest, rows = iter(cut), []
    true = [[next(rest) for _ in several] for several in references]
    with_words = [number for number, several in enumerate(true) if any(several)]
    refuse_unless(
        bool(with_words), "captions", f"{len(true)} items without a word", "an item with one in the test part"
    )
    for method, ranking in made:
        said = [next(rest) for _ in references]
        scored = [said[number] for number in with_words], [true[number] for number in with_words]
        found = score_captions(*scored, tokenized=True)
        named = {"route": trial.route, "method": method, "ranking": ranking, "seed": trial.seed}
        scores: dict[str, Any] = {name: 100 * float(found[name]) for name in SCORES}
        rows.append({**named, **scores, "items": len(with_words), "tokens": tokens})
    return pd.DataFrame(rows)


def table5_rows(folder: Path | None, seeds: int, report: Progress = silent) -> list[Row]:
    """The poster's Table 5 on OpenMoji: captions that are looked up, in place of those of a language model.

    Parameters
    ----------
    folder : of packages; none is needed.
    seeds : splits.
    report : called with (splits done, in all).
    """
    _, path = load_pairs("")
    tables = every_trial(nearest_captions, path, [("image", "text")], seeds, report)
    return rows_of(pd.concat(tables, ignore_index=True))


def rows_of(table: pd.DataFrame) -> list[Row]:
    """The rows of Table 5 from those of `nearest_captions`, of any number of splits.

    The poster's translations keep a part of what ClipCap says of true embeddings, and less of four words in a row than
    of single words. Where looked-up captions do too, and lie between random ones and those of the true caption, that
    is its mechanism.
    """
    values = {name: part.set_index("seed") for name, part in table.groupby(["method", "ranking"], sort=False)}
    ours, floor, ceiling = values[CALIBRATED, "centered"], values[RANDOM, ""], values[CEILING, ""]
    kept = {score: ours[name].mean() / ceiling[name].mean() for score, name in COLUMNS.items()}
    between = all(floor[name].mean() < ours[name].mean() < ceiling[name].mean() for name in COLUMNS.values())
    holds = between and kept["BLEU-4"] < kept["BLEU-1"]
    data, rows = f"OpenMoji, image → text, nearest of {int(ours['gallery'].iloc[0]):,} training captions", []
    for score, name in COLUMNS.items():
        poster = f", the poster {KEPT[score]:.2f}" if score in KEPT else ""
        kept_of = f"keeps {kept[score]:.2f} of what the true caption's embedding finds{poster}"
        why = f"looked up by {CALIBRATED}, centered; {kept_of}"
        facts: dict[str, Any] = {"floor": float(floor[name].mean()), "ceiling": float(ceiling[name].mean())}
        facts |= {"data": data, "verdict": "reproduced in mechanism" if holds else "could not be", "why": why}
        rows.append(Row.of(5, "ours + ClipCap", score, ours[name].tolist(), **facts))
    for method, name in ((("ridge", "centered"), "ridge, looked up"), ((PICTURE, ""), PICTURE)):
        rows += [Row.of(5, name, score, values[method][of].tolist(), data=data) for score, of in COLUMNS.items()]
    return rows


def texts_of(pairing: Pairing) -> list[list[str]]:
    """The captions of each item, as many as it has target vectors."""
    pairs, target = pairing.pairs, pairing.target
    held = pairs.metadata.get(CAPTIONS)
    names = [f"item {row}" for row in range(len(pairs))] if pairs.key is None else pairs.key.tolist()
    found = captions_by_item(names, held)
    if not all(found):
        raise ValueError("captions: not in the metadata of this pair set, those of every item are needed")
    several = np.bincount(pairs.rows(target)[1])
    for key, texts, vectors in zip(names, found, several.tolist(), strict=True):
        if len(texts) != vectors:
            raise ValueError(f"captions: {len(texts)} of {key}, as many as its {target} vectors, {vectors}, are needed")
    return found


def _nearest(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """The row of the gallery with the largest inner product with each query (n,)."""
    q, g = (torch.from_numpy(np.asarray(rows, np.float32)) for rows in (queries, gallery))
    return nearest(q, g, 1)[0][:, 0].numpy()
