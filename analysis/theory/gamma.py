r"""What the weight gamma of the residual does to the cosine, and how to choose it.

Orthogonal geometry (p perpendicular to r, f perpendicular to p; s = |p|, rho = |r|, u = <r/rho, f>): the
cosine, `analysis.theory.bound.cosine`, is

    cos(gamma) = (s^2 + gamma rho u) / (|z| sqrt(s^2 + gamma^2)).

It rises until gamma* = rho u and falls after. In polar form, gamma = s tan(psi), it is R cos(psi - psi_0) /
|z| with R = sqrt(s^2 + rho^2 u^2) and tan(psi_0) = rho u / s: the peak is R / |z|, and the value at gamma = 0
comes back at psi = 2 psi_0. The residual helps if and only if u > 0 and gamma stays below that.

General geometry (z a unit vector, a = <z, p>, t = <z, f>, q = <p, f>, f a unit vector):

    cos(gamma) = (a + gamma t) / sqrt(s^2 + gamma^2 + 2 gamma q),

whose derivative has the sign of (t s^2 - a q) - gamma (a - t q).

A uniformly random f has a negative delta-quantile of u for delta < 1/2, so the level guaranteed with
probability 1 - delta only falls as gamma grows: the bound says how little the residual can harm, it never
justifies gamma > 0. Data can: `calibrate_gamma`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from analysis.theory.arrays import fraction, matrix, rows_agree, vector
from analysis.theory.bound import alignment_law, cosine, orthogonal_lengths
from analysis.theory.intervals import group_numbers
from analysis.theory.sphere import Floats, in_range

GRID = 256  # angles psi at which the calibration looks before it refines the best one
GAIN = 2.0  # a cosine moves by no more than this
STAKE = 0.9  # share of its capital that a bet can lose on one value


def best_gamma(u: ArrayLike, s: ArrayLike, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None) -> Floats:
    """gamma* = max(rho u, 0), where the cosine is largest in the orthogonal geometry.

    u in [-1, 1]; s, norm and rho as for `analysis.theory.bound.beta`. For u >= 0 the cosine there is
    sqrt(s^2 + rho^2 u^2) / norm. At s = 0 any other gamma > 0 is as good.
    """
    return np.maximum(_residual_along(u, s, norm, rho), 0.0)[()]


def break_even_gamma(u: ArrayLike, s: ArrayLike, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None) -> Floats:
    """Largest gamma whose cosine is no lower than that of gamma = 0: 2 s^2 rho u / (s^2 - rho^2 u^2).

    0 where u <= 0, inf where rho u >= s > 0: there every gamma helps. At s = 0 it is inf for u >= 0 (the
    cosine of zhat = 0 counts as 0) and 0 below.
    """
    along = _residual_along(u, s, norm, rho)
    s = np.asarray(s, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = 2.0 * s**2 * along / ((s - along) * (s + along))
    return np.where(along >= s, np.inf, np.where(along > 0.0, crossing, 0.0))[()]


def break_even_alignment(
    s: ArrayLike, gamma: ArrayLike = 1.0, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None
) -> Floats:
    """Alignment u above which this gamma beats gamma = 0: s gamma / (rho (s + sqrt(s^2 + gamma^2))).

    A value above 1 (inf for rho = 0 < s, gamma) means that no alignment is enough; 0 at gamma = 0 or s = 0.
    """
    s, gamma, norm, rho = orthogonal_lengths(s, gamma, norm, rho)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = s * gamma / (rho * (s + np.hypot(s, gamma)))
    return np.where(s * gamma > 0.0, needed, 0.0)[()]


def ceiling(s: ArrayLike, gamma: ArrayLike = 1.0, *, norm: ArrayLike = 1.0, rho: ArrayLike | None = None) -> Floats:
    """Cosine of a perfect residual direction, u = 1: (s^2 + gamma rho) / (norm sqrt(s^2 + gamma^2)).

    Below s / norm, gamma = 0 beats every direction.
    """
    return cosine(1.0, s, gamma, norm=norm, rho=rho)


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
    """Cosine that a random direction reaches with probability 1 - delta: `cosine` at the delta-quantile of u.

    `analysis.theory.bound.largest_alpha` at 1 - delta, without losing small delta to rounding. It falls with gamma
    for delta < 1/2: from s / norm at 0 towards rho u / norm.
    """
    u = -alignment_law(d, geometry).isf(in_range("delta", delta, low=0.0, high=1.0))
    return cosine(u, s, gamma, norm=norm, rho=rho)


def general_cosine(gamma: ArrayLike, a: ArrayLike, t: ArrayLike, q: ArrayLike, s: ArrayLike) -> Floats:
    """cos(z, p + gamma f) = (a + gamma t) / sqrt(s^2 + gamma^2 + 2 gamma q); 0 where p + gamma f = 0.

    z and f are unit vectors, gamma >= 0; a = <z, p> and q = <p, f> in [-s, s], t = <z, f> in [-1, 1], s = |p|.
    """
    gamma, (a, t, q, s) = in_range("gamma", gamma, low=0.0), _inner_products(a, t, q, s)
    square = np.maximum(s**2 + gamma**2 + 2.0 * gamma * q, 0.0)
    return _ratio(a + gamma * t, np.sqrt(square))[()]


def general_best_gamma(a: ArrayLike, t: ArrayLike, q: ArrayLike, s: ArrayLike) -> Floats:
    """gamma >= 0 with the largest `general_cosine`: (t s^2 - a q) / (a - t q) where that is a maximum.

    With top = t s^2 - a q and bottom = a - t q: for bottom > 0 it is max(top / bottom, 0). For bottom <= 0
    the cosine has no inner maximum and the larger of its ends wins: inf (the cosine tends to t) if t > a / s,
    else 0.
    """
    a, t, q, s = _inner_products(a, t, q, s)
    top, bottom = t * s**2 - a * q, a - t * q
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.maximum(top / bottom, 0.0)
    return np.where(bottom > 0.0, inner, np.where(t > _ratio(a, s), np.inf, 0.0))[()]


class Calibration(NamedTuple):
    """A gamma chosen on data, and what is known about it.

    Attributes
    ----------
    gamma
        The choice, >= 0.
    cosine, linear_cosine
        Mean cosine over all calibration rows at gamma and at 0; the first is never the smaller one.
    lower_limit
        With the stated confidence, gamma raises the expected cosine of a new row (where rows are grouped, the
        expected mean of a new group) by at least this.
    confidence
        In (0, 1).
    """

    gamma: float
    cosine: float
    linear_cosine: float
    lower_limit: float
    confidence: float

    @property
    def certified_gamma(self) -> float:
        """gamma if its lower limit is at least 0, else 0: harmful with probability at most 1 - confidence."""
        return self.gamma if self.lower_limit >= 0.0 else 0.0


def calibrate_gamma(
    projection: ArrayLike,
    direction: ArrayLike,
    targets: ArrayLike,
    *,
    group: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Calibration:
    """Choose gamma for zhat = projection + gamma direction by the mean cosine on validation rows.

    Parameters
    ----------
    projection, direction, targets
        p, f and z, each (n, d). f may have any length, also zero; no target may be zero.
    group
        (n,) labels; rows of one group (captions of one picture) stay together. None: all rows are
        independent.
    confidence
        Of `lower_limit`.

    Returns
    -------
    Calibration
        What is guaranteed: (1) on these rows the mean cosine is not below that of gamma = 0, without
        condition; (2) if the groups are independent draws from one population, `lower_limit` is at most the
        expected improvement of a group's mean cosine with probability `confidence`, for every n and every
        law. For (2) gamma is chosen on every other group and the limit comes from the rest
        (`lower_mean_limit`).

    Raises
    ------
    ValueError
        Shapes that disagree, values that are not finite, a zero target, fewer than two groups.
    """
    confidence = fraction("confidence", confidence)
    p, f, z = matrix("projection", projection), matrix("direction", direction), matrix("targets", targets)
    rows_agree(projection=p, direction=f, targets=z)
    if not p.shape == f.shape == z.shape:
        raise ValueError(f"columns: {p.shape[1]}, {f.shape[1]}, {z.shape[1]}; allowed is one d for all")
    length = np.linalg.norm(z, axis=1)
    if not length.all():
        raise ValueError(f"targets: row {int(np.argmin(length))} is zero, allowed are vectors with a direction")
    labels = group_numbers(None if group is None else np.asarray(group), len(z))
    if labels.max() < 1:
        raise ValueError("group: 1 group, allowed are at least 2, one half to choose and one to check")

    z = z / length[:, None]
    a, t, q = (z * p).sum(axis=1), (z * f).sum(axis=1), (p * f).sum(axis=1)
    p_square, f_square = (p * p).sum(axis=1), (f * f).sum(axis=1)

    def cosines(gamma: float) -> Floats:
        square = np.maximum(p_square + gamma**2 * f_square + 2.0 * gamma * q, 0.0)
        return _ratio(a + gamma * t, np.sqrt(square))

    choosing = labels % 2 == 0
    scale = float(np.sqrt(p_square.mean() / f_square.mean())) if p_square.any() and f_square.any() else 1.0
    gamma = _maximise(lambda gamma: float(cosines(gamma)[choosing].mean()), scale)
    linear = cosines(0.0)
    gain = cosines(gamma) - linear
    if gain.mean() <= 0.0:
        return Calibration(0.0, float(linear.mean()), float(linear.mean()), 0.0, confidence)
    sums, counts = np.bincount(labels, gain), np.bincount(labels)
    limit = lower_mean_limit((sums / counts)[1::2], confidence, low=-GAIN, high=GAIN)
    return Calibration(gamma, float(cosines(gamma).mean()), float(linear.mean()), limit, confidence)


def lower_mean_limit(values: ArrayLike, confidence: float, *, low: float, high: float) -> float:
    """Lower confidence limit for the mean of independent values in [low, high], valid for every n and law.

    It is the smallest mean m that a gambler cannot refute: the capital prod_i (1 + lambda_i (x_i - m)) with
    stakes 0 <= lambda_i <= STAKE / (m - low) fixed before x_i is seen is a supermartingale if the true mean
    is at most m, so it exceeds 1/(1 - confidence) with probability at most 1 - confidence (Ville). The stakes
    follow the running variance (Waudby-Smith and Ramdas, arXiv:2010.09686, section 4).
    """
    level = np.log(1.0 / (1.0 - fraction("confidence", confidence)))
    x = in_range("values", vector("values", values), low=low, high=high)
    seen = np.arange(1, x.size + 1)
    running_mean = np.concatenate([[(low + high) / 2.0], np.cumsum(x)[:-1] / seen[:-1]])
    spread = np.concatenate([[0.0], np.cumsum((x - running_mean) ** 2)[:-1]])
    stakes = np.sqrt(2.0 * level * seen / (x.size * (0.01 * (high - low) ** 2 + spread)))

    def excess(m: float) -> float:
        return float(np.log1p(np.minimum(stakes, STAKE / (m - low)) * (x - m)).sum()) - level

    lowest = low + 1e-9 * (high - low)
    if excess(lowest) <= 0.0:
        return low
    return float(optimize.brentq(excess, lowest, high, xtol=1e-12 * (high - low)))


def _maximise(objective: Callable[[float], float], scale: float) -> float:
    """gamma >= 0 with the largest objective: GRID angles psi, gamma = scale tan(psi); the best is refined."""
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
    """rho u, checked."""
    *_, rho = orthogonal_lengths(s, 0.0, norm, rho)
    return rho * in_range("u", u, low=-1.0, high=1.0)


def _inner_products(a: ArrayLike, t: ArrayLike, q: ArrayLike, s: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
    """The four numbers of the general geometry, finite; rounding may carry them past Cauchy-Schwarz."""
    return in_range("a", a), in_range("t", t), in_range("q", q), in_range("s", s, low=0.0)


def _ratio(x: Floats, length: Floats) -> Floats:
    """x / length, 0 where the length is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(length > 0.0, x / length, 0.0)
