"""Certificates: exact limits by independent oracles, coverage by simulation, verdicts that must come out."""

import json
from dataclasses import FrozenInstanceError
from itertools import product

import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from analysis.experiments.synthetic import synthetic_pairs
from analysis.plots import certificates as figures
from analysis.theory.bound import general_probability, probability
from analysis.theory.certify import certify, certify_cosines, certify_translator
from analysis.theory.distribution_free import SurvivalBand, betting_interval, lower_limit, survival_band
from analysis.theory.dominance import GRID, fewer_than_expected, judge_dominance
from analysis.theory.premises import Claim, Parts, Premises, measure_premises
from analysis.theory.sphere import AlignmentLaw
from modtrans_core.config import preset
from modtrans_core.pairs import PairedEmbeddings

FALSE_ALARM = 1e-6  # of one statistical assertion; the seeds are fixed, so a test that passes once always does


def unit_rows(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def orthogonal_parts(n, d, s, rng, alignment=None):
    """p perpendicular to r and f to p, |z| = 1, |p| = s; f uniform there, or with the given alignments u
    (n,).
    """
    frame = np.linalg.qr(rng.standard_normal((n, d, 3)))[0].transpose(2, 0, 1)
    p, e, other = frame[0], frame[1], frame[2]
    target = s * p + np.sqrt(1 - s**2) * e
    if alignment is None:
        free = rng.standard_normal((n, d))
        direction = unit_rows(free - (free * p).sum(axis=1, keepdims=True) * p)
    else:
        u = alignment[:, None]
        direction = u * e + np.sqrt(1 - u**2) * other
    return s * p, direction, target


class TestLowerLimit:
    def test_closed_forms(self):
        assert lower_limit(0, 10) == 0.0
        assert lower_limit(10, 10) == pytest.approx(0.05 ** (1 / 10))  # p^10 = .05
        assert lower_limit(1, 7, 0.9) == pytest.approx(1 - 0.9 ** (1 / 7))  # 1 - (1 - p)^7 = .1

    @pytest.mark.parametrize(("successes", "trials"), [(3, 10), (50, 60), (999, 1000)])
    def test_against_scipy(self, successes, trials):
        oracle = stats.binomtest(successes, trials, alternative="greater").proportion_ci(0.97, method="exact")
        assert lower_limit(successes, trials, 0.97) == pytest.approx(oracle.low, rel=1e-9)

    @pytest.mark.parametrize("trials", [1, 5, 40])
    def test_coverage_is_exact_for_every_probability(self, trials):
        """Summed over all outcomes, no simulation: at least 95% for every p, and hardly more for some."""
        limits = np.array([lower_limit(k, trials) for k in range(trials + 1)])
        p = np.linspace(0.001, 0.999, 999)
        weight = stats.binom.pmf(np.arange(trials + 1), trials, p[:, None])
        coverage = (weight * (limits <= p[:, None])).sum(axis=1)
        assert coverage.min() >= 0.95 - 1e-12
        assert coverage.min() < 0.96

    def test_the_normal_limit_does_not_cover(self):
        """The must-fail twin: mean - 1.645 standard errors at n = 40 falls below 90% somewhere."""
        k, n = np.arange(41), 40
        limits = k / n - stats.norm.ppf(0.95) * np.sqrt(k / n * (1 - k / n) / n)
        p = np.linspace(0.001, 0.999, 999)
        weight = stats.binom.pmf(k, n, p[:, None])
        assert ((weight * (limits <= p[:, None])).sum(axis=1)).min() < 0.9

    def test_counts_may_be_numpy_integers(self):
        assert lower_limit(np.int64(0), np.int64(10)) == 0.0
        assert lower_limit(np.int64(1), np.int64(1), 0.9) == pytest.approx(0.1)  # p = .1

    @pytest.mark.parametrize(("successes", "trials"), [(-1, 3), (4, 3), (0, 0)])
    def test_bad_input(self, successes, trials):
        with pytest.raises(ValueError, match="successes"):
            lower_limit(successes, trials)


class TestBettingInterval:
    def test_by_hand(self):
        """One value: the stake is at most sqrt(8 log(2 / .1)) = 4.9, the wealth 5.9, and to refute it takes 20."""
        assert betting_interval(np.array([1.0]), 0.0, 1.0, 0.9) == (0.0, 1.0)
        low, high = betting_interval(np.ones(200), 0.0, 1.0, 0.9)
        assert high == 1.0 and 0.9 < low < 1.0

    def test_moved_and_stretched_with_the_values(self):
        x = np.random.default_rng(40).random(50)
        low, high = betting_interval(x, 0.0, 1.0)
        assert betting_interval(3 * x - 2, -2.0, 1.0) == pytest.approx((3 * low - 2, 3 * high - 2), abs=1e-9)
        assert betting_interval(1 - x, 0.0, 1.0) == pytest.approx((1 - high, 1 - low), abs=1e-9)

    @pytest.mark.parametrize("rare", [0.01, 0.3])
    def test_it_covers_where_student_does_not(self, rare):
        """The mean of rare ones: of 40 values often none is 1, and Student's interval is then the point 0."""
        rng, trials, right, student = np.random.default_rng(41), 600, 0, 0
        for _ in range(trials):
            x = (rng.random(40) < rare).astype(float)
            low, high = betting_interval(x, 0.0, 1.0, 0.9)
            right += low <= rare <= high
            student += abs(x.mean() - rare) <= stats.t.ppf(0.95, 39) * x.std(ddof=1) / np.sqrt(40)
        assert stats.binom.cdf(right, trials, 0.9) > FALSE_ALARM
        if rare < 0.1:
            assert stats.binom.cdf(student, trials, 0.9) < FALSE_ALARM

    def test_it_is_nearly_as_narrow_as_students(self):
        x = np.random.default_rng(42).beta(20, 20, 2000)
        low, high = betting_interval(x, 0.0, 1.0)
        assert low < x.mean() < high
        assert high - low < 1.6 * 2 * 1.96 * x.std() / np.sqrt(2000)

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"values: 0.0 to 1.5, allowed is 0.0 to 1.0"):
            betting_interval(np.array([0.0, 1.5]), 0.0, 1.0)


