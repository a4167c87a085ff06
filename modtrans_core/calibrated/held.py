"""Conditions whose groups are left out, a fold at a time: what is chosen is chosen by what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from modtrans_core.pairing import Pairing
from modtrans_core.vectors import unit

LEFT_OUT, FOLDS = 4096, 8
"""conditions, at most, whose groups are left out, and in how many folds"""


@dataclass(frozen=True)
class Held:
    """Conditions whose groups are left out, a fold at a time, with all of their pairs."""

    c: Tensor
    """(n, k), unit"""
    target: Tensor
    """z - mean (n, d), for the mean z of the unit targets of each"""
    others: Tensor
    """the mean of the unit targets of all other folds, less that of all (n, d): with its own targets in the mean, a
    prediction that leaves them out differs from it the more the further they are from it, and would tell them"""
    count: Tensor
    """how many targets these are (n,)"""
    item: Tensor
    """(n,)"""
    group: np.ndarray
    """(n,)"""
    folds: list[Tensor]
    """the conditions of each of `FOLDS` parts of whole groups, which are left out in turn"""
    z: Tensor
    """the unit target of each pair (P, d)"""
    of_c: Tensor
    """the condition (P,) of each pair"""
    all: bool
    """whether these are all conditions that there are"""

    @staticmethod
    def of(parts: Sequence[Pairing], mean: Tensor, rng: np.random.Generator) -> Held:
        """Those of as many groups, drawn at random, as have `LEFT_OUT` conditions between them."""
        label = labels(parts)
        chosen = _some_groups(np.concatenate([label[part][one.item] for part, one in enumerate(parts)]), rng)
        if len(chosen) < 2:  # as good as all belong together, and can only be left out in parts
            label = labels([replace(one, pairs=replace(one.pairs, group=None)) for one in parts])
            chosen = _some_groups(np.concatenate([label[part][one.item] for part, one in enumerate(parts)]), rng)
        held = [one.take(np.flatnonzero(np.isin(label[part], chosen))) for part, one in enumerate(parts)]
        rows: list[tuple[Tensor, Tensor, Tensor]] = []
        items, groups, z, of_c = [], [], [], []
        for part, one in enumerate(held):
            if not len(one.pairs):
                continue
            of_c.append(torch.from_numpy(one.of_c) + sum(int(found[0].shape[0]) for found in rows))
            rows.append(next(one.sums(mean.device, len(one.pairs), (0, 1))))
            items.append(one.item + sum(len(other.pairs) for other in held[:part]))
            groups.append(label[part][np.isin(label[part], chosen)][one.item])
            z.append(torch.from_numpy(unit(one.z[one.of_z])).to(mean.device))
        c, total, count = (torch.cat([found[i] for found in rows]) for i in range(3))
        item, group = np.concatenate(items), np.concatenate(groups)
        target, items_in_all = total / count[:, None] - mean, sum(len(part.pairs) for part in parts)
        folds = [rows.to(mean.device) for rows in _folds(group, rng)]
        return Held(
            c, target, _others(target, item, folds, items_in_all), count, torch.from_numpy(item).to(mean.device),
            group, folds, torch.cat(z), torch.cat(of_c).to(mean.device),
            len(c) == sum(len(part.c) for part in parts),
        )  # fmt: skip


def _others(target: Tensor, item: np.ndarray, folds: Sequence[Tensor], items: int) -> Tensor:
    """`Held.others` of the targets (n, d) of conditions, the item of each (n,), and how many items there are in all."""
    _, of, conditions = np.unique(item, return_inverse=True, return_counts=True)
    share = torch.from_numpy(1 / conditions[of]).to(target)  # an item's conditions share its weight
    found = torch.empty_like(target)
    for rows in folds:
        found[rows] = -(share[rows] @ target[rows]) / (items - share[rows].sum())
    return found


def labels(parts: Sequence[Pairing]) -> list[np.ndarray]:
    """The group of each part's items; items without one are groups of their own, numbered below zero."""
    found, before = [], 0
    for part in parts:
        alone = -1 - before - np.arange(len(part.pairs))
        found.append(alone if part.pairs.group is None else part.pairs.group)
        before += len(part.pairs)
    return found


def _some_groups(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Groups that have `LEFT_OUT` conditions between them at most, but one group at least, from that (n,) of each."""
    names, sizes = np.unique(group, return_counts=True)
    order = rng.permutation(len(names))
    order = np.concatenate([order[sizes[order] <= LEFT_OUT], order[sizes[order] > LEFT_OUT]])
    several = np.searchsorted(np.cumsum(sizes[order]), LEFT_OUT, side="right")
    return names[order[: max(1, several)]]


def _folds(group: np.ndarray, rng: np.random.Generator) -> list[Tensor]:
    """The rows of each fold, whole groups dealt out."""
    groups, of = np.unique(group, return_inverse=True)
    dealt = (rng.permutation(len(groups)) % FOLDS)[of]
    return [torch.from_numpy(np.flatnonzero(dealt == fold)) for fold in range(min(FOLDS, len(groups)))]
