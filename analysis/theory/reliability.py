"""Does a predicted cosine come true? Predicted against observed, in bins and on average, on held-out pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import stats

from analysis.theory.arrays import vector
from analysis.theory.distribution_free import betting_interval
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


@dataclass(frozen=True)
class Expectation:
    """Whether expected cosines come true on average, on independent pairs.

    Attributes
    ----------
    expected, observed : float
        Means.
    low, high : float
        The mean of observed - expected is between these, whatever its law (`betting_interval`).
    refuted : bool
        0 is not: on average they do not come true.
    error, error_by_chance : float
        Over tenths of the pairs by expected cosine, as of `reliability`; a description, with no guarantee. None for
        fewer than 20 pairs.
    """

    expected: float
    observed: float
    low: float
    high: float
    refuted: bool
    error: float | None
    error_by_chance: float | None

    def lines(self) -> list[str]:
        """In words."""
        verdict = "NOT REFUTED"
        if self.refuted:
            verdict = f"REFUTED, they are too {'high' if self.high < 0.0 else 'low'}"
        lines = [
            f"Expected by the translator is a mean cosine of {self.expected:.4f}; observed is {self.observed:.4f}.",
            f"  That expected cosines come true on average: {verdict};"
            f" observed less expected has a mean of {self.low:.4f} to {self.high:.4f}.",
        ]
        if self.error is not None:
            lines.append(
                f"  Over tenths of the pairs by expected cosine they are off by {self.error:.4f} here,"
                f" by {self.error_by_chance:.4f} if they were exact."
            )
        return lines


def judge_expectation(expected: np.ndarray, observed: np.ndarray, confidence: float) -> Expectation:
    """Judge expected (N,), 0 to 1, by the observed cosines (N,) of independent pairs, in an order that owes nothing to
    either.

    Raises
    ------
    ValueError
        Expected cosines outside [0, 1], a confidence outside (0, 1).
    """
    if expected.min() < 0.0 or expected.max() > 1.0:
        raise ValueError(f"expected: {expected.min()} to {expected.max()}, allowed is 0 to 1")
    low, high = betting_interval(np.clip(observed, -1.0, 1.0) - expected, -2.0, 1.0, confidence)
    enough = len(expected) >= 20
    found = reliability(expected, observed) if enough else None
    return Expectation(
        expected=float(expected.mean()),
        observed=float(observed.mean()),
        low=low,
        high=high,
        refuted=not low <= 0.0 <= high,
        error=found.error if found else None,
        error_by_chance=found.error_by_chance if found else None,
    )
