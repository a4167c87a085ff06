"""Data sets in the format of Hugging Face's `datasets`: from the hub, saved on disk, or parquet files."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core.checks import in_one_line, refuse_unless
from modtrans_core.embed.sources.base import Item, Shard, Skipped, Source, caption
from modtrans_core.embed.sources.caption_files import SPLIT_NAMES
from modtrans_core.embed.sources.captioned import encoders_of
from modtrans_core.embed.sources.opening import FileWithin, is_within
from modtrans_core.extras import require
from modtrans_core.store.files import refuse_closed, refuse_special

_TEXTS = ("caption", "captions", "text", "texts", "sentence", "sentences", "description", "title", "prompt")
_PICTURES = ("image", "picture", "img", "jpg", "jpeg", "png", "webp")
_SOUNDS = ("audio", "sound", "wav", "flac")
_MISSING = {"image": "no picture", "audio": "no sound"}
_TALKERS = ("huggingface_hub.repocard", "datasets")  # loggers
_ROWS = 16  # read at a time
_FORMATS = ("parquet", "arrow", "csv", "json", "text", "webdataset", "imagefolder", "audiofolder", "cache")
"""names of the builders that are known to read nothing but the files of a data set; one of HDF5 can name others"""


def datasets(
    path: str,
    *,
    limit: int | None = None,
    seed: int = 0,
    image: str | None = None,
    audio: str | None = None,
    text: str | None = None,
    config: str | None = None,
    split: str | None = None,
) -> Source:
    """Pictures or sounds with captions from a data set that `datasets` loads. It stays on disk.

    Pictures and sounds are taken as the bytes or paths that they are stored as and decoded like those of any other
    source. No program that comes with a data set is run. A path in a row has to lie in the data set's
    folder or, of one on the hub, in the caches.

    Parameters
    ----------
    path : a folder written by `save_to_disk`, a parquet file or a folder of them, or a name on the hub. The hub's data
        sets and parquet files are first copied to the cache of `datasets`, as that library does.
    limit, seed : at most so many rows, in an order that the seed decides.
    image, audio, text : the columns. Default: the one of that type, which a usual name decides if there are several.
        A column of captions holds strings or lists of strings.
    config : the configuration of a data set on the hub.
    split : the split to take, by the data set's own name; default: all of them. Of what `load_dataset` loads also a
        part, as `train[:1000]`.

    Returns
    -------
    Source
        key: `split/row`. split: the data set's own, if two or more are taken whose names are train, validation, val,
        dev, test or alike.

    Raises
    ------
    ValueError
        If the data set cannot be loaded, or a column is not there, not of the type needed, or not the only one.
    ModuleNotFoundError
        If datasets is missing; the message is the command that installs it.
    """
    refuse_unless(limit is None or limit >= 1, "limit", limit, "at least 1")
    library = require("datasets", "datasets")
    with _quiet(library):
        tables = _load(library, path, config, split)
    features = {name: table.features for name, table in tables.items()}
    columns = _columns_in_all(path, features, {"image": image, "audio": audio, "text": text})
    facts = {
        "name": path if not Path(path).exists() else Path(path).absolute().name,
        **({"config": config} if config else {}),
        "columns": columns,
        "versions": {"datasets": version("datasets")},
    }
    stored = {name: _undecoded(library, table, columns) for name, table in tables.items()}
    return _Tables(stored, columns, facts, limit, seed, _roots(library, Path(path)))


class _Tables(Source):
    def __init__(
        self,
        tables: Mapping[str, Any],
        columns: Mapping[str, str],
        facts: Mapping[str, Any],
        limit: int | None,
        seed: int,
        roots: Sequence[str],
    ) -> None:
        self.tables, self.columns, self.roots = tables, columns, roots
        self.encoders = encoders_of([modality for modality in columns if modality != "text"])
        held = sum(map(len, tables.values()))
        self.rows = np.arange(held)
        if limit is not None:
            self.rows = np.sort(np.random.default_rng(seed).permutation(held)[:limit])
        self.splits = {name: SPLIT_NAMES[name.lower()] for name in tables if name.lower() in SPLIT_NAMES}
        if len(set(self.splits.values())) < 2:  # the loaders call everything `train` where nothing is said
            self.splits = {}
        self.has_splits = bool(self.splits)
        self.facts = {
            **facts,
            "splits": {name: len(table) for name, table in tables.items()},
            "items": len(self.rows),
        }
        if limit is not None:
            self.facts["choice"] = f"at most {limit}, in the order of seed {seed}"

    def shards(self, items: int) -> Sequence[Shard]:
        shards: list[Shard] = []
        first = start = 0
        for name, table in self.tables.items():
            rows = self.rows[(self.rows >= first) & (self.rows < first + len(table))] - first
            for place in range(0, len(rows), items):
                part = rows[place : place + items]
                read = partial(_read, name, table, part, self.columns, self.splits.get(name), self.roots)
                shards.append(Shard(f"{len(shards):06d}", len(part), read, start + place))
            first, start = first + len(table), start + len(rows)
        return shards

    def identity(self) -> str:
        held = [
            [name, len(table), str(table.features), sorted(map(_size, table.cache_files))]
            for name, table in self.tables.items()
        ]
        digest = hashlib.sha256(json.dumps([held, self.columns, self.facts["name"]]).encode())
        digest.update(self.rows.tobytes())
        return digest.hexdigest()


def _size(file: Mapping[str, str]) -> tuple[str, int]:
    return Path(file["filename"]).name, Path(file["filename"]).stat().st_size


def _read(
    name: str, table: Any, rows: np.ndarray, columns: Mapping[str, str], split: str | None, roots: Sequence[str]
) -> Iterator[Item | Skipped]:
    for start in range(0, len(rows), _ROWS):
        several = rows[start : start + _ROWS]
        held = table[several.tolist()]
        for place, row in enumerate(several.tolist()):
            key = f"{name}/{row:09d}"
            try:
                values = {
                    modality: _value(modality, held[column][place], roots) for modality, column in columns.items()
                }
                yield Item(key, values, split=split)
            except ValueError as error:
                yield Skipped(key, str(error))


def _value(modality: str, held: Any, roots: Sequence[str]) -> Any:
    if modality == "text":
        captions = held if isinstance(held, list) else [held]
        if not captions or any(one is None for one in captions):
            raise ValueError("no caption")
        texts = tuple(map(caption, captions))
        return texts if isinstance(held, list) else texts[0]
    file = held if isinstance(held, dict) else {"bytes": held}
    if file.get("bytes"):
        return file["bytes"]
    if not file.get("path"):
        raise ValueError(_MISSING[modality])
    return FileWithin(next((root for root in roots if is_within(root, file["path"])), roots[0]), file["path"])


def _roots(library: Any, path: Path) -> list[str]:
    """The folders that rows may name files of: that of the data set or, of one on the hub, the caches."""
    if path.exists():
        return [str(path if path.is_dir() else path.parent)]
    from huggingface_hub.constants import HF_HUB_CACHE

    return [str(library.config.HF_DATASETS_CACHE), str(HF_HUB_CACHE)]


def _columns_in_all(
    path: str, features: Mapping[str, Mapping[str, Any]], named: Mapping[str, str | None]
) -> dict[str, str]:
    """The columns of the first split that has all that are needed, which every split has to have.

    Parameters
    ----------
    features : of each split by its name, see `columns_of`.
    """
    failed: ValueError | None = None
    for whole, there in features.items():
        try:
            columns = columns_of(path, there, named)
        except ValueError as error:
            failed = failed or error
            continue
        for split, others in features.items():
            if lacking := [column for column in columns.values() if column not in others]:
                found = f"{path}: split {split!r} has no column {lacking[0]!r}"
                raise ValueError(f"{found}, as {whole!r} has; --set split={whole} takes that alone")
        return columns
    raise failed or ValueError(f"{path}: no split")


def columns_of(path: str, features: Mapping[str, Any], named: Mapping[str, str | None]) -> dict[str, str]:
    """The column of each modality that is there, text last.

    Parameters
    ----------
    features : the types of the columns, by name.
    named : the columns that were asked for, by modality.

    Raises
    ------
    ValueError
        See `datasets`.
    """
    kinds = {column: _kind(column, feature) for column, feature in features.items()}
    typed = ", ".join(f"{column} ({kind or type(features[column]).__name__})" for column, kind in kinds.items())
    found = {}
    for modality, usual in (("image", _PICTURES), ("audio", _SOUNDS), ("text", _TEXTS)):
        column = named[modality]
        if column is None:
            able = [column for column, kind in kinds.items() if kind == modality]
            column = able[0] if len(able) == 1 else next((name for name in usual if name in able), None)
            if able and column is None:
                raise ValueError(
                    f"{path}: columns {', '.join(able)} could all be the {modality}; set {modality}=COLUMN"
                )
        elif column not in features:
            raise ValueError(f"{modality}: {column!r} is not a column of {path}, which has {typed}")
        elif kinds[column] != modality and not (modality != "text" and _is_binary(features[column])):
            raise ValueError(f"{modality}: {column!r} of {path} holds no {modality}; the columns are {typed}")
        if column is not None:
            found[modality] = column
    if "text" not in found or len(found) < 2:
        lacking = "text" if "text" not in found else "image or audio"
        raise ValueError(f"{path}: no column of {lacking}; the columns are {typed}")
    return found


def _kind(column: str, feature: Any) -> str | None:
    """The modality that a column holds: by its type, or by its name if it holds bytes of no type."""
    type_name = type(feature).__name__
    if type_name in ("Image", "Audio"):
        return type_name.lower()
    if _is_binary(feature):
        return "image" if column.lower() in _PICTURES else "audio" if column.lower() in _SOUNDS else None
    strings = ("string", "large_string", "string_view")
    inner = feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", feature)
    return "text" if getattr(inner, "dtype", None) in strings and type(inner).__name__ == "Value" else None


def _is_binary(feature: Any) -> bool:
    if isinstance(feature, dict) and feature.keys() == {"bytes", "path"}:
        feature = feature["bytes"]
    return getattr(feature, "dtype", None) in ("binary", "large_binary")


def _undecoded(library: Any, table: Any, columns: Mapping[str, str]) -> Any:
    """A table with these columns, its pictures and sounds as they are stored."""
    table = table.select_columns(list(columns.values()))
    for column, feature in table.features.items():
        if isinstance(feature, library.Image | library.Audio):
            table = table.cast_column(column, type(feature)(decode=False))
    return table


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Inside, the library draws no bars of its own, and has nothing to say of cards, or of what it raises."""
    shown, talkers = not library.are_progress_bars_disabled(), [logging.getLogger(name) for name in _TALKERS]
    library.disable_progress_bars()
    levels = [one.level for one in talkers]
    for one in talkers:
        one.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for one, level in zip(talkers, levels, strict=True):
            one.setLevel(level)
        if shown:
            library.enable_progress_bars()


