"""Figures of a decomposition: angles that are not right angles, identities, the spectrum of what is left."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from scipy import stats

from analysis.plots.style import ZERO, point, rows
from analysis.theory.decomposition import Decomposition


def angles(cosines: Mapping[str, np.ndarray], ax: Axes | None = None) -> Axes:
    """Distribution of cos(p_i, r_i), one smooth density a fit, with its root mean square; NaN entries are left out.

    Parameters
    ----------
    cosines : name -> (n,).
    """
    ax = ax or plt.gca()
    finite = {name: cosine[np.isfinite(cosine)] for name, cosine in cosines.items()}
    every = np.concatenate(list(finite.values()))
    x = np.linspace(every.min(), every.max(), 200)
    for name, cosine in finite.items():
        density = stats.gaussian_kde(cosine[:: -(-len(cosine) // 20_000)])(x)
        spread = np.sqrt(np.square(cosine).mean())
        ax.plot(x, density, label=f"{name}, rms {spread:.3f} (n = {len(cosine):,})")
    ax.axvline(0.0, **ZERO)
    ax.set(xlabel=r"$\cos(p_i, r_i)$", ylabel="density", ylim=(0, None))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def identities(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
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


def spectra(decompositions: Mapping[str, Decomposition], ax: Axes | None = None) -> Axes:
    """Eigenvalues of R^T R / n, as shares of their sum, by rank (those that are rounding left out)."""
    ax = ax or plt.gca()
    for name, decomposition in decompositions.items():
        spectrum = decomposition.spectrum
        spectrum = spectrum[spectrum > 1e-12 * spectrum[0]]
        label = f"{name}, effective dimension {decomposition.effective_dimension:.0f}"
        ax.loglog(np.arange(1, len(spectrum) + 1), spectrum / spectrum.sum(), label=label)
    ax.set(xlabel="rank", ylabel="share of the residual")
    ax.legend(loc="lower left")
    return ax
