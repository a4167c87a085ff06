"""Pair sets: the embeddings of the same items in two or more modalities."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core.files import disk_errors, replacing

SUFFIXES = (".npz", ".safetensors")
_NOT_A_MODALITY = ("group", "key", "metadata")


@dataclass(frozen=True)
class PairedEmbeddings:
    """Row i of every array belongs to item i.

    Parameters
    ----------
    arrays : one array a modality, named after it (`image`, `text`, ...): (n, d), or (n, m, d) where an item has
        up to m vectors (several captions of one picture). Kept as float32; finite, no zero vector.
    counts : for each (n, m, d) array, how many of the m vectors are there, (n,), 1 to m. Default: all m.
    group : (n,) integers; items of one group are never split apart (variants of one picture). Default: each its own.
    key : (n,) strings that name the items.
    metadata : JSON values: data set, licence, and what each encoder was, one entry a modality.

    Raises
    ------
    ValueError
        Lengths that differ, a wrong shape, a non-finite or zero vector, a count out of range.
    """

    arrays: Mapping[str, np.ndarray]
    counts: Mapping[str, np.ndarray] = field(default_factory=dict)
    group: np.ndarray = None  # type: ignore[assignment]  # made in __post_init__
    key: np.ndarray | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.arrays:
            raise ValueError("arrays: empty, at least one modality is needed")
        n = len(next(iter(self.arrays.values())))
        arrays, counts = {}, {}
        for name, array in self.arrays.items():
            arrays[name] = _vectors(name, np.asarray(array), n)
            if array.ndim == 3:
                given = self.counts.get(name)
                counts[name] = _counts(name, given, arrays[name].shape[:2])
            _refuse_bad_rows(name, arrays[name], counts.get(name))
        for name in set(self.counts) - set(counts):
            raise ValueError(f"{name}_count: given, but {name!r} is not an array of shape (n, m, d)")
        object.__setattr__(self, "arrays", arrays)
        object.__setattr__(self, "counts", counts)
        group = np.arange(n) if self.group is None else np.asarray(self.group)
        if group.shape != (n,) or group.dtype.kind not in "iu":
            raise ValueError(f"group: {group.dtype} of shape {group.shape}, integers of shape ({n},) are needed")
        object.__setattr__(self, "group", group.astype(np.int64))
        if self.key is not None and np.shape(self.key) != (n,):
            raise ValueError(f"key: shape {np.shape(self.key)}, ({n},) is needed")

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self.arrays.items())
        return f"PairedEmbeddings({shapes})"

    def modality(self, name: str) -> np.ndarray:
        """The array of one modality, (n, d) or (n, m, d)."""
        if name not in self.arrays:
            raise ValueError(f"modality {name!r}: not in this pair set, which has {', '.join(self.arrays)}")
        return self.arrays[name]

    def rows(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """All vectors of a modality as rows (N, d), and the item that each belongs to (N,), ascending."""
        array = self.modality(name)
        if array.ndim == 2:
            return array, np.arange(len(array))
        present = np.arange(array.shape[1]) < self.counts[name][:, None]
        return array[present], np.nonzero(present)[0]

    def pairings(self, source: str, target: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Every (condition, target) pair: the rows c (N, k) and z (M, d), and the indices into them (P,) and (P,)."""
        (c, c_item), (z, z_item) = self.rows(source), self.rows(target)
        first = np.searchsorted(z_item, np.arange(len(self) + 1))
        several = np.diff(first)[c_item]
        of_c = np.repeat(np.arange(len(c)), several)
        offset = np.arange(len(of_c)) - np.repeat(np.cumsum(several) - several, several)
        return c, z, of_c, first[c_item[of_c]] + offset

    def fingerprint(self) -> str:
        """SHA-256 of the vectors, their counts and groups: the same for the same data in any file format."""
        digest = hashlib.sha256()
        for name in sorted(self.arrays):
            digest.update(name.encode())
            for part in self.rows(name):
                digest.update(np.ascontiguousarray(part).data)
        digest.update(np.unique(self.group, return_inverse=True)[1].astype(np.int64).data)
        return digest.hexdigest()

    def take(self, items: np.ndarray) -> PairedEmbeddings:
        """The pair set of these items, in this order."""
        return replace(
            self,
            arrays={name: array[items] for name, array in self.arrays.items()},
            counts={name: count[items] for name, count in self.counts.items()},
            group=self.group[items],
            key=None if self.key is None else self.key[items],
        )

    def split(self, seed: int = 0, fractions: Sequence[float] = (0.7, 0.1, 0.2)) -> tuple[PairedEmbeddings, ...]:
        """Split into train, validation and test, whole groups at a time.

        Parameters
        ----------
        seed : chooses the order in which groups are dealt out.
        fractions : share of the items in each part, positive, summing to 1; met to within the size of a group.
        """
        if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
            raise ValueError(f"fractions: {tuple(fractions)}, positive numbers that sum to 1 are needed")
        labels, which, sizes = np.unique(self.group, return_inverse=True, return_counts=True)
        if len(labels) < len(fractions):
            raise ValueError(f"group: {len(labels)} groups cannot be split into {len(fractions)} parts")
        order = np.random.default_rng(seed).permutation(len(labels))
        middle = np.cumsum(sizes[order]) - sizes[order] / 2  # a group goes where its middle item falls
        cuts = np.searchsorted(middle, np.cumsum(fractions)[:-1] * len(self))
        first = np.arange(1, len(fractions))  # but every part gets a group
        cuts = np.clip(np.maximum.accumulate(cuts - first) + first, first, len(labels) - len(fractions) + first)
        part = np.empty(len(labels), dtype=np.int64)
        part[order] = np.searchsorted(cuts, np.arange(len(labels)), side="right")
        return tuple(self.take(np.flatnonzero(part[which] == index)) for index in range(len(fractions)))

    def save(self, path: str | Path) -> None:
        """Write one `.npz` or `.safetensors` file, whole or not at all."""
        path = Path(path)
        if path.suffix not in SUFFIXES:
            raise ValueError(f"{path}: unknown suffix {path.suffix!r}, one of {', '.join(SUFFIXES)} is needed")
        arrays: dict[str, Any] = dict(self.arrays)
        arrays |= {f"{name}_count": count for name, count in self.counts.items()}
        arrays["group"] = self.group
        metadata = json.dumps(self.metadata, sort_keys=True)
        with replacing(path) as temporary:
            if path.suffix == ".npz":
                if self.key is not None:
                    arrays["key"] = np.asarray(self.key, dtype=np.str_)
                np.savez(temporary, **arrays, metadata=np.array(metadata))
            else:
                from safetensors.numpy import save_file

                header = {"metadata": metadata}
                if self.key is not None:
                    header["key"] = json.dumps([str(key) for key in self.key])
                with disk_errors(path):
                    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary, header)

    @staticmethod
    def load(path: str | Path) -> PairedEmbeddings:
        """Read a `.npz` or `.safetensors` file, a folder of such shards, or a folder in clip-retrieval's layout."""
        path = Path(path)
        if not path.exists():
            raise ValueError(f"{path}: no such file or folder")
        if path.is_file():
            return _read_file(path)
        if (path / "img_emb").is_dir() or (path / "text_emb").is_dir():
            return _read_clip_retrieval(path)
        shards = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
        if not shards:
            raise ValueError(f"{path}: a folder with no {' or '.join(SUFFIXES)} file and no img_emb/ or text_emb/")
        return _concatenate([_read_file(shard) for shard in shards])


