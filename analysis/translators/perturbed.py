"""The condition and noise: how LAFITE makes a text's embedding of a picture's, and CapDec a picture's of a text's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from analysis.translators.closed_form import ClosedForm, one_dimension
from modtrans_core.checks import refuse_unless
from modtrans_core.noise import keys, normal
from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts, Method


@dataclass(frozen=True)
class PerturbedConfig:
    """How much of the condition is left, and how much noise is added.

    Raises
    ------
    ValueError
        A weight out of its range.
    """

    own: float = 0.25
    """factor of the unit condition, > 0"""
    noise: float = 0.75
    """factor of the noise, >= 0"""
    on_sphere: bool = True
    """the noise is a uniform direction, of length 1; else it is standard normal, of length sqrt(d)"""
    seed: int = 0
    """of the noise; a row's noise is a function of its direction and of this"""

    def __post_init__(self) -> None:
        refuse_unless(0 < self.own < float("inf"), "own", self.own, "a positive number")
        refuse_unless(0 <= self.noise < float("inf"), "noise", self.noise, "a finite number >= 0")


@dataclass(frozen=True, repr=False, eq=False)
class PerturbedTranslator(ClosedForm):
    """zhat = own c + noise e."""

    method = "perturbed"

    def zhat(self, c: Tensor) -> Tensor:
        e = normal(keys(c), (self.facts.d,), self.config.seed)
        return self.config.own * c + self.config.noise * (normalize(e, dim=1) if self.config.on_sphere else e)


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: PerturbedConfig,
    device: torch.device,
    run: Any = None,
    report: Progress = silent,
) -> PerturbedTranslator:
    """The condition and noise e. Nothing is fitted. It needs k = d.

    Notes
    -----
    LAFITE trains a generator of pictures without texts: what it reads in place of a text's embedding is the embedding
    of the picture itself, perturbed [1]_. zhat = (1 - a) c + a e with a uniform direction e, and a = .75 in the
    published code. The paper writes c + xi e, which is the same direction for xi = a/(1 - a) = 3. As e is nearly
    perpendicular to any given vector, the perturbation multiplies every cosine by about

        (1 - a) / sqrt((1 - a)^2 + a^2),  1/sqrt(10) at a = .75,

    and the cosine of LAFITE says no more than that of the identity.

    CapDec trains a decoder of captions without pictures: what it reads in place of a picture's embedding is that of the
    caption, plus normal noise of variance v = .016 a coordinate [2]_. So the preset is a translation of texts to
    pictures, and serves training alone. A picture is then decoded from its own embedding, which is the identity. The
    noise multiplies every cosine by about 1/sqrt(1 + v d), .33 for d = 512.

    References
    ----------
    .. [1] Zhou et al. 2022, Towards language-free training for text-to-image generation, arXiv:2111.13792.
    .. [2] Nukrai et al. 2022, Text-only training for image captioning using noise-injected CLIP, arXiv:2211.00575.
    """
    one_dimension("LAFITE" if config.on_sphere else "CapDec noise", facts)
    return PerturbedTranslator.of(facts, config, device, mean=pairing.mean())


METHOD = Method(
    PerturbedConfig, fit, PerturbedTranslator.restore,
    {"LAFITE": PerturbedConfig(), "CapDec noise": PerturbedConfig(own=1.0, noise=0.016**0.5, on_sphere=False)},
)  # fmt: skip
