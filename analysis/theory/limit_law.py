r"""The limit law of the cosine in many dimensions, and what remains there of the printed bound's overstatement.

The notation is the one of the general geometry (`analysis.theory.bound`): z is a unit vector, p = a z + b e with a unit
vector e perpendicular to z, and f is uniform on the unit sphere of R^d. Let L^2 = a^2 + b^2 + gamma^2, x = <z, f> and
y = <e, f>. For large d, sqrt(d) x and sqrt(d) y tend to independent standard normal variables. As
<z, zhat> = a + gamma x and |zhat|^2 = L^2 + 2 gamma (a x + b y), the cosine is to first order in x and y

    cos(z, zhat) = a/L + (gamma/L) ((1 - a^2/L^2) x - (a b/L^2) y) + O(1/d).                                         (1)

Therefore sqrt(d) (cos - a/L) tends in law to a normal variable with mean 0 and the standard deviation

    sigma = (gamma/L) sqrt((1 - a^2/L^2)^2 + a^2 b^2/L^4).                                                           (2)

Let p be perpendicular to the residual: a = s^2 and b = s rho. The orthogonal formula keeps f perpendicular to p, so
that cos = s^2/L + (gamma rho/L) u, whose standard deviation is gamma rho / (L sqrt(n)). By comparison sigma is

    sigma = (gamma rho/L) kappa,     kappa^2 = 1 + s^2 gamma^4 / (rho^2 (s^2 + gamma^2)^2),                          (3)

larger by the factor kappa: what f has along p changes the length of zhat, and this moves the cosine too. At
beta = w / sqrt(d) the three conventions `printed`, `sphere` and `complement` tend to Phi(-w), the probability for a
direction that is uniform on the whole sphere to Phi(-w/kappa). The difference does not vanish as d grows. It vanishes
only if f is kept perpendicular to p, which nothing in the translator does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from analysis.theory.arrays import Floats, broadcasting, in_range, number, scaled, small_is_zero
from analysis.theory.bound import (
    Overstatement,
    cosine,
    general_probability,
    orthogonal_lengths,
    printed_overstatement,
    probability,
)

SHORT = 1e-8  # of s: with a shorter direction no digits are left of what it does to the cosine
GRID = 64  # values of beta among which the worst is looked for before it is refined


class LimitLaw(NamedTuple):
    """sqrt(d) (cos - mean) tends to a normal variable with mean 0 and standard deviation `deviation`."""

    mean: Floats
    deviation: Floats


@broadcasting
@small_is_zero
def limit_law(a: ArrayLike, b: ArrayLike, gamma: ArrayLike) -> LimitLaw:
    """The normal law to which the cosine of z and p + gamma f tends, f uniform on the unit sphere of R^d.

    Parameters
    ----------
    a, b, gamma : array_like
        As for `analysis.theory.bound.general_probability`.

    Returns
    -------
    LimitLaw
        `mean` a/L and `deviation` sigma (2). At p = 0 they are 0 and 1; where gamma is 0 too, the cosine counts as 0,
        and so do both.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Examples
    --------
    >>> law = limit_law(a=0.64, b=0.48, gamma=1.0)  # p perpendicular to z - p, s = .8
    >>> print(law.mean.round(4), law.deviation.round(4))
    0.4998 0.6038
    """
    a, b, gamma = scaled(
        *np.broadcast_arrays(in_range("a", a), in_range("b", b, low=0.0), in_range("gamma", gamma, low=0.0))
    )
    length = np.hypot(np.hypot(a, b), gamma)
    a, b, gamma = (np.divide(x, length, out=np.zeros_like(length), where=length > 0.0) for x in (a, b, gamma))
    return LimitLaw(a[()], (gamma * np.hypot(b * b + gamma * gamma, a * b))[()])  # 1 - a^2/L^2 without cancellation


@broadcasting
@small_is_zero
def kappa(s: ArrayLike, gamma: ArrayLike, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None) -> Floats:
    """How many times more the cosine of a uniform direction spreads than the orthogonal formula says, in the limit (3).

    Parameters
    ----------
    s, gamma, norm, rho : array_like
        As for `analysis.theory.bound.beta`.

    Returns
    -------
    Floats
        At least 1, of the shape to which the arguments broadcast. It grows with gamma, up to sqrt(1 + s^2/rho^2). It is
        1 where s or gamma is 0, else inf where rho is 0.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Examples
    --------
    >>> print(kappa([0.6, 0.8, 0.95], gamma=1.0).round(3))
    [1.142 1.289 1.886]
    """
    s, gamma, _, rho = orthogonal_lengths(s, gamma, norm, rho)
    length = np.hypot(s, gamma)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        along = s / rho * (gamma / length) ** 2
    return np.hypot(1.0, np.where((s > 0.0) & (gamma > 0.0), along, 0.0))[()]


@broadcasting
def overstatement_limit(
    s: ArrayLike, gamma: ArrayLike, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None
) -> Overstatement:
    """The limit, as d grows, of the largest excess of the printed bound over the probability of a uniform direction.

    Parameters
    ----------
    s, gamma, norm, rho : array_like
        As for `analysis.theory.bound.beta`.

    Returns
    -------
    Overstatement
        `amount` in [0, 1/2], the maximum of Phi(-w) - Phi(-w/kappa) over w, and the w < 0 at which it is attained in
        place of `beta`, which tends to w / sqrt(d). Where kappa is 1 they are 0 and -1; where it is inf, 1/2 and -inf.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Notes
    -----
    The densities phi(w) and phi(w/kappa)/kappa agree where w^2 (1 - 1/kappa^2) = 2 log(kappa).

    Examples
    --------
    >>> print(overstatement_limit([0.6, 0.75, 0.8, 0.9], gamma=1.0).amount.round(3))
    [0.032 0.051 0.061 0.099]
    """
    spread = np.asarray(kappa(s, gamma, norm=norm, rho=rho))
    excess, finite = (spread - 1.0) * (spread + 1.0), np.isfinite(spread)  # kappa^2 - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        narrow = np.where(excess > 0.0, -np.sqrt(np.log1p(excess) / excess), -1.0)  # w / kappa
        w = np.where(finite, spread * narrow, -np.inf)
    return Overstatement(np.where(finite, special.ndtr(-w) - special.ndtr(-narrow), 0.5)[()], w[()])


def uniform_overstatement(s: float, gamma: float, d: float) -> Overstatement:
    """The largest excess of the printed bound over the probability of a uniform direction in R^d, p perpendicular to r.

    Parameters
    ----------
    s : float
        Length of the projection of a unit target, 0 to 1.
    gamma : float
        Weight of the direction, finite and at least 0.
    d : float
        Dimension of the target space, at least 2; at s = 0, where p is 0, and at s = 1, where r is, 1 as well.

    Returns
    -------
    Overstatement
        `amount` and the `beta` in [-1, 0] at which it is attained, by a search. At s = 0 it is `printed_overstatement`
        against the sphere. At gamma = 0 nothing is random, and it is 0 and -1; else at s = 1, where the orthogonal
        formula knows a single cosine, it is what that cosine lacks of certainty, and -inf.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Examples
    --------
    >>> print(uniform_overstatement(0.8, 1.0, 512).amount.round(4), overstatement_limit(0.8, 1.0).amount.round(4))
    0.0632 0.0611
    """
    s, gamma = number("s", s, low=0.0, high=1.0), number("gamma", gamma, low=0.0)
    rho = np.sqrt((1.0 - s) * (1.0 + s))
    d = number("d", d, low=1.0 if rho * s == 0.0 else 2.0)
    if gamma == 0.0:
        return Overstatement(np.array(0.0)[()], np.array(-1.0)[()])
    if s == 0.0 or gamma < SHORT * s:  # then the alignment with the residual alone moves the cosine, to first order
        return printed_overstatement(d, "sphere")
    if rho == 0.0:
        certain = general_probability(1.0 / np.hypot(1.0, gamma), 1.0, 0.0, gamma, d).probability
        return Overstatement(1.0 - certain, np.array(-np.inf)[()])

    def excess(beta: ArrayLike) -> Floats:
        alpha = cosine(beta, s, gamma)
        exact = general_probability(alpha, s * s, s * rho, gamma, d).probability
        return probability(alpha, s, gamma, d, "printed") - exact

    lowest = -min(1.0, 8.0 / np.sqrt(d))
    grid = np.linspace(lowest, 0.0, GRID + 1)
    best = int(np.argmax(excess(grid)))
    ends = grid[max(best - 1, 0)], grid[min(best + 1, GRID)]
    refined = optimize.minimize_scalar(lambda beta: -excess(beta), bounds=ends, method="bounded").x
    beta = max(refined, grid[best], key=excess)
    return Overstatement(excess(beta), np.asarray(beta)[()])
