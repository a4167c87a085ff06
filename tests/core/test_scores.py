"""Scores against closed forms and against scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.metrics import average_precision_score, top_k_accuracy_score
from sklearn.metrics.pairwise import cosine_similarity

from modtrans_core import scores
from modtrans_core.scores import (
    average_precision,
    away_from,
    ceiling,
    cosine,
    floor,
    named,
    ranking_scores,
    recall_at_k,
    score,
)
from modtrans_core.vectors import mean_of_unit, unit


def sphere(rng, *shape):
    return unit(rng.normal(size=shape))


@given(seed=st.integers(0, 10**6))
def test_cosine_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 20, 6))
    np.testing.assert_allclose(cosine(a, b), np.diag(cosine_similarity(a, b)), atol=1e-6)


def test_cosine_averages_over_an_items_own_targets():
    z = np.array([[[1.0, 0], [0, 1]], [[1, 0], [np.nan, np.nan]]])
    np.testing.assert_allclose(cosine(np.array([[2.0, 0], [3, 0]]), z, np.array([2, 1])), [0.5, 1])


@given(seed=st.integers(0, 10**6), k=st.integers(1, 5))
def test_recall_is_scikit_learns_top_k_accuracy(seed, k):
    rng = np.random.default_rng(seed)
    a, b = sphere(rng, 15, 5), sphere(rng, 15, 5)
    expected = top_k_accuracy_score(np.arange(15), cosine_similarity(a, b), k=k, labels=np.arange(15))
    assert recall_at_k(a, b, k=k).mean() == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 10, 50])
def test_a_constant_prediction_finds_k_in_n_when_the_gallery_is_tied(k):
    a = np.tile([[1.0, 0, 0]], (50, 1))
    np.testing.assert_allclose(recall_at_k(a, a, k=k), k / 50)


def test_recall_with_several_targets_takes_the_best_and_ignores_the_absent():
    gallery = np.array([[[1.0, 0], [0, 1]], [[0.8, 0.6], [0, 1]]])
    query = np.array([[0.0, 1.0]])
    assert recall_at_k(query, gallery, np.array([2, 1]), np.array([0]))[0] == 1
    assert recall_at_k(query, gallery, np.array([2, 1]), np.array([1]))[0] == 0
    assert recall_at_k(query, gallery, np.array([2, 2]), np.array([1]))[0] == 0.5


def test_chunks_of_a_large_gallery_change_nothing():
    rng = np.random.default_rng(0)
    a, b = sphere(rng, 3000, 8), sphere(rng, 3000, 8, 8)
    whole = np.array([recall_at_k(a[i : i + 1], b, relevant=np.array([i]), k=10)[0] for i in range(0, 3000, 301)])
    np.testing.assert_array_equal(recall_at_k(a, b, k=10)[::301], whole)


def test_floor_is_the_best_constant():
    rng = np.random.default_rng(0)
    z = sphere(rng, 400, 6) + 0.5
    best = floor(mean_of_unit(z), z)
    assert best == pytest.approx(np.linalg.norm(mean_of_unit(z)), abs=1e-6)
    assert all(floor(other, z) <= best for other in rng.normal(size=(100, 6)))


def test_ceiling_is_unbiased_and_holds_for_the_best_prediction():
    """von Mises-Fisher targets around each condition: the ceiling is the length of their conditional mean."""
    rng = np.random.default_rng(0)
    n, d, concentration = 40_000, 8, 8.0
    c = sphere(rng, 20, d)
    draws = np.stack(
        [stats.vonmises_fisher(mu.astype(float), concentration).rvs(n // 10, random_state=rng) for mu in c]
    )
    z = draws.reshape(-1, 2, d)
    exact = special.ive(d / 2, concentration) / special.ive(d / 2 - 1, concentration)
    agreement = np.einsum("nd,nd->n", z[:, 0], z[:, 1])
    error = agreement.std() / np.sqrt(len(z)) / (2 * exact)
    assert abs(ceiling(z) - exact) < 5 * error
    best = np.repeat(c, len(z) // 20, axis=0)
    assert abs(cosine(best, z).mean() - exact) < 5 * error


def test_captions_that_only_fill_up_are_said(recwarn):
    """Two captions made five by repeating the last raise the ceiling; counts say how many there are."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 1, 16)) + rng.normal(size=(300, 5, 16))
    filled, two = z.copy(), np.full(300, 2)
    filled[:, 2:] = z[:, 1:2] * (1 + 1e-8)
    with pytest.warns(UserWarning, match="targets: 300 of 300 items with several have equal ones, which count as"):
        high = ceiling(filled)
    recwarn.clear()
    assert ceiling(filled, two) == ceiling(z[:, :2]) < high - 0.1
    z[:3, 4] = z[:3, 0]  # as two people may write the same
    ceiling(z)
    assert not recwarn.list
    z[3, 4] = z[3, 1]
    with pytest.warns(UserWarning, match="4 of 300"):
        ceiling(z)
    pictures = rng.normal(size=(10, 5000, 4))  # of a class: pairs of them would be 12 million
    pictures[2, 4999] = pictures[2, 7]
    with pytest.warns(UserWarning, match="1 of 10"):
        ceiling(pictures)


