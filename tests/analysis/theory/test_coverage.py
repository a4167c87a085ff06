"""How often limits miss: 2,000 draws of populations whose answer is known, in groups and out of them.

A limit is valid if so many misses or more have a probability above 1e-4 under Binomial(2000, 1 - confidence). For each
population a rule that is wrong there is counted too, and must be found invalid.
"""

import numpy as np
import pytest
from scipy import special, stats

from analysis.theory import betting
from analysis.theory.betting import (
    item_interval,
    item_lower_limit,
    lower_mean_limit,
    ratio_lower_limit,
    running_limits,
)
from analysis.theory.confidence import lower_limit
from analysis.theory.survival import (
    item_quantile_limit,
    item_survival_band,
    quantile_limit,
    survival_band,
)

RUNS = 2000
CONFIDENCES = (0.95, 0.99)
LEVEL = 0.5  # cosine that an item shall reach

SIZES, WEIGHTS = np.array([1, 2, 3, 8]), np.array([0.4, 0.3, 0.2, 0.1])  # items of a group
SHIFTS = np.array([-0.5, -0.1, 0.1, 0.75])  # of the cosines of a group of that size: the large ones are better
MEAN = float((SHIFTS * SIZES * WEIGHTS).sum() / (SIZES * WEIGHTS).sum())  # of an item's cosine


def grouped(groups, rng):
    """Cosine and group label an item: all items of a group have one cosine, its shift + uniform in [-.2, .2]."""
    kind = rng.choice(len(SIZES), groups, p=WEIGHTS)
    group = np.repeat(np.arange(groups), SIZES[kind])
    return (SHIFTS[kind] + rng.uniform(-0.2, 0.2, groups))[group], group


def survival(x):
    """P(cos >= x) for an item of that population, every item weighing the same."""
    of_a_size = np.clip((SHIFTS + 0.2 - np.asarray(x)[..., None]) / 0.4, 0.0, 1.0)
    return (of_a_size * SIZES * WEIGHTS).sum(-1) / (SIZES * WEIGHTS).sum()


def valid(misses, confidence):
    return stats.binom.sf(misses - 1, RUNS, 1.0 - confidence) > 1e-4


class TestGroups:
    @pytest.mark.parametrize("confidence", CONFIDENCES)
    def test_share_and_mean(self, confidence):
        """Wrong: Clopper and Pearson's limit of the items, as if they were independent."""
        rng, truth, missed, naive, outside = np.random.default_rng(1), float(survival(LEVEL)), 0, 0, 0
        for _ in range(RUNS):
            cosine, group = grouped(25, rng)
            reached = cosine >= LEVEL
            missed += item_lower_limit(reached, group, confidence, largest_group=8) > truth
            naive += lower_limit(int(reached.sum()), len(reached), confidence) > truth
            low, high = item_interval(cosine, group, confidence, largest_group=8, low=-1.0, high=1.0)
            outside += not low <= MEAN <= high
        assert valid(missed, confidence) and valid(outside, confidence)
        assert not valid(naive, confidence)

    @pytest.mark.parametrize("confidence", CONFIDENCES)
    def test_few_large_groups_and_the_sizes_of_others(self, confidence):
        """2 % of the groups have 50 items and are worse. Wrong: the group-robust normal limit, which seldom sees them.

        The sizes of other groups need not be right: with those of small groups alone the stakes are as bold as can be.
        """
        rng, share, most = np.random.default_rng(8), np.array([0.8, 0.3]), 50
        weight = np.array([0.98, 0.02 * most])
        truth, missed, misled, normal = float(share @ weight / weight.sum()), 0, 0, 0
        for _ in range(RUNS):
            large = (rng.random(100) < 0.02).astype(int)
            counts = np.where(large, most, 1).astype(float)
            sums = counts * (rng.random(100) < share[large])
            others = np.where(rng.random(400) < 0.02, most, 1)
            scales = betting.boldness(most, others), betting.boldness(most, [1])
            for_others, for_small = (betting.reaches(truth, sums, counts, most, confidence, x) for x in scales)
            missed, misled = missed + for_others, misled + for_small
            p = sums.sum() / counts.sum()
            error = np.sqrt(np.sum((sums - p * counts) ** 2)) / counts.sum()
            normal += p - stats.norm.ppf(confidence) * error > truth
        assert valid(missed, confidence) and valid(misled, confidence)
        assert not valid(normal, confidence)

    @pytest.mark.parametrize("confidence", CONFIDENCES)
    def test_ratio(self, confidence):
        """What one ranking finds over what another does. Wrong: Clopper and Pearson's limit of the items."""
        rng, missed, bounded, naive = np.random.default_rng(11), 0, 0, 0
        whole_of, part_of = np.array([0.9, 0.8, 0.7, 0.6]), np.array([0.5, 0.6, 0.7, 0.95])  # by the group's size
        truth = float((SIZES * WEIGHTS) @ (whole_of * part_of) / ((SIZES * WEIGHTS) @ whole_of))
        for _ in range(RUNS):
            kind = rng.choice(len(SIZES), 25, p=WEIGHTS)
            group = np.repeat(np.arange(25), SIZES[kind])
            whole = (rng.random(25) < whole_of[kind])[group]
            part = whole & (rng.random(25) < part_of[kind])[group]
            if not whole.any():
                continue
            sums, counts = np.bincount(group, part), np.bincount(group, whole).astype(float)
            missed += betting.reaches(truth, sums, counts, 8, confidence)
            bounded += betting.reaches(truth, sums, np.bincount(group).astype(float), 8, confidence)
            naive += lower_limit(int(part.sum()), int(whole.sum()), confidence) > truth
        limit = ratio_lower_limit(part, whole, group, confidence, largest_group=8)
        assert betting.reaches(limit - 1e-9, sums, counts, 8, confidence), "the same rule"
        assert not betting.reaches(limit + 1e-9, sums, counts, 8, confidence)
        assert valid(missed, confidence) and bounded <= missed
        assert not valid(naive, confidence)

    @pytest.mark.parametrize("confidence", CONFIDENCES)
    def test_quantile(self, confidence):
        """Wrong: the exact limit of the items, as if they were independent."""
        rng, q, missed, naive = np.random.default_rng(2), 0.3, 0, 0
        for _ in range(RUNS):
            cosine, group = grouped(25, rng)
            missed += survival(item_quantile_limit(cosine, None, group, q, confidence, largest_group=8)) < q
            naive += survival(quantile_limit(cosine, q, confidence)) < q
        assert valid(missed, confidence)
        assert not valid(naive, confidence)

    @pytest.mark.parametrize("confidence", CONFIDENCES)
    def test_band(self, confidence, monkeypatch):
        """Wrong: the exact band of the items, as if they were independent."""
        rng, missed, naive = np.random.default_rng(3), 0, 0
        monkeypatch.setattr("analysis.theory.survival.LEVELS", 6)  # fewer levels, more time
        for run in range(RUNS):
            cosine, group = grouped(25, rng)
            band = item_survival_band(cosine, group=group, confidence=confidence, largest_group=8)
            missed += misses(band, survival)
            if run < 100:  # the naive band depends on the number of items: some ms each
                naive += misses(survival_band(cosine, confidence), survival)
        assert valid(missed, confidence)
        assert stats.binom.sf(naive - 1, 100, 1.0 - confidence) < 1e-4


