"""The preset `calibrated`: the map of the lifted condition whose direction ranks and whose length scores.

A smaller ridge penalty keeps more of what tells one target from another, and makes delta = c~ M too long. So the length
is fitted anew, on validation pairs: length(s) = a + b s is the least-squares prediction of <z - mean, delta/|delta|>
from s = |delta|. The whole, zhat, then gets the length that is its cosine to expect, a quadratic in |zhat| that is
fitted to the same pairs. Whether M is a map of c or of phi(c), the bandwidth, the penalty and t are chosen on them too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from modtrans_core import distributed
from modtrans_core.config import LiftConfig
from modtrans_core.lift import Basis, LiftedMap, Regression, lifted, reliable, stretched
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, silent
from modtrans_core.residual_shape import residual_root

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
"""steps that `calibrate` reports"""


def calibrate(
    pairs: PairedEmbeddings,
    validation: PairedEmbeddings,
    source: str,
    target: str,
    mean: Tensor,
    config: LiftConfig,
    seed: int,
    report: Progress = silent,
) -> LiftedMap:
    """Fit to `pairs`, in passes of bounded memory; choose on `validation`.

    Parameters
    ----------
    mean : (d,) float64, the mean of the unit training targets, on the device that does the work.
    config : number of landmarks, and the goal to choose by.
    seed : of the choice of landmarks, and of what is looked at to choose the rest.
    report : called with (steps done, `PASSES`).
    """
    rng = np.random.default_rng([seed, 3])
    held = _some(validation, source, JUDGES, rng)
    judge = Judge.of(held, source, target, mean)
    few = _some(pairs, source, SCOUTED, rng)
    conditions = next(few.condition_sums(source, target, len(few)))[0]
    landmarks = torch.from_numpy(conditions[rng.permutation(len(conditions))[: config.landmarks]]).to(mean.device)
    scouts = landmarks[:SCOUTS]
    spacing = (2 - 2 * scouts @ scouts.T).median().clamp_min(1e-6)

    def regression(on: PairedEmbeddings, basis: Basis) -> Regression:
        share = (distributed.rank(), distributed.world())
        return Regression.of(basis, on.condition_sums(source, target, part=share), len(mean))

    found: list[Candidate] = []
    for done, factor in enumerate((None, *BANDWIDTHS), start=1):
        basis = Basis.at(scouts[:0] if factor is None else scouts, (factor or 1) * spacing)
        found += judge.candidates(regression(few, basis), PENALTIES[1::2])
        report(done, PASSES)
    basis = best(found, config.goal).regression.basis
    if len(basis.landmarks):
        basis = Basis.at(landmarks, basis.bandwidth)
    chosen = best(judge.candidates(regression(pairs, basis), PENALTIES), config.goal)
    report(PASSES - 1, PASSES)
    M = chosen.regression.map(chosen.penalty, chosen.identity, mean).float()
    bandwidth, length = basis.bandwidth.float(), torch.tensor(chosen.length, device=mean.device)

    def stretch(c: Tensor) -> Tensor:
        return mean.float() + stretched(lifted(c, basis.landmarks, bandwidth) @ M, length)

    trust = judge.trust(stretch(judge.c))
    root = residual_root(few, held, source, target, lambda c: reliable(stretch(c), trust), mean)
    report(PASSES, PASSES)
    return LiftedMap(M, basis.landmarks, bandwidth, length, trust, root)


class Candidate(NamedTuple):
    """One map and how it does on the validation pairs."""

    cosine: float
    """mean cosine"""
    rank: float
    """mean reciprocal rank of the own item, centered, among the validation items looked at"""
    length: tuple[float, float]
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
    def of(pairs: PairedEmbeddings, source: str, target: str, mean: Tensor) -> Judge:
        """All of `pairs`."""
        c, total, count = next(pairs.condition_sums(source, target, len(pairs)))
        z = total / count[:, None].astype(np.float32)
        return Judge(torch.from_numpy(c).to(mean.device), torch.from_numpy(z).to(mean.device), mean.float())

    def candidates(self, regression: Regression, penalties: Iterable[float]) -> list[Candidate]:
        """Every penalty and t, judged."""
        held = regression.basis.features(self.c)[:, -len(regression.at) - 1 : -1] - regression.at.float()
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
        """Mean cosine, mean reciprocal rank of the own target by the cosine of centered vectors, and the length."""
        length = self.length(delta)
        zhat = self._unit(delta, length)
        similarity = (zhat - self.mean) @ normalize(self.z - self.mean, dim=1).T
        ahead = (similarity > similarity.diagonal()[:, None] + 1e-6).sum(1)
        return self._cosine(zhat), float((1 / (1 + ahead)).mean()), length

    def length(self, delta: Tensor) -> tuple[float, float]:
        """(a, b) of the least-squares prediction of <z - mean, delta/|delta|> by |delta|; (0, 1) where it is better."""
        s = delta.norm(dim=1).double().clamp_min(1e-30)
        along = ((self.z - self.mean) * delta).sum(1) / s
        spread = s.var(correction=0)
        b = ((s - s.mean()) * along).mean() / spread if spread > 1e-12 * s.mean() ** 2 else s.new_zeros(())
        fitted = float(along.mean() - b * s.mean()), float(b)
        return max((0.0, 1.0), fitted, key=lambda length: self._cosine(self._unit(delta, length)))

    def trust(self, zhat: Tensor) -> Tensor:
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

    def _unit(self, delta: Tensor, length: tuple[float, float]) -> Tensor:
        return normalize(self.mean + stretched(delta, delta.new_tensor(length)), dim=1)

    def _cosine(self, zhat: Tensor) -> float:
        return float((zhat * self.z).sum(1).mean())


def _some(pairs: PairedEmbeddings, source: str, conditions: int, rng: np.random.Generator) -> PairedEmbeddings:
    """As many items, in their order, as have at most about `conditions` conditions between them."""
    each = pairs.modality(source).shape[1] if pairs.modality(source).ndim == 3 else 1
    items = max(1, conditions // each)
    return pairs if len(pairs) <= items else pairs.take(np.sort(rng.choice(len(pairs), items, replace=False)))
