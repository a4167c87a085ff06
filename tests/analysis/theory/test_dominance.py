"""Dominance: exact tests by independent oracles, verdicts that must come out, and how often they are wrong."""

import numpy as np
import pytest
from scipy import stats

from analysis.theory.arrays import unit_rows
from analysis.theory.dominance import GRID, beaten, judge_dominance
from analysis.theory.premises import TranslatedPairs
from analysis.theory.sphere import AlignmentLaw

RUNS = 2000
FALSE_ALARM = 1e-6  # of one statistical assertion; the seeds are fixed, so a test that passes once always does


class TestBeaten:
    def test_no_projection_leaves_the_alignment(self):
        """p = 0: the cosine is a coordinate of the direction."""
        for d in (3, 10, 512):
            k = AlignmentLaw(d).ppf(np.linspace(0.001, 0.999, 9))
            np.testing.assert_allclose(beaten(k, 0.0, 0.0, 0.7, d), np.linspace(0.001, 0.999, 9), atol=1e-9)

    def test_a_projection_along_the_target_leaves_the_order(self):
        """p = s z and gamma >= s: the cosine (s + gamma u) / |p + gamma f| rises with u = <z, f>."""
        u = np.linspace(-0.9, 0.9, 19)
        for s, gamma, d in ((0.7, 0.7, 8), (0.3, 2.0, 30)):
            k = (s + gamma * u) / np.sqrt(s**2 + gamma**2 + 2 * s * gamma * u)
            np.testing.assert_allclose(beaten(k, s, 0.0, gamma, d), AlignmentLaw(d).cdf(u), atol=1e-8)

    @pytest.mark.parametrize(("a", "b", "gamma"), [(0.6, 0.2, 1.0), (-0.3, 0.9, 0.5), (0.9, 0.4, 0.05)])
    def test_the_share_of_directions_that_were_drawn(self, a, b, gamma):
        rng, d = np.random.default_rng(50), 8
        z, p = np.eye(d)[0], a * np.eye(d)[0] + b * np.eye(d)[1]
        zhat = p + gamma * unit_rows(rng.standard_normal((20000, d)))
        cosine = unit_rows(zhat) @ z
        for k in np.quantile(cosine[:100], (0.1, 0.5, 0.9)):
            below = int((cosine[100:] < k).sum())
            assert stats.binomtest(below, 19900, float(beaten(k, a, b, gamma, d))).pvalue > FALSE_ALARM

    def test_random_directions_are_uniform_in_every_geometry(self):
        rng, n, d = np.random.default_rng(51), 4000, 6
        z, f = unit_rows(rng.standard_normal((2, n, d)))
        p = unit_rows(rng.standard_normal((n, d)) + 0.5 * z) * rng.uniform(0.0, 1.5, (n, 1))
        v = TranslatedPairs.of(p, f, rng.uniform(0.05, 2.0, n), z).beaten
        assert stats.kstest(v, "uniform").pvalue > FALSE_ALARM

    def test_a_direction_that_moves_nothing_is_left_out(self, orthogonal_parts):
        """At gamma = 0 every direction reaches the same, so that V = 0 would refute, and V = 1 support, for nothing."""
        p, f, z = orthogonal_parts(6, 5, 0.7, np.random.default_rng(52))
        gamma = np.array([0.0, 0.5, 1e-7, 0.5, 0.0, 1e-3])
        parts = TranslatedPairs.of(p, f, gamma, z)
        assert parts.moved.tolist() == [False, True, False, True, False, True]
        np.testing.assert_array_equal(parts.beaten, TranslatedPairs.of(p, f, gamma, z).take(parts.moved).beaten)
        assert parts.beaten.shape == (3,)
        with pytest.raises(ValueError, match="gamma: 0 on every pair"):
            _ = TranslatedPairs.of(p, f, 0.0, z).beaten
        with pytest.raises(ValueError, match="gamma: 0, a number in"):
            beaten(0.5, 0.5, 0.5, 0.0, 5)


