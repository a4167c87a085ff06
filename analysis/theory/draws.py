"""What draws of a translation are worth: how near they are, how different, and how well they cover the truth.

Draws are arrays (n, K, d): K translations of each of n items. Targets are (n, d), or (n, m, d) with `counts` (n,) where
item i has `counts[i]` of them, such as the captions of a picture. They are the gallery of all rankings too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from analysis.theory.arrays import Floats
from modtrans_core.checks import refuse_unless, whole
from modtrans_core.scores import cosine
from modtrans_core.vectors import TIE, present, real, several, unit, unit_targets

MEASURES = ["cosine", "cosine_of_mean", "energy", "best_recall_at_1", "best_recall_at_10"]
"""what `measure` says of an item"""
ORDERS = 16_384
"""of the items, which break ties where no formula does"""
AT_ONCE = 2**20
"""places in these orders that are drawn at once"""
FAR = 1e15
"""an entry whose square float32 holds"""


def energy_score(draws: np.ndarray, targets: np.ndarray, counts: np.ndarray | None = None) -> Floats:
    """The energy score of each item's draws, averaged over its targets; lower is better.

    Parameters
    ----------
    draws : (n, K, d) array
        As given: no length is changed.
    targets : (n, d) or (n, m, d) array
        As given, too.
    counts : (n,) array, optional
        How many of the m targets each item has; None: all.

    Returns
    -------
    (n,) array
        Estimates of E|x - z| - E|x - x'| / 2 for independent draws x, x' and the target z.

    Notes
    -----
    The score is strictly proper: in expectation it is least for the law that the targets come from. With K >= 2 draws
    its estimate is unbiased. One draw is a point forecast, scored by |x - z| alone.

    References
    ----------
    T. Gneiting and A. E. Raftery, Strictly proper scoring rules, prediction, and estimation, Journal of the American
    Statistical Association 102 (2007), section 4.3.

    Examples
    --------
    >>> print(energy_score(np.array([[[1.0], [-1.0]]]), np.array([[0.0]])))  # 1 - 2 / 2
    [0.]
    """
    draws, targets, counts = _targets(draws, targets, counts)
    n, K, _ = draws.shape
    _refuse_far("draws", draws)
    _refuse_far("targets", targets[present(targets.shape[1], counts)])
    total = np.zeros(n)
    for j in range(targets.shape[1]):
        distance = np.linalg.norm(draws - targets[:, j, None], axis=2).mean(1, dtype=np.float64)
        total += np.where(j < counts, distance, 0.0)
    return total / counts - _mean_distance(draws) / 2.0 if K > 1 else total / counts


def _mean_distance(draws: np.ndarray) -> Floats:
    """Mean |x - x'| over ordered pairs of different draws, (n,)."""
    K = draws.shape[1]
    apart = sum(np.linalg.norm(draws - np.roll(draws, shift, 1), axis=2).sum(1) for shift in range(1, K))
    return np.asarray(apart) / (K * (K - 1))


def similarity(draws: np.ndarray, counts: np.ndarray | None = None) -> Floats:
    """Mean cosine (n,) between two different draws of an item.

    Parameters
    ----------
    draws : (n, K, d) array
        Of any length.
    counts : (n,) array, optional
        How many of the K draws each item has; None: all.

    Returns
    -------
    (n,) array
        NaN where an item has one draw.

    Notes
    -----
    The K unit vectors of an item have a sum S with |S|^2 = K + K (K - 1) times their mean cosine.

    Examples
    --------
    >>> print(similarity(np.array([[[1.0, 0.0], [0.0, 2.0]], [[3.0, 4.0], [3.0, 4.0]]])).round(6))
    [0. 1.]
    """
    draws, counts = several(_draws(draws), counts)
    n, K, _ = draws.shape
    there = present(K, counts)[..., None]
    directions = unit(np.where(there, draws, 1.0), "draws") * there
    total = np.square(directions.sum(1, dtype=np.float64)).sum(1)
    return np.divide(total - counts, counts * (counts - 1.0), out=np.full(n, np.nan), where=counts > 1)


