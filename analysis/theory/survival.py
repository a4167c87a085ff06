r"""Which cosine a share of the pairs reaches, and the whole survival curve P(cos >= x), with their confidence.

For N independent cosines everything is exact, since N values of P(cos >= x) at the observed cosines are, sorted, the
order statistics of N uniform numbers: the j-th is Beta(j, N + 1 - j).

* `quantile_limit`: one level q.
* `survival_band`: all levels at once. The **equal-precision** band gives every order statistic the same probability
  eta of being too low and the same of being too high; it inverts the statistic of Berk and Jones [1]_ in its exact
  form [2]_. eta is found from the probability that a uniform sample stays inside the band (`inside_probability`).

Pairs of items that come in groups are not independent. `item_quantile_limit` and `item_survival_band` are about the
probability for an item of the population, every item weighing the same, and use the bets of `analysis.theory.betting`.

References
----------
.. [1] R. H. Berk and D. H. Jones, Goodness-of-fit test statistics that dominate the Kolmogorov statistics, Zeitschrift
   fuer Wahrscheinlichkeitstheorie und verwandte Gebiete 47 (1979).
.. [2] A. Moscovich, B. Nadler and C. Spiegelman, On the exact Berk-Jones statistics and their p-value calculation,
   Electronic Journal of Statistics 10 (2016), arXiv:1311.3190.
.. [3] A. Moscovich and B. Nadler, Fast calculation of boundary crossing probabilities for Poisson processes, Statistics
   and Probability Letters 123 (2017), arXiv:1503.04363.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats
from scipy.optimize import brentq

from analysis.theory.arrays import Floats, cosines, fraction, in_range, rows_agree, shared, small_is_zero, vector
from analysis.theory.betting import boldness, group_sums, reaches
from analysis.theory.confidence import group_numbers
from modtrans_core.checks import whole

RANKS = 2000  # most order statistics that bound a band; between them it is monotone
LEVELS = 20  # of the band of grouped data, between 0 and 1
CERTAIN = 1e-9  # 1 - confidence, from which on `inside_probability` has digits enough for the equal-precision band


def quantile_limit(cosine: ArrayLike, q: float, confidence: float = 0.95) -> float:
    """The largest observed x for which P(cos >= x) >= q is certain enough; exact.

    Parameters
    ----------
    cosine : (N,) array_like
        Independent cosines, in [-1, 1].
    q : float
        Share that shall reach x, in (0, 1).
    confidence : float
        In (0, 1).

    Returns
    -------
    float
        x, or -1 where there are too few cosines. With probability `confidence` or more P(cos >= x) is at least q.

    Raises
    ------
    ValueError
        A number that is no cosine, q or a confidence outside (0, 1).

    Notes
    -----
    x is the (k + 1)-th smallest cosine, with k the largest number for which P(Binomial(N, 1 - q) <= k) is at most
    1 - confidence. Let x* be the point beyond which fewer than q reach. If x > x*, only k cosines or fewer are at most
    x*; but each is so with probability 1 - q or more.

    References
    ----------
    H. A. David and H. N. Nagaraja, Order statistics (2003), section 7.1.

    Examples
    --------
    >>> quantile_limit(np.arange(100) / 100, 0.5)  # P(Binomial(100, 1/2) <= 41) = .044
    0.41
    """
    cosine = np.sort(cosines("cosine", cosine))
    allowed = 1.0 - fraction("confidence", confidence)
    below = stats.binom.cdf(np.arange(len(cosine)), len(cosine), 1.0 - fraction("q", q)) <= allowed
    return float(cosine[below.sum() - 1]) if below.any() else -1.0  # entry k is the (k + 1)-th smallest


def item_quantile_limit(
    cosine: ArrayLike,
    item: ArrayLike | None,
    group: ArrayLike | None,
    q: float,
    confidence: float = 0.95,
    *,
    largest_group: int | None = None,
    sizes: ArrayLike | None = None,
) -> float:
    """The largest observed x for which E[share of an item's pairs with cos >= x] >= q is certain enough.

    Parameters
    ----------
    cosine : (P,) array_like
        One a pair, in [-1, 1].
    item, group : (P,) array_like, optional
        Labels of each pair's item and group, of any kind. Groups are independent of each other. None: every pair is its
        own item, every item its own group.
    q : float
        Share that shall reach x, in (0, 1). Every item of the population weighs the same, and so does every pair of an
        item.
    confidence : float
        In (0, 1).
    largest_group : int, optional
        The most items that any group of the population has, as for `analysis.theory.betting.item_lower_limit`.
    sizes : (M,) array_like, optional
        How many items other groups have, none of which is here, as there.

    Returns
    -------
    float
        x, or -1 where there are too few groups. It is that of `quantile_limit` where neither items nor groups are
        given.

    Raises
    ------
    ValueError
        A number that is no cosine, labels of another length, an item in two groups, a group of more than
        `largest_group` items, groups without `largest_group`, q or a confidence outside (0, 1).

    Notes
    -----
    It is the largest x at which `item_lower_limit` of the shares is q or more. Both fall in x, so that one confidence
    is enough for the search: where x is too large, the limit is also too high at a point just beyond the true one.

    Examples
    --------
    >>> cosine = np.arange(300) / 300
    >>> print(round(item_quantile_limit(cosine, None, np.arange(300) % 100, 0.5, largest_group=3), 3))
    0.453
    """
    q, confidence = fraction("q", q), fraction("confidence", confidence)
    if item is None and group is None:
        return quantile_limit(cosine, q, confidence)
    return _ItemPairs(cosine, item, group, largest_group, sizes).quantile_limit(q, confidence)


@dataclass(frozen=True)
class SurvivalBand:
    """An observed survival curve P(cos >= x), and a band that holds the true one at all x at once.

    Attributes
    ----------
    cosine : (m,) array
        The observed cosines, ascending.
    share, lower, upper : (m + 1,) arrays
        The observed curve and the edges of the band, in [0, 1]. Entry k holds for x above cosine k - 1 and up to
        cosine k, the first for all x up to the smallest cosine, and the last for all x above the largest.
    confidence : float
        Probability that the true curve is nowhere outside.
    """

    cosine: Floats
    share: Floats
    lower: Floats
    upper: Floats
    confidence: float

    def observed(self, x: ArrayLike) -> Floats:
        """Share of the cosines that are at least x."""
        return self.share[np.searchsorted(self.cosine, x, side="left")]

    def low(self, x: ArrayLike) -> Floats:
        """Lower edge of the band at x."""
        return self.lower[np.searchsorted(self.cosine, x, side="left")]

    def high(self, x: ArrayLike) -> Floats:
        """Upper edge of the band at x."""
        return self.upper[np.searchsorted(self.cosine, x, side="left")]


def survival_band(cosine: ArrayLike, confidence: float = 0.95) -> SurvivalBand:
    """The equal-precision band of independent cosines; exact.

    Parameters
    ----------
    cosine : (N,) array_like
        In [-1, 1], in any order.
    confidence : float
        In (0, 1).

    Returns
    -------
    SurvivalBand
        The observed curve with its band. Where cosines are tied the band is still valid.

    Raises
    ------
    ValueError
        A number that is no cosine, a confidence outside (0, 1).

    Notes
    -----
    The j-th largest cosine has P(cos >= x) at the j-th of N sorted uniform numbers. The band keeps each of these
    between its quantiles of eta and 1 - eta, with eta such that all are inside with probability `confidence`. With
    more than `RANKS` cosines so many of the order statistics are kept so, closest together at either end. Where
    1 - confidence is below `CERTAIN`, eta is that of Bonferroni's inequality: the band is still valid, and wider.

    Examples
    --------
    >>> band = survival_band(np.arange(100) / 100)
    >>> print(band.low([0.02, 0.5]).round(3), band.high([0.5, 0.98]).round(3))
    [0.894 0.346] [0.654 0.106]
    """
    cosine, confidence = np.sort(cosines("cosine", cosine)), fraction("confidence", confidence)
    lower, upper = _equal_precision(len(cosine), confidence)
    share = np.arange(len(cosine), -1, -1) / len(cosine)
    return SurvivalBand(cosine, share, lower, upper, confidence)


def item_survival_band(
    cosine: ArrayLike,
    item: ArrayLike | None = None,
    group: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    largest_group: int | None = None,
    sizes: ArrayLike | None = None,
) -> SurvivalBand:
    """A band for the curve x -> E[share of an item's pairs with cos >= x], every item weighing the same.

    Parameters
    ----------
    cosine, item, group, confidence, largest_group, sizes
        As for `item_quantile_limit`.

    Returns
    -------
    SurvivalBand
        That of `survival_band` where neither items nor groups are given.

    Raises
    ------
    ValueError
        As for `item_quantile_limit`.

    Notes
    -----
    At each of `LEVELS` shares q there is a limit on either side (`item_quantile_limit`), each at confidence
    1 - (1 - confidence) / (2 LEVELS) (Bonferroni). Between them the band is monotone.

    Examples
    --------
    >>> band = item_survival_band(np.arange(300) / 300, group=np.arange(300) % 100, largest_group=3)
    >>> print(band.low([0.1, 0.5]).round(3), band.high([0.5, 0.9]).round(3))
    [0.81  0.429] [0.571 0.19 ]
    """
    if item is None and group is None:
        return survival_band(cosine, confidence)
    confidence = fraction("confidence", confidence)
    each = shared(confidence, 2 * LEVELS)
    pairs = _ItemPairs(cosine, item, group, largest_group, sizes)
    found = pairs.found
    weight = np.bincount(np.searchsorted(found, pairs.cosine), pairs.weight)
    share = np.append(weight[::-1].cumsum()[::-1], 0.0)
    lower, upper = np.zeros(len(found) + 1), np.ones(len(found) + 1)
    for q in np.arange(1, LEVELS + 1) / (LEVELS + 1):
        lower[:-1][found <= pairs.quantile_limit(q, each)] = q  # q ascends: the last that reaches stays
    for q in np.arange(LEVELS, 0, -1) / (LEVELS + 1):
        upper[1:][found >= -pairs.quantile_limit(1.0 - q, each, above=False)] = q
    return SurvivalBand(found, np.minimum(share, 1.0), lower, upper, confidence)


class _ItemPairs:
    """Pairs (P,) with the number of their items, in groups."""

    def __init__(
        self,
        cosine: ArrayLike,
        item: ArrayLike | None,
        group: ArrayLike | None,
        largest: int | None,
        sizes: ArrayLike | None,
    ) -> None:
        self.cosine = cosines("cosine", cosine)
        self.found = np.unique(self.cosine)
        item = group_numbers(item, len(self.cosine))
        _, first, pairs = np.unique(item, return_index=True, return_counts=True)
        self.weight = 1.0 / (pairs[item] * len(first))
        """of each pair, so that every item weighs the same; the sum is 1"""
        self.group = group_numbers(item if group is None else group, len(self.cosine))
        astray = np.flatnonzero(self.group != self.group[first][item])
        if astray.size:
            raise ValueError(f"group: pair {astray[0]} is in another group than the first pair of its item")
        of_items = None if group is None else self.group[first]
        _, self.counts, self.largest = group_sums(np.zeros(len(first)), of_items, largest)
        self.scale = boldness(self.largest, sizes)
        self.items = len(first)

    def quantile_limit(self, q: float, confidence: float, *, above: bool = True) -> float:
        """The largest observed x whose limit is at least q, -1 for none; or of -cos where not `above`."""
        sign = 1.0 if above else -1.0
        found = np.sort(sign * self.found)

        def reached(x: float) -> bool:
            sums = np.bincount(self.group, self.weight * self.items * (sign * self.cosine >= x))
            return reaches(q, sums, self.counts, self.largest, confidence, self.scale)

        few, many = -1, len(found)  # found[few] is reached, found[many] is not
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (middle, many) if reached(found[middle]) else (few, middle)
        return float(found[few]) if few >= 0 else -1.0


@lru_cache(maxsize=32)
def _equal_precision(n: int, confidence: float) -> tuple[Floats, Floats]:
    """Edges of the band of n values, as in `SurvivalBand`."""
    ranks = np.arange(1, n + 1)
    if n > RANKS:
        some = 1 + np.round((n - 1) * np.sin(np.linspace(0.0, np.pi / 2.0, RANKS)) ** 2).astype(int)
        ranks = np.union1d(some, n + 1 - some)

    def edges(eta: float) -> tuple[Floats, Floats]:
        low = special.betaincinv(ranks, n + 1 - ranks, eta)
        return low, 1.0 - low[::-1]  # the ranks are symmetric

    def surplus(log_eta: float) -> float:
        return inside_probability(n, ranks, *edges(np.exp(log_eta))) - confidence

    # eta is no less than by Bonferroni's inequality, and no more than for a single order statistic
    most = np.log((1.0 - confidence) / 2.0)
    found = most - np.log(len(ranks))
    if n > 1 and 1.0 - confidence >= CERTAIN and surplus(found) > 0.0:
        found = brentq(surplus, found, most, xtol=1e-7)
    low, high = edges(float(np.exp(found)))
    reach = np.arange(n, -1, -1)  # how many values are at least x
    lower = np.concatenate([[0.0], low])[np.searchsorted(ranks, reach, side="right")]
    upper = np.concatenate([high, [1.0]])[np.searchsorted(ranks, reach, side="right")]
    for edge in (lower, upper):
        edge.setflags(write=False)
    return lower, upper


@small_is_zero
def inside_probability(n: int, ranks: np.ndarray, low: Floats, high: Floats) -> float:
    """P(low_r <= U_(r) <= high_r for all ranks r), for the order statistics of n uniform numbers.

    Parameters
    ----------
    n : int
        At least 1.
    ranks : (R,) array
        Ascending, from 1 to n.
    low, high : (R,) arrays
        Ascending, in [0, 1].

    Returns
    -------
    float
        The probability, with an error of some 1e-14.

    Notes
    -----
    The number of values up to t is a Poisson process of rate n, given that it ends at n. At low_r it has to be less
    than r, and at high_r at least r. The law of the process at one such time, with what is outside left out, is that at
    the time before, convolved with the Poisson law of the step between [1]_.

    References
    ----------
    .. [1] A. Moscovich and B. Nadler, Fast calculation of boundary crossing probabilities for Poisson processes,
       Statistics and Probability Letters 123 (2017), arXiv:1503.04363.

    Examples
    --------
    >>> print(round(inside_probability(2, np.array([1, 2]), np.array([0.0, 0.5]), np.array([0.5, 1.0])), 12))
    0.5
    """
    n = whole("n", n, 1, 10**7)
    ranks = in_range("ranks", vector("ranks", ranks), low=1, high=n).astype(np.int64)
    low, high = (in_range(name, vector(name, one), low=0.0, high=1.0) for name, one in (("low", low), ("high", high)))
    rows_agree(ranks=ranks, low=low, high=high)
    times = np.unique(np.concatenate([low, high, [1.0]]))
    least = np.concatenate([[0], ranks])[np.searchsorted(high, times, side="right")]
    most = np.concatenate([ranks - 1, [n]])[np.searchsorted(low, times, side="left")]
    if (least > most).any():
        return 0.0
    steps = n * np.diff(times, prepend=0.0)
    longest = steps.max()
    k = np.arange(int(longest + 9.0 * np.sqrt(longest)) + 25)  # beyond there is less than 1e-17
    laws = np.exp(special.xlogy(k, steps[:, None]) - steps[:, None] - special.gammaln(k + 1))
    law, start = np.ones(1), 0
    for step, first, last in zip(laws, least, most, strict=True):
        law = np.convolve(law, step)[first - start : last - start + 1]
        start = first
    return float(law[n - start] / stats.poisson.pmf(n, n)) if len(law) > n - start else 0.0
