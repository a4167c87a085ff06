r"""Confidence limits of a probability, of a survival curve, of a mean, and of a mean over items that come in groups.

The first three are valid at every sample size and need no premise but independent data. `mean_interval` and
`linear_interval` are asymptotic: they ask for some tens of independent groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import brentq

from analysis.theory.arrays import Floats, cosines, fraction, in_range, vector


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
    fraction("confidence", confidence)
    if not (trials >= 1 and 0 <= successes <= trials):
        raise ValueError(f"successes: {successes} of {trials}, 0 to trials, and at least 1 trial, is needed")
    test = stats.binomtest(int(successes), int(trials), alternative="greater")
    return float(test.proportion_ci(confidence, method="exact").low)


@dataclass(frozen=True)
class SurvivalBand:
    """The observed survival curve P(cos >= x) of N cosines, and a band that holds the true one at all x at once.

    Attributes
    ----------
    cosine : (N,) array
        The observed cosines, ascending.
    half_width : float
        How far the true curve may be from the observed one.
    confidence : float
        Probability that it is nowhere farther.
    """

    cosine: Floats
    half_width: float
    confidence: float

    def observed(self, x: ArrayLike) -> Floats:
        """Share of the cosines that are at least x."""
        return 1.0 - np.searchsorted(self.cosine, x, side="left") / len(self.cosine)

    def low(self, x: ArrayLike) -> Floats:
        """Lower edge of the band at x, at least 0."""
        return np.maximum(self.observed(x) - self.half_width, 0.0)

    def high(self, x: ArrayLike) -> Floats:
        """Upper edge of the band at x, at most 1."""
        return np.minimum(self.observed(x) + self.half_width, 1.0)

    def guaranteed_cosine(self, q: float) -> float:
        """The largest observed alpha for which the band guarantees P(cos >= alpha) >= q; -1 where there is none."""
        fraction("q", q)
        reachable = self.cosine[self.low(self.cosine) >= q]
        return float(reachable[-1]) if reachable.size else -1.0


def survival_band(cosine: ArrayLike, confidence: float = 0.95) -> SurvivalBand:
    """The band of independent cosines, with the half width sqrt(log(2 / (1 - confidence)) / (2 N)).

    Parameters
    ----------
    cosine : (N,) array_like
        In [-1, 1], in any order.
    confidence : float
        In (0, 1).

    Returns
    -------
    SurvivalBand
        The observed curve with its band.

    Raises
    ------
    ValueError
        A number that is no cosine, a confidence outside (0, 1).

    References
    ----------
    .. [1] A. Dvoretzky, J. Kiefer and J. Wolfowitz, Annals of Mathematical Statistics 27 (1956).
    .. [2] P. Massart, The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality, Annals of Probability 18 (1990).

    Examples
    --------
    >>> band = survival_band(np.arange(100) / 100)
    >>> print(round(band.half_width, 3), band.guaranteed_cosine(0.5))
    0.136 0.36
    """
    cosine = cosines("cosine", cosine)
    half_width = np.sqrt(np.log(2.0 / (1.0 - fraction("confidence", confidence))) / (2.0 * len(cosine)))
    return SurvivalBand(cosine, float(half_width), confidence)


def betting_interval(values: ArrayLike, lowest: float, highest: float, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of the mean of independent values, whatever their law.

    Parameters
    ----------
    values : (N,) array_like
        Their order matters little, but must not depend on them.
    lowest, highest : float
        What the values can be.
    confidence : float
        In (0, 1).

    Returns
    -------
    low, high : float
        With probability `confidence` or more the mean is between these.

    Raises
    ------
    ValueError
        A value outside [lowest, highest], a confidence outside (0, 1).

    Notes
    -----
    A gambler bets against each mean m in turn. A capital that begins at 1 and is multiplied by 1 + b_i (x_i - m) is
    fair if m is the mean and the stake b_i was fixed before x_i was seen. It then ever reaches 2 / (1 - confidence)
    with probability (1 - confidence) / 2 at most [1]_. The interval holds the means that are refuted on neither side.

    For values that are moved to [0, 1], the stakes are b_i = min(sqrt(2 g / (N v_i)), .75 / m), with
    g = log(2 / (1 - confidence)) and v_i the variance of the values before the i-th, kept from 0 [2]_.

    References
    ----------
    .. [1] J. Ville, Etude critique de la notion de collectif (1939).
    .. [2] I. Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting, arXiv:2010.09686.

    Examples
    --------
    >>> low, high = betting_interval(np.tile([0.4, 0.6], 500), 0.0, 1.0)
    >>> print(round(low, 3), round(high, 3))
    0.491 0.509
    """
    values = vector("values", values)
    if not (lowest <= values.min() and values.max() <= highest and lowest < highest):
        raise ValueError(f"values: {values.min()} to {values.max()}, {lowest} to {highest} is needed")
    goal = np.log(2.0 / (1.0 - fraction("confidence", confidence)))
    x = (values - lowest) / (highest - lowest)
    seen = np.arange(1, len(x) + 1)

    def lowest_mean(x: Floats) -> float:
        mean = (0.5 + x.cumsum()) / (seen + 1)
        variance = (0.25 + np.square(x - mean).cumsum()) / (seen + 1)
        before = np.concatenate([[0.25], variance[:-1]])
        return _lowest_mean(x, np.sqrt(2.0 * goal / (len(x) * before)), 0.75, goal, at_any_time=True)

    low, high = lowest_mean(x), 1.0 - lowest_mean(1.0 - x)
    return lowest + (highest - lowest) * low, lowest + (highest - lowest) * high


