"""The choice between the cosine and the ranking, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.plots.style import INK, LABELS, NOTE, PAGE, RULE, point

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

X, Y = "cosine", "ranked_recall_at_1"
OURS = "calibrated"
NOT_DRAWN = ("constant mean", "identity")
"""what would leave no room for the others: the dashed line and, where there is one, the dotted line"""


def fronts(table: pd.DataFrame) -> Figure:
    """`front` of every route, two beside each other, with one legend.

    `table` is that of `analysis.paper.tables.mean_and_spread` by route and method.
    """
    routes = list(table["route"].unique())
    height = (len(routes) + 1) // 2
    figure, axes = plt.subplots(height, min(2, len(routes)), figsize=(PAGE, 2.3 * height + 0.8), squeeze=False)
    methods = [name for name in table["method"].unique() if name not in NOT_DRAWN]
    for ax, route in zip(axes.flat, routes, strict=False):
        front(table[table["route"] == route], ax, methods)
    for ax in axes.flat[len(routes) :]:
        ax.set_axis_off()
    handles: dict[str, Artist] = {}
    for ax in axes.flat:
        handles |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5)
    return figure


def front(table: pd.DataFrame, ax: Axes | None = None, methods: list[str] | None = None) -> Axes:
    """Mean cosine against mean recall@1 of every method, bars one standard deviation over splits.

    `table` is that of one route. `calibrated` is drawn full, its goals joined, its rivals open. What is far to the left
    is drawn at the edge with its cosine beside it, and without its bar.

    Parameters
    ----------
    methods : their order gives the marks. Default: that of the table.
    """
    ax = ax or plt.gca()
    drawn = table[~table["method"].isin(NOT_DRAWN)]
    methods = methods or list(drawn["method"])
    ours = drawn["method"].str.startswith(OURS)
    floor, best = table["floor"].mean(), drawn[X].max()
    edge = floor - 0.15 * (best - floor)
    for row in drawn[~ours].to_dict("records"):
        look = {"label": row["method"], "elinewidth": 0.5, **point(methods.index(row["method"]), False)}
        xerr = row[f"{X}_sd"] if row[X] >= edge else None
        ax.errorbar(max(row[X], edge), row[Y], xerr=xerr, yerr=row[f"{Y}_sd"], **look)
        if row[X] < edge:
            ax.annotate(f"at {row[X]:.2f}", (edge, row[Y]), (4, 3), textcoords="offset points", fontsize=NOTE)
    front = drawn[ours].sort_values(X)
    look = {"label": OURS, "color": INK, "marker": "o", "linewidth": 1.1, "elinewidth": 0.5, "zorder": 4}
    at, xerr = front[X].clip(lower=edge), front[f"{X}_sd"].where(front[X] >= edge, 0)
    ax.errorbar(at, front[Y], xerr=xerr, yerr=front[f"{Y}_sd"], **look)
    for number, row in enumerate(front.to_dict("records")):
        goal, above = row["method"].removeprefix(f"{OURS}, "), 4 if number % 2 == 0 else -9
        goal += f" at {row[X]:.2f}" if row[X] < edge else ""
        ax.annotate(goal, (max(row[X], edge), row[Y]), (4, above), textcoords="offset points", fontsize=NOTE, color=INK)
    ax.axvline(floor, linestyle="--", **RULE)
    for y in table.loc[table["method"] == "identity", Y]:
        ax.axhline(y, linestyle=":", label="the condition itself", **RULE)
    ax.set_xlabel(f"{LABELS[X]} (dashed: floor)")
    ax.set_ylabel(f"{LABELS[Y]} of {table['gallery'].mean():.0f}")
    ax.set_title(f"{table['route'].iloc[0]}, splits: {table['runs'].iloc[0]}")
    return ax
