"""Baseline for one shared space: ridge regression shrunk towards a multiple of the identity instead of zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.linear_model import Ridge as ScikitRidge

from analysis.translators.choice import held_out, positive_numbers
from analysis.translators.protocol import Pairs, fitted_condition, same_dimension, training_pairs
from modtrans_core.scores import cosine

PENALTIES = tuple(10.0**exponent for exponent in np.arange(-2.0, 5.5, 0.5))
SCALES = tuple(step / 10 for step in range(13))


class RidgeTowardsIdentity:
    """zhat = mean(z) + (c - mean(c)) M with M = argmin |Z - C M|_F^2 + penalty |M - t I|_F^2 on centred data.

    The same as t I plus the ridge map of the residuals Z - t C; the prior mean is that of a contrastive encoder, whose
    modalities share axes. Scale t = 0 is `Ridge`, and a large penalty with t = 1 is `MeanShift`. The ridge map is
    linear in its target, R(Z - t C) = R(Z) - t R(C), so one solve a penalty serves every t. It needs k = d.

    Parameters
    ----------
    penalties : sequence of positive floats
        In the units of `Ridge`.
    scales : sequence of floats
        Candidates for t. Where there is more than one pair (penalty, t), `fit` needs validation pairs and keeps the
        pair of highest mean cosine.

    Attributes
    ----------
    penalty, scale : float
        The pair kept.
    validation_cosines : dict of (float, float) to float
        Mean validation cosine of every pair (penalty, t); empty where there was nothing to choose.
    """

    def __init__(self, penalties: Sequence[float] = PENALTIES, scales: Sequence[float] = SCALES) -> None:
        self.penalties = positive_numbers("penalties", penalties)
        if not len(scales):
            raise ValueError("scales: empty, allowed is at least one finite number")
        for scale in scales:
            if not np.isfinite(scale):
                raise ValueError(f"scales: {scale}, allowed are finite numbers")
        self.scales = tuple(float(scale) for scale in scales)
        self.dimension: int | None = None
        self.penalty, self.scale = self.penalties[0], self.scales[0]
        self.validation_cosines: dict[tuple[float, float], float] = {}
        self.map, self.offset = np.empty((0, 0)), np.empty(0)

    def fit(self, condition: np.ndarray, target: np.ndarray, validation: Pairs | None = None) -> Self:
        condition, target = training_pairs(condition, target)
        same_dimension("ridge towards tI", condition, target)
        condition_mean, target_mean = condition.mean(axis=0), target.mean(axis=0)
        # the triangular factor of [C Z] has the cross products of [C Z], in at most 2d rows; C is zero below row d
        factor = np.asarray(np.linalg.qr(np.hstack([condition - condition_mean, target - target_mean]), mode="r"))
        size = condition.shape[1]
        factor = factor[:size]

        def solve(penalty: float) -> Pairs:
            """R(Z) and I - R(C), both (d, d): the map is the first plus t times the second."""
            ridge = ScikitRidge(alpha=penalty, fit_intercept=False)
            solution = np.atleast_2d(ridge.fit(factor[:, :size], factor).coef_).T
            return solution[:, size:], np.eye(size) - solution[:, :size]

        self.validation_cosines = {}
        if len(self.penalties) * len(self.scales) > 1:
            held, truth = held_out(validation, "penalties or scales")
            for penalty in self.penalties:
                of_target, of_identity = ((held - condition_mean) @ part for part in solve(penalty))
                for scale in self.scales:
                    score = cosine(target_mean + of_target + scale * of_identity, truth).mean()
                    self.validation_cosines[penalty, scale] = float(score)
            self.penalty, self.scale = max(self.validation_cosines, key=self.validation_cosines.__getitem__)
        of_target, of_identity = solve(self.penalty)
        self.map = of_target + self.scale * of_identity
        self.offset = target_mean - condition_mean @ self.map
        self.dimension = size
        return self

    def translate(self, condition: np.ndarray) -> np.ndarray:
        return fitted_condition(condition, self.dimension) @ self.map + self.offset
