"""The calibrated translator: the conditional mean m(c) = E[z|c] in closed form; its length is the cosine to expect.

    m(c) = expected_length(mean + rescaled(delta)),    delta = [c, phi(c), 1] M

For a unit target z, E cos(z, m) = |m| and E|z - m|^2 = 1 - |m|^2. So draws from p(z|c) are m + sqrt(1 - |m|^2) f with a
unit vector f.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from modtrans_core.calibrated.regression import features
from modtrans_core.checks import refuse_unless, refuse_unless_in
from modtrans_core.noise import keys, normal
from modtrans_core.protocol import Facts, Stored, Vectors, conditions, in_pieces, like

Goal = Literal["cosine", "balanced", "retrieval"]
LEAST_SCALE = 0.1
"""least value of the new length over the old, so that a translation is never the bare mean"""
LEAST_COSINE = 1e-3
"""least cosine that a translation expects, so that it always has a direction"""


@dataclass(frozen=True)
class CalibratedConfig:
    """How the map is chosen. The defaults are the preset `calibrated`.

    Raises
    ------
    ValueError
        A value out of its range; the message names the setting, the value and what is needed.
    """

    landmarks: int = 6144
    """radial basis functions at most, centred on training conditions; 0: the map is linear in the condition"""
    goal: Goal = "balanced"
    """what it is chosen by on validation pairs: the cosine, the centered ranking (retrieval), or the best ranking among
    the maps that give up at most .002 of the cosine (balanced)"""
    seed: int = 0
    """of the choice of landmarks, and of what is looked at to choose the rest"""

    def __post_init__(self) -> None:
        refuse_unless(self.landmarks >= 0, "landmarks", self.landmarks, "at least 0")
        refuse_unless_in("goal", self.goal, get_args(Goal))
        refuse_unless(self.seed >= 0, "seed", self.seed, "an integer >= 0")


@dataclass(frozen=True, repr=False)
class CalibratedTranslator(Stored):
    """Tensors and nothing else: no network, no noise schedule, no optimiser.

    Examples
    --------
    >>> import numpy as np, modtrans_core as mt
    >>> rng = np.random.default_rng(0)
    >>> pairs = mt.PairedEmbeddings({"image": rng.normal(size=(90, 4)), "text": rng.normal(size=(90, 3)) + 1})
    >>> translator = mt.fit(pairs)
    >>> translator
    CalibratedTranslator(image 4 -> text 3, balanced)
    >>> translator.translate(np.eye(4)).shape, translator.draw(np.eye(4), samples=5).shape
    ((4, 3), (4, 5, 3))
    """

    facts: Facts
    config: CalibratedConfig
    mean: Tensor
    """(d,) float64, of the unit training targets"""
    M: Tensor
    """(k + L + 1, d)"""
    landmarks: Tensor
    """(L, k); L = 0 where the map is linear in the condition"""
    bandwidth: Tensor
    """h, a scalar"""
    scale: Tensor
    """(a, b) of `rescaled`"""
    expected: Tensor
    """(q0, q1, q2, low, high) of `expected_length`"""
    root: Tensor
    """R (d, d) of the residual's direction, see `modtrans_core.calibrated.residual`"""

    method = "calibrated"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.facts}, {self.config.goal})"

    @property
    def device(self) -> torch.device:
        """Where it works."""
        return self.M.device

    def m(self, c: Tensor) -> Tensor:
        """m (n, d) of the unit conditions c (n, k)."""
        delta = features(c, self.landmarks, self.bandwidth) @ self.M
        return expected_length(self.mean.float() + rescaled(delta, self.scale), self.expected)

    def sample(self, c: Tensor, start: Tensor) -> Tensor:
        """Draws (n, samples, d) at the unit conditions c (n, k), from normal numbers (n, samples, d)."""
        m, f = self.m(c), normalize(start @ self.root, dim=-1)
        gamma = (1 - m.square().sum(1)).clamp_min(0).sqrt()  # E|z - m|^2 = 1 - |m|^2 for unit z with mean m
        return m[:, None] + gamma[:, None, None] * f

    @torch.inference_mode()
    def translate(self, c: Vectors) -> Vectors:
        """m(c), (n, d), of the conditions c (n, k), numpy or torch; their length does not matter."""
        return like(in_pieces(self.m, conditions(c, self.facts, self.device)), c)

    @torch.inference_mode()
    def expected_cosine(self, c: Vectors) -> Vectors:
        """The cosine (n,), 0 to 1, that each translation is expected to have with its target: |m|.

        How far that comes true on held-out pairs shows `analysis.theory.reliability.reliability`.
        """
        rows = conditions(c, self.facts, self.device)
        return like(in_pieces(lambda part: self.m(part).norm(dim=1).clamp_max(1), rows), c)

    def accept(self, c: Vectors, threshold: float) -> Vectors:
        """Which translations (n,) are expected to have at least this cosine with their targets, True or False.

        `analysis.theory.selective.select`, or `modtrans certify --select`, finds a threshold above which few fall short
        of a cosine, with a guarantee.

        Raises
        ------
        ValueError
            A threshold that is no cosine, conditions of another shape.
        """
        refuse_unless(-1 <= threshold <= 1, "threshold", threshold, "a cosine from -1 to 1")
        expected = self.expected_cosine(c)  # float32, which would round the threshold
        return (expected.double() if isinstance(expected, Tensor) else expected.astype(np.float64)) >= threshold

    @torch.inference_mode()
    def draw(self, c: Vectors, samples: int, *, seed: int = 0) -> Vectors:
        """Draws (n, samples, d) from p(z|c): m + sqrt(1 - |m|^2) f, f of the residuals' Gaussian, normalised.

        The draws of a row do not depend on the rows beside it, nor the first of them on how many there are.

        Parameters
        ----------
        c : conditions (n, k), numpy or torch.
        samples : draws of each, at least 1.
        seed : another one gives other draws.
        """
        refuse_unless(samples >= 1, "samples", samples, "at least 1")

        def drawn(part: Tensor) -> Tensor:
            return self.sample(part, normal(keys(part), (samples, self.facts.d), seed))

        return like(in_pieces(drawn, conditions(c, self.facts, self.device), samples=samples), c)

    def tensors(self) -> dict[str, Tensor]:
        """What is saved."""
        return {name: getattr(self, name) for name in TENSORS}


