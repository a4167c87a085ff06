"""Figures of what a cosine says of a ranking: the cosine that is needed, and what a longer deviation does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from analysis.plots.style import RULE, colour, line, note, panels, plain, seeds

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@plain
def cosine_to_recall(items: pd.DataFrame, length_runs: pd.DataFrame) -> Figure:
    """The cosine that forces a rank beside the one that is had, and what a longer deviation does to the recall."""
    figure, ((left, right),) = panels(2.5, 2)
    needed(items, left)
    shrinking(length_runs, right)
    return figure


@plain
def needed(items: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of the items below a cosine: of the one that forces rank 1 or 10, and of the one that a map has.

    `items` has `needed_1`, `needed_10`, `cosine`, of all seeds together.
    """
    ax = ax or plt.gca()
    names = {"cosine": "obtained (ridge)", "needed_10": "needed for rank 10", "needed_1": "needed for rank 1"}
    for index, (column, label) in enumerate(names.items()):
        values = np.sort(items[column])
        ax.plot(values, np.arange(1, len(values) + 1) / len(values), label=label, **line(index))
    ax.set_xlim(max(0.0, items["cosine"].min()), 1.0)
    ax.set_ylim(0.0, 1.0)
    ax.set_xlabel(r"cosine $\cos(z, \hat z)$")
    ax.set_ylabel("share of items at or below")
    ax.set_title(f"{items['route'].iloc[0]}, test items: {len(items):,}")
    ax.legend(loc="upper left")
    return ax


@plain
def shrinking(lengths: pd.DataFrame, ax: Axes | None = None, k: int = 10) -> Axes:
    """Recall@k against the mean cosine along mean + t delta, measured and by the law; mean over seeds.

    `lengths` has `t`, `cosine`, `recall_at_k` and `law_at_k`; t = inf is the centered ranking by delta.
    """
    ax = ax or plt.gca()
    mean = lengths.groupby("t").mean(numeric_only=True)
    raw, centered = mean[np.isfinite(mean.index)], mean.loc[np.inf]
    ax.plot(raw["cosine"], raw[f"recall_at_{k}"], marker="o", label="raw, measured", **line(0))
    ax.plot(raw["cosine"], raw[f"law_at_{k}"], marker="s", markerfacecolor="white", label="raw, law", **line(1))
    ax.axhline(centered[f"recall_at_{k}"], linestyle=":", label="centered, measured", **RULE)
    for t, row in raw.iterrows():
        at = (row["cosine"], row[f"recall_at_{k}"])
        aside = (-3, 3) if t < 1 else (3, 3) if t == 1 else (-1, -9)  # clear of the line, which turns near t = 1
        note(ax, f"{t:g}", at, aside, color=colour(0))
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel(r"test cosine of mean $+\ t\,\delta$ (numbers: $t$)")
    ax.set_ylabel(f"recall@{k} of {raw['gallery'].iloc[0]:.0f}")
    ax.set_title(f"{lengths['route'].iloc[0]}, {seeds(lengths['seed'].nunique())}")
    ax.legend(loc="best")
    return ax
