"""Files and folders that are either whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core.store.described import checked, parsed

STREAM = Path("-")
"""stands for standard input or output where an array can be"""
WROTE = ".modtrans.json"
"""in a folder that was written whole: the names in it, by which it is known again when it is replaced"""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes the place of `path`, on failure it is removed.

    The suffix of `path` is kept, because numpy and others choose a format by it. Where `path` is a link, the link is
    replaced, not what it points to. Its permissions follow the umask, whatever those of the temporary file are.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    temporary.unlink(missing_ok=True)
    try:
        with open(temporary, "xb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on success it takes the place of `path`, on failure it is removed.

    Raises
    ------
    ValueError
        There is something at `path` that was not written in this way, or that something was added to.
    """
    path = Path(path)
    _refuse_foreign(path)
    temporary, old = (path.with_name(f".{path.name}.{os.getpid()}.{what}") for what in ("part", "old"))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        write_json(temporary / WROTE, {"wrote": sorted(_names(temporary))})
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuse to write over a file or folder unless that was asked for, and over a folder that is not our own."""
    if (path.exists() or path.is_symlink()) and not overwrite:
        raise ValueError(f"{path}: exists; choose another name or add --overwrite")
    if path.is_dir() or not path.suffix:
        _refuse_foreign(path)


def _refuse_foreign(path: Path) -> None:
    """Refuse to replace a file, a link, or a folder with anything in it that is not listed in its own `WROTE`."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise ValueError(
            f"{path}: a {'link' if path.is_symlink() else 'file'}, a folder is needed; choose another name"
        )
    if not path.exists():
        return
    names = _names(path) - {WROTE}
    try:
        wrote = read_description(path / WROTE, {"wrote": "a list of texts"})["wrote"] if names else []
    except (OSError, ValueError):
        wrote = []
    if foreign := sorted(names - set(wrote)):
        raise ValueError(f"{path}: holds {foreign[0]}, which was not written here; choose another name, or remove it")


def _names(folder: Path) -> set[str]:
    """The files in a folder and the folders in it."""
    return {
        entry.relative_to(folder).as_posix() for entry in folder.rglob("*") if entry.is_symlink() or entry.is_file()
    }


def refuse_links(folder: Path) -> None:
    """Refuse a folder to write into, or to go on in, that has links in it: what is written could land elsewhere."""
    found = (Path(place) / name for place, below, files in os.walk(folder) for name in [*below, *files])
    if link := next((entry for entry in found if entry.is_symlink()), None):
        raise ValueError(f"{link}: a link, and nothing is written through links; remove it")


@contextmanager
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """A folder beside `path`, on the same disk, for what is wanted until `path` is written."""
    path = Path(path)
    folder = path.with_name(f".{path.name}.{os.getpid()}.scratch")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_npy(path: str | Path, shape: Sequence[int], dtype: Any, pieces: Iterable[np.ndarray]) -> None:
    """Write a `.npy` array of this shape from its pieces, end to end along the first axis, one in memory at a time."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": tuple(shape)}
        np.lib.format.write_array_header_1_0(file, header)
        rows = 0
        for piece in pieces:
            file.write(np.ascontiguousarray(piece, dtype).data)
            rows += len(piece)
        if rows != shape[0]:
            raise ValueError(f"{path}: {rows} rows were given, not {shape[0]}")


@contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """What safetensors says of a full or failing disk, as the OSError that everything else raises."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise OSError(f"{path}: cannot be written ({error})") from None


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as JSON. NaN and infinity are refused: they are not JSON and no reader expects them."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a damaged one is a ValueError that names it."""
    return parsed(path, Path(path).read_bytes())


def read_description(path: str | Path, fields: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Any:
    """Read a JSON file that is an object with these fields, see `modtrans_core.store.described.checked`."""
    return checked(path, read_json(path), fields, optional)
