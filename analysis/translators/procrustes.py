"""Baseline that only turns: the best rotation between the centred clouds."""

from __future__ import annotations

from typing import Self

import numpy as np

from analysis.translators.protocol import Pairs, fitted_condition, training_pairs


class Procrustes:
    r"""Centred similarity transform, zhat = mean(z) + t (c - mean(c)) Q, with Q (k, d) (semi-)orthogonal.

    With the thin singular value decomposition U S V^T of the centred cross product C^T Z, Q = U V^T maximises
    trace(Q^T C^T Z) over all Q with orthonormal rows or columns, and t = trace(S) / |C Q|_F^2 is the
    least-squares dilation for this Q (Schoenemann 1966; Gower and Dijksterhuis 2004). For k <= d, (Q, t)
    minimises the squared error over all such transforms; for k > d, Q projects, |C Q|_F depends on Q, and the
    pair is no longer the minimiser but stays well defined.

    Raises
    ------
    ValueError
        From `fit`, if all conditions or all targets are equal: a rotation of a point is undefined.
    """

    def __init__(self) -> None:
        self.dimension: int | None = None
        self.condition_mean = self.target_mean = np.empty(0)
        self.map = np.empty((0, 0))

    def fit(self, condition: np.ndarray, target: np.ndarray, validation: Pairs | None = None) -> Self:
        condition, target = training_pairs(condition, target)
        self.condition_mean, self.target_mean = condition.mean(axis=0), target.mean(axis=0)
        centred = condition - self.condition_mean
        left, singular, right = np.linalg.svd(centred.T @ (target - self.target_mean), full_matrices=False)
        if singular[0] == 0.0:
            raise ValueError("procrustes: condition or target does not vary, allowed are rows that differ")
        rotation = left @ right
        self.map = rotation * (singular.sum() / np.square(centred @ rotation).sum())
        self.dimension = condition.shape[1]
        return self

    def translate(self, condition: np.ndarray) -> np.ndarray:
        return self.target_mean + (fitted_condition(condition, self.dimension) - self.condition_mean) @ self.map
