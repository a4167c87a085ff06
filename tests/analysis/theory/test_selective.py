"""Selection: by hand, against an oracle, and never a false guarantee in simulations, grouped and not."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats

from analysis.theory import betting, selective
from analysis.theory.betting import item_lower_limit
from analysis.theory.certify import Observed
from analysis.theory.selective import STARTS, Selection, risk_curve, select

RUNS, RARE = 2000, 1e-4
CONFIDENCES = [0.95, 0.99]


def allowed(confidence, runs=RUNS):
    """Misses that Binomial(runs, 1 - confidence) exceeds with probability `RARE` at most."""
    return int(stats.binom.isf(RARE, runs, 1 - confidence))


def single(score, missed):
    """Independent pairs with these scores that miss .5, or do not."""
    return Observed.of(np.where(missed, 0.4, 0.6), expected=score)


class TestOneThreshold:
    def test_no_miss_is_enough_from_fourteen_items_on(self):
        """.8^13 = .0550, .8^14 = .0440; what is below .7 accepts the same."""
        for n, threshold in ((13, None), (14, 0.01)):
            found = select(single(np.full(n, 0.7), np.zeros(n, bool)), 0.5, 0.95, risk=0.2, starts=[0.7])
            assert found.threshold == threshold
            assert (found.coverage, found.missed, found.accepted) == (1.0, 0.0, n)

    def test_the_least_risk_is_the_limit_of_clopper_and_pearson(self):
        missed = np.arange(60) < 7
        found = select(single(np.full(60, 0.7), missed), 0.5, 0.95, risk=0.1, starts=[0.5])
        oracle = stats.binomtest(7, 60, alternative="less").proportion_ci(0.95, method="exact").high
        assert found.threshold is None and found.nearest == 0.5
        assert found.enough == pytest.approx(oracle, abs=1e-4) and found.enough >= oracle

    def test_what_scores_the_threshold_itself_is_accepted(self):
        pairs = single([0.5] * 20 + [0.499] * 20, [False] * 20 + [True] * 20)
        found = select(pairs, 0.5, 0.95, risk=0.2, starts=[0.5])
        assert (found.threshold, found.coverage, found.accepted) == (0.5, 0.5, 20)

    def test_alpha_itself_is_reached(self):
        assert select(Observed.of(np.full(20, 0.5), expected=np.full(20, 0.7)), 0.5, 0.9, risk=0.2).missed == 0.0


def by_hand(observed, alpha, confidence, risk, starts):
    """The fallback procedure, spelt out for independent pairs."""
    level, carried, chosen = 1 - confidence, 0.0, None
    for hundredths in range(99, 0, -1):
        t = hundredths / 100
        carried += level / len(starts) if t in starts else 0.0
        accepted = observed.cosine[observed.expected >= t]
        p = stats.binom.cdf((accepted < alpha).sum(), len(accepted), risk) if len(accepted) else 1.0
        chosen, carried = (t, carried) if p <= carried else (chosen, 0.0)
    return chosen


class TestManyThresholds:
    def test_against_the_procedure_spelt_out(self):
        rng = np.random.default_rng(0)
        found = []
        for _ in range(60):
            score = rng.uniform(0.2, 0.9, 300)
            observed = single(score, rng.random(300) > score + rng.uniform(-0.3, 0.3))
            found.append(select(observed, 0.5, 0.9, risk=0.3).threshold)
            assert found[-1] == by_hand(observed, 0.5, 0.9, 0.3, [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8])
            two = select(observed, 0.5, 0.9, risk=0.3, starts=[0.4, 0.7]).threshold
            assert two == by_hand(observed, 0.5, 0.9, 0.3, [0.4, 0.7])
        assert len(set(found)) > 5 and None in found

    def test_the_starts_are_fixed_by_alpha(self):
        """Fourteen good pairs suffice with the whole level at a start, as .8^14 = .044, not with a seventh of it."""
        for alpha, step in ((0.4, 0.0), (0.4, 0.3), (0.6, 0.1)):
            start = round(alpha + step, 2)
            pairs = Observed.of(np.full(14, alpha), expected=np.full(14, start))
            assert select(pairs, alpha, 0.95, risk=0.2, starts=[start]).threshold is not None
            assert select(pairs, alpha, 0.95, risk=0.2).threshold is None
            assert select(pairs, alpha, 1 - 0.0441 * len(STARTS), risk=0.2).threshold is not None
            assert select(pairs, alpha, 1 - 0.0439 * len(STARTS), risk=0.2).threshold is None or step < 0.3

    def test_starts_that_are_no_thresholds_are_left_out(self):
        """Above .99 and below .01; with alpha = .9 two starts remain, with alpha = -.9 the lowest threshold."""
        for alpha, n, level in ((0.9, 14, 0.0881), (-0.9, 14, 0.0441)):
            pairs = Observed.of(np.full(n, alpha), expected=np.full(n, 0.92 if alpha > 0 else 0.01))
            assert select(pairs, alpha, 1 - level, risk=0.2).threshold is not None
            assert select(pairs, alpha, 1 - level + 0.0002, risk=0.2).threshold is None

    def test_a_level_is_passed_on_where_a_hypothesis_falls_and_lost_where_it_stands(self):
        """Half of .05 at .8, half at .5. At .5 two of 31 miss: P(Binomial(31, .2) <= 2) = .0374."""
        good = single([0.9] * 24 + [0.5] * 7, [False] * 29 + [True] * 2)
        assert select(good, 0.5, 0.95, risk=0.2, starts=[0.8, 0.5]).threshold == 0.01
        few = single([0.9] * 16 + [0.5] * 15, [False] * 29 + [True] * 2)  # .8^16 = .0281 stands at the first start
        assert select(few, 0.5, 0.95, risk=0.2, starts=[0.8, 0.5]).threshold is None
        assert select(few, 0.5, 0.95, risk=0.2, starts=[0.5]).threshold == 0.01

    def test_below_the_first_refusal_nothing_is_chosen_until_the_next_start(self):
        pairs = single([0.8] * 30 + [0.6] * 10 + [0.4] * 400, [False] * 30 + [True] * 10 + [False] * 400)
        assert select(pairs, 0.5, 0.95, risk=0.2, starts=[0.7]).threshold == 0.61
        assert select(pairs, 0.5, 0.95, risk=0.2, starts=[0.7, 0.3]).threshold == 0.01


class TestPopulations:
    def test_items_and_groups_weigh_what_they_say(self):
        """A group of nine good items and nine groups of one bad item each."""
        observed = Observed.of([0.6] * 9 + [0.4] * 9, group=[0] * 9 + list(range(1, 10)), expected=[0.7] * 18)
        found = {of: select(observed, 0.5, 0.9, risk=0.2, of=of) for of in ("items", "groups")}
        assert found["items"].missed == 0.5 and found["groups"].missed == pytest.approx(0.9)

    def test_coverage_too(self):
        observed = Observed.of([0.6] * 4, group=[0, 0, 0, 1], expected=[0.7, 0.7, 0.7, 0.2])
        found = {of: select(observed, 0.5, 0.9, risk=0.2, of=of, starts=[0.5]) for of in ("items", "groups")}
        assert found["items"].coverage == 0.75 and found["groups"].coverage == 0.5

    def test_the_pairs_of_an_item_share_its_weight(self):
        observed = Observed.of([0.6, 0.4, 0.4, 0.6], item=[0, 0, 0, 1], expected=[0.7, 0.7, 0.2, 0.7])
        curve = risk_curve(observed, 0.5)
        np.testing.assert_allclose(curve.coverage, [(2 / 3 + 1) / 2, 1.0])
        np.testing.assert_allclose(curve.missed, [(1 / 3) / (2 / 3 + 1), (2 / 3) / 2])

    def test_groups_of_one_are_as_good_as_none(self):
        rng = np.random.default_rng(1)
        score = rng.uniform(0.2, 0.9, 200)
        cosine = np.clip(score + rng.normal(0, 0.1, 200), -1, 1)
        one, other = (
            Observed.of(cosine, expected=score),
            Observed.of(cosine, expected=score, group=rng.permutation(200)),
        )
        assert select(one, 0.5, 0.9, risk=0.2) == select(other, 0.5, 0.9, risk=0.2)
        wary = Observed.of(cosine, expected=score, largest_group=4)
        assert select(wary, 0.5, 0.9, risk=0.2).coverage < select(one, 0.5, 0.9, risk=0.2).coverage

    def test_the_sizes_of_other_groups_make_it_sharper(self):
        rng = np.random.default_rng(2)
        missed = (rng.random(200) < 0.1)[np.arange(400) // 2]
        cosine, group = np.where(missed, 0.4, 0.6), np.arange(400) // 2
        plain = Observed.of(cosine, expected=np.full(400, 0.7), group=group, largest_group=40)
        bolder = replace(plain, sizes=np.array([2.0, 2.0, 4.0]))
        one, other = (float(risk_curve(x, 0.5, 0.9).high[0]) for x in (bolder, plain))
        limit = item_lower_limit((~missed).astype(float), group, 0.9, largest_group=40, sizes=[2, 2, 4])
        assert one == pytest.approx(1.0 - limit, abs=1e-4) and one < other

    def test_one_item_more_a_group_needs_more_groups(self):
        """Copies of one item say no more than the item: by items the limit is no lower than that of one of each."""
        missed = np.arange(100) % 20 == 0
        once = single(np.full(100, 0.7), missed)
        copies = Observed.of(np.repeat(once.cosine, 3), expected=np.full(300, 0.7), group=np.repeat(np.arange(100), 3))
        high = [float(risk_curve(x, 0.5, of=of).high[0]) for x, of in ((once, "items"), (copies, "items"))]
        assert high[1] >= high[0]


def trial(rng, runs, groups, sizes, risk_of, heavy=0.0):
    """Scores and misses (runs, items) in groups of these sizes.

    An item of the score s misses where its coin, uniform on (0, 1), is below risk_of(s): its own coin or, with
    probability `heavy`, that of its group.
    """
    number = np.repeat(np.arange(groups), sizes)
    score, own = rng.random((2, runs, len(number)))
    shared = rng.random((runs, groups))[:, number]
    coin = np.where(rng.random((runs, len(number))) < heavy, shared, own)
    return number, score, coin < risk_of(score)


def steep(score):
    """Risk at a score; R(t) = (1 - t) / 2."""
    return 1.0 - score


@pytest.fixture
def no_search(monkeypatch):
    """What would be enough is not searched for."""
    monkeypatch.setattr(selective, "HALVINGS", 1)


def chosen(groups, sizes, risk_of, heavy, seed, known, **options):
    """The thresholds chosen in `RUNS` data sets, of which the groups are `known` or not."""
    number, score, missed = trial(np.random.default_rng(seed), RUNS, groups, sizes, risk_of, heavy)
    structure = {"group": number, "largest_group": int(np.max(sizes))} if known else {}
    return [
        select(Observed.of(np.where(bad, 0.4, 0.6), expected=row, **structure), 0.5, **options).threshold
        for row, bad in zip(score, missed, strict=True)
    ]


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize("confidence", CONFIDENCES)
class TestNoFalseGuarantee:
    """In 2,000 data sets, the chosen threshold has too high a risk no more often than allowed.

    At a score of s a pair misses with probability 1 - s, so that R(t) = (1 - t) / 2 and R(.5) = .25.
    """

    @pytest.mark.parametrize("starts", [[0.5], [0.6], None])
    def test_independent_pairs(self, confidence, starts):
        """With r just below .25, H is true at .5 and lower."""
        found = chosen(120, 1, steep, 0.0, 1, False, confidence=confidence, risk=0.25 - 1e-9, starts=starts)
        false = sum(t is not None and t <= 0.5 for t in found)
        assert false <= allowed(confidence)
        if starts == [0.5]:  # the one hypothesis is barely true: a test that uses its level up errs about so often
            assert false >= 0.4 * RUNS * (1 - confidence)
        if starts == [0.6]:
            assert sum(t is not None for t in found) > 2 * (1 - confidence) * RUNS

    @pytest.mark.parametrize("of", ["items", "groups"])
    @pytest.mark.parametrize("starts", [[0.5], None])
    def test_groups_that_miss_together(self, confidence, of, starts):
        options = {"confidence": confidence, "risk": 0.25 - 1e-9, "starts": starts, "of": of}
        found = chosen(60, np.tile([1, 2, 6], 20), steep, 0.8, 2, True, **options)
        assert sum(t is not None and t <= 0.5 for t in found) <= allowed(confidence)

    def test_a_score_that_says_nothing(self, confidence):
        """Every threshold has the risk .3, a little above the .29 that is allowed."""
        found = chosen(100, 1, lambda score: 0.3 + 0.0 * score, 0.0, 3, False, confidence=confidence, risk=0.29)
        assert sum(t is not None for t in found) <= allowed(confidence)


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize(("of", "wrong"), [("items", False), ("groups", True)])
def test_large_groups_that_miss_together_count_by_their_items(of, wrong):
    """Half of the groups have one item, which never misses; half have six, which all miss with probability .4.

    Of items .5 * 6 * .4 / 3.5 = .343 miss, in groups .2: what is certified of groups is no guarantee for items.
    """
    rng, false = np.random.default_rng(8), 0
    for _ in range(RUNS):
        sizes = rng.choice([1, 6], 120)
        group = np.repeat(np.arange(120), sizes)
        bad = ((rng.random(120) < 0.4) & (sizes == 6))[group]
        observed = Observed.of(np.where(bad, 0.4, 0.6), expected=np.full(len(group), 0.7), group=group, largest_group=6)
        false += select(observed, 0.5, 0.9, risk=0.34, of=of, starts=[0.6]).threshold is not None
    assert (false > allowed(0.9)) == wrong


def test_a_score_that_says_nothing_is_refused():
    _, score, missed = trial(np.random.default_rng(5), 50, 400, 1, lambda score: 0.4 + 0.0 * score)
    for row, bad in zip(score, missed, strict=True):
        found = select(single(row, bad), 0.5, 0.95, risk=0.2)
        assert found.threshold is None and found.enough > 0.2


@pytest.mark.usefixtures("no_search")
def test_binomials_for_pairs_that_miss_together_do_not_cover():
    """The must-fail twin: the same groups, taken for independent items."""
    found = chosen(60, np.tile([1, 2, 6], 20), steep, 0.8, 2, False, confidence=0.95, risk=0.25 - 1e-9, starts=[0.5])
    assert sum(t is not None for t in found) > allowed(0.95)


class TestCurve:
    def test_it_agrees_with_the_selection(self):
        rng = np.random.default_rng(7)
        score = rng.uniform(0.2, 0.9, 400)
        observed = single(score, rng.random(400) > score)
        curve = risk_curve(observed, 0.5, 0.9)
        assert (np.diff(curve.coverage) > 0).all() and (np.diff(curve.threshold) < 0).all()
        assert (curve.missed <= curve.high).all()
        for t, coverage, missed, high in zip(*curve[:4], strict=True):
            accepted = observed.cosine[score >= t] < 0.5
            assert coverage == len(accepted) / 400 and missed == pytest.approx(accepted.mean())
            oracle = stats.binomtest(int(accepted.sum()), len(accepted), alternative="less").proportion_ci(0.9, "exact")
            assert high == pytest.approx(oracle.high, abs=1e-4)

    def test_nothing_to_accept(self):
        assert [len(column) for column in risk_curve(single([0.0], [False]), 0.5)[:4]] == [0] * 4


class TestWords:
    def test_a_threshold(self):
        found = select(single(np.full(40, 0.7), np.arange(40) < 1), 0.5, 0.95, risk=0.2)
        assert isinstance(found, Selection) and found.threshold is not None
        text = "\n".join(found.lines())
        assert "at most 20% of those may miss a cosine of 0.5" in text
        assert f"at least {found.threshold:.4g}" in text
        assert "100.00% of the items held out. Of these 2.50% miss." in text
        assert json.loads(json.dumps(asdict(found)))["accepted"] == 40

    def test_a_risk_of_few_digits_is_the_one_that_is_written(self):
        observed = single(np.full(40, 0.7), np.arange(40) < 8)
        few = select(observed, 0.5, np.float32(0.95), risk=np.float32(0.3), starts=np.array([0.7], np.float32))
        assert few == select(observed, 0.5, 0.95, risk=0.3, starts=[0.7])
        assert risk_curve(observed, 0.5, np.float32(0.95)).confidence == 0.95

    def test_none(self):
        found = select(single(np.full(40, 0.7), np.arange(40) < 8), 0.5, 0.95, risk=0.1)
        text = "\n".join(found.lines())
        assert "None, no expected cosine is known to be high enough" in text and "Nearest to it is 0.7" in text
        assert f"Guaranteed is only that at most {np.ceil(found.enough * 1e4) / 1e4:.2%} of new ones do." in text
        assert json.loads(json.dumps(asdict(found)))["threshold"] is None

    def test_nothing_to_accept(self):
        found = select(single(np.full(40, 0.0), np.zeros(40, bool)), 0.5, 0.95, risk=0.1)
        assert (found.threshold, found.nearest, found.coverage, found.missed) == (None, None, 0.0, None)
        assert len(found.lines()) == 2

    def test_of_groups(self):
        observed = Observed.of([0.6] * 80, expected=[0.7] * 80, group=np.arange(80) // 2)
        text = "\n".join(select(observed, 0.5, 0.95, risk=0.2, of="groups").lines())
        assert "If each group counts once: those with" in text and "of those held out" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": 2.0}, "alpha: 2, a number in"),
        ({"risk": 1.0}, "risk: 1.0, a number strictly between 0 and 1"),
        ({"confidence": 0.0}, "confidence: 0.0"),
        ({"of": "pairs"}, "of: 'pairs', 'items' or 'groups' is needed"),
        ({"alpha": [0.5, 0.6]}, r"alpha: shape \(2,\), one number is needed"),
        ({"starts": []}, "starts: "),
        ({"starts": 0.6}, r"starts: shape \(\), a shape \(n,\)"),
        ({"starts": [0.0, 0.5]}, r"starts: \[0.0, 0.5\], one or more above 0 and at most 1"),
        ({"observed": Observed.of([0.5])}, "expected: none"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    given = {"observed": single([0.5], [False]), "alpha": 0.5, "confidence": 0.95, "risk": 0.2}
    with pytest.raises(ValueError, match=words):
        select(**{**given, **change})


def test_the_bets_of_all_levels_have_the_stakes_of_the_whole_one(monkeypatch):
    """Only then what is rejected at one level is so at each higher one, which the fallback procedure needs."""
    used, stakes = set(), betting._stakes
    monkeypatch.setattr(
        betting, "_stakes", lambda n, delta, *scale: used.add(round(delta, 12)) or stakes(n, delta, *scale)
    )
    observed = Observed.of([0.6, 0.4] * 80, expected=[0.7] * 160, group=np.arange(160) // 2)
    for risk in (0.2, 0.9):
        select(observed, 0.5, 0.9, risk=risk)
    assert used == {0.1}