class TestBand:
    def test_by_hand(self):
        assert survival_band(np.zeros(8), 1 - 2 * np.exp(-16 * 0.5**2)).half_width == pytest.approx(0.5)
        band = SurvivalBand(np.array([0.1, 0.2, 0.3, 0.4]), half_width=0.25, confidence=0.9)
        np.testing.assert_allclose(band.observed([0.0, 0.1, 0.15, 0.4, 0.5]), [1, 1, 0.75, 0.25, 0])
        np.testing.assert_allclose(band.low([0.1, 0.3, 0.5]), [0.75, 0.25, 0.0])
        np.testing.assert_allclose(band.high([0.1, 0.3, 0.5]), [1.0, 0.75, 0.25])
        assert band.guaranteed_cosine(0.5 - 1e-9) == 0.2
        assert band.guaranteed_cosine(0.9) == -1.0

    def test_the_guarantee_is_the_best_cosine_of_the_band(self):
        """100 distinct cosines: the k-th has (101 - k) / 100 at or above it, less sqrt(log(40) / 200) = .1358."""
        band = survival_band(np.random.default_rng(28).permutation(np.arange(1, 101)) / 100)
        assert band.half_width == pytest.approx(0.13581, abs=1e-5)
        assert band.confidence == 0.95
        assert band.guaranteed_cosine(0.5) == 0.37  # 64 of 100 reach it, and .64 - .1358 >= .5 > .63 - .1358
        assert band.guaranteed_cosine(0.864) == 0.01
        assert band.guaranteed_cosine(0.865) == -1.0

    @pytest.mark.parametrize("q", [0.0, 1.0])
    def test_a_certain_or_an_impossible_share(self, q):
        with pytest.raises(ValueError, match="q: "):
            survival_band(np.zeros(3)).guaranteed_cosine(q)

    def test_coverage_of_the_whole_curve(self):
        """1,000 data sets of 50: the band holds the true curve everywhere in at least 90% of them."""
        rng, law, inside = np.random.default_rng(0), AlignmentLaw(8), 0
        for _ in range(1000):
            band = survival_band(law.rvs(50, rng), confidence=0.9)
            truth, steps = law.sf(band.cosine), np.arange(50) / 50
            distance = max(np.abs(1 - steps - truth).max(), np.abs(1 - steps - 1 / 50 - truth).max())
            inside += distance <= band.half_width
        assert stats.binom.cdf(inside, 1000, 0.9) > FALSE_ALARM
        assert stats.binom.cdf(inside, 1000, 0.95) < FALSE_ALARM  # and it is not much wider than needed


class TestPoissonBinomial:
    def test_against_enumeration(self):
        p = np.array([0.1, 0.5, 0.9, 0.35, 0.0, 1.0])
        totals = np.zeros(7)
        for outcome in product([0, 1], repeat=6):
            totals[sum(outcome)] += np.prod(np.where(outcome, p, 1 - p))
        for k in range(7):
            assert fewer_than_expected(k, p) == pytest.approx(totals[: k + 1].sum(), abs=1e-15)

    def test_equal_probabilities_are_binomial(self):
        for k in (0, 40, 150, 301):
            oracle = stats.binom.cdf(k, 301, 0.3)
            assert fewer_than_expected(k, np.full(301, 0.3)) == pytest.approx(oracle, rel=1e-10)

    def test_a_certain_event_is_not_more_than_certain(self):
        """Rounding puts the sum of all terms above 1 for some of these."""
        rng = np.random.default_rng(29)
        for n in (2, 3, 7, 50):
            for _ in range(20):
                p_value = fewer_than_expected(n, rng.random(n))
                assert p_value <= 1.0
                assert p_value == pytest.approx(1.0)

    @pytest.mark.parametrize("p", [-0.1, 1.1])
    def test_what_is_no_probability(self, p):
        with pytest.raises(ValueError, match=f"probabilities: .*{p}"):
            fewer_than_expected(0, np.array([0.5, p]))

    def test_fewer_than_none(self):
        with pytest.raises(ValueError, match="successes: -1, allowed is 0 to 1"):
            fewer_than_expected(-1, np.array([0.5]))

    def test_bad_input(self):
        with pytest.raises(ValueError, match="probabilities"):
            fewer_than_expected(0, np.array([1.5]))
        with pytest.raises(ValueError, match="successes: 3"):
            fewer_than_expected(3, np.array([0.5]))


