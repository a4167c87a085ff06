"""What gamma does: closed forms against brute force, and the guarantees of the choice on data by simulation."""

import math
from fractions import Fraction

import numpy as np
import pytest

from analysis.theory import bound, gamma
from analysis.theory.arrays import row_cosine, unit_rows
from analysis.theory.betting import lower_mean_limit
from analysis.theory.confidence import group_numbers

FALSE_ALARM = 1e-9  # of every randomised test; the seeds are fixed
GRID = np.concatenate([[0.0], np.logspace(-4, 4, 4001)])


# --- orthogonal geometry --------------------------------------------------------------------------


@pytest.mark.parametrize(("s", "u"), [(0.75, 0.3), (0.2, 0.9), (0.9, -0.4), (0.5, 0.0), (0.6, 1.0)])
def test_peak_gamma_is_the_top_of_the_curve(s, u):
    rho = math.sqrt(1.0 - s * s)
    best = float(gamma.peak_gamma(u, s))
    assert best == pytest.approx(max(rho * u, 0.0), rel=1e-15)
    assert bound.cosine(u, s, best) >= bound.cosine(u, s, GRID).max()
    if u >= 0.0:
        assert bound.cosine(u, s, best) == pytest.approx(math.hypot(s, rho * u), rel=1e-14)


def test_break_even_gamma():
    s, u = 0.75, np.array([-0.5, 0.0, 0.2, 0.5])
    crossing = gamma.break_even_gamma(u, s)
    assert crossing[:2].tolist() == [0.0, 0.0]
    assert np.allclose(bound.cosine(u[2:], s, crossing[2:]), s, rtol=1e-14)
    assert np.all(bound.cosine(u[2:], s, 0.999 * crossing[2:]) > s)
    assert np.all(bound.cosine(u[2:], s, 1.001 * crossing[2:]) < s)
    assert gamma.break_even_gamma(0.9, 0.3) == np.inf  # rho u >= s: every gamma helps
    assert np.all(bound.cosine(0.9, 0.3, GRID) >= 0.3)
    assert gamma.break_even_gamma([-0.1, 0.0, 0.1], 0.0).tolist() == [0.0, np.inf, np.inf]
    assert gamma.break_even_gamma(0.4, 1.5, norm=2.0) == pytest.approx(2.0 * gamma.break_even_gamma(0.4, 0.75))
    assert gamma.break_even_gamma(0.8, 0.75, rho=0.3) == pytest.approx(2 * 0.75**2 * 0.24 / (0.75**2 - 0.24**2))


def test_break_even_alignment():
    """For s = 0.75 the residual must align better than 0.57 before gamma = 1 beats the linear map."""
    needed = float(gamma.break_even_alignment(0.75))
    assert needed == pytest.approx(0.57, abs=0.005)
    assert bound.cosine(needed, 0.75, 1.0) == pytest.approx(0.75, rel=1e-14)
    assert gamma.break_even_gamma(needed, 0.75) == pytest.approx(1.0, rel=1e-12)
    assert bound.alignment_law(512, "sphere").std() == pytest.approx(0.044, abs=5e-4)  # what chance gives
    assert gamma.break_even_alignment(0.95) > 1.0
    assert gamma.break_even_alignment(1.0) == np.inf
    assert gamma.break_even_alignment([0.0, 0.75, 1.0], [1.0, 0.0, 0.0]).tolist() == [0.0, 0.0, 0.0]
    assert gamma.break_even_alignment(0.75, 1e-6) == pytest.approx(1e-6 / (2 * math.sqrt(1 - 0.75**2)), rel=1e-6)


def test_ceiling_at_gamma_one():
    s = np.linspace(0.0, 1.0, 11)
    expected = (s**2 + np.sqrt(1.0 - s**2)) / np.sqrt(s**2 + 1.0)
    assert np.allclose(gamma.ceiling(s), expected, rtol=1e-14)
    assert gamma.ceiling(0.95) < 0.95  # a perfect direction at gamma = 1 loses to the linear map
    assert gamma.ceiling(0.6, 0.8) == pytest.approx(1.0, rel=1e-15)


@pytest.mark.parametrize("geometry", ["printed", "sphere", "complement"])
@pytest.mark.parametrize("delta", [1e-30, 0.01, 0.3, 0.5])
def test_guaranteed_level_only_falls(geometry, delta):
    level = gamma.guaranteed_level(delta, 0.7, GRID, 64, geometry)
    assert level[0] == pytest.approx(0.7, rel=1e-15)
    assert np.all(np.diff(level) <= 1e-15)
    assert level[-1] < level[0]


