"""Deterministic DDIM (Song et al. 2021, arXiv 2010.02502) with classifier-free guidance.

Notation:
    code            paper
    x0              x_0, the clean vector
    xt, t           x_t
    alpha_bar       alpha_t of the paper's equation 4: x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps
    eps             epsilon_theta(x_t)
    v               the velocity: eps = sqrt(1 - alpha_bar) x_t + sqrt(alpha_bar) v
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from modtrans_core.config import Measure
from modtrans_core.schedule import NoiseSchedule

Predict = Callable[[Tensor, Tensor], Tensor]
"""(x_t (n, d), t (n,) or (1,)) -> what the network outputs: v, eps or x0 (n, d)"""


def add_noise(x0: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps, with alpha_bar (n,) float64."""
    signal, noise = _roots(alpha_bar, x0)
    return signal * x0 + noise * eps


def velocity(x0: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0 (Salimans and Ho 2022, arXiv 2202.00512, section 4)."""
    signal, noise = _roots(alpha_bar, x0)
    return signal * eps - noise * x0


def eps_and_x0(output: Tensor, xt: Tensor, alpha_bar: Tensor, prediction: Measure = "v") -> tuple[Tensor, Tensor]:
    """The pair (eps, x0) that the network's output at x_t stands for.

    From a velocity it is a rotation, so no error in v is ever amplified. An error in a predicted eps reaches x0
    sqrt(1 - alpha_bar) / sqrt(alpha_bar) times as large, and one in a predicted x0 reaches eps by the inverse factor.
    """
    signal, noise = _roots(alpha_bar, xt)
    if prediction == "eps":
        return output, (xt - noise * output) / signal
    if prediction == "x0":
        return (xt - signal * output) / noise, output
    return noise * xt + signal * output, signal * xt - noise * output


def step(x0: Tensor, eps: Tensor, alpha_bar_next: Tensor) -> Tensor:
    """From the pair (x0, eps) at one time to x at a less noisy one (equation 12 with sigma = 0)."""
    return add_noise(x0, eps, alpha_bar_next)


def sample(predict: Predict, noise: Tensor, schedule: NoiseSchedule, steps: int, prediction: Measure = "v") -> Tensor:
    """x_0 (n, d) from the noise x_T (n, d) in `steps` deterministic steps; the last one returns x_0 itself."""
    x = noise
    times = schedule.grid(steps)
    for now, after in itertools.pairwise(times):
        t, t_after = torch.tensor([[now], [after]], device=x.device)
        eps, x0 = eps_and_x0(predict(x, t), x, schedule.at(t), prediction)
        x = step(x0, eps, schedule.at(t_after))
    return x


def guided(conditional: Predict, unconditional: Predict, guidance: float) -> Predict:
    """Classifier-free guidance, per step: unconditional + guidance (conditional - unconditional).

    `guidance` = 1 + w in the notation of Ho and Salimans 2022 (arXiv 2207.12598, equation 6). At 1 and at 0 only one
    of the two is evaluated.
    """
    if guidance == 1:
        return conditional
    if guidance == 0:
        return unconditional

    def predict(xt: Tensor, t: Tensor) -> Tensor:
        base = unconditional(xt, t)
        return base + guidance * (conditional(xt, t) - base)

    return predict


def _roots(alpha_bar: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar) as columns (n, 1): taken in float64, then cast to the vectors' type."""
    column = alpha_bar[:, None]
    return column.sqrt().to(like.dtype), (1 - column).sqrt().to(like.dtype)
