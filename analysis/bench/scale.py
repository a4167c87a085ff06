"""Training at the size of COCO's captions, 82,783 pictures with five each: what a GPU is for.

The closed form is fitted whole. The poster's network makes optimiser steps at batch 8,192, eagerly, compiled, and
compiled into CUDA graphs; a way that does not run on this device is kept with its reason.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from modtrans_core.config import preset
from modtrans_core.objective import objective
from modtrans_core.translator import Translator
from torch import Tensor

from analysis.bench.contender import flops
from analysis.bench.machine import seconds_per_call, synchronise
from analysis.bench.ours import ClosedForm
from analysis.bench.settings import Settings
from analysis.bench.task import Task
from analysis.experiments.synthetic import synthetic_pairs

CAPTIONS = 5
BATCH = 8_192
EPOCHS = 20
HELD = 1_000  # items for validation
MODES: dict[str, dict[str, Any] | None] = {"eager": None, "compiled": {}, "CUDA graphs": {"mode": "reduce-overhead"}}


def modes(device: torch.device) -> list[str]:
    """The ways to run a step that are tried on this device."""
    return list(MODES) if device.type == "cuda" else ["eager"]


def coco_task(settings: Settings, device: torch.device) -> Task:
    """Synthetic pairs of COCO's size: `settings.coco` items with five captions each, and some to validate."""
    rng = np.random.default_rng(settings.seed)
    n = settings.coco
    pairs, _ = synthetic_pairs(n + HELD, settings.d, settings.d, settings.noise, CAPTIONS, rng)
    held = pairs.take(np.arange(n, n + HELD))
    return Task(pairs.take(np.arange(n)), held, held, device)


def fit_whole(task: Task, landmarks: int) -> dict[str, Any]:
    """Seconds of the whole fit of a closed form, by `Translator.fit`."""
    seconds, _ = ClosedForm(task, landmarks).fit_seconds()
    pairs = len(task.rows[0])
    return {"seconds": seconds, "pairs": pairs, "pairs_per_second": pairs / seconds}


def train_steps(task: Task, mode: str, at_least: float) -> dict[str, Any]:
    """Optimiser steps of the poster's translator at batch 8,192, in bfloat16 on a GPU.

    Returns
    -------
    `seconds` of one step, `first_seconds` of the first one with its compilation, `flops` of one step, `pairs` in it,
    and `training_seconds` of 20 epochs with the compilation; or `failed`, the reason.
    """
    c, z = task.tensors
    chosen = torch.arange(min(BATCH, len(c)), device=c.device)
    c, z = c[chosen], z[chosen]
    counted = flops(_step(task, c, z))
    step = _step(task, c, z, MODES[mode])
    try:
        start = time.perf_counter()
        step()
        synchronise(task.device)
        first = time.perf_counter() - start
        seconds = seconds_per_call(step, task.device, at_least)
    except Exception as error:  # a compiler that does not work here must not end the bench
        return {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
    steps = EPOCHS * len(task.rows[0]) / len(c)
    return {
        "seconds": seconds, "first_seconds": first, "flops": counted, "pairs": len(c),
        "training_seconds": first + seconds * steps,
    }  # fmt: skip


def _step(task: Task, c: Tensor, z: Tensor, compiled: dict[str, Any] | None = None) -> Any:
    translator = Translator(task.k, task.d, preset("poster")).to(task.device).train()
    if compiled is not None:
        translator.denoiser.compile(**compiled)
    optimiser = torch.optim.Adam(translator.parameters(), lr=1e-4, weight_decay=1e-2, fused=True)

    def step() -> None:
        with translator.autocast():
            loss = objective(translator, c, z).total
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step
