"""Which directions the residual z - m(c) of a calibrated translator takes, in closed form.

A unit target z with conditional mean m(c) has E|z - m|^2 = 1 - |m|^2. So the length of the residual follows from m, and
only its direction has to be learned. Here that is a Gaussian vector scaled to unit length (the angular central Gaussian
law of Tyler 1987, Biometrika 74). Its covariance is the second moment of the residuals' directions, mixed with I/d.
The residuals are of conditions that were left out of the fit, and those of one half of the groups choose how much the
moment of the others is mixed.
"""

from __future__ import annotations

from torch import Tensor

from modtrans_core.linear import principal

SHRINKAGES = tuple(10.0 ** (power / 2) for power in range(-12, 1))
"""weights of I/d tried"""


def residual_root(directions: Tensor, held: Tensor) -> Tensor:
    """R (d, d), float32, such that rows g R, g ~ N(0, I), scaled to unit length are like the residuals' directions.

    Parameters
    ----------
    directions : unit residuals (n, d); one of zero stays zero.
    held : which of them, (n,), choose the weight of I/d by the log density that the others' moment gives them. The
        moment that is mixed in the end is that of all.
    """
    d = directions.shape[1]
    values, vectors = _spectrum(directions[~held])
    rotated = directions[held].double() @ vectors

    def log_density(weight: float) -> float:
        mixed = _mixed(values, weight)
        quadratic = (rotated.square() / mixed).sum(1).clamp_min(1e-30)
        return float(-mixed.log().sum() - d * quadratic.log().mean())

    weight = max(SHRINKAGES, key=log_density) if held.any() and not held.all() else 1.0
    values, vectors = _spectrum(directions)
    return (_mixed(values, weight).sqrt()[:, None] * vectors.T).float()


def _spectrum(directions: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (d,), of sum 1, and eigenvectors of the second moment, float64."""
    values, vectors = principal(directions.double())
    return values / values.sum().clamp_min(1e-30), vectors


def _mixed(values: Tensor, weight: float) -> Tensor:
    return (1 - weight) * values.clamp_min(0) + weight / len(values)
