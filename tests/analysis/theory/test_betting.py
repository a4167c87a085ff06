"""Limits by betting: the game by hand, no order, sharp enough. Their coverage is in `test_coverage`."""

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.theory import betting
from analysis.theory.betting import (
    item_interval,
    item_lower_limit,
    lower_mean_limit,
    ratio_lower_limit,
    running_limits,
)
from analysis.theory.confidence import lower_limit, mean_interval

LARGEST = 8  # items of a group


def grouped(groups, rng):
    """Values of 1 to 8 items a group, alike in a group and better in the large ones; a group label an item."""
    size = rng.choice([1, 2, 3, LARGEST], groups, p=[0.4, 0.3, 0.2, 0.1])
    group = np.repeat(np.arange(groups), size)
    return (rng.random(groups) * (1 + size) / 9)[group], group


def played(sums, counts, largest, p, delta, scale=1.0):
    """Every gambler's capital, group by group, in exact fractions."""
    total = Fraction(0)
    for c in betting._stakes(len(sums), delta, scale):
        stake, capital = Fraction(float(c)) / (Fraction(p) * largest), Fraction(1)
        for s, n in zip(sums, counts, strict=True):
            capital *= 1 + stake * (Fraction(float(s)) - Fraction(p) * int(n))
        total += capital
    return float(total / betting.STAKES)


class TestTheGame:
    def test_at_the_limit_the_capital_is_the_inverse_of_the_risk(self):
        values, group = grouped(30, np.random.default_rng(0))
        limit = item_lower_limit(values, group, 0.9, largest_group=LARGEST)
        sums, counts = np.bincount(group, values), np.bincount(group)
        assert played(sums, counts, LARGEST, limit, 0.1) == pytest.approx(10.0, rel=1e-8)
        assert played(sums, counts, LARGEST, 0.9 * limit, 0.1) > 10.0 > played(sums, counts, LARGEST, 1.1 * limit, 0.1)
        bolder = item_lower_limit(
            values, group, 0.9, largest_group=LARGEST, sizes=[1, 1, 5, 1]
        )  # root mean square: 7 ** .5
        assert played(sums, counts, LARGEST, bolder, 0.1, LARGEST / math.sqrt(7.0)) == pytest.approx(10.0, rel=1e-8)

    @pytest.mark.parametrize("p", [0.05, 0.4, 0.8])
    def test_the_capital_of_a_fair_game_stays_one_on_average(self, p):
        """Summed over all outcomes of two groups. A quarter has 3 items, which all succeed with probability 3 p / 4;
        the others have 1, with 5 p / 4: of 3 / 2 items 3 p / 2 succeed on average, and neither kind has the share p.
        """
        kinds = ((3, 0.25, 0.75 * p), (1, 0.75, 1.25 * p))
        outcomes = [(n, n * won, w * (q if won else 1 - q)) for n, w, q in kinds for won in (0, 1)]
        mean = sum(x * y * played([s, t], [n, m], 3, p, 0.1) for n, s, x in outcomes for m, t, y in outcomes)
        assert mean == pytest.approx(1.0, abs=1e-12)

    def test_no_stake_can_take_the_whole_capital(self):
        for groups, scale in ((1, 1.0), (10, 1.0), (10**6, 1.0), (10, 100.0)):
            stakes = betting._stakes(groups, 0.05, scale)
            assert (np.diff(stakes) >= 0).all() and stakes[0] > 0 and stakes[-1] <= 0.99

    def test_one_value_by_hand(self):
        """One value 1: all but few gamblers stake the most, .99, and 1 + c (1 / p - 1) = 2 in the mean."""
        c = betting._stakes(1, 0.5).mean()
        assert lower_mean_limit([1.0], 0.5, low=0.0, high=1.0) == pytest.approx(c / (1.0 + c), rel=1e-9)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.9, 0.95, 0.99]))
@settings(max_examples=50)
def test_no_result_depends_on_an_order(seed, confidence):
    rng = np.random.default_rng(seed)
    values, group = grouped(int(rng.integers(1, 40)), rng)
    order = rng.permutation(len(values))
    again, others = values[order], rng.permutation(1000)[group][order]  # the labels too
    within = {"low": -1.0, "high": 1.0}
    assert item_interval(values, group, confidence, largest_group=8, **within) == pytest.approx(
        item_interval(again, others, confidence, largest_group=8, **within), abs=1e-9
    )
    assert item_lower_limit(values > 0.2, group, confidence, largest_group=8) == pytest.approx(
        item_lower_limit(again > 0.2, others, confidence, largest_group=8), abs=1e-9
    )
    assert lower_mean_limit(values, confidence, **within) == pytest.approx(
        lower_mean_limit(again, confidence, **within), abs=1e-9
    )


