"""Pair sets: the embeddings of the same items in two or more modalities."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core.checks import place, refuse_absent_modality, refuse_unless, whole
from modtrans_core.repeats import repeated
from modtrans_core.split import by_own_parts, by_seed, distinct, has_parts, shares
from modtrans_core.store import mapped
from modtrans_core.store.contents import CAPTIONS, Contents
from modtrans_core.store.mapped import MappedRows
from modtrans_core.store.read import read, read_npy
from modtrans_core.store.write import write
from modtrans_core.vectors import ROWS, present, read_only

_SAMPLED_ROWS = 1024


@dataclass(frozen=True, eq=False)
class PairedEmbeddings:
    """The embeddings of n items in two or more modalities: row i of every array belongs to item i.

    Two sets are equal where they are the same object; that they hold the same data says `fingerprint`.

    Parameters
    ----------
    arrays : one array a modality, named after it (`image`, `text`, ...): (n, d), or (n, m, d) where an item has
        up to m vectors (several captions of one picture). Lists, columns of tables and tensors are taken too. Kept as
        float32; finite, no zero vector. They are copied, and cannot be written to; an array that is read-only already,
        or a memory map, is taken as it is and must not change. A `MappedRows` stands for an array that stays on disk:
        it is read, as float32, and checked row by row when it is indexed.
    counts : for each (n, m, d) array, how many of the m vectors are there, (n,), 1 to m. Default: all m.
    group : (n,) integers; items of one group are never split apart (variants of one picture). Default: None, each item
        its own; `groups` gives numbers either way, and `grouped` finds items that repeat.
    key : (n,) strings that name the items.
    metadata : JSON values: data set, licence, and what each encoder was, one entry a modality. `independent` lists the
        modalities of which an item's several vectors were drawn independently of each other, as captions by people who
        do not know of each other's are, and names and aliases are not. Only such targets have a ceiling.
    own_split : (n,) integers: the part that the data set itself puts the item in, an index into
        `modtrans_core.split.SPLITS` = (train, validation, test), -1 for none. Kept as int8. Default: it has no parts.
    label : (n,) integers: the class of each item, an index into `metadata["classes"]` where that names them, -1 for
        none. Default: no classes.

    Raises
    ------
    ValueError
        Lengths that differ, a wrong shape, a non-finite or zero vector, a count, a part or a label out of range.

    Examples
    --------
    Four pictures, with one or two captions each:

    >>> rng = np.random.default_rng(0)
    >>> arrays = {"image": rng.normal(size=(4, 8)), "text": rng.normal(size=(4, 2, 6))}
    >>> PairedEmbeddings(arrays, counts={"text": np.array([2, 1, 1, 2])})
    PairedEmbeddings(image (4, 8), text (4, 2, 6))
    """

    arrays: Mapping[str, np.ndarray]
    counts: Mapping[str, np.ndarray] = field(default_factory=dict)
    group: np.ndarray | None = None
    key: np.ndarray | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    own_split: np.ndarray | None = None
    label: np.ndarray | None = None
    _listed: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in self.contents.checked()._asdict().items():
            object.__setattr__(self, name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What comes out of a pickle or a deep copy cannot be written to either."""
        kept = {name: one if isinstance(one, MappedRows) else read_only(one) for name, one in state["arrays"].items()}
        self.__dict__.update(state, arrays=kept)

    @property
    def contents(self) -> Contents:
        """The fields, as the files of `modtrans_core.store` hold them."""
        return Contents(**{name: getattr(self, name) for name in Contents._fields})

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self.arrays.items())
        several = len(distinct(self.groups)[0])
        grouped = "" if several == len(self) else f", in {several} group{'s' * (several > 1)}"
        return f"PairedEmbeddings({shapes}{grouped})"

    def modality(self, name: str) -> np.ndarray:
        """The array of one modality, (n, d) or (n, m, d).

        Raises
        ------
        ValueError
            A modality that the set does not have; the message names those that it has.

        Examples
        --------
        >>> PairedEmbeddings({"image": np.eye(2, 3)}).modality("image").shape
        (2, 3)
        """
        refuse_absent_modality(name, self.arrays)
        return self.arrays[name]

    @property
    def mapped(self) -> bool:
        """Whether vectors stay on disk until they are asked for."""
        return any(isinstance(array, MappedRows) for array in self.arrays.values())

    @property
    def groups(self) -> np.ndarray:
        """The group of each item (n,), its own number where no groups were given.

        Examples
        --------
        >>> PairedEmbeddings({"image": np.eye(2, 3)}).groups
        array([0, 1])
        >>> PairedEmbeddings({"image": np.eye(2, 3)}, group=np.array([7, 7])).groups
        array([7, 7])
        """
        return np.arange(len(self)) if self.group is None else self.group

    def grouped(self) -> PairedEmbeddings:
        """The set itself or, where it has no groups, one in which items that repeat are groups.

        Items of one name (`key`) are a group, and items with an equal vector: five captions of a picture that are five
        rows. Equal vectors of a modality that come from a list, such as names of classes, make no groups, nor in a part
        of the set; what is taken for a list says `modtrans_core.repeats`. Vectors on disk, and items with several, are
        not looked through.
        `load`, `split`, `fit`, `evaluate` and certificates do this; `group=np.arange(n)` says that every item is its
        own.

        Examples
        --------
        >>> image = np.repeat(np.random.default_rng(0).normal(size=(30, 3)), 5, axis=0)
        >>> PairedEmbeddings({"image": image, "text": np.random.default_rng(1).normal(size=(150, 3))}).grouped()
        PairedEmbeddings(image (150, 3), text (150, 3), in 30 groups)
        """
        if self.group is not None or self._listed:
            return self
        rows = {
            name: array for name, array in self.arrays.items() if array.ndim == 2 and not isinstance(array, MappedRows)
        }
        group = repeated(rows, self.key, self.label)
        if group is None:
            return self
        alone = len(np.unique(group)) == len(group)
        return _as_listed(copy.copy(self)) if alone else replace(self, group=group)

    def encoder(self, name: str) -> Mapping[str, Any]:
        """What the metadata says of the encoder of a modality; empty where it says nothing."""
        return self.contents.encoder(name)

    def independent(self, name: str) -> bool:
        """Whether the set says that an item's vectors of a modality are independent given the item; False is unknown.

        Examples
        --------
        >>> captions = {"text": np.ones((2, 5, 3))}
        >>> PairedEmbeddings(captions).independent("text")
        False
        >>> PairedEmbeddings(captions, metadata={"independent": ["text"]}).independent("text")
        True
        """
        return self.contents.independent(name)

    def rows(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """All vectors of a modality as rows; those that `counts` says are absent are left out.

        Returns
        -------
        vectors : (N, d), those of the first item first.
        item : the item that each belongs to (N,), ascending.

        Examples
        --------
        >>> pairs = PairedEmbeddings({"text": np.ones((2, 2, 3))}, {"text": np.array([2, 1])})
        >>> vectors, item = pairs.rows("text")
        >>> vectors.shape, item
        ((3, 3), array([0, 0, 1]))
        """
        array = self.modality(name)
        if array.ndim == 2:
            return array, np.arange(len(array))
        if isinstance(array, MappedRows):
            return array.as_rows(self.counts[name])
        there = present(array.shape[1], self.counts[name])
        return array[there], np.nonzero(there)[0]

    def fingerprint(self) -> str:
        """SHA-256 of vectors, counts, groups, own split and labels: the same for the same data in any file format.

        Of a set of more than 2 GiB (as float32) it is taken from the shapes, all that is no vector and 1,024 rows of
        each modality, the first, the last and evenly spaced ones, as reading it all would take minutes to hours. Other
        encoders, data or orders change it; a change to a share f of the rows alone is missed with probability about
        (1 - f)^1024.

        Examples
        --------
        >>> PairedEmbeddings({"image": np.eye(2, 3)}).fingerprint()[:8]
        'fc36086f'
        """
        digest = hashlib.sha256()
        large = sum(4 * np.prod(array.shape, dtype=np.int64) for array in self.arrays.values()) > mapped.LARGE
        which = distinct(self.groups)[1]
        for name in sorted(self.arrays):
            digest.update(name.encode())
            vectors, item = self.rows(name)
            if large:
                chosen = np.linspace(0, len(vectors) - 1, min(_SAMPLED_ROWS, len(vectors))).astype(np.int64)
                digest.update(f"{self.arrays[name].shape} {len(vectors)} rows".encode())
                digest.update(np.ascontiguousarray(vectors[chosen]).data)
                if name in self.counts:
                    digest.update(self.counts[name].data)
                continue
            for start in range(0, len(vectors), ROWS):
                digest.update(np.ascontiguousarray(vectors[start : start + ROWS]).data)
            digest.update(np.ascontiguousarray(item).data)
        digest.update(which.astype(np.int64).data)
        for name in ("own_split", "label"):
            if (values := getattr(self, name)) is not None:
                digest.update(name.encode())
                digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    def take(self, items: np.ndarray) -> PairedEmbeddings:
        """The pair set of these items, in this order; what lies on disk stays there.

        Parameters
        ----------
        items : indices (q,), with repetition if wanted, a mask (n,) or a slice.

        Raises
        ------
        ValueError
            No item at all, one that is not there, a mask of another length.

        Examples
        --------
        >>> PairedEmbeddings({"image": np.eye(3)}, key=np.array(["a", "b", "c"])).take(np.array([2, 0])).key.tolist()
        ['c', 'a']
        """
        n, which = len(self), np.arange(len(self))[items] if isinstance(items, slice) else np.asarray(items)
        mask = which.dtype == bool and which.shape == (n,)
        inside = which.dtype.kind in "iu" and which.ndim == 1 and which.size > 0
        ok = which.any() if mask else inside and -n <= which.min() and which.max() < n
        refuse_unless(bool(ok), "items", items, f"at least one of 0 to {n - 1}, or a mask of {n},")
        items = which
        given = {name: getattr(self, name) for name in ("group", "key", "own_split", "label")}
        told = self.metadata.get(CAPTIONS)
        if isinstance(told, list | tuple):  # item by item
            told = [told[item] for item in np.arange(n)[items]]
        found = replace(
            self,
            metadata=self.metadata if told is None else {**self.metadata, CAPTIONS: told},
            arrays={name: _taken(array, items) for name, array in self.arrays.items()},
            counts={name: count[items] for name, count in self.counts.items()},
            **{name: values[items] for name, values in given.items() if values is not None},
        )
        return _as_listed(found) if self._listed else found

    def at_most(self, items: int) -> PairedEmbeddings:
        """The set itself, or so many items of it, evenly spaced.

        Examples
        --------
        >>> len(PairedEmbeddings({"image": np.eye(9)}).at_most(4))
        4
        """
        items = whole("items", items, 1)
        return self if len(self) <= items else self.take(np.linspace(0, len(self) - 1, items).astype(np.int64))

    def split(
        self, seed: int = 0, fractions: Sequence[float] = (0.7, 0.1, 0.2), own: bool = True
    ) -> tuple[PairedEmbeddings, ...]:
        """Split into train, validation and test, whole groups at a time, or as the data set itself is split.

        Items that repeat are groups, see `grouped`.
        Where `own_split` has a train part and another, it is followed, whatever the fractions: its test part is the
        test. Without a test part, its validation part is the test. A validation part that is then missing is cut from
        train, whole groups, with the share fractions[1] / (fractions[0] + fractions[1]). Items in none of its parts are
        left out. Of two fractions (train, test), train holds all that is not the test.

        Parameters
        ----------
        seed : chooses the order in which groups are dealt out.
        fractions : share of the items in each part, positive, summing to 1; met to within the size of a group.
        own : follow `own_split`.

        Raises
        ------
        ValueError
            Fewer groups than parts; an `own_split` with validation and test items but none to train on.

        Warns
        -----
        UserWarning
            The data set's own split tears groups apart; it is followed nevertheless.

        Examples
        --------
        >>> train, validation, test = PairedEmbeddings({"image": np.eye(20)}).split(seed=0)
        >>> len(train), len(validation), len(test)
        (14, 2, 4)
        """
        pairs = self.grouped()
        part = pairs.dealt(seed, fractions, own)
        return tuple(pairs.take(np.flatnonzero(part == index)) for index in range(len(fractions)))

    def dealt(self, seed: int = 0, fractions: Sequence[float] = (0.7, 0.1, 0.2), own: bool = True) -> np.ndarray:
        """The part of every item (n,), an index into `fractions`, or -1 for none; see `split`.

        Items that repeat are in one part only where they are groups already: see `grouped`.

        Examples
        --------
        >>> np.bincount(PairedEmbeddings({"image": np.eye(20)}).dealt(seed=0))
        array([14,  2,  4])
        """
        fractions = shares(fractions)
        refuse_unless(isinstance(seed, int | np.integer) and seed >= 0, "seed", seed, "an integer >= 0")
        if own and self.own_split is not None and has_parts(self.own_split):
            return by_own_parts(self.own_split, self.groups, fractions, seed)
        return by_seed(self.groups, fractions, seed)

    def save(self, path: str | Path, dtype: str = "float32") -> None:
        """Write one `.npz` or `.safetensors` file, whole or not at all.

        Parameters
        ----------
        dtype : of the vectors in the file, float32 or float16.

        Raises
        ------
        ValueError
            An unknown suffix or type; a vector that is zero or infinite in float16.

        Examples
        --------
        >>> PairedEmbeddings({"image": np.eye(2, 3)}).save("pairs.npz")
        >>> PairedEmbeddings.load("pairs.npz")
        PairedEmbeddings(image (2, 3))
        """
        write(place("path", path), self.contents, dtype)

    @staticmethod
    def load(path: str | Path, mapped: bool | None = None) -> PairedEmbeddings:
        """Read a `.npz` or `.safetensors` file, a folder of such shards, or a folder in clip-retrieval's layout.

        Where the vectors are read into memory and pyarrow is installed, names that only parquet files beside them hold
        are read too. Captions never are; `modtrans_core.store.names.read_items` reads them. Where the set has no
        groups, items that repeat become groups, such as the captions of one picture; see `grouped`.

        Parameters
        ----------
        mapped : leave the vectors on disk, and read and check rows when they are needed. Default: where they would take
            more than 2 GiB as float32 and no file is compressed. The files must not change while the set is in use.

        Raises
        ------
        ValueError
            A damaged file; shards that differ in modalities, shapes or encoders; an embedding that is unfinished.

        Examples
        --------
        A folder of shards is one set:

        >>> for number in range(3):
        ...     PairedEmbeddings({"image": np.eye(2, 3)}).save(f"shards/{number}.safetensors")
        >>> PairedEmbeddings.load("shards")
        PairedEmbeddings(image (6, 3))
        """
        return as_written(path, mapped).grouped()

    @staticmethod
    def load_npy(path: str | Path, modality: str, counts: np.ndarray | None = None) -> PairedEmbeddings:
        """Read a pair set of one modality from a `.npy` file; a large one stays on disk.

        Parameters
        ----------
        path : of an array (n, d), or (n, m, d) with `counts` (n,).
        modality : what the vectors are of.

        Raises
        ------
        ValueError
            A file that is missing or damaged, or no array of vectors.

        Examples
        --------
        >>> np.save("image.npy", np.eye(2, 3))
        >>> PairedEmbeddings.load_npy("image.npy", "image")
        PairedEmbeddings(image (2, 3))
        """
        return PairedEmbeddings(**read_npy(place("path", path), modality, counts)._asdict())


def refuse_no_pairs(name: str, given: object) -> None:
    """Refuse what is no pair set, such as the arrays that one could be made of."""
    if not isinstance(given, PairedEmbeddings):
        raise ValueError(f'{name}: {type(given).__name__}, PairedEmbeddings({{"image": X, "text": Y}}) is needed')


def as_written(path: str | Path, mapped: bool | None = None) -> PairedEmbeddings:
    """The set that `PairedEmbeddings.load` reads, with no groups but those that its files hold: to be written anew."""
    return PairedEmbeddings(**read(place("path", path), mapped)._asdict())


def _as_listed(pairs: PairedEmbeddings) -> PairedEmbeddings:
    """The same, whose items repeat as entries of a list do: they are no groups, and in a part of them neither."""
    object.__setattr__(pairs, "_listed", True)
    return pairs


def _taken(array: Any, items: np.ndarray) -> Any:
    """These rows: still on disk, or ones of their own that nobody writes to."""
    return array.take(items) if isinstance(array, MappedRows) else read_only(array[items])
