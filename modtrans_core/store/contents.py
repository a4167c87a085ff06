"""What a pair set holds, as plain arrays, and what of it is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from modtrans_core.checks import refuse, refuse_modality, refuse_unless
from modtrans_core.split import SPLITS
from modtrans_core.store.columns import tensors
from modtrans_core.store.described import json_text, metadata
from modtrans_core.store.mapped import MappedRows
from modtrans_core.vectors import is_read_only, off_device, read_only, refuse_bad_rows

INDEPENDENT = "independent"
"""in the metadata: the modalities of which an item's vectors were drawn independently of each other"""
JOB = "job"
"""in the metadata of a file that `modtrans embed` made: the digest of what it was made of, and how"""
CLASSES = "classes"
"""in the metadata: the names of the classes that `label` counts"""
LETTERS = 1000
"""of a name, at most: in an array of texts each takes as much memory as the longest"""
CAPTIONS = "captions"
"""in the metadata: lists of texts by the name of their item or, where names repeat, item by item"""


class Contents(NamedTuple):
    """The fields of `modtrans_core.pairs.PairedEmbeddings`, which says what each of them is."""

    arrays: Mapping[str, Any]
    counts: Mapping[str, np.ndarray]
    group: np.ndarray | None
    key: np.ndarray | None
    metadata: Mapping[str, Any]
    own_split: np.ndarray | None
    label: np.ndarray | None

    def encoder(self, name: str) -> Mapping[str, Any]:
        """What the metadata says of the encoder of a modality; empty where it says nothing."""
        facts = self.metadata.get(name)
        return facts if isinstance(facts, Mapping) else {}

    def independent(self, name: str) -> bool:
        """Whether the metadata says that an item's vectors of a modality are independent of each other."""
        said = self.metadata.get(INDEPENDENT, ())
        return name in ([said] if isinstance(said, str) else said)

    def checked(self) -> Contents:
        """The same in the types that a pair set has: vectors float32, counts, groups and labels int64, parts int8.

        Vectors are copied and cannot be written to; those that nobody can write to already, or that a memory map holds
        on disk, are taken as they are.

        Raises
        ------
        ValueError
            Lengths that differ, a wrong shape, a non-finite or zero vector, a count, a part or a label out of range.
        """
        refuse_unless(isinstance(self.arrays, Mapping), "arrays", self.arrays, "a mapping from modality to vectors")
        refuse_unless(isinstance(self.metadata, Mapping), "metadata", self.metadata, "a mapping of JSON values")
        described = metadata(json_text("metadata", dict(self.metadata)))  # as a file would hold it, and nobody else's
        if not self.arrays:
            raise ValueError("arrays: empty, at least one modality is needed")
        given = {name: one if isinstance(one, MappedRows) else as_array(name, one) for name, one in self.arrays.items()}
        several, first = self.counts or {}, next(iter(given.values()))
        n = len(first) if first.ndim else 0
        arrays, counts = {}, {}
        for name, array in given.items():
            arrays[name] = _vectors(name, array, n)
            refuse_modality(name)
            if array.ndim == 3:
                counts[name] = _counts(name, several.get(name), arrays[name].shape[:2])
            if not isinstance(array, MappedRows):  # which is checked row by row when it is read
                refuse_bad_rows(name, arrays[name], counts.get(name))
        if isinstance(told := described.get(CAPTIONS), list):
            captions_by_item(range(n), told)
        for name in set(several) - set(counts):
            raise ValueError(f"{name}_count: given, but {name!r} is not an array of shape (n, m, d)")
        return self._replace(
            arrays=arrays,
            counts=counts,
            metadata=described,
            key=None if self.key is None else _key(self.key, n),
            group=None if self.group is None else _group(as_array("group", self.group), n),
            own_split=None if self.own_split is None else _own_split(as_array("own_split", self.own_split), n),
            label=None if self.label is None else _label(as_array("label", self.label), n, described.get(CLASSES)),
        )


def captions_of(key: Sequence[str] | None, captions: Iterable[Sequence[str]]) -> dict[str, Any]:
    """The metadata that hold the captions of the items of these names, in their order; of items without names, None.

    Examples
    --------
    >>> captions_of(["a", "b"], [["a cat"], ["a dog", "it barks"]])
    {'captions': {'a': ['a cat'], 'b': ['a dog', 'it barks']}}
    >>> captions_of(["a", "a"], [["a cat"], ["it purrs"]])
    {'captions': [['a cat'], ['it purrs']]}
    """
    texts = [list(several or ()) for several in captions]
    if key is None or len(set(key)) < len(texts):
        return {CAPTIONS: texts}
    return {CAPTIONS: dict(zip(key, texts, strict=True))}


