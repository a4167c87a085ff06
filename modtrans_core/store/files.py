"""Files and folders that are either whole or not there: written in a folder of their own, then renamed."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import math
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from modtrans_core.checks import FULL
from modtrans_core.progress import to_stderr
from modtrans_core.store.described import checked, parsed
from modtrans_core.store.locks import LOCK, drop, is_held, locked, refuse_held

STREAM = Path("-")
"""stands for standard input or output where an array can be"""
WROTE = ".modtrans.json"
"""in a folder that was written whole: the names in it, by which it is known again when it is replaced"""
SCRATCH = ".modtrans-part-"
"""how the names begin of what is there only while something is written"""
RUN = ("translator.json", "model.safetensors", "training.safetensors", "seen.safetensors", "metrics.jsonl")
"""the parts of a run folder, see `modtrans_core.run`"""
_OF_FILES = (".csv", ".json", ".jsonl", ".npy", ".npz", ".onnx", ".parquet", ".safetensors", ".tex", ".txt")
"""how the names end of what is written as a file, whatever lies there"""
_OLD = ".old"
_LONG = 24 * 3600  # seconds
_HERE, _RENAME_EXCHANGE = -100, 2  # Linux' AT_FDCWD and RENAME_EXCHANGE


@contextmanager
def scratch_folder(path: str | Path, inside: bool = False) -> Iterator[Path]:
    """A folder beside `path`, or inside it, on the same disk, for what is wanted until `path` is written.

    It is held as long as it is wanted: `sweep` knows by this what a process left that was killed.
    """
    path = Path(path)
    where = path if inside else path.parent
    made = [place for place in (where, *where.parents) if not place.exists()]
    folder = where / f"{SCRATCH}{secrets.token_hex(8)}"
    try:
        with _naming(path, folder):
            where.mkdir(parents=True, exist_ok=True)
            with locked(_lock_of(folder), folder):  # held before it is there, and until it is gone
                folder.mkdir(0o700)
                try:
                    yield folder
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        with suppress(OSError):  # what was made for nothing goes again
            if folder.exists():  # a signal fell into its removal: `sweep` knows it by the lock
                _lock_of(folder).touch()
            for place in made:
                place.rmdir()
        raise


def _lock_of(scratch: Path) -> Path:
    return scratch.with_name(f"{scratch.name}{LOCK}")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path on the same disk; on success it takes the place of `path`, on failure it is removed.

    The name of `path` is kept, because numpy and others choose a format by it. Where `path` is a link, the link is
    replaced, not what it points to. Its permissions follow the umask, whatever those of the temporary file are, where
    the file system keeps any.
    """
    path = Path(path)
    with scratch_folder(path) as folder:
        temporary = folder / path.name
        with open(temporary, "xb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        yield temporary
        with at(temporary), open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        with suppress(OSError):  # a mount of somebody else's files
            os.chmod(temporary, mode)
        with _kept_beside(temporary, path):
            os.replace(temporary, path)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder on the same disk; on success it takes the place of `path`, on failure it is removed.

    Old and new change places in one step where the system can do that (Linux). Elsewhere the old one is put aside
    first, and where the process is killed between the two steps `sweep` makes the second one.

    Raises
    ------
    ValueError
        There is something at `path` that was not written in this way, or that something was added to; or another
        process writes it. If that is so by the end, the new folder is kept beside it.
    """
    path = Path(path)
    _refuse_foreign(path)
    with scratch_folder(path) as folder, locked(path.with_name(f".{path.name}{LOCK}"), path):
        temporary = folder / path.name
        temporary.mkdir()
        yield temporary
        write_json(temporary / WROTE, {"wrote": sorted(_names(temporary))})
        with _kept_beside(temporary, path):
            _refuse_foreign(path)  # which may have come meanwhile
            if not path.exists():
                os.replace(temporary, path)
            elif not _exchange(temporary, path):
                os.replace(path, folder / _OLD)
                os.replace(temporary, path)


@contextmanager
def _kept_beside(temporary: Path, path: Path) -> Iterator[None]:
    """Inside, what was made takes its place; where it cannot, it is kept beside that, and the error says so."""
    try:
        yield
    except (OSError, ValueError) as error:
        names = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
        kept = next(free for free in names if not os.path.lexists(free))
        if isinstance(error, OSError):
            why = f"{error.filename2 or error.filename or path}: {str(error.strerror).lower()}"
        else:
            why = str(error)
        with suppress(OSError):
            os.replace(temporary, kept)
            raise ValueError(f"{why}; what was made is in {kept}") from None
        raise


@contextmanager
def replacing_results(out: Path) -> Iterator[Path]:
    """Give a temporary folder on the same disk; on success each file in it takes its place in `out`, beside what else
    lies there, once all are written; on failure `out` is as it was. Where a file cannot take its place, it and those
    behind it are kept in a folder there, `results-2`.
    """
    with scratch_folder(out, inside=True) as folder:
        yield folder
        with _kept_beside(folder, out / "results"):
            for file in sorted(file for file in folder.rglob("*") if file.is_file()):
                place = out / file.relative_to(folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, place)


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places in one step; False where the system cannot."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):  # not Linux, or an old one
        return False
    return bool(swap(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _RENAME_EXCHANGE) == 0)


def sweep(folder: str | Path, below: str = "") -> None:
    """Remove what writers that were killed left in a folder; what one was about to finish is finished.

    Nothing is touched but what has a name of our own and is held by no process.

    Parameters
    ----------
    below : a pattern of folders in it that are swept too.
    """
    for place in (Path(folder), *(Path(folder).glob(below) if below else ())):
        with suppress(OSError):
            for left in place.glob(f"{SCRATCH}*"):
                if not left.is_symlink() and left.is_dir() and _is_orphan(left):
                    _finish(left)
            for lock in place.glob(f".*{LOCK}"):
                if lock.name != LOCK:
                    drop(lock)


def _is_orphan(left: Path) -> bool:
    """Whether a scratch folder is wanted no longer: nobody holds it; where there are no locks, it is old."""
    if _lock_of(left).exists():
        return not is_held(_lock_of(left))
    newest = max(found.lstat().st_mtime for found in (left, *left.rglob("*")))
    return time.time() - newest > _LONG


def _finish(left: Path) -> None:
    """Remove a scratch folder, and put what it was to replace a folder by in its place where that one is gone."""
    for whole in left.iterdir() if (left / _OLD).exists() else ():
        if whole.name != _OLD and not (left.parent / whole.name).exists():
            os.rename(whole, left.parent / whole.name)
    shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _naming(path: Path, folder: Path) -> Iterator[None]:
    """What fails in the scratch folder of a path, on a full disk say, names the path."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and getattr(cause, "errno", None) not in FULL:  # a writer that meets it may stumble
            cause = cause.__context__
        if isinstance(found := cause or error, OSError) and (cause or str(found.filename).startswith(str(folder))):
            raise OSError(found.errno, found.strerror, str(path)) from None
        if type(error) is OSError and error.errno is None:  # numpy's or safetensors', of a full disk
            text = str(error).replace(str(folder), str(path.parent))
            raise OSError(text if str(path) in text else f"{path}: cannot be written ({text})") from None
        raise


@contextmanager
def at(path: Path) -> Iterator[None]:
    """Inside, a failure of the system that names no file, as a full disk's while an open one is written, names this."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuse to write over a file or folder unless that was asked for, over a folder that is not our own, in the place
    of a part of a run, which is none without it, and where nothing can be made.

    What writers left beside it that were killed goes first.
    """
    sweep(path.parent)
    if os.path.ismount(path):
        raise ValueError(f"{path}: a mount point, which cannot be replaced; choose a name in it or beside it")
    if path.name in RUN and is_run(path.parent):
        raise ValueError(f"{path}: the place of a part of the run in {path.parent}; choose another name")
    if (path.exists() or path.is_symlink()) and not overwrite:
        raise ValueError(f"{path}: exists; choose another name or add overwrite=True")
    if path.suffix in _OF_FILES and path.is_dir():
        raise ValueError(f"{path}: a folder, a file is needed; choose another name")
    if path.is_dir() or not path.suffix:
        _refuse_foreign(path)
    _refuse_unwritable(path)


def _refuse_unwritable(path: Path) -> None:
    """Raise what a writer beside the path would fail by after its work."""
    nearest = next(place for place in path.absolute().parents if os.path.lexists(place))
    try:
        TemporaryDirectory(prefix=SCRATCH, dir=nearest).cleanup()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def refuse_results(out: Path, names: Iterable[str], overwrite: bool) -> None:
    """Refuse to write files, such as `tables/runs.csv`, into a folder of results through a link, or over any of them
    unless that was asked for.
    """
    sweep(out)
    for file in [out / name for name in names]:
        if link := next((one for one in (out, file.parent, file) if one.is_symlink()), None):
            raise ValueError(f"{link}: a link, and nothing is written through links; remove it")
        refuse_existing(file, overwrite)


def refuse_same(option: str, path: Path, others: Iterable[Path]) -> None:
    """Refuse to write where another file is read or written, around it or in it: a folder that is one of both. In the
    folder of a run there is room for what it made.
    """
    here = path.resolve()
    for other in others:
        there = other.resolve()
        if here == there or here in there.parents or (there in here.parents and not is_run(there)):
            is_it = "is" if here == there else "holds" if here in there.parents else "lies in"
            raise ValueError(f"{option}: {path} {is_it} {other}, which is read or written too; another file is needed")


def keep_as_old(file: Path, place: Path) -> None:
    """Move a file that a reader wrote or changed beside `place`, as `.old`, `.old1` and so on, and say so."""
    olds = (place.with_name(f"{place.name}.old{number or ''}") for number in count())
    os.replace(file, old := next(one for one in olds if not os.path.lexists(one)))
    to_stderr(f"{place}: what was changed in it is kept in {old.name}")


def stem(path: str | Path) -> str:
    """The name of a file without its suffix, or of a folder; of the working directory, and of what lies there, too."""
    place = Path(os.path.abspath(path))
    return place.name if place.is_dir() else place.stem


def is_run(folder: Path) -> bool:
    """Whether the folder's `translator.json` is that of a run, of any format."""
    with suppress(OSError, ValueError):
        return bool(read_description(folder / RUN[0], {"format": "a whole number from 1 on", "method": "text"}))
    return False


def _refuse_foreign(path: Path) -> None:
    """Refuse to replace a file, a link, a folder that another process fills, or one with anything in it that is not
    listed in its own `WROTE`.
    """
    if path.name in ("", ".."):
        raise ValueError(f"{path}: the name of a folder to make is needed")
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise ValueError(
            f"{path}: a {'link' if path.is_symlink() else 'file'}, a folder is needed; choose another name"
        )
    if not path.exists():
        return
    refuse_held(path)
    try:
        wrote = read_description(path / WROTE, {"wrote": "a list of texts"})["wrote"]
    except (OSError, ValueError):
        wrote = []
    own = {WROTE, *wrote, *(folder.as_posix() for name in wrote for folder in PurePosixPath(name).parents)}
    if (foreign := next((name for name in _names(path) if name not in own), None)) is not None:
        raise ValueError(f"{path}: holds {foreign}, which was not written here; choose another name, or remove it")


def _names(folder: Path) -> Iterator[str]:
    """The files in a folder and the folders in it, and those of these that are empty."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        inside = PurePosixPath(os.path.relpath(place, folder).replace(os.sep, "/"))
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        yield from ((inside / name).as_posix() for name in sorted([*files, *links]))
        if not folders and not files and place != str(folder):
            yield inside.as_posix()


POINTER = b"version https://git-lfs"


def refuse_special(path: Path, written: bool = False) -> None:
    """Refuse a pipe or a device: it can be read once, and where nobody writes into it a reader waits for ever.

    And what Git has in the place of a large file until it is fetched, and a file that may not be read: libraries say of
    it that there is none, or that it is damaged.

    Parameters
    ----------
    written : another file takes its place, for which it need not be read.
    """
    if os.path.exists(path) and not (path.is_file() or path.is_dir()):  # which takes a name of any length
        raise ValueError(f"{path}: a pipe or a device, a file is needed")
    try:
        with open(path, "rb") as file:
            pointer = file.read(len(POINTER)) == POINTER
    except PermissionError:
        if not written and not os.path.isdir(path):
            raise ValueError(f"{path}: no permission to read it") from None
        return
    except (OSError, ValueError):  # no file, a zero byte in its name
        return
    if pointer:
        raise ValueError(f"{path}: a Git LFS pointer, not the data; run: git lfs pull")


def refuse_closed(folder: Path) -> None:
    """Refuse a folder that may not be read: `Path.glob` finds nothing in it."""
    try:
        os.scandir(folder).close()
    except PermissionError:
        raise ValueError(f"{folder}: no permission to read it") from None
    except OSError:  # no folder
        return


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    refuse_special(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_not_text(path: Path) -> None:
    """Refuse a name that is no text in UTF-8: safetensors writes such a file and cannot read it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{path}: a name in UTF-8 is needed") from None


def refuse_links(folder: Path, names: Iterable[str] | None = None) -> None:
    """Refuse a folder to write into, or to go on in, that is a link or has links in it: it could land elsewhere.

    names : of what is written in it. Default: anything, in the folders below it too.
    """
    refuse_not_text(folder)
    below = (Path(place) / name for place, below, files in os.walk(folder) for name in [*below, *files])
    found = below if names is None else (folder / name for name in names)
    if link := next((entry for entry in chain([folder], found) if entry.is_symlink()), None):
        raise ValueError(f"{link}: a link, and nothing is written through links; remove it")


def write_npy(path: str | Path, shape: Sequence[int], dtype: Any, pieces: Iterable[np.ndarray]) -> None:
    """Write a `.npy` array of this shape from its pieces, end to end along the first axis, one in memory at a time."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        if math.prod(shape) * np.dtype(dtype).itemsize > shutil.disk_usage(temporary).free:  # before the disk is full
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
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
    refuse_special(Path(path))
    return parsed(path, Path(path).read_bytes())


def read_description(path: str | Path, fields: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Any:
    """Read a JSON file that is an object with these fields, see `modtrans_core.store.described.checked`."""
    return checked(path, read_json(path), fields, optional)
