"""What is retained of a search when its encoder changes, and what a certificate says of it before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.experiments.migration import FULL, KINDS, STALE
from analysis.plots.style import COLUMN, GREY, INK, RULE, ZERO, colour, ends, over_seeds, panels, plain, rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORES = {
    "retained_recall_at_10": "retained recall@10",
    "retained_centered_recall_at_10": "retained recall@10, centered",
}
SAID = {"index": "index translated", "queries": "queries translated"}


@plain
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


@plain
def retained(runs: pd.DataFrame) -> Figure:
    """What is retained of a search when its encoder changes, by re-embedded documents: plain above, centered below."""
    changes = list(runs.groupby(["way", "route"], sort=False))
    figure, axes = panels(4.2, len(changes), len(SCORES), sharex=True, sharey=True)
    for column, ((way, route), part) in enumerate(changes):
        for ax, score in zip(axes[:, column], SCORES, strict=True):
            against_pairs(part, score, ax)
        axes[0, column].set_title(f"{SAID[str(way)]},\n{route}")
        axes[0, column].set_xlabel("")
    for ax, name in zip(axes[:, 0], SCORES.values(), strict=True):
        ax.set_ylabel(name)
    for ax in axes[:, -1]:
        ends(ax)
    said = ["everything re-embedded, by plain cosine", "the old encoder in its own index"]
    figure.legend(axes[0, 0].lines[:2], said, loc="outside upper center", ncols=2)
    return figure


@plain
def certificate(limits: pd.DataFrame) -> Figure:
    """Lower limits of the retained recall by what was re-embedded, beside the truth."""
    figure, ((ax,),) = panels(1.5, width=COLUMN)
    limits_by_kind(limits, ax)
    return figure


@plain
def limits_by_kind(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
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
