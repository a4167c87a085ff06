"""Figure of the bench: throughput against quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from analysis.bench.report import median, rates, values
from analysis.plots.style import GREY, NOTE, PAGE, RULE, point

LEAST = 1e-3
"""distance to the best cosine that is still drawn apart"""


def both(content: Mapping[str, Any]) -> Figure:
    """Training and translating side by side, with one legend: `content` is that of `bench.json`."""
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 3.1), sharey=True)
    throughput(content, "train", axes[0])
    throughput(content, "translate", axes[1])
    axes[1].set_ylabel("")
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def throughput(content: Mapping[str, Any], what: Literal["train", "translate"], ax: Axes | None = None) -> Axes:
    """Throughput (log) against what is missing from the best test cosine (log, upside down: better is higher).

    A point a contender, the range over rounds as a bar. The vertical line is what the machine's matrix rate allows a
    linear map: its products with every row, or its normal equations.
    """
    ax = ax or plt.gca()
    best = content["optimum"] or 1.0
    for index, row in enumerate(content["contenders"]):
        rate = rates(content, row, what).values()
        middle, y = median(rate), max(best - row["quality"]["cosine"], LEAST)
        spread = [[middle - min(rate)], [max(rate) - middle]]
        ax.errorbar(middle, y, xerr=spread, label=row["name"], elinewidth=0.8, **point(index, full=True))
    k, d = content["dimensions"]["k"], content["dimensions"]["d"]
    products = k * (k + 2 * d) if what == "train" else 2 * k * d  # C^T C, symmetric, and C^T Z; or c M
    limit = median(values(content, "float32", "machine", "flops_per_second").values()) / products
    ax.axvline(limit, linestyle="--", **RULE)
    ax.annotate(
        "limit of the matrix rate, linear map", (limit, 0.02), (-2, 0), xycoords=("data", "axes fraction"),
        textcoords="offset points", rotation=90, ha="right", va="bottom", fontsize=NOTE, color=GREY,
    )  # fmt: skip
    ax.set(xscale="log", yscale="log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    if not ax.yaxis_inverted():
        ax.invert_yaxis()
    said = f"best cosine {best:.3f}" if content["optimum"] else "1"
    ax.set_ylabel(f"{said} − test cosine (up: better)")
    if what == "train":
        ax.set_xlabel("training pairs per second (closed forms: of the whole fit)")
    else:
        ax.set_xlabel(f"translations per second (diffusion: {content['settings']['steps']} steps)")
    ax.set_title(f"{'Training' if what == 'train' else 'Translating'} (to the right: faster)")
    return ax
