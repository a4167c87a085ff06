"""Confidence limits: exact by independent oracles, valid by simulation."""

from dataclasses import FrozenInstanceError

import mpmath
import numpy as np
import pandas as pd
import pytest
from numpy.dtypes import StringDType
from scipy import stats

from analysis.theory.betting import running_limits
from analysis.theory.confidence import (
    Estimate,
    group_numbers,
    linear_interval,
    lower_limit,
    mean_interval,
)

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

    @pytest.mark.parametrize(("successes", "trials"), [(-1, 3), (4, 3)])
    def test_bad_input(self, successes, trials):
        with pytest.raises(ValueError, match="successes: .*, a whole number from 0 to 3, the number of trials,"):
            lower_limit(successes, trials)

    @pytest.mark.parametrize(
        ("k", "n", "confidence"), [(1, 10**6, 0.95), (5, 10, 1e-20), (5, 10, 1 - 1e-16), (3, 3, 1e-300), (40, 50, 0.5)]
    )
    def test_at_the_edges_its_tail_is_one_less_the_confidence(self, k, n, confidence):
        with mpmath.workdps(50):
            limit = mpmath.mpf(lower_limit(k, n, confidence))
            tail = mpmath.betainc(k, n - k + 1, limit, 1, regularized=True)  # 1 - P(Binomial(n, limit) >= k)
            assert min(abs(tail / confidence - 1), abs((1 - tail) / (1 - mpmath.mpf(confidence)) - 1)) < 1e-9

    def test_of_very_many_trials(self):
        assert lower_limit(10**15, 10**15) == pytest.approx(1.0 - 3e-15, abs=2e-16)


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


@pytest.mark.parametrize(
    "labels",
    [
        ["a", float("nan"), float("nan"), "b"],
        ["a", None, "b", "b"],
        [1, "a", "1", 2],
        np.array([1.0, np.nan, np.nan, 2.0]),
        np.array(["2020-01-01", "NaT", "NaT", "NaT"], dtype="datetime64[D]"),
        np.array(["a", np.nan, np.nan, "b"], dtype=object),
        np.ma.masked_array([1, 2, 2, 3], mask=[0, 1, 1, 0]),
        pd.Series(["a", None, None, "b"]),
        pd.Series(["a", pd.NA, pd.NA, "b"], dtype="string"),
        pd.Categorical(["a", None, None, "b"]),
        pd.Series([1, None, None, 2], dtype="Int64"),
        np.array(["a", np.nan, np.nan, "b"], dtype=StringDType(na_object=np.nan)),
        np.array(["a", None, None, "b"], dtype=StringDType(na_object=None)),
    ],
)
def test_a_missing_label_is_no_group(labels):
    for call in (group_numbers, lambda group, n: running_limits(np.ones(n), group, horizon=3, largest_group=3)):
        with pytest.raises(ValueError, match="^group: (NaN, None or masked|labels of several kinds)"):
            call(labels, 4)


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "a", "c"],
        [2, 1, 1, 3],
        np.array([2.0, 1.0, 1.0, 3.0]),
        ("b", "a", "a", "c"),
        pd.Series(["b", "a", "a", "c"], index=[3, 1, 2, 0]),
        pd.Categorical(["b", "a", "a", "c"]),
        np.array(["2020-01-02", "2020-01-01", "2020-01-01", "2020-01-03"], dtype="datetime64[D]"),
        np.ma.masked_array([2, 1, 1, 3]),
        np.array(["b", "a", "a", "c"], dtype=StringDType()),
    ],
)
def test_labels_of_any_kind_are_numbered_in_order(labels):
    assert group_numbers(labels, 4).tolist() == [1, 0, 0, 2]
