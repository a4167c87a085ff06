"""The files of pair sets, read into memory or left on disk.

A header is read in well under a millisecond and says where the vectors lie, so that a set of any size opens at once.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core import memmap
from modtrans_core.memmap import Block, MappedRows, join
from modtrans_core.pairs import SUFFIXES, PairedEmbeddings

CLIP_RETRIEVAL = {"image": "img_emb", "text": "text_emb"}
_NOT_VECTORS = ("group", "key", "metadata")
_SAFETENSORS_TYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64}


def load(path: str | Path, mapped: bool | None = None) -> PairedEmbeddings:
    """See `PairedEmbeddings.load`."""
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    if path.is_dir() and any((path / folder).is_dir() for folder in CLIP_RETRIEVAL.values()):
        return _read_clip_retrieval(path, mapped)
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not files:
        raise ValueError(f"{path}: a folder with no {' or '.join(SUFFIXES)} file and no img_emb/ or text_emb/")
    if files[0].suffix not in SUFFIXES:
        raise ValueError(f"{path}: unknown suffix {path.suffix!r}, one of {', '.join(SUFFIXES)} or a folder is needed")
    return _concatenate(files, _are_large(files) if mapped is None else mapped)


def _from_arrays(arrays: dict[str, Any]) -> PairedEmbeddings:
    return PairedEmbeddings(
        arrays={name: array for name, array in arrays.items() if _is_vectors(name)},
        counts={name.removesuffix("_count"): array for name, array in arrays.items() if name.endswith("_count")},
        group=arrays.get("group"),  # type: ignore[arg-type]
        key=arrays.get("key"),
        metadata=json.loads(arrays.get("metadata", "{}")),
    )


def _read_clip_retrieval(path: Path, mapped: bool | None) -> PairedEmbeddings:
    found = {}
    for modality, prefix in CLIP_RETRIEVAL.items():
        numbered = (path / prefix).glob(f"{prefix}_*.npy")
        found[modality] = sorted(numbered, key=lambda file: int(file.stem.rsplit("_", 1)[1]))
    files = [file for several in found.values() for file in several]
    if not files:
        raise ValueError(f"{path}: no img_emb/img_emb_*.npy and no text_emb/text_emb_*.npy")
    mapped = _are_large(files) if mapped is None else mapped
    return PairedEmbeddings({name: _read_npy(name, several, mapped) for name, several in found.items() if several})


def _concatenate(files: Sequence[Path], mapped: bool) -> PairedEmbeddings:
    parts, grouped = [], []
    for file in files:
        with _reading(file):
            arrays = _contents(file, mapped)
            parts.append(_from_arrays(arrays))
            grouped.append("group" in arrays)
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        if {k: v.shape[1:] for k, v in part.arrays.items()} != {k: v.shape[1:] for k, v in first.arrays.items()}:
            raise ValueError(f"shards differ: {first} and {part}; every shard needs the same modalities and shapes")
    if any(grouped) != all(grouped):
        raise ValueError(f"shards differ: {files[grouped.index(False)]} has no group, but others have")
    keys = [part.key for part in parts if part.key is not None]
    return PairedEmbeddings(
        arrays={name: join(name, [part.arrays[name] for part in parts]) for name in first.arrays},
        counts={name: np.concatenate([part.counts[name] for part in parts]) for name in first.counts},
        group=np.concatenate([part.group for part in parts]) if all(grouped) else None,  # type: ignore[arg-type]
        key=np.concatenate(keys) if len(keys) == len(parts) else None,
        metadata=first.metadata,
    )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever is wrong with a file, as one ValueError that names it."""
    try:
        yield
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ValueError(f"{path}: damaged or cut short ({error})") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise ValueError(f"{path}: damaged or cut short ({error})") from None


def _is_vectors(name: str) -> bool:
    """Whether an array of this name in a file holds the vectors of a modality."""
    return name not in _NOT_VECTORS and not name.endswith("_count")


def _blocks(path: Path) -> dict[str, Block]:
    """The vectors that a `.npz`, `.safetensors` or `.npy` file holds, from its header alone."""
    found = {".npz": _npz_blocks, ".safetensors": _safetensors_blocks, ".npy": _npy_blocks}[path.suffix](path)
    size = path.stat().st_size
    for block in found.values():
        if block.offset is not None and block.offset + math.prod(block.shape) * block.dtype.itemsize > size:
            raise EOFError(f"{size} bytes, fewer than its header says")
    return found


def _are_large(files: Sequence[Path]) -> bool:
    """Whether the vectors in these files are better left there: many, and all of them can be mapped."""
    found: list[Block] = []
    for file in files:
        with _reading(file):
            found += _blocks(file).values()
    mappable = all(block.offset is not None for block in found)
    return mappable and sum(4 * math.prod(block.shape) for block in found) > memmap.LARGE


def _read_npy(name: str, files: Sequence[Path], mapped: bool) -> np.ndarray:
    """The vectors of a modality from `.npy` files, end to end."""
    arrays: list[Any] = []
    for file in files:
        with _reading(file):
            found = _blocks(file).values()
            arrays.append(MappedRows(name, list(found)) if mapped else np.load(file, allow_pickle=False))
    with _reading(files[0].parent):
        return join(name, arrays)


def _contents(path: Path, mapped: bool) -> dict[str, Any]:
    """All arrays of a `.npz` or `.safetensors` file by name, the vectors left in it where `mapped`."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if not (mapped and _is_vectors(name))}
        if "metadata" in arrays:
            arrays["metadata"] = arrays["metadata"].item()
    else:
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            names = file.keys()
            arrays = {name: file.get_tensor(name) for name in names if not (mapped and _is_vectors(name))}
            header = file.metadata() or {}
        if "key" in header:
            arrays["key"] = np.array(json.loads(header["key"]))
        arrays["metadata"] = header.get("metadata", "{}")
    if mapped:
        arrays |= {k: MappedRows(k, [block], arrays.get(f"{k}_count")) for k, block in _blocks(path).items()}
    return arrays


def _npz_blocks(path: Path) -> dict[str, Block]:
    found = {}
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if not _is_vectors(name):
                continue
            if member.compress_type == zipfile.ZIP_STORED:
                file.seek(member.header_offset + 26)  # the local header: 30 bytes, the name, an extra field
                lengths = np.frombuffer(file.read(4), "<u2")
                file.seek(member.header_offset + 30 + int(lengths.sum()))
                found[name] = _npy_block(path, file)
            else:
                with archive.open(member) as inside:
                    found[name] = _npy_block(path, inside)._replace(offset=None)
    return found


def _npy_blocks(path: Path) -> dict[str, Block]:
    with open(path, "rb") as file:
        return {path.stem: _npy_block(path, file)}


def _npy_block(path: Path, file: Any) -> Block:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, dtype = read(file)
    offset = None if by_column and len(shape) > 1 else file.tell()
    return Block(path, offset, dtype, shape, path.stat().st_mtime_ns)


def _safetensors_blocks(path: Path) -> dict[str, Block]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy"), open(path, "rb") as file:  # opened by the library, which checks the header
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    changed = path.stat().st_mtime_ns
    return {
        name: Block(
            path,
            8 + length + entry["data_offsets"][0],
            np.dtype(_SAFETENSORS_TYPES.get(entry["dtype"], np.void)),
            tuple(entry["shape"]),
            changed,
        )
        for name, entry in header.items()
        if name != "__metadata__" and _is_vectors(name)
    }