def test_ceiling_needs_two_targets():
    rng = np.random.default_rng(0)
    assert ceiling(sphere(rng, 9, 4)) is None
    assert ceiling(sphere(rng, 9, 3, 4), np.ones(9, int)) is None


def test_score_of_a_perfect_and_of_a_constant_translation():
    rng = np.random.default_rng(0)
    z = sphere(rng, 100, 16) + 0.2
    mean = mean_of_unit(z)
    perfect = score(3 * z, z, mean=mean)
    assert perfect["cosine"] == pytest.approx(1) and perfect["skill"] == pytest.approx(1)
    assert perfect["recall_at_1"] == perfect["centered_recall_at_1"] == 1 and perfect["gallery"] == 100
    constant = score(np.tile(mean, (100, 1)), z, mean=mean)
    assert constant["cosine"] == pytest.approx(constant["floor"]) and constant["skill"] == pytest.approx(0, abs=1e-6)
    assert constant["recall_at_10"] == pytest.approx(0.1, abs=1e-9)


def test_centering_undoes_a_shift_that_ruins_raw_retrieval():
    """Targets that share a long mean: a prediction with the wrong mean ranks badly raw, and well centered."""
    rng = np.random.default_rng(0)
    n, d = 300, 32
    z = unit(0.3 * sphere(rng, n, d) + 4 * np.eye(d)[0])
    hubby = unit(z + 0.5 * np.mean(z[:3], 0))
    result = score(hubby, z, mean=mean_of_unit(z))
    assert result["centered_recall_at_1"] >= result["recall_at_1"]


def test_there_is_no_skill_where_nothing_lies_between_floor_and_ceiling():
    """Two captions of an item that agree less with each other than with the mean."""
    apart = np.array([[[1.0, 0.5], [-1.0, 0.5]]] * 3)
    found = score(np.ones((3, 2)), apart, mean=mean_of_unit(apart), independent=True)
    assert found["ceiling"] < found["floor"] and found["skill"] is None


def test_items_weigh_the_same_however_many_conditions_they_have():
    z = np.array([[1.0, 0], [0, 1]])
    predicted = np.array([[1.0, 0], [0, 1], [0, 1], [0, 1]])
    result = score(predicted, z, mean=np.array([0.5, 0.5]), item=np.array([0, 0, 0, 1]))
    assert result["cosine"] == pytest.approx((1 / 3 + 1) / 2)


@given(seed=st.integers(0, 10**6))
def test_average_precision_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 6, (8, 20)) / 6 if seed % 2 else rng.random((8, 20))  # with ties and without
    correct = rng.random((8, 20)) < 0.2
    correct[:, 3] = True
    expected = [average_precision_score(right, value) for right, value in zip(correct, values, strict=True)]
    np.testing.assert_allclose(average_precision(values, correct), expected)


