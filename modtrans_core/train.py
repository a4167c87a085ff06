"""Training: one loop for every module that learns by gradient steps.

All randomness of step s is a function of (seed, s), and so is its batch. A training therefore has no hidden state:
weights, moving average, optimiser moments and the step number are all that a resumed run needs to end with the bits of
an undisturbed one.

Under torchrun every process takes its rows of each batch and draws their noise from (seed, s, rank). Gradients are
averaged, so that every process makes the same step. Another number of processes is another draw of the same law.

On a GPU nothing crosses between host and device from the second step on, and nothing waits, but for the steps whose
loss is logged and for batches that are read from disk. Where asked, the loss and its gradient are one launch
(`modtrans_core.recorded`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from modtrans_core import distributed
from modtrans_core.checks import refuse_unless
from modtrans_core.device import seed_generators, seeded
from modtrans_core.pairing import Batches
from modtrans_core.progress import Progress, silent
from modtrans_core.recorded import Recorded
from modtrans_core.run import Training, refuse_not_finite

LOG_EVERY = 10

Module = TypeVar("Module", bound=nn.Module)
Loss = Callable[[Module, Tensor, Tensor], dict[str, Tensor]]
"""(module, unit conditions (n, k), unit targets (n, d)) -> scalars by name; `total` is minimised, the rest is logged"""
Measure = Callable[[Tensor, Tensor], dict[str, Tensor]]
"""(c, z) of a batch -> its loss by name; the gradient is left at the parameters"""


class Enough(Exception):
    """What a `Watch` raises where no further step is worth taking."""


class Watch(Protocol):
    """What accompanies a training from step to step: a `modtrans_core.run.Run`, or what chooses among its weights."""

    def resume(self, state: Training) -> int:
        """Before the first step. Returns the steps that were made already."""
        return 0

    def interruptible(self) -> AbstractContextManager[Any]:
        """The context in which the steps are made."""
        return nullcontext()

    def after(self, step: int, steps: int, values: Mapping[str, float] | None, state: Training) -> None:
        """After step `step` of `steps`, with the loss where it was looked at. An exception ends the training."""


@dataclass(frozen=True)
class TrainConfig:
    """The optimiser and the length of a training."""

    steps: int = 2000
    """optimiser steps"""
    batch: int = 64
    """pairs a step; all of them where the training set is smaller"""
    learning_rate: float = 1e-4
    """Adam's step size"""
    weight_decay: float = 1e-2
    """Adam's L2 penalty"""
    ema: float = 0.99
    """decay of the moving average of the weights, shorter in the first steps; the average is what translates, and 0
    makes it the last weights themselves"""
    seed: int = 0
    """of weights, order and noise, each its own stream"""

    def __post_init__(self) -> None:
        refuse_unless(self.steps >= 0, "steps", self.steps, "at least 0")
        refuse_unless(self.batch >= 1, "batch", self.batch, "at least 1")
        refuse_unless(0 < self.learning_rate < math.inf, "learning_rate", self.learning_rate, "a positive number")
        refuse_unless(0 <= self.weight_decay < math.inf, "weight_decay", self.weight_decay, "a number >= 0")
        refuse_unless(0 <= self.ema < 1, "ema", self.ema, "a number in [0, 1)")
        refuse_unless(self.seed >= 0, "seed", self.seed, "an integer >= 0")


def train(
    module: Module,
    loss: Loss[Module],
    batches: Batches,
    config: TrainConfig,
    run: Watch | None = None,
    report: Progress = silent,
    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam,
    record: bool = False,
) -> Module:
    """Minimise a loss by gradient steps.

    Parameters
    ----------
    module : what learns; it ends with the weights of the last step.
    loss : of the module on a batch. Its noise comes from torch's default generator.
    batches : the pairs, step by step.
    run : log, checkpoints, and an orderly end on Ctrl-C. Default: nothing is written.
    report : called after every step with (steps done, steps in all).
    optimizer : torch.optim.Adam, or AdamW for a weight decay beside the gradient.
    record : on one GPU, launch the loss and its gradient as one. The loss has to do the same in every step, but for
        the numbers in tensors: what Python decides is decided once.

    Returns
    -------
    Module
        A copy of the module whose weights are the moving average, in evaluation mode.

    Raises
    ------
    ValueError
        The loss, or a weight at the end, is not finite.
    """
    device = next(module.parameters()).device
    try:
        state = Training.start(module, optimizer, config.learning_rate, config.weight_decay)
    except FileNotFoundError as error:  # torch asks for the folder when it loads what optimisers need
        if error.filename:  # a folder of its own that cannot be made, such as TORCHINDUCTOR_CACHE_DIR
            raise
        raise ValueError("working directory: removed, one that is there is needed") from None
    first = run.resume(state) if run else 0
    mine, weight = distributed.share(batches.size)
    measure: Measure = partial(gradient, distributed.parallel(Measured(module, loss)), weight)
    if record and device.type == "cuda" and distributed.world() == 1:
        measure = Recorded(measure)
    module.train()
    with seeded(config.seed, device), run.interruptible() if run else nullcontext():
        for step, (c, z) in enumerate(batches.iterate(range(first, config.steps), mine), first):
            seed_generators(_seed(config.seed, step), device)
            terms = measure(c, z)
            state.advance(min(config.ema, (1 + step) / (10 + step)))
            done = step + 1
            report(done, config.steps)
            values = None
            if done % LOG_EVERY == 0 or done == config.steps:
                values = _over_the_batch(terms, weight)
                if not math.isfinite(values["total"]):  # a loss that is once not finite stays so
                    raise ValueError(f"loss: {values['total']} after step {done}; try a smaller learning_rate")
            if run:
                run.after(done, config.steps, values, state)
    try:
        refuse_not_finite(state.average.state_dict())
    except ValueError as error:
        raise ValueError(f"{error} after step {config.steps}; try a smaller learning_rate") from None
    return cast(Module, state.average)


def gradient(measured: nn.Module, weight: float, c: Tensor, z: Tensor) -> dict[str, Tensor]:
    """The loss of a batch by name; its gradient is left at the parameters. Nothing waits for the device."""
    with bfloat16(c.device):
        terms = measured(c, z)
    measured.zero_grad(set_to_none=True)
    (weight * distributed.world() * terms["total"]).backward()  # gradients are averaged over the processes
    return {name: value.detach() for name, value in terms.items()}


class Measured(nn.Module):
    """The loss as a module, so that its gradients can be averaged over processes."""

    def __init__(self, module: nn.Module, loss: Loss[Any]) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, c: Tensor, z: Tensor) -> dict[str, Tensor]:
        return self.loss(self.module, c, z)


@contextmanager
def bfloat16(device: torch.device) -> Iterator[None]:
    """bfloat16 matrix products on a GPU, float32 elsewhere."""
    if device.type != "cuda":
        yield
        return
    try:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            yield
    finally:
        torch.clear_autocast_cache()  # inside another autocast, torch would use these casts of weights in the next step


def _seed(seed: int, step: int) -> int:
    """Of the default generators in one step of this process."""
    return int(np.random.SeedSequence([seed, 2, step, distributed.rank()]).generate_state(1, np.uint64)[0])


def _over_the_batch(terms: dict[str, Tensor], weight: float) -> dict[str, float]:
    """The terms of the whole batch from those of this process' share."""
    values = weight * torch.stack([value.double() for value in terms.values()])
    distributed.all_reduce(values)
    return dict(zip(terms, values.tolist(), strict=True))
