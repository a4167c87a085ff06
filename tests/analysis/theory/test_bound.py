"""The cosine bound: closed forms, independent quadrature, simulation, and where the printed formula fails."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import integrate, optimize, stats

from analysis.theory import bound, quadrature
from analysis.theory.sphere import AlignmentLaw

FALSE_ALARM = 1e-9  # of every randomised test; the seeds are fixed


def simulated(alpha, s, gamma, d, draws, seed, *, orthogonal):
    """How often cos(z, p + gamma f) >= alpha with explicit vectors; f perpendicular to p, or anywhere."""
    rng = np.random.default_rng(seed)
    z = np.zeros(d)
    z[:2] = s, math.sqrt(1.0 - s * s)  # p lies along the first axis, the residual along the second
    f = rng.standard_normal((draws, d))
    if orthogonal:
        f[:, 0] = 0.0
    f /= np.linalg.norm(f, axis=1, keepdims=True)
    translated = gamma * f
    translated[:, 0] += s
    return int((translated @ z >= alpha * np.linalg.norm(translated, axis=1)).sum())


# --- beta -----------------------------------------------------------------------------------------


def test_beta_is_the_printed_expression():
    s, gamma, alpha = 0.7, 1.0, 0.5
    rho = math.sqrt(1.0 - s * s)
    direct = (alpha * math.sqrt(s * s + gamma * gamma) - s * s) / (gamma * rho)
    assert bound.beta(alpha, s, gamma) == pytest.approx(direct, rel=1e-15)
    assert bound.beta(alpha, s, gamma, rho=rho) == pytest.approx(direct, rel=1e-15)
    # lengths scale out
    assert bound.beta(alpha, 3 * s, 3 * gamma, norm=3.0) == pytest.approx(direct, rel=1e-15)
    assert bound.beta(alpha, s, gamma, rho=rho / 2) == pytest.approx(2 * direct, rel=1e-15)


def test_beta_does_not_cancel_for_small_gamma():
    """At alpha = s the numerator is s (sqrt(s^2 + gamma^2) - s), about gamma^2 / 2."""
    s, gamma = 0.6, 1e-9
    assert bound.beta(s, s, gamma) == pytest.approx(gamma / 2.0 / 0.8, rel=1e-12, abs=0.0)


@pytest.mark.parametrize(
    ("alpha", "s", "gamma", "expected"),
    [
        (0.5, 0.6, 0.0, -np.inf),  # gamma = 0: the cosine is s
        (0.6, 0.6, 0.0, -np.inf),
        (0.7, 0.6, 0.0, np.inf),
        (0.5, 1.0, 1.0, -np.inf),  # rho = 0: the cosine is s / sqrt(s^2 + gamma^2) = 0.707
        (0.8, 1.0, 1.0, np.inf),
        (1.0, 1.0, 0.0, -np.inf),  # a perfect linear map
        (0.3, 0.0, 2.0, 0.3),  # s = 0: only the direction counts, at any gamma
        (-0.3, 0.0, 1e-200, -0.3),
        (0.1, 0.0, 0.0, np.inf),  # zhat = 0 has cosine 0
        (0.0, 0.0, 0.0, -np.inf),
        (0.5, 0.6, 5e-324, -np.inf),  # gamma -> 0
        (0.7, 0.6, 5e-324, np.inf),
        (-1.0, 0.0, 1.0, -1.0),
        (1.0, 0.0, 1.0, 1.0),
    ],
)
def test_degenerate_beta(alpha, s, gamma, expected):
    assert bound.beta(alpha, s, gamma) == expected


def test_rho_is_worth_giving_where_s_is_near_norm():
    rho = 1e-9
    assert bound.beta(1.0, 1.0, 1e-9, rho=rho) == pytest.approx(0.5, rel=1e-9)
    assert bound.beta(1.0, 1.0, 1e-9) == np.inf  # the cosine is 1 - 5e-19
    assert bound.beta([0.0, 0.1], 0.0, 1.0, rho=0.0).tolist() == [-np.inf, np.inf]  # nothing left but cosine 0


def test_cosine_inverts_beta():
    u, s, gamma = np.linspace(-1.0, 1.0, 21), 0.7, 0.4
    assert np.abs(bound.beta(bound.cosine(u, s, gamma), s, gamma) - u).max() < 1e-14
    assert bound.cosine(0.3, 0.0, 0.0) == 0.0
    assert bound.cosine(0.5, 3.0, 4.0, norm=6.0, rho=2.0) == pytest.approx((9.0 + 4.0) / (6.0 * 5.0), rel=1e-15)


# --- probability ----------------------------------------------------------------------------------


def test_conventions_differ_in_dimension_only():
    for geometry, n in {"printed": 7, "sphere": 6, "complement": 5}.items():
        expected = AlignmentLaw(n).cdf(-bound.beta(0.5, 0.7, 1.0))
        assert bound.probability(0.5, 0.7, 1.0, 6, geometry) == expected
    assert bound.probability(0.5, 0.7, 1.0, 6) == bound.probability(0.5, 0.7, 1.0, 6, "complement")


def test_printed_integral_as_it_stands_on_the_poster():
    """Gamma(h/2 + 1/2) / (sqrt(pi) Gamma(h/2)) (1 - u^2)^(h/2 - 1) integrated from beta to 1."""
    h, beta = 6, float(bound.beta(0.5, 0.7, 1.0))
    constant = math.gamma(h / 2 + 0.5) / (math.sqrt(math.pi) * math.gamma(h / 2))
    value, _ = integrate.quad(lambda u: constant * (1.0 - u * u) ** (h / 2 - 1.0), beta, 1.0)
    assert bound.probability(0.5, 0.7, 1.0, h, "printed") == pytest.approx(value, rel=1e-12)


def test_numbers_of_the_orthogonal_example():
    """d = 6, s = 0.7, gamma = 1, alpha = 0.5: 0.3748 where the printed formula says 0.3450."""
    assert bound.probability(0.5, 0.7, 1.0, 6) == pytest.approx(0.3748, abs=5e-5)
    assert bound.probability(0.5, 0.7, 1.0, 6, "printed") == pytest.approx(0.3450, abs=5e-5)
    count = simulated(0.5, 0.7, 1.0, 6, 40_000, 3, orthogonal=True)
    assert stats.binomtest(count, 40_000, float(bound.probability(0.5, 0.7, 1.0, 6))).pvalue > FALSE_ALARM
    assert stats.binomtest(count, 40_000, float(bound.probability(0.5, 0.7, 1.0, 6, "printed"))).pvalue < FALSE_ALARM


@pytest.mark.parametrize("d", [2, 3, 4, 16, 128])
@pytest.mark.parametrize(("s", "gamma", "alpha"), [(0.7, 0.4, 0.62), (0.2, 1.5, 0.1), (0.5, 1.0, -0.2)])
def test_complement_is_exact_in_the_orthogonal_geometry(d, s, gamma, alpha):
    count = simulated(alpha, s, gamma, d, 10_000, d, orthogonal=True)
    expected = float(bound.probability(alpha, s, gamma, d))
    assert stats.binomtest(count, 10_000, expected).pvalue > FALSE_ALARM


def test_one_dimension_has_three_values():
    """d = 2, complement: the direction is plus or minus the residual's."""
    top, bottom = bound.cosine([1.0, -1.0], 0.6, 0.5)
    levels = [bottom - 1e-9, bottom + 1e-9, top - 1e-9, top + 1e-9]
    assert bound.probability(levels, 0.6, 0.5, 2).tolist() == [1.0, 0.5, 0.5, 0.0]
    assert bound.probability(0.0, 0.0, 1.0, 2) == 0.5
    assert bound.probability([-1.0, 1.0], 0.0, 1.0, 2).tolist() == [1.0, 0.5]  # the atoms belong to the event


