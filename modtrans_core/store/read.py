"""Reads a pair set from a file or a folder, into memory or left on disk, as plain contents."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core.checks import naming, refuse_modality, refuse_unless
from modtrans_core.store.contents import (
    CAPTIONS,
    CLASSES,
    INDEPENDENT,
    Contents,
    as_texts,
    captions_by_item,
    captions_of,
    differing,
)
from modtrans_core.store.described import metadata
from modtrans_core.store.files import WROTE, read_description
from modtrans_core.store.headers import (
    BESIDE,
    RECORD,
    SUFFIXES,
    are_large,
    blocks,
    clip_retrieval_parts,
    is_vectors,
    located,
    reading,
    rows,
    shard_files,
    small_arrays,
    vectors,
)
from modtrans_core.store.mapped import Block, MappedRows, join
from modtrans_core.store.names import groups_of_one_name, read_keys, sidecars


def read(path: Path, mapped: bool | None = None) -> Contents:
    """See `modtrans_core.pairs.PairedEmbeddings.load`."""
    _refuse_gone(path)
    if path.is_dir() and (parts := clip_retrieval_parts(path)):
        return _with_names(path, _read_clip_retrieval(path, parts, mapped))
    files = _files(path)
    if path.is_dir() and (path / RECORD).exists() and not _record(path / RECORD)["finished"]:
        raise ValueError(f"{path}: embedding is unfinished; finish it with the same modtrans embed command")
    where = [] if mapped is False else located(files)
    mapped = are_large(where) if mapped is None else mapped
    contents = _concatenate(files, where if mapped else [{}] * len(files))
    if path.is_dir() and (path / RECORD).exists():
        said, n = _record(path / RECORD).get("items"), len(next(iter(contents.arrays.values())))
        if said not in (None, n):
            raise ValueError(
                f"{path}: {n} items, but {RECORD} says {said}: a shard is missing; embed the whole set anew"
            )
    return _with_names(path, contents)


def _refuse_gone(path: Path) -> None:
    """Refuse a folder without one of the files of vectors that were written with the others."""
    if path.is_dir() and (path / WROTE).exists():
        wrote = read_description(path / WROTE, {"wrote": "a list of texts"})["wrote"]
        vectors = (name for name in wrote if name.endswith((*SUFFIXES, ".npy")) and name != BESIDE)
        if gone := next((name for name in vectors if not (path / name).exists()), None):
            raise ValueError(f"{path / gone}: missing, but {WROTE} lists it; write the whole set anew")


def dimensions(path: Path) -> dict[str, int]:
    """The modalities of a pair set that `read` reads and how many numbers a vector has, from headers alone; 0 where
    there is no vector.
    """
    if path.is_dir() and (parts := clip_retrieval_parts(path)):
        first = {name: located([*files.values()][:1]) for name, files in parts.items()}
        return {name: next(iter(found[0].values())).shape[-1] if found else 0 for name, found in first.items()}
    return {name: block.shape[-1] if block.shape else 0 for name, block in located(_files(path)[:1])[0].items()}


def _files(path: Path) -> list[Path]:
    """The file, or those of a folder, that hold a pair set; refused where there is none."""
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    files = shard_files(path)
    if not files:
        raise ValueError(f"{path}: a folder with no {' or '.join(SUFFIXES)} file and no img_emb/ or text_emb/")
    if files[0].suffix not in SUFFIXES:
        raise ValueError(
            f"{path}: unknown suffix {path.suffix!r}, one of {', '.join(SUFFIXES)} or a folder is needed;"
            " modtrans pack image=FILE text=FILE pairs.npz makes one of arrays and of columns of tables"
        )
    return files


def _record(record: Path) -> dict[str, Any]:
    """What the record of an embedding says of the whole."""
    found: dict[str, Any] = read_description(
        record, {"finished": "true or false"}, {"items": "a whole number from 0 on"}
    )
    return found


def read_npy(path: Path, name: str, counts: np.ndarray | None = None) -> Contents:
    """The modality `name` from a `.npy` array (n, d) or (n, m, d) with `counts`, on disk where it is large."""
    if not path.exists():
        raise ValueError(f"{path}: no such file")
    array = _read_npy(name, [path], are_large(located([path])), counts)
    with reading(path):
        return _from_arrays({name: array} | ({} if counts is None else {f"{name}_count": counts}))


def _with_names(path: Path, contents: Contents) -> Contents:
    """The contents with the names from parquet files beside the vectors, if they have none.

    Names of vectors on disk are not kept: there items of one name become a group, where there are none. A picture with
    several captions is several rows of clip-retrieval's layout.
    """
    if any(isinstance(array, MappedRows) for array in contents.arrays.values()):
        return contents if contents.group is not None else contents._replace(group=groups_of_one_name(path))
    if contents.key is not None or (keys := read_keys(path)) is None:
        return contents
    with naming(path):
        return contents._replace(key=as_texts("key", keys))


def _from_arrays(arrays: dict[str, Any]) -> Contents:
    return Contents(
        arrays={name: array for name, array in arrays.items() if is_vectors(name)},
        counts={name.removesuffix("_count"): array for name, array in arrays.items() if name.endswith("_count")},
        group=arrays.get("group"),
        key=arrays.get("key"),
        metadata=metadata(arrays.get("metadata", "{}")),
        own_split=arrays.get("own_split"),
        label=arrays.get("label"),
    ).checked()


def _read_clip_retrieval(path: Path, parts: dict[str, dict[int, Path]], mapped: bool | None) -> Contents:
    found = {name: list(several.values()) for name, several in parts.items() if several}
    files = [file for several in found.values() for file in several]
    for name in parts.keys() - found.keys() if files else ():
        warnings.warn(f"{path}: {name} has no numbered .npy file, and is left out", stacklevel=2)
    if not files:
        raise ValueError(f"{path}: no img_emb/img_emb_*.npy and no text_emb/text_emb_*.npy")
    mapped = are_large(located(files)) if mapped is None else mapped
    for name in found:  # `metadata_emb` would take the place of the set's own
        refuse_modality(name)
    arrays: dict[str, Any] = {name: _read_npy(name, several, mapped) for name, several in found.items()}
    _refuse_torn(parts)
    if (path / BESIDE).exists():
        with reading(path / BESIDE):
            arrays |= small_arrays(path / BESIDE)
    with reading(path):
        return _from_arrays(arrays)


def _refuse_torn(parts: Mapping[str, Mapping[int, Path]]) -> None:
    """Refuse parts that not all modalities have, or of another length: end to end, rows would not belong together."""
    (_, first), *others = ((name, several) for name, several in parts.items() if several)
    for name, several in others:
        for number in sorted(first.keys() | several.keys()):
            if number not in first or number not in several:
                there = first.get(number) or several[number]
                raise ValueError(f"{there}: part {number}, which the files of {name} and others do not all have")
            if (n := rows(several[number])) != (m := rows(first[number])):
                raise ValueError(f"{several[number]}: {n} rows, but {first[number].name} has {m}")


def _concatenate(files: Sequence[Path], where: Sequence[dict[str, Block]]) -> Contents:
    """The shards end to end, the vectors left where they are or, where that is not said, read."""
    parts: list[Contents] = []
    for file, found in zip(files, where, strict=True):
        with reading(file):
            arrays = small_arrays(file)
            mapped = {name: MappedRows(name, [block], arrays.get(f"{name}_count")) for name, block in found.items()}
            parts.append(_from_arrays(arrays | (mapped or vectors(file))))
    first = parts[0]
    if len(parts) == 1:
        return first
    _refuse_differing(files, parts)
    _warn_of_numbers(files[0].parent, parts)
    given: dict[str, list[Any]] = {
        name: [getattr(part, name) for part in parts] for name in ("group", "key", "own_split", "label")
    }
    joined: dict[str, Any] = {
        name: None if any(own is None for own in several) else np.concatenate(several)
        for name, several in given.items()
    }
    return first._replace(
        metadata=_metadata(parts),
        arrays={name: join(name, [part.arrays[name] for part in parts]) for name in first.arrays},
        counts={name: np.concatenate([part.counts[name] for part in parts]) for name in first.counts},
        **joined,
    )


def _warn_of_numbers(folder: Path, parts: Sequence[Contents]) -> None:
    """Say where groups of several files have one number, unless the files were written as one set."""
    if any((folder / name).exists() for name in (RECORD, WROTE)):
        return
    numbers = [np.unique(part.group) for part in parts if part.group is not None]
    if numbers and (several := int((np.unique(np.concatenate(numbers), return_counts=True)[1] > 1).sum())):
        warnings.warn(
            f"{folder}: {several} numbers of groups are in several files, and one group each; if every file has numbers"
            " of its own, write the set anew with groups that are numbered, or named, for all files together",
            stacklevel=5,
        )


def _metadata(parts: Sequence[Contents]) -> dict[str, Any]:
    """What all shards say; the facts of encoders are the first's, and the captions are of all."""
    first, others = parts[0], parts[1:]
    alike = {
        name: value
        for name, value in first.metadata.items()
        if name in first.arrays or all(part.metadata.get(name) == value for part in others)
    }
    independent = [name for name in first.arrays if all(part.independent(name) for part in parts)]
    captions: dict[str, Any] = {}
    if any(CAPTIONS in part.metadata for part in parts):
        sizes = [len(next(iter(part.arrays.values()))) for part in parts]
        keys = [range(n) if part.key is None else part.key.tolist() for n, part in zip(sizes, parts, strict=True)]
        told = [captions_by_item(key, part.metadata.get(CAPTIONS)) for key, part in zip(keys, parts, strict=True)]
        captions = captions_of([*chain(*keys)], chain(*told))
    return alike | ({INDEPENDENT: independent} if independent else {}) | captions


