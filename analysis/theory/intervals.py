r"""Means over items that come in groups, with an interval that respects the groups.

Rows of one group (variants of one picture, captions of one item) are not independent, so the group is the
unit. The mean over items is a ratio of sums over groups, with the variance

    G / (G - 1)  sum_g ( sum_{i in g} (x_i - mean) )^2 / n^2

(linearisation of the ratio; the CR1 sandwich of a regression on a constant) and the quantiles of Student's t
with G - 1 degrees of freedom. Assumption: the G groups are independent draws from one population, and enough
of them (some tens, none dominating) that the mean of their sums is nearly normal. The coverage is asymptotic;
guarantees at any sample size are in `analysis.theory.certify`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.theory.arrays import fraction, vector


@dataclass(frozen=True)
class Estimate:
    """A number with its two-sided interval.

    Attributes
    ----------
    value, low, high : float
        The estimate and the ends of its interval; the ends are NaN where there is only one group.
    confidence : float
        Nominal coverage, in (0, 1).
    groups : int
        G, how many independent units the interval rests on.
    """

    value: float
    low: float
    high: float
    confidence: float
    groups: int


def mean_interval(values: np.ndarray, group: np.ndarray | None = None, confidence: float = 0.95) -> Estimate:
    """Mean of `values` (n,) over items, with the cluster-robust t interval.

    Parameters
    ----------
    group : (n,) labels of any kind; None: every item is its own group.

    Raises
    ------
    ValueError
        Values that are not finite, wrong shapes, a confidence outside (0, 1).
    """
    values = vector("values", values)
    mean = float(values.mean())
    return linear_interval(mean, values - mean, group, confidence)


def linear_interval(
    value: float, influence: np.ndarray, group: np.ndarray | None = None, confidence: float = 0.95
) -> Estimate:
    """Interval of any statistic that is, to first order, its expectation plus the mean of `influence` (delta
    method).

    Parameters
    ----------
    influence : (n,), how far each item moves the statistic, n times over; its mean is zero.
    group, confidence : as for `mean_interval`.
    """
    fraction("confidence", confidence)
    influence = vector("influence", influence)
    labels = group_numbers(group, len(influence))
    sums = np.bincount(labels, influence)
    groups = len(sums)
    if groups < 2:
        return Estimate(value, np.nan, np.nan, confidence, groups)
    error = np.sqrt(groups / (groups - 1) * np.square(sums).sum()) / len(influence)
    half = float(stats.t.ppf(0.5 + confidence / 2.0, groups - 1) * error)
    return Estimate(value, value - half, value + half, confidence, groups)


def group_numbers(group: np.ndarray | None, n: int) -> np.ndarray:
    """Labels (n,) as numbers 0..G-1; every item its own group where None. ValueError for another length."""
    if group is None:
        return np.arange(n)
    group = np.asarray(group)
    if group.shape != (n,):
        raise ValueError(f"group: shape {group.shape}, allowed is ({n},), one label an item")
    return np.unique(group, return_inverse=True)[1]
