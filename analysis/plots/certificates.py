"""Figures of one test set: cosines between floor and ceiling, what sampling costs, certificates and their premise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from analysis.plots.style import BAND, COLOURS, COLUMN, PAGE, PALE, RULE, ZERO, note, panels, plain, rows
from analysis.theory.samples import sampling_law


@plain
def limits(limits: pd.DataFrame) -> Figure:
    """Cosines of simple translators between floor and ceiling, each with its interval over groups."""
    figure, ((ax,),) = panels(0.45 * len(limits) + 1, width=PAGE / 2)
    between(limits, ax)
    return figure


@plain
def sampling(sampling: pd.DataFrame) -> Figure:
    """The cosine of the mean of K perfect samples, beside its law and the conditional mean's."""
    figure, ((ax,),) = panels(2.4, width=COLUMN)
    of_samples(sampling, ax)
    return figure


@plain
def certificates(survival: pd.DataFrame, dominance: pd.DataFrame) -> Figure:
    """How often each cosine is reached, within certified bands, and whether F does at least as well as chance."""
    figure, ((left, right),) = panels(2.6, 2)
    reached(survival, left)
    above_chance(dominance, right)
    return figure


@plain
def usable(risk_curves: pd.DataFrame, selections: pd.DataFrame) -> Figure:
    """How many translations may be used at which risk: the share that misses a cosine, for up to three seeds."""
    seeds = list(selections["seed"].unique())[:3]
    figure, (axes,) = panels(2.4, 3, sharey=True)
    for ax, seed in zip(axes, seeds, strict=False):
        curves, chosen = (table[table["seed"] == seed] for table in (risk_curves, selections))
        risk_coverage(curves, chosen, ax).set_title(f"seed {seed}")
    for ax in axes[len(seeds) :]:
        ax.set_axis_off()
    for ax in axes[1:]:
        ax.set_ylabel("")
    axes[0].legend(loc="upper right")
    return figure


@plain
def between(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One row a translator: its cosine with its interval, between floor and ceiling with theirs (shaded).

    `table` is that of `analysis.experiments.limits_certificates.table`: one test set, so that floor and ceiling are
    common to all.
    """
    ax = ax or plt.gca()
    first = table.iloc[0]
    for name, style in (("floor", "--"), ("ceiling", "-")):
        if pd.notna(first[name]):
            ax.axvspan(first[f"{name}_low"], first[f"{name}_high"], color=PALE, linewidth=0)
            ax.axvline(first[name], linestyle=style, label=f"{name} {first[name]:.3f}", **RULE)
    for y, own in enumerate(table.itertuples()):
        ax.plot([own.low, own.high], [y, y], "-", color=COLOURS[0])
        ax.plot(own.cosine, y, "o", color=COLOURS[0])
    ax.set_xlabel(f"mean cosine, {first['confidence']:.0%} interval over {first['groups']:,.0f} groups")
    skills = ["none" if pd.isna(skill) else f"{skill:z.2f}" for skill in table["skill"]]
    names = zip(table["translator"], table["cosine"], skills, strict=True)
    rows(ax, [f"{name}\n{cosine:.3f}, skill {skill}" for name, cosine, skill in names])
    ax.margins(x=0.15)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax


@plain
def of_samples(measured: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Cosine of the mean of K samples: the law for |E[z|c]| = `length` and measured points with intervals.

    Parameters
    ----------
    measured : tidy, columns `samples`, `value`, `low`, `high`, and the one `length`.
    """
    ax = ax or plt.gca()
    length = measured["length"].iloc[0]
    samples = np.geomspace(1, measured["samples"].max(), 200)
    ax.plot(samples, sampling_law(length, samples), label=r"$m^2 / \sqrt{m^2 + (1 - m^2)/K}$")
    ax.axhline(length, linestyle="--", label=f"conditional mean, $m={length:.3f}$", **RULE)
    error = [measured["value"] - measured["low"], measured["high"] - measured["value"]]
    ax.errorbar(measured["samples"], measured["value"], error, fmt="o", color=COLOURS[1], label="perfect sampler")
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="samples $K$", ylabel="mean cosine")
    ax.legend(loc="lower right")
    return ax


