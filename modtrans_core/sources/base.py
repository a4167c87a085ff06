"""What every source is: named items, each a picture and its captions, in groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Item:
    """One picture, (size, size, 3) uint8 RGB, and what it is called."""

    key: str
    image: np.ndarray
    captions: tuple[str, ...]
    group: int


@dataclass(frozen=True)
class Source:
    """A data set before it is encoded.

    Parameters
    ----------
    key : n strings that name the items.
    images : n pictures, (size, size, 3) uint8 RGB; drawn or read when they are taken.
    captions : one or more for each item.
    group : (n,) int64; items of one group are variants of one picture, never split apart.
    facts : data set, versions, licence and attribution, as JSON values.
    """

    key: Sequence[str]
    images: Sequence[np.ndarray]
    captions: Sequence[tuple[str, ...]]
    group: np.ndarray
    facts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.key)

    def __getitem__(self, index: int) -> Item:
        return Item(self.key[index], self.images[index], self.captions[index], int(self.group[index]))

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(len(self)))


def whole_groups(group: np.ndarray, limit: int | None, seed: int = 0) -> np.ndarray:
    """Choose at most `limit` items, whole groups at a time.

    Groups are dealt in a pseudo-random order that depends on `seed` alone, each taken if it still fits.

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
    if limit < 1:
        raise ValueError(f"limit: {limit}, at least 1 is needed")
    labels, sizes = np.unique(group, return_counts=True)
    chosen, room = [], limit
    for place in np.random.default_rng(seed).permutation(len(labels)):
        if sizes[place] <= room:
            chosen.append(labels[place])
            room -= sizes[place]
    return np.flatnonzero(np.isin(group, chosen))