class TestSharpness:
    def test_booleans_are_clopper_and_pearsons(self):
        reached = np.arange(100) < 80
        assert item_lower_limit(reached) == lower_limit(80, 100)
        assert item_lower_limit(reached, np.arange(100), largest_group=1) == lower_limit(80, 100)
        assert item_lower_limit(reached, np.arange(100), largest_group=2) < lower_limit(80, 100)  # it might have had
        assert item_lower_limit(reached.astype(float)) < lower_limit(80, 100)  # it might have been a share

    @pytest.mark.parametrize(("groups", "most"), [(100, 2.0), (1000, 1.8), (10_000, 1.8)])
    def test_the_distance_beside_the_normal_limit(self, groups, most):
        """How much farther from the observed mean than the group-robust normal limit, which is not valid for few."""
        rng, ratios = np.random.default_rng(5), []
        for _ in range(20):
            values, group = grouped(groups, rng)
            reached = (values >= 0.2).astype(float)
            normal = mean_interval(reached, group, 0.9)
            limit = item_lower_limit(reached, group, 0.95, largest_group=LARGEST)
            ratios.append((normal.value - limit) / (normal.value - normal.low))
        assert 1.0 < np.mean(ratios) < most, np.mean(ratios)

    def test_the_sizes_of_other_groups_make_it_sharper(self):
        """Sizes 1 to 100 of weight size^-2: a tenth higher or more, and a narrower interval."""
        rng, gain, narrower = np.random.default_rng(15), [], []
        sizes = np.arange(1, 101)
        weight = sizes**-2.0 / np.sum(sizes**-2.0)
        for _ in range(20):
            size = rng.choice(sizes, 300, p=weight)
            group = np.repeat(np.arange(300), size)
            values = (rng.random(300) < 0.7)[group] * 1.0
            plain = {"largest_group": 100}
            others = plain | {"sizes": rng.choice(sizes, 1000, p=weight)}
            gain.append(item_lower_limit(values, group, **others) / item_lower_limit(values, group, **plain))
            one, other = (item_interval(values, group, **how, low=0.0, high=1.0) for how in (others, plain))
            narrower.append(np.diff(one)[0] / np.diff(other)[0])
        assert np.median(gain) > 1.1 and np.median(narrower) < 0.9

    def test_sizes_that_say_nothing_new_change_nothing(self):
        values, group = grouped(50, np.random.default_rng(16))
        alike = item_lower_limit(values, group, largest_group=LARGEST, sizes=[LARGEST] * 3)
        assert alike == item_lower_limit(values, group, largest_group=LARGEST)
        larger = item_lower_limit(values, group, largest_group=LARGEST, sizes=[LARGEST + 1] * 3)
        assert alike == larger

    def test_it_approaches_the_mean(self):
        x = np.random.default_rng(9).beta(2.0, 5.0, 20_000)
        limit = lower_mean_limit(x, 0.95, low=0.0, high=1.0)
        assert x.mean() - 2 * 1.645 * x.std() / math.sqrt(x.size) < limit < x.mean()
        assert lower_mean_limit(x, 0.99, low=0.0, high=1.0) < limit
        assert lower_mean_limit(4.0 * x - 2.0, 0.95, low=-2.0, high=2.0) == pytest.approx(4.0 * limit - 2.0, abs=1e-9)

    def test_the_interval_is_of_two_limits_that_share_the_risk(self):
        values, group = grouped(50, np.random.default_rng(7))
        low, high = item_interval(4 * values - 1, group, 0.9, largest_group=LARGEST, low=-1.0, high=3.0)
        one, other = (item_lower_limit(x, group, 0.95, largest_group=LARGEST) for x in (values, 1 - values))
        assert (low, high) == pytest.approx((4 * one - 1, 3 - 4 * other), abs=1e-9)

    def test_extremes(self):
        assert lower_mean_limit([0.0], 0.95, low=0.0, high=1.0) == 0.0
        assert lower_mean_limit([1e-300], 0.95, low=0.0, high=1.0) == 0.0
        assert 0.9 < lower_mean_limit(np.ones(200), 0.95, low=0.0, high=1.0) < 0.05 ** (1 / 200)
        assert item_interval([1.0], low=0.0, high=1.0, confidence=0.5)[1] == 1.0


