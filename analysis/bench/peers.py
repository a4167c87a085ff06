"""What ours are compared with: published diffusion priors, a plain network, a ridge map.

The transformers have the size of the diffusion prior in the DALLE2-pytorch README (depth 6, 8 heads of 64). They see
the condition alone and no text tokens, and predict the clean target scaled by sqrt(d).
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from modtrans_core.config import preset
from torch import Tensor
from torch.nn.functional import mse_loss, normalize

from analysis.bench.contender import Closed, Contender, Network
from analysis.bench.ours import Trained
from analysis.bench.task import Task
from analysis.translators import MLP, Ridge

DEPTH, HEADS, HEAD = 6, 8, 64
TIMESTEPS = 1000
DROPPED = 0.1
"""probability that a diffusion model's condition is dropped in training, for guidance"""
MISSING = 'pip install "modtrans[bench]"'


class PublishedNetwork(Trained):
    """The network of the poster's published code (preset `released`), trained on its noise term alone.

    Its reconstruction term goes back through both samplers: 40 times the cost for 2% of the gradient.
    """

    name = "published network"
    peer = True

    def __init__(self, task: Task) -> None:
        config = preset("released")
        super().__init__(task, self.name, replace(config, objective=replace(config.objective, lambda_1=0.0)))


class DalleTwoPrior(Network):
    """DiffusionPrior of DALLE2-pytorch (Ramesh et al. 2022, arXiv 2204.06125, section 2.2)."""

    name = "DALLE2-pytorch prior"
    peer, diffusion = True, True
    network: Any

    def build(self) -> torch.nn.Module:
        _one_dimension(self.task)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import dalle2_pytorch.dalle2_pytorch as library
        library.tqdm = partial(library.tqdm, disable=True)  # its sampler shows a bar of its own
        net = library.DiffusionPriorNetwork(
            dim=self.task.d, depth=DEPTH, heads=HEADS, dim_head=HEAD, num_timesteps=TIMESTEPS, max_text_len=0
        )
        return library.DiffusionPrior(
            net, image_embed_dim=self.task.d, timesteps=TIMESTEPS, cond_drop_prob=DROPPED,
            condition_on_text_encodings=False,
        )  # fmt: skip

    def loss(self, c: Tensor, z: Tensor) -> Tensor:
        return self.network(text_embed=c, image_embed=z.clone())  # it scales the targets in place

    def translate(self, c: Tensor, steps: int, guidance: float) -> Tensor:
        shape = len(c), self.task.d
        # n + 1 of its timesteps are n steps
        return self.network.p_sample_loop(shape, text_cond={"text_embed": c}, timesteps=steps + 1, cond_scale=guidance)


class DiffusersPrior(Network):
    """PriorTransformer of diffusers, sampled by its DDIMScheduler; a dropped condition is a zero vector."""

    name = "diffusers prior"
    peer, diffusion = True, True

    schedule: Any

    def build(self) -> Any:
        from diffusers import DDIMScheduler, PriorTransformer

        self.schedule = DDIMScheduler(
            num_train_timesteps=TIMESTEPS, beta_schedule="squaredcos_cap_v2", prediction_type="sample",
            clip_sample=False, timestep_spacing="trailing",
        )  # fmt: skip
        return PriorTransformer(
            num_layers=DEPTH, num_attention_heads=HEADS, attention_head_dim=HEAD, num_embeddings=0,
            embedding_dim=self.task.d, embedding_proj_dim=self.task.k, encoder_hid_proj_type=None,
        )  # fmt: skip

    def loss(self, c: Tensor, z: Tensor) -> Tensor:
        x0 = z * self.task.d**0.5
        t = torch.randint(TIMESTEPS, (len(z),), device=z.device)
        xt = self.schedule.add_noise(x0, torch.randn_like(x0), t)
        keep = torch.rand(len(c), 1, device=c.device) >= DROPPED
        return mse_loss(self.network(xt, t, c * keep).predicted_image_embedding, x0)

    @torch.inference_mode()
    def translate(self, c: Tensor, steps: int, guidance: float) -> Tensor:
        x = torch.randn(len(c), self.task.d, device=c.device)
        self.schedule.set_timesteps(steps, device=c.device)
        for t in self.schedule.timesteps:
            x0 = self.network(x, t, c).predicted_image_embedding
            if guidance != 1:
                base = self.network(x, t, torch.zeros_like(c)).predicted_image_embedding
                x0 = base + guidance * (x0 - base)
            x = self.schedule.step(x0, t, x).prev_sample
        return x


