"""The lifted condition, and ridge regression on it in closed form.

    zhat = mean + length(|delta|) delta / |delta|,    delta = c~ M

c~ = [c, phi(c), 1] is the condition lifted with radial basis functions, phi(c)_j = exp(-|c - l_j|^2 / (2 h)) for
landmarks l_j drawn from the training conditions. M is the ridge regression of z - mean on phi or, without landmarks, on
c: on phi it is kernel ridge regression where every condition is a landmark, and its Nystroem approximation (Williams
and Seeger 2001) where there are more. It is shrunk towards t I on the coordinates of c where both spaces have one
dimension, towards 0 elsewhere; the constant is not penalised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modtrans_core.linear import NormalEquations

JITTER = 1e-4
"""added to the diagonal of the landmarks' kernel matrix, of diagonal 1, before it is factorised"""
LEAST_LENGTH = 0.1
"""least value of length(s) / s, so that a translation is never the bare mean"""
LEAST_COSINE = 1e-3
"""least cosine that a translation expects, so that it always has a direction"""


def lifted(c: Tensor, landmarks: Tensor, bandwidth: Tensor) -> Tensor:
    """c~ (n, k + L + 1) of the unit conditions c (n, k), for L unit landmarks (L, k) and the bandwidth h > 0."""
    phi = torch.exp((c @ landmarks.T - 1) / bandwidth)  # |c - l|^2 = 2 - 2 <c, l> for unit vectors
    return torch.cat([c, phi, torch.ones_like(c[:, :1])], dim=1)


def stretched(delta: Tensor, length: Tensor) -> Tensor:
    """`delta` (n, d) with every row's length s replaced by length(s) = a + b s, for `length` = (a, b)."""
    s = delta.norm(dim=1, keepdim=True).clamp_min(torch.finfo(delta.dtype).tiny)
    return delta / s * torch.maximum(length[0] + length[1] * s, LEAST_LENGTH * s)


def reliable(zhat: Tensor, trust: Tensor) -> Tensor:
    """`zhat` (n, d) with every row's length s replaced by the cosine to expect, q0 + q1 s + q2 s^2, s kept to
    [low, high], for `trust` = (q0, q1, q2, low, high). Of all a u with a unit vector u, E<z, u> u is nearest to z."""
    s = zhat.norm(dim=1, keepdim=True)
    at = s.clamp(trust[3], trust[4])
    expected = (trust[0] + trust[1] * at + trust[2] * at.square()).clamp(LEAST_COSINE, 1)
    return zhat / s.clamp_min(torch.finfo(zhat.dtype).tiny) * expected


@dataclass(frozen=True)
class LiftedMap:
    """zhat = reliable(mean + stretched(c~ M, length), trust); every field in float32."""

    M: Tensor
    """(k + L + 1, d)"""
    landmarks: Tensor
    """(L, k); L = 0 where M is a map of the condition alone"""
    bandwidth: Tensor
    """h, a scalar"""
    length: Tensor
    """(a, b)"""
    trust: Tensor
    """(q0, q1, q2, low, high)"""
    root: Tensor
    """R (d, d) of the residual's direction, see `modtrans_core.residual_shape`"""


@dataclass(frozen=True)
class Basis:
    """Coordinates [c, psi(c), 1] in which ridge regression on psi is kernel ridge regression.

    psi(c) = R^-1 phi(c), with R R^T the kernel matrix of the landmarks: where both are landmarks, <psi(c), psi(c')> is
    the kernel exp(-|c - c'|^2 / (2 h)) itself.
    """

    landmarks: Tensor
    bandwidth: Tensor
    root: Tensor
    """R (L, L), lower triangular, float64"""

    @staticmethod
    def at(landmarks: Tensor, bandwidth: Tensor) -> Basis:
        """That of the unit landmarks (L, k), L = 0 or more, and the bandwidth."""
        near = landmarks.double()
        kernel = torch.exp((near @ near.T - 1) / bandwidth)
        kernel.diagonal().add_(JITTER)
        return Basis(landmarks, bandwidth, torch.linalg.cholesky(kernel))

    def features(self, c: Tensor) -> Tensor:
        """[c, psi(c), 1], (n, k + L + 1)."""
        features, k = lifted(c, self.landmarks, self.bandwidth.to(c.dtype)), c.shape[1]
        psi = torch.linalg.solve_triangular(self.root.to(c.dtype), features[:, k:-1].T, upper=False)
        features[:, k:-1] = psi.T
        return features


