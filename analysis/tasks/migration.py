"""Changing the encoder of an index: translate the vectors that are stored, and know before how much is kept.

An index holds a vector of each of N documents by an old encoder. Queries will come from a new one. Some documents were
re-embedded, a translator from the old vectors to the new is fitted to these, and the index is translated.

**What is kept.** For a query let F say whether a full re-embedding would have its answer among the first k of the N
documents, and T whether the translated index has. The retained recall is E[T] / E[F]. It is certified on queries whose
answers are known, with a translator that was fitted to no document chosen by them.

**In the whole index.** T is ranked among all N, as every document is translated. For F all would have to be
re-embedded. The rank among those that were is a lower bound of the rank among all, so that it gives F or more; an
answer that was not re-embedded counts as found. With such upper bounds of F the limit of E[T] / E[F] by bets is still
valid (`analysis.theory.betting.ratio_lower_limit`), whichever documents were re-embedded. What makes the bound sharp
are the documents that compete with an answer: `Ranked.wanted` names them.

**Not from a small gallery.** T and F ranked among the re-embedded documents alone give another, mostly higher number:
a ranking that loses its answer to close neighbours is not found out where these are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.theory.arrays import fraction
from analysis.theory.betting import ratio_lower_limit
from analysis.theory.confidence import group_numbers, kinds_of
from analysis.theory.words import at_least, given
from modtrans_core.checks import place, refuse, refuse_unless, whole
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Translator
from modtrans_core.repeats import joined, numbers
from modtrans_core.store.files import write_npy
from modtrans_core.store.headers import reading, refuse_members
from modtrans_core.store.mapped import MappedRows
from modtrans_core.vectors import AT_ONCE, ROWS, TIE, integers, real, refuse_bad_rows, unit

Index = np.ndarray | MappedRows
"""vectors (N, k), in memory or on disk"""
COMPETITORS = 2
"""`Ranked.wanted` has the first COMPETITORS k documents of a query"""


class Queries(NamedTuple):
    """Queries of the new encoder whose answers are known."""

    new: np.ndarray
    """(n, d)"""
    row: np.ndarray
    """(n,) the document of the index that answers each"""
    group: np.ndarray
    """(n,) labels of queries that are not independent of each other"""
    mean: np.ndarray | None = None
    """(d,) of unit vectors of other queries: where it is given, the translated index is ranked less its mean, by
    queries less this one"""

    @staticmethod
    def of(new: Any, row: Any, group: Any = None, mean: Any = None) -> Queries:
        """Checked. Where no groups are given, queries of one answer are one group, and so are those of one vector, as
        of a query with several answers. Where both together would join too many, see `modtrans_core.repeats`, those of
        the fewer groups are.
        """
        new, row = real("new", new), _whole("row", row)
        refuse_unless(new.ndim == 2 and len(new) > 0, "new", new.shape, "an array (n, d)")
        refuse_unless(row.shape == (len(new),), "row", row.shape, f"one number a query, ({len(new)},),")
        new = unit(new)
        if group is None:
            alike = [np.unique(one, return_inverse=True)[1] for one in (row, numbers(new))]
            group = joined(sorted(alike, key=np.max))
        kinds, number = kinds_of("group", group, len(new))
        group = kinds[number]
        mean = None if mean is None else real("mean", mean).astype(np.float32)
        refuse_unless(mean is None or mean.shape == new.shape[1:], "mean", np.shape(mean), f"{new.shape[1:]}")
        length = 0.0 if mean is None else float(np.linalg.norm(mean))
        refuse_unless(
            length <= 1 + 1e-3, "mean", f"of length {length:g}", "the mean of unit vectors, of length 1 at most,"
        )
        return Queries(new, row, group, mean)

    def refuse_unfit(self, documents: int, d: int) -> None:
        """Refuse queries of other documents than `documents` of the index, or of another space than (m, d)."""
        _refuse_outside(self.row, documents, "answers among the documents of the index")
        needed = f"queries of dimension {d}, as the documents'"
        refuse_unless(self.new.shape[1] == d, "new", self.new.shape, needed)


class Reembedded(NamedTuple):
    """Documents of the index with their vectors by the new encoder."""

    new: np.ndarray
    """(m, d)"""
    row: np.ndarray
    """(m,) which documents they are, each once"""
    fit: np.ndarray
    """(m,) whether a translator may be fitted to it: not where it was chosen by the queries"""

    @staticmethod
    def of(new: Any, row: Any, fit: Any = None) -> Reembedded:
        """Checked; a translator may be fitted to all where nothing is said."""
        with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite, and is refused
            new, row = real("new", new).astype(np.float32), _whole("row", row)
        fit = np.ones(len(row), dtype=bool) if fit is None else integers("fit", fit)
        truths = fit.dtype == bool or (fit.dtype.kind in "iu" and np.isin(fit, (0, 1)).all())
        refuse_unless(bool(truths), "fit", str(fit.dtype), "True or False for each document")
        fit = fit.astype(bool)
        refuse_unless(new.ndim == 2, "new", new.shape, "an array (m, d)")
        for name, values in (("row", row), ("fit", fit)):
            refuse_unless(values.shape == (len(new),), name, values.shape, f"one value a document, ({len(new)},),")
        refuse_unless(len(np.unique(row)) == len(row), "row", "a document twice", "each document once")
        refuse_bad_rows("new", new)
        return Reembedded(new, row, fit)

    def pairs(self, index: Index, queries: Queries) -> PairedEmbeddings:
        """What a translator is fitted to, `old` and `new`: no document that was chosen by the queries or answers one.

        Raises
        ------
        ValueError
            Fewer than two are left, or there is no such document in the index.
        """
        _refuse_outside(self.row, len(index), "documents of the index")
        chosen = self.fit & ~np.isin(self.row, queries.row)
        refuse_unless(int(chosen.sum()) >= 2, "pairs", int(chosen.sum()), "at least 2 that answer no query")
        return PairedEmbeddings({"old": np.asarray(index[self.row[chosen]]), "new": self.new[chosen]})


class Ranked(NamedTuple):
    """Where the answers of queries stand, 1 for first."""

    translated: np.ndarray
    """(n,) in the whole translated index, behind all that are as near: a map that makes one vector of many documents
    finds none of them"""
    new: np.ndarray
    """(n,) among the re-embedded documents, before all that are as near: at most the rank in the whole index
    re-embedded; 1 where the answer was not re-embedded"""
    wanted: np.ndarray
    """documents that the translated index has near the queries and that were not re-embedded: those that would make
    `new` sharper"""


@dataclass(frozen=True)
class Retained:
    """How much of the recall is kept. A statement of `analysis.theory.certify`."""

    k: int
    limit: float
    """with probability `confidence` or more, E[T] / E[F] is at least this"""
    confidence: float
    translated: float
    """recall@k of these queries in the translated index"""
    new: float
    """the same in the index re-embedded or, where `reembedded` is below `index`, no less than that"""
    queries: int
    groups: int
    largest_group: int
    index: int
    """documents"""
    reembedded: int
    """of them re-embedded"""

    def lines(self) -> list[str]:
        """In plain words."""
        whole = self.reembedded == self.index
        bound = "" if whole else ", at most, as far as the re-embedded documents show"
        grouped = "" if self.largest_group == 1 else f" in {self.groups} groups of at most {self.largest_group}"
        return [
            f"retained recall@{self.k} at least {at_least(self.limit)}, with confidence {given(self.confidence)}",
            f"recall@{self.k} {self.translated:.4f} of {self.queries} queries{grouped} in the translated index of"
            f" {self.index} documents",
            f"recall@{self.k} {self.new:.4f} by the new encoder{bound} ({self.reembedded} documents)",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain fields."""
        return asdict(self)


