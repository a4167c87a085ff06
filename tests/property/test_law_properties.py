"""The alignment's law for any dimension and any point: identities that do not repeat the implementation."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.theory.sphere import AlignmentLaw
from analysis.theory.strategies import unit_vectors

dimensions = st.one_of(st.floats(1.0, 6.0), st.floats(6.0, 1e6), st.integers(1, 600).map(float))
points = st.one_of(st.floats(-1.0, 1.0), st.floats(-0.1, 0.1), st.sampled_from([-1.0, -0.0, 0.0, 1.0]))


def inside(x):
    return np.clip(x, -0.999, 0.999)


@given(dimensions, points)
def test_probabilities_complement_and_mirror(n, x):
    law = AlignmentLaw(n)
    assert abs(law.cdf(x) + law.sf(x) - 1.0) <= 2.3e-16
    assert 0.0 <= law.cdf(x) <= 1.0
    if n > 1.0 or abs(x) < 1.0:
        assert law.cdf(-x) == law.sf(x) and law.logcdf(-x) == law.logsf(x)
    assert law.pdf(x) == law.pdf(-x)


@given(dimensions, points)
def test_logarithms_are_logarithms(n, x):
    law = AlignmentLaw(n)
    for probability, log in (
        (law.cdf(x), law.logcdf(x)),
        (law.sf(x), law.logsf(x)),
        (law.pdf(x), law.logpdf(x)),
    ):
        assert np.isclose(np.exp(log), probability, rtol=1e-12, atol=0.0)


@given(dimensions, points, points)
def test_cdf_rises(n, x, y):
    x, y = min(x, y), max(x, y)
    law = AlignmentLaw(n)
    assert law.cdf(x) <= law.cdf(y) * (1.0 + 1e-13)
    assert law.logsf(x) >= law.logsf(y) * (1.0 + 1e-13)


@given(st.floats(1.0 + 1e-6, 1e5), points)
def test_two_more_dimensions(n, x):
    """F_(n+2)(x) - F_n(x) = x (1 - x^2) p_n(x) / (n - 1), by differentiating x (1 - x^2)^((n - 1)/2)."""
    x = inside(x)
    difference = AlignmentLaw(n + 2.0).cdf(x) - AlignmentLaw(n).cdf(x)
    assert np.isclose(difference, x * (1.0 - x * x) * AlignmentLaw(n).pdf(x) / (n - 1.0), rtol=1e-9, atol=3e-15)


@given(st.floats(1.2, 1e4), points)
def test_density_is_the_slope(n, x):
    law, x = AlignmentLaw(n), np.clip(x, -0.9, 0.9)
    step = 1e-3 * np.sqrt((1.0 - abs(x)) / n) * min(1.0, 1.0 / np.sqrt(n * (x * x + 1.0 / n)))
    slope = (law.cdf(x + step) - law.cdf(x - step)) / (2.0 * step)
    assert np.isclose(slope, law.pdf(x), rtol=1e-4, atol=1e-12 / step)


@given(dimensions, dimensions, st.floats(0.0, 1.0))
def test_more_dimensions_concentrate(n, m, x):
    n, m = min(n, m), max(n, m)
    assert AlignmentLaw(m).logsf(x) <= AlignmentLaw(n).logsf(x) * (1.0 - 1e-13)


@given(st.floats(1.1, 1e6), st.floats(-700.0, -1e-9))
def test_quantiles_invert_the_log_tails(n, log_q):
    law, q = AlignmentLaw(n), np.exp(log_q)
    x, log_q = law.isf(q), np.log(q)
    assert law.ppf(q) == -x
    if abs(x) < 1.0 - 1e-9:
        slack = 1e-13 + 1e-15 / (1.0 - abs(x))
        assert law.logsf(x - slack) >= log_q >= law.logsf(x + slack)


@given(dimensions, st.floats(0.0, 1.0))
def test_quantiles_are_generalised_inverses(n, q):
    law = AlignmentLaw(n)
    assert law.cdf(law.ppf(q) - 1e-15) <= q * (1.0 + 1e-12)  # a few units in the last place either way
    assert law.cdf(law.ppf(q) + 1e-15) >= q * (1.0 - 1e-12)
    assert -1.0 <= law.ppf(q) <= 1.0
    assert law.isf(q) == -law.ppf(q) or n == 1.0


@given(st.integers(2, 40).flatmap(unit_vectors), st.integers(0, 2**32 - 1))
def test_any_fixed_direction_has_the_same_law(e, seed):
    """No direction is special: an exact two-sided tail for the count of <e, f> > 0.5 / sqrt(d)."""
    f = np.random.default_rng(seed).standard_normal((500, e.size))
    u = f @ e / np.linalg.norm(f, axis=1)
    x = 0.5 / np.sqrt(e.size)
    assert stats.binomtest(int((u > x).sum()), 500, float(AlignmentLaw(e.size).sf(x))).pvalue > 1e-11
