"""A gallery ranked for queries by scores that take its hubs out: plain arrays, or the translations of any translator.

A **hub** is an item that many queries rank high, whatever they ask for. A translation is zhat = m + delta, with the
mean m of the targets, so that

    <zhat, g> = <m, g> + <delta, g>:

the first term is the same for every query, a bonus of the item g. If the bonus of one item exceeds that of every other
by more than 2 max|delta|, that item is first for all queries. The scores differ in what they do about it. With s the
inner product of a unit query q and a unit gallery vector g:

    cosine     s
    centered   the cosine of zhat - m, zhat of its own length, and g - m: what is left is delta
    csls       s - r(g)/2, r(g) the mean s of g and the k queries of a bank that are nearest to it [1]_
    inverted   s - log(mean exp(b s))/b over the queries of a bank: the order of exp(b s) / sum exp(b s') [2]_
    dual       inverted, its bank the queries themselves [3]_: **transductive**, each depends on those beside it

`modtrans evaluate` has two of these: its `own`, of a translator without another ranking, is this `centered`; its
`centered` makes zhat a unit vector before m is subtracted, so that more of m is left the shorter zhat is.

The last three can be centered as well. All are inner products of vectors with at most one more coordinate (`vectors`),
so that an index of inner products ranks by them. A translator that `modtrans_core.protocol.Ranks` has such a score
built in.

References
----------
.. [1] A. Conneau, G. Lample, M. Ranzato, L. Denoyer and H. Jegou, Word translation without parallel data,
   arXiv:1710.04087, section 2.3. Their term of the query does not change its ranking.
.. [2] S. Smith, D. Turban, S. Hamblin and N. Hammerla, Offline bilingual word vectors, orthogonal transformations and
   the inverted softmax, arXiv:1702.03859.
.. [3] X. Cheng and others, Improving video-text retrieval by multi-stream corpus alignment and dual softmax loss,
   arXiv:2109.04290.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from modtrans_core.checks import refuse_unless, refuse_unless_in, whole
from modtrans_core.protocol import Translator, in_full_precision
from modtrans_core.ranking import Correction, items_of, nearest
from modtrans_core.scores import away_from, ranking_scores
from modtrans_core.vectors import ROWS, integers, present, real, refuse_bad_rows, several, unit

SHARPNESS = (5.0, 10.0, 20.0, 40.0, 80.0)
CANDIDATES = {
    "cosine": (0.0,), "centered": (0.0,), "csls": (5.0, 10.0, 20.0, 50.0), "inverted": SHARPNESS, "dual": SHARPNESS
}  # fmt: skip
"""score -> the values of its parameter (k of csls, b of the others) that `chosen` tries"""
SCORES = tuple(CANDIDATES)
USUAL = {"cosine": 0.0, "centered": 0.0, "csls": 10.0, "inverted": 20.0, "dual": 20.0}
"""score -> its parameter where none is given"""
BANK = 2048
"""conditions, at most, whose translations are a bank"""


class Ranked(NamedTuple):
    """The first items of a gallery for each query."""

    items: np.ndarray
    """their numbers (n, k), best first"""
    scores: np.ndarray
    """(n, k)"""
    score: str
    """one of `SCORES`"""
    transductive: bool
    """whether a query is ranked otherwise beside other queries"""


@in_full_precision
def rank(
    queries: np.ndarray,
    gallery: np.ndarray,
    score: str = "cosine",
    k: int = 10,
    *,
    bank: np.ndarray | None = None,
    mean: np.ndarray | None = None,
    parameter: float | None = None,
    item: np.ndarray | None = None,
) -> Ranked:
    """The k items of the gallery with the highest score for each query.

    Beside copies of the arrays, `modtrans_core.vectors.AT_ONCE` scores are held at once, whatever n, g and B are.

    Parameters
    ----------
    queries : (n, d), such as translations. Where they are centered their lengths count, as the mean's part of a
        translation is the mean itself; give unit vectors where the lengths mean nothing.
    gallery : (g, d).
    score : one of `SCORES`.
    k : 1 to the number of items.
    bank : (B, d) other queries, which csls and inverted need: `bank_of` makes one of training conditions.
    mean : (d,) of the unit training targets, which centered needs. Of csls, inverted and dual both sides are centered
        first where it is given.
    parameter : neighbours of csls, sharpness of inverted and dual. Default: that of `USUAL`; `chosen` finds a better.
    item : the item (g,) of each gallery vector, ascending from 0 without a gap; an item scores by its best vector.
        Default: its own.

    Raises
    ------
    ValueError
        An unknown score; a bank or a mean that it needs or does not take; k or the parameter out of range; a vector
        without direction.

    Examples
    --------
    One item lies along the mean, and is the nearest of every query:

    >>> m, e = np.array([0.8, 0, 0]), np.eye(3)
    >>> gallery = np.array([e[0], m + 0.6 * e[1], m + 0.6 * e[2]])
    >>> queries = np.array([m + 0.1 * e[1], m + 0.1 * e[2]])
    >>> rank(queries, gallery, k=1).items.ravel()
    array([0, 0])
    >>> rank(queries, gallery, "centered", k=1, mean=m).items.ravel()
    array([1, 2])
    """
    q, g = vectors(queries, gallery, score, bank=bank, mean=mean, parameter=parameter)
    item = np.arange(len(g)) if item is None else integers("item", item)
    most = items_of(item, len(g))
    k = whole("k", k, 1, most, "the size of the gallery")
    own = torch.from_numpy(item)
    items, scores = nearest(torch.from_numpy(q), torch.from_numpy(g), k, own)
    return Ranked(items.numpy(), scores.numpy(), score, score == "dual")


def vectors(
    queries: np.ndarray,
    gallery: np.ndarray,
    score: str = "cosine",
    *,
    counts: np.ndarray | None = None,
    bank: np.ndarray | None = None,
    mean: np.ndarray | None = None,
    parameter: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Queries (n, D) and gallery (g, D), or (g, m, D) with `counts`, whose inner product is the score.

    D is d, or d + 1 for csls, inverted and dual. The parameters are those of `rank`.

    Examples
    --------
    >>> q, g = vectors(np.eye(2), np.eye(2), "csls", bank=np.eye(2), parameter=1)
    >>> q @ g.T
    array([[ 0.5, -0.5],
           [-0.5,  0.5]], dtype=float32)
    """
    refuse_unless_in("score", score, SCORES)
    kind = {"csls": 1, "inverted": 2, "dual": 2}.get(score, 0)
    number = USUAL[score] if parameter is None else parameter
    for name, given, needed, taken in (
        ("bank", bank, score in ("csls", "inverted"), score in ("csls", "inverted")),
        ("mean", mean, score == "centered", score != "cosine"),
    ):
        refuse_unless(given is not None or not needed, name, None, f"an array of vectors, for the score {score!r},")
        refuse_unless(given is None or taken, name, "an array", f"nothing, for the score {score!r},")
    if kind == 1:
        number = whole("parameter", number, 1)
    fits = 1e-30 <= number <= 1e30 if kind == 2 else kind == 1 or number == 0
    refuse_unless(
        fits,
        "parameter",
        parameter,
        f"{'a number from 1e-30 to 1e30' if kind else 'nothing'}, for the score {score!r},",
    )
    queries, gallery = rows_of("queries", queries), rows_of("gallery", gallery, items=True)
    mean = None if mean is None else real("mean", mean)
    d = gallery.shape[-1]
    alike = f"vectors of dimension {d}, as those of the gallery,"
    refuse_unless(queries.shape[1] == d, "queries", queries.shape, alike)
    fits = mean is None or (mean.shape == (d,) and bool(np.isfinite(mean).all()))
    refuse_unless(fits, "mean", mean, f"a vector ({d},) of finite numbers")
    own = np.full(len(gallery), gallery.shape[1]) if gallery.ndim == 3 and counts is None else counts
    own = None if own is None else several(gallery, own)[1]
    q, g = _directions("queries", queries, mean), _directions("gallery", gallery, mean, own, scaled=True)
    if not kind:
        return q, g
    if bank is not None:
        bank = rows_of("bank", bank)
        refuse_unless(bank.shape[1] == d, "bank", bank.shape, alike)
    others = q if bank is None else _directions("bank", bank, mean)
    return corrected(q, g, others, Correction(kind, number), counts)


