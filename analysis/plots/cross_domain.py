"""Trained at home and away: two ends of a line, the same test items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.plots.style import LABELS, PALE, colour, point, rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def losses(table: pd.DataFrame, score: str, ax: Axes | None = None) -> Axes:
    """For each crossing and route, a score at home (full) and away (open) for every method, joined.

    `table` is that of `analysis.experiments.cross_domain.losses`. The cosine of the constant mean is its floor.
    """
    ax = ax or plt.gca()
    methods = list(table["method"].unique())
    cells = list(table.groupby(["crossing", "route"], sort=False))
    for place, (_, cell) in enumerate(cells):
        for row in cell.to_dict("records"):
            index = methods.index(row["method"])
            y = place + 0.8 * ((index + 0.5) / len(methods) - 0.5)
            home, away = row[f"{score}_home"], row[f"{score}_away"]
            ax.plot([home, away], [y, y], "-", color=colour(index), linewidth=0.7)
            ax.plot(home, y, markersize=3, label=row["method"] if place == 0 else None, **point(index))
            ax.plot(away, y, markersize=3, **point(index, full=False))
        if place:
            ax.axhline(place - 0.5, color=PALE, linewidth=0.6)
    names = [
        f"{crossing}\n{route}\ntrained on {cell['n'].mean():.0f}, gallery {cell['gallery'].mean():.0f}"
        for (crossing, route), cell in cells
    ]
    rows(ax, names)
    ax.set_xlabel(f"{LABELS[score]} (full: trained at home, open: away)")
    return ax
