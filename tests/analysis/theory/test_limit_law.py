"""The limit law: the exact probability in many dimensions, drawn directions, and where the claim must fail."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from analysis.experiments.simulation import count_cosines, p_values
from analysis.theory import bound
from analysis.theory.limit_law import kappa, limit_law, overstatement_limit, uniform_overstatement
from analysis.theory.sphere import AlignmentLaw

FALSE_ALARM = 1e-9  # of every randomised test; the seeds are fixed
lengths = st.floats(0.05, 2.0)


def drawn_cosines(a, b, gamma, d, draws, seed, *, perpendicular=False):
    """cos(z, a z + b e + gamma f) for f uniform on the sphere of R^d, whose other coordinates enter by their length.

    perpendicular: f is uniform among the directions perpendicular to p instead.
    """
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, draws))
    rest = rng.chisquare(d - 2, draws)
    if perpendicular:
        s = math.hypot(a, b)
        off = (x * b - y * a) / s  # what of (x, y) is perpendicular to (a, b)
        x, y = off * b / s, -off * a / s
    length = np.sqrt(x * x + y * y + rest)
    x, y, rest = x / length, y / length, np.sqrt(rest) / length
    return (a + gamma * x) / np.sqrt((a + gamma * x) ** 2 + (b + gamma * y) ** 2 + (gamma * rest) ** 2)


# --- the law --------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.floats(-2.0, 2.0), st.floats(0.0, 2.0), lengths, st.floats(-2.0, 2.0))
def test_the_exact_probability_tends_to_it(a, b, gamma, x):
    """The distance falls like 1/sqrt(d), and is small already at 10^6."""
    law = limit_law(a, b, gamma)
    if law.deviation < 0.02:  # p far longer than gamma f: the next order is then as large as this one
        return
    distance = []
    for d in (1e4, 1e6):
        alpha = law.mean + x * law.deviation / math.sqrt(d)
        distance.append(abs(bound.general_probability(alpha, a, b, gamma, d).probability - stats.norm.sf(x)))
    assert distance[0] < 0.3 / law.deviation / 100
    assert distance[1] < max(0.11 * distance[0], 1e-4)


@pytest.mark.parametrize(
    ("a", "b", "gamma"), [(0.64, 0.48, 1.0), (0.9025, 0.2966, 2.0), (-0.4, 0.7, 0.5), (0.8, 0.0, 0.3), (0.0, 0.0, 1.0)]
)
def test_drawn_directions_follow_it_and_not_its_neighbours(a, b, gamma):
    d, draws = 1e10, 200_000
    mean, deviation = limit_law(a, b, gamma)
    reached = drawn_cosines(a, b, gamma, d, draws, 0) >= mean + deviation / math.sqrt(d)
    count = int(reached.sum())
    assert stats.binomtest(count, draws, stats.norm.sf(1.0)).pvalue > FALSE_ALARM
    for wrong in (0.95, 1.05):
        assert stats.binomtest(count, draws, stats.norm.sf(wrong)).pvalue < FALSE_ALARM


def test_degenerate_laws():
    assert limit_law(0.0, 0.0, 0.7) == (0.0, 1.0)  # only the direction: its alignment with z
    assert limit_law(0.6, 0.8, 0.0) == (pytest.approx(0.6), 0.0)  # no direction: the cosine is fixed
    assert limit_law(0.0, 0.0, 0.0) == (0.0, 0.0)
    law = limit_law([[0.5], [0.1]], [0.2, 0.3, 0.4], 1.0)
    assert law.mean.shape == law.deviation.shape == (2, 3)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e200, 1e300])
def test_only_ratios_of_lengths_matter(scale):
    with np.errstate(all="raise"):
        law = limit_law(0.64 * scale, 0.48 * scale, 1.0 * scale)
        spread = kappa(0.8 * scale, 1.0 * scale, norm=scale)
    assert law == pytest.approx(limit_law(0.64, 0.48, 1.0), rel=1e-14)
    assert spread == pytest.approx(kappa(0.8, 1.0), rel=1e-14)
    assert kappa(0.8, 1e200) == pytest.approx(1 / 0.6, rel=1e-14)
    assert kappa(0.8, 1e-200) == 1.0


# --- kappa ----------------------------------------------------------------------------------------


@given(st.floats(0.0, 0.999), lengths)
def test_kappa_is_the_ratio_of_the_two_deviations(s, gamma):
    """Of the limit law with p perpendicular to r, over gamma rho / L of the orthogonal formula."""
    rho = math.sqrt(1.0 - s * s)
    orthogonal = gamma * rho / math.hypot(s, gamma)
    assert kappa(s, gamma) == pytest.approx(limit_law(s * s, s * rho, gamma).deviation / orthogonal, rel=1e-9)


def test_kappa_at_its_ends():
    assert kappa([0.0, 0.6, 0.0], [1.0, 0.0, 0.0]).tolist() == [1.0, 1.0, 1.0]
    assert kappa(1.0, 1.0) == np.inf  # no residual: the orthogonal formula has no spread at all
    assert kappa([0.0, 1.0], [1.0, 0.0], rho=0.0).tolist() == [1.0, 1.0]
    assert kappa(0.8, 1e6) == pytest.approx(1 / 0.6, rel=1e-9)
    assert np.all(np.diff(kappa(0.8, np.linspace(0.0, 9.0, 50))) > 0.0)


# --- the printed bound ----------------------------------------------------------------------------


@pytest.mark.parametrize(("s", "gamma"), [(0.6, 1.0), (0.95, 2.0), (0.8, 0.6)])
@pytest.mark.parametrize("w", [-2.0, -1.0, 0.5])
def test_all_conventions_tend_to_one_law_and_a_uniform_direction_to_another(s, gamma, w):
    d = 10**8
    alpha = bound.cosine(w / math.sqrt(d), s, gamma)
    for geometry in bound.GEOMETRIES:
        assert bound.probability(alpha, s, gamma, d, geometry) == pytest.approx(stats.norm.sf(w), abs=1e-6)
    exact = bound.general_probability(alpha, s * s, s * math.sqrt(1 - s * s), gamma, d).probability
    assert exact == pytest.approx(stats.norm.sf(w / kappa(s, gamma)), abs=3e-4)
    assert abs(exact - stats.norm.sf(w)) > 3e-3  # another law


def test_numbers_of_the_limit():
    s, expected = [0.6, 0.75, 0.8, 0.9], [0.032, 0.051, 0.061, 0.099]
    found = overstatement_limit(s, 1.0)
    assert found.amount == pytest.approx(expected, abs=5e-4)
    for spread, amount, worst in zip(kappa(s, 1.0), *found, strict=True):
        search = optimize.minimize_scalar(
            lambda w, spread=spread: stats.norm.cdf(-w / spread) - stats.norm.cdf(-w), bounds=(-9, 0), method="bounded"
        )
        assert amount == pytest.approx(-search.fun, rel=1e-8) and worst == pytest.approx(search.x, abs=1e-4)
    assert overstatement_limit(0.0, 1.0) == (0.0, -1.0)
    assert overstatement_limit(1.0, 1.0) == (0.5, -np.inf)
    assert overstatement_limit(1 - 1e-14, 1.0).amount == pytest.approx(0.5, abs=1e-6)
    assert overstatement_limit(1e-9, 1.0).beta == pytest.approx(-1.0, abs=1e-12)
    assert overstatement_limit([[0.3], [0.4]], [1.0, 2.0, 3.0]).amount.shape == (2, 3)


@pytest.mark.parametrize(
    ("s", "gamma", "d", "printed", "exact"), [(0.95, 2.0, 4096, 0.932, 0.711), (0.8, 1.0, 511, 0.8755, 0.8123)]
)
def test_numbers_of_the_examples(s, gamma, d, printed, exact):
    """Where the printed formula says so much: the general integral, slices perpendicular to z, and drawn directions."""
    rho = math.sqrt(1.0 - s * s)
    alpha = bound.cosine(AlignmentLaw(d + 1).isf(printed), s, gamma)
    assert bound.probability(alpha, s, gamma, d, "printed") == pytest.approx(printed, rel=1e-9)
    general = bound.general_probability(alpha, s * s, s * rho, gamma, d).probability
    assert general == pytest.approx(exact, abs=6e-4)

    def given_x(x):
        """<z, f> = x; the second coordinate of f is sqrt(1 - x^2) v, with v of the law in d - 1 dimensions."""
        along, rest = s * s + gamma * x, math.sqrt(1.0 - x * x)
        squares = s * s + gamma * gamma + 2.0 * gamma * s * s * x
        limit = (along * along / alpha**2 - squares) / (2.0 * gamma * s * rho * rest)
        nu = (d - 2) / 2
        inside = stats.beta.cdf((1.0 + limit) / 2.0, nu, nu)  # scipy's incomplete beta function
        return stats.beta.pdf((1.0 + x) / 2.0, (d - 1) / 2, (d - 1) / 2) / 2.0 * inside

    sliced = integrate.quad(given_x, -12 / math.sqrt(d), 12 / math.sqrt(d), epsabs=1e-10, limit=400)[0]
    assert sliced == pytest.approx(general, abs=1e-8)
    cosines = drawn_cosines(s * s, s * rho, gamma, d, 400_000, 1)
    count = int((cosines >= alpha).sum())
    assert stats.binomtest(count, 400_000, float(general)).pvalue > FALSE_ALARM
    assert stats.binomtest(count, 400_000, printed, alternative="less").pvalue < 1e-300


@pytest.mark.parametrize(("s", "gamma"), [(0.6, 1.0), (0.95, 2.0), (0.75, 0.4)])
def test_the_excess_over_a_uniform_direction_tends_to_its_limit_and_not_to_zero(s, gamma):
    """From above, or at s = .75 and gamma = .4 from below."""
    limit = overstatement_limit(s, gamma)
    amounts = [uniform_overstatement(s, gamma, d).amount for d in (4, 64, 1024, 10**6)]
    assert min(amounts) > 0.9 * limit.amount
    assert amounts[-1] == pytest.approx(limit.amount, rel=3e-3)
    assert uniform_overstatement(s, gamma, 10**6).beta * 1e3 == pytest.approx(limit.beta, rel=1e-2)


def test_the_excess_is_a_maximum():
    """No alpha of a fine grid has a larger one, and the probability there is the one of drawn directions."""
    s, gamma, d = 0.6, 0.5, 4
    worst = uniform_overstatement(s, gamma, d)
    alpha = np.linspace(-0.999, 0.999, 4001)
    p = s * s, s * math.sqrt(1 - s * s)
    excess = (
        bound.probability(alpha, s, gamma, d, "printed") - bound.general_probability(alpha, *p, gamma, d).probability
    )
    assert worst.amount >= excess.max() and worst.amount == pytest.approx(excess.max(), rel=1e-4)
    level = bound.cosine(worst.beta, s, gamma)
    count = int((drawn_cosines(*p, gamma, d, 200_000, 2) >= level).sum())
    printed = float(bound.probability(level, s, gamma, d, "printed"))
    assert stats.binomtest(count, 200_000, printed - float(worst.amount)).pvalue > FALSE_ALARM


def test_a_direction_kept_perpendicular_has_no_kappa():
    """The claim fails there, as it must: the orthogonal formula is right, and its overstatement falls like 1/d."""
    s, gamma, d, draws = 0.95, 2.0, 512, 200_000
    p = s * s, s * math.sqrt(1 - s * s)
    alpha = bound.cosine(-1.5 / math.sqrt(d), s, gamma)
    kept, free = (
        int((drawn_cosines(*p, gamma, d, draws, 3, perpendicular=kept) >= alpha).sum()) for kept in (True, False)
    )
    orthogonal = float(bound.probability(alpha, s, gamma, d, "complement"))
    assert (
        stats.binomtest(kept, draws, orthogonal).pvalue > FALSE_ALARM > stats.binomtest(free, draws, orthogonal).pvalue
    )
    assert bound.printed_overstatement(4096, "complement").amount < 1e-4 < uniform_overstatement(s, gamma, 4096).amount


def test_a_uniform_direction_may_also_do_better_than_the_sphere():
    """In few dimensions the exact value is on either side of the orthogonal one of n = d, though beta < 0."""
    d, gamma = 4, np.array([0.5, 2.0])
    s, alpha = 0.6, np.linspace(-0.9, 0.9, 181)
    for weight in gamma:
        below = bound.beta(alpha, s, weight) < 0.0
        exact = bound.general_probability(alpha, s * s, s * 0.8, weight, d).probability
        difference = (bound.probability(alpha, s, weight, d, "sphere") - exact)[below]
        assert difference.max() > 0.01
    exact = bound.general_probability(alpha, 0.36, 0.48, 0.5, d).probability
    below = bound.beta(alpha, s, 0.5) < 0.0
    assert (bound.probability(alpha, s, 0.5, d, "sphere") - exact)[below].min() < -0.01


def test_the_limit_with_forty_digits():
    with mpmath.workdps(40):
        spread = mpmath.sqrt(1 + mpmath.mpf("0.64") / (mpmath.mpf("0.36") * mpmath.mpf("1.64") ** 2))
        w = -mpmath.sqrt(2 * mpmath.log(spread) / (1 - spread**-2))
        amount = mpmath.ncdf(-w) - mpmath.ncdf(-w / spread)
    found = overstatement_limit(0.8, 1.0)
    assert found.amount == pytest.approx(float(amount), rel=1e-13) and found.beta == pytest.approx(float(w), rel=1e-14)


@pytest.mark.parametrize("d", [1, 2, 8])
@pytest.mark.parametrize("gamma", [0.4, 1.0, 2.0])
def test_overstatement_at_the_ends(gamma, d):
    """p = 0: the sphere's. p = z: what the orthogonal formula's one cosine lacks. gamma = 0: nothing is random."""
    assert uniform_overstatement(0.0, gamma, d) == bound.printed_overstatement(d, "sphere")
    rng, level = np.random.default_rng(d), 1 / np.hypot(1, gamma) - 1e-9
    counted = count_cosines(np.eye(d)[0], np.eye(d)[0], gamma, np.array([level]), 20_000, rng)
    whole = uniform_overstatement(1.0, gamma, d)
    assert p_values(counted, [1 - whole.amount])[0] > 1e-4 and whole.beta == -np.inf
    assert uniform_overstatement(1.0, 0.0, d) == uniform_overstatement(0.0, 0.0, d) == (0.0, -1.0)


def test_overstatement_near_its_ends_tends_to_them():
    for s, end in ((1e-7, 0.0), (1 - 1e-13, 1.0)):
        assert uniform_overstatement(s, 0.7, 8).amount == pytest.approx(
            uniform_overstatement(end, 0.7, 8).amount, abs=1e-3
        )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: limit_law(np.nan, 0.1, 1.0), "a: nan"),
        (lambda: limit_law(0.1, -0.1, 1.0), r"b: -0\.1"),
        (lambda: limit_law(0.1, 0.1, -1.0), "gamma: -1"),
        (lambda: kappa(1.1, 1.0), r"s: 1\.1, a number in \[0, 1\] is needed"),
        (lambda: overstatement_limit(0.5, np.inf), "gamma: inf"),
        (lambda: uniform_overstatement(1.1, 1.0, 8), r"s: 1\.1, a number in \[0, 1\] is needed"),
        (lambda: uniform_overstatement(0.5, -0.1, 8), "gamma: -0"),
        (lambda: uniform_overstatement(0.5, 1.0, 1), "d: 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_excess_of_a_short_direction_tends_to_that_over_the_sphere():
    """To first order the alignment with the residual alone moves the cosine."""
    limit = bound.printed_overstatement(512)
    for gamma in (1e-6, 1e-7, 1e-8, 1e-12, 1e-300):
        found = uniform_overstatement(0.8, gamma, 512)
        assert found.amount == pytest.approx(limit.amount, rel=1e-3) and found.beta == pytest.approx(limit.beta, 1e-2)


@pytest.mark.parametrize("geometry", ["sphere", "complement"])
@pytest.mark.filterwarnings("error")
def test_the_printed_excess_in_very_many_dimensions(geometry):
    more = {"sphere": 1, "complement": 2}[geometry]
    for n in (9e6, 1.1e7, 1e15, 1e16, 1e30, 1e299):
        found = bound.printed_overstatement(n + more - 1, geometry)
        assert found.amount * n == pytest.approx(more * stats.norm.pdf(1) / 2, rel=3e-7)
        assert found.beta * math.sqrt(n) == pytest.approx(-1, rel=1e-7)
