"""The choice between the cosine and the ranking, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt

from analysis.plots.style import INK, LABELS, RULE, beside, by_route, plain, point, seeds

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

X, Y = "cosine", "ranked_recall_at_1"
OURS = "calibrated"
NOT_DRAWN = ("constant mean", "identity")
"""what would leave no room for the others: the dashed line and, where there is one, the dotted line"""


@plain
def front(presets: pd.DataFrame) -> Figure:
    """The choice between the cosine and the ranking: every method's test cosine against its recall@1, by route."""
    figure, parts = by_route(presets, 2.6)
    methods = [name for name in presets["method"].unique() if name not in NOT_DRAWN]
    for ax, part in parts:
        of_route(part, ax, methods)
    return figure


@plain
def of_route(table: pd.DataFrame, ax: Axes | None = None, methods: list[str] | None = None) -> Axes:
    """Mean cosine against mean recall@1 of every method, bars one standard deviation over splits.

    `table` is that of one route. `calibrated` is drawn full, its goals joined, its rivals open, each named at the
    right. What is far to the left is drawn at the edge, without its bar and with its cosine beside its name.

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
    names: list[tuple[str, float, float, Any]] = []
    for row in drawn.to_dict("records"):
        own, far = row["method"].startswith(OURS), row[X] < edge
        look = {"color": INK, "marker": "o", "zorder": 4} if own else point(methods.index(row["method"]), False)
        at = (max(row[X], edge), row[Y])
        ax.errorbar(*at, xerr=None if far else row[f"{X}_sd"], yerr=row[f"{Y}_sd"], elinewidth=0.5, **look)
        names.append((row["method"] + (f" (at {row[X]:.2f})" if far else ""), *at, look["color"]))
    front = drawn[ours].sort_values(X)
    ax.plot(front[X].clip(lower=edge), front[Y], "-", color=INK)
    ax.axvline(floor, linestyle="--", **RULE)
    for y in table.loc[table["method"] == "identity", Y]:
        ax.axhline(y, linestyle=":", **RULE)
        names.append(("the condition itself", best, y, RULE["color"]))
    ax.set_xlabel(f"{LABELS[X]} (dashed: floor)")
    ax.set_ylabel(f"{LABELS[Y]} of {table['gallery'].mean():.0f}")
    ax.set_title(f"{table['route'].iloc[0]}, {seeds(table['runs'].iloc[0])}")
    ax.set_ylim(bottom=0)
    beside(ax, names)
    return ax
