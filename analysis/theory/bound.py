r"""The cosine bound: with which probability a translation zhat = p + gamma f reaches a cosine, f a random direction.

Notation, after the poster's Justification 2. z is the target. p = c M is its projection, of length s. r = z - p is the
residual, of length rho. f = F(c) is the direction, a unit vector that is added with the weight gamma. u = <r/rho, f> is
the alignment of the direction with the residual. In this module f is uniformly random.

*Orthogonal geometry*: p is perpendicular to r, and f to p. Then <z, zhat> = s^2 + gamma rho u and
|zhat|^2 = s^2 + gamma^2, so that

    cos(z, zhat) = (s^2 + gamma rho u) / (|z| sqrt(s^2 + gamma^2)).                                                  (1)

This increases with u, so that the cosine reaches alpha where u reaches beta:

    {cos(z, zhat) >= alpha} = {u >= beta},   beta = (alpha |z| sqrt(s^2 + gamma^2) - s^2) / (gamma rho).             (2)

The poster uses beta without defining it; this reading makes its statement true. What remains is the dimension n of the
sphere on which f lives (`GEOMETRIES`). In polar form, gamma = s tan(psi), the cosine is
(s cos(psi) + rho u sin(psi)) / |z|.

*General geometry*: z is a unit vector, p = a z + b e with a unit vector e perpendicular to z, and f is anywhere on the
unit sphere of R^d. Let t = <p/s, f>, and let v be the alignment of what f has perpendicular to p with what z has
perpendicular to p. Then

    <z, f> = (a/s) t + (b/s) sqrt(1 - t^2) v,    |zhat|^2 = s^2 + gamma^2 + 2 gamma s t.                             (3)

Given t, the cosine therefore reaches alpha where v reaches some V(t), whatever the sign of alpha. v follows the law of
`AlignmentLaw` in dimension d - 1 and t the one in dimension d, so that the probability is one integral over t.

That a trained direction does at least as well is a hypothesis. It is true if its alignment dominates the uniform one
stochastically, which only held-out data can tell (`analysis.theory.dominance`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.theory.arrays import Floats, broadcasting, common_shape, in_range, scaled, small_is_zero, times
from analysis.theory.quadrature import integrate
from analysis.theory.sphere import AlignmentLaw

GEOMETRIES = {"printed": 1, "sphere": 0, "complement": -1}
"""Dimension n of the alignment's law less the dimension d of the target, by convention.

printed
    n = d + 1, the integrand as the poster prints it (with h2 = d). No geometry has this dimension. Where beta < 0 it
    gives more than `complement` (`printed_overstatement`), and is no lower bound there.
sphere
    n = d: f is uniform on the whole sphere of the target space, and its component along p is ignored. That component
    changes the length of zhat. What it does to the cosine remains for any d (`analysis.theory.limit_law`).
complement
    n = d - 1: f is uniform on the unit sphere perpendicular to p, which is exact for the orthogonal geometry.

