"""Arrays at the door: what comes in from outside is checked once, in one wording."""

from __future__ import annotations

import numpy as np


def matrix(name: str, value: object) -> np.ndarray:
    """`value` as a float64 matrix of shape (rows, columns); the caller's array is never changed.

    Raises
    ------
    ValueError
        Not two-dimensional, empty, or with an entry that is not a finite number.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name}: shape {array.shape}, allowed is (rows, columns) with at least one of each")
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise ValueError(f"{name}: row {row} holds a value that is not finite, allowed are finite numbers")
    return array


def vector(name: str, value: object) -> np.ndarray:
    """`value` as a float64 vector of shape (n,), n >= 1, of finite numbers; ValueError otherwise."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name}: shape {array.shape}, allowed is (n,) with n at least 1")
    if not np.isfinite(array).all():
        entry = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{name}: entry {entry} is {array[entry]}, allowed are finite numbers")
    return array


ROUNDING = 1e-6  # how far a cosine or a length of float32 vectors may be from what it is exactly


def cosines(name: str, value: object) -> np.ndarray:
    """`value` as a float64 vector of cosines, sorted; ValueError outside [-1, 1], rounding aside."""
    array = np.sort(vector(name, value))
    if array[0] < -1.0 - ROUNDING or array[-1] > 1.0 + ROUNDING:
        raise ValueError(f"{name}: {array[0]} to {array[-1]}, allowed is -1 to 1")
    return array


def rows_agree(**arrays: np.ndarray) -> None:
    """ValueError unless all named arrays have the same number of rows."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"rows: {listed}; allowed is one number of rows for all")


def fraction(name: str, value: float) -> float:
    """`value` as a float strictly between 0 and 1; ValueError otherwise."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name}: {value}, allowed is a number strictly between 0 and 1")
    return float(value)


def row_cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """cos of each pair of rows, (n,), in [-1, 1]; NaN where a row is zero and has no direction."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    product = np.einsum("nd,nd->n", first, second)
    cosine = np.divide(product, lengths, out=np.full(len(first), np.nan), where=lengths > 0.0)
    return np.clip(cosine, -1.0, 1.0)
