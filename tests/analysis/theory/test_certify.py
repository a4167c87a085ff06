"""Certificates: what each says, of which population, that its statements hold together, and what is refused."""

import json
from dataclasses import FrozenInstanceError, dataclass
from functools import partial

import numpy as np
import pytest
from scipy import stats

from analysis.theory.arrays import unit_rows
from analysis.theory.betting import item_lower_limit
from analysis.theory.certify import (
    GIVEN,
    QUANTILES,
    THESE,
    Observed,
    certify,
    curve,
    guaranteed_levels,
    share_of_groups,
    share_of_items,
)
from analysis.theory.confidence import lower_limit
from analysis.theory.premises import TranslatedPairs
from analysis.theory.survival import quantile_limit

RUNS = 2000
FALSE_ALARM = 1e-6  # of one statistical assertion; the seeds are fixed, so a test that passes once always does


@dataclass(frozen=True)
class Remark:
    """A statement of someone else's."""

    confidence: float

    def lines(self):
        return [f"said with confidence {self.confidence:.3f}"]


class TestObserved:
    def test_it_is_its_own(self):
        """What the caller does with an array later is not in a certificate."""
        cosine, expected = np.linspace(0.4, 0.8, 9), np.linspace(0.3, 0.7, 9)
        observed = Observed.of(cosine, expected=expected)
        cosine *= 0
        expected *= 0
        assert observed.cosine[0] == 0.4 and observed.expected[0] == 0.3

    def test_every_translation_meets_every_target_of_its_item(self):
        """Two conditions of item 0 and one of item 1; three targets of which item 1 has two."""
        zhat = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
        targets = np.array([[[1.0, 0], [0, 1], [3, 4]], [[-1, 0], [0, 1], [np.nan, np.nan]]])
        observed = Observed.of_translations(zhat, targets, item=[0, 0, 1], counts=[3, 2], expected=[0.1, 0.2, 0.3])
        np.testing.assert_allclose(observed.cosine, [1, 0, 0.6, 0, 1, 0.8, -1, 0])
        assert observed.item.tolist() == [0] * 6 + [1] * 2
        np.testing.assert_allclose(observed.expected, [0.1] * 3 + [0.2] * 3 + [0.3] * 2)
        np.testing.assert_allclose(observed.of_items(observed.expected), [0.15, 0.3])
        np.testing.assert_allclose(observed.reached(0.6), [4 / 6, 0])
        assert (observed.pairs, observed.items, observed.groups, observed.alone) == (8, 2, 2, False)

    def test_means_of_items_and_of_groups(self):
        observed = Observed.of([0.1, 0.3, 0.5, 0.9], item=[0, 0, 1, 2], group=["b", "b", "a"])
        np.testing.assert_allclose(observed.of_items(observed.cosine), [0.2, 0.5, 0.9])
        np.testing.assert_allclose(observed.of_groups([0.2, 0.5, 0.9]), [0.9, 0.35])  # a, b
        assert observed.cosine[observed.first].tolist() == [0.9, 0.1]
        assert (observed.largest_group, observed.largest_from) == (2, THESE)

    def test_the_parts_of_the_first_pair_of_each_group(self, orthogonal_parts):
        p, f, z = orthogonal_parts(6, 5, 0.7, np.random.default_rng(60))
        targets = np.stack([z, -z], axis=1)
        observed = Observed.of_parts(p, f, 0.5, targets, group=[0, 1, 1, 0, 2, 2], largest_group=4)
        np.testing.assert_allclose(observed.parts.target, z[[0, 1, 4]], atol=1e-12)
        np.testing.assert_array_equal(observed.parts.projection, p[[0, 1, 4]])
        np.testing.assert_allclose(observed.cosine[::2], -observed.cosine[1::2])
        assert (observed.largest_group, observed.largest_from) == (4, GIVEN)

    def test_parts_that_gamma_leaves_out_are_none(self, orthogonal_parts):
        p, f, z = orthogonal_parts(6, 5, 0.7, np.random.default_rng(61))
        assert Observed.of_parts(p, f, 0.0, z).parts is None
        assert Observed.of_parts(p, f, [0, 0, 0, 0, 0, 0.5], z).parts.moved.sum() == 1

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"cosine": [3.0, 0.2]}, "cosine: 0.2 to 3.0, -1 to 1 is needed"),
            ({"cosine": [np.nan, 0.2]}, "cosine: entry 0 is nan"),
            ({"cosine": []}, "cosine: shape"),
            ({"item": [0]}, "rows: cosine 2, item 1"),
            ({"item": [1, 0]}, "item: not 0 to n - 1"),
            ({"item": [0, 2]}, "item: not 0 to n - 1"),
            ({"item": [1, 2]}, "item: not 0 to n - 1"),
            ({"item": [0.0, 1.0]}, "item: float64 of shape"),
            ({"item": [[0], [1]]}, r"item: int64 of shape \(2, 1\), a vector of integers"),
            ({"group": [0, 1, 2]}, "group: shape"),
            ({"group": [0, 0], "largest_group": 1}, "largest_group: 1, at least 2"),
            ({"expected": [0.5, 1.5]}, "expected: 1.5, a number in"),
            ({"expected": [0.5]}, "rows: cosine 2, expected 1"),
        ],
    )
    def test_bad_cosines(self, changed, words):
        with pytest.raises(ValueError, match=words) as raised:
            Observed.of(**({"cosine": [0.1, 0.2]} | changed))
        assert "\n" not in str(raised.value)

    p, f, z = unit_rows(np.random.default_rng(18).standard_normal((3, 6, 4)))

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"direction": f * np.array([[1, 1, 1, 0.5, 1, 1.2]]).T}, "direction: row 3 has length 0.5"),
            ({"direction": f[:5]}, "rows: projection 6, direction 5"),
            ({"gamma": -1.0}, "gamma: -1, a number in"),
            ({"target": z[:, :3]}, r"one \(n, d\)"),
            ({"projection": np.zeros_like(p), "gamma": 0.0}, "a row is zero"),
            ({"target": 0 * z}, "target: row 0 is zero"),
            ({"target": np.where(np.eye(6, 4) > 0, np.inf, z)}, "target: row 0"),
            ({"group": np.zeros(5)}, "group: shape"),
            ({"group": np.full(6, np.nan)}, "group: NaN, None or masked, a label of every item"),
            ({"target": z[:, None], "counts": np.ones(6)}, "counts: shape .* of float64"),
            ({"item": np.arange(6.0)}, "item: float64 of shape"),
            ({"gamma": np.ones(2)}, r"gamma: shape \(2,\), one number or 6 are needed"),
            ({"expected": np.full(4, 0.5)}, "rows: projection 6, expected 4"),
            ({"target": z[:, None], "counts": np.full(6, 2)}, "counts: shape"),
            ({"target": z[:, None], "counts": np.zeros(6, int)}, "counts: shape"),
            ({"target": z[:, None], "counts": np.ones(5, int)}, r"counts: shape \(5,\)"),
            ({"target": z[:, None, None]}, "target: shape"),
            ({"target": z[:5]}, "item: 6 items have translations, 5 have targets"),
            ({"item": np.zeros(6, int)}, "item: 1 items have translations, 6 have targets"),
            ({"item": np.zeros(5, int)}, "rows: rows 6, item 5"),
        ],
    )
    def test_bad_parts(self, changed, words):
        arguments = {"projection": self.p, "direction": self.f, "gamma": 0.5, "target": self.z}
        with pytest.raises(ValueError, match=words) as raised:
            Observed.of_parts(**(arguments | changed))
        assert "\n" not in str(raised.value)