def _refuse_differing(files: Sequence[Path], parts: Sequence[Contents]) -> None:
    """Refuse shards of other modalities, shapes or encoders than the first, and with other fields."""
    first = parts[0]
    shapes = [{name: array.shape[1:] for name, array in part.arrays.items()} for part in parts]
    for file, shape in zip(files, shapes, strict=True):
        if shape != shapes[0]:
            raise ValueError(
                f"shards differ: {file} has {_in_words(shape)}, but {files[0]} has {_in_words(shapes[0])};"
                " every shard needs the same modalities and shapes"
            )
    for file, part in zip(files, parts, strict=True):
        for name in first.arrays:
            if both := differing(part.encoder(name), first.encoder(name)):
                raise ValueError(f"shards differ: {name} of {file} by {both[0]}, of {files[0]} by {both[1]}")
    for field in ("group", "own_split", "label", *(() if sidecars(files[0].parent) else ("key",))):
        given = [getattr(part, field) is not None for part in parts]
        if any(given) and not all(given):
            raise ValueError(f"shards differ: {files[given.index(False)]} has no {field}, but others have")
    for file, part in zip(files, parts, strict=True):
        if part.label is not None and part.metadata.get(CLASSES) != first.metadata.get(CLASSES):
            raise ValueError(f"shards differ: {file} has other {CLASSES} than {files[0]}")


def _in_words(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} (n, {', '.join(map(str, shape))})" for name, shape in shapes.items())


def _read_npy(name: str, files: Sequence[Path], mapped: bool, counts: np.ndarray | None = None) -> np.ndarray:
    """The vectors of a modality from `.npy` files, end to end."""
    arrays: list[Any] = []
    for file in files:
        with reading(file):
            found = blocks(file).values()
            arrays.append(MappedRows(name, list(found), counts) if mapped else np.load(file, allow_pickle=False))
    with reading(files[0] if len(files) == 1 else files[0].parent):
        refuse_unless(all(array.ndim for array in arrays), name, "a number", "an array (n, d) or (n, m, d)")
        return join(name, arrays)