def captions_by_item(key: Sequence[Any], held: Any) -> list[list[str]]:
    """The captions of the items of these names from what the metadata hold; empty lists where they hold none.

    Raises
    ------
    ValueError
        They are held item by item, and of another number of items.
    """
    if isinstance(held, list | tuple):
        if len(held) != len(key):
            raise ValueError(f"metadata: {CAPTIONS}: {len(held)} lists, one for each of {len(key)} items is needed")
        return list(held)
    return [held.get(str(name), []) if isinstance(held, Mapping) else [] for name in key]


def differing(here: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[str, str] | None:
    """How two encoders differ in weights or preprocessing, as far as the facts of both say; None where they do not.

    Where both know the SHA-256 of their weights, that decides and not the name, which may hold the path of a file that
    has moved. The facts of precomputed vectors are about a file, not about what made them.
    """
    if "precomputed" in (here.get("preprocessing"), there.get("preprocessing")):
        return None
    digests = [facts.get("weights_sha256") for facts in (here, there)]
    for fact in ("encoder" if None in digests else "weights_sha256", "preprocessing"):
        if fact in here and fact in there and here[fact] != there[fact]:
            names = [str(facts.get("encoder", "unnamed")) for facts in (here, there)]
            if names[0] == names[1] or fact == "preprocessing":
                names = [f"{name} with {fact} {facts[fact]}" for name, facts in zip(names, (here, there), strict=True)]
            return f"encoder {names[0]}", names[1]
    return None


def as_texts(name: str, given: Iterable[Any]) -> np.ndarray:
    """Names as an array of texts.

    Raises
    ------
    ValueError
        A name of more than `LETTERS` letters, or one that ends in a zero character.
    """
    texts = list(given)
    refuse_texts(name, texts)
    return np.array(texts, dtype=np.str_)


def refuse_texts(name: str, texts: Iterable[Any]) -> None:
    """Refuse names that arrays of texts do not hold: of more than `LETTERS` letters, such as a picture's data: URL, and
    those that end in a zero character, which numpy drops.
    """
    for row, text in enumerate(texts):
        if not isinstance(text, str | bytes):
            continue
        if len(text) > LETTERS:
            raise ValueError(
                f"{name} of row {row}: {len(text):,} letters, at most {LETTERS:,} letters of a name are needed"
            )
        right = text[-1:] not in ("\0", b"\0")
        refuse_unless(right, f"{name} of row {row}", text, "a name that ends in no zero character")


def as_array(name: str, given: Any) -> np.ndarray:
    """Numbers of any kind as an array: lists, columns of a table, tensors, also those of bfloat16 or on a GPU.

    Raises
    ------
    ValueError
        Rows of several lengths, masked values, no numbers.

    Examples
    --------
    >>> as_array("image", [[1.0, 2.0], [3.0, 4.0]]).shape
    (2, 2)
    >>> as_array("image", [[1.0, 2.0], [3.0]])
    Traceback (most recent call last):
    ValueError: image: rows of different shapes, one shape is needed
    """
    rows = given if isinstance(given, list | tuple) else [given]
    if masked := sum(int(np.ma.count_masked(row)) for row in rows if isinstance(row, np.ma.MaskedArray)):
        raise ValueError(f"{name}: {masked} values are masked, none is needed")
    if isinstance(given, np.memmap):
        return given
    if isinstance(given, list | tuple):
        given = [as_array(name, one) if hasattr(one, "detach") else one for one in given]
    if (shaped := tensors(name, given)) is not None:
        return shaped
    try:
        array = np.asarray(given := off_device(given))
        if array.dtype == object and array.ndim == 1 and len(array):  # an array a row, as tables have them
            array = np.stack([np.asarray(row) for row in array])
        if array.dtype == object:  # floats that may be missing, of pandas: numbers again where none is
            array = np.array(array.tolist())
    except (TypeError, ValueError, RuntimeError) as error:
        shapes = "inhomogeneous" in str(error) or "same shape" in str(error)
        what = "rows of different shapes, one shape" if shapes else f"{type(given).__name__}, an array of numbers"
        raise ValueError(f"{name}: {what} is needed") from None
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array  # a type that other packages add


def _vectors(name: str, array: Any, n: int) -> Any:
    if array.dtype.kind != "f" or array.ndim not in (2, 3) or 0 in array.shape:
        more = "; where it holds no vectors, leave it out: np.savez(NEW, **{the arrays of vectors})"
        raise ValueError(
            f"{name}: {array.dtype} of shape {array.shape}, floats (n, d) or (n, m, d) with no empty side are needed"
            f"{more if array.ndim < 2 else ''}"
        )
    if len(array) != n:
        raise ValueError(f"{name}: {len(array)} items, but another modality has {n}; lengths must match")
    if isinstance(array, MappedRows):
        return array
    with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite, and is refused
        kept = is_read_only(array) or getattr(array, "mode", None) in ("r+", "w+")  # of a map, and of no copy of one
        own = array.astype(np.float32, copy=not kept)
    return read_only(own.view() if kept else own)


def _values(given: Any) -> list[Any]:
    """The values of a list of Python's objects or a column of a table; none of an array of numbers or texts."""
    if isinstance(given, str | bytes) or (isinstance(given, np.ndarray) and given.dtype.kind not in "OT"):
        return []
    named = (getattr(given, name, None) for name in ("to_pylist", "tolist", "to_list"))
    listed = next((one for one in named if callable(one)), None)
    ordered = hasattr(given, "__getitem__") and not isinstance(given, Mapping)
    found = listed() if listed else list(given) if ordered else []
    return found if isinstance(found, list) else []


def _key(given: Any, n: int) -> np.ndarray:
    values = _values(given)
    refuse_texts("key", values)
    if any(isinstance(one, str) for one in values):
        bad = [one for one in values if not isinstance(one, str)]  # of a missing name numpy would make a text
        refuse_unless(not bad, "key", bad[:1], "text")
        given = np.array(values, dtype=np.str_)
    key = as_array("key", given)
    if key.shape != (n,):
        raise ValueError(f"key: shape {key.shape}, ({n},) is needed")
    refuse_unless(key.dtype.kind in "USiu", "key", str(key.dtype) if key.dtype != object else key[:1].tolist(), "text")
    try:
        key = np.char.decode(key, "utf-8") if key.dtype.kind == "S" else key.astype(np.str_)
    except UnicodeDecodeError:
        refuse("key", "bytes", "text in UTF-8")
    if key.dtype.itemsize > 4 * LETTERS:
        refuse_texts("key", key)
    refuse_unless("" not in key, "key", "", "for each item a name that is text")
    if key.dtype.itemsize:  # as an array of letters: half of a pair of surrogates is none that a file could hold
        half = (key.view(np.uint32) & 0xFFFFF800 == 0xD800).reshape(n, -1).any(axis=1)
        refuse_unless(not half.any(), "key", key[half][:1].tolist(), "text in UTF-8")
    return key


def _counts(name: str, given: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    n, m = shape
    counts = np.full(n, m) if given is None else as_array(f"{name}_count", given)
    if counts.shape != (n,) or counts.dtype.kind not in "iu" or counts.min() < 1 or counts.max() > m:
        raise ValueError(f"{name}_count: integers from 1 to {m} of shape ({n},) are needed")
    return counts.astype(np.int64)


def _group(group: np.ndarray, n: int) -> np.ndarray:
    if group.shape != (n,) or group.dtype.kind not in "iu":
        raise ValueError(f"group: {group.dtype} of shape {group.shape}, integers of shape ({n},) are needed")
    return group.astype(np.int64)


def _own_split(own: np.ndarray, n: int) -> np.ndarray:
    if own.shape != (n,) or own.dtype.kind not in "iu" or own.min() < -1 or own.max() >= len(SPLITS):
        raise ValueError(f"own_split: integers from -1 to {len(SPLITS) - 1} of shape ({n},) are needed")
    return own.astype(np.int8)


def _label(label: np.ndarray, n: int, classes: Any) -> np.ndarray:
    if label.shape != (n,) or label.dtype.kind not in "iu":
        needed = f"integers of shape ({n},), places in the metadata's {CLASSES},"
        raise ValueError(f"label: {label.dtype} of shape {label.shape}, {needed} are needed")
    named = isinstance(classes, list | tuple)
    highest = len(classes) - 1 if named else 2**63 - 1
    if (out := (label < -1) | (label > highest)).any():
        allowed = f"-1 to {highest}, the last of the metadata's {CLASSES}," if named else "-1 or more"
        raise ValueError(f"label: {label[out][0]} of item {out.argmax()}, {allowed} is needed")
    return label.astype(np.int64)
