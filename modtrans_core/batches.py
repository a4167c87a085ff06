"""The batches of a training: which pairs, and where their vectors come from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from modtrans_core.ahead import ahead
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.vectors import unit

_ROWS_AT_ONCE = 8192


class Batches:
    """The unit pairs (c, z) of a training, batch by batch, on the device.

    Vectors in memory are put on the device once and for all. Vectors on disk are too where they fit into half of a
    GPU's free memory; otherwise each batch is read when it is wanted, the next ones by threads meanwhile.

    Parameters
    ----------
    size : pairs of a batch; all of them where there are fewer.
    seed : of the order.
    """

    def __init__(
        self, pairs: PairedEmbeddings, source: str, target: str, device: torch.device, size: int, seed: int
    ) -> None:
        self.c, self.z, self.of_c, self.of_z = pairs.pairings(source, target)
        self.device, self.seed, self.pairs = device, seed, len(self.of_c)
        self.size = min(size, self.pairs)
        self.resident: tuple[Tensor, Tensor] | None = None
        needed = 4 * (self.c.shape[0] * self.c.shape[1] + self.z.shape[0] * self.z.shape[1])
        if not pairs.mapped or needed <= _room(device):
            self.resident = on_device(self.c, device), on_device(self.z, device)

    def chosen(self, step: int) -> np.ndarray:
        """The pairs of a step: epochs are permutations of all, cut into whole batches; a remainder is left out."""
        epoch, position = divmod(step, self.pairs // self.size)
        return _order(self.pairs, self.seed, epoch)[position * self.size : (position + 1) * self.size]

    def read(self, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        """Unit conditions (n, k) and targets (n, d) of these pairs."""
        of_c, of_z = self.of_c[chosen], self.of_z[chosen]
        if self.resident is None:
            return on_device(self.c[of_c], self.device), on_device(self.z[of_z], self.device)
        c, z = self.resident
        return c[torch.from_numpy(of_c).to(self.device)], z[torch.from_numpy(of_z).to(self.device)]

    def iterate(self, steps: range, mine: slice) -> Iterator[tuple[Tensor, Tensor]]:
        """The rows `mine` of the batch of every step: unit conditions (n, k) and targets (n, d)."""
        chosen = (self.chosen(step)[mine] for step in steps)
        return map(self.read, chosen) if self.resident is not None else ahead(self.read, chosen)


def on_device(vectors: np.ndarray, device: torch.device) -> Tensor:
    """The vectors (n, d) scaled to length 1, on the device."""
    if len(vectors) <= _ROWS_AT_ONCE:
        return torch.from_numpy(unit(vectors[:])).to(device)
    pieces = [slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(vectors), _ROWS_AT_ONCE)]
    found = torch.empty(vectors.shape, device=device)
    for piece, read in zip(pieces, ahead(lambda piece: unit(vectors[piece]), pieces), strict=True):
        found[piece] = torch.from_numpy(read)
    return found


def _room(device: torch.device) -> int:
    """Bytes that a set on disk may take on the device: half of a GPU's free memory; in main memory it is not wanted."""
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else 0


@lru_cache(maxsize=1)
def _order(n: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, 1, epoch]).permutation(n)
