"""Rankings of a gallery, corrected for hubs: items that are near to any query are lowered by how near they are.

A corrected score is <q, g> - hubness(g) for a unit query q and a unit gallery vector g. The hubness is measured with a
bank of other queries, and does not depend on q. So the vectors [q, 1] and [g, -hubness(g)] have the corrected score as
their inner product: what an index of inner products ranks by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from modtrans_core.checks import refuse_unless
from modtrans_core.vectors import AT_ONCE, TIE

KINDS = ("none", "CSLS", "inverted softmax")


class Correction(NamedTuple):
    """How the hubness of a gallery vector is measured with a bank of queries."""

    kind: int
    """0: it is 0. 1: half the mean similarity of the k queries nearest to it, k the parameter (CSLS of Conneau et al.
    2018, arXiv 1710.04087). 2: log mean exp(b s) / b over the similarities s of all queries, b the parameter (the
    inverted softmax of Smith et al. 2017, arXiv 1702.03859)"""
    parameter: float = 0.0

    def __str__(self) -> str:
        return KINDS[self.kind] if self.kind == 0 else f"{KINDS[self.kind]} {self.parameter:g}"

    def hubness(self, bank: Tensor, gallery: Tensor) -> Tensor:
        """Of the gallery vectors (g, d), (g,), by the queries of the bank (B, d), in bounded memory."""
        if not self.kind or not len(bank):
            return gallery.new_zeros(len(gallery))
        return torch.cat([self._of(bank @ part.T) for part in gallery.split(max(1, AT_ONCE // len(bank)))])

    def _of(self, similarity: Tensor) -> Tensor:
        """Of the gallery vectors, (g,), from their similarity with each query of the bank (B, g)."""
        if self.kind == 1:
            return similarity.topk(min(int(self.parameter), len(similarity)), dim=0).values.mean(0) / 2
        if self.parameter < 1:  # near the mean, where a difference of logarithms would lose its digits
            mean = similarity.mean(0)
            return mean + torch.log1p(torch.expm1(self.parameter * (similarity - mean)).mean(0)) / self.parameter
        sharp = self.parameter * similarity
        return (torch.logsumexp(sharp, 0) - math.log(len(similarity))) / self.parameter


CANDIDATES = (Correction(0), Correction(1, 10), *(Correction(2, b) for b in (5.0, 10.0, 20.0, 40.0)))


class Known(NamedTuple):
    """Queries whose item in a gallery is known."""

    queries: Tensor
    """(n, d), unit"""
    gallery: Tensor
    """(items, d), unit"""
    own: Tensor
    """the item (n,) of each query"""
    bank: Tensor
    """other queries, (B, d), or the queries themselves where they correct each other"""

    def reciprocal_ranks(self, *corrections: Correction) -> Tensor:
        """1 / rank (corrections, n) of each query's item."""
        similarity, of_bank, found = self.queries @ self.gallery.T, self.bank @ self.gallery.T, []
        for correction in corrections:
            hubness = correction._of(of_bank) if correction.kind and len(of_bank) else 0.0
            corrected = similarity - hubness
            reached = corrected.gather(1, self.own[:, None])
            found.append(1 / (1 + (corrected > reached + TIE).sum(1)))
        return torch.stack(found)


def chosen(known: Sequence[Known]) -> Correction:
    """The correction of `CANDIDATES` with the best mean reciprocal rank over all queries; the first of equals."""
    scores = torch.cat([one.reciprocal_ranks(*CANDIDATES) for one in known], dim=1).mean(1).tolist()
    return CANDIDATES[scores.index(max(scores))]


def items_of(item: np.ndarray, vectors: int) -> int:
    """How many items so many gallery vectors belong to, by the item (g,) of each.

    Raises
    ------
    ValueError
        No vector at all, texts, items that are not numbered in ascending order from 0 without a gap.

    Examples
    --------
    >>> items_of(np.array([0, 0, 1]), 3)
    2
    """
    refuse_unless(vectors > 0, "gallery", "empty", "a vector or more")
    refuse_unless(item.dtype.kind in "iufbO", "item", str(item.dtype), "an array of integers")
    gaps = np.diff(item, prepend=-1)  # 1 where an item begins, 0 inside it
    refuse_unless(
        len(item) == vectors and item.dtype.kind in "iu" and bool(gaps[:1].all() and np.isin(gaps, (0, 1)).all()),
        "item", f"{len(item)} numbers", f"ascending ones from 0 without a gap, {vectors} as in the gallery,",
    )  # fmt: skip
    return int(gaps.sum())


def nearest(queries: Tensor, gallery: Tensor, k: int, item: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k items, all of them where there are fewer, of the largest inner product with each query (n, d).

    Parameters
    ----------
    gallery : vectors (g, d).
    item : the item (g,) of each, ascending from 0 without a gap; an item scores by its best vector. Default: each its
        own.

    Returns
    -------
    Their numbers and the products, best first, (n, k) each, in bounded memory.
    """
    items = len(gallery) if item is None else int(item[-1]) + 1
    found = []
    for part in queries.split(max(1, AT_ONCE // len(gallery))):
        score = part @ gallery.T
        if item is not None and items < len(gallery):
            best = score.new_full((len(part), items), -torch.inf)
            score = best.scatter_reduce_(1, item.expand(len(part), -1), score, "amax")
        found.append(score.topk(min(k, items), dim=1))
    return torch.cat([one.indices for one in found]), torch.cat([one.values for one in found])
