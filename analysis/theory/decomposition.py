r"""Projection and residual of a data set: what is perpendicular to what, in numbers.

A data set has targets Z (n, d) and conditions C (n, k), one row a sample. A linear map M (k, d) splits the targets into
the projection P = C M and the residual R = Z - P. Least squares makes the residual perpendicular to the conditions in
**sample space** R^n, where a vector is one column:

    C^T R = 0 (k d equations),   P^T R = M^T C^T R = 0 (d^2 equations),   |Z|_F^2 = |P|_F^2 + |R|_F^2.               (1)

The two vectors p_i and r_i of **one** sample need not be perpendicular in embedding space R^d: trace(P^T R), the sum of
<p_i, r_i> over the samples, is zero, but the summands are not. The poster's first justification uses the latter. Its
error is the distribution of cos(p_i, r_i), which is kept here in full.

Other fits have other identities.

* Ridge minimises |Z - C M|_F^2 + lambda |M|_F^2. Then

      C^T R = lambda M,   P^T R = lambda M^T M,   |Z|_F^2 - |P|_F^2 - |R|_F^2 = 2 lambda |M|_F^2 >= 0:               (2)

  on average the residual leans towards the projection.
* Least absolute deviations, the poster's L1 term: `analysis.theory.least_absolute`.
* Joint training of M with a direction F minimises |Z - C M - gamma F|_F^2. Then

      P = P_C (Z - gamma F),                                                                                         (3)

  with P_C the orthogonal projector on the columns of C. This is the projection of Z only if P_C F = 0 or gamma = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.theory.arrays import Floats, matrix, number, refuse_extremes, row_cosine, rows_agree

EXACT = 1e-10  # a residual this short, relative to its target, is rounding: it counts as zero


@dataclass(frozen=True)
class ColumnSpace:
    """The column space of conditions C (n, k): its projector, and the solutions of least squares and ridge.

    `ColumnSpace.of(condition)` makes one. Penalties lambda >= 0 belong to the sum, not the mean, over the n rows.

    Attributes
    ----------
    condition : (n, k) array
        C = left diag(singular) right, as given.
    left, singular, right : (n, r), (r,) and (r, k) arrays
        The singular value decomposition of C, cut to its numerical rank r.

    Examples
    --------
    >>> space = ColumnSpace.of(np.ones((4, 1)))
    >>> print(space.solve(np.array([[0.0], [1.0], [2.0], [5.0]])), space.leverage())
    [[2.]] [0.25 0.25 0.25 0.25]
    """

    condition: Floats
    left: Floats
    singular: Floats
    right: Floats

    @staticmethod
    def of(condition: np.ndarray) -> ColumnSpace:
        """Decompose C (n, k). ValueError unless it is a finite matrix with an entry that is not zero."""
        condition = matrix("condition", condition)
        refuse_extremes(condition=condition)
        left, singular, right = np.linalg.svd(condition, full_matrices=False)
        rank = int((singular > singular[0] * max(condition.shape) * np.finfo(np.float64).eps).sum())
        if rank == 0:
            raise ValueError("condition: all zero, at least one entry that is not zero is needed")
        return ColumnSpace(condition, left[:, :rank], singular[:rank], right[:rank])

    def project(self, columns: Floats) -> Floats:
        """P_C X of X (n, d): each column's nearest combination of the columns of C."""
        return self.left @ (self.left.T @ columns)

    def solve(self, target: Floats, ridge: float = 0.0) -> Floats:
        """M (k, d) that minimises |Z - C M|_F^2 + ridge |M|_F^2, of least norm where ridge is 0: M = C^+ Z."""
        return self.right.T @ ((self.singular / self._damped(ridge))[:, None] * (self.left.T @ target))

    def leverage(self, ridge: float = 0.0) -> Floats:
        """h_i in [0, 1], (n,): the diagonal of C (C^T C + ridge I)^+ C^T, the matrix that takes Z to C M."""
        return np.square(self.left) @ (np.square(self.singular) / self._damped(ridge))

    def _damped(self, ridge: float) -> Floats:
        """Squared singular values plus the penalty."""
        return np.square(self.singular) + number("ridge", ridge, low=0.0)