def measure(
    draws: np.ndarray,
    targets: np.ndarray,
    counts: np.ndarray | None = None,
    centre: ArrayLike = 0.0,
    lists: int | None = None,
) -> dict[str, np.ndarray]:
    """Every measure of each item's draws.

    Parameters
    ----------
    draws : (n, K, d) array
        Of any length.
    targets : (n, d) or (n, m, d) array
        The items' own targets, and the gallery of all rankings.
    counts : (n,) array, optional
        How many of the m targets each item has; None: all.
    centre : (d,) array, optional
        Subtracted from the draws and from the unit targets before they are ranked by cosine.
    lists : int, optional
        How many lists of k candidates the K draws have together, a multiple of K. None: each has one of its own.

    Returns
    -------
    dict of (n,) arrays
        `cosine` of one draw and `cosine_of_mean`; `energy`, the energy score; the probability that the own item
        is on a draw's list (`best_recall_at_1`, `_10`): 0 or 1, but for ties, which one random order of the items
        breaks in all lists (where these tie with different items, it is estimated by `ORDERS` orders to within
        .01). So a single vector with K lists, which names the K k items nearest to it, has as
        many candidates as K draws.

    Examples
    --------
    >>> found = measure(np.repeat(np.eye(3)[:, None], 2, axis=1), np.eye(3))  # the best draws of three items
    >>> print(found["cosine"], found["best_recall_at_1"])
    [1. 1. 1.] [1. 1. 1.]
    """
    draws, targets, counts = _targets(draws, targets, counts)
    n, K, d = draws.shape
    centre = _centre(centre, d)
    lists = K if lists is None else whole("lists", lists, K)
    refuse_unless(lists % K == 0, "lists", lists, f"a multiple of {K}, the number of draws,")
    z = unit(targets[present(targets.shape[1], counts)], "targets")
    first, of = np.cumsum(counts) - counts, np.repeat(np.arange(n), counts)
    own, listed = np.empty((n, K)), {k: np.empty(n) for k in (1, 10)}
    directions, towards, gallery = unit(draws, "draws"), unit(draws - centre, "draws"), unit(z - centre, "targets")
    for i in range(n):
        own[i] = (directions[i] @ z[of == i].T).mean(1)
        best = np.maximum.reduceat(towards[i] @ gallery.T, first, axis=1)  # an item ranks by its best target
        ahead = (best > best[:, i, None] + TIE).sum(1)
        for k, found in listed.items():
            found[i] = _on_a_list(np.abs(best - best[:, i, None]) <= TIE, i, k * (lists // K) - ahead)
    return {
        "cosine": own.mean(1),
        "cosine_of_mean": cosine(draws.mean(1), targets, counts),
        "energy": energy_score(draws, unit_targets(targets, counts)[0], counts),
        **{f"best_recall_at_{k}": found for k, found in listed.items()},
    }


def _on_a_list(level: np.ndarray, i: int, places: np.ndarray) -> float:
    """The probability that one random order of the items puts item i on one of K lists.

    Parameters
    ----------
    level : (K, n) bool, the items that score as item i does, itself among them.
    places : (K,) of each list that are left for them.
    """
    tied = level.sum(1)
    chance = np.clip(places / tied, 0.0, 1.0)
    likeliest = int(chance.argmax())
    if chance[likeliest] in (0.0, 1.0):
        return float(chance[likeliest])
    # a list whose level holds that of the likeliest, and that has no more places, has the item only where that one has
    other = (chance > 0.0) & ((level[likeliest] & ~level).any(1) | (places > places[likeliest]))
    if not other.any():
        return float(chance[likeliest])
    other[likeliest] = True
    level, places = level[other].copy(), places[other]
    level[:, i] = False
    level = level[:, level.any(0)].astype(np.float32)
    rng, found, own = np.random.default_rng(0), 0, (np.arange(ORDERS) + 0.5) / ORDERS  # the item's place in an order
    for part in np.array_split(own, -(-ORDERS * level.shape[1] // AT_ONCE)):
        before = rng.random((len(part), level.shape[1]), dtype=np.float32) < part[:, None]
        found += int((before @ level.T < places).any(1).sum())
    return found / ORDERS


def nearest_draw(draws: np.ndarray, vectors: np.ndarray, centre: ArrayLike = 0.0) -> np.ndarray:
    """The cosine of each vector and the nearest of the K draws of each item.

    Vectors for which it is at least r lie in one of K caps about the draws. With r from held-out pairs, as
    `analysis.theory.conformal` finds it, these caps are a set that holds the target with a given probability, whatever
    the draws are.

    Parameters
    ----------
    draws : (n, K, d) array
        Of any length.
    vectors : (g, d) array
        Of any length.
    centre : (d,) array, optional
        Subtracted from the draws and from the unit vectors.

    Returns
    -------
    (n, g) array

    References
    ----------
    Z. Wang, R. Gao, M. Yin, M. Zhou and D. Blei, Probabilistic conformal prediction using conditional random samples,
    arXiv:2206.06584.

    Examples
    --------
    >>> print(nearest_draw(np.eye(2)[None], np.array([[3.0, 4.0], [-1.0, 0.0]])).round(6))
    [[0.8 0. ]]
    """
    draws, vectors = _draws(draws), real("vectors", vectors)
    d = draws.shape[2]
    refuse_unless(vectors.ndim == 2 and vectors.shape[1] == d, "vectors", vectors.shape, f"(g, {d}) as the draws")
    centre = _centre(centre, d)
    towards, gallery = unit(draws - centre, "draws"), unit(unit(vectors) - centre)
    found = towards[:, 0] @ gallery.T
    for k in range(1, draws.shape[1]):
        np.maximum(found, towards[:, k] @ gallery.T, out=found)
    return np.asarray(found)


def _draws(draws: np.ndarray) -> np.ndarray:
    draws = real("draws", draws)
    refuse_unless(draws.ndim == 3 and draws.size > 0, "draws", draws.shape, "an array (n, K, d)")
    return draws


def _targets(
    draws: np.ndarray, targets: np.ndarray, counts: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The draws (n, K, d) and the targets (n, m, d) of as many items, with their counts (n,)."""
    draws, (targets, counts) = _draws(draws), several(targets, counts)
    n, _, d = draws.shape
    fits = (len(targets), targets.shape[2]) == (n, d)
    refuse_unless(fits, "targets", targets.shape, f"({n}, m, {d}) as the draws")
    return draws, targets, counts


def _refuse_far(name: str, vectors: np.ndarray) -> None:
    largest = np.abs(vectors).max()
    if not largest <= FAR:
        raise ValueError(f"{name}: a largest entry of {largest:g}, one of at most {FAR:g} is needed")


def _centre(centre: ArrayLike, d: int) -> np.ndarray:
    centre = real("centre", centre)
    refuse_unless(centre.shape in ((), (d,)), "centre", centre.shape, f"one vector ({d},)")
    _refuse_far("centre", centre)
    return centre
