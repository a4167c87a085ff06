"""Reads the headers of .npy, .npz and .safetensors files: names, shapes and offsets of the arrays.

A header is read in well under a millisecond, so that a set of any size opens at once.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core.checks import in_one_line, naming, refuse_modality, refuse_unless
from modtrans_core.store import mapped
from modtrans_core.store.contents import LETTERS, as_texts
from modtrans_core.store.described import checked, parsed
from modtrans_core.store.files import refuse_closed, refuse_special
from modtrans_core.store.mapped import Block

SUFFIXES = (".npz", ".safetensors")
RECORD = "embed.json"
"""in a folder that `modtrans embed` fills: whether it is finished"""
MODALITIES = {"img_emb": "image"}
"""folders of clip-retrieval's layout that are not called <modality>_emb"""
BESIDE = "modtrans.safetensors"
"""in a folder of clip-retrieval's layout: what that layout has no place for (groups, own split, labels, metadata)"""
_NOT_VECTORS = ("group", "own_split", "label", "key", "metadata")
_SAFETENSORS_TYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever is wrong with a file, as one ValueError that names it."""
    refuse_special(path)
    try:
        yield
    except ImportError:
        raise
    except PermissionError:
        raise ValueError(f"{path}: no permission to read it") from None
    except Exception as error:  # a damaged file makes its reader raise nearly anything
        if isinstance(error, IsADirectoryError) or (path.is_dir() and "is a directory" in str(error)):
            raise ValueError(f"{path}: a folder, a file is needed") from None
        if type(error) is ValueError:
            raise ValueError(f"{path}: {in_one_line(error, None)}") from None
        what = "more than there is memory for" if isinstance(error, MemoryError) else "damaged or cut short"
        raise ValueError(f"{path}: {what} ({in_one_line(error)})") from None


def more_than_tensors(error: Exception) -> str:
    """What a file holds that torch does not read, for it says how to make it read that; "" where the fault is another.

    Parameters
    ----------
    error : of `torch.load` with `weights_only`.
    """
    said = str(error)
    if "TorchScript" in said:
        return "a TorchScript archive, which is code and not read"
    other = "weights_only" in said.lower().replace(" ", "_")
    return "is no file of tensors alone, and is not read" if other else ""


def is_vectors(name: str) -> bool:
    """Whether an array of this name in a file holds the vectors of a modality."""
    return name not in _NOT_VECTORS and not name.endswith("_count")


def blocks(path: Path) -> dict[str, Block]:
    """The vectors that a `.npz`, `.safetensors` or `.npy` file holds, from its header alone."""
    found = {".npz": _npz_blocks, ".safetensors": _safetensors_blocks, ".npy": _npy_blocks}[path.suffix](path)
    size = path.stat().st_size
    for block in found.values():
        if block.offset is not None and block.offset + math.prod(block.shape) * block.dtype.itemsize > size:
            raise EOFError(f"{size} bytes, fewer than its header says")
    return found


def located(files: Sequence[Path]) -> list[dict[str, Block]]:
    """The vectors of each file, as `blocks` finds them."""
    found = []
    for file in files:
        with reading(file):
            found.append(blocks(file))
    return found


def are_large(found: Sequence[dict[str, Block]]) -> bool:
    """Whether these vectors are better left on disk: many, and all of them can be mapped."""
    every = [block for file in found for block in file.values()]
    mappable = all(block.offset is not None for block in every)
    return mappable and sum(4 * math.prod(block.shape) for block in every) > mapped.LARGE


def numbered(folder: Path, suffix: str) -> dict[int, Path]:
    """The files `<folder>_<number><suffix>` of a folder, in the order of their numbers."""
    found: dict[int, Path] = {}
    refuse_closed(folder)
    for file in sorted(folder.glob(f"{folder.name}_*{suffix}")):
        number = file.stem.rsplit("_", 1)[1]
        if number.isdecimal() and (other := found.setdefault(int(number), file)) != file:
            raise ValueError(f"{file}: has the number of {other.name}; each number once is needed")
    return dict(sorted(found.items()))


def clip_retrieval_parts(path: Path) -> dict[str, dict[int, Path]]:
    """The numbered `.npy` files of each modality of a folder in clip-retrieval's layout; empty of any other folder.

    `img_emb` holds the modality image, `<name>_emb` any other.
    """
    refuse_closed(path)
    folders = sorted(folder for folder in path.glob("*_emb") if folder.is_dir())
    return {MODALITIES.get(f.name, f.name.removesuffix("_emb")): numbered(f, ".npy") for f in folders}


def shard_files(path: Path) -> list[Path]:
    """The file itself, or the `.npz` and `.safetensors` files of a folder by name."""
    if not path.is_dir():
        return [path]
    refuse_closed(path)
    return sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and not file.name.startswith("."))


def rows(path: Path) -> int:
    """How many items a file holds."""
    return next(iter(blocks(path).values())).shape[0]


def small_arrays(path: Path) -> dict[str, Any]:
    """Whatever a `.npz` or `.safetensors` file holds besides vectors: counts, groups, keys, metadata (as text)."""
    if path.suffix == ".npz":
        refuse_members(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if not is_vectors(name)}
        if "metadata" in arrays:
            arrays["metadata"] = np.asarray(arrays["metadata"]).tolist()
        return arrays
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys() if not is_vectors(name)}  # noqa: SIM118
        header = file.metadata() or {}
    if "metadata" in arrays:  # these are in the header, so that a tensor of that name is a modality
        refuse_modality("metadata")
    if "key" in header:
        names = checked("header", {"key": parsed("key", header["key"])}, {"key": "a list of texts"})["key"]
        arrays["key"] = as_texts("key", names)
    arrays["metadata"] = header.get("metadata", "{}")
    return arrays


def vectors(path: Path) -> dict[str, np.ndarray]:
    """The vectors that a `.npz` or `.safetensors` file holds, in memory."""
    if path.suffix == ".npz":
        refuse_members(path)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if is_vectors(name)}
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        types = {name: file.get_slice(name).get_dtype() for name in file.keys() if is_vectors(name)}  # noqa: SIM118
        found = {name: file.get_tensor(name) for name, of in types.items() if of in _SAFETENSORS_TYPES}
    if "BF16" in types.values():
        with safe_open(path, framework="pt") as file:
            found |= {name: file.get_tensor(name).float().numpy() for name, of in types.items() if of == "BF16"}
    for name, of in types.items():
        refuse_unless(name in found, name, of, f"a type among {', '.join(_SAFETENSORS_TYPES)} and BF16")
    return {name: found[name] for name in types}


def _npz_blocks(path: Path) -> dict[str, Block]:
    found = {}
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            refuse_unless(name != member.filename, member.filename, "no array", "a .npz file of arrays alone")
            if not is_vectors(name):
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
    refuse_unless(version in ((1, 0), (2, 0), (3, 0)), "version of the array", version, "1.0, 2.0 or 3.0")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(
            "holds Python objects, which are not read. Of a dictionary d = {name: vector}, keys = np.array(list(d)) and"
            " vectors = np.stack(list(d.values())) are arrays"
        )
    refuse_unless(all(side >= 0 for side in shape), "shape", shape, "no negative side")
    refuse_too_large("array", math.prod(shape) * dtype.itemsize, path.suffix == ".npz")
    offset = None if by_column and len(shape) > 1 else file.tell()
    return Block(path, offset, dtype, shape, path.stat().st_mtime_ns)


def refuse_too_large(name: str, size: int, into_memory: bool = True) -> None:
    """Refuse what takes more bytes than this machine has memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**47
    if into_memory and size > memory:
        raise ValueError(
            f"{name}: {size / 2**30:.1f} GiB, at most the {memory / 2**30:.1f} GiB of this machine's memory"
        )


