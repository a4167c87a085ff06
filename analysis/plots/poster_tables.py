"""The poster's numbers and ours, row by row, with what an answer that ignores its input reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import pyplot as plt

from analysis.plots.style import GREY, INK, PALE, colour, panels, plain, point, rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WORDS = {"reproduced": 2, "reproduced in mechanism": 0, "could not be": 1}
"""verdict -> the number of its colour"""
APART = 0.16
"""of a line's height, between what was measured in place of one number; each has its own floor"""


@plain
def one_table(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A line for each printed number: the poster's as a diamond, ours as circles in the colour of their verdict.

    Parameters
    ----------
    frame : rows of one table, of `analysis.experiments.poster_tables.as_frame`.
    """
    ax = ax or plt.gca()
    printed = frame[frame["poster"].notna()]
    names = list(dict.fromkeys(zip(printed["row"], printed["score"], strict=True)))
    for y, (name, score) in enumerate(names):
        cell = printed[(printed["row"] == name) & (printed["score"] == score)]
        ax.plot(cell["poster"].iloc[0], y, label="the poster", **{**point(2), "color": INK})
        measured = cell[cell["ours"].notna()].to_dict("records")
        for row, away in zip(measured, np.arange(len(measured)) - (len(measured) - 1) / 2, strict=True):
            shade, at = colour(WORDS[row["verdict"]]), y + APART * away
            ax.errorbar(row["ours"], at, xerr=row["sd"], fmt="o", color=shade, elinewidth=0.6, label=row["verdict"])
            ax.plot(row["floor"], at, "|", color=GREY, markersize=6, label="floor")
    rows(ax, [f"{name}, {score}" for name, score in names])
    ax.grid(axis="y", color=PALE, linewidth=0.6)
    ax.set_axisbelow(True)
    return ax


@plain
def poster(poster: pd.DataFrame) -> Figure:
    """The poster's numbers and ours, row by row, with what an answer that ignores its input reaches."""
    frame = poster
    tables = list(dict.fromkeys(frame["table"]))
    parts = [frame[frame["table"] == number] for number in tables]
    heights = [len(part[part["poster"].notna()].drop_duplicates(["row", "score"])) + 2 for part in parts]
    figure, axes = panels(0.5 + 0.15 * sum(heights), 1, len(tables), height_ratios=heights)
    found: dict[str, Any] = {}
    for number, part, ax in zip(tables, parts, axes[:, 0], strict=True):
        one_table(part, ax)
        ax.set_title(f"Table {number}, {'cosine' if number < 5 else 'per cent'}", loc="left")
        found |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=5)
    return figure