class PlainNetwork(Network):
    """The network of `analysis.translators.MLP` with its loss; the weights of the best validation cosine are kept."""

    name = "MLP"
    peer = True
    rate = 1e-3

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        c = task.tensors[0]
        self.mean, self.deviation = c.mean(0), c.std(0).clamp_min(1e-6)

    def build(self) -> torch.nn.Module:
        return MLP().architecture(self.task.k, self.task.d)

    def loss(self, c: Tensor, z: Tensor) -> Tensor:
        return (1 - self._cosine(c, z)).mean()

    def validation_score(self) -> float:
        self.network.eval()
        c, z = (torch.from_numpy(rows).to(self.task.device) for rows in self.task.held)
        with torch.inference_mode():
            return float(self._cosine(c, z).mean())

    @torch.inference_mode()
    def translate(self, c: Tensor, steps: int, guidance: float) -> Tensor:
        return self._forward(c)

    def _cosine(self, c: Tensor, z: Tensor) -> Tensor:
        return (normalize(self._forward(c)) * z).sum(1)

    def _forward(self, c: Tensor) -> Tensor:
        return self.network((c - self.mean) / self.deviation)


class ScikitRidge(Closed):
    """scikit-learn's Ridge by Cholesky in float32, with a penalty found beforehand, which is not timed."""

    name = "ridge (scikit-learn)"
    peer = True

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.penalty: float | None = None
        self.map, self.offset = torch.empty(0), torch.empty(0)

    def choose(self) -> None:
        """Take the penalty of the best validation cosine."""
        if self.penalty is None:
            self.penalty = Ridge().fit(*self.task.rows, validation=self.task.held).penalty

    def ready(self) -> None:
        self.choose()
        super().ready()

    def fit_seconds(self) -> tuple[float, int]:
        self.choose()
        seconds, _ = super().fit_seconds()
        (n, k), d = self.task.rows[0].shape, self.task.d
        return seconds, n * k * (k + 2 * d)  # numpy's products, which torch does not count; C^T C is symmetric

    def fit(self) -> None:
        from sklearn.linear_model import Ridge as Solver

        solution = Solver(alpha=self.penalty, solver="cholesky").fit(*self.task.rows)
        device = self.task.device
        self.map = torch.from_numpy(np.ascontiguousarray(solution.coef_.T)).to(device)
        self.offset = torch.from_numpy(solution.intercept_).to(device)

    def translate(self, c: Tensor, steps: int, guidance: float) -> Tensor:
        return torch.addmm(self.offset, c, self.map)


PEERS: tuple[type[Contender], ...] = (
    PublishedNetwork,
    DalleTwoPrior,
    DiffusersPrior,
    PlainNetwork,
    ScikitRidge,
)


def peers(task: Task) -> tuple[list[Contender], dict[str, str]]:
    """The peers that can run here, and for each of the others one line on why not."""
    able: list[Contender] = []
    left_out: dict[str, str] = {}
    for make in PEERS:
        try:
            able.append(make(task))
        except ModuleNotFoundError as error:
            left_out[make.name] = f"{error.name} is missing: {MISSING}"
        except (ImportError, ValueError) as error:
            left_out[make.name] = " ".join(str(error).split())
    return able, left_out


def _one_dimension(task: Task) -> None:
    if task.k != task.d:
        raise ValueError(f"needs one dimension for both modalities, here {task.k} and {task.d}")
