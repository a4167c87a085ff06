"""Many one-dimensional integrals at once, each with an error estimate: adaptive Clenshaw-Curtis panels."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analysis.theory.sphere import Floats

ORDER = 32  # of the rule on a panel; the rule of half the order on the same nodes gives the error estimate
PRECISION = 1e-11  # estimate allowed to a panel, relative to its whole integral
LEVELS = 30  # halvings of a panel at most
NEGLIGIBLE = float(np.finfo(np.float64).tiny)  # an estimate this small is accepted whatever the integral

Integrand = Callable[[NDArray[np.intp], Floats], Floats]


def integrate(integrand: Integrand, cuts: Floats) -> tuple[Floats, Floats]:
    """m integrals of non-negative functions and estimates of their absolute errors.

    Parameters
    ----------
    integrand
        `integrand(i, x)` is the function of integral i[j] at the points x[j], for i (k,) and x (k, ORDER +
        1).
    cuts
        (m, c), each row sorted: its range of integration, cut where the function is not smooth. Inverse
        square roots at the cuts, square roots and jumps do no harm: x = mid + radius sin(pi y / 2) takes them
        away.

    Returns
    -------
    tuple of Floats
        Values (m,) and errors (m,): the summed differences between the rules of full and half order, which
        overestimate the error of the former wherever the panels are fine enough to see the function.
    """
    owner, column = np.nonzero(np.diff(cuts) > 0.0)
    panels = np.stack([cuts[owner, column], cuts[owner, column + 1], -np.ones(owner.size), np.ones(owner.size)])
    value, error = np.zeros(len(cuts)), np.zeros(len(cuts))
    for level in range(LEVELS + 1):
        fine, difference = _panel_integrals(integrand, owner, *panels)
        total = value + np.bincount(owner, fine, len(cuts))
        done = (difference <= np.maximum(PRECISION * total, NEGLIGIBLE)[owner]) | (level == LEVELS)
        value += np.bincount(owner[done], fine[done], len(cuts))
        error += np.bincount(owner[done], difference[done], len(cuts))
        if done.all():
            break
        owner, (low, high, begin, end) = np.tile(owner[~done], 2), panels[:, ~done]
        middle = (begin + end) / 2.0
        panels = np.hstack([[low, high, begin, middle], [low, high, middle, end]])
    return value, error


def _panel_integrals(
    integrand: Integrand, owner: NDArray[np.intp], low: Floats, high: Floats, begin: Floats, end: Floats
) -> tuple[Floats, Floats]:
    """Integrals over mid + radius sin(pi y / 2) for y from begin to end in [-1, 1], and their differences."""
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
    """Nodes on [-1, 1], weights of order ORDER, and weights of half that order on the same nodes."""
    half = np.zeros(ORDER + 1)
    half[::2] = _weights(ORDER // 2)
    return np.cos(np.pi / ORDER * np.arange(ORDER + 1)), _weights(ORDER), half


def _weights(order: int) -> Floats:
    """Weights at cos(pi k / order), k = 0 ... order (even): the cosine series integrated term by term."""
    k, j = np.arange(order + 1), np.arange(1, order // 2 + 1)
    terms = np.where(j < order // 2, 2.0, 1.0) / (4.0 * j**2 - 1.0) * np.cos(np.outer(k, j) * (2 * np.pi / order))
    return np.where((k == 0) | (k == order), 1.0, 2.0) / order * (1.0 - terms.sum(axis=1))
