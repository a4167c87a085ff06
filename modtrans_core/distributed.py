"""More than one process, as torchrun starts them on one machine or many. In a single process all of this does nothing.

A process takes its share of every batch, and the sum over processes is what one process would compute, to rounding.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from modtrans_core.ahead import whole_from
from modtrans_core.checks import refuse_unless
from modtrans_core.device import default_device


@contextmanager
def processes(device: str | None = None) -> Iterator[str | None]:
    """Join the processes that torchrun started, and give the device of this one; otherwise give `device` back.

    Parameters
    ----------
    device : cpu (the processes talk through gloo) or cuda (through nccl, each on the GPU of its local rank). Default:
        cuda when there is a GPU.

    Raises
    ------
    ValueError
        One named GPU for several processes, or more processes on a machine than GPUs.
    """
    if whole_from("WORLD_SIZE", 1) < 2 or dist.is_initialized():
        yield device
        return
    kind = device or default_device().type
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        value = os.environ.get(name, "")
        right = bool(value) if name == "MASTER_ADDR" else value.isdecimal()
        refuse_unless(right, name, value or "not set", "what torchrun sets beside WORLD_SIZE, or neither of them,")
    dist.init_process_group("gloo" if kind == "cpu" else "nccl")  # first, so that one process alone speaks of an error
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device: {kind!r}, cpu or cuda is needed with {world()} processes")
    if kind == "cuda":
        local, gpus = whole_from("LOCAL_RANK", 0), torch.cuda.device_count()
        if local >= gpus:
            raise ValueError(f"nproc-per-node: more than the {gpus} GPUs of this machine")
        torch.cuda.set_device(local)
        kind = f"cuda:{local}"
    yield kind
    dist.destroy_process_group()  # not after an error: the others may wait for a sum that never comes


def rank() -> int:
    """The number of this process, 0 to world() - 1."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes work together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this process is the one that writes and speaks."""
    return rank() == 0


def all_reduce(*tensors: Tensor) -> None:
    """Replace each tensor by its sum over all processes, in place."""
    if world() > 1:
        for tensor in tensors:
            dist.all_reduce(tensor)


def broadcast(*tensors: Tensor) -> None:
    """Replace each tensor by that of process 0, in place."""
    if world() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def barrier() -> None:
    """Wait until every process is here."""
    if world() > 1:
        dist.barrier()


def first_to_fail() -> bool:
    """Whether this process is the first that asks: it is the one that says what went wrong."""
    if world() == 1:
        return True
    try:  # the store has no public name
        return dist.distributed_c10d._get_default_store().add("failed", 1) == 1
    except RuntimeError:  # the store is gone, and with it the process that spoke
        return False


def share(n: int) -> tuple[slice, float]:
    """This process' rows of n, and the share of n that they are.

    Shares differ by a row at most. With fewer rows than processes the surplus processes repeat a row with weight 0,
    because every process has to take part in the sum of the gradients.
    """
    start, stop = rank() * n // world(), (rank() + 1) * n // world()
    return slice(start, max(stop, start + 1)), (stop - start) / n


def anywhere(asked: bool) -> bool:
    """Whether any process was asked: all of them get the same answer."""
    if world() == 1:
        return asked
    device = torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")
    asking = torch.tensor(float(asked), device=device)
    dist.all_reduce(asking)
    return bool(asking > 0)


def parallel(module: nn.Module) -> nn.Module:
    """`module`, whose gradients are from now on averaged over the processes; the weights become those of process 0.

    Every step has to use the same parameters as the first.
    """
    return DistributedDataParallel(module, static_graph=True) if world() > 1 else module
