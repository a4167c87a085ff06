"""Translators that see no pair: which rows they may look at, and the posterior mean of a linear Gaussian model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from analysis.translators.choose import grid
from analysis.translators.closed_form import Affine, one_dimension
from modtrans_core.checks import refuse_unless
from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts, Method
from modtrans_core.split import distinct
from modtrans_core.vectors import unit

VARIANCES = grid(-6, 0, 0.1)
"""values of t tried, a coordinate"""


class Unpaired(NamedTuple):
    """Conditions of some items and targets of others, float64."""

    c: np.ndarray
    """(N, k), unit"""
    z: np.ndarray
    """(M, d), unit"""

    @staticmethod
    def of(*pairings: Pairing) -> Unpaired:
        """The conditions of every other group, and the targets of the groups between them.

        Of no item, and of no two items of a group, both sides are looked at: what is fitted to these rows is the same
        whatever stands in the other side of each item. Each vector weighs the same.

        Raises
        ------
        ValueError
            One group in all: there are no others.
        """
        sides: dict[int, int] = {}
        split = [(pairing, *halves(pairing, sides)) for pairing in pairings]
        c = [unit(pairing.take(first).c[:]) for pairing, first, _ in split if len(first)]
        z = [unit(pairing.take(second).z[:]) for pairing, _, second in split if len(second)]
        refuse_unless(len(z) > 0, "pairs", "one group", "two groups, one for each side,")
        return Unpaired(np.concatenate(c).astype(np.float64), np.concatenate(z).astype(np.float64))


def halves(pairing: Pairing, sides: dict[int, int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The items whose conditions may be looked at, and those whose targets may: every other group each.

    Parameters
    ----------
    sides : group -> the side (0 or 1) that it has in other pairings, where it keeps it; new groups are added.
    """
    sides = {} if sides is None else sides
    names, own, _ = distinct(pairing.pairs.groups)
    side = np.array([sides.setdefault(name, at % 2) for at, name in enumerate(names.tolist())])[own]
    return np.flatnonzero(side == 0), np.flatnonzero(side == 1)


@dataclass(frozen=True)
class GaussianConfig:
    """How far a condition is from its target, the difference of the means aside.

    Raises
    ------
    ValueError
        A negative or infinite variance.
    """

    variance: float = 0.0
    """t, a coordinate; 0: that of `VARIANCES` under which the conditions are the most likely"""

    def __post_init__(self) -> None:
        refuse_unless(0 <= self.variance < np.inf, "variance", self.variance, "a finite number >= 0")


@dataclass(frozen=True, repr=False, eq=False)
class GaussianTranslator(Affine):
    """zhat = mean(z) + (c - mean(c)) A."""

    variance: Tensor
    """t, the one that it was fitted with"""
    method = "language-free Gaussian"


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: GaussianConfig,
    device: torch.device,
    run: Any = None,
    report: Progress = silent,
) -> GaussianTranslator:
    """The posterior mean of the target given the condition, in a model that is fitted to unpaired rows. It needs k = d.

    Notes
    -----
    One space holds both modalities, up to a shift between their means m_z and m_c:

        z ~ N(m_z, S_z),  c | z ~ N(z + m_c - m_z, t I).

    m_z and S_z are the moments of targets, m_c that of conditions of other items; see `Unpaired`. Given c, z is normal
    with mean

        zhat = m_z + S_z (S_z + t I)^-1 (c - m_c).

    At t = 0 it is the mean shift, and it tends to the constant mean as t grows. The conditions alone tell t, as they
    are N(m_c, S_z + t I).

    VDLGAN [1]_ takes the embedding of the text for hidden, with a variational posterior given that of the image. This
    is what that idea comes to in closed form, where all is linear and normal: a q(z|c) trained on the evidence lower
    bound converges to it. No more is claimed; VDLGAN's code is not public.

    References
    ----------
    .. [1] Li et al. 2023, Variational distribution learning for unsupervised text-to-image generation,
           arXiv:2303.16105.
    """
    one_dimension(METHOD_NAME, facts)
    c, z = Unpaired.of(pairing, validation)
    mean_c, mean_z = c.mean(0), z.mean(0)
    spectrum, axes = np.linalg.eigh(np.cov(z.T, bias=True).reshape(facts.d, facts.d))
    spectrum = spectrum.clip(0)
    t = config.variance or most_likely(spectrum, np.square((c - mean_c) @ axes).mean(0))
    A = (axes * spectrum / (spectrum + t)) @ axes.T
    return GaussianTranslator.of(facts, config, device, mean=pairing.mean(), A=A, b=mean_z - mean_c @ A, variance=t)


def most_likely(spectrum: np.ndarray, extent: np.ndarray) -> float:
    """The t of `VARIANCES` with the largest likelihood of N(0, diag(spectrum) + t I), summed over its coordinates.

    Parameters
    ----------
    spectrum : eigenvalues (d,) of the prior's covariance.
    extent : mean square (d,) of what was observed, in its eigenvectors.

    Examples
    --------
    >>> round(most_likely(np.array([1.0, 0.5]), np.array([1.01, 0.51])), 3)
    0.01
    """
    variance = spectrum + np.array(VARIANCES)[:, None]
    return VARIANCES[int(np.argmin((np.log(variance) + extent / variance).sum(1)))]


METHOD_NAME = GaussianTranslator.method
METHOD = Method(GaussianConfig, fit, GaussianTranslator.restore, {METHOD_NAME: GaussianConfig()})
