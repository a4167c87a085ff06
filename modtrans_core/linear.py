"""The closed-form linear map M of zhat = c M, in one pass over the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from modtrans_core import distributed

PENALTIES = tuple(10.0**power for power in range(-7, 2))
"""ridge penalties tried by `choose`, in units of the mean squared singular value of C"""


class NormalEquations:
    """The sums C^T C (k, k) and C^T Z (k, d) over all pairs, in float64, gathered batch by batch.

    Memory is k (k + d) numbers, whatever the number of pairs; two sets of sums from two shards or processes add up.
    """

    def __init__(self, k: int, d: int, device: torch.device | str = "cpu") -> None:
        self.pairs = torch.zeros((), dtype=torch.float64, device=device)
        self.cc = torch.zeros(k, k, dtype=torch.float64, device=device)
        self.cz = torch.zeros(k, d, dtype=torch.float64, device=device)

    def add(self, c: Tensor, z: Tensor, count: Tensor | None = None) -> None:
        """Add the pairs c (n, k), z (n, d). The products run in the type of c, their sum in float64.

        With `count` (n,), row i stands for `count[i]` pairs of one condition, and z[i] is the sum of their targets.
        """
        self.pairs += len(c) if count is None else count.sum()
        self.cc += gram(c if count is None else c * count.sqrt()[:, None])
        self.cz += c.T @ z

    @staticmethod
    def of(
        sums: Iterable[tuple[Tensor, Tensor, Tensor]], k: int, d: int, device: torch.device | str = "cpu"
    ) -> NormalEquations:
        """Those of the pairs whose `modtrans_core.pairing.Pairing.sums` these are, in one pass.

        Of several processes each gives its share of the sums, and gets the equations of all.
        """
        equations = NormalEquations(k, d, device)
        for chunk in sums:
            equations.add(*chunk)
        equations.all_reduce()
        return equations

    def all_reduce(self) -> None:
        """Add up the sums of all processes, each of which has added its share of the pairs."""
        distributed.all_reduce(self.pairs, self.cc, self.cz)

    @cached_property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues (k,) and eigenvectors (k, k) of C^T C: one decomposition serves every penalty."""
        return torch.linalg.eigh(self.cc)

    @cached_property
    def rotated(self) -> Tensor:
        """C^T Z in the eigenvectors of C^T C, (k, d)."""
        return self.spectrum[1].T @ self.cz

    def solve(self, penalty: float) -> Tensor:
        """M (k, d), the minimiser of |Z - C M|_F^2 + penalty tr(C^T C)/k |M|_F^2, float64.

        Directions in which C has no extent to double precision are left at zero, as the pseudo-inverse does.
        """
        return self.spectrum[1] @ self.solve_rotated(penalty)

    def solve_rotated(self, penalty: float) -> Tensor:
        """V^T M (k, d) for the eigenvectors V of C^T C: what a new penalty changes, without a matrix product."""
        if not penalty >= 0:
            raise ValueError(f"penalty: {penalty}, a number >= 0 is needed")
        values = self.spectrum[0]
        shifted = values + penalty * values.mean()
        inverse = torch.where(shifted > 1e-12 * values.max(), 1 / shifted, 0.0)
        return inverse[:, None] * self.rotated


def gram(c: Tensor) -> Tensor:
    """c^T c (k, k). On a CPU by numpy: it sees that the result is symmetric and does half the operations of torch."""
    if c.device.type == "cpu" and c.dtype in (torch.float32, torch.float64):
        rows = c.detach().numpy()
        return torch.from_numpy(rows.T @ rows)
    return c.T @ c


def few(n: int, d: int) -> bool:
    """Whether n rows in R^d are so few that their QR decomposition is faster than that of their (d, d) moment."""
    return 4 * n < 3 * d


def principal(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (d,), ascending, and eigenvectors (d, d) of rows^T rows, for rows (n, d).

    Of `few` rows by their QR decomposition: five times as fast of d / 12 rows in float64, and no slower of .7 d.

    Examples
    --------
    >>> values, vectors = principal(torch.tensor([[3.0, 4.0, 0.0, 0.0]]))
    >>> values.round().tolist(), vectors[:, -1].abs().tolist()
    ([0.0, 0.0, 0.0, 25.0], [0.6000000238418579, 0.800000011920929, 0.0, 0.0])
    """
    n, d = rows.shape
    if not few(n, d):
        values, vectors = torch.linalg.eigh(gram(rows))
        return values, vectors
    Q, R = torch.linalg.qr(rows.T, mode="complete")  # rows^T rows = Q R R^T Q^T
    values, W = torch.linalg.eigh((R[:n] @ R[:n].T).double())  # of equal rows it does not converge in float32
    return torch.cat([rows.new_zeros(d - n), values.to(rows)]), torch.cat([Q[:, n:], Q[:, :n] @ W.to(rows)], dim=1)


@dataclass(frozen=True, eq=False)
class LinearMap:
    """zhat = c M with its ridge penalty; M (k, d) is float32."""

    M: Tensor
    penalty: float

    @staticmethod
    def fit(
        c: Tensor, z: Tensor, penalty: float | None = None, validation: tuple[Tensor, Tensor] | None = None
    ) -> LinearMap:
        """Fit to the pairs c (n, k), z (n, d).

        With `validation` = (c, z) and no `penalty`, that of `PENALTIES` with the best mean cosine there is taken.
        """
        equations = NormalEquations(c.shape[1], z.shape[1], c.device)
        for rows in zip(c.split(65536), z.split(65536), strict=True):
            equations.add(*rows)
        return LinearMap.solve(equations, penalty, validation)

    @staticmethod
    def solve(
        equations: NormalEquations, penalty: float | None = None, validation: tuple[Tensor, Tensor] | None = None
    ) -> LinearMap:
        """The map of these normal equations; see `fit`."""
        if penalty is None:
            if validation is None:
                raise ValueError("penalty: None, a number >= 0 or validation pairs are needed")
            penalty = choose(equations, *validation)
        return LinearMap(equations.solve(penalty).float(), penalty)

    def translate(self, c: np.ndarray) -> np.ndarray:
        """c M, (n, k) -> (n, d)."""
        return c @ self.M.cpu().numpy()


def choose(equations: NormalEquations, c: Tensor, z: Tensor) -> float:
    """The penalty of `PENALTIES` whose map has the best mean cosine on the validation pairs c (n, k), z (n, d)."""
    c = c @ equations.spectrum[1].to(c.dtype)

    def mean_cosine(penalty: float) -> float:
        predicted = c @ equations.solve_rotated(penalty).to(c.dtype)
        return float(torch.nn.functional.cosine_similarity(predicted, z, dim=1).mean())

    return max(PENALTIES, key=mean_cosine)
