"""The translator with a small network and no diffusion: two hidden layers, trained on the cosine itself."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from analysis.translators.choose import judge
from modtrans_core.checks import refuse_unless
from modtrans_core.pairing import Batches, Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts, Method, Stored, Vectors, conditions, in_pieces, like, restored
from modtrans_core.run import Training
from modtrans_core.train import TrainConfig, train


@dataclass(frozen=True)
class MLPConfig:
    """The network, and when its training ends.

    Raises
    ------
    ValueError
        A value out of its range; the message names the setting, the value and what is needed.
    """

    width: int = 1024
    """units of a hidden layer"""
    dropout: float = 0.4
    """probability that a hidden unit is dropped in training"""
    every: int = 25
    """steps between two looks at the validation cosine"""
    patience: int = 6
    """looks in a row without a gain that end the training"""
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(steps=600, batch=256, learning_rate=2e-3, weight_decay=1e-2, ema=0.0)
    )

    def __post_init__(self) -> None:
        refuse_unless(self.width >= 1, "width", self.width, "at least 1")
        refuse_unless(0 <= self.dropout < 1, "dropout", self.dropout, "a probability in [0, 1)")
        refuse_unless(self.every >= 1, "every", self.every, "at least 1")
        refuse_unless(self.patience >= 1, "patience", self.patience, "at least 1")


class MLPTranslator(Stored, nn.Module):
    """zhat = W_3 g(W_2 g(W_1 x)) with the standardised condition x, g GELU and dropout.

    Parameters
    ----------
    facts : modalities, dimensions and encoders.
    config : settings.
    """

    method = "MLP"
    mean: Tensor
    centre: Tensor
    deviation: Tensor

    def __init__(self, facts: Facts, config: MLPConfig) -> None:
        super().__init__()
        self.facts, self.config = facts, config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.train.seed)
            self.network = network(facts.k, facts.d, config.width, config.dropout)
        self.register_buffer("mean", torch.zeros(facts.d, dtype=torch.float64))
        self.register_buffer("centre", torch.zeros(facts.k))
        self.register_buffer("deviation", torch.ones(facts.k))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.facts})"

    def forward(self, c: Tensor) -> Tensor:
        """zhat (n, d) of the unit conditions c (n, k)."""
        found: Tensor = self.network((c - self.centre) / self.deviation)
        return found

    @torch.inference_mode()
    def translate(self, c: Vectors) -> Vectors:
        """zhat (n, d) of the conditions c (n, k), numpy or torch, with no unit dropped."""
        training = self.training
        self.eval()
        found = in_pieces(self, conditions(c, self.facts, self.mean.device))
        self.train(training)
        return like(found, c)

    def tensors(self) -> dict[str, Tensor]:
        """What is saved."""
        return self.state_dict()


def network(k: int, d: int, width: int, dropout: float) -> nn.Sequential:
    """Two hidden layers, (n, k) -> (n, d)."""
    first = nn.Linear(k, width), nn.GELU(), nn.Dropout(dropout)
    second = nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout)
    return nn.Sequential(*first, *second, nn.Linear(width, d))


def loss(model: MLPTranslator, c: Tensor, z: Tensor) -> dict[str, Tensor]:
    """The mean of 1 - cos(z, zhat) over the unit pairs c (n, k), z (n, d)."""
    return {"total": 1 - cosine_similarity(model(c), z, dim=1).mean()}


class Enough(Exception):
    """No look brings a gain any more."""


class Looks:
    """A `modtrans_core.train.Watch` that keeps the weights of the best mean validation cosine.

    It also lets the learning rate fall to zero as a cosine.

    Raises
    ------
    Enough
        From `after`, when `patience` looks in a row brought no gain.
    """

    def __init__(self, validation: Pairing, config: MLPConfig) -> None:
        self.judge, self.config = judge(validation), config
        self.cosines: dict[int, float] = {}
        """mean validation cosine after so many steps"""
        self.best: MLPTranslator | None = None

    def resume(self, state: Training) -> int:
        return 0

    def interruptible(self) -> nullcontext[None]:
        return nullcontext()

    def after(self, step: int, steps: int, values: Mapping[str, float] | None, state: Training) -> None:
        for group in state.optimizer.param_groups:
            group["lr"] = self.config.train.learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
        if step % self.config.every and step != steps:
            return
        best = max(self.cosines, key=self.cosines.__getitem__, default=0)
        assert isinstance(state.average, MLPTranslator)
        self.cosines[step] = self.judge(state.average)
        if self.cosines[step] > self.cosines.get(best, -1):
            self.best = copy.deepcopy(state.average)
        elif step - best >= self.config.every * self.config.patience:
            raise Enough


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: MLPConfig,
    device: torch.device,
    run: Any = None,
    report: Progress = silent,
) -> MLPTranslator:
    """Train with AdamW, and keep the weights of the best mean validation cosine.

    Parameters
    ----------
    run : not used: a training of a minute is begun anew.
    """
    model = MLPTranslator(facts, config).to(device)
    model.mean.copy_(torch.from_numpy(pairing.mean()))
    standardise(model, pairing)
    looks = Looks(validation, config)
    batches = Batches(pairing, config.train.batch, config.train.seed, device)
    try:
        last = train(model, loss, batches, config.train, looks, report, optimizer=torch.optim.AdamW)
    except Enough:
        last = model
    return looks.best or last


@torch.no_grad()
def standardise(model: MLPTranslator, pairing: Pairing) -> None:
    """Give the model the mean and the deviation of the training conditions; a constant coordinate has deviation 1."""
    moments = torch.zeros(2, pairing.k, dtype=torch.float64, device=model.centre.device)
    for c, _, count in pairing.sums(model.centre.device, share=(0, 1)):
        moments += torch.stack([count @ c, count @ c.square()]) / len(pairing)
    variance = moments[1] - moments[0].square()
    model.centre.copy_(moments[0])
    model.deviation.copy_(torch.where(variance > 1e-12, variance.clamp_min(0).sqrt(), 1))


def restore(facts: Facts, config: MLPConfig, tensors: Mapping[str, Tensor], device: torch.device) -> MLPTranslator:
    """The translator of these tensors; a missing or misshapen one is a ValueError."""
    return restored(MLPTranslator(facts, config), tensors, device)


METHOD = Method(MLPConfig, fit, restore, {"MLP": MLPConfig()})
