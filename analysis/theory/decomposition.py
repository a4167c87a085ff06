r"""Projection and residual of a data set: what is perpendicular to what, as numbers.

Targets Z (n, d), conditions C (n, k), a linear map M (k, d), its projection P = C M, the residual R = Z - P.
Least squares makes R perpendicular to every column of C in **sample space** R^n, one column at a time:

    C^T R = 0 (k x d entries),   P^T R = M^T C^T R = 0 (d x d),   |Z|_F^2 = |P|_F^2 + |R|_F^2.

None of this makes the two vectors of **one** sample perpendicular in embedding space: trace(P^T R), the sum
of <p_i, r_i> over the samples, is zero, the summands are not. The poster's first justification uses the
latter, so its error is the distribution of cos(p_i, r_i), kept here in full. Other fits, other identities:

* ridge, |Z - C M|_F^2 + lambda |M|_F^2:  C^T R = lambda M, hence P^T R = lambda M^T M and
  |Z|_F^2 - |P|_F^2 - |R|_F^2 = 2 lambda |M|_F^2 >= 0: on average the residual leans towards the projection;
* least absolute deviations (the poster's L1 term): `analysis.theory.least_absolute`;
* joint training of M with a direction F, |Z - C M - gamma F|_F^2:  P = P_C (Z - gamma F) with P_C the
  orthogonal projector on the columns of C, which is the projection of Z only if P_C F = 0 (or gamma = 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.theory.arrays import matrix, row_cosine, rows_agree
from analysis.theory.column_space import ColumnSpace

EXACT = 1e-10  # a residual this short, relative to its target, is rounding: it counts as zero


@dataclass(frozen=True)
class Decomposition:
    """Z = P + R, and every number that says how perpendicular the two are.

    Attributes
    ----------
    projection, residual : (n, d)
        P and R = Z - P.
    projection_norm, residual_norm : (n,)
        s_i = |p_i| and rho_i = |r_i|.
    cosine : (n,)
        cos(p_i, r_i), in [-1, 1]; NaN where p_i or r_i is zero to rounding and has no direction.
    pythagoras : float
        (|Z|_F^2 - |P|_F^2 - |R|_F^2) / |Z|_F^2 = 2 <P, R>_F / |Z|_F^2; zero for least squares.
    projection_residual : float
        |P^T R|_F / (|P|_F |R|_F), in [0, 1]; zero for least squares.
    spectrum : (min(n, d),)
        Eigenvalues of R^T R / n, descending; they sum to the mean of rho_i^2.
    condition_residual : float or None
        |C^T R|_F / (|C|_F |R|_F), in [0, 1]; zero for least squares. None without C, as all below.
    ridge_gap : float or None
        |C^T R - lambda M|_F / (|C|_F |Z|_F); zero for the ridge solution. None also where M is not known.
    sign_residual : float or None
        |C^T sign(R)|_F / (|C|_F sqrt(n d)), in [0, 1]; near zero for least absolute deviations.
    projection_gap : float or None
        |P - P_C Z|_F / |P_C Z|_F: how far P is from the least-squares projection.
    leverage : (n,) or None
        h_i in [0, 1], the diagonal of C (C^T C + lambda I)^+ C^T; it sums to the effective parameters.
    direction_captured : float or None
        |P_C F|_F / |F|_F, in [0, 1]: the part of F that M can absorb in joint training; about sqrt(rank(C)/n)
        for an F that knows nothing of C. None without F.
    map : (k, d) or None
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
        """Participation ratio of the spectrum, (sum l)^2 / sum l^2, from 1 (a line) to d (isotropic).

        Not d for n isotropic rows in R^d, but about (n d + 2) / (n + d + 1): compare with that. Zero where there
        is no residual.
        """
        total = self.spectrum.sum()
        return float(total**2 / np.square(self.spectrum).sum()) if total > 0 else 0.0

    @property
    def leave_one_out_cosine(self) -> np.ndarray:
        """cos(p_i, r_i), shape (n,), of the map that `decompose` would fit without sample i.

        The held-out residual is r_i / (1 - h_i) exactly (Sherman and Morrison): an in-sample residual is too
        short. NaN where h_i = 1, since sample i then decides its own prediction.

        Raises
        ------
        ValueError
            If the map was not fitted by `decompose`.
        """
        if self.map is None or self.leverage is None:
            raise ValueError("leave_one_out_cosine: the map is not known, allowed is the result of decompose")
        room = 1.0 - self.leverage
        scale = np.divide(1.0, room, out=np.full_like(room, np.nan), where=room > EXACT)
        residual = self.residual * scale[:, None]
        return row_cosine(self.projection + self.residual - residual, residual)

    def summary(self) -> dict[str, float]:
        """Every finite number of this decomposition as a flat dict of floats."""
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