@plain
def reached(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """How often each cosine is reached: observed curves, thin the edges of their certified bands, and bounds.

    Parameters
    ----------
    table : `name`, `alpha`, `observed`, and the edges `low` and `high`, missing of what is a bound.
    """
    ax = ax or plt.gca()
    for name, curve in table.groupby("name", sort=False):
        (line,) = ax.plot(curve["alpha"], curve["observed"], label=name)
        for edge in ("low", "high"):
            if curve[edge].notna().all():
                look = {"color": line.get_color(), "linestyle": "-", "linewidth": 0.5, "alpha": 0.7}
                ax.plot(curve["alpha"], curve[edge], **look)
    ax.set(xlabel=r"$\alpha$", ylabel=r"share with $\cos(z, \hat{z}) \geq \alpha$", ylim=(0, 1.02))
    ax.legend(loc="lower left")
    return ax


def share_beaten(beaten: Mapping[str, np.ndarray], level: float = 0.05, points: int = 400) -> pd.DataFrame:
    """How much more often than a random direction each trained one beats no more than a share v of the random ones.

    Parameters
    ----------
    beaten : name -> (N,), V of `analysis.theory.dominance`, independent.
    level : of the test.

    Returns
    -------
    `name`, `v`, `excess` F_N(v) - v, the number `n` and the `critical` value of the smallest sample.
    """
    fewest, v = min(map(len, beaten.values())), np.linspace(0.0, 1.0, points)
    tables = [
        pd.DataFrame({"name": name, "v": v, "excess": np.searchsorted(np.sort(own), v, side="right") / len(own) - v})
        for name, own in beaten.items()
    ]
    return pd.concat(tables, ignore_index=True).assign(n=fewest, critical=stats.ksone.isf(level, fewest))


@plain
def above_chance(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The excess of `share_beaten`, a line a direction; one that dominates stays below zero.

    Dominance is refuted above the dashed line, the one-sided Kolmogorov-Smirnov critical value of the smallest sample.
    """
    ax = ax or plt.gca()
    for name, curve in table.groupby("name", sort=False):
        ax.plot(curve["v"], curve["excess"], label=name)
    critical = table["critical"].iloc[0]
    ax.axhline(critical, linestyle="--", **RULE)
    ax.axhline(0.0, **ZERO)
    ax.set(xlabel="share $v$ of random directions beaten", ylabel="$F_N(v) - v$")
    note(ax, f"above: refuted, $N={table['n'].iloc[0]}$", (1, critical), (-0.1, 3))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=table["name"].nunique())
    return ax


@plain
def risk_coverage(curves: pd.DataFrame, selections: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of accepted translations that miss alpha against the share that is accepted.

    Parameters
    ----------
    curves : `of`, `coverage`, `missed`, `high`: the observed risk as a line, up to its upper limit shaded. Without
        rows of a name nothing can be accepted.
    selections : `of`, `threshold`, `coverage`, `missed`, the one `alpha` and `confidence`, and the one `risk`, a dashed
        line. A threshold, where there is one, is a point on the line of that name.
    """
    ax = ax or plt.gca()
    for of in selections["of"].unique():
        curve = curves[curves["of"] == of]
        (drawn,) = ax.plot(curve["coverage"], curve["missed"], label=of)
        ax.fill_between(curve["coverage"], curve["missed"], curve["high"], color=drawn.get_color(), **BAND)
        for found in selections[(selections["of"] == of) & selections["threshold"].notna()].itertuples():
            ax.plot(found.coverage, found.missed, "o", color=drawn.get_color())
            note(ax, f"{found.threshold:.2f}", (found.coverage, found.missed), (3, -7))
    if curves.empty:
        note(ax, "nothing is expected to reach .01", (0.05, 0.5), (0, 0))
    first = selections.iloc[0]
    ax.axhline(first["risk"], linestyle="--", **RULE)
    ax.set(xlabel="share accepted", xlim=(0, 1.02), ylim=(0, 1.0))
    ax.set_ylabel(f"share of these below {first['alpha']:.4g},\nand its {first['confidence']:.0%} limit")
    return ax
