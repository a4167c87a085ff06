r"""What a linear map M is fitted to beside a direction F of unit length: zhat = c M + gamma F(c).

z is the target, c the condition, m = E[z|c]. For squared loss, and F any function of c whose values are unit vectors,

    E|z - c M - gamma F|^2 = E|z - m|^2 + E|m - c M - gamma F|^2,                                                    (1)
    min over F of (1)      = E|z - m|^2 + E(|m - c M| - gamma)^2,      at F = (m - c M) / |m - c M|.                 (2)

So M, fitted jointly with the best F, makes the residual m - c M as **long as gamma**. It is not fitted to be near m.
Two things follow.

* Minimisers are not unique. With one constant condition every M at the distance gamma from m has the excess 0.
* The projection, which least squares gives at gamma = 0, makes (2) stationary only if E c^T (m - c M) / |m - c M| = 0.
  That holds where all residuals have one length, and does not in general; and even there it may be no minimum.

If F is held fixed, by another term of the loss, the best M is least squares of what F leaves,

    M = argmin E|m - gamma F - c M|^2.                                                                               (3)

A denoiser that is trained alone and sampled in one step gives F = m / |m|. Then c M is the projection of (1 - gamma /
|m|) m on the linear functions of c. Let gamma > |m|. Where |m| is the same for all c, or m is linear in c, this points
**away** from m, E<c M, m> <= 0: the negative cosine of M by itself is the best response to a direction that is too
long. Elsewhere it need not: c = 1 with m = .9 and m = -.8, equally often, and gamma = 1 give c M = .05, and E m = .05.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from analysis.theory.arrays import (
    Floats,
    matrix,
    number,
    refuse_extremes,
    rows_agree,
    small_is_zero,
    unit_directions,
    unit_rows,
)


def best_direction(means: ArrayLike, projection: ArrayLike) -> Floats:
    """The F of (2), (n, d): the unit vectors of m - c M.

    Parameters
    ----------
    means, projection : (n, d) array_like
        m and c M of each condition.

    Returns
    -------
    (n, d) array
        Unit vectors.

    Raises
    ------
    ValueError
        Shapes that do not agree, a row where m = c M: there every direction is as good.

    Examples
    --------
    >>> print(best_direction([[3.0, 0.0]], [[0.0, 4.0]]))
    [[ 0.6 -0.8]]
    """
    residual = _residual(means, projection)
    still = ~residual.any(axis=1)
    if still.any():
        raise ValueError(f"projection: row {still.argmax()} is the mean itself, a residual is needed")
    return unit_rows(residual)


def joint_excess(means: ArrayLike, projection: ArrayLike, gamma: float) -> float:
    """E(|m - c M| - gamma)^2 of (2): the loss of M with the best F beside it, above what no function of c avoids.

    Parameters
    ----------
    means, projection : (n, d) array_like
        m and c M of each condition.
    gamma : float
        Length of the direction, at least 0.

    Returns
    -------
    float
        The mean over conditions.

    Raises
    ------
    ValueError
        Shapes that do not agree, a negative gamma.

    Examples
    --------
    >>> print(joint_excess([[3.0, 0.0]], [[0.0, 4.0]], 5.0))  # M is far from m, and as good as can be
    0.0
    """
    gamma = number("gamma", gamma, low=0.0, high=1e140)
    residual = _residual(means, projection)
    refuse_extremes(residual=residual)
    return float(np.square(np.linalg.norm(residual, axis=1) - gamma).mean())


@small_is_zero
def best_response(
    conditions: ArrayLike,
    targets: ArrayLike,
    gamma: float,
    directions: ArrayLike | None = None,
    *,
    penalty: float = 0.0,
) -> Floats:
    """The M of (3), (k, d): the best linear map beside a direction that is held fixed.

    Parameters
    ----------
    conditions : (n, k) array_like
        c.
    targets : (n, d) array_like
        Conditional means m, or targets z: by (1) these have the same minimiser in expectation.
    gamma : float
        Length of the direction, at least 0.
    directions : (n, d) array_like, optional
        F(c), unit vectors. None: those of the targets, which are then the means m.
    penalty : float
        Of a ridge, penalty |M|^2 beside the sum over conditions; at least 0. With few samples of z it stands in for the
        expectation in (3).

    Returns
    -------
    (k, d) array
        Of several minimisers the one of the smallest norm.

    Raises
    ------
    ValueError
        Shapes that do not agree, a negative gamma or penalty, a mean without direction.

    Examples
    --------
    >>> print(best_response([[1.0]], [[0.5, 0.0]], gamma=2.0))  # (1 - 2 / .5) m
    [[-1.5  0. ]]
    """
    conditions, targets = matrix("conditions", conditions), matrix("targets", targets)
    gamma, penalty = (number(*one, low=0.0) for one in (("gamma", gamma), ("penalty", penalty)))
    fixed = best_direction(targets, np.zeros_like(targets)) if directions is None else matrix("directions", directions)
    rows_agree(conditions=conditions, targets=targets, directions=fixed)
    if fixed.shape != targets.shape:
        raise ValueError(f"directions: shape {fixed.shape}, {targets.shape}, that of the targets, is needed")
    fixed = unit_directions("directions", fixed)
    left = targets - gamma * fixed
    if penalty == 0.0:
        return np.asarray(np.linalg.lstsq(conditions, left, rcond=None)[0])
    square = conditions.T @ conditions + penalty * np.eye(conditions.shape[1])
    return np.asarray(np.linalg.solve(square, conditions.T @ left))


def _residual(means: ArrayLike, projection: ArrayLike) -> Floats:
    """m - c M, (n, d)."""
    means, projection = matrix("means", means), matrix("projection", projection)
    if means.shape != projection.shape:
        raise ValueError(f"projection: shape {projection.shape}, {means.shape}, that of the means, is needed")
    return means - projection
