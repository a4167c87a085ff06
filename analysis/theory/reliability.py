"""Does a predicted cosine come true? Predicted against observed on held-out items, in bins and on average.

An item has one expected cosine, and one observed: the mean over its pairs. Every item weighs the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.theory.arrays import Floats, cosines, in_range, rows_agree, vector
from analysis.theory.betting import item_interval
from analysis.theory.confidence import group_numbers, mean_interval
from analysis.theory.words import at_least, at_most
from modtrans_core.checks import whole

ENOUGH = 20  # items, for errors over tenths of them


class Reliability(NamedTuple):
    """Predicted against observed cosines.

    Attributes
    ----------
    bins : dict of (bins,) arrays
        `expected` and `observed`, the means of each bin; `low` and `high`, the interval of the latter; `n`, its items.
    error : float
        Expected calibration error: the mean over the bins of |expected - observed|, weighted by n.
    error_by_chance : float
        What that would be for exact predictions, from the scatter of the observed values between groups alone. NaN
        where no bin has two groups.
    bias : float
        Mean of observed - expected over items.
    rank_correlation : float
        Spearman's, between items; NaN where either is constant.
    """

    bins: dict[str, Floats]
    error: float
    error_by_chance: float
    bias: float
    rank_correlation: float


def reliability(
    expected: ArrayLike,
    observed: ArrayLike,
    group: ArrayLike | None = None,
    bins: int = 10,
    confidence: float = 0.95,
) -> Reliability:
    """Compare predicted with observed cosines, in bins of equally many items.

    Parameters
    ----------
    expected : (n,) array_like
        Predicted cosines, such as a translator's `expected_cosine`.
    observed : (n,) array_like
        What they turned out to be on held-out items, from `modtrans_core.scores.cosine`.
    group : (n,) array, optional
        Labels; items of one group are not independent of each other. None: all items are independent.
    bins : int
        From 2 to n.
    confidence : float
        That of the bins' intervals, in (0, 1).

    Returns
    -------
    Reliability
        The bins, and what they come to.

    Raises
    ------
    ValueError
        Numbers that are not finite, arrays of different length, too few or too many bins.

    Notes
    -----
    The mean of a bin with the standard error e is off by sqrt(2 / pi) e on average, if it is normal and the prediction
    exact: this is `error_by_chance` of that bin. e is that of `mean_interval`, by groups. A bin of one group has none,
    and the mean is then over the other bins.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> expected = rng.uniform(0.2, 0.8, 1000)
    >>> found = reliability(expected, expected + 0.1 * rng.standard_normal(1000))
    >>> print(round(found.error, 3), round(found.error_by_chance, 3))
    0.008 0.008
    """
    expected, observed = vector("expected", expected), vector("observed", observed)
    if expected.shape != observed.shape:
        raise ValueError(f"observed: {len(observed)} values, {len(expected)} are needed, one for each expected one")
    bins = whole("bins", bins, 2, len(expected), "the number of items")
    labels = group_numbers(group, len(expected))
    rows, errors = [], []
    for items in np.array_split(np.argsort(expected, kind="stable"), bins):
        found = mean_interval(observed[items], labels[items], confidence)
        error = mean_interval(observed[items] - expected[items], labels[items], 0.6827)  # half of it is e
        errors.append((error.high - error.low) / 2.0)
        rows.append((expected[items].mean(), found.value, found.low, found.high))
    table = dict(zip(("expected", "observed", "low", "high"), np.transpose(rows), strict=True))
    table["n"] = np.array([len(items) for items in np.array_split(expected, bins)])
    weight = table["n"] / len(expected)
    known = np.isfinite(errors)
    chance = np.average(np.asarray(errors)[known], weights=weight[known]) if known.any() else np.nan
    return Reliability(
        table,
        float((weight * np.abs(table["expected"] - table["observed"])).sum()),
        float(np.sqrt(2.0 / np.pi) * chance),
        float((observed - expected).mean()),
        float(stats.spearmanr(expected, observed).statistic) if np.ptp(expected) and np.ptp(observed) else np.nan,
    )


@dataclass(frozen=True)
class Expectation:
    """Whether expected cosines come true on average, every item of the population weighing the same.

    Attributes
    ----------
    expected, observed : float
        Means over the items.
    low, high : float
        The item mean of observed - expected is between these, whatever its law (`item_interval`).
    refuted : bool
        Whether 0 is not: on average the expected cosines do not come true.
    error, error_by_chance : float, optional
        Those of `reliability` over tenths of the items, a description with no guarantee; None for fewer than 20 items,
        the latter also where no tenth has two groups.
    """

    expected: float
    observed: float
    low: float
    high: float
    refuted: bool
    error: float | None
    error_by_chance: float | None

    def lines(self) -> list[str]:
        """What was found, in words."""
        verdict = "NOT REFUTED"
        if self.refuted:
            verdict = f"REFUTED, they are too {'high' if self.high < 0.0 else 'low'}"
        lines = [
            "Do the cosines that the translator expects come true?",
            f"  For the items held out it expected {self.expected:.4f} on average. Observed: {self.observed:.4f}.",
            f"  That they come true on average: {verdict}."
            f" Over all items the mean of observed less expected is between {at_least(self.low)} and"
            f" {at_most(self.high)}.",
        ]
        if self.error is not None:
            chance = "" if self.error_by_chance is None else f" Chance alone makes {self.error_by_chance:.4f}."
            lines.append(
                "  Not guaranteed: in tenths of the items, by expected cosine, the two means differ by"
                f" {self.error:.4f} on average.{chance}"
            )
        return lines


def judge_expectation(
    expected: ArrayLike,
    observed: ArrayLike,
    confidence: float,
    *,
    group: ArrayLike | None = None,
    largest_group: int | None = None,
    sizes: ArrayLike | None = None,
) -> Expectation:
    """Test whether expected cosines come true on average.

    Parameters
    ----------
    expected : (n,) array_like
        One an item, in [0, 1].
    observed : (n,) array_like
        The cosines of as many items, each the mean over the item's pairs.
    confidence : float
        Probability that the interval of the mean difference is right, in (0, 1).
    group : (n,) array_like, optional
        Labels; groups are independent of each other, their items need not be. None: all items are independent.
    largest_group : int, optional
        The most items that any group of the population has, needed where there are groups
        (`analysis.theory.betting.item_lower_limit`).
    sizes : (M,) array_like, optional
        How many items other groups have, none of which is here, as there.

    Returns
    -------
    Expectation
        The verdict, with its interval.

    Raises
    ------
    ValueError
        Arrays of different length, numbers that are no cosines, groups that `item_interval` refuses, a confidence
        outside (0, 1).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> expected = rng.uniform(0.4, 0.6, 1000)
    >>> print([judge_expectation(expected + shift, expected, 0.95).refuted for shift in (0.0, 0.2)])
    [False, True]
    """
    expected = in_range("expected", vector("expected", expected), low=0.0, high=1.0)
    observed = cosines("observed", observed)
    rows_agree(expected=expected, observed=observed)
    low, high = item_interval(
        observed - expected, group, confidence, largest_group=largest_group, sizes=sizes, low=-2.0, high=1.0
    )
    found = reliability(expected, observed, group) if len(expected) >= ENOUGH else None
    return Expectation(
        expected=float(expected.mean()),
        observed=float(observed.mean()),
        low=low,
        high=high,
        refuted=not low <= 0.0 <= high,
        error=found.error if found else None,
        error_by_chance=found.error_by_chance if found and np.isfinite(found.error_by_chance) else None,
    )
