"""What the released code's way of normalising leaves of F: the same weights, evaluated in batches and row by row.

The sampled vector is divided by its norm over the whole batch, so that |F(c)| is about 1/sqrt(B): .022 in a batch of
2,048 and 1 where one row is translated alone. The cosine that a batch is scored with and the cosine that a user gets
for one query are those of two models, and the first one is nearly c M.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from modtrans_core.config import Config, preset

from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress
from modtrans_core.scores import score
from modtrans_core.vectors import mean_of_unit, unit

if TYPE_CHECKING:
    import pandas as pd
    from modtrans_core.translator import Translator

BATCHES = (4, 16, 64, 256, 2048)
"""rows of a batch: 256 in the released training, 2,048 in the released evaluation"""
WHOLE, LINEAR, START = "cM + F", "cM alone", "ridge"


def reduced(
    *, width: int = 128, depth: int = 4, reconstruction_steps: int = 3, sampling_steps: int = 10, train_steps: int = 100
) -> Config:
    """The preset `released` in a size that a CPU trains in a minute; nothing else is changed.

    Parameters
    ----------
    width, depth : of the network, 2048 and 10 in full.
    reconstruction_steps, sampling_steps : DDIM steps in training and in translating, 50 in full.
    train_steps : optimiser steps.
    """
    full = preset("released")
    return replace(
        full,
        network=replace(full.network, width=width, depth=depth),
        objective=replace(full.objective, reconstruction_steps=reconstruction_steps),
        sampling=replace(full.sampling, steps=sampling_steps),
        train=replace(full.train, steps=train_steps),
    )


def in_batches(translator: Translator, c: np.ndarray, size: int, *, seed: int = 0) -> np.ndarray:
    """Translations (n, d) of the conditions c (n, k), `size` rows at a time, as the released evaluation runs.

    The last batch is filled up with rows from the beginning, as often as it takes, so that every batch has its size.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    rows = np.resize(np.arange(len(c)), -(-len(c) // size) * size).reshape(-1, size)
    return np.concatenate([translator.translate(c[batch], generator=generator) for batch in rows])[: len(c)]


def row_by_row(translator: Translator) -> Translator:
    """The same weights with every row of F normalised by itself: what batches of one row amount to."""
    alone = copy.copy(translator)
    alone.config = replace(translator.config, sampling=replace(translator.config.sampling, normalisation="row"))
    return alone


def compare_released(
    pairs: PairedEmbeddings,
    source: str,
    target: str,
    *,
    seed: int = 0,
    config: Config | None = None,
    batches: Sequence[int] = BATCHES,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Train on the training part, and score c M + F on the test part in batches, row by row, and c M alone.

    Targets are compared as they are: the released evaluation normalises them by statistics of the validation targets.

    Parameters
    ----------
    pairs : the whole pair set; it is split here.
    seed : of the split and of the training.
    config : with `sampling.normalisation` batch. Default: `reduced()`.
    batches : sizes of a batch; 1, every row by itself, is always measured.

    Returns
    -------
    One row for each `translation`: the `ridge` map that M starts at, `cM alone`, and `cM + F` for each size of a
    `batch`. Columns: `route`, `seed`, these two, `length` (mean |gamma F|), the scores, `difference` (its cosine
    less that of c M) and `moved` (mean of 1 - cos(zhat, c M)).
    """
    import pandas as pd
    from modtrans_core.translator import Translator

    config = replace(config or reduced(), seed=seed)
    if config.sampling.normalisation != "batch":
        raise ValueError(f"sampling.normalisation: {config.sampling.normalisation!r}, 'batch' is needed")
    train, validation, test = pairs.split(seed)
    untrained = replace(config, train=replace(config.train, steps=0))
    ridge = Translator.fit(train, source, target, config=untrained, validation=validation, device="cpu")
    translator = Translator.fit(train, source, target, config=config, validation=validation, progress=progress)
    c, item = test.rows(source)
    c = unit(c)
    linear = translator.parts(c, steps=1).projection
    translated: dict[tuple[str, int | None], np.ndarray] = {
        (START, None): ridge.parts(c, steps=1).projection,
        (LINEAR, None): linear,
    }
    translated[WHOLE, 1] = row_by_row(translator).translate(c)
    translated |= {(WHOLE, size): in_batches(translator, c, size) for size in batches if size > 1}

    mean = mean_of_unit(train.modality(target), train.counts.get(target))
    targets, counts = test.modality(target), test.counts.get(target)
    frame = pd.DataFrame(
        {
            "route": f"{source} → {target}", "seed": seed, "translation": name, "batch": size,
            "length": 0.0 if name == START else float(np.linalg.norm(zhat - linear, axis=1).mean()),
            **score(zhat, targets, counts, mean=mean, item=item),
            "moved": float(1 - (unit(zhat) * unit(linear)).sum(1).mean()),
        }
        for (name, size), zhat in translated.items()
    )  # fmt: skip
    frame["difference"] = frame["cosine"] - frame.loc[frame["translation"] == LINEAR, "cosine"].item()
    return frame
