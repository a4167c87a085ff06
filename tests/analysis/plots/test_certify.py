"""Figures of certificates."""

import numpy as np
from matplotlib import pyplot as plt

from analysis.plots import certificates as figures
from analysis.theory.certify import Observed, curve


def test_curves_bands_and_dominance():
    rng = np.random.default_rng(21)
    figure, axes = plt.subplots(1, 2)
    found = curve(Observed.of(rng.uniform(0.2, 0.8, 50)), np.linspace(0, 1, 30), 0.9)
    bounds = {"bound": (np.array([0.0, 1.0]), np.array([1.0, 0.0]))}
    assert figures.survival({"one": found}, bounds, axes[0]) is axes[0]
    assert len(axes[0].lines) == 2
    np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), found.observed)
    v = rng.random(500)
    assert figures.dominance({"random": v, "poor": v**2}, 0.01, axes[1]) is axes[1]
    uniform, poor, critical = (axes[1].lines[i].get_ydata() for i in range(3))
    assert uniform.max() < critical[0] < poor.max()
    plt.close(figure)
