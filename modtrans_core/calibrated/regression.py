"""Ridge regression of targets on features of the condition, in closed form, and what it says of folds left out.

A basis is linear, x(c) = c, or radial: x(c) = R^-1 phi(c), phi(c)_j = exp(-|c - l_j|^2 / (2 h)) for landmarks l_j and a
bandwidth h, with R R^T the kernel matrix of the landmarks. The landmarks are training conditions. Ridge regression on
x(c) is then kernel ridge regression where every condition is a landmark (and is solved as that, by `kernel_ridge`), and
its Nystroem approximation (Williams and Seeger 2001) where there are more. The constant is not penalised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from modtrans_core.linear import NormalEquations, gram

LINEAR = (1.0,)
"""penalties of the linear basis, in units of the squared length of a condition"""
RADIAL = ((0.125, (0.3, 1.0)), (0.5, (0.1, 1.0)))
"""bandwidths of the radial bases, in units of the median squared distance of two conditions, and penalties of each"""
NARROW = 0.01
"""bandwidth up to which distances are taken in float64: float32 inner products of unit vectors err by about 1e-7"""
JITTER = 1e-4
"""added to the diagonal of the landmarks' kernel matrix, of diagonal 1, before it is factorised"""


def radial(c: Tensor, landmarks: Tensor, bandwidth: float) -> Tensor:
    """phi(c), (n, L), of the unit conditions c (n, k), for L unit landmarks (L, k) and h > 0."""
    if bandwidth > NARROW:
        return torch.exp((c @ landmarks.T - 1) / bandwidth)  # |c - l|^2 = 2 - 2 <c, l> for unit vectors
    return torch.exp(-squared_distances(c, landmarks) / (2 * bandwidth)).to(c.dtype)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """|a - b|^2 of every two rows, (n, k) and (m, k) -> (n, m), float64."""
    centre, same = b.double().mean(0), a is b
    b = b.double() - centre
    a = b if same else a.double() - centre
    products = gram(a.T) if same else a @ b.T
    return (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * products).clamp_min(0)


@dataclass(frozen=True)
class Basis:
    """Coordinates x(c) of a condition.

    Where both are landmarks, <x(c), x(c')> is the kernel exp(-|c - c'|^2 / (2 h)) itself.
    """

    landmarks: Tensor
    """(L, k); L = 0 for the linear basis"""
    bandwidth: float
    """h; of no meaning for the linear basis"""
    root: Tensor
    """R (L, L), lower triangular, float64; (0, 0) where x(c) is c or phi(c) itself"""

    @staticmethod
    def at(landmarks: Tensor, bandwidth: float = 1.0) -> Basis:
        """That of the unit landmarks (L, k), L = 0 or more, and the bandwidth."""
        kernel = torch.exp(-squared_distances(landmarks, landmarks) / (2 * bandwidth))
        kernel.diagonal().add_(JITTER)
        return Basis(landmarks, bandwidth, torch.linalg.cholesky(kernel))

    @staticmethod
    def plain(landmarks: Tensor, bandwidth: float) -> Basis:
        """phi(c) itself, for `kernel_ridge`."""
        return Basis(landmarks, bandwidth, landmarks.new_zeros(0, 0, dtype=torch.float64))

    @property
    def p(self) -> int:
        """How many coordinates there are."""
        return len(self.landmarks) or self.landmarks.shape[1]

    def coordinates(self, c: Tensor) -> Tensor:
        """[x(c), 1], (n, p + 1)."""
        x = c
        if len(self.landmarks):
            phi = radial(c, self.landmarks, self.bandwidth)
            x = torch.linalg.solve_triangular(self.root.to(c.dtype), phi.T, upper=False).T
        return torch.cat([x, torch.ones_like(c[:, :1])], dim=1)

    def on_features(self, W: Tensor) -> Tensor:
        """The map of [c, 1] or [phi(c), 1] that is the map W (p + 1, q) of [x(c), 1]."""
        if not len(self.root):
            return W
        return torch.cat([torch.linalg.solve_triangular(self.root.T, W[:-1], upper=True), W[-1:]])


class Ridge(NamedTuple):
    """One penalty's solution."""

    W: Tensor
    """(p + 1, d), the map of [x(c), 1]; float64"""
    factor: Tensor
    """lower triangular (p + 1, p + 1), float32: the Cholesky factor of the penalised equations"""


class Regression:
    """The regression of z on x(c), every pair weighing the same.

    Parameters
    ----------
    d : dimension of the targets.
    """

    def __init__(self, basis: Basis, d: int) -> None:
        self.basis = basis
        self.equations = NormalEquations(basis.p + 1, d, basis.root.device)

    def add(self, x: Tensor, total: Tensor, count: Tensor) -> None:
        """Add pairs: [x(c), 1] (n, p + 1), the sum (n, d) of what each condition is paired with, of how many (n,)."""
        self.equations.add(x, total, count)

    def solve(self, penalty: float) -> Ridge:
        """The minimiser of sum |z - [x(c), 1] W|^2 + penalty |W|^2, the last row of W left out of the second sum."""
        shifted = self.equations.cc.clone()
        shifted.diagonal()[:-1].add_(penalty)
        factor = torch.linalg.cholesky(shifted)
        return Ridge(torch.cholesky_solve(self.equations.cz, factor), factor.float())


def left_out(found: Ridge, x: Tensor, z: Tensor, count: Tensor, folds: Sequence[Tensor]) -> Tensor:
    """What the regression would say of each fold's conditions, (n, d), had it been fitted to all pairs but the fold's.

    It is exact: with H the matrix that takes targets to fitted values, the residuals of a fold f that is left out are
    (I - H_ff)^-1 times its residuals in the fit (Cook and Weisberg 1982, section 2.2).

    Parameters
    ----------
    x : [x(c), 1] of the conditions, (n, p + 1); they are among those that it was fitted to.
    z, count : the mean (n, d) of the targets that each condition is paired with, and how many these are (n,).
    folds : the rows of each fold.
    """
    root = count.sqrt()[:, None]
    residual = (z - x @ found.W.float()) * root
    half = torch.linalg.solve_triangular(found.factor, (x * root).T, upper=False).T  # H = half half^T
    for rows in folds:
        inside = torch.eye(len(rows), device=x.device) - half[rows] @ half[rows].T
        residual[rows] = torch.linalg.solve(inside, residual[rows])
    return z - residual / root


def kernel_ridge(
    kernel: Tensor, z: Tensor, count: Tensor, penalty: float, folds: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Kernel ridge regression where every condition is a landmark, and what it would say of each fold without it.

    With A = K + penalty diag(1 / count) and a constant that is not penalised, the weights are P z for
    P = A^-1 - A^-1 1 1^T A^-1 / 1^T A^-1 1. The residuals of a fold f that is left out are P_ff^-1 times its weights.

    Parameters
    ----------
    kernel : K (n, n), float64.
    z, count, folds : as for `left_out`.

    Returns
    -------
    The map (n + 1, d) of [phi(c), 1], and the predictions (n, d).
    """
    shifted = kernel.clone()
    shifted.diagonal().add_(penalty / count)
    P = torch.cholesky_inverse(torch.linalg.cholesky(shifted))
    of_one = P.sum(1)
    P.addr_(of_one, of_one / -of_one.sum())
    P, constant = P.to(z.dtype), ((of_one / of_one.sum()).to(z.dtype) @ z)[None]
    weights = P @ z
    residual = torch.empty_like(z)
    for rows in folds:
        residual[rows] = torch.linalg.solve(P[rows][:, rows], weights[rows])
    return torch.cat([weights, constant]), z - residual
