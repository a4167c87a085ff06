"""Which item is found depends on the score as much as on the map: methods by scores. Notebook 16."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.experiments.trial import Trial
from analysis.tasks.retrieval import bank_of, chosen, measured, rank
from modtrans_core import Pairing, PairedEmbeddings, preset
from modtrans_core.methods import own_vectors
from modtrans_core.scores import ranking_scores
from modtrans_core.store.contents import differing
from modtrans_core.vectors import unit

METHODS = ("ridge", "procrustes", "calibrated")
WAYS = (
    ("cosine", False), ("centered", True), ("csls", False), ("csls", True),
    ("inverted", False), ("inverted", True), ("dual", False), ("dual", True),
)  # fmt: skip
"""(score, whether both sides are centered)"""
MEASURES = [
    "recall_at_1", "recall_at_5", "recall_at_10", "median_rank", "mrr", "map", "hub_skew", "anti_hubs", "largest_hub",
    "gallery",
]  # fmt: skip
"""of `modtrans_core.scores.ranking_scores`"""
SHEET = (("translated", "cosine"), ("centered", "centered"), ("corrected", "inverted"))
"""rows of the contact sheet, and their scores"""


def retrieval(trial: Trial, methods: tuple[str, ...] = METHODS, landmarks: int = 256) -> pd.DataFrame:
    """Every method by every score of `WAYS`, its parameter chosen on the validation part.

    Parameters
    ----------
    methods : presets; also `identity`, the condition itself, is ranked where both modalities share a space.
    landmarks : of `calibrated`, at most.

    Returns
    -------
    One row a method and score: `route`, `seed`, `method`, `score` ("csls, centered", and "own" of a method that has a
    ranking of its own), `parameter`, `transductive` and `MEASURES`. The parameter is chosen with a translator that has
    not seen the validation part; what is measured is the translator of both parts. For mAP an item's variants, those of
    its group, are correct too.
    """
    rows: list[dict[str, Any]] = []
    train, validation, test = trial.train, trial.validation, trial.test
    alike = test.pairs.labels
    names = (*methods, *(["identity"] if shared_space(test.pairs, test.source, test.target) else []))
    for name in names:
        config = preset(name, {"seed": trial.seed, "landmarks": landmarks} if name == "calibrated" else {})
        translator, unseen = trial.fit(config), trial.fit(config, unseen=True)
        zhat, bank = translator.translate(np.asarray(test.c)), bank_of(translator, train.c)
        held, others = unseen.translate(np.asarray(validation.c)), bank_of(unseen, train.c)
        facts = {"route": trial.route, "seed": trial.seed, "method": name}
        for score, centered in WAYS:
            mean, banked = trial.mean if centered else None, score in ("csls", "inverted")
            best = chosen(
                held, np.asarray(validation.targets), score,
                counts=validation.counts, item=validation.item, bank=others if banked else None, mean=mean,
            )  # fmt: skip
            found = measured(
                zhat, np.asarray(test.targets), score, counts=test.counts, item=test.item, alike=alike,
                bank=bank if banked else None, mean=mean, parameter=best,
            )  # fmt: skip
            rows.append({**facts, **found, "score": score + ", centered" * (centered and score != "centered")})
        if own := own_vectors(translator, test):
            found = ranking_scores(*own, test.counts, test.item, alike)
            rows.append({**facts, "score": "own", "parameter": 0.0, "transductive": False, **found})
    return pd.DataFrame(rows)


def shared_space(pairs: PairedEmbeddings, one: str, other: str) -> bool:
    """Whether one encoder made both modalities, as CLIP does, so that their cosine means something untranslated."""
    facts = pairs.encoder(one), pairs.encoder(other)
    same = {fact.get("weights_sha256") or fact.get("encoder") for fact in facts}
    return len(same) == 1 and None not in same and pairs.modality(one).shape[-1] == pairs.modality(other).shape[-1]


class Sheet(NamedTuple):
    """The first results of a few queries, for `analysis.plots.retrieval.contact_sheet`."""

    queries: list[str]
    """keys of the items that are asked for"""
    results: dict[str, np.ndarray]
    """way -> keys (queries, k) of the first results, best first"""


def sheet(trial: Trial, method: str = "calibrated", queries: int = 4, k: int = 8, **settings: Any) -> Sheet:
    """The first results of evenly spaced test items, plain and corrected, and raw where the spaces are shared.

    Parameters
    ----------
    method : preset, with the settings.
    queries, k : how many, and the results of each.
    """
    test, key = trial.test, np.asarray(trial.test.pairs.key)
    translator = trial.fit(preset(method, settings))
    c, first = np.asarray(test.c), np.searchsorted(test.item, np.arange(len(test.pairs)))
    gallery, item = test.pairs.rows(test.target)
    asked = np.linspace(0, len(test.pairs) - 1, queries + 2).astype(int)[1:-1]
    zhat, bank = translator.translate(c[first[asked]]), bank_of(translator, trial.train.c)
    needs: dict[str, dict[str, Any]] = {
        "cosine": {}, "centered": {"mean": trial.mean}, "inverted": {"mean": trial.mean, "bank": bank}
    }  # fmt: skip
    results = {}
    if shared_space(test.pairs, test.source, test.target):
        results["raw"] = key[rank(c[first[asked]], gallery, k=k, item=item).items]
    for name, score in SHEET:
        results[name] = key[rank(zhat, gallery, score, k, item=item, **needs[score]).items]
    return Sheet(key[asked].tolist(), results)
