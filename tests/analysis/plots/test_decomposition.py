"""Figures of the decomposition."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from analysis.plots import decomposition as figures
from analysis.theory.decomposition import decompose


def test_every_fit_and_identity_is_drawn():
    pairs = np.random.default_rng(0).standard_normal((2, 200, 5))
    fits = {"least squares": decompose(*pairs), "ridge": decompose(*pairs, ridge=1.0)}
    figure, axes = plt.subplots(1, 3)
    table = figures.density({name: fit.cosine for name, fit in fits.items()})
    area = table.groupby("fit")[["cosine", "density"]].apply(lambda own: np.trapezoid(own["density"], own["cosine"]))
    assert area.between(0.8, 1.001).all(), "a density, cut where no cosine is"
    assert figures.ridgeline(table, axes[0]) is axes[0]
    assert [label.get_text()[:5] for label in axes[0].get_yticklabels()] == ["least", "ridge"]
    assert figures.shares(figures.spectrum(fits), axes[1]) is axes[1]
    sizes = pd.DataFrame({"fit": ["a", "a", "b"], "identity": ["x", "y", "x"], "size": [0.0, 1e-3, 1e-2]})
    assert figures.sizes(sizes, axes[2]) is axes[2]
    assert [label.get_text() for label in axes[2].get_yticklabels()] == ["x", "y"]
    plt.close(figure)
