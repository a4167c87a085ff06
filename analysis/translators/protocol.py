"""The one shape that every baseline has: fit on pairs, then translate conditions."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np

from analysis.theory.arrays import matrix, rows_agree

Pairs = tuple[np.ndarray, np.ndarray]


class Baseline(Protocol):
    """A translator without a network.

    Conditions `c` have shape (n, k) and unit rows, targets `z` shape (n, d): the caller normalises, and
    repeats the condition of an item that has several targets. Translations have shape (n, d) and any length,
    since the cosine does not see it.
    """

    def fit(self, condition: np.ndarray, target: np.ndarray, validation: Pairs | None = None) -> Self:
        """Learn from training pairs; `validation`, more such pairs, chooses a setting where there is one."""

    def translate(self, condition: np.ndarray) -> np.ndarray:
        """Predicted targets, shape (n, d), for conditions of shape (n, k). ValueError before `fit`."""


def training_pairs(condition: np.ndarray, target: np.ndarray) -> Pairs:
    """Both arrays as float64 matrices with equally many rows; ValueError otherwise."""
    condition, target = matrix("condition", condition), matrix("target", target)
    rows_agree(condition=condition, target=target)
    return condition, target


def same_dimension(name: str, condition: np.ndarray, target: np.ndarray) -> None:
    """ValueError unless condition and target live in spaces of one dimension."""
    if condition.shape[1] != target.shape[1]:
        raise ValueError(
            f"{name}: condition has dimension {condition.shape[1]} and target {target.shape[1]}, "
            "allowed is one dimension for both"
        )


def fitted_condition(condition: np.ndarray, dimension: int | None) -> np.ndarray:
    """The condition as a float64 matrix of the `dimension` that was fitted; ValueError otherwise."""
    if dimension is None:
        raise ValueError("translate: called before fit, allowed is fit(condition, target) first")
    condition = matrix("condition", condition)
    if condition.shape[1] != dimension:
        raise ValueError(f"condition: dimension {condition.shape[1]}, allowed is the fitted {dimension}")
    return condition