def refuse_members(path: Path, wanted: str | None = None) -> None:
    """Refuse a `.npz` file with a member, or the one that is wanted, that is no array or not as large as it says."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if wanted not in (None, member.filename.removesuffix(".npy")):
                continue
            with archive.open(member) as inside:
                with naming(member.filename):
                    block = _npy_block(path, inside)
                    wide = block.dtype.itemsize if block.dtype.kind in "US" and block.shape else 0
                    needed = f"room for names of at most {LETTERS:,} letters"
                    refuse_unless(wide <= 4 * LETTERS, "texts", f"{block.dtype}", needed)
                if inside.tell() + math.prod(block.shape) * block.dtype.itemsize != member.file_size:
                    raise EOFError(f"{member.filename}: {member.file_size} bytes, not as many as its header says")


def _safetensors_blocks(path: Path) -> dict[str, Block]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy"), open(path, "rb") as file:  # opened by the library, which checks the header
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    changed = path.stat().st_mtime_ns
    return {
        name: Block(
            path,
            None if entry["dtype"] == "BF16" else 8 + length + entry["data_offsets"][0],
            np.dtype(_SAFETENSORS_TYPES.get(entry["dtype"], np.void)),
            tuple(entry["shape"]),
            changed,
        )
        for name, entry in header.items()
        if name != "__metadata__" and is_vectors(name)
    }
