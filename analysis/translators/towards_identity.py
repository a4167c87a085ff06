"""The linear translator of one shared space: ridge regression shrunk towards a multiple of the identity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from analysis.translators.choose import Rows, chosen, grid
from analysis.translators.closed_form import Affine, one_dimension
from modtrans_core.checks import refuse_unless
from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts, Method

PENALTIES = grid(-2, 5)
"""penalties tried, in units of the squared length of one training condition, which is 1"""
IDENTITIES = tuple(step / 10 for step in range(13))
"""values of t tried, 0 to 1.2"""


@dataclass(frozen=True)
class TowardsIdentityConfig:
    """What the map is shrunk towards, and how much.

    Raises
    ------
    ValueError
        A negative or infinite penalty, a t that is not finite, or one where no penalty is given.
    """

    penalty: float = 0.0
    """of |M - t I|_F^2, in the units of `analysis.translators.ridge`; 0: penalty and t are those of `PENALTIES` and
    `IDENTITIES` with the best mean cosine on the validation pairs"""
    t: float = 1.0
    """multiple of the identity, where a penalty is given"""

    def __post_init__(self) -> None:
        refuse_unless(0 <= self.penalty < np.inf, "penalty", self.penalty, "a finite number >= 0")
        refuse_unless(bool(np.isfinite(self.t)), "t", self.t, "a finite number")
        refuse_unless(self.penalty > 0 or self.t == 1, "t", self.t, "a penalty above 0 beside it, or none of both,")


@dataclass(frozen=True, repr=False, eq=False)
class TowardsIdentityTranslator(Affine):
    """zhat = mean(z) + (c - mean(c)) M."""

    penalty: Tensor
    """the one it was fitted with"""
    t: Tensor
    """multiple of the identity that M was shrunk towards"""
    method = "ridge towards tI"


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: TowardsIdentityConfig,
    device: torch.device,
    run: Any = None,
    report: Progress = silent,
) -> TowardsIdentityTranslator:
    """M = argmin |Z - C M|_F^2 + penalty |M - t I|_F^2 on centred data. It needs k = d.

    Notes
    -----
    The modalities of a contrastive encoder share their axes, which is what the prior mean t I says. M is t I plus the
    ridge map R of the residuals Z - t C. As R is linear in its targets, M = R(Z) + t (I - R(C)), and one solution a
    penalty serves every t. At t = 0 it is the ridge map, at t = 1 and a large penalty the mean shift.
    """
    one_dimension("ridge towards tI", facts)
    mean, size = pairing.mean(), facts.d

    def solver(rows: Rows) -> Callable[[tuple[float, float]], TowardsIdentityTranslator]:
        mean_c, mean_z, C, Z = rows.centred()
        # the triangular factor of [C Z] has its cross products in at most 2d rows; C is zero below row d
        factor = np.asarray(np.linalg.qr(np.hstack([C, Z]), mode="r"))[:size]

        @lru_cache(maxsize=1)
        def solution(penalty: float) -> tuple[np.ndarray, np.ndarray]:
            """R(Z) and I - R(C), both (d, d)."""
            ridge = Ridge(alpha=penalty, fit_intercept=False).fit(factor[:, :size], factor)
            R = np.reshape(ridge.coef_, (2 * size, size)).T
            return R[:, size:], np.eye(size) - R[:, :size]

        def solve(setting: tuple[float, float]) -> TowardsIdentityTranslator:
            penalty, t = setting
            of_targets, of_identity = solution(penalty)
            M = of_targets + t * of_identity
            b = mean_z - mean_c @ M
            return TowardsIdentityTranslator.of(facts, config, device, mean=mean, A=M, b=b, penalty=penalty, t=t)

        return solve

    settings = [(config.penalty, config.t)] if config.penalty else list(product(PENALTIES, IDENTITIES))
    return chosen(solver, settings, pairing, validation, report)


METHOD = Method(
    TowardsIdentityConfig, fit, TowardsIdentityTranslator.restore, {"ridge towards tI": TowardsIdentityConfig()}
)
