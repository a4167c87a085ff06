"""From cosine to retrieval: the threshold by brute force, the Gaussian gallery by simulation, the limit's coverage."""

import re

import numpy as np
import pytest
from scipy import stats

from analysis.theory import retrieval
from analysis.theory.arrays import unit_rows
from analysis.theory.confidence import lower_limit
from analysis.theory.retrieval import (
    certify_recall,
    counterexample,
    expected_recall,
    hub_skew,
    needed_cosine,
    recall_limit,
)
from modtrans_core.scores import score

FALSE_ALARM = 1e-6  # of one statistical assertion


def rank(query, own, rivals):
    """1 plus the rivals, each a list of vectors, that score higher than the own item, by loops."""
    best = [max(query @ vector for vector in item) for item in (own, *rivals)]
    return 1 + sum(other > best[0] for other in best[1:])


class TestNeededCosine:
    def test_it_is_the_definition_in_blocks_of_any_size(self, monkeypatch):
        rng = np.random.default_rng(0)
        gallery, counts = rng.standard_normal((9, 3, 4)), rng.integers(1, 4, 9)
        monkeypatch.setattr(retrieval, "BLOCK", 50)
        z = unit_rows(gallery)
        for k in (1, 2, 8):
            found = needed_cosine(gallery, counts, k)
            for i in range(9):
                for j in range(3):
                    nearest = sorted(max(z[i, j] @ v for v in z[o, : counts[o]]) for o in range(9) if o != i)
                    expected = np.sqrt((1 + nearest[-k]) / 2) if j < counts[i] else np.inf
                    assert found[i, j] == pytest.approx(expected, abs=1e-12)

    def test_one_vector_an_item_has_one_number_an_item(self):
        z = np.random.default_rng(1).standard_normal((7, 3))
        np.testing.assert_allclose(needed_cosine(z, k=2), needed_cosine(z[:, None], k=2)[:, 0])

    def test_it_falls_with_k_and_is_half_the_angle(self):
        angle = np.radians([0.0, 40.0, -100.0])
        found = [needed_cosine(np.stack([np.cos(angle), np.sin(angle)], axis=1), k=k)[0] for k in (1, 2)]
        np.testing.assert_allclose(found, np.cos(np.radians([20.0, 50.0])))

    @pytest.mark.parametrize("k", [0, 3])
    def test_a_rank_that_no_rival_can_take_is_refused(self, k):
        with pytest.raises(ValueError, match=f"k: {k}, a whole number from 1 to 2"):
            needed_cosine(np.eye(3), k=k)

    def test_a_vector_without_direction_is_refused(self):
        with pytest.raises(ValueError, match="gallery: row . is zero or not finite"):
            needed_cosine(np.zeros((3, 2)))


class TestMoreThanOneRival:
    """For k = 1 the threshold is tight. For k > 1 it is sufficient, and tight only where the rivals lie together."""

    def test_two_rivals_on_opposite_sides_never_both_win_within_a_right_angle(self):
        own, rivals = np.eye(3)[0], unit_rows(np.array([[0.8, 0.6, 0.0], [0.8, -0.6, 0.0]]))
        q = unit_rows(np.random.default_rng(2).standard_normal((20_000, 3)))
        beaten = ((q @ rivals.T) > (q @ own)[:, None]).all(axis=1)
        assert beaten.any() and (q[beaten] @ own).max() < 0
        assert needed_cosine(np.stack([own, *rivals]), k=2)[0] > 0.94
        with pytest.raises(ValueError, match="k: 2, rivals that are ahead together"):
            counterexample(own, rivals, 0.5, k=2)

    def test_rivals_on_one_great_circle_make_it_tight(self):
        angle = np.radians([0.0, 30.0, 50.0, 200.0])
        z = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        needed = needed_cosine(z, k=2)[0]
        q = counterexample(z[0], z[1:], needed - 1e-9, k=2)
        assert rank(q, z[:1], z[1:, None]) == 3

    def test_the_cone_holds_the_nearest_query_that_the_k_nearest_rivals_beat(self):
        rng = np.random.default_rng(3)
        q = unit_rows(rng.standard_normal((100_000, 3)))
        near_bound = 0
        for _ in range(20):
            own, rivals = np.eye(3)[0], unit_rows(rng.standard_normal((5, 3)))
            nearest = rivals[np.argsort(-rivals @ own)[:2]]
            with pytest.raises(ValueError) as refused:
                counterexample(own, rivals, 1.0, k=2)
            if "below" not in str(refused.value):
                continue
            largest = float(re.search(r"below (\S+)", str(refused.value))[1])
            found = (q @ own)[((q @ nearest.T) > (q @ own)[:, None]).all(axis=1)].max()
            assert found <= largest + 1e-5
            near_bound += found > largest - 0.03
        assert near_bound > 10

    def test_a_rival_that_is_parallel_can_only_tie(self):
        with pytest.raises(ValueError, match="rivals: one is parallel"):
            counterexample([1.0, 0.0], [[2.0, 0.0]], 0.5)


