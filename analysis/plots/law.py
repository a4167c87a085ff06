"""Figures of the alignment's law: densities, and simulated frequencies beside their exact probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from analysis.plots.style import COLUMN, GREY, INK, PALE, ZERO, ends, note, panels, plain
from analysis.theory.sphere import AlignmentLaw


def law() -> Figure:
    """Density of a random direction's alignment, and its tails beyond what a float64 can hold."""
    figure, ((left, right),) = panels(2.4, 2)
    densities([1, 2, 3, 4, 16, 64], left)
    log_tails([16, 512, 1024, 10_000], right)
    return figure


@plain
def simulation(simulation: pd.DataFrame) -> Figure:
    """Simulated frequencies of an alignment less their exact probabilities, in every dimension."""
    figure, ((ax,),) = panels(2.4, width=COLUMN)
    deviations(simulation, simulation["false_alarm"].iloc[0], ax)
    return figure


def densities(dimensions: Sequence[float], ax: Axes | None = None) -> Axes:
    """Density of U in some dimensions; n = 1, two atoms of mass 1/2, is two arrows; n = 2, which has no top, is cut."""
    ax = ax or plt.gca()
    x = np.linspace(-0.999, 0.999, 999)
    for n in dimensions:
        if n == 1:
            ax.plot([], [], color=INK, marker="^", markersize=4, label=r"$n=1$, masses $\frac{1}{2}$")
            for u in (-1.0, 1.0):
                look = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0}
                ax.annotate("", (u, 0.5), (u, 0), arrowprops=look, zorder=5)
        else:
            ax.plot(x, AlignmentLaw(n).pdf(x), label=f"$n={n:g}$")
    ax.set(xlabel="alignment $u$", ylabel="density", xlim=(-1.05, 1.05), ylim=(0, 4))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return ax


@plain
def deviations(frame: pd.DataFrame, false_alarm: float, ax: Axes | None = None) -> Axes:
    """Simulated minus exact P(U > x) in standard errors, one column of points a dimension.

    Parameters
    ----------
    frame : one row a threshold, columns `n`, `expected` (probability), `count`, `draws`.
    false_alarm : chance that any of the points lies outside its bar if the law is right. The bars are exact
        two-sided binomial regions at false_alarm divided by the number of rows.
    """
    ax = ax or plt.gca()
    frame = frame[frame["expected"].between(0.0, 1.0, inclusive="neither")]
    each = false_alarm / len(frame)
    p, draws = frame["expected"].to_numpy(), frame["draws"].to_numpy()
    error = np.sqrt(p * (1.0 - p) / draws)
    low, high = (stats.binom.ppf([[each / 2.0], [1.0 - each / 2.0]], draws, p) / draws - p) / error
    rank = frame.groupby("n").cumcount().to_numpy() - (frame.groupby("n")["n"].transform("size") - 1) / 2.0
    x = frame["n"].to_numpy() * 2.0 ** (rank.to_numpy() / 12.0)
    ax.vlines(x, low, high, color=PALE, linewidth=1.2, label=f"exact region of all points, {1 - false_alarm:.6g}")
    ax.plot(x, (frame["count"] / draws - p) / error, ".", label=f"{draws.min():,} directions a dimension")
    ax.axhline(0.0, **ZERO)
    ax.set(xlabel="dimension $n$", ylabel="simulated $-$ exact (s.e.)", ylim=(1.1 * low.min(), 1.7 * high.max()))
    ax.set_xscale("log", base=2)
    ax.legend(loc="upper right")
    return ax


def log_tails(dimensions: Sequence[float], ax: Axes | None = None) -> Axes:
    """-log10 P(U > x) for x in (0, 1); above the grey line a float64 cannot hold the probability itself."""
    ax = ax or plt.gca()
    x = np.linspace(0.002, 0.999, 500)
    for n in dimensions:
        y = -AlignmentLaw(n).logsf(x) / np.log(10.0)
        ax.semilogy(x, y, label=f"$n={n:,g}$".replace(",", "{,}"))
    smallest = -np.log10(np.finfo(np.float64).tiny)
    ax.axhline(smallest, color=GREY, linestyle="-", linewidth=0.6)
    note(ax, "smallest float64", (0, smallest), (4, 2), color=GREY)
    ax.set(xlabel="$x$", ylabel=r"$-\log_{10} P(U > x)$", xlim=(0, 1))
    ends(ax)
    return ax
