"""Figure of the bench: throughput against quality, with the machine's limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from analysis.bench.record import median, values
from analysis.bench.summary import train_rate
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

    A point a contender, the range over rounds as a bar; open points are guided. Our closed forms are joined by a line.
    Vertical lines are the limits of any linear map: its matrix products at the machine's matrix rate, and its vectors
    at the machine's memory bandwidth.
    """
    ax = ax or plt.gca()
    best = content["optimum"] or 1.0
    sizes: list[tuple[float, float]] = []
    for index, row in enumerate(content["contenders"]):
        if what == "train":
            rates = {"cosine": train_rate(content, row)}
        else:
            rates = {
                "cosine": values(content, "translate", row["name"], "embeddings_per_second"),
                "guided_cosine": values(content, "translate guided", row["name"], "embeddings_per_second"),
            }
        for kind, rate in rates.items():
            cosine, middle = row["quality"].get(kind), median(rate)
            if cosine is None or middle is None:
                continue
            y = max(best - cosine, LEAST)
            spread = [[middle - min(rate.values())], [max(rate.values()) - middle]]
            plain = kind == "cosine"
            label = row["name"] if plain else None
            ax.errorbar(middle, y, xerr=spread, label=label, elinewidth=0.8, **point(index, full=plain))
            if not row["peer"] and not row["gradient"]:
                sizes.append((middle, y))
    if sizes:
        ax.plot(*zip(*sizes, strict=True), "-", zorder=0, **RULE)
    for x, name, line in _limits(content, what):
        ax.axvline(x, linestyle=line, **RULE)
        ax.annotate(
            name, (x, 0.02), (-2, 0), xycoords=("data", "axes fraction"), textcoords="offset points", rotation=90,
            ha="right", va="bottom", fontsize=NOTE, color=GREY,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    if not ax.yaxis_inverted():
        ax.invert_yaxis()
    said = f"best cosine {best:.3f}" if content["optimum"] else "1"
    ax.set_ylabel(f"{said} − test cosine")
    if what == "train":
        ax.set_xlabel("training pairs per second (closed forms: of the whole fit)")
    else:
        ax.set_xlabel(f"translations per second (diffusion: {content['settings']['steps']} steps; open: guided)")
    ax.set_title("Training" if what == "train" else "Translating")
    return ax


def _limits(content: Mapping[str, Any], what: str) -> list[tuple[float, str, Any]]:
    """Rows per second that no linear map of this machine can exceed."""
    rate = median(values(content, "float32", "machine", "flops_per_second"))
    copied = median(values(content, "bandwidth", "machine", "bytes_per_second"))
    k, d = content["dimensions"]["k"], content["dimensions"]["d"]
    products = k * (k + 2 * d) if what == "train" else 2 * k * d  # C^T C, symmetric, and C^T Z; or c M
    found: list[tuple[float, str, Any]] = []
    if rate:
        found.append((rate / products, "limit of the matrix rate, linear map", "--"))
    if copied:
        found.append((copied / (4 * (k + d)), "limit of the memory, linear map", ":"))
    return found
