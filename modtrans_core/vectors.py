"""Vectors and their directions, and the shape of items that have several vectors each.

Where item i has up to m vectors (the captions of one picture), they are an array (n, m, d) beside `counts` (n,): the
first `counts[i]` of them are there, and what stands in the others means nothing.
"""

from __future__ import annotations

from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from modtrans_core.checks import refuse_unless

ROWS = 8192
"""rows that are worked on at once wherever all of them would not fit into memory: 32 MiB of 1,024 float32 numbers"""
AT_ONCE = 2**25
"""similarities that are held at once: 128 MiB"""
TIE = 1e-6
"""below which two scores are the same: float32 inner products of unit vectors differ by about 1e-7"""


def real(name: str, x: ArrayLike) -> np.ndarray:
    """x as an array of float32 or float64, in which products of small whole or half numbers do not wrap.

    Raises
    ------
    ValueError
        Numbers that are masked or not real.

    Examples
    --------
    >>> real("x", np.array([[100, -3]], dtype=np.int8))
    array([[100.,  -3.]], dtype=float32)
    """
    refuse_unless(not np.ma.is_masked(x), name, "masked numbers", "an array of real numbers")
    x = np.asarray(off_device(x))
    refuse_unless(x.dtype.kind in "fiub", name, str(x.dtype), "an array of real numbers")
    if x.dtype in (np.float32, np.float64):
        return x
    with np.errstate(over="ignore"):  # what float64 does not hold becomes infinite, and is refused
        return x.astype(np.float32 if x.dtype.itemsize < 4 else np.float64)


def off_device(x: Any) -> Any:
    """A tensor as one that numpy reads, of any float type and on any device; anything else as it is."""
    if not hasattr(x, "detach"):  # torch need not be there to ask
        return x
    x = x.detach().cpu()
    return x.float() if x.is_floating_point() and x.element_size() == 2 else x


def integers(name: str, x: ArrayLike) -> np.ndarray:
    """x as an array, of int64 if it is one of integers: those of 8 bits would wrap; what is masked is refused."""
    refuse_unless(not np.ma.is_masked(x), name, "masked numbers", "an array of integers")
    x = np.asarray(off_device(x))
    return x.astype(np.int64) if x.dtype.kind in "iu" else x


def norms(x: np.ndarray) -> np.ndarray:
    """The length (...) of every vector of x (..., d), summed in float64."""
    x, exponent = in_reach(np.asarray(x))
    return np.ldexp(_norms(x), exponent)


def in_reach(x: np.ndarray) -> tuple[np.ndarray, np.ndarray | int]:
    """x (..., d) with vectors times powers of two, which are exact, if float64 does not hold squares of all; and (...)
    the exponents of the powers that these are times now, 0 for as they were.
    """
    if x.dtype != np.float64 or x.size == 0:
        return x, 0
    length = _norms(x)
    if ((length > 1e-140) & (length < 1e140)).all():
        return x, 0
    exponent = np.frexp(np.abs(x).max(axis=-1))[1]
    return np.ldexp(x, -exponent[..., None]), exponent