@pytest.mark.parametrize("geometry", ["printed", "sphere", "complement"])
def test_guaranteed_level_inverts_the_probability(geometry):
    delta = np.array([0.001, 0.05, 0.1, 0.4, 0.5, 0.7, 0.99])
    level = gamma.guaranteed_level(delta, 0.7, 0.4, 64, geometry)
    assert np.allclose(bound.probability(level, 0.7, 0.4, 64, geometry), 1.0 - delta, rtol=1e-11)
    assert np.all(bound.probability(level + 1e-9, 0.7, 0.4, 64, geometry) < 1.0 - delta)


def test_guaranteed_level_at_the_ends():
    lowest, highest = bound.cosine([-1.0, 1.0], 0.7, 0.4)
    assert gamma.guaranteed_level([0.0, 1.0], 0.7, 0.4, 64).tolist() == [lowest, highest]
    assert gamma.guaranteed_level([0.1, 0.5, 0.9], 0.7, 0.4, 2).tolist() == [lowest, highest, highest]  # atoms
    assert gamma.guaranteed_level(0.1, 0.7, 0.0, 64) == pytest.approx(0.7)
    assert gamma.guaranteed_level(0.1, 1.4, 0.0, 64, norm=2.0) == pytest.approx(0.7)


def test_guaranteed_level_may_rise_for_a_guarantee_below_one_half():
    """The statement needs delta < 1/2: at delta = 0.7 the quantile is positive and a small gamma pays."""
    assert gamma.guaranteed_level(0.7, 0.7, 0.02, 64) > 0.7


# --- general geometry -----------------------------------------------------------------------------


def test_general_cosine_is_the_cosine_of_vectors():
    rng = np.random.default_rng(1)
    z, f, p = unit_rows(rng.standard_normal((3, 5)))
    p = 0.8 * p
    for weight in (0.0, 0.3, 2.0):
        translated = p + weight * f
        expected = z @ translated / np.linalg.norm(translated)
        assert gamma.general_cosine(weight, z @ p, z @ f, p @ f, np.linalg.norm(p)) == pytest.approx(expected)
    with np.errstate(all="raise"):  # p = -gamma f: zhat = 0, also where rounding goes past it
        assert gamma.general_cosine(0.5, 0.5, 1.0, [-0.5, -0.5 - 1e-12], 0.5).tolist() == [0.0, 0.0]


def test_general_peak_gamma_against_brute_force():
    rng = np.random.default_rng(2)
    seen = set()
    for _ in range(300):
        z, f, p = unit_rows(rng.standard_normal((3, 3)))
        p = rng.uniform(0.1, 1.5) * p
        numbers = float(z @ p), float(z @ f), float(p @ f), float(np.linalg.norm(p))
        best = float(gamma.general_peak_gamma(*numbers))
        at_best = numbers[1] if best == np.inf else gamma.general_cosine(best, *numbers)
        assert at_best >= gamma.general_cosine(GRID, *numbers).max() - 1e-12
        seen.add("inf" if best == np.inf else "zero" if best == 0.0 else "inner")
    assert seen == {"inf", "zero", "inner"}


def test_general_peak_gamma_contains_the_orthogonal_one():
    s, u = 0.75, np.array([-0.3, 0.0, 0.3, 0.9])
    rho = math.sqrt(1.0 - s * s)
    assert np.allclose(gamma.general_peak_gamma(s * s, rho * u, 0.0, s), gamma.peak_gamma(u, s), rtol=1e-14)
    assert gamma.general_peak_gamma(0.0, 0.2, 0.0, 0.0) == np.inf  # no projection: any gamma
    assert gamma.general_peak_gamma(0.0, -0.2, 0.0, 0.0) == 0.0


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e200, 1e300])
def test_only_ratios_of_lengths_matter(scale):
    weights, u = np.array([0.0, 0.4, 3.0]), np.array([0.1, 0.5, 0.7])
    with np.errstate(all="raise"):
        cosine = gamma.general_cosine(weights * scale, 0.5 * scale, 0.3, -0.2 * scale, 0.8 * scale)
        peak = gamma.general_peak_gamma(0.5 * scale, 0.6, -0.2 * scale, 0.8 * scale)
        crossing = gamma.break_even_gamma(u, 0.6 * scale, norm=scale)
        needed = gamma.break_even_alignment(0.6 * scale, weights * scale, norm=scale)
        best = gamma.peak_gamma(u, 0.6 * scale, norm=scale)
        level = gamma.guaranteed_level(0.1, 0.6 * scale, weights * scale, 32, norm=scale)
    assert cosine == pytest.approx(gamma.general_cosine(weights, 0.5, 0.3, -0.2, 0.8), rel=1e-14)
    assert peak / scale == pytest.approx(gamma.general_peak_gamma(0.5, 0.6, -0.2, 0.8), rel=1e-14)
    assert crossing / scale == pytest.approx(gamma.break_even_gamma(u, 0.6), rel=1e-13)
    assert needed == pytest.approx(gamma.break_even_alignment(0.6, weights), rel=1e-14)
    assert best / scale == pytest.approx(gamma.peak_gamma(u, 0.6), rel=1e-14)
    assert level == pytest.approx(gamma.guaranteed_level(0.1, 0.6, weights, 32), rel=1e-13)


