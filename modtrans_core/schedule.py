"""The noise schedule: one array, alpha-bar, from which everything else follows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from modtrans_core.config import ScheduleKind


class NoiseSchedule:
    """alpha_bar (T,), float64, strictly decreasing in (0, 1): x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps.

    Times run from 0 (least noise) to T - 1; time -1 is the clean vector, with alpha_bar = 1.

    Sources: linear, Ho et al. 2020 (arXiv 2006.11239, section 4), betas scaled by 1000/T so that the noisiest level
    does not depend on T; cosine, Nichol and Dhariwal 2021 (arXiv 2102.09672, equation 17); constant, beta = 0.008.
    """

    def __init__(self, timesteps: int = 1000, kind: ScheduleKind = "linear") -> None:
        T = timesteps
        if kind == "linear":
            scale = 1000 / T
            beta = torch.linspace(1e-4 * scale, 0.02 * scale, T, dtype=torch.float64)
        elif kind == "cosine":
            level = torch.linspace(0, 1, T + 1, dtype=torch.float64)
            squared = torch.cos((level + 0.008) / 1.008 * math.pi / 2) ** 2
            beta = 1 - squared[1:] / squared[:-1]
        elif kind == "constant":
            beta = torch.full((T,), 0.008, dtype=torch.float64)
        else:
            raise ValueError(f"schedule: {kind!r}, one of 'linear', 'cosine', 'constant' is needed")
        self.alpha_bar = torch.cumprod(1 - beta.clamp(max=0.999), dim=0)

    def __len__(self) -> int:
        return len(self.alpha_bar)

    def at(self, t: Tensor) -> Tensor:
        """alpha_bar at the times `t` (any shape, -1 to T - 1), float64, on the device of `t`."""
        padded = torch.cat([self.alpha_bar, self.alpha_bar.new_ones(1)])  # index -1 is the clean vector
        return padded.to(t.device)[t]

    def grid(self, steps: int) -> list[int]:
        """`steps` + 1 times from T - 1 down to -1, evenly spaced and rounded: both ends are always in it."""
        if not 1 <= steps <= len(self):
            raise ValueError(f"steps: {steps}, 1 to {len(self)} (the schedule's timesteps) is needed")
        times = torch.linspace(len(self) - 1, -1, steps + 1, dtype=torch.float64)
        return [int(time) for time in times.round()]
