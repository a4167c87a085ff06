"""Names and captions of the items of a pair set, in parquet files beside the vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modtrans_core.extras import require
from modtrans_core.store.contents import CAPTIONS, captions_by_item
from modtrans_core.store.described import metadata
from modtrans_core.store.files import refuse_special, replacing
from modtrans_core.store.headers import (
    SUFFIXES,
    clip_retrieval_parts,
    numbered,
    reading,
    rows,
    shard_files,
    small_arrays,
)

if TYPE_CHECKING:
    import pyarrow

SIDECAR = ".parquet"
_NAMES = ("key", "image_path")
_PERMISSIVE = {"promote_options": "permissive"}


def column(name: str, values: Any, kind: Any = None) -> pyarrow.Array:
    """A column of a table; what none can be made of is a ValueError that names it."""
    pa = require("pyarrow", "encoders")
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: {error.object[:80]!a}, text in UTF-8 is needed") from None
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"{name}: not a column of one type ({error})") from None


def write_items(
    path: str | Path,
    key: Sequence[str] | None,
    captions: Sequence[Sequence[str]] | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Write the sidecar of a shard: one row an item, whole or not at all, the same bytes for the same items.

    Parameters
    ----------
    path : `000012.parquet` for the shard `000012.safetensors`.
    key : n names; None where nothing names the items.
    captions : for each item its captions; kept as the column `caption`, lists of strings.
    columns : further ones by name, n values each.

    Raises
    ------
    ValueError
        If a column has another length, or values of several types.
    ModuleNotFoundError
        If pyarrow is missing; the message is the command that installs it.
    """
    pa, pq = require("pyarrow", "encoders"), require("pyarrow.parquet", "encoders")
    found = {} if key is None else {"key": column("key", [str(name) for name in key], pa.string())}
    if captions is not None:
        found["caption"] = column("caption", [list(several) for several in captions], pa.list_(pa.string()))
    found |= {name: column(name, values) for name, values in (columns or {}).items()}
    n = len(next(iter(found.values())))
    for name, values in found.items():
        if len(values) != n:
            raise ValueError(f"{name}: {len(values)} values, but there are {n} items")
    with replacing(path) as temporary:
        pq.write_table(pa.table(found), temporary, compression="zstd")


