"""A pair set from arrays in files of their own, or from columns of tables."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core.checks import in_one_line, refuse, refuse_unless
from modtrans_core.extras import require
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.settings import named
from modtrans_core.store.columns import tensors
from modtrans_core.store.contents import as_array, as_texts
from modtrans_core.store.headers import blocks, more_than_tensors, reading, refuse_members, refuse_too_large
from modtrans_core.store.read import dimensions

FIELDS = ("group", "key", "label", "own_split")
"""what a pair set may have beside its modalities"""
_WIDTHS = {"INT64": 8, "FLOAT": 4, "DOUBLE": 8}
"""bytes of Parquet's numbers; of others, 1 at least"""
NAMES = ("group", "key")
"""fields that are texts in a `.csv`, whatever they look like: 007 is not 7, nor true a truth value"""


def pack(files: Mapping[str, str | Path]) -> PairedEmbeddings:
    """Read a pair set from arrays and columns, row i of every one of which belongs to the same item.

    Parameters
    ----------
    files : for each modality the file of its vectors, (n, d) or (n, m, d). `group` names what items belong together,
        (n,) integers, or strings, each of which becomes the same number in any set; `key`, `label` and `own_split` are
        those of `PairedEmbeddings`. A file is one of

        - `.npy`, an array;
        - `.npz`, `.pt`: arrays, or tensors, by name. `t.pt:vectors` takes the one called vectors; without a name it is
          the one called like the modality. Where a `.npz` file has `vectors_count` too, items have so many;
        - `.csv`, `.parquet`: a column of lists (in a `.csv`, of texts such as "[0.5, -1]"), named in the same way. A
          name with a star, as in `t.csv:image_*`, takes a column a dimension: x2 before x10 where the star stands for
          whole numbers, else in the order of the table. Names of items and groups in a `.csv` are texts: 007 is not 7.

    Raises
    ------
    ValueError
        A file that is missing, damaged or of no such kind, a column that is not there or has gaps, or arrays that do
        not go together.

    Examples
    --------
    >>> np.save("image.npy", np.eye(3, 4))
    >>> np.save("ids.npy", ["cat", "dog", "cat"])
    >>> pack({"image": "image.npy", "group": "ids.npy"})
    PairedEmbeddings(image (3, 4), in 2 groups)
    >>> _ = Path("t.csv").write_text("text,x0,x1\\n[1 2 3],4,5\\n[6 7 8],9,1\\n")
    >>> pack({"text": "t.csv", "image": "t.csv:x*"})
    PairedEmbeddings(text (2, 3), image (2, 2))
    """
    arrays = {name: _array(name, str(file)) for name, file in files.items()}
    given: dict[str, Any] = {name: arrays.pop(name) for name in FIELDS if name in arrays}
    counts = {name: found for name in arrays if (found := _counts(name, str(files[name]))) is not None}
    if "group" in given and given["group"].dtype.kind in "UTS":
        given["group"] = _numbers_of(given["group"])
    try:
        return PairedEmbeddings(arrays, counts, **given)
    except ValueError as error:
        file = files.get(str(error).partition(":")[0])
        raise ValueError(f"{file}: {error}" if file else str(error)) from None


def _numbers_of(names: np.ndarray) -> np.ndarray:
    """63 bits (n,) of each name: the same for one name in all sets, and else for a pair in 2^63."""
    different, which = np.unique(names, return_inverse=True)
    texts = (name if isinstance(name, bytes) else name.encode(errors="surrogatepass") for name in different.tolist())
    numbers = [int.from_bytes(sha256(text).digest()[:8], "big") >> 1 for text in texts]
    return np.array(numbers, dtype=np.int64)[which]


def load_pairs(given: str | Path) -> PairedEmbeddings:
    """A pair set in any layout, or that of `NAME=FILE,NAME=FILE,...`; see `pack`. Items that repeat are groups."""
    if not is_list(given):
        return PairedEmbeddings.load(given)
    return pack(_listed(given)).grouped()


def modalities_in(given: str | Path) -> list[str]:
    """The modalities of what `load_pairs` reads, before it is read."""
    if is_list(given):
        return [name for name in _listed(given) if name not in FIELDS]
    return list(dimensions(Path(given)))


def _listed(given: str | Path) -> dict[str, str]:
    return named([one.strip() for one in str(given).split(",")], "pairs", "NAME=FILE")


