"""One direction of a pair set, source to target: what every fit and every score looks at, made once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from modtrans_core import distributed
from modtrans_core.ahead import ahead
from modtrans_core.pairs import PairedEmbeddings, refuse_no_pairs
from modtrans_core.progress import Progress, silent
from modtrans_core.vectors import ROWS, unit


@dataclass(frozen=True, eq=False)
class Pairing:
    """Every (condition, target) pair of a set: the condition of pair p is c[of_c[p]], its target z[of_z[p]].

    Parameters
    ----------
    pairs : the set.
    source, target : modalities, of conditions c and of targets z.

    Raises
    ------
    ValueError
        A modality that the set does not have.

    Examples
    --------
    >>> import numpy as np
    >>> captions = np.ones((2, 3, 4))  # the second picture has one caption
    >>> pairs = PairedEmbeddings({"image": np.eye(2, 5), "text": captions}, {"text": np.array([3, 1])})
    >>> pairing = Pairing(pairs, "image", "text")
    >>> len(pairing), pairing.k, pairing.d, pairing.of_c.tolist()
    (4, 5, 4, [0, 0, 0, 1])
    """

    pairs: PairedEmbeddings
    source: str
    target: str

    def __post_init__(self) -> None:
        refuse_no_pairs("pairs", self.pairs)
        for name in (self.source, self.target):
            self.pairs.modality(name)

    def __len__(self) -> int:
        return len(self.of_c)

    @property
    def k(self) -> int:
        """Dimension of the conditions."""
        return self.pairs.modality(self.source).shape[-1]

    @property
    def d(self) -> int:
        """Dimension of the targets."""
        return self.pairs.modality(self.target).shape[-1]

    @property
    def c(self) -> np.ndarray:
        """Conditions (N, k), as they are in the set."""
        return self._rows[0][0]

    @property
    def item(self) -> np.ndarray:
        """The item (N,) of each condition, ascending."""
        return self._rows[0][1]

    @property
    def z(self) -> np.ndarray:
        """Targets (M, d), as they are in the set."""
        return self._rows[1][0]

    @property
    def of_c(self) -> np.ndarray:
        """The condition (P,) of each pair."""
        return self._indices[0]

    @property
    def of_z(self) -> np.ndarray:
        """The target (P,) of each pair."""
        return self._indices[1]

    @property
    def targets(self) -> np.ndarray:
        """Targets item by item, (n, d) or (n, m, d)."""
        return self.pairs.modality(self.target)

    @property
    def counts(self) -> np.ndarray | None:
        """How many of its m targets each item has (n,); None where each has one."""
        return self.pairs.counts.get(self.target)

    @property
    def independent(self) -> bool:
        """Whether the set says that an item's targets are independent given the item; else they have no ceiling."""
        return self.pairs.independent(self.target)

    @property
    def group(self) -> np.ndarray:
        """The group (P,) of each pair."""
        return self.pairs.groups[self.item[self.of_c]]

    @cached_property
    def _rows(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        return self.pairs.rows(self.source), self.pairs.rows(self.target)

    @cached_property
    def _indices(self) -> tuple[np.ndarray, np.ndarray]:
        (c, c_item), (z, z_item) = self._rows
        if len(c) == len(z) == len(self.pairs):  # one of each; the general way would sort what is sorted
            return c_item, z_item
        first = np.searchsorted(z_item, np.arange(len(self.pairs) + 1))
        several = np.diff(first)[c_item]
        of_c = np.repeat(np.arange(len(c)), several)
        offset = np.arange(len(of_c)) - np.repeat(np.cumsum(several) - several, several)
        return of_c, first[c_item[of_c]] + offset

    def take(self, items: np.ndarray) -> Pairing:
        """The pairs of these items, in this order."""
        return Pairing(self.pairs.take(items), self.source, self.target)

    def at_most(self, items: int) -> Pairing:
        """All pairs, or those of so many items, evenly spaced."""
        return Pairing(self.pairs.at_most(items), self.source, self.target)

    def mean(self) -> np.ndarray:
        """(d,) float64, the mean of the unit targets, every item weighing the same; each process reads its share."""
        z, item = self._rows[1]
        counts = np.ones(len(self.pairs)) if self.counts is None else self.counts

        def share(start: int) -> np.ndarray:
            rows = slice(start, start + ROWS)
            return (unit(z[rows]) / counts[item[rows], None]).sum(0) / len(self.pairs)

        starts = range(distributed.rank() * ROWS, len(z), distributed.world() * ROWS)
        mean = torch.from_numpy(sum(ahead(share, starts), np.zeros(self.d)))
        distributed.all_reduce(mean)
        return mean.numpy()

    def sums(
        self,
        device: torch.device | str = "cpu",
        items: int = ROWS,
        share: tuple[int, int] | None = None,
        report: Progress = silent,
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """All pairs as sums over the targets of each condition, in one pass and bounded memory.

        Sums over pairs follow from them: sum c c^T = sum_i count_i c_i c_i^T and sum c z^T = sum_i c_i total_i^T.

        Parameters
        ----------
        items : consecutive items of a chunk, at most.
        share : (r, w), every w-th chunk from the r-th on. Default: this process' share; the sums of all processes have
            to be added up.
        report : called with (items done, items in all).

        Yields
        ------
        c : unit conditions (N, k), float32.
        total : the sum (N, d) of the unit targets that each condition is paired with, float32.
        count : how many these are (N,), float32.
        """
        (c, c_item), (z, z_item) = self._rows
        several = self.pairs.modality(self.source).ndim == 3

        def chunk(start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            stop = min(start + items, len(self.pairs))
            of_c, of_z = (slice(*np.searchsorted(item, (start, stop))) for item in (c_item, z_item))
            count = np.bincount(z_item[of_z] - start, minlength=stop - start)
            total = unit(z[of_z])
            if len(total) > len(count):
                total = np.add.reduceat(total, np.cumsum(count) - count, axis=0)  # no item is without a target
            own = c_item[of_c] - start if several else slice(None)
            return unit(c[of_c]), total[own], count[own].astype(np.float32)

        first, every = share or (distributed.rank(), distributed.world())
        for done, arrays in enumerate(ahead(chunk, range(first * items, len(self.pairs), every * items)), 1):
            c_, total, count = (torch.from_numpy(array).to(device) for array in arrays)
            yield c_, total, count
            report(min(done * every * items, len(self.pairs)), len(self.pairs))

    def unit_pairs(self, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Every pair as unit rows (P, k), (P, d), float32: of sets that fit into memory."""
        c, z = (on_device(rows, torch.device(device)) for rows in (self.c, self.z))
        of_c, of_z = (torch.from_numpy(of).to(device) for of in (self.of_c, self.of_z))
        return c[of_c], z[of_z]


class Batches:
    """The unit pairs (c, z) of a training, batch by batch, on the device.

    Vectors in memory are put on the device once and for all, and so is the order of an epoch. Vectors on disk are too
    where they fit into half of a GPU's free memory; otherwise each batch is read when it is wanted, the next ones by
    threads meanwhile.

    Parameters
    ----------
    size : pairs of a batch; all of them where there are fewer.
    seed : of the order.
    """

    def __init__(self, pairing: Pairing, size: int, seed: int, device: torch.device) -> None:
        self.pairing, self.device, self.seed, self.pairs = pairing, device, seed, len(pairing)
        self.size = min(size, self.pairs)
        c, z = pairing.c, pairing.z
        self.resident: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
        if not pairing.pairs.mapped or 4 * (math.prod(c.shape) + math.prod(z.shape)) <= _room(device):
            of_c, of_z = (torch.from_numpy(of).to(device) for of in (pairing.of_c, pairing.of_z))
            self.resident = on_device(c, device), on_device(z, device), of_c, of_z

    def chosen(self, step: int) -> np.ndarray:
        """The pairs of a step: epochs are permutations of all, cut into whole batches; a remainder is left out."""
        epoch, place = divmod(step, self.pairs // self.size)
        return _order(self.pairs, self.seed, epoch)[place * self.size : (place + 1) * self.size]

    def iterate(self, steps: range, mine: slice = slice(None)) -> Iterator[tuple[Tensor, Tensor]]:
        """The rows `mine` of the batch of every step: unit conditions (n, k) and targets (n, d)."""
        if self.resident is None:
            return ahead(self._read, (self.chosen(step)[mine] for step in steps))
        return self._gathered(steps, mine)

    def _gathered(self, steps: range, mine: slice) -> Iterator[tuple[Tensor, Tensor]]:
        assert self.resident is not None
        c, z, of_c, of_z = self.resident
        ordered = None
        for step in steps:
            epoch, place = divmod(step, self.pairs // self.size)
            if ordered is None or place == 0:
                order = torch.from_numpy(_order(self.pairs, self.seed, epoch)).to(self.device)
                ordered = of_c[order], of_z[order]
            rows_c, rows_z = (of[place * self.size : (place + 1) * self.size][mine] for of in ordered)
            yield c[rows_c], z[rows_z]

    def _read(self, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        of_c, of_z = self.pairing.of_c[chosen], self.pairing.of_z[chosen]
        return on_device(self.pairing.c[of_c], self.device), on_device(self.pairing.z[of_z], self.device)


@lru_cache(maxsize=1)
def _order(n: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, 1, epoch]).permutation(n)


def on_device(vectors: np.ndarray, device: torch.device) -> Tensor:
    """The vectors (n, d) scaled to length 1, float32, on the device."""
    if len(vectors) <= ROWS:
        return torch.from_numpy(unit(vectors[:])).to(device)
    pieces = [slice(start, start + ROWS) for start in range(0, len(vectors), ROWS)]
    found = torch.empty(vectors.shape, device=device)
    for piece, read in zip(pieces, ahead(lambda piece: unit(vectors[piece]), pieces), strict=True):
        found[piece] = torch.from_numpy(read)
    return found


def _room(device: torch.device) -> int:
    """Bytes that a set on disk may take on the device: half of a GPU's free memory; in main memory it is not wanted."""
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else 0
