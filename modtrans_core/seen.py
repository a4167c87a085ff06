"""Rows that a translator was fitted to, known again in any file: what was trained on is no test.

Of each row is kept a sketch, eight projections of its unit vector onto fixed vectors of signs, rounded to int16: 16
bytes. Two rows are equal where no projection differs by more than the tolerance. Length, order and file format leave a
sketch as it is. For rows of eight numbers or more the tolerance is .01:

* a copy in float16 moves a projection by 2e-4, one in bfloat16 by 1.6e-3 (standard deviations), so that a copy is
  missed with a probability below 1e-7;
* two unit vectors at the distance D, in no special direction, are equal with probability (.0085 / D)^8: 1e-14 for a
  cosine of .9, 2e-10 for .99. Of rows at .002 all are equal, of those at .003 all but 1 in 200, of those at .005 about
  four in five; such rows mean the same to any translator.

Where rows have fewer than eight numbers, different ones are often near: there the tolerance is .003, and a copy in
bfloat16 is not found. So it is where rows have so much in common, as raw hidden states do, that by the spread of the
sketches more than one new row in a thousand would equal one of them by chance. Rows at a cosine of .9999 or more of
each other are too near for that tolerance too: some new ones are taken for rows that were seen. Less their mean, they
are told apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import KDTree
from scipy.special import erf

from modtrans_core import distributed
from modtrans_core.ahead import ahead
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.repeats import edges, together
from modtrans_core.split import distinct
from modtrans_core.vectors import ROWS, unit

PROJECTIONS = 8
STEP = 2.0**-9
"""of a projection that a sketch tells apart"""
NEAREST = 64
"""near sketches of each that are listed"""
FEW = 8
"""numbers of a row below which the tolerance is the small one"""
CHANCE = 1e-3
"""rows that a new one equals by chance, above which the tolerance is the small one"""
ENOUGH = 16
"""sketches that say nothing of their spread, at most"""


def sketch(vectors: np.ndarray) -> np.ndarray:
    """The sketch (n, 8) int16 of each of the vectors (n, d), of any length.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(3, 64))
    >>> bool(np.abs(sketch(rows) - sketch(7 * rows.astype(np.float16))).max() <= 1)
    True
    """
    projected = unit(vectors) @ _signs(np.shape(vectors)[1]) / STEP
    return np.clip(np.rint(projected), -(2**15) + 1, 2**15 - 1).astype(np.int16)


@lru_cache(maxsize=8)
def _signs(d: int) -> np.ndarray:
    """(d, 8) signs that depend on nothing but d and have nothing to do with any data: bits of SHAKE-256."""
    bits = np.unpackbits(np.frombuffer(hashlib.shake_256(b"rows that were seen").digest(d), np.uint8))
    return (2.0 * bits - 1.0).reshape(d, PROJECTIONS).astype(np.float32)


def sketches(pairs: PairedEmbeddings, name: str, device: torch.device | str = "cpu") -> np.ndarray:
    """The sketch (N, 8) of every vector of a modality, in the order of `pairs.rows`; each process reads its share."""
    vectors = pairs.rows(name)[0]
    found = np.zeros((len(vectors), PROJECTIONS), dtype=np.int32)  # int16 cannot be summed over processes
    starts = range(distributed.rank() * ROWS, len(vectors), distributed.world() * ROWS)
    for start, part in zip(starts, ahead(lambda start: sketch(vectors[start : start + ROWS]), starts), strict=True):
        found[start : start + ROWS] = part
    if distributed.world() > 1:
        summed = torch.from_numpy(found).to(device)
        distributed.all_reduce(summed)
        found = summed.cpu().numpy()
    return found.astype(np.int16)


def _within(d: int, rows: np.ndarray) -> float:
    """How many steps the projections of rows (d,) that equal one of the sketches (N, 8) differ by, at most."""
    spread = np.maximum(rows.std(axis=0, dtype=np.float64), 1e-9) if len(rows) > ENOUGH else np.inf
    by_chance = len(rows) * np.prod(erf(5.5 / (2.0 * np.broadcast_to(spread, PROJECTIONS))))  # of normal projections
    return 5.5 if d >= FEW and by_chance <= CHANCE else 1.5


@dataclass(frozen=True, eq=False)
class Seen:
    """The sketches of the rows that a translator was fitted to.

    Parameters
    ----------
    rows : part (`train`, `validation`) and modality -> sketches (n, 8) int16, each once.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> pairs = PairedEmbeddings({"image": rng.normal(size=(20, 16)), "text": rng.normal(size=(20, 12))})
    >>> seen = Seen.of({"train": pairs.take(np.arange(15))}, ("image", "text"))
    >>> copy = PairedEmbeddings({name: 3 * x[::-1].astype(np.float16) for name, x in pairs.arrays.items()})
    >>> seen.look(copy, "image", "text").unseen().tolist()
    [0, 1, 2, 3, 4]
    """

    rows: Mapping[tuple[str, str], np.ndarray]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Seen) or self.rows.keys() != other.rows.keys():
            return False
        return all(np.array_equal(rows, other.rows[name]) for name, rows in self.rows.items())

    def __repr__(self) -> str:
        return f"Seen({', '.join(f'{part} {name} {len(rows)}' for (part, name), rows in self.rows.items())})"

    @staticmethod
    def of(
        parts: Mapping[str, PairedEmbeddings], modalities: Sequence[str], device: torch.device | str = "cpu"
    ) -> Seen:
        """Those of the parts' rows.

        Parameters
        ----------
        parts : pair sets by the name of the part.
        modalities : source and target.
        device : over which several processes add up their shares.
        """
        return Seen(
            {
                (part, name): np.unique(sketches(pairs, name, device), axis=0)
                for part, pairs in parts.items()
                for name in dict.fromkeys(modalities)
            }
        )

    def tensors(self) -> dict[str, torch.Tensor]:
        """What is saved, by `<part>.<modality>`."""
        return {f"{part}.{name}": torch.from_numpy(rows) for (part, name), rows in self.rows.items()}

    @staticmethod
    def restored(tensors: Mapping[str, torch.Tensor], modalities: Sequence[str]) -> Seen:
        """What was saved of these modalities, rows to train on in any case."""
        if missing := [name for name in modalities if f"train.{name}" not in tensors]:
            raise ValueError(f"train.{missing[0]}: missing, rows of {' and '.join(modalities)} are needed")
        found = {}
        for name, rows in tensors.items():
            part, dot, modality = name.partition(".")
            if not dot or rows.dtype != torch.int16 or rows.ndim != 2 or rows.shape[1] != PROJECTIONS:
                shape = f"{rows.dtype} of shape {tuple(rows.shape)}"
                raise ValueError(f"{name}: {shape}, part.modality with int16 of shape (n, {PROJECTIONS}) is needed")
            found[part, modality] = rows.numpy()
        return Seen(found)

    def look(self, pairs: PairedEmbeddings, source: str, target: str, *parts: str) -> Familiar:
        """Which items have a condition or a target among the rows that were seen.

        Parameters
        ----------
        parts : those to look in. Default: all.
        """
        return Familiar(self._items(pairs, source, parts), self._items(pairs, target, parts), pairs.groups)

    def _items(self, pairs: PairedEmbeddings, name: str, parts: Sequence[str]) -> np.ndarray:
        """The items (n,) with a vector among the rows of these parts."""
        vectors, item = pairs.rows(name)
        known = [rows for (part, of), rows in self.rows.items() if of == name and (not parts or part in parts)]
        trees = [(KDTree(rows), _within(vectors.shape[1], rows)) for rows in known if len(rows)]

        def match(start: int) -> np.ndarray:
            rows = sketch(vectors[start : start + ROWS])
            near = [tree.query(rows, p=np.inf, distance_upper_bound=most)[0] < most for tree, most in trees]
            return np.any(near, axis=0) if near else np.zeros(len(rows), dtype=bool)

        starts = range(0, len(vectors), ROWS)
        rows = np.concatenate([np.zeros(0, dtype=bool), *ahead(match, starts)])
        return np.bincount(item, rows, len(pairs)) > 0


class Familiar(NamedTuple):
    """What of n items was seen."""

    condition: np.ndarray
    """(n,) whether a condition was"""
    target: np.ndarray
    """(n,) whether a target was"""
    group: np.ndarray
    """(n,) the label of each item's group"""

    def left_out(self, targets: bool = True) -> np.ndarray:
        """Which items (n,) are no test: a condition or a target of theirs was seen, or of another item of their group.

        Parameters
        ----------
        targets : False keeps an item of which targets alone were seen: they come from a list, such as names of classes.
        """
        own = self.condition | self.target if targets else self.condition
        which = distinct(self.group)[1]
        return (np.bincount(which, own) > 0)[which]

    def unseen(self, targets: bool = True) -> np.ndarray:
        """The indices of the items that are left."""
        return np.flatnonzero(~self.left_out(targets))

    def in_words(self, targets: bool = True) -> str:
        """How many items have a condition, a target, or neither but their group, that was seen."""
        both = self.condition | self.target if targets else self.condition
        found = [f"{int(self.condition.sum())} with a condition that it was fitted to"]
        found += [f"{int(self.target.sum())} with such a target"] if targets else []
        more = int(self.left_out(targets).sum() - both.sum())
        return ", ".join([*found, *([f"{more} of the group of such an item"] if more else [])])


