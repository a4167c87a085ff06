r"""Confidence limits of the mean of bounded values, of items that may come in groups, by betting.

They are valid at every sample size and for every law. Let group g have N_g items, whose values in [0, 1] sum to S_g,
and let N_max be the most items that a group can have. A gambler doubts that the **item mean** E[S_g] / E[N_g] is p. He
bets on every group at fixed odds, so that his capital, 1 before the first group, is multiplied by

    1 + lambda (S_g - p N_g),    lambda = c / (p N_max),    0 <= c < 1.                                             (1)

If the item mean is p or less, E[S_g - p N_g] <= 0, and one group multiplies the capital by 1 or less on average. This
holds whatever the group's size has to do with its values, since both are inside one expectation and lambda is fixed.
As S_g >= 0 and N_g <= N_max, the factor is never negative. With independent groups the capital is then a
non-negative supermartingale, and so is the mean over several gamblers with stakes c_1, ..., c_J of their own,

    K(p) = 1/J sum_j prod_g (1 + c_j (S_g / p - N_g) / N_max).                                                      (2)

K reaches 1 / delta with probability delta at most: after the last group (Markov), and at any time (Ville [1]_). The
lower limit is the smallest p with K(p) < 1 / delta. K falls in p, so that there is one crossing. The product in (2) has
no order, and nothing is drawn: the limit is the same for every order of the groups.

The stakes may depend on how many groups there will be, but not on the values. The best single stake for n groups is
about sqrt(2 log(1 / delta) / n) times p N_max over the standard deviation of S_g - p N_g, which is not known. That
deviation is of the order of p N_rms, where N_rms^2 = E[N_g^2]. So the stakes are centred at a multiple of
sqrt(2 log(1 / delta) / n) N_max / N_rms, and spread by the quantiles of a logistic law of their logarithm. Where most
groups are small and one is large, N_max / N_rms is far above 1, and timid stakes would win little.

N_rms is that of **other** groups' sizes, such as those of the pair set's groups that are not held out, or else N_max.
The other groups are independent of these. Given them the stakes are fixed, so that (1) and (2) hold given them, and
so without that condition. A wrong N_rms makes the limit less sharp; it stays valid.

References
----------
.. [1] J. Ville, Etude critique de la notion de collectif (1939).
.. [2] I. Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting, arXiv:2010.09686;
   section 4 for stakes that follow the values, appendix for mixtures.
.. [3] Y. Lee, R. F. Barber and R. Willett, Distribution-free inference with hierarchical data, arXiv:2306.06342.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from analysis.theory.arrays import Floats, fraction, in_range, number, rows_agree, shared, small_is_zero, vector
from analysis.theory.confidence import group_numbers, lower_limit
from modtrans_core.checks import whole as whole_number

STAKES = 24
SPREAD = 0.7  # of the stakes' logarithm, scale of the logistic law
CENTRE = 2.0  # median of the stakes, in sqrt(2 log(1 / delta) / n) N_max / N_rms
BOLDEST = 0.99  # below 1, so that no group takes the whole capital
LEAST = 1e-9  # smaller limits are 0
STEPS = 1000  # of `running_limits`, which are multiples of 1 / STEPS of the range
GROUPS = 512  # whose capital at every step is held at once


def item_lower_limit(
    values: ArrayLike,
    group: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    largest_group: int | None = None,
    sizes: ArrayLike | None = None,
) -> float:
    """One-sided lower limit of the item mean E[S_g] / E[N_g], every item of the population weighing the same.

    Parameters
    ----------
    values : (n,) array_like
        One number an item, in [0, 1], such as the share of the item's pairs that reach a cosine.
    group : (n,) array_like, optional
        Labels of any kind. Groups are independent of each other, their items need not be. None: all items are
        independent.
    confidence : float
        In (0, 1).
    largest_group : int, optional
        N_max: the most items that any group of the population has, known without looking at which groups were drawn.
        It is needed where there are groups.
    sizes : (M,) array_like, optional
        How many items other groups have, none of which is here: they make the limit sharper where most groups are much
        smaller than `largest_group`. None: all may be as large as that.

    Returns
    -------
    float
        The limit. With probability `confidence` or more, the item mean is at least this.

    Raises
    ------
    ValueError
        A value outside [0, 1], a group of more than `largest_group` items, groups without `largest_group`, a size
        below 1, a confidence outside (0, 1).

    Notes
    -----
    The limit is that of the bets (2) in `analysis.theory.betting`. Where `values` are of type bool and no group can
    have more than one item, it is `lower_limit` (Clopper and Pearson), which is sharper. The type decides, not the
    values found: a rule that looks at them first would have two chances to miss.

    Examples
    --------
    >>> print(round(item_lower_limit(np.arange(100) < 80), 3))  # Clopper and Pearson
    0.723
    >>> reached = [1, 1, 0, 1, 1, 1] * 50
    >>> print(round(item_lower_limit(reached, np.arange(300) // 3, largest_group=3), 3))
    0.786

    A group may have 60 items. That others have 3, but for one, makes the stakes bolder.

    >>> print(round(item_lower_limit(reached, np.arange(300) // 3, largest_group=60), 3))
    0.459
    >>> print(round(item_lower_limit(reached, np.arange(300) // 3, largest_group=60, sizes=[3] * 199 + [60]), 3))
    0.512
    """
    binary = np.asarray(values).dtype == bool
    values = in_range("values", vector("values", values), low=0.0, high=1.0)
    confidence = fraction("confidence", confidence)
    sums, counts, largest = group_sums(values, group, largest_group)
    if binary and largest == 1:
        return lower_limit(int(values.sum()), len(values), confidence)
    return _limit(sums, counts, largest, confidence, boldness(largest, sizes))


def ratio_lower_limit(
    part: ArrayLike,
    whole: ArrayLike,
    group: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    largest_group: int | None = None,
) -> float:
    """One-sided lower limit of the ratio of two means, E[A_g] / E[B_g], of paired values summed over each group.

    Parameters
    ----------
    part : (n,) array_like
        One number an item, 0 or more: such as whether a second ranking finds it.
    whole : (n,) array_like
        One number an item, in [0, 1], not all 0: whether the first ranking finds it.
    group, confidence, largest_group
        As for `item_lower_limit`.

    Returns
    -------
    float
        The limit, which can be above 1. With probability `confidence` or more, the ratio is at least this.

    Raises
    ------
    ValueError
        A value out of its range, lengths that differ, all of `whole` 0, and as for `item_lower_limit`.

    Notes
    -----
    These are the bets (2) with A_g for S_g and B_g for N_g. They ask that A_g >= 0 and 0 <= B_g <= N_max and that, if
    the ratio is p or less, E[A_g - p B_g] <= 0; nothing else. The capital falls in every B_g. So upper bounds of the
    values `whole`, which may depend on anything, give a limit that is no higher: it is still valid, and less sharp.

    Examples
    --------
    Of 1000 queries, the first ranking finds 800, the second 760 of those and 20 others.

    >>> whole, part = np.arange(1000) < 800, (np.arange(1000) < 760) | (np.arange(1000) >= 980)
    >>> print(round(ratio_lower_limit(part, whole), 3))
    0.945
    """
    part = in_range("part", vector("part", part), low=0.0)
    whole = in_range("whole", vector("whole", whole), low=0.0, high=1.0)
    rows_agree(part=part, whole=whole)
    if not whole.any():
        raise ValueError("whole: 0 everywhere, one value above that is needed")
    first, _, largest = group_sums(part, group, largest_group)
    second, _, _ = group_sums(whole, group, largest_group)
    return _limit(first, second, largest, fraction("confidence", confidence))


def item_interval(
    values: ArrayLike,
    group: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    largest_group: int | None = None,
    sizes: ArrayLike | None = None,
    low: float,
    high: float,
) -> tuple[float, float]:
    """Two-sided interval of the item mean of bounded values, whatever their law.

    Parameters
    ----------
    values : (n,) array_like
        One number an item, in [low, high].
    group, confidence, largest_group, sizes
        As for `item_lower_limit`.
    low, high : float
        What the values can be.

    Returns
    -------
    low, high : float
        With probability `confidence` or more, the item mean is between these. Half of the rest is on either side.

    Raises
    ------
    ValueError
        As for `item_lower_limit`; a value outside [low, high].

    Examples
    --------
    >>> least, most = item_interval(np.tile([0.4, 0.6], 500), low=0.0, high=1.0)
    >>> print(round(least, 3), round(most, 3))
    0.49 0.51
    """
    one_side = shared(confidence, 2)
    x, low, high = _unit(values, low, high)
    sums, counts, largest = group_sums(x, group, largest_group)
    scale = boldness(largest, sizes)
    least = _limit(sums, counts, largest, one_side, scale)
    most = 1.0 - _limit(counts - sums, counts, largest, one_side, scale)
    return low + (high - low) * least, low + (high - low) * most


def lower_mean_limit(values: ArrayLike, confidence: float, *, low: float, high: float) -> float:
    """One-sided lower limit of the mean of independent values in [low, high], whatever their law.

    Parameters
    ----------
    values : (N,) array_like
        Such as the means of independent groups: the limit is then that of the mean over groups, each weighing the
        same.
    confidence : float
        In (0, 1).
    low, high : float
        What the values can be.

    Returns
    -------
    float
        The limit. With probability `confidence` or more, the mean is at least this.

    Raises
    ------
    ValueError
        A value outside [low, high], a confidence outside (0, 1).

    Examples
    --------
    >>> round(lower_mean_limit(np.tile([0.4, 0.6], 500), 0.95, low=0.0, high=1.0), 3)
    0.491
    """
    x, low, high = _unit(values, low, high)
    return low + (high - low) * _limit(x, np.ones(len(x)), 1, fraction("confidence", confidence))


@small_is_zero
def running_limits(
    values: ArrayLike,
    group: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    horizon: int,
    largest_group: int | None = None,
    low: float = 0.0,
    high: float = 1.0,
) -> Floats:
    """Lower limits of the item mean after each group, which may be looked at as the groups come in.

    Parameters
    ----------
    values, group, confidence, largest_group
        As for `item_interval`, in the order in which they came. The groups are ordered by their first items.
    horizon : int
        For how many groups the stakes are best, at least 1. It must not be changed on the way; fewer or more groups
        leave the limits valid.
    low, high : float
        What the values can be.

    Returns
    -------
    (G,) array
        The limit after each of the G groups, never falling, a multiple of (high - low) / `STEPS` above `low`. With
        probability `confidence` or more **all** of them are at most the item mean, however many groups come and
        whatever makes one stop.

    Raises
    ------
    ValueError
        As for `item_interval`; a horizon below 1.

    Notes
    -----
    Ville's inequality bounds the probability that the capital (2) ever reaches 1 / (1 - confidence). A mean that was
    refuted once stays refuted. Each group has to have the item mean as its own, given the groups before it.

    Examples
    --------
    >>> print(running_limits(np.ones(40), horizon=40)[[0, 4, 9, 39]])
    [0.034 0.488 0.696 0.913]
    """
    horizon = whole_number("horizon", horizon, 1)
    delta = 1.0 - fraction("confidence", confidence)
    x, low, high = _unit(values, low, high)
    sums, counts, largest = group_sums(x, _by_arrival(group, len(x)), largest_group)
    p = np.arange(1, STEPS + 1) / STEPS
    won_before = np.zeros((STAKES, STEPS))
    refuted = np.empty(len(sums), dtype=np.int64)
    for start in range(0, len(sums), GROUPS):
        part = slice(start, start + GROUPS)
        growth = sums[part, None] / p - counts[part, None]
        capital = np.full(growth.shape, -np.inf)
        for before, stake in zip(won_before, _stakes(horizon, delta), strict=True):
            won = np.log1p(stake / largest * growth)
            won[0] += before
            before[:] = won.cumsum(axis=0, out=won)[-1]
            capital = np.logaddexp(capital, won)
        # the capital falls in p: the first so many of the steps
        refuted[part] = (capital >= np.log(STAKES / delta)).sum(axis=1)
    return low + (high - low) * np.maximum.accumulate(refuted) / STEPS


def reaches(
    p: float,
    sums: np.ndarray,
    counts: Floats,
    largest: int,
    confidence: float,
    scale: float = 1.0,
    *,
    best_at: float | None = None,
) -> bool:
    """Whether the lower limit of the item mean, by bets on S_g (G,) and N_g (G,), is p or more.

    The stakes are those of the confidence `best_at`, if it is given. With one of them for several confidences, what is
    reached at one is reached at every lower one too.
    """
    stakes = _stakes(len(sums), 1.0 - (confidence if best_at is None else best_at), scale)
    return _log_capital(p, sums, counts / largest, largest, stakes) >= -np.log(1.0 - confidence)


def boldness(largest: int, sizes: ArrayLike | None) -> float:
    """N_max / N_rms, 1 or more, of other groups' sizes (M,); 1 where they are not known."""
    if sizes is None:
        return 1.0
    other = in_range("sizes", vector("sizes", sizes), low=1.0, high=2.0**53)
    return max(1.0, largest / float(np.sqrt(np.mean(other**2))))


def _limit(sums: Floats, counts: Floats, largest: int, confidence: float, scale: float = 1.0) -> float:
    """inf{p : K(p) < 1 / (1 - confidence)}; K is below 1 where p is the observed mean."""
    delta = 1.0 - confidence
    stakes, counts = _stakes(len(sums), delta, scale), counts / largest

    def surplus(p: float) -> float:
        return _log_capital(p, sums, counts, largest, stakes) + np.log(delta)

    mean = float(sums.sum() / (counts.sum() * largest))
    if mean <= LEAST or surplus(LEAST) <= 0.0:
        return 0.0
    if surplus(mean) >= 0.0:  # to rounding, of a confidence near 0
        return mean
    return float(brentq(surplus, LEAST, mean, xtol=1e-12))


@small_is_zero
def _log_capital(p: float, sums: np.ndarray, counts: Floats, largest: int, stakes: Floats) -> float:
    """log K(p) of (2), for counts that are divided by `largest`."""
    with np.errstate(over="ignore"):  # to infinity, where p is next to nothing
        won = np.log1p(stakes[:, None] * (sums / (p * largest) - counts)).sum(axis=1)
    return float(np.logaddexp.reduce(won) - np.log(len(stakes)))


def _stakes(groups: int, delta: float, scale: float = 1.0) -> Floats:
    """c_1 to c_J, ascending, for so many groups and N_max / N_rms = scale."""
    quantile = (np.arange(STAKES) + 0.5) / STAKES
    centre = CENTRE * scale * np.sqrt(-2.0 * np.log(delta) / groups)
    return np.minimum(centre * (quantile / (1.0 - quantile)) ** SPREAD, BOLDEST)


def group_sums(values: Floats, group: ArrayLike | None, largest_group: int | None) -> tuple[Floats, Floats, int]:
    """S_g (G,), N_g (G,) and N_max; ValueError where N_max is needed and missing, or less than one of N_g."""
    if largest_group is None:
        if group is not None:
            raise ValueError("largest_group: none, the most items that any group of the population has is needed")
        largest_group = 1
    largest_group = whole_number("largest_group", largest_group, 1)
    labels = group_numbers(group, len(values))
    counts = np.bincount(labels).astype(np.float64)
    if counts.max() > largest_group:
        raise ValueError(
            f"largest_group: {largest_group}, at least {int(counts.max())}, the largest group here, is needed"
        )
    return np.bincount(labels, values).astype(np.float64), counts, largest_group


def _by_arrival(group: ArrayLike | None, n: int) -> np.ndarray | None:
    """Labels as numbers in the order of their first items."""
    if group is None:
        return None
    labels = group_numbers(group, n)
    return np.argsort(np.argsort(np.unique(labels, return_index=True)[1]))[labels]


def _unit(values: ArrayLike, low: float, high: float) -> tuple[Floats, float, float]:
    """Values in [low, high], moved to [0, 1], and the ends."""
    low, high = number("low", low, low=-1e140, high=1e140), number("high", high, low=-1e140, high=1e140)
    if not low < high:
        raise ValueError(f"low: {low}, below high, {high}, is needed")
    return (in_range("values", vector("values", values), low=low, high=high) - low) / (high - low), low, high
