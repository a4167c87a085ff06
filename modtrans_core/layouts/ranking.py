"""Rankings as files that other tools read, and the vectors that an index of theirs ranks by."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from modtrans_core.layouts.translate import load_modality
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, reporting
from modtrans_core.protocol import Translator
from modtrans_core.search import gallery_vectors, rank, search_vectors
from modtrans_core.store.files import replacing, replacing_folder, write_npy
from modtrans_core.store.names import read_keys
from modtrans_core.vectors import ROWS


class Named(NamedTuple):
    """The vectors of one modality, and the items that they belong to by name."""

    vectors: Any
    """(N, d); those of a large set stay on disk"""
    item: np.ndarray
    """(N,), ascending"""
    names: Sequence[Any]
    """of the items: their keys, or 0, 1, ... where the set has none"""

    def take(self, rows: int) -> Named:
        """The first vectors, at most so many."""
        return Named(self.vectors[:rows], self.item[:rows], self.names)

    def of_row(self, row: int) -> tuple[Any, ...]:
        """What names a vector: its item and, where items have several, which of them it is."""
        item = self.item[row]
        return self.names[item], *([int(row - np.searchsorted(self.item, item))] if self.several else [])

    @property
    def several(self) -> bool:
        """Whether an item has several vectors."""
        return len(self.item) > 0 and int(self.item[-1]) + 1 < len(self.item)


def load_named(path: str | Path, translator: Translator, modality: str) -> Named:
    """The source or target modality of a file; see `modtrans_core.layouts.translate.load_modality`."""
    pairs: PairedEmbeddings = load_modality(path, translator, modality)
    keys = read_keys(Path(path)) if pairs.key is None else pairs.key.tolist()
    return Named(*pairs.rows(modality), range(len(pairs)) if keys is None else keys)


def ranked(
    translator: Translator,
    queries: Named,
    gallery: Named,
    k: int,
    *,
    together: bool = False,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`modtrans_core.search.rank` of these, (N, k) each, with a bar after two seconds."""
    with reporting(progress, len(queries.item) + len(gallery.item), "rank", "vector", delay=2) as report:
        c = np.asarray(queries.vectors)
        return rank(translator, c, gallery.vectors, k, together=together, item=gallery.item, report=report)


def ranking_rows(queries: Named, gallery: Named, indices: np.ndarray, scores: np.ndarray) -> Iterator[tuple[Any, ...]]:
    """The lines of a ranking, its column names first: query, (vector,) rank, item and score."""
    yield "query", *(["vector"] if queries.several else []), "rank", "item", "score"
    for row, (found, reached) in enumerate(zip(indices.tolist(), scores.tolist(), strict=True)):
        query = queries.of_row(row)
        for place, (item, score) in enumerate(zip(found, reached, strict=True), 1):
            yield *query, place, gallery.names[item], f"{score:.6f}"


def write_ranking(path: str | Path, queries: Named, gallery: Named, indices: np.ndarray, scores: np.ndarray) -> None:
    """Write a ranking, whole or not at all.

    Parameters
    ----------
    path : `.csv`, one line a query and rank; or `.npz` with `indices` (N, k) and `scores` (N, k).
    """
    with replacing(path) as temporary:
        if Path(path).suffix == ".csv":
            with open(temporary, "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(ranking_rows(queries, gallery, indices, scores))
        else:
            np.savez(temporary, indices=indices, scores=scores)


def write_vectors(
    translator: Translator,
    queries: Named,
    gallery: Named,
    folder: str | Path,
    *,
    together: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write what an index of inner products needs into a folder, whole or not at all.

    `queries.npy` (N, D) and `gallery.npy` (g, D) are float32; their inner product is the score. `queries.csv` and
    `gallery.csv` name the item of each row.

    Returns
    -------
    D.
    """
    total = len(queries.item) + len(gallery.item)
    with replacing_folder(folder) as temporary, reporting(progress, total, "vectors", "vector", delay=2) as report:
        q = search_vectors(translator, np.asarray(queries.vectors), lambda done, _: report(done, total))

        def pieces() -> Iterator[np.ndarray]:
            for start in range(0, len(gallery.item), ROWS):
                piece = np.asarray(gallery.vectors[start : start + ROWS])
                yield gallery_vectors(translator, piece, q if together else None)
                report(len(q) + start + len(piece), total)

        write_npy(temporary / "queries.npy", q.shape, np.float32, [q])
        write_npy(temporary / "gallery.npy", (len(gallery.item), q.shape[1]), np.float32, pieces())
        for name, side in (("queries", queries), ("gallery", gallery)):
            with open(temporary / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
                lines = csv.writer(file)
                lines.writerow(["row", "item", *(["vector"] if side.several else [])])
                lines.writerows((row, *side.of_row(row)) for row in range(len(side.item)))
    return int(q.shape[1])