class _Refused(ValueError):
    """A description of a data set names a file that is no part of it, or does not end."""


VALUES = 10**6
"""in the configurations of a data set's card, at most"""
ADDRESS = re.compile("://|::")
"""in what the library takes for a file of the network, of an archive or of another file system"""


def _refuse_outside(path: str, files: Iterable[str]) -> None:
    """Refuse files that do not lie in the folder of a data set or, of one on the hub, there, whatever is said of it."""
    for file in files:
        here = is_within(path, file) and not ADDRESS.search(file) if Path(path).exists() else file.startswith("hf://")
        if not here:
            raise _Refused(f"{path}: names {file}, which lies outside of it; only what lies in it is read")


def _named(library: Any, folder: Path) -> Iterator[str]:
    """The addresses that descriptions name as a set's files."""
    from huggingface_hub import DatasetCard
    from yaml import safe_load

    card, more = (folder / name for name in (library.config.REPOCARD_FILENAME, library.config.REPOYAML_FILENAME))
    said = [DatasetCard.load(card).data.to_dict()] if card.is_file() else []
    said += [safe_load(more.read_text(encoding="utf-8")) or {}] if more.exists() else []
    left, looked = [one.get("configs") for one in said], 0
    while left:
        one, looked = left.pop(), looked + 1
        if looked > VALUES:  # an alias of YAML takes three letters, and may stand for any number of values
            raise _Refused(f"{folder}: its descriptions name more than {VALUES} values, at most so many are read")
        if isinstance(one, Mapping | list):
            left += one.values() if isinstance(one, Mapping) else one
        elif isinstance(one, str) and ADDRESS.search(one):
            yield one


