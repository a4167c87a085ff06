"""A small network on top of a base translator m: it learns what m leaves, and is kept where that pays.

    m(c) + a r(c, m(c))

The base is a closed form, whose error on its own training pairs is no measure of what it leaves. So r is trained on
z - m(c) with predictions m(c) of folds that the base was not fitted to. Some pairs are held out: they choose when the
training ends and the length a, and they say what is gained.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from modtrans_core.pairing import Batches, Pairing, on_device
from modtrans_core.progress import Progress, silent
from modtrans_core.run import Training
from modtrans_core.split import by_seed
from modtrans_core.train import TrainConfig, train
from modtrans_core.vectors import ROWS

GAIN = 0.002
"""held-out cosine from which on a network is kept"""
ENOUGH = 8_192
"""conditions from which on one is tried"""
WIDTH = 128
"""units of each of its two hidden layers"""
BATCH, EPOCHS, STEPS, WORK = 512, 80, 6_000, 2e12
"""pairs a step; times that each pair is seen, steps, and floating-point operations, at most: half a minute of a core"""
RATE = 3e-3
"""AdamW's first step size, which falls to zero as a cosine"""
DROPOUT, WEIGHT_DECAY, EMA = 0.1, 1e-2, 0.98
"""probability that a hidden unit is dropped in training; AdamW's; decay of the moving average of the weights"""
LOOKS, PATIENCE = 24, 4
"""looks at the held-out pairs in a training; of these, looks in a row without a gain that end it"""
HOPE = 0.1
"""share of `GAIN` that a quarter of the training has to bring, or it ends"""
HELD, HELD_SHARE = 8_192, 0.1
"""held-out conditions, about, and their share of all, at most"""
ROOM = 2**30
"""bytes, at most, of what the base says of all conditions; of more conditions so many are looked at as fit"""

Base = Callable[[Tensor, Tensor], Tensor]
"""(unit conditions (n, k), the fold (n,) of each) -> m (n, d) of the maps that were fitted without that fold"""


class Network(nn.Module):
    """r(c, m): two hidden layers that see the condition and what the base makes of it, both standardised.

    Parameters
    ----------
    k, d, width : dimensions of the condition and of the target, units of a hidden layer.
    """

    centre: Tensor
    deviation: Tensor
    length: Tensor

    def __init__(self, k: int, d: int, width: int) -> None:
        super().__init__()
        first = (nn.Linear(k + d, width), nn.GELU(), nn.Dropout(DROPOUT))
        second = (nn.Linear(width, width), nn.GELU(), nn.Dropout(DROPOUT))
        last = nn.Linear(width, d)
        nn.init.zeros_(last.weight)  # it starts as the base
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*first, *second, last)
        self.register_buffer("centre", torch.zeros(k + d))
        self.register_buffer("deviation", torch.ones(k + d))
        self.register_buffer("length", torch.ones(()))

    def standardise(self, both: Tensor) -> None:
        """Take the mean and the deviation of such rows (n, k + d); a constant coordinate has deviation 1."""
        deviation = both.std(dim=0)
        self.centre.copy_(both.mean(dim=0))
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, 1))

    def residual(self, both: Tensor) -> Tensor:
        """r (n, d) of the conditions and the base's answers side by side, (n, k + d)."""
        found: Tensor = self.layers((both - self.centre) / self.deviation)
        return found

    def forward(self, c: Tensor, m: Tensor) -> Tensor:
        """m + a r, (n, d), of the unit conditions c (n, k) and what the base makes of them (n, d)."""
        return m + self.length * self.residual(torch.cat([c, m], dim=1))


class Learned(NamedTuple):
    """A network, and what it brings."""

    network: Network
    gain: float
    """mean cosine on held-out items beyond the base's"""
    held: np.ndarray
    """those items, ascending"""


