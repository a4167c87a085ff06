"""One wording for what is refused: the name of a setting, the value that was given, and what is needed."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

TAKEN = (
    "file", "allow_pickle", "group", "img", "key", "label", "metadata", "own_split", "__metadata__",
    "captions", "classes", "dataset", "independent", "job",
)  # fmt: skip
"""names that files of pair sets have for other things than modalities, besides those that end in `_count`: for arrays
(the first two are arguments of numpy's `savez`), and in the metadata, which have the facts of each encoder by the name
of its modality"""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""numbers of the errors of a disk that is full"""


def refuse(name: str, value: object, needed: str) -> NoReturn:
    """Raise the ValueError of a setting that cannot be what was given.

    Parameters
    ----------
    name : of the setting, as the caller wrote it.
    value : what was given.
    needed : what can be given, without a full stop.

    Raises
    ------
    ValueError
        Always.

    Examples
    --------
    >>> refuse("shard_items", 0, "at least 1")
    Traceback (most recent call last):
    ValueError: shard_items: 0, at least 1 is needed
    """
    raise ValueError(f"{name}: {brief(value)}, {needed} is needed")


def brief(value: object) -> str:
    """A value as a message shows it."""
    text = repr(value).replace("\n", " ")
    return text if len(text) <= 80 else f"{text[:77]}..."


def refuse_unless(ok: bool, name: str, value: object, needed: str) -> None:
    """Refuse a value that is not `ok`, in the words of `refuse`."""
    if not ok:
        refuse(name, value, needed)


def refuse_unless_in(name: str, value: object, allowed: Iterable[object]) -> None:
    """Refuse what is not one of the values `allowed`."""
    if value not in (known := list(allowed)):
        words = [str(one) for one in known]
        refuse(name, value, " or ".join(words) if len(words) < 3 else f"one of {', '.join(words)}")


def whole(name: str, value: Any, low: int, high: int | None = None, of: str = "") -> int:
    """A value as an int, if it is a whole number from low to high; `of` says what high is the number of.

    Examples
    --------
    >>> whole("k", 2.0, 1)
    2
    >>> whole("k", 2.5, 1, 9, "the size of the gallery")
    Traceback (most recent call last):
    ValueError: k: 2.5, a whole number from 1 to 9, the size of the gallery, is needed
    """
    number = value.item() if getattr(value, "ndim", None) == 0 else value  # numpy's numbers, arrays and tensors of one
    right = isinstance(number, Integral) or (isinstance(number, Real) and float(number).is_integer())
    inside = right and not isinstance(number, bool) and low <= number and (high is None or number <= high)
    needed = f"a whole number from {low} {'on' if high is None else f'to {high}'}{f', {of},' if of else ''}"
    refuse_unless(inside, name, number, needed)
    return int(number)


def of_python(value: Any) -> Any:
    """One of numpy's numbers as Python's, float32's .69999998807 as it is written; any other value as it is.

    Examples
    --------
    >>> import numpy as np
    >>> of_python(np.float32(0.7)), of_python(np.int64(3)), of_python("a")
    (0.7, 3, 'a')
    """
    if not isinstance(value, np.generic):
        return value
    return float(str(value)) if isinstance(value, np.floating) else value.item()


def place(name: str, given: str | Path) -> Path:
    """The path of a file or folder; an empty text, as of a variable that is not set, would be the working directory.

    Examples
    --------
    >>> place("out", "")
    Traceback (most recent call last):
    ValueError: out: '', the name of a file or folder is needed
    """
    refuse_unless(given != "", name, given, "the name of a file or folder")
    return Path(given)


def refuse_modality(name: object, field: str = "modality") -> None:
    """Refuse what cannot name a modality: it becomes the name of arrays, files and folders.

    Examples
    --------
    >>> refuse_modality("text-fr")
    >>> refuse_modality("../text")
    Traceback (most recent call last):
    ValueError: modality: '../text', at most 64 of a-z, A-Z, 0-9, _ and -, the first no -, is needed
    >>> refuse_modality("text_count")
    Traceback (most recent call last):
    ValueError: modality: 'text_count', a name that pair sets have no other use for is needed
    """
    plain = isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", name)
    refuse_unless(bool(plain), field, name, "at most 64 of a-z, A-Z, 0-9, _ and -, the first no -,")
    free = str(name) not in TAKEN and not str(name).endswith("_count")
    refuse_unless(free, field, name, "a name that pair sets have no other use for")


def refuse_absent_modality(name: object, known: Iterable[str]) -> None:
    """Refuse a modality that a pair set with the `known` ones does not have."""
    if name not in (there := list(known)):
        raise ValueError(f"modality {name!r}: not in this pair set, which has {', '.join(there)}")


def differing(was: Any, wanted: Any, name: str) -> str:
    """The first name of nested settings whose value was another than is wanted, and both; "" where they are the same.

    Examples
    --------
    >>> differing({"width": 8, "train": {"steps": 30}}, {"width": 8, "train": {"steps": 60}}, "config")
    'config.train.steps 30, not 60'
    >>> differing({"width": 8}, {"width": 8}, "config")
    ''
    """
    if isinstance(was, Mapping) and isinstance(wanted, Mapping):
        found = (differing(was.get(key), wanted.get(key), f"{name}.{key}") for key in {**was, **wanted})
        return next(filter(None, found), "")
    return "" if was == wanted else f"{name} {was}, not {wanted}"


def in_one_line(error: BaseException, most: int | None = 300) -> str:
    """The message of an error, in one line of at most so many letters; its type where it has none."""
    return " ".join(str(error).split())[:most] or type(error).__name__


@contextmanager
def naming(where: object) -> Iterator[None]:
    """A ValueError inside begins with what it is of, such as a file."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
