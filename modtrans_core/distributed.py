"""More than one process, as torchrun starts them on one machine or many. In a single process all of this does nothing.

A process takes its share of every batch, and the sum over processes is what one process would compute, to rounding.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode


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
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield device
        return
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dist.init_process_group("gloo" if kind == "cpu" else "nccl")  # first, so that one process alone speaks of an error
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device: {kind!r}, cpu or cuda is needed with {world()} processes")
    if kind == "cuda":
        local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
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

    Shares differ by a row at most. With fewer rows than processes, some take one that counts for nothing: they have to
    be there when gradients are summed.
    """
    start, stop = rank() * n // world(), (rank() + 1) * n // world()
    return slice(start, max(stop, start + 1)), (stop - start) / n


def parallel(module: nn.Module, every: bool) -> nn.Module:
    """`module`, whose gradients are from now on averaged over the processes; the weights become those of process 0.

    `every` says that all parameters take part in every step; otherwise those that do are looked for each time.
    """
    return DistributedDataParallel(module, find_unused_parameters=not every) if world() > 1 else module


class WholeBatch(TorchFunctionMode):
    """Inside, what torch draws for the rows of this process is cut from what it would draw for the whole batch.

    Every process draws the noise, the times and the dropout of all rows from the same generator and keeps its own: the
    draws are those of a single process, whatever the number of processes. This holds for tensors whose first axis is
    the batch, and for scalars, which are the same everywhere; anything else that is random is refused.

    Parameters
    ----------
    batch : rows of the whole batch.
    mine : this process' rows, as `share` gives them.
    """

    _LIKE = (torch.randn_like, torch.rand_like)
    _SIZED = (torch.rand, torch.randn, torch.randint)
    _REFUSED = (torch.normal, torch.bernoulli, torch.multinomial, torch.randperm, torch.randint_like, torch.dropout)

    def __init__(self, batch: int, mine: slice) -> None:
        super().__init__()
        self.batch, self.mine, self.rows = batch, mine, mine.stop - mine.start

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self._LIKE:
            return func(self._stretched(args[0]), *args[1:], **kwargs)[self.mine]
        if func in self._SIZED:
            *front, size = args if isinstance(args[-1], (tuple, list)) else (args,)  # rand(2, 3) is rand((2, 3))
            return func(*front, self._whole(tuple(size)), **kwargs)[self.mine if size else ...]
        if func is nn.functional.dropout and kwargs["training"] and kwargs["p"] > 0:
            kept = func(self._stretched(args[0]).fill_(1), kwargs["p"], True)
            return args[0] * kept[self.mine]
        if func in self._REFUSED:
            raise RuntimeError(f"{func.__name__}: has no rule for several processes; draw with rand, randn or randint")
        return func(*args, **kwargs)

    def _whole(self, size: tuple[int, ...]) -> tuple[int, ...]:
        if size and size[0] != self.rows:
            raise RuntimeError(f"random numbers of shape {size}: neither a scalar nor the {self.rows} rows of a batch")
        return (self.batch, *size[1:]) if size else size

    def _stretched(self, like: Tensor) -> Tensor:
        return like.new_empty(self._whole(tuple(like.shape)))
