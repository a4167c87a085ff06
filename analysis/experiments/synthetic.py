r"""Pairs with a known answer: the best possible translation is a closed form.

A condition c is a random unit vector of R^k, its targets are z = normalize(mu(c) + sigma eps), eps standard
normal in R^d, where mu(c) = c A + tanh(3 c W) B has a linear part and one that no linear map can follow. The
mean of a normalised Gaussian is parallel to mu. With E[x h(|x|^2)] = mu E[h(chi^2_{d+2}(kappa^2))], the
identity behind the James-Stein estimator, and the moment -1/2 of the non-central chi^2 it is

    E[z|c] = m(kappa) mu / |mu|,   kappa = |mu| / sigma,
    m(kappa) = kappa / sqrt(2)  Gamma((d + 1)/2) / Gamma(d/2 + 1)  1F1(1/2; d/2 + 1; -kappa^2 / 2).

`waves` draws millions of pairs in seconds. Its targets have the von Mises-Fisher law about a unit vector mu(c), so that
the best cosine is one number, whatever mu is: E[z|c] = A_d(kappa) mu(c).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import gammaln, hyp1f1

from analysis.theory.arrays import unit_rows
from modtrans_core.checks import refuse_unless
from modtrans_core.pairs import PairedEmbeddings

FEATURES = 64  # hidden units of the part of the signal that no linear map can follow
BLOCK = 16_384
TERMS = 1000  # of a continued fraction
"""pairs that `waves` draws at once"""


def synthetic_pairs(
    n: int, k: int, d: int, noise: float, captions: int, rng: np.random.Generator
) -> tuple[PairedEmbeddings, np.ndarray]:
    """Pairs `image` (n, k) -> `text` (n, captions, d), or (n, d) for one caption, and E[z|c], (n, d).

    Parameters
    ----------
    n, k, d, captions : sizes, at least 1; d at least 2.
    noise : |noise| over |signal|, sigma sqrt(d) / rms|mu|, above 0: .7 puts the best mean cosine near .82.
    rng : draws the maps, the conditions and the noise.

    Returns
    -------
    pairs : unit vectors; every item is its own group.
    mean : E[z|c_i], (n, d); its direction is the best prediction there is, its length the cosine this scores.

    Raises
    ------
    ValueError
        A size or a noise out of range.
    """
    for name, size, least in (("n", n, 1), ("k", k, 1), ("d", d, 2), ("captions", captions, 1)):
        if size < least:
            raise ValueError(f"{name}: {size}, allowed is at least {least}")
    if not 0.0 < noise < np.inf:
        raise ValueError(f"noise: {noise}, allowed is a finite number above 0")
    condition = unit_rows(rng.standard_normal((n, k)))
    signal = condition @ rng.standard_normal((k, d)) / np.sqrt(d)
    hidden = np.tanh(3.0 * condition @ rng.standard_normal((k, FEATURES)))
    signal += hidden @ rng.standard_normal((FEATURES, d)) / np.sqrt(FEATURES * d)
    length = np.linalg.norm(signal, axis=1, keepdims=True)
    sigma = noise * np.sqrt(np.square(length).mean() / d)
    target = unit_rows(signal[:, None] + sigma * rng.standard_normal((n, captions, d)))
    arrays = {"image": condition, "text": target if captions > 1 else target[:, 0]}
    pairs = PairedEmbeddings(arrays, metadata={"independent": ["text"]})
    return pairs, signal / length * mean_length(length / sigma, d)


def mirrored_pairs(
    n: int, k: int, noise: float, rng: np.random.Generator
) -> tuple[PairedEmbeddings, Callable[[np.ndarray, int], np.ndarray]]:
    """Pairs `image` (n, k) -> `text` (n, k + 2) whose residuals have two opposite directions given the condition.

    A condition c is a random unit vector, and its target is z = normalize((u, s c) + noise eps / sqrt(d)): u is the
    direction of the first two coordinates of c, s is -1 or 1 with the same probability, and eps standard normal. No
    function of c knows s, so that E[z|c] lies along u, and all else that z says of c is in the residual: it points
    along c or away from it. Over all conditions the residuals prefer none of these directions, so that only a law of F
    that follows c is near them.

    Parameters
    ----------
    n, k : sizes, at least 1; k at least 2.
    noise : at least 0.
    rng : draws all that is random.

    Returns
    -------
    pairs : unit vectors; every item is its own group.
    draw : (c (n, k), samples) -> targets (n, samples, k + 2) of unit conditions, by the true law.

    Raises
    ------
    ValueError
        A size or a noise out of range.
    """
    for name, size, least in (("n", n, 1), ("k", k, 2)):
        if size < least:
            raise ValueError(f"{name}: {size}, allowed is at least {least}")
    if not 0.0 <= noise < np.inf:
        raise ValueError(f"noise: {noise}, allowed is a finite number, at least 0")

    def draw(c: np.ndarray, samples: int) -> np.ndarray:
        shape = (len(c), samples)
        sign = rng.choice([-1.0, 1.0], size=(*shape, 1))
        known = np.broadcast_to(unit_rows(c[:, None, :2]), (*shape, 2))
        signal = np.concatenate([known, sign * c[:, None]], axis=2)
        return unit_rows(signal + noise / np.sqrt(k + 2) * rng.standard_normal((*shape, k + 2)))

    c = unit_rows(rng.standard_normal((n, k)))
    return PairedEmbeddings({"image": c, "text": draw(c, 1)[:, 0]}), draw


def mean_length(kappa: np.ndarray, d: int) -> np.ndarray:
    """m(kappa) = |E normalize(mu + noise)|, for standard normal noise in R^d and kappa = |mu| >= 0."""
    scale = np.exp(gammaln((d + 1) / 2) - gammaln(d / 2 + 1)) / np.sqrt(2.0)
    return kappa * scale * hyp1f1(0.5, d / 2 + 1, -np.square(kappa) / 2.0)


def waves(n: int, k: int, d: int, kappa: float, share: float, count: int, seed: int = 0) -> PairedEmbeddings:
    """Pairs `image` (n, k) -> `text` (n, d) whose best mean cosine is `mean_alignment(kappa, d)`.

    Parameters
    ----------
    n, k, d : sizes, at least 1; d at least 2.
    kappa : concentration of a target about mu(c), above 0.
    share : of the mean square of what mu(c) is the direction of, 0 to 1: that of the waves; a linear map has the rest.
    count : waves. Of a few, a network can find the directions; the more there are, the more mu is like a draw from a
        Gaussian process, for whose kernel no method beats kernel regression.
    seed : of everything. Of two numbers of pairs the smaller set is the beginning of the larger.

    Returns
    -------
    Unit vectors, float32; every item is its own group.

    Raises
    ------
    ValueError
        A number out of range.

    Notes
    -----
    mu(c) = normalize(sqrt(1 - share) c L + sqrt(2 share / count) sin(c W + b) B), where the entries of L, W and B are
    standard normal and b is uniform. The cosine with mu is drawn by Wood's rejection [1]_; the rest is isotropic.

    References
    ----------
    .. [1] Wood 1994, Simulation of the von Mises Fisher distribution, Communications in Statistics 23.

    Examples
    --------
    >>> pairs = waves(3, 4, 5, kappa=20.0, share=0.5, count=8)
    >>> pairs
    PairedEmbeddings(image (3, 4), text (3, 5))
    >>> round(mean_alignment(20.0, 5), 3)
    0.903
    """
    for name, size, least in (("n", n, 1), ("k", k, 1), ("d", d, 2), ("count", count, 1)):
        refuse_unless(size >= least, name, size, f"at least {least}")
    refuse_unless(0 < kappa < np.inf, "kappa", kappa, "a finite number above 0")
    refuse_unless(0 <= share <= 1, "share", share, "0 to 1")
    rng = np.random.default_rng([seed, 0])
    L = (1 - share) ** 0.5 * rng.standard_normal((k, d), dtype=np.float32)
    W, b = rng.standard_normal((k, count), dtype=np.float32), (2 * np.pi * rng.random(count)).astype(np.float32)
    B = (2 * share / count) ** 0.5 * rng.standard_normal((count, d), dtype=np.float32)
    c, z = np.empty((n, k), dtype=np.float32), np.empty((n, d), dtype=np.float32)
    for block, start in enumerate(range(0, n, BLOCK)):
        rows, rng = slice(start, start + BLOCK), np.random.default_rng([seed, 1, block])
        drawn = unit_rows(rng.standard_normal((BLOCK, k), dtype=np.float32))
        mu = unit_rows(drawn @ L + np.sin(drawn @ W + b) @ B)
        c[rows], z[rows] = drawn[: n - start], von_mises_fisher(mu, kappa, rng)[: n - start]
    return PairedEmbeddings({"image": c, "text": z}, metadata={"independent": ["text"]})


def von_mises_fisher(mu: np.ndarray, kappa: float, rng: np.random.Generator) -> np.ndarray:
    """One draw about each of the unit vectors mu (n, d): on the sphere, the density is as exp(kappa <mu, z>).

    See `waves`; d is at least 2 and kappa above 0.
    """
    n, d = mu.shape
    v = rng.standard_normal((n, d), dtype=mu.dtype)
    v = unit_rows(v - np.einsum("nd,nd->n", v, mu)[:, None] * mu)
    b = (d - 1) / (2 * kappa + np.hypot(2 * kappa, d - 1))
    x = (1 - b) / (1 + b)
    t, left = np.empty(n), np.arange(n)
    while len(left):
        y = rng.beta((d - 1) / 2, (d - 1) / 2, len(left))
        tried = (1 - (1 + b) * y) / (1 - (1 - b) * y)
        log_ratio = kappa * (tried - x) + (d - 1) * np.log((1 - x * tried) / (1 - x * x))
        kept = log_ratio >= -rng.standard_exponential(len(left))
        t[left[kept]], left = tried[kept], left[~kept]
    return (t[:, None] * mu + np.sqrt(1 - t * t)[:, None] * v).astype(mu.dtype)


def mean_alignment(kappa: float, d: int) -> float:
    """A_d(kappa) = I_{d/2}(kappa) / I_{d/2 - 1}(kappa): the mean cosine of a von Mises-Fisher target with its mu.

    The ratio is the continued fraction kappa / (d + kappa^2 / (d + 2 + kappa^2 / (d + 4 + ...))): the functions
    themselves are too small for float64 where d is large. Its end is a bound of the ratio, of Amos.
    """
    order = d / 2 + TERMS
    ratio = kappa / (order - 0.5 + np.hypot(order + 0.5, kappa))
    for step in reversed(range(TERMS)):
        ratio = kappa / (d + 2 * step + kappa * ratio)
    return float(ratio)