def test_measures_of_a_ranking_by_hand():
    """Ranks 1, 1, 3 and 4 of four items; item 0 is first for three queries, the first two of each name three items."""
    best = np.array([[0.9, 0.2, 0.1, 0.0], [0.1, 0.8, 0.5, 0.2], [0.7, 0.6, 0.5, 0.1], [0.9, 0.8, 0.7, 0.1]])
    found = ranking_scores(best, np.eye(4), k=2)
    assert found["mrr"] == pytest.approx((1 + 1 + 1 / 3 + 1 / 4) / 4) == found["map"]
    assert found["median_rank"] == 2.0 and found["recall_at_1"] == 0.5 and found["recall_at_5"] == 1.0
    named = [3, 4, 1, 0]
    assert found["hub_skew"] == pytest.approx(stats.skew(named))
    assert found["anti_hubs"] == 0.25 and found["largest_hub"] == 1.0 and found["gallery"] == 4.0
    alike = ranking_scores(best, np.eye(4), alike=np.array([0, 1, 1, 0]))  # items 0 and 3, 1 and 2 are of one class
    assert alike["map"] == pytest.approx(((1 + 2 / 4) / 2 + (1 + 1) / 2 + (1 / 2 + 2 / 3) / 2 + (1 + 2 / 4) / 2) / 4)
    assert alike["mrr"] == found["mrr"]


def test_blocks_of_queries_change_no_measure(monkeypatch):
    rng = np.random.default_rng(0)
    queries, gallery, own = rng.normal(size=(41, 4)), rng.normal(size=(23, 4)), rng.integers(0, 23, 41)
    whole = ranking_scores(queries, gallery, relevant=own, alike=own[:23] % 5)
    monkeypatch.setattr(scores, "AT_ONCE", 3 * 23)
    assert ranking_scores(queries, gallery, relevant=own, alike=own[:23] % 5) == pytest.approx(whole)


def test_a_constant_prediction_has_the_ranks_of_chance():
    found = ranking_scores(np.zeros((50, 3)), np.eye(50, 3))
    assert found["mrr"] == pytest.approx(np.mean(1 / np.arange(1, 51)))
    assert found["median_rank"] == 25.5 and found["recall_at_5"] == pytest.approx(0.1)
    assert found["largest_hub"] == pytest.approx(0.2) and found["anti_hubs"] == found["hub_skew"] == 0.0


def test_queries_of_one_item_share_its_weight():
    q = np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]])
    found = ranking_scores(q, np.eye(3), relevant=np.array([0, 2, 2, 2, 1]))  # rank 1 once; ranks 2.5 and 2.5
    assert found["recall_at_1"] == pytest.approx(1 / 3) and found["median_rank"] == 2.5
    assert found["mrr"] == pytest.approx((1 + 2 * (1 / 2 + 1 / 3) / 2) / 3)
    assert ranking_scores(np.eye(2), np.eye(2)[::-1])["median_rank"] == 2.0
    assert ranking_scores(q[:2], np.eye(3), relevant=np.array([0, 2]))["median_rank"] == 1.75  # of ranks 1 and 2.5


def test_score_measures_each_ranking_as_ranking_scores_does():
    rng = np.random.default_rng(0)
    z = sphere(rng, 30, 6)
    predicted, group = z + 0.5 * rng.normal(size=z.shape), np.arange(30) // 3
    found = score(predicted, z, mean=z.mean(0), alike=group, ranking=True)
    assert list(found["rankings"]) == ["plain", "centered", "own"]
    assert found["rankings"]["plain"] == ranking_scores(unit(predicted), unit(z), alike=group)
    for name, prefix in (("plain", ""), ("centered", "centered_"), ("own", "own_")):
        for k in (1, 10):
            assert found["rankings"][name][f"recall_at_{k}"] == pytest.approx(found[f"{prefix}recall_at_{k}"])
    assert "rankings" not in score(predicted, z, mean=z.mean(0))