def _norms(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.sqrt(np.einsum("...d,...d->...", x, x, dtype=np.float64))


def unit(x: np.ndarray, name: str = "vectors") -> np.ndarray:
    """Scale every vector to length 1.

    Parameters
    ----------
    x : vectors (..., d) of any float type.
    name : of the array, for the message.

    Returns
    -------
    Array (..., d), float32.

    Raises
    ------
    ValueError
        If a vector is zero, NaN or infinite: it has no direction.

    Examples
    --------
    >>> unit([[3.0, 4.0], [0.0, 2.0]])
    array([[0.6, 0.8],
           [0. , 1. ]], dtype=float32)
    """
    x = in_reach(real(name, x))[0]
    length = _norms(x)[..., None]
    bad = ~(np.isfinite(length) & (length > 0))
    if bad.any():
        raise ValueError(
            f"{name}: vector {np.argwhere(bad)[0][0]} is zero, NaN or infinite; one with a direction is needed"
        )
    return (x / length).astype(np.float32)


def read_only(x: np.ndarray) -> np.ndarray:
    """x, an array of our own, which cannot be written to from now on."""
    x.flags.writeable = False
    return x


def is_read_only(x: np.ndarray) -> bool:
    """Whether nobody can write to the numbers of an array, be it through what it is a view of.

    What else than numpy's arrays, bytes and memory maps holds numbers may be a read-only view of what is written to.
    """
    base: Any = x
    while isinstance(base, np.ndarray | memoryview):
        if not base.readonly if isinstance(base, memoryview) else base.flags.writeable:
            return False
        base = base.obj if isinstance(base, memoryview) else base.base
    return base is None or isinstance(base, bytes) or (isinstance(base, mmap) and memoryview(base).readonly)


def present(m: int, counts: np.ndarray) -> np.ndarray:
    """Which of the m vectors of each item are there: the mask (n, m) of `counts` (n,).

    Examples
    --------
    >>> present(3, np.array([2, 1]))
    array([[ True,  True, False],
           [ True, False, False]])
    """
    return np.arange(m) < np.asarray(counts)[:, None]


def several(targets: np.ndarray, counts: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Targets of any shape as several an item.

    Parameters
    ----------
    targets : (n, d), one an item, or (n, m, d).
    counts : how many each item has (n,). Default: all m.

    Returns
    -------
    targets : (n, m, d), where m is 1 for (n, d).
    counts : (n,).

    Raises
    ------
    ValueError
        An array of another shape, counts that are not 1 to m for each item.
    """
    targets = real("targets", targets)
    refuse_unless(targets.ndim in (2, 3), "targets", targets.shape, "an array (n, d) or (n, m, d)")
    targets = targets[:, None] if targets.ndim == 2 else targets
    n, m, _ = targets.shape
    counts = np.full(n, m) if counts is None else integers("counts", counts)
    right = counts.shape == (n,) and counts.dtype.kind in "iu" and bool(((counts >= 1) & (counts <= m)).all())
    refuse_unless(right, "counts", counts, f"an array ({n},) of integers from 1 to {m}")
    return targets, counts


def unit_targets(targets: np.ndarray, counts: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The targets (n, d) or (n, m, d) as unit vectors (n, m, d), zero where absent, and their counts (n,)."""
    targets, counts = several(targets, counts)
    there = present(targets.shape[1], counts)
    z = np.zeros(targets.shape, dtype=np.float32)
    z[there] = unit(targets[there], "targets")
    return z, counts


def mean_of_unit(targets: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """The mean (d,) of the unit targets, float64, every item weighing the same: the best constant prediction.

    Parameters
    ----------
    targets : (n, d), or (n, m, d) with `counts` (n,).

    Examples
    --------
    >>> mean_of_unit(np.array([[2.0, 0.0], [0.0, 3.0]]))
    array([0.5, 0.5])
    """
    z, counts = unit_targets(targets, counts)
    return (z.sum(1, dtype=np.float64) / counts[:, None]).mean(0)


def refuse_bad_rows(name: str, x: np.ndarray, counts: np.ndarray | None = None, rows: np.ndarray | None = None) -> None:
    """Refuse NaN, infinity, zero vectors, and those so short that their type has too few digits for them.

    Parameters
    ----------
    name : of the array, for the message.
    x : (n, d), or (n, m, d) with `counts` (n,); vectors that are absent may hold anything.
    rows : where the rows of x lie (n,), for the message. Default: 0 to n - 1.

    Raises
    ------
    ValueError
        The message names the first bad row and says how many there are.
    """
    length = norms(x)
    bad = ~(np.isfinite(length) & (length >= 16 * np.finfo(x.dtype).smallest_normal))  # below, digits are lost
    if counts is not None:
        bad &= present(x.shape[1], counts)
    if bad.any():
        first = np.argwhere(bad)[0]
        what = f"a vector too short for {x.dtype}" if np.isfinite(length[tuple(first)]) else "NaN or infinity"
        what = "a zero vector" if np.all(x[tuple(first)] == 0) else what
        row = first[0] if rows is None else rows[first[0]]
        raise ValueError(
            f"{name}: {what} in row {row} ({bad.sum()} bad of {bad.size}); finite non-zero vectors are needed"
        )
