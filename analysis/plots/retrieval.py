"""Figures of rankings: the first results of queries as pictures, and what each score finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from analysis.plots.style import COLOURS, PAGE, PALE, RULE, panels, plain, point, rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@plain
def blocks(sheet: pd.DataFrame, pictures: Mapping[str, np.ndarray], asked: Mapping[str, str]) -> Figure:
    """One block a query, one line a way to rank: the pictures of its first results, best first.

    The right item stands on the left, and is framed where it is found.

    Parameters
    ----------
    sheet : `query`, `way`, `place` and `key` of every result.
    pictures : key -> (h, w, 3) uint8, of every key in the sheet.
    asked : key -> what the query says.
    """
    queries, ways, k = (list(sheet[name].unique()) for name in ("query", "way", "place"))
    block, left = len(ways) + 0.5, 2.4
    height = block * len(queries)
    figure, ((ax,),) = panels(PAGE * height / (len(k) + left))
    small = plt.rcParams["legend.fontsize"]
    for number, query in enumerate(queries):
        top = number * block
        ax.imshow(pictures[query], extent=(-left, -left + 1, top + 1.4, top + 0.4))
        ax.text(-left + 0.05, top + 0.3, asked[query], va="bottom")
        for line, way in enumerate(ways):
            y = top + line + 0.4
            ax.text(-0.1, y + 0.5, way, fontsize=small, ha="right", va="center")
            of_way = sheet[(sheet["query"] == query) & (sheet["way"] == way)]
            for place, key in zip(of_way["place"], of_way["key"], strict=True):
                ax.imshow(pictures[key], extent=(place + 0.04, place + 0.96, y + 0.96, y + 0.04))
                found = key == query
                edge: dict[str, Any] = (
                    {"edgecolor": COLOURS[1], "linewidth": 1.6} if found else {"edgecolor": PALE, "linewidth": 0.4}
                )
                ax.add_patch(Rectangle((place + 0.04, y + 0.04), 0.92, 0.92, fill=False, **edge))
    ax.set_xlim(-left, len(k))
    ax.set_ylim(height, 0)
    ax.set_aspect("equal")
    ax.axis("off")
    return figure


@plain
def contact_sheet(sheet: pd.DataFrame) -> Figure:
    """What queries find: the first pictures by each way to rank, the right one framed."""
    keys = set(sheet["query"]).union(sheet["key"])
    return blocks(sheet, *openmoji_pictures(keys))


@plain
def pictures_found(sheet: pd.DataFrame) -> Figure:
    """In place of a generated picture: the pictures nearest to the translation of a text, the right one framed."""
    return contact_sheet(sheet)


@plain
def recalls(retrieval: pd.DataFrame) -> Figure:
    """Recall@10 of every map by every score, a panel a route; open where a score looks at the other queries."""
    routes = retrieval["route"].unique()
    figure, (axes,) = panels(2.6, len(routes), sharey=True)
    for ax, route in zip(axes, routes, strict=True):
        by_score(retrieval[retrieval["route"] == route], "recall_at_10", ax)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=6)
    return figure


@plain
def by_score(table: pd.DataFrame, measure: str, ax: Axes | None = None) -> Axes:
    """A measure of every method by every score on one route; means over splits and their standard deviation.

    `table` has `route`, `method`, `score`, `transductive`, `gallery`, the measure and its `_sd`. Transductive points
    are open; the dotted line is chance where the measure is recall@10.
    """
    ax = ax or plt.gca()
    names = table["score"].unique().tolist()
    gallery = table["gallery"].iloc[0]
    for index, (method, own) in enumerate(table.groupby("method", sort=False)):
        for transductive, some in own.groupby("transductive"):
            at = [names.index(score) + 0.15 * (index - 1) for score in some["score"]]
            style = point(index, full=not transductive)
            label = None if transductive else method
            ax.errorbar(some[measure], at, xerr=some[f"{measure}_sd"], label=label, elinewidth=0.6, **style)
    if measure == "recall_at_10":
        ax.axvline(10 / gallery, linestyle=":", label="chance", **RULE)
    rows(ax, names)
    ax.set_xlim(left=0.0)
    ax.set_xlabel(f"{measure.replace('_at_', '@')} of {gallery:.0f} (open: looks at the other queries)")
    ax.set_title(table["route"].iloc[0])
    return ax


def openmoji_pictures(keys: set[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The pictures of OpenMoji with these keys, (224, 224, 3) uint8, and their names."""
    from modtrans_core.embed import load_source

    items = [item for item in load_source("openmoji").items if item.key in keys]
    drawn = {item.key: item.values["image"]() for item in items}
    return drawn, {item.key: item.values["text"][0] for item in items}
