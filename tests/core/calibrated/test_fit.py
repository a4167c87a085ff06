"""What the calibrated translator is chosen by, and that it is fitted to all pairs at what was chosen."""

from importlib import import_module

import numpy as np
import pytest
import torch
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.preprocessing import KernelCenterer

import modtrans_core
from modtrans_core import CalibratedConfig, PairedEmbeddings, Pairing
from modtrans_core.calibrated import regression
from modtrans_core.calibrated.fit import COSINE_GIVEN_UP, ENOUGH, PENALTIES, Judge
from modtrans_core.calibrated.model import expected_length, features
from modtrans_core.scores import cosine, target_mean
from modtrans_core.vectors import unit

module = import_module("modtrans_core.calibrated.fit")  # the package's name is the function's


def data(n=120, k=6, d=5, seed=0):
    """Unit pairs whose targets bend with the condition."""
    rng, map_ = np.random.default_rng(seed), np.random.default_rng(99)
    c = unit(rng.standard_normal((n, k)))
    bent = np.tanh(3 * c @ map_.standard_normal((k, 8))) @ map_.standard_normal((8, d))
    return PairedEmbeddings({"image": c, "text": unit(bent + 1 + 0.2 * rng.standard_normal((n, d)))})


def parts(pairs, train):
    return pairs.take(np.arange(train)), pairs.take(np.arange(train, len(pairs)))


def fit(pairs, goal="cosine", landmarks=200, train=90):
    first, held = parts(pairs, train)
    return modtrans_core.fit(first, config=CalibratedConfig(landmarks, goal), validation=held, device="cpu")


def delta_of(translator, c):
    """The output before mean and lengths."""
    return features(torch.from_numpy(c), translator.landmarks, translator.bandwidth) @ translator.M


def arrays(*sets):
    return [np.concatenate([pairs.modality(name) for pairs in sets]).astype(np.float64) for name in ("image", "text")]


def test_without_landmarks_it_is_the_ridge_regression_on_training_and_validation_pairs():
    """At one of the penalties tried, to rounding, and at none of them that on the training pairs alone."""
    first, held = parts(data(), 90)
    found = fit(data(), landmarks=0)
    assert len(found.landmarks) == 0 and found.M.shape == (7, 5)
    fresh = data(50, seed=1).modality("image")
    delta = delta_of(found, fresh).numpy()
    mean = target_mean(first.modality("text"))
    np.testing.assert_allclose(found.mean, mean, atol=1e-7)

    def nearest(*sets):
        """How far the nearest of the ridge regressions on these pairs is."""
        c, z = arrays(*sets)
        maps = [Ridge(alpha=penalty).fit(c, z) for penalty in PENALTIES]
        return min(np.abs(one.predict(fresh) - mean - delta).max() for one in maps)

    assert nearest(first, held) < 1e-4 and nearest(first) > 1e-3 and nearest(held) > 1e-3


def test_with_landmarks_it_is_the_kernel_ridge_regression_on_training_and_validation_pairs(monkeypatch):
    """Every training condition is a landmark. The validation pairs are copies of training pairs, so that kernel ridge
    regression on both has no other functions to choose from."""
    monkeypatch.setattr(regression, "JITTER", 1e-7)
    first = data(300)
    held = first.take(np.repeat(np.arange(100), 3))
    found = modtrans_core.fit(first, config=CalibratedConfig(goal="cosine"), validation=held, device="cpu")
    assert len(found.landmarks) == 300
    fresh = data(50, seed=1).modality("image")
    delta = delta_of(found, fresh).numpy()
    mean, kernel = target_mean(first.modality("text")), RBF(float(found.bandwidth) ** 0.5)

    def nearest(*sets):
        c, z = arrays(*sets)
        centre = KernelCenterer().fit(kernel(c))
        errors = []
        for penalty in PENALTIES:
            model = KernelRidge(alpha=penalty, kernel="precomputed").fit(centre.transform(kernel(c)), z - z.mean(0))
            predicted = z.mean(0) + model.predict(centre.transform(kernel(fresh, c)))
            errors.append(np.abs(predicted - mean - delta).max())
        return min(errors)

    assert nearest(first, held) < 2e-3 < 5e-3 < nearest(first)


def test_it_bends_where_a_linear_map_cannot():
    pairs = data(390)
    fitted = fit(pairs, landmarks=400, train=300)
    c, z = arrays(pairs.take(np.arange(300)))
    fresh, truth = arrays(data(500, seed=7))
    straight = np.linalg.lstsq(np.hstack([c, np.ones((300, 1))]), z, rcond=None)[0]
    linear = cosine(np.hstack([fresh, np.ones((500, 1))]) @ straight, truth).mean()
    assert cosine(fitted.translate(fresh), truth).mean() > linear + 0.02


def test_a_condition_that_is_all_there_is_to_know_needs_no_landmarks():
    rng = np.random.default_rng(0)
    c = unit(rng.standard_normal((400, 30)))
    pairs = PairedEmbeddings({"image": c, "text": c @ np.linalg.qr(rng.standard_normal((30, 30)))[0]})
    fitted = fit(pairs, train=300)
    assert len(fitted.landmarks) == 0
    assert cosine(fitted.translate(c[300:]), pairs.modality("text")[300:]).min() > 0.999


