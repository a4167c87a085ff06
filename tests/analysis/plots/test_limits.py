"""Figures of the limits."""

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from analysis.experiments.limits_certificates import table
from analysis.experiments.synthetic import synthetic_pairs
from analysis.plots import certificates as figures
from analysis.theory.limits import limits
from modtrans_core.vectors import mean_of_unit


def test_floor_ceiling_and_every_translator_are_drawn():
    pairs, mean = synthetic_pairs(40, 4, 8, 0.5, 2, np.random.default_rng(20))
    targets = pairs.modality("text")
    result = limits(mean, targets, mean_of_unit(targets))
    figure, axes = plt.subplots(1, 2)
    assert figures.between(table({"one": result, "two": replace(result, skill=None)}), axes[0]) is axes[0]
    labels = [label.get_text() for label in axes[0].get_yticklabels()]
    assert [label.split("\n")[0] for label in labels] == ["one", "two"] and labels[1].endswith("skill none")
    measured = pd.DataFrame({"samples": [1, 4], "value": [0.6, 0.7], "low": [0.5, 0.6], "high": [0.7, 0.8]})
    assert figures.of_samples(measured.assign(length=0.8), axes[1]) is axes[1]
    np.testing.assert_allclose(axes[1].lines[0].get_ydata()[0], 0.64)
    plt.close(figure)
