r"""The cosine bound: P(cos(z, zhat) >= alpha) for zhat = p + gamma f, f a uniformly random unit vector.

Notation (poster, Justification 2): z the target, p = cM its projection with s = |p|, r = z - p the residual
with rho = |r|, f = F(c) the unit vector that the sampler adds with weight gamma, u = <r/rho, f> its
alignment.

*Orthogonal geometry* (p perpendicular to r, f perpendicular to p). Then <z, zhat> = s^2 + gamma rho u and
|zhat|^2 = s^2 + gamma^2, so the cosine increases with u and

    {cos(z, zhat) >= alpha} = {u >= beta},   beta = (alpha |z| sqrt(s^2 + gamma^2) - s^2) / (gamma rho).

The poster uses beta without defining it; this is the reading that makes its statement true. What remains is
the dimension n of the sphere on which u lives (`GEOMETRIES`). In polar form, gamma = s tan(psi), the cosine
is (s cos(psi) + rho u sin(psi)) / |z|.

*General geometry* (z a unit vector, p = a z + b e with e perpendicular to z, f anywhere on S^(d-1)). With
t = <p/s, f> and v the alignment of the rest of f with the direction of z perpendicular to p,

    <z, f> = (a/s) t + (b/s) sqrt(1 - t^2) v,    |zhat|^2 = s^2 + gamma^2 + 2 gamma s t,

so given t the event is v >= V(t), one inequality for every sign of alpha, where v follows the law in
dimension d - 1 and t the law in dimension d: the probability is one integral over t.

"At least" is a hypothesis: these are probabilities for a uniform f. They bound those of a trained F from
below if its alignment dominates the uniform one stochastically, which only held-out data can tell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.theory.quadrature import integrate
from analysis.theory.sphere import AlignmentLaw, Floats, in_range

GEOMETRIES = {"printed": 1, "sphere": 0, "complement": -1}
"""Dimension n of the alignment's law minus the target's dimension d, by convention.

printed
    n = d + 1, the integrand as the poster prints it (with h2 = d). No geometry has this dimension; where
    beta < 0 it gives too large a value, so it is not a lower bound there (`printed_overstatement`).
sphere
    n = d, f uniform on the whole sphere of the target space, its component along p ignored.
complement
    n = d - 1, f uniform on the unit sphere perpendicular to p: exact for the orthogonal geometry.
