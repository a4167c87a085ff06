"""Quantile limits and bands: exact by independent oracles. Their coverage is in `test_coverage`."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.theory import survival
from analysis.theory.betting import item_lower_limit
from analysis.theory.confidence import lower_limit
from analysis.theory.survival import (
    inside_probability,
    item_quantile_limit,
    item_survival_band,
    quantile_limit,
    survival_band,
)


def steck(low, high):
    """P(low_i <= U_(i) <= high_i for all i) = n! det[(high_i - low_j)_+^(j - i + 1) / (j - i + 1)!] (Steck 1971)."""
    n = len(low)
    a, b = [Fraction(float(x)) for x in low], [Fraction(float(x)) for x in high]

    def entry(i, j):
        power = j - i + 1
        return max(b[i] - a[j], Fraction(0)) ** power / math.factorial(power) if power >= 0 else Fraction(0)

    matrix = [[entry(i, j) for j in range(n)] for i in range(n)]
    result = Fraction(math.factorial(n))
    for k in range(n):  # Gaussian elimination; the matrix is Hessenberg
        pivot = next((i for i in range(k, n) if matrix[i][k]), None)
        if pivot is None:
            return 0.0
        if pivot != k:
            matrix[k], matrix[pivot], result = matrix[pivot], matrix[k], -result
        result *= matrix[k][k]
        for i in range(k + 1, n):
            if matrix[i][k]:
                factor = matrix[i][k] / matrix[k][k]
                matrix[i] = [x - factor * y for x, y in zip(matrix[i], matrix[k], strict=True)]
    return float(result)


class TestInsideProbability:
    @given(st.integers(1, 9), st.integers(0, 2**32 - 1))
    @settings(max_examples=60, deadline=None)
    def test_against_stecks_determinant(self, n, seed):
        low, high = np.sort(np.random.default_rng(seed).beta(1, 1, (2, n)).T ** [2.0, 0.5], axis=0).T
        ranks = np.arange(1, n + 1)
        low, high = np.minimum(low, high), np.maximum(low, high)
        assert inside_probability(n, ranks, low, high) == pytest.approx(steck(low, high), abs=1e-12)

    @pytest.mark.parametrize(("n", "distance"), [(10, 0.3), (100, 0.12), (1000, 0.05), (3000, 0.02)])
    def test_against_kolmogorovs_law(self, n, distance):
        ranks = np.arange(1, n + 1)
        low, high = np.maximum(ranks / n - distance, 0.0), np.minimum((ranks - 1) / n + distance, 1.0)
        assert inside_probability(n, ranks, low, high) == pytest.approx(
            stats.kstwo.cdf(distance, n),
            abs=1e-11 if n < 500 else 1e-7,  # scipy's is an expansion for large n
        )

    @pytest.mark.parametrize("n", [5, 1000, 100_000])
    def test_one_rank_is_betas(self, n):
        rank = np.array([1 + n // 3])
        law = stats.beta(rank, n + 1 - rank)
        low, high = law.ppf(0.2), law.ppf(0.9)
        assert inside_probability(n, rank, low, high) == pytest.approx(0.7, abs=1e-9)

    def test_what_is_impossible(self):
        ranks = np.array([1, 2])
        assert inside_probability(2, ranks, np.array([0.5, 0.6]), np.array([0.4, 0.9])) == 0.0
        assert inside_probability(2, ranks, np.zeros(2), np.ones(2)) == pytest.approx(1.0, abs=1e-14)


class TestQuantileLimit:
    @pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
    @pytest.mark.parametrize("q", [0.12, 0.5, 0.9])
    @pytest.mark.parametrize("n", [1, 7, 60])
    def test_it_is_the_largest_with_clopper_and_pearsons_limit(self, n, q, confidence):
        cosine = np.random.default_rng(n).permutation(np.linspace(-0.5, 0.9, n))
        limits = [(x, lower_limit(int((cosine >= x).sum()), n, confidence)) for x in cosine]
        assert quantile_limit(cosine, q, confidence) == max((x for x, limit in limits if limit >= q), default=-1.0)

    def test_coverage_is_exact_for_every_number(self):
        """Summed, no simulation: x_(k + 1) of n uniform numbers is Beta(k + 1, n - k)."""
        for n in (20, 50, 200):
            limit = quantile_limit(np.arange(1, n + 1) / n, 0.7, 0.9)  # its rank is n times the limit
            rank = round(limit * n)
            assert stats.beta.cdf(0.3, rank, n + 1 - rank) >= 0.9 > stats.beta.cdf(0.3, rank + 1, n - rank)

    def test_ties(self):
        assert quantile_limit([0.3] * 50 + [0.7] * 50, 0.5) == 0.3
        assert quantile_limit([0.3] * 40 + [0.7] * 60, 0.5) == 0.7

    @pytest.mark.parametrize("q", [0.0, 1.0])
    def test_a_certain_or_an_impossible_share(self, q):
        for call in (
            lambda: quantile_limit(np.zeros(3), q),
            lambda: item_quantile_limit(np.zeros(3), None, [0, 0, 1], q, largest_group=2),
        ):
            with pytest.raises(ValueError, match="q: "):
                call()


def pairs_of_items(seed, items=40):
    """Cosine, item and group a pair, shuffled: items of 1 to 3 pairs, groups of 1 to 4 items."""
    rng = np.random.default_rng(seed)
    item = np.repeat(np.arange(items), rng.integers(1, 4, items))
    group = np.repeat(np.arange(items), rng.integers(1, 5, items))[:items]
    order = rng.permutation(len(item))
    cosine = (rng.random(items)[group] + rng.random(items))[item] / 2 - 0.2 + 0.05 * rng.random(len(item))
    return cosine[order], np.array([f"item {i}" for i in item])[order], group[item][order]


class TestItems:
    @pytest.mark.parametrize("q", [0.2, 0.5])
    @pytest.mark.parametrize("sizes", [{"largest_group": 4}, {"largest_group": 8, "sizes": [1, 2, 3, 4, 1]}])
    def test_it_is_the_largest_with_such_an_item_limit(self, q, sizes):
        cosine, item, group = pairs_of_items(0)
        names, first = np.unique(item, return_index=True)

        def limit(x):
            shares = [np.mean(cosine[item == name] >= x) for name in names]
            return item_lower_limit(shares, group[first], 0.9, **sizes)

        found = item_quantile_limit(cosine, item, group, q, 0.9, **sizes)
        assert found == max((x for x in cosine if limit(x) >= q), default=-1.0) > -1.0

    def test_the_sizes_of_other_groups_make_it_sharper(self):
        cosine, item, group = pairs_of_items(0)
        plain = {"largest_group": 40}
        others = plain | {"sizes": [1, 2, 3, 4, 1]}
        one, other = (item_quantile_limit(cosine, item, group, 0.2, **how) for how in (others, plain))
        assert one > other
        one, other = (item_survival_band(cosine, item, group, **how) for how in (others, plain))
        assert (one.upper - one.lower).mean() < (other.upper - other.lower).mean()

    def test_neither_items_nor_groups_is_exact(self):
        cosine = np.random.default_rng(1).uniform(-1, 1, 50)
        assert item_quantile_limit(cosine, None, None, 0.4) == quantile_limit(cosine, 0.4)
        assert item_survival_band(cosine).lower.tolist() == survival_band(cosine).lower.tolist()

    def test_the_band_is_of_quantile_limits_on_either_side(self):
        cosine, item, group = pairs_of_items(2)
        band = item_survival_band(cosine, item, group, 0.9, largest_group=4)
        each = 1 - 0.1 / (2 * survival.LEVELS)
        for q in np.arange(1, survival.LEVELS + 1) / (survival.LEVELS + 1):
            x = item_quantile_limit(cosine, item, group, q, each, largest_group=4)
            assert x == -1.0 or (band.low(x) >= q > band.low(np.nextafter(x, 2)))
            y = -item_quantile_limit(-cosine, item, group, 1 - q, each, largest_group=4)
            assert y == 1.0 or (band.high(np.nextafter(y, 2)) <= q < band.high(y))
        shares = [np.mean(cosine[item == name] >= 0.3) for name in np.unique(item)]
        assert band.observed(0.3) == pytest.approx(np.mean(shares))
        assert (band.lower <= band.share + 1e-12).all() and (band.share <= band.upper + 1e-12).all()
        assert (np.diff(band.lower) <= 0).all() and (np.diff(band.upper) <= 0).all()

    def test_no_result_depends_on_an_order(self):
        cosine, item, group = pairs_of_items(3)
        order = np.random.default_rng(4).permutation(len(cosine))
        bands = [
            item_survival_band(cosine[i], item[i], group[i], largest_group=4) for i in (np.arange(len(cosine)), order)
        ]
        for name in ("cosine", "share", "lower", "upper"):
            np.testing.assert_allclose(getattr(bands[0], name), getattr(bands[1], name), atol=1e-12)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="group: pair 2 is in another group"):
            item_quantile_limit(np.zeros(3), [0, 1, 0], [0, 0, 1], 0.5, largest_group=2)
        with pytest.raises(ValueError, match="largest_group: 1, at least 2"):
            item_survival_band(np.zeros(3), None, [0, 0, 1], largest_group=1)
        with pytest.raises(ValueError, match="cosine: 0.0 to 2.0"):
            item_survival_band([0.0, 2.0], [0, 1])


class TestBand:
    def test_one_value_by_hand(self):
        """P(cos >= x) at the only cosine is uniform: above .05 and below .95 with probability .9."""
        band = survival_band([0.3], 0.9)
        np.testing.assert_allclose([band.low(0.3), band.high(0.3)], [0.05, 1.0], atol=1e-7)
        np.testing.assert_allclose([band.low(0.31), band.high(0.31)], [0.0, 0.95], atol=1e-7)

    def test_two_values_by_hand(self):
        """Edges eta = 1 - sqrt(1 - e), sqrt(e) and their mirror images; the probability that both are inside is
        Steck's, 2 [(b_1 - a_1) (b_2 - a_2) - (b_1 - a_2)_+^2 / 2].
        """
        band = survival_band([0.1, 0.6], 0.9)
        (a1, a2), (b2, b1) = band.lower[[1, 0]], band.upper[[1, 2]]
        assert (1 - a1) ** 2 == pytest.approx(1 - a2**2)  # P(U_(1) < a1) = P(U_(2) < a2)
        assert (b1, b2) == (pytest.approx(1 - a2), pytest.approx(1 - a1))
        inside = 2 * ((b1 - a1) * (b2 - a2) - max(b1 - a2, 0) ** 2 / 2)
        assert inside == pytest.approx(0.9, abs=1e-7)

    @pytest.mark.parametrize("rest", [1e-8, 1e-10, 1e-13, 2.0**-53])
    def test_near_certainty_it_is_valid(self, rest):
        """What is outside is counted by inclusion and exclusion of few values, where nothing is lost."""
        one = survival_band([0.3], 1.0 - rest)
        rest = 1.0 - (1.0 - rest)
        np.testing.assert_allclose(one.lower, [rest / 2, 0.0])
        lower = survival_band([0.2, 0.6], 1.0 - rest).lower  # of the larger of two uniform numbers, and of the smaller
        a, b = lower[0], lower[1]  # P(U_(1) < b or U_(2) < a) on either side, by symmetry
        outside = 2.0 * (2.0 * b - b**2 + a**2 - (2.0 * a * b - b**2))
        assert 0.5 * rest < outside <= 1.0001 * rest

    @pytest.mark.parametrize("n", [1, 2, 5, 100, 5000])
    @pytest.mark.filterwarnings("error")
    def test_the_more_certain_the_wider(self, n):
        bands = [survival_band(np.arange(n) / n, 1.0 - rest) for rest in (0.05, 1e-6, 1e-8, 1e-10, 1e-13, 2.0**-53)]
        for narrow, wide in pairwise(bands):
            assert (wide.lower <= narrow.lower).all() and (wide.upper >= narrow.upper).all()

    def test_equal_precision(self):
        """Every order statistic is as often too low as too high, all with one probability, below 1 - confidence."""
        band, j = survival_band(np.arange(100) / 100, 0.9), np.arange(1, 101)
        eta = stats.beta.cdf(band.lower[100 - j], j, 101 - j)
        np.testing.assert_allclose(eta, eta[0], rtol=1e-9)
        np.testing.assert_allclose(stats.beta.sf(band.upper[101 - j], j, 101 - j), eta[0], rtol=1e-9)
        assert 0.05 / 100 < eta[0] < 0.05

    def test_beside_dvoretzkys(self):
        """Much narrower at the ends than sqrt(log(2 / delta) / 2 N), a little wider in the middle."""
        n = 1000
        band, half = survival_band(np.arange(n) / n), np.sqrt(np.log(40) / (2 * n))
        assert band.high(0.99) - 0.01 < half / 2
        assert half < band.high(0.5) - 0.5 < 1.3 * half

    def test_fewer_ranks_for_many_values(self, monkeypatch):
        """The level stays exact, and the band hardly changes."""
        x = np.linspace(-1, 1, 901)
        every = survival_band(x, 0.9)
        monkeypatch.setattr(survival, "RANKS", 100)
        survival._equal_precision.cache_clear()
        some = survival_band(x, 0.9)
        survival._equal_precision.cache_clear()
        reach = np.arange(1, 902)
        low, high = some.lower[901 - reach], some.upper[902 - reach]
        assert inside_probability(901, reach, low, high) == pytest.approx(0.9, abs=1e-6)
        assert np.abs(some.lower - every.lower).max() < 0.02 and (np.diff(some.lower) <= 0).all()

    def test_observed_counts(self):
        band = survival_band([0.1, 0.2, 0.3, 0.4])
        np.testing.assert_allclose(band.observed([0.0, 0.1, 0.15, 0.4, 0.5]), [1, 1, 0.75, 0.25, 0])
        assert (band.lower[-1], band.upper[0]) == (0.0, 1.0)