def equal_in_words(
    train: PairedEmbeddings,
    others: Mapping[str, PairedEmbeddings],
    source: str,
    target: str,
    device: torch.device | str = "cpu",
) -> Iterator[str]:
    """For every part that has some, how many items have a condition or a target that equals one to train on.

    Parameters
    ----------
    others : part, such as `test` -> its items.

    Examples
    --------
    >>> pairs = PairedEmbeddings({"image": np.random.default_rng(0).normal(size=(6, 16)), "text": np.ones((6, 9))})
    >>> list(equal_in_words(pairs.take(slice(4)), {"test": pairs.take(slice(3, 6))}, "image", "text"))
    ['3 of 3 test items equal one to train on: 1 in image, 3 in text']
    """
    known = Seen.of({"train": train}, (source, target), device)
    for part, pairs in others.items():
        condition, of_target, _ = known.look(pairs, source, target)
        if either := int((condition | of_target).sum()):
            both = f"{int(condition.sum())} in {source}, {int(of_target.sum())} in {target}"
            yield f"{either} of {len(pairs)} {part} items equal one to train on: {both}"


def group_equal(pairs: PairedEmbeddings, modalities: Sequence[str], device: torch.device | str = "cpu") -> np.ndarray:
    """Groups (n,) in which items with an equal row in one of the modalities are together, and old groups are whole.

    Returns
    -------
    The index of the first item of each item's group.

    Examples
    --------
    Five captions flattened to rows repeat their picture:

    >>> rng = np.random.default_rng(0)
    >>> image = np.repeat(rng.normal(size=(2, 16)), 3, axis=0)
    >>> group_equal(PairedEmbeddings({"image": image, "text": rng.normal(size=(6, 12))}), ("image", "text"))
    array([0, 0, 0, 3, 3, 3])
    """
    shared = [(np.arange(len(pairs)), distinct(pairs.groups)[1])]
    for name in dict.fromkeys(modalities):
        found = _equal(sketches(pairs, name, device), pairs.modality(name).shape[-1])
        shared.append((pairs.rows(name)[1], found))
    return together(len(pairs), shared)


