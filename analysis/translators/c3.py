"""C3: connect, collapse, corrupt. Both modalities without their means, and noise where a decoder is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from analysis.translators.closed_form import ClosedForm, one_dimension
from analysis.translators.language_free import Unpaired
from modtrans_core.checks import refuse_unless
from modtrans_core.noise import keys, normal
from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts, Method, Vectors, as_asked, in_pieces, like, targets


@dataclass(frozen=True)
class C3Config:
    """What a decoder is trained on; the translation has nothing to set.

    Raises
    ------
    ValueError
        A negative or infinite variance.
    """

    variance: float = 0.016
    """of the noise in `training_vectors`, a coordinate"""
    seed: int = 0
    """of that noise"""

    def __post_init__(self) -> None:
        refuse_unless(0 <= self.variance < float("inf"), "variance", self.variance, "a finite number >= 0")


@dataclass(frozen=True, repr=False, eq=False)
class C3Translator(ClosedForm):
    """zhat = c - mean(c), to be compared with z - mean(z): it lives in the space of collapsed targets."""

    mean_c: Tensor
    """(k,) of conditions"""
    mean_z: Tensor
    """(d,) of targets of other items"""
    method = "C3"

    def zhat(self, c: Tensor) -> Tensor:
        return collapsed(c, self.mean_c)

    def search_vectors(self, c: Vectors) -> Vectors:
        """zhat (n, d): the collapsed conditions."""
        return self.translate(c)

    @as_asked
    def gallery_vectors(self, z: Vectors, together: Vectors | None = None) -> Vectors:
        """The collapsed targets (g, d): what zhat is to be compared with."""
        rows = targets(z, self.facts, self.mean.device)
        return like(in_pieces(lambda rows: collapsed(rows, self.mean_z), rows), z)

    @as_asked
    def training_vectors(self, z: Vectors) -> Vectors:
        """The targets (n, d) less their mean, corrupted and of length 1: what a decoder of targets is trained on."""
        rows = targets(z, self.facts, self.mean.device)
        noise = self.config.variance**0.5 * normal(keys(rows), (self.facts.d,), self.config.seed)
        return like(normalize(rows.double() - self.mean_z + noise, dim=1).float(), z)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {**super().shapes(), "mean_c": (self.facts.k,), "mean_z": (self.facts.d,)}


def collapsed(rows: Tensor, mean: Tensor) -> Tensor:
    """The directions (n, d) of unit rows without the mean of their modality."""
    return normalize(rows.double() - mean, dim=1).float()


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: C3Config,
    device: torch.device,
    run: Any = None,
    report: Progress = silent,
) -> C3Translator:
    """The mean of conditions, and that of targets of other items; see `language_free.Unpaired`. It needs k = d.

    Notes
    -----
    Connect: one contrastive space. Collapse: each modality less its own mean, then of length 1. Corrupt: a decoder of
    targets, trained without conditions, reads targets less their mean, plus normal noise of variance .016 a coordinate,
    and only then of length 1. A condition is decoded from its collapsed vector, without noise [1]_.

    Collapsed vectors have nothing of the gap, so that a shift of a modality changes nothing. They are no embeddings of
    the target's encoder: score zhat against `gallery_vectors`, not against z, to which its cosine means little. Moved
    back by the mean of the targets it is the mean shift, which can be.

    References
    ----------
    .. [1] Zhang et al. 2024, Connect, collapse, corrupt: learning cross-modal tasks with uni-modal data,
           arXiv:2401.08567.
    """
    one_dimension("C3", facts)
    c, z = Unpaired.of(pairing, validation)
    return C3Translator.of(facts, config, device, mean=pairing.mean(), mean_c=c.mean(0), mean_z=z.mean(0))


METHOD = Method(C3Config, fit, C3Translator.restore, {"C3": C3Config()})
