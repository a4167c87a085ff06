"""The training of the poster's translator: the ridge map first, then everything jointly."""

from __future__ import annotations

import torch

from modtrans_core.linear import LinearMap, NormalEquations
from modtrans_core.pairing import Batches, Pairing
from modtrans_core.poster.config import PosterConfig
from modtrans_core.poster.model import PosterTranslator, objective
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts
from modtrans_core.run import Run
from modtrans_core.train import train

CHOOSE_ON = 65536
"""validation items that choose the ridge penalty, at most"""


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: PosterConfig,
    device: torch.device,
    run: Run | None = None,
    report: Progress = silent,
) -> PosterTranslator:
    """M starts at the ridge map whose penalty has the best validation cosine; then everything is trained jointly."""
    model = PosterTranslator(facts, config).to(device)
    if run is None or not run.resuming:
        start(model, pairing, validation)
    batches = Batches(pairing, config.train.batch, config.train.seed, device)
    return train(model, objective, batches, config.train, run, report, record=True)


@torch.no_grad()
def start(model: PosterTranslator, pairing: Pairing, validation: Pairing) -> None:
    """Give the model the mean of its targets, and the ridge map for M."""
    model.mean.copy_(torch.from_numpy(pairing.mean()))
    equations = NormalEquations.of(pairing.sums(model.device), pairing.k, pairing.d, model.device)
    held = validation.at_most(CHOOSE_ON).unit_pairs(model.device)
    model.M.copy_(LinearMap.solve(equations, validation=held).M)
