"""The linear translator: ridge regression, its penalty chosen by the validation cosine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.linalg import eigh
from sklearn.linear_model import Ridge
from torch import Tensor

from analysis.translators.choose import Rows, chosen, grid
from analysis.translators.closed_form import Affine
from modtrans_core.checks import refuse_unless
from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts, Method

PENALTIES = grid(-2, 3)
"""penalties tried, in units of the squared length of one training condition, which is 1"""


@dataclass(frozen=True)
class RidgeConfig:
    """How much the map is shrunk.

    Raises
    ------
    ValueError
        A negative or infinite penalty.
    """

    penalty: float = 0.0
    """of the squared entries of M, beside squared errors that are summed over all pairs; 0: that of `PENALTIES` with
    the best mean cosine on the validation pairs"""

    def __post_init__(self) -> None:
        refuse_unless(0 <= self.penalty < np.inf, "penalty", self.penalty, "a finite number >= 0")


@dataclass(frozen=True, repr=False, eq=False)
class RidgeTranslator(Affine):
    """zhat = mean(z) + (c - mean(c)) M."""

    penalty: Tensor
    """the one it was fitted with"""
    method = "ridge"


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: RidgeConfig,
    device: torch.device,
    run: Any = None,
    report: Progress = silent,
) -> RidgeTranslator:
    """M = argmin |Z - C M|_F^2 + penalty |M|_F^2 on centred data, every pair weighing the same.

    Candidates are solved together, and the chosen one by scikit-learn, so that it is an independent check on the core's
    own closed form.
    """
    mean = pairing.mean()

    def translator(A: np.ndarray, b: np.ndarray, penalty: float) -> RidgeTranslator:
        return RidgeTranslator.of(facts, config, device, mean=mean, A=A, b=b, penalty=penalty)

    def candidates(rows: Rows) -> Callable[[float], RidgeTranslator]:
        mean_c, mean_z, C, Z = rows.centred()
        solution = ridge_maps(C, Z)

        def at(penalty: float) -> RidgeTranslator:
            A = solution(penalty)
            return translator(A, mean_z - mean_c @ A, penalty)

        return at

    def final(rows: Rows) -> Callable[[float], RidgeTranslator]:
        def at(penalty: float) -> RidgeTranslator:
            solution = Ridge(alpha=penalty).fit(rows.c, rows.z, rows.weight)
            A, b = np.reshape(solution.coef_, (facts.d, facts.k)).T, np.reshape(solution.intercept_, facts.d)
            return translator(A, b, penalty)

        return at

    penalties = [config.penalty] if config.penalty else PENALTIES
    return chosen(candidates, penalties, pairing, validation, report, final)


def ridge_maps(C: np.ndarray, Z: np.ndarray) -> Callable[[float], np.ndarray]:
    """M(penalty) = argmin |Z - C M|_F^2 + penalty |M|_F^2, (k, d), of C (n, k), Z (n, d) and any penalty > 0.

    One eigendecomposition serves all of them.
    """
    values, V = eigh(C.T @ C)
    cross = V.T @ (C.T @ Z)
    return lambda penalty: V @ (cross / (values.clip(0) + penalty)[:, None])


METHOD = Method(RidgeConfig, fit, RidgeTranslator.restore, {"ridge": RidgeConfig()})
