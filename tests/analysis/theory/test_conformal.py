"""Floors: by order statistics, and their coverage in simulations, on average and for one set, grouped and not."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from analysis.theory.betting import lower_mean_limit
from analysis.theory.certify import Observed
from analysis.theory.conformal import ConformalFloor

RUNS, RARE = 2000, 1e-4
CONFIDENCES = [0.95, 0.99]


def allowed(confidence):
    """Misses that Binomial(RUNS, 1 - confidence) exceeds with probability `RARE` at most."""
    return int(stats.binom.isf(RARE, RUNS, 1 - confidence))


def margin(cosine, share, confidence, **structure):
    return ConformalFloor.of(Observed.of(cosine, **structure), share, confidence).margin["all"]


class TestOrderStatistics:
    @pytest.mark.parametrize(("n", "share", "confidence"), [(29, 0.9, 0.95), (100, 0.8, 0.9), (400, 0.9, 0.99)])
    def test_the_floor_is_the_one_of_the_binomial(self, n, share, confidence):
        """With k the largest number for which P(Binomial(n, 1 - q) <= k) <= delta, the (k + 1)-th smallest cosine."""
        cosine = np.random.default_rng(n).permutation(np.arange(n)) / n
        k = int((stats.binom.cdf(np.arange(n), n, 1 - share) <= 1 - confidence).sum()) - 1
        assert k >= 0 and margin(cosine, share, confidence) == -k / n

    def test_too_few_for_any(self):
        """.9^28 = .0523, .9^29 = .0471."""
        assert margin(np.linspace(0, 1, 28), 0.9, 0.95) is None
        assert margin(np.linspace(0, 1, 29), 0.9, 0.95) == 0.0

    def test_with_little_confidence_the_average_decides(self):
        """Nine cosines, q = .9: P(new >= smallest) = 9 / 10 exactly; of eight none is enough, though .9^8 = .43 is."""
        assert margin(np.linspace(0.1, 0.9, 9), 0.9, 0.4) == -0.1
        assert margin(np.linspace(0.1, 0.8, 8), 0.9, 0.4) is None

    def test_half_of_nineteen(self):
        """q = .5, with confidence .01 all but the average is granted: the tenth of nineteen."""
        assert margin(np.arange(1, 20) / 20, 0.5, 0.01) == -10 / 20

    def test_the_weights_of_groups(self):
        """G = 4 and q = .5: weights above the floor must reach .5 * 5 = 2.5 groups.

        Three groups of one item at .9, .8, .2, and one of four at .7, .6, .5, .4: two and two quarters lie at .6 or
        above.
        """
        cosine, group = [0.9, 0.8, 0.2, 0.7, 0.6, 0.5, 0.4], [0, 1, 2, 3, 3, 3, 3]
        assert margin(cosine, 0.5, 1e-9, group=group) == -0.6

    def test_the_pairs_of_an_item_share_its_weight(self):
        """One group of two items with pairs at .9 | .8, .2: the item of two counts a half each; G = 1, q = .375."""
        structure = {"item": [0, 1, 1], "group": [0, 0]}
        assert margin([0.9, 0.8, 0.2], 0.375, 1e-9, **structure) == -0.8
        assert margin([0.9, 0.8, 0.2], 0.376, 1e-9, **structure) == -0.2

    def test_of_groups_it_is_the_least_margin_that_a_limit_of_the_mean_allows(self):
        rng = np.random.default_rng(4)
        short, group = Law().draw(rng, 120)
        c = margin(0.5 - short, 0.8, 0.95, group=group) + 0.5

        def limit(c):
            held = np.bincount(group, short <= c + 1e-12) / np.bincount(group)
            return lower_mean_limit(held, 0.95, low=0.0, high=1.0)

        assert limit(c) >= 0.8 > limit(short[short < c - 1e-9].max())

    def test_the_floor_follows_what_is_expected(self):
        expected = np.linspace(0.2, 0.9, 200)
        shift = np.where(np.arange(200) % 10 == 0, -0.3, 0.05)
        floor = ConformalFloor.of(Observed.of(expected + shift, expected=expected), 0.8, 0.95)
        assert floor.margin["all"] == pytest.approx(-0.05)
        np.testing.assert_allclose(floor([0.3, 0.5]), [0.35, 0.55])
        assert ConformalFloor.of(Observed.of(expected + shift, expected=expected), 0.9, 0.95).margin["all"] > 0.29

    def test_no_floor_is_below_minus_one(self):
        floor = ConformalFloor.of(Observed.of(np.full(50, -0.9), expected=np.full(50, 0.9)), 0.8)
        assert floor([0.1, 0.9]).tolist() == [-1.0, pytest.approx(-0.9)]


class Law:
    """Groups of 1, 2 or 5 items with the shortfall a g + b x of normal g, shared in the group, and x of each item.

    The larger groups are worse. A random item of a random group falls short by more than c with a known probability.
    """

    sizes, shift = np.array([1, 2, 5]), np.array([0.0, 0.05, 0.15])
    own, shared = 0.05, 0.1

    def draw(self, rng, groups):
        kind = rng.integers(3, size=groups)
        number = np.repeat(np.arange(groups), self.sizes[kind])
        short = (self.shift[kind] + self.shared * rng.standard_normal(groups))[number]
        return short + self.own * rng.standard_normal(len(number)), number

    def held(self, c):
        """P(shortfall <= c)."""
        return stats.norm.cdf((c - self.shift) / np.hypot(self.own, self.shared)).mean()


class TestCoverage:
    @pytest.mark.parametrize("confidence", CONFIDENCES)
    def test_independent_pairs(self, confidence):
        """In 2,000 sets of 60: the share of new pairs above the floor is below q no more often than allowed."""
        rng = np.random.default_rng(int(100 * confidence))
        cosine = rng.random((RUNS, 60))
        below = np.array([-margin(row, 0.8, confidence) for row in cosine])  # P(new >= floor) = 1 - floor
        missed = int((1 - below < 0.8).sum())
        assert missed <= allowed(confidence)
        often = stats.binom.cdf(np.arange(60), 60, 0.2)  # how often the k-th order statistic is too high
        assert missed >= stats.binom.ppf(RARE, RUNS, often[often <= 1 - confidence].max())

    @pytest.mark.parametrize("share", [0.5, 0.8, 0.9])
    def test_independent_pairs_on_average(self, share):
        """One new pair to each of 2,000 sets of 49, with so little confidence that the average decides."""
        rng = np.random.default_rng(7)
        cosine, new = rng.random((RUNS, 49)), rng.random(RUNS)
        fell = int((new < [-margin(row, share, 0.1) for row in cosine]).sum())
        assert fell <= stats.binom.isf(RARE, RUNS, 1 - share)
        assert fell >= stats.binom.ppf(RARE, RUNS, 1 - share - 1 / 50)

    @pytest.mark.parametrize("confidence", CONFIDENCES)
    def test_groups(self, confidence):
        """Sets of 80 groups; the new pair is a random item of a new group."""
        rng, law, missed = np.random.default_rng(int(100 * confidence) + 1), Law(), 0
        for _ in range(RUNS):
            short, group = law.draw(rng, 80)
            c = margin(0.5 - short, 0.8, confidence, group=group)
            missed += c is not None and law.held(c + 0.5) < 0.8
        assert missed <= allowed(confidence)

    def test_groups_on_average(self):
        rng, law, fell = np.random.default_rng(9), Law(), 0
        for _ in range(RUNS):
            short, group = law.draw(rng, 40)
            fell += 0.5 - rng.choice(law.draw(rng, 1)[0]) < -margin(0.5 - short, 0.8, 0.05, group=group)
        assert fell <= stats.binom.isf(RARE, RUNS, 0.2)
        assert fell >= stats.binom.ppf(RARE, RUNS, 0.2 - 1 / 41 - 0.01)

    def test_items_of_groups_taken_for_independent_do_not_cover(self):
        """The must-fail twin: groups whose items are alike, without the groups."""
        rng, missed = np.random.default_rng(10), 0
        for _ in range(RUNS):
            short = np.repeat(0.1 * rng.standard_normal(40), 5)
            missed += stats.norm.cdf((margin(0.5 - short, 0.8, 0.95) + 0.5) / 0.1) < 0.8
        assert missed > allowed(0.95)

    @pytest.mark.parametrize("confidence", CONFIDENCES)
    def test_categories_together(self, confidence):
        """Three categories of which one is much worse: all three floors hold at once."""
        rng, missed = np.random.default_rng(int(100 * confidence) + 2), 0
        category = np.repeat(["a", "b", "c"], [40, 40, 60])
        scale = np.repeat([1.0, 0.5, 0.1], [40, 40, 60])
        for _ in range(RUNS):
            floor = ConformalFloor.of(Observed.of(scale * rng.random(140)), 0.8, confidence, category=category)
            missed += any(1 - -floor.margin[name] / top < 0.8 for name, top in (("a", 1.0), ("b", 0.5), ("c", 0.1)))
        assert missed <= allowed(confidence)


class TestCategories:
    rng = np.random.default_rng(3)
    expected = rng.uniform(0.4, 0.8, 300)
    category = np.repeat(["face", "flag", "rare"], [140, 140, 20])
    observed = Observed.of(expected - np.where(category == "flag", 0.3, 0.1) * rng.random(300), expected=expected)

    def test_each_has_its_own_margin(self):
        floor = ConformalFloor.of(self.observed, 0.8, 0.95, category=self.category)
        part = Observed.of(self.observed.cosine[140:280], expected=self.expected[140:280])
        assert (
            floor.margin["flag"] == ConformalFloor.of(part, 0.8, 1 - 0.05 / 3).margin["all"] > 2 * floor.margin["face"]
        )
        floors = floor([0.5, 0.5, 0.5], ["flag", "face", "rare"])
        assert floors.tolist() == [0.5 - floor.margin["flag"], 0.5 - floor.margin["face"], 0.5 - floor.margin["rare"]]

    def test_a_small_one_has_none(self):
        floor = ConformalFloor.of(self.observed, 0.9, 0.95, category=self.category)
        assert floor.margin["rare"] is None and floor.groups == {"face": 140, "flag": 140, "rare": 20}
        assert floor([0.9], ["rare"]).tolist() == [-1.0]
        text = "\n".join(floor.lines())
        assert "rare: No floor: 20 independent groups are too few." in text
        assert f"flag: It reaches the cosine that is expected of it less {floor.margin['flag']:.4f}." in text

    def test_items_of_one_group_may_differ_in_category(self):
        observed = Observed.of(np.tile([0.9, 0.5], 60), group=np.repeat(np.arange(60), 2))
        floor = ConformalFloor.of(observed, 0.8, 0.9, category=np.tile([1, 2], 60))
        assert floor.margin == {"1": -0.9, "2": -0.5} and floor.groups == {"1": 60, "2": 60}

    def test_what_is_not_known_is_refused(self):
        floor = ConformalFloor.of(self.observed, 0.8, 0.95, category=self.category)
        with pytest.raises(ValueError, match="category: 'animal', one of face, flag, rare is needed"):
            floor([0.5], ["animal"])
        with pytest.raises(ValueError, match="category: 'all', one of face"):
            floor([0.5])

    @pytest.mark.parametrize(
        ("category", "words"),
        [
            (["a", "b"], r"shape \(2,\), \(4,\), one label an item"),
            ([["a"]] * 4, r"shape \(4, 1\), \(4,\), one label an item"),
            (["a", "b", np.nan, "c"], "NaN, None or masked, a label of every item"),
            (["a", "b", None, "c"], "NaN, None or masked, a label of every item"),
            (np.ma.array([1, 2, 3, 4], mask=[0, 0, 1, 0]), "NaN, None or masked, a label of every item"),
            ([1, "a", "b", "c"], "labels of several kinds"),
        ],
    )
    def test_every_item_has_one(self, category, words):
        with pytest.raises(ValueError, match=f"^category: {words}"):
            ConformalFloor.of(Observed.of([0.5] * 4), category=category)
        with pytest.raises(ValueError, match=f"^category: {words}"):
            ConformalFloor.of(Observed.of([0.5]))([0.5] * 4, category)


class TestWords:
    def test_of_expected_cosines(self):
        expected = np.linspace(0.4, 0.8, 100)
        floor = ConformalFloor.of(Observed.of(expected - 0.1, expected=expected), 0.9, 0.95)
        text = "\n".join(floor.lines())
        few = ConformalFloor.of(Observed.of(expected - 0.1, expected=expected), np.float32(0.9), np.float32(0.95))
        assert few == floor and "if 10% of new ones may be worse" in text and "expected of it less 0.1000." in text
        assert "a cosine of 0.5000 on average over the items held out" in text and "group" not in text
        assert json.loads(json.dumps(asdict(floor)))["margin"] == {"all": pytest.approx(0.1)}

    def test_without_expected_cosines_all_have_one_floor(self):
        floor = ConformalFloor.of(Observed.of(np.full(100, 0.3)), 0.9, 0.95)
        assert "It reaches a cosine of 0.3000." in "\n".join(floor.lines())
        assert floor(np.zeros(2)).tolist() == [0.3, 0.3]

    def test_of_groups(self):
        floor = ConformalFloor.of(Observed.of(np.full(100, 0.3), group=np.arange(100) // 2), 0.8, 0.95)
        assert "items of new groups" in "\n".join(floor.lines())


@pytest.mark.parametrize(("share", "confidence", "words"), [(1.0, 0.9, "share: 1.0"), (0.9, 0.0, "confidence: 0.0")])
def test_what_cannot_be_is_refused(share, confidence, words):
    with pytest.raises(ValueError, match=words):
        ConformalFloor.of(Observed.of([0.5]), share, confidence)
