"""The launches of a function as one.

A training step hands a GPU hundreds of operations, one after the other, and a small one waits for Python. Here they are
recorded once as a CUDA graph, which is one launch. Its numbers are those of the function, to the bit: before
each launch torch gives the recorded generator its seed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor


@cache
def stream_of(gpu: int) -> torch.cuda.Stream:
    """The stream of all records of a GPU: torch keeps a workspace for matrix products, tens of MiB, of every stream."""
    return torch.cuda.Stream(gpu)


class Recorded:
    """A function of a batch, recorded in its second call and launched as one from then on.

    The first call is made as it stands, so that what is made once, such as tables, is there when the second is
    recorded. Python's part of the function runs in these two calls alone. Records of one GPU are made one at a time.

    Parameters
    ----------
    function : of (c, z) on one GPU, of one shape each. What it returns is overwritten by the next call.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], dict[str, Tensor]]) -> None:
        self.function = function
        self.stream: torch.cuda.Stream | None = None
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, c: Tensor, z: Tensor) -> dict[str, Tensor]:
        with torch.cuda.device(c.device):
            if self.stream is None:
                return self._first(c, z)
            self.graph = self.graph or self._recorded(c, z)
        for held, given in zip(self.batch, (c, z), strict=True):
            held.copy_(given)
        self.graph.replay()
        return self.found

    def _first(self, c: Tensor, z: Tensor) -> dict[str, Tensor]:
        """On the stream of the record: autograd may keep the nodes of a parameter, and they the stream."""
        self.stream, current = stream_of(torch.cuda.current_device()), torch.cuda.current_stream()
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            found = self.function(c, z)
        current.wait_stream(self.stream)
        return found

    def _recorded(self, c: Tensor, z: Tensor) -> torch.cuda.CUDAGraph:
        graph, self.batch = torch.cuda.CUDAGraph(), (c.clone(), z.clone())
        # threads that read the next batches may call the device meanwhile
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            self.found = self.function(*self.batch)
        return graph
