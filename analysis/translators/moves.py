"""Baselines that only move points: the constant mean, the identity, the mean shift."""

from __future__ import annotations

from typing import Self

import numpy as np

from analysis.translators.protocol import Pairs, fitted_condition, same_dimension, training_pairs


class ConstantMean:
    """The same answer for everything: the mean of the training targets, zhat = mean(z).

    No constant has a higher mean cosine on the training targets when these are unit vectors (the mean of
    <z_i, q> over unit q is largest at q parallel to the mean): this is the floor of the metric.
    """

    def __init__(self) -> None:
        self.dimension: int | None = None
        self.mean = np.empty(0)

    def fit(self, condition: np.ndarray, target: np.ndarray, validation: Pairs | None = None) -> Self:
        condition, target = training_pairs(condition, target)
        self.dimension, self.mean = condition.shape[1], target.mean(axis=0)
        return self

    def translate(self, condition: np.ndarray) -> np.ndarray:
        return np.tile(self.mean, (len(fitted_condition(condition, self.dimension)), 1))


class Identity:
    """The condition itself, zhat = c; it needs one shared space, k = d.

    This is what a generator assumes that is trained on image embeddings and then fed text embeddings, as in
    CLIP-GEN (arXiv:2203.00386).
    """

    def __init__(self) -> None:
        self.dimension: int | None = None

    def fit(self, condition: np.ndarray, target: np.ndarray, validation: Pairs | None = None) -> Self:
        condition, target = training_pairs(condition, target)
        same_dimension("identity", condition, target)
        self.dimension = condition.shape[1]
        return self

    def translate(self, condition: np.ndarray) -> np.ndarray:
        return fitted_condition(condition, self.dimension).copy()


class MeanShift:
    """The condition moved by the modality gap, zhat = c + mean(z) - mean(c).

    The gap between the modalities of a contrastive encoder is close to one constant vector (Liang et al.
    2022, arXiv:2203.02053); this baseline removes just that. It needs k = d.
    """

    def __init__(self) -> None:
        self.dimension: int | None = None
        self.shift = np.empty(0)

    def fit(self, condition: np.ndarray, target: np.ndarray, validation: Pairs | None = None) -> Self:
        condition, target = training_pairs(condition, target)
        same_dimension("mean shift", condition, target)
        self.dimension, self.shift = condition.shape[1], target.mean(axis=0) - condition.mean(axis=0)
        return self

    def translate(self, condition: np.ndarray) -> np.ndarray:
        return fitted_condition(condition, self.dimension) + self.shift
