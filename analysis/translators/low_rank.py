"""The linear translator of few directions: ridge regression whose map has a small rank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch
from scipy.linalg import eigh, svd
from torch import Tensor

from analysis.translators.choose import Rows, chosen, grid
from analysis.translators.closed_form import Affine
from modtrans_core.checks import refuse_unless
from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts, Method

PENALTIES = grid(-2, 3)
"""penalties tried, in units of the squared length of one training condition, which is 1"""
RANKS = (8, 16, 32, 64, 128, 256)
"""ranks tried, as far as they are below both dimensions"""
Setting = tuple[float, int]
"""penalty and rank"""


@dataclass(frozen=True)
class LowRankConfig:
    """How few directions the map has, and how much it is shrunk.

    Raises
    ------
    ValueError
        A negative or infinite penalty, or a negative rank.
    """

    rank: int = 0
    """of M, at most; 0: that of `RANKS` with the best mean cosine on the validation pairs"""
    penalty: float = 0.0
    """of the squared entries of M, in the units of `analysis.translators.ridge`; 0: that of `PENALTIES` with the best
    mean cosine on the validation pairs"""

    def __post_init__(self) -> None:
        refuse_unless(self.rank >= 0, "rank", self.rank, "at least 0")
        refuse_unless(0 <= self.penalty < np.inf, "penalty", self.penalty, "a finite number >= 0")


@dataclass(frozen=True, repr=False, eq=False)
class LowRankTranslator(Affine):
    """zhat = mean(z) + (c - mean(c)) M with M of rank r."""

    penalty: Tensor
    """the one it was fitted with"""
    rank: Tensor
    """r, or more than M can have"""
    method = "low-rank affine"


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: LowRankConfig,
    device: torch.device,
    run: Any = None,
    report: Progress = silent,
) -> LowRankTranslator:
    """M = argmin |Z - C M|_F^2 + penalty |M|_F^2 over the maps of rank r, on centred data.

    Notes
    -----
    This is reduced-rank regression [1]_ with a penalty [2]_. Let S = C^T C + penalty I, and R = S^-1 C^T Z the ridge
    map. The loss of M is that of R plus |S^1/2 (R - M)|_F^2, so that the best S^1/2 M of rank r is the truncation of
    S^1/2 R. This is M = R V V^T, with V (d, r) the leading eigenvectors of R^T S R = R^T C^T Z. Drift-Adapter finds
    such a map by gradient steps [3]_; here it is found exactly.

    References
    ----------
    .. [1] Izenman 1975, Reduced-rank regression for the multivariate linear model, J. Multivariate Analysis 5.
    .. [2] Mukherjee and Zhu 2011, Reduced rank ridge regression and its kernel extensions, Stat. Anal. Data Min. 4.
    .. [3] Vejendla 2025, Drift-Adapter, arXiv:2509.23471.
    """
    mean = pairing.mean()

    def solver(rows: Rows) -> Callable[[Setting], LowRankTranslator]:
        mean_c, mean_z, C, Z = rows.centred()
        values, vectors = eigh(C.T @ C)
        cross = vectors.T @ (C.T @ Z)

        @lru_cache(maxsize=1)
        def solution(penalty: float) -> tuple[np.ndarray, np.ndarray]:
            """R (k, d), and the leading directions of S^1/2 R, (d, min(k, d))."""
            root = np.sqrt(values.clip(0) + penalty)[:, None]
            return vectors @ (cross / root**2), svd(cross / root, full_matrices=False)[2].T

        def at(setting: Setting) -> LowRankTranslator:
            penalty, rank = setting
            R, vectors = solution(penalty)
            V = vectors[:, :rank]
            A = R @ V @ V.T
            made = {"mean": mean, "A": A, "b": mean_z - mean_c @ A, "penalty": penalty, "rank": rank}
            return LowRankTranslator.of(facts, config, device, **made)

        return at

    penalties = [config.penalty] if config.penalty else PENALTIES
    least = min(facts.k, facts.d)
    ranks = [config.rank] if config.rank else [rank for rank in RANKS if rank < least] or [least]
    return chosen(solver, list(product(penalties, ranks)), pairing, validation, report)


METHOD = Method(LowRankConfig, fit, LowRankTranslator.restore, {"low-rank affine": LowRankConfig()})