def test_extremes_of_alpha():
    s = np.array([0.0, 0.3, 0.7, 1.0])
    assert bound.probability(-1.0, s, 0.5, 8).tolist() == [1.0] * 4
    assert np.all(bound.probability(1.0, s, 0.5, 8) < 1e-12)


def test_mixture_is_the_mean():
    s, alpha = np.array([0.5, 0.6, 0.9]), np.array([[0.2, 0.5], [0.7, 0.8]])
    curve = bound.mixture_probability(alpha, s, 0.3, 64)
    expected = np.mean([bound.probability(alpha, length, 0.3, 64) for length in s], axis=0)
    assert curve.shape == alpha.shape
    assert np.allclose(curve, expected, rtol=1e-15)
    assert bound.mixture_probability(0.5, s, [0.1, 0.2, 0.3], 64, "sphere") == pytest.approx(
        np.mean(bound.probability(0.5, s, [0.1, 0.2, 0.3], 64, "sphere"))
    )


# --- the printed formula is not a lower bound -----------------------------------------------------


@pytest.mark.parametrize(("n", "amount"), [(4, 0.039), (16, 0.0081), (64, 0.0019), (511, 0.00024)])
def test_overstatement_against_the_sphere(n, amount):
    worst = bound.printed_overstatement(n)
    assert worst.amount == pytest.approx(amount, rel=0.03)
    search = optimize.minimize_scalar(
        lambda b: AlignmentLaw(n).cdf(-b) - AlignmentLaw(n + 1).cdf(-b), bounds=(-1, 1), method="bounded"
    )
    assert worst.amount == pytest.approx(-search.fun, rel=1e-8)
    assert worst.beta == pytest.approx(search.x, abs=1e-4)
    assert worst.beta < 0.0


