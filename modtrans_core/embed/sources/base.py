"""What every source is: shards of named items, each with one or more values a modality."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core.embed.sources.opening import size_of
from modtrans_core.split import SPLITS, whole_groups

__all__ = ["SPLITS", "Item", "Listing", "Shard", "Skipped", "Source", "caption"]


@dataclass(frozen=True)
class Item:
    """One item of a data set before it is encoded.

    Parameters
    ----------
    key : names the item; unique in its source, with no path that leads out of a folder.
    values : one entry a modality, `image`, `text`, `audio` or `location`, or one of these and a name of its own,
        `text-fr`: a value, or a tuple of one or more (the captions of a picture). Values are
        image: a path, the bytes of a file, an (h, w, 3) uint8 array, or a function that gives one of these when called;
        text: `str` with more than blanks in it; audio: a path, the bytes of a file, or such a function; location:
        (latitude, longitude) in degrees.
    group : items of one group are variants of one thing and are never split apart. -1: a group of its own.
    split : the part that the data set itself puts the item in, one of `SPLITS`; None where it has no parts.
    label : its class, an index into the source's `classes`; -1 for none.
    """

    key: str
    values: Mapping[str, Any]
    group: int = -1
    split: str | None = None
    label: int = -1


@dataclass(frozen=True)
class Skipped:
    """An item that is left out, and why, in a few words that are the same for all items of one kind."""

    key: str
    reason: str


@dataclass(frozen=True)
class Shard:
    """Items that are encoded in one go.

    Parameters
    ----------
    name : what the file of the shard is called, without suffix; names sort in the order of the shards.
    size : how many items `read` gives at most, skipped ones among them; None where only reading tells.
    read : gives the items in order, the same ones each time, and what is skipped where it would have come.
    start : the place of the first of them among all entries of the source; None where only reading tells.
    """

    name: str
    size: int | None
    read: Callable[[], Iterator[Item | Skipped]]
    start: int | None = None


class Source(ABC):
    """A data set before it is encoded.

    Attributes
    ----------
    encoders : for each modality, the encoder that is taken where none is named, `library:model/weights`.
    facts : data set, versions, licence and attribution, as JSON values.
    grouped : whether items have groups. Where they have none, each is its own.
    has_splits : whether the data set has parts of its own.
    independent : modalities of which an item's values were drawn independently of each other, such as captions by
        people who do not know of each other's.
    classes : names of the classes that items are labelled with. Where there are none, items have no labels.
    """

    encoders: Mapping[str, str]
    facts: Mapping[str, Any]
    grouped: bool = False
    has_splits: bool = False
    independent: Sequence[str] = ()
    classes: Sequence[str] = ()

    @abstractmethod
    def shards(self, items: int) -> Sequence[Shard]:
        """The data set in shards of so many items, or in those that it comes in."""

    @abstractmethod
    def identity(self) -> str:
        """Hexadecimal digits that change with what the source holds, as far as a listing tells."""


class Listing(Source):
    """A source whose items are known before anything is decoded.

    Parameters
    ----------
    entries : the items, and what is skipped; the second and later items of one key are skipped here.
    encoders, facts, grouped, independent, classes : see `Source`. `facts` gets the number of items listed.
    """

    def __init__(
        self,
        entries: Iterable[Item | Skipped],
        encoders: Mapping[str, str],
        facts: Mapping[str, Any],
        grouped: bool = False,
        independent: Sequence[str] = (),
        classes: Sequence[str] = (),
    ) -> None:
        self.independent, self.classes = independent, classes
        self.entries = _unique(entries)
        if grouped:
            self.entries = [_in_its_own_group(entry, place) for place, entry in enumerate(self.entries)]
        self.encoders, self.grouped = encoders, grouped
        self.has_splits = any(item.split is not None for item in self.items)
        self.facts = {**facts, "items": len(self.items)}

    @property
    def items(self) -> list[Item]:
        """The items alone."""
        return [entry for entry in self.entries if isinstance(entry, Item)]

    def at_most(self, limit: int | None, seed: int = 0) -> Listing:
        """The source itself, or at most `limit` items of it, whole groups in an order that `seed` decides.

        What is skipped stays on the list only where all items stay.
        """
        if limit is None:
            return self
        items = self.items
        group = np.array([place if item.group == -1 else item.group for place, item in enumerate(items)])
        chosen = [items[place] for place in whole_groups(group, limit, seed)]
        choice = f"at most {limit}, whole groups in the order of seed {seed}"
        facts = {**self.facts, "choice": choice}
        return Listing(chosen, self.encoders, facts, self.grouped, self.independent, self.classes)

    def shards(self, items: int) -> Sequence[Shard]:
        parts = [(start, self.entries[start : start + items]) for start in range(0, len(self.entries), items)]
        return [
            Shard(f"{number:06d}", len(part), partial(iter, part), start) for number, (start, part) in enumerate(parts)
        ]

    def identity(self) -> str:
        digest = hashlib.sha256()
        for entry in self.entries:
            if isinstance(entry, Skipped):
                said: Any = entry.reason
            else:
                said = [_spelled(entry.values), entry.group, entry.split, *([entry.label] if self.classes else [])]
            digest.update(json.dumps([entry.key, said]).encode())
        return digest.hexdigest()


def _unique(entries: Iterable[Item | Skipped]) -> list[Item | Skipped]:
    seen: set[str] = set()
    found: list[Item | Skipped] = []
    for entry in entries:
        if isinstance(entry, Item) and entry.key in seen:
            entry = Skipped(entry.key, "duplicate key")
        seen.add(entry.key)
        found.append(entry)
    return found


def _in_its_own_group(entry: Item | Skipped, place: int) -> Item | Skipped:
    """The entry; in a group that no other is in, negative, if it has none."""
    return replace(entry, group=-2 - place) if isinstance(entry, Item) and entry.group == -1 else entry


def _spelled(values: Mapping[str, Any]) -> Any:
    """The values of an item as far as they can be told without opening a file: words, numbers, what is in memory,
    names of files and their sizes, an `identity`.
    """

    def spell(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return [spell(part) for part in value]
        if isinstance(value, Path):
            return [value.name, size_of(value)]
        if isinstance(value, bytes | bytearray | memoryview | np.ndarray):
            return hashlib.sha256(np.asarray(value).tobytes()).hexdigest()
        return value if isinstance(value, str | int | float) else getattr(value, "identity", None)

    return {name: spell(value) for name, value in sorted(values.items())}


def caption(text: Any) -> str:
    """A caption, `str` or bytes, with its blanks tidied.

    Raises
    ------
    ValueError
        If it is no text, cannot be written in UTF-8, or nothing is left of it; `text` itself where it is a ValueError,
        which stands for a row that could not be taken apart.
    """
    if isinstance(text, ValueError):
        raise text
    if not isinstance(text, str | bytes):
        raise ValueError("caption is not text")
    try:
        if isinstance(text, str):
            text = text.encode("utf-8", "surrogateescape")  # bytes that came as surrogates count as bytes
        text = text.decode("utf-8-sig")  # a byte order mark is none of it
    except UnicodeError:
        raise ValueError("caption is not UTF-8") from None
    tidy = " ".join(text.split())
    if not tidy:
        raise ValueError("empty caption")
    return tidy