The three differ by about 1/d. None of them is exact for an f that is uniform on the whole sphere, and their distance
from what is exact then (`general_probability`) does not vanish as d grows.
"""

SMALLEST = float(np.finfo(np.float64).tiny)  # length that a target must have
EPSILON = float(np.finfo(np.float64).eps)
CHUNK = 512  # integrals worked on together
ROUNDING = 1e-12  # relative error of an integral whose quadrature has none
FAR = 1e7  # dimension from which on `printed_overstatement` is its limit


def alignment_law(d: ArrayLike, geometry: str = "complement") -> AlignmentLaw:
    """The law of the alignment for targets in R^d, in the dimension n = d + GEOMETRIES[geometry], at least 1."""
    if geometry not in GEOMETRIES:
        raise ValueError(f"geometry: {geometry}, {' or '.join(GEOMETRIES)} is needed")
    offset = GEOMETRIES[geometry]
    return AlignmentLaw(in_range("d", d, low=max(1.0, 1.0 - offset)) + offset)


@broadcasting
def cosine(
    u: ArrayLike, s: ArrayLike, gamma: ArrayLike, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None
) -> Floats:
    """The cosine (1) of the target and its translation in the orthogonal geometry; 0 where the translation is zero.

    Parameters
    ----------
    u : array_like
        Alignment of the direction with the residual, in [-1, 1].
    s, gamma, norm, rho : array_like
        As for `beta`, which is the inverse function: cosine(beta(alpha, s, gamma), s, gamma) = alpha.

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
    >>> print(cosine([0.0, 0.5, 1.0], s=0.6, gamma=0.8))  # at u = 1 and gamma = rho the translation is the target
    [0.36 0.68 1.  ]
    """
    u = in_range("u", u, low=-1.0, high=1.0)
    s, gamma, norm, rho = orthogonal_lengths(s, gamma, norm, rho)
    length = np.hypot(s, gamma)
    with np.errstate(invalid="ignore"):
        return np.where(length > 0.0, (s * (s / length) + rho * u * (gamma / length)) / norm, 0.0)[()]  # (1)


@broadcasting
@small_is_zero
def beta(
    alpha: ArrayLike, s: ArrayLike, gamma: ArrayLike, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None
) -> Floats:
    """The smallest alignment (2) at which the cosine reaches alpha, in the orthogonal geometry.

    Parameters
    ----------
    alpha : array_like
        Cosine to be reached, in [-1, 1].
    s : array_like
        Length of the projection, in [0, norm].
    gamma : array_like
        Weight of the direction, finite and at least 0.
    norm : array_like
        Length of the target, above 0.
    rho : array_like, optional
        Length of the residual, in [0, norm]; sqrt(norm^2 - s^2) if not given. Give it where s is so near norm that the
        difference loses digits. Where p and r are not perpendicular, a measured rho makes (2) an approximation.

    Returns
    -------
    Floats
        Any real number, of the shape to which the arguments broadcast. At or below -1 the event is certain, above 1 it
        is impossible.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Notes
    -----
    As gamma falls to 0, beta diverges to -inf where alpha < s/norm and to +inf where alpha > s/norm. Where gamma = 0
    or rho = 0 the alignment has no influence. There beta is -inf if the cosine s^2 / (norm sqrt(s^2 + gamma^2)) is at
    least alpha, and else +inf. At s = 0 it is alpha for every gamma > 0; with gamma = 0 the translation is zero
    there, and its cosine counts as 0.

    References
    ----------
    The poster, Justification 2.

    Examples
    --------
    >>> print(beta(0.5, s=0.6, gamma=1.0).round(4))
    0.2789
    """
    alpha = in_range("alpha", alpha, low=-1.0, high=1.0)
    s, gamma, norm, rho = orthogonal_lengths(s, gamma, norm, rho)
    length = np.hypot(s, gamma)
    fixed = (gamma == 0.0) | (rho == 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # (2) without cancellation: its numerator is alpha |z| (length - s) + s (alpha |z| - s), and
        # length - s = gamma^2 / (length + s)
        growth = gamma / (length + s)
        value = (alpha * norm * growth + times(s / gamma, alpha * norm - s)) / rho
        reached = alpha * norm * growth * (gamma / length) <= (s / length) * (s - alpha * norm)
    certain = np.where(length > 0.0, reached, alpha <= 0.0)
    return np.where(fixed, np.where(certain, -np.inf, np.inf), value)[()]


@broadcasting
def probability(
    alpha: ArrayLike,
    s: ArrayLike,
    gamma: ArrayLike,
    d: ArrayLike,
    geometry: str = "complement",
    *,
    norm: ArrayLike = 1.0,
    rho: ArrayLike | None = None,
) -> Floats:
    """The bound: P(cos(z, zhat) >= alpha) = P(U >= beta) for a uniformly random direction, in the orthogonal geometry.

    Parameters
    ----------
    alpha, s, gamma, norm, rho : array_like
        As for `beta`, with its degenerate cases.
    d : array_like
        Dimension of the target space (h2 on the poster), large enough that n is at least 1.
    geometry : {"printed", "sphere", "complement"}
        Which dimension n = d + GEOMETRIES[geometry] the law of U has.

    Returns
    -------
    Floats
        Probabilities. Equality belongs to the event, so that for n = 1, where U is -1 or 1, the value is 1, 1/2
        (where -1 < beta <= 1) or 0.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    References
    ----------
    The poster, Justification 2.

    Examples
    --------
    >>> print(probability(0.5, s=0.7, gamma=1.0, d=6).round(4), probability(0.5, 0.7, 1.0, 6, "printed").round(4))
    0.3748 0.345
    """
    law = alignment_law(d, geometry)
    return law.cdf(-beta(alpha, s, gamma, norm=norm, rho=rho))  # P(U >= beta) = P(U <= -beta), atoms included


def mixture_probability(
    alpha: ArrayLike,
    s: ArrayLike,
    gamma: ArrayLike,
    d: int,
    geometry: str = "complement",
    *,
    norm: ArrayLike = 1.0,
    rho: ArrayLike | None = None,
) -> Floats:
    """The bound over a data set: the mean of `probability` over its samples.

    Parameters
    ----------
    alpha : array_like
        Cosines to be reached, of any shape, which the result has too.
    s, gamma, norm, rho : array_like
        One value a sample, (n,), or one for all.
    d, geometry
        As for `probability`.

    Returns
    -------
    Floats
        Mean probabilities, of the shape of alpha.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Examples
    --------
    >>> print(mixture_probability([0.4, 0.6], s=[0.5, 0.7], gamma=0.5, d=6).round(3))
    [0.616 0.33 ]
    """
    alpha = in_range("alpha", alpha, low=-1.0, high=1.0)
    if 0 in common_shape(s=s, gamma=gamma, norm=norm, rho=rho):
        raise ValueError("s, gamma, norm, rho: none, those of one sample or more are needed")
    levels = [probability(level, s, gamma, d, geometry, norm=norm, rho=rho).mean() for level in alpha.flat]
    return np.reshape(levels, alpha.shape)[()]


class Overstatement(NamedTuple):
    """By how much the printed formula exceeds the exact probability at its worst, and at which beta < 0."""

    amount: Floats
    beta: Floats


def printed_overstatement(d: ArrayLike, geometry: str = "sphere") -> Overstatement:
    """The largest excess of the bound as `printed` over the one of another geometry, over all beta.

    It is the whole overstatement only for directions that are kept perpendicular to p, against `complement`. For
    directions that are uniform on the whole sphere it is larger and does not shrink with d
    (`analysis.theory.limit_law.uniform_overstatement`).

    Parameters
    ----------
    d : array_like
        Dimension of the target space, such that n = d + GEOMETRIES[geometry] is at least 1.
    geometry : {"sphere", "complement"}
        What the printed formula is compared with.

    Returns
    -------
    Overstatement
        `amount` above 0 and `beta` below 0. For n = 1, where U is -1 or 1, they are 1/2 and -1, which is not attained.

    Raises
    ------
    ValueError
        Another geometry, or a d that is too small.

    Notes
    -----
    For n = 1 the printed value falls from 1 at beta = -1, where U >= beta has the probability 1/2 from there on.
    Otherwise the difference of two tails is stationary where their densities agree, which is where

        (1 - beta^2)^((d + 1 - n)/2) = c_n / c_(d+1).                                                                (4)

    It is largest at the negative root. For large n it tends to (d + 1 - n) phi(1) / (2 n) near beta = -1/sqrt(n), where
    phi is the normal density: 0.121/n against `sphere`, 0.242/n against `complement`.

    Examples
    --------
    >>> print(printed_overstatement(16).amount.round(4))
    0.0081
    """
    if geometry not in ("sphere", "complement"):
        raise ValueError(f"geometry: {geometry}, sphere or complement is needed")
    exact, printed = alignment_law(d, geometry), alignment_law(d, "printed")
    more = GEOMETRIES["printed"] - GEOMETRIES[geometry]
    log_w = (exact.logpdf(0.0) - printed.logpdf(0.0)) * 2.0 / more  # (4)
    worst = -np.sqrt(-np.expm1(np.minimum(log_w, 0.0)))
    amount = np.where(worst > -1.0, printed.cdf(-worst) - exact.cdf(-worst), 0.5)
    far = exact.n > FAR  # where differences have too few digits
    amount = np.where(far, more * np.exp(-0.5) / np.sqrt(2.0 * np.pi) / (2.0 * exact.n), amount)
    return Overstatement(amount[()], np.where(far, -1.0 / np.sqrt(exact.n), worst)[()])


class GeneralProbability(NamedTuple):
    """A probability in [0, 1], and an estimate of its absolute error, of quadrature and rounding, that is rather too
    large.
    """

    probability: Floats
    error: Floats


@broadcasting
def general_probability(
    alpha: ArrayLike, a: ArrayLike, b: ArrayLike, gamma: ArrayLike, d: ArrayLike
) -> GeneralProbability:
    """P(cos(z, p + gamma f) >= alpha) for f uniform on the unit sphere of R^d, whatever the angle of p and z - p.

    Parameters
    ----------
    alpha : array_like
        Cosine to be reached, in [-1, 1].
    a, b : array_like
        The projection in the frame of the unit target, p = a z + b e, with b at least 0: a = <z, p>, b = |p - a z|. A
        projection perpendicular to its residual has a = s^2 and b = s sqrt(1 - s^2).
    gamma : array_like
        Weight of f, finite and at least 0. At gamma = 0 the cosine is a / |p|, or 0 where p = 0, and the probability is
        0 or 1.
    d : array_like
        Dimension of the target space, 1 or at least 2. In one dimension f is -1 or 1, and b is 0.

    Returns
    -------
    GeneralProbability
        `probability` and `error`, of the shape to which the arguments broadcast. A relative error of 1e-10 is aimed at;
        where 1 - |alpha| is below 1e-5 rounding makes it larger, and `error` says so.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    Notes
    -----
    The integral over t of the module's docstring, P(v >= V(t)) times the density of t.

    Examples
    --------
    >>> print(general_probability(0.3, a=0.6, b=0.2, gamma=1.0, d=8).probability.round(4))
    0.7782
    """
    arguments = np.broadcast_arrays(
        in_range("alpha", alpha, low=-1.0, high=1.0),
        in_range("a", a),
        in_range("b", b, low=0.0),
        in_range("gamma", gamma, low=0.0),
        in_range("d", d, low=np.where(np.equal(d, 1.0), 1.0, 2.0)),
    )
    alpha, a, b, gamma, d = (array.ravel() for array in arguments)
    b = in_range("b", b, high=np.where(d == 1.0, 0.0, np.inf))
    moves = gamma > 0.0
    a, b, gamma = scaled(a, b, gamma)  # only ratios of lengths matter
    gamma = np.where(moves, np.maximum(gamma, SMALLEST), 0.0)
    s = np.hypot(a, b)
    value = np.where(moves, alpha < 0.0, np.where(s > 0.0, a >= alpha * s, alpha <= 0.0)).astype(np.float64)
    error = np.zeros_like(value)
    if (line := moves & (d == 1.0)).any():
        ends = np.sign([(a + gamma)[line], (a - gamma)[line]])  # the cosines, 0 where zhat is 0
        value[line] = (ends >= alpha[line]).mean(axis=0)
    free = np.flatnonzero(moves & (d > 1.0) & (np.abs(alpha) < 1.0))  # the cosine is 1 or -1 with probability 0
    for i in np.array_split(free, -(-free.size // CHUNK) or 1):
        value[i], error[i] = _integrate_over_latitude(alpha[i], a[i], b[i], gamma[i], d[i])
        # the cone cos = alpha about z has the width sqrt(2 (1 - |alpha|)), of which rounding takes its share
        small = np.where(alpha[i] > 0.0, value[i], np.maximum(1.0 - value[i], 0.0))
        error[i] += small * np.minimum(4.0 * d[i] * EPSILON / (1.0 - np.abs(alpha[i])), 1.0)
    # and more where gamma is small, p nearly parallel to z, the sphere a circle, or, in few dimensions, zhat or P small
    few = (d < 16.0) & ((10.0 * np.abs(s - gamma) < gamma) | (value < 1e-9))
    sensitive = free[((s > 4.0 * gamma) | (1e3 * b < s) | (d < 3.0) | few)[free]]
    for i in np.array_split(sensitive, -(-sensitive.size // CHUNK) or 1):
        error[i] += _moved(alpha[i], a[i], b[i], gamma[i], d[i])
    shape = arguments[0].shape
    return GeneralProbability(*(np.minimum(one, 1.0).reshape(shape)[()] for one in (value, error)))


def _moved(alpha: Floats, a: Floats, b: Floats, gamma: Floats, d: Floats) -> Floats:
    """By how much the probability moves within the rounding of alpha and of gamma; it is 1 at -1, and 0 at 1."""
    low, high = np.maximum(alpha - 4.0 * EPSILON, -1.0), np.minimum(alpha + 4.0 * EPSILON, 1.0)
    more, less = (_integrate_over_latitude(end, a, b, gamma, d)[0] for end in (low, high))
    more, less = np.where(low > -1.0, more, 1.0), np.where(high < 1.0, less, 0.0)
    ends = gamma * (1.0 + 4.0 * EPSILON), gamma * (1.0 - 4.0 * EPSILON)
    longer, shorter = (_integrate_over_latitude(alpha, a, b, end, d)[0] for end in ends)
    return np.abs(more - less) + np.abs(longer - shorter)


@small_is_zero
def _integrate_over_latitude(alpha: Floats, a: Floats, b: Floats, gamma: Floats, d: Floats) -> tuple[Floats, Floats]:
    """The integral over t (module docstring) for flat arrays and gamma > 0, in the latitude arcsin(t).

    The integrand is smooth but for the latitudes at which V = -1 or 1. There the circle of f in the plane of z and p
    crosses the cone cos = alpha, and they have a closed form. The law of t adds cuts at 0, 3 and 9 / sqrt(d); and where
    gamma is near s, zhat turns round within |s - gamma| / gamma of the latitude -pi/2.
    """
    s = np.hypot(a, b)
    along = np.divide(a, s, out=np.ones_like(s), where=s > 0.0)
    across = np.divide(b, s, out=np.zeros_like(s), where=s > 0.0)
    ratio = s / gamma  # finite, as gamma is at least SMALLEST
    table = np.stack([alpha, along, across, s, gamma, d, ratio * (alpha - along), AlignmentLaw(d).pdf(0.0)])

    def integrand(i: NDArray[np.intp], latitude: Floats) -> Floats:
        alpha, along, across, s, gamma, d, short, density = table[:, i, None]
        half = latitude / 2.0 + np.pi / 4.0  # half the angle from the pole; rest and from_pole keep its digits
        t, rest, from_pole = np.sin(latitude), 2.0 * np.sin(half) * np.cos(half), 2.0 * np.sin(half) ** 2  # 1 + t
        length = np.sqrt((s - gamma) ** 2 + 2.0 * gamma * s * from_pole)  # |zhat| of (3)
        # (alpha |zhat| - (a/s)(s + gamma t)) / gamma, by |zhat| - s = gamma (gamma + 2 s t) / (|zhat| + s)
        missing = short + alpha * (gamma + 2.0 * s * t) / (length + s) - along * t
        # and, where all of these terms are far larger than zhat, by s + gamma t = s - gamma + gamma (1 + t)
        close = (s < 2.0 * gamma) & (from_pole < 0.5)
        missing = np.where(close, (alpha * length - along * (s - gamma)) / gamma - along * from_pole, missing)
        reach = across * rest
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # V(t) = missing / reach
            needed = np.where(reach > 0.0, missing / reach, np.where(missing <= 0.0, -np.inf, np.inf))
        log_rest = np.where(
            np.abs(t) < 0.7, np.log1p(-np.minimum(t * t, 0.5)) / 2.0, np.log(np.maximum(rest, SMALLEST))
        )
        return density * np.exp((d - 2.0) * log_rest) * AlignmentLaw(d - 1.0).cdf(-needed)

    turn = np.minimum(np.abs(s - gamma), gamma) / gamma
    cuts = [np.arcsin(np.clip(k / np.sqrt(d), -1.0, 1.0)) for k in (-9.0, -3.0, 0.0, 3.0, 9.0)]
    cuts += [
        np.full_like(d, -np.pi / 2.0),
        np.full_like(d, np.pi / 2.0),
        *(k * turn - np.pi / 2.0 for k in (1.0, 32.0)),
    ]
    sine = np.sqrt((1.0 - alpha) * (1.0 + alpha))
    for slope in (-sine, sine):  # where the ray r (alpha, slope) meets the circle of radius gamma about p
        foot, offset = along * alpha + across * slope, along * slope - across * alpha
        distance = np.clip(ratio * offset, -1.0, 1.0)  # of the ray from p, in units of gamma
        half_chord = np.sqrt((1.0 - distance) * (1.0 + distance))
        for half in (-half_chord, half_chord):
            cuts += [np.arctan2(half * foot - distance * offset, np.abs(half * offset + distance * foot))]
    ends = np.sort(np.minimum(cuts, np.pi / 2.0), axis=0).T
    value, error = np.zeros_like(d), np.zeros_like(d)
    circle, rows = np.flatnonzero(d == 2.0), np.flatnonzero(d > 2.0)
    value[rows], error[rows] = integrate(lambda i, latitude: integrand(rows[i], latitude), ends[rows])
    error *= np.where(d < 3.0, 32.0, 1.0)  # rules of any order are slow at the ends' cos^(d - 2)
    arcs = np.diff(ends[circle])  # between the cuts the integrand of a circle is constant
    value[circle] = (arcs * integrand(circle, ends[circle, :-1] + arcs / 2.0)).sum(axis=1)
    turn = np.where(turn < 0.1, turn, 0.0)  # which rounding moves, too
    turned = AlignmentLaw(d).pdf(0.0) * ((turn + 1024.0 * EPSILON) ** (d - 1.0) - turn ** (d - 1.0))
    return value, error + turned + ROUNDING * value


def orthogonal_lengths(
    s: ArrayLike, gamma: ArrayLike, norm: ArrayLike, rho: ArrayLike | None
) -> tuple[Floats, Floats, Floats, Floats]:
    """s, gamma, norm and rho, checked as `beta` says; rho from s and norm if it is not given."""
    norm = in_range("norm", norm, low=SMALLEST)
    s = in_range("s", s, low=0.0, high=norm)
    gamma = in_range("gamma", gamma, low=0.0)
    if rho is None:
        return s, gamma, norm, np.sqrt(norm - s) * np.sqrt(norm + s)
    return s, gamma, norm, in_range("rho", rho, low=0.0, high=norm)
