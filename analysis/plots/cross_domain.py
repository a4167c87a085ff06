"""Trained at home and away: two ends of a line, the same test items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.plots.style import LABELS, PALE, colour, panels, plain, point, rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWN = ("constant mean", "ridge", "calibrated", "calibrated, recentred", "poster, 1 step")
"""methods of the figures; the others are in the tables"""


@plain
def losses(losses: pd.DataFrame) -> Figure:
    """What training away from home costs: cosine and ranking of every method at home and away, by crossing."""
    cells = len(losses.drop_duplicates(["crossing", "route"]))
    figure, (axes,) = panels(0.7 + 0.55 * cells, 2, sharey=True)
    for score, ax in zip(("cosine", "centered_recall_at_10"), axes, strict=True):
        home_and_away(losses[losses["method"].isin(DRAWN)], score, ax)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(DRAWN))
    return figure


@plain
def artists(losses: pd.DataFrame) -> Figure:
    """From one artist's pictures to another's: cosine and ranking of every method at home and away."""
    return globals()["losses"](losses)


@plain
def home_and_away(table: pd.DataFrame, score: str, ax: Axes | None = None) -> Axes:
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
    said = "floor" if score == "cosine" else "chance"
    ax.set_xlabel(f"{LABELS[score]} (full: trained at home, open: away;\n{DRAWN[0]}: the {said})")
    return ax
