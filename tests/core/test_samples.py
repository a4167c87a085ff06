"""Samples of a calibrated translator, and the cosine that it expects of itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from modtrans_core.config import LiftConfig, NetworkConfig, TrainConfig
from modtrans_core.objective import objective

from modtrans_core import Config, PairedEmbeddings, Translator, preset
from modtrans_core.scores import cosine
from modtrans_core.vectors import unit

K, D = 6, 8
CALIBRATED = replace(preset("calibrated"), lift=LiftConfig(landmarks=64))


def pairs(n=400, seed=0):
    """Unit pairs whose noise grows with the first coordinate of the condition, and lies mostly in one half of R^d."""
    rng, map_ = np.random.default_rng(seed), np.random.default_rng(99)
    c = unit(rng.standard_normal((n, K)))
    noise = rng.standard_normal((n, 3, D)) * np.where(np.arange(D) < D // 2, 1, 0.2)
    signal = np.tanh(2 * c @ map_.standard_normal((K, D)))[:, None]
    return PairedEmbeddings({"image": c, "text": unit(signal + (0.1 + np.abs(c[:, :1, None])) * noise)})


@pytest.fixture(scope="module")
def calibrated():
    return Translator.fit(pairs(2000), config=CALIBRATED, validation=pairs(300, 1))


@pytest.fixture
def c():
    return pairs(50, 2).modality("image")


def from_the_true_spread(translator, F):
    """How far the mean square of each coordinate of F is from that of unseen residuals' directions, over how far a
    direction without preference is from it."""
    held = pairs(3000, 5)
    residual = unit((held.modality("text") - translator.translate(held.modality("image"))[:, None]).reshape(-1, D))
    true, found = np.square(residual).mean(0), np.square(F.reshape(-1, D)).mean(0)
    return np.abs(found - true).max() / np.abs(1 / D - true).max()


def test_a_translation_is_the_mean_and_samples_lie_about_it(calibrated, c):
    m = calibrated.translate(c)
    np.testing.assert_array_equal(m, calibrated.parts(c).projection)
    draws = calibrated.translate(c, samples=400)
    assert draws.shape == (50, 400, D)
    gamma = np.sqrt(1 - np.square(m).sum(1))
    np.testing.assert_allclose(np.linalg.norm(draws - m[:, None], axis=2), np.repeat(gamma[:, None], 400, 1), atol=1e-5)
    off = np.linalg.norm(draws.mean(1) - m, axis=1)  # of 400 independent draws: gamma / 20 in the root mean square
    assert np.square(off / gamma).mean() == pytest.approx(1 / 400, rel=0.25)


def test_samples_are_the_sum_of_their_parts(calibrated, c):
    parts = calibrated.parts(c, samples=5)
    assert parts.residual.shape == (50, 5, D) and parts.gamma.shape == (50, 1, 1)
    np.testing.assert_allclose(np.linalg.norm(parts.residual, axis=2), 1, atol=1e-6)
    whole = parts.projection[:, None] + parts.gamma * parts.residual
    np.testing.assert_array_equal(calibrated.translate(c, samples=5), whole)
    assert calibrated.parts(c).gamma == 0


def test_samples_take_the_directions_of_the_residuals(calibrated, c):
    assert from_the_true_spread(calibrated, calibrated.parts(c, samples=200).residual) < 0.25


def test_samples_come_from_the_generator(calibrated, c):
    def draw(seed):
        return calibrated.translate(c, samples=2, generator=torch.Generator().manual_seed(seed))

    np.testing.assert_array_equal(draw(3), draw(3))
    np.testing.assert_array_equal(draw(0), calibrated.translate(c, samples=2))
    assert np.abs(draw(3) - draw(4)).max() > 1e-3


def test_the_expected_cosine_is_the_length_and_comes_true(calibrated):
    held = pairs(4000, 3)
    c = held.modality("image")
    expected = calibrated.expected_cosine(c)
    np.testing.assert_allclose(expected, np.linalg.norm(calibrated.translate(c), axis=1), rtol=1e-6)
    observed = cosine(calibrated.translate(c), held.modality("text"))
    assert expected.std() > 0.03
    for items in np.array_split(np.argsort(expected), 4):
        assert observed[items].mean() == pytest.approx(expected[items].mean(), abs=0.025)


def test_the_expected_cosine_is_of_the_kind_that_came_in_and_never_above_one(calibrated, c):
    given = torch.from_numpy(c)
    result = calibrated.expected_cosine(given)
    assert isinstance(result, torch.Tensor) and result.shape == (50,)
    np.testing.assert_array_equal(result.numpy(), calibrated.expected_cosine(c))
    long = Translator(K, D, CALIBRATED)
    long.M = torch.nn.Parameter(torch.ones(K + 1, D))
    assert long.expected_cosine(c).max() == 1
    long.root = torch.eye(D)
    assert np.isfinite(long.translate(c, samples=2)).all()


def test_the_length_of_another_translator_means_nothing(c):
    with pytest.raises(ValueError, match="not calibrated"):
        Translator(K, D, Config()).expected_cosine(c)
    with pytest.raises(ValueError, match="c: shape"):
        Translator(K, D, CALIBRATED).expected_cosine(c[:, :-1])


def test_the_denoiser_can_learn_the_residual_instead(tmp_path, c):
    """Few steps are enough to tell the noisy half of the coordinates from the other; m stays what it was."""
    config = replace(
        CALIBRATED,
        network=NetworkConfig(width=32, depth=2),
        train=TrainConfig(steps=300, batch=256, learning_rate=3e-3, weight_decay=0.0),
    )
    trained = Translator.fit(pairs(2000), config=config, validation=pairs(300, 1), out=tmp_path / "run")
    closed = Translator.fit(pairs(2000), config=CALIBRATED, validation=pairs(300, 1))
    np.testing.assert_array_equal(trained.translate(c), closed.translate(c))
    draws = trained.translate(c, samples=100, steps=10)
    np.testing.assert_array_equal(Translator.load(tmp_path / "run").translate(c, samples=100, steps=10), draws)
    F = trained.parts(c, samples=100).residual
    assert from_the_true_spread(trained, F) < 0.5
    assert np.linalg.norm(F.mean(1), axis=1).mean() < 0.5  # samples, not one direction


def test_what_is_diffused_is_the_residuals_direction(calibrated):
    part = pairs(20, 4)
    c, z = torch.from_numpy(part.modality("image")), torch.from_numpy(part.modality("text")[:, 0])
    wanted = unit(z.numpy() - calibrated.translate(part.modality("image")))
    found = calibrated.diffused(c, z).numpy()
    np.testing.assert_allclose(found, wanted, atol=3e-4)  # a short residual magnifies the rounding of z
    assert torch.equal(Translator(K, D, Config()).diffused(c, z), z)
    loss = objective(calibrated, c, z)
    assert loss.reconstruction == 0 and loss.total == 2 * loss.noise > 0