class TestDominance:
    n, pairs = 15, 400

    def verdicts(self, draw, trials=300, level=0.1):
        rng = np.random.default_rng(1)
        return [judge_dominance(draw(rng), self.n, level).verdict for _ in range(trials)]

    def test_the_grid_is_the_deciles(self):
        np.testing.assert_allclose(GRID, np.linspace(0.1, 0.9, 9))

    def test_the_ends_are_allowed(self):
        assert judge_dominance(np.array([1.0]), 5).shortfall == 0.0
        assert judge_dominance(np.array([-1.0]), 5).shortfall == 1.0
        assert judge_dominance(np.array([1.0]), 5).refutation_p == 1.0
        assert judge_dominance(np.array([-1.0]), 5).refutation_p == 0.0

    def test_rounding_beyond_the_ends_is_allowed_and_no_more(self):
        inside = np.array([-1.0 - 5e-7, 0.0, 1.0 + 5e-7])
        assert judge_dominance(inside, 5).pairs == 3
        for end in (-1.0, 1.0):
            beyond = np.array([0.0, 0.5, end * (1 + 2e-6)])
            with pytest.raises(ValueError, match=f"alignment: {beyond.min()} to {beyond.max()}"):
                judge_dominance(beyond, 5)

    def test_dimensions_between_one_and_two(self):
        """The law of n = 1.5, by its density (1 - u^2)^((n - 3) / 2): half of it lies above 0."""
        judged = judge_dominance(np.array([0.0]), 1.5)
        assert judged.shortfall == pytest.approx(0.5)
        assert judged.n == 1.5

    def test_a_p_value_at_the_level_decides(self):
        """P(p <= level) <= level for an exact test, with equality allowed; the default level is 5%."""
        rng = np.random.default_rng(30)
        for shift, name, verdict in ((0.05, "support_p", "supported"), (-0.05, "refutation_p", "refuted")):
            u = np.tanh(AlignmentLaw(self.n).rvs(self.pairs, rng) + shift)
            p_value = getattr(judge_dominance(u, self.n), name)
            assert 0.0 < p_value < 1.0
            assert judge_dominance(u, self.n, p_value).verdict == verdict
            assert judge_dominance(u, self.n, p_value * (1 - 1e-12)).verdict != verdict
        assert judge_dominance(u, self.n).level == 0.05

    def test_no_alignment_reaches_the_lowest_decile(self):
        """Every binomial test then has nothing to reject with: its p-value is 1."""
        assert judge_dominance(np.full(20, -0.99), self.n).support_p == 1.0
        assert judge_dominance(np.full(20, 0.99), self.n).support_p == pytest.approx(0.9**20)  # the lowest decile's

    def test_support_needs_every_decile(self):
        """The largest of nine exact binomial p-values; a shift of the upper half alone is not enough."""
        law = AlignmentLaw(self.n)
        u = law.rvs(self.pairs, np.random.default_rng(23))
        u = np.where(u > 0.0, np.tanh(u + 0.5), u)
        by_decile = [
            stats.binomtest(int((u >= law.ppf(q)).sum()), self.pairs, 1 - q, alternative="greater").pvalue
            for q in np.linspace(0.1, 0.9, 9)
        ]
        judged = judge_dominance(u, self.n)
        assert judged.support_p == pytest.approx(max(by_decile), rel=1e-9)
        assert judged.verdict == "undecided"

    def test_statistic_against_scipy(self):
        u = AlignmentLaw(self.n).rvs(50, np.random.default_rng(2))
        oracle = stats.kstest(u, AlignmentLaw(self.n).cdf, alternative="greater", method="exact")
        judged = judge_dominance(u, self.n)
        assert judged.shortfall == pytest.approx(oracle.statistic)
        assert judged.refutation_p == pytest.approx(oracle.pvalue, rel=1e-9)
        assert judged.worst == pytest.approx(oracle.statistic_location)

    def test_the_boundary_case_is_refuted_and_supported_no_more_often_than_allowed(self):
        """u uniform: dominance holds with equality, so both errors are at their largest."""
        verdicts = self.verdicts(lambda rng: AlignmentLaw(self.n).rvs(self.pairs, rng))
        assert stats.binom.sf(verdicts.count("refuted") - 1, 300, 0.1) > FALSE_ALARM
        assert stats.binom.sf(verdicts.count("supported") - 1, 300, 0.1) > FALSE_ALARM
        assert "undecided" in verdicts

    def test_a_good_direction_is_supported(self):
        verdicts = self.verdicts(lambda rng: np.tanh(AlignmentLaw(self.n).rvs(self.pairs, rng) + 0.3), trials=20)
        assert set(verdicts) == {"supported"}

    def test_a_direction_that_points_away_is_refuted(self):
        verdicts = self.verdicts(lambda rng: np.tanh(AlignmentLaw(self.n).rvs(self.pairs, rng) - 0.1), trials=20)
        assert set(verdicts) == {"refuted"}

    def test_a_better_mean_is_not_dominance(self):
        """Nine in ten well aligned, one in ten opposite: the mean is high, and the lower tail refutes
        dominance.
        """

        def draw(rng):
            return np.where(rng.random(self.pairs) < 0.9, 0.6, -0.95)

        assert np.mean(draw(np.random.default_rng(3))) > 0.3
        assert set(self.verdicts(draw, trials=20)) == {"refuted"}

    @pytest.mark.parametrize(
        ("alignment", "n", "level", "words"),
        [
            ([2.0], 5, 0.1, "alignment: 2.0"),
            ([0.0], 1, 0.1, "n: 1"),
            ([0.0], 5, 0.0, "level: 0.0"),
            ([np.nan], 5, 0.1, "nan"),
        ],
    )
    def test_bad_input(self, alignment, n, level, words):
        with pytest.raises(ValueError, match=words):
            judge_dominance(np.array(alignment), n, level)