class TestGaussianGallery:
    n, mean = 30, np.array([1.0, 0.5, 0.0, 0.0])
    root = np.array([[1.0, 0.2, 0, 0], [0, 0.7, 0.3, 0], [0, 0, 0.5, 0.1], [0, 0, 0, 0.3]])

    @pytest.fixture(scope="class")
    def simulated(self):
        rng = np.random.default_rng(4)
        queries = rng.standard_normal((3, 4)) + self.mean
        own = queries @ self.mean + np.array([0.5, 1.5, 3.0])
        rivals = (self.mean + rng.standard_normal((20_000, self.n - 1, 4)) @ self.root) @ queries.T
        return queries, own, (rivals > own).sum(axis=1)

    @pytest.mark.parametrize("k", [1, 5])
    def test_the_law_is_that_of_simulated_galleries(self, simulated, k):
        queries, own, ahead = simulated
        law = expected_recall(queries, own, self.mean, self.root.T @ self.root, self.n, k)
        hits = (ahead < k).sum(axis=0)
        for hit, p in zip(hits, law, strict=True):
            assert stats.binomtest(int(hit), len(ahead), p).pvalue > FALSE_ALARM
        wrong = expected_recall(queries, own, self.mean, 1.2 * self.root.T @ self.root, self.n, k)
        assert min(stats.binomtest(int(h), len(ahead), p).pvalue for h, p in zip(hits, wrong, strict=True)) < 1e-9

    def test_a_whole_gallery_of_pairs(self):
        """Queries, own vectors and rivals all drawn: the mean law is the mean recall, by a t test over galleries."""
        rng = np.random.default_rng(5)
        gaps = []
        for _ in range(400):
            z = self.mean + rng.standard_normal((20, 4)) @ self.root
            q = z + 0.5 * rng.standard_normal((20, 4))
            scores = q @ z.T
            hits = (scores > scores.diagonal()[:, None]).sum(axis=1) < 2
            law = expected_recall(q, scores.diagonal(), self.mean, self.root.T @ self.root, 20, 2)
            gaps.append(hits.mean() - law.mean())
        assert stats.ttest_1samp(gaps, 0.0).pvalue > FALSE_ALARM
        assert np.std(gaps) < 0.1

    def test_rivals_that_resemble_the_own_item_break_it(self):
        """Four of a kind: measured recall is far below the law."""
        rng = np.random.default_rng(6)
        z = np.repeat(rng.standard_normal((50, 8)), 4, axis=0) + 0.05 * rng.standard_normal((200, 8))
        q = z + 0.3 * rng.standard_normal(z.shape)
        scores = q @ z.T
        measured = ((scores > scores.diagonal()[:, None]).sum(axis=1) < 1).mean()
        law = expected_recall(q, scores.diagonal(), z.mean(0), np.cov(z.T), 200).mean()
        assert measured < 0.6 * law

    def test_a_gallery_of_one_finds_and_k_of_n_finds(self):
        q = np.ones((1, 4))
        for n, k in ((1, 1), (5, 5)):
            assert expected_recall(q, [-9.0], self.mean, np.eye(4), n, k) == 1.0

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"covariance": np.zeros((4, 4))}, "no spread along query 0"),
            ({"n": 0}, "n: 0"),
            ({"k": 0}, "k: 0"),
            ({"mean": np.ones(3)}, "covariance: shapes"),
            ({"own": [1.0]}, "rows: queries 2, own 1"),
        ],
    )
    def test_what_cannot_be_used_is_refused(self, change, words):
        given = {"queries": np.ones((2, 4)), "own": [1.0, 1.0], "mean": self.mean, "covariance": np.eye(4), "n": 5}
        with pytest.raises(ValueError, match=words):
            expected_recall(**{**given, **change})