@in_full_precision
def corrected(
    queries: np.ndarray,
    gallery: np.ndarray,
    bank: np.ndarray,
    correction: Correction,
    counts: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """[q, 1] and [g, -hubness(g)] of directions, (n, d) and (g, d) or (g, m, d) with `counts`; see `vectors`."""
    rows, own = several(gallery, counts)
    there = present(rows.shape[1], own)
    lower = np.zeros(there.shape, dtype=np.float32)
    lower[there] = correction.hubness(*(torch.from_numpy(np.float32(x)) for x in (bank, rows[there]))).numpy()
    return _with(queries, np.ones(len(queries))), _with(gallery, -lower.reshape(gallery.shape[:-1]))


def chosen(
    queries: np.ndarray,
    gallery: np.ndarray,
    score: str,
    *,
    counts: np.ndarray | None = None,
    item: np.ndarray | None = None,
    bank: np.ndarray | None = None,
    mean: np.ndarray | None = None,
) -> float:
    """The parameter among `CANDIDATES` with the highest mean reciprocal rank; the first of equals.

    Parameters
    ----------
    queries, gallery, counts, item : validation queries, which neither the translator nor the bank has seen, and their
        gallery; as for `measured`.
    """

    def mrr(parameter: float) -> float:
        way = vectors(queries, gallery, score, counts=counts, bank=bank, mean=mean, parameter=parameter)
        return ranking_scores(*way, counts, item)["mrr"]

    candidates = CANDIDATES[score]
    return candidates[0] if len(candidates) == 1 else max(candidates, key=mrr)


def measured(
    queries: np.ndarray,
    gallery: np.ndarray,
    score: str = "cosine",
    *,
    counts: np.ndarray | None = None,
    item: np.ndarray | None = None,
    alike: np.ndarray | None = None,
    bank: np.ndarray | None = None,
    mean: np.ndarray | None = None,
    parameter: float | None = None,
) -> dict[str, Any]:
    """What a score finds, and its hubs.

    Parameters
    ----------
    gallery : (g, d), or (g, m, d) with `counts`; an item scores by its best vector.
    item : (n,) the right item of each query. Default: query i belongs to item i.
    alike : (g,) numbers, such as classes: items with that of the right one are correct for mAP as well.

    Returns
    -------
    `score`, `parameter`, `transductive`, and `modtrans_core.scores.ranking_scores`.
    """
    way = vectors(queries, gallery, score, counts=counts, bank=bank, mean=mean, parameter=parameter)
    number = USUAL[score] if parameter is None else parameter
    named = {"score": score, "parameter": number, "transductive": score == "dual"}
    return {**named, **ranking_scores(*way, counts, item, alike)}


def bank_of(translator: Translator, c: np.ndarray, most: int = BANK) -> np.ndarray:
    """The translations (B, d) of at most so many conditions c (N, k), evenly spaced: training ones make a bank."""
    return translator.translate(np.asarray(c[:: -(-len(c) // most)]))


def rows_of(name: str, x: np.ndarray, items: bool = False) -> np.ndarray:
    """x as an array of float32 or float64 (n, d), or (n, m, d) of items, that is not empty; else a ValueError."""
    x = real(name, x)
    needed = f"an array (n, d){' or (n, m, d)' * items} with no empty side"
    refuse_unless(x.ndim in (2, 2 + items) and 0 not in x.shape, name, x.shape, needed)
    return x


def _directions(
    name: str, rows: np.ndarray, mean: np.ndarray | None, counts: np.ndarray | None = None, scaled: bool = False
) -> np.ndarray:
    """The directions of rows (..., d), of a few at a time; less the mean where there is one; zero where none is there.

    Parameters
    ----------
    scaled : to unit length before the mean is subtracted.
    """
    found = np.zeros(rows.shape, dtype=np.float32)
    for start in range(0, len(rows), ROWS):
        part = slice(start, start + ROWS)
        there = np.ones(rows[part].shape[:-1], bool) if counts is None else present(rows.shape[1], counts[part])
        own = rows[part][there]
        refuse_bad_rows(name, own, rows=np.nonzero(there)[0] + start)
        own = unit(own) if scaled or mean is None else own
        found[part][there] = own if mean is None else away_from(mean, own)
    return found


def _with(rows: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The rows (..., D) with one more coordinate."""
    return np.concatenate([rows, last[..., None]], axis=-1, dtype=np.float32)
