r"""The law of the cosine between a fixed direction and a random one.

Let e be a fixed unit vector of R^n and f uniform on the unit sphere of R^n. The alignment U = <e, f> is symmetric
about 0 and concentrates there as n grows: its variance is 1/n. With nu = (n - 1)/2, (1 + U)/2 follows Beta(nu, nu),
so that the density of U on (-1, 1) is

    p(x) = c_n (1 - x^2)^(nu - 1),        c_n = Gamma(nu + 1/2) / (sqrt(pi) Gamma(nu)).                              (1)

This is the integrand of the poster's Justification 2 with n = h2 + 1. For n = 1 the law has mass 1/2 at each of -1
and 1, n = 2 gives the arcsine law, n = 3 the uniform one.

All probabilities are computed from the tail Q(b) = P(U > b) at b >= 0, and the rest follows by symmetry. With
w = 1 - b^2 and the rising factorial (x)_k = x (x + 1) ... (x + k - 1),

    Q(b) = 1/2 - c_n b w^nu sum_k b^(2k) (nu + 1/2)_k / (3/2)_k          near the centre,                            (2)
    Q(b) = c_n w^nu G / (2 nu b),   G = 2F1(1/2, 1; nu + 1; -w/b^2)      in the tail.                                (3)

Both are the incomplete beta function, Q(b) = I_w(nu, 1/2)/2, after a linear transformation of its hypergeometric
series [1]_. G is summed as Gauss's continued fraction [2]_. Every term of the series and every partial quotient of
the fraction is positive, so that no digits are lost by cancellation.

References
----------
.. [1] NIST Digital Library of Mathematical Functions, 8.17.7 and 15.8.1. https://dlmf.nist.gov
.. [2] The same, 15.7.5.
"""

from __future__ import annotations

from functools import cached_property
from math import log, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.theory.arrays import Floats, in_range, small_is_zero
from modtrans_core.checks import whole

SWITCH = 2.5  # b^2 (nu + 5) above which (3) is used: with a lower value G is slow, with a higher one (2) cancels
LARGEST = 1e300  # dimension; beyond, squares of typical alignments underflow
BLOCK = 8192  # elements worked on together, so that the scratch arrays stay in cache


