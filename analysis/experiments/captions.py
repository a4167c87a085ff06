"""What a translated picture says, in words: the training caption whose embedding is nearest to the translation.

A captioner of the poster reads the embedding with a language model. This one looks it up, so that it needs no weights:
what it says of a translation lies between what it says at random and what it says of the item's true embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from analysis.experiments.data import one_vector
from analysis.experiments.trial import Trial
from analysis.tasks.captions.metrics import BLEU, score_captions, tokenize
from modtrans_core import preset
from modtrans_core.pairing import Pairing
from modtrans_core.ranking import nearest
from modtrans_core.scores import away_from
from modtrans_core.search import rank
from modtrans_core.vectors import unit

RANDOM, PICTURE, CEILING = "a random caption", "the nearest picture's caption", "the true caption's nearest"
CALIBRATED = "calibrated"
SCORES = (*BLEU, "rouge_l", "cider")


def nearest_captions(trial: Trial, methods: Sequence[str] = ("ridge", CALIBRATED)) -> pd.DataFrame:
    """The scores of captions that are looked up among those of the training items.

    Parameters
    ----------
    trial : from pictures to texts; the pair set has keys and, in its metadata, the captions of each.
    methods : presets whose translations are looked up: by cosine (`plain`), less the mean of the training targets on
        both sides (`centered`), and by the translator's own ranking (`own`).

    Returns
    -------
    One row a caption maker: `route`, `method`, `ranking`, `seed`; `SCORES`, times 100; `items`, the test items that
    were captioned; `gallery`, the training captions to choose from; `tokens`, by what they were cut. Beside the methods
    are `RANDOM`; `PICTURE`, the first caption of the training item whose picture is nearest; and `CEILING`, the nearest
    to the embedding of the item's own first caption.

    Raises
    ------
    ValueError
        A pair set without keys or captions, or with another number of captions than of vectors.
    """
    gallery, item = trial.train.pairs.rows(trial.train.target)
    said, tokens = tokenize([text for several in texts_of(trial.train) for text in several])
    first = np.searchsorted(item, np.arange(len(trial.train.pairs)))
    flat, _ = tokenize([text for several in texts_of(trial.test) for text in several])
    counts = np.diff(np.searchsorted(trial.test.pairs.rows(trial.test.target)[1], np.arange(len(trial.test.pairs) + 1)))
    references = [part.tolist() for part in np.split(np.array(flat, dtype=object), np.cumsum(counts)[:-1])]
    c, rng = one_vector(trial.test.pairs, trial.test.source), np.random.default_rng([trial.seed, 3])
    rows = []

    def add(method: str, ranking: str, chosen: np.ndarray) -> None:
        found = score_captions([said[row] for row in chosen.tolist()], references, tokenized=True)
        facts = {"items": len(references), "gallery": len(said), "tokens": tokens}
        named = {"route": trial.route, "method": method, "ranking": ranking, "seed": trial.seed}
        rows.append({**named, **{name: 100 * float(found[name]) for name in SCORES}, **facts})

    add(RANDOM, "", rng.integers(len(said), size=len(c)))
    for method in methods:
        translator = trial.fit(preset(method))
        zhat = translator.translate(c)
        add(method, "plain", _nearest(unit(zhat), unit(gallery)))
        add(method, "centered", _nearest(*(away_from(trial.mean, rows) for rows in (zhat, unit(gallery)))))
        add(method, "own", rank(translator, c, gallery, 1)[0][:, 0])
    add(PICTURE, "", first[_nearest(c, one_vector(trial.train.pairs, trial.train.source))])
    add(CEILING, "", _nearest(one_vector(trial.test.pairs, trial.test.target), unit(gallery)))
    return pd.DataFrame(rows)


def texts_of(pairing: Pairing) -> list[list[str]]:
    """The captions of each item, as many as it has target vectors."""
    pairs, target = pairing.pairs, pairing.target
    captions: Mapping[str, list[str]] = pairs.metadata.get("captions", {})
    if pairs.key is None or not all(key in captions for key in pairs.key.tolist()):
        raise ValueError("captions: not in the metadata of this pair set, those of every key are needed")
    found = [list(captions[key]) for key in pairs.key.tolist()]
    several = np.bincount(pairs.rows(target)[1])
    for key, texts, vectors in zip(pairs.key.tolist(), found, several.tolist(), strict=True):
        if len(texts) != vectors:
            raise ValueError(f"captions: {len(texts)} of {key}, as many as its {target} vectors, {vectors}, are needed")
    return found


def _nearest(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """The row of the gallery with the largest inner product with each query (n,)."""
    found = nearest(*(torch.from_numpy(np.asarray(rows, np.float32)) for rows in (queries, gallery)), 1)[0]
    return found[:, 0].numpy()
