"""Figures of one test set: cosines between floor and ceiling, what sampling costs, certificates and their premise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from scipy import stats

from analysis.plots.style import BAND, COLOURS, NOTE, PALE, RULE, ZERO, rows
from analysis.theory.certify import Curve
from analysis.theory.limits import Limits
from analysis.theory.samples import sampling_law
from analysis.theory.selective import RiskCurve, Selection


def between(translators: Mapping[str, Limits], ax: Axes | None = None) -> Axes:
    """One row a translator: its cosine with its interval, between floor and ceiling with theirs (shaded).

    Parameters
    ----------
    translators : name -> limits on one test set, so that floor and ceiling are common to all.
    """
    ax = ax or plt.gca()
    first = next(iter(translators.values()))
    for name, line, style in (("floor", first.floor, "--"), ("ceiling", first.ceiling, "-")):
        if line is not None:
            ax.axvspan(line.low, line.high, color=PALE, linewidth=0)
            ax.axvline(line.value, linestyle=style, label=f"{name} {line.value:.3f}", **RULE)
    for row, own in enumerate(translators.values()):
        cosine = own.cosine
        ax.plot([cosine.low, cosine.high], [row, row], "-", color=COLOURS[0])
        ax.plot(cosine.value, row, "o", color=COLOURS[0])
    label = f"mean cosine, {first.cosine.confidence:.0%} interval over {first.cosine.groups:,} groups"
    ax.set_xlabel(label)
    notes = [f"{own.cosine.value:.3f}, skill {own.skill.value:.2f}" for own in translators.values()]
    rows(ax, [f"{name}\n{note}" for name, note in zip(translators, notes, strict=True)])
    ax.margins(x=0.15)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax


def sampling(length: float, measured: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Cosine of the mean of K samples: the law for |E[z|c]| = `length` and measured points with intervals.

    Parameters
    ----------
    measured : tidy, columns `samples`, `value`, `low`, `high`.
    """
    ax = ax or plt.gca()
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


def survival(
    curves: Mapping[str, Curve],
    bounds: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How often each cosine is reached: observed curves, thin the edges of their certified bands, and bounds.

    Parameters
    ----------
    curves : name -> curve.
    bounds : name -> (alpha, probability), curves drawn without a band.
    """
    ax = ax or plt.gca()
    for name, curve in curves.items():
        (line,) = ax.plot(curve.alpha, curve.observed, label=name)
        for edge in (curve.low, curve.high):
            ax.plot(curve.alpha, edge, color=line.get_color(), linestyle="-", linewidth=0.5, alpha=0.7)
    for name, (alpha, probability) in (bounds or {}).items():
        ax.plot(alpha, probability, label=name)
    ax.set(xlabel=r"$\alpha$", ylabel=r"share with $\cos(z, \hat{z}) \geq \alpha$", ylim=(0, 1.02))
    ax.legend(loc="lower left")
    return ax


def dominance(beaten: Mapping[str, np.ndarray], level: float = 0.05, ax: Axes | None = None) -> Axes:
    """How much more often than a random direction each trained one beats no more than a share v of the random ones.

    Dominance is refuted above the dashed line, the one-sided Kolmogorov-Smirnov critical value at `level` for
    the smallest sample; a direction that dominates stays below zero.

    Parameters
    ----------
    beaten : name -> (N,), V of `analysis.theory.dominance`, independent.
    """
    ax = ax or plt.gca()
    fewest = min(len(v) for v in beaten.values())
    x = np.linspace(0.0, 1.0, 400)
    for name, v in beaten.items():
        ax.plot(x, np.searchsorted(np.sort(v), x, side="right") / len(v) - x, label=name)
    critical = stats.ksone.isf(level, fewest)
    ax.axhline(critical, linestyle="--", **RULE)
    note = f"above: refuted, $N={fewest}$"
    ax.annotate(note, (1, critical), (0, 3), textcoords="offset points", ha="right", fontsize=NOTE)
    ax.axhline(0.0, **ZERO)
    ax.set(xlabel="share $v$ of random directions beaten", ylabel="$F_N(v) - v$")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(beaten))
    return ax


def risk_coverage(
    curves: Mapping[str, RiskCurve],
    chosen: Mapping[str, Selection] | None = None,
    risk: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Share of accepted translations that miss alpha against the share that is accepted.

    Parameters
    ----------
    curves : name -> risk curve: the observed risk as a line, up to its upper limit shaded.
    chosen : name -> selection; its threshold, where there is one, is a point on the line of that name.
    risk : the risk that may be taken, a dashed line.
    """
    ax = ax or plt.gca()
    for name, curve in curves.items():
        (drawn,) = ax.plot(curve.coverage, curve.missed, label=name)
        ax.fill_between(curve.coverage, curve.missed, curve.high, color=drawn.get_color(), **BAND)
        found = (chosen or {}).get(name)
        if found is not None and found.threshold is not None and found.missed is not None:
            ax.plot(found.coverage, found.missed, "o", color=drawn.get_color())
            note = f"{found.threshold:.2f}"
            ax.annotate(note, (found.coverage, found.missed), (3, -7), textcoords="offset points", fontsize=NOTE)
    if risk is not None:
        ax.axhline(risk, linestyle="--", **RULE)
    first = next(iter(curves.values()))
    ax.set(xlabel="share accepted", ylabel=rf"share of these below {first.alpha:.4g}", xlim=(0, 1.02), ylim=(0, 1.0))
    ax.set_title(f"shaded: up to the {first.confidence:.0%} limit of each")
    ax.legend(loc="upper left")
    return ax
