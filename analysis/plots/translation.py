"""Figures of a comparison of translators: cosine between floor and ceiling, cosine against recall, gamma."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import pyplot as plt

from analysis.plots.style import LABELS, NOTE, PALE, RULE, colour, in_print, over_seeds, point

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def summary(scores: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The cosine of every method: each seed a dot, the mean a bar, between floor and ceiling.

    What is far below the floor is an arrow at the left edge with its mean beside it.

    `scores` has `method`, `seed`, `cosine`, `floor`, `ceiling`, `route` (one value).
    """
    ax = ax or plt.gca()
    methods = list(scores["method"].unique())[::-1]
    low, high = scores["floor"].mean(), scores["ceiling"].astype(float).mean()
    ax.axvline(low, linestyle="--", label=f"floor {low:.3f}", **RULE)
    if np.isfinite(high):
        ax.axvline(high, linestyle=":", label=f"ceiling {high:.3f}", **RULE)
        ax.axvspan(low, high, color=PALE, alpha=0.4, zorder=0)
    mean = scores.groupby("method")["cosine"].mean()
    edge = low - 1.2 * (mean.max() - low)
    for y, method in enumerate(methods):
        values, own = scores.loc[scores["method"] == method, "cosine"], colour(int("poster" in method or "F" in method))
        if values.mean() < edge:
            note = f"$\\leftarrow$ {values.mean():.3f}"
            ax.text(0.01, y, note, transform=ax.get_yaxis_transform(), va="center", fontsize=NOTE, color=own)
            continue
        ax.plot(values, np.full(len(values), y), "o", color=own, markersize=2.5, alpha=0.6)
        ax.plot([values.mean()] * 2, [y - 0.3, y + 0.3], "-", color=own, linewidth=1.6)
        note = f"{values.mean():.3f}"
        look: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": NOTE}
        if values.mean() < low - 1e-6:  # the note is on the side where the floor's line is not
            ax.annotate(note, (values.min(), y), (-4, 0), ha="right", **look)
        else:
            ax.annotate(note, (values.max(), y), (4, 0), **look)
    ax.set_yticks(range(len(methods)), map(in_print, methods))
    ax.set_ylim(-0.6, len(methods) - 0.4)
    left, right = low, max(mean.max(), high if np.isfinite(high) else low)
    left = min(left, scores.loc[scores["method"].map(mean) >= edge, "cosine"].min())
    room = 0.28 if mean.min() < low - 1e-6 else 0.12  # for notes
    ax.set_xlim(left - room * (right - left), right + 0.14 * (right - left))
    ax.set_xlabel(rf"{LABELS['cosine']} $\cos(z, \hat z)$")
    ax.set_title(f"{scores['route'].iloc[0]}, seeds: {scores['seed'].nunique()}")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2)
    return ax


def cosine_and_recall(scores: pd.DataFrame, ax: Axes | None = None, k: int = 10) -> Axes:
    """Mean cosine against recall@k of every method: filled by the raw ranking, open by the centered one.

    A thin line joins the two."""
    ax = ax or plt.gca()
    mean = scores.groupby("method", sort=False).mean(numeric_only=True)
    for index, (method, row) in enumerate(mean.iterrows()):
        raw, centered = row[f"recall_at_{k}"], row[f"centered_recall_at_{k}"]
        ax.plot([row["cosine"]] * 2, [raw, centered], color=colour(index), linewidth=0.6, linestyle="-")
        ax.plot(row["cosine"], raw, label=in_print(method), **point(index))
        ax.plot(row["cosine"], centered, **{**point(index, full=False), "markersize": 4.5})
    ax.axvline(mean["floor"].iloc[0], linestyle="--", **RULE)
    ax.set_xlabel(f"{LABELS['cosine']} (dashed: floor)")
    ax.set_ylabel(f"recall@{k} of {mean['gallery'].iloc[0]:.0f}")
    ax.set_title(f"{scores['route'].iloc[0]} (open: centered ranking)")
    ax.set_ylim(bottom=0)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


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
