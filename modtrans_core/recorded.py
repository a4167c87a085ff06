"""The launches of a function as one.

Python hands a GPU an operation in 5 to 25 us, and a training step has hundreds: a small step waits for Python. Here
they are recorded once as a CUDA graph, which is one launch. Its numbers are those of the function, to the bit: before
each launch torch gives the recorded generator its seed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Recorded:
    """A function of a batch, recorded in its second call and launched as one from then on.

    The first call is made as it stands, so that what is made once, such as tables, is there when the second is
    recorded. Python's part of the function runs in these two calls alone.

    Parameters
    ----------
    function : of (c, z) on one GPU, of one shape each. What it returns is overwritten by the next call.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], dict[str, Tensor]]) -> None:
        self.function, self.called = function, False
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, c: Tensor, z: Tensor) -> dict[str, Tensor]:
        if not self.called:
            self.called = True
            return self.function(c, z)
        if self.graph is None:
            self.graph, self.batch = torch.cuda.CUDAGraph(), (c.clone(), z.clone())
            # threads that read the next batches may call the device meanwhile
            with torch.cuda.device(c.device), torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
                self.found = self.function(*self.batch)
        for held, given in zip(self.batch, (c, z), strict=True):
            held.copy_(given)
        self.graph.replay()
        return self.found
