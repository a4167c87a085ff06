"""Figures of the bound."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from analysis.plots import bound as figures


def test_the_excess_falls_where_f_is_perpendicular_and_tends_to_its_limits_where_it_is_not():
    figure, ax = plt.subplots()
    assert figures.excess_by_dimension([16, 256, 4096], [0.6, 0.9], 1.0, ax) is ax
    kept, *uniform = [line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 3]
    assert kept[-1] * 4096 == pytest.approx(stats.norm.pdf(1.0), rel=1e-3)
    limits = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == ":" and len(line.get_xdata()) == 2]
    assert limits == pytest.approx([0.032, 0.099], abs=5e-4)
    for values, limit in zip(uniform, limits, strict=True):
        assert values[-1] == pytest.approx(limit, rel=0.05) and values[0] > values[-1]
    plt.close(figure)


def test_the_scaled_excess_changes_its_sign_at_zero():
    figure, ax = plt.subplots()
    figures.excess([16, 512], ax)
    for line in ax.lines[:2]:
        x, y = line.get_data()
        assert np.all(y[(x < 0.0) & (x > -3.9)] > 0.0) and np.all(y[(x > 0.0) & (x < 3.9)] < 0.0)
    plt.close(figure)
