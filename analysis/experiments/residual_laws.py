r"""Laws of the residual's direction F(c), given the condition: closed forms, and two networks that sample it.

The networks are trained on the directions of z - m(c) of the training pairs, and keep the weights whose draws have the
least energy score on the validation pairs, which m has not seen. What they start from is among these.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Set
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from analysis.experiments.sampling_steps import prediction_error
from analysis.theory.draws import energy_score
from modtrans_core import CalibratedTranslator, PairedEmbeddings, Pairing, PosterTranslator, preset
from modtrans_core.device import seeded
from modtrans_core.noise import keys, normal
from modtrans_core.pairing import Batches
from modtrans_core.poster.denoiser import Denoiser
from modtrans_core.protocol import Facts
from modtrans_core.run import Training
from modtrans_core.train import TrainConfig, Watch, train
from modtrans_core.vectors import unit

NEAREST = 10
"""training conditions, the nearest to c, whose residuals the neighbours' draws take"""
EVALUATIONS = 10
"""of a network for one draw"""
TRAINING: dict[str, Any] = {"batch": 128, "learning_rate": 1e-3, "weight_decay": 0.0}
"""of both networks: a rate at which a short training gets far"""
LOOKS = 3
"""at the validation pairs in a training: after all its steps, half of them, a quarter"""
JUDGED, JUDGING = 200, 2
"""validation residuals that a look draws for, at most, and draws of each"""


class Law(Protocol):
    """Draws of F."""

    def draw(self, c: np.ndarray, samples: int, *, seed: int = 0) -> np.ndarray:
        """Unit vectors (n, samples, d) at the conditions c (n, k)."""


def residuals(pairing: Pairing, mean: CalibratedTranslator) -> Pairing:
    """The directions of z - m(c): an item a pair, unit vectors `condition` (P, k) and `residual` (P, d)."""
    c, z = (rows.numpy() for rows in pairing.unit_pairs())
    f = unit(z - np.asarray(mean.translate(c)))
    return Pairing(PairedEmbeddings({"condition": c, "residual": f}), "condition", "residual")


class Gaussian:
    """Normal vectors g R scaled to unit length, the same law at every condition; isotropic for R = I.

    Parameters
    ----------
    root : R (d, d).
    """

    def __init__(self, root: np.ndarray) -> None:
        self.root = root

    def draw(self, c: np.ndarray, samples: int, *, seed: int = 0) -> np.ndarray:
        """As for `Law`."""
        g = np.random.default_rng([seed, 4]).standard_normal((len(c), samples, len(self.root)), dtype=np.float32)
        return unit(g @ self.root)


class Neighbours:
    """A residual of one of the `NEAREST` training conditions, of all where there are fewer, each equally probable."""

    def __init__(self, residuals: Pairing) -> None:
        self.c, self.f = np.asarray(residuals.c), np.asarray(residuals.z)

    def draw(self, c: np.ndarray, samples: int, *, seed: int = 0) -> np.ndarray:
        """As for `Law`."""
        near = np.argpartition(-(unit(c) @ self.c.T), min(NEAREST, len(self.c) - 1), axis=1)[:, :NEAREST]
        chosen = np.random.default_rng([seed, 4]).integers(near.shape[1], size=(len(c), samples))
        return self.f[np.take_along_axis(near, chosen, axis=1)]


