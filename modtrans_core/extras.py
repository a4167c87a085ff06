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
        raise ModuleNotFoundError(
            f'{module} is not installed; run: pip install "modtrans[{extra}]"', name=module
        ) from None
