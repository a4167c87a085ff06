"""Which directions the residual z - m(c) of a calibrated translator takes, from training pairs in closed form.

A unit target z with conditional mean m(c) has E|z - m|^2 = 1 - |m|^2. So the length of the residual follows from m, and
only its direction has to be learned. Here that is a Gaussian vector scaled to unit length (the angular central Gaussian
law of Tyler 1987, Biometrika 74). Its covariance is the second moment of the training residuals' directions, mixed with
I/d; validation pairs choose how much. The residuals' lengths are not used: a flexible map leaves too short ones on its
own training pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

from modtrans_core.pairing import Pairing
from modtrans_core.vectors import ROWS, unit

SHRINKAGES = tuple(10.0 ** (power / 2) for power in range(-12, 1))
"""weights of I/d tried"""
Predict = Callable[[Tensor], Tensor]
"""the conditional mean: unit conditions (n, k) -> (n, d)"""


def residual_root(pairing: Pairing, validation: Pairing, predict: Predict, device: torch.device) -> Tensor:
    """R (d, d), float32, such that rows g R, g ~ N(0, I), scaled to unit length are like the residuals' directions.

    Parameters
    ----------
    pairing : training pairs, looked at in one pass.
    validation : pairs that choose the shrinkage, by the log density of their residuals' directions.
    """
    d = pairing.d
    moment = torch.zeros(d, d, dtype=torch.float64, device=device)
    for directions in _directions(pairing, predict, device):
        moment += directions.T @ directions
    values, vectors = torch.linalg.eigh(moment / moment.trace().clamp_min(1e-30))
    held = torch.cat([rows @ vectors.float() for rows in _directions(validation, predict, device)])

    def shrunk(weight: float) -> Tensor:
        return (1 - weight) * values.clamp_min(0) + weight / d

    def log_density(weight: float) -> float:
        spectrum = shrunk(weight)
        quadratic = (held.double().square() / spectrum).sum(1).clamp_min(1e-30)
        return float(-spectrum.log().sum() - d * quadratic.log().mean())

    return (shrunk(max(SHRINKAGES, key=log_density)).sqrt()[:, None] * vectors.T).float()


def _directions(pairing: Pairing, predict: Predict, device: torch.device) -> Iterator[Tensor]:
    """z - m(c) of every pair, scaled to unit length, (n, d) at a time; a residual of zero stays zero."""
    for start in range(0, len(pairing), ROWS):
        rows = slice(start, start + ROWS)
        c, z = pairing.c[pairing.of_c[rows]], pairing.z[pairing.of_z[rows]]
        condition, targets = (torch.from_numpy(unit(x)).to(device) for x in (c, z))
        yield normalize(targets - predict(condition), dim=1)
