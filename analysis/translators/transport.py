"""Baseline that never sees a pair: the optimal transport between Gaussians fitted to the two clouds."""

from __future__ import annotations

from typing import Self

import numpy as np

from analysis.translators.protocol import Pairs, fitted_condition, same_dimension, training_pairs


class OptimalTransport:
    r"""zhat = mean(z) + (c - mean(c)) A, A = S_c^-1/2 (S_c^1/2 S_z S_c^1/2)^1/2 S_c^-1/2 symmetric and positive.

    The map that carries a Gaussian with covariance S_c to one with covariance S_z at the least mean squared
    displacement (Knott and Smith 1984), by POT. It **ignores the pairing**: only the two clouds count, in any order of
    their rows, and `validation` is not used. What it scores above the mean shift is what the shapes of the clouds
    alone give away, and what it lacks to `Procrustes` or `Ridge` is what the pairs are worth. It needs k = d.

    Parameters
    ----------
    shrinkage : float, optional
        S = (1 - shrinkage) covariance + shrinkage trace/d I, from 0 to 1. Default: for each cloud the Ledoit-Wolf
        estimate (2004), which needs no pairs either.

    Raises
    ------
    ValueError
        From `fit`, if a covariance is singular: no variation, or fewer rows than dimensions and no shrinkage.
    """

    def __init__(self, shrinkage: float | None = None) -> None:
        if shrinkage is not None and not 0.0 <= shrinkage <= 1.0:
            raise ValueError(f"shrinkage: {shrinkage}, allowed is a number from 0 to 1")
        self.shrinkage = shrinkage
        self.dimension: int | None = None
        self.map, self.offset = np.empty((0, 0)), np.empty(0)

    def fit(self, condition: np.ndarray, target: np.ndarray, validation: Pairs | None = None) -> Self:
        from ot.gaussian import bures_wasserstein_mapping  # loads torch where it is installed

        condition, target = training_pairs(condition, target)
        same_dimension("optimal transport", condition, target)
        means = condition.mean(axis=0), target.mean(axis=0)
        covariances = self._covariance("condition", condition), self._covariance("target", target)
        self.map, offset = bures_wasserstein_mapping(*means, *covariances)
        self.offset = np.ravel(offset)
        self.dimension = condition.shape[1]
        return self

    def translate(self, condition: np.ndarray) -> np.ndarray:
        return fitted_condition(condition, self.dimension) @ self.map + self.offset

    def _covariance(self, name: str, rows: np.ndarray) -> np.ndarray:
        from sklearn.covariance import ledoit_wolf_shrinkage, shrunk_covariance

        centred = rows - rows.mean(axis=0)
        shrinkage = self.shrinkage
        if shrinkage is None:
            shrinkage = float(ledoit_wolf_shrinkage(centred, assume_centered=True)) if centred.any() else 0.0
        covariance = shrunk_covariance(centred.T @ centred / len(centred), shrinkage)
        value = np.linalg.eigvalsh(covariance)
        if value[0] <= 1e-12 * value[-1]:
            raise ValueError(f"{name}: covariance of rank below {len(value)}, allowed are rows that vary in every way")
        return covariance
