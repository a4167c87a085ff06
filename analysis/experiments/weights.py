"""What the weight gamma of the residual does: translators p + gamma f of one split, and the best gamma of each.

The projection p = c M is a ridge map's. Its directions f are `learned` (the ridge map's residual from random features),
`random`, `mean` (E[z|c] - p, known for synthetic pairs), and `sample` (another target of the same item, where all have
one: for synthetic pairs what a perfect sampler of p(z|c) returns, for real ones better, as it knows the item).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.experiments.data import load_pairs, ridge_map
from analysis.experiments.synthetic import synthetic_pairs
from analysis.theory.arrays import row_cosine
from analysis.theory.bound import cosine as orthogonal_cosine
from analysis.theory.confidence import mean_interval
from analysis.theory.gamma import (
    ChosenGamma,
    best_gamma,
    break_even_alignment,
    break_even_gamma,
    ceiling,
    general_cosine,
    general_peak_gamma,
    guaranteed_level,
    peak_gamma,
)
from analysis.theory.premises import TranslatedPairs
from modtrans_core import PairedEmbeddings, Pairing, load
from modtrans_core.protocol import HasParts, able
from modtrans_core.vectors import unit

GAMMAS = 1.5 * np.linspace(0.0, 1.0, 101) ** 2
"""where cosines are measured: dense where the best gammas are"""


class Rows(NamedTuple):
    """One part of the split, a row for each (condition, target) pair; vectors have length 1."""

    c: np.ndarray
    z: np.ndarray
    group: np.ndarray
    answer: np.ndarray | None
    """E[z|c], where it is known"""
    sibling: np.ndarray | None
    """another target of the same item, where every item has one"""


SIZES = {"rows": lambda part: len(part.c), "groups": lambda part: len(np.unique(part.group))}
"""what is counted of a part"""

Pair = tuple[np.ndarray, np.ndarray]
Translators = dict[str, tuple[Pair, Pair]]
"""name -> (p, f) on the validation rows and (p, f) on the test rows, (n, d) each"""


def pair_set(
    pairs: str, items: int, rng: np.random.Generator, route: Sequence[str] = (), *, whole: bool = False
) -> PairedEmbeddings:
    """The pair set in a file, at most so many items of it, or the whole; empty: synthetic pairs with an `answer`."""
    if pairs:
        data = load_pairs(pairs, route=route)[0]
        return data if whole or len(data) <= items else data.take(rng.permutation(len(data))[:items])
    data, answer = synthetic_pairs(items, 8, 96, 0.7, 5, rng)
    return replace(data, arrays={**data.arrays, "answer": answer})


def rows(part: PairedEmbeddings, source: str, target: str) -> Rows:
    """Every (condition, target) pair of a part as a row."""
    pairing = Pairing(part, source, target)
    c, z, of_c, of_z = pairing.c, pairing.z, pairing.of_c, pairing.of_z
    item = pairing.item[of_c]
    answer = part.modality("answer")[item] if "answer" in part.arrays else None
    several, sibling = part.counts.get(target), None
    if several is not None and several.min() > 1:
        first = np.searchsorted(part.rows(target)[1], item)
        sibling = z[first + (of_z - first + 1) % several[item]]
    return Rows(unit(c)[of_c], unit(z)[of_z], pairing.group, answer, sibling)


def linear_translators(train: Rows, held: Rows, test: Rows, features: int, rng: np.random.Generator) -> Translators:
    """The ridge map with each direction that is known for both the validation and the test rows."""

    def lift(c: np.ndarray) -> np.ndarray:
        return np.tanh(c @ weights)

    ridge = ridge_map(train.c, train.z, (held.c, held.z))
    weights = rng.standard_normal((train.c.shape[1], features)) * 2.0
    rest, held_rest = (part.z - ridge(part.c) for part in (train, held))
    learned = ridge_map(lift(train.c), rest, (lift(held.c), held_rest))
    found: list[dict[str, Pair]] = []
    for part in (held, test):
        p = ridge(part.c)
        f = {"learned F": learned(lift(part.c)), "random F": rng.standard_normal(part.z.shape)}
        f |= {} if part.answer is None else {"mean F": part.answer - p}
        f |= {} if part.sibling is None else {"sample F": part.sibling}
        found.append({name: (p, unit(direction)) for name, direction in f.items()})
    return {name: (found[0][name], found[1][name]) for name in found[1] if name in found[0]}


def trained(
    folder: str, data: PairedEmbeddings, parts: Mapping[str, PairedEmbeddings], source: str, target: str
) -> Translators:
    """A run of `modtrans train` on these pairs, by the name of its folder.

    Raises
    ------
    ValueError
        Where it translates otherwise, or its own test part is another one than that of `parts`: it would be marked on
        pairs that it was trained on.
    """
    translator = load(folder)
    facts = translator.facts
    if (facts.source, facts.target) != (source, target):
        raise ValueError(f"{folder}: translates {facts.source} to {facts.target}, not {source} to {target}")
    facts.refuse(data)
    if facts.seen is not None and facts.seen.look(parts["test"], source, target).condition.any():
        raise ValueError(f"{folder}: its test part is another one; the seed of its own split is needed")
    parts_of = able(translator, HasParts).parts
    held, test = (parts_of(rows(parts[name], source, target).c) for name in ("validation", "test"))
    return {Path(folder).name: ((held.projection, held.direction), (test.projection, test.direction))}


class Weights(NamedTuple):
    """What gamma does to each translator on the test rows."""

    table: pd.DataFrame
    """one row a translator"""
    curve: pd.DataFrame
    """`name`, `gamma`, and the mean cosine as `value` with its interval `low`, `high`"""
    gain: pd.DataFrame
    """the same of the cosine less that of gamma = 0"""
    calibrations: Mapping[str, ChosenGamma]


def measure(translators: Translators, held: Rows, test: Rows, confidence: float) -> Weights:
    """Choose gamma on the validation rows, whole groups at a time, and measure it and `GAMMAS` on the test rows."""
    table, calibrations = [], {}
    curve: list[dict[str, Any]] = []
    gain: list[dict[str, Any]] = []
    for name, (chosen_on, (p, f)) in translators.items():
        chosen = calibrations[name] = best_gamma(*chosen_on, held.z, group=held.group, confidence=confidence)
        parts = TranslatedPairs.of(p, f, 0.0, test.z)
        products = _products(parts)
        cosines = {gamma: general_cosine(gamma, *products) for gamma in (*GAMMAS, 1.0, chosen.gamma)}
        for gamma in GAMMAS:
            for where, values in ((curve, cosines[gamma]), (gain, cosines[gamma] - cosines[0.0])):
                where.append({"name": name, "gamma": gamma, **asdict(mean_interval(values, test.group, confidence))})
        u = mean_interval(parts.alignment, test.group, confidence)
        gained = mean_interval(cosines[chosen.gamma] - cosines[0.0], test.group, confidence)
        s = min(float(products[3].mean()), 1.0)  # a trained projection may be longer than any orthogonal one
        row = {"s": s, "u": u.value, "u_low": u.low, "u_high": u.high, "best": peak_gamma(u.value, s)}
        row |= {"general": _general(parts), "calibrated": chosen.gamma, "cosine_0": cosines[0.0].mean()}
        row |= {"cosine_calibrated": cosines[chosen.gamma].mean(), "cosine_1": cosines[1.0].mean()}
        row |= {"lower_limit": chosen.lower_limit, "certified": chosen.certified_gamma}
        row |= {"gain_low": gained.low, "gain_high": gained.high, **_equal(parts, cosines[1.0])}
        table.append({"name": name, **row})
    return Weights(pd.DataFrame(table), pd.DataFrame(curve), pd.DataFrame(gain), calibrations)


def _products(parts: TranslatedPairs) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """<z, p>, <z, f>, <p, f> and |p|, (n,) each."""
    z, p, f = parts.target, parts.projection, parts.direction
    a, t, q = (np.einsum("nd,nd->n", x, y) for x, y in ((z, p), (z, f), (p, f)))
    return a, t, q, np.linalg.norm(p, axis=1)


def _general(parts: TranslatedPairs) -> float:
    """The best gamma by the mean angles between p, f and z as they are; NaN where it is infinite."""
    a, t, q, s = _products(parts)
    best = float(general_peak_gamma(a.mean(), t.mean(), q.mean(), np.sqrt(np.mean(s**2))))
    return best if np.isfinite(best) else np.nan


def equal_orthogonal(p: np.ndarray, f: np.ndarray, z: np.ndarray, gamma: float) -> tuple[np.ndarray, ...]:
    """s, u and the weight, (n,), of the orthogonal translator with the cosines of p + gamma f.

    Scale p to the foot of z on it, and split off the part of f along p. That one has s = cos(z, p).
    """
    length, lean, s = np.linalg.norm(p, axis=1), row_cosine(p, f), row_cosine(p, z)
    axis = p / length[:, None]
    u = row_cosine(z - s[:, None] * axis, f - lean[:, None] * axis)
    return s, u, s * gamma * np.sqrt(1.0 - lean**2) / (length + gamma * lean)


def _equal(parts: TranslatedPairs, cosine: np.ndarray) -> dict[str, float]:
    """The means of the equal orthogonal translator at gamma = 1, and how far its cosine is from the one given."""
    s, u, weight = equal_orthogonal(parts.projection, parts.direction, parts.target, 1.0)
    turned = (s <= 0.0) | (weight < 0.0)  # p points away from z, or f undoes p: not this geometry
    mismatch = np.abs(orthogonal_cosine(u, np.abs(s), np.abs(weight)) - cosine)[~turned].max(initial=0.0)
    return {"s_equal": s.mean(), "u_equal": u.mean(), "weight_equal": weight.mean(), "mismatch": mismatch}


def fixed_weights(translator: tuple[Pair, Pair], test: Rows, s: float, delta: float) -> dict[str, Any]:
    """What a gamma can do that nobody chose, for a projection of length s: for the metrics.

    Returns
    -------
    `guaranteed` : the level of a random direction with probability 1 - delta, at gamma 0, .2 and 1. `at_one` : s, the
    cosine at gamma = 1 of the residual's own direction (`ceiling`, and measured), and the alignment that gamma = 1
    needs to be better than 0, None where s = 1. `hopeless_above` : the s from which no alignment is enough.
    """
    p, f = translator[1]
    z = TranslatedPairs.of(p, f, 0.0, test.z).target
    itself = TranslatedPairs.of(p, unit(z - p), 1.0, z).cosine.mean()
    grid = np.linspace(0.01, 0.99, 981)
    needed = float(break_even_alignment(s)) if s < 1.0 else None
    return {
        "guaranteed": {str(g): float(guaranteed_level(delta, s, g, z.shape[1])) for g in (0.0, 0.2, 1.0)},
        "at_one": {"s": s, "ceiling": ceiling(s), "ceiling_measured": itself, "needed": needed},
        "hopeless_above": float(grid[break_even_alignment(grid) > 1.0][0]),
    }


def closed_forms(
    table: pd.DataFrame, s: float, d: int, rng: np.random.Generator
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Simulations of what the closed forms say, on rows that are exactly orthogonal.

    Returns
    -------
    The calibrated gamma of rows that have the s and u of each translator of the table, where s < 1; the cosines of
    rows with this s and u = 1 at gamma = 1; and those of rows that break even, which have to be s: at gamma = rho by
    their alignment, and at u = min(rho, s) / 2 by their gamma. No such rows where s = 1, as nothing is left of z there.
    """
    best = {
        row.name: best_gamma(*orthogonal_rows(row.s, row.u, d, rng)).gamma for row in table.itertuples() if row.s < 1.0
    }
    if s == 1.0:
        return best, np.array([]), np.array([])
    rho, u = np.sqrt(1.0 - s**2), min(np.sqrt(1.0 - s**2), s) / 2.0
    perfect, even = orthogonal_rows(s, 1.0, d, rng), []
    for alignment, gamma in ((break_even_alignment(s, rho), rho), (u, break_even_gamma(u, s))):
        p, f, z = orthogonal_rows(s, float(alignment), d, rng)
        even.append(row_cosine(p + gamma * f, z))
    return best, row_cosine(perfect[0] + perfect[1], perfect[2]), np.array(even)


def orthogonal_rows(s: float, u: float, d: int, rng: np.random.Generator, n: int = 64) -> tuple[np.ndarray, ...]:
    """p, f and z, (n, d), with |p| = s, p perpendicular to r = z - p, f perpendicular to p, and the alignment u."""
    z, e, g = np.moveaxis(np.linalg.qr(rng.standard_normal((n, d, 3)))[0], 2, 0)
    rho = np.sqrt(1.0 - s**2)
    p = s * (s * z + rho * e)
    return p, u * (z - p) / rho + np.sqrt(1.0 - u**2) * g, z
