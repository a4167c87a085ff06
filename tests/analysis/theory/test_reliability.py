"""The reliability diagram where the truth is known."""

import numpy as np
import pytest
from scipy import stats

from analysis.experiments.synthetic import synthetic_pairs
from analysis.theory.betting import item_interval
from analysis.theory.reliability import judge_expectation, reliability
from modtrans_core.scores import cosine


@pytest.fixture(scope="module")
def known():
    """|E[z|c]| and the cosine of each of 4,000 synthetic pairs."""
    pairs, mean = synthetic_pairs(4000, 8, 16, 0.7, 1, np.random.default_rng(0))
    return np.linalg.norm(mean, axis=1), cosine(mean, pairs.modality("text"))


def test_the_length_of_the_true_mean_is_reliable(known):
    found = reliability(*known, bins=20)
    assert found.bins["n"].sum() == 4000 and (np.diff(found.bins["expected"]) > 0).all()
    assert found.error < 1.5 * found.error_by_chance and abs(found.bias) < 0.01
    inside = ((found.bins["low"] <= found.bins["expected"]) & (found.bins["expected"] <= found.bins["high"])).sum()
    assert inside >= 15  # 20 intervals of 95%: fewer than 16 has probability .0026
    assert found.rank_correlation > 0.3


def test_overconfidence_is_seen(known):
    expected, observed = known
    found = reliability(expected + 0.1, observed)
    assert found.bias == pytest.approx(-0.1, abs=0.01) and found.error > 5 * found.error_by_chance
    assert reliability(np.random.default_rng(0).permutation(expected), observed).rank_correlation < 0.1


def test_by_chance_alone_the_error_is_what_it_says():
    rng = np.random.default_rng(0)
    expected = np.linspace(0, 1, 200)
    errors, promised = zip(
        *(reliability(expected, expected + 0.1 * rng.standard_normal(200))[1:3] for _ in range(300)), strict=True
    )
    assert np.mean(errors) == pytest.approx(np.mean(promised), rel=0.06)


def test_by_chance_alone_groups_scatter_more():
    """Ten copies of 40 independent items: the error is that of 40 items, and so is what is promised by chance."""
    rng = np.random.default_rng(1)
    expected, group = np.repeat(rng.random(40), 10), np.repeat(np.arange(40), 10)
    errors, promised, of_items = zip(
        *(
            (found.error, found.error_by_chance, reliability(expected, observed, bins=4).error_by_chance)
            for observed in (expected + 0.1 * rng.standard_normal((400, 40))[:, group])
            for found in [reliability(expected, observed, group, bins=4)]
        ),
        strict=True,
    )
    assert np.mean(errors) == pytest.approx(np.mean(promised), rel=0.08)
    assert np.mean(of_items) < np.mean(promised) / 2  # as if the copies were independent


def test_bins_are_of_items_and_their_intervals_of_groups():
    """Two bins of 4 and 3 items; in the first, two groups of copies: Student's interval of two values."""
    expected = np.array([0.1, 0.11, 0.12, 0.13, 0.7, 0.8, 0.9])
    observed = np.array([0.0, 0.2, 0.0, 0.2, 0.7, 0.8, 0.6])
    found = reliability(expected, observed, ["a", "b", "a", "b", "c", "d", "e"], bins=2, confidence=0.9)
    half = np.tan(0.45 * np.pi) * 0.1  # Cauchy's quantile
    assert (found.bins["low"][0], found.bins["high"][0]) == (pytest.approx(0.1 - half), pytest.approx(0.1 + half))
    errors = [
        0.095 * 1.837,  # -.11 and .08, what is left of either group
        stats.t.ppf(0.84135, 2) * np.std([0.0, 0.0, -0.3], ddof=1) / np.sqrt(3),
    ]
    assert found.error_by_chance == pytest.approx(np.sqrt(2 / np.pi) * np.average(errors, weights=[4, 3]), rel=1e-3)


