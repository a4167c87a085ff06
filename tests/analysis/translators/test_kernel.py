"""Kernel ridge regression: against its dual and its normal equations, written out, and where only it can follow."""

import numpy as np
import pytest

import modtrans_core as mt
from analysis.translators.kernel import KernelConfig
from analysis.translators.ridge import RidgeConfig
from modtrans_core.vectors import unit


def kernel(a, b, width):
    return np.exp(-np.square(np.linalg.norm(a[:, None] - b, axis=2)) / (2 * width**2))


def test_it_is_the_dual_solution_on_every_pair(rng):
    """The oracle repeats a condition for each of its targets, with the kernel written out."""
    c, z, counts = unit(rng.normal(size=(30, 4))), rng.normal(size=(30, 4, 3)), rng.integers(1, 5, 30)
    pairs = mt.PairedEmbeddings({"image": c, "text": z}, {"text": counts})
    parts = pairs.take(np.arange(20)), pairs.take(np.arange(20, 30))
    fitted = mt.fit(parts[0], config=KernelConfig(0.8, 0.1), validation=parts[1], device="cpu")
    distance = np.linalg.norm(c[:, None] - c, axis=2)
    width = float(fitted.width)
    assert width == pytest.approx(0.8 * np.median(distance[np.triu_indices(30, 1)]), rel=1e-5)

    many, targets = c[np.repeat(np.arange(30), counts)], np.concatenate([unit(z[i, :n]) for i, n in enumerate(counts)])
    mean, new = targets.mean(0), unit(rng.normal(size=(9, 4)))
    dual = np.linalg.solve(kernel(many, many, width) + 0.1 * np.eye(len(many)), targets - mean)
    np.testing.assert_allclose(fitted.translate(new), mean + kernel(new, many, width) @ dual, atol=1e-5)


def test_landmarks_at_every_condition_are_exact(rng, fit):
    c, z = unit(rng.normal(size=(60, 4))), unit(rng.normal(size=(60, 3)))
    exact = fit(KernelConfig(0.8, 0.1), c, z).translate(c)
    np.testing.assert_allclose(fit(KernelConfig(0.8, 0.1, exact=0), c, z).translate(c), exact, atol=1e-5)
    assert np.abs(fit(KernelConfig(0.8, 0.1, landmarks=5, exact=0), c, z).translate(c) - exact).max() > 1e-3


def test_few_landmarks_solve_their_normal_equations(rng, fit):
    c, z = unit(rng.normal(size=(200, 4))), unit(rng.normal(size=(200, 3)))
    fitted = fit(KernelConfig(1.0, 0.3, landmarks=20, exact=0), c, z)
    landmarks, width = fitted.landmarks.numpy(), float(fitted.width)
    assert landmarks.shape == (20, 4)
    K = kernel(c, landmarks, width)
    w = np.linalg.solve(K.T @ K + 0.3 * kernel(landmarks, landmarks, width), K.T @ (z - z.mean(0)))
    np.testing.assert_allclose(fitted.translate(c[:9]), z.mean(0) + K[:9] @ w, atol=1e-4)


@pytest.mark.parametrize("exact", [0, 6000])
def test_it_bends_and_no_line_can_follow(exact, rng, fit, mean_cosine):
    angle = rng.uniform(0, 2 * np.pi, 500)
    c = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    z = np.stack([np.cos(3 * angle), np.sin(3 * angle)], axis=1)
    train, held, test = ((c[part], z[part]) for part in (slice(300), slice(300, 400), slice(400, None)))
    assert mean_cosine(fit(KernelConfig(landmarks=100, exact=exact), *train, held), *test) > 0.999
    assert mean_cosine(fit(RidgeConfig(), *train, held), *test) < 0.5


def test_the_seed_draws_the_landmarks(rng, fit):
    c, z = unit(rng.normal(size=(60, 4))), unit(rng.normal(size=(60, 3)))
    first, again, other = (fit(KernelConfig(1.0, 0.3, 5, 0, seed), c, z).landmarks for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_conditions_of_which_most_are_one_have_a_distance(rng, fit):
    """The median of all distances is 0: names of two classes, one of them rare."""
    c, z = np.repeat([[1.0, 0.0], [0.0, 1.0]], (27, 3), axis=0), unit(rng.normal(size=(30, 3)))
    fitted = fit(KernelConfig(1.0, 0.3), c, z)
    assert float(fitted.width) == pytest.approx(2**0.5) and np.isfinite(fitted.translate(c)).all()


def test_bad_input(rng, fit):
    with pytest.raises(ValueError, match="kernel ridge: .*do not vary"):
        fit(KernelConfig(), np.ones((8, 2)), np.eye(8))
    with pytest.raises(ValueError, match="bandwidth: -1"):
        KernelConfig(-1.0)
    with pytest.raises(ValueError, match="landmarks: 0, at least 1 is needed"):
        KernelConfig(landmarks=0)
