"""The pairs that all contenders learn from and are scored on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from analysis.bench.settings import Settings
from analysis.experiments.synthetic import synthetic_pairs
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.scores import cosine, score
from modtrans_core.vectors import mean_of_unit, unit


@dataclass(frozen=True)
class Task:
    """Training, validation and test pairs, and the device that the work is done on."""

    train: PairedEmbeddings
    validation: PairedEmbeddings
    test: PairedEmbeddings
    device: torch.device
    optimum: float | None = None
    """the best mean test cosine there is, where it is known"""
    source: str = "image"
    target: str = "text"

    @cached_property
    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Unit conditions (P, k) and targets (P, d) of every training pair, float32."""
        return self._pairs(self.train)

    @cached_property
    def held(self) -> tuple[np.ndarray, np.ndarray]:
        """The same of every validation pair."""
        return self._pairs(self.validation)

    @cached_property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """`rows` on the device."""
        c, z = (torch.from_numpy(array).to(self.device) for array in self.rows)
        return c, z

    @property
    def k(self) -> int:
        return self.train.modality(self.source).shape[-1]

    @property
    def d(self) -> int:
        return self.train.modality(self.target).shape[-1]

    def conditions(self, n: int) -> Tensor:
        """n unit conditions (n, k) on the device: training conditions, over again where there are fewer."""
        c = self.tensors[0]
        return c[torch.arange(n, device=c.device) % len(c)]

    @cached_property
    def test_rows(self) -> tuple[Tensor, np.ndarray]:
        """Unit test conditions (q, k) on the device, and the item of each (q,)."""
        c, item = self.test.rows(self.source)
        return torch.from_numpy(unit(c)).to(self.device), item

    def score(self, predicted: Tensor) -> dict[str, float | int | None]:
        """Scores of the translations (q, d) of `test_rows`; see `modtrans_core.scores.score`."""
        counts = self.test.counts.get(self.target)
        targets = self.test.modality(self.target)
        return score(predicted.cpu().numpy(), targets, counts, mean=self._mean, item=self.test_rows[1])

    @cached_property
    def _mean(self) -> np.ndarray:
        return mean_of_unit(self.train.modality(self.target), self.train.counts.get(self.target))

    def _pairs(self, part: PairedEmbeddings) -> tuple[np.ndarray, np.ndarray]:
        c, z, of_c, of_z = part.pairings(self.source, self.target)
        return unit(c)[of_c], unit(z)[of_z]


def synthetic_task(settings: Settings, device: torch.device) -> Task:
    """Synthetic pairs; conditions fill `intrinsic` dimensions of R^d, which changes nothing about the optimum."""
    rng = np.random.default_rng(settings.seed)
    sizes = np.cumsum([settings.train, settings.validation, settings.test])
    pairs, mean = synthetic_pairs(int(sizes[-1]), settings.intrinsic, settings.d, settings.noise, 1, rng)
    axes = np.linalg.qr(rng.standard_normal((settings.d, settings.intrinsic)))[0].T  # orthonormal rows
    lifted = PairedEmbeddings({"image": pairs.modality("image") @ axes, "text": pairs.modality("text")})
    train, validation, test = (lifted.take(rows) for rows in np.split(np.arange(sizes[-1]), sizes[:-1]))
    optimum = cosine(mean[sizes[1] :], test.modality("text")).mean()
    return Task(train, validation, test, device, float(optimum))


def task_from(path: Path, source: str, target: str, settings: Settings, device: torch.device) -> Task:
    """The user's own pairs, split by group; no optimum is known."""
    train, validation, test = PairedEmbeddings.load(path).split(settings.seed)
    task = Task(train, validation, test, device, None, source, target)
    if max(settings.batches) > len(task.rows[0]):
        raise ValueError(
            f"{path}: {len(task.rows[0])} training pairs, at least {max(settings.batches)} are needed (a batch)"
        )
    return task
