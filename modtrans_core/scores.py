"""Scores of a translation: cosine beside its floor and ceiling, and retrieval beside its gallery's size.

Everything here is numpy in, plain floats out, so that a translator and a baseline are scored by the same lines.
Targets are (n, d), or (n, m, d) with `counts` (n,) where item i has `counts[i]` targets (its captions).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from modtrans_core.checks import naming, refuse_unless, whole
from modtrans_core.vectors import AT_ONCE, TIE, integers, norms, present, real, several, unit, unit_targets

RANKS = (1, 10)
EQUAL = 0.01
"""share of the items with several targets up to which two of one may be the same by chance"""


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
    shape = len(z), z.shape[2]
    refuse_unless(np.shape(predicted) == shape, "predicted", np.shape(predicted), f"one row an item, {shape},")
    predicted = unit(predicted, "predicted")
    return np.clip(np.einsum("nd,nmd->n", predicted, z, dtype=np.float64) / counts, -1.0, 1.0)


def floor(mean: np.ndarray, targets: np.ndarray, counts: np.ndarray | None = None) -> float:
    """The score of a prediction that ignores its input: the mean cosine of the constant `mean` (d,).

    It is 0 where the mean is zero and has no direction: then every constant has that cosine to the training targets.

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
    d = np.shape(targets)[-1]
    mean = real("mean", mean)
    refuse_unless(mean.shape == (d,), "mean", mean.shape, f"one of targets in {d} dimensions, ({d},),")
    refuse_unless(bool(np.isfinite(mean).all()), "mean", mean, "an array of finite numbers")
    return float(cosine(np.broadcast_to(mean, (len(targets), d)), targets, counts).mean()) if np.any(mean) else 0.0


def ceiling(targets: np.ndarray, counts: np.ndarray | None = None) -> float | None:
    """The cosine that no function of the condition can be expected to exceed, of independent targets.

    Parameters
    ----------
    targets, counts : as for `cosine`. The targets of an item are independent of each other given the item. Of names and
        aliases, which were chosen to differ, this is no ceiling: a prediction can be far above it.

    Returns
    -------
    The estimate; None where no item has two targets.

    Warns
    -----
    UserWarning
        Of more than one item in a hundred some targets equal each other, as where the last is repeated to fill up.

    Notes
    -----
    Let z and z' be two targets of one item, independent given its condition c. For unit vectors and any function g,

        E cos(z, g(c)) <= E |E[z|c]| <= sqrt(E |E[z|c]|^2) = sqrt(E <z, z'>).

    E <z, z'> is estimated without bias from the items with two targets or more. Of m unit targets with sum s, the
    mean of <z, z'> over different ones is (|s|^2 - m) / (m (m - 1)).

    Examples
    --------
    >>> round(ceiling(np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.6, 0.8]]])), 3)
    0.548
    """
    z, counts = unit_targets(targets, counts)
    repeated = counts > 1
    if not repeated.any():
        return None
    m = counts[repeated]
    _warn_of_equal(z[repeated], m)
    total = np.square(z[repeated].sum(1, dtype=np.float64)).sum(1)
    return float(np.sqrt(max(0.0, np.mean((total - m) / (m * (m - 1))))))


def _warn_of_equal(z: np.ndarray, counts: np.ndarray) -> None:
    """Warn where targets (n, m, d) of an item equal each other more often than two people write the same."""
    along = z @ unit(np.random.default_rng(0).normal(size=(1, z.shape[2])))[0]  # equal ones are neighbours on any line
    order = np.argsort(np.where(np.arange(z.shape[1]) < counts[:, None], along, np.nan), axis=1)
    item, place = np.nonzero(np.diff(np.take_along_axis(along, order, axis=1), axis=1) <= TIE)
    there = place + 1 < counts[item]
    item, place = item[there], place[there]
    equal = np.abs(z[item, order[item, place]] - z[item, order[item, place + 1]]).max(axis=1, initial=0) <= TIE
    found = len(np.unique(item[equal]))
    if found > EQUAL * len(z):
        warnings.warn(
            f"targets: {found} of {len(z)} items with several have equal ones, which count as independent"
            " and raise the ceiling; where they only fill up, counts (NAME_count in a file) say how many there are",
            stacklevel=3,
        )


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
    k = whole("k", k, 1)
    return hits(unit(predicted, "predicted"), z, counts, relevant, (k,))[0]


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
    relevant = _right_items(queries, gallery, relevant)
    ties = _ties(queries, gallery, counts, relevant)
    placed = [_placed(best, relevant[rows], ties[rows]) for rows, best in blocks(queries, gallery, counts)]
    ahead, tied = np.concatenate(placed, axis=1)
    return np.array([_found(ahead, tied, k) for k in ks])