def test_lengths_of_different_size():
    with np.errstate(all="raise"):
        assert gamma.general_cosine([1e-300, 1e300], 0.5, 0.3, -0.2, 0.8) == pytest.approx([0.625, 0.3], rel=1e-14)
        assert gamma.break_even_gamma(1e-200, 0.6) == pytest.approx(1.6e-200, rel=1e-13)
        assert gamma.break_even_alignment(1e-300, 1e300) == pytest.approx(1e-300, rel=1e-14)
        assert gamma.break_even_alignment(0.6, 1e-300) == pytest.approx(1e-300 / 1.6, rel=1e-14)


def test_general_cosine_where_the_direction_cancels_the_projection():
    """zhat is 1e-8 long: |zhat|^2 = (s - gamma)^2 + 2 gamma (s + q) keeps digits that the sum of squares loses."""
    s, weight = 0.5, 0.5 + 1e-8
    exact = Fraction(weight) - Fraction(s)  # f = -p/s, so that zhat = (s - gamma) p/s, against z = p/s
    assert gamma.general_cosine(weight, s, -1.0, -s, s) == pytest.approx(-1.0, rel=1e-7)
    assert gamma.general_cosine(weight, 0.0, 0.5, -s, s) == pytest.approx(float(Fraction(weight) / 2 / exact), rel=1e-7)


# --- the choice on data ---------------------------------------------------------------------------


def synthetic(noise, rows=3000, d=32, seed=0):
    """z = normalise(linear + tanh features + noise): least-squares p, z, another draw z', and E[z|c]."""
    rng = np.random.default_rng(seed)
    c = rng.standard_normal((rows, 12))
    signal = c @ rng.standard_normal((12, d)) / 4 + np.tanh(2 * c @ rng.standard_normal((12, 24))) @ (
        rng.standard_normal((24, d)) / 8
    )
    scale = noise * np.sqrt((signal**2).mean())
    z, fresh = (unit_rows(signal + scale * rng.standard_normal((rows, d))) for _ in range(2))
    projection = c @ np.linalg.lstsq(c, z, rcond=None)[0]
    mean = np.mean([unit_rows(signal + scale * rng.standard_normal((rows, d))) for _ in range(60)], axis=0)
    return projection, z, fresh, mean


@pytest.mark.parametrize("noise", [0.3, 0.7, 1.5])
def test_mean_of_the_residual_helps_and_a_single_draw_at_gamma_one_hurts(noise):
    projection, z, fresh, mean = synthetic(noise)
    by_mean = gamma.best_gamma(projection, unit_rows(mean - projection), z)
    assert by_mean.gamma > 0.0 and by_mean.lower_limit > 0.0
    assert by_mean.certified_gamma == by_mean.gamma
    one_draw = unit_rows(projection + fresh)
    at_one = float((one_draw * z).sum(axis=1).mean())
    if noise >= 0.7:
        assert at_one < by_mean.linear_cosine < by_mean.cosine
    # the best gamma is about the mean of rho u
    r = z - projection
    along = (r * unit_rows(mean - projection)).sum(axis=1).mean()
    assert by_mean.gamma == pytest.approx(along, rel=0.35)


def test_best_gamma_is_never_worse_than_the_linear_part():
    rng = np.random.default_rng(3)
    for _ in range(60):
        rows = int(rng.integers(2, 30))
        p, f, z = rng.standard_normal((3, rows, 5))
        result = gamma.best_gamma(p, f, z)
        zhat = p + result.gamma * f
        direct = ((z * zhat).sum(axis=1) / np.linalg.norm(z, axis=1) / np.linalg.norm(zhat, axis=1)).mean()
        assert result.cosine >= result.linear_cosine
        assert result.cosine == pytest.approx(direct, rel=1e-12)
        assert result.gamma >= 0.0
        assert result.certified_gamma in (0.0, result.gamma)


