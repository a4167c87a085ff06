"""Ridge regression of targets on features of the condition, in closed form.

    delta = [c, phi(c), 1] M,    phi(c)_j = exp(-|c - l_j|^2 / (2 h)) for landmarks l_j and a bandwidth h

The landmarks l_j are training conditions. M is the ridge regression of z - mean on phi or, without landmarks, on c: on
phi it is kernel ridge regression where every condition is a landmark, and its Nystroem approximation (Williams and
Seeger 2001) where there are more. It is shrunk towards t I on the coordinates of c where both spaces have one
dimension, towards 0 elsewhere; the constant is not penalised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from modtrans_core.linear import NormalEquations

JITTER = 1e-4
"""added to the diagonal of the landmarks' kernel matrix, of diagonal 1, before it is factorised"""


def features(c: Tensor, landmarks: Tensor, bandwidth: Tensor) -> Tensor:
    """[c, phi(c), 1], (n, k + L + 1), of the unit conditions c (n, k), for L unit landmarks (L, k) and h > 0."""
    phi = torch.exp((c @ landmarks.T - 1) / bandwidth)  # |c - l|^2 = 2 - 2 <c, l> for unit vectors
    return torch.cat([c, phi, torch.ones_like(c[:, :1])], dim=1)


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

    def coordinates(self, c: Tensor) -> Tensor:
        """[c, psi(c), 1], (n, k + L + 1)."""
        found, k = features(c, self.landmarks, self.bandwidth.to(c.dtype)), c.shape[1]
        psi = torch.linalg.solve_triangular(self.root.to(c.dtype), found[:, k:-1].T, upper=False)
        found[:, k:-1] = psi.T
        return found


class Solved(NamedTuple):
    """Ridge maps on the coordinates that are `Regression.used`."""

    of_targets: Tensor
    """W_z (q, d), the map of z"""
    of_conditions: Tensor
    """W_c (q, k), the map of c itself; no columns where the spaces differ in dimension"""


class Regression:
    """The regression of z on c or, where there are landmarks, on psi(c), every pair weighing the same.

    For shrinking towards t I, c stands in front of psi(c) where both spaces have one dimension.

    Parameters
    ----------
    d : dimension of the targets.
    """

    def __init__(self, basis: Basis, d: int) -> None:
        (L, k), device = basis.landmarks.shape, basis.root.device
        self.basis, self.d = basis, d
        self.p = L if L and k != d else k + L
        self.one_space = k == d
        """whether there is a t"""
        self.used = slice(-L, None)
        """what of the p coordinates z is regressed on: psi(c) where there are landmarks, else c"""
        self.equations = NormalEquations(self.p + 1, d, device)

    def add(self, sums: Iterable[tuple[Tensor, Tensor, Tensor]]) -> Regression:
        """Add the pairs whose `modtrans_core.pairing.Pairing.sums` these are, in one pass and bounded memory."""
        for c, total, count in sums:
            self.equations.add(self.basis.coordinates(c)[:, -self.p - 1 :], total, count)
        return self

    @property
    def at(self) -> Tensor:
        """Mean (p,) of the coordinates."""
        return self.equations.cc[-1, :-1] / self.equations.cc[-1, -1]

    @property
    def towards(self) -> Tensor:
        """Mean (d,) of the targets."""
        return self.equations.cz[-1] / self.equations.cc[-1, -1]

    def gram(self, rows: slice, columns: slice) -> Tensor:
        """The centred products of these coordinates, sum (x - mean x)(y - mean y)^T."""
        cc = self.equations.cc
        at = cc[-1, :-1]
        return cc[:-1, :-1][rows, columns] - torch.outer(at[rows], at[columns]) / cc[-1, -1]

    def cross(self, rows: slice) -> Tensor:
        """The centred products of these coordinates with the targets."""
        cc, cz = self.equations.cc, self.equations.cz
        return cz[:-1][rows] - torch.outer(cc[-1, :-1][rows], cz[-1]) / cc[-1, -1]

    @property
    def least_squares_identity(self) -> float:
        """The t of least squares of z - mean(z) on t (c - mean(c))."""
        first = slice(self.d)
        return float(self.cross(first).diagonal().sum() / self.gram(first, first).diagonal().sum())

    def solve(self, penalty: float) -> Solved:
        """The ridge maps of z and of c: shrunk towards t I, the map of z is W_z + t (I - W_c)."""
        shifted = self.gram(self.used, self.used)
        shifted.diagonal().add_(penalty)
        of_c = self.gram(self.used, slice(self.d if self.one_space else 0))
        wanted = torch.cat([self.cross(self.used), of_c], dim=1)
        solved = torch.cholesky_solve(wanted, torch.linalg.cholesky(shifted))
        return Solved(solved[:, : self.d], solved[:, self.d :])

    def map(self, penalty: float, t: float, mean: Tensor) -> Tensor:
        """M (k + L + 1, d), float64, of delta = [c, phi(c), 1] M, which predicts z - mean."""
        (L, k), found = self.basis.landmarks.shape, self.solve(penalty)
        W = mean.new_zeros(k + L, self.d)
        W[self.used] = found.of_targets - t * found.of_conditions if t else found.of_targets
        if t:
            W[:k].diagonal().add_(t)
        constant = self.towards - mean - self.at @ W[-self.p :]
        phi = torch.linalg.solve_triangular(self.basis.root.T, W[k:], upper=True)
        return torch.cat([W[:k], phi, constant[None]])
