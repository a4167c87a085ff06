"""Settings that the validation pairs choose: their candidates, and the pairs themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.translators.protocol import Pairs, training_pairs


def positive_numbers(name: str, values: Sequence[float]) -> tuple[float, ...]:
    """`values` as floats; ValueError if there are none, or one is not finite and above 0."""
    for value in values:
        if not 0.0 < value < np.inf:
            raise ValueError(f"{name}: {value}, allowed are finite numbers above 0")
    if not len(values):
        raise ValueError(f"{name}: empty, allowed is at least one number above 0")
    return tuple(float(value) for value in values)


def whole_number(name: str, value: int) -> int:
    """`value` as an int; ValueError unless it is a whole number of at least 1."""
    if value != int(value) or value < 1:
        raise ValueError(f"{name}: {value}, allowed is a whole number of at least 1")
    return int(value)


def numbers_of_components(values: Sequence[int] | None, largest: int) -> tuple[int, ...]:
    """Ascending candidates, none above `largest`; by default 1, 2, 3, 4, 6, 8, 12, ... and `largest` itself."""
    if values is None:
        values = [step << power for power in range(largest.bit_length()) for step in (2, 3)]
        values = [1, *(value for value in values if value < largest), largest]
    return tuple(sorted({min(whole_number("components", value), largest) for value in values}))


def held_out(validation: Pairs | None, several: str) -> Pairs:
    """The validation pairs, checked; ValueError where there are none to choose among `several`."""
    if validation is None:
        raise ValueError(f"validation: none, allowed are pairs where there are several {several}")
    return training_pairs(*validation)