def test_best_gamma_against_brute_force():
    rng = np.random.default_rng(4)
    rows, d = 400, 6
    z = unit_rows(rng.standard_normal((rows, d)))
    p, f = 0.5 * z + 0.2 * rng.standard_normal((rows, d)), z + rng.standard_normal((rows, d))
    result = gamma.best_gamma(p, f, z)
    chosen = slice(0, None, 2)  # the half that chooses
    numbers = [(x * y).sum(axis=1)[chosen] for x, y in [(z, p), (z, f), (p, f), (p, p), (f, f)]]
    a, t, q, pp, ff = (x[:, None] for x in numbers)
    grid = np.linspace(0.0, 3.0, 30_001)
    curve = ((a + grid * t) / np.sqrt(pp + grid**2 * ff + 2.0 * grid * q)).mean(axis=0)
    assert result.gamma == pytest.approx(grid[curve.argmax()], abs=2e-4)
    # gamma scales with the direction, the cosine does not
    for factor in (1e-6, 10.0, 1e6):
        scaled = gamma.best_gamma(p, factor * f, 3.0 * z)
        assert scaled.gamma * factor == pytest.approx(result.gamma, rel=1e-5)
        assert scaled.cosine == pytest.approx(result.cosine, rel=1e-9)
    # the limit comes from the other half
    rest = slice(1, None, 2)
    gains = [
        z[i] @ zhat / np.linalg.norm(zhat) - z[i] @ p[i] / np.linalg.norm(p[i])
        for i in range(rows)[rest]
        for zhat in [p[i] + result.gamma * f[i]]
    ]
    assert result.lower_limit == pytest.approx(lower_mean_limit(gains, 0.95, low=-2.0, high=2.0), rel=1e-9)


def test_useless_directions_leave_gamma_at_zero():
    rng = np.random.default_rng(5)
    z = unit_rows(rng.standard_normal((200, 8)))
    p = 0.6 * z + 0.2 * rng.standard_normal((200, 8))
    against = gamma.best_gamma(p, p - z, z, confidence=0.9)
    assert against == (0.0, against.linear_cosine, against.linear_cosine, 0.0, 0.9)
    with np.errstate(all="raise"):
        nothing = gamma.best_gamma(p, np.zeros_like(p), z)
    assert nothing.gamma == 0.0 and nothing.certified_gamma == 0.0


def test_certified_gamma_falls_back_where_the_evidence_is_thin():
    rng = np.random.default_rng(6)
    z = unit_rows(rng.standard_normal((12, 8)))
    p = 0.6 * z + 0.3 * rng.standard_normal((12, 8))
    result = gamma.best_gamma(p, z - p + 0.2 * rng.standard_normal((12, 8)), z)
    assert result.gamma > 0.0 and result.lower_limit < 0.0 and result.certified_gamma == 0.0


@pytest.mark.parametrize("limit", [-0.5, -0.02, -1e-12])
def test_no_gamma_is_certified_that_may_harm_at_all(limit):
    chosen = gamma.ChosenGamma(0.4, 0.6, 0.5, limit, 0.95)
    assert chosen.certified_gamma == 0.0
    assert (
        chosen._replace(lower_limit=0.0).certified_gamma == chosen._replace(lower_limit=-limit).certified_gamma == 0.4
    )


def test_the_limit_comes_from_groups_that_did_not_choose():
    """Groups of unequal size in any order: the odd ones of `group_numbers`, each by its mean, and only they."""
    rng = np.random.default_rng(8)
    label = rng.permutation(np.repeat(np.arange(60), rng.integers(1, 9, 60)))
    z = unit_rows(rng.standard_normal((len(label), 8)) + 2.0 * rng.standard_normal((60, 8))[label])
    p = 0.6 * z + 0.2 * rng.standard_normal(z.shape)
    f = z - p + 0.3 * rng.standard_normal(z.shape)
    found = gamma.best_gamma(p, f, z, group=label, confidence=0.8)
    assert found.gamma > 0.0
    number = group_numbers(label, len(z))
    gain = row_cosine(p + found.gamma * f, z) - row_cosine(p, z)
    means = [gain[number == g].mean() for g in range(1, 60, 2)]
    assert found.lower_limit == pytest.approx(lower_mean_limit(means, 0.8, low=-2.0, high=2.0), rel=1e-9)
    chosen_on = number % 2 == 0
    other = gamma.best_gamma(p, np.where(chosen_on[:, None], f, -f), z, group=label)
    assert other.gamma in (0.0, pytest.approx(found.gamma, rel=1e-6))  # the rest has no say in the choice


