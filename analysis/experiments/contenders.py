"""The translators that the experiments with encoders and domains fit: the ridge map, `calibrated`, the poster's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from modtrans_core.config import preset

from analysis.experiments.comparison import unit_pairs
from analysis.translators import Ridge
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, silent
from modtrans_core.vectors import unit

METHODS = ("ridge", "calibrated", "poster")

Translate = Callable[[np.ndarray], np.ndarray]
"""conditions (n, k) of any length to translations (n, d)"""


def contenders(
    train: PairedEmbeddings,
    validation: PairedEmbeddings,
    source: str,
    target: str,
    *,
    seed: int = 0,
    landmarks: int = 1024,
    steps: int = 300,
    progress: Progress = silent,
) -> dict[str, Translate]:
    """Fit `METHODS` on `train`; whatever they have to choose is chosen on `validation`.

    Parameters
    ----------
    seed : of whatever a method draws.
    landmarks : radial basis functions of `calibrated`, at most; its goal is balanced.
    steps : optimiser steps of the preset `poster`.
    progress : called with (methods fitted, methods).
    """
    from modtrans_core.translator import Translator

    fitted, held = (unit_pairs(part, source, target) for part in (train, validation))
    ridge = Ridge().fit(*fitted, validation=held)
    found: dict[str, Translate] = {"ridge": lambda c: ridge.translate(unit(c))}
    progress(1, len(METHODS))
    calibrated, poster = preset("calibrated"), preset("poster")
    configs = {
        "calibrated": replace(calibrated, seed=seed, lift=replace(calibrated.lift, landmarks=landmarks)),
        "poster": replace(poster, seed=seed, train=replace(poster.train, steps=steps)),
    }
    for name, config in configs.items():
        translator = Translator.fit(train, source, target, config=config, validation=validation, progress=silent)
        found[name] = translator.translate
        progress(len(found), len(METHODS))
    return found
