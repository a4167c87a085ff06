r"""What the weight gamma of the direction does to the cosine of a translation zhat = p + gamma f, and how to choose it.

*Orthogonal geometry* (`analysis.theory.bound`): p is perpendicular to the residual r = z - p, and f to p. With s = |p|,
rho = |r| and the alignment u = <r/rho, f>,

    cos(gamma) = (s^2 + gamma rho u) / (|z| sqrt(s^2 + gamma^2)).                                                    (1)

It rises until gamma* = rho u and falls after. In polar form, gamma = s tan(psi), it is R cos(psi - psi_0) / |z| with
R = sqrt(s^2 + rho^2 u^2) and tan(psi_0) = rho u / s. The peak is therefore R / |z|, and the value at gamma = 0 comes
back at psi = 2 psi_0. The direction helps if and only if u > 0 and gamma stays below that.

*General geometry*: z and f are unit vectors, a = <z, p>, t = <z, f> and q = <p, f>. Then

    cos(gamma) = (a + gamma t) / sqrt(s^2 + gamma^2 + 2 gamma q),                                                    (2)

whose derivative has the sign of (t s^2 - a q) - gamma (a - t q).

The alignment of a random direction has a negative delta-quantile for delta < 1/2. The cosine guaranteed with
probability 1 - delta therefore only falls as gamma grows: the bound says how little the direction can harm, and never
justifies gamma > 0. Data can: `best_gamma`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from analysis.theory.arrays import (
    ROUNDING,
    Floats,
    broadcasting,
    directions,
    fraction,
    in_range,
    matrix,
    row_lengths,
    rows_agree,
    scaled,
    small_is_zero,
)
from analysis.theory.betting import lower_mean_limit
from analysis.theory.bound import alignment_law, cosine, orthogonal_lengths
from analysis.theory.confidence import group_numbers

GRID = 256  # angles psi at which the search for gamma looks before it refines the best one
GAIN = 2.0  # no cosine changes by more


@broadcasting
def peak_gamma(u: ArrayLike, s: ArrayLike, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None) -> Floats:
    """gamma* = max(rho u, 0), at which the cosine (1) is largest in the orthogonal geometry.

    Parameters
    ----------
    u : array_like
        Alignment, in [-1, 1].
    s, norm, rho : array_like
        As for `analysis.theory.bound.beta`.

    Returns
    -------
    Floats
        gamma*, of the shape to which the arguments broadcast. Where u >= 0 the cosine there is
        sqrt(s^2 + rho^2 u^2) / norm. At s = 0 any other gamma > 0 is as good.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Examples
    --------
    >>> print(peak_gamma([-0.5, 0.5], s=0.6))
    [0.  0.4]
    """
    return np.maximum(_residual_along(u, s, norm, rho), 0.0)[()]


@broadcasting
def break_even_gamma(u: ArrayLike, s: ArrayLike, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None) -> Floats:
    """The largest gamma whose cosine (1) is no lower than the one of gamma = 0: 2 s^2 rho u / (s^2 - rho^2 u^2).

    Parameters
    ----------
    u, s, norm, rho : array_like
        As for `peak_gamma`.

    Returns
    -------
    Floats
        0 where u <= 0, and inf where rho u >= s > 0: there every gamma helps. At s = 0 it is inf for u >= 0, as the
        cosine of a translation that is zero counts as 0, and 0 below.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Examples
    --------
    >>> print(break_even_gamma([0.3, 0.75], s=0.6).round(3))
    [0.571   inf]
    """
    along = _residual_along(u, s, norm, rho)
    s = np.asarray(s, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        crossing = 2.0 * along / ((s - along) / s * ((s + along) / s))
    return np.where(along >= s, np.inf, np.where(along > 0.0, crossing, 0.0))[()]


@broadcasting
def break_even_alignment(
    s: ArrayLike, gamma: ArrayLike = 1.0, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None
) -> Floats:
    """The alignment above which this gamma beats gamma = 0: s gamma / (rho (s + sqrt(s^2 + gamma^2))).

    Parameters
    ----------
    s, gamma, norm, rho : array_like
        As for `analysis.theory.bound.beta`.

    Returns
    -------
    Floats
        At least 0. Above 1 (inf for rho = 0 < s, gamma) no alignment is enough. 0 at gamma = 0 or s = 0.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Examples
    --------
    >>> print(break_even_alignment([0.5, 0.75, 0.95]).round(3))  # at gamma = 1
    [0.357 0.567 1.306]
    """
    s, gamma, norm, rho = orthogonal_lengths(s, gamma, norm, rho)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        needed = (s / rho) * (gamma / (s + np.hypot(s, gamma)))
    return np.where((s > 0.0) & (gamma > 0.0), needed, 0.0)[()]


@broadcasting
def ceiling(s: ArrayLike, gamma: ArrayLike = 1.0, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None) -> Floats:
    """The cosine (1) of a perfect direction, u = 1: (s^2 + gamma rho) / (norm sqrt(s^2 + gamma^2)).

    Parameters
    ----------
    s, gamma, norm, rho : array_like
        As for `analysis.theory.bound.beta`.

    Returns
    -------
    Floats
        Cosines. Where one is below s / norm, gamma = 0 beats every direction.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Examples
    --------
    >>> print(ceiling([0.5, 0.95]).round(3))  # at gamma = 1; gamma = 0 scores s, .5 and .95
    [0.998 0.881]
    """
    return cosine(1.0, s, gamma, norm=norm, rho=rho)


@broadcasting
def guaranteed_level(
    delta: ArrayLike,
    s: ArrayLike,
    gamma: ArrayLike,
    d: ArrayLike,
    geometry: str = "complement",
    *,
    norm: ArrayLike = 1.0,
    rho: ArrayLike | None = None,
) -> Floats:
    """The cosine that a random direction reaches with probability 1 - delta: (1) at the delta-quantile of u.

    Parameters
    ----------
    delta : array_like
        In [0, 1]; a small one keeps its digits.
    s, gamma, d, geometry, norm, rho
        As for `analysis.theory.bound.probability`, of which this is the inverse.

    Returns
    -------
    Floats
        The largest alpha whose probability is at least 1 - delta. For delta < 1/2 it falls with gamma, from s / norm at
        0 towards rho u / norm.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Examples
    --------
    >>> print(guaranteed_level(0.01, s=0.7, gamma=[0.0, 0.5, 1.0], d=512).round(3))
    [0.7   0.527 0.341]
    """
    u = -alignment_law(d, geometry).isf(in_range("delta", delta, low=0.0, high=1.0))
    return cosine(u, s, gamma, norm=norm, rho=rho)


@broadcasting
def general_cosine(gamma: ArrayLike, a: ArrayLike, t: ArrayLike, q: ArrayLike, s: ArrayLike) -> Floats:
    """The cosine (2) of z and p + gamma f in the general geometry; 0 where p + gamma f is zero.

    Parameters
    ----------
    gamma : array_like
        Weight of the direction, finite and at least 0.
    a, t, q : array_like
        <z, p> and <p, f>, in [-s, s], for a and q; <z, f>, in [-1, 1], for t. Rounding may carry them beyond.
    s : array_like
        Length of the projection, at least 0.

    Returns
    -------
    Floats
        Cosines, of the shape to which the arguments broadcast.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Examples
    --------
    >>> print(general_cosine([0.0, 1.0], a=0.5, t=0.5, q=0.0, s=1.0).round(3))
    [0.5   0.707]
    """
    return _cosine(in_range("gamma", gamma, low=0.0), *_inner_products(a, t, q, s))[()]


@broadcasting
def general_peak_gamma(a: ArrayLike, t: ArrayLike, q: ArrayLike, s: ArrayLike) -> Floats:
    """The gamma >= 0 at which the cosine (2) is largest.

    Parameters
    ----------
    a, t, q, s : array_like
        As for `general_cosine`.

    Returns
    -------
    Floats
        At least 0; inf where the cosine rises without end, towards t.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Notes
    -----
    Where a - t q > 0 it is max((t s^2 - a q) / (a - t q), 0). Elsewhere the cosine has no inner maximum, and the larger
    of its ends wins: inf if t > a / s, else 0.

    Examples
    --------
    >>> print(general_peak_gamma(a=0.5, t=0.5, q=0.0, s=1.0))
    1.0
    """
    a, t, q, s = _inner_products(a, t, q, s)
    a, q = _ratio(a, s), _ratio(q, s)
    top, bottom = t - a * q, a - t * q
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        inner = s * np.maximum(top / bottom, 0.0)
    return np.where(bottom > 0.0, inner, np.where(t > a, np.inf, 0.0))[()]


class ChosenGamma(NamedTuple):
    """A gamma that was chosen on data, and what is known about it.

    Attributes
    ----------
    gamma : float
        The choice, at least 0.
    cosine, linear_cosine : float
        Mean cosine over all the rows at gamma and at 0. The first is never the smaller one.
    lower_limit : float
        With the stated confidence, gamma raises the expected cosine of a new row by at least this. Where rows come in
        groups, it is the expected mean of a new group.
    confidence : float
        In (0, 1).
    """

    gamma: float
    cosine: float
    linear_cosine: float
    lower_limit: float
    confidence: float

    @property
    def certified_gamma(self) -> float:
        """gamma where its lower limit is at least 0, else 0: harmful with probability 1 - confidence at most."""
        return self.gamma if self.lower_limit >= 0.0 else 0.0


def best_gamma(
    projection: ArrayLike,
    direction: ArrayLike,
    targets: ArrayLike,
    *,
    group: ArrayLike | None = None,
    confidence: float = 0.95,
) -> ChosenGamma:
    """Choose gamma of p + gamma f by the mean cosine on validation rows.

    Parameters
    ----------
    projection, direction, targets : (n, d) array_like
        p, f and z. f may have any length, also zero; no target may be zero.
    group : (n,) array_like, optional
        Labels. Rows of one group, such as the captions of one picture, stay together. None: all rows are independent.
    confidence : float
        That of `lower_limit`, in (0, 1).

    Returns
    -------
    ChosenGamma
        Two things are guaranteed. On these rows the mean cosine is not below the one of gamma = 0, without condition.
        If the groups are independent draws from one population, `lower_limit` is at most the expected improvement of
        a group's mean cosine with probability `confidence`, for every n and every law.

    Raises
    ------
    ValueError
        Shapes that disagree, values that are not finite, a zero target, fewer than two groups.

    Notes
    -----
    gamma is chosen on every other group, and the limit comes from the rest
    (`analysis.theory.betting.lower_mean_limit`).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z = rng.standard_normal((1000, 8))
    >>> p = 0.5 * z + 0.5 * rng.standard_normal((1000, 8))
    >>> chosen = best_gamma(p, z - p + rng.standard_normal((1000, 8)), z)
    >>> print(round(chosen.gamma, 2), round(chosen.cosine - chosen.linear_cosine, 3), round(chosen.lower_limit, 3))
    0.33 0.112 0.094
    """
    confidence = fraction("confidence", confidence)
    p, f, z = matrix("projection", projection), matrix("direction", direction), matrix("targets", targets)
    rows_agree(projection=p, direction=f, targets=z)
    if not p.shape == f.shape == z.shape:
        raise ValueError(f"columns: {p.shape[1]}, {f.shape[1]}, {z.shape[1]}; one d for all is needed")
    z = directions("targets", z)
    labels = group_numbers(group, len(z))
    if labels.max() < 1:
        raise ValueError("group: 1 group, at least 2 are needed, one half to choose and one to check")

    (p, s), (f, length) = row_lengths(p), row_lengths(f)
    a, t, q = s * (z * p).sum(axis=1), (z * f).sum(axis=1), s * (p * f).sum(axis=1)

    def cosines(gamma: float) -> Floats:
        return _cosine(gamma * length, a, t, q, s)

    choosing = labels % 2 == 0
    scale = _size(s) / _size(length) if s.any() and length.any() else 1.0
    if not 1e-300 < scale < 1e300:
        raise ValueError(f"direction: length {_size(length):.0e}, one within 1e300 times {_size(s):.0e} is needed")
    gamma = _maximise(lambda gamma: float(cosines(gamma)[choosing].mean()), scale)
    linear = cosines(0.0)
    gain = cosines(gamma) - linear
    if gain.mean() <= 0.0:
        return ChosenGamma(0.0, float(linear.mean()), float(linear.mean()), 0.0, confidence)
    sums, counts = np.bincount(labels, gain), np.bincount(labels)
    limit = lower_mean_limit((sums / counts)[1::2], confidence, low=-GAIN, high=GAIN)
    return ChosenGamma(gamma, float(cosines(gamma).mean()), float(linear.mean()), limit, confidence)


def _maximise(objective: Callable[[float], float], scale: float) -> float:
    """gamma >= 0 with the largest objective, by gamma = scale tan(psi): the best of GRID angles psi, then refined."""
    angles = np.linspace(0.0, np.pi / 2.0, GRID + 1)[:-1]
    best = int(np.argmax([objective(scale * np.tan(psi)) for psi in angles]))
    refined = optimize.minimize_scalar(
        lambda psi: -objective(scale * np.tan(psi)),
        bounds=(angles[max(best - 1, 0)], angles[min(best + 1, GRID - 1)]),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return float(max((scale * np.tan(psi) for psi in (angles[best], refined.x)), key=objective))


def _residual_along(u: ArrayLike, s: ArrayLike, norm: ArrayLike, rho: ArrayLike | None) -> Floats:
    """rho u, the length of the residual along the direction, from checked arguments."""
    *_, rho = orthogonal_lengths(s, 0.0, norm, rho)
    return rho * in_range("u", u, low=-1.0, high=1.0)


@small_is_zero
def _size(lengths: Floats) -> float:
    """The root of the mean square, whose squares stay in the range of float64."""
    largest = lengths.max()
    return float(largest * np.sqrt(np.square(lengths / largest).mean()))


def _cosine(gamma: Floats, a: Floats, t: Floats, q: Floats, s: Floats) -> Floats:
    """The cosine (2), of checked arguments."""
    gamma, a, q, s = scaled(gamma, a, q, s)  # only ratios of lengths matter
    square = np.maximum((s - gamma) ** 2 + 2.0 * gamma * (s + q), 0.0)
    return _ratio(a + gamma * t, np.sqrt(square))


def _inner_products(a: ArrayLike, t: ArrayLike, q: ArrayLike, s: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
    """The four numbers of the general geometry, in their ranges up to rounding."""
    s = in_range("s", s, low=0.0)
    most = s * (1.0 + ROUNDING)
    a, q = in_range("a", a, low=-most, high=most), in_range("q", q, low=-most, high=most)
    return a, in_range("t", t, low=-1.0 - ROUNDING, high=1.0 + ROUNDING), q, s


def _ratio(x: Floats, length: Floats) -> Floats:
    """x / length, 0 where the length is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(length > 0.0, x / length, 0.0)