def test_bins_of_one_group_have_no_chance_error():
    expected = np.array([0.1, 0.2, 0.7, 0.8])
    observed = expected + np.array([0.1, -0.1, 0.1, -0.1])
    found = reliability(expected, observed, ["a", "a", "b", "c"], bins=2)
    other = reliability(expected, observed, [0, 0, 1, 1], bins=2)
    assert found.error_by_chance == pytest.approx(np.sqrt(2 / np.pi) * 0.1 * 1.837, rel=1e-3)  # Student's, 1 degree
    assert np.isnan(other.error_by_chance)


class TestJudgeExpectation:
    def test_items_weigh_the_same_in_groups(self):
        """One large group of 60 items that fall short, 60 single ones that do not: .05 of .1 on average over items."""
        group = np.concatenate([np.zeros(60), np.arange(1, 61)])
        expected = np.full(120, 0.5)
        observed = expected - 0.1 * (group == 0)
        found = judge_expectation(expected, observed, 0.9, group=group, largest_group=60)
        assert found.observed - found.expected == pytest.approx(-0.05) and found.low < -0.05 < found.high
        assert not found.refuted  # one group is no evidence
        difference = observed - expected
        assert (found.low, found.high) == item_interval(difference, group, 0.9, largest_group=60, low=-2.0, high=1.0)
        others = {"group": group, "largest_group": 60, "sizes": [1, 2, 60]}
        bolder = judge_expectation(expected, observed, 0.9, **others)
        assert (bolder.low, bolder.high) == item_interval(difference, confidence=0.9, **others, low=-2.0, high=1.0)
        assert bolder.low > found.low
        assert judge_expectation(expected, observed, 0.9).refuted  # as 60 items that were independent it would be

    @pytest.mark.parametrize(("shift", "word"), [(0.3, "high"), (-0.3, "low")])
    def test_either_side_is_refuted(self, shift, word):
        found = judge_expectation(np.full(200, 0.5 + shift), np.full(200, 0.5), 0.95)
        assert found.refuted and f"REFUTED, they are too {word}." in found.lines()[2]

    def test_no_order(self):
        rng = np.random.default_rng(2)
        expected, observed, group = rng.random(50), rng.random(50), rng.integers(0, 20, 50)
        order = rng.permutation(50)
        first, second = (
            judge_expectation(expected[i], observed[i], 0.9, group=group[i], largest_group=9)
            for i in (np.arange(50), order)
        )
        assert (first.low, first.high) == pytest.approx((second.low, second.high), abs=1e-9)
        assert first.error == pytest.approx(second.error)

    def test_it_says_of_what_it_speaks(self):
        expected = np.linspace(0.2, 0.8, 40)
        text = "\n".join(judge_expectation(expected, expected - 0.15, 0.9).lines())
        assert "it expected 0.5000 on average. Observed: 0.3500." in text and "in tenths of the items" in text
        alone = judge_expectation(expected, expected, 0.9, group=np.arange(40) // 4, largest_group=4).lines()
        assert alone[-1].endswith("differ by 0.0000 on average.")  # every tenth is one group

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"expected: 1\.5"):
            judge_expectation([1.5], [0.5], 0.9)
        with pytest.raises(ValueError, match=r"observed: 0\.5 to 57\.0, -1 to 1 is needed"):
            judge_expectation([0.5, 0.5], [0.5, 57.0], 0.9)  # per cent
        with pytest.raises(ValueError, match="rows: expected 1, observed 2"):
            judge_expectation([0.5], [0.5, 0.5], 0.9)


@pytest.mark.parametrize(
    ("observed", "bins", "words"),
    [
        (np.zeros(9), 10, "observed: 9 values, 10 are needed"),
        (np.zeros(10), 11, "bins: 11, a whole number from 2 to 10"),
    ],
)
def test_what_does_not_fit_is_refused(observed, bins, words):
    with pytest.raises(ValueError, match=words):
        reliability(np.zeros(10), observed, bins=bins)
