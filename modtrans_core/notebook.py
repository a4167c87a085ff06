"""The second cell of every notebook: its parameters are what it says they are, and `analysis` is this project's."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from modtrans_core.checks import brief

INJECTED = "# Parameters"
"""how the cell begins that papermill puts behind a notebook's own parameters"""
KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}


class WrongParameter(ValueError):
    """One line, in a notebook too."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def begin(names: Mapping[str, Any]) -> None:
    """Refuse what a notebook cannot run with, in one line; nothing is then said of widgets that a kernel lacks.

    Parameters
    ----------
    names : `globals()` behind the first cell, in which every parameter has a type.

    Raises
    ------
    WrongParameter
        A parameter that the notebook does not have, or of another type.
    ImportError
        `analysis` is another package than this project's, such as a folder of that name beside the notebook.

    Examples
    --------
    >>> begin({"__annotations__": {"draws": int}, "draws": None})
    Traceback (most recent call last):
    modtrans_core.notebook.WrongParameter: draws: None, a parameter of type int is needed
    """
    kinds = {name: kind.__name__ for name, kind in names["__annotations__"].items()}
    given = [ast.parse(cell) for cell in names.get("In", ()) if cell.startswith(INJECTED)]
    stored = [node.id for cell in given for node in ast.walk(cell) if isinstance(node, ast.Name)]
    refuse_wrong(kinds, {name: names.get(name) for name in [*stored, *kinds]})
    try:
        ours = find_spec("analysis.paper") is not None
    except ImportError:
        ours = False
    if not ours:
        found = sys.modules.get("analysis")
        where = next(iter(getattr(found, "__path__", [])), None) or getattr(found, "__file__", "nowhere")
        raise ImportError(f"analysis: found {where}, that of modtrans is needed; run the notebook in another folder")
    warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, by whatever imports it


def refuse_wrong(kinds: Mapping[str, str], values: Mapping[str, Any]) -> None:
    """Refuse a parameter that is not among `kinds`, name -> type, or of another type; an int is a float, too.

    Raises
    ------
    WrongParameter
        The message names the parameter, its value and what is needed.
    """
    for name, value in values.items():
        if name not in kinds:
            raise WrongParameter(f"parameter: {brief(name)}, one of {', '.join(kinds)} is needed")
        if kinds[name] not in KINDS:
            raise WrongParameter(f"{name}: states no type, one of {', '.join(KINDS)} is needed")
        if not isinstance(value, KINDS[kinds[name]]) or (isinstance(value, bool) and kinds[name] != "bool"):
            raise WrongParameter(f"{name}: {brief(value)}, a parameter of type {kinds[name]} is needed")