def ranks(
    queries: np.ndarray,
    own: np.ndarray,
    pieces: Iterator[tuple[int, np.ndarray]],
    nearest: int = 0,
    *,
    last: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The rank of each query's answer by cosine, and the documents nearest to each, in one pass.

    Parameters
    ----------
    queries : unit vectors (n, d).
    own : (n,) the cosine of each with its answer, which is in the gallery.
    pieces : the gallery, (first row, unit vectors (b, d)) at a time.
    nearest : how many documents are wanted beside the ranks.
    last : whether an answer stands behind all that are as near as it, within a rounding. Default: before them.

    Returns
    -------
    (n,) ranks from 1, and (n, nearest) rows, fewer where the gallery has fewer; unsorted.

    Examples
    --------
    >>> gallery = np.eye(3, dtype=np.float32)
    >>> ranks(np.array([[0.6, 0.8, 0.0]]), np.array([0.6]), iter([(0, gallery)]), nearest=1)
    (array([2]), array([[1]]))
    """
    ahead = np.zeros(len(queries), dtype=np.int64)
    best: np.ndarray = np.empty((len(queries), 0))
    at: np.ndarray = np.empty((len(queries), 0), dtype=np.int64)
    for start, piece in pieces:
        score = queries @ piece.T
        finite = bool(np.isfinite(score.max()) and np.isfinite(score.min()))  # NaN would be nobody's rival
        refuse_unless(finite, "vectors", "NaN or infinity", "finite ones, of queries and documents,")
        ahead += (score >= own[:, None] - TIE if last else score > own[:, None] + TIE).sum(axis=1)
        if nearest:
            place = np.argpartition(-score, min(nearest, len(piece)) - 1, axis=1)[:, :nearest]
            best = np.hstack([best, np.take_along_axis(score, place, axis=1)])
            at = np.hstack([at, place + start])
            kept = np.argpartition(-best, min(nearest, best.shape[1]) - 1, axis=1)[:, :nearest]
            best, at = (np.take_along_axis(rows, kept, axis=1) for rows in (best, at))
    return np.maximum(ahead, 1) if last else 1 + ahead, at


def to_unit(translator: Translator, old: np.ndarray | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Old vectors (b, k) to unit vectors (b, d) of the new space; less the mean of those of `old` (m, k), if given.

    Raises
    ------
    ValueError
        A translator whose rows depend on those beside them: what is ranked would not be what is written.
    """
    refuse_unless(translator.row_by_row, "preset", translator.method, "a translator of independent rows")
    if old is None:
        return lambda rows: unit(translator.translate(rows))
    mean = unit(translator.translate(old)).mean(axis=0)
    return lambda rows: unit(unit(translator.translate(rows)) - mean)


def ranked(
    translate: Callable[[np.ndarray], np.ndarray],
    index: Index,
    queries: Queries,
    reembedded: Reembedded,
    k: int = 10,
    report: Progress = silent,
) -> Ranked:
    """Rank every query's answer in the whole translated index, and among the re-embedded documents.

    Parameters
    ----------
    translate : old vectors (b, k) to unit vectors (b, d) of the new space, row by row; see `to_unit`.
    report : called with (documents ranked, in all).

    Raises
    ------
    ValueError
        A query whose answer is no document of the index, or vectors of another dimension.
    """
    n, k = len(index), whole("k", k, 1)
    queries.refuse_unfit(n, reembedded.new.shape[1])
    _refuse_outside(reembedded.row, n, "documents of the index")
    refuse_unless(len(reembedded.row) > 0, "row", "no document", "one that was re-embedded or more")
    answers, place = np.unique(queries.row, return_inverse=True)
    asked = queries.new if queries.mean is None else unit(queries.new - queries.mean)
    own = np.einsum("nd,nd->n", asked, translate(np.asarray(index[answers]))[place])
    step = max(1, min(ROWS, AT_ONCE // len(queries.new)))

    def translated() -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, n, step):
            yield start, translate(np.asarray(index[start : start + step]))
            report(min(start + step, n), n)

    by_translation, near = ranks(asked, own, translated(), COMPETITORS * k, last=True)
    order = np.argsort(reembedded.row)
    place = np.searchsorted(reembedded.row, queries.row, sorter=order).clip(max=len(order) - 1)
    known = reembedded.row[order[place]] == queries.row
    new = unit(reembedded.new)
    own = np.einsum("nd,nd->n", queries.new, new[order[place]])
    by_new, _ = ranks(queries.new, own, ((start, new[start : start + step]) for start in range(0, len(new), step)))
    by_new = np.where(known, by_new, 1)
    near = np.unique(np.concatenate([near[by_new <= k].ravel(), queries.row[~known]]))
    return Ranked(by_translation, by_new, near[~np.isin(near, reembedded.row)])


def retained(
    found: Ranked,
    queries: Queries,
    documents: tuple[int, int],
    k: int = 10,
    confidence: float = 0.95,
    largest_group: int | None = None,
) -> Retained:
    """Certify the retained recall@k of new queries from the same population.

    Parameters
    ----------
    documents : of the index, and re-embedded ones.
    largest_group : how many queries a group can have at most, among new ones too. Default: as many as the largest here,
        which is an assumption.
    """
    k, confidence = whole("k", k, 1), fraction("confidence", confidence)
    sizes = np.bincount(group_numbers(queries.group, len(queries.row)))
    most = int(sizes.max())
    largest = most if largest_group is None else whole("largest_group", largest_group, most)
    hit, full = found.translated <= k, found.new <= k
    limit = 0.0
    if full.any():  # else no recall is there to be kept
        limit = ratio_lower_limit(hit, full, queries.group, confidence, largest_group=largest)
    return Retained(
        k, limit, confidence, float(hit.mean()), float(full.mean()), len(hit), len(sizes), largest, *documents
    )


def write_translated(
    translate: Callable[[np.ndarray], np.ndarray], index: Index, out: str | Path, report: Progress = silent
) -> tuple[int, ...]:
    """Write the translated index (N, d), float32, whole or not at all, a piece in memory at a time.

    Parameters
    ----------
    translate : as for `ranked`.

    Returns
    -------
    The shape of what was written.
    """
    n, out = len(index), place("out", out)
    shape = n, translate(np.asarray(index[:1])).shape[1]

    def pieces() -> Iterator[np.ndarray]:
        for start in range(0, n, ROWS):
            rows = translate(np.asarray(index[start : start + ROWS]))
            refuse_bad_rows("translation", rows, rows=np.arange(start, start + len(rows)))
            yield rows
            report(min(start + ROWS, n), n)

    write_npy(out, shape, np.float32, pieces())
    return shape


def load_index(path: str | Path) -> Index:
    """The vectors (N, k) of a `.npy` array or of a pair set with one modality; large ones stay on disk.

    Raises
    ------
    ValueError
        If the file is none of these, or documents have several vectors.
    """
    path = Path(path)
    pairs = PairedEmbeddings.load_npy(path, "old") if path.suffix == ".npy" else PairedEmbeddings.load(path)
    refuse_unless(len(pairs.arrays) == 1, f"{path}", ", ".join(pairs.arrays), "one modality")
    index = next(iter(pairs.arrays.values()))
    refuse_unless(index.ndim == 2, f"{path}", index.shape, "one vector a document, (N, k),")
    return index


def read_arrays(path: str | Path, needed: Sequence[str], known: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` file by name.

    Raises
    ------
    ValueError
        If one that is needed is missing, or one is not known.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    refuse_unless(path.suffix == ".npz", f"{path}", "one array", f"a .npz with {', '.join(needed)}")
    with reading(path):
        refuse_members(path)
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    for name in needed:
        refuse_unless(name in found, f"{path}", ", ".join(found), f"an array named {name}")
    for name in found:
        refuse_unless(name in known, f"{path}", name, f"only {', '.join(known)}")
    return found


def _refuse_outside(row: np.ndarray, documents: int, what: str) -> None:
    """Refuse rows that are no documents; the first of them is named."""
    if (outside := row[(row < 0) | (row >= documents)]).size:
        refuse("row", int(outside[0]), f"{what}, 0 to {documents - 1},")


def _whole(name: str, values: Any) -> np.ndarray:
    values = integers(name, values)
    refuse_unless(values.dtype.kind in "iu", name, str(values.dtype), "whole numbers")
    return values
