"""Figures of a comparison of translators: cosine between floor and ceiling, cosine against recall, gamma."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import pyplot as plt

from analysis.plots.style import (
    COLUMN,
    GREY,
    INK,
    LABELS,
    PALE,
    RULE,
    beside,
    by_route,
    colour,
    in_print,
    note,
    over_seeds,
    panels,
    plain,
    rows,
    seeds,
)
from modtrans_core.checks import refuse_unless

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS = "calibrated"


@plain
def cosine(runs: pd.DataFrame) -> Figure:
    """The test cosine of every method above the floor, in both directions."""
    figure, parts = by_route(runs, 2.8)
    for ax, part in parts:
        summary(part, ax)
    return figure


@plain
def cosine_recall(runs: pd.DataFrame) -> Figure:
    """The test cosine of every method against its recall@10, plain and centered, in both directions."""
    figure, parts = by_route(runs, 2.8)
    for ax, part in parts:
        cosine_and_recall(part, ax)
    figure.legend(*parts[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


@plain
def gamma(gamma_curve: pd.DataFrame) -> Figure:
    """The test cosine of the trained parts as gamma grows past the poster's 1, in both directions."""
    figure, ((ax,),) = panels(2.4, width=COLUMN)
    gamma_curves(gamma_curve, ax)
    return figure


@plain
def summary(scores: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The cosine of every method: each seed a dot, the mean a bar with its number, between floor and ceiling.

    What is far below the floor stands left of a break of the axis.

    `scores` has `method`, `seed`, `cosine`, `floor`, `ceiling`, `route` (one value).
    """
    ax = ax or plt.gca()
    methods = list(scores["method"].unique())
    low, high = scores["floor"].mean(), scores["ceiling"].astype(float).mean()
    mean = scores.groupby("method")["cosine"].mean()
    edge = _edge(low, mean, 1.2)
    near = scores[scores["method"].map(mean).astype(float) >= edge]
    left, right = min(low, near["cosine"].min()), max(near["cosine"].max(), high if np.isfinite(high) else low)
    wide = right - left or 0.1  # where all are the same
    left, right = left - 0.36 * wide, right + 0.16 * wide
    ax.set_xlim(left, right)
    rows(ax, [in_print(method) for method in methods])
    ax.axvline(low, linestyle="--", **RULE)
    note(ax, f"floor {low:.3f}", (low, len(methods) - 0.5), (2, 3), color=GREY)
    if np.isfinite(high):
        ax.axvline(high, linestyle=":", **RULE)
        ax.axvspan(low, high, color=PALE, alpha=0.4, zorder=0)
        note(ax, f"ceiling {high:.3f}", (high, len(methods) - 0.5), (-2, 3), color=GREY)
    for y, method in enumerate(methods):
        values, own = scores.loc[scores["method"] == method, "cosine"], colour(int("poster" in method or "F" in method))
        own = INK if method == OURS else own
        if mean[method] < edge:
            ax.plot(left + 0.03 * (right - left), y, "o", color=own, markersize=2.5)
            note(ax, f"{mean[method]:.3f}".replace("-", "−"), (left + 0.03 * (right - left), y), (4, 0), va="center")
            ax.set_xticks([tick for tick in ax.get_xticks() if left + 0.12 * (right - left) < tick < right])
            ax.text(0.075, 0, "//", transform=ax.transAxes, ha="center", va="center", backgroundcolor="white",
                    bbox={"pad": 0, "facecolor": "white", "edgecolor": "none"}, zorder=5)  # fmt: skip
            continue
        ax.plot(values, np.full(len(values), y), "o", color=own, markersize=2.5, alpha=0.6)
        ax.plot([mean[method]] * 2, [y - 0.3, y + 0.3], "-", color=own, linewidth=1.6)
        below = mean[method] < low - 1e-6  # the note is on the side where the floor's line is not
        at = values.min() if below else values.max()
        note(ax, f"{mean[method]:.3f}", (at, y), (-4 if below else 4, 0), va="center")
    ax.set_xlabel(rf"{LABELS['cosine']} $\cos(z, \hat z)$")
    ax.set_title(f"{scores['route'].iloc[0]}, {seeds(scores['seed'].nunique())}")
    return ax


@plain
def cosine_and_recall(scores: pd.DataFrame, ax: Axes | None = None, k: int = 10) -> Axes:
    """Mean cosine against recall@k of every method: a dot by the raw ranking, a large ring by the centered one.

    A line joins the two, and the ring has the name."""
    ax = ax or plt.gca()
    mean = scores.groupby("method", sort=False).mean(numeric_only=True)
    floor = float(mean["floor"].iloc[:1].mean())
    edge = _edge(floor, mean["cosine"], 0.6)
    names = []
    for index, (method, row) in enumerate(mean.iterrows()):
        raw, centered = row[f"recall_at_{k}"], row[f"centered_recall_at_{k}"]
        x, own = max(row["cosine"], edge), INK if method == OURS else colour(index)
        far = f" (at {row['cosine']:.2f})" if row["cosine"] < edge else ""
        ax.plot([x] * 2, [raw, centered], color=own, linewidth=0.6, linestyle="-")
        ring: dict[str, Any] = {
            "markersize": 5.5,
            "markerfacecolor": "white",
            "color": own,
            "linestyle": "none",
            "marker": "o",
        }
        ax.plot(x, raw, "o", color=own, markersize=3, label=None if index else "plain ranking")
        ax.plot(x, centered, label=None if index else "centered ranking", **ring)
        names.append((f"{method}{far}", x, centered, own))
    ax.axvline(floor, linestyle="--", **RULE)
    ax.set_xlabel(f"{LABELS['cosine']} (dashed: floor)")
    ax.set_ylabel(f"recall@{k} of {mean['gallery'].iloc[0]:.0f}")
    ax.set_title(f"{scores['route'].iloc[0]}, {seeds(scores['seed'].nunique())}")
    ax.set_ylim(bottom=0)
    beside(ax, names)
    return ax


def _edge(floor: float, mean: pd.Series, share: float) -> float:
    """Below which a method is far from the others: a share of the way between floor and best, below the lower one.

    Raises
    ------
    ValueError
        No method has a cosine.
    """
    refuse_unless(bool(np.isfinite(mean).any()), "cosine", mean.tolist(), "a number for one method or more")
    best = float(mean.max())
    return min(floor, best) - share * max(abs(best - floor), 0.01)


@plain
def gamma_curves(curve: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The mean test cosine of p + gamma f as gamma grows, one line for each route, the range over seeds shaded.

    `curve` has `route`, `seed`, `gamma`, `cosine`.
    """
    ax = ax or plt.gca()
    for index, (route, part) in enumerate(curve.groupby("route", sort=False)):
        spread = over_seeds(part.set_index("gamma")["cosine"], index, ax, label=route)
        ax.plot(spread["mean"].idxmax(), spread["mean"].max(), "o", color=colour(index))
    ax.axvline(1, linestyle=":", **RULE)
    ax.set_xlabel(r"$\gamma$ (dotted: the poster's; dot: best)")
    ax.set_ylabel(rf"{LABELS['cosine']} of $cM + \gamma F(c)$")
    ax.legend()
    return ax
