r"""The tail of the Poisson binomial law: the number S of successes of independent trials with probabilities p_i.

Let k be below the mean of S. With theta < 0 and m_i = 1 - p_i + p_i e^theta, the tilted trials succeed with probability
q_i = p_i e^theta / m_i, and their number of successes T satisfies P(S = j) = e^(-theta j) P(T = j) prod_i m_i. So

    P(S <= k) = exp(theta (sum_i q_i - k) - D) sum_(j <= k) e^(theta (k - j)) P(T = j),                              (1)
    D = sum_i (q_i log(q_i / p_i) + (1 - q_i) log((1 - q_i) / (1 - p_i))),

because sum_i log m_i = theta sum_i q_i - D. Theta is chosen such that T has the mean k. The law of T is then largest
near the terms that count, where a convolution by the fast Fourier transform has digits to spare, however small
P(S <= k) is. From the mean on nothing is tilted.

The law of T is a product of polynomials. Trials are first multiplied one by one into blocks, where all terms are
positive and no digit is lost; the blocks are multiplied in pairs by the transform.
"""

from __future__ import annotations

from math import fsum

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from analysis.theory.arrays import Floats, in_range, small_is_zero, vector
from modtrans_core.checks import whole

BLOCK = 128  # trials that are multiplied one by one


@small_is_zero
def fewer_than_expected(successes: int, probabilities: ArrayLike) -> float:
    """P(S <= successes) for the number S of successes of independent trials, a tail of the Poisson binomial law.

    Parameters
    ----------
    successes : int
        From 0 to N.
    probabilities : (N,) array_like
        In [0, 1], one a trial.

    Returns
    -------
    float
        The p-value of "trial i succeeds with probability at least probabilities[i]". It is valid whatever the true
        probabilities are, as S is then stochastically no smaller. The relative error is below 1e-11 for N up to 10^5,
        in the far tail too. It is 0 where the probability underflows.

    Raises
    ------
    ValueError
        An argument outside its range.

    Examples
    --------
    >>> round(fewer_than_expected(0, [0.5, 0.9]), 6)
    0.05
    >>> print(f"{fewer_than_expected(300, np.full(1000, 0.5)):.6g}")
    8.83284e-38
    """
    p = in_range("probabilities", vector("probabilities", probabilities), low=0.0, high=1.0)
    k = whole("successes", successes, 0, len(p), "the number of trials") - int((p == 1.0).sum())
    p = p[(p > 0.0) & (p < 1.0)]
    if k < 0 or k >= len(p):
        return float(k >= 0)
    if k == 0:
        return float(np.exp(np.log1p(-p).sum()))
    if k >= p.sum():
        return min(1.0, float(_law(p)[: k + 1].sum()))
    log_odds = special.logit(p)
    lowest = np.log(k) - special.logsumexp(log_odds)  # there the tilted mean is below k, as q_i < e^theta odds_i
    theta = optimize.brentq(lambda theta: special.expit(log_odds + theta).sum() - k, lowest, 0.0)
    q = special.expit(log_odds + theta)
    moved = p * (1.0 - p) * np.expm1(theta) / ((1.0 - p) + p * np.exp(theta))  # q - p without cancellation
    divergence = q * np.log1p(moved / p) + (1.0 - p - moved) * np.log1p(-moved / (1.0 - p))
    log_scale = theta * fsum([*p, *moved, -k]) - divergence.sum()
    return float(np.exp(log_scale) * (np.exp(theta * np.arange(k, -1, -1)) @ _law(q)[: k + 1]))  # (1)


def _law(p: Floats) -> Floats:
    """Probabilities of 0 to N successes, and zeros after."""
    blocks = 2 ** int(np.ceil(np.log2(-(-len(p) // BLOCK))))
    padded = np.zeros(blocks * BLOCK)
    padded[: len(p)] = p
    law = np.zeros((blocks, BLOCK + 1))
    law[:, 0] = 1.0
    for column in padded.reshape(BLOCK, blocks):
        law[:, 1:] = law[:, 1:] * (1.0 - column)[:, None] + law[:, :-1] * column[:, None]
        law[:, 0] *= 1.0 - column
    while len(law) > 1:
        size = 2 * law.shape[1] - 1
        spectrum = np.fft.rfft(law, size)
        law = np.fft.irfft(spectrum[::2] * spectrum[1::2], size)
    return np.maximum(law[0], 0.0)
