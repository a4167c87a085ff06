"""The poster's translator beside its baselines on one split: the same pairs, the same scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from modtrans_core.config import Config, preset

from analysis.experiments.splits import every_split
from analysis.theory.gamma import best_gamma
from analysis.translators import baselines
from analysis.translators.certify import certify_translator
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.scores import cosine, score, target_mean
from modtrans_core.vectors import unit

if TYPE_CHECKING:
    import pandas as pd
    from modtrans_core.translator import Translator

SCORES = [
    "cosine", "floor", "ceiling", "skill",
    "recall_at_1", "recall_at_10", "centered_recall_at_1", "centered_recall_at_10", "gallery",
]  # fmt: skip
GAMMAS = np.concatenate([np.linspace(0, 1, 41), np.linspace(1, 2, 11)[1:]])


class Comparison(NamedTuple):
    """One split, one route."""

    scores: pd.DataFrame
    """one row a method: route, method, seed, and `SCORES` on the test part"""
    gamma_curve: pd.DataFrame
    """mean test cosine of the trained parts for each gamma: route, seed, gamma, cosine"""
    certificates: pd.DataFrame
    """one row: the poster's translator certified on the test part at the median validation cosine of the ridge map"""


def compare(
    pairs: PairedEmbeddings,
    source: str,
    target: str,
    *,
    seed: int = 0,
    config: Config | None = None,
    steps: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Fit every cheap baseline that applies and the poster's translator, and score them on the test part of the split.

    The rows `poster, gamma 0` and `poster, best gamma` keep the trained parts c M and F(c) and change gamma alone, and
    `ridge + best gamma F` puts the ridge map in place of M. The best gamma has the highest cosine on validation pairs.

    Parameters
    ----------
    pairs : the whole pair set; it is split here.
    seed : of the split and of the training.
    config : the translator's. Default: the preset `poster`. `steps` overrides its number of optimiser steps.
    """
    import pandas as pd
    from modtrans_core.translator import Translator

    train, validation, test = pairs.split(seed)
    mean = target_mean(train.modality(target), train.counts.get(target))
    condition, item = test.rows(source)
    condition = unit(condition)
    fitted, held = (unit_pairs(part, source, target) for part in (train, validation))
    applicable = baselines(fitted[0].shape[1], fitted[1].shape[1])
    linear = {name: make().fit(*fitted, validation=held) for name, make in applicable.items()}
    predictions = {name: baseline.translate(condition) for name, baseline in linear.items()}

    config = replace(config or preset("poster"), seed=seed)
    if steps is not None:
        config = replace(config, train=replace(config.train, steps=steps))
    translator = Translator.fit(train, source, target, config=config, validation=validation, progress=progress)
    p, f, gamma = translator.parts(condition)
    held_p, held_f, _ = translator.parts(held[0])
    group = validation.group[validation.rows(source)[1][validation.pairings(source, target)[2]]]
    gammas = {
        "poster": gamma,
        "poster, gamma 0": 0.0,
        "poster, best gamma": best_gamma(held_p, held_f, held[1], group=group).gamma,
    }
    predictions |= {name: p + g * f for name, g in gammas.items()}
    held_ridge = linear["ridge"].translate(held[0])
    gammas["ridge + best gamma F"] = best_gamma(held_ridge, held_f, held[1], group=group).gamma
    predictions["ridge + best gamma F"] = predictions["ridge"] + gammas["ridge + best gamma F"] * f
    alpha = float(np.median(cosine(held_ridge, held[1])))

    targets, counts = test.modality(target), test.counts.get(target)
    route = f"{source} → {target}"
    rows = [
        {
            "route": route, "method": name, "seed": seed,
            **score(prediction, targets, counts, mean=mean, item=item),
            "gamma": gammas.get(name),
        }
        for name, prediction in predictions.items()
    ]  # fmt: skip
    weight = 1 / (len(test) * np.bincount(item)[item])
    own = targets[item], None if counts is None else counts[item]
    curve = [
        {"route": route, "seed": seed, "gamma": g, "cosine": float(weight @ cosine(p + g * f, *own))} for g in GAMMAS
    ]
    certificate = certified(translator, test, alpha)
    certificate = {"route": route, "seed": seed, **certificate}
    return Comparison(pd.DataFrame(rows), pd.DataFrame(curve), pd.DataFrame([certificate]))


def certified(translator: Translator, test: PairedEmbeddings, alpha: float) -> dict[str, float | int | str]:
    """What a certificate at `alpha` says, as one row of a table."""
    certificate = certify_translator(translator, test, alpha)
    premises = certificate.premises
    assert premises is not None  # the poster's translator has parts
    return {
        "alpha": alpha,
        "confidence": certificate.confidence,
        "pairs": certificate.pairs,
        "observed": certificate.successes / certificate.pairs,
        "lower_limit": certificate.lower_limit,
        "bound": premises.bound.probability,
        "bound_refuted": premises.bound.refuted,
        "exact": premises.exact.probability,
        "exact_refuted": premises.exact.refuted,
        "alignment": premises.dominance.mean,
        "dominance": premises.dominance.verdict,
    }


def compare_all(
    pairs: str | Path,
    routes: Sequence[tuple[str, str]],
    seeds: int,
    *,
    steps: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """`compare` for every route and seed; see `analysis.experiments.splits.every_split`."""
    import pandas as pd

    found = every_split(partial(compare, steps=steps), pairs, routes, seeds, progress)
    return Comparison(*(pd.concat(part, ignore_index=True) for part in zip(*found, strict=True)))


def unit_pairs(pairs: PairedEmbeddings, source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Every (condition, target) pair as unit rows, (P, k) and (P, d)."""
    c, z, of_c, of_z = pairs.pairings(source, target)
    return unit(c)[of_c], unit(z)[of_z]
