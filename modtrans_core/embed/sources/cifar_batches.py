"""CIFAR-10's batches, read from a folder or a gzipped tar, in the binary and in the python version.

The python version is made of pickles, and a pickle can run any program. These are read by an unpickler that knows
three names, all of them its own: what it builds are dictionaries, lists, bytes, numbers and bytes with a shape.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import tarfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from modtrans_core.embed.sources.opening import part_of

BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32  # pixels
_PIXELS = 3 * SIDE * SIDE
_ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
_LARGEST = 64 << 20  # bytes of a batch; the published ones have 31 million


def read_batches(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pictures (n, 32, 32, 3) uint8 and labels (n,) uint8 of each batch that is there, in the order of `BATCHES`.

    Parameters
    ----------
    path : `cifar-10-binary.tar.gz`, `cifar-10-python.tar.gz`, a folder of batches, or a folder with one of these.
        The binary version is preferred.

    Raises
    ------
    ValueError
        If there are no batches, or one is not what CIFAR-10 has.
    """
    read = {}
    for file, contents in _files(path):
        where = f"{path}: {file}"
        pixels, labels = _binary(contents, where) if file.endswith(".bin") else _unpickled(contents, where)
        if labels.size and labels.max() >= len(CLASSES):
            raise ValueError(f"{where}: label {labels.max()}, one from 0 to {len(CLASSES) - 1} is needed")
        pictures = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        read[file.removesuffix(".bin")] = np.ascontiguousarray(pictures), labels
    if not read:
        raise ValueError(f"{path}: no data_batch_1.bin or data_batch_1, and no {' or '.join(_ARCHIVES)}")
    if missing := [batch for batch in BATCHES if batch not in read]:
        warnings.warn(f"{path}: without {', '.join(missing)}; what is there is taken", stacklevel=2)
    return {batch: read[batch] for batch in BATCHES if batch in read}


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """The batches of one version, name and contents, one at a time."""
    if path.is_file():
        yield from _archived(path)
        return
    for folder in (path / name for name in ("cifar-10-batches-bin", "cifar-10-batches-py", "")):
        for suffix in (".bin", ""):
            files = [file for batch in BATCHES if (file := folder / f"{batch}{suffix}").is_file()]
            for file in files:
                part_of(path, file)
                _bounded(path, file.name, file.stat().st_size)
                yield file.name, file.read_bytes()
            if files:
                return
    for archive in (path / name for name in _ARCHIVES):
        if archive.is_file():
            yield from _archived(archive)
            return


def _archived(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path, "r|*") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                if member.isreg() and name.removesuffix(".bin") in BATCHES:
                    _bounded(path, name, member.size)
                    file = tar.extractfile(member)
                    yield name, b"" if file is None else file.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: damaged tar ({error})") from None


def _bounded(path: Path, name: str, size: int) -> None:
    if size > _LARGEST:
        raise ValueError(f"{path}: {name}: {size:,} bytes, at most {_LARGEST:,} are read")


def _binary(contents: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    if not contents or len(contents) % (1 + _PIXELS):
        raise ValueError(f"{where}: {len(contents):,} bytes, a multiple of {1 + _PIXELS:,} is needed")
    records = np.frombuffer(contents, np.uint8).reshape(-1, 1 + _PIXELS)
    return records[:, 1:], records[:, 0].copy()


def _unpickled(contents: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        for opcode, number, _ in pickletools.genops(contents):  # a place in the memo takes as much memory as its number
            if opcode.name in ("PUT", "LONG_BINPUT") and int(number or 0) > len(contents):
                raise ValueError("a memo of impossible size")
        batch = _Unpickler(io.BytesIO(contents), encoding="bytes").load()
        held = {name.decode() if isinstance(name, bytes) else name: value for name, value in batch.items()}
        pixels, labels = held["data"].array, np.array(held["labels"])
        if pixels.ndim != 2 or labels.shape != pixels.shape[:1] or pixels.shape[1] != _PIXELS:
            raise ValueError(f"pictures of shape {pixels.shape} and labels of shape {labels.shape}")
        if labels.dtype.kind != "i" or labels.min(initial=0) < 0:
            raise ValueError("labels that are not numbers from 0 on")
        return pixels, labels.clip(max=255).astype(np.uint8)
    except Exception as error:  # a damaged pickle raises anything
        raise ValueError(f"{where}: not a batch of CIFAR-10 ({error or type(error).__name__})") from None


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" in ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"):
            return _Bytes
        if module == "numpy" and name in ("ndarray", "dtype"):
            return {"ndarray": _Bytes, "dtype": _Type}[name]
        raise ValueError(f"it names {module}.{name}, which is refused")


class _Type:
    """Stands for a `numpy.dtype`, of which one is admitted."""

    def __init__(self, code: Any, *_: Any) -> None:
        if code not in ("u1", b"u1"):
            raise ValueError(f"numbers of type {code!r}, 'u1' is needed")

    def __setstate__(self, state: Any) -> None:
        pass


class _Bytes:
    """Stands for a `numpy.ndarray`; it gets its array from the state that numpy pickles."""

    def __init__(self, *_: Any) -> None:
        self.array = np.empty((0,), np.uint8)

    def __setstate__(self, state: Any) -> None:
        _, shape, _, column_major, raw = state
        if column_major or not isinstance(raw, bytes):
            raise ValueError("an array that is not of bytes, row by row")
        self.array = np.frombuffer(raw, np.uint8).reshape(shape)
