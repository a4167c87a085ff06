"""The column space of a matrix of conditions: projector, leverage, least-squares and ridge solution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.theory.arrays import matrix


@dataclass(frozen=True)
class ColumnSpace:
    """Conditions C = left diag(singular) right (n, k), cut to their numerical rank.

    Build it with `ColumnSpace.of(condition)`. Penalties lambda >= 0 are in the units of the sum, not the
    mean, over the n rows.
    """

    condition: np.ndarray
    left: np.ndarray
    singular: np.ndarray
    right: np.ndarray

    @staticmethod
    def of(condition: np.ndarray) -> ColumnSpace:
        """Decompose C, (n, k). ValueError unless it is a finite matrix with an entry that is not zero."""
        condition = matrix("condition", condition)
        left, singular, right = np.linalg.svd(condition, full_matrices=False)
        rank = int((singular > singular[0] * max(condition.shape) * np.finfo(np.float64).eps).sum())
        if rank == 0:
            raise ValueError("condition: all zero, allowed is at least one entry that is not")
        return ColumnSpace(condition, left[:, :rank], singular[:rank], right[:rank])

    def project(self, columns: np.ndarray) -> np.ndarray:
        """P_C X, for X of shape (n, d): its columns' nearest combinations of the conditions."""
        return self.left @ (self.left.T @ columns)

    def solve(self, target: np.ndarray, ridge: float = 0.0) -> np.ndarray:
        """M = argmin |Z - C M|_F^2 + ridge |M|_F^2, shape (k, d); of least norm where ridge is 0: C^+ Z."""
        return self.right.T @ ((self.singular / self._damped(ridge))[:, None] * (self.left.T @ target))

    def leverage(self, ridge: float = 0.0) -> np.ndarray:
        """h_i in [0, 1], shape (n,): the diagonal of C (C^T C + ridge I)^+ C^T, which takes Z to C M."""
        return np.square(self.left) @ (np.square(self.singular) / self._damped(ridge))

    def _damped(self, ridge: float) -> np.ndarray:
        if not 0.0 <= ridge < np.inf:
            raise ValueError(f"ridge: {ridge}, allowed is a finite number of at least 0")
        return np.square(self.singular) + ridge
