"""Files inside zip archives, read where they are: nothing is unpacked."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LARGEST = 256 << 20  # bytes of a file; a larger one is not read


@dataclass(frozen=True)
class Zipped:
    """A file of a zip archive, (archive, name), which gives its bytes when called.

    Raises
    ------
    ValueError
        From the call, if the file cannot be read; the message is the same for all such files.
    """

    archive: Path
    name: str

    def __call__(self) -> bytes:
        archive = _opened(self.archive, os.getpid())
        if archive.getinfo(self.name).file_size > LARGEST:
            raise ValueError(f"a file of more than {LARGEST >> 20} MiB")
        try:
            return archive.read(self.name)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            # NotImplementedError: an unknown method; RuntimeError: a password.
            raise ValueError("damaged in its zip archive") from None


def zipped(archive: Path) -> Iterator[Zipped]:
    """The files of an archive in its order, without those whose name is absolute or leads out of the archive.

    Raises
    ------
    ValueError
        If it is not a zip archive.
    """
    for name in _opened(archive, os.getpid()).namelist():
        if not (name.endswith("/") or name.startswith("/") or ".." in name.split("/") or "\\" in name):
            yield Zipped(archive, name)


@lru_cache(maxsize=8)
def _opened(archive: Path, process: int) -> zipfile.ZipFile:
    """The archive, opened once a process: a fork would share the place in the file."""
    try:
        return zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{archive}: not a zip archive ({error})") from None
