"""Ridge regression on features of the condition against scikit-learn's kernel ridge regression."""

import numpy as np
import pytest
import torch
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.preprocessing import KernelCenterer

from modtrans_core import PairedEmbeddings, Pairing
from modtrans_core.calibrated import regression as module
from modtrans_core.calibrated.regression import Basis, Regression, features
from modtrans_core.vectors import unit


def data(n=120, k=6, d=5, seed=0):
    """Unit pairs whose targets bend with the condition."""
    rng, map_ = np.random.default_rng(seed), np.random.default_rng(99)
    c = unit(rng.standard_normal((n, k)))
    bent = np.tanh(3 * c @ map_.standard_normal((k, 8))) @ map_.standard_normal((8, d))
    return PairedEmbeddings({"image": c, "text": unit(bent + 1 + 0.2 * rng.standard_normal((n, d)))})


def arrays(pairs):
    return pairs.modality("image").astype(np.float64), pairs.modality("text").astype(np.float64)


def regression(pairs, landmarks, bandwidth=0.7):
    c, z = arrays(pairs)
    basis = Basis.at(torch.from_numpy(c[:landmarks]).float(), torch.tensor(bandwidth, dtype=torch.float64))
    return Regression(basis, z.shape[-1]).add(Pairing(pairs, "image", "text").sums(items=50))


def predict(found, penalty, t, mean, c):
    M = found.map(penalty, t, torch.from_numpy(mean))
    return mean + (features(torch.from_numpy(c), found.basis.landmarks.double(), found.basis.bandwidth) @ M).numpy()


def test_with_every_condition_a_landmark_it_is_kernel_ridge_regression(monkeypatch):
    monkeypatch.setattr(module, "JITTER", 1e-7)
    (c, z), (held, _) = arrays(data(90)), arrays(data(30, seed=1))
    kernel = RBF(0.7**0.5)
    centre = KernelCenterer().fit(kernel(c))
    model = KernelRidge(alpha=0.3, kernel="precomputed").fit(centre.transform(kernel(c)), z - z.mean(0))
    expected = z.mean(0) + model.predict(centre.transform(kernel(held, c)))
    for mean in (z.mean(0), np.zeros(5)):  # what the length is measured from changes nothing before it is rescaled
        np.testing.assert_allclose(predict(regression(data(90), 90), 0.3, 0.0, mean, held), expected, atol=2e-4)


def test_without_landmarks_it_is_ridge_regression():
    (c, z), (held, _) = arrays(data(90)), arrays(data(30, seed=1))
    expected = Ridge(alpha=0.3).fit(c, z).predict(held)
    np.testing.assert_allclose(predict(regression(data(90), 0), 0.3, 0.0, z.mean(0), held), expected, atol=2e-5)


@pytest.mark.parametrize("landmarks", [0, 20])
def test_towards_the_identity_it_is_a_ridge_map_of_what_the_identity_leaves(landmarks):
    """Shrinking towards t I is t c plus the map, shrunk towards 0, of z - t c."""
    pairs = data(90, k=5, d=5)
    (c, z), (held, _) = arrays(pairs), arrays(data(30, k=5, d=5, seed=1))
    found, t = regression(pairs, landmarks), 0.6

    def regressed_on(rows):
        return found.basis.coordinates(torch.from_numpy(rows).float())[:, 5:-1].numpy() if landmarks else rows

    expected = t * held + Ridge(alpha=0.3).fit(regressed_on(c), z - t * c).predict(regressed_on(held))
    np.testing.assert_allclose(predict(found, 0.3, t, np.zeros(5), held), expected, atol=2e-4)
    assert found.least_squares_identity == pytest.approx(
        np.sum((c - c.mean(0)) * (z - z.mean(0))) / np.sum((c - c.mean(0)) ** 2), rel=1e-4
    )


def test_several_targets_of_a_condition_count_as_so_many_pairs():
    c, z = arrays(data(90))
    several = PairedEmbeddings({"image": c[:45], "text": np.stack([z[:45], z[45:]], 1)})
    apart = PairedEmbeddings({"image": np.concatenate([c[:45], c[:45]]), "text": z})
    found = [predict(regression(pairs, 20), 0.3, 0.0, np.zeros(5), c) for pairs in (several, apart)]
    np.testing.assert_allclose(*found, atol=1e-5)


@pytest.mark.parametrize("landmarks", [0, 20])
def test_two_sets_that_are_added_are_one_set(landmarks):
    whole = data(90)
    found = regression(whole, landmarks)
    parts = Regression(found.basis, 5)
    for items in (np.arange(40), np.arange(40, 90)):
        parts.add(Pairing(whole.take(items), "image", "text").sums())
    c = arrays(data(30, seed=1))[0]
    np.testing.assert_allclose(*(predict(one, 0.3, 0.0, np.zeros(5), c) for one in (parts, found)), atol=1e-5)


def test_features_are_the_condition_its_nearness_to_landmarks_and_one():
    c, landmarks = (unit(np.random.default_rng(seed).normal(size=(n, 4))) for seed, n in ((0, 7), (1, 3)))
    found = features(torch.from_numpy(c), torch.from_numpy(landmarks), torch.tensor(0.4)).numpy()
    phi = np.exp(-np.square(c[:, None] - landmarks).sum(2) / (2 * 0.4))
    np.testing.assert_allclose(found, np.hstack([c, phi, np.ones((7, 1))]), atol=1e-6)


def test_products_of_coordinates_of_landmarks_are_the_kernel():
    c = torch.from_numpy(unit(np.random.default_rng(0).normal(size=(12, 4)))).double()
    basis = Basis.at(c, torch.tensor(0.7, dtype=torch.float64))
    psi = basis.coordinates(c)[:, 4:-1]
    np.testing.assert_allclose(psi @ psi.T, RBF(0.7**0.5)(c), atol=1e-3)