def learn(
    pairing: Pairing, fold: np.ndarray, base: Base, device: torch.device, seed: int = 0, report: Progress = silent
) -> Learned | None:
    """Train a network on what the base leaves; None where it gains less than `GAIN`, or the pairs are too few.

    Parameters
    ----------
    fold : of each item (n,), whole groups.
    base : out-of-fold predictions; called once for each condition, `ROWS` at a time.
    seed : of the held-out pairs, the weights and the order.
    """
    k, d = pairing.k, pairing.d
    if len(pairing.c) < ENOUGH or len(np.unique(pairing.pairs.labels)) < 2:
        return None
    most = min(len(pairing.pairs), ROOM // (2 * d) * len(pairing.pairs) // len(pairing.c))
    items = np.linspace(0, len(pairing.pairs) - 1, most).astype(np.int64)
    share = min(HELD_SHARE, HELD / len(pairing.c))
    part = by_seed(pairing.pairs.labels[items], (1 - share, share), seed)
    seen, held = (pairing.take(items[part == side]) for side in (0, 1))
    seen_m, held_m = (answers(one, fold[items[part == side]], base, device) for side, one in enumerate((seen, held)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(k, d, WIDTH).to(device)
    network.standardise(torch.cat([on_device(seen.c[:ROWS], device), seen_m[:ROWS].float()], dim=1))
    looks = Looks(held, held_m, device)
    weights = sum(value.numel() for value in network.parameters())
    steps = min(STEPS, EPOCHS * len(seen) // BATCH, int(WORK / (6 * BATCH * weights)))
    config = TrainConfig(steps, BATCH, RATE, WEIGHT_DECAY, EMA, seed)
    with suppress(Enough):
        train(network, loss, OnBase(seen, BATCH, seed, device, seen_m), config, looks, report, torch.optim.AdamW)
    if looks.best is None or looks.gain < GAIN:
        return None
    return Learned(looks.best, looks.gain, items[part == 1])


class OnBase(Batches):
    """Batches whose conditions have what the base says of them beside them: ([c, m], z).

    Parameters
    ----------
    m : of every condition (N, d).
    """

    def __init__(self, pairing: Pairing, size: int, seed: int, device: torch.device, m: Tensor) -> None:
        super().__init__(pairing, size, seed, device)
        self.m, self.of_c = m, torch.from_numpy(pairing.of_c)

    def iterate(self, steps: range, mine: slice = slice(None)) -> Iterator[tuple[Tensor, Tensor]]:
        for step, (c, z) in zip(steps, super().iterate(steps, mine), strict=True):
            rows = self.of_c[torch.from_numpy(self.chosen(step)[mine])].to(self.device)
            yield torch.cat([c, self.m[rows].float()], dim=1), z


def loss(network: Network, both: Tensor, z: Tensor) -> dict[str, Tensor]:
    """The mean of |z - m - r|^2."""
    m = both[:, -z.shape[1] :]
    return {"total": (z - m - network.residual(both)).square().sum(1).mean()}


def answers(pairing: Pairing, fold: np.ndarray, base: Base, device: torch.device) -> Tensor:
    """What the base says of every condition (N, d), float16, by maps that have not seen its fold."""
    found = torch.empty(len(pairing.c), pairing.d, dtype=torch.float16, device=device)
    of = torch.from_numpy(fold[pairing.item]).to(device)
    for start in range(0, len(found), ROWS):
        rows = slice(start, start + ROWS)
        found[rows] = base(on_device(pairing.c[rows], device), of[rows]).half()
    return found


class Enough(Exception):
    """A training that should end."""


class Looks:
    """A `modtrans_core.train.Watch` that keeps the weights, and their length a, of the best held-out cosine.

    Parameters
    ----------
    held : items that are not trained on.
    m : what the base says of their conditions.

    Raises
    ------
    Enough
        From `after`, where the training has no hope or no longer gains.
    """

    def __init__(self, held: Pairing, m: Tensor, device: torch.device) -> None:
        c, total, count = next(held.sums(device, len(held.pairs), (0, 1)))
        self.z, self.m = total / count[:, None], m.float()
        self.both = torch.cat([c, self.m], dim=1)
        self.base, self.gain, self.since = self.cosine(self.m), 0.0, 0
        self.best: Network | None = None

    def cosine(self, zhat: Tensor) -> float:
        """Mean over the held-out conditions."""
        return float((normalize(zhat, dim=1) * self.z).sum(1).mean())

    def resume(self, state: Training) -> int:
        return 0

    def interruptible(self) -> nullcontext[None]:
        return nullcontext()

    @torch.no_grad()
    def after(self, step: int, steps: int, values: Mapping[str, float] | None, state: Training) -> None:
        for group in state.optimizer.param_groups:
            group["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        if step % max(1, steps // LOOKS) and step != steps:
            return
        network = copy.deepcopy(cast(Network, state.average)).eval()
        r = network.residual(self.both)
        along = ((self.z - self.m) * r).sum() / r.square().sum().clamp_min(1e-30)
        network.length.copy_(along.clamp(0, 2))  # of all a, the nearest a r to what is left
        gain = self.cosine(self.m + network.length * r) - self.base
        self.since += 1
        if gain > self.gain:
            self.best, self.gain, self.since = network, gain, 0
        if self.since >= PATIENCE or (4 * step >= steps and self.gain < HOPE * GAIN):
            raise Enough
