"""Figures of the residual's role: does the expected cosine come true, and what draws add to the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from analysis.plots.style import COLOURS, LABELS, RULE, point

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


def measured_against(scores: pd.DataFrame, x: str, y: str, ax: Axes | None = None) -> Axes:
    """Two measures against each other, a marker a law of F: each seed small and open, the mean filled.

    `scores` has `law`, `x` and `y`; a law without one of the two is left out.
    """
    ax = ax or plt.gca()
    for index, (law, part) in enumerate(scores.groupby("law", sort=False)):
        if part[[x, y]].isna().any(axis=None):
            continue
        ax.plot(part[x], part[y], markersize=2.5, markeredgewidth=0.5, **point(index, full=False))
        ax.plot(part[x].mean(), part[y].mean(), markersize=5, label=law, **point(index))
    ax.set(xlabel=LABELS.get(x, x), ylabel=LABELS.get(y, y))
    return ax
