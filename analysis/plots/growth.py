"""Quality against pairs and against seconds, beside the best that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.experiments.growth import RANKING
from analysis.plots.style import LABELS, PAGE, RULE, line, over_seeds, point

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def against_pairs(table: pd.DataFrame, score: str, ax: Axes | None = None) -> Axes:
    """A score against the number of training pairs, a line a method, the range over seeds behind.

    `table` holds the rows of `analysis.experiments.growth.growth` of one set.
    """
    ax = ax or plt.gca()
    for index, (method, rows) in enumerate(table.groupby("method", sort=False)):
        over_seeds(rows.set_index("pairs")[score], index, ax, label=method)
    ax.set(xscale="log", xlabel="training pairs", ylabel=LABELS[score])
    return ax


def against_seconds(table: pd.DataFrame, score: str, ax: Axes | None = None) -> Axes:
    """A score against the seconds of the fit, both means over seeds: a point a number of pairs."""
    ax = ax or plt.gca()
    for index, (method, rows) in enumerate(table.groupby("method", sort=False)):
        mean = rows.groupby("pairs")[["seconds", score]].mean()
        ax.plot(mean["seconds"], mean[score], **{**point(index), **line(index)}, label=method)
    ax.set(xscale="log", xlabel="seconds of the fit, one thread", ylabel=LABELS[score])
    return ax


def everything(table: pd.DataFrame, best: float) -> Figure:
    """A row a set: the cosine against pairs and against seconds, beside the best one (dotted), and the ranking."""
    sets = list(dict.fromkeys(table["set"]))
    figure, axes = plt.subplots(len(sets), 3, figsize=(PAGE, 2.1 * len(sets) + 0.3), squeeze=False, sharey="col")
    for name, (pairs, seconds, ranking) in zip(sets, axes, strict=True):
        rows = table[table["set"] == name]
        against_pairs(rows, "cosine", pairs).set_title(name)
        against_seconds(rows, "cosine", seconds)
        against_pairs(rows, RANKING, ranking)
        for ax in (pairs, seconds):
            ax.axhline(best, linestyle=":", **RULE)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
