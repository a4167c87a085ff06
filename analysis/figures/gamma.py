"""Figures of gamma: the phase diagram over (s, u), the cosine's curve, the guaranteed level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from analysis.bound import cosine
from analysis.gamma import best_gamma, break_even_alignment, break_even_gamma, guaranteed_level


def phase_diagram(
    gammas: Sequence[float] = (0.1, 0.5, 1.0), translators: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """Where the residual pays: u against s, break-even lines of some gammas over the shade of the best gamma.

    Above its line a gamma beats gamma = 0; below it, it harms. Orthogonal geometry, |z| = 1.

    Parameters
    ----------
    translators : columns `name`, `s`, `u`; marked as points.
    """
    ax = plt.gca() if ax is None else ax
    s, u = np.linspace(0.0, 1.0, 201), np.linspace(-0.5, 1.0, 301)
    shade = ax.pcolormesh(s, u, best_gamma(u[:, None], s), cmap="Greys", vmin=0, vmax=1.2, rasterized=True)
    ax.figure.colorbar(shade, ax=ax, label=r"best $\gamma = \rho u$")
    for gamma in gammas:
        line = break_even_alignment(s, gamma)
        ax.plot(s[line <= 1.0], line[line <= 1.0], label=rf"break-even, $\gamma={gamma:g}$")
    if translators is not None:
        for row in translators.itertuples():
            ax.plot(row.s, row.u, "o", color="#D55E00", markeredgecolor="white")
            ax.annotate(str(row.name), (row.s, row.u), textcoords="offset points", xytext=(4, 3), fontsize=6.5)
    ax.set(xlabel="length of the projection $s$", ylabel="alignment $u$", xlim=(0, 1), ylim=(-0.5, 1))
    ax.legend(loc="lower left")
    return ax


def curves(s: float, alignments: Sequence[float], largest: float = 2.0, ax: Axes | None = None) -> Axes:
    """Cosine against gamma for some alignments u; dots at the best gamma, crosses where the gain is used up."""
    ax = plt.gca() if ax is None else ax
    gamma = np.linspace(0.0, largest, 401)
    for u in alignments:
        (line,) = ax.plot(gamma, cosine(u, s, gamma), label=f"$u={u:g}$")
        best, crossing = float(best_gamma(u, s)), float(break_even_gamma(u, s))
        ax.plot(best, cosine(u, s, best), "o", color=line.get_color())
        if 0.0 < crossing <= largest:
            ax.plot(crossing, s, "x", color=line.get_color())
    ax.axhline(s, color="0.5", linestyle=":", linewidth=0.8)
    ax.set(xlabel=r"$\gamma$", ylabel=r"$\cos(z, \hat{z})$", title=f"$s={s:g}$")
    ax.legend()
    return ax


def guarantee(
    s: float,
    dimensions: Sequence[int],
    delta: float = 0.01,
    geometry: str = "complement",
    largest: float = 2.0,
    ax: Axes | None = None,
) -> Axes:
    """Level reached with probability 1 - delta by a random direction, against gamma, for some dimensions."""
    ax = plt.gca() if ax is None else ax
    gamma = np.linspace(0.0, largest, 401)
    for d in dimensions:
        ax.plot(gamma, guaranteed_level(delta, s, gamma, d, geometry), label=f"$d={d:,g}$")
    ax.set(xlabel=r"$\gamma$", ylabel=f"cosine at probability {1 - delta:g}", title=f"$s={s:g}$, {geometry}")
    ax.legend()
    return ax
