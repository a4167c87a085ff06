"""Settings: frozen dataclasses from and to JSON, and NAME=VALUE put into them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from modtrans_core.checks import of_python, refuse, refuse_unless

Settings = TypeVar("Settings")
TYPES: dict[Any, tuple[type, ...]] = {
    float: (int, float), str | float: (str, int, float), int: (int,), bool: (bool,), str: (str,)
}  # fmt: skip
"""what a setting is declared as, a dataclass or a Literal of texts besides -> what its value can be"""


def refuse_kinds(name: str, cls: type) -> None:
    """Refuse a dataclass with a setting of a kind that JSON and the command line would not give back."""
    try:
        kinds = get_type_hints(cls)
    except NameError as error:
        refuse(name, str(error), "settings whose types are names of their module")
    for item in fields(cls):
        kind = kinds[item.name]
        if is_dataclass(kind):
            refuse_kinds(f"{name}.{item.name}", kind)  # type: ignore[arg-type]
        else:
            texts = get_origin(kind) is Literal and all(isinstance(one, str) for one in get_args(kind))
            needed = "int, float, bool, text, text or a number, or a dataclass"
            refuse_unless(texts or kind in TYPES, f"{name}.{item.name}", str(kind), needed)


def from_dict(cls: type[Settings], values: Mapping[str, Any], path: str = "") -> Settings:
    """The inverse of `dataclasses.asdict`; an unknown or ill-typed setting is a ValueError that names it."""
    known = get_type_hints(cls)
    for name in values:
        refuse_unless(name in known, f"{path}{name}", values[name], f"a setting among {', '.join(known)}")
    made: dict[str, Any] = {}
    for item in fields(cls):  # type: ignore[arg-type]
        if item.name not in values:
            continue
        kind, value = known[item.name], of_python(values[item.name])
        if is_dataclass(kind):
            refuse_unless(isinstance(value, Mapping), f"{path}{item.name}", value, "settings by name")
            made[item.name] = from_dict(kind, value, f"{path}{item.name}.")  # type: ignore[arg-type]
        else:
            ok = isinstance(value, TYPES.get(kind, (str,))) and (kind is bool or not isinstance(value, bool))
            refuse_unless(ok, f"{path}{item.name}", value, getattr(kind, "__name__", "text or a number"))
            refuse_unless(not _is_extreme(value), f"{path}{item.name}", value, EXTREME[isinstance(value, int)])
            made[item.name] = value
    return cls(**made)


EXTREME = "0 or a number from 1e-30 to 1e30 in size", "an integer of 64 bits"


def _is_extreme(value: Any) -> bool:
    """Whether a finite number is one that nobody means, and that float32 does not hold, or int64."""
    if isinstance(value, int):
        return not -(2**63) <= value < 2**63
    return isinstance(value, float) and value != 0 and not 1e-30 <= abs(value) <= 1e30 and abs(value) < math.inf


def changed(config: Settings, settings: Mapping[str, Any]) -> Settings:
    """`config` with these settings, named by dotted paths such as `train.steps`.

    Raises
    ------
    ValueError
        An unknown setting, one of another type, or an impossible value; the message names it.
    """
    values = asdict(config)  # type: ignore[call-overload]
    named = isinstance(settings, Mapping) and all(isinstance(name, str) for name in settings)
    refuse_unless(named, "settings", settings, "a mapping from the names of settings to values")
    for name, value in settings.items():
        *path, last = name.split(".")
        place: Any = values
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place or isinstance(place[last], dict):
            raise ValueError(f"set: {name!r} is not a setting; settings are {', '.join(paths(asdict(config)))}")  # type: ignore[call-overload]
        place[last] = value
    return from_dict(type(config), values)


def named(given: Sequence[str], option: str = "set", form: str = "NAME=VALUE") -> dict[str, str]:
    """The values of an option by their names, none twice, from texts of that form."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        refuse_unless(bool(name and equals), option, text, form)
        refuse_unless(name not in found, option, text, f"one value of {name}")
        found[name] = value
    return found


def parsed(settings: Sequence[str]) -> dict[str, Any]:
    """`named`, each value as `typed` reads it."""
    return {name: typed(text) for name, text in named(settings).items()}


def typed(text: str) -> Any:
    """What was typed as a value: JSON, a number as Python writes it too, and any other is a text.

    Examples
    --------
    >>> [typed(text) for text in (".3", "+5", "1.", "true", "0x3", "007")]
    [0.3, 5, 1.0, True, '0x3', '007']
    """
    with suppress(ValueError, RecursionError):  # of integers of 5,000 digits too
        return json.loads(text)
    if re.fullmatch(r"[+-]?(?!0\d)(\d+\.?|\d*\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
        with suppress(ValueError):
            return int(text) if text.lstrip("+-").isdigit() else float(text)
    return text


def paths(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from paths(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
