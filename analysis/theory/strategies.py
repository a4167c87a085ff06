"""Hypothesis strategies for the geometry of translated embeddings, and a check of the bound that is ready to use.

    from hypothesis import given
    from analysis.theory.strategies import linear_translators, pair_arrays

    @given(pair_arrays(), linear_translators(6, 8))
    def test_my_score(pairs, translate): ...

Vectors are built from normal draws of a generator that hypothesis seeds. A failing example is therefore printed as a
few numbers, and replays exactly. All arrays are float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from analysis.theory.arrays import ROUNDING, Floats, in_range, number, unit_rows
from analysis.theory.bound import GEOMETRIES, general_probability, probability
from analysis.theory.poisson_binomial import fewer_than_expected
from analysis.theory.premises import TranslatedPairs


class Geometry(NamedTuple):
    """The orthogonal geometry of a unit target: the lengths s = |p| and rho = |r|, the weight gamma of the direction, a
    cosine alpha, and the dimension n of the alignment's law."""

    s: float
    rho: float
    gamma: float
    alpha: float
    n: int


class LinearTranslator(NamedTuple):
    """The translator zhat = c M + gamma F(c): a callable that can be looked into.

    Attributes
    ----------
    matrix : (k, d) array
        M.
    directions : (k, d) array
        D; F(c) is the unit vector of c D.
    gamma : float
        Weight of the direction.
    """

    matrix: Floats
    directions: Floats
    gamma: float

    def parts(self, conditions: Floats) -> tuple[Floats, Floats, float]:
        """c M (n, d), F(c) (n, d) and gamma, for conditions (n, k)."""
        raw = conditions @ self.directions
        return conditions @ self.matrix, unit_rows(raw), self.gamma

    def __call__(self, conditions: Floats) -> Floats:
        """zhat (n, d), for conditions (n, k)."""
        projection, direction, gamma = self.parts(conditions)
        return projection + gamma * direction


def _generators() -> st.SearchStrategy[np.random.Generator]:
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def dimensions(low: int = 2, high: int = 64) -> st.SearchStrategy[int]:
    """Dimensions of a target space from low to high, small ones first."""
    return st.integers(low, high)


@st.composite
def unit_vectors(draw: st.DrawFn, d: int) -> Floats:
    """Unit vectors of R^d, (d,): coordinate axes of either sign, or uniform on the sphere."""
    if draw(st.booleans()):
        axis, sign = draw(st.integers(0, d - 1)), draw(st.sampled_from([1.0, -1.0]))
        return sign * np.eye(d)[axis]
    vector = draw(_generators()).standard_normal(d)
    return vector / np.linalg.norm(vector)


@st.composite
def geometries(draw: st.DrawFn, *, max_gamma: float = 4.0, max_n: int = 1024, degenerate: bool = True) -> Geometry:
    """Orthogonal geometries of a unit target.

    Parameters
    ----------
    max_gamma, max_n
        Largest weight of the direction, and largest dimension of the law.
    degenerate
        Whether s = 0, rho = 0, gamma = 0, alpha = -1 or 1, and n = 1 are among them.

    Notes
    -----
    Lengths are zero or normal numbers: a subnormal one has no relative precision left to test with.
    """
    edge = 0.0 if degenerate else 1e-3
    s = draw(st.floats(edge, 1.0 - edge, allow_subnormal=False))
    return Geometry(
        s=s,
        rho=float(np.sqrt((1.0 - s) * (1.0 + s))),
        gamma=draw(st.floats(edge, max_gamma, allow_subnormal=False)),
        alpha=draw(st.floats(-1.0 + edge, 1.0 - edge)),
        n=draw(st.integers(1 if degenerate else 2, max_n)),
    )


@st.composite
def pair_arrays(
    draw: st.DrawFn,
    rows: int = 40,
    source: int = 6,
    target: int = 8,
    noise: st.SearchStrategy[float] | None = None,
) -> tuple[Floats, Floats]:
    """Conditions (rows, source) and unit targets (rows, target), a linear map of the conditions plus noise.

    Parameters
    ----------
    rows, source, target
        Number of pairs, dimension of the conditions, dimension of the targets.
    noise
        The noise's standard deviation relative to the signal's; by default between 0.1 and 3.
    """
    rng, ratio = draw(_generators()), draw(st.floats(0.1, 3.0) if noise is None else noise)
    conditions = rng.standard_normal((rows, source))
    signal = conditions @ rng.standard_normal((source, target)) / np.sqrt(source)
    targets = signal + ratio * rng.standard_normal((rows, target))
    return conditions, unit_rows(targets)


