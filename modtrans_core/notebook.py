"""The second cell of every notebook: its parameters are what it says they are, and `analysis` is this project's."""

from __future__ import annotations

import ast
import json
import math
import re
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core import checks
from modtrans_core.checks import brief
from modtrans_core.store.contents import differing
from modtrans_core.store.read import dimensions, read
from modtrans_core.vectors import unit

INJECTED = "# Parameters\n"
"""how the cell begins that papermill puts behind a notebook's own parameters"""
_OUT = re.compile(r"^out: ", re.M)  # a parameter of every notebook
KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
SHARES = {"confidence": 1, "delta": 0.5, "false_alarm": 0.001, "risk": 1, "share": 1}
"""parameters of any notebook that are strictly between 0 and this"""
RANGES = {"alpha": (-1, 1), "gamma": (0, 1000), "penalty": (0, math.inf), "s": (0, 1), "sharpness": (0, 1000)}
"""the least and the largest value of other parameters of type float"""
FILES = ("pairs", "queries", "train", "test", "more", "runs", "data", "results", "coco", "cc3m", "celeba", "cifar10")
"""parameters of any notebook that name files or folders; empty: none"""
PAIR_SETS = ("pairs", "train", "test")
"""those that hold the modalities `source` and `target`; where none is given, the notebook's own pair set does"""
TOGETHER = (("pairs", "queries"), ("train", "test"))
"""those of which a notebook takes both or neither"""
OWN = ("image", "text")
"""the modalities of every notebook's own pair set"""


