"""The choice between the cosine and the ranking, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.plots.style import GREY, LABELS, RULE, point

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NOT_DRAWN = ("constant mean", "identity")
"""what would leave no room for the others: the constant mean is the dashed line"""


def front(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Mean cosine against mean centered recall@10 of every method, bars one standard deviation, the front joined.

    `table` is that of one route from `analysis.paper.tables.mean_and_spread`, with `on_front` beside it;
    `calibrated` is drawn full, its rivals open.
    """
    ax = ax or plt.gca()
    x, y = "cosine", "centered_recall_at_10"
    drawn = table[~table["method"].isin(NOT_DRAWN)]
    for index, row in enumerate(drawn.to_dict("records")):
        look = {"label": row["method"], "elinewidth": 0.5, **point(index, row["method"].startswith("calibrated"))}
        ax.errorbar(row[x], row[y], xerr=row[f"{x}_sd"], yerr=row[f"{y}_sd"], **look)
    best = drawn[drawn["on_front"]].sort_values(x)
    ax.plot(best[x], best[y], color=GREY, linestyle=":", linewidth=0.8, zorder=0)
    ax.axvline(table["floor"].mean(), linestyle="--", **RULE)
    ax.set_xlabel(f"{LABELS[x]} (dashed: floor; full: calibrated, by goal)")
    ax.set_ylabel(f"{LABELS[y]} of {table['gallery'].mean():.0f}")
    ax.set_title(f"{table['route'].iloc[0]}, seeds: {table['runs'].iloc[0]}")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2)
    return ax
