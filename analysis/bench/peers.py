"""What ours are compared with: the poster's published network, published diffusion priors, an MLP, and scikit-learn's
ridge map and kernel regressions.

The priors have the size of the one in the DALLE2-pytorch README (depth 6, 8 heads of 64). They see the condition alone
and no text tokens, and predict the clean target scaled by sqrt(d).
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from analysis.bench.contenders import Contender, Preset
from analysis.bench.task import Task
from analysis.translators.kernel import median_distance
from modtrans_core import preset
from modtrans_core.checks import in_one_line
from modtrans_core.device import seeded
from modtrans_core.pairing import Batches
from modtrans_core.progress import Progress, silent
from modtrans_core.train import TrainConfig, bfloat16, train

DEPTH, HEADS, HEAD = 6, 8, 64
TIMESTEPS = 1000
DROPPED = 0.1
"""probability that the condition is dropped in training, as published"""
LEARNING_RATE = 3e-4
BANDWIDTH = 0.5
"""of scikit-learn's kernels, in units of the median distance of two conditions"""
EXACT = 6_000
"""pairs that `KernelRidge` is fitted to, at most: its matrix has as many rows and columns"""


class Prior(Contender):
    """A network of another library with its own loss and sampler, trained by this package's loop with AdamW."""

    peer, samples = True, True

    @abstractmethod
    def build(self, k: int, d: int) -> nn.Module:
        """The untrained network."""

    @abstractmethod
    def loss(self, network: Any, c: Tensor, z: Tensor) -> Tensor:
        """The training loss of the unit pairs c (n, k), z (n, d)."""

    @abstractmethod
    def sample(self, c: Tensor, steps: int) -> Tensor:
        """Translations of unit conditions; see `translate`."""

    def fit(self, task: Task, batch: int, steps: int, report: Progress = silent) -> None:
        with seeded(0):
            network = self.build(task.pairing.k, task.pairing.d).to(task.device)
        config = TrainConfig(steps, batch, LEARNING_RATE)
        batches = Batches(task.pairing, batch, config.seed, task.device)

        def loss(network: nn.Module, c: Tensor, z: Tensor) -> dict[str, Tensor]:
            return {"total": self.loss(network, c, z)}

        self.fitted = train(network, loss, batches, config, report=report, optimizer=torch.optim.AdamW)

    @torch.inference_mode()
    def translate(self, c: Tensor, steps: int) -> Tensor:
        with bfloat16(c.device):
            return self.sample(c, steps)


class DalleTwoPrior(Prior):
    """DiffusionPrior of DALLE2-pytorch (Ramesh et al. 2022, arXiv 2204.06125, section 2.2)."""

    name, one_space = "DALLE2-pytorch prior", True

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import dalle2_pytorch.dalle2_pytorch as library
        library.tqdm = partial(library.tqdm, disable=True)  # its sampler shows a bar of its own
        self.library = library

    def build(self, k: int, d: int) -> nn.Module:
        net = self.library.DiffusionPriorNetwork(
            dim=d, depth=DEPTH, heads=HEADS, dim_head=HEAD, num_timesteps=TIMESTEPS, max_text_len=0
        )
        prior: nn.Module = self.library.DiffusionPrior(
            net, image_embed_dim=d, timesteps=TIMESTEPS, cond_drop_prob=DROPPED, condition_on_text_encodings=False
        )
        return prior

    def loss(self, network: Any, c: Tensor, z: Tensor) -> Tensor:
        found: Tensor = network(text_embed=c, image_embed=z.clone())  # it scales the targets in place
        return found

    def sample(self, c: Tensor, steps: int) -> Tensor:
        shape, text = (len(c), self.fitted.image_embed_dim), {"text_embed": c}
        # n + 1 of its timesteps are n steps
        found: Tensor = self.fitted.p_sample_loop(shape, text_cond=text, timesteps=steps + 1)
        return found