TENSORS = ("mean", "M", "landmarks", "bandwidth", "scale", "expected", "root")
"""what is saved of a translator, by name"""


def rescaled(delta: Tensor, scale: Tensor) -> Tensor:
    """`delta` (n, d) with every row's length s replaced by a + b s, for `scale` = (a, b)."""
    s = delta.norm(dim=1, keepdim=True).clamp_min(torch.finfo(delta.dtype).tiny)
    return delta / s * torch.maximum(scale[0] + scale[1] * s, LEAST_SCALE * s)


def expected_length(zhat: Tensor, expected: Tensor) -> Tensor:
    """Rescale every row to the cosine that it is expected to have with its target.

    That length is the best: for a unit vector u, the multiple a u nearest to z in mean square has a = E<z, u>. It is
    q0 + q1 s + q2 s^2 of the row's old length s, kept to [low, high], for `expected` = (q0, q1, q2, low, high).
    """
    s = zhat.norm(dim=1, keepdim=True)
    at = s.clamp(expected[3], expected[4])
    length = (expected[0] + expected[1] * at + expected[2] * at.square()).clamp(LEAST_COSINE, 1)
    return zhat / s.clamp_min(torch.finfo(zhat.dtype).tiny) * length


def restore(
    facts: Facts, config: CalibratedConfig, tensors: Mapping[str, Tensor], device: torch.device
) -> CalibratedTranslator:
    """The translator of these tensors; a missing or misshapen one is a ValueError."""
    if missing := [name for name in TENSORS if name not in tensors]:
        raise ValueError(f"{missing[0]}: missing among the tensors")
    made = CalibratedTranslator(facts, config, **{name: tensors[name].to(device) for name in TENSORS})
    k, d, L = facts.k, facts.d, tensors["landmarks"].numel() // facts.k
    shapes: dict[str, tuple[int, ...]] = {"mean": (d,), "landmarks": (L, k), "M": (k + L + 1, d), "bandwidth": ()}
    shapes |= {"scale": (2,), "expected": (5,), "root": (d, d)}
    for name, shape in shapes.items():
        found = tuple(getattr(made, name).shape)
        refuse_unless(found == shape, name, found, f"shape {shape}")
    return made
