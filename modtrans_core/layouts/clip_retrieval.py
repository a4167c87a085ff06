"""The layout of clip-retrieval, written: folders that its tools index, search and serve.

    img_emb/img_emb_0.npy              unit vectors, a row an (image, caption) pair; <modality>_emb for any other
    metadata/metadata_0.parquet        image_path, caption, key, ... of the same rows; `row` where there are none
    modtrans.safetensors               groups, own split, labels and metadata, which the layout has no place for

Numbers are filled up with zeros to one width, as clip-retrieval's readers take the files in the order of their names.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modtrans_core.checks import refuse_unless, refuse_unless_in
from modtrans_core.extras import require
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, reporting
from modtrans_core.store.contents import CAPTIONS
from modtrans_core.store.files import replacing_folder, write_npy
from modtrans_core.store.headers import BESIDE, MODALITIES
from modtrans_core.store.names import table_of
from modtrans_core.store.write import DTYPES, write_beside
from modtrans_core.vectors import ROWS, unit

if TYPE_CHECKING:
    import pyarrow

PART_ROWS = 10**6  # clip-retrieval's own write_batch_size


def write_clip_retrieval(
    pairs: PairedEmbeddings,
    folder: str | Path,
    names: pyarrow.Table | None = None,
    dtype: str = "float16",
    part_rows: int = PART_ROWS,
    progress: Progress | None = None,
) -> None:
    """Write a pair set as a folder in clip-retrieval's layout, whole or not at all, in bounded memory.

    Vectors are scaled to unit length, which its indices and searches by inner product count on. An item with several
    vectors of a modality, such as captions, has a row for each; of several such modalities, for each combination.

    Parameters
    ----------
    folder : replaced where it is there.
    names : one row an item, as `modtrans_core.store.names.read_items` gives. Default: the set's own keys and captions.
    dtype : float16 or float32.
    part_rows : rows of a file, at most.
    progress : called with (vectors written, in all). Default: a bar or, in a log, lines.

    Raises
    ------
    ValueError
        If `names` has another length than the set, or a vector is zero or not finite.
    ModuleNotFoundError
        If pyarrow is missing; the message is the command that installs it.
    """
    pyarrow = require("pyarrow", "encoders")
    refuse_unless_in("dtype", dtype, DTYPES)
    refuse_unless(part_rows >= 1, "part_rows", part_rows, "at least 1")
    names = names_in(pairs) if names is None else names
    names = pyarrow.table({"row": np.arange(len(pairs))}) if names is None else names
    if len(names) != len(pairs):
        raise ValueError(f"names: {len(names)} rows, but the set has {len(pairs)} items")
    if "caption" in names.column_names:
        told = np.array([len(several or ()) for several in names["caption"].to_pylist()])
        lost = np.maximum(told - np.maximum(pairs.counts.get("text", 1), 1), 0).sum()
        if lost:
            warnings.warn(f"{lost} captions without a vector are left out: a row has one", stacklevel=2)
    item, slots = _combinations(pairs)
    parts = [slice(start, min(start + part_rows, len(item))) for start in range(0, len(item), part_rows)]
    width, total = len(str(len(parts) - 1)), len(item) * len(slots)
    folders = {modality: name for name, modality in MODALITIES.items()}
    with replacing_folder(folder) as temporary, reporting(progress, total, "write", "vector") as report:
        done = 0

        def count(rows: int) -> None:
            nonlocal done
            done += rows
            report(done, total)

        for modality, slot in slots.items():
            name = folders.get(modality, f"{modality}_emb")
            vectors, owner = pairs.rows(modality)
            row = np.searchsorted(owner, np.arange(len(pairs)))[item] + slot if len(owner) > len(pairs) else item
            for number, part in enumerate(parts):
                path = temporary / name / f"{name}_{number:0{width}d}.npy"
                write_npy(path, (part.stop - part.start, vectors.shape[1]), dtype, _unit(vectors, row[part], count))
        for number, part in enumerate(parts):
            path = temporary / "metadata" / f"metadata_{number:0{width}d}.parquet"
            _write_metadata(path, names.take(item[part]), slots["text"][part] if "text" in slots else None)
        group = None if pairs.group is None and len(item) == len(pairs) else pairs.groups[item]
        own_split = None if pairs.own_split is None else pairs.own_split[item]
        label = None if pairs.label is None else pairs.label[item]
        write_beside(temporary / BESIDE, group, own_split, label, _without_captions(pairs))


def names_in(pairs: PairedEmbeddings) -> pyarrow.Table | None:
    """One row an item from what the set itself says: its keys and the captions in its metadata; None without both.

    Items that nothing names get no names: places would be names that items of other sets have too.
    """
    found = table_of(np.arange(len(pairs)) if pairs.key is None else pairs.key, pairs.metadata)
    if pairs.key is None:
        found = found.drop_columns("key")
    return found if found.column_names else None


def _combinations(pairs: PairedEmbeddings) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The item (N,) of every combination of one vector a modality, and which of the item's vectors each is (N,)."""
    counts = {name: pairs.counts.get(name, np.ones(len(pairs), dtype=np.int64)) for name in pairs.arrays}
    several = np.prod(list(counts.values()), axis=0)
    item = np.repeat(np.arange(len(pairs)), several)
    left = np.arange(len(item)) - np.repeat(np.cumsum(several) - several, several)
    slots = {}
    for name, count in counts.items():
        slots[name] = left % count[item]
        left = left // count[item]
    return item, slots


def _unit(vectors: np.ndarray, rows: np.ndarray, count: Callable[[int], None]) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), ROWS):
        chosen = rows[start : start + ROWS]
        yield unit(vectors[chosen])
        count(len(chosen))


def _write_metadata(path: Path, names: pyarrow.Table, slot: np.ndarray | None) -> None:
    """One row a vector: `image_path` and `caption` as clip-retrieval calls them, then what else is known."""
    pa, pq = require("pyarrow", "encoders"), require("pyarrow.parquet", "encoders")
    named = next((name for name in ("image_path", "key") if name in names.column_names), None)
    columns: dict[str, Any] = {} if named is None else {"image_path": names[named]}
    if "caption" in names.column_names:
        own = np.zeros(len(names), dtype=np.int64) if slot is None else slot
        captions = zip(names["caption"].to_pylist(), own.tolist(), strict=True)
        texts = [several[min(i, len(several) - 1)] if several else None for several, i in captions]
        columns["caption"] = pa.array(texts, pa.string())
    columns |= {name: names[name] for name in names.column_names if name not in columns}
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path, compression="zstd")


def _without_captions(pairs: PairedEmbeddings) -> dict[str, Any]:
    return {name: value for name, value in pairs.metadata.items() if name != CAPTIONS}