class TestRatios:
    def test_of_a_whole_that_is_always_one_it_is_the_limit_of_the_items(self):
        values, group = grouped(40, np.random.default_rng(5))
        expected = item_lower_limit(values, group, 0.9, largest_group=LARGEST)
        assert ratio_lower_limit(values, np.ones(len(values)), group, 0.9, largest_group=LARGEST) == expected > 0.1

    def test_at_the_limit_the_capital_is_the_inverse_of_the_risk(self):
        part, whole = np.array([1, 1, 0, 0.5, 1, 2, 1]), np.array([1, 0.5, 1, 0, 0.25, 1, 1])
        group = [0, 0, 1, 1, 2, 3, 4]
        sums, wholes = np.bincount(group, part), np.bincount(group, whole)
        limit = ratio_lower_limit(part, whole, group, 0.6, largest_group=2)
        total = np.mean([np.prod(1 + c / 2 * (sums / limit - wholes)) for c in betting._stakes(5, 0.4)])
        assert total == pytest.approx(1 / 0.4, rel=1e-8)

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=40)
    def test_a_whole_that_is_thought_larger_gives_no_higher_limit(self, seed):
        rng = np.random.default_rng(seed)
        part, whole, more = rng.random((3, 60)) < rng.random((3, 1)).clip(0.05)
        whole[0] = True
        limits = [ratio_lower_limit(part, one, np.arange(60) // 2, largest_group=2) for one in (whole, whole | more)]
        assert limits[1] <= limits[0] + 1e-9

    def test_it_approaches_the_ratio_also_above_one(self):
        part, whole = np.tile([1, 1, 1, 0], 20_000), np.tile([1, 1, 0, 0], 20_000)
        assert 1.47 < ratio_lower_limit(part, whole) < 1.5

    def test_of_nothing_found_nothing_is_sure(self):
        assert ratio_lower_limit(np.zeros(50), np.ones(50)) == 0.0


class TestRunningLimits:
    def test_they_never_fall_and_do_not_look_ahead(self):
        x = np.random.default_rng(6).random(80)
        limits = running_limits(x, horizon=80)
        assert (np.diff(limits) >= 0).all() and limits[-1] > 0.3
        np.testing.assert_array_equal(running_limits(x[:50], horizon=80), limits[:50])

    def test_after_the_last_it_is_the_fixed_limit_or_an_earlier_one(self):
        x = np.concatenate([np.zeros(20), np.ones(60)])  # rises all the time: the last one is the highest
        fixed = lower_mean_limit(x, 0.95, low=0.0, high=1.0)
        assert fixed - 1 / betting.STEPS <= running_limits(x, horizon=80)[-1] <= fixed
        assert running_limits(x[::-1], horizon=80)[-1] > fixed + 0.01  # here it was higher before

    def test_groups_come_whole(self):
        """b, a and c in the order of their first items, on another scale."""
        limits = running_limits(
            [3.0, 1.0, 3.0, 3.0], ["b", "a", "b", "c"], 0.5, horizon=3, largest_group=2, low=1.0, high=3.0
        )
        stakes = betting._stakes(3, 0.5)
        refuted = [p for p in np.arange(1, 1001) / 1000 if (1 + stakes / 2 * (2 / p - 2)).mean() >= 2]
        assert len(limits) == 3 and limits[0] == pytest.approx(1.0 + 2.0 * max(refuted))

    def test_blocks_of_groups_give_the_same_bits_in_little_memory(self, monkeypatch):
        x = np.random.default_rng(7).random(4000)
        tracemalloc.start()
        try:
            limits = running_limits(x, horizon=4000)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 2**25 < len(x) * betting.STEPS * 8 * 1.1
        for size in (1, 7, 4000):
            monkeypatch.setattr(betting, "GROUPS", size)
            np.testing.assert_array_equal(running_limits(x[: 40 * size], horizon=4000), limits[: 40 * size])

    def test_bad_input(self):
        with pytest.raises(ValueError, match="horizon: 0"):
            running_limits([0.5], horizon=0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: item_lower_limit([1.5]), r"values: 1\.5"),
        (lambda: item_lower_limit([0.5], [0]), "largest_group: none"),
        (lambda: item_lower_limit([0.5, 0.5], [0, 0], largest_group=1), "largest_group: 1, at least 2"),
        (lambda: item_lower_limit([0.5], [0], largest_group=2, sizes=[2, 0]), "sizes: 0"),
        (lambda: item_lower_limit([0.5], confidence=1.0), "confidence: 1.0"),
        (lambda: item_interval([0.5], low=0.6, high=1.0), r"values: 0\.5"),
        (lambda: item_interval([0.5], low=1.0, high=1.0), "low: 1.0, below high"),
        (lambda: lower_mean_limit([1.5], 0.9, low=0.0, high=1.0), r"values: 1\.5"),
        (lambda: ratio_lower_limit([1.0], [0.0]), "whole: 0 everywhere"),
        (lambda: ratio_lower_limit([1.0], [1.5]), r"whole: 1\.5"),
        (lambda: ratio_lower_limit([-1.0], [1.0]), "part: -1, a number"),
        (lambda: ratio_lower_limit([1.0, 1.0], [1.0]), "part"),
    ],
)
def test_what_cannot_be_used_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("confidence", [1e-300, 1e-17])
def test_a_confidence_near_nothing_gives_the_mean(confidence):
    values = np.random.default_rng(0).uniform(size=50)
    assert betting.lower_mean_limit(values, confidence, low=0.0, high=1.0) == pytest.approx(values.mean())
