"""Checks of arguments: arrays come in as float64, and what cannot be used is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modtrans_core.checks import brief
from modtrans_core.vectors import off_device

Floats = NDArray[np.float64]
Work = TypeVar("Work", bound=Callable[..., Any])

MOST = 1.0 - 1e-14  # confidence of one of several statements; more has too few digits
ROUNDING = 1e-6  # how far float32 may move a cosine, or the length of a unit vector
UNIT = 1e-3  # how far from 1 low precision may move the length of a direction


def small_is_zero(work: Work) -> Work:
    """A function in which a number too small for float64 is 0, also where the caller has numpy raise for that."""

    @wraps(work)
    def worked(*arguments: Any, **named: Any) -> Any:
        with np.errstate(under="ignore"):
            return work(*arguments, **named)

    return cast(Work, worked)


def broadcasting(work: Work) -> Work:
    """A function whose ArrayLike arguments are refused, by name, where their shapes do not broadcast."""
    bind = signature(work).bind
    names = {name for name, kind in work.__annotations__.items() if "ArrayLike" in kind}

    @wraps(work)
    def worked(*arguments: Any, **named: Any) -> Any:
        common_shape(**{name: one for name, one in bind(*arguments, **named).arguments.items() if name in names})
        return work(*arguments, **named)

    return cast(Work, worked)


def common_shape(**values: ArrayLike | None) -> tuple[int, ...]:
    """The shape to which the named values, those that are None aside, broadcast; ValueError where they do not."""
    shapes = {name: _real(name, value).shape for name, value in values.items() if value is not None}
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"shapes: {listed}; such that broadcast are needed") from None


def matrix(name: str, value: ArrayLike) -> Floats:
    """`value` as a float64 matrix (rows, columns): at least one of each, all entries finite; ValueError otherwise."""
    return _finite(name, value, 2, "(rows, columns)")


def vector(name: str, value: ArrayLike) -> Floats:
    """`value` as a float64 vector (n,): at least one entry, all finite; ValueError otherwise."""
    return _finite(name, value, 1, "(n,)")


def cosines(name: str, value: ArrayLike) -> Floats:
    """`value` as a float64 vector (n,) in [-1, 1]; ValueError where one is outside by more than `ROUNDING`."""
    array = vector(name, value)
    if array.min() < -1.0 - ROUNDING or array.max() > 1.0 + ROUNDING:
        raise ValueError(f"{name}: {array.min()} to {array.max()}, -1 to 1 is needed")
    return np.clip(array, -1.0, 1.0)


def weights(name: str, value: ArrayLike, n: int) -> Floats:
    """One number, or (n,) of them, as a float64 vector (n,); ValueError unless they are finite and at least 0."""
    array = in_range(name, value, low=0.0)
    if array.shape not in ((), (n,)):
        raise ValueError(f"{name}: shape {array.shape}, one number or {n} are needed")
    return np.broadcast_to(array, n)


def in_range(
    name: str,
    value: ArrayLike,
    *,
    low: float | Floats = -np.inf,
    high: float | Floats = np.inf,
    finite: bool = True,
) -> Floats:
    """`value` as a float64 array of any shape with entries in [low, high], finite unless said otherwise.

    Raises
    ------
    ValueError
        An entry outside, infinite where `finite`, or NaN; the first of them is named.
    """
    array = _real(name, value)
    good = (array >= low) & (array <= high)
    if finite:
        good &= np.isfinite(array)
    if not good.all():
        entry, least, most = (part[~good].flat[0] for part in np.broadcast_arrays(array, low, high))
        left = "(" if finite and least == -np.inf else "["
        right = ")" if finite and most == np.inf else "]"
        raise ValueError(f"{name}: {entry:g}, a number in {left}{least:g}, {most:g}{right} is needed")
    return array


def number(name: str, value: ArrayLike, *, low: float = -np.inf, high: float = np.inf) -> float:
    """`value` as a finite float in [low, high]; ValueError otherwise, of an array too."""
    array = in_range(name, written(name, value), low=low, high=high)
    if array.shape != ():
        raise ValueError(f"{name}: shape {array.shape}, one number is needed")
    return float(array)


def written(name: str, value: ArrayLike) -> Floats:
    """`value` as float64, for what is asked for and not measured: float32's .69999998807 is .7, as it is written."""
    array, given = _real(name, value), np.asarray(value)
    return given.astype(str).astype(np.float64) if given.dtype.kind == "f" else array


def refuse_extremes(**arrays: Floats) -> None:
    """ValueError where a named array has a largest entry, other than 0, whose square float64 does not hold."""
    for name, array in arrays.items():
        largest = np.abs(array).max()
        if largest and not 1e-140 < largest < 1e140:
            raise ValueError(f"{name}: a largest entry of {largest:.0e}, one from 1e-140 to 1e140 is needed")