@pytest.mark.parametrize("n", [1e3, 1e5])
def test_overstatement_for_many_dimensions(n):
    """phi(1)/2 = 0.121 a step of n: 0.121/n against the sphere, 0.242/n against the exact complement."""
    half = stats.norm.pdf(1.0) / 2.0
    assert half == pytest.approx(0.121, abs=5e-5)
    assert bound.printed_overstatement(n).amount * n == pytest.approx(half, rel=2 / n + 1e-6)
    assert bound.printed_overstatement(n + 1, "complement").amount * n == pytest.approx(2 * half, rel=3 / n + 1e-6)
    assert bound.printed_overstatement(n).beta * math.sqrt(n) == pytest.approx(-1.0, rel=2 / n)


def test_printed_formula_is_refuted_as_a_lower_bound():
    """At the worst beta of d = 3, explicit vectors reach alpha less often than the printed value says."""
    d, s, gamma = 3, 0.6, 0.3
    alpha = float(bound.cosine(bound.printed_overstatement(d, "complement").beta, s, gamma))
    printed = float(bound.probability(alpha, s, gamma, d, "printed"))
    count = simulated(alpha, s, gamma, d, 20_000, 11, orthogonal=True)
    assert stats.binomtest(count, 20_000, printed, alternative="less").pvalue < FALSE_ALARM
    exact = float(bound.probability(alpha, s, gamma, d))
    assert stats.binomtest(count, 20_000, exact).pvalue > FALSE_ALARM
    assert printed - exact == pytest.approx(float(bound.printed_overstatement(d, "complement").amount), rel=1e-9)


def test_overstatement_of_two_directions_is_one_half():
    """With n = 1, U is -1 or 1, and just above beta = -1 the printed value is still nearly 1."""
    assert bound.printed_overstatement([2, 3], "complement").amount == pytest.approx([0.5, 0.5 / math.pi])
    assert bound.printed_overstatement(1) == (0.5, -1.0) == bound.printed_overstatement(2, "complement")
    just_above = -1 + 1e-12
    assert AlignmentLaw(3).cdf(-just_above) - AlignmentLaw(1).cdf(-just_above) == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"d: 1, a number in \[2, inf\) is needed"):
        bound.printed_overstatement(1, "complement")
    with pytest.raises(ValueError, match="geometry: printed, sphere or complement is needed"):
        bound.printed_overstatement(8, "printed")


# --- general geometry -----------------------------------------------------------------------------


def by_target_axis(alpha, a, b, gamma, d):
    """The same probability by slices perpendicular to z instead of p, with scipy's adaptive quadrature."""

    def slice_probability(x):
        rest, along = math.sqrt(1.0 - x * x), a + gamma * x
        squares = a * a + b * b + gamma * gamma + 2.0 * gamma * a * x
        limit = (along * along / alpha**2 - squares) / (2.0 * gamma * b * rest)
        law = AlignmentLaw(d - 1)
        if alpha > 0:
            return float(law.cdf(limit)) if along >= 0 else 0.0
        return 1.0 if along >= 0 else float(law.sf(limit))

    density = AlignmentLaw(d)
    kinks = [-a / gamma] if abs(a) < gamma else None
    return integrate.quad(
        lambda x: float(density.pdf(x)) * slice_probability(x),
        -1.0,
        1.0,
        points=kinks,
        limit=100,
        epsabs=1e-7,
    )[0]


@pytest.mark.parametrize(
    ("alpha", "a", "b", "gamma", "d", "expected"),
    [(0.3, 0.6, 0.2, 1.0, 8, 0.778), (0.6, 0.7, 0.5, 0.5, 3, 0.7075)],
)
def test_numbers_of_the_general_examples(alpha, a, b, gamma, d, expected):
    value = bound.general_probability(alpha, a, b, gamma, d)
    assert value.probability == pytest.approx(expected, abs=5e-4 if d == 8 else 1e-4)
    rng = np.random.default_rng(d)
    f = rng.standard_normal((40_000, d))
    f /= np.linalg.norm(f, axis=1, keepdims=True)
    translated = gamma * f
    translated[:, 0] += a
    translated[:, 1] += b
    count = int((translated[:, 0] >= alpha * np.linalg.norm(translated, axis=1)).sum())
    assert stats.binomtest(count, 40_000, float(value.probability)).pvalue > FALSE_ALARM


@pytest.mark.parametrize(
    ("alpha", "a", "b", "gamma", "d"),
    [
        (0.55, 0.5, 0.4, 0.7, 3),
        (-0.4, 0.5, 0.4, 0.7, 40),
        (0.05, -0.2, 0.3, 0.5, 40),
        (-0.4, -0.2, 0.3, 0.5, 3),
        (0.55, 0.8, 0.01, 1.2, 4),
        (0.55, 0.8, 0.01, 1.2, 40),
        (0.05, 0.1, 0.9, 0.3, 4),
    ],
)
def test_two_ways_of_slicing_agree(alpha, a, b, gamma, d):
    value = bound.general_probability(alpha, a, b, gamma, d)
    assert value.probability == pytest.approx(by_target_axis(alpha, a, b, gamma, d), abs=1e-6)
    assert 0.0 <= value.error < 1e-9


