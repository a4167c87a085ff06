"""Figures of certificates."""

import numpy as np
from matplotlib import pyplot as plt

from analysis.plots import certificates as figures
from analysis.theory.sphere import AlignmentLaw
from analysis.theory.survival import survival_band


def test_curves_bands_and_law():
    law, rng = AlignmentLaw(9), np.random.default_rng(21)
    figure, axes = plt.subplots(1, 2)
    band = survival_band(law.rvs(50, rng))
    assert figures.survival({"one": band}, {"bound": (np.array([0.0, 1.0]), np.array([1.0, 0.0]))}, axes[0]) is axes[0]
    assert len(axes[0].lines) == 2
    assert figures.alignment({"uniform": law.rvs(500, rng)}, 9, 0.01, axes[1]) is axes[1]
    distance, critical = (axes[1].lines[i].get_ydata() for i in (0, 1))
    assert distance.max() < critical[0]
    plt.close(figure)
