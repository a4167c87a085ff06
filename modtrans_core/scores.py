"""Scores of a translation: cosine beside its floor and ceiling, and retrieval beside its gallery's size.

Everything here is numpy in, plain floats out, so that a translator and a baseline are scored by the same lines.
Targets are (n, d), or (n, m, d) with `counts` (n,) where item i has `counts[i]` targets (its captions).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modtrans_core.vectors import present, several, unit, unit_targets

RANKS = (1, 10)


def cosine(predicted: np.ndarray, targets: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """cos(z, zhat) of every item, averaged over the item's own targets.

    Parameters
    ----------
    predicted : zhat (n, d), of any length.
    targets, counts : z, (n, d), or (n, m, d) where item i has `counts[i]` targets.

    Returns
    -------
    Array (n,), float64.

    Examples
    --------
    >>> cosine(np.array([[2.0, 0.0]]), np.array([[3.0, 4.0]])).round(4)
    array([0.6])
    """
    z, counts = unit_targets(targets, counts)
    return np.einsum("nd,nmd->n", unit(predicted), z, dtype=np.float64) / counts


def floor(mean: np.ndarray, targets: np.ndarray, counts: np.ndarray | None = None) -> float:
    """The score of a prediction that ignores its input: the mean cosine of the constant `mean` (d,).

    Parameters
    ----------
    mean : of the training targets, as `modtrans_core.vectors.mean_of_unit` gives it. Of all constants it has the best
        cosine to them.
    targets, counts : as for `cosine`.

    Examples
    --------
    >>> round(floor(np.array([0.5, 0.5]), np.eye(2)), 4)
    0.7071
    """
    return float(cosine(np.broadcast_to(mean, (len(targets), len(mean))), targets, counts).mean())


def ceiling(targets: np.ndarray, counts: np.ndarray | None = None) -> float | None:
    """The cosine that no function of the condition can be expected to exceed, of independent targets.

    Parameters
    ----------
    targets, counts : as for `cosine`. The targets of an item are independent of each other given the item. Of names and
        aliases, which were chosen to differ, this is no ceiling: a prediction can be far above it.

    Returns
    -------
    The estimate; None where no item has two targets.

    Notes
    -----
    Let z and z' be two targets of one item, independent given its condition c. For unit vectors and any function g,

        E cos(z, g(c)) <= E |E[z|c]| <= sqrt(E |E[z|c]|^2) = sqrt(E <z, z'>).

    E <z, z'> is estimated without bias from the items with two targets or more. Of m unit targets with sum s, the
    mean of <z, z'> over different ones is (|s|^2 - m) / (m (m - 1)).

    Examples
    --------
    >>> ceiling(np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])) == 0.5**0.5
    True
    """
    z, counts = unit_targets(targets, counts)
    repeated = counts > 1
    if not repeated.any():
        return None
    m = counts[repeated]
    total = np.square(z[repeated].sum(1, dtype=np.float64)).sum(1)
    return float(np.sqrt(max(0.0, np.mean((total - m) / (m * (m - 1))))))


def recall_at_k(
    predicted: np.ndarray,
    gallery: np.ndarray,
    counts: np.ndarray | None = None,
    relevant: np.ndarray | None = None,
    k: int = 1,
) -> np.ndarray:
    """Probability (q,) that the right item is among the `k` items nearest to each query by cosine.

    An item of the gallery scores by its best vector; the gallery's size is its number of items. Ties are broken at
    random, in expectation: a constant prediction scores k/n, not 0 or 1.

    Parameters
    ----------
    predicted : queries, (q, d).
    gallery : (n, d) or (n, m, d) with `counts`.
    relevant : (q,) the right item of each query. Default: query i belongs to item i.

    Examples
    --------
    >>> recall_at_k(np.array([[1.0, 0.1], [1.0, 0.2]]), np.eye(2))
    array([1., 0.])
    """
    z, counts = unit_targets(gallery, counts)
    return hits(unit(predicted), z, counts, relevant, (k,))[0]


def hits(
    queries: np.ndarray, gallery: np.ndarray, counts: np.ndarray, relevant: np.ndarray | None, ks: Sequence[int]
) -> np.ndarray:
    """`recall_at_k` (len(ks), q) by the inner product of queries (q, D) and gallery vectors (n, m, D) as they are.

    Examples
    --------
    >>> hits(np.eye(2), np.array([[[1.0, 0.0]], [[2.0, 1.0]]]), np.array([1, 1]), None, (1, 2))
    array([[0., 1.],
           [1., 1.]])
    """
    n, m, d = gallery.shape
    relevant = np.arange(n) if relevant is None else relevant
    absent = ~present(m, counts)
    found = np.empty((len(ks), len(queries)))
    chunk = max(1, 2**25 // (n * m))  # similarities held at once: 128 MiB
    for start in range(0, len(queries), chunk):
        rows = slice(start, start + chunk)
        similarity = (queries[rows] @ gallery.reshape(n * m, d).T).reshape(-1, n, m)
        similarity[:, absent] = -np.inf
        best = similarity.max(2)
        own = np.take_along_axis(best, relevant[rows, None], 1)
        ahead = (best > own + 1e-6).sum(1)  # float32 dot products of unit vectors differ by about 1e-7
        tied = (np.abs(best - own) <= 1e-6).sum(1)
        for i, k in enumerate(ks):
            found[i, rows] = np.clip((k - ahead) / tied, 0, 1)
    return found


def away_from(mean: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The direction (..., d) of zhat - mean, zhat (..., d) of its own length; zero where there is none."""
    delta = (predicted - mean).astype(np.float32)
    length = np.linalg.norm(delta, axis=-1, keepdims=True)
    return np.where(length > 1e-6, delta / np.maximum(length, 1e-30), 0)


