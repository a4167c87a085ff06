r"""Pairs with a known answer: the best possible translation is a closed form.

A condition c is a random unit vector of R^k, its targets are z = normalize(mu(c) + sigma eps), eps standard
normal in R^d, where mu(c) = c A + tanh(3 c W) B has a linear part and one that no linear map can follow. The
mean of a normalised Gaussian is parallel to mu. With E[x h(|x|^2)] = mu E[h(chi^2_{d+2}(kappa^2))], the
identity behind the James-Stein estimator, and the moment -1/2 of the non-central chi^2 it is

    E[z|c] = m(kappa) mu / |mu|,   kappa = |mu| / sigma,
    m(kappa) = kappa / sqrt(2)  Gamma((d + 1)/2) / Gamma(d/2 + 1)  1F1(1/2; d/2 + 1; -kappa^2 / 2).
"""

from __future__ import annotations

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


def mean_length(kappa: np.ndarray, d: int) -> np.ndarray:
    """m(kappa) = |E normalize(mu + noise)|, for standard normal noise in R^d and kappa = |mu| >= 0."""
    scale = np.exp(gammaln((d + 1) / 2) - gammaln(d / 2 + 1)) / np.sqrt(2.0)
    return kappa * scale * hyp1f1(0.5, d / 2 + 1, -np.square(kappa) / 2.0)


def _normalise(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)
