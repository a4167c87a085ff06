"""Equal conditions as one: an item with several targets repeats its condition, and need be solved for only once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from modtrans_core.vectors import unit


class Merged(NamedTuple):
    """Pairs with different conditions.

    For squared loss and for the cosine of unit targets this is the same problem: summed over the targets of an item,
    |z - f(c)|^2 is weight |mean(z) - f(c)|^2 plus what f cannot change, and <z, f(c)> is weight <mean(z), f(c)>.
    """

    condition: np.ndarray
    """(u, k), in order of first appearance"""
    target: np.ndarray
    """(u, d), the mean target of each"""
    weight: np.ndarray
    """(u,) floats, how many rows each stands for"""


def merge(condition: np.ndarray, target: np.ndarray) -> Merged:
    """Conditions (n, k) and targets (n, d), with equal conditions merged."""
    plain = np.ascontiguousarray(condition + 0.0)  # -0.0 and 0.0 are equal, and their bytes must be too
    rows = plain.view(np.dtype((np.void, plain.dtype.itemsize * plain.shape[1]))).ravel()
    _, first, label, count = np.unique(rows, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    total = np.zeros((len(order), target.shape[1]))
    np.add.at(total, place[label], target)
    return Merged(condition[first[order]], total / count[order, None], count[order].astype(np.float64))


def merge_unit(condition: np.ndarray, target: np.ndarray) -> Merged:
    """`merge` with every target scaled to length 1 first, as the cosine sees it."""
    return merge(condition, unit(target))


def mean_cosine(predicted: np.ndarray, pairs: Merged) -> float:
    """Mean cosine over all the pairs that were merged, for predictions (u, d) and `merge_unit` pairs."""
    return float(pairs.weight @ np.einsum("nd,nd->n", unit(predicted), pairs.target) / pairs.weight.sum())