@dataclass(frozen=True)
class Regression:
    """The centred normal equations of z on c or, where there are landmarks, on psi(c).

    For shrinking towards t I, c stands in front of psi(c) where both spaces have one dimension.
    """

    basis: Basis
    gram: Tensor
    """(p, p), float64; p = k + L, or one of the two"""
    cross: Tensor
    """(p, d)"""
    at: Tensor
    """mean (p,) of the coordinates, every pair weighing the same"""
    towards: Tensor
    """mean (d,) of the targets"""

    @staticmethod
    def of(basis: Basis, sums: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], d: int) -> Regression:
        """That of the pairs whose `PairedEmbeddings.condition_sums` these are, in one pass and bounded memory.

        Of several processes each gives its share of the sums, and gets the regression on all.
        """
        (L, k), device = basis.landmarks.shape, basis.root.device
        p = L if L and k != d else k + L
        equations = NormalEquations(p + 1, d, device)
        for c, total, count in sums:
            c_, total_, count_ = (torch.from_numpy(array).to(device, torch.float32) for array in (c, total, count))
            equations.add(basis.features(c_)[:, -p - 1 :], total_, count_)
        equations.all_reduce()
        n, at, towards = equations.cc[-1, -1], equations.cc[-1, :-1], equations.cz[-1]
        gram = equations.cc[:-1, :-1] - torch.outer(at, at) / n
        cross = equations.cz[:-1] - torch.outer(at, towards) / n
        return Regression(basis, gram, cross, at / n, towards / n)

    @property
    def one_space(self) -> bool:
        """Whether conditions and targets have one dimension, so that there is a t."""
        return self.basis.landmarks.shape[1] == len(self.towards)

    @property
    def used(self) -> slice:
        """What of the p coordinates z is regressed on: psi(c) where there are landmarks, else c."""
        return slice(-len(self.basis.landmarks), None)

    @property
    def least_squares_identity(self) -> float:
        """The t of least squares of z - mean(z) on t (c - mean(c))."""
        d = len(self.towards)
        return float(self.cross[:d].diagonal().sum() / self.gram[:d, :d].diagonal().sum())

    def solve(self, penalty: float) -> tuple[Tensor, Tensor]:
        """The ridge map (q, d) of z on what is `used`, and that of c itself, (q, k), no columns if not `one_space`.

        Shrinking towards t I adds t times (I - the latter).
        """
        shifted = self.gram[self.used, self.used].clone()
        shifted.diagonal().add_(penalty)
        of_c = self.gram[self.used, : len(self.towards) if self.one_space else 0]
        wanted = torch.cat([self.cross[self.used], of_c], dim=1)
        solved = torch.cholesky_solve(wanted, torch.linalg.cholesky(shifted))
        return solved[:, : len(self.towards)], solved[:, len(self.towards) :]

    def map(self, penalty: float, t: float, mean: Tensor) -> Tensor:
        """M (k + L + 1, d), float64, of delta = c~ M, which predicts z - mean."""
        (L, k), of_z, of_c = self.basis.landmarks.shape, *self.solve(penalty)
        W = of_z.new_zeros(k + L, of_z.shape[1])
        W[self.used] = of_z - t * of_c if t else of_z
        if t:
            W[:k].diagonal().add_(t)
        constant = self.towards - mean - self.at @ W[-len(self.at) :]
        phi = torch.linalg.solve_triangular(self.basis.root.T, W[k:], upper=True)
        return torch.cat([W[:k], phi, constant[None]])
