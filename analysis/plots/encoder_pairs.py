"""Pairs of encoders side by side: the cosine between its floor and ceiling, and what the ranking says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from analysis.plots.style import GREY, LABELS, PALE, panels, plain, point, rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


READABLE = {
    "tf_efficientnet_lite0": "EfficientNet-Lite0",
    "all-MiniLM-L6-v2": "MiniLM",
    "geoclip": "GeoCLIP",
    "xyz": "x, y, z",
}
"""what encoders are called in print"""


@plain
def encoders(encoders: pd.DataFrame) -> Figure:
    """Pairs of encoders: the cosine between its floor and ceiling, and what the ranking finds beside chance."""
    cells = len(encoders.drop_duplicates(["pair", "route"]))
    figure, (axes,) = panels(0.8 + 0.42 * cells, 2, sharey=True)
    dumbbells(encoders, axes[0])
    rankings(encoders, axes[1])
    found = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=len(found))
    return figure


@plain
def dumbbells(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The cosine of every method between floor (open) and ceiling (bar; 1 where none is known), a line a pair.

    `table` is that of `analysis.paper.tables.mean_and_spread` by pair, route and method.
    """
    ax = ax or plt.gca()
    for y, (_, cell) in enumerate(table.groupby(["pair", "route"], sort=False)):
        low, known = cell["floor"].mean(), cell["ceiling"].astype(float).mean()
        high = known if np.isfinite(known) else 1.0
        ax.plot([low, high], [y, y], color=PALE, linestyle="-" if np.isfinite(known) else ":", linewidth=2, zorder=0)
        ax.plot(low, y, "o", color=GREY, markerfacecolor="white", label="floor" if y == 0 else None)
        ax.plot(high, y, "|", color=GREY, markersize=8, label="ceiling" if y == 0 else None)
        _methods(cell, "cosine", y, ax)
    _cells(table, ax)
    ax.set_xlabel(f"{LABELS['cosine']} (dotted: no ceiling known)")
    return ax


@plain
def rankings(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The centered recall@10 of every method, a line a pair; the cross is chance, 10 of the gallery."""
    ax = ax or plt.gca()
    for y, (_, cell) in enumerate(table.groupby(["pair", "route"], sort=False)):
        chance = min(1.0, 10 / cell["gallery"].mean())
        ax.plot(chance, y, "x", color=GREY, label="chance" if y == 0 else None)
        _methods(cell, "centered_recall_at_10", y, ax)
    _cells(table, ax)
    ax.set_xlim(left=0)
    ax.set_xlabel(LABELS["centered_recall_at_10"])
    return ax


def _methods(cell: pd.DataFrame, name: str, y: int, ax: Axes) -> None:
    for index, row in enumerate(cell.to_dict("records")):
        label = row["method"] if y == 0 else None
        place = y + 0.14 * (index - (len(cell) - 1) / 2)
        ax.errorbar(row[name], place, xerr=row[f"{name}_sd"], elinewidth=0.6, label=label, **point(index))


def _cells(table: pd.DataFrame, ax: Axes) -> None:
    """A row for each pair and route, with its gallery."""
    cells = table.drop_duplicates(["pair", "route"]).to_dict("records")
    names = [str(cell["pair"]) for cell in cells]
    for code, readable in READABLE.items():
        names = [name.replace(code, readable) for name in names]
    facts = [f"{cell['route']}, gallery {cell['gallery']:.0f}" for cell in cells]
    rows(ax, [f"{name}\n{fact}" for name, fact in zip(names, facts, strict=True)])
    ax.grid(axis="y", color=PALE, linewidth=0.6)
    ax.set_axisbelow(True)
