"""The files of pair sets, read into memory or left on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core.headers import (
    CLIP_RETRIEVAL,
    SUFFIXES,
    are_large,
    blocks,
    is_vectors,
    numbered,
    reading,
    shard_files,
    small_arrays,
    vectors,
)
from modtrans_core.memmap import MappedRows, join
from modtrans_core.pairs import PairedEmbeddings


def load(path: str | Path, mapped: bool | None = None) -> PairedEmbeddings:
    """See `PairedEmbeddings.load`."""
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    if path.is_dir() and any((path / folder).is_dir() for folder in CLIP_RETRIEVAL.values()):
        return _read_clip_retrieval(path, mapped)
    files = shard_files(path)
    if not files:
        raise ValueError(f"{path}: a folder with no {' or '.join(SUFFIXES)} file and no img_emb/ or text_emb/")
    if files[0].suffix not in SUFFIXES:
        raise ValueError(f"{path}: unknown suffix {path.suffix!r}, one of {', '.join(SUFFIXES)} or a folder is needed")
    return _concatenate(files, are_large(files) if mapped is None else mapped)


def _from_arrays(arrays: dict[str, Any]) -> PairedEmbeddings:
    return PairedEmbeddings(
        arrays={name: array for name, array in arrays.items() if is_vectors(name)},
        counts={name.removesuffix("_count"): array for name, array in arrays.items() if name.endswith("_count")},
        group=arrays.get("group"),  # type: ignore[arg-type]
        key=arrays.get("key"),
        metadata=json.loads(arrays.get("metadata", "{}")),
        own_split=arrays.get("own_split"),
    )


def _read_clip_retrieval(path: Path, mapped: bool | None) -> PairedEmbeddings:
    found = {modality: numbered(path / prefix, ".npy") for modality, prefix in CLIP_RETRIEVAL.items()}
    files = [file for several in found.values() for file in several]
    if not files:
        raise ValueError(f"{path}: no img_emb/img_emb_*.npy and no text_emb/text_emb_*.npy")
    mapped = are_large(files) if mapped is None else mapped
    return PairedEmbeddings({name: _read_npy(name, several, mapped) for name, several in found.items() if several})


def _concatenate(files: Sequence[Path], mapped: bool) -> PairedEmbeddings:
    parts, given = [], []
    for file in files:
        with reading(file):
            arrays = small_arrays(file)
            if mapped:
                arrays |= {k: MappedRows(k, [block], arrays.get(f"{k}_count")) for k, block in blocks(file).items()}
            else:
                arrays |= vectors(file)
            parts.append(_from_arrays(arrays))
            given.append(arrays.keys() & {"group", "own_split"})
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        if {k: v.shape[1:] for k, v in part.arrays.items()} != {k: v.shape[1:] for k, v in first.arrays.items()}:
            raise ValueError(f"shards differ: {first} and {part}; every shard needs the same modalities and shapes")
    for name in sorted(set().union(*given)):
        for file, names in zip(files, given, strict=True):
            if name not in names:
                raise ValueError(f"shards differ: {file} has no {name}, but others have")
    keys = [part.key for part in parts if part.key is not None]
    return PairedEmbeddings(
        arrays={name: join(name, [part.arrays[name] for part in parts]) for name in first.arrays},
        counts={name: np.concatenate([part.counts[name] for part in parts]) for name in first.counts},
        group=np.concatenate([part.group for part in parts]) if first.grouped else None,  # type: ignore[arg-type]
        key=np.concatenate(keys) if len(keys) == len(parts) else None,
        metadata=first.metadata,
        own_split=None if first.own_split is None else np.concatenate([part.own_split for part in parts]),  # type: ignore[misc]
    )


def _read_npy(name: str, files: Sequence[Path], mapped: bool) -> np.ndarray:
    """The vectors of a modality from `.npy` files, end to end."""
    arrays: list[Any] = []
    for file in files:
        with reading(file):
            found = blocks(file).values()
            arrays.append(MappedRows(name, list(found)) if mapped else np.load(file, allow_pickle=False))
    with reading(files[0].parent):
        return join(name, arrays)
