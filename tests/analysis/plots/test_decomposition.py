"""Figures of the decomposition."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis.plots import decomposition as figures
from analysis.plots.style import save_figure
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


@pytest.mark.parametrize("cosines", [[], [0.5], [0.5] * 9, [np.nan, np.nan], [0.5, np.nan]])
def test_cosines_without_a_spread_have_no_density(cosines):
    with pytest.raises(ValueError, match="cosines of a fit: .*, two samples or more that differ is needed"):
        figures.density({"a fit": np.array(cosines), "another": np.arange(9.0)})


@pytest.mark.parametrize(
    ("name", "formats", "words"),
    [
        ("x", ("jpg",), "format: 'jpg', one of pdf, png, svg is needed"),
        ("../../x", ("png",), "name: '../../x', letters"),
        ("", ("png",), "name: '', letters"),
    ],
)
def test_a_figure_has_a_plain_name_and_a_known_format(tmp_path, name, formats, words):
    figure = plt.figure()
    with pytest.raises(ValueError, match=words):
        save_figure(figure, tmp_path, name, formats=formats)
    plt.close(figure)
    assert not [*tmp_path.iterdir()]