def with_equal_together(
    pairs: PairedEmbeddings, modalities: Sequence[str], device: torch.device | str = "cpu"
) -> PairedEmbeddings:
    """The pairs with the groups of `group_equal`.

    Raises
    ------
    ValueError
        Equal rows join so many items that a part of a split has one group alone, as captions that are said of many
        things do.
    """
    found = replace(pairs, group=group_equal(pairs, modalities, device))
    if _fewest(found) < 2 <= _fewest(pairs):
        most = int(distinct(found.groups)[2].max())
        joined = f"equal rows in {' or '.join(modalities)} join {most} of {len(pairs)} items in one group"
        raise ValueError(f"group_duplicates: {joined}, and too few are left for a split; without it the set has enough")
    return found


def _fewest(pairs: PairedEmbeddings) -> int:
    """Of the parts of a split, the groups of that which has the fewest; 0 where there are not even as many groups."""
    try:
        part = pairs.dealt(0)
    except ValueError:
        return 0
    return min(len(np.unique(pairs.groups[part == one])) for one in np.unique(part[part >= 0]))


def _equal(rows: np.ndarray, d: int) -> np.ndarray:
    """A number (N,) for each sketch (N, 8) of a row (d,), the same for equal ones and for those that others connect."""
    different, which = np.unique(rows, axis=0, return_inverse=True)
    most = _within(d, different)
    second = KDTree(different).query(different, k=[2], p=np.inf, distance_upper_bound=most)[0][:, 0]
    near = np.flatnonzero(second < most)
    return together(len(different), [edges(near[two]) for two in _links(different[near], most)])[which.reshape(-1)]


def _links(sketches: np.ndarray, most: float) -> Iterator[np.ndarray]:
    """Pairs (E, 2) of near sketches (n, 8) that connect all that the pairs of all near ones, n^2 of them, would."""
    if not (n := len(sketches)):
        return
    near = {"p": np.inf, "distance_upper_bound": most}
    away, other = KDTree(sketches).query(sketches, k=min(n, NEAREST), **near)
    one, at = np.nonzero(away < most)
    two = np.column_stack([one, other[one, at]])
    yield two
    crowded = np.flatnonzero(away[:, -1] < most)  # these may have more near ones than were listed
    part = together(n, [edges(two)])[crowded]
    for number in np.unique(part)[1:]:
        inside, outside = crowded[part == number], crowded[part != number]
        away, other = KDTree(sketches[inside]).query(sketches[outside], k=1, **near)
        yield np.column_stack([outside, inside[np.minimum(other, len(inside) - 1)]])[away < most]
