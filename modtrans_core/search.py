"""A gallery ranked for queries by any translator, piece by piece: what is on disk is never all in memory.

The score is the inner product of a search vector and a gallery vector. A translator that `Ranks` has its own. Of any
other they are the directions of zhat - mean, zhat of its own length, and of z/|z| - mean. What all queries have in
common is subtracted on both sides: by the plain cosine an item near the mean would be near to every query.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modtrans_core.checks import refuse_unless, whole
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Ranks, Translator, Vectors, conditions, in_full_precision, like, targets
from modtrans_core.ranking import items_of, nearest
from modtrans_core.scores import away_from
from modtrans_core.store.mapped import MappedRows
from modtrans_core.vectors import ROWS, integers


def search_vectors(translator: Translator, c: Vectors, report: Progress = silent) -> Vectors:
    """(n, D) of the conditions c (n, k), whose inner product with `gallery_vectors` is the score."""
    found: list[Any] = []
    rows = ROWS if translator.row_by_row else max(1, len(c))
    for start in range(0, max(1, len(c)), rows):
        part = c[start : start + rows]
        if isinstance(translator, Ranks):
            vectors = translator.search_vectors(part)
        else:
            vectors = _away(translator, translator.translate(part))
        found.append(_rows("search vectors", vectors, len(part), isinstance(c, Tensor)))
        report(start + len(part), len(c))
    return torch.cat(found) if isinstance(c, Tensor) else np.concatenate(found)


def _rows(name: str, found: Vectors, n: int, tensor: bool = True) -> Any:
    """What a translator gave for n rows, as a tensor or as it is, if it is a vector each."""
    refuse_unless(np.ndim(found) == 2 and len(found) == n, name, tuple(found.shape), f"a vector each of {n} rows")
    return torch.as_tensor(found) if tensor else found


def gallery_vectors(translator: Translator, z: Vectors, together: Vectors | None = None) -> Vectors:
    """(g, D) of the targets z (g, d).

    Parameters
    ----------
    together : search vectors (n, D) of queries that correct each other's ranking; see `rank`.

    Raises
    ------
    ValueError
        Together, by a translator that has no `search_vectors`.
    """
    if isinstance(translator, Ranks):
        return translator.gallery_vectors(z, together)
    _refuse_together(translator, together is not None)
    return like(_away(translator, targets(z, translator.facts, translator.mean.device)), z)


@in_full_precision
@torch.no_grad()
def rank(
    translator: Translator,
    queries: Vectors,
    gallery: Vectors | MappedRows,
    k: int = 10,
    *,
    together: bool = False,
    item: np.ndarray | None = None,
    report: Progress = silent,
) -> tuple[Vectors, Vectors]:
    """The k items of the gallery that belong to each query most likely.

    Parameters
    ----------
    queries : conditions (n, k), numpy or torch.
    gallery : vectors (g, d) of the target modality; those of a `MappedRows` stay on disk.
    k : 1 to the number of items in the gallery.
    together : the queries are independent of each other, and of how the gallery was chosen, and may correct each
        other's ranking: a gallery vector that is near to many of them is lowered for all. Ranked like this, a query
        has another result beside other queries; of a few each is ranked by itself.
    item : the item (g,) of each gallery vector, ascending, as `PairedEmbeddings.rows` gives it; an item scores by its
        best vector. Default: each its own.
    report : called with (vectors done, queries and gallery vectors in all).

    Returns
    -------
    Numbers of items and their scores, best first, (n, k) each.

    Raises
    ------
    ValueError
        k out of range; vectors of another dimension, zero or not finite; items that are not numbered from 0 without a
        gap; together, by a translator that has no `search_vectors`.

    Examples
    --------
    >>> import modtrans_core as mt
    >>> rng = np.random.default_rng(0)
    >>> image = rng.normal(size=(200, 6))
    >>> pairs = mt.PairedEmbeddings({"image": image, "text": image[:, :4] + 1})
    >>> translator = mt.fit(pairs.take(np.arange(150)))
    >>> test = pairs.take(np.arange(150, 200))
    >>> indices, scores = mt.rank(translator, test.modality("image"), test.modality("text"), k=3)
    >>> indices.shape, bool((indices[:, 0] == np.arange(50)).mean() > 0.7)
    ((50, 3), True)
    """
    _refuse_together(translator, together)
    facts, device = translator.facts, translator.mean.device
    item = np.arange(len(gallery)) if item is None else integers("item", item)
    items = items_of(item, len(gallery))
    k = whole("k", k, 1, items, "the size of the gallery")
    c = conditions(queries, facts, device)
    if not isinstance(gallery, MappedRows) and getattr(gallery, "shape", ())[1:] != (facts.d,):
        targets(gallery, facts, device)  # says what is wrong
    total = len(c) + len(item)
    q = search_vectors(translator, c, lambda done, _: report(done, total))
    indices, scores = q.new_empty((len(q), 0), dtype=torch.int64), q.new_empty((len(q), 0))
    for rows in _whole_items(item):
        z = targets(gallery[rows], facts, device, rows.start)
        g = _rows("gallery vectors", gallery_vectors(translator, z, q if together else None), len(z)).to(q)
        first, own = int(item[rows.start]), torch.from_numpy(item[rows].astype(np.int64)).to(device)
        nearer, higher = nearest(q, g, k, own - first)
        scores, indices = torch.cat([scores, higher], 1), torch.cat([indices, nearer + first], 1)
        best = scores.topk(min(k, scores.shape[1]), dim=1)
        scores, indices = best.values, indices.gather(1, best.indices)
        report(len(c) + rows.stop, total)
    finite = bool(scores.isfinite().all())  # NaN would be first
    refuse_unless(finite, "scores", "NaN or infinity", "a translator whose search and gallery vectors are finite")
    return like(indices, queries), like(scores, queries)


def _whole_items(item: np.ndarray) -> Iterator[slice]:
    """The rows of about `ROWS` vectors at a time, no item in two pieces."""
    starts = np.unique(np.searchsorted(item, item[::ROWS])).tolist()
    yield from map(slice, starts, [*starts[1:], len(item)])


def _refuse_together(translator: Translator, together: bool) -> None:
    wanted = "a method that has search_vectors, such as calibrated,"
    refuse_unless(not together or isinstance(translator, Ranks), "together", translator.method, wanted)


def _away(translator: Translator, vectors: Vectors) -> Vectors:
    """The direction (n, d) of each vector less the mean."""
    rows = torch.as_tensor(vectors).cpu().numpy()
    away = torch.from_numpy(away_from(translator.mean.cpu().numpy(), rows)).to(translator.mean.device)
    return like(away, vectors)
