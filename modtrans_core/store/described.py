"""Descriptions in JSON, read with care: every field has the type that it is used as, or is named with its file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modtrans_core.checks import brief, in_one_line

Kind = str | Mapping[str, Any]

_CAPTIONS = "lists of texts, by name or item by item"
_KINDS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "text or null": lambda value: value is None or isinstance(value, str),
    "true or false": lambda value: isinstance(value, bool),
    "a whole number from 0 on": lambda value: type(value) is int and value >= 0,
    "a whole number from 1 on": lambda value: type(value) is int and value >= 1,
    "a number": lambda value: type(value) in (int, float) and abs(value) <= sys.float_info.max,
    "a positive number": lambda value: _KINDS["a number"](value) and value > 0,
    "a number or null": lambda value: value is None or _KINDS["a number"](value),
    "a list of shares, from 0 to 1 each,": lambda value: isinstance(value, list) and all(map(_is_share, value)),
    "a list": lambda value: isinstance(value, list),
    "a list of pairs": lambda value: isinstance(value, list) and all(_is_pair(one) for one in value),
    "a list of texts": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    "text or a list of texts": lambda value: _KINDS["text"](value) or _KINDS["a list of texts"](value),
    "an object": lambda value: isinstance(value, dict),
    "an object of objects": lambda value: _all(value, "an object"),
    "an object of whole numbers": lambda value: _all(value, "a whole number from 0 on"),
    _CAPTIONS: lambda value: (
        _all(value, "a list of texts") or (isinstance(value, list) and all(map(_KINDS["a list of texts"], value)))
    ),
}


def _is_share(value: Any) -> bool:
    return _KINDS["a number"](value) and 0 <= value <= 1


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)


def _all(value: Any, kind: str) -> bool:
    return isinstance(value, dict) and all(map(_KINDS[kind], value.values()))


def checked(
    where: str | Path, value: Any, fields: Mapping[str, Kind], optional: Mapping[str, Kind] | None = None
) -> dict[str, Any]:
    """The value itself, if it is an object with these fields; what else it holds is nobody's business here.

    Parameters
    ----------
    where : the file, and the place in it, for messages.
    fields : name -> what it has to be, in the words of the message, or the fields of the object that it has to be.
    optional : the same of fields that may be missing.

    Raises
    ------
    ValueError
        The message names the file, the field, what was found and what is allowed.

    Examples
    --------
    >>> checked("run.json", {"step": 3}, {"step": "a whole number from 0 on"})
    {'step': 3}
    >>> checked("run.json", {"step": -3}, {"step": "a whole number from 0 on"})
    Traceback (most recent call last):
    ValueError: run.json: step: -3, a whole number from 0 on is needed
    """
    if not isinstance(value, dict):
        raise ValueError(f"{where}: {brief(value)}, an object in JSON is needed")
    for name, kind in {**fields, **(optional or {})}.items():
        if name not in value:
            if name in fields:
                raise ValueError(
                    f"{where}: {name}: missing, {kind if isinstance(kind, str) else 'an object'} is needed"
                )
        elif isinstance(kind, str):
            if not _KINDS[kind](value[name]):
                raise ValueError(f"{where}: {name}: {brief(value[name])}, {kind} is needed")
        else:
            checked(f"{where}: {name}", value[name], kind)
    return value


def parsed(where: str | Path, text: str | bytes) -> Any:
    """JSON, whatever its type; what is none is a ValueError that names the file."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{where}: not valid JSON (nested too deep)") from None
    except ValueError as error:  # UnicodeDecodeError and integers of 5,000 digits are ValueErrors too
        raise ValueError(f"{where}: not valid JSON ({error})") from None


def json_text(where: str | Path, given: Any, **how: Any) -> str:
    """The JSON of a value, made `how` `json.dumps` is told; of what has none it is a ValueError that names it."""
    try:
        return json.dumps(given, **how)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{where}: {in_one_line(error)}, JSON values are needed") from None


def metadata_text(given: Mapping[str, Any]) -> str:
    """The metadata of a pair set as its file holds it; what `metadata` would not read is a ValueError."""
    text = json_text("metadata", given, sort_keys=True)
    metadata(text)
    return text


def metadata(text: Any) -> dict[str, Any]:
    """The metadata of a pair set from the text that its file holds."""
    if not isinstance(text, str):
        raise ValueError(f"metadata: {brief(text)}, text in JSON is needed")
    known = {"independent": "text or a list of texts", "classes": "a list", "captions": _CAPTIONS}
    return checked("metadata", parsed("metadata", text), {}, known)
