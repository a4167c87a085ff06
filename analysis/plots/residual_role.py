"""Figures of the residual's role: does the expected cosine come true, and what a law of F adds to the simplest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from analysis.experiments.residual_role import MEAN
from analysis.plots.style import COLOURS, LABELS, RULE, ZERO, beside, colour, panels, plain, point, rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MEASURES = ("energy", "energy_leading", "set_size", "best_recall_at_10")


@plain
def reliability(reliability_bins: pd.DataFrame, reliability: pd.DataFrame) -> Figure:
    """Does the expected cosine come true? Observed against expected, in bins of equally many items, by seed."""
    figure, (axes,) = panels(2.7, 3, sharey=True)
    for ax, (seed, facts) in zip(axes, reliability.groupby("seed"), strict=False):
        diagram(reliability_bins[reliability_bins["seed"] == seed], facts.iloc[0], ax)
    for ax in axes[len(reliability) :]:
        ax.set_axis_off()
    for ax in axes[1:]:
        ax.set_ylabel("")
    return figure


@plain
def draws(differences: pd.DataFrame) -> Figure:
    """What a law of F adds to the Gaussian one: forecasts, sets and lists of draws, by law and route."""
    figure, (axes,) = panels(2.6, len(MEASURES), sharey="row")
    shown = differences[(differences["law"] != MEAN) | ~differences["measure"].str.startswith("energy")]
    for measure, ax in zip(MEASURES, axes, strict=True):  # m alone is far off in energy: see the table
        last = difference(shown, measure, ax)
    beside(axes[-1], last)
    return figure


@plain
def diagram(bins: pd.DataFrame, facts: pd.Series, ax: Axes | None = None) -> Axes:
    """Observed against expected cosine with the interval of each mean; on the diagonal a prediction comes true.

    Parameters
    ----------
    bins : of `analysis.theory.reliability.reliability`, of one seed.
    facts : its `seed`, `error`, `error_by_chance` and `rank_correlation`.
    """
    ax = ax or plt.gca()
    low, high = bins["low"].clip(lower=-1), bins["high"].clip(upper=1)
    ends = [min(bins["expected"].min(), low.min()) - 0.02, min(1.0, max(bins["expected"].max(), high.max()) + 0.02)]
    ax.plot(ends, ends, linestyle=":", **RULE)
    reach = [bins["observed"] - low, high - bins["observed"]]
    ax.errorbar(bins["expected"], bins["observed"], reach, fmt="o", color=COLOURS[0], elinewidth=0.8, capsize=1.5)
    ax.set(xlabel=r"expected cosine $|\hat z|$, mean of a bin", ylabel="mean test cosine, 95% interval")
    ax.set_title(
        f"seed {facts['seed']:.0f}, n = {bins['n'].sum():,}, rank correlation {facts['rank_correlation']:.2f}\n"
        f"error {facts['error']:.3f} ({facts['error_by_chance']:.3f} by chance)"
    )
    ax.set(xlim=ends, ylim=ends, box_aspect=1)
    return ax


@plain
def difference(table: pd.DataFrame, measure: str, ax: Axes) -> list[tuple[str, float, float, str]]:
    """How far each law of F is from the Gaussian one, with its interval: a row a law, a colour a route.

    `table` is of `analysis.experiments.residual_role.compared`; every law in it has its row, whatever was measured.

    Returns
    -------
    The names of the routes with the points of the last law that was measured, for `beside`.
    """
    laws, found = list(table["law"].unique()), table[table["measure"] == measure]
    routes = list(found["route"].unique())
    last = []
    for index, route in enumerate(routes):
        part = found[found["route"] == route].set_index("law").reindex(laws)
        y = np.arange(len(laws)) + 0.22 * (index - (len(routes) - 1) / 2)
        reach = np.array([part["difference"] - part["low"], part["high"] - part["difference"]])
        ax.errorbar(part["difference"].to_numpy(), y, xerr=reach, elinewidth=0.8, label=route, **point(index))
        at = np.flatnonzero(part["difference"].notna())[-1]
        last.append((route, part["high"].iloc[at], y[at], colour(index)))
    ax.axvline(0.0, **ZERO)
    rows(ax, laws)
    ax.set_xlabel(f"{LABELS.get(measure, measure)},\nless the Gaussian law's")
    return last
