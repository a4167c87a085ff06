"""A whole set through a translator, piece by piece: what is on disk is never all in memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modtrans_core.checks import refuse_unless
from modtrans_core.extras import require
from modtrans_core.layouts.clip_retrieval import write_clip_retrieval
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, reporting
from modtrans_core.protocol import Draws, Expects, Translator, able
from modtrans_core.run import MODEL
from modtrans_core.store.contents import INDEPENDENT, JOB
from modtrans_core.store.files import STREAM, replacing, scratch_folder, sha256, write_npy
from modtrans_core.store.headers import SUFFIXES, reading
from modtrans_core.vectors import ROWS, present

if TYPE_CHECKING:
    import pyarrow


def load_conditions(path: str | Path, translator: Translator) -> PairedEmbeddings:
    """The conditions of a translator; see `load_modality`."""
    return load_modality(path, translator, translator.facts.source)


def load_modality(path: str | Path, translator: Translator, modality: str) -> PairedEmbeddings:
    """The source or target modality: a pair set in any layout, or the one of a `.npy` array (n, k) or (n, m, k), which
    may come from standard input.

    Raises
    ------
    ValueError
        If the file is no such array or set, or holds vectors of another dimension or encoder than the translator was
        trained on.
    """
    path = Path(path)
    if path == STREAM:
        with reading(path):
            array = np.load(BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
            refuse_unless(isinstance(array, np.ndarray), modality, "an .npz", "a .npy array")
            pairs = PairedEmbeddings({modality: array})
    else:
        pairs = PairedEmbeddings.load_npy(path, modality) if path.suffix == ".npy" else PairedEmbeddings.load(path)
    if modality not in pairs.arrays:
        verb = "translates" if modality == translator.facts.source else "ranks"
        raise ValueError(f"{path}: has {', '.join(pairs.arrays)} but no {modality}, which the run {verb}")
    translator.facts.refuse(pairs, modality)
    return pairs


def accepted(translator: Translator, pairs: PairedEmbeddings, threshold: float) -> np.ndarray:
    """The items (a,) whose translations are expected to have at least this cosine with their targets.

    Raises
    ------
    ValueError
        If the translator expects no cosines, the items have several conditions, or none is accepted.
    """
    source = translator.facts.source
    shape = pairs.modality(source).shape
    if len(shape) > 2:
        raise ValueError(f"accept: {source} is {shape}; one vector an item is needed")
    pieces = _pieces(pairs, translator, 1, able(translator, Expects).expected_cosine)
    expected = np.concatenate([*pieces]).astype(np.float64)  # as in certificates: float32 may round the threshold
    if not expected.max() >= threshold:
        raise ValueError(f"accept: {threshold}, at most {expected.max():.4f}, the highest expected cosine, is needed")
    return np.flatnonzero(expected >= threshold)


def mean_expected(translator: Translator, pairs: PairedEmbeddings) -> float | None:
    """The mean of the cosines that the translations are expected to have; None of a translator that expects none."""
    if not isinstance(translator, Expects):
        return None
    c = pairs.rows(translator.facts.source)[0]
    pieces = (translator.expected_cosine(np.asarray(c[start : start + ROWS])) for start in range(0, len(c), ROWS))
    return float(np.concatenate([*pieces]).mean(dtype=np.float64))


def translate_set(
    translator: Translator,
    pairs: PairedEmbeddings,
    out: str | Path,
    run: str | Path,
    names: pyarrow.Table | None = None,
    *,
    expected_cosine: str | Path | None = None,
    samples: int | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> tuple[int, ...]:
    """Translate the source modality of a set and write what comes out, whole or not at all.

    Every vector of an item is translated: conditions (n, m, k) become (n, m, d), zeros where an item has fewer. With
    `samples`, conditions (n, k) become (n, samples, d).

    Parameters
    ----------
    out : a `.npy` array; a `.npz` or `.safetensors` pair set with the target modality and the names, groups and own
        split of the conditions; or else a folder in clip-retrieval's layout.
    run : the run folder, for the metadata.
    names : one row an item, for a folder; see `modtrans_core.layouts.clip_retrieval`.
    expected_cosine : also write the cosine that each translation is expected to have, (n,) or (n, m), as `.npy`.
    settings : of the translator's `translate` or `draw`, such as the steps of the poster's.

    Returns
    -------
    The shape of what was written.

    Raises
    ------
    ValueError
        If samples are asked for of items with several vectors, or the translator cannot do what is asked for.
    """
    out, facts = Path(out), translator.facts
    shape = pairs.modality(facts.source).shape[:-1]
    if samples is not None and len(shape) > 1:
        raise ValueError(f"samples: {facts.source} is {(*shape, facts.k)}; one vector an item is needed")
    if expected_cosine is not None:
        pieces = _pieces(pairs, translator, 1, able(translator, Expects).expected_cosine)
        with replacing(expected_cosine) as temporary:  # it is there once the translations are
            write_npy(temporary, shape, np.float32, pieces)
            return translate_set(translator, pairs, out, run, names, samples=samples, progress=progress, **settings)
    shape = (*shape, *([] if samples is None else [samples]), facts.d)

    def translate(c: np.ndarray) -> np.ndarray:
        if samples is None:
            return translator.translate(c, **settings)
        return able(translator, Draws).draw(c, samples, **settings)

    with reporting(progress, len(pairs), "translate", "item") as report:

        def translated() -> Iterator[np.ndarray]:
            done = 0
            for piece in _pieces(pairs, translator, samples or 1, translate):
                yield piece
                done += len(piece)
                report(done, len(pairs))

        if out.suffix == ".npy":
            write_npy(out, shape, np.float32, translated())
            return shape
        if out.suffix not in SUFFIXES:
            require("pyarrow", "encoders")  # said before the work, not after it
        with scratch_folder(out) as scratch:
            write_npy(scratch / "translated.npy", shape, np.float32, translated())
            counts = pairs.counts.get(facts.source)
            found = PairedEmbeddings.load_npy(scratch / "translated.npy", facts.target, counts)
            found = _described(translator, pairs, found, run)
            if out.suffix in SUFFIXES:
                found.save(out)
            else:
                write_clip_retrieval(found, out, names)
    return shape


def _pieces(
    pairs: PairedEmbeddings, translator: Translator, drawn: int, work: Callable[[np.ndarray], np.ndarray]
) -> Iterator[np.ndarray]:
    """`work` of the vectors (n, k) of some items at a time, one array row an item."""
    source = pairs.modality(translator.facts.source)
    items = len(pairs)
    if translator.row_by_row:
        items = max(1, ROWS // (drawn if source.ndim == 2 else source.shape[1]))
    for start in range(0, len(pairs), items):
        chunk = source[start : start + items]
        if source.ndim == 2:
            yield _finite(work(chunk), start, translator)
            continue
        there = present(source.shape[1], pairs.counts[translator.facts.source][start : start + items])
        rows = work(chunk[there])
        found = np.zeros((*there.shape, *rows.shape[1:]), dtype=np.float32)
        found[there] = rows
        yield _finite(found, start, translator)


def _finite(found: np.ndarray, start: int, translator: Translator) -> np.ndarray:
    """What a translator gave for the items from `start` on, unless it is NaN or infinite somewhere."""
    bad = ~np.isfinite(found).reshape(len(found), -1).all(axis=1)
    if bad.any():
        what = f"{translator.method} ({translator.facts})"
        raise ValueError(f"{what}: NaN or infinity for item {start + bad.argmax()}, finite numbers are needed")
    return found


def _described(
    translator: Translator, pairs: PairedEmbeddings, found: PairedEmbeddings, run: str | Path
) -> PairedEmbeddings:
    """The translations with the names, groups, split and labels of what they were made from, and how they were made."""
    source, target, encoders = translator.facts.source, translator.facts.target, translator.facts.encoders
    made_anew = {*pairs.arrays, INDEPENDENT, JOB}
    metadata = {name: value for name, value in pairs.metadata.items() if name not in made_anew}
    made = {
        "from": source,
        "encoder": pairs.encoder(source).get("encoder") or encoders.get(source, {}).get("encoder"),
        "run": Path(run).resolve().name,
        "model_sha256": sha256(Path(run) / MODEL),
    }
    facts = {**encoders.get(target, {}), "normalised": False, "translated": made}
    return replace(pairs, arrays=found.arrays, counts=found.counts, metadata={**metadata, target: facts})
