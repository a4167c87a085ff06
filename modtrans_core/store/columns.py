"""Columns of tables whose rows are tensors."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modtrans_core.checks import refuse, refuse_unless


def tensors(name: str, column: Any, beside: Mapping[bytes, bytes] | None = None) -> np.ndarray | None:
    """The rows (n, ...) of an Arrow column of tensors, which lie flat in it; None of anything else.

    Parameters
    ----------
    beside : metadata of the column's field, where types stand that are known to the package alone that wrote them.

    Raises
    ------
    ValueError
        Rows or numbers that are missing, no numbers, a shape that cannot be read or does not fit.
    """
    pa = sys.modules.get("pyarrow")  # where nobody imported it, nobody has a column
    if pa is None or not isinstance(column, pa.Array | pa.ChunkedArray):
        return None
    kind = getattr(
        column.type, "extension_name", (beside or {}).get(b"ARROW:extension:name", b"").decode(errors="replace")
    )
    if "tensor" not in kind:
        return None
    refuse_unless(not column.null_count, name, f"{column.null_count} rows with nothing in it", "a value in each row")
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if isinstance(column.type, pa.FixedShapeTensorType):
        of = column.type.value_type
        numbers = pa.types.is_floating(of) or pa.types.is_integer(of)
        refuse_unless(numbers, name, str(column.type), "a tensor of numbers")
        gaps = sum(chunk.storage.flatten().null_count for chunk in chunks)
        refuse_unless(not gaps, name, f"{gaps} numbers that are missing", "a number in each place")
        return np.concatenate([chunk.to_numpy_ndarray() for chunk in chunks])
    shape = _shape(name, kind, column.type, beside or {})
    rows = [np.ravel(row) for chunk in chunks for row in chunk.to_numpy(zero_copy_only=False)]
    fits = all(len(row) == math.prod(shape) for row in rows)
    refuse_unless(fits, name, str(column.type), f"{' times '.join(map(str, shape))} numbers in each row")
    return np.stack(rows).reshape(-1, *shape)


def _shape(name: str, kind: str, of: Any, beside: Mapping[bytes, bytes]) -> Sequence[int]:
    """The shape of each row of a type that Ray, or another package, adds to Arrow's."""
    try:
        return [int(number) for number in getattr(of, "shape", None) or json.loads(beside[b"ARROW:extension:metadata"])]
    except (KeyError, TypeError, ValueError):  # Ray 2.49 to 2.54 wrote pickles
        refuse(name, f"a {kind} whose shape cannot be read", "lists or, of Ray 2.55 or later, tensors of one shape,")