@st.composite
def linear_translators(draw: st.DrawFn, source: int, target: int, *, max_gamma: float = 2.0) -> LinearTranslator:
    """Random linear translators from R^source to R^target, with random directions that depend on the condition."""
    rng = draw(_generators())
    matrix = rng.standard_normal((source, target)) / np.sqrt(source * target)
    return LinearTranslator(matrix, rng.standard_normal((source, target)), draw(st.floats(0.0, max_gamma)))


def assert_bound_holds(
    parts: Callable[[Floats], tuple[Floats, Floats, float]],
    conditions: Floats,
    targets: Floats,
    alpha: float,
    *,
    geometry: str = "general",
    false_alarm: float = 1e-9,
) -> None:
    """Raise AssertionError if held-out pairs refute that P(cos(z, zhat) >= alpha) is at least the bound.

    Parameters
    ----------
    parts
        Maps conditions (n, k) to the projections c M (n, d), the unit directions F(c) (n, d) and the weight gamma, one
        number or (n,). Take `LinearTranslator.parts`, or the method `parts` of a trained translator.
    conditions, targets
        Held-out pairs, (n, k) and (n, d), independent of the fit and of each other. Targets of any length.
    alpha
        Cosine in [-1, 1].
    geometry
        "general": the exact probability of each row's own p and z, for a direction that is uniform on the sphere.
        "printed", "sphere" or "complement": the orthogonal formula at each row's s = |p|, and 0 where |p| > |z|, which
        that geometry excludes.
    false_alarm
        Probability, in (0, 1), of a failure although the bound holds.

    Raises
    ------
    AssertionError
        Fewer rows reach alpha than the bound allows.
    ValueError
        An unknown geometry, an argument outside its range, and what `analysis.theory.premises.TranslatedPairs.of`
        refuses: directions that are not of unit length, zero targets and translations, d below 3.

    Notes
    -----
    What is tested is the premise that the direction is at least as good as a random one. If every row reaches alpha
    with its bound b_i as probability or more, the number of rows that do is stochastically no smaller than a sum of
    independent trials with the probabilities b_i. The check is that sum's exact tail
    (`analysis.theory.poisson_binomial`).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z, f = rng.standard_normal((2, 200, 8))
    >>> f /= np.linalg.norm(f, axis=1, keepdims=True)
    >>> assert_bound_holds(lambda c: (0.5 * c, f, 1.0), z, z, alpha=0.3)  # a random direction, and no error
    """
    pairs = TranslatedPairs.of(*parts(conditions), targets)
    false_alarm = float(in_range("false_alarm", false_alarm, low=0.0, high=1.0))
    alpha = number("alpha", alpha, low=-1.0, high=1.0)
    d, length = pairs.target.shape[1], np.linalg.norm(targets, axis=1)
    # where no direction moves the cosine a random one reaches what F does; computed again, a tie could go otherwise
    reached, still = pairs.cosine >= alpha, ~pairs.moved
    if geometry == "general":
        bounds = np.where(still, reached, general_probability(alpha, *pairs.frame, pairs.gamma, d).probability)
    elif geometry in GEOMETRIES:
        s = np.linalg.norm(pairs.projection, axis=1)
        orthogonal = probability(alpha, np.minimum(s, length), pairs.gamma, d, geometry, norm=length)
        bounds = np.where(s <= length, orthogonal, 0.0)
        bounds = np.where(still & (np.abs(s - alpha * length) <= ROUNDING * length), reached, bounds)
    else:
        raise ValueError(f"geometry: {geometry}, general or {' or '.join(GEOMETRIES)} is needed")
    if fewer_than_expected(int(reached.sum()), bounds) <= false_alarm:
        raise AssertionError(
            f"{reached.sum()} of {len(bounds)} rows reach cosine {alpha:g}; the bound ({geometry}) promises "
            f"{bounds.sum():.1f} on average, and so few have probability below {false_alarm:g}"
        )
