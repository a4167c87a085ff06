"""Held-out pairs, a sampler with a known law, three directions F to certify, and certificates put to the test.

Notebook 05.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis.experiments.data import one_vector, ridge_map
from analysis.experiments.synthetic import mean_length
from analysis.experiments.trial import Trial
from analysis.theory.certify import Certificate, Curve, Observed, certify, curve
from analysis.theory.confidence import mean_interval
from analysis.theory.limits import Limits
from analysis.theory.samples import sampling_law
from analysis.translators import SIMPLE, applicable
from modtrans_core import PairedEmbeddings, Translator, preset
from modtrans_core.scores import cosine
from modtrans_core.vectors import unit

CONFIDENCE, GROUPS = 0.8, 150
"""of the certificates that are put to the test, low so that errors are seen, and the groups that each is given"""
ALIKE = 20
"""items of a group in the population whose groups are items that are alike"""
SAMPLES = (1, 2, 4, 8, 16, 32, 64)
ENDS = ("low", "high")
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
    return Held(train, validation, one_vector(test.pairs, source), test.targets, test.counts, test.pairs.groups, trial)


def _rows(part: PairedEmbeddings, source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
    z, item = part.rows(target)
    return one_vector(part, source)[item], unit(z)


def fitted(held: Held) -> dict[str, Translator]:
    """Every simple translator that applies, by name."""
    return {name: held.trial.fit(preset(name)) for name in applicable(held.c.shape[1], held.z.shape[-1], SIMPLE)}


def table(scores: Mapping[str, Limits]) -> pd.DataFrame:
    """One row a translator: `translator`, its `cosine` with the interval `low`, `high`, and its `skill`, NaN for none;
    `floor` and `ceiling` (if any) with theirs, `floor_low` and so on; `confidence` and `groups` of the intervals."""
    rows = []
    for name, own in scores.items():
        row = {"translator": name, "cosine": own.cosine.value, "low": own.cosine.low, "high": own.cosine.high}
        row |= {"skill": np.nan if own.skill is None else own.skill.value}
        row |= {"confidence": own.cosine.confidence, "groups": own.cosine.groups}
        for limit in ("floor", "ceiling"):
            found = getattr(own, limit)
            row |= {limit: found and found.value, **{f"{limit}_{end}": found and getattr(found, end) for end in ENDS}}
        rows.append(row)
    return pd.DataFrame(rows)


def curves(bands: Mapping[str, Curve], bounds: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Curves with their bands, and bounds at the same cosines: `name`, `alpha`, `observed`; of curves `low`, `high`."""
    columns = ("alpha", "observed", "low", "high")
    tables = [
        pd.DataFrame({"name": name, **{key: getattr(own, key) for key in columns}}) for name, own in bands.items()
    ]
    alpha = tables[0]["alpha"]
    tables += [pd.DataFrame({"name": name, "alpha": alpha, "observed": own}) for name, own in bounds.items()]
    return pd.concat(tables, ignore_index=True)


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


def validation_level(held: Held) -> float:
    """The median cosine of a ridge map on validation rows that it has not seen."""
    c, z = held.validation
    return float(np.median(cosine(held.trial.fit(preset("ridge"), unseen=True).translate(c), z)))


def certified(observed: Observed, alpha: float, confidence: float, levels: np.ndarray) -> Certificate:
    """The certificate, with the curve at these levels."""
    return certify(observed, alpha, confidence, statements={"curve": partial(curve, observed, levels)})


def one_pair_each(observed: Observed) -> Observed:
    """The first pair of each group alone: independent pairs."""
    return Observed.of(observed.cosine[observed.first])


def alike(observed: Observed, alpha: float) -> Observed:
    """The same pairs in groups of `ALIKE` items that reach alpha as often, and so succeed or fail together."""
    order = np.argsort(observed.reached(alpha), kind="stable")
    group = np.empty(observed.items, dtype=np.intp)
    group[order] = np.arange(observed.items) // ALIKE
    return Observed.of(observed.cosine, item=observed.item, group=group)


def drawn(population: Observed, groups: int, rng: np.random.Generator) -> Observed:
    """So many groups of a population, drawn with replacement: independent, and of a law that is known."""
    chosen = rng.integers(0, population.groups, groups)
    of_pair = population.group[population.item]
    order = np.argsort(of_pair, kind="stable")  # the pairs of a group side by side, items in order
    start = np.searchsorted(of_pair[order], np.arange(population.groups + 1))
    size = np.diff(start)[chosen]
    which = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    rows, copy = order[np.repeat(start[chosen], size) + which], np.repeat(np.arange(groups), size)
    first = np.append(True, (np.diff(population.item[rows]) != 0) | (np.diff(copy) != 0))
    return Observed.of(
        population.cosine[rows], item=first.cumsum() - 1, group=copy[first], largest_group=population.largest_group
    )


def misses(population: Observed, alpha: float, runs: int, rng: np.random.Generator) -> dict[str, int]:
    """How many of so many certificates are wrong, each of `GROUPS` groups drawn from a population that is known.

    Returns
    -------
    For each statement, and for `any` of them, the number of certificates in which it is wrong. At most a share of
    1 - `CONFIDENCE` of them should be, but for chance.
    """
    reached = population.reached(alpha)
    truth = {"items": reached.mean(), "groups": population.of_groups(reached).mean()}
    levels = np.quantile(population.cosine, np.linspace(0.0, 1.0, 41))
    true_curve = np.array([population.reached(x).mean() for x in levels])
    wrong: dict[str, int] = {}
    for _ in range(runs):
        observed = drawn(population, GROUPS, rng)
        said = certified(observed, alpha, CONFIDENCE, levels).statements
        found = {name: said[name].limit > truth[name] for name in ("items", "groups") if name in said}
        found["cosines"] = any(population.reached(x).mean() < float(q) for q, x in said["cosines"].cosine.items())
        low, high = np.array(said["curve"].low), np.array(said["curve"].high)
        found["curve"] = bool(((low > true_curve) | (high < true_curve)).any())
        found["any"] = any(found.values())
        for name, one in found.items():
            wrong[name] = wrong.get(name, 0) + int(one)
    return wrong


def put_to_the_test(observed: Observed, alpha: float, rng: np.random.Generator) -> pd.DataFrame:
    """Certificates of test sets that are drawn from the observed pairs, as if these were all that there are.

    Returns
    -------
    One row with all pairs of an item, one with items in groups that are `alike`, and one with one pair a group: `runs`;
    the `misses` of each statement and of `any`; and how many misses are `allowed` of any and of `each` statement: more
    come by chance in one of 10,000 repetitions.
    """
    populations = {"all pairs": observed, "items alike": alike(observed, alpha)}
    populations["one pair a group"] = one_pair_each(observed)
    rows = {}
    for (name, population), runs in zip(populations.items(), (100, 100, 2000), strict=True):
        wrong = misses(population, alpha, runs, rng)
        risks = (1.0 - CONFIDENCE) / np.array([1, len(wrong) - 1])  # of all statements together, and of each
        allowed, each = stats.binom.isf(1e-4, runs, risks).astype(int)
        rows[name] = {"runs": runs, "allowed": allowed, "each": each, **wrong}
    return pd.DataFrame.from_dict(rows, orient="index")