def test_two_dimensions_are_arcs_of_a_circle():
    """d = 2: count a fine grid of angles, exact to the grid's step."""
    angles = (np.arange(400_000) + 0.5) * (2.0 * np.pi / 400_000)
    for alpha, a, b, gamma in [(0.5, 0.6, 0.3, 0.4), (-0.3, 0.1, 0.2, 0.9), (0.8, 0.9, 0.4, 0.2)]:
        x, y = a + gamma * np.cos(angles), b + gamma * np.sin(angles)
        share = float((x >= alpha * np.hypot(x, y)).mean())
        assert bound.general_probability(alpha, a, b, gamma, 2).probability == pytest.approx(share, abs=1e-5)


def test_one_dimension_is_two_directions():
    """z is 1 and f is -1 or 1: the cosine is the sign of p - gamma or of p + gamma, 0 where they cancel."""
    levels = [-1.0, -0.5, 0.0, 0.5, 1.0]
    for a, gamma, expected in [
        (0.0, 2.0, [1.0, 0.5, 0.5, 0.5, 0.5]),
        (0.6, 1.0, [1.0, 0.5, 0.5, 0.5, 0.5]),
        (1.0, 0.3, [1.0, 1.0, 1.0, 1.0, 1.0]),
        (-0.8, 0.3, [1.0, 0.0, 0.0, 0.0, 0.0]),
        (0.5, 0.5, [1.0, 1.0, 1.0, 0.5, 0.5]),
    ]:
        assert bound.general_probability(levels, a, 0.0, gamma, 1).probability.tolist() == expected
    with pytest.raises(ValueError, match=r"b: 0\.1, a number in \(-inf, 0\] is needed"):
        bound.general_probability(0.5, 0.3, 0.1, 1.0, 1)


def test_projection_along_the_target_is_one_tail():
    """b = 0: cos >= alpha outside the roots t of (a + gamma t)^2 = alpha^2 (a^2 + gamma^2 + 2 a gamma t)."""
    a, gamma, alpha, d = 0.8, 0.6, 0.75, 12
    roots = np.roots([gamma**2, 2 * a * gamma * (1 - alpha**2), a * a - alpha**2 * (a * a + gamma**2)])
    assert -1.0 < roots.min() < roots.max() < 1.0
    expected = float(AlignmentLaw(d).cdf(roots.min()) + AlignmentLaw(d).sf(roots.max()))
    assert bound.general_probability(alpha, a, 0.0, gamma, d).probability == pytest.approx(expected, rel=1e-10)
    nearly = bound.general_probability(alpha, a, 1e-9, gamma, d).probability
    assert nearly == pytest.approx(expected, rel=1e-8)


def test_general_geometry_without_projection_is_the_law():
    alpha = np.array([-0.5, 0.0, 0.2, 0.6])
    value = bound.general_probability(alpha, 0.0, 0.0, 1.7, 20)
    assert np.allclose(value.probability, AlignmentLaw(20).sf(alpha), rtol=1e-11)


def test_general_geometry_keeps_relative_accuracy_in_the_tail():
    value = bound.general_probability(0.75, 0.0, 0.0, 1.0, 800)
    expected = float(AlignmentLaw(800).sf(0.75))
    assert expected < 1e-140
    assert value.probability == pytest.approx(expected, rel=1e-9, abs=0.0)
    assert value.error < 1e-9 * expected


@pytest.mark.parametrize("b", [0.4, 1e-2, 1e-6])
def test_cuts_are_where_the_integrand_has_its_edges(b, monkeypatch):
    """With the cuts in place no panel needs halving: the first rule is right for any dimension and any b."""
    arguments = np.array([0.55, -0.4, 0.8, 0.3]), np.array([0.5, -0.3, 0.2, 0.7]), b, np.array([0.7, 0.5, 0.9, 0.2])
    for d in (2, 3, 5):
        halved = bound.general_probability(*arguments, d).probability
        monkeypatch.setattr(quadrature, "LEVELS", 0)
        first = bound.general_probability(*arguments, d).probability
        monkeypatch.undo()
        assert np.abs(first - halved).max() < 1e-10


def test_general_degenerate_cases():
    general = bound.general_probability
    assert general([0.5, 0.6, 0.7], 0.6, 0.8, 0.0, 8).probability.tolist() == [
        1.0,
        1.0,
        0.0,
    ]  # gamma = 0: cosine a/s
    assert general([-0.1, 0.0, 0.1], 0.0, 0.0, 0.0, 8).probability.tolist() == [1.0, 1.0, 0.0]  # zhat = 0
    assert general(0.5, 0.6, 0.8, 0.0, 8).error == 0.0
    assert general(-1.0, 0.3, 0.4, 0.7, 8).probability == pytest.approx(1.0, abs=1e-12)
    assert general(1.0, 0.3, 0.4, 0.7, 8).probability == pytest.approx(0.0, abs=1e-12)
    assert general(0.9, 0.5, 0.0, 0.1, 8).probability == pytest.approx(1.0, abs=1e-12)  # the cone holds the ball
    assert general(0.9, -0.5, 0.1, 0.1, 8).probability == 0.0
    assert general([], 0.5, 0.0, 0.1, 8).probability.shape == (0,)
    assert general(np.zeros((2, 3)), 0.5, 0.1, 0.1, 8).probability.shape == (2, 3)


