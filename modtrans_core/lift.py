"""The lifted condition c~ = [c, phi(c), 1], and the closed-form map M of zhat = c~ M that is best on validation pairs.

phi(c)_j = exp(-|c - l_j|^2 / (2 h)) for landmarks l_j drawn from the training conditions. Ridge regression on c~ is
kernel ridge regression with the kernel <c, c'> + exp(-|c - c'|^2 / (2 h)) where every condition is a landmark, and its
Nystroem approximation (Williams and Seeger 2001) where there are more. The map is shrunk towards t I on the coordinates
of c where both spaces have one dimension, and towards 0 elsewhere; the constant is not penalised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from modtrans_core.config import LiftConfig

BANDWIDTHS = (0.125, 0.25, 0.5, 1.0, 2.0)
"""values of h tried, in units of the median squared distance of two training conditions"""
PENALTIES = tuple(10.0 ** (power / 2) for power in range(-6, 6))
"""ridge penalties tried, in units of the squared length of one training condition"""
IDENTITIES = (0.0, 0.5, 1.0, 2.0, 4.0, 16.0)
"""values of t tried where k = d, in units of the least-squares t of z - mean(z) on c - mean(c)"""
SCOUTS = 1024
"""landmarks with which the bandwidth is chosen; the penalty and t are chosen again with all"""
COSINE_GIVEN_UP = 0.005
"""validation cosine that `balanced` gives up, at most, for a better ranking"""
JITTER = 1e-4
"""added to the diagonal of the landmarks' kernel matrix, of diagonal 1, before it is factorised"""
JUDGES = 1024
"""validation conditions on which candidates are compared, at most"""


def lifted(c: Tensor, landmarks: Tensor, bandwidth: Tensor) -> Tensor:
    """c~ (n, k + L + 1) of the unit conditions c (n, k), for L unit landmarks (L, k) and the bandwidth h > 0."""
    phi = torch.exp((c @ landmarks.T - 1) / bandwidth)  # |c - l|^2 = 2 - 2 <c, l> for unit vectors
    return torch.cat([c, phi, torch.ones_like(c[:, :1])], dim=1)


class Candidate(NamedTuple):
    """One map and how it does on the validation pairs."""

    cosine: float
    """mean cosine"""
    rank: float
    """mean reciprocal rank of the own target, centered, among the validation targets"""
    bandwidth: Tensor
    penalty: float
    identity: float
    """t"""
    M: Tensor


@dataclass(frozen=True)
class LiftedMap:
    """zhat = c~ M; every field in float32."""

    M: Tensor
    """(k + L + 1, d)"""
    landmarks: Tensor
    """(L, k)"""
    bandwidth: Tensor
    """h, a scalar"""

    @staticmethod
    def fit(
        c: Tensor, z: Tensor, of_c: Tensor, of_z: Tensor, held_c: Tensor, held_z: Tensor, config: LiftConfig, seed: int
    ) -> LiftedMap:
        """Fit to the unit pairs (c[of_c], z[of_z]); choose on validation pairs.

        Parameters
        ----------
        c, z : conditions (n, k) and targets (m, d), unit vectors.
        of_c, of_z : (P,) the rows that make each training pair. Pairs that share a condition cost nothing more.
        held_c, held_z : the validation pairs, (V, k) and (V, d).
        config : number of landmarks and what to choose by.
        seed : of the choice of landmarks.
        """
        count = torch.bincount(of_c, minlength=len(c)).to(c.dtype)
        total = z.new_zeros(len(c), z.shape[1]).index_add_(0, of_c, z[of_z])
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(c), generator=generator).to(c.device)
        judges = torch.randperm(len(held_c), generator=generator)[:JUDGES].to(c.device)
        judge = (held_c[judges], held_z[judges])

        landmarks = c[order[: config.landmarks]]
        scouts = landmarks[:SCOUTS]
        spacing = (2 - 2 * scouts @ scouts.T).median()
        scouted = [
            candidate
            for factor in BANDWIDTHS
            for candidate in _candidates(c, total, count, scouts, factor * spacing, judge)
        ]
        best = _best(scouted, config.goal)
        if len(landmarks) > len(scouts):
            best = _best(_candidates(c, total, count, landmarks, best.bandwidth, judge), config.goal)
        return LiftedMap(best.M.float(), landmarks, best.bandwidth)


