"""Baseline with a small network and no diffusion: two hidden layers, trained on the cosine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from analysis.translators.choice import whole_number
from analysis.translators.protocol import Pairs, fitted_condition, training_pairs
from analysis.translators.repeats import mean_cosine, merge_unit

if TYPE_CHECKING:
    import torch


class MLP:
    """zhat = W_3 g(W_2 g(W_1 x)), x the standardised condition, g GELU and dropout, trained to maximise the cosine.

    Loss: the mean of 1 - cos(z, zhat) over the training pairs, equal conditions merged. AdamW with a rate that falls to
    zero as a cosine; the weights with the highest validation cosine are kept, and training ends when `patience` looks
    at it in a row bring none higher. The caller's random state is left as it was.

    Parameters
    ----------
    width : units in each hidden layer.
    dropout : probability that a hidden unit is dropped, from 0 to below 1.
    rate, weight_decay : of AdamW.
    batch, steps : conditions in a step, and steps at most.
    every, patience : steps between two looks at the validation cosine, and looks without a gain that end the training.
    seed : of weights, order and dropout.

    Attributes
    ----------
    validation_cosines : dict of int to float
        Mean validation cosine after each number of steps looked at.
    """

    def __init__(
        self,
        width: int = 1024,
        *,
        dropout: float = 0.4,
        rate: float = 2e-3,
        weight_decay: float = 1e-2,
        batch: int = 256,
        steps: int = 600,
        every: int = 25,
        patience: int = 6,
        seed: int = 0,
    ) -> None:
        for name, value in {
            "width": width,
            "batch": batch,
            "steps": steps,
            "every": every,
            "patience": patience,
        }.items():
            whole_number(name, value)
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout: {dropout}, allowed is a number from 0 to below 1")
        if not 0.0 < rate < np.inf:
            raise ValueError(f"rate: {rate}, allowed is a finite number above 0")
        if not 0.0 <= weight_decay < np.inf:
            raise ValueError(f"weight_decay: {weight_decay}, allowed is a finite number of at least 0")
        self.width, self.dropout, self.rate, self.weight_decay = width, dropout, rate, weight_decay
        self.batch, self.steps, self.every, self.patience, self.seed = batch, steps, every, patience, seed
        self.dimension: int | None = None
        self.mean, self.deviation = np.empty(0), np.empty(0)
        self.network: torch.nn.Module | None = None
        self.validation_cosines: dict[int, float] = {}

    def fit(self, condition: np.ndarray, target: np.ndarray, validation: Pairs | None = None) -> Self:
        import torch

        condition, target = training_pairs(condition, target)
        if validation is None:
            raise ValueError("validation: none, allowed are pairs, which end the training")
        held = merge_unit(*training_pairs(*validation))
        rows = merge_unit(condition, target)
        self.mean, deviation = condition.mean(axis=0), condition.std(axis=0)
        self.deviation = np.where(deviation > 1e-6, deviation, 1.0)
        c = self._standardised(rows.condition)
        z = torch.from_numpy(rows.target.astype(np.float32))
        weight = torch.from_numpy(rows.weight.astype(np.float32))
        held_c = self._standardised(held.condition)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = self.architecture(c.shape[1], z.shape[1])
            optimiser = torch.optim.AdamW(network.parameters(), lr=self.rate, weight_decay=self.weight_decay)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
            self.validation_cosines, best, kept, order = {}, -np.inf, {}, torch.empty(0, dtype=torch.int64)
            for step in range(1, self.steps + 1):
                if not len(order):
                    order = torch.randperm(len(c))
                chosen, order = order[: self.batch], order[self.batch :]
                gain = (torch.nn.functional.normalize(network(c[chosen])) * z[chosen]).sum(1)  # cosines, (b,)
                loss = 1.0 - (weight[chosen] * gain).sum() / weight[chosen].sum()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                if step % self.every == 0 or step == self.steps:
                    score = self.validation_cosines[step] = mean_cosine(_run(network, held_c), held)
                    if score > best:
                        best, waited = score, 0
                        kept = {name: value.clone() for name, value in network.state_dict().items()}
                    elif (waited := waited + 1) >= self.patience:
                        break
        network.load_state_dict(kept)
        self.network, self.dimension = network, condition.shape[1]
        return self

    def translate(self, condition: np.ndarray) -> np.ndarray:
        condition = fitted_condition(condition, self.dimension)
        assert self.network is not None  # there is a dimension
        return _run(self.network, self._standardised(condition)).astype(np.float64)

    def _standardised(self, condition: np.ndarray) -> torch.Tensor:
        import torch

        return torch.from_numpy(((condition - self.mean) / self.deviation).astype(np.float32))

    def architecture(self, k: int, d: int) -> torch.nn.Module:
        """The untrained network, (n, k) -> (n, d)."""
        from torch.nn import GELU, Dropout, Linear, Sequential

        first = Linear(k, self.width), GELU(), Dropout(self.dropout)
        second = Linear(self.width, self.width), GELU(), Dropout(self.dropout)
        return Sequential(*first, *second, Linear(self.width, d))


def _run(network: torch.nn.Module, condition: torch.Tensor) -> np.ndarray:
    """Predictions, (n, d), with no unit dropped."""
    import torch

    network.eval()
    with torch.no_grad():
        predicted = torch.cat([network(part) for part in condition.split(4096)])
    network.train()
    return predicted.numpy()
