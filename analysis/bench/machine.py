"""The limits of the machine, and how calls are timed on it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def synchronise(device: torch.device) -> None:
    """Wait for what the device still works on."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_per_call(call: Callable[[], Any], device: torch.device, at_least: float) -> float:
    """Wall-clock seconds of one call, the mean over a block of calls that takes `at_least` seconds.

    The block doubles until it is long enough, and only the last one counts: what came before warms caches up. A call
    that takes that long by itself is made once.
    """
    calls = 1
    while True:
        synchronise(device)
        start = time.perf_counter()
        for _ in range(calls):
            call()
        synchronise(device)
        taken = time.perf_counter() - start
        if taken >= at_least:
            return taken / calls
        calls *= 2


def matrix_rate(device: torch.device, dtype: torch.dtype, at_least: float, size: int | None = None) -> float:
    """FLOP/s of the product of two square matrices in torch, at the current number of threads.

    Default size: 2,048 on a CPU, 8,192 on a GPU, where the product has reached its full rate.
    """
    size = size or (8192 if device.type == "cuda" else 2048)
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    _ = left @ right
    return 2 * size**3 / seconds_per_call(lambda: left @ right, device, at_least)


def bandwidth(device: torch.device, at_least: float, megabytes: int = 256) -> float:
    """Bytes per second, read and written, of copying an array larger than the caches."""
    source = torch.ones(megabytes * 2**18, device=device)
    into = torch.zeros_like(source)  # its pages are there before it is timed
    return 2 * source.nbytes / seconds_per_call(lambda: into.copy_(source), device, at_least)


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers were measured on: device, threads and versions."""
    facts = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "type": device.type,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    if device.type == "cuda":
        facts["memory"] = torch.cuda.get_device_properties(device).total_memory
    return facts


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
