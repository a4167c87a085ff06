"""Figures of gamma: the phase diagram over (s, u), measured curves, the guaranteed level, a fixed gamma.

Where a table of translators comes in, row i has the same colour and marker in every figure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from analysis.plots.style import COLOURS, LINES
from analysis.theory.bound import cosine
from analysis.theory.gamma import break_even_alignment, break_even_gamma, ceiling, guaranteed_level, peak_gamma

MARKERS = "oDs^vPX"


def phase_diagram(
    gammas: Sequence[float] = (0.1, 0.5, 1.0), translators: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """Where the residual pays: u against s, break-even lines of some gammas over the shade of the best gamma.

    Above its line a gamma beats gamma = 0; below it, it harms. Orthogonal geometry, |z| = 1.

    Parameters
    ----------
    translators : columns `name`, `s`, `u`, marked as points, and `s_equal`, `u_equal`, those of the orthogonal
        translator of the same directions: an open point where it is another.
    """
    ax = plt.gca() if ax is None else ax
    low = -0.25 if translators is None else min(-0.25, translators["u"].min() - 0.1)
    s, u = np.linspace(0.0, 1.0, 201), np.linspace(low, 1.0, 301)
    shade = ax.pcolormesh(s, u, peak_gamma(u[:, None], s), cmap="Greys", vmin=0, vmax=1.6, rasterized=True)
    bar = ax.figure.colorbar(shade, ax=ax, label=r"best $\gamma = \rho u$", ticks=np.linspace(0.0, 1.0, 6))
    bar.ax.set_ylim(0.0, 1.0)
    for gamma, line in zip(gammas, LINES[1:], strict=False):
        needed = break_even_alignment(s, gamma)
        ax.plot(s[needed <= 1.0], needed[needed <= 1.0], "k", linestyle=line, label=rf"break-even, $\gamma={gamma:g}$")
    if translators is not None:
        for i, row in enumerate(translators.itertuples()):
            if np.hypot(row.s_equal - row.s, row.u_equal - row.u) > 0.03:
                colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
                ax.plot([row.s, row.s_equal], [row.u, row.u_equal], "-", color=colour, linewidth=0.6)
                ax.plot(row.s_equal, row.u_equal, marker, color=colour, markersize=5, markerfacecolor="white")
        _marks(ax, translators, "u")
    ax.set(xlabel="length of the projection $s$", ylabel="alignment $u$", xlim=(0, 1), ylim=(low, 1))
    _legend_above(ax, 2)
    return ax


def curves(s: float, alignments: Sequence[float], largest: float = 2.0, ax: Axes | None = None) -> Axes:
    """Cosine against gamma for some alignments u; dots at the best gamma, crosses where the gain is used up."""
    ax = plt.gca() if ax is None else ax
    gamma = np.linspace(0.0, largest, 401)
    for u in alignments:
        (line,) = ax.plot(gamma, cosine(u, s, gamma), label=f"$u={u:g}$")
        best, crossing = float(peak_gamma(u, s)), float(break_even_gamma(u, s))
        ax.plot(best, cosine(u, s, best), "o", color=line.get_color())
        if 0.0 < crossing <= largest:
            ax.plot(crossing, s, "x", color=line.get_color())
    ax.axhline(s, color="0.5", linestyle=":", linewidth=0.8)
    ax.set(xlabel=r"$\gamma$", ylabel=r"$\cos(z, \hat{z})$", title=f"$s={s:g}$")
    ax.legend()
    return ax


def measured_curves(curve: pd.DataFrame, translators: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A measured value against gamma, a line a translator with its interval; marks at the calibrated gamma.

    Parameters
    ----------
    curve : columns `name`, `gamma`, `value`, `low`, `high`.
    translators : columns `name`, `calibrated`; in the order of their colours.
    """
    ax = plt.gca() if ax is None else ax
    for i, row in enumerate(translators.itertuples()):
        part = curve[curve["name"] == row.name]
        colour, line = COLOURS[i % len(COLOURS)], LINES[i % len(LINES)]
        ax.plot(part["gamma"], part["value"], color=colour, linestyle=line, label=row.name)
        ax.fill_between(part["gamma"], part["low"], part["high"], color=colour, alpha=0.15, linewidth=0)
        if row.calibrated <= part["gamma"].max():
            at = np.interp(row.calibrated, part["gamma"], part["value"])
            marker = MARKERS[i % len(MARKERS)]
            ax.plot(row.calibrated, at, marker, color=colour, markersize=4.5, markeredgewidth=0, clip_on=False)
    ax.set(xlabel=r"$\gamma$", xlim=(0, curve["gamma"].max()))
    return ax


def guarantee(
    s: float,
    dimensions: Sequence[int],
    delta: float = 0.01,
    geometry: str = "complement",
    largest: float = 2.0,
    ax: Axes | None = None,
) -> Axes:
    """Level reached with probability 1 - delta by a random direction, against gamma, for some dimensions.

    Beside it the cosine of the residual's own direction and, dotted, that of gamma = 0.
    """
    ax = plt.gca() if ax is None else ax
    gamma = np.linspace(0.0, largest, 401)
    ax.plot(gamma, ceiling(s, gamma), "k-", linewidth=0.8, label="the residual itself, $u=1$")
    for d, colour, line in zip(dimensions, COLOURS, LINES[1:], strict=False):
        level = guaranteed_level(delta, s, gamma, d, geometry)
        ax.plot(gamma, level, color=colour, linestyle=line, label=f"guaranteed, $d$ = {d:,}")
    ax.axhline(s, color="0.5", linestyle=":", linewidth=0.8, label=rf"$\gamma=0$, $s={s:.3g}$")
    ax.set(xlabel=r"$\gamma$", ylabel=f"cosine, guaranteed at {1 - delta:g}", xlim=(0, largest))
    _legend_above(ax, 2)
    return ax


def fixed_gamma(
    d: int, translators: pd.DataFrame, delta: float = 0.01, gamma: float = 1.0, ax: Axes | None = None
) -> Axes:
    """What one gamma can do for each s: at best, u = 1; gamma = 0; the guaranteed level; |z| = 1, orthogonal.

    Parameters
    ----------
    translators : columns `name`, `s`, `cosine`, measured at gamma = 0 and at this gamma; marked as points.
    """
    ax = plt.gca() if ax is None else ax
    s = np.linspace(0.0, 1.0, 401)
    ax.plot(s, ceiling(s, gamma), "k-", linewidth=0.8, label="the residual itself, $u=1$")
    ax.plot(s, s, color="0.5", linestyle=":", label=r"$\gamma=0$")
    level = guaranteed_level(delta, s[1:], gamma, d)
    ax.plot(s[1:], level, color=COLOURS[0], linestyle=LINES[1], label=f"guaranteed, $d$ = {d:,}")
    _marks(ax, translators, "cosine")
    ax.set(xlabel=r"$s$, the cosine at $\gamma=0$", ylabel=rf"cosine at $\gamma={gamma:g}$", xlim=(0, 1))
    _legend_above(ax, 3)
    return ax


def _marks(ax: Axes, translators: pd.DataFrame, y: str) -> None:
    """A point a translator at (`s`, `y`)."""
    for i, (name, s, height) in enumerate(zip(translators["name"], translators["s"], translators[y], strict=True)):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        ax.plot(
            s, height, marker, color=colour, markersize=5, markeredgecolor="white", markeredgewidth=0.5,
            linestyle="none", label=name,
        )  # fmt: skip


def _legend_above(ax: Axes, columns: int) -> None:
    """A legend that cannot cover what is drawn."""
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns)