def is_list(given: str | Path) -> bool:
    """Whether it is `NAME=FILE,...` and no file."""
    return "=" in str(given) and not os.path.exists(given)  # of a list longer than a file's name may be, too


def file_named(file: str) -> Path:
    """The file that `FILE` or `FILE:COLUMN` names."""
    return Path(_parts(file)[0])


def _parts(file: str) -> tuple[str, str]:
    """File and column; "" where no column is named."""
    at, colon, column = file.rpartition(":")
    return (file, "") if Path(file).exists() or not colon or Path(file).suffix in READERS else (at, column)


def _array(name: str, file: str) -> np.ndarray:
    """What `FILE` or `FILE:COLUMN` names; without a column, that of a file of several arrays is called `name`."""
    at, column = _parts(file)
    path = Path(at)
    refuse_unless(path.suffix in READERS, name, file, f"a file that ends in {', '.join(READERS)}")
    refuse_unless(path.exists(), name, at, "a file that exists")
    refuse_unless(not column or path.suffix != ".npy", name, file, "no column: a .npy file is one array, and that")
    with reading(path):
        if path.suffix == ".csv" and name in NAMES:
            return _csv(path, column or name, text=True)
        found = READERS[path.suffix](path, column or name)
    one_dimension = "*" in column and found.ndim == 1 and name not in FIELDS and found.dtype.kind in "iuf"
    return found[:, None].astype(np.float32) if one_dimension else found


def _counts(name: str, file: str) -> np.ndarray | None:
    """How many vectors each item has, where a `.npz` file has them beside the vectors, as that of a pair set does."""
    at, column = _parts(file)
    if Path(at).suffix != ".npz":
        return None
    with reading(Path(at)), np.load(at, allow_pickle=False) as held:
        beside = f"{column or name}_count"
        found: np.ndarray | None = held[beside] if beside in held.files else None
        return found


def _npy(path: Path, _: str) -> np.ndarray:
    for block in blocks(path).values():
        refuse_too_large("array", math.prod(block.shape) * block.dtype.itemsize)
    found: np.ndarray = np.load(path, allow_pickle=False)
    return found


def _npz(path: Path, column: str) -> np.ndarray:
    refuse_members(path, column)
    with np.load(path, allow_pickle=False) as held:
        _refuse_absent(column, held.files)
        found: np.ndarray = held[column]
        return found


def _pt(path: Path, column: str) -> np.ndarray:
    import torch

    refuse_too_large("tensors", path.stat().st_size)
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if why := more_than_tensors(error):
            raise ValueError(f"{why}; torch.save({{'image': tensor}}, FILE)") from None
        raise
    if isinstance(held, Mapping):
        _refuse_absent(column, held)
        held = {str(name): value for name, value in held.items()}[column]
    for one in held if isinstance(held, list | tuple) else [held]:
        dense = not isinstance(one, torch.Tensor) or (one.layout == torch.strided and one.device.type != "meta")
        refuse_unless(dense, column, "a tensor that is sparse or holds no numbers", "a dense one")
    return as_array(column, held)


def _parquet(path: Path, column: str) -> np.ndarray:
    parquet = require("pyarrow.parquet", "encoders")
    names = _columns(column, parquet.read_schema(path).names)
    refuse_too_large(column, _size(parquet.read_metadata(path), names))
    return _of_table(parquet.read_table(path, columns=names).select(names))


def _size(about: Any, names: Sequence[str]) -> int:
    """How many bytes the columns of a `.parquet` file take in memory at least, from its footer."""
    size, wanted = 0, set(names)
    for number in range(about.num_columns):
        leaf = about.schema.column(number)
        width = _WIDTHS.get(leaf.physical_type, 1)
        if leaf.path in wanted:
            size += about.num_rows * width
        elif leaf.max_repetition_level and leaf.path.partition(".")[0] in wanted:  # of lists
            groups = (about.row_group(group).column(number) for group in range(about.num_row_groups))
            size += sum(group.num_values for group in groups) * width
    return size


def _csv(path: Path, column: str, text: bool = False) -> np.ndarray:
    pa = require("pyarrow", "encoders")
    try:
        return _read_csv(path, column, text)
    except pa.ArrowInvalid as error:
        needed = "a table in UTF-8 whose first line names its columns, with commas between them, is needed"
        raise ValueError(f"{needed} ({in_one_line(error, 100)})") from None


