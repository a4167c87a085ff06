"""The translations of items in a file, by name: what a task starts from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modtrans_core.checks import whole
from modtrans_core.layouts.translate import load_conditions
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.protocol import Translator
from modtrans_core.store.names import read_keys
from modtrans_core.vectors import ROWS


def refuse_limit(limit: int | None) -> int | None:
    """A number of items, as an int; one that is none is refused."""
    return None if limit is None else whole("limit", limit, 1)


def asked(translator: Translator, pairs: str | Path, limit: int | None = None) -> tuple[list[str], np.ndarray]:
    """The condition of each item.

    Parameters
    ----------
    pairs : conditions, one vector an item: a pair set whose source modality is taken, or a `.npy` array.
    limit : at most so many items, evenly spaced.

    Returns
    -------
    Keys of the items, row numbers where they have none, and conditions (n, k).

    Raises
    ------
    ValueError
        Several conditions an item.
    """
    limit, source, items = refuse_limit(limit), translator.facts.source, load_conditions(pairs, translator)
    names = named(items, pairs)
    rows = np.arange(len(items)) if limit is None else np.unique(np.linspace(0, len(items) - 1, limit).astype(np.int64))
    conditions = items.take(rows).modality(source)
    if conditions.ndim != 2:
        raise ValueError(f"{pairs}: {source} is {conditions.shape}; one vector an item is needed")
    return [names[row] for row in rows.tolist()], conditions


def translated(translator: Translator, conditions: np.ndarray, d: int) -> np.ndarray:
    """The translation (n, d) of each condition (n, k), for a task that reads embeddings of dimension d.

    Raises
    ------
    ValueError
        Translations of another dimension.
    """
    if translator.facts.d != d:
        raise ValueError(f"run: translates into {translator.facts.d} dimensions, {d} are needed")
    pieces = [translator.translate(np.asarray(conditions[at : at + ROWS])) for at in range(0, len(conditions), ROWS)]
    return np.concatenate(pieces)


def familiar(translator: Translator, pairs: str | Path) -> set[str]:
    """Names of the items that are no test: the translator was fitted to their condition, their target or their group.

    Empty where it does not say what it was fitted to. Targets are looked at where the file has them.
    """
    facts, items = translator.facts, load_conditions(pairs, translator)
    if facts.seen is None:
        return set()
    target = facts.target if facts.target in items.arrays else facts.source
    left_out = np.flatnonzero(facts.seen.look(items, facts.source, target).left_out())
    names = named(items, pairs)
    return {names[row] for row in left_out.tolist()}


def named(items: PairedEmbeddings, path: str | Path) -> list[str]:
    """The keys of the items that were read from a path, or their row numbers."""
    keys = read_keys(Path(path)) if items.key is None else items.key.tolist()
    return [str(key) for key in (range(len(items)) if keys is None else keys)]