@dataclass(frozen=True)
class Decomposition:
    """Z = P + R, and every number that says how perpendicular the two are.

    Attributes
    ----------
    projection, residual : (n, d) arrays
        P and R = Z - P.
    projection_norm, residual_norm : (n,) arrays
        s_i = |p_i| and rho_i = |r_i|.
    cosine : (n,) array
        cos(p_i, r_i), in [-1, 1]; NaN where p_i or r_i is zero to rounding and has no direction.
    pythagoras : float
        (|Z|_F^2 - |P|_F^2 - |R|_F^2) / |Z|_F^2 = 2 <P, R>_F / |Z|_F^2; zero for least squares.
    projection_residual : float
        |P^T R|_F / (|P|_F |R|_F), in [0, 1]; zero for least squares.
    spectrum : (min(n, d),) array
        Eigenvalues of R^T R / n, descending. They sum to the mean of rho_i^2.
    condition_residual : float, optional
        |C^T R|_F / (|C|_F |R|_F), in [0, 1]; zero for least squares. None where C is not known, as all that follow.
    ridge_gap : float, optional
        |C^T R - lambda M|_F / (|C|_F |Z|_F); zero for ridge. None also where M is not known.
    sign_residual : float, optional
        |C^T sign(R)|_F / (|C|_F sqrt(n d)), in [0, 1]; near zero for least absolute deviations.
    projection_gap : float, optional
        |P - P_C Z|_F / |P_C Z|_F: how far P is from the least-squares projection.
    leverage : (n,) array, optional
        h_i in [0, 1]; they sum to the effective number of parameters.
    direction_captured : float, optional
        |P_C F|_F / |F|_F, in [0, 1]: the part of F that M can absorb in joint training. It is about sqrt(rank(C)/n) for
        an F that knows nothing of C. None where F is not known.
    map : (k, d) array, optional
        M, where it was fitted here.
    ridge : float
        lambda >= 0, in the units of the sum (not the mean) over samples.
    """

    projection: np.ndarray
    residual: np.ndarray
    projection_norm: np.ndarray
    residual_norm: np.ndarray
    cosine: np.ndarray
    pythagoras: float
    projection_residual: float
    spectrum: np.ndarray
    condition_residual: float | None = None
    ridge_gap: float | None = None
    sign_residual: float | None = None
    projection_gap: float | None = None
    leverage: np.ndarray | None = None
    direction_captured: float | None = None
    map: np.ndarray | None = None
    ridge: float = 0.0

    @property
    def effective_dimension(self) -> float:
        """Participation ratio (sum l)^2 / sum l^2 of the spectrum l: 1 for a line, d if it is flat, 0 without residual.

        A finite sample of n isotropic rows in R^d has less than d, about (n d + 2) / (n + d + 1): compare with that.
        """
        total = self.spectrum.sum()
        return float(total**2 / np.square(self.spectrum).sum()) if total > 0 else 0.0

    @property
    def leave_one_out_cosine(self) -> np.ndarray:
        """cos(p_i, r_i), (n,), of the map that `decompose` would fit without sample i.

        The residual of a sample that was left out is exactly r_i / (1 - h_i), by the formula of Sherman and Morrison:
        an in-sample residual is too short. NaN where h_i = 1, as sample i then decides its own prediction.

        Raises
        ------
        ValueError
            The map was not fitted by `decompose`.
        """
        if self.map is None or self.leverage is None:
            raise ValueError("leave_one_out_cosine: the map is not known, a result of decompose is needed")
        room = 1.0 - self.leverage
        scale = np.divide(1.0, room, out=np.full_like(room, np.nan), where=room > 0.0)
        residual = self.residual * scale[:, None]  # r_i / (1 - h_i)
        return row_cosine(self.projection + self.residual - residual, residual)

    def summary(self) -> dict[str, float]:
        """Every number that is known, by name; of cos(p_i, r_i) the mean, the root mean square and quantiles."""
        cosine = self.cosine[np.isfinite(self.cosine)]
        numbers: dict[str, float | None] = {
            "samples": len(self.residual),
            "ridge": self.ridge,
            "projection_norm_mean": self.projection_norm.mean(),
            "residual_norm_mean": self.residual_norm.mean(),
            "pythagoras": self.pythagoras,
            "projection_residual": self.projection_residual,
            "condition_residual": self.condition_residual,
            "ridge_gap": self.ridge_gap,
            "sign_residual": self.sign_residual,
            "projection_gap": self.projection_gap,
            "direction_captured": self.direction_captured,
            "effective_parameters": None if self.leverage is None else self.leverage.sum(),
            "leverage_max": None if self.leverage is None else self.leverage.max(),
            "effective_dimension": self.effective_dimension,
        }
        if cosine.size:
            numbers |= {"cosine_mean": cosine.mean(), "cosine_rms": np.sqrt(np.square(cosine).mean())}
            numbers |= {f"cosine_q{level:02d}": np.quantile(cosine, level / 100) for level in (5, 25, 50, 75, 95)}
        return {name: float(value) for name, value in numbers.items() if value is not None}


def leading(condition: np.ndarray, components: int) -> Floats:
    """C (n, k) in at most so many leading principal directions, (n, r); those that are rounding are left out."""
    _, spread, axes = np.linalg.svd(condition, full_matrices=False)
    return condition @ axes[:components][spread[:components] > 1e-6 * spread[0]].T


