"""Writes a pair set as one file, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core.checks import refuse_unless_in
from modtrans_core.store.contents import Contents
from modtrans_core.store.described import metadata_text
from modtrans_core.store.files import disk_errors, refuse_not_text, replacing
from modtrans_core.store.headers import SUFFIXES
from modtrans_core.vectors import refuse_bad_rows

DTYPES = ("float32", "float16")


def write(path: Path, contents: Contents, dtype: str = "float32") -> None:
    """Write a `.npz` or `.safetensors` file; see `modtrans_core.pairs.PairedEmbeddings.save`."""
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: unknown suffix {path.suffix!r}, one of {', '.join(SUFFIXES)} is needed")
    refuse_not_text(path)
    arrays = {name: _as_type(name, array, dtype, contents.counts.get(name)) for name, array in contents.arrays.items()}
    arrays |= {f"{name}_count": count for name, count in contents.counts.items()}
    arrays |= _beside(contents.group, contents.own_split, contents.label)
    metadata = metadata_text(contents.metadata)
    if path.suffix == ".npz":
        arrays |= {} if contents.key is None else {"key": np.asarray(contents.key, dtype=np.str_)}
        with replacing(path) as temporary:
            np.savez(temporary, **arrays, metadata=np.array(metadata))  # type: ignore[arg-type]
        return
    header = {"metadata": metadata}
    if contents.key is not None:
        header["key"] = json.dumps([str(key) for key in contents.key])
    with replacing(path) as temporary:
        _save(path, temporary, arrays, header)


def write_beside(
    path: Path,
    group: np.ndarray | None,
    own_split: np.ndarray | None,
    label: np.ndarray | None,
    metadata: Mapping[str, Any],
) -> None:
    """Write what a pair set holds besides vectors as a `.safetensors` file of its own."""
    with replacing(path) as temporary:
        _save(path, temporary, _beside(group, own_split, label), {"metadata": metadata_text(metadata)})


def _beside(group: np.ndarray | None, own_split: np.ndarray | None, label: np.ndarray | None) -> dict[str, np.ndarray]:
    named = {"group": group, "own_split": own_split, "label": label}
    return {name: array for name, array in named.items() if array is not None}


def _save(path: Path, temporary: Path, arrays: dict[str, np.ndarray], header: dict[str, str]) -> None:
    from safetensors.numpy import save_file

    with disk_errors(path):
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary, header)
    _in_order(temporary)


def _in_order(file: Path) -> None:
    """Put the texts of a `.safetensors` header in the order of their names: the library's changes each time."""
    with open(file, "r+b") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:
            opened.seek(8)
            opened.write(text.ljust(length))


def _as_type(name: str, array: Any, dtype: str, counts: np.ndarray | None) -> np.ndarray:
    refuse_unless_in("dtype", dtype, DTYPES)
    if dtype == "float32":
        return np.asarray(array)
    with np.errstate(over="ignore"):
        half = np.asarray(array).astype(np.float16)
    try:
        refuse_bad_rows(name, half, counts)
    except ValueError as error:
        raise ValueError(f"{error} once they are float16; float32 holds them") from None
    return half
