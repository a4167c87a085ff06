"""Held-out pairs, a sampler with a known law, and three directions F to certify. Notebook 05."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.experiments.data import one_vector, ridge_map
from analysis.experiments.synthetic import mean_length
from analysis.experiments.trial import Trial
from analysis.theory.confidence import mean_interval
from analysis.theory.limits import Limits
from analysis.theory.samples import sampling_law
from analysis.translators import SIMPLE, applicable
from modtrans_core import PairedEmbeddings, Translator, preset
from modtrans_core.scores import cosine
from modtrans_core.vectors import unit

SAMPLES = (1, 2, 4, 8, 16, 32, 64)
DRAWS = 400
"""draws of the sampler for each number of samples"""


class Held(NamedTuple):
    """A split whose training and validation part is rows, one a target, and whose test part is items."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    c: np.ndarray
    """(n, k), unit conditions of the test items"""
    z: np.ndarray
    """their targets, (n, d) or (n, m, d)"""
    counts: np.ndarray | None
    group: np.ndarray
    trial: Trial
    """the same split, of pairs"""


def held_out(data: PairedEmbeddings, source: str, target: str, seed: int) -> Held:
    """Split by group. Items with several targets repeat their condition in the training and validation rows."""
    trial = Trial.of(data, source, target, seed)
    train, validation = (_rows(part.pairs, source, target) for part in (trial.train, trial.validation))
    test = trial.test
    return Held(train, validation, one_vector(test.pairs, source), test.targets, test.counts, test.pairs.labels, trial)


def _rows(part: PairedEmbeddings, source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
    z, item = part.rows(target)
    return one_vector(part, source)[item], unit(z)


def fitted(held: Held) -> dict[str, Translator]:
    """Every simple translator that applies, by name."""
    return {name: held.trial.fit(preset(name)) for name in applicable(held.c.shape[1], held.z.shape[-1], SIMPLE)}


def table(scores: Mapping[str, Limits]) -> pd.DataFrame:
    """One row a translator: `translator`, its `cosine` with the interval `low`, `high`, and its `skill`."""
    rows = []
    for name, own in scores.items():
        value, low, high = own.cosine.value, own.cosine.low, own.cosine.high
        rows.append({"translator": name, "cosine": value, "low": low, "high": high, "skill": own.skill.value})
    return pd.DataFrame(rows)


def perfect_sampler(d: int, noise: float, confidence: float, rng: np.random.Generator) -> tuple[float, pd.DataFrame]:
    """The mean of K draws from p(z|c) for one condition, whose conditional mean has a length m in closed form.

    Parameters
    ----------
    d : dimension of the targets, normalize(mu + eps) with standard normal eps and |mu| = sqrt(d) / noise.

    Returns
    -------
    m, and one row a number of samples K: `samples`, the cosine of the mean of K draws and one more as `value` with its
    interval `low`, `high`, and `law`, what it should be.
    """
    kappa = np.sqrt(d) / noise
    m, centre = float(mean_length(kappa, d)), np.zeros(d)
    centre[0] = kappa
    rows = []
    for samples in SAMPLES:
        draws = unit(centre + rng.standard_normal((DRAWS, samples + 1, d)))
        estimate = mean_interval(cosine(draws[:, 1:].mean(axis=1), draws[:, 0]), confidence=confidence)
        rows.append({"samples": samples, "value": estimate.value, "low": estimate.low, "high": estimate.high})
    return m, pd.DataFrame(rows).assign(law=lambda frame: sampling_law(m, frame["samples"].to_numpy()))


def three_directions(held: Held, features: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Unit directions F (n, d) on the test items: learned, random, and the learned one turned round.

    The learned one predicts the residual of the ridge map from random features of the condition.
    """
    (c, z), (held_c, held_z) = held.train, held.validation
    weights = rng.standard_normal((c.shape[1], features)) * 2.0
    lift = [np.tanh(x @ weights) for x in (c, held_c, held.c)]
    ridge = ridge_map(c, z, (held_c, held_z))
    left = [y - ridge(x) for x, y in ((c, z), (held_c, held_z))]
    learned = unit(ridge_map(lift[0], left[0], (lift[1], left[1]))(lift[2]))
    return {"learned": learned, "random": unit(rng.standard_normal(learned.shape)), "turned round": -learned}
