"""The closed-form linear map against scikit-learn's Ridge."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch

from modtrans_core.linear import LinearMap

PENALTY = 1e-3
"""of the compared fits, in units of the mean squared singular value of C"""
CHUNK = 65_536
"""rows that the exact solution takes into float64 at once"""

Fit = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""(c (n, k), z (n, d), scikit-learn's alpha) -> M (k, d)"""


def linear_map(c: np.ndarray, z: np.ndarray, alpha: float) -> np.ndarray:
    """LinearMap.fit of this package."""
    return LinearMap.fit(torch.from_numpy(c), torch.from_numpy(z), PENALTY).M.numpy()


def ridge_by_cholesky(c: np.ndarray, z: np.ndarray, alpha: float) -> np.ndarray:
    """scikit-learn's fastest for many rows and few columns: Cholesky, no intercept, no copy, float32 throughout."""
    from sklearn.linear_model import Ridge

    return Ridge(alpha=alpha, solver="cholesky", fit_intercept=False, copy_X=False).fit(c, z).coef_.T


def ridge_by_default(c: np.ndarray, z: np.ndarray, alpha: float) -> np.ndarray:
    """scikit-learn's Ridge as it comes, with an intercept."""
    from sklearn.linear_model import Ridge

    return Ridge(alpha=alpha).fit(c, z).coef_.T


FITS: dict[str, Fit] = {
    "LinearMap": linear_map,
    "Ridge, Cholesky": ridge_by_cholesky,
    "Ridge, default": ridge_by_default,
}


class LinearFits:
    """One problem for all `FITS`: z = c A + noise, float32, and its exact solution in float64."""

    def __init__(self, pairs: int, k: int, d: int, seed: int) -> None:
        self.shape = pairs, k, d
        self.seed = seed

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        n, k, d = self.shape
        rng = np.random.default_rng(self.seed)
        c = rng.standard_normal((n, k), dtype=np.float32) / np.float32(np.sqrt(k))
        z = c @ rng.standard_normal((k, d), dtype=np.float32) / np.float32(np.sqrt(d))
        z += np.float32(0.7 / np.sqrt(d)) * rng.standard_normal((n, d), dtype=np.float32)
        return c, z

    @cached_property
    def exact(self) -> tuple[np.ndarray, float]:
        """The float64 minimiser of |Z - C M|^2 + alpha |M|^2, and alpha."""
        gram, cross = np.zeros((self.shape[1],) * 2), np.zeros(self.shape[1:])
        for start in range(0, self.shape[0], CHUNK):
            c, z = (array[start : start + CHUNK].astype(np.float64) for array in self.data)
            gram += c.T @ c
            cross += c.T @ z
        alpha = PENALTY * float(np.trace(gram)) / self.shape[1]
        return np.linalg.solve(gram + alpha * np.eye(len(gram)), cross), alpha

    def measure(self, name: str) -> dict[str, float]:
        """Seconds of one fit, and the relative error |M - M_exact| / |M_exact| of its map."""
        exact, alpha = self.exact
        start = time.perf_counter()
        fitted = FITS[name](*self.data, alpha)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "error": float(np.linalg.norm(fitted - exact) / np.linalg.norm(exact))}