def lower_mean_limit(values: ArrayLike, confidence: float, *, low: float, high: float) -> float:
    """One-sided lower limit of the mean of independent values in [low, high], whatever their law.

    Parameters
    ----------
    values : (N,) array_like
        Their order must not depend on them.
    confidence : float
        In (0, 1).
    low, high : float
        What the values can be.

    Returns
    -------
    float
        The limit. With probability `confidence` or more the mean is at least this.

    Raises
    ------
    ValueError
        A value outside [low, high], a confidence outside (0, 1).

    Notes
    -----
    The bets are those of `betting_interval`, against too small a mean alone, and only the capital after the last bet
    counts. The stakes are b_i = min(sqrt(2 g i / (N (.01 + S_i))), .9 / m), with g = log(1 / (1 - confidence)) and S_i
    the summed squared deviations of the values before the i-th.

    References
    ----------
    I. Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting, arXiv:2010.09686, section 4.

    Examples
    --------
    >>> round(lower_mean_limit(np.tile([0.4, 0.6], 500), 0.95, low=0.0, high=1.0), 3)
    0.492
    """
    goal = np.log(1.0 / (1.0 - fraction("confidence", confidence)))
    x = (in_range("values", vector("values", values), low=low, high=high) - low) / (high - low)
    seen = np.arange(1, x.size + 1)
    mean = np.concatenate([[0.5], np.cumsum(x)[:-1] / seen[:-1]])  # of the values before the i-th
    spread = np.concatenate([[0.0], np.cumsum((x - mean) ** 2)[:-1]])
    stakes = np.sqrt(2.0 * goal * seen / (x.size * (0.01 + spread)))
    return low + (high - low) * _lowest_mean(x, stakes, 0.9, goal, at_any_time=False)


def _lowest_mean(x: Floats, stakes: Floats, boldest: float, goal: float, *, at_any_time: bool) -> float:
    """The smallest m for which bets on x (N,), in [0, 1], against the mean m do not reach the log capital `goal`."""

    def surplus(m: float) -> float:
        capital = np.log1p(np.minimum(stakes, boldest / m) * (x - m)).cumsum()  # log of prod_i (1 + b_i (x_i - m))
        return float(capital.max() if at_any_time else capital[-1]) - goal

    least = 1e-9
    return float(brentq(surplus, least, 1.0, xtol=1e-12)) if surplus(least) > 0.0 else 0.0


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
    fraction("confidence", confidence)
    influence = vector("influence", influence)
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
    group = np.asarray(group)
    if group.shape != (n,):
        raise ValueError(f"group: shape {group.shape}, ({n},), one label an item, is needed")
    return np.unique(group, return_inverse=True)[1]