def decompose(
    condition: np.ndarray, target: np.ndarray, ridge: float = 0.0, direction: np.ndarray | None = None
) -> Decomposition:
    """Fit M = argmin |Z - C M|_F^2 + ridge |M|_F^2 and take Z apart; no intercept, as in the poster.

    Parameters
    ----------
    condition : C, (n, k); any rank. With ridge 0, M is the solution of least norm, C^+ Z.
    target : Z, (n, d).
    ridge : lambda >= 0.
    direction : F, (n, d), optional.

    Raises
    ------
    ValueError
        Wrong shapes, values that are not finite, a negative penalty, conditions or targets that are all zero.
    """
    target = matrix("target", target)
    space = ColumnSpace.of(condition)
    rows_agree(condition=space.condition, target=target)
    linear_map = space.solve(target, ridge)
    against = _against_condition(space.condition @ linear_map, target, space, direction, ridge)
    gap = space.condition.T @ (target - space.condition @ linear_map) - ridge * linear_map
    against["ridge_gap"] = _relative(gap, np.linalg.norm(space.condition) * np.linalg.norm(target))
    return Decomposition(**_parts(space.condition @ linear_map, target), **against, map=linear_map)


def decompose_translation(
    projection: np.ndarray,
    target: np.ndarray,
    condition: np.ndarray | None = None,
    direction: np.ndarray | None = None,
) -> Decomposition:
    """Take Z apart by a projection P made elsewhere: a trained translator's c M, an L1 fit, any array.

    Parameters
    ----------
    projection, target : P and Z, (n, d). condition : C, (n, k), optional; adds what compares P with the
    least-squares projection on the columns of C. direction : F, (n, d), optional; needs `condition`.

    Raises
    ------
    ValueError
        Wrong shapes, values that are not finite, targets or conditions that are all zero, F without C.
    """
    projection, target = matrix("projection", projection), matrix("target", target)
    if projection.shape != target.shape:
        raise ValueError(f"projection: shape {projection.shape}, allowed is the target's {target.shape}")
    parts = _parts(projection, target)
    if condition is not None:
        space = ColumnSpace.of(condition)
        rows_agree(condition=space.condition, target=target)
        return Decomposition(**parts, **_against_condition(projection, target, space, direction))
    if direction is not None:
        raise ValueError("direction: given without condition, allowed is both or neither")
    return Decomposition(**parts)


def _parts(projection: np.ndarray, target: np.ndarray) -> dict[str, Any]:
    """What P and Z alone tell."""
    if not target.any():
        raise ValueError("target: all zero, allowed is at least one entry that is not")
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
    """What C and F add."""
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
    """R = Z - P, its rows zero where they are nothing but rounding."""
    residual = target - projection
    residual[np.linalg.norm(residual, axis=1) <= EXACT * np.linalg.norm(target, axis=1)] = 0.0
    return residual


def _relative(array: np.ndarray, size: np.floating) -> float:
    """|array|_F / size; 0 where the size is 0, since the array is then 0 too."""
    return float(np.linalg.norm(array) / size) if size > 0.0 else 0.0