def score(
    predicted: np.ndarray,
    targets: np.ndarray,
    counts: np.ndarray | None = None,
    *,
    mean: np.ndarray,
    item: np.ndarray | None = None,
    independent: bool = False,
    own: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, float | int | None]:
    """All scores of the predictions.

    Parameters
    ----------
    predicted : (q, d) one row a condition.
    targets, counts : of the n items.
    mean : (d,) mean of the **training** targets: the floor's constant, and the centre of the centered ranking, in
        which it is subtracted from the unit vectors on both sides.
    item : (q,) the item of each condition; an item's conditions share its weight. Default: one each.
    independent : whether an item's targets are independent of each other given the item; see
        `modtrans_core.pairs.PairedEmbeddings.independent`. Only then they have a ceiling.
    own : of a translator with a ranking of its own, vectors (q, D) and (n, D) or (n, m, D) whose inner product it is.
        Default: the cosine of zhat - mean, zhat of its own length, with z - mean.

    Returns
    -------
    `cosine`, `floor`, `ceiling` (None where no item has two independent targets), `skill` = (cosine - floor) / (ceiling
    - floor) with a ceiling of 1 where none is known (None where the ceiling is not above the floor), `recall_at_1`,
    `recall_at_10`, `centered_recall_at_1`, `centered_recall_at_10`, `own_recall_at_1`, `own_recall_at_10`, and
    `gallery`, the number of items ranked.

    Examples
    --------
    >>> z = np.eye(3) + 0.1
    >>> found = score(z, z, mean=z.mean(0))
    >>> round(found["cosine"], 4), round(found["floor"], 4), found["recall_at_1"], found["gallery"]
    (1.0, 0.6768, 1.0, 3)
    """
    n = len(targets)
    item = np.arange(n) if item is None else item
    weight = 1.0 / (n * np.bincount(item, minlength=n)[item])
    own_counts = None if counts is None else counts[item]
    value = float(weight @ cosine(predicted, targets[item], own_counts))
    low, high = floor(mean, targets, counts), ceiling(targets, counts) if independent else None
    z, counts = unit_targets(targets, counts)
    result: dict[str, float | int | None] = {"cosine": value, "floor": low, "ceiling": high}
    top = 1.0 if high is None else high
    result["skill"] = (value - low) / (top - low) if top > low else None
    zhat, centered = unit(predicted), away_from(mean, z)
    queries, gallery = own or (away_from(mean, predicted), centered)
    rankings = {"": (zhat, z), "centered_": (away_from(mean, zhat), centered), "own_": (queries, several(gallery)[0])}
    for ranking, (q, g) in rankings.items():
        found = hits(q, g, counts, item, RANKS)
        result |= {f"{ranking}recall_at_{k}": float(weight @ recall) for k, recall in zip(RANKS, found, strict=True)}
    result["gallery"] = n
    return result
