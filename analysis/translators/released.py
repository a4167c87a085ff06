"""The translator as the authors' published code trains it, where that differs from the poster's text.

Each difference is one line here, with a comment. Not taken over, because it is a matter of scoring: there, validation
targets are normalised by statistics of the validation targets themselves.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from analysis.translators.skip_mlp import SkipMLP
from modtrans_core import distributed
from modtrans_core.checks import refuse_unless
from modtrans_core.pairing import Batches, Pairing
from modtrans_core.poster import diffusion
from modtrans_core.poster.config import PosterConfig
from modtrans_core.poster.diffusion import Prediction
from modtrans_core.poster.fit import start
from modtrans_core.poster.model import PosterTranslator, restore
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts, Method, Parts, Vectors
from modtrans_core.run import Run
from modtrans_core.store.headers import refuse_too_large
from modtrans_core.train import TrainConfig, train

BETA = 0.008
"""of every noise level"""


@dataclass(frozen=True)
class ReleasedConfig(PosterConfig):
    """The settings of the poster's translator, with the values of the published code.

    Raises
    ------
    ValueError
        A value out of its range; the message names the setting, the value and what is needed.
    """

    width: int = 2048
    """units of a hidden layer"""
    depth: int = 10
    """hidden layers, each of which sees the input again"""
    dropout: float = 0.0
    """probability that a hidden unit is dropped in training"""
    prediction: Prediction = "eps"
    """what the network outputs: the noise itself"""
    steps: int = 50
    """DDIM steps, 1 to timesteps"""
    guidance: float = 6.0
    """guidance scale 1 + w with w = 5, in training too: the reconstruction term goes back through both samples"""
    lambda_1: float = 2.0
    """weight of the reconstruction term"""
    lambda_2: float = 1.0
    """weight of the noise term"""
    reconstruction_steps: int = 50
    """DDIM steps through which the reconstruction term is back-propagated"""
    condition_dropout: float = 0.1
    """probability that all rows of a batch see the learned null condition, in a step with no reconstruction term"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(batch=256, ema=0.0))
    """the code keeps a moving average of the weights and never uses it: with ema = 0 the last weights translate"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.condition_dropout > 0:  # a dropped step would have no loss at all
            refuse_unless(self.lambda_2 > 0, "lambda_2", self.lambda_2, "a number > 0 where whole batches are dropped")


class ReleasedTranslator(PosterTranslator):
    """zhat = c M + gamma F(c), where F(c) of all rows of a call together has length 1.

    Each of B rows has a length of about 1/sqrt(B), so that one row alone is another model than the same row among many.
    """

    method = "released"
    row_by_row = False

    def network(self) -> nn.Module:
        """Plain layers."""
        return SkipMLP(self.facts.d, self.facts.k, self.config.width, self.config.depth, self.config.dropout)

    def alpha_bar(self) -> Tensor:
        """The noise schedule (T,), float64, of a constant beta."""
        return torch.cumprod(torch.full((self.config.timesteps,), 1 - BETA, dtype=torch.float64), dim=0)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Two noises: of the conditional sample and of the unconditional one."""
        return (2, self.facts.d)

    def sampled(self, c: Tensor, noise: Tensor, steps: int, guidance: float) -> Tensor:
        """Guidance combines two whole samples from independent `noise` (n, 2, d), not the predictions of every step."""
        one, other = noise.unbind(1)
        x0 = super().sampled(c, other, steps, 0.0)
        return x0 + guidance * (super().sampled(c, one, steps, 1.0) - x0)

    def normalised(self, x0: Tensor) -> Tensor:
        """The samples x0 (n, d) or (n, samples, d) divided by the norm of the whole batch (n, d)."""
        return x0 / torch.linalg.vector_norm(x0, dim=(0, -1), keepdim=True).clamp_min(1e-12)

    def parts(self, c: Vectors, **settings: Any) -> Parts:
        """c M and F(c), (n, d) each, and gamma; see `PosterTranslator.parts`. A UserWarning says what the batch is."""
        _warn_of_batch(len(c))
        return super().parts(c, **settings)

    def draw(self, c: Vectors, samples: int, **settings: Any) -> Vectors:
        """Translations (n, samples, d): the first ones of all rows are a batch, and so on. It warns as `parts` does."""
        _warn_of_batch(len(c))
        return super().draw(c, samples, **settings)


def _warn_of_batch(n: int) -> None:
    text = f"F(c) is normalised over these {n} rows at once: in another batch, or alone, a row translates otherwise"
    warnings.warn(text, stacklevel=3)


def objective(model: ReleasedTranslator, c: Tensor, z: Tensor) -> dict[str, Tensor]:
    """lambda_1 E|z - zhat|_1 + lambda_2 E|eps - eps_theta(z_t, t, c)|_1 of the unit pairs c (n, k), z (n, d).

    It differs from `modtrans_core.poster.model.objective` in the noise term's norm, in what is dropped at once, and in
    the guidance of the reconstruction term.
    """
    config, network = model.config, model.denoiser
    noise_term = reconstruction = z.new_zeros(())
    drop = bool(torch.rand(()) < config.condition_dropout)  # the whole batch or nothing
    if config.lambda_2 > 0:
        x0 = math.sqrt(model.facts.d) * z  # (n, d)
        eps = torch.randn_like(x0)
        t = torch.randint(config.timesteps, (len(z),), device=z.device)
        signal, noise = diffusion.at(model.roots, t)  # (n, 1) each
        xt = signal * x0 + noise * eps
        output = network(xt, t, network.embed(None if drop else c))
        eps_hat, _ = diffusion.eps_and_x0(output, xt, signal, noise, config.prediction)
        noise_term = (eps - eps_hat).abs().sum(1).mean()  # l1: fits a conditional median, not the mean
    if config.lambda_1 > 0 and not drop:
        zhat = c @ model.M
        if config.gamma > 0:
            noises = torch.randn((len(z), *model.noise_shape), dtype=z.dtype, device=z.device)
            x0 = model.sampled(c, noises, config.reconstruction_steps, config.guidance)  # guided in training too
            zhat = zhat + config.gamma * model.normalised(x0)
        reconstruction = (z - zhat).abs().sum(1).mean()
    total = config.lambda_1 * reconstruction + config.lambda_2 * noise_term
    return {"total": total, "reconstruction": reconstruction, "noise": noise_term}


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: ReleasedConfig,
    device: torch.device,
    run: Run | None = None,
    report: Progress = silent,
) -> ReleasedTranslator:
    """M starts at the ridge map, then everything is trained jointly by AdamW.

    Raises
    ------
    ValueError
        Several processes: they share a batch, over which the rows are normalised.
    """
    refuse_unless(
        distributed.world() == 1, "processes", distributed.world(), "1, as rows are normalised over their batch,"
    )
    if config.lambda_1 > 0 and config.gamma > 0 and device.type == "cpu":
        batch, passes = min(config.train.batch, len(pairing)), 2 * config.reconstruction_steps
        refuse_too_large("train.batch", 16 * passes * batch * config.depth * config.width)  # kept for the gradient
    model = ReleasedTranslator(facts, config).to(device)
    if run is None or not run.resuming:
        start(model, pairing, validation)
    batches = Batches(pairing, config.train.batch, config.train.seed, device)
    # AdamW: the decay is subtracted from the weights beside the gradient, not added to it
    return train(model, objective, batches, config.train, run, report, optimizer=torch.optim.AdamW)


METHOD = Method(ReleasedConfig, fit, partial(restore, translator=ReleasedTranslator), {"released": ReleasedConfig()})