def _candidates(
    c: Tensor, total: Tensor, count: Tensor, landmarks: Tensor, bandwidth: Tensor, judge: tuple[Tensor, Tensor]
) -> list[Candidate]:
    """Every penalty and t for one bandwidth. `total` (n, d) sums the `count` (n,) targets of each condition."""
    (k, d), n = (c.shape[1], total.shape[1]), count.sum().double()
    L = len(landmarks)
    near = landmarks.double()
    kernel = torch.exp((near @ near.T - 1) / bandwidth) + JITTER * torch.eye(L, dtype=torch.float64, device=c.device)
    root = torch.linalg.cholesky(kernel)  # phi root^-T has the kernel's own inner products
    gram = c.new_zeros(k + L + 1, k + L + 1, dtype=torch.float64)
    cross = c.new_zeros(k + L + 1, d, dtype=torch.float64)
    for rows in torch.arange(len(c), device=c.device).split(8192):
        features = lifted(c[rows].double(), landmarks.double(), bandwidth.double())
        features[:, k:-1] = torch.linalg.solve_triangular(root, features[:, k:-1].T, upper=False).T
        gram += (features * count[rows, None]).T @ features
        cross += features.T @ total[rows].double()

    sums, mean = gram[:-1, -1], cross[-1] / n
    centred = gram[:-1, :-1] - torch.outer(sums, sums) / n
    towards_z = cross[:-1] - torch.outer(sums, mean)
    same = k == d
    block = centred[:, :k] if same else towards_z[:, :0]
    t_0 = float(towards_z[:k].diagonal().sum() / block[:k].diagonal().sum()) if same else 0.0

    held_c, held_z = judge
    held = lifted(held_c, landmarks, bandwidth).double()
    found = []
    for penalty in PENALTIES:
        shifted = torch.linalg.cholesky(centred + penalty * torch.eye(k + L, dtype=torch.float64, device=c.device))
        solved = torch.cholesky_solve(torch.cat([towards_z, block], dim=1), shifted)
        for t in [factor * t_0 for factor in IDENTITIES] if same else [0.0]:
            W = solved[:, :d]
            if same:
                W = W - t * solved[:, d:]
                W[:k] += t * torch.eye(k, dtype=torch.float64, device=c.device)
            constant = mean - sums @ W / n
            phi = torch.linalg.solve_triangular(root.T, W[k:], upper=True)
            M = torch.cat([W[:k], phi, constant[None]])
            cosine, rank = _judge(held @ M, held_z.double(), mean)
            found.append(Candidate(cosine, rank, bandwidth, penalty, t, M))
    return found


def _judge(zhat: Tensor, z: Tensor, mean: Tensor) -> tuple[float, float]:
    """Mean cosine of the pairs, and the mean reciprocal rank of the own target by the cosine of centered vectors."""
    zhat = torch.nn.functional.normalize(zhat, dim=1)
    centered = torch.nn.functional.normalize(z - mean, dim=1)
    similarity = (zhat - mean) @ centered.T
    ahead = (similarity > similarity.diagonal()[:, None]).sum(1)
    return float((zhat * z).sum(1).mean()), float((1 / (1 + ahead)).mean())


def _best(candidates: list[Candidate], goal: str) -> Candidate:
    if goal == "retrieval":
        return max(candidates, key=lambda candidate: candidate.rank)
    most = max(candidate.cosine for candidate in candidates)
    given_up = COSINE_GIVEN_UP if goal == "balanced" else 0.0
    near = [candidate for candidate in candidates if candidate.cosine >= most - given_up]
    return max(near, key=lambda candidate: candidate.rank)
