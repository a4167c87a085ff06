"""The noise schedule and deterministic DDIM (Song et al. 2021, arXiv 2010.02502) with classifier-free guidance.

code            paper
x0              x_0, the clean vector
xt, t           x_t; times run from 0 (least noise) to T - 1, and time -1 is the clean vector
alpha_bar       alpha_t of the paper's equation 4
signal, noise   sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t), columns (n, 1): x_t = signal x_0 + noise eps
eps             epsilon_theta(x_t)
v               the velocity, signal eps - noise x_0 (Salimans and Ho 2022, arXiv 2202.00512, section 4)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from modtrans_core.checks import refuse_unless

Prediction = Literal["eps", "x0", "v"]
Network = Callable[[Tensor, Tensor], Tensor]
"""(x_t (n, d), t (1,)) -> the network's output (n, d)"""


def linear_schedule(T: int = 1000) -> Tensor:
    """alpha_bar (T,), float64, strictly decreasing in (0, 1).

    beta rises linearly from 1e-4 to 0.02 (Ho et al. 2020, arXiv 2006.11239, section 4), scaled by 1000/T so that the
    noisiest level does not depend on T.
    """
    beta = torch.linspace(1e-4 * 1000 / T, 0.02 * 1000 / T, T, dtype=torch.float64)
    return torch.cumprod(1 - beta.clamp(max=0.999), dim=0)


def roots(alpha_bar: Tensor) -> Tensor:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar), (2, T + 1), float32, taken in float64; the last place is time -1."""
    padded = torch.cat([alpha_bar, alpha_bar.new_ones(1)])
    return torch.stack([padded.sqrt(), (1 - padded).sqrt()]).float()


def at(roots: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """signal and noise, (n, 1) each, at the times t (n,)."""
    signal, noise = roots[:, t, None]
    return signal, noise


def refuse_steps(steps: int, T: int) -> None:
    """Refuse what is no number of steps through T times."""
    ok = isinstance(steps, int | np.integer) and not isinstance(steps, bool) and 1 <= steps <= T
    refuse_unless(ok, "steps", steps, f"1 to {T} (the schedule's timesteps)")


def grid(T: int, steps: int) -> Tensor:
    """`steps` + 1 times from T - 1 down to -1, int64, evenly spaced and rounded: both ends are always in it."""
    refuse_steps(steps, T)
    return torch.linspace(T - 1, -1, steps + 1, dtype=torch.float64).round().long()


def eps_and_x0(
    output: Tensor, xt: Tensor, signal: Tensor, noise: Tensor, prediction: Prediction = "v"
) -> tuple[Tensor, Tensor]:
    """The pair (eps, x0) that the network's output at x_t stands for.

    From a velocity it is a rotation, so no error in v is ever amplified. An error in a predicted eps reaches x0
    noise/signal times as large, and one in a predicted x0 reaches eps by the inverse factor.
    """
    if prediction == "eps":
        return output, (xt - noise * output) / signal
    if prediction == "x0":
        return (xt - signal * output) / noise, output
    return noise * xt + signal * output, signal * xt - noise * output


def step(output: Tensor, xt: Tensor, roots: Tensor, times: Tensor, prediction: Prediction = "v") -> Tensor:
    """x at the second of two times, from x_t at the first and the network's output there."""
    (signal, noise), (signal_after, noise_after) = at(roots, times[:1]), at(roots, times[1:])
    eps, x0 = eps_and_x0(output, xt, signal, noise, prediction)
    return signal_after * x0 + noise_after * eps  # equation 12 with sigma = 0


def ddim(network: Network, xT: Tensor, roots: Tensor, times: Tensor, prediction: Prediction = "v") -> Tensor:
    """x_0 (n, d) from the noise x_T (n, d), one deterministic step for each two neighbours of the times.

    Parameters
    ----------
    times : of `grid`, on the device of x_T.
    """
    x = xT
    for index in range(len(times) - 1):
        x = step(network(x, times[index : index + 1]), x, roots, times[index : index + 2], prediction)
    return x


def guided(conditional: Network, unconditional: Network, guidance: float) -> Network:
    """Classifier-free guidance: unconditional + guidance (conditional - unconditional), in every step.

    `guidance` = 1 + w in the notation of Ho and Salimans 2022 (arXiv 2207.12598, equation 6). At 1 and at 0 only one of
    the two is evaluated.
    """
    if guidance == 1:
        return conditional
    if guidance == 0:
        return unconditional

    def network(xt: Tensor, t: Tensor) -> Tensor:
        base = unconditional(xt, t)
        return base + guidance * (conditional(xt, t) - base)

    return network
