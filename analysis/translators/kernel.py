"""The translator that bends: kernel ridge regression, its bandwidth and penalty chosen by the validation cosine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import euclidean_distances
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
    """training conditions that kernels are centred on, at most; where there are no more conditions, nothing is
    approximated"""
    seed: int = 0
    """of the choice of landmarks"""

    def __post_init__(self) -> None:
        refuse_unless(0 <= self.bandwidth < np.inf, "bandwidth", self.bandwidth, "a finite number >= 0")
        refuse_unless(0 <= self.penalty < np.inf, "penalty", self.penalty, "a finite number >= 0")
        refuse_unless(self.landmarks >= 1, "landmarks", self.landmarks, "at least 1")
        refuse_unless(self.seed >= 0, "seed", self.seed, "an integer >= 0")


@dataclass(frozen=True, repr=False)
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
    """f = argmin sum |z - b - f(c)|^2 + penalty |f|^2 over functions f = sum_j exp(-|c - l_j|^2 / (2 h^2)) w_j.

    Raises
    ------
    ValueError
        All conditions are equal: they have no distance.

    Notes
    -----
    |f| is the norm of the kernel's space. The landmarks l_j are training conditions drawn at random: with all of them
    this is kernel ridge regression, with some its Nystroem approximation [1]_ [2]_. scikit-learn's `Nystroem` maps c to
    K^-1/2 (k(c, l_j))_j, K the kernel matrix of the landmarks, and its `Ridge` is fitted to that.

    References
    ----------
    .. [1] Williams and Seeger 2001, Using the Nystroem method to speed up kernel machines, NeurIPS 13.
    .. [2] Rudi, Camoriano and Rosasco 2015, Less is more: Nystroem computational regularization, arXiv:1507.04717.
    """
    mean = pairing.mean()

    def solver(rows: Rows) -> Callable[[tuple[float, float]], KernelTranslator]:
        order = np.random.default_rng(config.seed).permutation(len(rows.c))
        distance = euclidean_distances(rows.c[order[:DISTANCES]])
        median = float(np.median(distance[np.triu_indices(len(distance), 1)])) if len(order) > 1 else 0.0
        if median == 0:
            raise ValueError("kernel ridge: conditions do not vary, rows that differ are needed")

        @lru_cache(maxsize=1)
        def features(bandwidth: float) -> tuple[Nystroem, np.ndarray]:
            """The map to features, and those of all rows."""
            gamma, components = 0.5 / (bandwidth * median) ** 2, min(config.landmarks, len(order))
            nystroem = Nystroem(gamma=gamma, n_components=components, random_state=config.seed).fit(rows.c)
            return nystroem, nystroem.transform(rows.c)

        def solve(setting: tuple[float, float]) -> KernelTranslator:
            bandwidth, penalty = setting
            nystroem, phi = features(bandwidth)
            solution = Ridge(alpha=penalty).fit(phi, rows.z, rows.weight)
            weights = nystroem.normalization_.T @ np.reshape(solution.coef_, (facts.d, -1)).T
            return KernelTranslator.of(
                facts, config, device, mean=mean, landmarks=nystroem.components_, weights=weights,
                b=np.reshape(solution.intercept_, facts.d), width=bandwidth * median, penalty=penalty,
            )  # fmt: skip

        return solve

    bandwidths = [config.bandwidth] if config.bandwidth else BANDWIDTHS
    penalties = [config.penalty] if config.penalty else PENALTIES
    return chosen(solver, list(product(bandwidths, penalties)), pairing, validation, report)


METHOD = Method(KernelConfig, fit, KernelTranslator.restore, {"kernel ridge": KernelConfig()})
