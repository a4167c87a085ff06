"""Figures of the residual's role: does the expected cosine come true, and what a law of F adds to the simplest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from analysis.plots.style import COLOURS, LABELS, RULE, ZERO, point, rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from analysis.theory.reliability import Reliability


def reliability_diagram(found: Reliability, ax: Axes | None = None) -> Axes:
    """Observed against expected cosine in bins of equally many items, with the interval of each mean; the diagonal is
    a prediction that comes true."""
    ax = ax or plt.gca()
    bins = found.bins
    ends = [np.nanmin([bins["expected"], bins["low"]]) - 0.02, np.nanmax([bins["expected"], bins["high"]]) + 0.02]
    ax.plot(ends, ends, linestyle=":", **RULE)
    reach = [bins["observed"] - bins["low"], bins["high"] - bins["observed"]]
    ax.errorbar(bins["expected"], bins["observed"], reach, fmt="o", color=COLOURS[0], elinewidth=0.8, capsize=1.5)
    ax.set(xlabel=r"expected cosine $|\hat z|$, mean of a bin", ylabel="mean test cosine, 95% interval")
    ax.set_title(
        f"n = {bins['n'].sum():,}, rank correlation {found.rank_correlation:.2f}\n"
        f"error {found.error:.3f} ({found.error_by_chance:.3f} by chance)"
    )
    ax.set(xlim=ends, ylim=ends, aspect="equal")
    return ax


def differences(table: pd.DataFrame, measure: str, ax: Axes | None = None) -> Axes:
    """How far each law of F is from the Gaussian one, with its interval: a row a law, a colour a route.

    `table` is of `analysis.experiments.residual_role.compared`; every law in it has its row, whatever was measured.
    """
    ax = ax or plt.gca()
    laws, found = list(table["law"].unique()), table[table["measure"] == measure]
    routes = list(found["route"].unique())
    for index, route in enumerate(routes):
        part = found[found["route"] == route].set_index("law").reindex(laws)
        y = np.arange(len(laws)) + 0.22 * (index - (len(routes) - 1) / 2)
        reach = [part["difference"] - part["low"], part["high"] - part["difference"]]
        ax.errorbar(part["difference"], y, xerr=reach, elinewidth=0.8, label=route, **point(index))
    ax.axvline(0.0, **ZERO)
    rows(ax, laws)
    ax.set_xlabel(f"{LABELS.get(measure, measure)},\nless the Gaussian law's")
    return ax
