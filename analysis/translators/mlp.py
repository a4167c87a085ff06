"""Translators with a small network and no diffusion: trained on the cosine, on the ranking, or on squared errors."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from analysis.translators.choose import judge, judge_ranking
from modtrans_core.checks import refuse_unless, refuse_unless_in
from modtrans_core.device import seeded
from modtrans_core.layers import Linear
from modtrans_core.pairing import Batches, Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import (
    Facts,
    Method,
    Stored,
    Vectors,
    as_asked,
    conditions,
    evaluating,
    in_pieces,
    like,
    restored,
)
from modtrans_core.run import Training
from modtrans_core.train import Enough, TrainConfig, Watch, train

Loss = Literal["cosine", "InfoNCE", "squared"]
TRAIN = TrainConfig(steps=600, batch=256, learning_rate=2e-3, weight_decay=1e-2, ema=0.0)
SAME = 1 - 1e-6
"""cosine from which two vectors are one"""


@dataclass(frozen=True)
class MLPConfig:
    """The network, what it is trained on, and when its training ends.

    Raises
    ------
    ValueError
        A value out of its range; the message names the setting, the value and what is needed.
    """

    width: int = 512
    """units of a hidden layer"""
    dropout: float = 0.4
    """probability that a hidden unit is dropped in training"""
    layers: int = 2
    """hidden layers"""
    skip: bool = False
    """add the network to the condition itself or, where the dimensions differ, to a linear map of it"""
    loss: Loss = "cosine"
    """what is minimised: 1 - cos(z, zhat), the InfoNCE of the right targets of a batch against its others, or
    |z - zhat|^2. Weights are kept by the validation cosine; with InfoNCE by the ranking of the validation items"""
    every: int = 25
    """steps between two looks at the validation pairs"""
    patience: int = 6
    """looks in a row without a gain that end the training"""
    train: TrainConfig = TRAIN

    def __post_init__(self) -> None:
        refuse_unless_in("loss", self.loss, get_args(Loss))
        refuse_unless(1 <= self.width <= 2**15, "width", self.width, f"1 to {2**15}")
        refuse_unless(1 <= self.layers <= 1000, "layers", self.layers, "1 to 1000")
        refuse_unless(0 <= self.dropout < 1, "dropout", self.dropout, "a probability in [0, 1)")
        refuse_unless(self.every >= 1, "every", self.every, "at least 1")
        refuse_unless(self.patience >= 1, "patience", self.patience, "at least 1")


class MLPTranslator(Stored, nn.Module):
    """zhat = W_3 g(W_2 g(W_1 x)) with the standardised condition x, g GELU and dropout; with `skip` c or P c is added.

    Its length is 1 where the loss does not see it.

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
        with seeded(config.train.seed):
            self.network = network(facts.k, facts.d, config.width, config.dropout, config.layers)
            if config.skip:
                self.straight = nn.Identity() if facts.k == facts.d else Linear(facts.k, facts.d, bias=False)
                last = self.network[-1]
                assert isinstance(last, nn.Linear)
                nn.init.zeros_(last.weight)  # it starts as what it is added to
                nn.init.zeros_(last.bias)
        if config.loss == "InfoNCE":
            self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # where CLIP starts
        self.register_buffer("mean", torch.zeros(facts.d, dtype=torch.float64))
        self.register_buffer("centre", torch.zeros(facts.k))
        self.register_buffer("deviation", torch.ones(facts.k))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.facts})"

    def forward(self, c: Tensor) -> Tensor:
        """zhat (n, d) of the unit conditions c (n, k)."""
        found: Tensor = self.network((c - self.centre) / self.deviation)
        if self.config.skip:
            found = found + self.straight(c)
        return found if self.config.loss == "squared" else normalize(found, dim=1)

    @as_asked
    def translate(self, c: Vectors) -> Vectors:
        """zhat (n, d) of the conditions c (n, k), numpy or torch, with no unit dropped."""
        with evaluating(self):
            found = in_pieces(self, conditions(c, self.facts, self.mean.device))
        return like(found, c)

    def tensors(self) -> dict[str, Tensor]:
        """What is saved."""
        return self.state_dict()


def network(k: int, d: int, width: int, dropout: float, layers: int = 2) -> nn.Sequential:
    """So many hidden layers, (n, k) -> (n, d)."""
    sizes = [k, *[width] * layers]
    hidden = [(Linear(*pair), nn.GELU(), nn.Dropout(dropout)) for pair in pairwise(sizes)]
    return nn.Sequential(*chain.from_iterable(hidden), Linear(width, d))


def loss(model: MLPTranslator, c: Tensor, z: Tensor) -> dict[str, Tensor]:
    """The loss of the config, a mean over the unit pairs c (n, k), z (n, d).

    InfoNCE is the mean of both directions, zhat to z and z to zhat, with a learned scale of at most 100, as in CLIP
    [1]_. Where one target or one condition is in several pairs of the batch, these are not set against each other.

    References
    ----------
    .. [1] Radford et al. 2021, Learning transferable visual models from natural language supervision, arXiv:2103.00020.
    """
    zhat = model(c)
    if model.config.loss == "squared":
        return {"total": (zhat - z).square().sum(1).mean()}
    if model.config.loss == "cosine":
        return {"total": 1 - (zhat * z).sum(1).mean()}
    same = (z @ z.T > SAME) | (c @ c.T > SAME)
    logits = model.log_scale.exp().clamp(max=100) * zhat @ z.T
    logits = logits.masked_fill(same.fill_diagonal_(False), -torch.inf)  # (n, n)
    right = torch.arange(len(z), device=z.device)
    return {"total": (cross_entropy(logits, right) + cross_entropy(logits.T, right)) / 2}


class Looks(Watch):
    """Keeps the weights of the best mean validation cosine, or ranking.

    It also lets the learning rate fall to zero as a cosine.

    Raises
    ------
    Enough
        From `after`, when `patience` looks in a row brought no gain.
    """

    def __init__(self, validation: Pairing, config: MLPConfig) -> None:
        self.judge, self.config = (judge_ranking if config.loss == "InfoNCE" else judge)(validation), config
        self.scores: dict[int, float] = {}
        """mean validation cosine, or ranking, after so many steps"""
        self.best: MLPTranslator | None = None

    def after(self, step: int, steps: int, values: Mapping[str, float] | None, state: Training) -> None:
        for group in state.optimizer.param_groups:
            group["lr"] = self.config.train.learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
        if step % self.config.every and step != steps:
            return
        best = max(self.scores, key=self.scores.__getitem__, default=0)
        assert isinstance(state.average, MLPTranslator)
        self.scores[step] = self.judge(state.average)
        if self.scores[step] > self.scores.get(best, -1):
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
    """Train with AdamW, and keep the weights of the best mean validation cosine, or ranking.

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
        last = train(model, loss, batches, config.train, looks, report, torch.optim.AdamW, record=True)
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


METHOD = Method(
    MLPConfig, fit, restore,
    {
        "MLP": MLPConfig(),
        "MLP InfoNCE": MLPConfig(loss="InfoNCE"),
        "residual MLP": MLPConfig(256, layers=1, skip=True, loss="squared", train=replace(TRAIN, learning_rate=5e-4)),
    },
)  # fmt: skip
"""`residual MLP` is the form of Drift-Adapter's (Vejendla 2025, arXiv:2509.23471)"""
