"""What the released code's way of normalising leaves of F: the same weights, evaluated in batches and row by row.

The sampled vector is divided by its norm over the whole batch, so that |F(c)| is about 1/sqrt(B): .022 in a batch of
2,048 and 1 where one row is translated alone. The cosine that a batch is scored with and the cosine that a user gets
for one query are those of two models, and the first one is nearly c M.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor
from torch.nn.functional import normalize

from analysis.experiments.trial import Trial
from analysis.translators.released import ReleasedConfig, ReleasedTranslator
from modtrans_core import PosterTranslator
from modtrans_core.protocol import Parts, Vectors
from modtrans_core.settings import changed
from modtrans_core.vectors import unit

BATCHES = (16, 64, 256, 2048)
"""rows of a batch: 256 in the released training, 2,048 in the released evaluation"""
WHOLE, LINEAR, START = "cM + F", "cM alone", "ridge"


def reduced(width: int = 128, train_steps: int = 100) -> ReleasedConfig:
    """The preset `released` in a size that a CPU trains in a minute: narrower, and with fewer steps of all kinds.

    Parameters
    ----------
    width : of the network, 2048 in full.
    train_steps : optimiser steps.
    """
    sizes = {"width": width, "depth": 4, "reconstruction_steps": 3, "steps": 5, "train.steps": train_steps}
    return changed(ReleasedConfig(), sizes)


def in_batches(translator: ReleasedTranslator, c: np.ndarray, size: int) -> np.ndarray:
    """Translations (n, d) of the conditions c (n, k), `size` rows at a time, as the released evaluation runs.

    The last batch is filled up with rows from the beginning, as often as it takes, so that every batch has its size.
    """
    rows = np.resize(np.arange(len(c)), -(-len(c) // size) * size).reshape(-1, size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*normalised over")
        return np.concatenate([translator.translate(c[batch]) for batch in rows])[: len(c)]


class RowByRow(ReleasedTranslator):
    """The same weights with every row of F normalised by itself: what batches of one row amount to."""

    row_by_row = True

    def normalised(self, x0: Tensor) -> Tensor:
        """The samples x0 (n, d), each divided by its norm."""
        return normalize(x0, dim=-1)

    def parts(self, c: Vectors, **settings: Any) -> Parts:
        """See `PosterTranslator.parts`; there is no batch to warn of."""
        return PosterTranslator.parts(self, c, **settings)


def row_by_row(translator: ReleasedTranslator) -> RowByRow:
    """What it does with one row at a time."""
    alone = RowByRow(translator.facts, translator.config)
    alone.load_state_dict(translator.tensors())
    return alone.to(translator.device).eval()


def released(trial: Trial, config: ReleasedConfig | None = None, batches: Sequence[int] = BATCHES) -> pd.DataFrame:
    """Train on the training part, and score c M + F on the test part in batches, row by row, and c M alone.

    Targets are compared as they are: the released evaluation normalises them by statistics of the validation targets.

    Parameters
    ----------
    config : Default: `reduced()`.
    batches : sizes of a batch; 1, every row by itself, is always measured.

    Returns
    -------
    One row for each `translation`: the `ridge` map that M starts at, `cM alone`, and `cM + F` for each size of a
    `batch`. Columns: `route`, `seed`, these two, `length` (mean |gamma F|), the scores, `moved` (mean of
    1 - cos(zhat, c M)) and `difference` (its cosine less that of c M).
    """
    config = changed(config or reduced(), {"train.seed": trial.seed})
    start, translator = trial.fit(changed(config, {"train.steps": 0})), trial.fit(config)
    assert isinstance(start, ReleasedTranslator) and isinstance(translator, ReleasedTranslator)
    c = unit(trial.test.c)
    ridge, linear = (c @ one.M.numpy(force=True) for one in (start, translator))
    translated = {(START, None): ridge, (LINEAR, None): linear, (WHOLE, 1): row_by_row(translator).translate(c)}
    translated |= {(WHOLE, size): in_batches(translator, c, size) for size in batches if size > 1}
    frame = pd.DataFrame(
        {
            "route": trial.route, "seed": trial.seed, "translation": name, "batch": size,
            "length": 0.0 if name == START else float(np.linalg.norm(zhat - linear, axis=1).mean()),
            **trial.score(zhat),
            "moved": float(1 - (unit(zhat) * unit(linear)).sum(1).mean()),
        }
        for (name, size), zhat in translated.items()
    )  # fmt: skip
    frame["difference"] = frame["cosine"] - frame.loc[frame["translation"] == LINEAR, "cosine"].item()
    return frame
