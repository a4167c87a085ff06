"""Figures of the bound: coverage curves beside simulated truth, and where the printed formula overstates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from analysis.plots.style import COLUMN, INK, ZERO, colour, line, panels, plain
from analysis.theory.bound import GEOMETRIES, printed_overstatement
from analysis.theory.limit_law import overstatement_limit, uniform_overstatement
from analysis.theory.sphere import AlignmentLaw


@plain
def orthogonal(orthogonal: pd.DataFrame) -> Figure:
    """How often a cosine is reached where F is kept perpendicular to cM: formulas, simulation, and the excess."""
    figure, ((left, right),) = panels(2.6, 2)
    coverage(orthogonal, [name for name in GEOMETRIES if name in orthogonal], ax=left)
    excess([4, 16, 64, 512], right)
    return figure


@plain
def uniform(uniform: pd.DataFrame, overstatement: pd.DataFrame) -> Figure:
    """The same where F is anywhere on the sphere, and how much the printed value overstates as d grows."""
    figure, ((left, right),) = panels(2.6, 2)
    coverage(uniform, ["exact", "printed", "sphere"], ax=left)
    lengths = [float(name) for name in overstatement.columns if name not in ("d", "perpendicular")]
    excess_by_dimension([*np.unique(np.geomspace(4, 8192, 16).round())], lengths, uniform["gamma"].iloc[0], right)
    return figure


@plain
def general(general: pd.DataFrame) -> Figure:
    """The same where the projection leans: the general law and the orthogonal one beside the simulation."""
    figure, ((ax,),) = panels(2.4, width=COLUMN)
    coverage(general, [name for name in ("general, exact", *GEOMETRIES) if name in general], ax=ax)
    return figure


@plain
def coverage(
    table: pd.DataFrame,
    formulas: Sequence[str],
    confidence: float = 0.99,
    ax: Axes | None = None,
) -> Axes:
    """P(cos >= alpha) against alpha: formulas as lines, simulation as points with exact intervals.

    Parameters
    ----------
    table : columns `alpha`, `count`, `draws`, and the probability by each of the formulas; the Clopper-Pearson
        intervals of the counts have the stated confidence each.
    """
    ax = ax or plt.gca()
    for formula in formulas:
        ax.plot(table["alpha"], table[formula], label=formula)
    counted = zip(table["count"], table["draws"], strict=True)
    intervals = [stats.binomtest(k, n).proportion_ci(confidence) for k, n in counted]
    ax.vlines(table["alpha"], *zip(*intervals, strict=True), color=INK, linewidth=0.8)
    label = f"simulated ({table['draws'].min():,} draws, {confidence:.0%})"
    ax.plot(table["alpha"], table["count"] / table["draws"], ".", color=INK, label=label)
    ax.set(xlabel=r"$\alpha$", ylabel=r"$P(\cos(z, \hat{z}) \geq \alpha)$", ylim=(-0.02, 1.02))
    ax.legend(loc="lower left")
    return ax


def excess(dimensions: Sequence[float], ax: Axes | None = None) -> Axes:
    """Printed minus exact (`complement`) probability against beta sqrt(d), times d so that the curves compare."""
    ax = ax or plt.gca()
    scaled = np.linspace(-4.0, 4.0, 401)
    for d in dimensions:
        beta = scaled / np.sqrt(d)
        difference = AlignmentLaw(d + 1).cdf(-beta) - AlignmentLaw(d - 1).cdf(-beta)
        ax.plot(scaled, d * difference, label=f"$d={d:g}$")
    ax.axhline(0.0, **ZERO)
    ax.set(xlabel=r"$\beta\sqrt{d}$", ylabel=r"$d\,\times$ (printed $-$ exact)")
    ax.legend(title="too large on the left")
    return ax


def excess_by_dimension(
    dimensions: Sequence[float], lengths: Sequence[float], gamma: float, ax: Axes | None = None
) -> Axes:
    """Largest excess of the printed formula against d, for a direction kept perpendicular to p and for a uniform one.

    Parameters
    ----------
    lengths : the s = |p| of the lines for a uniform direction; each tends to its limit (dotted).
    gamma : weight of the direction.
    """
    ax = ax or plt.gca()
    d = np.asarray(dimensions, dtype=np.float64)
    kept = printed_overstatement(d, "complement").amount
    ax.loglog(d, kept, label=r"$F$ kept $\perp cM$", **line(0))
    for index, s in enumerate(lengths, start=1):
        ax.loglog(
            d, [uniform_overstatement(s, gamma, n).amount for n in d], label=f"$F$ uniform, $s = {s:g}$", **line(index)
        )
        ax.axhline(float(overstatement_limit(s, gamma).amount), color=colour(index), linestyle=":", linewidth=0.8)
    ax.set(xlabel="target dimension $d$", ylabel="largest excess of the printed value")
    ax.legend(title=rf"$\gamma = {gamma:g}$ (dotted: limits)")
    return ax
