"""Baseline that is linear: ridge regression, its penalty chosen by the validation cosine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.linear_model import Ridge as ScikitRidge

from analysis.translators.choice import held_out, positive_numbers
from analysis.translators.protocol import Pairs, fitted_condition, training_pairs
from modtrans_core.scores import cosine

PENALTIES = tuple(10.0**exponent for exponent in np.arange(-2.0, 3.5, 0.5))


class Ridge:
    """zhat = mean(z) + (c - mean(c)) M with M = argmin |Z - C M|_F^2 + penalty |M|_F^2 on centred data.

    Solved by scikit-learn, so that it is an independent check on the package's own closed form. Unit
    conditions make the trace of C^T C at most n: penalties are in these units, summed and not averaged over
    the n training rows.

    Parameters
    ----------
    penalties : sequence of positive floats
        Candidates; with more than one, `fit` needs validation pairs and keeps the candidate of highest mean
        cosine.

    Attributes
    ----------
    penalty : float
        The candidate kept.
    validation_cosines : dict of float to float
        Mean validation cosine of every candidate; empty where there was nothing to choose.
    """

    def __init__(self, penalties: Sequence[float] = PENALTIES) -> None:
        self.penalties = positive_numbers("penalties", penalties)
        self.dimension: int | None = None
        self.penalty = self.penalties[0]
        self.validation_cosines: dict[float, float] = {}
        self.map, self.offset = np.empty((0, 0)), np.empty(0)

    def fit(self, condition: np.ndarray, target: np.ndarray, validation: Pairs | None = None) -> Self:
        condition, target = training_pairs(condition, target)
        if len(self.penalties) > 1:
            held, truth = held_out(validation, "penalties")
            for penalty in self.penalties:
                linear_map, offset = _solve(condition, target, penalty)
                score = cosine(held @ linear_map + offset, truth).mean()
                self.validation_cosines[penalty] = float(score)
            self.penalty = max(self.penalties, key=self.validation_cosines.__getitem__)
        self.map, self.offset = _solve(condition, target, self.penalty)
        self.dimension = condition.shape[1]
        return self

    def translate(self, condition: np.ndarray) -> np.ndarray:
        return fitted_condition(condition, self.dimension) @ self.map + self.offset


def _solve(condition: np.ndarray, target: np.ndarray, penalty: float) -> Pairs:
    """M, (k, d), and the offset mean(z) - mean(c) M, (d,)."""
    solution = ScikitRidge(alpha=penalty).fit(condition, target)
    linear_map = np.reshape(solution.coef_, (target.shape[1], condition.shape[1])).T
    return linear_map, np.reshape(solution.intercept_, target.shape[1])