class WrongParameter(ValueError):
    """One line, in a notebook too."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def begin(names: Mapping[str, Any]) -> None:
    """Refuse what a notebook cannot run with, in one line; nothing is then said of widgets that a kernel lacks.

    Parameters
    ----------
    names : `globals()` behind the first cell, which gives every parameter a type.

    Raises
    ------
    WrongParameter
        A parameter that the notebook does not have, of another type or out of range.
    ImportError
        `analysis` is another package than this project's, such as a folder of that name beside the notebook.

    Examples
    --------
    >>> begin({"In": ["", "out: str = 'results'"], "out": None})
    Traceback (most recent call last):
    modtrans_core.notebook.WrongParameter: out: None, a parameter of type str is needed
    """
    values = _refuse_wrong_cells(names)
    _refuse_constant_modalities(values)
    try:
        ours = find_spec("analysis.paper") is not None
    except ImportError:
        ours = False
    if not ours:
        found = sys.modules.get("analysis")
        where = next(iter(getattr(found, "__path__", [])), None) or getattr(found, "__file__", "nowhere")
        raise ImportError(f"analysis: found {where}, that of modtrans is needed; run the notebook in another folder")
    if isinstance(out := names.get("out"), str):
        refuse_unless(out.strip() != "", "out", out, "the name of a folder")
        try:
            Path(out).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WrongParameter(f"out: {brief(out)}, a folder that can be made is needed ({error.strerror})") from None
    warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, by whatever imports it


def _refuse_wrong_cells(names: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse what the cell of parameters, and one that papermill puts behind it, say wrong; the parameters otherwise.

    A kernel knows every cell that ran in it, those of start-up files and of one's own too, which are no parameters. It
    knows none of a file that is run as a whole, by `python` or `%run`. Types are read in the text, or where there is
    none, as in `exec`, among the annotations that Python before 3.14 keeps.
    """
    cells = ["", *names.get("In", ())]
    own = [*filter(_OUT.search, cells)] or [*filter(_OUT.search, _in_file(names))]
    refuse_unless(bool(own) or "out" in names, "parameters", "none", "the notebook's first cell, run before this one,")
    text = "\n".join(own)
    added = [cell for before, cell in pairwise(cells) if cell.startswith(INJECTED) and before in ("", *own)]
    kinds = dict(re.findall(r"^(\w+): *([^=#\n]*[^=#\s]) *=", text, re.M))
    kept = {} if own else names.get("__annotations__", {})
    kinds |= {name: getattr(kind, "__name__", str(kind)) for name, kind in kept.items()}
    given = [node for cell in added for node in ast.walk(ast.parse(cell))]
    stored = [node.id for node in given if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    helps = dict(re.findall(r"^(\w+): .*#(.*)", text, re.M))
    values = {name: names.get(name) for name in [*(stored if kinds else []), *kinds]}
    refuse_wrong(kinds, values, helps)
    return values


def _in_file(names: Mapping[str, Any]) -> list[str]:
    """The cells of the notebook, `.ipynb` or `.py`, that is run as a file; none where none is."""
    file = Path(str(names.get("__file__", "")))
    with suppress(OSError, ValueError, LookupError, TypeError):
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".ipynb":
            return ["".join(cell["source"]) for cell in json.loads(text)["cells"]]
        return re.split(r"^# %%", text, flags=re.M)
    return []


def refuse_wrong(kinds: Mapping[str, str], values: Mapping[str, Any], helps: Mapping[str, str]) -> None:
    """Refuse a parameter that is not among `kinds`, name -> type, of another type or out of range, a file that is not
    there, a modality that its pair set has not, one modality twice, and two pair sets that are not of one space.

    An int is a float, too. Those of type int are at least 1, where `helps`, name -> meaning, says what `0:` means
    at least 0, and so is a seed. Where its meaning says `at least N`, so is any number.

    Raises
    ------
    WrongParameter
        The message names the parameter, its value and what is needed.

    Examples
    --------
    >>> refuse_wrong({"items": "int"}, {"items": -1}, {"items": "items used at most; 0: all"})
    Traceback (most recent call last):
    modtrans_core.notebook.WrongParameter: items: -1, a number of 64 bits and at least 0 is needed
    """
    for name, value in values.items():
        if name not in kinds:
            raise WrongParameter(f"parameter: {brief(name)}, one of {', '.join(kinds)} is needed")
        if kinds[name] not in KINDS:
            raise WrongParameter(f"{name}: states no type, one of {', '.join(KINDS)} is needed")
        if not isinstance(value, KINDS[kinds[name]]) or (isinstance(value, bool) and kinds[name] != "bool"):
            raise WrongParameter(f"{name}: {brief(value)}, a parameter of type {kinds[name]} is needed")
        if needed := _out_of_range(name, kinds[name], value, helps.get(name, "")):
            raise WrongParameter(f"{name}: {brief(value)}, {needed} is needed")
    _refuse_missing(values, helps)
    if "target" in values and values["target"] == values.get("source"):
        raise WrongParameter(f"target: {brief(values['target'])}, another modality than the source is needed")
    if values.get("d") == 1 and values.get("s"):
        raise WrongParameter(f"s: {values['s']} where d is 1, 0 is needed, as p is perpendicular to z - p")
    _refuse_alone(values)
    _refuse_unknown_modalities(values, helps)
    _refuse_unlike(values)


def _refuse_missing(values: Mapping[str, Any], helps: Mapping[str, str]) -> None:
    """Refuse a file or a folder that is not there."""
    for name in [name for name in FILES if name in values]:
        meaning = helps.get(name, "")
        for path in values[name].split(",") if "commas" in meaning else [values[name]]:
            pattern = "pattern" in meaning and re.search(r"[*?[{]", path)
            if path.strip() and not (pattern or Path(path.strip()).exists()):
                raise WrongParameter(f"{name}: {brief(path.strip())}, a file or folder that is there is needed")


def _refuse_alone(values: Mapping[str, Any]) -> None:
    """Refuse one of two parameters that a notebook takes together, where the other is empty."""
    for one, other in TOGETHER:
        if one in values and other in values and bool(values[one]) != bool(values[other]):
            given, empty = (one, other) if values[one] else (other, one)
            raise WrongParameter(f"{given}: {brief(values[given])} without {empty}, both or neither is needed")


def _refuse_unknown_modalities(values: Mapping[str, Any], helps: Mapping[str, str]) -> None:
    """Refuse a `source` or a `target` that a pair set has not, unless it says that the first two are then taken, and
    one whose vectors have fewer numbers than it says: `of at least 3 numbers`.
    """
    otherwise = "first two" in helps.get("source", "")
    asked = [name for name in ("source", "target") if name in values and not otherwise]
    given = {name: values[name] for name in PAIR_SETS if values.get(name)} if asked else {}
    for place, path in given.items() or [("", "")]:
        try:
            known = dimensions(Path(path)) if path else dict.fromkeys(OWN, math.inf)
        except (ValueError, OSError) as error:
            raise WrongParameter(f"{place}: {error}") from None
        for name in asked:
            if values[name] not in known:
                of = f", as {place} has them," if path else ""
                raise WrongParameter(f"{name}: {brief(values[name])}, one of {', '.join(known)}{of} is needed")
            least = re.search(r"at least (\d+) numbers", helps.get(name, ""))
            if least and known[values[name]] < int(least[1]):
                found = f"{brief(values[name])} of {known[values[name]]}"
                raise WrongParameter(f"{name}: {found}, a modality of at least {least[1]} numbers is needed")


def _refuse_unlike(values: Mapping[str, Any]) -> None:
    """Refuse two pair sets that a notebook takes together where they have vectors of different lengths or, of `source`
    and `target`, by different encoders. Queries may have an encoder of their own.
    """
    for one, other in TOGETHER:
        if not (values.get(one) and values.get(other)):
            continue
        try:
            here, there = (read(Path(values[place])) for place in (one, other))
        except (ValueError, OSError) as error:
            raise WrongParameter(f"{one}, {other}: {error}") from None
        for name in [name for name in here.arrays if name in there.arrays]:
            wanted, found = (side.arrays[name].shape[-1] for side in (here, there))
            if wanted != found:
                raise WrongParameter(f"{other}: {name} of {found} numbers, {wanted} as those of {one} are needed")
            both = differing(there.encoder(name), here.encoder(name))
            if both and name in (values.get("source"), values.get("target")):
                raise WrongParameter(f"{other}: {name} by {both[0]}, the one of {one}, {both[1]}, is needed")


def refuse_constant(name: str, vectors: Any) -> None:
    """Refuse a modality of which all vectors, or the first thousand, have one direction: nothing is translated to it,
    or from it.

    Examples
    --------
    >>> refuse_constant("text", np.ones((9, 2)))
    Traceback (most recent call last):
    ValueError: text: 'one direction', vectors that differ is needed
    """
    some = np.asarray(vectors[:1024])
    first = unit(some if some.ndim == 2 else some[:, 0])
    checks.refuse_unless(bool((np.ptp(first, axis=0) > 1e-6).any()), name, "one direction", "vectors that differ")


def _refuse_constant_modalities(values: Mapping[str, Any]) -> None:
    """Refuse pair sets that nothing can be learned of, or that cannot be read."""
    for place in [place for place in PAIR_SETS if values.get(place)]:
        try:
            arrays = read(Path(values[place])).arrays
            for name in [name for name in arrays if name in (values.get("source"), values.get("target"))]:
                refuse_constant(name, arrays[name])
        except (ValueError, OSError) as error:
            raise WrongParameter(f"{place}: {error}") from None


def refuse_unless(ok: bool, name: str, value: object, needed: str) -> None:
    """`modtrans_core.checks.refuse_unless` of what a notebook finds later, in one line there, too."""
    try:
        checks.refuse_unless(ok, name, value, needed)
    except ValueError as error:
        raise WrongParameter(str(error)) from None


def _out_of_range(name: str, kind: str, value: Any, meaning: str) -> str:
    """What is needed in place of a number that is out of its range, nothing of any other."""
    written = re.search(r"at least (\d+(?:\.\d+)?)", meaning)
    if kind == "int":
        least = int(written[1]) if written else 0 if name == "seed" or re.search(r"\b0: ", meaning) else 1
        return "" if least <= value < 2**63 else f"a number of 64 bits and at least {least}"
    if kind != "float":
        return ""
    if name in SHARES:
        return "" if 0 < value < SHARES[name] else f"a number strictly between 0 and {SHARES[name]}"
    low, high = RANGES.get(name, (-math.inf, math.inf))
    low = float(written[1]) if written else low
    return "" if low <= value <= high and math.isfinite(value) else f"a finite number from {low:g} to {high:g}"
