"""Dominance: exact tests by independent oracles, verdicts that must come out, and how often they are wrong."""

import numpy as np
import pytest
from scipy import stats

from analysis.theory.dominance import GRID, judge_dominance
from analysis.theory.sphere import AlignmentLaw

FALSE_ALARM = 1e-6  # of one statistical assertion; the seeds are fixed, so a test that passes once always does


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
