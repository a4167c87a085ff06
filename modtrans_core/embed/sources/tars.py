"""Tars, read in one pass with nothing unpacked: the samples of a webdataset, and the files of a package.

A sample is a run of members whose names agree up to the first dot of the file name, as webdataset has it:
`00000/000001.jpg`, `00000/000001.txt` and `00000/000001.json` are the key `00000/000001` with three suffixes.
"""

from __future__ import annotations

import gzip
import lzma
import os
import re
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from modtrans_core.extras import require
from modtrans_core.store.files import refuse_special

_LARGEST_HEADER = 1 << 20  # bytes of a long name or of pax records, which tarfile reads into memory
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_NAME = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)", re.DOTALL)
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, struct.error, UnicodeError)
_LARGEST_FILE, _LARGEST_ALL = 1 << 26, 1 << 30  # bytes of a package's file, and of all that are held
_AR, _AR_HEADER, _AR_END = b"!<arch>\n", 60, b"`\n"  # a Debian package is an ar archive (deb(5), ar(5))
_ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878


class DamagedTar(ValueError):
    """The tar cannot be read beyond this point."""


@dataclass
class Sample:
    """Members of one key: their bytes by lower-case suffix. `reason` says why none of it can be used."""

    key: str
    members: dict[str, bytes] = field(default_factory=dict)
    reason: str | None = None


def samples(path: Path, largest: Mapping[str, int], headers_only: bool = False) -> Iterator[Sample]:
    """The samples of a tar, plain or gzipped, in order.

    A suffix that comes again begins the next sample. Folders, links and devices are no members, and neither are files
    without a suffix or with a name that begins with a dot.

    Parameters
    ----------
    largest : for each suffix that matters, how many bytes a member may have; a sample with a larger one cannot be used.
        Members with other suffixes are passed over.
    headers_only : leave the members empty.

    Raises
    ------
    DamagedTar
        Where the damage begins: after the samples that come before it.
    OSError
        If the file cannot be opened or read.
    """
    sample: Sample | None = None
    try:
        with tarfile.open(path, "r:gz" if _is_gzip(path) else "r:", tarinfo=_Member) as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every one
                name = _NAME.fullmatch(member.name)
                if not member.isreg() or name is None:
                    continue
                key, suffix = _without_dots(name[1]), name[2].lower()
                if sample is None or sample.key != key or suffix in sample.members:
                    if sample is not None:
                        yield sample
                    sample = Sample(key, reason=_unsafe(member.name))
                if suffix not in largest:
                    continue
                if member.size > largest[suffix]:
                    sample.reason = sample.reason or f"a .{suffix} of more than {largest[suffix] >> 20} MiB"
                unread = headers_only or sample.reason is not None
                sample.members[suffix] = b"" if unread else _contents(tar, member)
    except _DAMAGE as error:
        if sample is not None:
            yield sample
        raise DamagedTar(f"{path}: damaged tar ({error})") from None
    if sample is not None:
        yield sample


def files(path: str | Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The files of a package that are wanted, name -> contents, in order: of a tar, or of the tar in a `.deb`.

    Names have no `./` in front. Links are no files. The tar is plain or packed by gzip, bzip2, xz or zstd.

    Parameters
    ----------
    wanted : whether the file of that name is to be read.

    Raises
    ------
    DamagedTar
        If it is neither, is damaged anywhere, or a wanted file has over 64 MiB, all of them over 1 GiB.
    ValueError
        If there is no such file, or it cannot be read.
    """
    found: dict[str, bytes] = {}
    held = 0
    refuse_special(Path(path))
    try:
        with _packed(path) as packed, tarfile.open(fileobj=packed, mode="r|*", tarinfo=_Member) as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]
                name = _without_dots(member.name)
                if not member.isreg() or not wanted(name):
                    continue
                held += member.size
                if member.size > _LARGEST_FILE or held > _LARGEST_ALL:
                    raise tarfile.ReadError(f"{name}: too large")
                found[name] = _contents(tar, member)
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file") from None
    except (*_DAMAGE, OSError, TypeError) as error:  # tarfile's, of a gzip file that is cut within its first bytes
        if why := getattr(error, "strerror", None):
            raise ValueError(f"{path}: {why}") from None
        raise DamagedTar(f"{path}: damaged package ({error})") from None
    return found


@contextmanager
def _packed(path: str | Path) -> Iterator[Any]:
    """The tar, packed as `tarfile` knows; of a Debian package its data."""
    with open(path, "rb") as file:
        part = _Part(file, _to_data(file))
        first = file.read(len(_ZSTD))
        file.seek(-len(first), os.SEEK_CUR)
        if first == _ZSTD:  # as Ubuntu packs; tarfile knows it since Python 3.14
            with require("pyarrow", "encoders").CompressedInputStream(part, "zstd") as unpacked:
                yield unpacked
        else:
            yield part


def _to_data(file: BinaryIO) -> int:
    """Go to where the tar begins; the bytes that it has."""
    if file.read(len(_AR)) != _AR:
        return file.seek(0, os.SEEK_END) - file.seek(0)
    while len(header := file.read(_AR_HEADER)) == _AR_HEADER and header.endswith(_AR_END):
        size = header[48:58].strip()
        if not size.isdigit():
            break
        if header.startswith(b"data.tar"):
            return int(size)
        file.seek(int(size) + int(size) % 2, os.SEEK_CUR)
    raise tarfile.ReadError("no data.tar")


@dataclass
class _Part:
    """The next `left` bytes of a file, as far as a stream is read."""

    file: BinaryIO
    left: int
    closed = False

    def read(self, size: int) -> bytes:
        contents = self.file.read(min(size, self.left))
        self.left -= len(contents)
        return contents

    def close(self) -> None:
        """The file is its opener's."""


class _Member(tarfile.TarInfo):
    """A member whose header is sound. tarfile takes a broken one, or the lack of an end mark, for the end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Any:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Any:
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0 or (member.type in _HEADERS and member.size > _LARGEST_HEADER):
            raise tarfile.ReadError("impossible size")
        return member


def _contents(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    contents = b"" if file is None else file.read()
    if len(contents) != member.size:
        raise tarfile.ReadError("unexpected end of data")
    return contents


def _is_gzip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _without_dots(key: str) -> str:
    return str(PurePosixPath(key))  # `./000001` as `tar cf x.tar .` writes it


def _unsafe(name: str) -> str | None:
    if not name.isprintable():  # surrogates among them, which stand for bytes that are not UTF-8
        return "a member's name is not printable UTF-8"
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        return "a member's name leads out of the tar"
    return None
