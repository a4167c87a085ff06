"""Does a translator go on getting better with more pairs? Synthetic pairs whose best cosine is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from analysis.experiments.synthetic import mean_alignment, waves
from analysis.experiments.trial import Trial
from modtrans_core import Pairing, preset
from modtrans_core.calibrated.fit import fit_goals
from modtrans_core.calibrated.network import Held, learn
from modtrans_core.device import default_device
from modtrans_core.protocol import Facts

K, D, KAPPA, SHARE = 32, 48, 100.0, 0.5
"""of the sets, see `waves`"""
BEST = mean_alignment(KAPPA, D)
"""the best mean cosine that there is"""
SETS = {"few waves": 64, "many waves": 1024}
"""set -> the number of its waves: those of the first are few enough for a network to find their directions"""
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
"""training pairs, each time the first of the larger set"""
TRIED = 10_000
"""training pairs from which on a network is tried"""
HELD, TESTED = 2_000, 2_000
"""items to choose on and to test on, at most"""
STEPS = 200, 2_000
"""of the MLP, least and most; between them each pair is seen 10 times"""
RANKING = "centered_recall_at_1"
"""the ranking that is shown beside the cosine"""
CLOSED, NETWORK = "calibrated", "calibrated + network"


def write_set(count: int, largest: int, path: Path) -> Path:
    """A file with so many waves and so many training pairs, beside those to choose on and to test on."""
    waves(int(np.ceil(largest / 0.7)), K, D, KAPPA, SHARE, count).save(path)
    return path


def growth(trial: Trial, landmarks: int = 512) -> pd.DataFrame:
    """Ridge, an MLP, `calibrated` without and with a network on top, for every number of pairs that the trial has.

    Parameters
    ----------
    landmarks : radial basis functions of `calibrated`, at most.

    Returns
    -------
    One row a method and size: `pairs`, `method`, `seed`, the scores of `analysis.experiments.trial.SCORES`, `seconds`
    of its fit and, of the network, the held-out `gain` that decides whether it is kept (NaN where it was given up).
    """
    found, held, tested = [], trial.validation.at_most(HELD), trial.test.at_most(TESTED)
    for pairs in (size for size in SIZES if size <= len(trial.train.pairs)):
        at = Trial.between(trial.seed, trial.train.take(np.arange(pairs)), held, tested)
        steps = {"train.batch": 256, "train.steps": int(np.clip(10 * pairs // 256, *STEPS)), "train.seed": trial.seed}
        mlp = preset("MLP", {"width": 256, "dropout": 0.1, "every": 100, **steps})
        alone = {"landmarks": landmarks, "goal": "cosine", "network": False, "seed": trial.seed}
        calibrated = preset("calibrated", alone)
        fitted = at.race({"ridge": preset("ridge"), "MLP": mlp, CLOSED: calibrated})
        started = time.perf_counter()
        translate, gain = with_network(at, calibrated, fitted[CLOSED].translate)
        seconds = at.rows[-1]["seconds"] + time.perf_counter() - started
        at.add(NETWORK, translate(np.asarray(at.test.c)), seconds=seconds, gain=gain)
        found.append(at.table().assign(pairs=pairs))
    return pd.concat(found, ignore_index=True)


def with_network(
    trial: Trial, config: Any, translate: Callable[[Any], Any]
) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """A network on top of a translator, and its held-out gain; where it is not kept, the translator alone, and NaN.

    The validation part is held out from it, and the translator's answers there are those of a fit without that part.
    """
    if len(trial.train.pairs) < TRIED:
        return translate, float("nan")
    device = default_device()

    def fit(part: Pairing) -> Callable[[torch.Tensor], torch.Tensor]:
        facts = Facts.of(part.pairs, part.source, part.target)
        return fit_goals(part, None, facts, config, device, (config.goal,), ranks=False)[0].translate

    c, total, count = next(trial.validation.sums(device, len(trial.validation.pairs)))
    held = Held(c, total / count[:, None], fit(trial.train)(c))
    learned = learn(trial.train, fit, held, device, trial.seed)
    if learned is None:
        return translate, float("nan")
    network = learned.network

    @torch.inference_mode()
    def on_top(c: np.ndarray) -> np.ndarray:
        rows = torch.tensor(c, device=device)
        found: np.ndarray = network(rows, translate(rows)).cpu().numpy()
        return found

    return on_top, learned.gain
