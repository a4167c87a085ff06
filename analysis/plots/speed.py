"""Figure of the bench: throughput against quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from analysis.bench.report import median, rates, values
from analysis.plots.style import GREY, RULE, beside, colour, note, panels, plain, point

LEAST = 1e-3
"""distance to the best cosine that is still drawn apart"""


def measured(content: Mapping[str, Any]) -> pd.DataFrame:
    """What the figure shows of the content of `bench.json`.

    Returns
    -------
    One row a contender and `what` (train, translate): its `name`, the median, least and largest `rate` over rounds
    (`rate`, `low`, `high`), its test `cosine`, whether it is a `peer`; the `limit` that the machine's matrix rate sets
    to a linear map, by its products with every row or its normal equations; the `optimum`, 1 where it is not known;
    and the diffusion `steps`.
    """
    k, d = content["dimensions"]["k"], content["dimensions"]["d"]
    flops = median(values(content, "float32", "machine", "flops_per_second").values())
    products = {"train": k * (k + 2 * d), "translate": 2 * k * d}  # C^T C, symmetric, and C^T Z; or c M
    facts = {"optimum": content["optimum"] or 1.0, "steps": content["settings"]["steps"]}
    rows = []
    for what, of in products.items():
        for row in content["contenders"]:
            found = rates(content, row, what).values()
            spread = {"rate": median(found), "low": min(found), "high": max(found)}
            quality = {"cosine": row["quality"]["cosine"], "peer": row["peer"], "limit": flops / of}
            rows.append({"name": row["name"], "what": what, **spread, **quality, **facts})
    return pd.DataFrame(rows)


@plain
def speed(speed: pd.DataFrame) -> Figure:
    """Throughput of training and of translating against quality, beside what the machine allows a linear map."""
    figure, (axes,) = panels(3.1, 2, sharey=True)
    for ax, (what, part) in zip(axes, speed.groupby("what", sort=False), strict=True):
        throughput(part, str(what), ax)
    axes[1].set_ylabel("")
    return figure


@plain
def throughput(table: pd.DataFrame, what: str, ax: Axes | None = None) -> Axes:
    """Throughput (log) against what is missing from the best test cosine (log, upside down: better is higher).

    A point a contender with its name, the range over rounds as a bar; published peers are open. The vertical line is
    what the machine's matrix rate allows a linear map.
    """
    ax = ax or plt.gca()
    best, limit = table["optimum"].iloc[0], table["limit"].iloc[0]
    ax.set(xscale="log", yscale="log")
    names = []
    for index, row in enumerate(table.to_dict("records")):
        y, spread = max(best - row["cosine"], LEAST), [[row["rate"] - row["low"]], [row["high"] - row["rate"]]]
        ax.errorbar(row["rate"], y, xerr=spread, elinewidth=0.8, **point(index, full=not row["peer"]))
        names.append((row["name"], row["rate"], y, colour(index)))
    ax.axvline(limit, linestyle="--", **RULE)
    note(
        ax, "limit of a linear map", (limit, 0.27), (-2, 0), xycoords=("data", "axes fraction"), rotation=90,
        va="center", color=GREY, zorder=5, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0},
    )  # fmt: skip
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    if not ax.yaxis_inverted():
        ax.invert_yaxis()
    said = "1" if best == 1 else f"best cosine {best:.3f}"
    ax.set_ylabel(f"{said} − test cosine (up: better)")
    if what == "train":
        ax.set_xlabel("training pairs per second (closed forms: of the whole fit)")
    else:
        ax.set_xlabel(f"translations per second (diffusion: {table['steps'].iloc[0]} steps)")
    ax.set_title(f"{'Training' if what == 'train' else 'Translating'} (to the right: faster; open: published peers)")
    beside(ax, names)
    return ax