"""

SMALLEST = float(np.finfo(np.float64).tiny)  # length that a target must have
CHUNK = 512  # integrals worked on together


def alignment_law(d: ArrayLike, geometry: str = "complement") -> AlignmentLaw:
    """Law of the alignment for targets in R^d: dimension n = d + GEOMETRIES[geometry], at least 1."""
    if geometry not in GEOMETRIES:
        raise ValueError(f"geometry: {geometry}, allowed is {' or '.join(GEOMETRIES)}")
    offset = GEOMETRIES[geometry]
    return AlignmentLaw(in_range("d", d, low=max(1.0, 1.0 - offset)) + offset)


def cosine(
    u: ArrayLike, s: ArrayLike, gamma: ArrayLike, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None
) -> Floats:
    """cos(z, zhat) = (s^2 + gamma rho u) / (norm sqrt(s^2 + gamma^2)), orthogonal geometry; 0 where zhat = 0.

    u in [-1, 1] is the alignment; the other arguments are those of `beta`, which is the inverse function:
    cosine(beta(alpha, s, gamma), s, gamma) = alpha.
    """
    u = in_range("u", u, low=-1.0, high=1.0)
    s, gamma, norm, rho = orthogonal_lengths(s, gamma, norm, rho)
    length = np.hypot(s, gamma)
    with np.errstate(invalid="ignore"):
        return np.where(length > 0.0, (s * (s / length) + rho * u * (gamma / length)) / norm, 0.0)[()]


def beta(
    alpha: ArrayLike, s: ArrayLike, gamma: ArrayLike, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None
) -> Floats:
    """Smallest alignment beta at which the cosine reaches alpha, orthogonal geometry; arguments broadcast.

    Parameters
    ----------
    alpha
        Cosine to be reached, in [-1, 1]; zero and negative values follow the same formula.
    s
        Length of the projection, |cM|, in [0, norm].
    gamma
        Weight of the residual direction, finite and >= 0.
    norm
        Length of the target, |z| > 0.
    rho
        Length of the residual, in [0, norm]; sqrt(norm^2 - s^2) if not given. Give it where s is so near norm
        that the difference loses digits. A rho measured where p and r are not perpendicular makes the formula
        an approximation.

    Returns
    -------
    Floats
        beta. Any real number: at or below -1 the event is certain, above 1 impossible. For gamma -> 0 it
        diverges to -inf (alpha < s/norm) or +inf (alpha > s/norm). Where the alignment has no influence
        (gamma = 0 or rho = 0) it is -inf if the fixed cosine s^2 / (norm sqrt(s^2 + gamma^2)) is at least
        alpha, else +inf. At s = 0 it is alpha for every gamma > 0; gamma = 0 leaves zhat = 0 there, whose
        cosine counts as 0.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.
    """
    alpha = in_range("alpha", alpha, low=-1.0, high=1.0)
    s, gamma, norm, rho = orthogonal_lengths(s, gamma, norm, rho)
    length = np.hypot(s, gamma)
    fixed = (gamma == 0.0) | (rho == 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # the numerator is alpha |z| (length - s) + s (alpha |z| - s), and length - s = gamma^2 / (length + s)
        growth = gamma / (length + s)
        value = (alpha * norm * growth + s * (alpha * norm - s) / gamma) / rho
        reached = alpha * norm * growth * gamma <= s * (s - alpha * norm)
    certain = np.where(length > 0.0, reached, alpha <= 0.0)
    return np.where(fixed, np.where(certain, -np.inf, np.inf), value)[()]


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
    """P(cos(z, zhat) >= alpha) = P(U >= beta), U from the law in dimension n = d + GEOMETRIES[geometry].

    Arguments and degenerate cases as for `beta`; d is the dimension of the target space (poster: h2), large
    enough that n >= 1. The event includes equality, so for n = 1, where U is -1 or 1, the value is 1, 1/2
    (-1 < beta <= 1) or 0.

    Source: poster, Justification 2.
    """
    law = alignment_law(d, geometry)
    return law.cdf(-beta(alpha, s, gamma, norm=norm, rho=rho))  # P(U >= beta) = P(U <= -beta), atoms included


def log_probability(
    alpha: ArrayLike,
    s: ArrayLike,
    gamma: ArrayLike,
    d: ArrayLike,
    geometry: str = "complement",
    *,
    norm: ArrayLike = 1.0,
    rho: ArrayLike | None = None,
) -> Floats:
    """Natural logarithm of `probability`, right where the probability underflows."""
    law = alignment_law(d, geometry)
    return law.logcdf(-beta(alpha, s, gamma, norm=norm, rho=rho))


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
    """The bound over a data set: the mean over samples i of P(U >= beta_i).

    s, gamma, norm and rho hold one value a sample, shape (n,), or one for all; alpha may have any shape, and
    the result has it too.
    """
    alpha = in_range("alpha", alpha, low=-1.0, high=1.0)
    levels = [probability(level, s, gamma, d, geometry, norm=norm, rho=rho).mean() for level in alpha.flat]
    return np.reshape(levels, alpha.shape)[()]


def largest_alpha(
    q: ArrayLike,
    s: ArrayLike,
    gamma: ArrayLike,
    d: ArrayLike,
    geometry: str = "complement",
    *,
    norm: ArrayLike = 1.0,
    rho: ArrayLike | None = None,
) -> Floats:
    """Largest alpha with `probability` at least q: the cosine at the quantile of the alignment.

    q in [0, 1]: q = 1 gives the smallest cosine that can occur, q = 0 the largest. It is `cosine` at the
    largest u for which P(U >= u) >= q.
    """
    return cosine(_guaranteed_alignment(q, d, geometry), s, gamma, norm=norm, rho=rho)


def largest_gamma(
    cost: ArrayLike,
    q: ArrayLike,
    s: ArrayLike,
    d: ArrayLike,
    geometry: str = "complement",
    *,
    norm: ArrayLike = 1.0,
    rho: ArrayLike | None = None,
) -> Floats:
    """Largest gamma at which `largest_alpha` at q is at most `cost` below s/norm, its value at gamma = 0.

    cost >= 0, in units of cosine; q in [0, 1]. inf where no gamma costs more. With c = rho u at the
    guaranteed alignment u, the level L = s - cost norm is met where s^2 + gamma c = L sqrt(s^2 + gamma^2),
    whose larger root is gamma = s (s D + c L) / (s L - c D), D = sqrt(c^2 + s^2 - L^2). At s = 0 every gamma
    > 0 has the level rho u / norm: the answer is inf or 0.
    """
    cost = in_range("cost", cost, low=0.0)
    u = _guaranteed_alignment(q, d, geometry)
    s, _, norm, rho = orthogonal_lengths(s, 0.0, norm, rho)
    c = rho * u
    level = s - cost * norm
    drop = cost * norm * (s + level)  # s^2 - L^2
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(c**2 + drop)
        # s D + c L, without cancellation where the two have opposite signs
        top = np.where(c * level < 0.0, drop * (s**2 + c**2) / (s * root - c * level), s * root + c * level)
        return np.where(level <= c, np.inf, s * top / (s * level - c * root))[()]


class Overstatement(NamedTuple):
    """By how much the printed formula exceeds the exact probability at its worst, and at which beta < 0."""

    amount: Floats
    beta: Floats


def printed_overstatement(d: ArrayLike, geometry: str = "sphere") -> Overstatement:
    """Largest excess of `printed` over `sphere` or `complement`, over all beta.

    The difference of two tails is stationary where the densities agree,
    (1 - beta^2)^((d + 1 - n)/2) = c_n / c_(d+1), and largest at the negative root. For large n it behaves as
    (d + 1 - n) phi(1) / (2 n) near beta = -1/sqrt(n), phi the normal density: 0.121/n against `sphere`,
    0.242/n against `complement`. d must be such that n >= 2 (at n = 1 there is no density).
    """
    if geometry not in ("sphere", "complement"):
        raise ValueError(f"geometry: {geometry}, allowed is sphere or complement")
    d = in_range("d", d, low=2.0 - GEOMETRIES[geometry])
    exact, printed = alignment_law(d, geometry), alignment_law(d, "printed")
    log_w = (exact.logpdf(0.0) - printed.logpdf(0.0)) * 2.0 / (printed.n - exact.n)
    worst = -np.sqrt(-np.expm1(log_w))
    return Overstatement(printed.cdf(-worst) - exact.cdf(-worst), worst)


class GeneralProbability(NamedTuple):
    """A probability in [0, 1] and a conservative estimate of the absolute error of its quadrature."""

    probability: Floats
    error: Floats


def general_probability(
    alpha: ArrayLike, a: ArrayLike, b: ArrayLike, gamma: ArrayLike, d: ArrayLike
) -> GeneralProbability:
    """P(cos(z, p + gamma f) >= alpha) for f uniform on S^(d-1), whatever the angle between p and z - p.

    Parameters
    ----------
    alpha
        Cosine to be reached, in [-1, 1].
    a, b
        Projection p = a z + b e in the frame of the unit target z; b = |p - a z| >= 0. A projection
        perpendicular to its residual has a = s^2, b = s sqrt(1 - s^2).
    gamma
        Weight of f, finite and >= 0. At gamma = 0 the cosine is a / |p|, 0 where p = 0: the answer is 0 or 1.
    d
        Dimension of the target space, >= 2.

    Returns
    -------
    GeneralProbability
        `probability` and `error`, of the shape to which the arguments broadcast. The relative error aimed at
        is 1e-10.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.
    """
    arguments = np.broadcast_arrays(
        in_range("alpha", alpha, low=-1.0, high=1.0),
        in_range("a", a),
        in_range("b", b, low=0.0),
        in_range("gamma", gamma, low=0.0),
        in_range("d", d, low=2.0),
    )
    alpha, a, b, gamma, d = (array.ravel() for array in arguments)
    s = np.hypot(a, b)
    value = np.where(s > 0.0, a >= alpha * s, alpha <= 0.0).astype(np.float64)
    error = np.zeros_like(value)
    free = np.flatnonzero(gamma > 0.0)
    for i in np.array_split(free, -(-free.size // CHUNK) or 1):
        value[i], error[i] = _integrate_over_latitude(alpha[i], a[i], b[i], gamma[i], d[i])
    shape = arguments[0].shape
    return GeneralProbability(np.minimum(value, 1.0).reshape(shape)[()], error.reshape(shape)[()])


def _integrate_over_latitude(alpha: Floats, a: Floats, b: Floats, gamma: Floats, d: Floats) -> tuple[Floats, Floats]:
    """The integral over t (module docstring) for flat arrays and gamma > 0, in the latitude arcsin(t).

    The integrand is smooth but for the latitudes at which V = -1 or 1: there the circle of f in the plane of
    z and p crosses the cone cos = alpha. They have a closed form; the law of t adds cuts at 0, 3 and
    9 / sqrt(d).
    """
    s = np.hypot(a, b)
    along = np.divide(a, s, out=np.ones_like(s), where=s > 0.0)
    across = np.divide(b, s, out=np.zeros_like(s), where=s > 0.0)
    # the latitude's density, c_d cos^(d-2), is the law of dimension d + 1 at t, up to its constant
    constant = AlignmentLaw(d).pdf(0.0) / AlignmentLaw(d + 1.0).pdf(0.0)
    table = np.stack([alpha, along, across, s, gamma, d, constant])

    def integrand(i: NDArray[np.intp], latitude: Floats) -> Floats:
        alpha, along, across, s, gamma, d, constant = table[:, i, None]
        t = np.sin(latitude)
        length = np.sqrt(np.maximum(s**2 + gamma**2 + 2.0 * gamma * s * t, 0.0))
        missing = alpha * length - along * (s + gamma * t)
        reach = gamma * across * np.cos(latitude)
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.where(reach > 0.0, missing / reach, np.where(missing <= 0.0, -np.inf, np.inf))
        return constant * AlignmentLaw(d + 1.0).pdf(t) * AlignmentLaw(d - 1.0).cdf(-needed)

    cuts = [k / np.sqrt(d) for k in (-9.0, -3.0, 0.0, 3.0, 9.0)] + [np.full_like(d, -1.0), np.ones_like(d)]
    sine = np.sqrt((1.0 - alpha) * (1.0 + alpha))
    for slope in (-sine, sine):  # where the ray r (alpha, slope) meets the circle of radius gamma about p
        foot = along * alpha + across * slope
        half_chord = np.sqrt(np.maximum(gamma**2 - s**2 * (along * slope - across * alpha) ** 2, 0.0))
        cuts += [((s * foot + sign * half_chord) * foot - s) / gamma for sign in (-1.0, 1.0)]
    return integrate(integrand, np.sort(np.arcsin(np.clip(cuts, -1.0, 1.0)), axis=0).T)


def orthogonal_lengths(
    s: ArrayLike, gamma: ArrayLike, norm: ArrayLike, rho: ArrayLike | None
) -> tuple[Floats, Floats, Floats, Floats]:
    """The four lengths, checked; rho of the orthogonal geometry if not given."""
    norm = in_range("norm", norm, low=SMALLEST)
    s = in_range("s", s, low=0.0, high=norm)
    gamma = in_range("gamma", gamma, low=0.0)
    if rho is None:
        return s, gamma, norm, np.sqrt((norm - s) * (norm + s))
    return s, gamma, norm, in_range("rho", rho, low=0.0, high=norm)


def _guaranteed_alignment(q: ArrayLike, d: ArrayLike, geometry: str) -> Floats:
    """Largest u with P(U >= u) >= q."""
    q = in_range("q", q, low=0.0, high=1.0)
    return -alignment_law(d, geometry).ppf(q)