@small_is_zero
def scaled(*lengths: Floats) -> tuple[Floats, ...]:
    """The arrays, times the power of two that brings the largest of each entry's lengths into [1/2, 1); zeros stay."""
    _, exponent = np.frexp(np.max([np.abs(length) for length in np.broadcast_arrays(*lengths)], axis=0))
    return tuple(np.ldexp(length, -exponent) for length in lengths)


def times(ratio: Floats, x: Floats) -> Floats:
    """ratio * x, 0 where x is 0, for a ratio that may be infinite."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        return np.where(x == 0.0, 0.0, ratio * x)


def fraction(name: str, value: float) -> float:
    """`value` as a float strictly between 0 and 1; ValueError otherwise."""
    number = written(name, value)
    if number.shape != () or not 0.0 < number < 1.0:
        raise ValueError(f"{name}: {brief(value)}, a number strictly between 0 and 1 is needed")
    return float(number)


def shared(confidence: float, statements: int) -> float:
    """The confidence of each of so many statements that are right together with this one (Bonferroni)."""
    each = 1.0 - (1.0 - fraction("confidence", confidence)) / statements
    if each > MOST:
        raise ValueError(
            f"confidence: {confidence}, at most 1 - {statements * (1 - MOST):.1g} for {statements} statements is needed"
        )
    return each


def rows_agree(**arrays: np.ndarray) -> None:
    """ValueError unless all the named arrays have the same number of rows."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"rows: {listed}; one number of rows for all is needed")


def row_cosine(first: Floats, second: Floats) -> Floats:
    """Cosine (n,) of each row of one matrix with the same row of the other, in [-1, 1]; NaN where a row is zero."""
    first, second = _in_reach(first), _in_reach(second)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    product = np.einsum("nd,nd->n", first, second)
    cosine = np.divide(product, lengths, out=np.full(len(first), np.nan), where=lengths > 0.0)
    return np.clip(cosine, -1.0, 1.0)


def directions(name: str, x: Floats) -> Floats:
    """Every vector of x (..., d) divided by its length; ValueError for one that is zero or not finite."""
    bad = ~(np.isfinite(x).all(axis=-1) & x.any(axis=-1))
    if bad.any():
        where = f"row {np.argwhere(bad)[0][0]}" if bad.ndim else "it"
        raise ValueError(f"{name}: {where} is zero or not finite, vectors with a direction are needed")
    return unit_rows(x)


def unit_directions(name: str, x: Floats) -> Floats:
    """The rows of x (n, d), which are of length 1 to low precision, divided by it; ValueError where one is not."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    if np.abs(length - 1.0).max() > UNIT:
        row = int(np.abs(length - 1.0).argmax())
        raise ValueError(f"{name}: row {row} has length {length[row, 0]:.4g}, 1 is needed")
    return x / length


def row_lengths(x: Floats) -> tuple[Floats, Floats]:
    """The rows of x (n, d) divided by their lengths, zero where they are, and the lengths (n,)."""
    exponent = np.frexp(np.abs(x).max(axis=1))[1]
    length = np.linalg.norm(_in_reach(x), axis=1)
    return _in_reach(x) / np.where(length > 0.0, length, 1.0)[:, None], np.ldexp(length, exponent)


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Every vector of x (..., d) divided by its length."""
    x = _in_reach(x)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _in_reach(x: np.ndarray) -> np.ndarray:
    """The vectors of x (..., d) times powers of two, which are exact: the squares are in the range of the type."""
    return np.ldexp(x, -np.frexp(np.abs(x).max(axis=-1, keepdims=True))[1])


def _finite(name: str, value: ArrayLike, dimensions: int, shape: str) -> Floats:
    """`value` as a float64 array with so many dimensions, not empty and finite."""
    array = _real(name, value)
    if array.ndim != dimensions or array.size == 0:
        raise ValueError(f"{name}: shape {array.shape}, a shape {shape} with no empty side is needed")
    bad = ~np.isfinite(array)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        found = f"entry {row} is {array[row]}" if dimensions == 1 else f"row {row} is not finite"
        raise ValueError(f"{name}: {found}, finite numbers are needed")
    return array


def _real(name: str, value: ArrayLike) -> Floats:
    """`value` as float64; an imaginary part or what is masked would be lost without a word."""
    if np.iscomplexobj(value) or np.ma.is_masked(value):
        raise ValueError(f"{name}: {'complex' if np.iscomplexobj(value) else 'masked'} numbers, real ones are needed")
    try:
        value = off_device(value)
        if np.asarray(value).dtype.kind in "biufO":
            return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{name}: {brief(value)}, real numbers are needed")
