"""Does the translator work with any pair of encoders? The same scores for each, beside its floor and its control.

A cosine says little across encoders: its floor, the cosine of the constant mean, is a property of the target's encoder.
Nor does the skill, between floor and ceiling, where targets differ: three numbers are predicted well and still do not
tell an item from its neighbours. What vectors know of an item is what the ranking in one gallery says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.experiments.poster_tables import PRINTED
from analysis.experiments.translation import ONE, posters
from analysis.experiments.trial import SCORES, Trial, every_trial
from modtrans_core import PairedEmbeddings, preset
from modtrans_core.progress import Progress, part_of, silent

COMPARED = ("cosine", "floor", "skill", "recall_at_10", "centered_recall_at_10")
CLIP_ON_COCO = {
    "ViT-B/32": {"text": 0.716, "image": 0.689},
    "ViT-L/14": {"text": 0.710, "image": 0.594},
}
"""floors: |mean| of CLIP's unit embeddings of COCO val2014, from statistics that the poster's authors published"""


def contenders(trial: Trial, landmarks: int = 1024, steps: int = 300, methods: Sequence[str] = ()) -> dict[str, Any]:
    """The configs that pairs of encoders, and domains, are compared by: ridge, `calibrated`, the poster's.

    Parameters
    ----------
    landmarks : radial basis functions of `calibrated`, at most; its goal is balanced.
    steps : optimiser steps of the poster's translator, which translates in one DDIM step.
    methods : these alone. Default: all.
    """
    calibrated = preset("calibrated", {"landmarks": landmarks, "seed": trial.seed})
    configs = {"ridge": preset("ridge"), "calibrated": calibrated, ONE: posters(steps, trial.seed)[ONE]}
    return {name: configs[name] for name in methods or configs}


def encoder_pairs(
    sets: Mapping[str, str | Path],
    seeds: int,
    landmarks: int = 1024,
    steps: int = 300,
    report: Progress = silent,
    methods: Sequence[str] = (),
    route: tuple[str, str] = ("image", "text"),
) -> pd.DataFrame:
    """Race the `contenders` on every pair set, both ways between two modalities, by every seed.

    Parameters
    ----------
    sets : name -> file or folder of a pair set.
    report : called with (hundredths of a pair set done, in all).
    methods : those of the `contenders` alone. Default: all.
    route : the modalities; of a pair set that has not both, its first two.

    Returns
    -------
    One row a method: `pair`, `route`, `method`, `seed`, `analysis.experiments.trial.SCORES`.
    """

    def race(trial: Trial) -> pd.DataFrame:
        trial.race(contenders(trial, landmarks, steps, methods))
        return trial.table()

    found = []
    for number, (name, path) in enumerate(sets.items()):
        names = tuple(PairedEmbeddings.load(path).arrays)
        first, second = route if set(route) <= set(names) else names[:2]
        both, told = [(first, second), (second, first)], part_of(report, number, len(sets))
        found += [table.assign(pair=name) for table in every_trial(race, path, both, seeds, told)]
    return pd.concat(found, ignore_index=True)[["pair", "route", "method", "seed", *SCORES]]


def beside_control(scores: pd.DataFrame, real: str, control: str) -> pd.DataFrame:
    """What the real encoder has over its control, seed by seed, as both were split and tested on the same items.

    Where the control replaces the condition's encoder, targets and floor are the same and all scores compare; where it
    replaces the target's, only the ranking does.

    Parameters
    ----------
    scores : rows of `encoder_pairs`.
    real, control : two values of its column `pair`.

    Returns
    -------
    One row a route and method: `route`, `method`, the mean difference of each of `COMPARED`, and its standard
    deviation over seeds as `<score>_sd`, 0 for one seed.
    """
    index = ["route", "method", "seed"]
    one, other = (scores[scores["pair"] == name].set_index(index)[list(COMPARED)] for name in (real, control))
    if not len(one) or not len(other):
        raise ValueError(f"pair: {real!r} and {control!r}, both are needed among {', '.join(scores['pair'].unique())}")
    grouped = (one - other).groupby(index[:2], sort=False)
    return grouped.mean().join(grouped.std(ddof=1).fillna(0.0).add_suffix("_sd")).reset_index()


def agreement(table: pd.DataFrame, method: str) -> dict[str, float | int]:
    """Over pairs of encoders and routes: what the cosine of a method goes with.

    Parameters
    ----------
    table : `analysis.paper.tables.mean_and_spread` of `encoder_pairs` by pair, route and method.

    Returns
    -------
    `with_floor`, `with_recall` : Spearman's rank correlation of the cosine with the floor and with the centered
        recall@10 per place of a gallery at random (galleries differ in size); NaN for fewer than three cells.
    `n` : how many cells (pair, route) there are.
    """
    from scipy.stats import spearmanr

    part = table[table["method"] == method]
    if len(part) < 3:
        return {"with_floor": float("nan"), "with_recall": float("nan"), "n": len(part)}
    by_chance = np.minimum(1.0, 10 / part["gallery"])
    return {
        "with_floor": float(spearmanr(part["cosine"], part["floor"]).statistic),
        "with_recall": float(spearmanr(part["cosine"], part["centered_recall_at_10"] / by_chance).statistic),
        "n": len(part),
    }


def published(table: pd.DataFrame, method: str = ONE) -> pd.DataFrame:
    """The poster's cosines beside CLIP's floors on COCO, and ours where a pair set of COCO was run.

    Table 3 heads its encoders text, image; the heads seem swapped, as BERT reads no pictures. Table 4 trains on one
    data set and tests on another, as `analysis.experiments.cross_domain` does.

    Parameters
    ----------
    table : `analysis.paper.tables.mean_and_spread` of `encoder_pairs`; pair sets whose name has `COCO` in it are ours.
    """
    rows = [
        {"what": f"poster, Table {number}, {row}, {score}", "cosine": value, "floor": None}
        for (number, row, score), value in PRINTED.items()
        if number in (3, 4) or (number == 2 and row.endswith(": ours"))
    ]
    rows += [
        {"what": f"constant mean, CLIP {model} {modality}, COCO val2014", "cosine": value, "floor": value}
        for model, floors in CLIP_ON_COCO.items()
        for modality, value in floors.items()
    ]
    ours = table[(table["method"] == method) & table["pair"].str.contains("COCO")]
    rows += [
        {"what": f"ours, {row['pair']}, {row['route']}", "cosine": row["cosine"], "floor": row["floor"]}
        for row in ours.to_dict("records")
    ]
    if not len(ours):
        rows.append({"what": "ours, COCO: not run", "cosine": None, "floor": None})
    return pd.DataFrame(rows)