class AlignmentLaw:
    """The law of U = <e, f>, f uniform on the unit sphere of R^n, in the manner of a scipy.stats distribution.

    Parameters
    ----------
    n : array_like
        Dimension, real, from 1 to `LARGEST`. It is broadcast against the argument of every method.

    Raises
    ------
    ValueError
        n below 1 or above `LARGEST`; in a method, a point that is NaN or a probability outside [0, 1].

    Notes
    -----
    Methods return float64, a scalar for scalars. Points may lie outside [-1, 1] and be infinite. For n up to 10^6 the
    relative error is below 1e-12: that of a probability where it is a normal float, that of its logarithm where the
    probability underflows (tested to -10^5).

    Examples
    --------
    >>> law = AlignmentLaw(3)  # uniform on (-1, 1)
    >>> print(law.sf(0.5).round(15), law.ppf(0.25).round(15))
    0.25 -0.5
    >>> print(AlignmentLaw(1024).sf(0.9), AlignmentLaw(1024).logsf(0.9).round(1))
    0.0 -853.7
    """

    def __init__(self, n: ArrayLike) -> None:
        self.n = in_range("n", n, low=1.0, high=LARGEST)
        self._nu = (self.n - 1.0) / 2.0  # exact in floating point

    @cached_property
    def _scale(self) -> Floats:
        """c_n / (2 nu), which stays finite at nu = 0."""
        return _gamma_ratio(self._nu) / (2.0 * sqrt(pi))

    def logpdf(self, x: ArrayLike) -> Floats:
        """Logarithm of the density (1); inf at -1 and 1 where n < 3. For n = 1, all atoms, it is -inf elsewhere."""
        x = in_range("x", x, finite=False)
        b, nu = np.minimum(np.abs(x), 1.0), self._nu
        with np.errstate(divide="ignore", invalid="ignore"):
            power = np.where(nu == 1.0, 0.0, (nu - 1.0) * _log_w(b))
            value = np.where((nu == 0.0) & (b == 1.0), np.inf, np.log(2.0 * nu * self._scale) + power)  # (1)
        return np.where(np.abs(x) > 1.0, -np.inf, value)[()]

    @small_is_zero
    def pdf(self, x: ArrayLike) -> Floats:
        """The density (1); `logpdf` says what it is at the end points."""
        return np.exp(self.logpdf(x))

    @small_is_zero
    def cdf(self, x: ArrayLike) -> Floats:
        """P(U <= x), which by symmetry is also P(U >= -x)."""
        log_far = self._log_far(x)
        return np.where(np.less(x, 0.0), np.exp(log_far), -np.expm1(log_far))[()]

    @small_is_zero
    def sf(self, x: ArrayLike) -> Floats:
        """P(U > x). It differs from P(U >= x) = cdf(-x) only at the atoms of n = 1."""
        log_far = self._log_far(x)
        return np.where(np.less(x, 0.0), -np.expm1(log_far), np.exp(log_far))[()]

    @small_is_zero
    def logcdf(self, x: ArrayLike) -> Floats:
        """Logarithm of P(U <= x), finite where the probability underflows."""
        log_far = self._log_far(x)
        return np.where(np.less(x, 0.0), log_far, np.log1p(-np.exp(log_far)))[()]

    @small_is_zero
    def logsf(self, x: ArrayLike) -> Floats:
        """Logarithm of P(U > x), finite where the probability underflows."""
        log_far = self._log_far(x)
        return np.where(np.less(x, 0.0), np.log1p(-np.exp(log_far)), log_far)[()]

    def ppf(self, q: ArrayLike) -> Floats:
        """Quantile: the smallest x in [-1, 1] with P(U <= x) >= q, for q in [0, 1]."""
        q = in_range("q", q, low=0.0, high=1.0)
        return self._quantile(q, lower=q <= 0.5)

    def isf(self, q: ArrayLike) -> Floats:
        """Upper quantile: the smallest x in [-1, 1] with P(U > x) <= q, for q in [0, 1]; a small q keeps its digits."""
        q = in_range("q", q, low=0.0, high=1.0)
        return self._quantile(q, lower=q >= 0.5)

    def moment(self, k: int) -> Floats:
        """E U^k for an integer k >= 0: zero for odd k, else the product of (2j + 1)/(n + 2j) over 0 <= j < k/2."""
        k = whole("k", k, 0)
        if k % 2:
            return np.zeros_like(self.n)[()]
        value = np.ones_like(self.n)
        for j in range(k // 2):
            value = value * ((2 * j + 1) / (self.n + 2 * j))
        return value[()]

    def mean(self) -> Floats:
        """E U = 0."""
        return self.moment(1)

    def var(self) -> Floats:
        """Var U = 1/n."""
        return self.moment(2)

    def std(self) -> Floats:
        """Standard deviation, 1/sqrt(n)."""
        return np.sqrt(self.var())

    def rvs(self, size: int | tuple[int, ...] | None, rng: np.random.Generator) -> Floats:
        """Independent draws of shape `size` (None: the shape of n)."""
        shape = self.n.shape if size is None else size
        normal = rng.standard_normal(shape)
        chi_square = 2.0 * rng.standard_gamma(self._nu, shape)  # with n - 1 degrees of freedom
        return np.asarray(normal / np.sqrt(normal**2 + chi_square))[()]  # a normal vector's coordinate over its length

    def _log_far(self, x: ArrayLike) -> Floats:
        """Logarithm of the mass beyond x, seen from 0: P(U <= x) where x < 0, P(U > x) elsewhere."""
        x = in_range("x", x, finite=False)
        x, nu, scale = np.broadcast_arrays(x, self._nu, self._scale)
        b = np.minimum(np.abs(x), 1.0)
        log_far = _log_tail(b.ravel(), _log_w(b.ravel()), nu.ravel(), scale.ravel()).reshape(b.shape)
        return np.where((x < -1.0) | (x >= 1.0), -np.inf, log_far)

    def _quantile(self, q: Floats, *, lower: NDArray[np.bool_]) -> Floats:
        """-b (lower) or b, where b >= 0 has Q(b) = min(q, 1 - q)."""
        with np.errstate(divide="ignore"):
            log_q = np.where(q <= 0.5, np.log(q), np.log1p(-q))
        arrays = np.broadcast_arrays(log_q, np.abs(0.5 - q), self._nu, self._scale)
        b = _tail_quantile(*(array.ravel() for array in arrays)).reshape(arrays[0].shape)
        return (np.where(lower, -b, b) + 0.0)[()]  # + 0.0 turns -0.0 into 0.0


def _log_w(b: Floats) -> Floats:
    """log(1 - b^2) for b in [0, 1], by the form that keeps the last digit."""
    with np.errstate(divide="ignore"):
        return np.where(b < 0.7, np.log1p(-b * b), np.log((1.0 - b) * (1.0 + b)))


@small_is_zero
def _gamma_ratio(nu: Floats) -> Floats:
    """Gamma(nu + 1/2) / Gamma(nu + 1): 16 steps up, then the series in (nu + 1/4)^-2 (DLMF 5.11.13)."""
    ratio = np.ones_like(nu)
    for j in range(16):
        ratio = ratio * ((nu + j + 1.0) / (nu + j + 0.5))
    shifted = nu + 16.25
    series = np.polynomial.polynomial.polyval(
        shifted**-2.0, [1.0, -1 / 2**6, 21 / 2**13, -671 / 2**19, 180323 / 2**27, -20898423 / 2**33]
    )
    return ratio * series / np.sqrt(shifted)


def _log_tail(b: Floats, log_w: Floats, nu: Floats, scale: Floats) -> Floats:
    """log Q(b), elementwise over flat arrays. They are sorted, so that the fractions of a block have a like depth."""
    depth_key = b * b * (nu + 5.0)
    value = np.empty_like(b)
    with np.errstate(divide="ignore", over="ignore"):
        depth = np.minimum(90.0 / depth_key, 100.0).astype(np.int16)  # of the fraction; int16 sorts in linear time
    order = np.argsort(depth, kind="stable")
    for start in range(0, b.size, BLOCK):
        block = order[start : start + BLOCK]
        in_tail = depth_key[block] > SWITCH
        near, far = block[~in_tail], block[in_tail]
        value[near] = np.log(0.5 - _central(b[near], log_w[near], nu[near], scale[near]))  # (2)
        fraction = _tail_fraction(b[far], nu[far])
        with np.errstate(invalid="ignore"):
            value[far] = nu[far] * log_w[far] + np.log(scale[far] * fraction / b[far])  # (3)
    return np.where(nu == 0.0, -log(2.0), value)


@small_is_zero
def _central(b: Floats, log_w: Floats, nu: Floats, scale: Floats) -> Floats:
    """P(0 <= U <= b) by the series in (2); meant for b^2 (nu + 5) <= SWITCH."""
    square = b * b
    term = np.ones_like(b)
    total = np.ones_like(b)
    k = 0
    while term.max(initial=0.0) > 1e-17:
        term = term * square * ((nu + 0.5 + k) / (1.5 + k))
        total += term
        k += 1
    return 2.0 * nu * scale * b * np.exp(nu * log_w) * total


def _tail_fraction(b: Floats, nu: Floats) -> Floats:
    """G of (3) as a continued fraction, from the bottom up; meant for b^2 (nu + 5) > SWITCH.

    With z = w/b^2 its partial quotients are z (m + 1/2)(nu + m) / ((nu + 2m)(nu + 2m + 1)) for m = 0, 1, ..., in turn
    with z m (nu + m - 1/2) / ((nu + 2m - 1)(nu + 2m)) for m = 1, 2, ... How deep to begin was found by trial.
    """
    if b.size == 0:
        return b
    z = (1.0 - b) * (1.0 + b) / (b * b)
    half_depth = int(6.0 + 90.0 / np.min(b * b * (nu + 5.0)))
    rest = np.zeros_like(b)
    for m in range(half_depth, 0, -1):
        odd = z * ((m + 0.5) / (nu + 2 * m)) * ((nu + m) / (nu + 2 * m + 1))
        even = z * (m / (nu + 2 * m - 1)) * ((nu + m - 0.5) / (nu + 2 * m))
        rest = even / (1.0 + odd / (1.0 + rest))
    return 1.0 / (1.0 + 0.5 * z / (nu + 1.0) / (1.0 + rest))


def _tail_quantile(log_q: Floats, centre: Floats, nu: Floats, scale: Floats) -> Floats:
    """b in [0, 1] with log Q(b) = log_q and 1/2 - Q(b) = centre; 1 at the atoms (nu = 0) and where Q(b) = 0."""
    switch = np.sqrt(SWITCH / (nu + 5.0))
    proper = (nu > 0.0) & (log_q > -np.inf)
    in_tail = log_q < _log_tail(switch, _log_w(switch), nu, scale)
    far, near = proper & in_tail, proper & ~in_tail
    b = np.ones_like(nu)
    b[far] = _solve_tail(log_q[far], switch[far], nu[far], scale[far])
    b[near] = _solve_central(centre[near], switch[near], nu[near], scale[near])
    return b


@small_is_zero
def _solve_tail(log_q: Floats, b: Floats, nu: Floats, scale: Floats) -> Floats:
    """b by Newton's method in v = -log w: log Q is convex in v with slope -nu/G, so that from below v only rises."""
    v = -_log_w(b)
    step = v
    while np.any(step > 1e-10 * v):  # quadratic convergence: the step after this one would be rounding
        fraction = _tail_fraction(b, nu)
        step = (np.log(scale * fraction / b) - nu * v - log_q) * fraction / nu
        v = np.minimum(v + step, 800.0)  # beyond, b is 1 in floating point many times over
        step = np.where(v == 800.0, 0.0, step)
        b = np.sqrt(-np.expm1(-v))
    return b


def _solve_central(centre: Floats, switch: Floats, nu: Floats, scale: Floats) -> Floats:
    """b by Newton's method: P(0 <= U <= b) is concave for nu >= 1 (it starts below the root), else convex (above)."""
    density = 2.0 * nu * scale
    b = np.where(nu >= 1.0, centre / density, switch)
    step = b
    while np.any(np.abs(step) > 1e-10 * b):
        log_w = _log_w(b)
        step = (centre - _central(b, log_w, nu, scale)) / (density * np.exp((nu - 1.0) * log_w))
        b = b + step
    return b
