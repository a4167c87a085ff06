r"""Does a trained direction align at least as well as a random one? Exact tests on independent pairs.

The alignment u_i = <r_i/|r_i|, f_i> of a trained F is said to dominate the law of U = <e, f>, f uniform
(`analysis.theory.sphere`), if P(u >= b) >= P(U >= b) for **every** b. Each answer has its own exact test:

* refuted: the one-sided Kolmogorov-Smirnov statistic D = sup_b (F_n(b) - P(U <= b)) is too large. Under
  dominance D is stochastically no larger than for u distributed as U, so its exact null law gives a valid
  p-value, for all b at once;
* supported, on a preset grid of thresholds: every exact binomial test of P(u >= b_j) > P(U >= b_j) rejects.
  Since all must, the largest p-value is valid as it stands (intersection-union test). A grid is needed: at b
  near -1 and 1 both probabilities agree, and no data can tell dominance from its contrary;
* undecided otherwise.

If dominance is true only the first test can err, if it fails on the grid only the second: the verdict is
wrong with probability at most `level`, with no further correction.

The bound needs more than this marginal statement: the alignment has to dominate **given** the geometry of the
pair, or pairs with a demanding beta_i may get the poor alignments. `fewer_than_expected` tests what counts in
the end: the number of pairs that reach alpha, against its law under independent random directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.theory.arrays import cosines, fraction, vector
from analysis.theory.sphere import AlignmentLaw

GRID = tuple(level / 10 for level in range(1, 10))
"""Probabilities P(U <= b_j) of the preset thresholds: the deciles of the uniform law."""


@dataclass(frozen=True)
class Dominance:
    """Verdict on "the trained alignment dominates the law of a uniform direction in R^n".

    Attributes
    ----------
    verdict : "refuted", "supported" (on the grid) or "undecided"
    level : float
        Probability of a wrong verdict, at most.
    n : float
        Dimension of the uniform law.
    pairs : int
        Number of alignments.
    mean : float
        Mean alignment; a uniform direction has 0 with standard deviation 1 / sqrt(n).
    shortfall : float
        D = sup_b (F_n(b) - P(U <= b)), in [0, 1], and `worst`, the alignment b where it is attained.
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


def judge_dominance(alignment: np.ndarray, n: float, level: float = 0.05) -> Dominance:
    """Test whether alignments dominate the law of a uniform direction in R^n.

    Parameters
    ----------
    alignment : u_i in [-1, 1], shape (N,), independent.
    n : dimension of the law, above 1: its distribution function must be continuous.
    level : probability of a wrong verdict allowed, in (0, 1).

    Raises
    ------
    ValueError
        An argument out of range.
    """
    alignment = cosines("alignment", alignment)
    if not n > 1.0:
        raise ValueError(f"n: {n}, allowed is a number above 1")
    law, pairs = AlignmentLaw(n), len(alignment)
    excess = np.arange(1, pairs + 1) / pairs - law.cdf(alignment)
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


def fewer_than_expected(successes: int, probabilities: np.ndarray) -> float:
    """P(S <= successes) for S the number of successes of independent trials: a Poisson binomial tail.

    It is the p-value of "trial i succeeds with probability at least `probabilities[i]`", valid whatever they
    are, since S is then stochastically no smaller. The law is built by multiplying the trials' generating
    functions pairwise; every term is positive, so nothing cancels.

    Parameters
    ----------
    successes : from 0 to N.
    probabilities : (N,), in [0, 1].
    """
    probabilities = vector("probabilities", probabilities)
    if probabilities.min() < 0.0 or probabilities.max() > 1.0:
        raise ValueError(f"probabilities: {probabilities.min()} to {probabilities.max()}, allowed is 0 to 1")
    if not 0 <= successes <= len(probabilities):
        raise ValueError(f"successes: {successes}, allowed is 0 to {len(probabilities)}")
    factors = [np.array([1.0 - p, p]) for p in probabilities]
    while len(factors) > 1:
        products = [np.convolve(a, b) for a, b in zip(factors[::2], factors[1::2], strict=False)]
        factors = products + factors[2 * len(products) :]
    return float(min(1.0, factors[0][: successes + 1].sum()))
