"""LAFITE's learned perturbation: a network says how far to move a condition, and how much noise to add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from analysis.translators.closed_form import one_dimension
from analysis.translators.language_free import halves
from modtrans_core.checks import refuse_unless
from modtrans_core.device import seeded
from modtrans_core.noise import keys, normal
from modtrans_core.pairing import Batches, Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts, Method, Stored, Vectors, as_asked, conditions, in_pieces, like, restored
from modtrans_core.train import TrainConfig, train

TRAIN = TrainConfig(steps=100, batch=64, learning_rate=1e-3, weight_decay=0.0, ema=0.0)


@dataclass(frozen=True)
class LearnedNoiseConfig:
    """What the network is trained by.

    Raises
    ------
    ValueError
        A temperature or a width out of its range.
    """

    temperature: float = 0.1
    """that cosines are divided by"""
    width: int = 0
    """units of a hidden layer; 0: 2d, which is 1024 for d = 512"""
    seed: int = 0
    """of the noise of a translation; a row's noise is a function of its direction and of this"""
    train: TrainConfig = TRAIN

    def __post_init__(self) -> None:
        refuse_unless(0 < self.temperature < float("inf"), "temperature", self.temperature, "a positive number")
        refuse_unless(0 <= self.width <= 2**15, "width", self.width, f"0 to {2**15}")


class LearnedNoiseTranslator(Stored, nn.Module):
    """zhat = c + mu(c) + exp(s(c)) * e, e standard normal.

    Parameters
    ----------
    facts : modalities, dimensions and encoders.
    config : settings.
    """

    method = "learned noise"
    mean: Tensor

    def __init__(self, facts: Facts, config: LearnedNoiseConfig) -> None:
        super().__init__()
        self.facts, self.config = facts, config
        with seeded(config.train.seed):
            self.mu, self.log_deviation = (network(facts.d, config.width or 2 * facts.d) for _ in range(2))
        self.register_buffer("mean", torch.zeros(facts.d, dtype=torch.float64))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.facts})"

    def forward(self, c: Tensor, e: Tensor) -> Tensor:
        """zhat (n, d) of the unit conditions c (n, d) with the noise e (n, d)."""
        found: Tensor = c + self.mu(c) + self.log_deviation(c).exp() * e
        return normalize(found, dim=1)

    @as_asked
    def translate(self, c: Vectors) -> Vectors:
        """zhat (n, d) of the conditions c (n, d), numpy or torch, each with the noise of its row."""

        def zhat(rows: Tensor) -> Tensor:
            return self(rows, normal(keys(rows), (self.facts.d,), self.config.seed))

        return like(in_pieces(zhat, conditions(c, self.facts, self.mean.device)), c)

    def tensors(self) -> dict[str, Tensor]:
        """What is saved."""
        return self.state_dict()


def network(d: int, width: int) -> nn.Sequential:
    """Three hidden layers of leaky ReLU, (n, d) -> (n, d)."""
    sizes = [d, width, width, width]
    hidden = [(nn.Linear(a, b), nn.LeakyReLU(0.01)) for a, b in pairwise(sizes)]
    return nn.Sequential(*(layer for pair in hidden for layer in pair), nn.Linear(width, d))


def loss(model: LearnedNoiseTranslator, c: Tensor, z: Tensor) -> dict[str, Tensor]:
    """InfoNCE between the unit conditions c (n, d) of a batch and their own perturbations, both ways; z is not read."""
    logits = c @ model(c, torch.randn_like(c)).T / model.config.temperature
    right = torch.arange(len(c), device=c.device)
    return {"total": (cross_entropy(logits, right) + cross_entropy(logits.T, right)) / 2}


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: LearnedNoiseConfig,
    device: torch.device,
    run: Any = None,
    report: Progress = silent,
) -> LearnedNoiseTranslator:
    """Train mu and s so that a condition is known again by its perturbation among those of a batch. It needs k = d.

    Notes
    -----
    Network, temperature and contrast are those of LAFITE's published code [1]_. It divides exp(cos/t) where InfoNCE
    divides cos/t, and says so; here it is cos/t. Its training is not public, and with it whether the perturbation is
    contrasted with the picture's embedding or with a text's. With texts it would see pairs, so that here it is the
    condition's own.

    Parameters
    ----------
    run : not used: a training of a minute is begun anew.

    References
    ----------
    .. [1] Zhou et al. 2022, Towards language-free training for text-to-image generation, arXiv:2111.13792.
    """
    one_dimension("LAFITE trained", facts)
    model = LearnedNoiseTranslator(facts, config).to(device)
    model.mean.copy_(torch.from_numpy(pairing.mean()))
    batches = Batches(pairing.take(halves(pairing)[0]), config.train.batch, config.train.seed, device)
    return train(model, loss, batches, config.train, None, report, record=True)


def restore(
    facts: Facts, config: LearnedNoiseConfig, tensors: Mapping[str, Tensor], device: torch.device
) -> LearnedNoiseTranslator:
    """The translator of these tensors; a missing or misshapen one is a ValueError."""
    return restored(LearnedNoiseTranslator(facts, config), tensors, device)


METHOD = Method(LearnedNoiseConfig, fit, restore, {"LAFITE trained": LearnedNoiseConfig()})