def test_a_mean_of_zero_has_the_floor_zero():
    """Targets that are as often z as -z: no constant is better than another."""
    z = sphere(np.random.default_rng(0), 20, 3)
    found = score(z, z, mean=np.zeros(3))
    assert floor(np.zeros(3), z) == found["floor"] == 0 and found["skill"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"predicted": np.ones((1, 4))}, r"predicted: \(1, 4\), one row an item, \(8, 4\), is needed"),
        ({"predicted": np.ones((8, 1))}, r"predicted: \(8, 1\), one row an item, \(8, 4\), is needed"),
        ({"targets": np.ones((1, 2, 4)), "counts": [1]}, r"predicted: \(8, 4\), one row an item, \(1, 4\), is needed"),
        ({"targets": np.ones((8, 2, 1))}, r"predicted: \(8, 4\), one row an item, \(8, 1\), is needed"),
        ({"targets": np.ones(4)}, r"targets: \(4,\), an array \(n, d\) or \(n, m, d\) is needed"),
        ({"counts": np.full(8, 3)}, r"counts: array\(.*\), an array \(8,\) of integers from 1 to 2 is needed"),
        ({"counts": np.zeros(8, int)}, "counts: array.*integers from 1 to 2 is needed"),
        ({"counts": [1]}, r"counts: .*an array \(8,\) of"),
    ],
)
def test_rows_that_do_not_belong_together_are_refused(how, words):
    """Numpy makes rows or columns of one fit any number; a mean over these would be of other pairs than were given."""
    rng = np.random.default_rng(0)
    given = {"predicted": rng.normal(size=(8, 4)), "targets": rng.normal(size=(8, 2, 4)), "counts": [2] * 8}
    with pytest.raises(ValueError, match=words):
        cosine(**{**given, **how})
    lists = {name: np.asarray(value).tolist() for name, value in given.items()}
    np.testing.assert_array_equal(cosine(**lists), cosine(**given))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"mean": np.ones(1)}, r"mean: \(1,\), one of targets in 4 dimensions, \(4,\), is needed"),
        ({"item": np.arange(8) + 1}, "item: .* one of 0 to 7 for each row of predicted, all of them"),
        ({"item": np.minimum(np.arange(8), 6)}, "item: .* one of 0 to 7"),
        ({"item": np.arange(8.0)}, "item: .* one of 0 to 7"),
        ({"item": np.arange(8)[::-1], "predicted": np.ones((9, 4))}, r"predicted: \(9, 4\), one row an item"),
    ],
)
def test_scores_of_rows_that_do_not_belong_together_are_refused(how, words):
    z = sphere(np.random.default_rng(0), 8, 4)
    with pytest.raises(ValueError, match=words):
        score(**{"predicted": z, "targets": z, "mean": z.mean(0), **how})


def test_rankings_of_queries_without_an_item_are_refused():
    q, gallery = np.ones((8, 4)), np.eye(5, 4) + 1
    for wrong, words in (
        ((q, gallery), "relevant: .*one of the gallery's items, 0 to 4, for each of 8 queries"),
        ((q, gallery[:, :3]), r"queries: \(8, 4\), one or more in the gallery's 3 dimensions"),
        ((q[:0], gallery), r"queries: \(0, 4\)"),
        ((q, gallery[:0]), r"gallery: \(0, 1, 4\), an item or more"),
    ):
        for way in (recall_at_k, ranking_scores):
            with pytest.raises(ValueError, match=words):
                way(*wrong)
    for way in (recall_at_k, ranking_scores):
        for k in (0, 2.5):
            with pytest.raises(ValueError, match=f"k: {k}, a whole number from 1 on is needed"):
                way(q[:5], gallery, k=k)


