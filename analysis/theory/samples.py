r"""The cosine of one draw, of the mean of K draws, and of the mean of all draws, of any sampler.

Given the condition, the draws w, w', ... are independent unit vectors of one law, and independent of the target z. With
the means m = E z and e = E w,

    E<z, w> = <m, e>,        A = E<w, w'> = |e|^2.                                                                   (1)

A is the **agreement** of two draws. It needs no targets (`analysis.theory.draws.similarity`). The mean of all draws
points along e, so that its expected cosine is exactly E<z, w> / sqrt(A). For the mean of K draws, E<z, mean> = <m, e>
and E|mean|^2 = A + (1 - A) / K, both exactly, so that

    E cos(z, mean of K) is about E<z, w> / sqrt(A + (1 - A) / K).                                                    (2)

This is exact for K = 1 and for K to infinity. Between these it neglects that the length of a mean varies. That fades
as the draws spread over more and more dimensions, and not for draws from a few outcomes, in however large a space. A
perfect sampler has e = m: one draw has the cosine |m|^2, and all together have |m|. Any sampler has
E<z, w> <= |m| sqrt(A), so that the mean of all its draws has |m| at most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from analysis.theory.arrays import ROUNDING, Floats, broadcasting, in_range


@broadcasting
def mean_of_draws(cosine: ArrayLike, agreement: ArrayLike, samples: ArrayLike) -> Floats:
    """The law (2): the cosine to expect between a target and the mean of K draws of a sampler.

    Parameters
    ----------
    cosine : array_like
        E cos(z, w) of one draw, in [-1, 1].
    agreement : array_like
        A, above 0 and at most 1.
    samples : array_like
        K, at least 1 and possibly infinite; all three broadcast.

    Returns
    -------
    Floats
        From the cosine of one draw to cosine / sqrt(A).

    Raises
    ------
    ValueError
        An argument outside its range.

    Notes
    -----
    It is a law of one condition. For means of both numbers over conditions it neglects that A varies between them.

    Examples
    --------
    >>> print(mean_of_draws(0.64, 0.64, [1, 4, np.inf]).round(3))  # a perfect sampler
    [0.64  0.749 0.8  ]
    >>> print(mean_of_draws(0.3, 1.0, 100))  # draws that all agree
    0.3
    """
    cosine = in_range("cosine", cosine, low=-1.0, high=1.0)
    agreement = np.minimum(in_range("agreement", agreement, low=0.0, high=1.0 + ROUNDING), 1.0)
    if (agreement == 0.0).any():
        raise ValueError("agreement: 0, above 0 and at most 1 is needed: the mean of all draws has no direction")
    samples = in_range("samples", samples, low=1.0, finite=False)
    found = cosine / np.sqrt(agreement + (1.0 - agreement) / samples)
    found = in_range(
        "cosine of the mean", found, low=-1.0 - ROUNDING, high=1.0 + ROUNDING
    )  # |cosine| is at most sqrt(A)
    return np.clip(found, -1.0, 1.0)[()]


@broadcasting
def sampling_law(length: ArrayLike, samples: ArrayLike) -> Floats:
    r"""The cosine to expect between a target and the mean of K perfect samples of p(z|c): (2) with e = m.

    Parameters
    ----------
    length : array_like
        m = |E[z|c]|, in (0, 1].
    samples : array_like
        K, at least 1 and possibly infinite; broadcast against m.

    Returns
    -------
    Floats
        From m^2 for one sample to m for infinitely many, which is the score of the conditional mean.

    Raises
    ------
    ValueError
        A length outside (0, 1], less than one sample.

    Examples
    --------
    >>> print(sampling_law(0.8, [1, 4, np.inf]).round(3))
    [0.64  0.749 0.8  ]
    """
    length = in_range("length", length, low=0.0, high=1.0)
    if (length == 0.0).any():
        raise ValueError("length: 0, above 0 and at most 1 is needed")
    square = np.square(length)
    return mean_of_draws(square, square, samples)
