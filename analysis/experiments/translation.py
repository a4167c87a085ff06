"""The poster's translator beside simpler ones: the same pairs, the same scores."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.experiments.kept import kept
from analysis.experiments.poster_parts import trained_parts
from analysis.experiments.trial import Trial
from analysis.theory.gamma import best_gamma
from analysis.theory.limit_law import kappa
from analysis.translators import SIMPLE, applicable
from analysis.translators.certify import certify_translator, largest_in
from modtrans_core import Pairing, PosterConfig, PosterTranslator, preset
from modtrans_core.scores import cosine

ONE, MANY = "poster, 1 step", "poster, 50 steps"
"""the poster's translator by the conditional mean that one DDIM step gives, and by a sample of many"""
GAMMAS = np.concatenate([np.linspace(0, 1, 41), np.linspace(1, 2, 11)[1:]])


class Comparison(NamedTuple):
    """One trial."""

    scores: pd.DataFrame
    """one row a method: `route`, `method`, `seed`, `analysis.experiments.trial.SCORES`, `seconds` of its fit
    here, and `gamma`"""
    gamma_curve: pd.DataFrame
    """mean test cosine of the trained parts for each gamma: `route`, `seed`, `gamma`, `cosine`"""
    certificates: pd.DataFrame
    """one row: the poster's translator certified on the test part at the median validation cosine of the ridge map"""
    parts: pd.DataFrame
    """one row: `analysis.experiments.poster_parts.trained_parts` of that translator, at the same cosine"""


def translation(trial: Trial, steps: int = 2000) -> Comparison:
    """Fit every cheap baseline that applies and the poster's translator, and score them on the test part.

    The rows `poster, gamma 0` and `poster, best gamma` keep the trained parts c M and F(c) and change gamma alone, and
    `ridge + best gamma F` puts the ridge map in place of M. The best gamma has the highest cosine on validation pairs,
    to which the linear map beside it has not been fitted; its penalty was chosen there, too.

    Parameters
    ----------
    steps : optimiser steps of the poster's translator.
    """
    fitted = trial.race({name: preset(name) for name in applicable(trial.train.k, trial.train.d, SIMPLE)})
    fitted |= trial.race(posters(steps, trial.seed), gamma=1.0)
    poster, c = fitted[ONE], np.asarray(trial.test.c)
    assert isinstance(poster, PosterTranslator)
    held_c, held_z = (rows.numpy() for rows in trial.validation.unit_pairs())
    (p, f, _), (held_p, held_f, _) = poster.parts(c), poster.parts(held_c)
    ridge = preset("ridge", {"penalty": float(fitted["ridge"].penalty)})  # type: ignore[attr-defined]
    held_ridge = trial.fit(ridge, unseen=True).translate(held_c)
    best, added = (
        best_gamma(held, held_f, held_z, group=trial.validation.group).gamma for held in (held_p, held_ridge)
    )
    trial.add("poster, gamma 0", p, gamma=0.0)
    trial.add("poster, best gamma", p + best * f, gamma=best)
    trial.add("ridge + best gamma F", fitted["ridge"].translate(c) + added * f, gamma=added)

    facts = {"route": trial.route, "seed": trial.seed}
    curve = [{**facts, "gamma": gamma, "cosine": mean_cosine(trial.test, p + gamma * f)} for gamma in GAMMAS]
    alpha = float(np.median(cosine(held_ridge, held_z)))
    certificate = {**facts, **certified(poster, trial, alpha)}
    parts = {**facts, **trained_parts(poster, trial, alpha)}
    return Comparison(trial.table(), pd.DataFrame(curve), pd.DataFrame([certificate]), pd.DataFrame([parts]))


def calibrated(trial: Trial, folder: Path | None = None) -> pd.DataFrame:
    """The row of `calibrated`.

    Parameters
    ----------
    folder : in which `analysis.experiments.presets` may have kept its scores; it is not fitted then.
    """
    config = preset("calibrated", {"seed": trial.seed})
    if scores := folder and kept(folder, trial, config):
        return pd.DataFrame([{"route": trial.route, "method": "calibrated", "seed": trial.seed, **scores}])
    trial.race({"calibrated": config})
    return trial.table()


def posters(steps: int, seed: int) -> dict[str, PosterConfig]:
    """The poster's translator as `ONE` and as `MANY`.

    A joint training fits M to what F(c) leaves after as many DDIM steps as the reconstruction term samples with, and no
    others; through 50 a training step takes 15 to 20 times as long as through one. So `MANY` is trained by the noise
    term alone, which has no number of steps, and M stays the ridge map.

    Parameters
    ----------
    steps : optimiser steps.
    """
    settings = {"train.steps": steps, "train.seed": seed}
    return {
        ONE: preset("poster", {**settings, "steps": 1}),
        MANY: preset("poster", {**settings, "steps": 50, "lambda_1": 0.0}),
    }


def mean_cosine(part: Pairing, zhat: np.ndarray) -> float:
    """Of the translations zhat (N, d) of a part's conditions, every item weighing the same."""
    counts = None if part.counts is None else part.counts[part.item]
    weight = 1 / (len(part.pairs) * np.bincount(part.item)[part.item])
    return float(weight @ cosine(zhat, part.targets[part.item], counts))


def certified(poster: PosterTranslator, trial: Trial, alpha: float) -> dict[str, float | int | str]:
    """What a certificate at `alpha` says, as one row of a table.

    `observed` and `lower_limit` are shares of the `items`; the rest is about `pairs`, one a group.
    """
    largest = max(largest_in(part.pairs) for part in (trial.train, trial.validation, trial.test))
    certificate = certify_translator(poster, trial.test.pairs, alpha, largest_group=largest)
    statements = certificate.statements
    share, premises = statements["items"], statements["premises"]
    return {
        "alpha": alpha,
        "confidence": certificate.confidence,
        "items": certificate.items,
        "observed": share.observed,
        "lower_limit": share.limit,
        "pairs": premises.pairs,
        "observed_pairs": premises.observed,
        "bound": premises.bound.probability,
        "bound_refuted": premises.bound.refuted,
        "kappa": _median_kappa(poster, trial),
        "exact": premises.exact.probability,
        "exact_refuted": premises.exact.refuted,
        "beaten": premises.dominance.mean,
        "dominance": premises.dominance.verdict,
    }


def _median_kappa(poster: PosterTranslator, trial: Trial) -> float:
    """Median of kappa over the test part's conditions, those with |p| < 1, which the orthogonal geometry needs."""
    projection, _, gamma = poster.parts(np.asarray(trial.test.c))
    s = np.linalg.norm(projection, axis=1)
    return float(np.median(kappa(s[s < 1.0], gamma))) if (s < 1.0).any() else float("nan")
