"""Figures of a decomposition: angles that are not right angles, identities, the spectrum of what is left."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from analysis.plots.style import COLUMN, PALE, ZERO, colour, panels, plain, point, rows
from analysis.theory.decomposition import Decomposition
from modtrans_core.checks import refuse_unless


@plain
def identities(identities: pd.DataFrame) -> Figure:
    """Which fit satisfies which identity in sample space: the relative size of what should vanish."""
    figure, ((ax,),) = panels(2.4, width=COLUMN)
    sizes(identities, ax)
    return figure


@plain
def angles_and_spectrum(angles: pd.DataFrame, spectra: pd.DataFrame) -> Figure:
    """Angles between projection and residual of one sample, a row a fit, and the spectrum of the residual."""
    figure, ((left, right),) = panels(2.6, 2, width_ratios=(1.1, 1))
    ridgeline(angles, left)
    shares(spectra, right)
    return figure


def density(cosines: Mapping[str, np.ndarray], points: int = 200) -> pd.DataFrame:
    """Smooth densities of cos(p_i, r_i), for `ridgeline`; NaN entries are left out.

    Parameters
    ----------
    cosines : name -> (n,).

    Returns
    -------
    `fit`, `cosine`, `density`, and of each fit its root mean square `rms` and the number of samples `n`.
    """
    finite = {name: cosine[np.isfinite(cosine)] for name, cosine in cosines.items()}
    for name, part in finite.items():
        refuse_unless(len(part) > 1 and np.ptp(part) > 0, f"cosines of {name}", part, "two samples or more that differ")
    every = np.concatenate(list(finite.values()))
    x = np.linspace(every.min(), every.max(), points)
    tables = [
        pd.DataFrame({"fit": name, "cosine": x, "density": stats.gaussian_kde(part[:: -(-len(part) // 20_000)])(x)})
        .assign(rms=np.sqrt(np.square(part).mean()), n=len(part))
        for name, part in finite.items()
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def spectrum(fits: Mapping[str, Decomposition]) -> pd.DataFrame:
    """Eigenvalues of R^T R / n as shares of their sum, for `shares`; those that are rounding are left out.

    Returns
    -------
    `fit`, `rank`, `share`, and of each fit its `effective_dimension`.
    """
    tables = []
    for name, fit in fits.items():
        values = fit.spectrum[fit.spectrum > 1e-12 * fit.spectrum[0]]
        table = pd.DataFrame({"fit": name, "rank": np.arange(1, len(values) + 1), "share": values / values.sum()})
        tables.append(table.assign(effective_dimension=fit.effective_dimension))
    return pd.concat(tables, ignore_index=True)


@plain
def ridgeline(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A density of cos(p_i, r_i) in a row for each fit, over the first one's in grey: where they differ is seen."""
    ax = ax or plt.gca()
    fits = list(table.groupby("fit", sort=False))
    first, top = fits[0][1], 1.15 * table["density"].max()
    for place, (_, part) in enumerate(fits):
        x, low = part["cosine"], np.full(len(part), float(place) + 0.5)
        ax.fill_between(x, low, low - first["density"].to_numpy() / top, color=PALE, linewidth=0)
        ax.plot(x, low - part["density"] / top, color=colour(place), linestyle="-")
        ax.axhline(place + 0.5, **ZERO)
    ax.axvline(0.0, **ZERO)
    names = [f"{name}\nrms {part['rms'].iloc[0]:.3f}, n = {part['n'].iloc[0]:,}" for name, part in fits]
    rows(ax, names)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set(xlabel=rf"$\cos(p_i, r_i)$, density (grey: {fits[0][0]})", ylim=(len(fits) - 0.5, -0.6))
    return ax


@plain
def sizes(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Relative size of what should vanish, on a logarithmic axis: which fit satisfies which identity.

    Parameters
    ----------
    frame : tidy, columns `fit`, `identity`, `size` (at least 0; drawn at 1e-17 where below).
    """
    ax = ax or plt.gca()
    names = list(dict.fromkeys(frame["identity"]))
    fits = list(dict.fromkeys(frame["fit"]))
    for index, fit in enumerate(fits):
        part = frame[frame["fit"] == fit]
        height = [names.index(name) + 0.13 * (index - (len(fits) - 1) / 2) for name in part["identity"]]
        ax.plot(np.maximum(part["size"], 1e-17), height, label=fit, **point(index))
    ax.set_xscale("log")
    ax.set(xlabel="relative size", xlim=(3e-18, 3.0))
    rows(ax, names)
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=len(fits), columnspacing=1, handletextpad=0)
    return ax


@plain
def shares(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Shares of the residual by rank, with the effective dimension of each fit."""
    ax = ax or plt.gca()
    for name, part in table.groupby("fit", sort=False):
        label = f"{name}, effective dimension {part['effective_dimension'].iloc[0]:.0f}"
        ax.loglog(part["rank"], part["share"], label=label)
    ax.set(xlabel="rank", ylabel="share of the residual")
    ax.legend(loc="lower left")
    return ax
