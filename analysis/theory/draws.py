"""What draws of a translation are worth: how near they are, how different, and how well they cover the truth.

Draws are arrays (n, K, d): K translations of each of n items. Targets are (n, d), or (n, m, d) with `counts` (n,) where
item i has `counts[i]` of them, such as the captions of a picture. They are the gallery of all rankings too.
"""

from __future__ import annotations

import numpy as np

from analysis.theory.arrays import Floats
from modtrans_core.scores import cosine
from modtrans_core.vectors import present, several, unit, unit_targets

MEASURES = [
    "cosine", "cosine_of_mean", "energy", "similarity", "nearest", "recall_at_1", "recall_at_10",
    "best_recall_at_1", "best_recall_at_10", "coverage", "precision",
]  # fmt: skip


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
    n, K, _ = draws.shape
    targets, counts = several(targets, counts)
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
    n, K, _ = draws.shape
    counts = np.full(n, K) if counts is None else counts
    there = present(K, counts)[..., None]
    directions = unit(np.where(there, draws, 1.0)) * there
    total = np.square(directions.sum(1, dtype=np.float64)).sum(1)
    return np.divide(total - counts, counts * (counts - 1.0), out=np.full(n, np.nan), where=counts > 1)


def measure(
    draws: np.ndarray, targets: np.ndarray, counts: np.ndarray | None = None, centre: np.ndarray | float = 0.0
) -> dict[str, float]:
    """Every measure of the draws, as means over items.

    Parameters
    ----------
    draws : (n, K, d) array
        Of any length.
    targets : (n, d) or (n, m, d) array
        The items' own targets, and the gallery of all rankings.
    counts : (n,) array, optional
        How many of the m targets each item has; None: all.
    centre : (d,) array, optional
        Subtracted from the unit vectors on both sides before they are ranked by cosine.

    Returns
    -------
    dict of float
        `cosine` of one draw and `cosine_of_mean`; `energy`, the energy score; `similarity` of two draws; `nearest`, the
        cosine of a draw and the gallery's nearest target; the recall of one draw (`recall_at_1`, `_10`) and of the best
        of K (`best_recall_at_1`, `_10`); `coverage`, the share of an item's targets that are the nearest of some draw;
        `precision`, the share of draws whose nearest target is one of their item's.

    Examples
    --------
    >>> z = np.eye(3)[:, None]  # three items with one target each, and its best draws
    >>> found = measure(np.repeat(z, 2, axis=1), z)
    >>> print(found["cosine"], found["recall_at_1"], found["coverage"], found["precision"])
    1.0 1.0 1.0 1.0
    """
    n, K, _ = draws.shape
    targets, counts = several(targets, counts)
    z = unit(targets[present(targets.shape[1], counts)])
    first = np.cumsum(counts) - counts
    of = np.repeat(np.arange(n), counts)
    right, covered = np.empty((n, K), dtype=bool), np.empty(n)
    own, nearest, rank = np.empty((3, n, K))
    directions, gallery = unit(draws), unit(z - centre)
    for i in range(n):
        seen = directions[i] @ z.T
        own[i], nearest[i] = seen[:, of == i].mean(1), seen.max(1)
        seen = unit(directions[i] - centre) @ gallery.T
        best = np.maximum.reduceat(seen, first, axis=1)  # an item ranks by its best target
        rank[i] = (best > best[:, i, None] + 1e-6).sum(1)
        closest = seen.argmax(1)
        right[i] = of[closest] == i
        covered[i] = len(np.unique(closest[right[i]])) / counts[i]
    values = {
        "cosine": own,
        "cosine_of_mean": cosine(draws.mean(1), targets, counts),
        "energy": energy_score(draws, unit_targets(targets, counts)[0], counts),
        "similarity": similarity(draws) if K > 1 else np.nan,
        "nearest": nearest,
        "coverage": covered,
        "precision": right,
    }
    for k in (1, 10):
        values |= {f"recall_at_{k}": rank < k, f"best_recall_at_{k}": rank.min(1) < k}
    return {name: float(np.mean(values[name])) for name in MEASURES}