class DiffusersPrior(Prior):
    """PriorTransformer of diffusers, sampled by its DDIMScheduler; a dropped condition is a zero vector."""

    name = "diffusers prior"

    def __init__(self) -> None:
        from diffusers import DDIMScheduler, PriorTransformer

        self.transformer = PriorTransformer
        self.schedule: Any = DDIMScheduler(
            num_train_timesteps=TIMESTEPS, beta_schedule="squaredcos_cap_v2", prediction_type="sample",
            clip_sample=False, timestep_spacing="trailing",
        )  # fmt: skip

    def build(self, k: int, d: int) -> nn.Module:
        network: Any = self.transformer(
            num_layers=DEPTH, num_attention_heads=HEADS, attention_head_dim=HEAD, num_embeddings=0,
            embedding_dim=d, embedding_proj_dim=k, encoder_hid_proj_type=None,
        )  # fmt: skip
        return network

    def loss(self, network: Any, c: Tensor, z: Tensor) -> Tensor:
        x0 = z * z.shape[1] ** 0.5
        t = torch.randint(TIMESTEPS, (len(z),), device=z.device)
        xt = self.schedule.add_noise(x0, torch.randn_like(x0), t)
        keep = torch.rand(len(c), 1, device=c.device) >= DROPPED
        return mse_loss(network(xt, t, c * keep).predicted_image_embedding, x0)

    def sample(self, c: Tensor, steps: int) -> Tensor:
        x = torch.randn(len(c), self.fitted.config.embedding_dim, device=c.device)
        self.schedule.set_timesteps(steps, device=c.device)
        for t in self.schedule.timesteps:
            x0 = self.fitted(x, t, c).predicted_image_embedding
            x = self.schedule.step(x0, t, x).prev_sample
        return x


class ScikitLearn(Contender):
    """A regression of scikit-learn at one setting, of unit vectors in float32: nothing is chosen.

    Parameters
    ----------
    make : (gamma of the kernel, landmarks) -> the regression.
    most : pairs that it can be fitted to, at most.
    """

    peer, learns = True, False

    def __init__(self, name: str, make: Callable[[float, int], Any], most: int | None = None) -> None:
        self.name, self.make, self.most = name, make, most

    def fit(self, task: Task, batch: int, steps: int, report: Progress = silent) -> None:
        c, z = (rows.cpu().numpy() for rows in task.pairing.unit_pairs())
        gamma = 0.5 / (BANDWIDTH * median_distance(c, 0)) ** 2
        self.fitted = self.make(gamma, min(preset("kernel ridge").landmarks, len(c))).fit(c, z)

    def translate(self, c: Tensor, steps: int) -> Tensor:
        return torch.from_numpy(self.fitted.predict(c.cpu().numpy())).to(c)


def kernel_ridge() -> Contender:
    """All conditions are landmarks."""
    return ScikitLearn("KernelRidge", lambda gamma, _: KernelRidge(alpha=1.0, kernel="rbf", gamma=gamma), EXACT)


def nystroem() -> Contender:
    """As many landmarks as the preset `kernel ridge` has: of more, the roots of their kernel matrix take minutes."""

    def make(gamma: float, landmarks: int) -> Any:
        return make_pipeline(Nystroem(gamma=gamma, n_components=landmarks, random_state=0), Ridge(1.0))

    return ScikitLearn("Nystroem + Ridge", make)


PEERS: dict[str, Callable[[], Contender]] = {
    # its reconstruction term goes back through both samplers: 40 times the cost for 2% of the gradient
    "published network": partial(Preset, "released", "published network", peer=True, lambda_1=0.0),
    "DALLE2-pytorch prior": DalleTwoPrior,
    "diffusers prior": DiffusersPrior,
    "MLP": partial(Preset, "MLP", peer=True),
    "ridge": partial(Preset, "ridge", peer=True),
    "Nystroem + Ridge": nystroem,
    "KernelRidge": kernel_ridge,
}


def peers(k: int, d: int) -> tuple[list[Contender], dict[str, str]]:
    """The peers that can translate R^k to R^d here, and for each of the others one line on why not."""
    able: list[Contender] = []
    left_out: dict[str, str] = {}
    for name, make in PEERS.items():
        try:
            peer = make()
            if peer.one_space and k != d:
                raise ValueError(f"needs one dimension for both modalities, here {k} and {d}")
            able.append(peer)
        except ModuleNotFoundError as error:
            left_out[name] = f'{error.name} is missing: pip install -e ".[bench]"'
        except (ImportError, ValueError) as error:
            left_out[name] = in_one_line(error)
    return able, left_out