def _vectors(name: str, array: np.ndarray, n: int) -> np.ndarray:
    if array.dtype.kind != "f" or array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(
            f"{name}: {array.dtype} of shape {array.shape}, floats (n, d) or (n, m, d) with no empty side are needed"
        )
    if len(array) != n:
        raise ValueError(f"{name}: {len(array)} items, but another modality has {n}; lengths must match")
    return array.astype(np.float32, copy=False)


def _counts(name: str, given: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    n, m = shape
    counts = np.full(n, m) if given is None else np.asarray(given)
    if counts.shape != (n,) or counts.dtype.kind not in "iu" or counts.min() < 1 or counts.max() > m:
        raise ValueError(f"{name}_count: integers from 1 to {m} of shape ({n},) are needed")
    return counts.astype(np.int64)


def _refuse_bad_rows(name: str, array: np.ndarray, counts: np.ndarray | None) -> None:
    squared = np.einsum("...d,...d->...", array, array, dtype=np.float64)
    bad = ~(np.isfinite(squared) & (squared > 0))
    if counts is not None:
        bad &= np.arange(array.shape[1]) < counts[:, None]
    if bad.any():
        where = np.argwhere(bad)[0]
        row = array[tuple(where)]
        what = "a zero vector" if np.all(row == 0) else "NaN or infinity"
        raise ValueError(
            f"{name}: {what} in row {where[0]} ({bad.sum()} bad of {bad.size}); finite non-zero vectors are needed"
        )


def _read_file(path: Path) -> PairedEmbeddings:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            if "metadata" in arrays:
                arrays["metadata"] = arrays["metadata"].item()
        elif path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                header = file.metadata() or {}
            if "key" in header:
                arrays["key"] = np.array(json.loads(header["key"]))
            arrays["metadata"] = header.get("metadata", "{}")
        else:
            raise ValueError(f"unknown suffix {path.suffix!r}, one of {', '.join(SUFFIXES)} or a folder is needed")
        return _from_arrays(arrays)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ValueError(f"{path}: damaged or cut short ({error})") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise ValueError(f"{path}: damaged or cut short ({error})") from None


def _from_arrays(arrays: dict[str, Any]) -> PairedEmbeddings:
    counts = {name.removesuffix("_count"): array for name, array in arrays.items() if name.endswith("_count")}
    return PairedEmbeddings(
        arrays={k: v for k, v in arrays.items() if k not in _NOT_A_MODALITY and not k.endswith("_count")},
        counts=counts,
        group=arrays.get("group"),  # type: ignore[arg-type]
        key=arrays.get("key"),
        metadata=json.loads(arrays.get("metadata", "{}")),
    )


def _read_clip_retrieval(path: Path) -> PairedEmbeddings:
    arrays = {}
    for modality, prefix in (("image", "img_emb"), ("text", "text_emb")):
        files = sorted((path / prefix).glob(f"{prefix}_*.npy"), key=lambda file: int(file.stem.rsplit("_", 1)[1]))
        if files:
            try:
                arrays[modality] = np.concatenate([np.load(file, allow_pickle=False) for file in files])
            except (ValueError, EOFError) as error:
                raise ValueError(f"{path / prefix}: damaged or mismatched shards ({error})") from None
    if not arrays:
        raise ValueError(f"{path}: no img_emb/img_emb_*.npy and no text_emb/text_emb_*.npy")
    return PairedEmbeddings(arrays)


def _concatenate(shards: list[PairedEmbeddings]) -> PairedEmbeddings:
    first = shards[0]
    for shard in shards[1:]:
        if {k: v.shape[1:] for k, v in shard.arrays.items()} != {k: v.shape[1:] for k, v in first.arrays.items()}:
            raise ValueError(f"shards differ: {first} and {shard}; every shard needs the same modalities and shapes")
    keyed = all(shard.key is not None for shard in shards)
    grouped = np.concatenate([shard.group for shard in shards])
    return PairedEmbeddings(
        arrays={name: np.concatenate([shard.arrays[name] for shard in shards]) for name in first.arrays},
        counts={name: np.concatenate([shard.counts[name] for shard in shards]) for name in first.counts},
        group=grouped,
        key=np.concatenate([shard.key for shard in shards if shard.key is not None]) if keyed else None,
        metadata=first.metadata,
    )