def test_each_goal_is_best_by_its_own_measure(monkeypatch):
    """One dimension on both sides and a target near the condition plus a gap: ranking and cosine part ways."""
    rng = np.random.default_rng(0)
    c = unit(rng.standard_normal((120, 40)))
    z = unit(0.25 * c + 0.8 * unit(np.ones((1, 40))) + 0.11 * rng.standard_normal((120, 40)))
    chosen, best = [], module.best
    monkeypatch.setattr(module, "best", lambda found, goal: chosen.append(best(found, goal)) or chosen[-1])
    measured = {}
    for goal in ("cosine", "balanced", "retrieval"):
        fit(PairedEmbeddings({"image": c, "text": z}), goal)
        measured[goal] = chosen[-1]
    most = measured["cosine"].cosine
    assert most + 1e-5 >= measured["balanced"].cosine >= most - COSINE_GIVEN_UP - 1e-5
    assert measured["cosine"].rank <= measured["balanced"].rank <= measured["retrieval"].rank
    assert measured["cosine"].rank < measured["retrieval"].rank


def test_a_candidate_is_judged_by_what_its_map_says():
    """The candidates' quick way through the normal equations gives the cosine of the map that they stand for."""
    first, held = (Pairing(part, "image", "text") for part in parts(data(k=5), 90))
    mean = torch.from_numpy(first.mean())
    basis = regression.Basis.at(torch.from_numpy(first.c[:20]), torch.tensor(0.7, dtype=torch.float64))
    judge = Judge.of(held, mean)
    found = judge.candidates(module._regression(first, basis, torch.device("cpu")), [0.1, 1.0])
    assert len(found) == 2 * len(module.IDENTITIES) and len({one.identity for one in found}) == 6
    for one in found:
        M = one.regression.map(one.penalty, one.identity, mean)
        delta = features(judge.c.double(), basis.landmarks.double(), basis.bandwidth) @ M
        assert judge(delta.float())[:2] == pytest.approx((one.cosine, one.rank), abs=1e-4)


def test_the_length_makes_up_for_too_small_a_penalty():
    """Of a delta that is twice as long as it should be, the new length takes half away; ranks stay."""
    rng = np.random.default_rng(0)
    delta = 0.4 * rng.standard_normal((300, 20)) * rng.uniform(0.3, 1, (300, 1))
    mean = np.full(20, 0.5)
    pairs = PairedEmbeddings({"image": rng.standard_normal((300, 4)), "text": mean + delta})
    z = unit(mean + delta)
    judge = Judge.of(Pairing(pairs, "image", "text"), torch.from_numpy(mean))
    right = torch.from_numpy(z - mean).float()
    a, b = judge.scale(2 * right)
    assert a == pytest.approx(0, abs=1e-4) and b == pytest.approx(0.5, abs=1e-4)
    assert judge(2 * right)[0] == pytest.approx(1, abs=1e-5)


def test_the_length_is_never_worse_than_none_where_it_was_fitted():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pairs = PairedEmbeddings({"image": rng.standard_normal((12, 4)), "text": rng.standard_normal((12, 6)) + 0.5})
        mean = target_mean(pairs.modality("text"))
        judge = Judge.of(Pairing(pairs, "image", "text"), torch.from_numpy(mean))
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
    expected = judge.expected(torch.from_numpy(s[:, None] * u).float())
    np.testing.assert_allclose(expected, [0.2, 1.2, -0.6, s.min(), s.max()], atol=1e-4)
    far = expected_length(torch.tensor([[0.5, 0], [2, 0], [0, -0.1]]), expected)
    at = np.array([0.5, s.max(), s.min()])
    np.testing.assert_allclose(far.norm(dim=1), 0.2 + 1.2 * at - 0.6 * at**2, atol=1e-5)
    few = Judge(judge.c[: ENOUGH - 1], judge.z[: ENOUGH - 1], judge.mean)
    found = few.expected(torch.from_numpy(s[: ENOUGH - 1, None] * u[: ENOUGH - 1]).float())
    np.testing.assert_array_equal(found, [0, 1, 0, 0, 1])


def test_one_length_for_all_expects_the_mean_cosine():
    u = torch.nn.functional.normalize(torch.randn(200, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    expected = Judge(u, 0.7 * u, torch.zeros(6)).expected(0.4 * u)
    np.testing.assert_allclose(expected_length(0.4 * u, expected).norm(dim=1), 0.7, atol=1e-4)


def test_the_seed_chooses_landmarks_and_nothing_is_left_to_chance():
    pairs = data(200)
    first, again, other = (
        modtrans_core.fit(pairs, config=CalibratedConfig(20, seed=seed), validation=data(60, seed=1), device="cpu")
        for seed in (0, 0, 1)
    )
    for a, b in zip(first.tensors().values(), again.tensors().values(), strict=True):
        assert torch.equal(a, b)
    assert len(first.landmarks) == 20 and not torch.equal(first.landmarks, other.landmarks)


def test_a_small_pair_set_is_enough():
    """Three pairs, one of them to validate: more unknowns than pairs, and fewer landmarks than asked for."""
    found = modtrans_core.fit(data(3), validation=data(1, seed=1), device="cpu")
    assert np.isfinite(found.translate(data(9).modality("image"))).all()


@pytest.mark.parametrize(("source", "target"), [("image", "text"), ("text", "image")])
def test_several_captions_in_either_direction(source, target):
    rng = np.random.default_rng(0)
    z = data(300).modality("text")
    several = unit(z[:, None] + 0.1 * rng.standard_normal((300, 3, 5)))
    counts = rng.integers(1, 4, 300)
    pairs = PairedEmbeddings({"image": data(300).modality("image"), "text": several}, {"text": counts})
    found = modtrans_core.fit(pairs, source, target, device="cpu")
    scores = modtrans_core.evaluate(found, pairs)
    assert scores["skill"] > 0.3 and scores["gallery"] == 300


def test_progress_counts_the_passes():
    seen = []
    modtrans_core.fit(data(), device="cpu", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, module.PASSES) for done in range(1, module.PASSES + 1)]
