"""Ridge regression on features of the condition, and of what it says of groups left out, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.preprocessing import KernelCenterer

from modtrans_core.calibrated import regression as module
from modtrans_core.calibrated.regression import Basis, Regression, kernel_ridge, left_out, radial
from modtrans_core.vectors import unit


def data(n=120, k=6, d=5, seed=0):
    """Unit conditions (n, k) and targets (n, d) that bend with them, float64."""
    rng, map_ = np.random.default_rng(seed), np.random.default_rng(99)
    c = unit(rng.standard_normal((n, k)))
    bent = np.tanh(3 * c @ map_.standard_normal((k, 8))) @ map_.standard_normal((8, d))
    return c.astype(np.float64), unit(bent + 1 + 0.2 * rng.standard_normal((n, d))).astype(np.float64)


def regression(c, z, landmarks, count=None, bandwidth=0.7):
    basis = Basis.at(torch.from_numpy(c[:landmarks]).float(), bandwidth)
    found = Regression(basis, z.shape[1])
    count = np.ones(len(c)) if count is None else count
    for rows in np.array_split(np.arange(len(c)), 3):
        given = (torch.from_numpy(array[rows]).float() for array in (c, count[:, None] * z, count))
        x, total, counts = basis.coordinates(next(given)), *given
        found.add(x, total, counts)
    return found


def predict(found, penalty, c):
    """By the map of the features themselves, float64."""
    W, basis = found.basis.on_features(found.solve(penalty).W), found.basis
    x = torch.from_numpy(c)
    if len(basis.landmarks):
        x = radial(x, basis.landmarks.double(), basis.bandwidth)
    return (x @ W[:-1] + W[-1]).numpy()


def test_with_every_condition_a_landmark_it_is_kernel_ridge_regression(monkeypatch):
    monkeypatch.setattr(module, "JITTER", 1e-7)
    (c, z), (held, _) = data(90), data(30, seed=1)
    kernel = RBF(0.7**0.5)
    centre = KernelCenterer().fit(kernel(c))
    model = KernelRidge(alpha=0.3, kernel="precomputed").fit(centre.transform(kernel(c)), z - z.mean(0))
    expected = z.mean(0) + model.predict(centre.transform(kernel(held, c)))
    np.testing.assert_allclose(predict(regression(c, z, 90), 0.3, held), expected, atol=2e-4)


def test_without_landmarks_it_is_ridge_regression():
    (c, z), (held, _) = data(90), data(30, seed=1)
    found = regression(c, z, 0)
    np.testing.assert_allclose(predict(found, 0.3, held), Ridge(alpha=0.3).fit(c, z).predict(held), atol=2e-5)
    assert found.basis.p == 6


def test_several_targets_of_a_condition_count_as_so_many_pairs():
    c, z = data(90)
    mean = (z[:45] + z[45:]) / 2
    twice = regression(c[:45], mean, 20, count=np.full(45, 2.0))
    apart = regression(np.concatenate([c[:45], c[:45]]), z, 20)
    np.testing.assert_allclose(predict(twice, 0.3, c), predict(apart, 0.3, c), atol=1e-5)


@pytest.mark.parametrize("landmarks", [0, 25])
def test_a_fold_that_is_left_out_is_as_if_it_had_never_been_there(landmarks):
    """In closed form what a fit to all others says, of folds of one, nine and twenty conditions of unequal counts."""
    c, z = data(60)
    rng = np.random.default_rng(3)
    count = rng.integers(1, 4, 60).astype(np.float64)
    folds = [np.array([7]), np.arange(20, 40), np.arange(40, 60, 2), np.delete(np.arange(20), 7), np.arange(41, 60, 2)]
    found = regression(c, z, landmarks, count)
    x = found.basis.coordinates(torch.from_numpy(c).float())
    given = (torch.from_numpy(array).float() for array in (z, count))
    said = left_out(found.solve(0.3), x, *given, [torch.from_numpy(rows) for rows in folds]).numpy()
    coordinates = x[:, :-1].double().numpy()
    for rows in folds:
        others = np.setdiff1d(np.arange(60), rows)
        model = Ridge(alpha=0.3).fit(coordinates[others], z[others], sample_weight=count[others])
        np.testing.assert_allclose(said[rows], model.predict(coordinates[rows]), atol=5e-4)
    assert np.abs(said - predict(found, 0.3, c)).max() > 0.02  # far from what the fit to all says


def test_the_dual_form_is_that_of_the_coordinates_and_its_folds_had_never_been_there():
    c, z = data(60)
    rng = np.random.default_rng(3)
    count = rng.integers(1, 4, 60).astype(np.float64)
    kernel, folds = RBF(0.7**0.5)(c), [np.array([7]), np.arange(20, 40), np.arange(41, 60, 2)]

    def fitted(rows, folds=()):
        given = (torch.from_numpy(array) for array in (kernel[np.ix_(rows, rows)], z[rows], count[rows]))
        return (part.numpy() for part in kernel_ridge(*given, 0.3, [torch.from_numpy(fold) for fold in folds]))

    W, said = fitted(np.arange(60), folds)
    whole = Ridge(alpha=0.3).fit(np.linalg.cholesky(kernel + 1e-10 * np.eye(60)), z, sample_weight=count)
    own = kernel @ W[:-1] + W[-1]
    np.testing.assert_allclose(own, whole.predict(np.linalg.cholesky(kernel + 1e-10 * np.eye(60))), atol=1e-6)
    for rows in folds:
        others = np.setdiff1d(np.arange(60), rows)
        without, _ = fitted(others)
        np.testing.assert_allclose(said[rows], kernel[np.ix_(rows, others)] @ without[:-1] + without[-1], atol=1e-8)
        assert np.abs(said[rows] - own[rows]).max() > 0.02


def test_products_of_coordinates_of_landmarks_are_the_kernel():
    c = torch.from_numpy(data(12, 4)[0])
    psi = Basis.at(c, 0.7).coordinates(c)[:, :-1]
    np.testing.assert_allclose(psi @ psi.T, RBF(0.7**0.5)(c), atol=1e-3)
