"""Which item is found depends on the score as much as on the map: methods by scores. Notebook 16."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.experiments.trial import Trial
from analysis.tasks.retrieval import bank_of, chosen, measured, rank
from modtrans_core import PairedEmbeddings, Translator, preset
from modtrans_core.methods import own_vectors
from modtrans_core.scores import ranking_scores

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
SHEET = (("translated", "cosine", False), ("centered", "centered", True), ("corrected", "inverted", True))
"""rows of the contact sheet: their names, their scores, and whether both sides are centered"""


def retrieval(trial: Trial, methods: tuple[str, ...] = METHODS, landmarks: int = 256) -> pd.DataFrame:
    """Every method by every score of `WAYS`.

    Parameters
    ----------
    methods : presets. Where both modalities share a space, `identity`, the condition itself, is ranked as well.
    landmarks : of `calibrated`, at most.

    Returns
    -------
    One row a method and score: `route`, `seed`, `method`, `score` ("csls, centered", and "own" of a method that has a
    ranking of its own), `parameter`, `transductive` and `MEASURES`. The translator is fitted to the training part
    alone, the parameter chosen on the validation part. For mAP an item's variants, those of its group, are correct too.
    """
    rows: list[dict[str, Any]] = []
    validation, test, alike = trial.validation, trial.test, trial.test.pairs.groups
    names = (*methods, *(["identity"] if shared_space(test.pairs, test.source, test.target) else []))
    for name in names:
        settings = {"seed": trial.seed, "landmarks": landmarks} if name == "calibrated" else {}
        translator = trial.fit(preset(name, settings), unseen=True)
        held, zhat = (translator.translate(np.asarray(part.c)) for part in (validation, test))
        facts = {"route": trial.route, "seed": trial.seed, "method": name}
        for score, centered in WAYS:
            needs = needed(trial, translator, score, centered)
            needs["parameter"] = chosen(
                held, np.asarray(validation.targets), score, counts=validation.counts, item=validation.item, **needs
            )
            targets = np.asarray(test.targets)
            found = measured(zhat, targets, score, counts=test.counts, item=test.item, alike=alike, **needs)
            rows.append({**facts, **found, "score": score + ", centered" * (centered and score != "centered")})
        if vectors := own_vectors(translator, test):
            found = ranking_scores(*vectors, test.counts, test.item, alike)
            rows.append({**facts, "score": "own", "parameter": 0.0, "transductive": False, **found})
    return pd.DataFrame(rows)


def needed(trial: Trial, translator: Translator, score: str, centered: bool) -> dict[str, Any]:
    """The `bank` and the `mean` that a score takes; the bank are translations of training conditions."""
    found: dict[str, Any] = {"mean": trial.mean} if centered else {}
    return found | ({"bank": bank_of(translator, trial.train.c)} if score in ("csls", "inverted") else {})


def gains(found: pd.DataFrame, maps: Sequence[str] = METHODS) -> pd.DataFrame:
    """What another score is worth, and what another map is, by scores that every map has and that need no other query.

    Parameters
    ----------
    found : rows of `retrieval`, of any number of seeds.
    maps : methods that are compared.

    Returns
    -------
    One row a route and measure (`recall_at_1`, `recall_at_10`, `mrr`): `of_score`, the least that any map gains by its
    best score over its cosine, and `of_map`, the most that the best map is above the worst by one score; means over
    seeds, and `_sd`, their standard deviations. Best and worst are those of the means.
    """
    rows = []
    kept = found[found["method"].isin(maps) & ~found["transductive"] & (found["score"] != "own")]
    for route, part in kept.groupby("route", sort=False):
        for measure in ("recall_at_1", "recall_at_10", "mrr"):
            every = part.pivot_table(measure, "seed", ["method", "score"])
            mean = every.mean()
            scores = {name: every[name][mean[name].idxmax()] - every[name]["cosine"] for name in maps}
            methods = {}
            for score in part["score"].unique():
                by = every.xs(score, axis=1, level="score")
                methods[score] = by[by.mean().idxmax()] - by[by.mean().idxmin()]
            least = min(scores.values(), key=np.mean)
            most = max(methods.values(), key=np.mean)
            row = {"route": route, "measure": measure, "of_score": least.mean(), "of_map": most.mean()}
            rows.append({**row, "of_score_sd": least.std(), "of_map_sd": most.std()})
    return pd.DataFrame(rows)


def shared_space(pairs: PairedEmbeddings, one: str, other: str) -> bool:
    """Whether one encoder made both modalities, as CLIP does, so that their cosine means something untranslated."""
    facts = pairs.encoder(one), pairs.encoder(other)
    same = {fact.get("weights_sha256") or fact.get("encoder") for fact in facts}
    return len(same) == 1 and None not in same and pairs.modality(one).shape[-1] == pairs.modality(other).shape[-1]


class Sheet(NamedTuple):
    """The first results of a few queries, for a contact sheet."""

    queries: list[str]
    """keys of the items that are asked for"""
    results: dict[str, np.ndarray]
    """way -> keys (queries, k) of the first results, best first"""

    def table(self) -> pd.DataFrame:
        """`query`, `way`, `place` and `key` of every result: what the figure is drawn from."""
        every = (
            (query, way, keys[number])
            for way, keys in self.results.items()
            for number, query in enumerate(self.queries)
        )
        rows = [(query, way, place, key) for query, way, keys in every for place, key in enumerate(keys)]
        return pd.DataFrame(rows, columns=["query", "way", "place", "key"])


def sheet(trial: Trial, method: str = "ridge", queries: int = 4, k: int = 10, **settings: Any) -> Sheet:
    """The first results of a few test items, evenly spaced over their groups, plain and corrected.

    Parameters
    ----------
    method : preset, with the settings. Where both modalities share a space, the condition itself is `raw`.
    queries, k : how many, and the results of each.
    """
    validation, test, key = trial.validation, trial.test, trial.test.pairs.key
    key = np.arange(len(test.pairs)).astype(str) if key is None else key
    translator = trial.fit(preset(method, settings), unseen=True)
    held, targets = translator.translate(np.asarray(validation.c)), np.asarray(validation.targets)
    first = np.sort(np.unique(test.pairs.groups, return_index=True)[1])  # one item of each group
    asked = first[np.linspace(0, len(first) - 1, queries + 2).astype(int)[1:-1]]
    c = np.asarray(test.c)[np.searchsorted(test.item, asked)]
    gallery, item = test.pairs.rows(test.target)
    results = {}
    if shared_space(test.pairs, test.source, test.target):
        results["raw"] = key[rank(c, gallery, k=k, item=item).items]
    for name, score, centered in SHEET:
        needs = needed(trial, translator, score, centered)
        needs["parameter"] = chosen(held, targets, score, counts=validation.counts, item=validation.item, **needs)
        results[name] = key[rank(translator.translate(c), gallery, score, k, item=item, **needs).items]
    return Sheet(key[asked].tolist(), results)
