"""Trained at home and away: two ends of a line, the same test items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.plots.style import COLOURS
from analysis.plots.translation import MARKERS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def losses(table: pd.DataFrame, score: str, ax: Axes | None = None) -> Axes:
    """For each crossing and direction, a score at home (full) and away (open) for every method, joined.

    `table` is that of `analysis.experiments.cross_domain.losses`. The cosine of the constant mean is its floor.
    """
    ax = ax or plt.gca()
    methods = list(table["method"].unique())
    cells = list(table.groupby(["crossing", "direction"], sort=False))
    for place, (_, cell) in enumerate(cells):
        for row in cell.to_dict("records"):
            index = methods.index(row["method"])
            y = place + 0.8 * ((index + 0.5) / len(methods) - 0.5)
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            ends = row[f"{score}_home"], row[f"{score}_away"]
            ax.plot(ends, [y, y], color=colour, linestyle="-", linewidth=0.7)
            ax.plot(ends[0], y, marker, color=colour, markersize=3, label=row["method"] if place == 0 else None)
            ax.plot(ends[1], y, marker, color=colour, markersize=3, markerfacecolor="white")
        if place:
            ax.axhline(place - 0.5, color="0.9", linewidth=0.6)
    names = [
        f"{crossing}\n{direction}\ntrained on {cell['n'].mean():.0f}, gallery {cell['gallery'].mean():.0f}"
        for (crossing, direction), cell in cells
    ]
    ax.set_yticks(range(len(cells)), names)
    ax.set_ylim(len(cells) - 0.5, -0.5)
    ax.set_xlabel(f"{score.replace('_at_', '@').replace('_', ' ')} (full: trained at home, open: away)")
    return ax
