"""Measures of draws against closed forms, the true posterior, and the core's own scores."""

import numpy as np
import pytest
from scipy import stats

from analysis.experiments.synthetic import synthetic_pairs
from analysis.theory.draws import direction_score, energy_score, listed, measure, siblings, similarity
from modtrans_core.scores import cosine, recall_at_k, score
from modtrans_core.vectors import unit, unit_targets


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


def test_coverage_precision_and_the_best_of_several_by_hand():
    targets = np.eye(6, dtype=np.float32).reshape(3, 2, 6)
    e = np.eye(6)
    draws = np.stack([[e[0], e[1]], [e[2], e[2]], [e[0], e[4]]])  # both targets, one of two twice, a wrong and a right
    found = measure(draws, targets)
    assert found["coverage"] == pytest.approx(np.mean([1, 0.5, 0.5]))
    assert found["precision"] == pytest.approx(5 / 6)
    assert found["recall_at_1"] == pytest.approx(5 / 6) and found["best_recall_at_1"] == 1
    assert found["cosine"] == pytest.approx(np.mean([0.5, 0.5, 0.5, 0.5, 0, 0.5]))
    assert found["nearest"] == pytest.approx(1)


@pytest.mark.parametrize("centered", [False, True])
def test_a_single_draw_scores_as_a_translation_does(centered):
    pairs, mean = synthetic_pairs(60, 8, 12, 1.0, 3, np.random.default_rng(0))
    targets, counts = pairs.modality("text"), np.random.default_rng(1).integers(1, 4, 60)
    centre = unit(targets.reshape(-1, 12)).mean(0)
    found = measure(mean[:, None], targets, counts, centre if centered else 0.0)
    expected = score(mean, targets, counts, mean=centre)
    assert found["cosine"] == pytest.approx(expected["cosine"], abs=1e-6)
    assert found["cosine_of_mean"] == pytest.approx(expected["cosine"], abs=1e-6)
    for k in (1, 10):
        assert found[f"recall_at_{k}"] == pytest.approx(expected[f"{'centered_' if centered else ''}recall_at_{k}"])
    several = listed(mean, 4, targets, counts)
    for k in (1, 10):
        hit = recall_at_k(mean, targets, counts, k=4 * k).mean()
        assert several[f"best_recall_at_{k}"] == pytest.approx(hit)


def test_a_list_of_everything_covers_everything():
    pairs, mean = synthetic_pairs(5, 4, 6, 1.0, 2, np.random.default_rng(0))
    found = listed(mean, 99, pairs.modality("text"))
    assert found["coverage"] == 1 and found["precision"] == pytest.approx(0.2)


def test_siblings_are_scored_as_draws_are():
    pairs, _ = synthetic_pairs(40, 4, 6, 1.0, 4, np.random.default_rng(0))
    targets, counts = pairs.modality("text"), np.array([1, 3, 4, 4] * 10)
    z = unit_targets(targets, counts)[0]
    energies = [
        np.mean([energy_score(np.delete(x[:n], i, 0)[None], x[None, i])[0] for i in range(n)])
        for x, n in zip(z, counts, strict=True)
        if n > 1
    ]
    found = siblings(targets, counts)
    assert found["energy"] == pytest.approx(np.mean(energies), abs=1e-5)
    assert found["similarity"] == pytest.approx(np.nanmean(similarity(z, counts)))
    every = z[np.arange(4) < counts[:, None]]
    among = every @ every.T - 2 * np.eye(len(every))
    assert found["nearest"] == pytest.approx(among.max(1).mean(), abs=1e-6)
    assert siblings(targets[:, :1], np.ones(40, dtype=int)) == {}


def test_the_angular_gaussian_density_integrates_to_one_and_scores_itself_best():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((4, 4))
    uniform, own = unit(rng.standard_normal((20000, 4))), unit(rng.standard_normal((20000, 4)) @ root)
    assert abs(apart(np.exp(direction_score(root, uniform)), 1.0)) < 4
    assert apart(direction_score(root, own), 0.0) > 4 > -4 > apart(direction_score(root, uniform), 0.0)
    np.testing.assert_allclose(direction_score(3 * np.eye(4), own), 0, atol=1e-6)
    np.testing.assert_allclose(direction_score(7 * root, own), direction_score(root, own), atol=1e-6)
