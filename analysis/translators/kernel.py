"""Baseline that bends: kernel ridge regression, its bandwidth and penalty chosen by the validation cosine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.kernel_ridge import KernelRidge as ScikitKernelRidge
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

from analysis.translators.choice import held_out, positive_numbers, whole_number
from analysis.translators.protocol import Pairs, fitted_condition, training_pairs
from analysis.translators.repeats import Merged, mean_cosine, merge, merge_unit

BANDWIDTHS = (0.25, 0.5, 1.0)
PENALTIES = tuple(10.0**exponent for exponent in np.arange(-2.0, 1.5, 0.5))
_CHUNK = 4096  # rows of the kernel held at once


class KernelRidge:
    r"""zhat = mean(z) + f(c), f = argmin sum_i |z_i - mean(z) - f(c_i)|^2 + penalty |f|^2 in the space of a kernel.

    The kernel is exp(-|c - c'|^2 / (2 b^2)), b the bandwidth times the median distance between training conditions.
    Equal conditions are merged into one row weighted by their number, which changes nothing but the time. Up to
    `exact` different conditions the solution is scikit-learn's. Settings are chosen, and larger sets solved, among
    functions f = sum_j k(., c_j) a_j of at most `landmarks` training conditions c_j drawn at random (Nystroem: Williams
    and Seeger 2001; Rudi et al. 2015, arXiv:1507.04717): with K_nm the kernel of conditions and landmarks and W
    the weights, a = (K_nm^T W K_nm + penalty K_mm)^-1 K_nm^T W Z.

    Parameters
    ----------
    bandwidths, penalties : sequences of positive floats
        Where there is more than one pair of them, `fit` needs validation pairs and keeps the pair of highest mean
        cosine.
    landmarks, exact : int
        See above.
    seed : int
        Of the landmarks.

    Attributes
    ----------
    bandwidth, penalty : float
        The pair kept.
    validation_cosines : dict of (float, float) to float
        Mean validation cosine of every pair (bandwidth, penalty); empty where there was nothing to choose.

    Raises
    ------
    ValueError
        From `fit`, if all conditions are equal: they have no distance.
    """

    def __init__(
        self,
        bandwidths: Sequence[float] = BANDWIDTHS,
        penalties: Sequence[float] = PENALTIES,
        *,
        landmarks: int = 1500,
        exact: int = 6000,
        seed: int = 0,
    ) -> None:
        self.bandwidths = positive_numbers("bandwidths", bandwidths)
        self.penalties = positive_numbers("penalties", penalties)
        self.landmarks, self.exact = whole_number("landmarks", landmarks), whole_number("exact", exact)
        self.seed = seed
        self.dimension: int | None = None
        self.bandwidth, self.penalty = self.bandwidths[0], self.penalties[0]
        self.validation_cosines: dict[tuple[float, float], float] = {}
        self.width = 1.0
        self.centres, self.weights, self.mean = np.empty((0, 0)), np.empty((0, 0)), np.empty(0)

    def fit(self, condition: np.ndarray, target: np.ndarray, validation: Pairs | None = None) -> Self:
        condition, target = training_pairs(condition, target)
        self.mean = target.mean(axis=0)
        rows = merge(condition, target - self.mean)
        if len(rows.condition) == 1:
            raise ValueError("kernel ridge: condition does not vary, allowed are rows that differ")
        order = np.random.default_rng(self.seed).permutation(len(rows.condition))
        distance = euclidean_distances(rows.condition[order[:1000]])
        median = float(np.median(distance[np.triu_indices(len(distance), 1)]))
        self.centres = rows.condition[np.sort(order[: self.landmarks])]

        several = len(self.bandwidths) * len(self.penalties) > 1
        held = merge_unit(*held_out(validation, "bandwidths or penalties")) if several else None
        self.validation_cosines, best = {}, -np.inf
        if held is not None or len(order) > self.exact:
            widths = [bandwidth * median for bandwidth in self.bandwidths]
            for bandwidth, width, moments in zip(self.bandwidths, widths, self._moments(rows, widths), strict=True):
                basis, power, image = _diagonal(_kernel(self.centres, self.centres, width), *moments)
                features = None if held is None else _kernel(held.condition, self.centres, width) @ basis
                for penalty in self.penalties:
                    solution = image / (power + penalty)[:, None]
                    score = 0.0
                    if held is not None and features is not None:
                        score = mean_cosine(self.mean + features @ solution, held)
                        self.validation_cosines[bandwidth, penalty] = score
                    if score > best:
                        best, self.bandwidth, self.penalty = score, bandwidth, penalty
                        self.weights = basis @ solution
        self.width = self.bandwidth * median
        if len(order) <= self.exact:
            self.centres = rows.condition
            model = ScikitKernelRidge(alpha=self.penalty, kernel="precomputed")
            kernel = _kernel(self.centres, self.centres, self.width)
            self.weights = model.fit(kernel, rows.target, sample_weight=rows.weight).dual_coef_
        self.dimension = condition.shape[1]
        return self

    def translate(self, condition: np.ndarray) -> np.ndarray:
        condition = fitted_condition(condition, self.dimension)
        parts = (condition[start : start + _CHUNK] for start in range(0, len(condition), _CHUNK))
        return self.mean + np.vstack([_kernel(part, self.centres, self.width) @ self.weights for part in parts])

    def _moments(self, rows: Merged, widths: Sequence[float]) -> list[Pairs]:
        """K_nm^T W K_nm, (m, m), and K_nm^T W Z, (m, d), for each width; distances are computed once."""
        m, d = len(self.centres), rows.target.shape[1]
        moments = [(np.zeros((m, m)), np.zeros((m, d))) for _ in widths]
        for start in range(0, len(rows.condition), _CHUNK):
            part = slice(start, start + _CHUNK)
            squared = euclidean_distances(rows.condition[part], self.centres, squared=True)
            root = np.sqrt(rows.weight[part, None])
            for width, (gram, cross) in zip(widths, moments, strict=True):
                kernel = root * np.exp(squared / (-2.0 * width**2))
                gram += kernel.T @ kernel
                cross += kernel.T @ (root * rows.target[part])
        return moments


def _kernel(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """exp(-|c - c'|^2 / (2 width^2)), (len(first), len(second))."""
    return rbf_kernel(first, second, gamma=0.5 / width**2)


def _diagonal(kernel: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """B (m, r), p (r,) and B^T cross (r, d) with B^T kernel B = 1 and B^T gram B = diag(p).

    (gram + penalty kernel)^-1 cross is then B diag(1 / (p + penalty)) B^T cross, on the directions that the kernel of
    the landmarks has at all.
    """
    value, vector = np.linalg.eigh(kernel)
    kept = value > 1e-10 * value[-1]
    whitening = vector[:, kept] / np.sqrt(value[kept])
    power, turn = np.linalg.eigh(whitening.T @ gram @ whitening)
    basis = whitening @ turn
    return basis, np.maximum(power, 0.0), basis.T @ cross
