r"""Does a trained direction align at least as well as a random one? Exact tests on independent pairs.

The alignment of pair i is u_i = <r_i/|r_i|, f_i>, with the residual r_i and the direction f_i. It is said to dominate
the law of a uniformly random direction's alignment U (`analysis.theory.sphere`) if

    P(u >= b) >= P(U >= b)   for **every** b.                                                                        (1)

Each answer has its own exact test.

* Refuted: the one-sided Kolmogorov-Smirnov statistic

      D = sup_b (F_N(b) - P(U <= b)),   F_N the empirical distribution function of u,                                (2)

  is too large. Under (1) D is stochastically no larger than for u distributed as U, so that its exact null law gives a
  p-value that is valid for all b at once.
* Supported, on a preset grid of thresholds b_j: every exact binomial test of P(u >= b_j) > P(U >= b_j) rejects. As all
  must, the largest p-value is valid as it stands (an intersection-union test). A grid is needed: at b near -1 and 1 the
  two probabilities agree, and no data can tell dominance from its contrary.
* Undecided otherwise.

If (1) is true, only the first test can err; if it fails on the grid, only the second. The verdict is therefore wrong
with probability `level` at most, with no further correction.

The bound needs more than this marginal statement. The alignment has to dominate **given** the geometry of the pair,
or pairs with a demanding beta_i may get the poor alignments. `analysis.theory.poisson_binomial` has the test
of what counts in the end: the number of pairs that reach alpha, against its law under independent random directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.theory.arrays import cosines, fraction
from analysis.theory.sphere import AlignmentLaw

GRID = tuple(level / 10 for level in range(1, 10))
"""Probabilities P(U <= b_j) of the preset thresholds: the deciles of the uniform direction's law."""


@dataclass(frozen=True)
class Dominance:
    """The verdict on "the trained alignment dominates the one of a uniform direction in R^n".

    Attributes
    ----------
    verdict : str
        "refuted", "supported" (on the grid) or "undecided".
    level : float
        Largest probability of a wrong verdict.
    n : float
        Dimension of the uniform direction's law.
    pairs : int
        Number of alignments.
    mean : float
        Mean alignment. That of a uniform direction has the mean 0 and the standard deviation 1 / sqrt(n).
    shortfall : float
        D of (2), in [0, 1].
    worst : float
        The alignment b at which D is attained.
    refutation_p, support_p : float
        The two p-values.
    """

    verdict: str
    level: float
    n: float
    pairs: int
    mean: float
    shortfall: float
    worst: float
    refutation_p: float
    support_p: float


def judge_dominance(alignment: ArrayLike, n: float, level: float = 0.05) -> Dominance:
    """Test whether alignments dominate those of a uniform direction in R^n.

    Parameters
    ----------
    alignment : (N,) array_like
        u_i in [-1, 1], independent.
    n : float
        Dimension of the law, above 1, as its distribution function has to be continuous.
    level : float
        Allowed probability of a wrong verdict, in (0, 1).

    Returns
    -------
    Dominance
        The verdict, with both p-values.

    Raises
    ------
    ValueError
        An argument outside its range.

    Examples
    --------
    >>> u = AlignmentLaw(15).rvs(400, np.random.default_rng(0))
    >>> print(*(judge_dominance(np.clip(u + shift, -1, 1), 15).verdict for shift in (-0.2, 0.0, 0.2)))
    refuted undecided supported
    """
    alignment = cosines("alignment", alignment)
    if not n > 1.0:
        raise ValueError(f"n: {n}, a number above 1 is needed")
    law, pairs = AlignmentLaw(n), len(alignment)
    excess = np.arange(1, pairs + 1) / pairs - law.cdf(alignment)  # (2)
    worst = int(excess.argmax())
    shortfall = max(float(excess[worst]), 0.0)
    refutation_p = float(stats.ksone.sf(shortfall, pairs)) if shortfall > 0.0 else 1.0
    reached = pairs - np.searchsorted(alignment, law.ppf(np.asarray(GRID)), side="left")
    support_p = float(stats.binom.sf(reached - 1, pairs, 1.0 - np.asarray(GRID)).max())
    verdict = "undecided"
    if support_p <= fraction("level", level):
        verdict = "supported"
    if refutation_p <= level:
        verdict = "refuted"
    return Dominance(
        verdict=verdict,
        level=level,
        n=float(n),
        pairs=pairs,
        mean=float(alignment.mean()),
        shortfall=shortfall,
        worst=float(alignment[worst]),
        refutation_p=refutation_p,
        support_p=support_p,
    )