def test_general_geometry_is_near_the_bound_when_projection_and_residual_are_orthogonal():
    """With p perpendicular to r, letting f leave the complement moves the value by about 1/sqrt(d)."""
    s, gamma, alpha = 0.7, 0.4, 0.62
    for d in (16, 256):
        general = bound.general_probability(alpha, s * s, s * math.sqrt(1 - s * s), gamma, d).probability
        count = simulated(alpha, s, gamma, d, 10_000, d, orthogonal=False)
        assert stats.binomtest(count, 10_000, float(general)).pvalue > FALSE_ALARM
        assert abs(general - bound.probability(alpha, s, gamma, d)) < 1.0 / math.sqrt(d)


def with_mpmath(alpha, a, b, gamma, d):
    """The same slices with 30 digits, between the x at which the limit is -1 or 1: roots of a quartic polynomial."""
    with mpmath.workdps(30):
        alpha, a, b, gamma, d = map(mpmath.mpf, (alpha, a, b, gamma, d))
        squares, nu = a * a + b * b + gamma * gamma, (d - 1) / 2
        c2, c1, c0 = gamma**2, 2 * a * gamma * (1 - alpha**2), a * a - alpha**2 * squares
        edge = 4 * alpha**4 * gamma**2 * b * b
        quartic = [c2**2, 2 * c2 * c1, c1**2 + 2 * c2 * c0 + edge, 2 * c1 * c0, c0**2 - edge]
        roots = mpmath.polyroots(quartic, maxsteps=500, extraprec=200)
        kinks = [mpmath.re(root) for root in roots if abs(mpmath.im(root)) < 1e-12] + [-a / gamma]
        constant = mpmath.gamma(nu + 0.5) / (mpmath.sqrt(mpmath.pi) * mpmath.gamma(nu))

        def cdf(v):
            order = (d - 2) / 2
            return mpmath.betainc(order, order, 0, (1 + min(max(v, -1), 1)) / 2, regularized=True)

        def density(x):
            width, along = (1 - x) * (1 + x), a + gamma * x
            if width <= 0:
                return mpmath.mpf(0)
            limit = along * along / alpha**2 - (squares + 2 * gamma * a * x)
            limit /= 2 * gamma * b * mpmath.sqrt(width)
            if alpha > 0:
                inside = cdf(limit) if along >= 0 else 0
            else:
                inside = 1 if along >= 0 else cdf(-limit)
            return constant * width ** (nu - 1) * inside

        return mpmath.quad(density, [-1, *sorted(x for x in set(kinks) if -1 < x < 1), 1])


@pytest.mark.parametrize(
    ("alpha", "a", "b", "gamma", "d"),
    [
        (0.5, 0.6, 0.2, 1.0, 2.01),
        (0.95, 0.6, 0.2, 0.1, 2.01),
        (0.93, 0.6, 0.2, 0.1, 2.01),
        (0.3, 0.6, 0.2, 1.0, 2.2),
        (0.5, 0.6, 0.2, 1.0, 2.5),
        (-0.2, 0.1, 0.5, 0.7, 3.1),
        (0.5, 0.3, 0.4, 0.5, 3),  # |p| = gamma: zhat may be nearly zero
        (0.9, 0.9, 0.2, 0.3, 8),
        (0.6, 0.36, 0.48, 1.0, 64),
        (0.9, 0.3, 0.2, 0.5, 64),  # 2e-14
    ],
)
def test_general_probability_against_thirty_digits(alpha, a, b, gamma, d):
    value, exact = bound.general_probability(alpha, a, b, gamma, d), with_mpmath(alpha, a, b, gamma, d)
    distance = abs(float(value.probability - exact))
    assert distance < 3e-11 * exact
    assert distance <= value.error and value.error < (1e-10 if d >= 3 else 1e-9)
    assert value.error > 0.0


@pytest.mark.parametrize("d", [4, 8, 64])
@pytest.mark.parametrize("gamma", [1e-6, 1e-8, 1e-10])
def test_the_error_says_what_rounding_makes_of_a_small_gamma(gamma, d):
    """p = (3, 4): as gamma / |p| goes to 0, u has to reach ((alpha - 3/5) |p| / gamma) / (4/5)."""
    for alpha in (0.6, np.nextafter(0.6, 1.0), 0.6 + 0.3 * gamma / 5, 0.6 - 0.1 * gamma / 5):
        needed = float((Fraction(float(alpha)) - Fraction(3, 5)) * 5 / Fraction(gamma) * Fraction(5, 4))
        value = bound.general_probability(alpha, 3.0, 4.0, gamma, d)
        distance = abs(float(value.probability - AlignmentLaw(d).sf(needed)))
        assert distance <= value.error + gamma, "gamma: of what is left out above"
        assert value.error < 1e-11 + 1e-13 / gamma


