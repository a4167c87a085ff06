r"""Does a trained direction do at least as well as a random one? Exact tests on independent pairs.

Pair i has the unit target z_i, the projection p_i = a_i z_i + b_i e_i with e_i a unit vector perpendicular to z_i, the
weight gamma_i and the trained direction f_i. The cosine reached is k_i = cos(z_i, p_i + gamma_i f_i). Let

    V_i = P(cos(z_i, p_i + gamma_i w) < k_i),   w uniform on the unit sphere of R^d,                                 (1)

the share of the random directions that the trained one beats, in the pair's own geometry (a_i, b_i, gamma_i). It is the
probability integral transform of k_i: were f_i uniform too, V_i would be uniform on (0, 1). Nothing is assumed to be
perpendicular. The direction is said to **dominate** a random one if

    P(V >= v) >= 1 - v   for **every** v,                                                                            (2)

which follows where, given its geometry, each direction reaches every alpha at least as often as a random one.

Each answer has its own exact test.

* Refuted: the one-sided Kolmogorov-Smirnov statistic

      D = max_i (i / N - V_(i)),   V_(1) <= ... <= V_(N),                                                            (3)

  is too large. Under (2) there are uniform variables that V_1, ..., V_N are nowhere below, so that D is stochastically
  no larger than for them. Its exact null law then gives a p-value that is valid for all v, and so for all alpha, at
  once.
* Supported, at the deciles: every exact binomial test of P(V >= v_j) > 1 - v_j rejects. As all must, the largest
  p-value is valid as it stands (an intersection-union test). A grid is needed: at v near 0 and 1 the two sides of (2)
  agree, and no data can tell dominance from its contrary.
* Undecided otherwise.

If (2) is true, only the first test can err; if it fails at a decile, only the second. The verdict is therefore wrong
with probability `level` at most, with no further correction.

(2) is a statement about all pairs together. Pairs with a demanding geometry may still get the poor directions.
`analysis.theory.poisson_binomial` tests what counts in the end: the number of pairs that reach alpha, against its law
under independent random directions.

The alignment <r/|r|, f> with the residual r = z - p does not answer the question. Where p leans on r, a direction along
-p aligns well with r and lowers the cosine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.theory.arrays import Floats, broadcasting, fraction, in_range, small_is_zero, vector
from analysis.theory.bound import general_probability

GRID = tuple(level / 10 for level in range(1, 10))
"""The values v_j at which dominance is supported: the deciles."""


@dataclass(frozen=True)
class Dominance:
    """The verdict on "the trained direction dominates a random one".

    Attributes
    ----------
    verdict : str
        "refuted", "supported" (at the deciles) or "undecided".
    level : float
        Largest probability of a wrong verdict.
    pairs : int
        Number of independent pairs.
    mean : float
        Mean share of the random directions that the trained one beats; 1/2 for one that is random itself.
    shortfall : float
        D of (3), in [0, 1].
    worst : float
        The V at which D is attained.
    refutation_p, support_p : float
        The two p-values.
    """

    verdict: str
    level: float
    pairs: int
    mean: float
    shortfall: float
    worst: float
    refutation_p: float
    support_p: float


@broadcasting
@small_is_zero
def beaten(cosine: ArrayLike, a: ArrayLike, b: ArrayLike, gamma: ArrayLike, d: int) -> Floats:
    """The share of the random directions that the trained one of each pair beats, V of (1).

    Parameters
    ----------
    cosine : array_like
        k, the cosine reached, in [-1, 1].
    a, b : array_like
        The projection in the frame of the unit target: a = <z, p>, b = |p - a z|.
    gamma : array_like
        Weight of the direction, above 0: at 0 all directions reach the same.
    d : int
        Dimension of the target space, at least 2.

    Returns
    -------
    Floats
        In [0, 1], of the shape to which the arguments broadcast.

    Raises
    ------
    ValueError
        An argument outside its range, or NaN.

    References
    ----------
    M. Rosenblatt, Remarks on a multivariate transformation, Annals of Mathematical Statistics 23 (1952).

    Examples
    --------
    >>> print(beaten([-0.2, 0.0, 0.7], a=0.0, b=0.0, gamma=1.0, d=3))  # a coordinate of the sphere in R^3 is uniform
    [0.4  0.5  0.85]
    """
    cosine, smallest = in_range("cosine", cosine, low=-1.0, high=1.0), np.nextafter(0.0, 1.0)
    reach = general_probability(cosine, a, b, in_range("gamma", gamma, low=smallest), d)
    return 1.0 - reach.probability  # no direction but of probability 0 reaches k itself, as gamma is above 0


def judge_dominance(beaten: ArrayLike, level: float = 0.05) -> Dominance:
    """Test whether directions dominate random ones.

    Parameters
    ----------
    beaten : (N,) array_like
        V_i in [0, 1], independent.
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

    References
    ----------
    .. [1] Z. W. Birnbaum and F. H. Tingey, One-sided confidence contours for probability distribution functions,
       Annals of Mathematical Statistics 22 (1951): the law of D.
    .. [2] R. L. Berger, Multiparameter hypothesis testing and acceptance sampling, Technometrics 24 (1982): the
       intersection-union test.

    Examples
    --------
    >>> v = np.random.default_rng(0).random(400)
    >>> print(*(judge_dominance(v**power).verdict for power in (1.5, 1.0, 0.5)))
    refuted undecided supported
    """
    level = fraction("level", level)
    v = np.sort(in_range("beaten", vector("beaten", beaten), low=0.0, high=1.0))
    pairs, grid = len(v), np.asarray(GRID)
    excess = np.arange(1, pairs + 1) / pairs - v  # (3)
    worst = int(excess.argmax())
    shortfall = max(float(excess[worst]), 0.0)
    refutation_p = float(stats.ksone.sf(shortfall, pairs)) if shortfall > 0.0 else 1.0
    above = pairs - np.searchsorted(v, grid, side="left")
    support_p = float(stats.binom.sf(above - 1, pairs, 1.0 - grid).max())
    verdict = "undecided"
    if support_p <= level:
        verdict = "supported"
    if refutation_p <= level:
        verdict = "refuted"
    return Dominance(
        verdict=verdict,
        level=level,
        pairs=pairs,
        mean=float(v.mean()),
        shortfall=shortfall,
        worst=float(v[worst]),
        refutation_p=refutation_p,
        support_p=support_p,
    )