def _right_items(queries: np.ndarray, gallery: np.ndarray, relevant: np.ndarray | None) -> np.ndarray:
    """The right item (q,) of each query (q, D), among those of a gallery (n, m, D)."""
    n, _, D = gallery.shape
    refuse_unless(n > 0, "gallery", gallery.shape, "an item or more")
    fits = queries.ndim == 2 and len(queries) > 0 and queries.shape[1] == D
    refuse_unless(fits, "queries", queries.shape, f"one or more in the gallery's {D} dimensions, (q, {D}),")
    relevant = np.arange(len(queries)) if relevant is None else integers("relevant", relevant)
    inside = relevant.dtype.kind in "iu" and bool(((relevant >= 0) & (relevant < n)).all())
    needed = f"one of the gallery's items, 0 to {n - 1}, for each of {len(queries)} queries"
    refuse_unless(inside and relevant.shape == (len(queries),), "relevant", relevant, needed)
    return relevant


def blocks(
    queries: np.ndarray, gallery: np.ndarray, counts: np.ndarray, at_once: int = 0
) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of the queries (q, D), and their scores (rows, n) with the items (n, m, D), each by its best vector.

    Parameters
    ----------
    at_once : products that are held at once, or those of one query. Default: `AT_ONCE`.
    """
    m, first = gallery.shape[1], np.cumsum(counts) - counts
    vectors = gallery[present(m, counts)] if m > 1 else gallery[:, 0]
    chunk = max(1, (at_once or AT_ONCE) // len(vectors))
    for start in range(0, len(queries), chunk):
        rows = slice(start, start + chunk)
        with np.errstate(over="ignore", invalid="ignore"):
            similarity = queries[rows] @ vectors.T
        finite = bool(np.isfinite(similarity.max()) and np.isfinite(similarity.min()))  # NaN would be nobody's rival
        refuse_unless(finite, "queries, gallery", "NaN or infinity", "vectors with finite inner products")
        yield rows, np.maximum.reduceat(similarity, first, axis=1) if m > 1 else similarity


def _ties(queries: np.ndarray, gallery: np.ndarray, counts: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Below which two scores of a query are the same (q,): `TIE` times the lengths of query and right item.

    The product of the lengths is taken as a power of two, 1 from 1/2 to 2.
    """
    longest = np.where(present(gallery.shape[1], counts), norms(gallery), 0.0).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.trunc(np.log2(norms(queries)) + np.log2(longest)[relevant])
    return TIE * np.exp2(power)