def test_the_error_is_of_what_rounding_may_have_moved_over_an_edge():
    """V(0) is .2 of the way inside, and rounds to below -1."""
    given = 0.1947849390344483, 0.25967041104814037, 1.3075789066569106, 1.3331133933420637e-17
    value = bound.general_probability(*given, 3)
    with mpmath.workdps(60):
        alpha, a, b, gamma = map(mpmath.mpf, given)
        s = mpmath.hypot(a, b)
        exact = (1 - (alpha - a / s) * s / gamma * s / b) / 2  # uniform where d = 3
    assert 0.6 < exact < 0.7 and abs(value.probability - exact) <= value.error <= 1.0


@pytest.mark.parametrize(
    ("arguments", "exact"),  # by quadrature in 50 digits; that of d = 2 by arcs
    [
        ((0.9999999999998458, 0.699999999999892, 3.8873377875451403e-07, 2.4303589572151547e-11, 3), 0.812973),
        ((0.9999999999999947, 0.699999999999996, 7.415867455779161e-08, 1.5948764919818634e-09, 3), 0.0),
        ((0.9999999999999845, 0.6999999999999891, 1.2340365178467135e-07, 8.431719723708308e-12, 2), 1.0),
        ((-0.9999999999997321, -0.45246234977190236, 3.3125621603739195e-07, 3.724250108440344e-10, 6), 0.642251),
        ((0.9999927486449247, 0.6999999999998768, 4.1506597373625853e-07, 0.002666179908090803, 2), 0.9920528973031522),
        ((0.9999999999998717, 0.0, 0.016087108452036092, 0.01608710845203401, 2), 0.0),
        ((0.9992170818797249, -0.005151005839698903, 0.13008658050786398, 0.13018852211098672, 2), 8.076028247e-08),
        ((0.9997332076179886, 0.6999999999999996, 2.29569471922509e-08, 0.01616853911492475, 4), 0.9992852142703699),
        (
            (-0.9724900144667448, -0.6999999999992921, 9.954926468023884e-07, 0.16306119760265034, 3),
            0.00127804110827428887,
        ),
    ],
)
def test_the_error_is_known_where_p_is_nearly_parallel_to_z_or_zhat_nearly_0(arguments, exact):
    value = bound.general_probability(*arguments)
    assert abs(value.probability - exact) <= value.error <= 1.0


@pytest.mark.parametrize("b", [0.0, 1e-8, 1e-5, 1e-3, 0.5])
@pytest.mark.parametrize("gamma", [1e-6, 1e-12])
def test_what_is_sure_at_a_small_gamma_has_no_error(b, gamma):
    value = bound.general_probability(np.array([0.8, 0.85]), 1.0, b, gamma, 8)
    assert value.probability == pytest.approx(1.0, abs=1e-10) and value.error.max() < 1e-10


def test_the_error_of_a_rule_that_is_too_coarse_is_not_hidden(monkeypatch):
    """Without halving, an integrand with weak singularities is integrated badly, and the estimate says so."""
    arguments = np.array([0.5, 0.3, -0.2]), 0.6, 0.2, 1.0, 2.3
    right = bound.general_probability(*arguments).probability
    monkeypatch.setattr(quadrature, "LEVELS", 0)
    coarse = bound.general_probability(*arguments)
    distance = np.abs(coarse.probability - right)
    assert np.all(distance > 1e-9) and np.all(distance <= coarse.error)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e200, 1e300])
def test_only_ratios_of_lengths_matter(scale):
    """Powers of ten: a length may change in its last digit."""
    alpha = np.array([-0.3, 0.2, 0.64, 0.9])
    with np.errstate(all="raise"):
        general = bound.general_probability(alpha, 0.6 * scale, 0.5 * scale, 0.7 * scale, 24).probability
        beta = bound.beta(alpha, 0.6 * scale, 0.7 * scale, norm=scale)
        given = bound.beta(alpha, 0.6 * scale, 0.7 * scale, norm=scale, rho=0.8 * scale)
        cosine = bound.cosine(alpha, 0.6 * scale, 0.7 * scale, norm=scale)
    assert general == pytest.approx(bound.general_probability(alpha, 0.6, 0.5, 0.7, 24).probability, rel=1e-9)
    assert beta == pytest.approx(bound.beta(alpha, 0.6, 0.7), rel=1e-13)
    assert given == pytest.approx(beta, rel=1e-13)
    assert cosine == pytest.approx(bound.cosine(alpha, 0.6, 0.7), rel=1e-13)


