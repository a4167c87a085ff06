"""The translator that only turns: the best rotation between the centred clouds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.linalg import polar

from analysis.translators.choose import Rows
from analysis.translators.closed_form import Affine
from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts, Method


@dataclass(frozen=True)
class ProcrustesConfig:
    """There is nothing to set."""


@dataclass(frozen=True, repr=False, eq=False)
class ProcrustesTranslator(Affine):
    """zhat = mean(z) + t (c - mean(c)) Q with orthonormal rows or columns of Q (k, d)."""

    method = "procrustes"


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: ProcrustesConfig,
    device: torch.device,
    run: Any = None,
    report: Progress = silent,
) -> ProcrustesTranslator:
    """The best turn and dilation of the centred conditions, over training and validation pairs.

    Raises
    ------
    ValueError
        All conditions or all targets are equal: a rotation of a point is undefined.

    Notes
    -----
    For centred C and Z, Q maximises trace(Q^T C^T Z) over all Q with orthonormal rows or columns, and
    t = trace(Q^T C^T Z) / |C Q|_F^2 is the least-squares dilation for this Q [1]_ [2]_. For k <= d, (Q, t) minimises
    the squared error over all such maps. For k > d, Q projects and |C Q|_F depends on Q, so that the pair is no longer
    the minimiser but stays well defined. Drift-Adapter's is the Q of vectors that are not centred, alone [3]_.

    References
    ----------
    .. [1] Schoenemann 1966, A generalized solution of the orthogonal Procrustes problem, Psychometrika 31.
    .. [2] Gower and Dijksterhuis 2004, Procrustes problems, Oxford University Press.
    .. [3] Vejendla 2025, Drift-Adapter, arXiv:2509.23471.
    """
    mean_c, mean_z, C, Z = Rows.of(pairing, validation).centred()
    Q, P = polar(C.T @ Z)  # C^T Z = Q P: the orthogonal factor has the greatest trace
    if np.trace(P) == 0:
        raise ValueError("procrustes: condition or target does not vary, rows that differ are needed")
    A = np.trace(P) / np.square(C @ Q).sum() * Q
    return ProcrustesTranslator.of(facts, config, device, mean=pairing.mean(), A=A, b=mean_z - mean_c @ A)


METHOD = Method(ProcrustesConfig, fit, ProcrustesTranslator.restore, {"procrustes": ProcrustesConfig()})
