"""The choice between the cosine and the ranking, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.plots.style import COLOURS
from analysis.plots.translation import MARKERS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NOT_DRAWN = ("constant mean", "identity")
"""what would leave no room for the others: the constant mean is the dashed line"""


def front(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Mean cosine against mean centered recall@10 of every method, bars one standard deviation, the front joined.

    `table` is that of one direction from `analysis.paper.tables.mean_and_spread`, with `on_front` beside it;
    `calibrated` is
    drawn full, its rivals open.
    """
    ax = ax or plt.gca()
    x, y = "cosine", "centered_recall_at_10"
    drawn = table[~table["method"].isin(NOT_DRAWN)]
    for index, row in enumerate(drawn.to_dict("records")):
        colour = COLOURS[index % len(COLOURS)]
        fill = colour if row["method"].startswith("calibrated") else "white"
        ax.errorbar(
            row[x], row[y], xerr=row[f"{x}_sd"], yerr=row[f"{y}_sd"], label=row["method"], linestyle="none",
            marker=MARKERS[index % len(MARKERS)], color=colour, markerfacecolor=fill, elinewidth=0.5,
        )  # fmt: skip
    best = drawn[drawn["on_front"]].sort_values(x)
    ax.plot(best[x], best[y], color="0.6", linestyle=":", linewidth=0.8, zorder=0)
    ax.axvline(table["floor"].mean(), color="0.5", linestyle="--", linewidth=0.8)
    ax.set_xlabel("test cosine (dashed: floor; full: calibrated, by goal)")
    ax.set_ylabel(f"centered recall@10 of {table['gallery'].mean():.0f}")
    ax.set_title(f"{table['direction'].iloc[0]}, seeds: {table['runs'].iloc[0]}")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2)
    return ax
