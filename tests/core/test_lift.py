"""The map of the lifted condition against scikit-learn's kernel ridge regression, and what it is chosen by."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from modtrans_core.calibrate import Judge
from modtrans_core.config import Config, LiftConfig, preset
from modtrans_core.lift import Basis, Regression, lifted, reliable, stretched
from modtrans_core.translator import Translator
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.preprocessing import KernelCenterer

from modtrans_core import calibrate, lift
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.scores import cosine, target_mean
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
    return Regression.of(basis, pairs.condition_sums("image", "text", items=50), z.shape[-1])


def predict(found, penalty, t, mean, c):
    M = found.map(penalty, t, torch.from_numpy(mean))
    return mean + (lifted(torch.from_numpy(c), found.basis.landmarks.double(), found.basis.bandwidth) @ M).numpy()


def fit(pairs, goal="cosine", landmarks=200, train=90):
    first, held = pairs.take(np.arange(train)), pairs.take(np.arange(train, len(pairs)))
    mean = torch.from_numpy(target_mean(first.modality("text")))
    fitted = calibrate.calibrate(first, held, "image", "text", mean, LiftConfig(landmarks, goal), seed=0)
    return fitted, mean, Judge.of(held, "image", "text", mean)


def translate(fitted, mean, c):
    delta = lifted(torch.as_tensor(c), fitted.landmarks, fitted.bandwidth) @ fitted.M
    return (mean.float() + stretched(delta, fitted.length)).numpy()


def test_with_every_condition_a_landmark_it_is_kernel_ridge_regression(monkeypatch):
    monkeypatch.setattr(lift, "JITTER", 1e-7)
    (c, z), (held, _) = arrays(data(90)), arrays(data(30, seed=1))
    kernel = RBF(0.7**0.5)
    centre = KernelCenterer().fit(kernel(c))
    model = KernelRidge(alpha=0.3, kernel="precomputed").fit(centre.transform(kernel(c)), z - z.mean(0))
    expected = z.mean(0) + model.predict(centre.transform(kernel(held, c)))
    for mean in (z.mean(0), np.zeros(5)):  # what the length is measured from changes nothing before it is stretched
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
    features = c if not landmarks else found.basis.features(torch.from_numpy(c).float())[:, 5:-1].numpy()
    at_held = held if not landmarks else found.basis.features(torch.from_numpy(held).float())[:, 5:-1].numpy()
    expected = t * held + Ridge(alpha=0.3).fit(features, z - t * c).predict(at_held)
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


def test_it_bends_where_a_linear_map_cannot():
    pairs = data(390)
    fitted, mean, _ = fit(pairs, landmarks=400, train=300)
    c, z = arrays(pairs.take(np.arange(300)))
    fresh, truth = arrays(data(500, seed=7))
    straight = np.linalg.lstsq(np.hstack([c, np.ones((300, 1))]), z, rcond=None)[0]
    linear = cosine(np.hstack([fresh, np.ones((500, 1))]) @ straight, truth).mean()
    assert cosine(translate(fitted, mean, fresh.astype(np.float32)), truth).mean() > linear + 0.02


def test_a_condition_that_is_all_there_is_to_know_needs_no_landmarks():
    rng = np.random.default_rng(0)
    c = unit(rng.standard_normal((400, 30)))
    pairs = PairedEmbeddings({"image": c, "text": c @ np.linalg.qr(rng.standard_normal((30, 30)))[0]})
    fitted, mean, _ = fit(pairs, train=300)
    assert len(fitted.landmarks) == 0
    assert cosine(translate(fitted, mean, c[300:]), pairs.modality("text")[300:]).min() > 0.999


def test_each_goal_is_best_by_its_own_measure():
    """One dimension on both sides and a target near the condition plus a gap: ranking and cosine part ways."""
    rng = np.random.default_rng(0)
    c = unit(rng.standard_normal((120, 40)))
    z = unit(0.25 * c + 0.8 * unit(np.ones((1, 40))) + 0.11 * rng.standard_normal((120, 40)))
    measured = {}
    for goal in ("cosine", "balanced", "retrieval"):
        fitted, _, judge = fit(PairedEmbeddings({"image": c, "text": z}), goal)
        delta = lifted(torch.from_numpy(c[90:]), fitted.landmarks, fitted.bandwidth) @ fitted.M
        measured[goal] = judge(delta)
    most = measured["cosine"][0]
    assert most + 1e-5 >= measured["balanced"][0] >= most - calibrate.COSINE_GIVEN_UP - 1e-5
    assert measured["cosine"][1] <= measured["balanced"][1] <= measured["retrieval"][1]
    assert measured["cosine"][1] < measured["retrieval"][1]


def test_the_length_makes_up_for_too_small_a_penalty():
    """Of a delta that is twice as long as it should be, the calibrated length takes half away; ranks stay."""
    rng = np.random.default_rng(0)
    delta = 0.4 * rng.standard_normal((300, 20)) * rng.uniform(0.3, 1, (300, 1))
    mean = np.full(20, 0.5)
    pairs = PairedEmbeddings({"image": rng.standard_normal((300, 4)), "text": mean + delta})
    z = unit(mean + delta)
    judge = Judge.of(pairs, "image", "text", torch.from_numpy(mean))
    right = torch.from_numpy(z - mean).float()
    a, b = judge.length(2 * right)
    assert a == pytest.approx(0, abs=1e-4) and b == pytest.approx(0.5, abs=1e-4)
    assert judge(2 * right)[0] == pytest.approx(1, abs=1e-5)


def test_the_length_is_never_worse_than_none_where_it_was_fitted():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pairs = PairedEmbeddings({"image": rng.standard_normal((12, 4)), "text": rng.standard_normal((12, 6)) + 0.5})
        mean = target_mean(pairs.modality("text"))
        judge = Judge.of(pairs, "image", "text", torch.from_numpy(mean))
        delta = torch.from_numpy(rng.standard_normal((12, 6))).float()
        plain = cosine(mean + delta.numpy(), pairs.modality("text")).mean()
        assert judge(delta)[0] >= plain - 1e-6


def test_the_length_of_the_whole_is_the_cosine_to_expect():
    """Where the cosine is a quadratic of the length, the quadratic is found; beyond the lengths seen it stays level."""
    rng = np.random.default_rng(0)
    u, s = unit(rng.standard_normal((300, 20))), rng.uniform(0.3, 0.9, 300)
    cosines = 0.2 + 1.2 * s - 0.6 * s**2
    apart = unit(rng.standard_normal((300, 20)))
    apart = unit(apart - (apart * u).sum(1, keepdims=True) * u)
    z = cosines[:, None] * u + np.sqrt(1 - cosines**2)[:, None] * apart
    judge = Judge(torch.zeros(300, 1), torch.from_numpy(z).float(), torch.zeros(20))
    trust = judge.trust(torch.from_numpy(s[:, None] * u).float())
    np.testing.assert_allclose(trust, [0.2, 1.2, -0.6, s.min(), s.max()], atol=1e-4)
    far = reliable(torch.tensor([[0.5, 0], [2, 0], [0, -0.1]]), trust)
    at = np.array([0.5, s.max(), s.min()])
    np.testing.assert_allclose(far.norm(dim=1), 0.2 + 1.2 * at - 0.6 * at**2, atol=1e-5)
    few = Judge(judge.c[:50], judge.z[:50], judge.mean).trust(torch.from_numpy(s[:50, None] * u[:50]).float())
    np.testing.assert_array_equal(few, [0, 1, 0, 0, 1])


def test_one_length_for_all_expects_the_mean_cosine():
    u = torch.nn.functional.normalize(torch.randn(200, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    trust = Judge(u, 0.7 * u, torch.zeros(6)).trust(0.4 * u)
    np.testing.assert_allclose(reliable(0.4 * u, trust).norm(dim=1), 0.7, atol=1e-4)


def test_a_length_is_never_zero_or_negative():
    delta = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    found = stretched(delta, torch.tensor([-9.0, 0.2]))
    torch.testing.assert_close(found, lift.LEAST_LENGTH * delta)


def test_the_preset_trains_saves_and_loads(tmp_path):
    pairs = data(300)
    c = pairs.modality("image")
    fitted = Translator.fit(pairs, config=preset("calibrated"), out=tmp_path / "run")
    expected = fitted.translate(c)
    loaded = Translator.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.translate(c), expected)
    np.testing.assert_array_equal(loaded.translate(c, samples=3), fitted.translate(c, samples=3))
    np.testing.assert_array_equal(loaded.expected_cosine(c), fitted.expected_cosine(c))


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="gamma: 1.0, 0 where"):
        replace(preset("calibrated"), gamma=1.0)
    with pytest.raises(ValueError, match=r"objective.lambda_1: 1.0, 0 where"):
        Config(gamma=0.0, lift=LiftConfig(landmarks=9))
    with pytest.raises(ValueError, match="goal: 'both', one of"):
        LiftConfig(goal="both")  # type: ignore[arg-type]