class TestPremises:
    def test_orthogonal_geometry_is_exact(self):
        rng = np.random.default_rng(4)
        p, f, z = orthogonal_parts(300, 12, 0.7, rng)
        premises = measure_premises(Parts.of(p, f, 0.8, z), 0.6, 0.01)
        assert premises.bound.probability == pytest.approx(probability(0.6, 0.7, 0.8, 12, "complement"))
        assert premises.perpendicular
        assert premises.misjudged == 0.0
        assert premises.dominance.verdict == "undecided"
        assert premises.dominance.n == 11

    def test_p_values_are_binomial_where_all_pairs_are_alike(self):
        rng = np.random.default_rng(31)
        p, f, z = orthogonal_parts(60, 12, 0.7, rng)
        parts = Parts.of(p, f, 0.8, z)
        premises = measure_premises(parts, 0.6, 0.01)
        reached = int((parts.cosine >= 0.6).sum())
        for claim in (premises.bound, premises.exact):
            oracle = stats.binomtest(reached, 60, claim.probability, alternative="less").pvalue
            assert claim.p_value == pytest.approx(oracle, rel=1e-6)
            assert not claim.refuted
        at_its_level = measure_premises(parts, 0.6, premises.bound.p_value)
        below_it = measure_premises(parts, 0.6, premises.bound.p_value * (1 - 1e-12))
        assert (at_its_level.bound.refuted, below_it.bound.refuted) == (True, False)

    def test_typical_angles_by_hand(self):
        """Angles of known cosine, 0, 1/200, ..., 1/2: p against r in the one plane, f against p in another."""
        cosines = np.arange(101) / 200
        sines = np.sqrt(1 - cosines**2)
        zero = np.zeros(101)
        p = np.stack([zero + 0.5, zero, zero], axis=1)
        r = 0.25 * np.stack([-cosines, sines, zero], axis=1)
        f = np.stack([cosines / 2, zero, np.sqrt(1 - cosines**2 / 4)], axis=1)
        size = np.linalg.norm(p + r, axis=1, keepdims=True)
        premises = measure_premises(Parts.of(p / size, f, 1.0, (p + r) / size), 0.5, 0.01)
        assert premises.projection_residual == pytest.approx((0.25, 0.475))
        assert premises.direction_projection == pytest.approx((0.125, 0.2375))
        assert not premises.perpendicular
        words = "\n".join(premises.lines(limit=0.0))
        assert "|cos(p, r)| is 0.2500, of |cos(f, p)| 0.1250." in words

    @pytest.mark.parametrize("leaning", ["residual", "direction"])
    def test_either_angle_can_break_the_geometry(self, leaning):
        p, f, z = orthogonal_parts(50, 8, 0.7, np.random.default_rng(32))
        if leaning == "residual":
            z[17] = unit_rows(z[17] + 1e-4 * p[17])
        else:
            f[17] = unit_rows(f[17] + 1e-4 * p[17])
        assert not measure_premises(Parts.of(p, f, 0.8, z), 0.6, 0.01).perpendicular

    def test_reaching_alpha_exactly_counts(self):
        """zhat = f: cos is <z, f>, 0 or 1 without rounding, and so is the alignment that is needed."""
        z, f = np.eye(4)[[0, 0]], np.eye(4)[[1, 0]]
        for alpha, reached in ((0.0, 2), (1.0, 1)):
            premises = measure_premises(Parts.of(np.zeros((2, 4)), f, 1.0, z), alpha, 0.01)
            p = premises.bound.probability  # of each of the two
            assert premises.bound.p_value == pytest.approx({2: 1.0, 1: 1 - p**2}[reached])
            assert premises.misjudged == 0.0

    def test_a_projection_as_long_as_the_target_is_possible(self):
        """|p| = 1 leaves no residual in the orthogonal geometry: cos = 1 / sqrt(1 + gamma^2) for certain."""
        p, f, z = (np.eye(4)[[k, k]] for k in (0, 1, 2))
        for alpha, certain in ((0.7, 1.0), (0.71, 0.0)):
            assert measure_premises(Parts.of(p, f, 1.0, z), alpha, 0.01).bound.probability == certain

    def test_a_longer_projection_is_misjudged_where_it_reaches_alpha(self):
        """p = 1.5 z is excluded by the orthogonal geometry, and yet zhat points where z does. The other three have
        p = z / 2: f within 120 degrees of z reaches alpha on S^3, and u uniform on [-1, 1] has to reach beta.
        """
        z = np.eye(4)
        p = np.array([1.5, 0.5, 0.5, 0.5])[:, None] * z
        premises = measure_premises(Parts.of(p, z, 0.5, z), 0.5, 0.01)
        assert premises.misjudged == 0.25
        beta = (0.5 * np.sqrt(0.5) - 0.25) / (0.5 * np.sqrt(0.75))
        assert premises.bound.probability == pytest.approx(3 / 4 * (1 - beta) / 2)
        cap = 2 / 3 + np.sqrt(3) / (4 * np.pi)
        assert premises.exact.probability == pytest.approx((1 + 3 * cap) / 4)

    def test_three_dimensions_are_enough_and_two_are_not(self):
        p, f, z = orthogonal_parts(5, 3, 0.7, np.random.default_rng(33))
        assert measure_premises(Parts.of(p, f, 0.8, z), 0.6, 0.01).dominance.n == 2
        with pytest.raises(ValueError, match="d at least 3"):
            Parts.of(p[:, :2], f[:, :2], 0.8, z[:, :2])

    def test_checked_parts_have_unit_length(self):
        p, f, z = orthogonal_parts(5, 4, 0.7, np.random.default_rng(34))
        size = np.array([[0.9995, 1.0005, 1.0, 1.0, 1.0]]).T
        parts = Parts.of(p, size * f, np.arange(5), 7 * z)
        np.testing.assert_allclose(parts.direction, f, atol=1e-12)
        np.testing.assert_allclose(parts.target, z, atol=1e-12)
        np.testing.assert_allclose(parts.translation, p + np.arange(5)[:, None] * f, atol=1e-12)
        with pytest.raises(ValueError, match="direction: row 1 has length 1.002, allowed is 1"):
            Parts.of(p, np.where(size > 1, 1.002, 1.0) * f, 1.0, z)

    @pytest.mark.parametrize("changed", range(3))
    @pytest.mark.parametrize("columns", [5, 7])
    def test_one_shape_for_all(self, changed, columns):
        arrays = list(orthogonal_parts(4, 6, 0.7, np.random.default_rng(40)))
        arrays[changed] = unit_rows(np.ones((4, columns)))
        p, f, z = arrays
        with pytest.raises(ValueError, match=r"allowed is one \(n, d\)"):
            Parts.of(p, f, 1.0, z)

    @pytest.mark.parametrize("gamma", [np.inf, np.nan, -0.5])
    def test_gamma_has_to_be_a_weight(self, gamma):
        p, f, z = orthogonal_parts(5, 4, 0.7, np.random.default_rng(35))
        with pytest.raises(ValueError, match="gamma: negative or not finite"):
            Parts.of(p, f, np.array([1.0, gamma, 1.0, 0.0, 1.0]), z)

    def test_zero_rows_are_named(self):
        p, f, z = orthogonal_parts(5, 4, 0.7, np.random.default_rng(36))
        z[3] = 0.0
        with pytest.raises(ValueError, match="target: row 3 is zero"):
            Parts.of(p, f, 1.0, z)

    def test_exact_geometry_against_simulated_directions(self):
        """One pair whose p and r are far from perpendicular, 4,000 uniform directions."""
        rng = np.random.default_rng(5)
        z, p = np.eye(8)[:1].repeat(4000, 0), np.zeros((4000, 8))
        p[:, 0], p[:, 1] = 0.6, 0.2
        premises = measure_premises(Parts.of(p, unit_rows(rng.standard_normal((4000, 8))), 1.0, z), 0.3, 0.01)
        assert premises.exact.probability == pytest.approx(general_probability(0.3, 0.6, 0.2, 1.0, 8).probability)
        assert premises.exact.probability == pytest.approx(0.778, abs=5e-4)
        reached = (Parts.of(p, unit_rows(rng.standard_normal((4000, 8))), 1.0, z).cosine >= 0.3).sum()
        assert stats.binomtest(int(reached), 4000, premises.exact.probability).pvalue > FALSE_ALARM
        assert not premises.perpendicular
        assert premises.misjudged > 0.01
        assert premises.bound.probability != pytest.approx(premises.exact.probability, abs=0.01)

    def test_marginal_dominance_is_not_enough(self):
        """Uniform alignments as a whole, but the pairs that need the large ones get the small ones."""
        rng = np.random.default_rng(6)
        n, d, alpha = 2000, 30, 0.6
        law = AlignmentLaw(d - 1)
        poor, good = np.sort(law.rvs(n, rng)).reshape(2, -1)
        hard, easy = (orthogonal_parts(n // 2, d, s, rng, u) for s, u in ((0.72, poor), (0.95, good)))
        p, f, z = (np.concatenate(parts) for parts in zip(hard, easy, strict=True))
        premises = measure_premises(Parts.of(p, f, 0.8, z), alpha, 0.01)
        assert premises.dominance.verdict == "undecided"
        assert premises.bound.refuted
        assert premises.exact.refuted

    def test_the_orthogonal_bound_can_be_too_high_for_a_good_direction(self):
        """p leans away from its residual by .25: a uniform direction, made a little better, still misses the
        bound.
        """
        rng = np.random.default_rng(19)
        p, f, z = orthogonal_parts(2000, 20, 0.7, rng)
        z = unit_rows(z - 0.25 * p)
        f = unit_rows(f + 0.1 * unit_rows(z - p))
        premises = measure_premises(Parts.of(p, f, 0.3, z), 0.55, 0.01)
        assert premises.dominance.verdict == "supported"
        assert premises.bound.refuted
        assert not premises.exact.refuted

    def test_a_projection_longer_than_the_target(self):
        """|p| > 1 is impossible in the orthogonal geometry: the bound claims nothing there, the exact one
        does.
        """
        p, f, z = orthogonal_parts(50, 6, 0.8, np.random.default_rng(7))
        premises = measure_premises(Parts.of(2 * p, f, 0.1, z), 0.5, 0.01)
        assert premises.bound.probability == 0.0
        assert premises.exact.probability == pytest.approx(1.0)

    def test_no_projection_is_perpendicular_to_all(self):
        rng = np.random.default_rng(27)
        z, f = unit_rows(rng.standard_normal((2, 300, 6)))
        premises = measure_premises(Parts.of(np.zeros((300, 6)), f, 1.0, z), 0.2, 0.01)
        assert premises.perpendicular
        assert premises.bound.probability == pytest.approx(AlignmentLaw(5).sf(0.2))  # the law of n = d - 1
        assert premises.exact.probability == pytest.approx(AlignmentLaw(6).sf(0.2))  # the truth: f is anywhere

    def test_gamma_zero(self):
        p, f, z = orthogonal_parts(20, 6, 0.8, np.random.default_rng(8))
        premises = measure_premises(Parts.of(p, f, 0.0, z), 0.79, 0.01)
        assert premises.bound == premises.exact == Claim(1.0, 1.0, False)


class TestCertificate:
    def test_from_cosines(self):
        certificate = certify_cosines(np.array([0.2, 0.6, 0.7, 0.9]), 0.6, 0.9)
        assert certificate.each == pytest.approx(0.95)  # two statements
        assert (certificate.successes, certificate.pairs) == (3, 4)
        assert certificate.lower_limit == lower_limit(3, 4, certificate.each)
        assert certificate.premises is None
        assert "bound" not in certificate.text()

    def test_everything_in_one_place(self):
        p, f, z = orthogonal_parts(400, 10, 0.7, np.random.default_rng(9))
        certificate = certify(p, f, 0.5, z, 0.6, 0.95)
        assert certificate.each == pytest.approx(0.99)  # five statements
        assert certificate.band.confidence == pytest.approx(0.99)
        assert certificate.premises.dominance.level == pytest.approx(0.01)
        plain = json.loads(json.dumps(certificate.to_dict()))
        assert plain["premises"]["dominance"]["verdict"] == "undecided"
        assert plain["observed"] == certificate.successes / 400
        for words in ("HOLDS", "UNDECIDED", "NOT REFUTED", f"at least {certificate.lower_limit:.4f}"):
            assert words in certificate.text()

    def test_every_number_of_the_text(self):
        """1,000 cosines from -.499 to .5: the guaranteed ones follow from half width sqrt(log(40) / 2000) = .0429."""
        certificate = certify_cosines(np.arange(-499, 501) / 1000, 0.25, 0.9)
        low = stats.binomtest(251, 1000, alternative="greater").proportion_ci(0.95).low
        assert certificate.text().split("\n") == [
            "1000 independent held-out pairs, of 1000 rows. With confidence 0.9 all of this is right.",
            "Guaranteed, whatever the translator is:",
            f"  P(cos >= 0.25) is at least {low:.4f}; observed is 0.2510.",
            "  Half of all pairs reach a cosine of -0.0420, nine in ten -0.4420; the true curve is within 0.0429 of the"
            " observed one.",
        ]
        assert certificate.to_dict() == {
            "alpha": 0.25,
            "confidence": 0.9,
            "each": pytest.approx(0.95),
            "rows": 1000,
            "pairs": 1000,
            "successes": 251,
            "lower_limit": pytest.approx(low),
            "observed": 0.251,
            "band_half_width": pytest.approx(np.sqrt(np.log(40) / 2000)),
            "guaranteed_cosine": {"0.5": -0.042, "0.9": -0.442},
            "premises": None,
            "expectation": None,
        }

    def test_too_few_pairs_for_a_curve(self):
        few = certify_cosines(cosine=np.array([0.9, 0.8]), alpha=0.5)
        assert few.confidence == 0.95
        nothing = "-1 (these pairs are too few for more)"
        assert f"reach a cosine of {nothing}, nine in ten {nothing};" in few.text()

    def test_the_ends_of_alpha_are_allowed(self):
        cosine = np.array([-1.0, 0.0, 1.0])
        assert [certify_cosines(cosine, alpha).successes for alpha in (-1.0, 1.0)] == [3, 1]
        for alpha in (-1.5, -1.0001, 1.0001):
            with pytest.raises(ValueError, match=f"alpha: {alpha}"):
                certify_cosines(cosine, alpha)

    def test_a_certificate_is_not_edited(self):
        p, f, z = orthogonal_parts(20, 5, 0.7, np.random.default_rng(37))
        certificate = certify(p, f, 0.5, z, 0.6)
        premises = certificate.premises
        for record, name in (
            (certificate, "lower_limit"),
            (certificate.band, "half_width"),
            (premises, "misjudged"),
            (premises.bound, "probability"),
            (premises.dominance, "verdict"),
            (Parts.of(p, f, 0.5, z), "gamma"),
        ):
            with pytest.raises(FrozenInstanceError):
                setattr(record, name, 1.0)

    @pytest.mark.parametrize(
        ("shift", "verdict", "words"),
        [(0.3, "supported", "borne out"), (-0.3, "refuted", "worse than a random one")],
    )
    def test_verdicts_in_words(self, shift, verdict, words):
        rng = np.random.default_rng(10)
        u = np.tanh(AlignmentLaw(19).rvs(500, rng) + shift)
        p, f, z = orthogonal_parts(500, 20, 0.7, rng, u)
        certificate = certify(p, f, 0.5, z, 0.6)
        assert certificate.premises.dominance.verdict == verdict
        assert words in certificate.text()

    def test_the_last_line_says_what_remains(self):
        claims = {refuted: Claim(0.5, 0.0 if refuted else 0.7, refuted) for refuted in (False, True)}
        dominance = {
            shift: judge_dominance(np.tanh(AlignmentLaw(9).rvs(400, np.random.default_rng(24)) + shift), 9)
            for shift in (-0.3, 0.0, 0.3)
        }
        endings = {
            (False, False, 0.3): "borne out",
            (False, False, 0.0): "stays a hypothesis",
            (False, False, -0.3): "Without dominance",
            (True, False, 0.3): "puts the bound too high",
            (True, True, 0.3): "worse than a random one",
        }
        for (bound, exact, shift), words in endings.items():
            premises = Premises(claims[bound], claims[exact], (0.1, 0.2), (0.0, 0.1), False, 0.25, dominance[shift])
            lines = premises.lines(limit=0.6)
            assert words in lines[-1]
            assert "the limit above is higher" in "\n".join(lines)
            assert "25.00%" in "\n".join(lines)

    @pytest.mark.parametrize(("limit", "words"), [(0.51, "higher"), (0.5, "lower"), (0.49, "lower")])
    def test_the_limit_beside_the_claim(self, limit, words):
        claim, dominance = Claim(0.5, 0.7, False), judge_dominance(np.zeros(3), 9)
        premises = Premises(claim, claim, (0.1, 0.2), (0.0, 0.1), False, 0.25, dominance)
        assert f"the limit above is {words}." in "\n".join(premises.lines(limit))

    def test_claims_in_words(self):
        assert str(Claim(0.25, 0.031, False)) == "0.2500 (NOT REFUTED, p = 0.031)"
        assert str(Claim(0.25, 1.2e-98, True)) == "0.2500 (REFUTED, p = 1.2e-98)"
        assert str(Claim(0.25, 1e-99, True)) == "0.2500 (REFUTED, p = 1e-99)"
        assert str(Claim(0.25, 0.0, True)) == "0.2500 (REFUTED, p < 1e-99)"

    def test_one_row_of_each_group(self):
        """Five groups, one of 96 rows: it decides once, not 96 times."""
        cosine = np.concatenate([np.full(96, 0.9), [0.1, 0.2, 0.3, 0.4]])
        group = np.concatenate([np.zeros(96), [1, 2, 3, 4]])
        certificate = certify_cosines(cosine, 0.5, group=group, rng=np.random.default_rng(11))
        assert (certificate.rows, certificate.pairs, certificate.successes) == (100, 5, 1)

    def test_the_row_is_drawn_uniformly(self):
        rng, cosine, group = (
            np.random.default_rng(12),
            np.array([0.0, 1.0, 1.0, 1.0, 0.0]),
            np.array([0, 0, 0, 0, 1]),
        )
        drawn = sum(certify_cosines(cosine, 0.5, group=group, rng=rng).successes for _ in range(2000))
        assert stats.binomtest(drawn, 2000, 0.75).pvalue > FALSE_ALARM

    def test_one_caption_of_each_item(self):
        """Captions z and -z: every certificate sees one of them, each half the time."""
        p, f, z = orthogonal_parts(1000, 5, 0.9, np.random.default_rng(13))
        captions = np.stack([z, -z, np.full_like(z, np.nan)], axis=1)
        certificate = certify(p, f, 0.1, captions, 0.5, counts=np.full(1000, 2), rng=np.random.default_rng(14))
        assert stats.binomtest(certificate.successes, 1000, 0.5).pvalue > FALSE_ALARM

    def test_items_with_one_caption(self):
        p, f, z = orthogonal_parts(40, 5, 0.9, np.random.default_rng(25))
        captions = np.stack([z, np.full_like(z, np.nan)], axis=1)
        rng = np.random.default_rng(26)
        assert certify(p, f, 0.1, captions, 0.5, counts=np.ones(40, int), rng=rng).successes == 40

    def test_every_caption_is_drawn_where_counts_are_not_given(self):
        """Captions at angles of cosine 1, .8 and 0 to p: each is met by a third of 3,000 items."""
        z = np.array([[1.0, 0, 0, 0], [0.8, 0.6, 0, 0], [0, 1.0, 0, 0]])
        p, f = np.tile(0.5 * np.eye(4)[0], (3000, 1)), np.tile(np.eye(4)[3], (3000, 1))
        cosine = certify(p, f, 0.0, np.tile(z, (3000, 1, 1)), 0.5, rng=np.random.default_rng(38)).band.cosine
        assert set(cosine.round(9)) == {0.0, 0.8, 1.0}
        for value in (0.0, 0.8, 1.0):
            assert stats.binomtest(int(np.isclose(cosine, value).sum()), 3000, 1 / 3).pvalue > FALSE_ALARM

    def test_float32_and_lengths_do_not_matter(self):
        p, f, z = orthogonal_parts(100, 10, 0.7, np.random.default_rng(15))
        exact = certify(p, f, 0.5, z, 0.6)
        single = certify(p.astype(np.float32), f.astype(np.float32), 0.5, (3 * z).astype(np.float32), 0.6)
        assert single.successes == exact.successes
        assert single.premises.exact.probability == pytest.approx(exact.premises.exact.probability, abs=1e-5)
        assert single.premises.perpendicular


class LinearTranslator:
    """What `certify_translator` needs of a translator, with no network: p = c, f along the first axis."""

    source, target = "text", "image"
    config = preset("poster")

    def check(self, pairs):
        assert set(pairs.arrays) == {"text", "image"}

    def parts(self, c):
        self.seen = c
        return c, np.tile(np.eye(c.shape[1], dtype=np.float32)[0], (len(c), 1)), 0.25


class TestTranslator:
    def test_one_condition_one_target_one_item_of_a_group(self):
        rng = np.random.default_rng(22)
        text, image = rng.standard_normal((30, 3, 5)), rng.standard_normal((30, 5))
        counts = rng.integers(1, 4, 30)
        pairs = PairedEmbeddings({"text": text, "image": image}, {"text": counts}, group=np.arange(30) // 2)
        translator = LinearTranslator()
        certificate = certify_translator(translator, pairs, 0.1, 0.9)
        assert (certificate.rows, certificate.pairs) == (30, 15)
        distance = np.abs(translator.seen[:, None] - text).max(axis=2)
        assert (distance.min(axis=1) < 1e-6).all()
        assert (distance.argmin(axis=1) < counts).all()
        assert certificate.to_dict() == certify_translator(translator, pairs, 0.1, 0.9).to_dict()

    def test_the_draws_come_from_the_generator(self):
        """None is a generator with seed 0, as documented; another seed draws other captions."""
        rng = np.random.default_rng(39)
        text, image = rng.standard_normal((40, 3, 5)), rng.standard_normal((40, 5))
        pairs = PairedEmbeddings({"text": text, "image": image}, {"text": np.full(40, 3)}, group=np.arange(40) // 2)

        def cosines(rng):
            certificate = certify_translator(translator=LinearTranslator(), pairs=pairs, alpha=0.1, rng=rng)
            assert certificate.confidence == 0.95
            return certificate.band.cosine

        np.testing.assert_array_equal(cosines(None), cosines(np.random.default_rng(0)))
        assert (cosines(None) != cosines(np.random.default_rng(1))).any()


class ConditionalMean:
    """What `certify_translator` needs of a calibrated translator: here the known E[z|c] of each condition."""

    source, target = "image", "text"
    config = preset("calibrated")

    def __init__(self, pairs, mean, spoilt=0.0):
        self.known = {row.tobytes(): m for row, m in zip(pairs.arrays["image"], mean, strict=True)}
        self.spoilt = spoilt

    def check(self, pairs):
        pass

    def translate(self, c):
        return np.array([self.known[row.tobytes()] for row in c])

    def expected_cosine(self, c):
        return np.clip(np.linalg.norm(self.translate(c), axis=1) + self.spoilt, 0.0, 1.0)


class TestCalibrated:
    pairs, mean = synthetic_pairs(1000, 6, 12, 0.7, 2, np.random.default_rng(43))

    def test_it_speaks_of_what_was_observed_and_expected_alone(self):
        certificate = certify_translator(ConditionalMean(self.pairs, self.mean), self.pairs, 0.5)
        assert certificate.premises is None and certificate.each == pytest.approx(1 - 0.05 / 3)
        assert certificate.lower_limit == lower_limit(certificate.successes, 1000, certificate.each)
        text = certificate.text()
        assert not any(word in text.lower() for word in ("bound", "dominat", "premise", "direction"))
        assert "come true on average: NOT REFUTED" in text
        plain = json.loads(json.dumps(certificate.to_dict()))
        found = plain["expectation"]
        assert plain["premises"] is None and not found["refuted"] and found["low"] < 0.0 < found["high"]
        assert found["observed"] == pytest.approx(found["expected"], abs=0.02) and found["high"] - found["low"] < 0.06
        assert found["error"] < 2 * found["error_by_chance"]

    @pytest.mark.parametrize(("spoilt", "word"), [(0.06, "high"), (-0.06, "low")])
    def test_spoilt_expectations_are_refuted(self, spoilt, word):
        certificate = certify_translator(ConditionalMean(self.pairs, self.mean, spoilt), self.pairs, 0.5)
        assert certificate.expectation.refuted and f"REFUTED, they are too {word}" in certificate.text()

    def test_two_calls_agree(self):
        translator = ConditionalMean(self.pairs, self.mean)
        one, other = (certify_translator(translator, self.pairs, 0.5).to_dict() for _ in range(2))
        assert one == other

    def test_exact_expectations_are_refuted_as_seldom_as_said(self):
        """Cosines of two values around what was expected: the interval misses 0 in a share of 1 - each at most."""
        rng, trials, refuted = np.random.default_rng(44), 300, 0
        for _ in range(trials):
            expected = rng.uniform(0.2, 0.8, 60)
            cosine = expected + 0.2 * rng.choice([-1, 1], 60)
            refuted += certify_cosines(cosine, 0.5, 0.7, expected=expected, rng=rng).expectation.refuted
        assert stats.binom.sf(refuted - 1, trials, 0.1) > FALSE_ALARM

    def test_few_pairs_and_bad_ones(self):
        rng = np.random.default_rng(45)
        certificate = certify_cosines(np.array([0.4, 0.6]), 0.5, expected=np.array([0.5, 0.5]), rng=rng)
        assert certificate.expectation.error is None and "tenths" not in certificate.text()
        with pytest.raises(ValueError, match=r"expected: 0.5 to 1.5, allowed is 0 to 1"):
            certify_cosines(np.array([0.4, 0.6]), 0.5, expected=np.array([0.5, 1.5]), rng=rng)
        with pytest.raises(ValueError, match="rng: none.*expected cosines are given"):
            certify_cosines(np.array([0.4, 0.6]), 0.5, expected=np.array([0.5, 0.5]))


class TestCoverageOfTheWholeCertificate:
    """Grouped data with a known truth: all statements together are right as often as promised."""

    def simulate(self, rng):
        """80 groups of 1 to 4 rows; rows of a group are copies. u = uniform + .05, so dominance is true."""
        groups = 80
        u = np.clip(AlignmentLaw(9).rvs(groups, rng) + 0.05, -1.0, 1.0)
        parts = orthogonal_parts(groups, 10, 0.7, rng, u)
        labels = np.repeat(np.arange(groups), rng.integers(1, 5, groups))
        return *(part[labels] for part in parts), labels

    def test_all_statements_together(self):
        trials, alpha, confidence = 150, 0.6, 0.8
        rng = np.random.default_rng(16)
        geometry = 0.7, 0.8
        reach = (alpha * np.hypot(*geometry) - 0.49) / (0.8 * np.sqrt(0.51))
        truth = AlignmentLaw(9).sf(reach - 0.05)
        right = 0
        for _ in range(trials):
            p, f, z, group = self.simulate(rng)
            certificate = certify(p, f, 0.8, z, alpha, confidence, group=group, rng=rng)
            premises = certificate.premises
            u = (certificate.band.cosine * np.hypot(*geometry) - 0.49) / (0.8 * np.sqrt(0.51))
            curve = AlignmentLaw(9).sf(u - 0.05)
            steps = 1 - np.arange(80) / 80
            distance = max(np.abs(steps - curve).max(), np.abs(steps - 1 / 80 - curve).max())
            right += (
                certificate.lower_limit <= truth
                and distance <= certificate.band.half_width
                and premises.dominance.verdict != "refuted"
                and not premises.bound.refuted
            )
        assert stats.binom.cdf(right, trials, confidence) > FALSE_ALARM

    def test_rows_for_pairs_would_break_it(self):
        """The must-fail twin: the limit from all rows of 12 large groups, as if they were independent."""
        rng, trials, wrong_of_rows, wrong_of_groups = np.random.default_rng(17), 400, 0, 0
        for _ in range(trials):
            cosine, group = np.repeat(rng.random(12), 20), np.repeat(np.arange(12), 20)
            wrong_of_rows += certify_cosines(cosine, 0.5, 0.9).lower_limit > 0.5
            wrong_of_groups += certify_cosines(cosine, 0.5, 0.9, group=group, rng=rng).lower_limit > 0.5
        assert stats.binom.sf(wrong_of_groups - 1, trials, 0.05) > FALSE_ALARM
        assert stats.binom.sf(wrong_of_rows - 1, trials, 0.05) < FALSE_ALARM


class TestFigures:
    def test_curves_bands_and_law(self):
        law, rng = AlignmentLaw(9), np.random.default_rng(21)
        figure, axes = plt.subplots(1, 2)
        band = survival_band(law.rvs(50, rng))
        assert (
            figures.survival({"one": band}, {"bound": (np.array([0.0, 1.0]), np.array([1.0, 0.0]))}, axes[0]) is axes[0]
        )
        assert len(axes[0].lines) == 2
        assert figures.alignment({"uniform": law.rvs(500, rng)}, 9, 0.01, axes[1]) is axes[1]
        distance, critical = (axes[1].lines[i].get_ydata() for i in (0, 1))
        assert distance.max() < critical[0]
        plt.close(figure)


class TestBadInput:
    p, f, z = orthogonal_parts(6, 4, 0.7, np.random.default_rng(18))

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"alpha": 1.5}, "alpha: 1.5"),
            ({"confidence": 1.0}, "confidence: 1.0"),
            ({"direction": f * np.array([[1, 1, 1, 0.5, 1, 1.2]]).T}, "direction: row 3 has length 0.5"),
            ({"direction": f[:5]}, "rows: projection 6, direction 5"),
            ({"gamma": -1.0}, "gamma: negative"),
            ({"target": z[:, :3]}, r"one \(n, d\)"),
            ({"projection": z}, "a row equals its target"),
            ({"projection": np.zeros_like(p), "gamma": 0.0}, "a row is zero"),
            ({"target": 0 * z}, "target: row 0 is zero"),
            ({"target": np.where(np.eye(6, 4) > 0, np.inf, z)}, "target: row 0"),
            (
                {"group": np.zeros(6)},
                "rng: none, allowed is a numpy.random.Generator where rows come in groups",
            ),
            ({"group": np.zeros(5)}, "group: shape"),
            ({"target": z[:, None].repeat(2, 1)}, "rng: none.*several targets"),
            ({"target": z[:, None], "counts": np.full(6, 2), "rng": np.random.default_rng(0)}, "counts"),
            ({"target": z[:, None], "counts": np.zeros(6, int), "rng": np.random.default_rng(0)}, "counts"),
            (
                {"target": z[:, None], "counts": np.ones(5, int), "rng": np.random.default_rng(0)},
                r"counts: shape \(5,\)",
            ),
            (
                {"target": z[:, None], "counts": np.ones(7, int), "rng": np.random.default_rng(0)},
                r"counts: shape \(7,\)",
            ),
            ({"target": z[:, None, None]}, "target: shape"),
            ({"alpha": -1.5}, "alpha: -1.5"),
            ({"confidence": 0.0}, "confidence: 0.0"),
            ({"group": np.zeros(7)}, "group: shape"),
        ],
    )
    def test_one_line_that_names_the_field(self, changed, words):
        arguments = {"projection": self.p, "direction": self.f, "gamma": 0.5, "target": self.z, "alpha": 0.5}
        with pytest.raises(ValueError, match=words) as raised:
            certify(**(arguments | changed))
        assert "\n" not in str(raised.value)


def test_a_projection_of_length_one_to_rounding_is_still_possible():
    """|p| = 1 in float32 may come out as 1 + 6e-8; the bound of such a pair must not be decided by that."""
    rng = np.random.default_rng(0)
    projection = np.zeros((200, 16), np.float32)
    projection[:, :8] = rng.standard_normal((200, 8))
    projection /= np.linalg.norm(projection, axis=1, keepdims=True).astype(np.float32)
    direction = np.zeros((200, 16))
    direction[:, 8:] = rng.standard_normal((200, 8))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    target = rng.standard_normal((200, 16))
    target[:, :8] += 3 * projection[:, :8]
    lengths = np.linalg.norm(projection.astype(np.float64), axis=1)
    assert (lengths > 1).any() and (lengths <= 1).any()
    premises = certify(projection, direction, 0.3, target, 0.6).premises
    assert premises.bound.probability == 1.0  # rho = 0: cos = 1 / sqrt(1.09), whatever f is


@pytest.mark.parametrize("values", [[3.0, 0.2], [-1.5, 0.2]])
def test_cosines_that_are_none_are_refused(values):
    with pytest.raises(ValueError, match=r"cosine: .* allowed is -1 to 1"):
        certify_cosines(np.array(values), 0.5)
