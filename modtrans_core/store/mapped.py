"""Arrays of vectors that stay in their files until rows are asked for.

Maps are opened when they are first needed and the least recently used ones are closed, so that thousands of shards
never exhaust the open files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from modtrans_core.checks import naming, refuse, refuse_unless
from modtrans_core.vectors import present, refuse_bad_rows

LARGE = 2**31
"""bytes of float32 vectors above which a set is left on disk and its fingerprint is taken from a sample"""
_OPEN_MAPS = 512


class Block(NamedTuple):
    """An array as it lies in a file, row by row."""

    path: Path
    offset: int | None
    """bytes from the start of the file; None where it is compressed or not row by row, and cannot be mapped"""
    dtype: np.dtype
    shape: tuple[int, ...]
    changed: int
    """time of the file's last change, ns: a map of what was there before is never used again"""


class State(NamedTuple):
    """A file on its device, and the time of its last change, ns."""

    device: int
    number: int
    changed: int


class MappedRows:
    """The vectors of one modality, (n, d) or (n, m, d), left in the files that hold them.

    Indexing along the first axis reads these rows, in the order of the files, checks them and returns them as a float32
    array; `np.asarray` reads them all.

    Parameters
    ----------
    name : the modality, for messages.
    blocks : end to end, of one shape but for the first axis.
    counts : for (n, m, d), how many vectors of each row of the blocks are there. Default: all m.
    items : the rows of the blocks that this array is made of. Default: all.
    per_item : how many rows of the blocks belong to one item, for messages.

    Raises
    ------
    ValueError
        On indexing: a row that is not finite or zero, of which the message names the file, the modality and the row in
        the file; or a file that was written to since it was loaded.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        name: str,
        blocks: Sequence[Block],
        counts: np.ndarray | None = None,
        items: np.ndarray | None = None,
        per_item: int = 1,
    ) -> None:
        for block in blocks:
            if block.dtype.kind != "f" or len(block.shape) < 2 or block.shape[1:] != blocks[0].shape[1:]:
                raise ValueError(
                    f"{name}: {block.dtype} of shape {block.shape} in {block.path.name},"
                    f" floats of shape (n, {', '.join(map(str, blocks[0].shape[1:]))}) are needed"
                )
            if block.offset is None:
                raise ValueError(f"{name}: compressed or not row by row in {block.path.name}, and cannot be mapped")
        self.name, self.counts, self.items, self.per_item = name, counts, items, per_item
        self.blocks = [block._replace(path=block.path.absolute()) for block in blocks]  # from wherever they are read
        self._ends = np.cumsum([block.shape[0] for block in blocks])
        self.shape = (int(self._ends[-1]) if items is None else len(items), *blocks[0].shape[1:])
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, items: np.ndarray) -> MappedRows:
        """These rows, still in their files: numbers (q,), from the end where below 0, or a mask (n,)."""
        chosen = np.arange(len(self))[items]  # as an array in memory takes them, and refuses them
        return MappedRows(
            self.name, self.blocks, self.counts, chosen if self.items is None else self.items[chosen], self.per_item
        )

    def as_rows(self, counts: np.ndarray) -> tuple[MappedRows, np.ndarray]:
        """The first `counts` (n,) vectors of each item of (n, m, d) as rows (N, d), and the item of each (N,)."""
        m, d = self.shape[1:]
        item, slot = np.nonzero(present(m, counts))
        rows = (item if self.items is None else self.items[item]) * m + slot
        blocks = [block._replace(shape=(block.shape[0] * m, d)) for block in self.blocks]
        return MappedRows(self.name, blocks, None, rows, m), item

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, tuple) or np.ndim(index) > 1:
            return np.asarray(self)[index]
        wanted = np.arange(*index.indices(len(self))) if isinstance(index, slice) else np.asarray(index)
        wanted = np.flatnonzero(wanted) if wanted.dtype == bool else wanted
        if wanted.size and not -len(self) <= wanted.min() <= wanted.max() < len(self):
            raise IndexError(f"{self.name}: rows {wanted.min()} to {wanted.max()} of {len(self)}")
        rows = wanted.ravel() % len(self)
        read = self._read(rows if self.items is None else self.items[rows])
        return read.reshape(*wanted.shape, *self.shape[1:])  # one row for a number

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError(f"{self.name}: lies on disk, and has to be copied to become an array")
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the blocks, in the order asked for, each file visited once and from its start to its end."""
        order: Any = slice(None) if (rows[1:] >= rows[:-1]).all() else np.argsort(rows, kind="stable")
        ascending = rows[order]
        found = np.empty((len(rows), *self.shape[1:]), dtype=np.float32)
        bounds = np.concatenate([[0], np.searchsorted(ascending, self._ends)])
        for index in np.flatnonzero(np.diff(bounds)).tolist():
            block, inside = self.blocks[index], slice(bounds[index], bounds[index + 1])
            own = ascending[inside] - (self._ends[index] - block.shape[0])
            run = (np.diff(own) == 1).all()  # a run of rows is read as a piece, twice as fast
            rows_there, state = _map(block)
            refuse_changed(block.path, state)
            vectors = rows_there[slice(own[0], own[-1] + 1) if run else own].astype(np.float32)
            refuse_changed(block.path, state)  # meanwhile, too
            counts = None if self.counts is None else self.counts[ascending[inside]]
            with naming(block.path):
                refuse_bad_rows(self.name, vectors, counts, own // self.per_item)
            found[inside if isinstance(order, slice) else order[inside]] = vectors
        return found


@lru_cache(maxsize=_OPEN_MAPS)
def _map(block: Block) -> tuple[np.memmap, State]:
    assert block.offset is not None
    refuse_unless(block.path.is_file(), f"{block.path}", "no file", "the one that was loaded")
    state = state_of(block.path)
    refuse_unless(state.changed == block.changed, f"{block.path}", "changed", "the file that was loaded")
    return np.memmap(block.path, block.dtype, "r", block.offset, block.shape), state


def state_of(path: Path) -> State:
    """Which file lies at a path, and when it was last written to."""
    found = path.stat()
    return State(found.st_dev, found.st_ino, found.st_mtime_ns)


def refuse_changed(path: Path, state: State) -> None:
    """Refuse a file that is mapped and was written to in its place: the map would be of other rows, and where the file
    is shorter the process would end. Where another file took its place the map is what it was.

    Parameters
    ----------
    state : that of the file when it was mapped.
    """
    try:
        now = os.stat(path)
    except FileNotFoundError:
        return
    if now.st_mtime_ns != state.changed and (now.st_dev, now.st_ino) == state[:2]:
        refuse(f"{path}", "changed", "the file that was loaded")


def join(name: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The arrays end to end; those on disk stay there."""
    mapped: list[Any] = [array for array in arrays if isinstance(array, MappedRows)]
    if not mapped:
        return np.concatenate(arrays)
    blocks = [block for array in mapped for block in array.blocks]
    if all(array.counts is None for array in mapped):
        return cast(np.ndarray, MappedRows(name, blocks))
    counts = [np.full(len(array), array.shape[1]) if array.counts is None else array.counts for array in mapped]
    return cast(np.ndarray, MappedRows(name, blocks, np.concatenate(counts)))
