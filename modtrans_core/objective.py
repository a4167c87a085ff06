"""The training objective: lambda_1 E|z - zhat|_1 + lambda_2 E|eps - eps_theta(z_t, t, c)|_2^2 (poster, training)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from modtrans_core.config import ObjectiveConfig
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
    runs on the full conditions, and is left out of a step whose whole batch lost its conditions. Noise, times and
    dropout come from torch's default generator: the training loop seeds it for every step and puts it back afterwards.
    """
    config = translator.config.objective
    noise_term = reconstruction = z.new_zeros(())
    share = _dropped_share(config)
    if config.lambda_2 > 0:
        noise_term = _noise_term(translator, c, z, share)
    if config.lambda_1 > 0 and share < 1:
        zhat = translator.projection(c)
        if translator.config.gamma > 0:
            noise = torch.randn(translator.noise_shape(len(z)), dtype=z.dtype, device=z.device)
            f = translator.residual(c, noise, config.reconstruction_steps, config.reconstruction_guidance)
            zhat = zhat + translator.config.gamma * f
        reconstruction = (z - zhat).abs().sum(1).mean()
    return Loss(config.lambda_1 * reconstruction + config.lambda_2 * noise_term, reconstruction, noise_term)


def _dropped_share(config: ObjectiveConfig) -> float:
    """The share of rows that lose their condition in this step: of whole batches, all of them or none."""
    if config.dropping == "row":
        return config.condition_dropout
    return float(torch.rand(()) < config.condition_dropout)


def _noise_term(translator: Translator, c: Tensor, z: Tensor, share: float) -> Tensor:
    settings = translator.config.diffusion
    x0 = translator.diffusion_scale() * translator.diffused(c, z)
    eps = torch.randn_like(x0)
    t = torch.randint(len(translator.schedule), (len(z),), device=z.device)
    drop = torch.rand(len(z), device=z.device) < share
    alpha_bar = translator.schedule.at(t)
    xt = add_noise(x0, eps, alpha_bar)
    output = translator.denoiser(xt, t, translator.denoiser.embed(c, drop))
    eps_hat, x0_hat = eps_and_x0(output, xt, alpha_bar, settings.prediction)
    if settings.measure == "eps":
        error = eps - eps_hat
    elif settings.measure == "x0":
        error = x0 - x0_hat
    else:
        error = velocity(x0 - x0_hat, eps - eps_hat, alpha_bar)
    size = error.abs() if translator.config.objective.noise_norm == "l1" else error.square()
    return size.sum(1).mean()
