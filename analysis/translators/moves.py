"""Translators that at most move a condition: the constant mean, the identity, the mean shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch

from analysis.translators.choose import Rows
from analysis.translators.closed_form import Affine, one_dimension
from modtrans_core.checks import refuse_unless_in
from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts, Method

Move = Literal["constant mean", "identity", "mean shift"]


@dataclass(frozen=True)
class MoveConfig:
    """Which one it is.

    Raises
    ------
    ValueError
        There is no such move.
    """

    move: Move = "mean shift"
    """what becomes of the condition; see `fit`"""

    def __post_init__(self) -> None:
        refuse_unless_in("move", self.move, get_args(Move))


@dataclass(frozen=True, repr=False, eq=False)
class MoveTranslator(Affine):
    """zhat = b, zhat = c or zhat = c + b."""

    method = "moves"


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: MoveConfig,
    device: torch.device,
    run: Any = None,
    report: Progress = silent,
) -> MoveTranslator:
    """The mean of the targets, the condition itself, or the condition moved by the difference of the means.

    Notes
    -----
    constant mean: zhat = mean(z), of the training targets. No constant has a higher mean cosine there, as the mean of
    <z_i, q> over unit q is largest at q parallel to the mean: this is the floor of the metric.

    identity: zhat = c. A generator assumes this that is trained on image embeddings and then fed text embeddings, as
    CLIP-GEN is [1]_. It needs k = d.

    mean shift: zhat = c + mean(z) - mean(c), over training and validation pairs. The gap between the modalities of a
    contrastive encoder is close to one constant vector [2]_; this removes just that. It needs k = d.

    References
    ----------
    .. [1] Wang et al. 2022, CLIP-GEN, arXiv:2203.00386.
    .. [2] Liang et al. 2022, Mind the gap, arXiv:2203.02053.
    """
    mean, b = pairing.mean(), np.zeros(facts.d)
    if config.move == "constant mean":
        A, b = np.zeros((facts.k, facts.d)), mean
    else:
        one_dimension(config.move, facts)
        A = np.eye(facts.d)
        if config.move == "mean shift":
            mean_c, mean_z, _, _ = Rows.of(pairing, validation).centred()
            b = mean_z - mean_c
    return MoveTranslator.of(facts, config, device, mean=mean, A=A, b=b)


METHOD = Method(
    MoveConfig, fit, MoveTranslator.restore,
    {"constant mean": MoveConfig("constant mean"), "identity": MoveConfig("identity"), "mean shift": MoveConfig()},
)  # fmt: skip