def _placed(best: np.ndarray, relevant: np.ndarray, ties: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many items score higher than the right one, and how many as high, itself among them, (q,) each."""
    own, ties = np.take_along_axis(best, relevant[:, None], 1), ties[:, None].astype(best.dtype)
    return (best > own + ties).sum(1), (np.abs(best - own) <= ties).sum(1)


def _found(ahead: np.ndarray, tied: np.ndarray, k: int) -> np.ndarray:
    """The probability (q,) of rank k or better, ties broken at random."""
    return np.clip((k - ahead) / tied, 0, 1)


def named(best: np.ndarray, k: int, ties: np.ndarray | float = TIE) -> np.ndarray:
    """The k-occurrence (n,): how many queries have each item among their k of the highest scores (q, n).

    Parameters
    ----------
    ties : below which two scores of a query are the same, one number or (q,). Ties are broken at random, in
        expectation.

    Examples
    --------
    >>> named(np.array([[0.9, 0.1, 0.2], [0.8, 0.7, 0.8]]), k=1)
    array([1.5, 0. , 0.5])
    """
    least = np.partition(best, best.shape[1] - k, axis=1)[:, -k, None]
    ties = np.broadcast_to(ties, len(best)).astype(best.dtype)[:, None]
    above, level = best > least + ties, np.abs(best - least) <= ties
    share = (k - above.sum(axis=1)) / level.sum(axis=1)
    return above.sum(axis=0) + np.einsum("q,qn->n", share, level)


def skew(occurrence: np.ndarray) -> float:
    """Skewness of the k-occurrence (n,), the measure of hubs [1]_; 0 where every item is named alike often.

    References
    ----------
    .. [1] M. Radovanovic, A. Nanopoulos and M. Ivanovic, Hubs in space, Journal of Machine Learning Research 11 (2010).
    """
    away = occurrence - occurrence.mean()
    return float((away**3).mean() / (away**2).mean() ** 1.5) if np.ptp(occurrence) > TIE else 0.0


def average_precision(best: np.ndarray, correct: np.ndarray, ties: np.ndarray | float = TIE) -> np.ndarray:
    """The average precision (q,) of rankings of which several items are correct.

    Parameters
    ----------
    best : scores (q, n).
    correct : (q, n) bool, one or more a query.
    ties : below which two scores of a query are the same, one number or (q,).

    Notes
    -----
    The mean, over the correct items, of the share of correct ones among all that score as high or higher. Equal scores
    count as ahead: scikit-learn's `average_precision_score` does the same. Of one correct item it is 1 / rank.

    Examples
    --------
    >>> average_precision(np.array([[0.9, 0.5, 0.1]]), np.array([[True, False, True]])).round(4)
    array([0.8333])
    """
    found, ties = np.empty(len(best)), np.broadcast_to(ties, len(best)).astype(best.dtype)
    for row, (scores, right) in enumerate(zip(best, correct, strict=True)):
        every, own = np.sort(scores), np.sort(scores[right])
        level = own - ties[row]
        found[row] = np.mean((len(own) - np.searchsorted(own, level)) / (len(every) - np.searchsorted(every, level)))
    return found


def ranking_scores(
    queries: np.ndarray,
    gallery: np.ndarray,
    counts: np.ndarray | None = None,
    relevant: np.ndarray | None = None,
    alike: np.ndarray | None = None,
    k: int = 10,
) -> dict[str, float]:
    """What a ranking by inner product finds, and its hubs, in bounded memory.

    Parameters
    ----------
    queries : (q, D).
    gallery : (n, D) or (n, m, D) with `counts`; an item scores by its best vector.
    relevant : (q,) the right item of each query; an item's queries share its weight. Default: query i belongs to item
        i.
    alike : (n,) numbers, such as classes: the items that have the number of the right one are correct too. Default: the
        right item alone.
    k : of the k-occurrence, how many queries name an item among their first k.

    Returns
    -------
    `recall_at_1`, `_5` and `_10`, `median_rank`, `mrr` (mean 1 / rank), with ties broken at random, in expectation;
    `map`, the mean of `average_precision`; `hub_skew`, the skewness of the k-occurrence; `anti_hubs`, the share of
    items that no query names; `largest_hub`, the share of queries that name the item which is named most; and
    `gallery`, the number of items.

    Examples
    --------
    Two items are first, and the third is second, which no query names first:

    >>> found = ranking_scores(np.array([[1.0, 0], [0, 1], [0.9, 0.2]]), np.array([[1.0, 0], [0, 1], [0.6, 0.6]]), k=1)
    >>> round(found["mrr"], 4), found["median_rank"], round(found["anti_hubs"], 4), round(found["largest_hub"], 4)
    (0.8333, 1.0, 0.3333, 0.6667)
    """
    z, counts = several(gallery, counts)
    n, queries = len(z), real("queries", queries)
    relevant = _right_items(queries, z, relevant)
    k = whole("k", k, 1)
    if alike is not None:
        masked, alike = np.ma.is_masked(alike), np.asarray(alike, dtype=None if hasattr(alike, "dtype") else object)
        known = alike.shape == (n,) and not masked and not (alike != alike).any()
        refuse_unless(known, "alike", alike, f"one label an item, ({n},),")
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])
    occurrence, per_query, ties = np.zeros(n), [], _ties(queries, z, counts, relevant)
    for rows, best in blocks(queries, z, counts):
        own = relevant[rows]
        ahead, tied = _placed(best, own, ties[rows])
        values = [_found(ahead, tied, at) for at in (1, 5, 10)]
        reciprocal = (harmonic[ahead + tied] - harmonic[ahead]) / tied
        precision = reciprocal if alike is None else average_precision(best, alike[own][:, None] == alike, ties[rows])
        per_query.append(np.stack([*values, reciprocal, precision, ahead + (tied + 1) / 2]))
        occurrence += named(best, min(k, n), ties[rows])
    weight = 1.0 / np.bincount(relevant, minlength=n)[relevant]
    *means, rank = np.concatenate(per_query, axis=1)
    order = np.argsort(rank)
    share = np.cumsum(weight[order]) / weight.sum()
    middle = order[np.searchsorted(share, [0.5 - 1e-9, 0.5 + 1e-9])]  # two ranks where half the weight is up to one
    names = ("recall_at_1", "recall_at_5", "recall_at_10", "mrr", "map")
    found = {name: float(np.average(value, weights=weight)) for name, value in zip(names, means, strict=True)}
    return {
        **found,
        "median_rank": float(rank[middle].mean()),
        "hub_skew": skew(occurrence),
        "anti_hubs": float((occurrence == 0).mean()),
        "largest_hub": float(occurrence.max() / len(queries)),
        "gallery": float(n),
    }


def away_from(mean: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The direction (..., d) of zhat - mean, zhat (..., d) of its own length; zero where there is none."""
    predicted, mean = real("predicted", predicted), real("mean", mean)
    delta = predicted - mean
    exponent = np.frexp(np.abs(delta).max(axis=-1, keepdims=True))[1]
    delta = np.ldexp(delta, -exponent).astype(np.float32)  # a power of two is exact, and squares are in float32's range
    length = np.linalg.norm(delta, axis=-1, keepdims=True)
    least = TIE * np.minimum(np.maximum(norms(predicted), norms(mean)), 1.0)[..., None]
    return np.where(np.ldexp(np.float64(length), exponent) > least, delta / np.maximum(length, 1e-30), 0)


def score(
    predicted: np.ndarray,
    targets: np.ndarray,
    counts: np.ndarray | None = None,
    *,
    mean: np.ndarray,
    item: np.ndarray | None = None,
    independent: bool = False,
    own: tuple[np.ndarray, np.ndarray] | None = None,
    alike: np.ndarray | None = None,
    ranking: bool = False,
) -> dict[str, Any]:
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
    ranking : also measure each ranking by `ranking_scores`, with `alike`.

    Returns
    -------
    `cosine`, `floor`, `ceiling` (None where no item has two independent targets), `skill` = (cosine - floor) / (ceiling
    - floor) with a ceiling of 1 where none is known (None where the ceiling is not above the floor), `recall_at_1`,
    `recall_at_10`, `centered_recall_at_1`, `centered_recall_at_10`, `own_recall_at_1`, `own_recall_at_10`, and
    `gallery`, the number of items ranked. With `ranking`, `rankings`: what `ranking_scores` says of `plain`, `centered`
    and `own`.

    Examples
    --------
    >>> z = np.eye(3) + 0.1
    >>> found = score(z, z, mean=z.mean(0))
    >>> round(found["cosine"], 4), round(found["floor"], 4), found["recall_at_1"], found["gallery"]
    (1.0, 0.6768, 1.0, 3)
    """
    predicted, targets, n = real("predicted", predicted), real("targets", targets), len(targets)
    item = np.arange(n) if item is None else integers("item", item)
    whole = item.dtype.kind in "iu" and np.array_equal(np.unique(item), np.arange(n))
    refuse_unless(whole, "item", item, f"one of 0 to {n - 1} for each row of predicted, all of them,")
    weight = 1.0 / (n * np.bincount(item, minlength=n)[item])
    own_counts = None if counts is None else several(targets, counts)[1][item]
    value = float(weight @ cosine(predicted, targets[item], own_counts))
    low, high = floor(mean, targets, counts), ceiling(targets, counts) if independent else None
    z, counts = unit_targets(targets, counts)
    result: dict[str, Any] = {"cosine": value, "floor": low, "ceiling": high}
    top = 1.0 if high is None else high
    result["skill"] = (value - low) / (top - low) if top > low else None
    zhat, centered = unit(predicted), away_from(mean, z)
    queries, gallery = own or (away_from(mean, predicted), centered)
    with naming("own"):
        queries, gallery = real("queries", queries), several(gallery)[0]
    fits = queries.shape == (len(predicted), gallery.shape[2]) and len(gallery) == n
    shapes = f"vectors ({len(predicted)}, D) and ({n}, D) or ({n}, m, D)"
    refuse_unless(fits, "own", (queries.shape, gallery.shape), shapes)
    rankings = {"": (zhat, z), "centered_": (away_from(mean, zhat), centered), "own_": (queries, gallery)}
    for way, (q, g) in rankings.items():
        found = hits(q, g, counts, item, RANKS)
        means = np.average(found, axis=1, weights=weight)
        result |= {f"{way}recall_at_{k}": float(mean) for k, mean in zip(RANKS, means, strict=True)}
    result["gallery"] = n
    if ranking:
        result["rankings"] = {
            name.rstrip("_") or "plain": ranking_scores(q, g, counts, item, alike) for name, (q, g) in rankings.items()
        }
    return result