def test_items_that_score_alike_are_named_alike():
    """A ranking that says nothing has no hubs, and of twins each has half of the queries."""
    rng = np.random.default_rng(0)
    z, q = sphere(rng, 40, 6), sphere(rng, 30, 6)
    nothing = ranking_scores(np.zeros((40, 6)), z)
    assert nothing["hub_skew"] == nothing["anti_hubs"] == 0.0 and nothing["largest_hub"] == pytest.approx(10 / 40)
    scores = q @ np.repeat(z, 2, axis=0).T
    twins = named(scores, 3)
    np.testing.assert_allclose(twins[::2], twins[1::2])
    assert twins.sum() == pytest.approx(3 * 30)
    order = rng.permutation(80)
    np.testing.assert_allclose(named(scores[:, order], 3), twins[order])
    apart = named(q @ z.T, 3)
    np.testing.assert_array_equal(apart, np.bincount(np.argsort(q @ z.T)[:, -3:].ravel(), minlength=40))


def test_a_cosine_is_at_most_one():
    z = 1 + 1e-4 * np.random.default_rng(0).standard_normal((500, 64))
    assert cosine(z, z).max() <= 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.filterwarnings("error")
def test_what_is_not_finite_is_not_found_first(bad):
    z = sphere(np.random.default_rng(0), 8, 4)
    spoilt = np.where(np.arange(8)[:, None] == 3, bad, z)
    pairs = [(spoilt, spoilt)] if bad == 1e30 else [(spoilt, z), (z, spoilt)]
    for q, g in pairs:
        for way in (lambda q, g: ranking_scores(q, g), lambda q, g: score(z, z, mean=z.mean(0), own=(q, g))):
            with pytest.raises(ValueError, match="^queries, gallery: 'NaN or infinity', vectors with finite inner"):
                way(q, g)
    absent = np.stack([z, spoilt], axis=1)
    assert ranking_scores(z, absent, np.ones(8, int)) == ranking_scores(z, z)


@pytest.mark.parametrize("alike", [[0, 1], [0] * 9, [0.0, np.nan] * 4, 1])
def test_classes_of_a_ranking_are_one_an_item(alike):
    z = sphere(np.random.default_rng(0), 8, 4)
    with pytest.raises(ValueError, match=r"^alike: .*, one label an item, \(8,\), is needed"):
        ranking_scores(z, z, alike=alike)
    assert ranking_scores(z, z, alike=[0, 1] * 4)["map"] == ranking_scores(z, z, alike=np.array(["a", "b"] * 4))["map"]


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_the_length_of_a_vector_does_not_matter(scale):
    x, z = np.random.default_rng(0).normal(size=(2, 8, 4))
    np.testing.assert_allclose(cosine(scale * x, z), cosine(x, z), atol=1e-7)
    np.testing.assert_allclose(cosine(x, scale * z), cosine(x, z), atol=1e-7)


INTEGERS = ("int8", "uint8", "int16", "uint64")


