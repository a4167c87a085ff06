"""Kernel ridge regression, a non-linear map; its bandwidth and penalty are chosen by the validation cosine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.spatial.distance import pdist
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from torch import Tensor

from analysis.translators.choose import Rows, chosen, grid
from analysis.translators.closed_form import ClosedForm
from modtrans_core.checks import refuse_unless
from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts, Method

BANDWIDTHS = (0.25, 0.5, 1.0)
"""bandwidths tried, in units of the median distance of two training conditions"""
PENALTIES = grid(-2, 1)
"""penalties tried, in units of the kernel of a condition with itself, which is 1"""
Setting = tuple[float, float]
"""bandwidth, in the unit of `BANDWIDTHS`, and penalty"""
SEARCHED = 750
"""landmarks, at most, of candidates whose best is then solved without an approximation"""
DISTANCES = 1000
"""training conditions, at most, between which the median distance is taken"""


@dataclass(frozen=True)
class KernelConfig:
    """How the regression is approximated, and how smooth it is.

    Raises
    ------
    ValueError
        A value out of its range; the message names the setting, the value and what is needed.
    """

    bandwidth: float = 0.0
    """of the kernel, in units of the median distance of two conditions; 0: that of `BANDWIDTHS` with the best mean
    cosine on the validation pairs"""
    penalty: float = 0.0
    """of the squared norm of the function, beside squared errors that are summed over all pairs; 0: that of
    `PENALTIES` with the best mean cosine on the validation pairs"""
    landmarks: int = 1500
    """training conditions that kernels are centred on, at most, where the solution is approximated"""
    exact: int = 6000
    """conditions up to which the chosen one is solved without an approximation"""
    seed: int = 0
    """of the choice of landmarks"""

    def __post_init__(self) -> None:
        refuse_unless(0 <= self.bandwidth < np.inf, "bandwidth", self.bandwidth, "a finite number >= 0")
        refuse_unless(0 <= self.penalty < np.inf, "penalty", self.penalty, "a finite number >= 0")
        refuse_unless(self.landmarks >= 1, "landmarks", self.landmarks, "at least 1")
        refuse_unless(self.exact >= 0, "exact", self.exact, "at least 0")
        refuse_unless(0 <= self.seed < 2**32, "seed", self.seed, f"0 to {2**32 - 1}")


@dataclass(frozen=True, repr=False, eq=False)
class KernelTranslator(ClosedForm):
    """zhat = b + sum_j exp(-|c - l_j|^2 / (2 h^2)) w_j, with unit landmarks l_j."""

    landmarks: Tensor
    """(L, k)"""
    weights: Tensor
    """w (L, d)"""
    b: Tensor
    """(d,)"""
    width: Tensor
    """h"""
    penalty: Tensor
    """the one it was fitted with"""
    method = "kernel ridge"

    def zhat(self, c: Tensor) -> Tensor:
        # |c - l|^2 = 2 - 2 <c, l>; the weights of near landmarks cancel each other, which takes float64
        kernel = torch.exp((c.double() @ self.landmarks.T - 1) / self.width**2)
        return (self.b + kernel @ self.weights).float()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        L, k, d = len(self.landmarks), self.facts.k, self.facts.d
        return {**super().shapes(), "landmarks": (L, k), "weights": (L, d), "b": (d,), "width": ()}


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: KernelConfig,
    device: torch.device,
    run: Any = None,
    report: Progress = silent,
) -> KernelTranslator:
    """zhat = mean(z) + f(c), f = argmin sum |z - mean(z) - f(c)|^2 + penalty |f|^2 in the space of a kernel.

    Raises
    ------
    ValueError
        All conditions are equal: they have no distance.

    Notes
    -----
    The kernel is exp(-|c - c'|^2 / (2 h^2)). Settings are chosen, and larger sets solved, among functions
    f = sum_j k(., l_j) w_j of some training conditions l_j drawn at random, the landmarks [1]_ [2]_: scikit-learn's
    `Nystroem` maps c to K^-1/2 (k(c, l_j))_j, K the kernel matrix of the landmarks, and a ridge map is fitted to that.
    Up to `exact` conditions the solution is scikit-learn's `KernelRidge`, whose landmarks are all conditions.

    References
    ----------
    .. [1] Williams and Seeger 2001, Using the Nystroem method to speed up kernel machines, NeurIPS 13.
    .. [2] Rudi, Camoriano and Rosasco 2015, Less is more: Nystroem computational regularization, arXiv:1507.04717.
    """
    mean = pairing.mean()
    most = min(config.landmarks, SEARCHED) if len(pairing.c) + len(validation.c) <= config.exact else config.landmarks

    def translator(penalty: float, rows: Rows, landmarks: np.ndarray, w: np.ndarray, width: float) -> KernelTranslator:
        arrays = {"landmarks": landmarks, "weights": w, "b": rows.mean_z()}
        return KernelTranslator.of(facts, config, device, mean=mean, width=width, penalty=penalty, **arrays)

    def approximate(rows: Rows) -> Callable[[Setting], KernelTranslator]:
        unit_of_width = median_distance(rows.c, config.seed)

        @lru_cache(maxsize=1)
        def solution(width: float) -> tuple[np.ndarray, ...]:
            """Landmarks, the eigenvalues of sum phi^T phi over all pairs, the eigenvectors V as functions of the
            kernels, and V^T times the sum of phi^T (z - mean(z))."""
            components = min(most, len(rows.c))
            nystroem = Nystroem(gamma=0.5 / width**2, n_components=components, random_state=config.seed).fit(rows.c)
            phi = nystroem.transform(rows.c)
            weighted = phi.T * rows.weight
            values, V = eigh(weighted @ phi)
            cross = V.T @ (weighted @ (rows.z - rows.mean_z()))
            return nystroem.components_, values, nystroem.normalization_.T @ V, cross

        def at(setting: Setting) -> KernelTranslator:
            width = setting[0] * unit_of_width
            landmarks, values, on_kernels, cross = solution(width)
            w = on_kernels @ (cross / (values + setting[1])[:, None])
            return translator(setting[1], rows, landmarks, w, width)

        return at

    def final(rows: Rows) -> Callable[[Setting], KernelTranslator]:
        if len(rows.c) > config.exact:
            return approximate(rows)

        def at(setting: Setting) -> KernelTranslator:
            width = setting[0] * median_distance(rows.c, config.seed)
            solution = KernelRidge(alpha=setting[1], kernel="rbf", gamma=0.5 / width**2)
            solution.fit(rows.c, rows.z - rows.mean_z(), rows.weight)
            return translator(setting[1], rows, rows.c, np.reshape(solution.dual_coef_, (-1, facts.d)), width)

        return at

    bandwidths = [config.bandwidth] if config.bandwidth else BANDWIDTHS
    penalties = [config.penalty] if config.penalty else PENALTIES
    return chosen(approximate, list(product(bandwidths, penalties)), pairing, validation, report, final)


def median_distance(c: np.ndarray, seed: int) -> float:
    """The median distance of `DISTANCES` conditions at most, of those that differ where it is 0; a ValueError where
    none differ.
    """
    distance = pdist(np.random.default_rng(seed).permutation(c)[:DISTANCES])
    refuse_unless(bool(distance.any()), "kernel ridge", "conditions that do not vary", "more than one condition")
    return float(np.median(distance) or np.median(distance[distance > 0]))


METHOD = Method(KernelConfig, fit, KernelTranslator.restore, {"kernel ridge": KernelConfig()})
