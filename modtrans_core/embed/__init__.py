"""Turns data sets into pair sets: sources, encoders, and the engine that runs them.

Nothing here is loaded before it is asked for.
"""

from importlib import import_module
from typing import Any

__all__ = ["embed", "load_encoder", "load_source"]

_PLACES = {"embed": "pair_set", "load_encoder": "encoders", "load_source": "sources"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
