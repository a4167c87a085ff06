"""The alignment's law: closed forms, interval arithmetic, simulation on the sphere itself."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.theory.sphere import AlignmentLaw

HERE = Path(__file__).parent
FALSE_ALARM = 1e-9  # of every randomised test below; the seeds are fixed, so it is the chance that writing it failed
TINY = np.finfo(np.float64).tiny


def reference_module():
    spec = importlib.util.spec_from_file_location("make_sphere_reference", HERE / "make_sphere_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def relative_error(value, exact):
    scale = np.abs(exact)
    return np.abs(value - exact) / np.where(scale > 0.0, scale, 1.0)


# --- closed forms ---------------------------------------------------------------------------------


def test_one_dimension_has_two_atoms():
    law = AlignmentLaw(1)
    x = [-np.inf, -1.5, -1.0, -0.3, 0.0, 0.9, 1.0, np.inf]
    assert law.cdf(x).tolist() == [0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 1.0, 1.0]
    assert law.sf(x).tolist() == [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0]
    assert law.pdf([-1.0, 0.0, 0.5, 1.0, 1.1]).tolist() == [np.inf, 0.0, 0.0, np.inf, 0.0]
    assert law.ppf([0.0, 0.2, 0.5, 0.500001, 1.0]).tolist() == [-1.0, -1.0, -1.0, 1.0, 1.0]
    assert law.isf([0.0, 0.2, 0.499999, 0.5, 1.0]).tolist() == [1.0, 1.0, 1.0, -1.0, -1.0]
    assert set(law.rvs(100, np.random.default_rng(0)).tolist()) == {-1.0, 1.0}


def test_two_dimensions_is_the_arcsine_law():
    law, x = AlignmentLaw(2), np.linspace(-0.999, 0.999, 401)
    assert relative_error(law.cdf(x), np.arccos(-x) / np.pi).max() < 1e-13
    assert relative_error(law.pdf(x), 1.0 / (np.pi * np.sqrt(1.0 - x**2))).max() < 1e-13
    q = np.linspace(0.0, 1.0, 401)
    assert np.abs(law.ppf(q) + np.cos(np.pi * q)).max() < 1e-15
    assert law.pdf([-1.0, 1.0]).tolist() == [np.inf, np.inf]


def test_three_dimensions_is_uniform():
    law, x = AlignmentLaw(3), np.linspace(-1.0, 1.0, 401)
    assert np.abs(law.cdf(x) - (1.0 + x) / 2.0).max() < 1e-15
    assert relative_error(law.pdf(x), 0.5).max() < 1e-14  # at the end points too
    q = np.linspace(0.0, 1.0, 401)
    assert np.abs(law.ppf(q) - (2.0 * q - 1.0)).max() < 1e-15
    assert law.pdf([-1.0001, 1.0001]).tolist() == [0.0, 0.0]


def test_five_dimensions_is_a_cubic():
    x = np.linspace(-1.0, 1.0, 401)
    assert np.abs(AlignmentLaw(5).cdf(x) - (2.0 + 3.0 * x - x**3) / 4.0).max() < 1e-15
    assert AlignmentLaw(5).pdf([-1.0, 1.0]).tolist() == [0.0, 0.0]


def test_it_is_a_beta_law_on_minus_one_to_one():
    n = np.array([1.5, 2.0, 3.7, 16.0, 512.0])[:, None]
    x = np.linspace(-0.6, 0.6, 25)
    shape = (n - 1.0) / 2.0
    assert relative_error(AlignmentLaw(n).cdf(x), stats.beta.cdf((1.0 + x) / 2.0, shape, shape)).max() < 1e-9


def test_moments():
    law = AlignmentLaw([1.0, 2.0, 3.0, 512.0])
    assert law.mean().tolist() == [0.0] * 4
    assert np.allclose(law.var(), 1.0 / law.n, rtol=1e-15)
    assert np.allclose(law.std() ** 2, law.var(), rtol=1e-15)
    assert law.moment(0).tolist() == [1.0] * 4
    assert law.moment(3).tolist() == [0.0] * 4
    assert np.allclose(law.moment(4), 3.0 / (law.n * (law.n + 2.0)), rtol=1e-15)
    assert np.allclose(law.moment(6), 15.0 / (law.n * (law.n + 2.0) * (law.n + 4.0)), rtol=1e-15)


def test_scalars_give_scalars_and_arrays_broadcast():
    assert isinstance(AlignmentLaw(8).sf(0.1), float)
    assert AlignmentLaw([[2.0], [3.0]]).cdf([0.0, 0.1, 0.2]).shape == (2, 3)
    assert AlignmentLaw([[2.0], [3.0]]).ppf([0.1, 0.2, 0.3]).shape == (2, 3)
    assert AlignmentLaw([2.0, 3.0]).rvs(None, np.random.default_rng(0)).shape == (2,)
    assert AlignmentLaw([2.0, 3.0]).rvs((5, 2), np.random.default_rng(0)).shape == (5, 2)


# --- interval arithmetic --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    # the logs keep what a float cannot hold; sf is compared only where it is a normal float
    return pd.read_csv(HERE / "sphere_reference.csv", float_precision="round_trip")


def test_log_tails_agree_with_the_table(table):
    law = AlignmentLaw(table.n)
    assert relative_error(law.logsf(table.x), table.log_sf).max() < 1e-13
    assert relative_error(law.logcdf(table.x), table.log_cdf).max() < 1e-13
    assert table.log_sf.min() < -1e5 and table.log_cdf.min() < -1e5
    assert table.log_sf.max() > -1e-300


def test_tails_agree_with_the_table(table):
    law, normal = AlignmentLaw(table.n), table.sf > TINY
    assert relative_error(law.sf(table.x), table.sf)[normal].max() < 1e-12
    assert relative_error(law.cdf(-table.x), table.sf)[normal].max() < 1e-12  # symmetry
    assert table.sf[normal].min() < 1e-280


def test_density_agrees_with_the_table(table):
    law = AlignmentLaw(table.n)
    normal = table.log_pdf > math.log(TINY)
    assert relative_error(law.pdf(table.x), np.exp(table.log_pdf))[normal].max() < 1e-12
    assert relative_error(law.logpdf(table.x), table.log_pdf)[~normal].max() < 1e-13


def test_table_is_what_the_script_makes(table):
    script = reference_module()
    script.ctx.prec = 400
    for row in table.iloc[::17].itertuples():
        assert math.isclose(float(script.log_tail(row.n, row.x)), row.log_sf, rel_tol=1e-15)


def test_live_comparison_on_random_points():
    """400 points drawn over n (log-uniform to 10^6) and over the standardised and the plain axis."""
    script = reference_module()
    script.ctx.prec = 300
    rng = np.random.default_rng(20)
    n = 10.0 ** rng.uniform(0.0, 6.0, 400)
    x = np.where(rng.random(400) < 0.5, rng.uniform(-1.0, 1.0, 400), rng.normal(size=400) * 4.0 / np.sqrt(n))
    n, x = n[np.abs(x) < 1.0], x[np.abs(x) < 1.0]
    balls = [script.log_tail(*pair) for pair in zip(n.tolist(), x.tolist(), strict=True)]
    exact = np.array([float(ball) for ball in balls])
    assert relative_error(AlignmentLaw(n).logsf(x), exact).max() < 1e-13
    normal = exact > -700.0
    probability = np.array([float(ball.exp()) for ball in balls])
    assert relative_error(AlignmentLaw(n).sf(x), probability)[normal].max() < 1e-12


@pytest.mark.parametrize("n", [1.01, 1.7, 2.0, 4.0, 64.0, 512.0, 1e4, 1e6])
def test_quantiles_bracket_in_interval_arithmetic(n):
    """The exact log tail at the quantile moved by 4e-15 of its size, down and up, straddles log q."""
    script = reference_module()
    script.ctx.prec = 400
    law = AlignmentLaw(n)
    for q in [0.5 - 1e-9, 0.4966, 0.3679, 0.05, 0.0123, 4.5e-5, 1e-304]:
        x, log_q = float(law.isf(q)), math.log(q)
        assert x == -float(law.ppf(q))
        if x > 1.0 - 1e-9:  # the quantile rounds towards 1: only the limit can be told
            assert float(script.log_tail(n, 1.0 - 2e-9)) > log_q
            continue
        slack = 4e-15 * x + 1e-24
        assert float(script.log_tail(n, x - slack)) >= log_q >= float(script.log_tail(n, x + slack))


def test_known_extremes():
    """P(cos >= 0.9) for two random directions of R^1024 underflows; its logarithm does not."""
    law = AlignmentLaw(1024)
    assert law.sf(0.9) == 0.0
    assert abs(law.logsf(0.9) / math.log(10.0) - (-371.0 + math.log10(1.7))) < 0.05
    assert np.isneginf(stats.beta.logsf(0.95, 511.5, 511.5))  # why this module exists
    assert abs(math.sqrt(2.0 / math.pi / 512) - 0.0353) < 1e-4
    assert abs(AlignmentLaw(512).std() - 0.0442) < 1e-4


# --- consistency of quantiles ---------------------------------------------------------------------


@pytest.mark.parametrize("n", [1.5, 2.0, 3.0, 5.0, 64.0, 1024.0, 1e6])
def test_quantiles_invert_the_tails(n):
    law, q = AlignmentLaw(n), np.linspace(0.001, 0.999, 500)
    inside = np.abs(law.ppf(q)) < 0.999  # beyond, rounding of the quantile to 1 - x moves the probability
    assert relative_error(law.cdf(law.ppf(q)), q)[inside].max() < 1e-12
    assert np.array_equal(law.isf(q), -law.ppf(q))
    assert law.ppf([0.0, 0.5, 1.0]).tolist() == [-1.0, 0.0, 1.0]
    assert law.isf([0.0, 0.5, 1.0]).tolist() == [1.0, 0.0, -1.0]
    assert not np.signbit(law.ppf(0.5))


# --- simulation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 4, 16, 64, 512])
def test_directions_on_the_sphere_follow_the_law(n):
    """Exact binomial test at seven quantiles; the vectors come from normals, not from the law."""
    rng, draws = np.random.default_rng(n), 20_000
    vectors = rng.standard_normal((draws, n))
    u = vectors[:, 0] / np.linalg.norm(vectors, axis=1)
    law = AlignmentLaw(n)
    for x in law.ppf([0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99]) + 1e-12:
        count = int((u > x).sum())
        assert stats.binomtest(count, draws, float(law.sf(x))).pvalue > FALSE_ALARM / 7, (x, count)
    if n in (2, 3, 4):  # the test has power: the law of the next dimension is refuted
        count = int((u > AlignmentLaw(n + 1).ppf(0.16)).sum())
        assert stats.binomtest(count, draws, 0.84).pvalue < FALSE_ALARM


@pytest.mark.parametrize("n", [1.0, 1.3, 2.0, 3.0, 100.5])
def test_draws_follow_the_law(n):
    law, draws = AlignmentLaw(n), 20_000
    u = law.rvs(draws, np.random.default_rng(7))
    for x in law.ppf([0.02, 0.3, 0.6, 0.95]):
        count = int((u <= x).sum())
        assert stats.binomtest(count, draws, float(law.cdf(x))).pvalue > FALSE_ALARM / 4


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1e9, 1e16, 1e100, 1e300])
def test_many_dimensions_are_normal(n):
    """sqrt(n) U tends to a standard normal variable; the next order is below 3 (1 + x^4) / n."""
    law, x = AlignmentLaw(n), np.array([-30.0, -3.0, -0.5, 0.0, 0.2, 2.0, 12.0])
    with np.errstate(all="raise"):
        scaled = x / np.sqrt(n)
        found = law.logcdf(scaled), law.logsf(scaled), law.pdf(scaled) / np.sqrt(n)
        quantiles = law.ppf([1e-300, 1e-9, 0.3, 0.5, 0.9]) * np.sqrt(n)
        assert law.logsf([0.5, 1.0]).tolist() == [pytest.approx(n / 2.0 * np.log(0.75), rel=1e-6), -np.inf]
    allowed = 1e-12 + 3.0 * 30.0**4 / n
    exact = stats.norm.logcdf(x), stats.norm.logsf(x), stats.norm.pdf(x)
    for value, oracle in zip(found, exact, strict=True):
        assert value == pytest.approx(oracle, rel=allowed, abs=1e-300)
    assert quantiles == pytest.approx(stats.norm.ppf([1e-300, 1e-9, 0.3, 0.5, 0.9]), rel=allowed, abs=1e-300)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AlignmentLaw(0.99), r"n: 0\.99, a number in \[1, 1e\+300\] is needed"),
        (lambda: AlignmentLaw([2.0, np.nan]), r"n: nan"),
        (lambda: AlignmentLaw(np.inf), r"n: inf"),
        (lambda: AlignmentLaw(1e301), r"n: 1e\+301, a number in \[1, 1e\+300\] is needed"),
        (lambda: AlignmentLaw(2).cdf(np.nan), r"x: nan, a number in \[-inf, inf\] is needed"),
        (lambda: AlignmentLaw(2).pdf(np.nan), r"x: nan"),
        (lambda: AlignmentLaw(2).ppf(1.1), r"q: 1\.1, a number in \[0, 1\] is needed"),
        (lambda: AlignmentLaw(2).isf(-0.1), r"q: -0\.1"),
        (lambda: AlignmentLaw(2).moment(-1), r"k: -1, a whole number from 0 on is needed"),
        (lambda: AlignmentLaw(2).moment(1.5), r"k: 1\.5"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
