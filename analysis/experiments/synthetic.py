r"""Pairs with a known answer: the best possible translation is a closed form.

A condition c is a random unit vector of R^k, its targets are z = normalize(mu(c) + sigma eps), eps standard
normal in R^d, where mu(c) = c A + tanh(3 c W) B has a linear part and one that no linear map can follow. The
mean of a normalised Gaussian is parallel to mu. With E[x h(|x|^2)] = mu E[h(chi^2_{d+2}(kappa^2))], the
identity behind the James-Stein estimator, and the moment -1/2 of the non-central chi^2 it is

    E[z|c] = m(kappa) mu / |mu|,   kappa = |mu| / sigma,
    m(kappa) = kappa / sqrt(2)  Gamma((d + 1)/2) / Gamma(d/2 + 1)  1F1(1/2; d/2 + 1; -kappa^2 / 2).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import gammaln, hyp1f1

from modtrans_core.pairs import PairedEmbeddings

FEATURES = 64  # hidden units of the part of the signal that no linear map can follow


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
    condition = _normalise(rng.standard_normal((n, k)))
    signal = condition @ rng.standard_normal((k, d)) / np.sqrt(d)
    hidden = np.tanh(3.0 * condition @ rng.standard_normal((k, FEATURES)))
    signal += hidden @ rng.standard_normal((FEATURES, d)) / np.sqrt(FEATURES * d)
    length = np.linalg.norm(signal, axis=1, keepdims=True)
    sigma = noise * np.sqrt(np.square(length).mean() / d)
    target = _normalise(signal[:, None] + sigma * rng.standard_normal((n, captions, d)))
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
        known = np.broadcast_to(_normalise(c[:, None, :2]), (*shape, 2))
        signal = np.concatenate([known, sign * c[:, None]], axis=2)
        return _normalise(signal + noise / np.sqrt(k + 2) * rng.standard_normal((*shape, k + 2)))

    c = _normalise(rng.standard_normal((n, k)))
    return PairedEmbeddings({"image": c, "text": draw(c, 1)[:, 0]}), draw


def mean_length(kappa: np.ndarray, d: int) -> np.ndarray:
    """m(kappa) = |E normalize(mu + noise)|, for standard normal noise in R^d and kappa = |mu| >= 0."""
    scale = np.exp(gammaln((d + 1) / 2) - gammaln(d / 2 + 1)) / np.sqrt(2.0)
    return kappa * scale * hyp1f1(0.5, d / 2 + 1, -np.square(kappa) / 2.0)


def _normalise(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)