def read_items(path: str | Path) -> pyarrow.Table:
    """One row an item of a pair set in any layout, without reading a vector.

    Returns
    -------
    pyarrow.Table
        Columns `key` (string), `caption` (list of strings) where captions are known, and what else the sidecars have.
        In clip-retrieval's layout, `image_path` is the key where there is no other. The keys of items that nothing
        names are their places: 0, 1, ...

    Raises
    ------
    ValueError
        If a sidecar is missing or damaged, its length is not that of its shard, or it names no items and others do.
    ModuleNotFoundError
        If pyarrow is missing; the message is the command that installs it.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    if (found := read_sidecars(path)) is not None:
        if "key" in found.column_names:
            return found
        return found.add_column(0, "key", column("key", [str(place) for place in range(len(found))]))
    files = [file for file in shard_files(path) if file.suffix in SUFFIXES]
    if not files:
        raise ValueError(f"{path}: a pair set, {' or '.join(SUFFIXES)} or a folder, is needed")
    ends = accumulate(map(_items, files), initial=0)
    pa = require("pyarrow", "encoders")
    return pa.concat_tables([*map(_from_header, files, ends)], promote_options="default")


def read_sidecars(path: Path) -> pyarrow.Table | None:
    """One row an item of a folder from its sidecars; without `key` where they name no items, and None where there are
    none. A column has the least type that those of its parts go into; text where there is no other.

    Raises
    ------
    ValueError, ModuleNotFoundError
        As `read_items`.
    """
    if not (beside := sidecars(path)):
        return None
    pa = require("pyarrow", "encoders")
    tables = [_checked(sidecar, shard) for shard, sidecar in beside]
    nameless = [sidecar for (_, sidecar), table in zip(beside, tables, strict=True) if "key" not in table.column_names]
    if nameless and len(nameless) < len(beside):
        raise ValueError(f"{nameless[0]}: no column {' or '.join(_NAMES)}, which would name the items")
    for name in dict.fromkeys(name for table in tables for name in table.column_names):
        try:
            pa.concat_tables([table.select([name]) for table in tables if name in table.column_names], **_PERMISSIVE)
        except pa.ArrowException:  # of one part numbers, of another texts, or numbers that would lose digits
            tables = [_as_text(pa, table, name) for table in tables]
    return pa.concat_tables(tables, **_PERMISSIVE)


def sidecars(path: Path) -> list[tuple[Path, Path]]:
    """The shards of a folder, each with its parquet file: all of them, or none.

    Raises
    ------
    ValueError
        If some have one and some have not.
    """
    if not path.is_dir():
        return []
    if layout := clip_retrieval_parts(path):
        parts = next((found for found in layout.values() if found), {})
        metadata = numbered(path / "metadata", SIDECAR)
        absent = {number: path / "metadata" / f"metadata_{number}{SIDECAR}" for number in parts}
        found = [(part, (absent | metadata)[number]) for number, part in parts.items()]
    else:
        found = [(file, file.with_suffix(SIDECAR)) for file in shard_files(path)]
    there = [sidecar.exists() for _, sidecar in found]
    if any(there) and not all(there):
        raise ValueError(f"{found[there.index(False)][1]}: missing, but other shards have theirs")
    return found if any(there) else []


def groups_of_one_name(path: Path) -> np.ndarray | None:
    """For each item (n,) of a folder the first item of its name; None where all names differ or there are none.

    Of each name a number of 64 bits is kept, so that sets larger than memory have groups too.
    """
    beside = sidecars(path)
    try:
        require("pyarrow", "encoders")
    except ModuleNotFoundError:
        return None
    numbers = []
    for shard, sidecar in beside:
        table = _checked(sidecar, shard, _NAMES)
        if "key" not in table.column_names:
            return None
        numbers.append(np.array([hash(name) for name in table["key"].to_pylist()], dtype=np.int64))
    if not numbers:
        return None
    names, first, which = np.unique(np.concatenate(numbers), return_index=True, return_inverse=True)
    return None if len(names) == len(which) else first[which]


def read_keys(path: Path) -> list[str] | None:
    """The names of the items in the sidecars of a folder; None where there are none, or no pyarrow to read them."""
    beside = sidecars(path)
    try:
        require("pyarrow", "encoders")
    except ModuleNotFoundError:
        return None
    tables = [_checked(sidecar, shard, _NAMES) for shard, sidecar in beside]
    if not tables or any("key" not in table.column_names for table in tables):
        return None
    return [key for table in tables for key in table["key"].to_pylist()]


def _checked(sidecar: Path, shard: Path, columns: Sequence[str] | None = None) -> pyarrow.Table:
    """A sidecar, or some columns of it, with `key` first and captions as lists."""
    pa, pq = require("pyarrow", "encoders"), require("pyarrow.parquet", "encoders")
    refuse_special(sidecar)
    with reading(shard):
        n = rows(shard)
    found = {}
    try:
        with pq.ParquetFile(sidecar) as file:
            if (there := file.metadata.num_rows) != n:  # before they are read: a small file can hold any number
                raise ValueError(f"{sidecar}: {there} items, but {shard.name} has {n}")
            table = file.read([name for name in file.schema_arrow.names if columns is None or name in columns])
        if name := next((name for name in _NAMES if name in table.column_names), None):
            found["key"] = table[name].cast(pa.string())
        elif shard.suffix in SUFFIXES and "key" in (held := small_arrays(shard)):
            found["key"] = column("key", [str(one) for one in held["key"]])
        if "caption" in table.column_names:
            caption = table["caption"].combine_chunks()
            lists = pa.types.is_list(caption.type) or pa.types.is_large_list(caption.type)
            found["caption"] = caption.cast(pa.list_(pa.string())) if lists else _lists(pa, caption)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{sidecar}: damaged or cut short ({error})") from None
    if name and (empty := found["key"].null_count):
        raise ValueError(f"{sidecar}: {name}: {empty} rows with nothing in it, a name in each is needed")
    return pa.table({**found, **{name: table[name] for name in table.column_names if name not in found}})


def _lists(pa: Any, captions: Any) -> Any:
    """Captions (n,) as n lists of one; a missing one as an empty list."""
    texts = captions.cast(pa.string()).to_pylist()
    return pa.array([[] if text is None else [text] for text in texts], pa.list_(pa.string()))


def _as_text(pa: Any, table: pyarrow.Table, name: str) -> pyarrow.Table:
    """The table with a column, if it has it, of texts."""
    if name not in table.column_names:
        return table
    texts = [None if one is None else str(one) for one in table[name].to_pylist()]
    return table.set_column(table.column_names.index(name), name, column(name, texts, pa.string()))


def _items(file: Path) -> int:
    with reading(file):
        return rows(file)


def _from_header(file: Path, first: int) -> pyarrow.Table:
    """The names and captions that a file holds, `first` being the place of its first item in the set."""
    with reading(file):
        arrays = small_arrays(file)
        key = arrays.get("key", np.arange(first, first + rows(file)))
        return table_of(key, metadata(arrays.get("metadata", "{}")))


def table_of(key: np.ndarray, metadata: Mapping[str, Any]) -> pyarrow.Table:
    """One row an item: its name and, where the metadata have captions, its own."""
    pa = require("pyarrow", "encoders")
    keys = [str(name) for name in key]
    columns = {"key": column("key", keys, pa.string())}
    if CAPTIONS in metadata:
        columns["caption"] = column("caption", captions_by_item(keys, metadata[CAPTIONS]), pa.list_(pa.string()))
    return pa.table(columns)
