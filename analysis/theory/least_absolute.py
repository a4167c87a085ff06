r"""Least absolute deviations: the projection that the poster's L1 term trains, with a proof that it is optimal.

The map M that minimises sum_ij |z_ij - (C M)_ij| separates into one linear programme a column z of Z. Its dual is

    maximise <z, s>  subject to  C^T s = 0,  -1 <= s_i <= 1.                                                         (1)

Its solution s is a subgradient of the absolute values: s_i = sign(r_i) wherever r_i is not zero. So C^T s = 0 is the L1
form of the normal equations. This is not C^T sign(R) = 0: in each column an optimal M passes **through** as many points
as C has rank, and there s_i may lie anywhere in [-1, 1]. The dual is solved here, since it has only k constraints. By
strong duality |Z - C M|_1 = <Z, S>, and the gap between the two proves the fit. A solver meets the constraints to a
tolerance alone. So the columns of C are replaced by orthonormal ones of the same span, z is brought to size 1, and what
s still has along these columns is taken out of it: <z, s> is then a lower bound of every map's cost, rounding aside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from analysis.theory.arrays import Floats, matrix, refuse_extremes, rows_agree
from analysis.theory.decomposition import ColumnSpace


@dataclass(frozen=True)
class LeastAbsolute:
    """An L1 fit.

    Attributes
    ----------
    map : (k, d) array
        M; the projection is C M. It is not unique in general: any M of the same cost is as good.
    subgradient : (n, d) array
        S, in [-1, 1], with C^T S = 0, and S = sign(R) wherever R is not zero.
    gap : float
        (|Z - C M|_1 - <Z, S>) / |Z|_1, at least 0; zero proves that M is optimal.
    """

    map: Floats
    subgradient: Floats
    gap: float


def least_absolute(condition: np.ndarray, target: np.ndarray) -> LeastAbsolute:
    """Fit a linear map by least absolute deviations: exactly, for some thousand samples and tens of columns.

    Parameters
    ----------
    condition : (n, k) array
        C.
    target : (n, d) array
        Z.

    Returns
    -------
    LeastAbsolute
        The map, and what proves it.

    Raises
    ------
    ValueError
        Wrong shapes, values that are not finite, targets that are all zero.

    Examples
    --------
    >>> print(least_absolute(np.ones((3, 1)), np.array([[0.0], [1.0], [10.0]])).map)  # of a constant: the median
    [[1.]]
    """
    condition, target = matrix("condition", condition), matrix("target", target)
    rows_agree(condition=condition, target=target)
    size = np.abs(condition).max(axis=0)
    size[size == 0.0] = 1.0
    space = ColumnSpace.of(condition / size)
    refuse_extremes(target=target)
    cost = np.abs(target).sum()
    if cost == 0.0:
        raise ValueError("target: all zero, at least one entry that is not zero is needed")
    columns = [_dual(space, column) for column in target.T]
    linear_map = np.stack([solution for solution, _ in columns], axis=1) / size[:, None]
    subgradient = np.stack([dual for _, dual in columns], axis=1)
    gap = (np.abs(target - condition @ linear_map).sum() - (target * subgradient).sum()) / cost
    return LeastAbsolute(linear_map, subgradient, max(float(gap), 0.0))


def _dual(space: ColumnSpace, column: Floats) -> tuple[Floats, Floats]:
    """M's column, from minus the multipliers of the constraints in (1), and the subgradient s."""
    size = np.abs(column).max() or 1.0
    basis = space.left * np.sqrt(len(column))  # with entries of about 1
    result = linprog(-column / size, A_eq=basis.T, b_eq=np.zeros(basis.shape[1]), bounds=(-1, 1), method="highs")
    if not result.success:
        raise RuntimeError(f"least_absolute: the solver stopped without a solution ({result.message})")
    dual = result.x - space.project(result.x)
    along = -size * np.sqrt(len(column)) * result.eqlin.marginals
    return space.right.T @ (along / space.singular), dual / max(np.abs(dual).max(), 1.0)
