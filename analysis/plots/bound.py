"""Figures of the bound: coverage curves beside simulated truth, and where the printed formula overstates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from scipy import stats

from analysis.plots.style import INK, ZERO, colour, line
from analysis.theory.bound import printed_overstatement
from analysis.theory.limit_law import overstatement_limit, uniform_overstatement
from analysis.theory.sphere import AlignmentLaw


def coverage(
    curves: pd.DataFrame,
    simulated: pd.DataFrame | None = None,
    confidence: float = 0.99,
    ax: Axes | None = None,
) -> Axes:
    """P(cos >= alpha) against alpha: formulas as lines, simulation as points with exact intervals.

    Parameters
    ----------
    curves : tidy, columns `formula`, `alpha`, `probability`.
    simulated : columns `alpha`, `count`, `draws`; its Clopper-Pearson intervals have the stated confidence each.
    """
    ax = ax or plt.gca()
    for formula, curve in curves.groupby("formula", sort=False):
        ax.plot(curve["alpha"], curve["probability"], label=str(formula))
    if simulated is not None:
        counted = list(zip(simulated["count"], simulated["draws"], strict=True))
        intervals = [stats.binomtest(k, n).proportion_ci(confidence) for k, n in counted]
        ax.vlines(simulated["alpha"], *zip(*intervals, strict=True), color=INK, linewidth=0.8)
        label = f"simulated ({simulated['draws'].min():,} draws, {confidence:.0%})"
        ax.plot(simulated["alpha"], simulated["count"] / simulated["draws"], ".", color=INK, label=label)
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


def overstatement(dimensions: Sequence[float], lengths: Sequence[float], gamma: float, ax: Axes | None = None) -> Axes:
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
