"""Figures of certificates: survival curves and their bands beside the bound, alignments beside the law."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from scipy import stats

from analysis.theory.confidence import SurvivalBand
from analysis.theory.sphere import AlignmentLaw


def survival(
    bands: Mapping[str, SurvivalBand],
    bounds: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """P(cos >= alpha): observed curves inside their bands, and bounds.

    Parameters
    ----------
    bands : name -> band.
    bounds : name -> (alpha, probability), curves drawn without a band.
    """
    ax = plt.gca() if ax is None else ax
    for name, band in bands.items():
        low, high = band.cosine[[0, -1]]
        x = np.linspace(low - 0.05 * (high - low), high, 400)
        (line,) = ax.plot(x, band.observed(x), label=f"{name} (N = {len(band.cosine):,})")
        ax.fill_between(x, band.low(x), band.high(x), color=line.get_color(), alpha=0.2, linewidth=0)
    for name, (alpha, probability) in (bounds or {}).items():
        ax.plot(alpha, probability, label=name)
    ax.set(xlabel=r"$\alpha$", ylabel=r"$P(\cos(z, \hat{z}) \geq \alpha)$", ylim=(0, 1.02))
    ax.legend(loc="lower left")
    return ax


def alignment(alignments: Mapping[str, np.ndarray], n: float, level: float = 0.05, ax: Axes | None = None) -> Axes:
    """How far each empirical distribution function of u lies above that of the uniform law in n dimensions.

    Dominance is refuted above the dashed line, the one-sided Kolmogorov-Smirnov critical value at `level` for
    the smallest sample; a law that dominates stays below zero.

    Parameters
    ----------
    alignments : name -> (N,).
    """
    ax = plt.gca() if ax is None else ax
    law, scale = AlignmentLaw(n), np.sqrt(n)
    fewest = min(len(u) for u in alignments.values())
    for name, u in alignments.items():
        x = np.linspace(min(u.min(), -4 / scale), max(u.max(), 4 / scale), 400)
        ax.plot(x, np.searchsorted(np.sort(u), x, side="right") / len(u) - law.cdf(x), label=name)
    critical = stats.ksone.isf(level, fewest)
    label = f"refuted above ({level:.4g}, N = {fewest:,})"
    ax.axhline(critical, color="0.3", linestyle="--", linewidth=0.8, label=label)
    ax.axhline(0.0, color="0.6", linestyle="-", linewidth=0.6, zorder=0)
    ax.set(xlabel="alignment $u$", ylabel=r"$F_N(u) - P(U \leq u)$")
    ax.legend(loc="lower left")
    return ax