def _unreachable(path: str) -> str:
    """Why the hub cannot be asked for a data set; nothing where it can."""
    try:
        require("huggingface_hub", "datasets").HfApi().dataset_info(path, timeout=10)
    except Exception as error:  # those of whatever reaches the network, and the hub's own, which have its answer
        answered = isinstance(error, ValueError) or getattr(error, "response", None) is not None
        return "" if answered else in_one_line(error)
    return ""


@contextmanager
def _from_cache(library: Any) -> Iterator[None]:
    """Inside, the library does not ask the hub: it would ask ten times before it looks into its cache."""
    before, library.config.HF_HUB_OFFLINE = library.config.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        library.config.HF_HUB_OFFLINE = before


def _load(library: Any, path: str, config: str | None, split: str | None) -> dict[str, Any]:
    """The splits of a data set, by name."""
    place = Path(path)
    refuse_closed(place)
    saved = any((place / name).is_file() for name in ("dataset_dict.json", "state.json"))
    if place.exists() and not saved and place.suffix != ".parquet" and not any(place.rglob("*.parquet")):
        raise ValueError(f"{path}: no folder written by save_to_disk, and no parquet files in it")
    if not place.exists() and path.startswith((".", "/", "~")):
        raise ValueError(f"{path}: no such file or folder")
    for file in [place] if place.is_file() else place.rglob("*.parquet"):
        refuse_special(file)
    unreachable = "" if place.exists() else _unreachable(path)
    try:
        if saved:
            found = library.load_from_disk(path)
        elif place.is_file():
            found = library.load_dataset("parquet", data_files=path, split=split)
        else:
            if place.exists():
                _refuse_outside(path, _named(library, place))  # before anything is looked for there
            with _from_cache(library) if unreachable else nullcontext():
                where = str(place.absolute()) if place.exists() else path  # parquet alone would be a format
                builder = library.load_dataset_builder(where, config)
                if builder.name not in _FORMATS:
                    raise _Refused(f"{path}: has files of the format {builder.name}; {', '.join(_FORMATS)} are read")
                listed = builder.config.data_files or {}
                _refuse_outside(path, (file for files in listed.values() for file in files))
                found = library.load_dataset(where, config, split=split)
    except _Refused:
        raise
    except Exception as error:  # each file format, the hub and the network have their own
        if unreachable:
            needed = f"not in the cache, and the Hugging Face hub cannot be reached ({unreachable})"
            raise ValueError(f"{f'datasets:{path}'!r}: no such file or folder, {needed}") from None
        reason = in_one_line(error.__cause__ or error)
        raise ValueError(f"{path}: cannot be loaded by datasets ({reason})") from None
    if not isinstance(found, Mapping):
        name = str(found.split or "all")
        found = {name if saved else split or name: found}
    if saved:
        _refuse_outside(path, (file["filename"] for table in found.values() for file in table.cache_files))
    if split is not None and split not in found:
        raise ValueError(f"split: {split!r} is not one of {path}, which has {', '.join(found)}")
    return dict(found) if split is None else {split: found[split]}
