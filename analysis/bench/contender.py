"""The shape of a contender: one that learns by gradient steps, one in closed form."""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from analysis.bench.machine import seconds_per_call, synchronise
from analysis.bench.task import Task
from modtrans_core import linear

BATCH_COUNTED = 32
"""rows over which the operations of a step or a translation are counted; both are proportional to the rows"""
LOOKS = 24
"""times that a training looks at the validation pairs, where it chooses by them"""


def flops(call: Callable[[], Any]) -> int:
    """Floating-point operations of the matrix products in one call, forward and backward.

    Torch counts its own; the symmetric products that `modtrans_core.linear.gram` leaves to numpy are added.
    """
    symmetric, gram = [0], linear.gram

    def counted(c: Tensor) -> Tensor:
        symmetric[0] += len(c) * c.shape[1] ** 2 if c.device.type == "cpu" else 0
        return gram(c)

    with patch.object(linear, "gram", counted), FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops()) + symmetric[0]


class Contender(ABC):
    """What all contenders can do: translate conditions."""

    name: str
    peer: ClassVar[bool] = False
    """whether ours are compared with it"""
    diffusion: bool = False
    """whether it samples in steps and takes guidance"""

    def __init__(self, task: Task) -> None:
        self.task = task

    @abstractmethod
    def ready(self) -> None:
        """Make it able to translate, by the least work; what it has learnt already is kept."""

    @abstractmethod
    def translate(self, c: Tensor, steps: int, guidance: float) -> Tensor:
        """zhat (n, d) of unit conditions c (n, k), on the task's device; a guidance of 1 is none."""

    def translation_flops(self, steps: int) -> float:
        """Operations that one translation takes, unguided."""
        self.ready()
        c = self.task.conditions(BATCH_COUNTED)
        return flops(lambda: self.translate(c, steps, 1.0)) / BATCH_COUNTED


class Gradient(Contender):
    """A contender that learns by optimiser steps."""

    @abstractmethod
    def step_seconds(self, batch: int, at_least: float) -> float:
        """Seconds of one optimiser step on `batch` pairs."""

    @abstractmethod
    def step_flops(self) -> float:
        """Operations that one pair takes in an optimiser step."""

    @abstractmethod
    def train(self, steps: int, batch: int) -> float:
        """Start anew and make so many optimiser steps. Returns the seconds it took to what is kept at the end."""


class Closed(Contender):
    """A contender in closed form."""

    fitted: bool = False

    @abstractmethod
    def fit(self) -> None:
        """The whole fit on all training pairs."""

    def ready(self) -> None:
        if not self.fitted:
            self.fit()
            self.fitted = True

    def fit_seconds(self) -> tuple[float, int]:
        """Seconds of the whole fit, and the operations of its matrix products."""
        start = time.perf_counter()
        counted = flops(self.fit)
        synchronise(self.task.device)
        self.fitted = True
        return time.perf_counter() - start, counted


class Network(Gradient):
    """A network with a loss of its own: AdamW on uniformly drawn batches, its rate falling to zero as a cosine."""

    rate: float = 3e-4
    weight_decay: float = 1e-2

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._start()

    @abstractmethod
    def build(self) -> torch.nn.Module:
        """The untrained network."""

    @abstractmethod
    def loss(self, c: Tensor, z: Tensor) -> Tensor:
        """The training loss of the unit pairs c (n, k), z (n, d)."""

    def _start(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = self.build().to(self.task.device)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=self.rate, weight_decay=self.weight_decay)

    def ready(self) -> None:
        self.network.eval()

    def step(self, c: Tensor, z: Tensor) -> None:
        """One optimiser step; bfloat16 matrix products on a GPU, as the translators of this package use them there."""
        self.network.train()
        device = self.task.device.type
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            loss = self.loss(c, z)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()

    def step_seconds(self, batch: int, at_least: float) -> float:
        c, z = (rows[:batch] for rows in self.task.tensors)
        return seconds_per_call(lambda: self.step(c, z), self.task.device, at_least)

    def step_flops(self) -> float:
        c, z = (rows[:BATCH_COUNTED] for rows in self.task.tensors)
        return flops(lambda: self.step(c, z)) / BATCH_COUNTED

    def validation_score(self) -> float | None:
        """What chooses the weights to keep, larger is better; None: the last ones are kept."""
        return None

    def train(self, steps: int, batch: int) -> float:
        self._start()
        c, z = self.task.tensors
        generator = torch.Generator().manual_seed(0)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, steps)
        best, kept, until = -float("inf"), None, 0.0
        start = time.perf_counter()
        for step in range(1, steps + 1):
            chosen = torch.randint(len(c), (batch,), generator=generator).to(c.device)
            self.step(c[chosen], z[chosen])
            schedule.step()
            if step % max(1, steps // LOOKS) == 0 or step == steps:
                score = self.validation_score()
                if score is None or score > best:
                    synchronise(self.task.device)
                    until = time.perf_counter() - start
                    if score is not None:
                        best, kept = score, copy.deepcopy(self.network.state_dict())
        if kept is not None:
            self.network.load_state_dict(kept)
        self.network.eval()
        return until