def listed(
    m: np.ndarray, K: int, targets: np.ndarray, counts: np.ndarray | None = None, centre: np.ndarray | float = 0.0
) -> dict[str, float]:
    """What one translation can do in place of K draws: name the K targets, and the items, that are nearest to it.

    Parameters
    ----------
    m : (n, d) array
        One translation an item, of any length.
    K : int
        How many draws it stands for.
    targets, counts, centre
        As for `measure`.

    Returns
    -------
    dict of float
        `coverage` and `precision` of the K nearest targets, and `best_recall_at_k` of the K k nearest items: as many
        candidates as the best of K draws has.

    Examples
    --------
    >>> print(listed(np.eye(3), 1, np.eye(3))["coverage"])
    1.0
    """
    targets, counts = several(targets, counts)
    n = len(targets)
    z, of = unit(targets[present(targets.shape[1], counts)]), np.repeat(np.arange(n), counts)
    seen = unit(unit(m) - centre) @ unit(z - centre).T
    K = min(K, len(z))
    right = of[np.argpartition(-seen, K - 1, axis=1)[:, :K]] == np.arange(n)[:, None]
    best = np.maximum.reduceat(seen, np.cumsum(counts) - counts, axis=1)
    rank = (best > best.diagonal()[:, None] + 1e-6).sum(1)
    return {
        "coverage": float((right.sum(1) / counts).mean()),
        "precision": float(right.mean()),
        **{f"best_recall_at_{k}": float((rank < K * k).mean()) for k in (1, 10)},
    }


def siblings(targets: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """What a perfect sampler of p(z | item) scores: another target of the same item, where there are two or more.

    Parameters
    ----------
    targets : (n, m, d) array
        Of any length.
    counts : (n,) array
        How many of the m targets each item has.

    Returns
    -------
    dict of float
        `cosine` and `similarity`, which are equal; `energy`; `nearest`, the cosine of a target and the nearest other
        one, of any item. Empty where no item has two targets.

    Notes
    -----
    The energy score of the true law comes to half the mean distance of two targets.

    Examples
    --------
    >>> print(round(siblings(np.array([[[1.0, 0.0], [0.0, 1.0]]]), np.array([2]))["energy"], 4))  # sqrt(2) / 2
    0.7071
    """
    repeated = counts > 1
    if not repeated.any():
        return {}
    every = unit(targets[present(targets.shape[1], counts)])
    chunks = np.array_split(every, len(every) // 1024 + 1)
    nearest = [np.partition(rows @ every.T, -2, axis=1)[:, -2] for rows in chunks]  # the nearest is the target itself
    z, counts = unit_targets(targets, counts)[0][repeated], counts[repeated]
    distance = np.zeros(len(z))
    for i in range(z.shape[1]):
        for j in range(i):
            distance += np.where(i < counts, np.linalg.norm(z[:, i] - z[:, j], axis=1), 0.0)
    alike = float(similarity(z, counts).mean())
    energy = float((distance / (counts * (counts - 1))).mean())
    return {
        "cosine": alike,
        "similarity": alike,
        "energy": energy,
        "nearest": float(np.concatenate(nearest).mean()),
    }


def direction_score(root: np.ndarray, directions: np.ndarray) -> Floats:
    """Log density of unit directions under the law of g R / |g R|, relative to the uniform law; g a normal vector.

    Parameters
    ----------
    root : (d, d) array
        R, invertible.
    directions : (n, d) array
        Unit vectors f.

    Returns
    -------
    (n,) array
        In nats. Where its mean is above 0, R says more about these directions than that all are alike.

    Notes
    -----
    With S = R^T R the density of the angular central Gaussian law is -log|S|/2 - (d/2) log(f S^-1 f).

    References
    ----------
    D. E. Tyler, Statistical analysis for the angular central Gaussian distribution on the sphere, Biometrika 74 (1987).

    Examples
    --------
    >>> print(direction_score(np.diag([2.0, 1.0]), np.eye(2)).round(3))  # log 2 more and log 2 less likely
    [ 0.693 -0.693]
    """
    d = root.shape[1]
    whitened = np.linalg.solve(root.astype(np.float64).T, directions.astype(np.float64).T)
    return -np.linalg.slogdet(root.astype(np.float64))[1] - d / 2.0 * np.log(np.square(whitened).sum(0))
