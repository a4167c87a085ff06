"""Figures of rankings: the first results of queries as pictures, and what each score finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from analysis.plots.style import COLOURS, NOTE, PAGE, PALE, point, rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.experiments.retrieval import Sheet


def contact_sheet(sheet: Sheet, pictures: Mapping[str, np.ndarray], asked: Mapping[str, str]) -> Figure:
    """One block a query, one line a way to rank: the pictures of its first results, best first.

    The right item stands on the left, and is framed where it is found.

    Parameters
    ----------
    sheet : keys of queries and results.
    pictures : key -> (h, w, 3) uint8, of every key in the sheet.
    asked : key -> what the query says.
    """
    ways, k = list(sheet.results), next(iter(sheet.results.values())).shape[1]
    block, left = len(ways) + 0.5, 2.4
    height = block * len(sheet.queries)
    figure, ax = plt.subplots(figsize=(PAGE, PAGE * height / (k + left)))
    for number, query in enumerate(sheet.queries):
        top = number * block
        ax.imshow(pictures[query], extent=(-left, -left + 1, top + 1.4, top + 0.4))
        ax.text(-left + 0.05, top + 0.3, asked[query], fontsize=NOTE + 1, va="bottom")
        for line, way in enumerate(ways):
            y = top + line + 0.4
            ax.text(-0.1, y + 0.5, way, fontsize=NOTE, ha="right", va="center")
            for place, key in enumerate(sheet.results[way][number]):
                ax.imshow(pictures[key], extent=(place + 0.04, place + 0.96, y + 0.96, y + 0.04))
                found = key == query
                edge = {"edgecolor": COLOURS[1], "linewidth": 1.6} if found else {"edgecolor": PALE, "linewidth": 0.4}
                ax.add_patch(Rectangle((place + 0.04, y + 0.04), 0.92, 0.92, fill=False, **edge))
    ax.set_xlim(-left, k)
    ax.set_ylim(height, 0)
    ax.set_aspect("equal")
    ax.axis("off")
    return figure


def recalls(table: pd.DataFrame, measure: str = "recall_at_10", label: str = "recall@10") -> Figure:
    """A measure of every method by every score, one panel a route; means over splits and their standard deviation.

    `table` has `route`, `method`, `score`, `transductive`, and the measure with its `_sd`; open points are transductive.
    """
    routes = table["route"].unique()
    figure, axes = plt.subplots(1, len(routes), figsize=(PAGE, 2.6), sharey=True, squeeze=False)
    names = table["score"].unique().tolist()
    for ax, route in zip(axes[0], routes, strict=True):
        part = table[table["route"] == route]
        for index, (method, own) in enumerate(part.groupby("method", sort=False)):
            for transductive, some in own.groupby("transductive"):
                at = [names.index(score) + 0.15 * (index - 1) for score in some["score"]]
                label_of = None if transductive else method
                style = point(index, full=not transductive)
                ax.errorbar(some[measure], at, xerr=some[f"{measure}_sd"], label=label_of, elinewidth=0.6, **style)
        rows(ax, names)
        ax.set_xlim(left=0.0)
        ax.set_xlabel(f"{label} of {part['gallery'].iloc[0]:.0f}")
        ax.set_title(route)
    axes[0][0].legend(loc="lower left")
    return figure


def openmoji_pictures(keys: set[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The pictures of OpenMoji with these keys, (224, 224, 3) uint8, and their names."""
    from modtrans_core.embed import load_source

    items = [item for item in load_source("openmoji").items if item.key in keys]
    drawn = {item.key: item.values["image"]() for item in items}
    return drawn, {item.key: item.values["text"][0] for item in items}