class TestAnyNumbers:
    rng = np.random.default_rng(5)
    z = rng.integers(1, 100, (60, 12))
    q = np.clip(z + rng.integers(-30, 30, z.shape), 0, 110)
    mean = np.full(12, 50)

    @pytest.mark.parametrize("kind", [*INTEGERS, "bool", "float16", "float32", ">f4"])
    def test_vectors_of_few_digits_are_the_numbers_that_they_are(self, kind):
        exact = [x.astype(kind).astype(np.float64) for x in (self.q, self.z, self.mean)]
        q, z, mean = (x.astype(kind) for x in (self.q, self.z, self.mean))
        found = score(q, z, mean=mean, own=(q, z), ranking=True)
        expected = score(*exact[:2], mean=exact[2], own=(exact[0], exact[1]), ranking=True)
        assert found.pop("rankings")["own"] == pytest.approx(expected.pop("rankings")["own"], abs=1e-4)
        assert found == pytest.approx(expected, abs=1e-4)

    @pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e-3, 1e6])
    def test_a_ranking_has_no_scale(self, scale):
        q, z = (np.repeat(unit(x), 2, axis=0) for x in (self.q, self.z))  # each item twice, so that ties are met
        expected = score(q, z, mean=self.mean, own=(q, z), ranking=True)
        found = score(q, z, mean=self.mean, own=(q * np.float32(scale), z * np.float32(scale)), ranking=True)
        assert found == expected
        alike = np.arange(len(z)) // 2
        found, expected = (ranking_scores(q * np.float32(one), z * np.float32(one), alike=alike) for one in (scale, 1))
        assert found == expected and expected["map"] > 0.5 >= expected["recall_at_1"]

    @pytest.mark.parametrize("kind", INTEGERS)
    def test_counts_and_items_of_any_integers(self, kind):
        z = self.rng.normal(size=(30, 20, 6)) + np.arange(30)[:, None, None] % 6
        counts, item = np.full(30, 20), np.arange(30)
        arguments = z.mean(1), z, counts.astype(kind)
        found = score(*arguments, mean=z[0, 0], item=item.astype(kind), independent=True)
        assert found == score(z.mean(1), z, counts, mean=z[0, 0], item=item, independent=True)
        right = recall_at_k(*arguments, relevant=item.astype(kind))
        assert right.tolist() == recall_at_k(z.mean(1), z, counts).tolist()

    @pytest.mark.parametrize("name", ["predicted", "targets", "mean", "item", "counts", "alike"])
    @pytest.mark.parametrize("fault", ["masked", "complex"])
    def test_what_is_masked_or_not_real_is_refused(self, name, fault):
        given = {"predicted": np.ones((4, 3)), "targets": np.ones((4, 2, 3)), "mean": np.ones(3)}
        given |= {"item": np.arange(4), "counts": np.full(4, 2), "alike": np.arange(4)}
        given[name] = given[name] + 1j if fault == "complex" else np.ma.array(given[name], mask=given[name] == 1)
        if (name, fault) in {("counts", "masked"), ("alike", "complex")}:
            given[name] = np.ma.array(np.full(4, 2), mask=[0, 0, 1, 0])
        with pytest.raises(ValueError, match=f"^({name}|vectors): "):
            score(**given, ranking=True)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e20, 1e30])
def test_of_translations_only_the_direction_is_meant(scale):
    away = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    mean = np.zeros(4) if scale < 1 else np.full(4, 0.5)
    np.testing.assert_allclose(away_from(mean, away * np.float32(scale)), unit(away), atol=1e-6)
    assert not away_from(away.astype(np.float64), away * np.float32(1 + 1e-7)).any()


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16, torch.int8])
def test_tensors_of_any_kind_are_scored_as_their_numbers(kind):
    z = torch.randint(1, 9, (12, 5), generator=torch.Generator().manual_seed(0))
    given = [x.to(kind).requires_grad_(kind.is_floating_point) for x in (z.flip(1), z, z[0])]
    plain = [x.numpy().astype(float) for x in (z.flip(1), z, z[0])]
    assert score(*given[:2], mean=given[2]) == pytest.approx(score(*plain[:2], mean=plain[2]))


def test_what_no_score_can_be_of_is_named():
    z, mean = np.eye(4), np.ones(4)
    for more, message in (
        ({"mean": mean * np.nan}, "^mean: .*, an array of finite numbers is needed"),
        ({"mean": mean[1:]}, "^mean: "),
        ({"mean": mean, "own": (z, np.eye(6)[:, :4])}, "^own: .*, vectors .* is needed"),
        ({"mean": mean, "own": (z, z[:3])}, "^own: "),
        ({"mean": mean, "own": (z, np.eye(5)[:4])}, "^own: "),
        ({"mean": mean, "own": (z[0], z)}, "^own: "),
    ):
        with pytest.raises(ValueError, match=message):
            score(z, z, **more)
    with pytest.raises(ValueError, match="^predicted: vector 0 is zero"):
        score(0 * z, z, mean=mean)
