"""Many one-dimensional integrals at once, each with an estimate of its error.

An interval is cut into panels. On a panel the Clenshaw-Curtis rule integrates the polynomial through the cosines of
equidistant angles [1]_; a panel on which the rule of half the order disagrees is halved.

References
----------
.. [1] C. W. Clenshaw and A. R. Curtis, A method for numerical integration on an automatic computer, Numerische
   Mathematik 2 (1960).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analysis.theory.arrays import Floats, small_is_zero

ORDER = 32  # of the rule on a panel; the rule of half the order uses every other node
PRECISION = 1e-11  # error that a panel may have, relative to its whole integral
LEVELS = 30  # halvings of a panel at most
CROWD = 256  # panels of one integral that still disagree, from which on it is taken for noise and halved no more
NEGLIGIBLE = float(np.finfo(np.float64).tiny)  # error that a panel may have whatever its integral

Integrand = Callable[[NDArray[np.intp], Floats], Floats]


def integrate(integrand: Integrand, cuts: Floats) -> tuple[Floats, Floats]:
    """Integrate m non-negative functions.

    Parameters
    ----------
    integrand : callable
        `integrand(i, x)` returns (k, ORDER + 1) values: row j is the function of integral i[j] at the points x[j]. i is
        (k,), x is (k, ORDER + 1).
    cuts : (m, c) array
        Row j, ascending, runs from one end of integral j to the other and names the points at which its function is not
        smooth. Jumps, square roots and inverse square roots, with a finite value at the cut itself, do no harm there.

    Returns
    -------
    value, error : (m,) arrays
        The integrals, and the summed differences between the rules of full and of half order. These overestimate the
        error wherever the panels are fine enough to see the function.

    Notes
    -----
    On a panel x = mid + radius sin(pi y / 2) with y in [-1, 1]. The derivative of x vanishes at both ends, which takes
    away an inverse square root there.

    Examples
    --------
    >>> value, error = integrate(lambda i, x: np.sqrt(1 - x**2), np.array([[-1.0, 1.0]]))  # half a disc
    >>> print(value, error < 1e-12)
    [1.57079633] [ True]
    """
    owner, column = np.nonzero(np.diff(cuts) > 0.0)
    panels = np.stack([cuts[owner, column], cuts[owner, column + 1], -np.ones(owner.size), np.ones(owner.size)])
    value, error = np.zeros(len(cuts)), np.zeros(len(cuts))
    for level in range(LEVELS + 1):
        fine, difference = _panel_integrals(integrand, owner, *panels)
        total = value + np.bincount(owner, fine, len(cuts))
        done = (difference <= np.maximum(PRECISION * total, NEGLIGIBLE)[owner]) | (level == LEVELS)
        done |= np.bincount(owner[~done], minlength=len(cuts))[owner] > CROWD
        value += np.bincount(owner[done], fine[done], len(cuts))
        error += np.bincount(owner[done], difference[done], len(cuts))
        if done.all():
            break
        owner, (low, high, begin, end) = np.tile(owner[~done], 2), panels[:, ~done]
        middle = (begin + end) / 2.0
        panels = np.hstack([[low, high, begin, middle], [low, high, middle, end]])
    return value, error


@small_is_zero
def _panel_integrals(
    integrand: Integrand, owner: NDArray[np.intp], low: Floats, high: Floats, begin: Floats, end: Floats
) -> tuple[Floats, Floats]:
    """Integrals over x = mid + radius sin(pi y / 2), y from begin to end in [-1, 1], and the two rules' differences."""
    nodes, full, half = _clenshaw_curtis()
    y = (begin + end)[:, None] / 2.0 + (end - begin)[:, None] / 2.0 * nodes
    radius = (high - low)[:, None] / 2.0
    x = (low + high)[:, None] / 2.0 + radius * np.sin(np.pi / 2.0 * y)
    stretch = radius * (end - begin)[:, None] * (np.pi / 4.0) * np.cos(np.pi / 2.0 * y)
    values = integrand(owner, x) * stretch
    integral = values @ full
    return integral, np.abs(integral - values @ half)


@cache
def _clenshaw_curtis() -> tuple[Floats, Floats, Floats]:
    """Nodes on [-1, 1], the weights of order ORDER, and those of half that order, zero at every other node."""
    half = np.zeros(ORDER + 1)
    half[::2] = _weights(ORDER // 2)
    return np.cos(np.pi / ORDER * np.arange(ORDER + 1)), _weights(ORDER), half


def _weights(order: int) -> Floats:
    """Weights at cos(pi k / order), k = 0 ... order (even): the cosine series integrated term by term."""
    k, j = np.arange(order + 1), np.arange(1, order // 2 + 1)
    terms = np.where(j < order // 2, 2.0, 1.0) / (4.0 * j**2 - 1.0) * np.cos(np.outer(k, j) * (2 * np.pi / order))
    return np.where((k == 0) | (k == order), 1.0, 2.0) / order * (1.0 - terms.sum(axis=1))
