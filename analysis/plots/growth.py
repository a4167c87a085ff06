"""Quality against pairs and against seconds, beside the best that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.experiments.growth import BEST, RANKING
from analysis.plots.style import LABELS, RULE, ends, line, note, over_seeds, panels, plain, point

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@plain
def against_pairs(table: pd.DataFrame, score: str, ax: Axes | None = None) -> Axes:
    """A score against the number of training pairs, a line a method, the range over seeds behind.

    `table` holds the rows of `analysis.experiments.growth.growth` of one set.
    """
    ax = ax or plt.gca()
    for index, (method, rows) in enumerate(table.groupby("method", sort=False)):
        over_seeds(rows.set_index("pairs")[score], index, ax, label=method)
    ax.set(xscale="log", xlabel="training pairs", ylabel=LABELS[score])
    return ax


@plain
def against_seconds(table: pd.DataFrame, score: str, ax: Axes | None = None) -> Axes:
    """A score against the seconds of the fit, both means over seeds: a point a number of pairs."""
    ax = ax or plt.gca()
    for index, (method, rows) in enumerate(table.groupby("method", sort=False)):
        mean = rows.groupby("pairs")[["seconds", score]].mean()
        ax.plot(mean["seconds"], mean[score], **{**point(index), **line(index)}, label=method)
    ax.set(xscale="log", xlabel="seconds of the fit, one thread", ylabel=LABELS[score])
    return ax


@plain
def growth(runs: pd.DataFrame) -> Figure:
    """Quality against pairs and against seconds, beside the best there is, a row a set."""
    sets = list(runs["set"].unique())
    figure, axes = panels(2.1 * len(sets), 3, len(sets), sharey="col", sharex="col")
    for name, (pairs, seconds, ranking) in zip(sets, axes, strict=True):
        of_set = runs[runs["set"] == name]
        against_pairs(of_set, "cosine", pairs).set_title(name)
        against_seconds(of_set, "cosine", seconds)
        ends(against_pairs(of_set, RANKING, ranking))
        for ax in (pairs, seconds):
            ax.axhline(BEST, linestyle=":", **RULE)
        note(pairs, f"the best there is, {BEST:.3f}", (of_set["pairs"].min(), BEST), (0, 2))
    for ax in axes[:-1].flat:
        ax.set_xlabel("")
    return figure
