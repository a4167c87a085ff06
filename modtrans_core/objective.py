"""The training objective: lambda_1 E|z - zhat|_1 + lambda_2 E|eps - eps_theta(z_t, t, c)|_2^2 (poster, training)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from modtrans_core.ddim import add_noise, eps_and_x0, velocity
from modtrans_core.translator import Translator


class Loss(NamedTuple):
    """The weighted sum and its two terms, averaged over the batch."""

    total: Tensor
    reconstruction: Tensor
    noise: Tensor


def objective(translator: Translator, c: Tensor, z: Tensor) -> Loss:
    """The loss of the unit pairs c (n, k), z (n, d).

    Norms are sums over coordinates, as printed. The reconstruction term is back-propagated through the sampler, which
    runs without guidance and on the full conditions. Noise, times and dropout come from torch's default generator: the
    training loop seeds it for every step and puts it back afterwards.
    """
    config = translator.config.objective
    noise_term = reconstruction = z.new_zeros(())
    if config.lambda_2 > 0:
        noise_term = _noise_term(translator, c, z)
    if config.lambda_1 > 0:
        zhat = translator.projection(c)
        if translator.config.gamma > 0:
            f = translator.residual(c, torch.randn_like(z), config.reconstruction_steps, guidance=1.0)
            zhat = zhat + translator.config.gamma * f
        reconstruction = (z - zhat).abs().sum(1).mean()
    return Loss(config.lambda_1 * reconstruction + config.lambda_2 * noise_term, reconstruction, noise_term)


def _noise_term(translator: Translator, c: Tensor, z: Tensor) -> Tensor:
    x0 = translator.diffusion_scale() * translator.diffused(c, z)
    eps = torch.randn_like(x0)
    t = torch.randint(len(translator.schedule), (len(z),), device=z.device)
    drop = torch.rand(len(z), device=z.device) < translator.config.objective.condition_dropout
    alpha_bar = translator.schedule.at(t)
    xt = add_noise(x0, eps, alpha_bar)
    v = translator.denoiser(xt, t, translator.denoiser.embed(c, drop))
    eps_hat, x0_hat = eps_and_x0(v, xt, alpha_bar)
    measure = translator.config.diffusion.measure
    if measure == "eps":
        error = eps - eps_hat
    elif measure == "x0":
        error = x0 - x0_hat
    else:
        error = velocity(x0, eps, alpha_bar) - v
    return error.square().sum(1).mean()
