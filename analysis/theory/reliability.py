"""Does a predicted cosine come true? Predicted against observed, in bins, on held-out pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import stats

from analysis.theory.arrays import vector
from analysis.theory.intervals import mean_interval

if TYPE_CHECKING:
    import pandas as pd


class Reliability(NamedTuple):
    """Predicted against observed cosine."""

    bins: pd.DataFrame
    """equally many items each: `expected`, `observed` (means), `low`, `high` (interval of the latter), `n`"""
    error: float
    """expected calibration error: mean over the bins of |expected - observed|, weighted by n"""
    error_by_chance: float
    """what that would be for exact predictions, from the scatter of the observed values alone"""
    bias: float
    """mean of observed - expected"""
    rank_correlation: float
    """Spearman's, between items"""


def reliability(
    expected: np.ndarray,
    observed: np.ndarray,
    group: np.ndarray | None = None,
    bins: int = 10,
    confidence: float = 0.95,
) -> Reliability:
    """Does the cosine that was predicted come true?

    Parameters
    ----------
    expected : (n,) predicted cosines, from `Translator.expected_cosine`.
    observed : (n,) what they turned out to be, from `modtrans_core.scores.cosine` on held-out pairs.
    group : (n,) items of one group are not independent; see `analysis.theory.intervals.mean_interval`.
    bins : at least 2 and at most n.
    """
    import pandas as pd

    expected, observed = vector("expected", expected), vector("observed", observed)
    if expected.shape != observed.shape:
        raise ValueError(f"observed: {len(observed)} values, allowed are {len(expected)}, one each predicted")
    if not 2 <= bins <= len(expected):
        raise ValueError(f"bins: {bins}, allowed is 2 to {len(expected)}, the number of items")
    rows, errors = [], []
    for items in np.array_split(np.argsort(expected, kind="stable"), bins):
        found = mean_interval(observed[items], None if group is None else np.asarray(group)[items], confidence)
        error = mean_interval(observed[items] - expected[items], None, 0.6827)
        errors.append((error.high - error.low) / 2.0)
        rows.append((expected[items].mean(), found.value, found.low, found.high, len(items)))
    table = pd.DataFrame(rows, columns=["expected", "observed", "low", "high", "n"])
    weight = table["n"] / len(expected)
    return Reliability(
        table,
        float((weight * (table["expected"] - table["observed"]).abs()).sum()),
        float(np.sqrt(2.0 / np.pi) * (weight * np.nan_to_num(errors)).sum()),
        float((observed - expected).mean()),
        float(stats.spearmanr(expected, observed).statistic),
    )
