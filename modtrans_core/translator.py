"""The translator zhat = c M + gamma F(c), F(c) = Normalize(DDIM(c)) (poster, method)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from modtrans_core.config import Config, NetworkKind
from modtrans_core.ddim import Predict, guided, sample
from modtrans_core.denoiser import Denoiser
from modtrans_core.lift import LiftedMap, lifted, reliable, stretched
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.schedule import NoiseSchedule
from modtrans_core.skip_mlp import SkipMLP
from modtrans_core.store.contents import differing

Vectors = TypeVar("Vectors", np.ndarray, Tensor)
ROWS_AT_ONCE = 8192
NETWORKS: dict[NetworkKind, type[Denoiser] | type[SkipMLP]] = {"residual": Denoiser, "skip": SkipMLP}


class Parts(NamedTuple):
    """The two parts of a translation: zhat = projection + gamma * residual."""

    projection: Any
    """c M, (n, d)"""
    residual: Any
    """F(c), (n, d) or (n, samples, d), unit vectors; shorter where the whole batch is normalised"""
    gamma: Any
    """a float; (n, 1, 1), one of each condition, for the samples of a calibrated translator"""


class Translator(nn.Module):
    """Translate conditions c (n, k) of one modality into vectors zhat (n, d) of another.

    Conditions and targets are scaled to unit length, as the encoders of the CLIP family are compared by angle. The
    diffusion runs on sqrt(d) z, whose coordinates have variance near 1. The translation itself is not normalised:
    only its direction is meant.

    Parameters
    ----------
    k, d : dimensions of the condition and of the target.
    source, target : names of the modalities.
    encoders : facts about the encoder of each modality, as the pair set's metadata gives them. Pairs whose facts
        differ are refused by `check`.
    """

    mean: Tensor
    landmarks: Tensor
    bandwidth: Tensor
    length: Tensor
    trust: Tensor
    root: Tensor

    def __init__(
        self,
        k: int,
        d: int,
        config: Config,
        source: str = "image",
        target: str = "text",
        encoders: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.k, self.d, self.config = k, d, config
        self.source, self.target = source, target
        self.encoders = dict(encoders or {})
        self.schedule = NoiseSchedule(config.diffusion.timesteps, config.diffusion.schedule)
        self.M = nn.Parameter(torch.zeros(k, d))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.denoiser = NETWORKS[config.network.kind](d, k, config.network)
        self.register_buffer("landmarks", torch.zeros(0, k))
        self.register_buffer("bandwidth", torch.ones(()))
        self.register_buffer("length", torch.tensor([0.0, 1.0]))
        self.register_buffer("trust", torch.tensor([0.0, 1.0, 0.0, 0.0, 1.0]))
        self.register_buffer("root", torch.zeros(0, d))
        self.register_buffer("mean", torch.zeros(d, dtype=torch.float64))

    @property
    def target_mean(self) -> np.ndarray:
        """Mean (d,) of the unit training targets: the floor's constant and the centre of the centered ranking."""
        return self.mean.cpu().numpy()

    @property
    def device(self) -> torch.device:
        return self.M.device

    def lift(self, fitted: LiftedMap) -> None:
        """Take a map of the lifted condition for M, (k + L + 1, d); see `modtrans_core.lift`."""
        self.M = nn.Parameter(fitted.M.to(self.device))
        for name in ("landmarks", "bandwidth", "length", "trust", "root"):
            setattr(self, name, getattr(fitted, name).to(self.device))

    def projection(self, c: Tensor) -> Tensor:
        """c M (n, d) of the unit conditions c (n, k); of the lifted ones, mean + c~ M at its fitted lengths."""
        if not self.config.lift.landmarks:
            return c @ self.M
        stretch = stretched(lifted(c, self.landmarks, self.bandwidth) @ self.M, self.length)
        return reliable(self.mean.float() + stretch, self.trust)

    def residual(self, c: Tensor, noise: Tensor, steps: int, guidance: float) -> Tensor:
        """F(c) (n, d): the DDIM sample from `noise` under the unit conditions c (n, k), normalised."""
        return self.normalised(self.sampled(c, noise, steps, guidance))

    def noise_shape(self, n: int) -> tuple[int, ...]:
        """Shape of the noise that n samples start from: (n, d), or (n, 2, d) where guidance combines two of them."""
        return (n, self.d) if self.config.sampling.guided == "step" else (n, 2, self.d)

    def sampled(self, c: Tensor, noise: Tensor, steps: int, guidance: float) -> Tensor:
        """DDIM(c) (n, d): the sample from `noise`, of `noise_shape`, under the unit conditions c (n, k).

        Where M is lifted and no network was trained, the Gaussian of `modtrans_core.residual_shape` stands for DDIM.
        """
        if self.config.lift.landmarks and not self.config.train.steps:
            return noise @ self.root
        condition, null = self.denoiser.embed(c), self.denoiser.embed(None)

        def conditional(xt: Tensor, t: Tensor) -> Tensor:
            return self.denoiser(xt, t, condition)

        def unconditional(xt: Tensor, t: Tensor) -> Tensor:
            return self.denoiser(xt, t, null)

        def draw(predict: Predict, noise: Tensor) -> Tensor:
            return sample(predict, noise, self.schedule, steps, self.config.diffusion.prediction)

        if self.config.sampling.guided == "step":
            return draw(guided(conditional, unconditional, guidance), noise)
        one, other = noise.unbind(1)
        x0 = draw(unconditional, other)
        return x0 + guidance * (draw(conditional, one) - x0)

    def normalised(self, x0: Tensor) -> Tensor:
        """The samples x0 (n, d) or (n, samples, d), a row divided by its own norm or by that of its batch (n, d)."""
        if self.config.sampling.normalisation == "row":
            return nn.functional.normalize(x0, dim=-1)
        return x0 / torch.linalg.vector_norm(x0, dim=(0, -1), keepdim=True).clamp_min(1e-12)

    def diffused(self, c: Tensor, z: Tensor) -> Tensor:
        """Unit vectors (n, d) for the denoiser to learn: z or, where M is lifted, the direction of z - m(c)."""
        if not self.config.lift.landmarks:
            return z
        with torch.no_grad():
            return nn.functional.normalize(z - self.projection(c), dim=1)

    def expected_cosine(self, c: Vectors) -> Vectors:
        """The cosine (n,), 0 to 1, that each translation is expected to have with its target: |zhat|.

        For unit z and m = E[z|c], E cos(z, m) = |m|, and a calibrated translator's zhat estimates m. How far that comes
        true on held-out pairs shows `analysis.theory.reliability.reliability`.

        Raises
        ------
        ValueError
            The translator is not calibrated: the length of its zhat means nothing.
        """
        if not self.config.lift.landmarks:
            raise ValueError("expected_cosine: this translator is not calibrated; --preset calibrated is needed")
        rows = self.condition(c)
        with torch.inference_mode():
            length = torch.cat([self.projection(chunk).norm(dim=1) for chunk in rows.split(ROWS_AT_ONCE)])
        result: Any = _like(length.clamp_max(1), c)
        return result

    def condition(self, c: np.ndarray | Tensor) -> Tensor:
        """The conditions c (n, k) as unit vectors on the translator's device; bad ones are a ValueError."""
        c = c if isinstance(c, Tensor) else np.asarray(c)
        rows = torch.as_tensor(c, dtype=torch.float32, device=self.device)
        if rows.ndim != 2 or rows.shape[1] != self.k:
            raise ValueError(f"c: shape {tuple(rows.shape)}, (n, {self.k}) is needed ({self.source} vectors)")
        length = rows.norm(dim=1, keepdim=True)
        bad = ~(length.isfinite() & (length > 0)).flatten()
        if bad.any():
            raise ValueError(
                f"c: zero, NaN or infinite in row {int(bad.nonzero()[0])}; finite non-zero vectors are needed"
            )
        return rows / length

    def parts(
        self,
        c: np.ndarray | Tensor,
        *,
        steps: int | None = None,
        guidance: float | None = None,
        samples: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Parts:
        """The projection c M and the residual F(c) of the conditions c (n, k); see `translate` for the settings."""
        steps = self.config.sampling.steps if steps is None else steps
        guidance = self.config.sampling.guidance if guidance is None else guidance
        if samples is not None and samples < 1:
            raise ValueError(f"samples: {samples}, at least 1 is needed")
        if guidance < 0:
            raise ValueError(f"guidance: {guidance}, a number >= 0 is needed")
        self.schedule.grid(steps)  # refuses an impossible number of steps before any work
        generator = generator or torch.Generator().manual_seed(0)
        drawn = samples or 1
        rows = self.condition(c)
        training = self.training
        self.eval()
        with torch.inference_mode():
            residual = torch.empty(len(rows), drawn, self.d, device=self.device)
            for chunk in torch.arange(len(rows)).split(max(1, ROWS_AT_ONCE // drawn)):
                shape = self.noise_shape(len(chunk) * drawn)
                noise = torch.randn(shape, generator=generator, device=generator.device)
                repeated = rows[chunk].repeat_interleave(drawn, dim=0)
                with self.autocast():
                    x0 = self.sampled(repeated, noise.to(self.device), steps, guidance)
                residual[chunk] = x0.float().view(len(chunk), drawn, self.d)
            residual = self.normalised(residual)
            projection = torch.cat([self.projection(chunk) for chunk in rows.split(ROWS_AT_ONCE)])
        self.train(training)
        if not residual.isfinite().all():
            raise ValueError("F(c): not finite; the diffusion part diverged, train it longer or with a smaller step")
        residual = residual[:, 0] if samples is None else residual
        gamma: Any = self.config.gamma
        if samples is not None and self.config.lift.landmarks:  # E|z - m|^2 = 1 - |m|^2 for unit z with mean m
            gamma = _like((1 - projection.square().sum(1)).clamp_min(0).sqrt()[:, None, None], c)
        return Parts(_like(projection, c), _like(residual, c), gamma)

    def translate(
        self,
        c: Vectors,
        *,
        steps: int | None = None,
        guidance: float | None = None,
        samples: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Vectors:
        """zhat = c M + gamma F(c).

        A calibrated translator's zhat estimates the conditional mean m(c) = E[z|c]. Its samples are draws from p(z|c),
        m + gamma F_k with gamma(c) = sqrt(1 - |m|^2), the root mean square of |z - m|; their mean returns to m.

        Where `sampling.normalisation` is batch, the rows of one call are the batch: the translation of a row depends
        on the rows beside it, and one row alone is another model than the same row among many.

        Parameters
        ----------
        c : conditions (n, k), numpy or torch; what comes back is of the same kind. Their length does not matter.
        steps : DDIM steps. Default: the configuration's, as for the next.
        guidance : classifier-free guidance scale, 1 for none.
        samples : draw this many translations of each condition and return (n, samples, d). Default: one, as (n, d).
        generator : source of the starting noise. Default: a new one with seed 0, so that two calls agree.
        """
        given = (steps, guidance, samples, generator)
        if self.config.gamma == 0 and given == (None,) * 4:  # nothing of a sample would be left
            with torch.inference_mode():
                zhat = torch.cat([self.projection(rows) for rows in self.condition(c).split(ROWS_AT_ONCE)])
            return zhat if isinstance(c, Tensor) else zhat.cpu().numpy()
        projection, residual, gamma = self.parts(
            c, steps=steps, guidance=guidance, samples=samples, generator=generator
        )
        return (projection if samples is None else projection[:, None]) + gamma * residual

    def autocast(self) -> torch.autocast:
        """bfloat16 matrix products on a GPU, float32 elsewhere."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda")

    def check(self, pairs: PairedEmbeddings, *modalities: str) -> None:
        """Refuse pairs of other dimensions or, where both sides say, of another encoder than the training pairs'.

        Parameters
        ----------
        modalities : the ones to look at. Default: source and target.
        """
        for name in modalities or (self.source, self.target):
            found, dimension = pairs.modality(name).shape[-1], self.k if name == self.source else self.d
            if found != dimension:
                raise ValueError(f"{name}: dimension {found}, but the translator was trained on {dimension}")
            if difference := differing(pairs.encoder(name), self.encoders.get(name, {})):
                raise ValueError(f"{name}: {difference[0]}, but the translator was trained on {difference[1]}")

    @staticmethod
    def fit(pairs: PairedEmbeddings, source: str = "image", target: str = "text", **options: Any) -> Translator:
        """Train a translator on `pairs`; the options are those of `modtrans_core.train.fit`."""
        from modtrans_core.train import fit

        return fit(pairs, source, target, **options)

    def save(self, folder: str | Path) -> None:
        """Write the translator into a new folder; one that already holds a translator is refused."""
        from modtrans_core.checkpoint import save_translator

        save_translator(self, folder)

    @staticmethod
    def load(folder: str | Path, device: str | torch.device | None = None) -> Translator:
        """Read a translator from its folder. Default device: a GPU when there is one."""
        from modtrans_core.checkpoint import load_translator

        return load_translator(folder, device)

    def diffusion_scale(self) -> float:
        """sqrt(d): what a unit vector is multiplied by before it is diffused."""
        return math.sqrt(self.d)


def _like(value: Tensor, given: np.ndarray | Tensor) -> np.ndarray | Tensor:
    return value if isinstance(given, Tensor) else value.cpu().numpy()


def default_device() -> torch.device:
    """A GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
