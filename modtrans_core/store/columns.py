"""Columns of tables whose rows are tensors."""

from __future__ import annotations

import json
import math
import pickletools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modtrans_core.checks import refuse, refuse_unless
from modtrans_core.extras import require

RAY = ("ray.data.arrow_tensor", "ray.data.arrow_tensor_v2")
"""types that Ray adds to Arrow's"""
_OF_A_TUPLE = {"PROTO", "FRAME", "MARK", "MEMOIZE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "STOP"}
_OF_A_NUMBER = {"BININT", "BININT1", "BININT2"}


def tensors(name: str, column: Any, beside: Mapping[bytes, bytes] | None = None) -> np.ndarray | None:
    """The rows (n, ...) of a column of tensors, which lie flat in Arrow's, of pandas and polars too; None of others.

    Parameters
    ----------
    beside : metadata of the column's field, where types stand that are known to the package alone that wrote them.

    Raises
    ------
    ValueError
        Rows or numbers that are missing, no numbers, a shape that cannot be read or does not fit.
    """
    dtype = getattr(column, "dtype", None)
    if not isinstance(dtype, np.dtype) and "tensor" in str(dtype):  # of pandas or polars, around an Arrow column
        column = column.to_arrow() if hasattr(column, "to_arrow") else require("pyarrow", "encoders").array(column)
    pa = sys.modules.get("pyarrow")  # where nobody imported it, nobody has a column
    if pa is None or not isinstance(column, pa.Array | pa.ChunkedArray):
        return None
    beside, fixed = beside or {}, isinstance(column.type, pa.FixedShapeTensorType)
    known = getattr(column.type, "extension_name", beside.get(b"ARROW:extension:name", b"").decode(errors="replace"))
    if not fixed and known not in RAY:
        return None
    refuse_unless(len(column) > 0, name, "a column of no rows", "a row or more")
    refuse_unless(not column.null_count, name, f"{column.null_count} rows with nothing in it", "a value in each row")
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if fixed:
        of = column.type.value_type
        numbers = pa.types.is_floating(of) or pa.types.is_integer(of)
        refuse_unless(numbers, name, str(column.type), "a tensor of numbers")
        gaps = sum(chunk.storage.flatten().null_count for chunk in chunks)
        refuse_unless(not gaps, name, f"{gaps} numbers that are missing", "a number in each place")
        return np.concatenate([chunk.to_numpy_ndarray() for chunk in chunks])
    shape = _shape(name, column.type, beside)
    rows = [np.ravel(row) for chunk in chunks for row in chunk.to_numpy(zero_copy_only=False)]
    fits = all(len(row) == math.prod(shape) for row in rows)
    refuse_unless(fits, name, str(column.type), f"{' times '.join(map(str, shape))} numbers in each row")
    return np.stack(rows).reshape(-1, *shape)


def _shape(name: str, of: Any, beside: Mapping[bytes, bytes]) -> Sequence[int]:
    """The shape of each row of one of Ray's types, which is known here where Ray was imported."""
    said = beside.get(b"ARROW:extension:metadata", b"")
    try:
        return of.shape if hasattr(of, "shape") else json.loads(said) if said[:1] == b"[" else _unpickled(said)
    except ValueError:
        refuse(name, "a tensor of Ray whose shape cannot be read", "a column of lists")


def _unpickled(said: bytes) -> list[int]:
    """The numbers of a pickled tuple, as Ray 2.49 to 2.54 wrote a shape. Its codes are read, and none is run."""
    codes = [(code.name, number) for code, number, _ in pickletools.genops(said)]
    if not {name for name, _ in codes} <= _OF_A_TUPLE | _OF_A_NUMBER:
        raise ValueError("more than numbers")
    return [int(number or 0) for name, number in codes if name in _OF_A_NUMBER]