class TestWhatTheAlignmentCannotTell:
    """p leans away from r. F is random but for a part along -p, which aligns with r and takes p away."""

    def draw(self, rng, n=200, d=64, away=0.5):
        z, e, g = unit_rows(rng.standard_normal((3, n, d)))
        e = unit_rows(e - (e * z).sum(1, keepdims=True) * z)
        p = 0.6 * z + 0.7 * e
        f = np.sqrt(1 - away**2) * g - away * unit_rows(p)
        return TranslatedPairs.of(p, unit_rows(f), 0.8, z)

    def test_a_direction_against_the_projection_is_refuted_though_it_aligns(self):
        rng, law, of_alignment, of_beaten = np.random.default_rng(53), AlignmentLaw(63), [], []
        for _ in range(40):
            pairs = self.draw(rng)
            of_alignment.append(judge_dominance(law.cdf(pairs.alignment)).verdict)
            of_beaten.append(judge_dominance(pairs.beaten).verdict)
        assert of_alignment == ["supported"] * 40
        assert of_beaten == ["refuted"] * 40

    def test_it_does_reach_less_than_a_random_one(self):
        rng = np.random.default_rng(54)
        assert self.draw(rng, away=0.0).cosine.mean() - self.draw(rng).cosine.mean() > 0.1

    def test_a_direction_along_the_residual_is_supported(self):
        rng = np.random.default_rng(55)
        pairs = self.draw(rng, away=0.0)
        better = unit_rows(pairs.direction + 0.3 * unit_rows(pairs.target - pairs.projection))
        better = TranslatedPairs.of(pairs.projection, better, pairs.gamma, pairs.target)
        assert better.cosine.mean() > pairs.cosine.mean()
        assert judge_dominance(better.beaten).verdict == "supported"

    def test_random_directions_in_these_geometries_are_seldom_refuted(self):
        """200 trials of 20 pairs, each with its own geometry: no more than the level allows."""
        rng, trials, n, d, level = np.random.default_rng(56), 200, 20, 12, 0.1
        z, e, g = unit_rows(rng.standard_normal((3, trials * n, d)))
        p = rng.uniform(-0.5, 1.0, (trials * n, 1)) * z + rng.uniform(0.0, 1.0, (trials * n, 1)) * e
        v = TranslatedPairs.of(p, g, rng.uniform(0.1, 2.0, trials * n), z).beaten.reshape(trials, n)
        refuted = sum(judge_dominance(row, level).verdict == "refuted" for row in v)
        assert stats.binom.sf(refuted - 1, trials, level) > FALSE_ALARM
        assert stats.binom.cdf(refuted, trials, level) > FALSE_ALARM


