"""Measures of draws against closed forms, the true posterior, and the core's own scores."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from analysis.experiments.synthetic import synthetic_pairs
from analysis.theory.draws import energy_score, measure, nearest_draw, similarity
from modtrans_core.scores import cosine, recall_at_k, score
from modtrans_core.vectors import unit


def apart(first, second):
    """How many standard errors the mean of first - second is above zero."""
    difference = np.asarray(first, dtype=float) - second
    return difference.mean() / (difference.std(ddof=1) / np.sqrt(len(difference)))


@pytest.fixture(scope="module")
def known():
    """Synthetic pairs: 12 draws of the true posterior, a target, and E[z|c], of 800 items."""
    pairs, mean = synthetic_pairs(800, 8, 24, 0.7, 13, np.random.default_rng(0))
    z = pairs.modality("text")
    return z[:, :12], z[:, 12], mean


def test_in_one_dimension_the_energy_score_is_the_crps_of_a_gaussian():
    rng = np.random.default_rng(0)
    z = 1.5 * rng.standard_normal(4000)
    closed = z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)  # Gneiting et al. 2005
    found = energy_score(rng.standard_normal((4000, 6, 1)), z[:, None])
    assert abs(apart(found, closed)) < 4


def test_one_draw_is_scored_by_its_distance():
    draws, targets = np.zeros((2, 1, 3)), np.array([[[3.0, 4, 0], [0, 0, 1]], [[0, 2.0, 0], [np.nan] * 3]])
    np.testing.assert_allclose(energy_score(draws, targets, np.array([2, 1])), [3, 2])


def test_the_energy_score_is_best_for_the_true_posterior(known):
    draws, z, mean = known
    best = energy_score(draws, z)
    m = mean[:, None]
    rivals = {
        "the mean": np.repeat(m, 12, 1),
        "too narrow": m + 0.5 * (draws - m),
        "too wide": m + 1.6 * (draws - m),
        "of another item": np.roll(draws, 1, 0),
    }
    for name, rival in rivals.items():
        assert apart(energy_score(rival, z), best) > 4, name


def test_for_the_true_mean_its_length_is_the_cosine_and_the_spread(known):
    draws, z, mean = known
    length = np.linalg.norm(mean, axis=1)
    assert np.ptp(length) > 0.2
    for half in (length < np.median(length), length >= np.median(length)):
        assert abs(apart(cosine(mean[half], z[half]), length[half])) < 4
        assert abs(apart(np.square(z - mean)[half].sum(1), 1 - length[half] ** 2)) < 4
        assert abs(apart(similarity(draws)[half], length[half] ** 2)) < 4


def test_draws_with_gamma_from_theory_score_like_the_posterior_where_it_is_nearly_isotropic(known):
    draws, z, mean = known
    gamma = np.sqrt(1 - np.square(mean).sum(1))[:, None, None]
    F = unit(np.random.default_rng(1).standard_normal(draws.shape))
    true, made = energy_score(draws, z), energy_score(mean[:, None] + gamma * F, z)
    assert made.mean() / true.mean() < 1.02
    assert made.mean() < energy_score(mean[:, None], z).mean() / 1.3


def test_similarity_by_hand():
    draws = np.array([[[1.0, 0], [2, 0], [0, 3]], [[1, 0], [0, 1], [5, 5]]])
    np.testing.assert_allclose(similarity(draws), [1 / 3, 2 * np.sqrt(0.5) / 3], atol=1e-6)
    np.testing.assert_allclose(similarity(draws, np.array([2, 1])), [1, np.nan], atol=1e-6)


def test_the_best_of_several_by_hand():
    targets = np.eye(6, dtype=np.float32).reshape(3, 2, 6)
    e = np.eye(6)
    draws = np.stack([[e[0], e[1]], [e[2], e[2]], [e[0], e[0]]])  # right twice, right twice, wrong twice
    found = measure(draws, targets)
    np.testing.assert_allclose(found["cosine"], [0.5, 0.5, 0])
    assert found["best_recall_at_1"].tolist() == [True, True, False] and found["best_recall_at_10"].all()
    draws[2, 1] = e[4] + e[0] / 2  # one of the two is enough
    assert measure(draws, targets)["best_recall_at_1"].all()


@pytest.mark.parametrize("centered", [False, True])
def test_a_single_draw_scores_as_a_translation_does(centered):
    pairs, mean = synthetic_pairs(60, 8, 12, 1.0, 3, np.random.default_rng(0))
    targets, counts = pairs.modality("text"), np.random.default_rng(1).integers(1, 4, 60)
    centre = unit(targets.reshape(-1, 12)).mean(0)
    found = measure(unit(mean)[:, None], targets, counts, centre if centered else 0.0)
    expected = score(mean, targets, counts, mean=centre)
    assert found["cosine"].mean() == pytest.approx(expected["cosine"], abs=1e-6)
    assert found["cosine_of_mean"].mean() == pytest.approx(expected["cosine"], abs=1e-6)
    for k in (1, 10):
        name = f"{'centered_' if centered else ''}recall_at_{k}"
        assert found[f"best_recall_at_{k}"].mean() == pytest.approx(expected[name])
        several = measure(mean[:, None], targets, counts, lists=4)[f"best_recall_at_{k}"]
        assert several.mean() == pytest.approx(recall_at_k(mean, targets, counts, k=4 * k).mean())


def test_items_with_the_same_target_share_its_place():
    targets = np.repeat(np.eye(6), 10, axis=0)
    found = measure(np.repeat(targets[:, None], 2, axis=1), targets)
    assert found["best_recall_at_1"].tolist() == recall_at_k(targets, targets).tolist() == [0.1] * 60
    assert found["best_recall_at_10"].all()


@pytest.mark.parametrize("k", [1, 10])
def test_one_order_breaks_the_ties_of_all_lists(k):
    """Against every order of the items; the lists of a draw are as long as `k` items of ten."""
    n = 3 if k == 1 else 12
    rng, z = np.random.default_rng(0), np.eye(n)
    draws = rng.integers(0, 2, (n, 3, n)) + 0.0
    draws[0, :2], draws[0, 2] = 0.0, 1.0
    draws[0, 0, :2], draws[0, 1, ::2] = 1.0, 1.0
    draws[0, 2, 0] = 0.0
    draws[(draws == 0).all(2)] = 1.0
    found = measure(draws, z)[f"best_recall_at_{k}"]
    orders = [*permutations(range(n))] if n == 3 else [rng.permutation(n) for _ in range(20_000)]
    for i in range(2):
        own = draws[i, :, i, None]
        ahead, level = (draws[i] > own).sum(1), draws[i] == own  # cosines of a draw are in proportion to its numbers
        on = [(ahead + (level & (np.array(order) < order[i])).sum(1) < k).any() for order in orders]
        assert found[i] == pytest.approx(np.mean(on), abs=0.015)
    two = measure(np.array([[[1.0, 1, 0], [1, 0, 1]]] * 3), np.eye(3))["best_recall_at_1"]
    assert two[0] == pytest.approx(2 / 3, abs=0.01)  # before 1 or before 2: in four of six orders


def test_rankings_take_draws_of_their_own_length():
    """From the centre (.6, 0) the draw (.7, .1) looks along (.1, .1), and its direction along (.39, .14)."""
    targets = unit(np.array([[0.9, 0.4], [0.7, 0.7], [0.0, 1.0]]))
    draws = np.array([[[0.7, 0.1]], [[0.7, 0.1]], [[0.0, 1.0]]])
    assert measure(draws, targets, None, np.array([0.6, 0.0]))["best_recall_at_1"].tolist() == [True, False, True]
    assert measure(unit(draws), targets, None, np.array([0.6, 0.0]))["best_recall_at_1"].tolist() == [True, False, True]


def test_what_is_near_a_draw_lies_in_a_ball_about_one():
    rng = np.random.default_rng(0)
    draws, vectors = unit(rng.standard_normal((5, 4, 3))), rng.standard_normal((7, 3))
    distance = np.linalg.norm(draws[:, :, None] - unit(vectors), axis=3).min(1)
    np.testing.assert_allclose(nearest_draw(draws, vectors), 1 - distance**2 / 2, atol=1e-6)
    centre = np.array([0.2, 0.1, 0.0])
    moved = np.array([[(unit(x - centre) @ unit(unit(v) - centre)).max() for v in vectors] for x in 2 * draws])
    np.testing.assert_allclose(nearest_draw(2 * draws, 3 * vectors, centre), moved, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, z: similarity(x, np.array([5, 5, 5])), r"counts: .*, an array \(3,\) of integers from 1 to 4"),
        (lambda x, z: similarity(x, np.array([0, -1, 2])), "counts: .* of integers from 1 to 4"),
        (lambda x, z: similarity(x, np.array([2])), r"counts: .*, an array \(3,\)"),
        (lambda x, z: similarity(x[0]), r"draws: \(4, 5\), an array \(n, K, d\) is needed"),
        (lambda x, z: measure(x, z, lists=6), "lists: 6, a multiple of 4, the number of draws, is needed"),
        (lambda x, z: measure(x, z, lists=2), "lists: 2, a whole number from 4 on is needed"),
        (lambda x, z: measure(x, z[:2]), r"targets: \(2, 1, 5\), \(3, m, 5\) as the draws"),
        (lambda x, z: measure(x, z, centre=np.zeros(4)), r"centre: \(4,\), one vector \(5,\) is needed"),
        (lambda x, z: nearest_draw(x, z[:, :4]), r"vectors: \(3, 4\), \(g, 5\) as the draws is needed"),
        (lambda x, z: nearest_draw(x, z, np.full(5, np.nan)), "centre: a largest entry of nan, one of at most"),
        (lambda x, z: energy_score(np.where(x > 1, np.nan, x), z), "draws: a largest entry of"),
        (lambda x, z: energy_score(x, np.full((3, 5), np.inf)), "targets: a largest entry of"),
    ],
)
def test_what_no_draws_can_be_measured_with_is_refused(call, message):
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    with pytest.raises(ValueError, match=message):
        call(x, x[:, 0])


@pytest.mark.parametrize("shape", [(1, 2), (8, 1), (5, 2), (8, 3, 1)])
def test_targets_of_other_items_or_dimensions_are_refused(shape):
    with pytest.raises(ValueError, match=r"targets: \(.*\), \(8, m, 2\) as the draws is needed"):
        energy_score(np.ones((8, 3, 2)), np.ones(shape))
