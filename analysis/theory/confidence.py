"""Confidence limits of a probability of independent trials, and of a mean over items that come in groups.

`lower_limit` is valid at every sample size. `mean_interval` and `linear_interval` are asymptotic: they ask for some
tens of independent groups. Limits of means that are valid at every sample size are in `analysis.theory.betting`, those
of quantiles and of the whole survival curve in `analysis.theory.survival`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from analysis.theory.arrays import fraction, number, refuse_extremes, vector
from modtrans_core.checks import whole


def lower_limit(successes: int, trials: int, confidence: float = 0.95) -> float:
    """One-sided lower limit of a probability of which so many trials succeeded (Clopper and Pearson).

    Parameters
    ----------
    successes, trials : int
        k of N, with 0 <= k <= N and N at least 1. The trials are independent.
    confidence : float
        In (0, 1).

    Returns
    -------
    float
        The limit. With probability `confidence` or more the true probability is at least this.

    Raises
    ------
    ValueError
        successes outside 0 to trials, no trial, a confidence outside (0, 1).

    Notes
    -----
    The limit is the p at which P(Binomial(N, p) >= k) = 1 - confidence, and 0 where k = 0.

    References
    ----------
    C. J. Clopper and E. S. Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial,
    Biometrika 26 (1934).

    Examples
    --------
    >>> round(lower_limit(10, 10), 4)  # 0.05^(1/10)
    0.7411
    """
    confidence = fraction("confidence", confidence)
    n = whole("trials", trials, 1, 2**53)
    k = whole("successes", successes, 0, n, "the number of trials")
    return float(special.betainccinv(k, n - k + 1, confidence)) if k else 0.0


@dataclass(frozen=True)
class Estimate:
    """A number with its two-sided interval.

    Attributes
    ----------
    value, low, high : float
        The estimate and the ends of its interval. The ends are NaN where there is only one group.
    confidence : float
        Nominal coverage, in (0, 1).
    groups : int
        How many independent groups the interval rests on.
    """

    value: float
    low: float
    high: float
    confidence: float
    groups: int


def mean_interval(values: ArrayLike, group: ArrayLike | None = None, confidence: float = 0.95) -> Estimate:
    """Mean over items, with an interval that respects their groups.

    Parameters
    ----------
    values : (n,) array_like
        One number an item.
    group : (n,) array_like, optional
        Labels of any kind. Items of one group, such as variants of one picture, are not independent of each other.
        None: every item is its own group.
    confidence : float
        In (0, 1).

    Returns
    -------
    Estimate
        The mean, every item weighing the same.

    Raises
    ------
    ValueError
        Values that are not finite, wrong shapes, a confidence outside (0, 1).

    Notes
    -----
    With G groups the mean is a ratio of sums over groups. Its variance is, after linearisation of the ratio,

        G / (G - 1)  sum_g ( sum_{i in g} (x_i - mean) )^2 / n^2,                                                    (1)

    the CR1 sandwich of a regression on a constant, and the interval takes the quantiles of Student's t with G - 1
    degrees of freedom. It is assumed that the groups are independent draws from one population, and that there are
    enough of them (some tens, none dominating) for the mean of their sums to be nearly normal.

    Examples
    --------
    >>> found = mean_interval([0.2, 0.2, 0.6, 0.8], group=["a", "a", "b", "c"])
    >>> print(round(found.value, 3), round(found.low, 3), round(found.high, 3), found.groups)
    0.45 -0.378 1.278 3
    """
    values = vector("values", values)
    refuse_extremes(values=values)
    mean = float(values.mean())
    return linear_interval(mean, values - mean, group, confidence)


def linear_interval(
    value: float, influence: ArrayLike, group: ArrayLike | None = None, confidence: float = 0.95
) -> Estimate:
    """Interval of a statistic that is, to first order, its expectation plus the mean of `influence` (delta method).

    Parameters
    ----------
    value : float
        The statistic.
    influence : (n,) array_like
        n times how far each item moves the statistic; its mean is zero.
    group, confidence
        As for `mean_interval`.

    Returns
    -------
    Estimate
        `value` with the interval of `mean_interval`.

    Raises
    ------
    ValueError
        As for `mean_interval`.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0, 6.0])  # log of the mean: an item moves it by (x - mean) / mean
    >>> found = linear_interval(np.log(x.mean()), x / x.mean() - 1)
    >>> print(round(found.low, 2), round(found.high, 2))
    -0.05 2.24
    """
    confidence = fraction("confidence", confidence)
    value, influence = number("value", value), vector("influence", influence)
    refuse_extremes(influence=influence)
    labels = group_numbers(group, len(influence))
    sums = np.bincount(labels, influence)
    groups = len(sums)
    if groups < 2:
        return Estimate(value, np.nan, np.nan, confidence, groups)
    error = np.sqrt(groups / (groups - 1) * np.square(sums).sum()) / len(influence)  # (1)
    half = float(stats.t.ppf(0.5 + confidence / 2.0, groups - 1) * error)
    return Estimate(value, value - half, value + half, confidence, groups)


def group_numbers(group: ArrayLike | None, n: int) -> np.ndarray:
    """Labels (n,) of any kind as numbers 0 to G - 1, or 0 to n - 1 for None; ValueError for another length."""
    if group is None:
        return np.arange(n)
    return kinds_of("group", group, n)[1]


def kinds_of(name: str, labels: ArrayLike, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The different ones among labels (n,) of one kind, and the number of each label among them, (n,).

    Raises
    ------
    ValueError
        Another length; labels that are missing, which numpy would take for one.
    """
    # of a list with text in it numpy would make text, NaN and numbers too; its own texts can be missing
    known = hasattr(labels, "dtype") and getattr(labels.dtype, "kind", "") != "T"
    found = np.asarray(labels, dtype=None if known else object)
    if found.shape != (n,):
        raise ValueError(f"{name}: shape {found.shape}, ({n},), one label an item, is needed")
    try:
        if np.ma.is_masked(labels) or (found != found).any() or None in found.tolist():
            raise ValueError(f"{name}: NaN, None or masked, a label of every item is needed")
        return np.unique(found, return_inverse=True)
    except TypeError:
        raise ValueError(f"{name}: labels of several kinds, labels of one kind are needed") from None