@pytest.mark.parametrize("small", [5e-324, 1e-300, 1e-160, 1e-20])
def test_lengths_of_different_size(small):
    """A direction without a projection in comparison, and a projection without a direction."""
    alpha = np.array([-0.3, 0.2, 0.6])
    with np.errstate(all="raise"):
        only_f = bound.general_probability(alpha, small, small, 1.0, 20).probability
        only_p = bound.general_probability(alpha, 0.5, 0.7, small, 20).probability
        sides = bound.beta([0.59, 0.61], 0.6, small)
        no_p = bound.beta(alpha, small, 1.0)
    assert only_f == pytest.approx(AlignmentLaw(20).sf(alpha), rel=1e-9)
    assert only_p.tolist() == [1.0, 1.0, 0.0]  # the cosine of p is .58
    assert sides[0] < -1e17 and sides[1] > 1e17
    assert no_p == pytest.approx(alpha, rel=1e-9)


def test_beta_with_small_s_and_gamma():
    """The second term of (2) is as large as the first where s is as small as gamma."""
    for small in (1e-200, 1e-310):
        assert bound.beta(0.25, small, small) == pytest.approx(0.25 * math.sqrt(2.0), rel=1e-9)  # s^2 is nothing
    with mpmath.workdps(40):
        s, gamma, alpha, norm = map(mpmath.mpf, (3e-200, 2e-200, 0.5, 5e-200))
        exact = (alpha * norm * mpmath.sqrt(s**2 + gamma**2) - s**2) / (gamma * mpmath.sqrt(norm**2 - s**2))
    assert bound.beta(0.5, 3e-200, 2e-200, norm=5e-200) == pytest.approx(float(exact), rel=1e-14)
    assert bound.beta(1e-200, 1e-200, 1.0, rho=0.0) == np.inf  # the cosine is 1e-400, below alpha
    assert bound.beta(0.5, 1e-200, 0.0, norm=1e-200) == -np.inf
    assert bound.beta(0.5, 2e-201, 0.0, norm=1e-200) == np.inf


def test_a_cosine_of_one_has_probability_zero():
    """And of more than -1 probability 1: no rounding, and no search for a needle in noise."""
    for b in (0.0, 0.4):
        value = bound.general_probability([1.0, -1.0], 0.3, b, 0.7, [8, 2])
        assert value.probability.tolist() == [0.0, 1.0] and value.error.tolist() == [0.0, 0.0]
        near = bound.general_probability(1.0 - 1e-15, 0.3, b, 0.7, 8)
        assert 0.0 <= near.probability <= 1e-30


def in_the_plane(alpha, a, b, gamma):
    """P(cos >= alpha) for d = 2 in 50 digits: arcs of the circle of f between its crossings with two rays."""
    with mpmath.workdps(50):
        alpha, a, b, gamma = map(mpmath.mpf, (alpha, a, b, gamma))
        crossings, share = [], mpmath.mpf(0)
        for slope in (mpmath.sqrt((1 - alpha) * (1 + alpha)), -mpmath.sqrt((1 - alpha) * (1 + alpha))):
            foot, offset = a * alpha + b * slope, a * slope - b * alpha
            if abs(offset) < gamma:
                for root in (mpmath.sqrt(gamma**2 - offset**2), -mpmath.sqrt(gamma**2 - offset**2)):
                    crossings.append(mpmath.atan2((foot + root) * slope - b, (foot + root) * alpha - a))
        crossings.sort()
        ends = [*crossings[1:], *[angle + 2 * mpmath.pi for angle in crossings[:1]]]
        for begin, end in zip(crossings, ends, strict=True):
            x, y = a + gamma * mpmath.cos((begin + end) / 2), b + gamma * mpmath.sin((begin + end) / 2)
            share += (end - begin) * (x >= alpha * mpmath.sqrt(x * x + y * y))
        return float(share / (2 * mpmath.pi))


@pytest.mark.parametrize("away", [2.0**-53, 5e-16, 1e-14, 1e-12, 1e-9, 1e-5, 0.1])
def test_the_error_is_honest_however_near_one_the_cosine_is(away):
    rng = np.random.default_rng(1)
    s, scale = rng.uniform(0.1, 1.0, 20), rng.choice([1.0, 1e-3, 1e3], 20)
    a, b, gamma = s * s, s * np.sqrt(1 - s * s), np.sqrt(1 - s * s) * scale
    found = bound.general_probability(1.0 - away, a, b, gamma, 2)
    exact = np.array([in_the_plane(1.0 - away, *one) for one in zip(a, b, gamma, strict=True)])
    assert (np.abs(found.probability - exact) <= found.error + 1e-300).all()


