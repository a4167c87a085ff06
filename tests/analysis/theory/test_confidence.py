"""Confidence limits: exact by independent oracles, valid by simulation."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from scipy import stats

from analysis.theory.confidence import (
    Estimate,
    SurvivalBand,
    betting_interval,
    linear_interval,
    lower_limit,
    lower_mean_limit,
    mean_interval,
    survival_band,
)
from analysis.theory.sphere import AlignmentLaw

FALSE_ALARM = 1e-6  # of one statistical assertion; the seeds are fixed, so a test that passes once always does


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
        with pytest.raises(ValueError, match=r"values: 0.0 to 1.5, 0.0 to 1.0 is needed"):
            betting_interval(np.array([0.0, 1.5]), 0.0, 1.0)


class TestLowerMeanLimit:
    @pytest.mark.parametrize(
        ("values", "weights"),
        [([0.0, 1.0], [0.8, 0.2]), ([0.0, 0.5, 0.52], [0.02, 0.5, 0.48]), ([0.3, 0.3], [0.5, 0.5])],
    )
    def test_covers(self, values, weights):
        """2,000 samples of 60: the limit exceeds the mean no more often than 1 - confidence, by an exact tail."""
        rng, mean = np.random.default_rng(8), float(np.dot(values, weights))
        misses = sum(
            lower_mean_limit(rng.choice(values, 60, p=weights), 0.9, low=0.0, high=1.0) > mean + 1e-9
            for _ in range(2000)
        )
        assert stats.binom.sf(misses - 1, 2000, 0.1) > FALSE_ALARM
        # the same test refutes an invalid limit: the plain mean
        plain = sum(rng.choice(values, 60, p=weights).mean() > mean + 1e-9 for _ in range(2000))
        assert len(set(values)) == 1 or stats.binom.sf(plain - 1, 2000, 0.1) < FALSE_ALARM

    def test_approaches_the_mean(self):
        rng = np.random.default_rng(9)
        x = rng.beta(2.0, 5.0, 20_000)
        limit = lower_mean_limit(x, 0.95, low=0.0, high=1.0)
        normal = x.mean() - 1.645 * x.std() / math.sqrt(x.size)
        assert normal - 0.003 < limit < x.mean()
        shifted = lower_mean_limit(4.0 * x - 2.0, 0.95, low=-2.0, high=2.0)
        assert shifted == pytest.approx(4.0 * limit - 2.0, abs=1e-9)
        assert lower_mean_limit(x, 0.99, low=0.0, high=1.0) < limit
        assert lower_mean_limit([0.0], 0.95, low=0.0, high=1.0) == 0.0
        assert lower_mean_limit([1.0] * 5, 0.95, low=0.0, high=1.0) < 0.95

    def test_is_where_the_gambler_wins(self):
        """The game played step by step: at the limit the capital is exactly 1/(1 - confidence)."""
        rng, low, high = np.random.default_rng(10), -2.0, 2.0
        x = rng.normal(0.1, 0.3, 400).clip(low, high)
        limit = lower_mean_limit(x, 0.95, low=low, high=high)
        capital, spread, mean = 1.0, 0.0, 0.0
        for i, value in enumerate(x, start=1):
            stake = math.sqrt(2.0 * math.log(20.0) * i / (400 * (0.01 * 16.0 + spread)))
            capital *= 1.0 + min(stake, 0.9 / (limit - low)) * (value - limit)
            spread += (value - mean) ** 2
            mean = float(np.mean(x[:i]))
        assert capital == pytest.approx(20.0, rel=1e-6)

    def test_one_value_by_hand(self):
        """One value x in [0, 1]: 1 + lambda (x - m) = 1/(1 - confidence), with lambda capped at 0.9/m."""
        assert lower_mean_limit([1.0], 0.5, low=0.0, high=1.0) == pytest.approx(0.9 / 1.9, rel=1e-9)

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"values: 1\.5"):
            lower_mean_limit([1.5], 0.9, low=0.0, high=1.0)


class TestMeanInterval:
    def test_mean_interval_is_students(self):
        values = np.random.default_rng(0).standard_normal(30)
        estimate = mean_interval(values, confidence=0.9)
        oracle = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
        assert (estimate.low, estimate.high) == pytest.approx((oracle.low, oracle.high))
        assert (estimate.value, estimate.groups) == (pytest.approx(values.mean()), 30)

    def test_repeated_rows_are_no_news(self):
        """Every row five times in its group: the interval is that of the distinct rows."""
        values = np.random.default_rng(1).standard_normal(20)
        once, repeated = (
            mean_interval(values),
            mean_interval(np.repeat(values, 5), np.repeat(np.arange(20), 5)),
        )
        assert (once.low, once.high) == pytest.approx((repeated.low, repeated.high))

    def test_labels_may_be_anything(self):
        values = np.arange(4.0)
        assert mean_interval(values, np.array(list("abba"))) == mean_interval(values, np.array([7, -3, -3, 7]))

    def test_one_group_has_no_interval(self):
        estimate = mean_interval(np.array([0.0, 1.0]), np.array([3, 3]))
        assert estimate.value == 0.5
        assert np.isnan([estimate.low, estimate.high]).all()
        assert (estimate.confidence, estimate.groups) == (0.95, 1)

    def test_two_groups_have_one(self):
        """Two values a and b: (a + b) / 2 -+ t |b - a| / 2 with Cauchy's quantile tan(pi .45) for 90%."""
        estimate = mean_interval(np.array([1.0, 4.0]), confidence=0.9)
        half = np.tan(0.45 * np.pi) * 1.5
        assert (estimate.low, estimate.high) == pytest.approx((2.5 - half, 2.5 + half))
        assert (estimate.confidence, estimate.groups) == (0.9, 2)

    def test_unequal_groups_by_hand(self):
        """Sums of deviations (-3, 1, 2) over groups of 3, 1 and 2: error sqrt(3 / 2 * 14) / 6, t with 2 degrees of
        freedom, whose 97.5% quantile is .95 sqrt(2 / (1 - .95^2)).
        """
        values, group = np.array([1.0, 1.0, 1.0, 3.0, 2.0, 4.0]), np.array([0, 0, 0, 1, 2, 2])
        half = 0.95 * np.sqrt(2 / (1 - 0.95**2)) * np.sqrt(1.5 * 14) / 6
        estimate = linear_interval(7.0, values - 2.0, group)
        assert (estimate.low, estimate.value, estimate.high) == pytest.approx((7 - half, 7.0, 7 + half))
        assert mean_interval(values, group) == Estimate(2.0, pytest.approx(2 - half), pytest.approx(2 + half), 0.95, 3)

    def test_an_estimate_is_not_edited(self):
        with pytest.raises(FrozenInstanceError):
            mean_interval(np.arange(3.0)).low = 0.0

    def test_bad_input(self):
        for length in (2, 4):
            with pytest.raises(ValueError, match=rf"group: shape \({length},\)"):
                mean_interval(np.ones(3), np.ones(length))
        with pytest.raises(ValueError, match="confidence: 1"):
            mean_interval(np.ones(3), confidence=1.0)
        with pytest.raises(ValueError, match="influence: entry 1"):
            linear_interval(0.0, np.array([0.0, np.nan]))
