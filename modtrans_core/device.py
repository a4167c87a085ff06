"""Where the work is done, and the random numbers that are drawn there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from modtrans_core.checks import refuse_unless

KINDS = ("cpu", "cuda")
"""of devices: another, such as mps, has no float64, in which what is fitted is added up"""

_seeding = threading.RLock()


def _renew() -> None:
    """In a new process no thread holds the lock, whoever held it where it came from."""
    global _seeding
    _seeding = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def default_device() -> torch.device:
    """A GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(given: str | torch.device | None) -> torch.device:
    """The device asked for; a GPU when there is one and nothing was.

    Raises
    ------
    ValueError
        Another device than the processor or a GPU that is there.

    Examples
    --------
    >>> device_of("mps")
    Traceback (most recent call last):
    ValueError: device: 'mps', cpu, cuda or cuda:N is needed
    """
    if given is None:
        return default_device()
    kind, colon, number = str(given).partition(":")
    known = kind in KINDS and (not colon or number.isdecimal())
    refuse_unless(known, "device", str(given), "cpu, cuda or cuda:N")
    if kind == "cuda":
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        refuse_unless(int(number or 0) < gpus, "device", str(given), f"one of this machine's {gpus} GPUs, or cpu,")
    return torch.device(given)


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Inside, torch's default generators of the processor and this device begin at a seed; then they are as they were.

    `torch.manual_seed` would seed those of every GPU, and nobody would put them back. The generators are the
    process's: another thread that wants to seed them waits, and one that draws from them unasked shares their numbers.
    """
    device = torch.device(device)
    with _seeding, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        seed_generators(seed, device)
        yield


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed torch's default generators of the processor and of this device alone."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)
