"""The choice between the cosine and the ranking, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.style import COLOURS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def front(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Mean cosine against mean centered recall@10 of every method, bars one standard deviation, the front joined.

    `table` is that of one direction from `analysis.tables.mean_and_spread`, with `on_front` beside it; `calibrated` is
    drawn full, its rivals open.
    """
    ax = ax or plt.gca()
    x, y = "cosine", "centered_recall_at_10"
    for row in table.to_dict("records"):
        ours = row["method"].startswith("calibrated")
        ax.errorbar(
            row[x], row[y], xerr=row[f"{x}_sd"], yerr=row[f"{y}_sd"], fmt="o" if ours else "s",
            color=COLOURS[1] if ours else COLOURS[0], markerfacecolor=None if ours else "white",
            elinewidth=0.6, linestyle="none",
        )  # fmt: skip
        ax.annotate(row["method"].removeprefix("calibrated, "), (row[x], row[y]), (3, 3), textcoords="offset points",
                    fontsize=5.5, color=COLOURS[1] if ours else "0.3")  # fmt: skip
    best = table[table["on_front"]].sort_values(x)
    ax.plot(best[x], best[y], color="0.6", linestyle=":", linewidth=0.8, zorder=0)
    ax.axvline(table["floor"].mean(), color="0.5", linestyle="--", linewidth=0.8)
    ax.set_xlabel("test cosine (dashed: floor)")
    ax.set_ylabel(f"centered recall@10 of {table['gallery'].mean():.0f}")
    ax.set_title(f"{table['direction'].iloc[0]}, {table['runs'].iloc[0]} seeds (full: calibrated, by goal)")
    ax.margins(x=0.12, y=0.1)
    return ax