def _read_csv(path: Path, column: str, text: bool) -> np.ndarray:
    pa, csv = require("pyarrow", "encoders"), require("pyarrow.csv", "encoders")
    lines = csv.ParseOptions(newlines_in_values=True)
    with csv.open_csv(path, parse_options=lines) as opened:
        there = opened.schema.names
    refuse_unless(there[1:] or not set(";\t") & set(there[0]), "first line", there[0], "names with commas between them")
    names = _columns(column, there)
    refuse_unless(not text or len(names) == 1, "column", column, f"one column, not {len(names)},")
    kinds = csv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, pa.string()) if text else {})
    table = csv.read_csv(path, parse_options=lines, convert_options=kinds)
    if not text:
        return _of_table(table)
    texts = table.column(0).to_pylist()
    _refuse_gaps(names[0], texts.count(""))
    return as_texts(names[0], texts)


READERS: dict[str, Callable[[Path, str], np.ndarray]] = {
    ".npy": _npy, ".npz": _npz, ".pt": _pt, ".csv": _csv, ".parquet": _parquet
}  # fmt: skip


def _refuse_absent(column: str, there: Any) -> None:
    known = [str(one) for one in there]
    refuse_unless(column in known, "column", column, f"one of {', '.join(known[:20])}{', ...' * (len(known) > 20)}")


def _columns(column: str, there: Sequence[str]) -> list[str]:
    """The column of that name, or those that the pattern fits; see `pack` for their order."""
    found = [one for one in there if one == column] or [one for one in there if fnmatchcase(one, column)]
    if not found:
        _refuse_absent(column, there)
    twice = [one for one in found if found.count(one) > 1]
    refuse_unless(not twice, "column", twice[:1], "a name that one column has")
    start, _, end = column.partition("*")
    stars = {one: one[len(start) : len(one) - len(end)] for one in found}
    numbered = all(star.isdecimal() and len(star) < 20 for star in stars.values())
    return sorted(found, key=lambda one: int(stars[one])) if numbered else found


def _refuse_gaps(column: str, gaps: int) -> None:
    refuse_unless(not gaps, column, f"{gaps} rows with nothing in it", "a value in each row")


def _of_table(table: Any) -> np.ndarray:
    """One column as (n,), or as (n, d) where it holds lists; several, of numbers, as (n, d)."""
    refuse_unless(table.num_rows, f"rows of {table.column_names[0]}", table.num_rows, "1 or more")
    for name, column in zip(table.column_names, table.columns, strict=True):
        _refuse_gaps(name, column.null_count)
    columns = [_of_column(*both) for both in zip(table.schema, table.columns, strict=True)]
    found = columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
    return found.astype(np.float32) if found.ndim > 1 and found.dtype.kind in "iu" else found  # whole by chance


def _numbers(name: str, number: int, text: str) -> np.ndarray:
    """The numbers of a text such as "[0.5, -1]"."""
    try:
        return np.array(text.strip(" []\n").replace(",", " ").split(), np.float32)
    except ValueError:
        refuse(name, f"{text[:40]} in row {number}", "a list of numbers")


def _without_decimals(column: Any) -> Any:
    """The column with decimals, as of SQL's NUMERIC, as whole numbers where all are, and else as float64."""
    pa = require("pyarrow", "encoders")
    if pa.types.is_decimal(column.type):
        with suppress(pa.ArrowInvalid):
            return column.cast(pa.int64())
        return column.cast(pa.float64())
    lists = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    return column.cast(pa.list_(pa.float64())) if lists and pa.types.is_decimal(column.type.value_type) else column


def _of_column(field: Any, column: Any) -> np.ndarray:
    name = field.name
    if (found := tensors(name, column, field.metadata)) is not None:
        return found
    rows = _without_decimals(column).to_numpy()
    if rows.dtype.kind != "O":
        return np.asarray(rows)
    if all(isinstance(row, str) for row in rows):
        if not all(row.lstrip().startswith("[") for row in rows):
            return as_texts(name, rows)
        rows = [_numbers(name, number, row) for number, row in enumerate(rows)]
    kept = all(isinstance(row, np.ndarray | bytes) for row in rows)
    refuse_unless(kept, name, str(column.type), "numbers, texts or lists")
    rows = [np.stack([*row]) if len(row) and np.ndim(row[0]) else np.asarray(row) for row in rows]
    for number, row in enumerate(rows):
        at = f"{row.shape} in row {number}"
        refuse_unless(row.shape == rows[0].shape, name, at, f"{rows[0].shape}, as in row 0,")
    return np.stack(rows)
