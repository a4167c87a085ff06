"""Random directions, drawn and counted: what the exact laws are held against. Notebooks 01 and 03."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from analysis.theory.arrays import unit_rows
from analysis.theory.sphere import AlignmentLaw

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
BLOCK = 2**22  # numbers drawn at once


def alignments(n: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """The alignment (draws,) of random directions in R^n with a fixed one, the first axis."""
    blocks = np.array_split(np.arange(draws), min(draws, -(-draws * n // BLOCK)))
    vectors = (rng.standard_normal((len(block), n)) for block in blocks)
    return np.concatenate([v[:, 0] / np.linalg.norm(v, axis=1) for v in vectors])


def count_alignments(dimensions: Sequence[int], draws: int, rng: np.random.Generator) -> pd.DataFrame:
    """How many of the directions in R^n lie above quantiles of the law in n dimensions.

    Returns
    -------
    One row a dimension and threshold: `n`, `x`, the probability of more than x in n dimensions (`expected`) and by the
    printed integrand, in n + 1 (`printed`), `count`, `draws`, and the p-values of exact binomial tests of both.
    """
    rows = []
    for n in dimensions:
        u, law, printed = alignments(n, draws, rng), AlignmentLaw(n), AlignmentLaw(n + 1)
        for x in np.unique(law.ppf(QUANTILES)):
            row = {"n": n, "x": x, "expected": law.sf(x), "printed": printed.sf(x), "count": int((u > x).sum())}
            rows.append(row | {"draws": draws})
    table = pd.DataFrame(rows)
    return table.assign(p_value=p_values(table, table["expected"]), p_value_printed=p_values(table, table["printed"]))


def count_cosines(
    p: np.ndarray, z: np.ndarray, gamma: float, alphas: np.ndarray, draws: int, rng: np.random.Generator,
    *, perpendicular: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """How often cos(z, p + gamma f) >= alpha for random directions f in R^d; the cosine of a zero translation is 0.

    Parameters
    ----------
    p, z : projection and unit target, (d,).
    perpendicular : keep f perpendicular to p; else, and where p is 0, f is anywhere on the sphere.

    Returns
    -------
    One row a level: `alpha`, `count`, `draws`.
    """
    count = np.zeros(len(alphas), dtype=int)
    for block in np.array_split(np.arange(draws), min(draws, -(-draws * len(p) // BLOCK))):
        f = rng.standard_normal((len(block), len(p)))
        if perpendicular and p.any():
            f -= np.outer(f @ p, p) / (p @ p)
        zhat = p + gamma * unit_rows(f)
        length = np.linalg.norm(zhat, axis=1)
        cosine = np.divide(zhat @ z, length, out=np.zeros(len(block)), where=length > 0.0)
        count += (cosine[:, None] >= alphas).sum(axis=0)
    return pd.DataFrame({"alpha": alphas, "count": count, "draws": draws})


def levels_about(mean: float, spread: float, count: int) -> np.ndarray:
    """Levels (count,) of the cosine in mean ± spread, within ±.97; none is `mean`, where there may be nothing else.

    Examples
    --------
    >>> print(levels_about(0.6, 0.2, 4).round(2))
    [0.4 0.5 0.7 0.8]
    """
    low, high = np.clip([mean - spread, mean + spread], -0.97, 0.97)
    levels = np.linspace(low, high, count + 1)
    return np.delete(levels, np.abs(levels - mean).argmin())


def p_values(
    counted: pd.DataFrame, probabilities: Sequence[float], alternative: Literal["two-sided", "less"] = "two-sided"
) -> np.ndarray:
    """The p-value of an exact binomial test of each row's `count` among its `draws`.

    The two-sided one is twice the smaller tail. Tails are incomplete beta functions, for probabilities of any size.
    """
    count, draws = counted["count"].to_numpy(float), counted["draws"].to_numpy(float)
    probability = np.clip(np.asarray(probabilities, dtype=float), 0.0, 1.0)
    rest = np.maximum(draws - count, 0.5)  # betainc needs positive shapes: count and rest of 0 are left out below
    fewer = np.where(count == draws, 1.0, special.betainc(rest, count + 1.0, 1.0 - probability))
    if alternative == "less":
        return fewer
    more = np.where(count == 0.0, 1.0, special.betainc(np.maximum(count, 0.5), draws - count + 1.0, probability))
    return np.minimum(2.0 * np.minimum(fewer, more), 1.0)
