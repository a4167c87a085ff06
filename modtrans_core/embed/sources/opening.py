"""Files that data sets name, opened with care: the names are data, and may be anything."""

from __future__ import annotations

import io
import os
import posixpath
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO
from unicodedata import normalize

from modtrans_core.store.files import refuse_special

LARGEST = 2**29  # bytes that a member of a zip file may have; a small zip can claim any size
OUTSIDE = "outside the folder"
_SNAPSHOT = re.compile(r"(.*/(?:datasets|models|spaces)--[^/]+)/snapshots/[^/]+(?:/|$)")


@contextmanager
def opened(value: str | Path | bytes) -> Iterator[BinaryIO]:
    """A path, or the bytes of a file, open for reading.

    Raises
    ------
    ValueError
        If there is no such file, or nothing in it; the message is a few words that are the same for all such files.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        if not value:
            raise ValueError("empty file")
        yield io.BytesIO(value)
        return
    with _file(value) as file:
        if not os.fstat(file.fileno()).st_size:
            raise ValueError("empty file")
        yield file


def _file(value: Any) -> BinaryIO:
    try:
        path = os.fspath(value)
        if os.path.isfile(path) or not os.path.exists(path):  # not a folder, nor a pipe that would wait for ever
            return open(path, "rb")
    except PermissionError:
        raise ValueError("no permission") from None
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError("missing file") from None
    except OSError:
        raise ValueError("unreadable file") from None
    except (TypeError, ValueError):  # a number, say, or a zero byte in the name
        raise ValueError("not a path") from None
    raise ValueError("not a file")


def relative(name: str) -> str:
    """The name of a file in a folder as a path of that folder, `./` and `//` taken out, else unchanged.

    Raises
    ------
    ValueError
        If it is empty, leads out of the folder, or cannot be written as UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError("file name is not UTF-8") from None
    tidy = posixpath.normpath(name)
    if tidy == ".":
        raise ValueError("no file name")
    if "\0" in tidy:
        raise ValueError("not a file name")
    if tidy.startswith("/") or tidy == ".." or tidy.startswith("../"):
        raise ValueError(OUTSIDE)
    return tidy


def is_within(folder: str, name: str) -> bool:
    """Whether a path, absolute or of the folder, lies in it, once links are followed.

    Of a snapshot in a cache of the Hugging Face hub all files are links to the `blobs` beside it, which are its own.
    """
    try:
        root = os.path.realpath(folder)
        path = os.path.realpath(os.path.join(root, name))
        return any(os.path.commonpath([one, path]) == one for one in (root, *_blobs(root)))
    except ValueError:  # a zero byte, another drive
        return False


def _blobs(root: str) -> list[str]:
    """Where the files of a snapshot, `datasets--owner--name/snapshots/commit`, or of a folder in one are."""
    snapshot = _SNAPSHOT.match(root)
    return [os.path.join(snapshot[1], "blobs")] if snapshot else []


def of_folder(folder: Path, name: Any, known: Container[str] = ()) -> Any:
    """The name of a file as a path of the folder: it may be absolute, and have Windows' `\\` between its parts, or
    accents in the other of Unicode's two forms than the folder has, as archives of macOS do.

    Parameters
    ----------
    known : the files of the folder, where they are listed.
    """
    if not isinstance(name, str):
        return name
    if "\\" in name and not os.path.lexists(os.path.join(folder, name)):
        name = name.replace("\\", "/")
    if os.path.isabs(name) and is_within(str(folder), name):
        place, last = os.path.split(name)
        name = os.path.relpath(os.path.join(os.path.realpath(place), last), os.path.realpath(folder)).replace(
            os.sep, "/"
        )
    if name.isascii() or name in known:
        return name
    return next((one for form in ("NFC", "NFD") if (one := normalize(form, name)) in known), name)


def size_of(path: str | Path) -> int | None:
    """The bytes of a file; None where there is none."""
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):  # a zero byte in the name
        return None


def part_of(folder: Path, file: Path) -> Path:
    """A description in the folder of a data set, which may be no link out of it; a folder of pictures may."""
    if not is_within(str(folder), str(file.absolute())):
        raise ValueError(f"{file}: leads out of {folder}, in which a data set has its descriptions; copy it there")
    return file


@dataclass(frozen=True, slots=True)
class FileWithin:
    """A file of a folder. Called, it gives the path, once no symbolic link leads out of the folder."""

    folder: str
    name: str

    def __call__(self) -> Path:
        if not is_within(self.folder, self.name):
            raise ValueError(OUTSIDE)
        return Path(os.path.realpath(os.path.join(os.path.realpath(self.folder), self.name)))

    @property
    def identity(self) -> int | None:
        """Its size, by which a listing tells that it was replaced."""
        return size_of(os.path.join(self.folder, self.name))


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A file in a zip file. Called, it gives the bytes; nothing is ever extracted to disk."""

    file: str
    name: str

    def __call__(self) -> bytes:
        try:
            archive = _archive(self.file, os.getpid())
            member = archive.getinfo(self.name)
            if member.file_size > LARGEST:
                raise ValueError(f"file over {LARGEST >> 20} MiB in the zip")
            if stat.S_ISLNK(member.external_attr >> 16):
                raise ValueError("a link in the zip")
            return archive.read(member)
        except KeyError:
            raise ValueError("missing file") from None
        except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
            raise ValueError("damaged or encrypted in the zip") from None

    @property
    def identity(self) -> int | None:
        """Its checksum in the zip file's directory."""
        member = _archive(self.file, os.getpid()).NameToInfo.get(self.name)
        return None if member is None else member.CRC


class ZipFiles:
    """The files of a zip file by name.

    Raises
    ------
    ValueError
        If it is not a whole zip file; of a name, when called, if there is no such file or more than one.
    """

    def __init__(self, file: Path) -> None:
        self.file = str(file)
        refuse_special(file)
        try:
            self._times = Counter(_archive(self.file, os.getpid()).namelist())
        except (EOFError, ValueError, zipfile.BadZipFile):
            raise ValueError(f"{file}: not a zip file, or not all of it ({file.stat().st_size} bytes)") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._times)

    def __call__(self, name: str) -> ZipMember:
        if name not in self._times:
            raise ValueError("missing file")
        if self._times[name] > 1:
            raise ValueError("several files of one name in the zip")
        return ZipMember(self.file, name)


@lru_cache(maxsize=8)
def _archive(file: str, process: int) -> zipfile.ZipFile:
    """An open zip file: one for each process, for a forked one would share its place in the file."""
    return zipfile.ZipFile(file)
