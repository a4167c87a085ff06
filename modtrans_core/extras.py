"""Optional packages, imported where they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(module: str, extra: str) -> Any:
    """Import an optional module.

    Raises
    ------
    ModuleNotFoundError
        If it is missing; the message is the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise missing(module, extra) from None


def missing(name: str, extra: str) -> ModuleNotFoundError:
    """The error of a module or package that is not there; it says how to install it."""
    return ModuleNotFoundError(f'{name} is not installed; run: pip install "modtrans[{extra}]"', name=name)
