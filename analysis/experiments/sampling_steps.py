"""How many DDIM steps a translation needs: its quality against their number, for each output of the network.

The network predicts the noise, the clean vector or the velocity, and is trained on the error of what it predicts. To
tell the sampler from the rest, the noise term is trained alone and M stays the ridge map; a joint training, whose M has
grown used to one number of steps, stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from modtrans_core.config import Config, Measure, preset

from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress
from modtrans_core.scores import score
from modtrans_core.vectors import mean_of_unit, unit

if TYPE_CHECKING:
    import pandas as pd
    from modtrans_core.translator import Translator

STEPS = (1, 2, 3, 5, 10, 20, 50, 100)
PREDICTIONS: tuple[Measure, ...] = ("eps", "x0", "v")
JOINT = "v, joint"
TOLERANCE = 0.002
"""cosine that a smaller number of steps may lose"""


def trainings(base: Config, predictions: Sequence[Measure] = PREDICTIONS, joint: bool = True) -> dict[str, Config]:
    """What is trained: the noise term alone for each prediction, and `base` itself, which trains M along."""
    alone = replace(base, objective=replace(base.objective, lambda_1=0.0))
    configs: dict[str, Config] = {
        name: replace(alone, diffusion=replace(base.diffusion, prediction=name, measure=name)) for name in predictions
    }
    return configs | ({JOINT: base} if joint else {})


def measure_steps(
    pairs: PairedEmbeddings,
    source: str,
    target: str,
    *,
    seed: int = 0,
    configs: Mapping[str, Config] | None = None,
    steps: Sequence[int] = STEPS,
    items: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Train each configuration on the training part and translate both other parts in every number of steps.

    Parameters
    ----------
    pairs : the whole pair set; it is split here.
    seed : of the split and of the training.
    configs : what to train, by name. Default: the `trainings` of the preset `poster`.
    steps : numbers of DDIM steps.
    items : measure on at most this many items of each part. Default: all.
    progress : called with (optimiser steps done, steps in all trainings).

    Returns
    -------
    One row for each training, part (`validation`, `test`), number of steps and `translation`: `F` is the sampled unit
    vector by itself, `cM + F` the whole. Columns: `route`, `seed`, `trained`, `part`, `steps`, `translation`, the
    scores, and `agreement`, the mean cosine of two samples of one condition: 1 where F has become a function.
    """
    import pandas as pd
    from modtrans_core.translator import Translator

    configs = trainings(preset("poster")) if configs is None else configs
    train, validation, test = pairs.split(seed)
    mean = mean_of_unit(train.modality(target), train.counts.get(target))
    total, before = sum(config.train.steps for config in configs.values()), 0
    rows = []
    for name, config in configs.items():

        def report(done: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, total)

        translator = Translator.fit(
            train, source, target, config=replace(config, seed=seed), validation=validation, progress=report
        )
        before += config.train.steps
        for part, held in (("validation", validation), ("test", test)):
            held = held.take(np.arange(len(held))[:items])
            for number in steps:
                rows += [
                    {"route": f"{source} → {target}", "seed": seed, "trained": name, "part": part, **row}
                    for row in _scores(translator, held, number, mean)
                ]
    return pd.DataFrame(rows)


def _scores(
    translator: Translator, held: PairedEmbeddings, steps: int, mean: np.ndarray
) -> list[dict[str, str | float | int | None]]:
    c, item = held.rows(translator.source)
    projection, samples, gamma = translator.parts(c, steps=steps, samples=2)
    agreement = float((unit(samples[:, 0]) * unit(samples[:, 1])).sum(1).mean())
    targets, counts = held.modality(translator.target), held.counts.get(translator.target)
    translations = {"F": samples[:, 0], "cM + F": projection + gamma * samples[:, 0]}
    return [
        {
            "steps": steps, "translation": name, "agreement": agreement,
            **score(zhat, targets, counts, mean=mean, item=item),
        }
        for name, zhat in translations.items()
    ]  # fmt: skip


def fewest_steps(frame: pd.DataFrame, tolerance: float = TOLERANCE) -> pd.DataFrame:
    """The fewest steps whose mean validation cosine is within `tolerance` of the best number's, and their test scores.

    Parameters
    ----------
    frame : of `measure_steps`, any seeds and routes.
    tolerance : cosine, at least 0.

    Returns
    -------
    One row for each route, training and translation: `fewest`, `best_steps` (the number with the best validation
    cosine), and on the test part, averaged over seeds, `cosine`, `lost` (what it falls short of the cosine at
    `best_steps`), `centered_recall_at_10` and `agreement`.
    """
    import pandas as pd

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