class Flow(nn.Module):
    r"""Samples F by a flow that takes the Gaussian law's draws to the residuals, learned by flow matching.

    In coordinates y = f R^-1, with trace R^T R = 1, the Gaussian law is the standard normal one. There a network learns
    the velocity u = y_1 - y_0 of the straight paths y_t = (1 - t) y_0 + t y_1 from normal y_0 to residuals y_1:
    conditional flow matching with the optimal-transport path (Lipman et al. 2023, arXiv 2210.02747, section 4.1,
    sigma_min = 0).
    With s^2 = t^2 + (1 - t)^2 it is written as

        u(y, t, c) = ((2t - 1) y + s network(y, t, c)) / s^2.

    The first part is the whole velocity where the residuals are Gaussian. So an untrained network, whose output is 0,
    gives the Gaussian law, and what a training reaches is what it adds to that law.

    Parameters
    ----------
    root : R (d, d), invertible.
    k : dimension of the condition.
    width : of the network.
    seed : of its weights.
    """

    root: Tensor
    inverse: Tensor

    def __init__(self, root: Tensor, k: int, width: int, seed: int, depth: int = 3, dropout: float = 0.1) -> None:
        super().__init__()
        with seeded(seed):
            self.network = Denoiser(len(root), k, width, depth, dropout)
        root = root.double() / root.double().norm()  # |g R| is 1 in mean square
        self.register_buffer("root", root.float())
        self.register_buffer("inverse", torch.linalg.inv(root).float())

    def velocity(self, y: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """u (n, d) at y (n, d), times t (n,) or (1,) from 0 to 1, and the network's `embed`ded conditions."""
        square = (t.square() + (1 - t).square())[:, None]  # (n, 1)
        output = self.network(y / square.sqrt(), 1000 * t, condition)  # of coordinates with variance near 1
        return ((2 * t[:, None] - 1) * y + square.sqrt() * output) / square

    def error(self, c: Tensor, f: Tensor) -> Tensor:
        """Mean of |u - (y_1 - y_0)|^2 / d over unit pairs c (n, k), f (n, d), at random times and y_0."""
        end = f @ self.inverse
        start, t = torch.randn_like(end), torch.rand(len(f))
        y = torch.lerp(start, end, t[:, None])
        return (self.velocity(y, t, self.network.embed(c)) - (end - start)).square().mean()

    @torch.inference_mode()
    def draw(self, c: np.ndarray, samples: int, *, seed: int = 0) -> np.ndarray:
        """As for `Law`: midpoint steps, `EVALUATIONS` of the network."""
        rows = torch.from_numpy(unit(c))
        y = normal(keys(rows), (samples, len(self.root)), seed).flatten(0, 1)
        condition = self.network.embed(rows).repeat_interleave(samples, 0)
        half = 1 / EVALUATIONS
        for step in range(EVALUATIONS // 2):
            t = torch.full((1,), 2 * step * half)
            middle = y + half * self.velocity(y, t, condition)
            y = y + 2 * half * self.velocity(middle, t + half, condition)
        return normalize(y @ self.root, dim=1).view(len(rows), samples, -1).numpy()


def ddim(train_on: Pairing, held: Pairing, steps: int, width: int, seed: int) -> Best:
    """A poster's translator with M = 0 and gamma = 1 whose DDIM samples F; its network predicts the velocity.

    Parameters
    ----------
    train_on, held : `residuals` of the training and the validation pairs.
    steps, width : of the training, and of the network.
    seed : of the weights, the order and the noise.
    """
    settings = {"lambda_1": 0.0, "steps": EVALUATIONS, "guidance": 1.0, "width": width, "train.seed": seed}
    model = PosterTranslator(Facts.of(train_on.pairs, "condition", "residual"), preset("poster", settings))
    return _trained(model, prediction_error, train_on, held, steps, seed)


def flow(train_on: Pairing, held: Pairing, root: Tensor, steps: int, width: int, seed: int) -> Best:
    """A trained `Flow`; parameters as for `ddim`."""
    model = Flow(root, train_on.k, width, seed)
    return _trained(model, lambda model, c, f: {"total": model.error(c, f)}, train_on, held, steps, seed)


def _trained(model: Any, loss: Callable[..., Any], train_on: Pairing, held: Pairing, steps: int, seed: int) -> Best:
    config = TrainConfig(steps=steps, seed=seed, **TRAINING)
    best = Best(model, held.at_most(JUDGED), {steps >> look for look in range(LOOKS)})
    train(model, loss, Batches(train_on, config.batch, seed, torch.device("cpu")), config, best)
    return best


class Best(Watch):
    """Keeps the weights whose draws have the least energy score.

    Parameters
    ----------
    model : before its training; the first weights that are looked at.
    held : `residuals` that draws are compared with.
    looks : steps after which they are.

    Attributes
    ----------
    kept, energy : the step whose weights are kept, and their energy score.
    """

    def __init__(self, model: Any, held: Pairing, looks: Set[int]) -> None:
        self.c, self.f, self.looks = np.asarray(held.c), np.asarray(held.z), looks
        self.model, self.kept = copy.deepcopy(model).eval(), 0
        self.energy = self.judge(self.model)

    def draw(self, c: np.ndarray, samples: int, *, seed: int = 0) -> np.ndarray:
        """Of the weights kept."""
        return np.asarray(self.model.draw(c, samples, seed=seed))

    def judge(self, model: Law) -> float:
        """The mean energy score of draws at the residuals held."""
        return float(energy_score(model.draw(self.c, JUDGING), self.f).mean())

    def after(self, step: int, steps: int, values: Mapping[str, float] | None, state: Training) -> None:
        average: Any = state.average
        if step in self.looks and (energy := self.judge(average)) < self.energy:
            self.model, self.kept, self.energy = copy.deepcopy(average), step, energy
