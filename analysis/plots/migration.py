"""What is retained of a search when its encoder changes, and what a certificate says of it before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.experiments.migration import FULL, KINDS, STALE
from analysis.plots.style import GREY, INK, PAGE, RULE, ZERO, colour, over_seeds, rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORES = {
    "retained_recall_at_10": "retained recall@10",
    "retained_centered_recall_at_10": "retained recall@10, centered",
}
SAID = {"index": "index translated", "queries": "queries translated"}


def against_pairs(table: pd.DataFrame, score: str = "retained_recall_at_10", ax: Axes | None = None) -> Axes:
    """A score against the number of pairs, a line a method, the range over seeds behind.

    `table` holds the rows of `analysis.experiments.migration.migration` of one way and route. A line at 1 is the full
    re-embedding, ranked plainly; the dotted one is what the old encoder finds in its own index.
    """
    ax = ax or plt.gca()
    ax.axhline(1.0, **ZERO)
    ax.axhline(table.loc[table["method"] == STALE, score].mean(), linestyle=":", **RULE)
    fitted = table[~table["method"].isin([FULL, STALE])]
    for index, (method, part) in enumerate(fitted.groupby("method", sort=False)):
        over_seeds(part.set_index("pairs")[score], index, ax, label=method)
    ax.set(xscale="log", xlabel="re-embedded documents")
    return ax


def every_change(table: pd.DataFrame) -> Figure:
    """A column for each way and route, plain rankings above and centered ones below."""
    panels = list(table.groupby(["way", "route"], sort=False))
    figure, axes = plt.subplots(len(SCORES), len(panels), figsize=(PAGE, 4.2), sharex=True, sharey=True, squeeze=False)
    for column, ((way, route), part) in enumerate(panels):
        for ax, score in zip(axes[:, column], SCORES, strict=True):
            against_pairs(part, score, ax)
        axes[0, column].set_title(f"{SAID[str(way)]},\n{route}")
        axes[0, column].set_xlabel("")
    for ax, name in zip(axes[:, 0], SCORES.values(), strict=True):
        ax.set_ylabel(name)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def limits(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The limits of certificates by what was re-embedded, nine in ten of them between the ends, and the truth.

    `table` is the `limits` of `analysis.experiments.migration.certificates`.
    """
    ax = ax or plt.gca()
    for index, kind in enumerate(KINDS):
        found = table.loc[table["kind"] == kind, "limit"]
        low, middle, high = found.quantile([0.05, 0.5, 0.95])
        shade = GREY if kind == KINDS[-1] else colour(0)
        ax.plot([low, high], [index, index], "-", color=shade)
        ax.plot(middle, index, "o", color=shade)
    ax.axvline(table["truth"].iloc[0], linestyle="--", color=INK, linewidth=0.8)
    rows(ax, list(KINDS))
    ax.set_xlabel("limit of the retained recall@10; dashed: the truth", loc="right")
    return ax
