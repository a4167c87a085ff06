"""A small network on top of a base translator m: it learns what m leaves, and is kept where that pays.

    m(c) + a r(c, m(c))

The base is a closed form, whose error on its own training pairs is no measure of what it leaves. So r is trained on
z - m(c) with bases that are fitted to one half of the pairs each and translate the other. When the training ends, the
length a and what is gained are found on held-out conditions, with what the base itself says of them when their groups
are left out: there the base that is improved is the one of all pairs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from modtrans_core.device import seeded
from modtrans_core.layers import Linear
from modtrans_core.pairing import Batches, Pairing, on_device
from modtrans_core.progress import Progress, silent
from modtrans_core.run import Training
from modtrans_core.split import by_seed
from modtrans_core.train import Enough, TrainConfig, Watch, train
from modtrans_core.vectors import ROWS

GAIN = 0.002
"""held-out cosine from which on a network is kept"""
ENOUGH = 65_536
"""conditions from which on one is tried"""
WIDTH = 128
"""units of each of its two hidden layers"""
BATCH, EPOCHS, STEPS, WORK = 512, 80, 4_000, 2e12
"""pairs a step; times that each pair is seen, steps, and floating-point operations, at most: half a minute of a core"""
RATE = 3e-3
"""AdamW's first step size, which falls to zero as a cosine"""
DROPOUT, WEIGHT_DECAY, EMA = 0.1, 1e-2, 0.98
"""probability that a hidden unit is dropped in training; AdamW's; decay of the moving average of the weights"""
LOOKS, PATIENCE = 24, 4
"""looks at the held-out pairs in a training; of these, looks in a row without a gain that end it"""
HOPE = 0.1
"""share of `GAIN` that a quarter of the training has to bring, or it ends"""
ROOM = 2**30
"""bytes, at most, of what the base says of all conditions; of more conditions so many are looked at as fit"""

Predict = Callable[[Tensor], Tensor]
"""the base: unit conditions (n, k) -> m (n, d)"""


class Held(NamedTuple):
    """Conditions whose groups are not trained on."""

    c: Tensor
    """(n, k), unit"""
    z: Tensor
    """the mean (n, d) of the unit targets of each"""
    m: Tensor
    """what the base says of each where its fold is left out (n, d)"""


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
        first = (Linear(k + d, width), nn.GELU(), nn.Dropout(DROPOUT))
        second = (Linear(width, width), nn.GELU(), nn.Dropout(DROPOUT))
        last = Linear(width, d)
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
    """mean held-out cosine beyond the base's"""


def learn(
    pairing: Pairing,
    fit: Callable[[Pairing], Predict],
    held: Held,
    device: torch.device,
    seed: int = 0,
    report: Progress = silent,
) -> Learned | None:
    """Train a network on what the base leaves; None where it gains less than `GAIN` on what is held out.

    Parameters
    ----------
    pairing : pairs of other groups than those held out; of two groups at least.
    fit : the base that is fitted to some pairs. It is called with each half of the pairs, whole groups, and translates
        the other.
    held : chooses when the training ends and the length a.
    seed : of the halves, the weights and the order.
    """
    k, d, n = pairing.k, pairing.d, len(pairing.pairs)
    most = max(1, ROOM // (2 * d)) * n // len(pairing.c)
    if most < n:
        pairing = pairing.take(np.linspace(0, n - 1, most).astype(np.int64))
    half = by_seed(pairing.pairs.groups, (0.5, 0.5), seed)
    m = answers(pairing, half, [fit(pairing.take(np.flatnonzero(half != side))) for side in (0, 1)], device)
    with seeded(seed):
        network = Network(k, d, WIDTH).to(device)
    network.standardise(torch.cat([on_device(pairing.c[:ROWS], device), m[:ROWS].float()], dim=1))
    weights = sum(value.numel() for value in network.parameters())
    steps = min(STEPS, EPOCHS * len(pairing) // BATCH, int(WORK / (6 * BATCH * weights)))
    config = TrainConfig(steps, BATCH, RATE, WEIGHT_DECAY, EMA, seed)
    batches, looks = OnBase(pairing, BATCH, seed, device, m), Looks(held)
    with suppress(Enough):
        train(network, loss, batches, config, looks, report, torch.optim.AdamW, record=True)
    return None if looks.best is None or looks.gain < GAIN else Learned(looks.best, looks.gain)


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


def answers(pairing: Pairing, half: np.ndarray, maps: Sequence[Predict], device: torch.device) -> Tensor:
    """What is said of every condition (N, d), float16, by the map of the half (n,) that its item lies in."""
    found = torch.empty(len(pairing.c), pairing.d, dtype=torch.float16, device=device)
    for start in range(0, len(found), ROWS):
        rows = slice(start, start + ROWS)
        c, side = on_device(pairing.c[rows], device), torch.from_numpy(half[pairing.item[rows]]).to(device)
        for number, predict in enumerate(maps):
            found[start + (side == number).nonzero()[:, 0]] = predict(c[side == number]).half()
    return found


class Looks(Watch):
    """Keeps the weights, and their length a, of the best held-out cosine.

    Raises
    ------
    Enough
        From `after`, where the training has no hope or no longer gains.
    """

    def __init__(self, held: Held) -> None:
        self.held, self.both = held, torch.cat([held.c, held.m], dim=1)
        self.base, self.gain, self.since = self.cosine(held.m), 0.0, 0
        self.best: Network | None = None

    def cosine(self, zhat: Tensor) -> float:
        """Mean over the held-out conditions."""
        return float((normalize(zhat, dim=1) * self.held.z).sum(1).mean())

    @torch.no_grad()
    def after(self, step: int, steps: int, values: Mapping[str, float] | None, state: Training) -> None:
        for group in state.optimizer.param_groups:
            group["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        if step % max(1, steps // LOOKS) and step != steps:
            return
        network = copy.deepcopy(cast(Network, state.average)).eval()
        r = network.residual(self.both)
        along = ((self.held.z - self.held.m) * r).sum() / r.square().sum().clamp_min(1e-30)
        network.length.copy_(along.clamp(0, 2))  # of all a, the nearest a r to what is left
        gain = self.cosine(self.held.m + network.length * r) - self.base
        self.since += 1
        if gain > self.gain:
            self.best, self.gain, self.since = network, gain, 0
        if self.since >= PATIENCE or (4 * step >= steps and self.gain < HOPE * GAIN):
            raise Enough