def test_one_group_counts_once_however_many_rows_it_has():
    """A row repeated 500 times within its group moves neither gamma nor the limit: rows of a group say the same."""
    rng = np.random.default_rng(9)
    z = unit_rows(rng.standard_normal((40, 8)))
    p = 0.6 * z + 0.2 * rng.standard_normal((40, 8))
    f = z - p + 0.3 * rng.standard_normal((40, 8))
    once = gamma.best_gamma(p, f, z)
    repeats = np.ones(40, dtype=int)
    repeats[1] = 500  # a group that checks
    many = gamma.best_gamma(
        *(np.repeat(x, repeats, axis=0) for x in (p, f, z)), group=np.repeat(np.arange(40), repeats)
    )
    assert many.gamma == pytest.approx(once.gamma, rel=1e-6)
    assert many.lower_limit == pytest.approx(once.lower_limit, rel=1e-6)


def test_groups_stay_together():
    """Every row twice, as a group of two: the same choice and the same limit as once."""
    rng = np.random.default_rng(7)
    z = unit_rows(rng.standard_normal((300, 8)))
    p = 0.6 * z + 0.2 * rng.standard_normal((300, 8))
    f = z - p + 0.3 * rng.standard_normal((300, 8))
    once = gamma.best_gamma(p, f, z)
    twice = gamma.best_gamma(*(np.repeat(x, 2, axis=0) for x in (p, f, z)), group=np.repeat(np.arange(300), 2))
    assert twice == pytest.approx(once, rel=1e-6)
    separate = gamma.best_gamma(*(np.repeat(x, 2, axis=0) for x in (p, f, z)))
    assert separate.lower_limit > once.lower_limit  # what the copies would fake


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e170, 1e300])
@pytest.mark.filterwarnings("error")
def test_best_gamma_does_not_depend_on_lengths(scale):
    z, noise, f = np.random.default_rng(8).standard_normal((3, 60, 4))
    p = 0.5 * z + noise
    once = gamma.best_gamma(p, z + f, z)
    assert once.cosine > once.linear_cosine > 0.1
    assert gamma.best_gamma(scale * p, scale * (z + f), scale * z) == pytest.approx(once, rel=1e-6)
    rows = np.where(np.arange(60) % 2 > 0, scale, 1.0)[:, None]  # of every other row alone
    assert gamma.best_gamma(rows * p, rows * (z + f), z / rows)[1:] == pytest.approx(once[1:], rel=0.02)
    if 1e-200 < scale < 1e200:
        assert gamma.best_gamma(scale * p, z + f, z) == pytest.approx((scale * once.gamma, *once[1:]), rel=1e-6)
    with pytest.raises(ValueError, match="direction: length .*, one within 1e300 times"):
        gamma.best_gamma(1e-160 * p, 1e160 * f, z)


# --- refusals -------------------------------------------------------------------------------------

EYE = np.eye(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gamma.peak_gamma(1.5, 0.5), r"u: 1\.5, a number in \[-1, 1\] is needed"),
        (lambda: gamma.break_even_gamma(0.5, 1.5), r"s: 1\.5"),
        (lambda: gamma.break_even_alignment(0.5, -1.0), "gamma: -1"),
        (lambda: gamma.guaranteed_level(1.5, 0.5, 1.0, 8), r"delta: 1\.5"),
        (lambda: gamma.general_cosine(-1.0, 0.1, 0.1, 0.1, 0.5), "gamma: -1"),
        (lambda: gamma.general_peak_gamma(np.nan, 0.1, 0.1, 0.5), "a: nan"),
        (lambda: gamma.general_peak_gamma(0.1, 0.1, 0.1, -0.5), r"s: -0\.5"),
        (lambda: gamma.best_gamma(EYE, EYE[:2], EYE), "rows: projection 3, direction 2, targets 3"),
        (lambda: gamma.guaranteed_level(-0.5, 0.5, 1.0, 8), r"delta: -0\.5"),
        (lambda: gamma.best_gamma(EYE, EYE, EYE[:, :2]), "columns: 3, 3, 2"),
        (lambda: gamma.best_gamma(EYE, EYE[:, :2], EYE[:, :2]), "columns: 3, 2, 2"),
        (lambda: gamma.best_gamma(EYE, EYE, EYE * [[1], [0], [1]]), "targets: row 1 is zero"),
        (lambda: gamma.best_gamma(EYE * np.nan, EYE, EYE), "projection: row 0"),
        (
            lambda: gamma.best_gamma(EYE, EYE, EYE, group=[0, 0, 0]),
            "group: 1 group, at least 2 are needed",
        ),
        (lambda: gamma.best_gamma(EYE, EYE, EYE, confidence=1.0), "confidence: 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