class TestIndependent:
    @pytest.mark.parametrize("confidence", CONFIDENCES)
    @pytest.mark.parametrize("p", [0.2, 0.98])
    def test_mean(self, p, confidence):
        """Wrong where failures are rare: the normal limit."""
        rng, missed, outside, normal = np.random.default_rng(4), 0, 0, 0
        for _ in range(RUNS):
            x = (rng.random(40) < p) * 1.0
            missed += lower_mean_limit(x, confidence, low=0.0, high=1.0) > p
            low, high = item_interval(x, confidence=confidence, low=0.0, high=1.0)
            outside += not low <= p <= high
            normal += x.mean() - stats.norm.ppf(confidence) * x.std() / np.sqrt(40) > p
        assert valid(missed, confidence) and valid(outside, confidence)
        assert p < 0.5 or not valid(normal, confidence)

    @pytest.mark.parametrize("confidence", CONFIDENCES)
    def test_quantile_and_band(self, confidence):
        """Wrong: the observed quantile, and the limits of every single level as a band."""
        rng, missed, outside, plain, single = np.random.default_rng(5), 0, 0, 0, 0
        ranks = np.arange(1, 61)
        low, high = (
            special.betaincinv(ranks, 61 - ranks, level) for level in ((1 - confidence) / 2, (1 + confidence) / 2)
        )
        for _ in range(RUNS):
            cosine = np.sort(rng.uniform(-1.0, 1.0, 60))
            missed += uniform(quantile_limit(cosine, 0.3, confidence)) < 0.3
            plain += uniform(np.quantile(cosine, 0.7)) < 0.3
            outside += misses(survival_band(cosine, confidence), uniform)
            share = uniform(cosine)[::-1]
            single += not ((low <= share) & (share <= high)).all()
        assert valid(missed, confidence) and valid(outside, confidence)
        assert stats.binom.cdf(outside, RUNS, 1.0 - confidence) > 1e-4  # the band's level is exact
        assert not valid(plain, confidence) and not valid(single, confidence)

    @pytest.mark.parametrize("confidence", CONFIDENCES)
    def test_at_any_time(self, confidence):
        """100 pairs, looked at after each. Wrong: Clopper and Pearson's limit, looked at after every tenth."""
        rng, p, delta = np.random.default_rng(6), 0.3, 1.0 - confidence
        x = rng.random((RUNS, 100)) < p
        won, n = x.cumsum(1), np.arange(1, 101)
        stakes = betting._stakes(100, delta)
        capital = sum((1.0 + c * (1.0 / p - 1.0)) ** won * (1.0 - c) ** (n - won) for c in stakes) / len(stakes)
        refuted = (capital >= 1.0 / delta).any(1)
        assert valid(refuted.sum(), confidence)
        for row, ever in zip(x[:10], refuted[:10], strict=True):  # the function plays this game; .3 is one of its steps
            assert (running_limits(row, confidence=confidence, horizon=100)[-1] >= p) == ever
        peeked = special.betaincinv(np.maximum(won, 1), n - won + 1, delta) * (won > 0) > p
        assert not valid(peeked[:, 9::10].any(1).sum(), confidence)


def uniform(x):
    """P(cos >= x) of a uniform cosine."""
    return (1.0 - np.asarray(x)) / 2.0


def misses(band, truth):
    """Whether a true curve leaves the band, whose steps are at the observed cosines."""
    true = truth(band.cosine)
    return bool((band.lower[:-1] > true + 1e-12).any() or (band.upper[1:] < true - 1e-12).any())
