r"""Least absolute deviations: the projection that the poster's L1 term trains, proved optimal.

M = argmin sum_ij |z_ij - (C M)_ij| separates into one linear programme a column of Z. Its dual,

    maximise <z, s>  subject to  C^T s = 0,  -1 <= s_i <= 1,

has the subgradient s of the absolute values as its solution: s_i = sign(r_i) wherever r_i is not zero.
So C^T s = 0 is the L1 form of the normal equations. It is not C^T sign(R) = 0: an optimal M passes
**through** as many points as C has rank (in each column), and there s_i may lie anywhere in [-1, 1]. The dual
is solved here, since it has only k constraints; by strong duality |Z - C M|_1 = <Z, S>, and the gap between
the two proves the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from analysis.theory.arrays import matrix, rows_agree


@dataclass(frozen=True)
class LeastAbsolute:
    """An L1 fit.

    Attributes
    ----------
    map : (k, d)
        M; the projection is C M. Not unique in general: any M of the same cost is as good.
    subgradient : (n, d)
        S, in [-1, 1], with C^T S = 0 and S = sign(R) wherever R is not zero.
    gap : float
        (|Z - C M|_1 - <Z, S>) / |Z|_1 >= 0; zero proves that M is optimal.
    """

    map: np.ndarray
    subgradient: np.ndarray
    gap: float


def least_absolute(condition: np.ndarray, target: np.ndarray) -> LeastAbsolute:
    """Fit M by least absolute deviations: exact, and meant for some thousand samples and tens of columns.

    Parameters
    ----------
    condition : C, (n, k).
    target : Z, (n, d).

    Raises
    ------
    ValueError
        Wrong shapes, values that are not finite, targets that are all zero.
    """
    condition, target = matrix("condition", condition), matrix("target", target)
    rows_agree(condition=condition, target=target)
    cost = np.abs(target).sum()
    if cost == 0.0:
        raise ValueError("target: all zero, allowed is at least one entry that is not")
    columns = [_dual(condition, column) for column in target.T]
    linear_map = np.stack([solution for solution, _ in columns], axis=1)
    subgradient = np.stack([dual for _, dual in columns], axis=1)
    gap = (np.abs(target - condition @ linear_map).sum() - (target * subgradient).sum()) / cost
    return LeastAbsolute(linear_map, subgradient, float(gap))


def _dual(condition: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M's column (the multipliers of the k constraints, with their sign turned) and the subgradient s."""
    result = linprog(-column, A_eq=condition.T, b_eq=np.zeros(condition.shape[1]), bounds=(-1, 1), method="highs")
    if not result.success:
        raise RuntimeError(f"least_absolute: the solver stopped without a solution ({result.message})")
    return -result.eqlin.marginals, result.x
