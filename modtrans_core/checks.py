"""One wording for what is refused: the name of a setting, the value that was given, and what is needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn


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
    raise ValueError(f"{name}: {value!r}, {needed} is needed")


def refuse_unless(ok: bool, name: str, value: object, needed: str) -> None:
    """Refuse a value that is not `ok`, in the words of `refuse`."""
    if not ok:
        refuse(name, value, needed)


def refuse_unless_in(name: str, value: object, allowed: Iterable[object]) -> None:
    """Refuse what is not one of the values `allowed`."""
    if value not in (known := list(allowed)):
        words = [str(one) for one in known]
        refuse(name, value, " or ".join(words) if len(words) < 3 else f"one of {', '.join(words)}")
