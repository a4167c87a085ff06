"""Fits the calibrated translator. The direction of its output decides which target is nearest; its length is the cosine
to expect.

A smaller ridge penalty keeps more of what tells one target from another, and makes delta too long. So its length is
fitted anew, on validation pairs: a + b s is the least-squares prediction of <z - mean, delta/|delta|> from s = |delta|.
The whole then gets the length that is its cosine to expect, a quadratic in its old length that is fitted to the same
pairs. Whether M is a map of c or of phi(c), the bandwidth, the penalty and t are chosen on them too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from modtrans_core.calibrated.model import CalibratedConfig, CalibratedTranslator, expected_length, rescaled
from modtrans_core.calibrated.regression import Basis, Regression, features
from modtrans_core.calibrated.residual import residual_root
from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts
from modtrans_core.run import Run

BANDWIDTHS = (0.125, 0.25, 0.5, 1.0, 4.0)
"""values of h tried, in units of the median squared distance of two training conditions"""
PENALTIES = tuple(10.0 ** (power / 2) for power in range(-5, 7))
"""ridge penalties tried, in units of the squared length of one training condition"""
IDENTITIES = (0.0, 0.5, 1.0, 2.0, 4.0, 16.0)
"""values of t tried where k = d, in units of the least-squares t of z - mean(z) on c - mean(c)"""
SCOUTS, SCOUTED = 2048, 16384
"""landmarks and training conditions, at most, with which the bandwidth is chosen, and whether there is one; penalty, t
and length are chosen again with all"""
COSINE_GIVEN_UP = 0.002
"""validation cosine that `balanced` gives up, at most, for a better ranking"""
ENOUGH = 100
"""validation conditions from which on the expected cosine is fitted to them"""
JUDGES = 1024
"""validation conditions on which candidates are compared, at most"""
PASSES = len(BANDWIDTHS) + 3
"""steps that `fit` reports"""


def fit(
    pairing: Pairing,
    validation: Pairing,
    facts: Facts,
    config: CalibratedConfig,
    device: torch.device,
    run: Run | None = None,
    report: Progress = silent,
) -> CalibratedTranslator:
    """The whole fit, in passes of bounded memory.

    Everything is chosen on the validation pairs. Then the map is fitted once more, to the training and the validation
    pairs together, with what was chosen.

    Parameters
    ----------
    pairing, validation : pairs to fit to, and to choose on.
    run : not used; there are no steps to resume from.
    report : called with (passes done, `PASSES`).
    """
    rng = np.random.default_rng([config.seed, 3])
    mean = torch.from_numpy(pairing.mean()).to(device)
    held = _some(validation, JUDGES, rng)
    judge = Judge.of(held, mean)
    few = _some(pairing, SCOUTED, rng)
    conditions = next(few.sums(device, len(few.pairs), (0, 1)))[0]
    landmarks = conditions[torch.from_numpy(rng.permutation(len(conditions))[: config.landmarks]).to(device)]
    scouts = landmarks[:SCOUTS]
    spacing = (2 - 2 * scouts @ scouts.T).median().clamp_min(1e-6) if len(scouts) else mean.new_ones(())

    found: list[Candidate] = []
    for done, factor in enumerate((None, *(BANDWIDTHS if len(scouts) else ())), start=1):
        basis = Basis.at(scouts[:0] if factor is None else scouts, (factor or 1) * spacing)
        found += judge.candidates(_regression(few, basis, device), PENALTIES[1::2])
        report(done, PASSES)
    basis = best(found, config.goal).regression.basis
    if len(basis.landmarks):
        basis = Basis.at(landmarks, basis.bandwidth)
    chosen = best(judge.candidates(_regression(pairing, basis, device), PENALTIES), config.goal)
    report(PASSES - 1, PASSES)
    M = chosen.regression.map(chosen.penalty, chosen.identity, mean).float()
    bandwidth, scale = basis.bandwidth.float(), torch.tensor(chosen.scale, device=device)

    def towards(c: Tensor) -> Tensor:
        return mean.float() + rescaled(features(c, basis.landmarks, bandwidth) @ M, scale)

    expected = judge.expected(towards(judge.c))
    root = residual_root(few, held, lambda c: expected_length(towards(c), expected), device)
    chosen.regression.add(validation.sums(device, share=(0, 1)))  # all pairs, at the settings that were chosen
    M = chosen.regression.map(chosen.penalty, chosen.identity, mean).float()
    report(PASSES, PASSES)
    return CalibratedTranslator(facts, config, mean, M, basis.landmarks, bandwidth, scale, expected, root)


def _regression(pairing: Pairing, basis: Basis, device: torch.device) -> Regression:
    """On all pairs, of which each process adds its share."""
    regression = Regression(basis, pairing.d).add(pairing.sums(device))
    regression.equations.all_reduce()
    return regression


class Candidate(NamedTuple):
    """One map and how it does on the validation pairs."""

    cosine: float
    """mean cosine"""
    rank: float
    """mean reciprocal rank of the own item, centered, among the validation items looked at"""
    scale: tuple[float, float]
    """(a, b)"""
    regression: Regression
    penalty: float
    identity: float
    """t"""


def best(candidates: list[Candidate], goal: str) -> Candidate:
    """The candidate of the best rank among those whose cosine is near enough to the best for the goal."""
    most = max(candidate.cosine for candidate in candidates)
    given_up = {"cosine": 0.0, "balanced": COSINE_GIVEN_UP, "retrieval": float("inf")}[goal]
    return max((one for one in candidates if one.cosine >= most - given_up), key=lambda one: one.rank)


@dataclass(frozen=True)
class Judge:
    """What candidates are judged on."""

    c: Tensor
    """validation conditions (V, k)"""
    z: Tensor
    """mean (V, d) of the unit targets of each"""
    mean: Tensor
    """that of the training targets (d,)"""

    @staticmethod
    def of(pairing: Pairing, mean: Tensor) -> Judge:
        """All of the pairs."""
        c, total, count = next(pairing.sums(mean.device, len(pairing.pairs), (0, 1)))
        return Judge(c, total / count[:, None], mean.float())

    def candidates(self, regression: Regression, penalties: Iterable[float]) -> list[Candidate]:
        """Every penalty and t, judged."""
        held = regression.basis.coordinates(self.c)[:, -regression.p - 1 : -1] - regression.at.float()
        constant = regression.towards.float() - self.mean
        identities = [0.0]
        if regression.one_space:
            identities = [factor * regression.least_squares_identity for factor in IDENTITIES]
        found = []
        for penalty in penalties:
            of_z, of_c = (held[:, regression.used] @ W.float() for W in regression.solve(penalty))
            for t in identities:
                delta = of_z + constant
                if t:
                    delta += t * (held[:, : of_c.shape[1]] - of_c)
                found.append(Candidate(*self(delta), regression, penalty, t))
        return found

    def __call__(self, delta: Tensor) -> tuple[float, float, tuple[float, float]]:
        """Mean cosine, mean reciprocal rank of the own target by the cosine of centered vectors, and (a, b)."""
        scale = self.scale(delta)
        zhat = self._unit(delta, scale)
        similarity = (zhat - self.mean) @ normalize(self.z - self.mean, dim=1).T
        ahead = (similarity > similarity.diagonal()[:, None] + 1e-6).sum(1)
        return self._cosine(zhat), float((1 / (1 + ahead)).mean()), scale

    def scale(self, delta: Tensor) -> tuple[float, float]:
        """(a, b) of the least-squares prediction of <z - mean, delta/|delta|> by |delta|; (0, 1) where it is better."""
        s = delta.norm(dim=1).double().clamp_min(1e-30)
        along = ((self.z - self.mean) * delta).sum(1) / s
        spread = s.var(correction=0)
        b = ((s - s.mean()) * along).mean() / spread if spread > 1e-12 * s.mean() ** 2 else s.new_zeros(())
        fitted = float(along.mean() - b * s.mean()), float(b)
        return max((0.0, 1.0), fitted, key=lambda scale: self._cosine(self._unit(delta, scale)))

    def expected(self, zhat: Tensor) -> Tensor:
        """(q0, q1, q2, low, high) of the least-squares quadratic in s = |zhat| that predicts the cosine, and the range
        of s. With fewer than `ENOUGH` conditions the length itself is the prediction."""
        s = zhat.double().norm(dim=1)
        if len(s) < ENOUGH:
            return zhat.new_tensor([0.0, 1.0, 0.0, 0.0, 1.0])
        along = (self.z * zhat).sum(1).double() / s
        at, y = (s - s.mean()).cpu().numpy(), along.cpu().numpy()
        a, b, q2 = np.linalg.lstsq(np.stack([np.ones_like(at), at, at**2], 1), y, rcond=None)[0]
        centre = float(s.mean())
        q0, q1 = a - b * centre + q2 * centre**2, b - 2 * q2 * centre
        return zhat.new_tensor([q0, q1, q2, float(s.min()), float(s.max())])

    def _unit(self, delta: Tensor, scale: tuple[float, float]) -> Tensor:
        return normalize(self.mean + rescaled(delta, delta.new_tensor(scale)), dim=1)

    def _cosine(self, zhat: Tensor) -> float:
        return float((zhat * self.z).sum(1).mean())


def _some(pairing: Pairing, conditions: int, rng: np.random.Generator) -> Pairing:
    """The pairs of as many items, in their order, as have at most about `conditions` conditions between them."""
    array, n = pairing.pairs.modality(pairing.source), len(pairing.pairs)
    items = max(1, conditions // (array.shape[1] if array.ndim == 3 else 1))
    return pairing if n <= items else pairing.take(np.sort(rng.choice(n, items, replace=False)))
