"""Pictures as arrays, whatever they come as."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np


def read_picture(value: Any) -> np.ndarray:
    """A picture as an (h, w, 3) uint8 RGB array.

    Parameters
    ----------
    value : a path, the bytes of a file, an (h, w, 3) uint8 array, or a function that gives one of these when called.

    Raises
    ------
    ValueError
        If it cannot be read; the message is a few words that are the same for all such pictures.
    """
    from PIL import Image

    if callable(value):
        value = value()
    if isinstance(value, np.ndarray):
        return value
    try:
        return np.array(Image.open(io.BytesIO(value) if isinstance(value, bytes) else Path(value)).convert("RGB"))
    except OSError:
        raise ValueError("unreadable picture") from None
