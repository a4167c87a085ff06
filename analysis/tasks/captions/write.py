"""A run's translations as captions: written to a table, and scored where the items have captions of their own."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from analysis.tasks.captions.checkpoint import Decoder
from analysis.tasks.captions.metrics import has_java, score_captions
from modtrans_core.store.files import read_json, replacing
from modtrans_core.store.names import read_items


def caption_items(
    decoder: Decoder, names: Sequence[str], embeddings: np.ndarray, *, width: int = 5, length: float | None = None
) -> list[tuple[str, str]]:
    """Name and caption of each item; captions that differ can share a name.

    Parameters
    ----------
    names, embeddings : of the items, (n,) and (n, d); see `analysis.tasks.items`.
    width, length : see `Decoder.caption`.
    """
    return list(dict.fromkeys(zip(names, decoder.caption(embeddings, width=width, length=length), strict=True)))


def write_captions(path: str | Path, captions: Sequence[tuple[str, str]]) -> None:
    """Write a table with the columns key and caption, whole or not at all."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["key", "caption"])
        lines.writerows(captions)


def read_references(path: str | Path) -> dict[str, list[str]]:
    """The captions of each key: of a pair set with captions beside or in its files, or of a JSON file {key: [caption]}.

    A caption without a word is none, and an item without captions is left out.
    """
    if Path(path).suffix == ".json":
        found = read_json(Path(path))
        whole = isinstance(found, dict) and all(
            isinstance(several, list) and all(isinstance(text, str) for text in several) for several in found.values()
        )
        if not whole:
            raise ValueError(f"{path}: an object that maps each key to a list of captions is needed")
        return _with_words(found)
    table = read_items(path)
    if "caption" not in table.column_names:
        return {}
    columns: list[Sequence] = [table[name].to_pylist() for name in ("key", "caption")]
    together: dict[str, list[str]] = {}
    for key, several in zip(*columns, strict=True):  # rows of one name are one item, with the captions of all of them
        together.setdefault(key, []).extend(several or ())
    return _with_words(together)


def _with_words(captions: Mapping[str, list[str]]) -> dict[str, list[str]]:
    kept = {key: [text for text in several if re.search(r"\w", text)] for key, several in captions.items()}
    return {key: several for key, several in kept.items() if several}


def scores(captions: Sequence[tuple[str, str]], references: Mapping[str, list[str]]) -> dict[str, float | str | int]:
    """The metrics of the items that have references, and their number, `items`.

    METEOR is among them where Java is there.

    Raises
    ------
    ValueError
        No item has one.
    """
    both = [(text, references[key]) for key, text in captions if key in references]
    if not both:
        raise ValueError("references: of none of the captions, of items that the run was not fitted to, are there")
    said, true = map(list, zip(*both, strict=True))
    return {"items": len(both), **score_captions(said, true, meteor=has_java())}
