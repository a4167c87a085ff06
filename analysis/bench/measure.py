"""How long a call takes, and what it asks of the device: operations to launch, and operations to compute."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from modtrans_core.progress import Progress

LAUNCH = 5e-6
"""seconds that the launch of one operation takes, about: unrecorded, no step is faster than all of its launches"""
_FREE = ("empty", "empty_like", "empty_strided", "new_empty", "_unsafe_view")

Train = Callable[[int, Progress], Any]
"""(optimiser steps, called after each) -> anything"""


class Launches(TorchDispatchMode):
    """Counts the operations that are launched while it is entered. Views and bare allocations launch nothing.

    Examples
    --------
    >>> with Launches() as launches:
    ...     _ = torch.ones(2, 3).T @ torch.ones(2)
    >>> launches.count
    3
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        free = func.is_view or func.namespace == "profiler" or func.overloadpacket.__name__ in _FREE
        self.count += not free
        return func(*args, **(kwargs or {}))


def seconds_per_call(call: Callable[[], Any], at_least: float) -> float:
    """Median wall-clock seconds of one call, over blocks of calls that take `at_least` seconds together.

    torch's timer waits for a GPU before and after each block.
    """
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # warns of a compiler without a GPU
    from torch.utils.benchmark import Timer

    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    return float(timer.blocked_autorange(min_run_time=at_least).median)


def per_step(train: Train, steps: int, *readings: Callable[[], float]) -> np.ndarray:
    """By how much each reading grows in every optimiser step but the first, (steps - 1, readings)."""
    found: list[list[float]] = []
    train(steps, lambda done, total: found.append([read() for read in readings]))
    return np.diff(found, axis=0)


def seconds_per_step(train: Train, device: torch.device, at_least: float) -> float:
    """Median seconds of an optimiser step, over about `at_least` seconds."""

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    found = per_step(train, 2, clock)
    if found.sum() < at_least:
        found = per_step(train, 1 + int(np.ceil(at_least / found.min())), clock)
    return float(np.median(found))


def operations_per_step(train: Train) -> tuple[float, float]:
    """Launches and floating-point operations of the second optimiser step: where it is recorded, the last that shows
    them.
    """
    enabled = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment] # torch does not count oneDNN's operations
    try:
        with FlopCounterMode(display=False) as flops, Launches() as launches:
            ((launched, computed),) = per_step(train, 2, lambda: launches.count, flops.get_total_flops)
    finally:
        torch.backends.mkldnn.enabled = enabled
    return float(launched), float(computed)


def matrix_rate(device: torch.device, at_least: float, size: int | None = None) -> float:
    """FLOP/s of a product of two square float32 matrices; by default of 2,048 rows, on a GPU of 8,192."""
    size = size or (8192 if device.type == "cuda" else 2048)
    left, right = (torch.randn(size, size, device=device) for _ in range(2))
    return 2 * size**3 / seconds_per_call(lambda: left @ right, at_least)


def copy_rate(device: torch.device, at_least: float, size: int = 2**26) -> float:
    """Bytes per second of a copy of so many float32 numbers, each read once and written once."""
    source = torch.ones(size, device=device)
    target = torch.empty_like(source)
    return 8 * size / seconds_per_call(lambda: target.copy_(source), at_least)


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers were measured on: device, threads and versions."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "type": device.type,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
