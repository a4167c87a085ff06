"""The residual of a calibrated translator: which directions z - m(c) takes, from training pairs in closed form.

A unit target z with conditional mean m(c) has E|z - m|^2 = 1 - |m|^2. So the length of the residual follows from m, and
only its direction has to be learned. Here that is a Gaussian vector scaled to unit length (the angular central Gaussian
law of Tyler 1987, Biometrika 74), with the second moment of the training residuals' directions. Shrinking it towards
that of a direction without preference is left to validation pairs. A map that is flexible leaves too short residuals
on its own training pairs; their lengths are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.vectors import unit

ROWS_AT_ONCE = 8192
SHRINKAGES = tuple(10.0 ** (power / 2) for power in range(-12, 1))
"""weights of I/d tried"""
Predict = Callable[[Tensor], Tensor]
"""the conditional mean: unit conditions (n, k) -> (n, d)"""


def residual_root(
    pairs: PairedEmbeddings, validation: PairedEmbeddings, source: str, target: str, predict: Predict, mean: Tensor
) -> Tensor:
    """R (d, d), float32, such that rows g R, g ~ N(0, I), scaled to unit length are like the residuals' directions.

    Parameters
    ----------
    pairs : training pairs, looked at in one pass.
    validation : pairs that choose the shrinkage, by the log density of their residuals' directions.
    mean : (d,), of the training targets; on the device that does the work.
    """
    moment = torch.zeros(len(mean), len(mean), dtype=torch.float64, device=mean.device)
    for directions in _directions(pairs, source, target, predict, mean.device):
        moment += directions.T @ directions
    values, vectors = torch.linalg.eigh(moment / moment.trace().clamp_min(1e-30))
    held = torch.cat([rows @ vectors.float() for rows in _directions(validation, source, target, predict, mean.device)])

    def shrunk(weight: float) -> Tensor:
        return (1 - weight) * values.clamp_min(0) + weight / len(mean)

    def log_density(weight: float) -> float:
        spectrum = shrunk(weight)
        quadratic = (held.double().square() / spectrum).sum(1).clamp_min(1e-30)
        return float(-spectrum.log().sum() - len(mean) * quadratic.log().mean())

    return (shrunk(max(SHRINKAGES, key=log_density)).sqrt()[:, None] * vectors.T).float()


def _directions(
    pairs: PairedEmbeddings, source: str, target: str, predict: Predict, device: torch.device
) -> Iterator[Tensor]:
    """z - m(c) of every pair, scaled to unit length, (n, d) at a time; a residual of zero stays zero."""
    c, z, of_c, of_z = pairs.pairings(source, target)
    for start in range(0, len(of_c), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        condition, targets = (torch.from_numpy(unit(x)).to(device) for x in (c[of_c[rows]], z[of_z[rows]]))
        yield normalize(targets - predict(condition), dim=1)