def decompose(
    condition: np.ndarray, target: np.ndarray, ridge: float = 0.0, direction: np.ndarray | None = None
) -> Decomposition:
    """Fit a linear map by least squares or ridge, and take the targets apart; no intercept, as on the poster.

    Parameters
    ----------
    condition : (n, k) array
        C, of any rank.
    target : (n, d) array
        Z.
    ridge : float
        Penalty lambda >= 0. With 0, M is the solution of least norm, C^+ Z.
    direction : (n, d) array, optional
        F, of which `direction_captured` is measured.

    Returns
    -------
    Decomposition
        With every attribute known, but `direction_captured` only where F is given.

    Raises
    ------
    ValueError
        Wrong shapes, values that are not finite, a negative penalty, conditions or targets that are all zero.

    Notes
    -----
    M minimises |Z - C M|_F^2 + lambda |M|_F^2. It has the identities (1), or (2), of the module's docstring.

    Examples
    --------
    >>> found = decompose(np.ones((2, 1)), np.array([[3.0, 0.0], [1.0, 0.0]]))
    >>> print(round(found.projection_residual, 6), found.cosine.round(6))  # perpendicular as columns, no sample is
    0.0 [ 1. -1.]
    """
    target = matrix("target", target)
    space = ColumnSpace.of(condition)
    rows_agree(condition=space.condition, target=target)
    ridge = number("ridge", ridge, low=0.0)
    refuse_extremes(target=target)
    linear_map = space.solve(target, ridge)
    against = _against_condition(space.condition @ linear_map, target, space, direction, ridge)
    gap = space.condition.T @ (target - space.condition @ linear_map) - ridge * linear_map
    against["ridge_gap"] = _relative(gap, np.linalg.norm(space.condition) * np.linalg.norm(target))
    return Decomposition(**_alone(space.condition @ linear_map, target), **against, map=linear_map)


def decompose_translation(
    projection: np.ndarray,
    target: np.ndarray,
    condition: np.ndarray | None = None,
    direction: np.ndarray | None = None,
) -> Decomposition:
    """Take the targets apart by a projection that was made elsewhere: by a trained translator, an L1 fit, anything.

    Parameters
    ----------
    projection, target : (n, d) arrays
        P and Z.
    condition : (n, k) array, optional
        C. With it, P is compared with the least-squares projection on the columns of C.
    direction : (n, d) array, optional
        F, of which `direction_captured` is measured; it needs `condition`.

    Returns
    -------
    Decomposition
        Without `map` and `ridge_gap`, and without the attributes for which C or F is not given.

    Raises
    ------
    ValueError
        Wrong shapes, values that are not finite, targets or conditions that are all zero, F without C.

    Examples
    --------
    >>> print(decompose_translation(np.eye(2), np.array([[1.0, 1.0], [0.0, 2.0]])).cosine)
    [0. 1.]
    """
    projection, target = matrix("projection", projection), matrix("target", target)
    if projection.shape != target.shape:
        raise ValueError(f"projection: shape {projection.shape}, the target's {target.shape} is needed")
    known = _alone(projection, target)
    if condition is not None:
        space = ColumnSpace.of(condition)
        rows_agree(condition=space.condition, target=target)
        return Decomposition(**known, **_against_condition(projection, target, space, direction))
    if direction is not None:
        raise ValueError("direction: given without condition, both or neither is needed")
    return Decomposition(**known)


def _alone(projection: np.ndarray, target: np.ndarray) -> dict[str, Any]:
    """The attributes that P and Z alone determine."""
    if not target.any():
        raise ValueError("target: all zero, at least one entry that is not zero is needed")
    refuse_extremes(target=target, projection=projection)
    residual = _residual(projection, target)
    size, rest = np.linalg.norm(projection), np.linalg.norm(residual)
    return {
        "projection": projection,
        "residual": residual,
        "projection_norm": np.linalg.norm(projection, axis=1),
        "residual_norm": np.linalg.norm(residual, axis=1),
        "cosine": row_cosine(projection, residual),
        "pythagoras": float(1.0 - (size**2 + rest**2) / np.square(target).sum()),
        "projection_residual": _relative(projection.T @ residual, size * rest),
        "spectrum": np.square(np.linalg.svd(residual, compute_uv=False)) / len(residual),
    }


def _against_condition(
    projection: np.ndarray,
    target: np.ndarray,
    space: ColumnSpace,
    direction: np.ndarray | None,
    ridge: float = 0.0,
) -> dict[str, Any]:
    """The attributes that C, and F, determine besides."""
    residual = _residual(projection, target)
    size = np.linalg.norm(space.condition)
    squares = space.project(target)
    numbers = {
        "ridge": float(ridge),
        "condition_residual": _relative(space.condition.T @ residual, size * np.linalg.norm(residual)),
        "sign_residual": _relative(space.condition.T @ np.sign(residual), size * np.sqrt(target.size)),
        "projection_gap": _relative(projection - squares, np.linalg.norm(squares)),
        "leverage": space.leverage(ridge),
    }
    if direction is not None:
        direction = matrix("direction", direction)
        rows_agree(direction=direction, target=target)
        numbers["direction_captured"] = _relative(space.project(direction), np.linalg.norm(direction))
    return numbers


def _residual(projection: np.ndarray, target: np.ndarray) -> np.ndarray:
    """R = Z - P, a row zero where it is nothing but rounding."""
    residual = target - projection
    residual[np.linalg.norm(residual, axis=1) <= EXACT * np.linalg.norm(target, axis=1)] = 0.0
    return residual


def _relative(array: np.ndarray, size: np.floating) -> float:
    """|array|_F / size; 0 where the size is 0, since the array is then 0 too."""
    return float(np.linalg.norm(array) / size) if size > 0.0 else 0.0
