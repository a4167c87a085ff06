"""The poster's translator: zhat = c M + gamma F(c), F(c) = Normalize(DDIM(c)), and the objective that trains it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from modtrans_core.checks import refuse_unless
from modtrans_core.device import seeded
from modtrans_core.noise import keys, normal
from modtrans_core.poster import diffusion
from modtrans_core.poster.config import PosterConfig
from modtrans_core.poster.denoiser import Denoiser
from modtrans_core.protocol import (
    Facts,
    Parts,
    Stored,
    Vectors,
    as_asked,
    conditions,
    evaluating,
    in_pieces,
    like,
    restored,
    whole_samples,
)
from modtrans_core.train import bfloat16


class PosterTranslator(Stored, nn.Module):
    """Translate conditions by a linear map and a unit vector that a conditional DDIM samples.

    Conditions and targets are scaled to unit length, as the encoders of the CLIP family are compared by angle. The
    diffusion runs on sqrt(d) z, whose coordinates have variance near 1.

    The noise that a sample starts from belongs to its row: `modtrans_core.noise` makes it of the row's direction and a
    seed. So a translation depends neither on the rows beside it nor on its place among them.

    Parameters
    ----------
    facts : modalities, dimensions and encoders.
    config : settings.
    """

    method = "poster"
    mean: Tensor
    roots: Tensor
    denoiser: Any

    def __init__(self, facts: Facts, config: PosterConfig) -> None:
        super().__init__()
        self.facts, self.config = facts, config
        self.M = nn.Parameter(torch.zeros(facts.k, facts.d))
        with seeded(config.train.seed):
            self.denoiser = self.network()
        self.register_buffer("mean", torch.zeros(facts.d, dtype=torch.float64))
        self.register_buffer("roots", diffusion.roots(self.alpha_bar()), persistent=False)
        self._times: dict[int, Tensor] = {}

    def network(self) -> nn.Module:
        """The untrained network eps_theta."""
        return Denoiser(self.facts.d, self.facts.k, self.config.width, self.config.depth, self.config.dropout)

    def alpha_bar(self) -> Tensor:
        """The noise schedule (T,), float64."""
        return diffusion.linear_schedule(self.config.timesteps)

    def __repr__(self) -> str:
        steps = f"{self.config.steps} step{'s' if self.config.steps > 1 else ''}"
        return f"{type(self).__name__}({self.facts}, gamma {self.config.gamma:g}, {steps})"

    @property
    def device(self) -> torch.device:
        """Where it works."""
        return self.M.device

    def times(self, steps: int) -> Tensor:
        """The sampler's times of so many steps, on the device; made once."""
        diffusion.refuse_steps(steps, self.config.timesteps)  # True and 1.0 would be found as 1
        found = self._times.get(steps)
        if found is None or found.device != self.device:
            found = self._times[steps] = diffusion.grid(self.config.timesteps, steps).to(self.device)
        return found

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the noise that one sample starts from."""
        return (self.facts.d,)

    def normalised(self, x0: Tensor) -> Tensor:
        """F(c) of the samples x0 = DDIM(c), (n, d) or (n, samples, d): each divided by its norm."""
        return normalize(x0, dim=-1)

    def sampled(self, c: Tensor, noise: Tensor, steps: int, guidance: float) -> Tensor:
        """DDIM(c) (n, d): the sample from `noise` (n, *noise_shape) under the unit conditions c (n, k)."""
        condition, null = self.denoiser.embed(c), self.denoiser.embed(None)
        network = diffusion.guided(
            lambda xt, t: self.denoiser(xt, t, condition), lambda xt, t: self.denoiser(xt, t, null), guidance
        )
        return diffusion.ddim(network, noise, self.roots, self.times(steps), self.config.prediction)

    def sample(self, c: Tensor, start: Tensor, steps: int, guidance: float) -> Tensor:
        """DDIM(c) (n, m, d) of the unit conditions c (n, k), one for each of m noises (n, m, *noise_shape)."""
        n, m = start.shape[:2]
        with bfloat16(c.device):
            x0 = self.sampled(c.repeat_interleave(m, 0), start.flatten(0, 1), steps, guidance)
        return x0.float().view(n, m, self.facts.d)

    def zhat(self, c: Tensor, noise: Tensor, steps: int | None = None, guidance: float | None = None) -> Tensor:
        """Translations (n, d) of the unit conditions c (n, k), from the noise (n, *noise_shape)."""
        steps = self.config.steps if steps is None else steps
        guidance = self.config.guidance if guidance is None else guidance
        direction = self.normalised(self.sampled(c, noise, steps, guidance))
        return c @ self.M + self.config.gamma * direction

    @as_asked
    def parts(
        self,
        c: Vectors,
        *,
        steps: int | None = None,
        guidance: float | None = None,
        seed: int = 0,
        noise: Vectors | None = None,
    ) -> Parts:
        """c M and F(c), (n, d) each, and gamma.

        Parameters
        ----------
        c : conditions (n, k), numpy or torch; the parts are of the same kind. Their length does not matter.
        steps : DDIM steps. Default: the configuration's, as for the next.
        guidance : classifier-free guidance scale, 1 for none.
        seed : of the starting noise; another one gives another sample.
        noise : (n, *noise_shape), in place of the rows' own.

        Raises
        ------
        ValueError
            Conditions or noise of another shape, zero or not finite; an impossible setting; a network that diverged.
        """
        rows = self._conditions(c)
        direction = self._directions(rows, 1, steps, guidance, seed, noise)[:, 0]
        return Parts(like(rows @ self.M, c), like(direction, c), self.config.gamma)

    @as_asked
    def translate(self, c: Vectors, **settings: Any) -> Vectors:
        """zhat = c M + gamma F(c), (n, d); parameters and errors are those of `parts`."""
        if self.config.gamma == 0 and not settings:  # nothing of a sample would be left
            return like(self._conditions(c) @ self.M, c)
        projection, direction, gamma = self.parts(c, **settings)
        return projection + gamma * direction

    @as_asked
    def draw(
        self, c: Vectors, samples: int, *, steps: int | None = None, guidance: float | None = None, seed: int = 0
    ) -> Vectors:
        """Translations (n, samples, d), each from noise of its own; see `parts`."""
        samples = whole_samples(samples, len(c), self.facts.d)
        rows = self._conditions(c)
        directions = self._directions(rows, samples, steps, guidance, seed)
        return like((rows @ self.M)[:, None] + self.config.gamma * directions, c)

    def _conditions(self, c: Vectors) -> Tensor:
        """Unit conditions (n, k), of weights of their type."""
        own = self.M.dtype
        refuse_unless(own == torch.float32, "weights", str(own), "torch.float32, as translator.float() makes them,")
        return conditions(c, self.facts, self.device)

    def _directions(
        self,
        rows: Tensor,
        samples: int,
        steps: int | None,
        guidance: float | None,
        seed: int,
        noise: Vectors | None = None,
    ) -> Tensor:
        """F(c) (n, samples, d) of unit conditions (n, k)."""
        steps = self.config.steps if steps is None else steps
        guidance = self.config.guidance if guidance is None else guidance
        ok = isinstance(guidance, Real) and 0 <= guidance < math.inf
        refuse_unless(ok, "guidance", guidance, "a number >= 0")
        self.times(steps)  # refuses an impossible number of steps before any work

        shape = (samples, *self.noise_shape)
        own: list[Tensor] = [] if noise is None else [torch.as_tensor(noise).to(rows)]
        for one in own:
            wanted = (len(rows), *self.noise_shape)
            refuse_unless(tuple(one.shape) == wanted, "noise", tuple(one.shape), f"shape {wanted}")
            refuse_unless(bool(one.isfinite().all()), "noise", "NaN or infinity", "finite numbers")

        def sampled(c: Tensor, given: Tensor | None = None) -> Tensor:
            return self.sample(c, normal(keys(c), shape, seed) if given is None else given[:, None], steps, guidance)

        with evaluating(self):
            x0 = in_pieces(sampled, rows, *own, samples=samples)
            found = self.normalised(x0)
        if not found.isfinite().all():
            raise ValueError("F(c): not finite; the diffusion part diverged, train it longer or with a smaller step")
        return found

    def tensors(self) -> dict[str, Tensor]:
        """What is saved."""
        return self.state_dict()


def objective(model: PosterTranslator, c: Tensor, z: Tensor) -> dict[str, Tensor]:
    """lambda_1 E|z - zhat|_1 + lambda_2 E|eps - eps_theta(z_t, t, c)|_2^2 of the unit pairs c (n, k), z (n, d).

    Norms are sums over coordinates, as printed. The reconstruction term is back-propagated through the sampler, which
    runs on the full conditions; its first step and the noise term share one pass through the network. Noise, times and
    dropout come from torch's default generator.
    """
    config, network, n = model.config, model.denoiser, len(z)
    times = model.times(config.reconstruction_steps)
    x0 = math.sqrt(model.facts.d) * z  # (n, d)
    eps, start = torch.randn_like(x0), torch.randn_like(x0)
    t = torch.randint(config.timesteps, (n,), device=z.device)
    dropped = torch.rand(n, device=z.device) < config.condition_dropout
    signal, noise = diffusion.at(model.roots, t)  # (n, 1) each
    xt = signal * x0 + noise * eps

    samples = config.lambda_1 > 0 and config.gamma > 0
    asked = [(xt, t, dropped)] if config.lambda_2 > 0 else []
    asked += [(start, times[:1].expand(n), torch.zeros_like(dropped))] if samples else []
    noise_term = reconstruction = z.new_zeros(())
    if asked:
        x, when, drop = (torch.cat(columns) for columns in zip(*asked, strict=True))
        condition = network.embed(c.repeat(len(asked), 1), drop)
        output = network(x, when, condition)
    if config.lambda_2 > 0:
        eps_hat, _ = diffusion.eps_and_x0(output[:n], xt, signal, noise, config.prediction)
        noise_term = (eps - eps_hat).square().sum(1).mean()
    if config.lambda_1 > 0:
        zhat = c @ model.M
        if samples:
            x = diffusion.step(output[-n:], start, model.roots, times[:2], config.prediction)
            given = condition[-n:]
            x = diffusion.ddim(lambda x, t: network(x, t, given), x, model.roots, times[1:], config.prediction)
            zhat = zhat + config.gamma * model.normalised(x)
        reconstruction = (z - zhat).abs().sum(1).mean()
    total = config.lambda_1 * reconstruction + config.lambda_2 * noise_term
    return {"total": total, "reconstruction": reconstruction, "noise": noise_term}


def restore(
    facts: Facts, config: PosterConfig, tensors: Mapping[str, Tensor], device: torch.device,
    translator: Callable[[Facts, PosterConfig], PosterTranslator] = PosterTranslator,
) -> PosterTranslator:  # fmt: skip
    """The translator of these tensors; a missing or misshapen one is a ValueError, before a large network is made."""
    found, held = tensors.get("M"), sum(tensor.numel() for tensor in tensors.values())
    shape = None if found is None else tuple(found.shape)
    refuse_unless(shape == (facts.k, facts.d), "M", shape, f"shape {(facts.k, facts.d)}")
    numbers = config.depth * config.width + (config.depth - 1) * config.width**2  # at least, of any network
    if numbers <= 2 * held:  # less is no burden: what is missing is named below
        with torch.device("meta"):
            numbers = sum(tensor.numel() for tensor in translator(facts, config).state_dict().values())
    refuse_unless(numbers <= 2 * held, "width", config.width, f"a network of {held} numbers")
    return restored(translator(facts, config), tensors, device)