def test_hub_skew_is_the_skewness_of_how_often_an_item_is_named():
    rng = np.random.default_rng(7)
    queries, gallery = rng.standard_normal((50, 5)) + 1.0, rng.standard_normal((20, 5)) + 1.0
    cosine = unit_rows(queries) @ unit_rows(gallery).T
    named = [sum(item in set(np.argsort(-row)[:3]) for row in cosine) for item in range(20)]
    centred = np.array(named) - np.mean(named)
    expected = (centred**3).mean() / (centred**2).mean() ** 1.5
    assert hub_skew(queries, gallery, k=3) == pytest.approx(expected)


def misses_allowed(confidence, runs=2000):
    """The most misses that Binomial(runs, 1 - confidence) has, but for a probability of 1e-4."""
    return stats.binom.isf(1e-4, runs, 1 - confidence)


class TestLimit:
    """Hits that are independent and not alike: 2,000 runs, exact binomial tails."""

    runs = 2000

    @pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
    @pytest.mark.parametrize("spread", [0.05, 5.0])
    def test_single_hits(self, confidence, spread):
        rng = np.random.default_rng(8)
        p = rng.beta(0.3 * spread, 0.7 * spread, 50)
        hits = rng.random((self.runs, 50)) < p
        by_sum = [recall_limit(np.arange(50) < s, confidence=confidence) for s in range(51)]
        missed = sum(by_sum[s] > p.mean() for s in hits.sum(axis=1))
        assert missed <= misses_allowed(confidence)

    @pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
    def test_groups_that_are_found_or_lost_as_one(self, confidence):
        rng = np.random.default_rng(9)
        sizes = rng.integers(1, 6, 30)
        group, p = np.repeat(np.arange(30), sizes), rng.uniform(0.1, 1.0, 30)
        truth = (p * sizes).sum() / sizes.sum()
        found = rng.random((self.runs, 30)) < p
        missed = sum(recall_limit(row[group], group, confidence) > truth for row in found)
        assert missed <= misses_allowed(confidence)
        if confidence == 0.9:  # with items as the unit it would miss far more often
            naive = sum(recall_limit(row[group], confidence=confidence) > truth for row in found)
            assert naive > misses_allowed(confidence)

    def test_one_success_says_nothing(self):
        """Clopper and Pearson's limit is of equal probabilities: one item of .051 beside 19 of 0 breaks it."""
        hits = np.arange(20) == 0
        assert lower_limit(1, 20) > 0.051 / 20  # exceeded with probability .051, above the .05 allowed
        assert recall_limit(hits) == 0.0

    def test_it_is_useful_and_knows_no_order(self):
        rng = np.random.default_rng(10)
        hits, group = rng.random(300) < 0.8, np.arange(300) // 3
        limit = recall_limit(hits, group)
        assert hits.mean() - 0.12 < limit < hits.mean()
        order = rng.permutation(300)
        assert recall_limit(hits[order], group[order]) == pytest.approx(limit, abs=1e-9)
        assert recall_limit(np.zeros(9), np.arange(9) // 3) == 0.0
        assert 0.5 < recall_limit(np.ones(90), np.arange(90) // 3) < 1.0

    def test_hits_outside_0_to_1_are_refused(self):
        with pytest.raises(ValueError, match="hits: 2"):
            recall_limit([0.0, 2.0])
        with pytest.raises(ValueError, match="confidence: 1"):
            recall_limit([True], confidence=1.0)


class TestCertificate:
    def test_given_the_gallery_hits_are_independent_and_over_galleries_they_are_not(self):
        """The number of hits has the variance sum p (1 - p) in a fixed gallery, and less where that is drawn."""
        rng = np.random.default_rng(11)

        def hits(z, runs):
            q = z + 0.8 * rng.standard_normal((runs, *z.shape[-2:]))
            scores = q @ np.swapaxes(z, -1, -2)
            own = np.einsum("rqq->rq", scores)
            return (scores > own[..., None]).sum(axis=2) < 1

        z = unit_rows(rng.standard_normal((15, 3)))
        found = hits(z, 20_000)
        p = found.mean(axis=0)
        ratio = found.sum(axis=1).var() / (p * (1 - p)).sum()
        assert abs(ratio - 1) < 0.05  # five standard errors, sqrt(2 / 20,000)
        drawn = hits(unit_rows(rng.standard_normal((20_000, 15, 3))), 20_000)
        p = drawn.mean()
        assert drawn.sum(axis=1).var() < 0.96 * 15 * p * (1 - p)

    def test_recall_is_the_evaluations_for_items_with_several_of_either(self):
        rng = np.random.default_rng(12)
        targets, counts = rng.standard_normal((30, 3, 6)), rng.integers(1, 4, 30)
        item = np.concatenate([np.arange(30), rng.integers(0, 30, 20)])
        zhat = targets[item, 0] + 0.8 * rng.standard_normal((50, 6))
        expected = score(zhat, targets, counts, mean=np.ones(6), item=item)
        for k in (1, 10):
            found = certify_recall(zhat, targets, counts, k=k, item=item, group=np.arange(30) // 2)
            assert found.recall == pytest.approx(expected[f"recall_at_{k}"])
            assert 0 < found.forced < found.recall and found.lower_limit < found.recall
            assert (found.k, found.gallery, found.groups) == (k, 30, 15)
            assert (
                f"the {k} nearest of these 30 items" in found.lines()[0] and f"{found.recall:.2%}" in found.lines()[1]
            )

    def test_a_perfect_translation_is_forced_and_a_constant_is_not(self):
        z = unit_rows(np.random.default_rng(13).standard_normal((40, 5)))
        assert certify_recall(z, z, k=1).forced == 1.0
        constant = certify_recall(np.tile(z.mean(0), (40, 1)), z, k=1)
        assert constant.recall == pytest.approx(1 / 40) and constant.forced == 0.0

    def test_a_tie_of_a_single_query_counts_as_lost(self):
        z = np.repeat(np.eye(20), 2, axis=0)  # every item has a twin
        found = certify_recall(z, z, k=1)
        assert found.recall == 0.5 and found.lower_limit == 0.0

    def test_an_item_without_a_query_is_refused(self):
        with pytest.raises(ValueError, match="item: shape"):
            certify_recall(np.eye(3), np.eye(3), item=np.array([0, 1, 1]), k=1)

    def test_queries_of_another_dimension_are_refused(self):
        with pytest.raises(ValueError, match=r"^translated: \(3, 2\), queries in the gallery's 3 dimensions is needed"):
            certify_recall(np.ones((3, 2)), np.eye(3), k=1)


def test_a_duplicate_in_the_gallery_forces_nothing():
    """float32 vectors whose products with themselves are 1 but for rounding, each there twice: all is a tie."""
    z = np.repeat(np.random.default_rng(0).standard_normal((50, 64)).astype(np.float32), 2, axis=0)
    found = certify_recall(z, z, k=1)
    assert found.recall == 0.5 and found.forced == 0.0
