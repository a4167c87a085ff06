"""The verb that ranks a gallery: which items belong to each query most likely."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from tyro.conf import Positional

from modtrans_core.checks import refuse_unless
from modtrans_core.cli.verb import refuse_unknown, say
from modtrans_core.store.files import refuse_existing

SHOWN = 3
"""queries that are printed where no file was named"""


@dataclass(frozen=True)
class Rank:
    """Example: modtrans rank runs/first queries.npy gallery.npz ranking.csv -k 5

    The items of a gallery that belong to each query most likely, by the translator's own ranking (`own` in `modtrans
    evaluate`). Without OUT the first queries are printed. OUT is a table .csv with the columns query, rank, item and
    score; an .npz with `indices` and `scores`, (n, k) each, the gallery's items numbered from 0; or a folder for an
    index: queries.npy and gallery.npy, whose inner product is the score, and .csv files that name their rows. The index
    has to be one of inner products, such as faiss's IndexFlatIP, hnswlib's space "ip" or a database's dot product: by
    cosine or Euclidean distance these vectors rank otherwise.
    """

    writes: ClassVar = ("output",)

    run_folder: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """run folder of `modtrans train`"""
    queries: Positional[Path]
    """conditions: a .npy array, (n, k) or (n, m, k), or a pair set (file or folder) whose source modality is taken;
    each vector is a query"""
    gallery: Positional[Path]
    """targets: a .npy array, (g, d) or (g, m, d), or a pair set whose target modality is taken; an item with several
    vectors scores by its best. Both sides are named by the keys of the pair set, or by row numbers from 0"""
    output: Annotated[Positional[Path | None], tyro.conf.arg(metavar="OUT")] = None
    """ranking to write: .csv or .npz; or a folder, without a suffix, for the vectors of an index"""
    k: Annotated[int | None, tyro.conf.arg(aliases=["-k"])] = None
    """items for each query. Default: 10; the vectors of an index have all"""
    together: bool = False
    """look at all queries at once: an item that is near to many of them is lowered for all. For queries that are
    independent of each other and of how the gallery was chosen; calibrated runs only"""
    overwrite: bool = False
    """replace OUT when it is there"""

    def run(self) -> None:
        from modtrans_core.layouts import ranking
        from modtrans_core.methods import load

        if self.output is not None:
            refuse_unknown(self.output, ".csv", ".npz")
            refuse_existing(self.output, self.overwrite)
            refuse_unless(self.k is None or self.output.suffix != "", "k", self.k, "a .csv or .npz file as OUT")
        k = 10 if self.k is None else self.k
        translator = load(self.run_folder)
        facts, together = translator.facts, self.together
        queries = ranking.load_named(self.queries, translator, facts.source)
        gallery = ranking.load_named(self.gallery, translator, facts.target)
        n, g = len(queries.item), len(gallery.item)
        if self.output is not None and self.output.suffix == "":
            dimension = ranking.write_vectors(translator, queries, gallery, self.output, together=together)
            say(f"{self.output}: {n} queries and {g} gallery vectors of dimension {dimension}, for inner products")
            return
        shown = queries if self.output is not None or together else queries.take(SHOWN)
        indices, scores = ranking.ranked(translator, shown, gallery, k, together=together)
        of = f"{len(gallery.names)} {facts.target} items"
        if self.output is not None:
            ranking.write_ranking(self.output, queries, gallery, indices, scores)
            say(f"{self.output}: the {k} best of {of} for {n} {facts.source} queries")
            return
        rows = [*ranking.ranking_rows(queries.take(SHOWN), gallery, indices[:SHOWN], scores[:SHOWN])]
        print(table(rows))
        say(f"{min(n, SHOWN)} of {n} queries, the {k} best of {of}; a .csv or .npz file as OUT has them all")


def table(rows: list[tuple[object, ...]]) -> str:
    """The rows in columns, each as wide as its widest cell; a line is left between queries."""
    texts = [[str(cell) for cell in row] for row in rows]
    # a terminal obeys letters that are not printed
    cells = [[text if text.isprintable() else repr(text)[1:-1] for text in row] for row in texts]
    width = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, width, strict=True)).rstrip() for row in cells]
    return "\n".join(f"\n{line}" if row[-3] == "1" else line for row, line in zip(cells, lines, strict=True))
