"""Which items are for training, for validation and for the test: dealt out by group, or as the data set itself says."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from modtrans_core.checks import refuse, whole

SPLITS = ("train", "validation", "test")


def distinct(group: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels, the index of each item's label, and how many items have each. Ascending groups need no sorting."""
    if (group[1:] > group[:-1]).all():
        return group, np.arange(len(group)), np.ones(len(group), dtype=np.int64)
    return np.unique(group, return_inverse=True, return_counts=True)


def shares(fractions: Sequence[float]) -> tuple[float, ...]:
    """The share of the items in each part, if they are positive and sum to 1."""
    try:
        found = tuple(map(float, fractions))
    except (TypeError, ValueError):
        refuse("fractions", fractions, "a tuple of positive numbers that sum to 1")
    if not (all(share > 0 for share in found) and abs(sum(found) - 1) <= 1e-9):
        raise ValueError(f"fractions: {found}, positive numbers that sum to 1 are needed")
    return found


def by_seed(group: np.ndarray, fractions: Sequence[float], seed: int) -> np.ndarray:
    """Deal the groups out whole, in an order that the seed chooses.

    Every part gets a group, and its share of the items to within the size of one.

    Parameters
    ----------
    group : the label of each item's group (n,).
    fractions : share of the items in each part, positive, summing to 1.

    Returns
    -------
    The part of every item (n,), int8: an index into `fractions`.

    Raises
    ------
    ValueError
        Fewer groups than parts.

    Examples
    --------
    >>> by_seed(np.array([0, 0, 1, 1, 2, 2]), (0.7, 0.3), seed=0)
    array([0, 0, 1, 1, 0, 0], dtype=int8)
    """
    labels, which, sizes = distinct(group)
    if len(labels) < len(fractions):
        needed = f"{len(fractions)} are needed, one a part, as items of one group are never split apart"
        raise ValueError(f"group: {len(labels)} groups, {needed}")
    order = np.random.default_rng(seed).permutation(len(labels))
    ordered = sizes[order]
    middle = np.cumsum(ordered) - ordered / 2  # a group goes where its middle item falls
    cuts = np.searchsorted(middle, np.cumsum(fractions)[:-1] * len(group))
    first = np.arange(1, len(fractions))  # but every part gets a group
    cuts = np.clip(np.maximum.accumulate(cuts - first) + first, first, len(labels) - len(fractions) + first)
    part = np.empty(len(labels), dtype=np.int8)
    part[order] = np.repeat(np.arange(len(fractions)), np.diff([0, *cuts, len(labels)]))
    return part[which]


def has_parts(own: np.ndarray | None) -> bool:
    """Whether a data set's own split (n,), indices into `SPLITS` or -1, has two parts or more."""
    return own is not None and sum(bool((own == part).any()) for part in range(len(SPLITS))) > 1


def by_own_parts(own: np.ndarray, group: np.ndarray, fractions: Sequence[float], seed: int) -> np.ndarray:
    """Follow the data set's own split, which has two parts or more; see `modtrans_core.pairs.PairedEmbeddings.split`.

    Parameters
    ----------
    own : the part that the data set puts each item in (n,), an index into `SPLITS` or -1.
    group, fractions, seed : as for `by_seed`, by which a part that is missing is cut from train.

    Returns
    -------
    The part of every item (n,), int8; -1 where the data set puts it in none.

    Raises
    ------
    ValueError
        If the data set has no train part, or neither two nor three parts are asked for.

    Warns
    -----
    UserWarning
        If the data set's own split tears groups apart. It is followed nevertheless: its scores compare with others'.
    """
    train, validation, test = ((own == part).any() for part in range(3))
    if not train:
        raise ValueError("own_split: has a validation and a test part but none to train on; own=False ignores it")
    part = np.array(own, dtype=np.int8)
    if not test:
        part[own == 1] = 2
    if len(fractions) == 2:
        part = np.array([0, 0, 1, -1], dtype=np.int8)[part]
    elif len(fractions) != 3:
        raise ValueError(f"fractions: {len(fractions)} parts, but own_split can give 2 or 3; own=False ignores it")
    elif not (validation and test):
        items, both = np.flatnonzero(own == 0), fractions[0] + fractions[1]
        part[items] = by_seed(group[items], (fractions[0] / both, fractions[1] / both), seed)
    _warn_of_torn(part, group)
    return part


def _warn_of_torn(part: np.ndarray, group: np.ndarray) -> None:
    labels, which, _ = distinct(group)
    if len(labels) == len(group):
        return
    seen = np.zeros((len(labels), 3), dtype=bool)
    kept = part >= 0
    seen[which[kept], part[kept]] = True
    torn = int((seen.sum(1) > 1).sum())
    if torn:
        warnings.warn(
            f"the data set's own split tears {torn} of {len(labels)} groups apart: scores may profit from it",
            stacklevel=5,
        )


def whole_groups(group: np.ndarray, limit: int | None, seed: int = 0) -> np.ndarray:
    """Choose at most `limit` items, whole groups at a time.

    Groups are dealt in a pseudo-random order that depends on `seed` alone, each taken if it still fits.

    Parameters
    ----------
    group : the label of each item's group (n,).
    limit : default: all items.

    Returns
    -------
    Indices of the chosen items, ascending.

    Raises
    ------
    ValueError
        If the limit is below 1.
    """
    if limit is None:
        return np.arange(len(group))
    limit = whole("limit", limit, 1)
    labels, sizes = np.unique(group, return_counts=True)
    chosen, room = [], limit
    for place in np.random.default_rng(seed).permutation(len(labels)):
        if sizes[place] <= room:
            chosen.append(labels[place])
            room -= sizes[place]
    return np.flatnonzero(np.isin(group, chosen))
