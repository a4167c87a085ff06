"""The second cell of every notebook: its parameters are what it says they are, and `analysis` is this project's."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from modtrans_core.checks import refuse_unless

INJECTED = "# Parameters"
"""how the cell begins that papermill puts behind a notebook's own parameters"""


def begin(names: Mapping[str, Any]) -> None:
    """Refuse what a notebook cannot run with, in one line.

    Parameters
    ----------
    names : `globals()` behind the first cell, in which every parameter has a type.

    Raises
    ------
    ValueError
        A parameter that the notebook does not have, or of another type.
    ImportError
        `analysis` is another package than this project's, such as a folder of that name beside the notebook.

    Examples
    --------
    >>> begin({"__annotations__": {"draws": int}, "draws": None})
    Traceback (most recent call last):
    ValueError: draws: None, a parameter of type int is needed
    """
    kinds = names["__annotations__"]
    for cell in names.get("In", ()):
        if cell.startswith(INJECTED):
            for node in ast.walk(ast.parse(cell)):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    refuse_unless(node.id in kinds, "parameter", node.id, f"one of {', '.join(kinds)}")
    for name, kind in kinds.items():
        value = names[name]
        right = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or type(value) is not bool)
        refuse_unless(right, name, value, f"a parameter of type {kind.__name__}")
    try:
        ours = find_spec("analysis.paper") is not None
    except ImportError:
        ours = False
    if not ours:
        found = sys.modules.get("analysis")
        where = next(iter(getattr(found, "__path__", [])), None) or getattr(found, "__file__", "nowhere")
        raise ImportError(f"analysis: found {where}, that of modtrans is needed; run the notebook in another folder")