@pytest.mark.parametrize("away", [3e-16, 1e-12, 7.7e-9, 1e-7, 5e-5, 1e-3])
def test_the_error_is_honest_however_near_the_weight_is_to_the_length_of_the_projection(away):
    """There a translation is nearly zero in a direction that a coarse rule does not see."""
    rng = np.random.default_rng(2)
    alpha, turn, sign = rng.uniform(-0.99, 0.99, 10), rng.uniform(0.0, np.pi, 10), rng.choice([-1.0, 1.0], 10)
    a, b, gamma = np.cos(turn), np.sin(turn), 1.0 + sign * away
    for scale in (1.0, 0.3):
        found = bound.general_probability(alpha, scale * a, scale * b, scale * gamma, 2)
        exact = np.array([in_the_plane(*one) for one in zip(alpha, scale * a, scale * b, scale * gamma, strict=True)])
        assert (np.abs(found.probability - exact) <= found.error).all() and found.error.max() < 2e-12
    for d in (2.3, 3, 6):
        found = bound.general_probability(0.6, -0.5, 0.4, np.hypot(0.5, 0.4) * (1.0 + away), d)
        exact = float(with_mpmath(0.6, -0.5, 0.4, np.hypot(0.5, 0.4) * (1.0 + away), d))
        assert abs(found.probability - exact) <= found.error < 1e-9 * exact + 1e-12


def test_noise_is_not_halved_for_ever():
    """An integrand without any smoothness ends after a bounded number of calls, with an error that says so."""
    calls = []

    def noise(i, x):
        calls.append(len(i))
        return np.sin(1e15 * x) ** 2

    value, error = quadrature.integrate(noise, np.array([[0.0, 1.0]]))
    assert sum(calls) < 10 * quadrature.CROWD
    assert value == pytest.approx(0.5, abs=0.1) and error > 1e-3


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bound.beta(1.01, 0.5, 1.0), r"alpha: 1\.01, a number in \[-1, 1\] is needed"),
        (lambda: bound.beta(np.nan, 0.5, 1.0), "alpha: nan"),
        (lambda: bound.beta(0.5, 1.1, 1.0), r"s: 1\.1, a number in \[0, 1\] is needed"),
        (lambda: bound.beta(0.5, 2.1, 1.0, norm=2.0), r"s: 2\.1, a number in \[0, 2\] is needed"),
        (lambda: bound.beta(0.5, -0.1, 1.0), r"s: -0\.1"),
        (lambda: bound.beta(0.5, 0.5, -1.0), r"gamma: -1, a number in \[0, inf\) is needed"),
        (lambda: bound.beta(0.5, 0.5, np.inf), "gamma: inf"),
        (lambda: bound.beta(0.5, 0.0, 1.0, norm=0.0), "norm: 0"),
        (lambda: bound.beta(0.5, 0.5, 1.0, rho=1.2), r"rho: 1\.2, a number in \[0, 1\] is needed"),
        (lambda: bound.cosine(1.2, 0.5, 1.0), r"u: 1\.2"),
        (lambda: bound.probability(0.5, 0.5, 1.0, 1), r"d: 1, a number in \[2, inf\) is needed"),
        (
            lambda: bound.probability(0.5, 0.5, 1.0, 0.5, "printed"),
            r"d: 0\.5, a number in \[1, inf\) is needed",
        ),
        (
            lambda: bound.probability(0.5, 0.5, 1.0, 8, "poster"),
            "geometry: poster, printed or sphere",
        ),
        (lambda: bound.mixture_probability(2.0, 0.5, 1.0, 8), "alpha: 2"),
        (lambda: bound.general_probability(0.5, 0.5, -0.1, 1.0, 8), r"b: -0\.1"),
        (lambda: bound.general_probability(0.5, np.nan, 0.1, 1.0, 8), "a: nan"),
        (
            lambda: bound.general_probability(0.5, 0.5, 0.1, 1.0, 1.5),
            r"d: 1\.5, a number in \[2, inf\) is needed",
        ),
        (lambda: bound.general_probability(0.5, 0.5, 0.1, -1.0, 8), "gamma: -1"),
        (lambda: bound.general_probability(-1.5, 0.5, 0.1, 1.0, 8), r"alpha: -1\.5"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("d", [2, 2.5, 3, 8, 512])
@pytest.mark.parametrize(
    ("alpha", "a", "gamma", "exact"),
    [(0.0, -1.0, 1.0, 0.0), (0.0, -0.5, 0.5, 0.0), (0.3, 1.0, np.sqrt(0.91), 1.0), (-0.6, -1.0, 0.8, 0.0)],
)
@pytest.mark.filterwarnings("error")
def test_the_error_is_honest_where_the_cosine_is_just_reached(alpha, a, gamma, exact, d):
    """The extreme cosine of p + gamma f, p along z, is alpha itself: what rounding makes of it is a band of f."""
    found = bound.general_probability(alpha, a, 0.0, gamma, d)
    assert abs(found.probability - exact) <= found.error < 1e-6


def test_a_mixture_has_samples():
    with pytest.raises(ValueError, match="s, gamma, norm, rho: none, those of one sample or more are needed"):
        bound.mixture_probability(0.4, [], 0.5, 6)
