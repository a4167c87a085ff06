"""A pair set from one layout into another, names and captions with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from modtrans_core.checks import refuse_unless
from modtrans_core.layouts.clip_retrieval import names_in, write_clip_retrieval
from modtrans_core.pairs import PairedEmbeddings, as_written
from modtrans_core.progress import reporting
from modtrans_core.store.contents import CAPTIONS, INDEPENDENT, as_texts, captions_of
from modtrans_core.store.files import replacing_folder
from modtrans_core.store.headers import SUFFIXES
from modtrans_core.store.names import SIDECAR, read_sidecars, write_items

if TYPE_CHECKING:
    import pyarrow

SHARD_ITEMS = 100_000


def convert(
    source: str | Path,
    out: str | Path,
    layout: Literal["clip-retrieval", "shards"] = "clip-retrieval",
    dtype: str | None = None,
    shard_items: int = SHARD_ITEMS,
    independent: Sequence[str] = (),
    group_duplicates: bool = False,
) -> PairedEmbeddings:
    """Write a pair set in another layout, whole or not at all.

    Parameters
    ----------
    source : a pair set in any layout.
    out : a `.npz` or `.safetensors` file, for which all vectors are read into memory, or else a folder.
    layout : of a folder.
    dtype : float32 or float16. Default: float32, in clip-retrieval's layout float16.
    shard_items : items of a shard.
    independent : modalities of which an item's several vectors are independent of each other given the item, besides
        those of which the set says so.
    group_duplicates : items with an equal vector in a modality become one group, names of classes and near copies too.

    Returns
    -------
    The set that was written.
    """
    source, out = Path(source), Path(out)
    refuse_unless(shard_items >= 1, "shard_items", shard_items, "at least 1")
    pairs = as_written(source)
    for name in independent:
        pairs.modality(name)
    if said := [name for name in pairs.arrays if name in independent or pairs.independent(name)]:
        pairs = replace(pairs, metadata={**pairs.metadata, INDEPENDENT: said})
    if group_duplicates:
        from modtrans_core.seen import with_equal_together  # which loads torch

        pairs = with_equal_together(pairs.grouped(), [*pairs.arrays])
    names = read_sidecars(source)
    if out.suffix in SUFFIXES:
        named(pairs, names).save(out, dtype or "float32")
        return pairs.grouped()
    pairs = pairs.grouped()
    if layout == "clip-retrieval":
        write_clip_retrieval(pairs, out, names, dtype or "float16")
    else:
        _write_shards(pairs, out, names_in(pairs) if names is None else names, dtype or "float32", shard_items)
    return pairs


def named(pairs: PairedEmbeddings, names: pyarrow.Table | None) -> PairedEmbeddings:
    """The set with the names of its items and their captions in it, as a single file holds them."""
    if names is None:
        return pairs
    keys = names["key"].to_pylist() if "key" in names.column_names else None
    captions = captions_of(keys, names["caption"].to_pylist()) if "caption" in names.column_names else {}
    key = None if keys is None else as_texts("key", keys)
    return replace(pairs, key=key, metadata={**pairs.metadata, **captions})


def _write_shards(pairs: PairedEmbeddings, out: Path, names: pyarrow.Table | None, dtype: str, items: int) -> None:
    with replacing_folder(out) as folder, reporting(None, len(pairs), "write", "item") as report:
        for name, chosen in _parts(len(pairs), items):
            part = pairs.take(chosen)
            metadata = {key: value for key, value in pairs.metadata.items() if key != CAPTIONS}
            replace(part, key=None, metadata=metadata).save(folder / f"{name}.safetensors", dtype)
            if names is not None:
                rows = names.take(chosen)
                columns = {key: rows[key].combine_chunks() for key in rows.column_names}
                key, captions = (columns.pop(kind, None) for kind in ("key", "caption"))
                write_items(folder / f"{name}{SIDECAR}", _listed(key), _listed(captions), columns)
            report(int(chosen[-1]) + 1, len(pairs))


def _listed(column: pyarrow.Array | None) -> list | None:
    return None if column is None else column.to_pylist()


def _parts(n: int, items: int) -> Iterator[tuple[str, np.ndarray]]:
    for number, start in enumerate(range(0, n, items)):
        yield f"{number:06d}", np.arange(start, min(start + items, n))
