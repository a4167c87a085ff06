"""How many DDIM steps a translation needs: its quality against their number, for each output of the network.

The network predicts the noise, the clean vector or the velocity, and is trained on the error of what it predicts. To
tell the sampler from the rest, the noise term is trained alone and M stays the ridge map; a joint training, whose M has
grown used to one number of steps, stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from analysis.experiments.trial import Trial
from modtrans_core import Pairing, PosterConfig, PosterTranslator
from modtrans_core.pairing import Batches
from modtrans_core.poster import diffusion
from modtrans_core.poster.diffusion import Prediction
from modtrans_core.poster.fit import start
from modtrans_core.protocol import Facts
from modtrans_core.settings import changed
from modtrans_core.train import train

STEPS = (1, 2, 3, 5, 10, 20, 50)
PREDICTIONS: tuple[str, ...] = get_args(Prediction)
JOINT = "v, joint"
TOLERANCE = 0.002
"""cosine that a smaller number of steps may lose"""


def trainings(base: PosterConfig) -> dict[str, PosterConfig]:
    """What is trained: the noise term alone for each prediction, and `base` itself, which trains M along."""
    alone = {name: changed(base, {"lambda_1": 0.0, "prediction": name}) for name in PREDICTIONS}
    return {**alone, JOINT: base}


def sampling_steps(
    trial: Trial,
    configs: Mapping[str, PosterConfig],
    steps: Sequence[int] = STEPS,
    items: int | None = None,
) -> pd.DataFrame:
    """Train each config on the training part, and translate both other parts in every number of steps.

    Parameters
    ----------
    configs : what to train, by name; see `trainings`. One whose lambda_1 is 0 is trained by `prediction_error`.
    steps : numbers of DDIM steps.
    items : measure on at most this many items of each part. Default: all.

    Returns
    -------
    One row for each training, part (`validation`, `test`), number of steps and `translation`: `F` is the sampled unit
    vector by itself, `cM + F` the whole. Columns: `route`, `seed`, `trained`, `part`, `steps`, `translation`, the
    scores, and `agreement`, the mean cosine of two samples of one condition: 1 where F has become a function.
    """
    rows = []
    for name, config in configs.items():
        config = changed(config, {"train.seed": trial.seed})
        poster = trial.fit(config) if config.lambda_1 else noise_alone(trial, config)
        assert isinstance(poster, PosterTranslator)
        for part, held in (("validation", trial.validation), ("test", trial.test)):
            held = held.take(np.arange(len(held.pairs))[:items])
            facts = {"route": trial.route, "seed": trial.seed, "trained": name, "part": part}
            rows += [{**facts, **row} for number in steps for row in _scores(trial, poster, held, number)]
    return pd.DataFrame(rows)


def noise_alone(trial: Trial, config: PosterConfig) -> PosterTranslator:
    """The poster's translator with M the ridge map, and a network that is trained by `prediction_error`."""
    facts = Facts.of(trial.train.pairs, trial.train.source, trial.train.target)
    model = PosterTranslator(facts, config)
    start(model, trial.train, trial.validation)
    batches = Batches(trial.train, config.train.batch, config.train.seed, model.device)
    return train(model, prediction_error, batches, config.train)


def prediction_error(model: PosterTranslator, c: Tensor, z: Tensor) -> dict[str, Tensor]:
    """lambda_2 E|y - y_theta(z_t, t, c)|_2^2 of unit pairs c (n, k), z (n, d), for what the network predicts.

    y is the noise, the clean vector or the velocity. For the noise this is the noise term of
    `modtrans_core.poster.model.objective`; the other errors are that one, weighted by the noise level.
    """
    config, x0 = model.config, math.sqrt(model.facts.d) * z  # (n, d)
    eps = torch.randn_like(x0)
    t = torch.randint(config.timesteps, (len(z),), device=z.device)
    dropped = torch.rand(len(z), device=z.device) < config.condition_dropout
    signal, noise = diffusion.at(model.roots, t)  # (n, 1) each
    y = {"eps": eps, "x0": x0, "v": signal * eps - noise * x0}[config.prediction]
    found = model.denoiser(signal * x0 + noise * eps, t, model.denoiser.embed(c, dropped))
    return {"total": config.lambda_2 * (y - found).square().sum(1).mean()}


def _scores(trial: Trial, poster: PosterTranslator, held: Pairing, steps: int) -> list[dict[str, Any]]:
    c = np.asarray(held.c)
    (projection, one, gamma), (_, other, _) = (poster.parts(c, steps=steps, seed=seed) for seed in (0, 1))
    agreement = float((one * other).sum(1).mean())
    return [
        {"steps": steps, "translation": name, "agreement": agreement, **trial.score(zhat, part=held)}
        for name, zhat in {"F": one, "cM + F": projection + gamma * one}.items()
    ]


def fewest_steps(frame: pd.DataFrame, tolerance: float = TOLERANCE) -> pd.DataFrame:
    """The fewest steps whose mean validation cosine is within `tolerance` of the best number's, and their test scores.

    Parameters
    ----------
    frame : of `sampling_steps`, any seeds and routes.
    tolerance : cosine, at least 0.

    Returns
    -------
    One row for each route, training and translation: `fewest`, `best_steps` (the number with the best validation
    cosine), and on the test part, averaged over seeds, `cosine`, `lost` (what it falls short of the cosine at
    `best_steps`), `centered_recall_at_10` and `agreement`.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance: {tolerance}, a number >= 0 is needed")
    by = ["route", "trained", "translation"]
    values = ["cosine", "centered_recall_at_10", "agreement"]
    mean = frame.groupby([*by, "part", "steps"], sort=True)[values].mean()
    rows = []
    for key, _ in frame.groupby(by, sort=False):
        held, test = (mean.loc[(*key, part)] for part in ("validation", "test"))
        fewest = held.index[held["cosine"] >= held["cosine"].max() - tolerance].min()
        best = held["cosine"].idxmax()
        lost = test.loc[best, "cosine"] - test.loc[fewest, "cosine"]
        rows.append(
            {**dict(zip(by, key, strict=True)), "fewest": fewest, "best_steps": best, "lost": lost, **test.loc[fewest]}
        )
    return pd.DataFrame(rows)
