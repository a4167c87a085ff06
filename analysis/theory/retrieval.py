r"""From cosine to retrieval: which cosine forces the right item to the top, and which recall is to be expected.

A query q is a translation, of any length. An **item** of the gallery scores by the cosine of q and the item's vector,
of several vectors by the best. The other items are its **rivals**. The rank of the query's own item is 1 plus the
number of rivals that score higher, and recall@k is the share of queries whose own item has rank k or better.

*Threshold.* z is the own vector, of unit length, and c^(k) the k-th largest cosine of z with a rival. Angles obey the
triangle inequality. If the angle of q and z is below half the angle of z and a rival, that rival is farther from q than
z is. So

    cos(q, z) > sqrt((1 + c^(k)) / 2)   forces   rank <= k,                                                          (1)

as all rivals but the k - 1 nearest are then farther. For k = 1 no smaller number will do: every smaller cosine is that
of some q which the nearest rival beats (`counterexample`). For k > 1 the number is sufficient alone. A q beaten by k
rivals must be near to all of them at once, and that may need a far smaller cosine, or a negative one: two rivals on
opposite sides of z both beat a q only where cos(q, z) < 0.

*Gaussian gallery.* Rivals are independent draws with mean mu and covariance S, and the score of one of them with a
fixed q is taken as normal. Then the rank among n items is binomial,

    P(rank <= k) = P(Binomial(n - 1, Phi(-x)) <= k - 1),   x = (<q, z> - <q, mu>) / sqrt(q' S q).                    (2)

Let q = mu + t delta. The centered ranking, by <q - mu, z - mu>, has an x that does not depend on t. In the raw ranking
the noise of <mu, z> does not shrink with t: where it is uncorrelated with <delta, z>, and <mu, z> is at its mean, x
falls with t. Shrinkage, which raises the cosine, costs recall in that way.

References
----------
.. [1] M. Radovanovic, A. Nanopoulos and M. Ivanovic, Hubs in space: popular nearest neighbors in high-dimensional data,
   Journal of Machine Learning Research 11 (2010).
.. [2] Y. Shigeto, I. Suzuki, K. Hara, M. Shimbo and Y. Matsumoto, Ridge regression, hubness, and zero-shot learning,
   arXiv:1507.00825: the shrinkage of a ridge map makes hubs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import nnls

from analysis.theory.arrays import Floats, directions, fraction, in_range, matrix, number, rows_agree, vector
from analysis.theory.betting import item_lower_limit
from analysis.theory.confidence import group_numbers
from analysis.theory.words import at_least
from modtrans_core.checks import refuse_unless, whole
from modtrans_core.scores import blocks, named, recall_at_k, skew
from modtrans_core.vectors import integers, present, real, several

BLOCK = 2**23  # cosines held at once: 64 MiB
MARGIN = 2e-6  # above `needed_cosine`, for rounding: what exceeds it leads by more than a tie of `recall_at_k`


def needed_cosine(gallery: np.ndarray, counts: np.ndarray | None = None, k: int = 1) -> Floats:
    """The cosine (1) above which a query of an item has it among its k nearest items, whatever its direction.

    Parameters
    ----------
    gallery : (n, d) or (n, m, d) array
        The items' vectors, of any length.
    counts : (n,) array, optional
        How many of the m vectors each item has; None: all.
    k : int
        From 1 to n - 1.

    Returns
    -------
    (n,) or (n, m) array
        One number for each vector, from 0 to 1; inf where a vector is absent. One own vector whose cosine exceeds its
        number is enough, as an item scores by its best.

    Raises
    ------
    ValueError
        A vector without direction, k outside 1 to n - 1.

    Examples
    --------
    >>> print(needed_cosine(np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])).round(4))  # neighbours at right angles
    [0.7071 0.7071 0.7071]
    """
    gallery = real("gallery", gallery)
    z, counts = _unit(gallery, counts)
    n, m, _ = z.shape
    k = _rank(k, n)
    needed = np.full((n, m), np.inf)
    there = present(m, counts)
    for rows, score in blocks(z.reshape(n * m, -1), z, counts, BLOCK):
        item = np.arange(n * m)[rows] // m
        score[np.arange(len(item)), item] = -np.inf
        rival = np.partition(score, n - k, axis=1)[:, n - k]
        needed.flat[rows] = np.sqrt((1.0 + np.clip(rival, -1.0, 1.0)) / 2.0)  # (1)
    needed[~there] = np.inf
    return needed if gallery.ndim == 3 else needed[:, 0]


def counterexample(own: ArrayLike, rivals: ArrayLike, cosine: float, k: int = 1) -> Floats:
    """A query of the given cosine with its own vector that the k nearest rivals all beat.

    Parameters
    ----------
    own : (d,) array_like
        z, of any length.
    rivals : (n, d) array_like
        One vector a rival, of any length.
    cosine : float
        In [-1, 1].
    k : int
        From 1 to n.

    Returns
    -------
    (d,) array
        A unit vector.

    Raises
    ------
    ValueError
        A rival that is parallel to z, which can tie but not win; k outside 1 to n; a cosine for which there is no such
        query. The message says below which cosine there is one.

    Notes
    -----
    The queries to which all of k rivals z_j are at least as near as z are the cone of the q with <q, z_j - z> >= 0. The
    point of the cone that is nearest to z has the largest cosine with z; it is found by non-negative least squares.
    Going on from z through that point on the great circle, each rival stays ahead. For k = 1 the point is half way to
    the nearest rival, at the cosine of `needed_cosine`, so that (1) is tight. For k > 1 another choice of k rivals may
    give a larger cosine, but none gives one above `needed_cosine`.

    Examples
    --------
    >>> q = counterexample([1.0, 0.0], [[0.0, 1.0]], cosine=0.7)  # 45 degrees are .7071
    >>> print(q.round(4))
    [0.7    0.7141]
    """
    z, others = directions("own", vector("own", own)), directions("rivals", matrix("rivals", rivals))
    if z.shape != others.shape[1:]:
        raise ValueError(f"own: shape {z.shape}, {others.shape[1:]} as the rivals is needed")
    cosine = number("cosine", cosine, low=-1.0, high=1.0)
    k = _rank(k, len(others) + 1)
    near = others[np.argsort(-(others @ z), kind="stable")[:k]]
    if near[0] @ z >= 1.0 - 1e-12:
        raise ValueError("rivals: one is parallel to the own vector, rivals that differ from it are needed")
    apart = near - z
    point = z + apart.T @ nnls(apart.T, -z)[0]
    length = np.linalg.norm(point)
    if length < 1e-9:
        raise ValueError(f"k: {k}, rivals that are ahead together within a right angle of the own vector are needed")
    largest = float(point @ z / length)
    if cosine >= largest:
        raise ValueError(f"cosine: {cosine:g}, a number below {largest:g} is needed")
    aside = point - (point @ z) * z
    return cosine * z + np.sqrt(1.0 - cosine**2) * aside / np.linalg.norm(aside)


def expected_recall(
    queries: np.ndarray, own: ArrayLike, mean: ArrayLike, covariance: ArrayLike, n: int, k: int = 1
) -> Floats:
    """Probability (2) that the own item is among the k nearest of a Gaussian gallery.

    Parameters
    ----------
    queries : (q, d) array
        Of any length.
    own : (q,) array_like
        <q, z>, the inner product of each query with its own vector.
    mean, covariance : (d,) and (d, d) array_like
        mu and S of the gallery's vectors. For a ranking by cosine they are those of its unit vectors.
    n : int
        Items of the gallery with the own one, at least 1.
    k : int
        At least 1.

    Returns
    -------
    (q,) array
        The mean over queries is the recall@k to expect.

    Raises
    ------
    ValueError
        Shapes that do not agree, a query along which the gallery has no spread, n or k below 1.

    Notes
    -----
    It is exact for independent rivals whose score is normal. Real galleries have near neighbours of the own item, which
    the law does not know, and skewed scores: compare the measured recall, and see `hub_skew`.

    Examples
    --------
    >>> print(expected_recall(np.eye(2), [1.0, 0.0], np.zeros(2), np.eye(2), n=2).round(4))  # Phi(1) and Phi(0)
    [0.8413 0.5   ]
    """
    queries, own, mean, covariance = (
        matrix("queries", queries), vector("own", own), vector("mean", mean), matrix("covariance", covariance)
    )  # fmt: skip
    rows_agree(queries=queries, own=own)
    d = queries.shape[1]
    if mean.shape != (d,) or covariance.shape != (d, d):
        raise ValueError(f"covariance: shapes {mean.shape} and {covariance.shape}, ({d},) and ({d}, {d}) are needed")
    n, k = whole("n", n, 1, 2**53), whole("k", k, 1, 2**53)
    variance = np.einsum("qd,qd->q", queries @ covariance, queries)
    if variance.min() <= 0.0:
        raise ValueError(f"covariance: no spread along query {variance.argmin()}, some is needed")
    ahead = stats.norm.sf((own - queries @ mean) / np.sqrt(variance))
    return np.asarray(stats.binom.cdf(k - 1, n - 1, ahead))  # (2)


def hub_skew(queries: np.ndarray, gallery: np.ndarray, counts: np.ndarray | None = None, k: int = 10) -> float:
    """Skewness of the k-occurrence: of the number of queries among whose k nearest items an item is.

    Parameters
    ----------
    queries : (q, d) array
        Of any length.
    gallery, counts
        As for `needed_cosine`.
    k : int
        From 1 to n - 1.

    Returns
    -------
    float
        Near 0 where all items are named alike often; large where a few, the hubs, are named by many queries. 0 where
        every item is named as often as the others.

    Raises
    ------
    ValueError
        A vector without direction, k outside 1 to n - 1.

    References
    ----------
    M. Radovanovic and others, the first reference of the module.

    Examples
    --------
    >>> print(hub_skew(np.eye(3), np.eye(3), k=1), round(hub_skew(np.eye(3)[[0, 0, 0]], np.eye(3), k=1), 4))
    0.0 0.7071
    """
    z, counts = _unit(gallery, counts)
    n = len(z)
    k = _rank(k, n)
    q, d = directions("queries", matrix("queries", queries)), z.shape[2]
    refuse_unless(q.shape[1] == d, "queries", q.shape, f"queries in the gallery's {d} dimensions")
    return skew(sum((named(score, k) for _, score in blocks(q, z, counts, BLOCK)), np.zeros(n)))


@dataclass(frozen=True)
class RecallLimit:
    """What held-out queries say of recall@k in the gallery that they were measured in.

    Attributes
    ----------
    k, gallery, groups : int
        The rank asked for; the items of the gallery, the own one among them; independent groups of items.
    recall : float
        Recall@k as measured, every item weighing the same: exact for these queries and this gallery.
    forced : float
        Share of items that are found because their cosine exceeds `needed_cosine`, wherever the translation points. At
        most `recall`.
    lower_limit : float
        The probability that a new query finds its item in this gallery is at least this.
    confidence : float
        Probability that the limit is right.
    """

    k: int
    gallery: int
    groups: int
    recall: float
    forced: float
    lower_limit: float
    confidence: float

    def lines(self) -> list[str]:
        """In plain words."""
        return [
            f"How often is the right item among the {self.k:,} nearest of these {self.gallery:,} items?",
            f"  For at least {at_least(self.lower_limit, 2, percent=True)} of new queries for these items, guaranteed."
            f" Observed: {self.recall:.2%} of those held out.",
            f"  For {self.forced:.2%} of these items the cosine alone is high enough for that.",
        ]


def certify_recall(
    translated: np.ndarray,
    gallery: np.ndarray,
    counts: np.ndarray | None = None,
    *,
    k: int = 10,
    confidence: float = 0.95,
    item: np.ndarray | None = None,
    group: ArrayLike | None = None,
) -> RecallLimit:
    """Measure recall@k of held-out queries in the gallery of their own items, and give it a lower limit.

    Parameters
    ----------
    translated : (q, d) array
        Queries, of any length. Each depends on its own condition alone.
    gallery, counts
        As for `needed_cosine`: the held-out targets.
    k : int
        From 1 to n - 1.
    confidence : float
        In (0, 1).
    item : (q,) array, optional
        The item of each query, every item at least once; an item's queries share its weight. None: one each.
    group : (n,) array_like, optional
        Labels of items that are not independent of each other; None: every item is its own group.

    Returns
    -------
    RecallLimit
        The statement.

    Raises
    ------
    ValueError
        Wrong shapes, an item without a query, k or confidence out of range.

    Notes
    -----
    The items are queries and gallery at once, so that their hits are dependent: one target that is near to many queries
    demotes them all. But **given the gallery** a hit depends on its own condition alone, and groups that are
    independent pairs have conditions that are independent given all the targets. So hits of different groups are
    independent given the gallery, though not alike, and the limit is one of their mean probability given the gallery
    (`recall_limit`).

    The limit is of this gallery: an item is drawn from it uniformly, and a new condition of it as the ones at hand
    were. It does not speak of larger galleries. Averaged over galleries the measured recall is unbiased for that of a
    new item placed among n - 1 others, as all n items are exchangeable.

    Examples
    --------
    >>> z = np.eye(40)
    >>> found = certify_recall(z + 0.02, z, k=1)
    >>> print(found.recall, round(found.lower_limit, 4), found.forced)
    1.0 0.9278 1.0
    """
    translated, gallery = matrix("translated", translated), real("gallery", gallery)
    confidence, n = fraction("confidence", confidence), len(gallery)
    k = _rank(k, n)
    item = np.arange(n) if item is None else integers("item", item)
    if item.shape != (len(translated),) or not np.array_equal(np.unique(item), np.arange(n)):
        raise ValueError(f"item: shape {item.shape}, one of 0 to {n - 1} for each query, all of them, is needed")
    z, own_counts = _unit(gallery, counts)
    d = z.shape[-1]
    refuse_unless(translated.shape[1] == d, "translated", translated.shape, f"queries in the gallery's {d} dimensions")
    needed = needed_cosine(z, own_counts, k)
    queries = directions("translated", translated)
    exceeds = (np.einsum("qd,qmd->qm", queries, z[item]) > needed[item] + MARGIN).any(axis=1)
    hits, forced = (
        np.bincount(item, found) / np.bincount(item)
        for found in (recall_at_k(translated, gallery, counts, item, k), exceeds)
    )
    alone = hits == 1.0 if len(item) == n else hits  # of a single query a tie counts as lost
    limit = recall_limit(alone, group, confidence)
    groups = int(group_numbers(group, n).max()) + 1
    return RecallLimit(k, n, groups, float(hits.mean()), float(forced.mean()), limit, confidence)


def recall_limit(hits: ArrayLike, group: ArrayLike | None = None, confidence: float = 0.95) -> float:
    """Lower limit of the mean of the expectations of hits that are independent across groups, and not alike.

    Parameters
    ----------
    hits : (n,) array_like
        In [0, 1], one an item; of type bool where each is found or not.
    group : (n,) array_like, optional
        Labels of items that are not independent of each other; None: every item is its own group.
    confidence : float
        In (0, 1).

    Returns
    -------
    float
        With probability `confidence` or more, sum_i E hits_i / n is at least this.

    Raises
    ------
    ValueError
        A hit outside [0, 1], wrong shapes, a confidence outside (0, 1).

    Notes
    -----
    Single hits of type bool, with the sum S: P(S >= s) is at most the binomial tail of the mean probability p where
    s >= n p + 1 [1]_, so that the limit of Clopper and Pearson, and (S - 1) / n if that is less, holds.

    Otherwise it is the limit of `item_lower_limit`. Its bets need the mean over all groups alone, and not each group's:
    with S_g the sum of a group of N_g items, prod_g (1 + b (S_g - p N_g)) has an expectation of at most
    exp(b sum_g (E S_g - p N_g)), which is at most 1 where p is not below the mean. The sizes of the groups are the
    gallery's, so that the largest group is the largest here.

    References
    ----------
    .. [1] W. Hoeffding, On the distribution of the number of successes in independent trials, Annals of Mathematical
       Statistics 27 (1956).

    Examples
    --------
    >>> hits = np.arange(100) % 5 > 0
    >>> print(round(recall_limit(hits), 4), round(recall_limit(hits, np.arange(100) // 2), 4))
    0.7228 0.7063
    """
    binary = np.asarray(hits).dtype == bool
    hits = in_range("hits", vector("hits", hits), low=0.0, high=1.0)
    labels = group_numbers(group, len(hits))
    largest = int(np.bincount(labels).max())
    limit = item_lower_limit(hits.astype(bool) if binary else hits, labels, confidence, largest_group=largest)
    alone = binary and largest == 1
    return min(limit, max(float(hits.sum()) - 1.0, 0.0) / len(hits)) if alone else limit


def _unit(gallery: np.ndarray, counts: np.ndarray | None) -> tuple[Floats, np.ndarray]:
    """The vectors (n, m, d) of unit length in float64, zero where absent, and their counts (n,)."""
    vectors, counts = several(real("gallery", gallery).astype(np.float64), counts)
    there = present(vectors.shape[1], counts)[..., None]
    return directions("gallery", np.where(there, vectors, 1.0)) * there, counts


def _rank(k: int, n: int) -> int:
    """k, if it is a rank that one of n items can have with a rival behind it."""
    return whole("k", k, 1, n - 1, "the number of rivals")