class TestStatements:
    def test_one_pair_an_item_has_the_exact_limits(self):
        cosine = np.random.default_rng(62).uniform(-0.2, 0.9, 300)
        observed = Observed.of(cosine)
        share = share_of_items(observed, 0.4, 0.9)
        k = int((cosine >= 0.4).sum())
        exact = stats.binomtest(k, 300, alternative="greater").proportion_ci(0.9, method="exact").low
        assert share.limit == pytest.approx(exact, rel=1e-12)
        assert share.observed == k / 300
        levels = guaranteed_levels(observed, 0.9).cosine
        assert levels == {str(q): quantile_limit(cosine, q, 0.95) for q in QUANTILES}
        for q in QUANTILES:  # by the count of the cosines that are lower: k of N with P(Binomial(N, 1 - q) <= k) <= .05
            fewer = int((cosine < levels[str(q)]).sum())
            assert stats.binom.cdf(fewer, 300, 1 - q) <= 0.05 < stats.binom.cdf(fewer + 1, 300, 1 - q)

    def test_one_pair_an_item_by_chance_is_not_by_plan(self):
        """Groups may have two items: that none has here must not bring the sharper limit."""
        observed = Observed.of([0.2, 0.6, 0.7] * 20, largest_group=2)
        assert share_of_items(observed, 0.5, 0.9).limit < lower_limit(40, 60, 0.9)
        spread = np.linspace(0, 1, 60)
        one, two = (guaranteed_levels(Observed.of(spread, largest_group=most), 0.9).cosine["0.5"] for most in (1, 2))
        assert two < one == quantile_limit(spread, 0.5, 0.95)

    def test_items_weigh_the_same_whatever_their_pairs_and_groups_whatever_their_items(self):
        """One item of 8 pairs that reach, two of one pair that do not, the first two in a group."""
        observed = Observed.of([0.9] * 8 + [0.1] * 2, item=[0] * 8 + [1, 2], group=[0, 0, 1])
        assert share_of_items(observed, 0.5, 0.9).observed == pytest.approx(1 / 3)
        assert share_of_groups(observed, 0.5, 0.9).observed == pytest.approx(1 / 4)

    def test_a_large_group_decides_once(self):
        """Five groups, one of 96 items that all reach: the limit is that of few groups, not of 96 items."""
        cosine = np.concatenate([np.full(96, 0.9), [0.1, 0.2, 0.3, 0.4]])
        observed = Observed.of(cosine, group=np.concatenate([np.zeros(96), [1, 2, 3, 4]]))
        assert share_of_items(observed, 0.5, 0.95).observed == 0.96
        assert share_of_items(observed, 0.5, 0.95).limit < 0.3
        assert lower_limit(96, 100) > 0.9  # as if they were independent

    def test_the_level_is_the_last_whose_limit_is_high_enough(self):
        rng = np.random.default_rng(63)
        group = np.repeat(np.arange(80), rng.integers(1, 4, 80))
        item = np.repeat(np.arange(len(group)), 2)
        observed = Observed.of(rng.uniform(0, 1, len(item)).round(2), item=item, group=group, largest_group=3)
        for q, level in guaranteed_levels(observed, 0.9).cosine.items():
            levels = np.unique(observed.cosine)
            after = levels[levels > level].min()
            at, beyond = (item_lower_limit(observed.reached(x), group, 0.95, largest_group=3) for x in (level, after))
            assert at >= float(q) > beyond

    def test_a_curve_at_some_cosines(self):
        observed = Observed.of(np.arange(200) / 200, item=np.arange(200) // 2)
        found = curve(observed, [0.1, 0.5, 0.99], 0.9)
        assert found.observed == pytest.approx((0.9, 0.5, 0.01))
        assert all(low <= share <= high for low, share, high in zip(found.low, found.observed, found.high, strict=True))
        farthest = max(np.subtract(found.high, found.observed).max(), np.subtract(found.observed, found.low).max())
        assert f"give or take {farthest:.2%} or less." in found.lines()[1]

    @pytest.mark.parametrize("make", [partial(share_of_items, alpha=0.5), partial(share_of_groups, alpha=0.5)])
    def test_bad_input(self, make):
        observed = Observed.of([0.1, 0.9])
        with pytest.raises(ValueError, match="confidence: 1.0"):
            make(observed, confidence=1.0)
        with pytest.raises(ValueError, match="alpha: 1.5"):
            make(observed, alpha=1.5, confidence=0.9)


class TestCertificate:
    def test_from_cosines(self):
        certificate = certify(Observed.of([0.2, 0.6, 0.7, 0.9]), 0.6, 0.9)
        assert certificate.each == pytest.approx(0.95)  # two statements
        assert list(certificate.statements) == ["items", "cosines"]
        assert certificate.statements["items"] == share_of_items(Observed.of([0.2, 0.6, 0.7, 0.9]), 0.6, 0.95)
        assert "bound" not in certificate.text()

    def test_each_kind_of_knowledge_brings_its_statement(self, orthogonal_parts):
        p, f, z = orthogonal_parts(40, 6, 0.7, np.random.default_rng(64))
        one = {"item": np.arange(40), "group": np.arange(40)}
        grouped = {**one, "group": np.arange(40) // 2}
        cosine = np.linspace(0, 1, 40)
        expected = np.linspace(0.2, 0.8, 40)
        for observed, names in (
            (Observed.of(cosine, **one), ["items", "cosines"]),
            (Observed.of(cosine, **grouped), ["items", "groups", "cosines"]),
            (Observed.of(cosine, expected=expected), ["items", "cosines", "expectation"]),
            (Observed.of_parts(p, f, 0.0, z), ["items", "cosines"]),
            (Observed.of_parts(p, f, 0.5, z), ["items", "cosines", "premises"]),
            (
                Observed.of_parts(p, f, 0.5, z, group=np.arange(40) // 2, expected=expected),
                ["items", "groups", "cosines", "premises", "expectation"],
            ),
        ):
            certificate = certify(observed, 0.5, 0.9)
            assert list(certificate.statements) == names
            assert certificate.each == pytest.approx(1 - 0.1 / len(names))
            for name in {"items", "groups", "cosines"} & set(names):
                assert certificate.statements[name].confidence == certificate.each
            if "premises" in names:
                level = certificate.statements["premises"].dominance.level
                assert level == pytest.approx((1 - certificate.each) / 3)

    def test_a_cosine_of_few_digits_is_the_one_that_is_written(self):
        observed = Observed.of([0.6] * 10, expected=[0.6] * 10)
        assert share_of_items(observed, np.float32(0.6), 0.9) == share_of_items(observed, 0.6, 0.9)
        assert certify(observed, np.float32(0.6), np.float32(0.9)) == certify(observed, 0.6, 0.9)
        assert guaranteed_levels(observed, np.float32(0.9)) == guaranteed_levels(observed, 0.9)
        assert curve(observed, np.array([0.6], np.float32), np.float32(0.9)) == curve(observed, [0.6], 0.9)
        assert share_of_groups(observed, 0.6, np.float32(0.9)) == share_of_groups(observed, 0.6, 0.9)
        assert "a cosine of 0.6, and" in certify(observed, np.float16(0.6)).text()

    def test_statements_can_be_added(self):
        observed = Observed.of([0.2, 0.6, 0.7, 0.9])
        certificate = certify(observed, 0.5, 0.9, statements={"remark": Remark})
        assert certificate.each == pytest.approx(1 - 0.1 / 3)
        assert certificate.statements["remark"] == Remark(certificate.each)
        assert str(certificate) == certificate.text()
        assert certificate.text().endswith("said with confidence 0.967")
        assert certificate.to_dict()["statements"]["remark"] == {"confidence": certificate.each}
        with pytest.raises(ValueError, match="statements: 'items' is one of the certificate's own"):
            certify(observed, 0.5, statements={"items": Remark})
        with pytest.raises(ValueError, match="statements: r: 5, a function of the confidence is needed"):
            certify(observed, 0.5, statements={"r": 5})
        with pytest.raises(ValueError, match=r"alpha: shape \(2,\), one number is needed"):
            certify(observed, [0.5, 0.6])

    def test_every_number_of_the_text(self):
        """1,000 cosines from -.499 to .5, each with confidence .95."""
        certificate = certify(Observed.of(np.arange(-499, 501) / 1000), 0.25, 0.9)
        low = stats.binomtest(251, 1000, alternative="greater").proportion_ci(0.95).low
        allowed = [int(stats.binom.ppf(0.025, 1000, q)) - 1 for q in (0.5, 0.1)]  # most that may be lower
        half, most = (np.arange(-499, 501)[k] / 1000 for k in allowed)
        assert certificate.text().split("\n") == [
            "Items held out: 1,000. They are taken for a random sample of all items.",
            "All statements below hold together with probability at least 0.9.",
            "That needs a cosine of 0.25, and settings, chosen before anyone looked at these items.",
            "Whether the translator was trained on any of these items is not known. If it was, nothing below holds.",
            "How often does a translation have a cosine of 0.25 or more with its target?",
            f"  For at least {low:.2%} of all items, guaranteed. Observed: 25.10% of those held out.",
            "Which cosine do most translations have with their target?",
            f"  Half of all items: at least {half:.4f}. Nine in ten: at least {most:.4f}.",
        ]
        each = pytest.approx(0.95)
        assert json.loads(json.dumps(certificate.to_dict())) == {
            "alpha": 0.25,
            "confidence": 0.9,
            "each": each,
            "pairs": 1000,
            "items": 1000,
            "groups": 1000,
            "largest_group": 1,
            "largest_from": THESE,
            "left_out": None,
            "statements": {
                "items": {
                    "of": "items",
                    "alpha": 0.25,
                    "limit": pytest.approx(low),
                    "observed": 0.251,
                    "confidence": each,
                },
                "cosines": {"cosine": {"0.5": half, "0.9": most}, "confidence": each},
            },
        }

    def test_the_text_of_groups_and_several_pairs(self):
        observed = Observed.of(np.linspace(0, 1, 80), item=np.arange(80) // 2, group=np.arange(40) // 4)
        lines = certify(observed, 0.5).text().split("\n")
        assert lines[0].startswith("Items held out: 40, with 80 pairs of condition and target. ")
        assert lines[4] == "An item with several pairs counts once. Each of its pairs is an equal part of it."
        assert lines[5] == (
            "Items of a group depend on each other. There are 10 groups here, none with more than 4 items."
            f" That number is {THESE}."
        )
        assert lines[6].startswith("The random sample is then one of groups")
        assert lines[9].startswith("  If each group counts once: for at least ")

    def test_too_few_pairs_for_a_level(self):
        text = certify(Observed.of([0.9, 0.8]), alpha=0.5).text()
        assert "Half of all items: unknown, too few independent items. Nine in ten: unknown, too few" in text

    def test_the_ends_of_alpha_are_allowed(self):
        observed = Observed.of([-1.0, 0.0, 1.0])
        found = [certify(observed, alpha).statements["items"].observed for alpha in (-1.0, 1.0)]
        assert found == [1.0, pytest.approx(1 / 3)]
        for alpha in (-1.5, -1.0001, 1.0001):
            with pytest.raises(ValueError, match=f"alpha: {alpha}"):
                certify(observed, alpha)
        for confidence in (0.0, 1.0):
            with pytest.raises(ValueError, match=f"confidence: {confidence}"):
                certify(observed, 0.5, confidence)

    def test_a_certificate_is_not_edited(self, orthogonal_parts):
        p, f, z = orthogonal_parts(40, 6, 0.7, np.random.default_rng(9))
        observed = Observed.of_parts(p, f, 0.5, z)
        certificate = certify(observed, 0.6)
        premises = certificate.statements["premises"]
        for record, name in (
            (observed, "cosine"),
            (certificate, "each"),
            (certificate.statements["items"], "limit"),
            (certificate.statements["cosines"], "cosine"),
            (premises, "misjudged"),
            (premises.bound, "probability"),
            (premises.dominance, "verdict"),
            (TranslatedPairs.of(p, f, 0.5, z), "gamma"),
        ):
            with pytest.raises(FrozenInstanceError):
                setattr(record, name, 1.0)

    def test_nothing_depends_on_the_order_of_the_items(self):
        """Items in another order, and so other first items of a group, but the same pairs of each."""
        rng = np.random.default_rng(65)
        cosine, expected = rng.uniform(0, 1, (60, 2)), rng.uniform(0, 1, (60, 1)).repeat(2, 1)
        group, other = np.repeat(np.arange(20), 3), rng.permutation(60)
        found = [
            certify(
                Observed.of(
                    cosine[rows].ravel(), item=np.arange(120) // 2, group=group[rows], expected=expected[rows].ravel()
                ),
                0.4,
            ).to_dict()["statements"]
            for rows in (np.arange(60), other)
        ]
        assert found[0]["cosines"] == found[1]["cosines"]
        for name, fields in (
            ("items", ("limit", "observed")),
            ("groups", ("limit", "observed")),
            ("expectation", ("expected", "observed", "low", "high")),
        ):
            for field in fields:
                assert found[0][name][field] == pytest.approx(found[1][name][field], rel=1e-9)

    @pytest.mark.parametrize(
        ("lean", "verdict", "words"),
        [(0.6, "supported", "borne out"), (-0.6, "refuted", "worse than a random direction would")],
    )
    def test_verdicts_in_words(self, lean, verdict, words):
        rng = np.random.default_rng(10)
        z, f = unit_rows(rng.standard_normal((2, 500, 20)))
        observed = Observed.of_parts(0.5 * z, unit_rows(f + lean * z), 0.7, z)
        certificate = certify(observed, 0.5)
        assert certificate.statements["premises"].dominance.verdict == verdict
        assert words in certificate.text()

    def test_float32_and_lengths_do_not_matter(self, orthogonal_parts):
        p, f, z = orthogonal_parts(100, 10, 0.7, np.random.default_rng(15))
        exact = certify(Observed.of_parts(p, f, 0.5, z), 0.6).statements
        arrays = (x.astype(np.float32) for x in (p, f, 3 * z))
        p, f, z = arrays
        single = certify(Observed.of_parts(p, f, 0.5, z), 0.6).statements
        assert single["items"] == exact["items"]
        assert single["premises"].exact.probability == pytest.approx(exact["premises"].exact.probability, abs=1e-5)
        assert single["premises"].perpendicular


class TestExpectedCosines:
    def test_exact_expectations_are_refuted_as_seldom_as_said(self):
        """Groups of two items with two pairs each; cosines of a group are off by the same amount to the same side."""
        rng, trials, refuted = np.random.default_rng(44), 300, 0
        item = np.arange(160) // 2
        for _ in range(trials):
            expected = rng.uniform(0.2, 0.8, 80)[item]
            cosine = expected + 0.2 * rng.choice([-1, 1], 40)[item // 2]
            observed = Observed.of(cosine, item=item, group=np.arange(80) // 2, expected=expected)
            refuted += certify(observed, 0.5, 0.7).statements["expectation"].refuted
        assert stats.binom.sf(refuted - 1, trials, 0.3 / 4) > FALSE_ALARM

    def test_a_group_counts_once(self):
        """Ten groups of eight items that are all off by the same: eighty items would be enough to refute."""
        expected = np.full(80, 0.5) + np.linspace(0, 0.1, 80)
        alone, grouped = (
            certify(Observed.of(expected - 0.25, group=group, expected=expected), 0.5).statements["expectation"]
            for group in (None, np.arange(80) // 8)
        )
        assert alone.refuted and not grouped.refuted

    def test_few_pairs(self):
        certificate = certify(Observed.of([0.4, 0.6], expected=[0.5, 0.5]), 0.5)
        assert certificate.statements["expectation"].error is None and "tenths" not in certificate.text()


class TestCoverageOfTheWholeCertificate:
    """Test sets drawn with replacement from a finite population of groups, so that every truth is known exactly."""

    groups, drawn, largest = 300, 40, 4

    def population(self):
        """Groups of 1 to 4 items of 1 to 3 pairs; large groups do worse, and pairs of a group are nearly alike."""
        rng = np.random.default_rng(66)
        size = rng.integers(1, self.largest + 1, self.groups)
        group = np.repeat(np.arange(self.groups), size)
        item = np.repeat(np.arange(len(group)), rng.integers(1, 4, len(group)))
        level = rng.normal(0.6 - 0.05 * size, 0.15)[group[item]]
        cosine = np.clip(level + 0.05 * rng.standard_normal(len(item)), -1, 1).round(1)
        return Observed.of(cosine, item=item, group=group)

    def sample(self, population, rng):
        of_pair = population.group[population.item]
        start = np.searchsorted(of_pair, np.arange(self.groups + 1))
        chosen = rng.integers(0, self.groups, self.drawn)
        rows = np.concatenate([np.arange(start[g], start[g + 1]) for g in chosen])
        copy = np.repeat(np.arange(self.drawn), np.diff(start)[chosen])
        new = np.append(True, (np.diff(population.item[rows]) != 0) | (np.diff(copy) != 0))
        return Observed.of(population.cosine[rows], item=new.cumsum() - 1, group=copy[new], largest_group=self.largest)

    @pytest.mark.parametrize("confidence", [0.95, 0.99])
    def test_of_items_groups_and_levels_at_once(self, confidence):
        rng, population, alpha = np.random.default_rng(67), self.population(), 0.5
        of_items = population.reached(alpha).mean()
        of_groups = population.of_groups(population.reached(alpha)).mean()
        curve = {x: population.reached(x).mean() for x in np.unique(population.cosine)}
        assert of_groups - of_items > 0.03  # two numbers, not one
        wrong, of_rows = 0, 0
        for _ in range(RUNS):
            observed = self.sample(population, rng)
            said = certify(observed, alpha, confidence).statements
            wrong += (
                said["items"].limit > of_items
                or said["groups"].limit > of_groups
                or any(x > -1 and curve[x] < float(q) for q, x in said["cosines"].cosine.items())
            )
            of_rows += lower_limit(int((observed.cosine >= alpha).sum()), observed.pairs, confidence) > of_items
        assert wrong <= stats.binom.isf(1e-4, RUNS, 1 - confidence)
        assert of_rows > stats.binom.isf(1e-4, RUNS, 1 - confidence)  # pairs as if they were independent

    def test_of_independent_pairs_and_close_to_what_was_promised(self):
        rng, alpha, confidence = np.random.default_rng(68), 0.3, 0.9
        wrong = single = 0
        for cosine in rng.random((RUNS, 100)):
            said = certify(Observed.of(cosine), alpha, confidence).statements
            share = said["items"].limit > 1 - alpha
            wrong += share or any(x > 1 - float(q) for q, x in said["cosines"].cosine.items())
            single += share
        assert wrong <= stats.binom.isf(1e-4, RUNS, 1 - confidence)
        assert single >= stats.binom.ppf(1e-4, RUNS, 0.3 * (1 - confidence))  # half of it less what is discrete

    def test_with_premises_that_hold_with_equality(self):
        """F is random: the exact claim and dominance are as tight as can be, and so are seldom refuted."""
        rng, trials, n, d, alpha, confidence = np.random.default_rng(69), 100, 25, 6, 0.4, 0.7
        z, f = unit_rows(rng.standard_normal((2, trials, n, d)))
        p = 0.5 * unit_rows(z + 0.5 * unit_rows(rng.standard_normal((trials, n, d))))
        wrong = 0
        for p_, f_, z_ in zip(p, f, z, strict=True):
            premises = certify(Observed.of_parts(p_, f_, 0.6, z_), alpha, confidence).statements["premises"]
            wrong += premises.exact.refuted or premises.dominance.verdict != "undecided"
        assert wrong <= stats.binom.isf(1e-4, trials, 1 - confidence)


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
    premises = certify(Observed.of_parts(projection, direction, 0.3, target), 0.6).statements["premises"]
    assert premises.bound.probability == 1.0  # rho = 0: cos = 1 / sqrt(1.09), whatever f is


def test_how_many_statements_there_are_depends_on_the_plan_and_not_on_the_draw():
    """Groups of up to two items, of which the held-out ones happen to have one each."""
    found = certify(Observed.of(np.linspace(0, 1, 50), group=np.arange(50), largest_group=2), 0.5)
    assert list(found.statements) == ["items", "groups", "cosines"]
    assert "50 groups here, none with more than 2 items. That number is given beforehand." in found.text()


def test_targets_of_another_dimension_are_refused():
    with pytest.raises(ValueError, match="target: 1 dimensions, 4 as in translation are needed"):
        Observed.of_translations(np.ones((5, 4)), np.ones((5, 1)))
