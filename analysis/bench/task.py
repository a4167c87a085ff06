"""The pairs that all contenders learn from and are scored on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from analysis.experiments.synthetic import synthetic_pairs
from modtrans_core.pairing import Pairing, on_device
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.scores import cosine, score

NOISE = 0.7
"""|noise| over |signal| of a synthetic target: it puts the best mean cosine near .82"""


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
    def pairing(self) -> Pairing:
        """The training pairs."""
        return Pairing(self.train, self.source, self.target)

    @cached_property
    def held(self) -> Pairing:
        """The validation pairs."""
        return Pairing(self.validation, self.source, self.target)

    @cached_property
    def tested(self) -> Pairing:
        """The test pairs."""
        return Pairing(self.test, self.source, self.target)

    def few(self, items: int) -> Task:
        """The same with so many training items, or all, and with eight to validate."""
        train = self.train.take(np.arange(min(items, len(self.train))))
        return replace(self, train=train, validation=self.validation.at_most(8))

    def conditions(self, n: int) -> Tensor:
        """n unit conditions (n, k) on the device: training conditions, over again where there are fewer."""
        c = self.pairing.c
        return on_device(np.asarray(c[np.arange(n) % len(c)]), self.device)

    def score(self, translate: Callable[[Tensor], Tensor], at_once: int) -> dict[str, float | int | None]:
        """Scores of the translations of the test conditions, so many in a call; see `modtrans_core.scores.score`."""
        test = self.tested
        parts = [translate(part) for part in on_device(test.c, self.device).split(at_once)]
        found = torch.cat(parts).float().cpu().numpy()
        mean, known = self.pairing.mean(), test.independent
        return score(found, test.targets, test.counts, mean=mean, item=test.item, independent=known)


def synthetic_task(
    sizes: tuple[int, int, int], d: int, intrinsic: int, seed: int, device: torch.device, captions: int = 1
) -> Task:
    """Synthetic pairs whose best possible translation is known.

    Parameters
    ----------
    sizes : items of the training, validation and test parts.
    d : dimension of conditions and of targets.
    intrinsic : dimensions of the subspace of R^d that conditions fill. The embeddings of an encoder do not fill their
        space evenly; the optimum does not depend on it.
    captions : targets of each item.
    """
    rng = np.random.default_rng(seed)
    ends = np.cumsum(sizes)
    pairs, mean = synthetic_pairs(int(ends[-1]), intrinsic, d, NOISE, captions, rng)
    axes = np.linalg.qr(rng.standard_normal((d, intrinsic)))[0].T  # orthonormal rows
    turned = replace(pairs, arrays={"image": pairs.modality("image") @ axes, "text": pairs.modality("text")})
    train, validation, test = (turned.take(items) for items in np.split(np.arange(ends[-1]), ends[:-1]))
    optimum = cosine(mean[ends[1] :], test.modality("text")).mean()
    return Task(train, validation, test, device, float(optimum))
