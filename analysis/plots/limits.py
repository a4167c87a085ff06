"""Figures of the limits: cosines between floor and ceiling, and what sampling costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from analysis.theory.limits import Limits, sampling_law


def between(translators: Mapping[str, Limits], ax: Axes | None = None) -> Axes:
    """One row a translator: its cosine with its interval, between floor and ceiling with theirs (shaded).

    Parameters
    ----------
    translators : name -> limits on one test set, so that floor and ceiling are common to all.
    """
    ax = plt.gca() if ax is None else ax
    first = next(iter(translators.values()))
    for name, line, style in (("floor", first.floor, "--"), ("ceiling", first.ceiling, "-")):
        if line is not None:
            ax.axvspan(line.low, line.high, color="0.85", linewidth=0)
            ax.axvline(line.value, color="0.3", linestyle=style, linewidth=0.8, label=f"{name} {line.value:.3f}")
    for row, limits in enumerate(translators.values()):
        cosine = limits.cosine
        ax.plot([cosine.low, cosine.high], [row, row], "-", color="C0")
        ax.plot(cosine.value, row, "o", color="C0")
        note = f"{cosine.value:.3f}, skill {limits.skill.value:.2f}"
        ax.annotate(note, (cosine.value, row), (0, 4), textcoords="offset points", ha="center", fontsize=6)
    label = f"mean cosine, {first.cosine.confidence:.0%} interval over {first.cosine.groups:,} groups"
    ax.set(xlabel=label, yticks=range(len(translators)), yticklabels=list(translators))
    ax.set_ylim(len(translators) - 0.5, -0.7)
    ax.margins(x=0.15)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax


def sampling(length: float, measured: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Cosine of the mean of K samples: the law for |E[z|c]| = `length` and measured points with intervals.

    Parameters
    ----------
    measured : tidy, columns `samples`, `value`, `low`, `high`.
    """
    ax = plt.gca() if ax is None else ax
    samples = np.geomspace(1, measured["samples"].max(), 200)
    ax.plot(samples, sampling_law(length, samples), label=r"$m^2 / \sqrt{m^2 + (1 - m^2)/K}$")
    ax.axhline(length, color="0.3", linestyle="--", linewidth=0.8, label=f"conditional mean, m = {length:.3f}")
    error = [measured["value"] - measured["low"], measured["high"] - measured["value"]]
    ax.errorbar(measured["samples"], measured["value"], error, fmt="o", color="C1", label="perfect sampler")
    ax.set(xscale="log", xlabel="samples K", ylabel="mean cosine")
    ax.legend(loc="lower right")
    return ax
