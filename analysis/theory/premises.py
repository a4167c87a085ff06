"""What the bound says on given pairs, and whether the premises of its derivation hold on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.theory.arrays import (
    ROUNDING,
    Floats,
    directions,
    fraction,
    matrix,
    number,
    row_cosine,
    rows_agree,
    unit_directions,
    weights,
)
from analysis.theory.bound import beta, general_probability, probability
from analysis.theory.dominance import Dominance, beaten, judge_dominance
from analysis.theory.poisson_binomial import fewer_than_expected
from analysis.theory.words import given


@dataclass(frozen=True)
class TranslatedPairs:
    """N translations zhat = p + gamma f beside their targets z, checked, in float64. `of` makes them.

    Attributes
    ----------
    projection, direction, target : (N, d) arrays
        p of any length, f and z of length 1.
    gamma : (N,) array
        At least 0.
    """

    projection: Floats
    direction: Floats
    gamma: Floats
    target: Floats

    @staticmethod
    def of(projection: np.ndarray, direction: np.ndarray, gamma: ArrayLike, target: np.ndarray) -> TranslatedPairs:
        """Check and convert the parts of translations.

        Parameters
        ----------
        projection, direction, target : (N, d) arrays
            p of any length, f of unit length, z of any length; d is at least 3.
        gamma : array_like
            One number, or (N,); at least 0.

        Raises
        ------
        ValueError
            Shapes that differ, d below 3, values that are not finite, a gamma below 0, a direction that is not of unit
            length, a target or a translation without direction.
        """
        projection, direction = matrix("projection", projection), matrix("direction", direction)
        target = matrix("target", target)
        rows_agree(projection=projection, direction=direction, target=target)
        if not projection.shape == direction.shape == target.shape or target.shape[1] < 3:
            shapes = f"{projection.shape}, {direction.shape}, {target.shape}"
            raise ValueError(f"projection, direction, target: {shapes}, one (n, d) with d at least 3 is needed")
        direction = unit_directions("direction", direction)
        gamma, target = weights("gamma", gamma, len(target)), directions("target", target)
        pairs = TranslatedPairs(projection, direction, gamma, target)
        if not pairs.translation.any(axis=1).all():
            raise ValueError("projection + gamma direction: a row is zero, vectors with a direction are needed")
        return pairs

    def take(self, rows: np.ndarray) -> TranslatedPairs:
        """Some of the pairs."""
        return TranslatedPairs(self.projection[rows], self.direction[rows], self.gamma[rows], self.target[rows])

    @property
    def translation(self) -> Floats:
        """zhat = p + gamma f, (N, d)."""
        return self.projection + self.gamma[:, None] * self.direction

    @property
    def cosine(self) -> Floats:
        """cos(z, zhat), (N,)."""
        return row_cosine(self.translation, self.target)

    @property
    def frame(self) -> tuple[Floats, Floats]:
        """a and b (N,) of p = a z + b e, with a unit vector e perpendicular to z."""
        along = np.einsum("nd,nd->n", self.projection, self.target)
        return along, np.linalg.norm(self.projection - along[:, None] * self.target, axis=1)

    @property
    def moved(self) -> np.ndarray:
        """Whether the direction moves the cosine by more than rounding does, bool (N,).

        To first order it moves it by gamma b / |p|^2 at most. Where p is parallel to z, by gamma^2 / (2 |p|^2).
        """
        across = np.maximum(self.frame[1], self.gamma)
        return self.gamma * across > ROUNDING * np.square(self.projection).sum(axis=1)

    @property
    def beaten(self) -> Floats:
        """V of `analysis.theory.dominance`, of the pairs that are `moved`; ValueError where none is."""
        moved = self.moved
        if not moved.any():
            raise ValueError("gamma: 0 on every pair, a direction that moves some of them is needed")
        along, across = self.frame
        return beaten(self.cosine[moved], along[moved], across[moved], self.gamma[moved], self.target.shape[1])

    @property
    def alignment(self) -> Floats:
        """u_i = <r_i / |r_i|, f_i>, (N,), with the residual r = z - p; ValueError where r is zero."""
        residual = self.target - self.projection
        if not residual.any(axis=1).all():
            raise ValueError("projection: a row equals its target, a residual with a direction is needed")
        return row_cosine(residual, self.direction)


@dataclass(frozen=True)
class Claim:
    """What a model of the direction says of P(cos >= alpha), and whether the translations bear it out.

    Attributes
    ----------
    probability : float
        The model's probability, averaged over the pairs.
    p_value : float
        Probability that no more pairs reach alpha than were seen, where each does with just the model's probability.
    refuted : bool
        Whether p_value <= level: then the model's probability is no lower bound here.
    """

    probability: float
    p_value: float
    refuted: bool

    def __str__(self) -> str:
        verdict = "REFUTED" if self.refuted else "NOT REFUTED"
        return f"{self.probability:.2%} would. That F reaches as many is {verdict} ({_p(self.p_value)})."


TESTS = 3
"""How many tests `measure_premises` makes: of the bound, of the exact claim, of dominance."""


@dataclass(frozen=True)
class Premises:
    """The bound at alpha on N pairs, and what its derivation assumes of them.

    Attributes
    ----------
    alpha : float
        The cosine to be reached.
    pairs : int
        N, independent of each other.
    observed : float
        Share of them that reach alpha.
    bound : Claim
        P(U >= beta_i) of the orthogonal geometry, U the alignment of a uniform direction in n = d - 1 dimensions. A
        pair with |p| > |z| = 1, which that geometry excludes, counts as 0.
    exact : Claim
        P(cos >= alpha) for a direction that is uniform on the unit sphere of R^d, with p_i and z_i as they are: no
        geometry is assumed.
    projection_residual, direction_projection : tuple of float
        Median and 95% quantile of |cos(p_i, r_i)| and of |cos(f_i, p_i)|, both 0 in the orthogonal geometry.
    perpendicular : bool
        Whether both are at most 1e-6 on every pair; only then is the orthogonal geometry exact.
    misjudged : float
        Share of the pairs for which one of {u_i >= beta_i} and {cos_i >= alpha} is true and the other not. So many does
        the assumption of that geometry get wrong.
    dominance : Dominance
        Whether the trained direction dominates a random one, on the pairs that it moves.
    """

    alpha: float
    pairs: int
    observed: float
    bound: Claim
    exact: Claim
    projection_residual: tuple[float, float]
    direction_projection: tuple[float, float]
    perpendicular: bool
    misjudged: float
    dominance: Dominance

    def lines(self) -> list[str]:
        """The bound, its premises and what remains of it, in words."""
        dominance, bound, exact = self.dominance, self.bound, self.exact
        verdict = {
            "refuted": f"REFUTED ({_p(dominance.refutation_p)})",
            "supported": f"SUPPORTED at the nine deciles that are tested ({_p(dominance.support_p)})",
            "undecided": f"UNDECIDED ({_p(dominance.refutation_p)} against it, {_p(dominance.support_p)} for it)",
        }[dominance.verdict]
        if exact.refuted and bound.refuted:
            end = "The bound fails: F does worse than a random direction would."
        elif exact.refuted:
            end = "The bound is no guarantee: F does worse than a random direction would."
        elif bound.refuted and self.perpendicular:
            end = "The bound fails: F does worse than a random direction that is perpendicular to p."
        elif bound.refuted:
            end = "The bound is too high here. It takes p, r and F for perpendicular, which they are not."
        elif dominance.verdict == "refuted":
            end = "The bound is no guarantee: at some cosines F does worse than a random direction."
        elif dominance.verdict == "supported":
            end = "What the bound assumes of F is borne out. Use its value for the angles that the pairs have."
        else:
            end = "These pairs neither refute nor confirm what the bound assumes of F."
        which = "" if dominance.pairs == self.pairs else f" On the {dominance.pairs:,} pairs whose cosine F moves:"
        return [
            "Does the poster's bound hold?",
            "  A translation is a linear part p and a direction F. The target less p is r.",
            f"  Tested on {self.pairs:,} pairs, one a group. Of these {self.observed:.2%} reach {given(self.alpha)}.",
            f"  If F were random, and p, r and F perpendicular, {bound}",
            f"  If F were random, with the angles that these pairs have, {exact}",
            f"  Are they perpendicular? {'YES' if self.perpendicular else 'NO'}."
            f" The median of |cos(p, r)| is {self.projection_residual[0]:.4f},"
            f" that of |cos(F, p)| {self.direction_projection[0]:.4f}."
            f" To take them so misjudges {self.misjudged:.2%} of the pairs.",
            f"  Does F do at least as well as a random direction, whatever the cosine?{which} {verdict}.",
            f"  On average F beats {dominance.mean:.2%} of the random directions. A random one beats half of them.",
            f"  {end}",
        ]


def measure_premises(pairs: TranslatedPairs, alpha: float, confidence: float) -> Premises:
    """Evaluate the bound on independent pairs, and test it and its premises.

    Parameters
    ----------
    pairs : TranslatedPairs
        Independent of each other and of the translator's training; gamma is above 0 on some.
    alpha : float
        Cosine to be reached, in [-1, 1].
    confidence : float
        Probability with which no verdict is wrong, in (0, 1). Each of the `TESTS` tests is at the level
        (1 - confidence) / TESTS.

    Returns
    -------
    Premises
        What was found.

    Raises
    ------
    ValueError
        alpha or confidence outside its range, a projection that equals its target, no gamma above 0.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z, f = rng.standard_normal((2, 500, 8))
    >>> f /= np.linalg.norm(f, axis=1, keepdims=True)  # random, and not perpendicular to p
    >>> found = measure_premises(TranslatedPairs.of(0.2 * z, f, 0.5, z), alpha=0.5, confidence=0.97)
    >>> print(found.perpendicular, found.exact.refuted, found.dominance.verdict)
    False False undecided
    """
    level = (1.0 - fraction("confidence", confidence)) / TESTS  # Bonferroni
    alpha = number("alpha", alpha, low=-1.0, high=1.0)
    d = pairs.target.shape[1]
    s = np.linalg.norm(pairs.projection, axis=1)
    possible = s <= 1.0 + ROUNDING
    geometry = np.minimum(s, 1.0), pairs.gamma
    reached, still = pairs.cosine >= alpha, ~pairs.moved
    # where no direction moves the cosine a random one reaches what F does; computed again, a tie could go otherwise
    exact = np.where(still, reached, general_probability(alpha, *pairs.frame, pairs.gamma, d).probability)
    bound = np.where(possible, probability(alpha, *geometry, d, "complement"), 0.0)
    bound = np.where(still & (np.abs(s - alpha) <= ROUNDING), reached, bound)
    judged = possible & (pairs.alignment >= beta(alpha, *geometry))
    # a zero projection is perpendicular to everything
    with_residual = np.nan_to_num(np.abs(row_cosine(pairs.projection, pairs.target - pairs.projection)))
    with_direction = np.nan_to_num(np.abs(row_cosine(pairs.projection, pairs.direction)))
    return Premises(
        alpha=alpha,
        pairs=len(reached),
        observed=float(reached.mean()),
        bound=_claim(bound, reached, level),
        exact=_claim(exact, reached, level),
        projection_residual=_typical(with_residual),
        direction_projection=_typical(with_direction),
        perpendicular=bool(max(with_residual.max(), with_direction.max()) <= ROUNDING),
        misjudged=float((judged != reached).mean()),
        dominance=judge_dominance(pairs.beaten, level),
    )


def _claim(probabilities: Floats, reached: np.ndarray, level: float) -> Claim:
    """The claim that pair i reaches alpha with probability probabilities[i] at least, tested at `level`."""
    p_value = fewer_than_expected(int(reached.sum()), probabilities)
    return Claim(float(probabilities.mean()), p_value, p_value <= level)


def _typical(values: Floats) -> tuple[float, float]:
    """Median and 95% quantile."""
    return float(np.median(values)), float(np.quantile(values, 0.95))


def _p(value: float) -> str:
    """A p-value in words."""
    return f"p-value {value:.2g}" if value >= 1e-99 else "p-value < 1e-99"
