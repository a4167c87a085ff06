"""Optional packages, imported where they are needed."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def imported(module: str) -> Any:
    """A module, without the warning that tqdm gives, by whomever it is imported, in a notebook that has no widgets."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")
        return import_module(module)


def require(module: str, extra: str) -> Any:
    """Import an optional module.

    Raises
    ------
    ModuleNotFoundError
        If it is missing; the message is the command that installs it.
    """
    try:
        return imported(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise
        raise missing(str(error.name), extra) from None


def missing(name: str, extra: str) -> ModuleNotFoundError:
    """The error of a module or package that is not there; it says how to install it."""
    return ModuleNotFoundError(f"{name} is not installed; run: {command(extra)}", name=name)


def refuse_missing(modules: Iterable[str], extra: str) -> None:
    """Refuse to begin where one of these modules is not installed; none is imported."""
    for module in modules:
        if not find_spec(module):
            raise missing(module, extra)


def command(extra: str) -> str:
    """What installs an extra from where this package came: a checkout, a wheel in a folder, or an index."""
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").exists():
        return f'pip install -e "{"." if checkout == Path.cwd() else checkout}[{extra}]"'
    origin = json.loads(distribution("modtrans").read_text("direct_url.json") or "{}")
    return f'pip install "modtrans[{extra}]{" @ " + origin["url"] if "url" in origin else ""}"'
