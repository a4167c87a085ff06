"""Vectors and their directions."""

from __future__ import annotations

import numpy as np

ROWS = 8192
"""rows that are worked on at once"""


def unit(x: np.ndarray) -> np.ndarray:
    """`x` (..., d) with every vector scaled to length 1, float32. A zero or non-finite vector is a ValueError."""
    x = np.asarray(x)
    norm = np.sqrt(np.einsum("...d,...d->...", x, x, dtype=np.float64))[..., None]
    if not (np.isfinite(norm) & (norm > 0)).all():
        raise ValueError(
            f"vector {np.argwhere(~(np.isfinite(norm) & (norm > 0)))[0][0]}: zero, NaN or infinite; it has no direction"
        )
    return (x / norm).astype(np.float32)