class TestDominance:
    pairs = 400

    def verdicts(self, draw, trials=300, level=0.1):
        rng = np.random.default_rng(1)
        return [judge_dominance(draw(rng), level).verdict for _ in range(trials)]

    def test_the_grid_is_the_deciles(self):
        np.testing.assert_allclose(GRID, np.linspace(0.1, 0.9, 9))

    def test_the_ends_are_allowed(self):
        best, worst = judge_dominance([1.0]), judge_dominance([0.0])
        assert (best.shortfall, best.refutation_p) == (0.0, 1.0)
        assert (worst.shortfall, worst.refutation_p) == (1.0, 0.0)

    def test_a_p_value_at_the_level_decides(self):
        """P(p <= level) <= level for an exact test, with equality allowed; the default level is 5%."""
        rng = np.random.default_rng(30)
        for power, name, verdict in ((0.8, "support_p", "supported"), (1.2, "refutation_p", "refuted")):
            v = rng.random(self.pairs) ** power
            p_value = getattr(judge_dominance(v), name)
            assert 0.0 < p_value < 1.0
            assert judge_dominance(v, p_value).verdict == verdict
            assert judge_dominance(v, p_value * (1 - 1e-12)).verdict != verdict
        assert judge_dominance(v).level == 0.05

    def test_none_reaches_the_lowest_decile(self):
        """Every binomial test then has nothing to reject with: its p-value is 1."""
        assert judge_dominance(np.full(20, 0.01)).support_p == 1.0
        assert judge_dominance(np.full(20, 0.99)).support_p == pytest.approx(0.9**20)  # the lowest decile's

    def test_support_needs_every_decile(self):
        """The largest of nine exact binomial p-values; a shift of the upper half alone is not enough."""
        v = np.random.default_rng(23).random(self.pairs)
        v = np.where(v > 0.5, v**0.2, v)
        by_decile = [
            stats.binomtest(int((v >= q).sum()), self.pairs, 1 - q, alternative="greater").pvalue
            for q in np.linspace(0.1, 0.9, 9)
        ]
        judged = judge_dominance(v)
        assert judged.support_p == pytest.approx(max(by_decile), rel=1e-9)
        assert judged.verdict == "undecided"

    def test_a_decile_itself_is_reached(self):
        """The event is V >= v, so that 0.1 counts at the lowest decile."""
        assert judge_dominance([0.1, 0.95, 0.95]).support_p == judge_dominance([0.15, 0.95, 0.95]).support_p
        assert judge_dominance([0.9, 0.9]).support_p == pytest.approx(0.81)

    def test_statistic_against_scipy(self):
        v = np.random.default_rng(2).random(50)
        oracle = stats.kstest(v, "uniform", alternative="greater", method="exact")
        judged = judge_dominance(v)
        assert judged.shortfall == pytest.approx(oracle.statistic)
        assert judged.refutation_p == pytest.approx(oracle.pvalue, rel=1e-9)
        assert judged.worst == pytest.approx(oracle.statistic_location)
        assert judged.mean == pytest.approx(v.mean())

    @pytest.mark.parametrize("level", [0.1, 0.05, 0.01])
    @pytest.mark.parametrize("n", [30, 100])
    def test_the_boundary_case_errs_no_more_often_than_allowed(self, n, level):
        """V uniform: dominance holds with equality, so both errors are at their largest."""
        verdicts = [judge_dominance(v, level).verdict for v in np.random.default_rng(57).random((RUNS, n))]
        assert verdicts.count("refuted") <= stats.binom.isf(1e-4, RUNS, level)
        assert verdicts.count("supported") <= stats.binom.isf(1e-4, RUNS, level)
        assert verdicts.count("refuted") >= stats.binom.ppf(1e-4, RUNS, level)  # and the test is exact
        assert "undecided" in verdicts

    def test_failing_at_one_decile_is_supported_no_more_often_than_allowed(self):
        """Far better everywhere but at .3, where equality holds: only one of the nine tests can fail."""
        rng, level = np.random.default_rng(58), 0.1

        def draw():
            v = rng.random(self.pairs)
            return np.where(v < 0.3, 0.2999, 0.95)  # P(V >= v) = 1 above .29, and .7 at .3

        verdicts = [judge_dominance(draw(), level).verdict for _ in range(RUNS)]
        assert verdicts.count("supported") <= stats.binom.isf(1e-4, RUNS, level)

    def test_a_good_direction_is_supported(self):
        assert set(self.verdicts(lambda rng: rng.random(self.pairs) ** 0.5, trials=20)) == {"supported"}

    def test_a_poor_direction_is_refuted(self):
        assert set(self.verdicts(lambda rng: rng.random(self.pairs) ** 2, trials=20)) == {"refuted"}

    def test_a_better_mean_is_not_dominance(self):
        """Nine in ten far better than most, one in ten worse than nearly all: the lower tail refutes dominance."""

        def draw(rng):
            return np.where(rng.random(self.pairs) < 0.9, 0.9, 0.001)

        assert np.mean(draw(np.random.default_rng(3))) > 0.7
        assert set(self.verdicts(draw, trials=20)) == {"refuted"}

    @pytest.mark.parametrize(
        ("v", "level", "words"),
        [
            ([1.5], 0.1, "beaten: 1.5"),
            ([-0.1], 0.1, "beaten: -0.1"),
            ([0.5], 0.0, "level: 0.0"),
            ([np.nan], 0.1, "nan"),
            ([], 0.1, "beaten: shape"),
        ],
    )
    def test_bad_input(self, v, level, words):
        with pytest.raises(ValueError, match=words):
            judge_dominance(np.array(v), level)
