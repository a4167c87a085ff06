"""Pairs of encoders side by side: the cosine between its floor and ceiling, and what the ranking says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from analysis.plots.style import COLOURS
from analysis.plots.translation import MARKERS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def cell_names(table: pd.DataFrame) -> list[str]:
    """What each pair and direction of a table is called on an axis, in its order: pair, direction and gallery."""
    cells = table.drop_duplicates(["pair", "direction"])
    return [f"{row['pair']}\n{row['direction']}, gallery {row['gallery']:.0f}" for row in cells.to_dict("records")]


def dumbbells(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The cosine of every method between floor (open) and ceiling (bar; 1 where none is known), a line a pair.

    `table` is that of `analysis.paper.tables.mean_and_spread` by pair, direction and method.
    """
    ax = ax or plt.gca()
    names = cell_names(table)
    for y, (_, cell) in enumerate(table.groupby(["pair", "direction"], sort=False)):
        low, known = cell["floor"].mean(), cell["ceiling"].astype(float).mean()
        high = known if np.isfinite(known) else 1.0
        ax.plot([low, high], [y, y], color="0.75", linestyle="-" if np.isfinite(known) else ":", linewidth=2, zorder=0)
        ax.plot(low, y, "o", color="0.4", markerfacecolor="white", label="floor" if y == 0 else None)
        ax.plot(high, y, "|", color="0.4", markersize=8, label="ceiling" if y == 0 else None)
        _methods(cell, "cosine", y, ax)
    _rows(names, ax)
    ax.set_xlabel("test cosine (dotted: no ceiling known)")
    return ax


def rankings(table: pd.DataFrame, ax: Axes | None = None, k: int = 10) -> Axes:
    """The centered recall@k of every method, a line a pair; the cross is chance, k of the gallery."""
    ax = ax or plt.gca()
    for y, (_, cell) in enumerate(table.groupby(["pair", "direction"], sort=False)):
        chance = min(1.0, k / cell["gallery"].mean())
        ax.plot(chance, y, "x", color="0.4", label="chance" if y == 0 else None)
        _methods(cell, f"centered_recall_at_{k}", y, ax)
    _rows(cell_names(table), ax)
    ax.set_xlim(left=0)
    ax.set_xlabel(f"centered recall@{k}")
    return ax


def _methods(cell: pd.DataFrame, name: str, y: int, ax: Axes) -> None:
    for index, row in enumerate(cell.to_dict("records")):
        ax.errorbar(
            row[name], y, xerr=row[f"{name}_sd"], linestyle="none", marker=MARKERS[index % len(MARKERS)],
            color=COLOURS[index % len(COLOURS)], elinewidth=0.6, label=row["method"] if y == 0 else None,
        )  # fmt: skip


def _rows(names: Sequence[str], ax: Axes) -> None:
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="y", color="0.93", linewidth=0.6)
    ax.set_axisbelow(True)
