"""What the bound says on given pairs, and whether the premises of its derivation hold on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.theory.arrays import ROUNDING, matrix, row_cosine, rows_agree
from analysis.theory.bound import beta, general_probability, probability
from analysis.theory.dominance import Dominance, fewer_than_expected, judge_dominance

UNIT = 1e-3  # how far from 1 the length of a direction may be, for rounding in low precision


@dataclass(frozen=True)
class Parts:
    """N translations zhat = p + gamma f beside their targets, checked, in float64.

    Attributes
    ----------
    projection, direction, target : (N, d)
        p of any length, f and z of length 1.
    gamma : (N,)
        At least 0.
    """

    projection: np.ndarray
    direction: np.ndarray
    gamma: np.ndarray
    target: np.ndarray

    @staticmethod
    def of(projection: np.ndarray, direction: np.ndarray, gamma: ArrayLike, target: np.ndarray) -> Parts:
        """Check and convert; gamma may be one number.

        Raises
        ------
        ValueError
            Shapes that differ, d below 3, values that are not finite, gamma below 0, a direction that is not
            of unit length, a target or translation without direction.
        """
        projection, direction = matrix("projection", projection), matrix("direction", direction)
        target = matrix("target", target)
        rows_agree(projection=projection, direction=direction, target=target)
        if not projection.shape == direction.shape == target.shape or target.shape[1] < 3:
            shapes = f"{projection.shape}, {direction.shape}, {target.shape}"
            raise ValueError(f"projection, direction, target: {shapes}, allowed is one (n, d), d at least 3")
        length = np.linalg.norm(direction, axis=1)
        if np.abs(length - 1.0).max() > UNIT:
            row = int(np.abs(length - 1.0).argmax())
            raise ValueError(f"direction: row {row} has length {length[row]:.4g}, allowed is 1")
        gamma = np.broadcast_to(np.asarray(gamma, dtype=np.float64), len(target))
        if not (np.isfinite(gamma) & (gamma >= 0.0)).all():
            raise ValueError("gamma: negative or not finite, allowed are finite numbers of at least 0")
        size = np.linalg.norm(target, axis=1)
        if not size.all():
            raise ValueError(f"target: row {int(size.argmin())} is zero, allowed are vectors with a direction")
        parts = Parts(projection, direction / length[:, None], gamma, target / size[:, None])
        if not parts.translation.any(axis=1).all():
            raise ValueError("projection + gamma direction: a row is zero, allowed are vectors with a direction")
        return parts

    @property
    def translation(self) -> np.ndarray:
        """zhat = p + gamma f, (N, d)."""
        return self.projection + self.gamma[:, None] * self.direction

    @property
    def cosine(self) -> np.ndarray:
        """cos(z, zhat), (N,)."""
        return row_cosine(self.translation, self.target)

    @property
    def alignment(self) -> np.ndarray:
        """u_i = <r_i / |r_i|, f_i>, (N,), with r = z - p; ValueError where r is zero."""
        residual = self.target - self.projection
        if not residual.any(axis=1).all():
            raise ValueError("projection: a row equals its target, allowed is a residual with a direction")
        return row_cosine(residual, self.direction)


@dataclass(frozen=True)
class Claim:
    """What a model of the direction says of P(cos >= alpha), and whether the translations bear it out.

    Attributes
    ----------
    probability : float
        The model's probability, averaged over the pairs.
    p_value : float
        P(no more pairs reach alpha than were seen), if each does with just the model's probability for it.
    refuted : bool
        p_value <= level: the model's probability is no lower bound here.
    """

    probability: float
    p_value: float
    refuted: bool

    def __str__(self) -> str:
        return f"{self.probability:.4f} ({'REFUTED' if self.refuted else 'NOT REFUTED'}, {_p(self.p_value)})"


@dataclass(frozen=True)
class Premises:
    """The bound at alpha on N pairs, and what its derivation assumes of them.

    Attributes
    ----------
    bound : Claim
        P(U >= beta_i), orthogonal geometry, U uniform in n = d - 1 dimensions. A pair with |p| > |z| = 1,
        which that geometry excludes, counts as 0.
    exact : Claim
        P(cos >= alpha) for a uniform direction on S^(d-1) and p_i, z_i as they are: no geometry is assumed.
    projection_residual, direction_projection : (median, 95% quantile)
        Of |cos(p_i, r_i)| and |cos(f_i, p_i)|, both 0 in the orthogonal geometry.
    perpendicular : bool
        Both are at most 1e-6 on every pair; only then is the orthogonal geometry exact.
    misjudged : float
        Share of pairs where {u_i >= beta_i} and {cos_i >= alpha} differ: what assuming that geometry gets
        wrong.
    dominance : Dominance
        Does the trained alignment dominate the law of U?
    """

    bound: Claim
    exact: Claim
    projection_residual: tuple[float, float]
    direction_projection: tuple[float, float]
    perpendicular: bool
    misjudged: float
    dominance: Dominance

    def lines(self, limit: float) -> list[str]:
        """The bound, its premises and what remains, in words; `limit` is the P(cos >= alpha) guaranteed."""
        dominance, bound, exact = self.dominance, self.bound, self.exact
        verdict = {
            "refuted": f"REFUTED ({_p(dominance.refutation_p)}), worst at u = {dominance.worst:.4f}",
            "supported": f"SUPPORTED at every decile ({_p(dominance.support_p)})",
            "undecided": f"UNDECIDED ({_p(dominance.refutation_p)} against, {_p(dominance.support_p)} for it)",
        }[dominance.verdict]
        if exact.refuted:
            end = "The direction does worse than a random one, and the bound fails. Limit and curve stand."
        elif bound.refuted:
            end = "The orthogonal geometry puts the bound too high here. Limit and curve stand."
        elif dominance.verdict == "refuted":
            end = "Without dominance the bound is no guarantee, even where not refuted. Limit and curve stand."
        elif dominance.verdict == "supported":
            end = "The bound's hypothesis is borne out; its value is the one in the geometry of these pairs."
        else:
            end = "The bound stays a hypothesis here. Limit and curve are guaranteed."
        return [
            "Claimed by the bound, as if the direction were uniformly random:",
            f"  P(cos >= alpha) is at least {bound} in the orthogonal geometry,",
            f"  and {exact} in the geometry of these pairs;"
            f" the limit above is {'higher' if limit > exact.probability else 'lower'}.",
            "Its premises, on these pairs:",
            f"  p, r and f are perpendicular: {'HOLDS' if self.perpendicular else 'DOES NOT HOLD'};"
            f" the median of |cos(p, r)| is {self.projection_residual[0]:.4f},"
            f" of |cos(f, p)| {self.direction_projection[0]:.4f}.",
            f"  Taking them for perpendicular misjudges {self.misjudged:.2%} of the pairs.",
            f"  The alignment dominates a uniform direction's: {verdict}; its mean is {dominance.mean:.4f}.",
            end,
        ]


TESTS = 3
"""Statements that `measure_premises` makes, each at its level: on the bound, on the exact claim, on
dominance.
"""


def measure_premises(parts: Parts, alpha: float, level: float) -> Premises:
    """Evaluate the bound and test its premises on independent pairs, each of the `TESTS` tests at `level`."""
    d = parts.target.shape[1]
    s = np.linalg.norm(parts.projection, axis=1)
    possible = s <= 1.0 + ROUNDING
    geometry = np.minimum(s, 1.0), parts.gamma
    bound = np.where(possible, probability(alpha, *geometry, d, "complement"), 0.0)

    along = np.einsum("nd,nd->n", parts.projection, parts.target)
    across = np.linalg.norm(parts.projection - along[:, None] * parts.target, axis=1)
    exact = general_probability(alpha, along, across, parts.gamma, d).probability

    reached = parts.cosine >= alpha
    judged = possible & (parts.alignment >= beta(alpha, *geometry))
    # a zero projection is perpendicular to everything
    with_residual = np.nan_to_num(np.abs(row_cosine(parts.projection, parts.target - parts.projection)))
    with_direction = np.nan_to_num(np.abs(row_cosine(parts.projection, parts.direction)))
    return Premises(
        bound=_claim(bound, reached, level),
        exact=_claim(exact, reached, level),
        projection_residual=_typical(with_residual),
        direction_projection=_typical(with_direction),
        perpendicular=bool(max(with_residual.max(), with_direction.max()) <= ROUNDING),
        misjudged=float((judged != reached).mean()),
        dominance=judge_dominance(parts.alignment, d - 1, level),
    )


def _claim(probabilities: np.ndarray, reached: np.ndarray, level: float) -> Claim:
    p_value = fewer_than_expected(int(reached.sum()), probabilities)
    return Claim(float(probabilities.mean()), p_value, p_value <= level)


def _typical(values: np.ndarray) -> tuple[float, float]:
    """Median and 95% quantile."""
    return float(np.median(values)), float(np.quantile(values, 0.95))


def _p(value: float) -> str:
    return f"p = {value:.2g}" if value >= 1e-99 else "p < 1e-99"
