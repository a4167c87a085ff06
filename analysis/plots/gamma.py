"""Figures of gamma: the phase diagram over (s, u), measured curves, the guaranteed level, a fixed gamma.

Where a table of translators comes in, row i has the same colour and marker in every figure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.style import BAND, INK, LINES, PAGE, RULE, colour, ends, line, panels, plain, point
from analysis.theory.gamma import break_even_alignment, ceiling, guaranteed_level, peak_gamma


@plain
def phase(weights: pd.DataFrame) -> Figure:
    """Where the residual pays: alignment against the length of the projection, with translators as marks."""
    figure, ((ax,),) = panels(3.0, width=PAGE / 2)
    phase_diagram((0.2, 1.0), weights, ax)
    return figure


@plain
def curves(curve: pd.DataFrame, gain: pd.DataFrame, weights: pd.DataFrame) -> Figure:
    """The test cosine as gamma grows, and what it gains over gamma = 0 where that is little."""
    near = float(np.clip(2.5 * weights["calibrated"].max(), 0.1, curve["gamma"].max()))
    top = max(0.005, gain["high"].max())
    figure, ((left, right),) = panels(2.5, 2)
    measured_curves(curve, weights, left)
    left.set(ylabel=f"test cosine, {weights['pairs'].iloc[0]:,} pairs")
    ends(left)
    measured_curves(gain[gain["gamma"] <= near], weights, right)
    right.set(ylabel=r"gain over $\gamma=0$", ylim=(-1.5 * top, 1.1 * top))
    return figure


@plain
def guarantee(weights: pd.DataFrame) -> Figure:
    """What is guaranteed of a random direction as gamma grows, and what gamma = 1 can reach at best."""
    first = weights.iloc[0]
    d, delta = int(first["d"]), first["delta"]
    figure, ((left, right),) = panels(2.8, 2)
    levels(first["s"], sorted({16, d, 4096}), delta, ax=left)
    fixed_gamma(d, weights.assign(s=weights["cosine_0"], cosine=weights["cosine_1"]), delta, ax=right)
    figure.set_layout_engine("constrained", wspace=0.06)
    return figure


@plain
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
    ax = ax or plt.gca()
    low = -0.25 if translators is None else min(-0.25, translators["u"].min() - 0.1)
    s, u = np.linspace(0.0, 1.0, 201), np.linspace(low, 1.0, 301)
    shade = ax.pcolormesh(s, u, peak_gamma(u[:, None], s), cmap="Greys", vmin=0, vmax=1.6, rasterized=True)
    bar = ax.figure.colorbar(shade, ax=ax, label=r"best $\gamma = \rho u$", ticks=np.linspace(0.0, 1.0, 6))
    bar.ax.set_ylim(0.0, 1.0)
    for gamma, style in zip(gammas, LINES[1:], strict=False):
        needed = break_even_alignment(s, gamma)
        inside, label = needed <= 1.0, rf"break-even, $\gamma={gamma:g}$"
        ax.plot(s[inside], needed[inside], color=INK, linestyle=style, label=label)
    if translators is not None:
        opened = False
        for i, row in enumerate(translators.itertuples()):
            if np.hypot(row.s_equal - row.s, row.u_equal - row.u) > 0.03:
                ax.plot([row.s, row.s_equal], [row.u, row.u_equal], "-", color=colour(i), linewidth=0.6)
                ax.plot(row.s_equal, row.u_equal, markersize=5, **point(i, full=False))
                opened = True
        if opened:
            ax.plot([], [], label="made orthogonal", **{**point(0, full=False), "color": INK})
        _marks(ax, translators, "u")
    ax.set(xlabel="length of the projection $s$", ylabel="alignment $u$", xlim=(0, 1), ylim=(low, 1))
    _legend_above(ax, 2)
    return ax


@plain
def measured_curves(curve: pd.DataFrame, translators: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A measured value against gamma, a line a translator with its interval; marks at the calibrated gamma.

    Dotted: gamma = 1 and the value 0, where they are in reach.

    Parameters
    ----------
    curve : columns `name`, `gamma`, `value`, `low`, `high`.
    translators : columns `name`, `calibrated`; in the order of their colours.
    """
    ax = ax or plt.gca()
    for i, row in enumerate(translators.itertuples()):
        part = curve[curve["name"] == row.name]
        ax.plot(part["gamma"], part["value"], label=row.name, **line(i))
        ax.fill_between(part["gamma"], part["low"], part["high"], color=colour(i), **BAND)
        if row.calibrated <= part["gamma"].max():
            at = np.interp(row.calibrated, part["gamma"], part["value"])
            ax.plot(row.calibrated, at, markersize=4.5, markeredgewidth=0, clip_on=False, **point(i))
    if curve["gamma"].max() > 1.0:
        ax.axvline(1.0, linestyle=":", **RULE)
    if curve["low"].min() < 0.0 < curve["high"].max():
        ax.axhline(0.0, linestyle=":", **RULE)
    ax.set(xlabel=r"$\gamma$", xlim=(0, curve["gamma"].max()))
    return ax


def levels(
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
    ax = ax or plt.gca()
    gamma = np.linspace(0.0, largest, 401)
    ax.plot(gamma, ceiling(s, gamma), "-", color=INK, linewidth=0.8, label="the residual\nitself, $u=1$")
    for i, d in enumerate(dimensions, 1):
        ax.plot(gamma, guaranteed_level(delta, s, gamma, d, geometry), label=f"$d$ = {d:,}", **line(i))
    ax.axhline(s, linestyle=":", label=rf"$\gamma=0$, $s={s:.3g}$", **RULE)
    ax.set(xlabel=r"$\gamma$", ylabel=f"cosine, guaranteed at {1 - delta:g}", xlim=(0, largest))
    ends(ax)
    return ax


@plain
def fixed_gamma(
    d: int, translators: pd.DataFrame, delta: float = 0.01, gamma: float = 1.0, ax: Axes | None = None
) -> Axes:
    """What one gamma can do for each s: at best, u = 1; gamma = 0; the guaranteed level; |z| = 1, orthogonal.

    Parameters
    ----------
    translators : columns `name`, `s`, `cosine`, measured at gamma = 0 and at this gamma; marked as points.
    """
    ax = ax or plt.gca()
    s = np.linspace(0.0, 1.0, 401)
    ax.plot(s, ceiling(s, gamma), "-", color=INK, linewidth=0.8, label="the residual itself, $u=1$")
    ax.plot(s, s, linestyle=":", label=r"$\gamma=0$", **RULE)
    ax.plot(s[1:], guaranteed_level(delta, s[1:], gamma, d), label=f"guaranteed, $d$ = {d:,}", **line(1))
    _marks(ax, translators, "cosine")
    ax.set(xlabel=r"$s$, the cosine at $\gamma=0$", ylabel=rf"cosine at $\gamma={gamma:g}$", xlim=(0, 1))
    _legend_above(ax, 2)
    return ax


def _marks(ax: Axes, translators: pd.DataFrame, y: str) -> None:
    """A point a translator at (`s`, `y`), each smaller than the one before, which it may lie on."""
    for i, (name, s, height) in enumerate(zip(translators["name"], translators["s"], translators[y], strict=True)):
        look = {**point(i), "markersize": max(3.5, 6.5 - 2 * i)}
        ax.plot(s, height, label=name, markeredgecolor="white", markeredgewidth=0.5, **look)


def _legend_above(ax: Axes, columns: int) -> None:
    """A legend that cannot cover what is drawn."""
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns)
