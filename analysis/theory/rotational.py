r"""The cosine bound for a direction whose law is symmetric about an axis, where the uniform one has no axis.

z is the unit target, p = c M, and the direction is

    f = w mu + sqrt(1 - w^2) g,                                                                                      (1)

with a unit vector mu, the axis; w = <f, mu>, of any law; and g uniform on the unit sphere perpendicular to mu,
independent of w. The law of von Mises and Fisher is of this kind, and so is every other with rotations about mu as
symmetries [1]_. The uniform law has the w of `AlignmentLaw(d)`.

Given w, the translation is q + h g with q = p + gamma w mu and h = gamma sqrt(1 - w^2). Let P be the projection on the
d - 1 dimensions perpendicular to mu. As g is perpendicular to mu, and P q = P p,

    <z, q + h g> = <z, q> + h <P z, g>,        |q + h g|^2 = |q|^2 + h^2 + 2 h <P p, g>.
    (2)

Only the inner products of g with P z and P p are random. With t = <P p / |P p|, g>, and v the alignment of what g and P
z have perpendicular to P p, the cosine reaches alpha where v reaches some V(t), as in the general geometry of
`analysis.theory.bound`. v follows the law of `AlignmentLaw` in dimension d - 2, t the one in dimension d - 1. The
component of q along mu, which no g changes, enters both sides: this is not the general geometry of P z and P p.

The value is a lower bound for a trained direction that is at least as good as (1) about its own axis, with the w that
it was measured to have. That is a weaker premise than the uniform one if mu is a good axis, and still a premise.

References
----------
.. [1] K. V. Mardia and P. E. Jupp, Directional statistics (2000), section 9.3.
.. [2] E. Garcia-Portugues, D. Paindaveine and T. Verdebout, the R package rotasym.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.theory.arrays import (
    Floats,
    directions,
    in_range,
    matrix,
    number,
    row_lengths,
    rows_agree,
    vector,
    weights,
)
from analysis.theory.bound import CHUNK, EPSILON, ROUNDING, GeneralProbability
from analysis.theory.quadrature import integrate
from analysis.theory.sphere import AlignmentLaw

NEWTON = 3  # steps that correct an angle


def rotational_probability(
    alpha: float, projection: ArrayLike, target: ArrayLike, axis: ArrayLike, w: ArrayLike, gamma: ArrayLike
) -> GeneralProbability:
    """P(cos(z, p + gamma f) >= alpha) given w, for f of (1).

    Parameters
    ----------
    alpha : float
        Cosine to be reached, in [-1, 1].
    projection, target : (n, d) array_like
        p of any length and z of any length but 0; d is at least 3.
    axis : (d,) array_like
        mu, of any length but 0.
    w : (n,) or (n, m) array_like
        In [-1, 1]: one value a row, or m of them. The mean over m values is the probability for a w of that law.
    gamma : array_like
        Weight of f, one number or (n,), finite and at least 0.

    Returns
    -------
    GeneralProbability
        `probability` and `error`, of the shape of w.

    Raises
    ------
    ValueError
        An argument outside its range, shapes that do not agree.

    Examples
    --------
    >>> z, p = np.array([[0.6, 0.8, 0.0, 0.0]]), np.array([[0.3, 0.0, 0.4, 0.0]])
    >>> found = rotational_probability(0.5, p, z, axis=[1.0, 0.0, 0.0, 0.0], w=[[0.0, 0.5, 0.9]], gamma=1.0)
    >>> print(found.probability.round(4))
    [[0.2771 0.4047 0.5741]]
    """
    alpha = number("alpha", alpha, low=-1.0, high=1.0)
    p, z, mu = matrix("projection", projection), matrix("target", target), vector("axis", axis)
    if p.shape != z.shape or mu.shape != p.shape[1:] or len(mu) < 3:
        found = f"{mu.shape}, {p.shape} and {z.shape}"
        raise ValueError(f"axis, projection, target: shapes {found}, (d,) and twice (n, d) with d from 3 are needed")
    w = in_range("w", w, low=-1.0, high=1.0)
    if w.ndim not in (1, 2):
        raise ValueError(f"w: shape {w.shape}, (n,) or (n, m) is needed")
    rows_agree(projection=p, w=w)
    weight = weights("gamma", gamma, len(p))
    z, mu = directions("target", z), directions("axis", mu)
    scale = np.maximum(np.maximum(row_lengths(p)[1], weight), np.finfo(np.float64).tiny)
    p, weight = p / scale[:, None], weight / scale  # the cosine does not see a common factor

    z_mu, p_mu = z @ mu, p @ mu
    z_rest, p_rest = z - z_mu[:, None] * mu, p - p_mu[:, None] * mu
    s = np.linalg.norm(p_rest, axis=1)
    e = np.divide(p_rest, s[:, None], out=np.zeros_like(p), where=s[:, None] > 0.0)
    along = np.einsum("nd,nd->n", z_rest, e)
    across = np.linalg.norm(z_rest - along[:, None] * e, axis=1)
    shape = (len(p),) + (1,) * (w.ndim - 1)
    z_mu, p_mu, s, along, across, weight = (x.reshape(shape) for x in (z_mu, p_mu, s, along, across, weight))
    q_mu, h = p_mu + weight * w, weight * np.sqrt((1.0 - w) * (1.0 + w))
    fixed, nearest = z_mu * q_mu + along * s, q_mu**2 + (s - h) ** 2  # <z, q>, and |q + h g|^2 at the least
    table = np.stack([np.broadcast_to(x, w.shape).ravel() for x in (fixed, nearest, s, along, across, h)])
    fixed, nearest, h = table[0], table[1], table[5]
    value = np.where(nearest > 0.0, fixed >= alpha * np.sqrt(nearest), alpha <= 0.0).astype(np.float64)
    error = np.zeros_like(value)
    free = np.flatnonzero(h > 0.0)
    for i in np.array_split(free, -(-free.size // CHUNK) or 1):
        value[i], error[i] = _integrate(alpha, len(mu), table[:, i])
    # what P moves by within the rounding of <z, q>, where that tells: if h g reaches little, or is on a circle
    move = np.array([16.0 * EPSILON, *np.zeros(5)])[:, None]
    sensitive = free[(h * table[4])[free] < 1e-2] if len(mu) > 3 else free
    for i in np.array_split(sensitive, -(-sensitive.size // CHUNK) or 1):
        more, less = (_integrate(alpha, len(mu), table[:, i] + way * move)[0] for way in (1.0, -1.0))
        error[i] += np.abs(more - less)
    error = np.minimum(error, 1.0)
    return GeneralProbability(np.minimum(value, 1.0).reshape(w.shape), error.reshape(w.shape))


def _integrate(alpha: float, d: int, table: Floats) -> tuple[Floats, Floats]:
    """The integral over the latitude arcsin(t), of the columns of the table, where h > 0.

    The density of the latitude is c cos^(d-3): the law of dimension d at t, up to its constant. The integrand is not
    smooth where V = -1 or 1, which is where g in the plane of P z and P p has the cosine alpha.
    """
    constant = AlignmentLaw(d - 1.0).pdf(0.0) / AlignmentLaw(float(d)).pdf(0.0)

    def integrand(i: NDArray[np.intp], latitude: Floats) -> Floats:
        fixed, nearest, s, along, across, h = table[:, i, None]
        half = latitude / 2.0 + np.pi / 4.0  # half the angle from the pole; rest and from_pole keep its digits
        t, rest, from_pole = np.sin(latitude), 2.0 * np.sin(half) * np.cos(half), 2.0 * np.sin(half) ** 2  # 1 + t
        missing = alpha * np.sqrt(nearest + 2.0 * h * s * from_pole) - fixed - h * along * t
        reach = h * across * rest
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # V(t) = missing / reach
            needed = np.where(reach > 0.0, missing / reach, np.where(missing <= 0.0, -np.inf, np.inf))
        return constant * AlignmentLaw(float(d)).pdf(t) * AlignmentLaw(d - 2.0).cdf(-needed)

    usual = np.arcsin(np.clip(np.array([-9.0, -3.0, 0.0, 3.0, 9.0]) / np.sqrt(d), -1.0, 1.0))
    nearest, h = np.sqrt(table[1]), table[5]
    turn = np.minimum(nearest, h) / h  # from the latitude -pi/2, within which q + h g turns round
    crossings = _crossings(alpha, table)
    cuts = np.hstack(
        [
            np.array([-np.pi / 2.0, *usual, np.pi / 2.0]) * np.ones((table.shape[1], 1)),
            np.minimum(np.outer(turn, [1.0, 32.0]) - np.pi / 2.0, np.pi / 2.0),
            np.arctan2(np.sin(crossings), np.abs(np.cos(crossings))),
        ]
    )
    value, error = integrate(integrand, np.sort(cuts, axis=1))
    density = AlignmentLaw(d - 1.0).pdf(0.0)
    turn = np.where(turn < 0.1, turn, 0.0)
    turned = density * ((turn + 64.0 * EPSILON) ** (d - 2.0) - turn ** (d - 2.0))  # of turning round, by rounding
    return value, error + turned + ROUNDING * value


def _crossings(alpha: float, table: Floats) -> Floats:
    """Angles (m, 4) at which the squared cosine of q + h g is alpha^2, for g in the plane of P z and P p.

    With g = (sin x, cos x), the condition (A + B sin x + C cos x)^2 = alpha^2 (D + E sin x) is a polynomial of degree 4
    in exp(ix), whose roots on the unit circle are the crossings. Others cost a cut that does no harm. Those of alpha
    itself are corrected by Newton's steps, for the roots have few digits where q + h g is small. Where P z is zero
    there is no such polynomial, and the panels of the integral are halved until they find the jump.
    """
    fixed, nearest, s, along, across, h = table
    square = nearest + 2.0 * h * s
    a, b, c = fixed, h * along, h * across
    wave = (c - 1j * b) / 2.0  # b sin x + c cos x = wave y + conj(wave) / y, with y = exp(ix)
    second = wave**2
    first = 2.0 * a * wave + 1j * alpha**2 * h * s  # of alpha^2 (square + 2 h s sin x): -1j h s y + 1j h s / y
    none = a**2 + 2.0 * np.abs(wave) ** 2 - alpha**2 * square
    vanishes = np.abs(second) < 1e-100
    companion = np.zeros((len(a), 4, 4), dtype=complex)
    lower = np.stack([first, none, np.conj(first), np.conj(second)])
    companion[:, 0] = -(lower / np.where(vanishes, 1.0, second)).T
    companion[:, [1, 2, 3], [0, 1, 2]] = 1.0
    companion[vanishes] = np.eye(4)
    angle = np.angle(np.linalg.eigvals(companion))
    a, b, c, nearest, twist = (x[:, None] for x in (a, b, c, nearest, h * s))
    for _ in range(NEWTON):
        sine, cosine = np.sin(angle), np.cos(angle)
        length = np.sqrt(nearest + 4.0 * twist * np.sin(angle / 2.0 + np.pi / 4.0) ** 2)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            slope = b * cosine - c * sine - alpha * twist * cosine / length
            step = (a + b * sine + c * cosine - alpha * length) / slope
        angle = np.where(np.abs(step) < 1e-3, angle - step, angle)
    return angle
