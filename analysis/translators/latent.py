"""Baselines through few directions: canonical correlation and partial least squares, regressed on their variates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy.sparse.linalg import svds

from analysis.translators.choice import held_out, numbers_of_components, positive_numbers
from analysis.translators.protocol import Pairs, fitted_condition, training_pairs
from modtrans_core.scores import cosine

PENALTIES = tuple(10.0**exponent for exponent in np.arange(-1.0, 3.0, 0.5))


class CanonicalCorrelation:
    r"""zhat = mean(z) + (c - mean(c)) A B with A (k, r) the first canonical directions and B (r, d) the regression.

    On centred data, with S_cc = C^T C + penalty I, S_zz = Z^T Z + penalty I and the singular value decomposition
    U diag(rho) V^T of S_cc^-1/2 C^T Z S_zz^-1/2 (Hotelling 1936; the penalty is Vinod's, 1976), A = S_cc^-1/2 U_r are
    directions and rho their canonical correlations. Under S_cc the variates C A are white, so B = A^T C^T Z. With all
    r = min(k, d) components and k <= d this is `Ridge`.

    Parameters
    ----------
    penalties : sequence of positive floats
        One for both modalities, in the units of `Ridge`.
    components : sequence of int, optional
        Candidates for r; larger ones than min(k, d) count as min(k, d). Default: 1, 2, 3, 4, 6, 8, 12, ..., min(k, d).
        Where there is more than one pair (penalty, r), `fit` needs validation pairs and keeps the pair of highest mean
        cosine.

    Attributes
    ----------
    penalty, rank : float, int
        The pair kept.
    correlations : ndarray, (rank,)
        rho, descending.
    validation_cosines : dict of (float, int) to float
        Mean validation cosine of every pair (penalty, r); empty where there was nothing to choose.
    """

    def __init__(self, penalties: Sequence[float] = PENALTIES, components: Sequence[int] | None = None) -> None:
        self.penalties = positive_numbers("penalties", penalties)
        self.components = components
        if components is not None:
            numbers_of_components(components, 1)
        self.dimension: int | None = None
        self.penalty, self.rank = self.penalties[0], 0
        self.correlations = np.empty(0)
        self.validation_cosines: dict[tuple[float, int], float] = {}
        self.map, self.offset = np.empty((0, 0)), np.empty(0)

    def fit(self, condition: np.ndarray, target: np.ndarray, validation: Pairs | None = None) -> Self:
        condition, target = training_pairs(condition, target)
        condition_mean, target_mean = condition.mean(axis=0), target.mean(axis=0)
        condition, target = condition - condition_mean, target - target_mean
        cross = condition.T @ target
        of_condition, of_target = (np.linalg.eigh(x.T @ x) for x in (condition, target))
        turned = of_condition[1].T @ cross @ of_target[1]
        ranks = numbers_of_components(self.components, min(cross.shape))

        def solve(penalty: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            """A (k, r), B (r, d) and rho (r,) for the largest r."""
            left, right = (1.0 / np.sqrt(np.maximum(value, 0.0) + penalty) for value, _ in (of_condition, of_target))
            direction, correlation, _ = np.linalg.svd(left[:, None] * turned * right, full_matrices=False)
            direction = of_condition[1] @ (left[:, None] * direction)
            return direction, direction.T @ cross, correlation

        self.validation_cosines = {}
        self.penalty, self.rank = self.penalties[0], ranks[0]
        if len(self.penalties) * len(ranks) > 1:
            held, truth = held_out(validation, "penalties or numbers of components")
            for penalty in self.penalties:
                direction, regression, _ = solve(penalty)
                scores = _cosines_by_rank((held - condition_mean) @ direction, regression, target_mean, truth, ranks)
                self.validation_cosines |= {(penalty, rank): score for rank, score in scores.items()}
            self.penalty, self.rank = max(self.validation_cosines, key=self.validation_cosines.__getitem__)
        direction, regression, correlation = solve(self.penalty)
        self.map, self.correlations = direction[:, : self.rank] @ regression[: self.rank], correlation[: self.rank]
        self.offset = target_mean - condition_mean @ self.map
        self.dimension = len(condition_mean)
        return self

    def translate(self, condition: np.ndarray) -> np.ndarray:
        return fitted_condition(condition, self.dimension) @ self.map + self.offset


class PartialLeastSquares:
    r"""zhat = mean(z) + (c - mean(c)) R Q with R (k, r) the directions of PLS2 and Q (r, d) the regression on them.

    Each direction is that of largest covariance with the targets after deflation, scores (c - mean(c)) R are
    orthogonal on the training data. Computed from C^T C and C^T Z alone (Dayal and MacGregor 1997, algorithm 2), hence
    in a time per component that does not grow with n; equal to the iterations on the data (Wold et al. 1983) that
    scikit-learn's `PLSRegression(scale=False)` runs.

    Parameters
    ----------
    components : sequence of int, optional
        Candidates for r; larger ones than min(k, 256) count as min(k, 256). Default: 1, 2, 3, 4, 6, 8, 12, ..., min(k,
        256). With more than one, `fit` needs validation pairs and keeps the candidate of highest mean cosine.

    Attributes
    ----------
    rank : int
        The candidate kept; no more than the data have directions.
    validation_cosines : dict of int to float
        Mean validation cosine of every candidate; empty where there was nothing to choose.

    Raises
    ------
    ValueError
        From `fit`, if all conditions or all targets are equal: nothing covaries.
    """

    def __init__(self, components: Sequence[int] | None = None) -> None:
        self.components = components
        if components is not None:
            numbers_of_components(components, 1)
        self.dimension: int | None = None
        self.rank = 0
        self.validation_cosines: dict[int, float] = {}
        self.map, self.offset = np.empty((0, 0)), np.empty(0)

    def fit(self, condition: np.ndarray, target: np.ndarray, validation: Pairs | None = None) -> Self:
        condition, target = training_pairs(condition, target)
        condition_mean, target_mean = condition.mean(axis=0), target.mean(axis=0)
        centred = condition - condition_mean
        ranks = numbers_of_components(self.components, min(condition.shape[1], 256))
        direction, regression = _pls(centred.T @ centred, centred.T @ (target - target_mean), ranks[-1])
        if not len(regression):
            raise ValueError("PLS: condition or target does not vary, allowed are rows that differ")
        ranks = numbers_of_components([min(rank, len(regression)) for rank in ranks], len(regression))
        self.validation_cosines, self.rank = {}, ranks[0]
        if len(ranks) > 1:
            held, truth = held_out(validation, "numbers of components")
            scores = (held - condition_mean) @ direction
            self.validation_cosines = _cosines_by_rank(scores, regression, target_mean, truth, ranks)
            self.rank = max(ranks, key=self.validation_cosines.__getitem__)
        self.map = direction[:, : self.rank] @ regression[: self.rank]
        self.offset = target_mean - condition_mean @ self.map
        self.dimension = len(condition_mean)
        return self

    def translate(self, condition: np.ndarray) -> np.ndarray:
        return fitted_condition(condition, self.dimension) @ self.map + self.offset


def _pls(gram: np.ndarray, cross: np.ndarray, rank: int) -> Pairs:
    """R (k, r) and Q (r, d) of PLS2 from C^T C (k, k) and C^T Z (k, d); r < rank where nothing is left to explain."""
    directions, loadings = np.empty((len(gram), rank)), np.empty((len(gram), rank))
    regression = np.empty((rank, cross.shape[1]))
    cross, smallest = cross.copy(), 1e-10 * np.linalg.norm(cross)
    for index in range(rank):
        if np.linalg.norm(cross) <= smallest:
            return directions[:, :index], regression[:index]
        weight = _dominant_left(cross)
        direction = weight.copy()
        for earlier in range(index):
            direction -= (loadings[:, earlier] @ weight) * directions[:, earlier]
        image = gram @ direction
        power = direction @ image
        directions[:, index], loadings[:, index] = direction, image / power
        regression[index] = direction @ cross / power
        cross -= np.outer(image, regression[index])
    return directions, regression


def _dominant_left(matrix: np.ndarray) -> np.ndarray:
    """The left singular vector (k,) of the largest singular value of a (k, d) matrix."""
    if min(matrix.shape) < 20:
        return np.linalg.svd(matrix, full_matrices=False)[0][:, 0]
    start = np.ones(min(matrix.shape))
    return svds(matrix, k=1, v0=start)[0][:, 0]


def _cosines_by_rank(
    variates: np.ndarray, regression: np.ndarray, mean: np.ndarray, truth: np.ndarray, ranks: Sequence[int]
) -> dict[int, float]:
    """Mean cosine of mean + (first r columns of the variates) (first r rows of the regression), for ascending r."""
    predicted, done, scores = np.tile(mean, (len(variates), 1)), 0, {}
    for rank in ranks:
        predicted += variates[:, done:rank] @ regression[done:rank]
        scores[rank], done = float(cosine(predicted, truth).mean()), rank
    return scores
