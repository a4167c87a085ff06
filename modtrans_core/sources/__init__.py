"""Data sets of pictures and captions, made ready for the encoders.

`openmoji` needs no network: its pictures and captions come with packages.
"""

from __future__ import annotations

from modtrans_core.sources.base import Item, Source

__all__ = ["SOURCES", "Item", "Source", "load_source"]

SOURCES = ("openmoji",)


def load_source(name: str, limit: int | None = None, seed: int = 0) -> Source:
    """The source of that name, or part of it.

    Parameters
    ----------
    name : one of `SOURCES`.
    limit : at most so many items, whole groups at a time; default: all.
    seed : chooses which groups.

    Raises
    ------
    ValueError
        If there is no such source, or the limit is below 1.
    """
    if name not in SOURCES:
        raise ValueError(f"source {name!r}: unknown; known: {', '.join(SOURCES)}")
    from modtrans_core.sources.openmoji import openmoji

    return openmoji(limit=limit, seed=seed)
