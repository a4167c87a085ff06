"""This package's translators as contenders, through the calls that a user makes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from modtrans_core.config import Config, preset
from modtrans_core.translator import Translator
from torch import Tensor

from analysis.bench.contender import BATCH_COUNTED, Closed, Contender, Gradient, flops
from analysis.bench.machine import synchronise
from analysis.bench.task import Task
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, silent


class Trained(Gradient):
    """A translator with a diffusion part, trained by `Translator.fit`.

    One that takes a single step translates as its users get it; steps and guidance are for those that sample.
    """

    def __init__(self, task: Task, name: str, config: Config) -> None:
        super().__init__(task)
        self.name, self.config = name, config
        self.diffusion = config.sampling.steps > 1
        self.translator: Translator | None = None

    def ready(self) -> None:
        if self.translator is None:
            self._fit(BATCH_COUNTED, 1, BATCH_COUNTED)

    def translate(self, c: Tensor, steps: int, guidance: float) -> Tensor:
        assert self.translator is not None  # it is ready
        if not self.diffusion:
            return self.translator.translate(c)
        return self.translator.translate(c, steps=steps, guidance=guidance)

    def step_seconds(self, batch: int, at_least: float) -> float:
        steps = 2  # the first warms up
        while True:
            times = self._fit(batch, steps, batch)
            taken = times[-1] - times[0]
            if taken >= at_least:
                return taken / (steps - 1)
            steps = 1 + 2 * (steps - 1)

    def step_flops(self) -> float:
        one, two = (flops(partial(self._fit, BATCH_COUNTED, steps, BATCH_COUNTED)) for steps in (1, 2))
        return (two - one) / BATCH_COUNTED  # what is left is the ridge map that M starts at

    def train(self, steps: int, batch: int) -> float:
        start = time.perf_counter()
        self._fit(len(self.task.train), steps, batch)
        return time.perf_counter() - start

    def _fit(self, items: int, steps: int, batch: int) -> list[float]:
        """Fit to the first `items` training items; the time at the end of every step."""
        times: list[float] = []

        def report(_: int, __: int) -> None:
            synchronise(self.task.device)
            times.append(time.perf_counter())

        config = replace(self.config, train=replace(self.config.train, steps=steps, batch=batch))
        pairs = self.task.train.take(torch.arange(items).numpy())
        self.translator = _fit(self.task, pairs, config, report)
        return times


class ClosedForm(Closed):
    """A translator in closed form: `calibrated` of so many radial basis functions; of 0, the ridge map c M."""

    def __init__(self, task: Task, landmarks: int) -> None:
        super().__init__(task)
        self.name = f"calibrated, {landmarks:,} functions" if landmarks else "ridge, closed form"
        base = preset("calibrated")
        self.config = replace(base, lift=replace(base.lift, landmarks=landmarks))
        self.translator: Translator | None = None

    def fit(self) -> None:
        self.translator = _fit(self.task, self.task.train, self.config)

    def translate(self, c: Tensor, steps: int, guidance: float) -> Tensor:
        assert self.translator is not None  # it is ready
        return self.translator.translate(c)


def _fit(task: Task, pairs: PairedEmbeddings, config: Config, report: Progress = silent) -> Translator:
    return Translator.fit(
        pairs, task.source, task.target, config=config, validation=task.validation, device=task.device, progress=report
    )


def translators(task: Task, landmarks: Sequence[int]) -> list[Contender]:
    """The poster's translator, and the closed forms of these sizes that the training pairs allow."""
    sizes = [size for size in landmarks if size <= len(task.train)]
    return [Trained(task, "poster", preset("poster")), *(ClosedForm(task, size) for size in sizes)]
