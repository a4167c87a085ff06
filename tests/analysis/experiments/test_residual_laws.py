"""Laws of the residual's direction: closed forms of them, and what a training has to find."""

import math

import numpy as np
import pytest
import torch

from analysis.experiments import residual_laws
from analysis.experiments.residual_laws import Flow, Gaussian, Neighbours, ddim, flow, residuals
from analysis.experiments.synthetic import mirrored_pairs, synthetic_pairs
from analysis.experiments.trial import Trial
from analysis.theory.draws import energy_score
from modtrans_core import PairedEmbeddings, Pairing, preset
from modtrans_core.noise import keys, normal
from modtrans_core.vectors import unit


def standard_errors(values, expected):
    """How many standard errors the mean of independent values is from what is expected."""
    values = np.asarray(values, dtype=float)
    return abs(values.mean() - expected) / (values.std(ddof=1) / math.sqrt(len(values)))


def two_directions(n, rng):
    """Conditions, and residuals that are c or -c with the same probability."""
    c = unit(rng.standard_normal((n, 4)))
    f = c * rng.choice([-1, 1], size=(n, 1))
    return Pairing(PairedEmbeddings({"condition": c, "residual": f}), "condition", "residual")


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(0)
    return two_directions(1500, rng), two_directions(200, rng), two_directions(300, rng)


def test_residuals_are_what_the_mean_leaves_of_every_pair():
    pairs, _ = synthetic_pairs(300, 6, 8, 0.7, 2, np.random.default_rng(0))
    trial = Trial.of(pairs, "image", "text", 0)
    mean = trial.fit(preset("calibrated", {"landmarks": 0}), unseen=True)
    found, part = residuals(trial.validation, mean), trial.validation
    assert len(found) == len(part) == 2 * len(part.pairs)
    for pair in (0, len(part) - 1):
        left = unit(part.z[part.of_z[pair]]) - mean.translate(part.c)[part.of_c[pair]]
        np.testing.assert_allclose(found.z[pair], left / np.linalg.norm(left), atol=1e-5)
        np.testing.assert_allclose(found.c[pair], unit(part.c[part.of_c[pair]]), atol=1e-6)


def test_the_second_moment_of_the_gaussian_law_in_the_plane():
    """E f_1^2 = a / (a + b) for R = diag(a, b): an integral over the angle."""
    f = Gaussian(np.diag([3.0, 1.0]).astype(np.float32)).draw(np.ones((2000, 2)), 10)
    assert standard_errors(np.square(f[..., 0]).ravel(), 0.75) < 4
    np.testing.assert_allclose(np.linalg.norm(f, axis=2), 1, atol=1e-5)


def test_neighbours_take_the_residuals_of_nearby_conditions():
    c = unit(np.repeat(np.eye(3), 20, axis=0) + 0.01 * np.random.default_rng(0).standard_normal((60, 3)))
    f = np.repeat(np.roll(np.eye(3), 1, axis=0), 20, axis=0)
    law = Neighbours(Pairing(PairedEmbeddings({"condition": c, "residual": f}), "condition", "residual"))
    np.testing.assert_allclose(law.draw(5 * np.eye(3), 4), np.repeat(np.roll(np.eye(3), 1, axis=0)[:, None], 4, 1))
    few = Neighbours(
        Pairing(PairedEmbeddings({"condition": np.eye(3), "residual": np.eye(3)}), "condition", "residual")
    )
    assert {tuple(row) for row in few.draw(np.eye(3)[:1], 99)[0]} == set(map(tuple, np.eye(3)))


def test_an_untrained_flow_is_the_gaussian_law():
    rng = np.random.default_rng(0)
    root, c = torch.from_numpy(rng.standard_normal((5, 5))).float(), unit(rng.standard_normal((7, 3)))
    start = normal(keys(torch.from_numpy(c)), (4, 5), 2).numpy()
    found = Flow(root, 3, 16, 0).eval().draw(c, 4, seed=2)
    np.testing.assert_allclose(found, unit(start @ root.numpy()), atol=1e-5)


def test_the_error_of_an_untrained_flow_is_half_of_pi_where_the_law_has_the_moments_of_the_gaussian():
    """What no velocity knows has the variance 1 / (t^2 + (1 - t)^2), of which the integral over t is pi / 2."""
    torch.manual_seed(0)
    model = Flow(3 * torch.eye(8), 3, 16, 0).eval()

    def errors():
        directions = (torch.nn.functional.normalize(torch.randn(500, 8), dim=1) for _ in range(40))
        return [model.error(torch.ones(500, 3), f).item() for f in directions]

    right = errors()
    assert standard_errors(right, math.pi / 2) < 4
    with torch.no_grad():
        model.network.out[1].bias += 0.5
    assert np.mean(errors()) - np.mean(right) > 0.2  # any other velocity has a larger one


def test_both_networks_find_two_opposite_directions(parts):
    """A perfect sampler has the energy score 1/2: half of its draws lie on the target, half at the distance 2."""
    train_on, held, test = parts
    c, f = np.asarray(test.c), np.asarray(test.z)
    root = np.eye(4, dtype=np.float32) / 2
    simplest = energy_score(Gaussian(root).draw(c, 10), f).mean()
    assert simplest == pytest.approx(32 / (15 * math.pi), abs=0.03)  # E|F - F'| / 2 on the sphere of R^4
    for law in (ddim(train_on, held, 300, 48, 0), flow(train_on, held, torch.from_numpy(root), 300, 48, 0)):
        drawn = law.draw(c, 10)
        np.testing.assert_allclose(np.linalg.norm(drawn, axis=2), 1, atol=1e-5)
        assert law.kept > 0 and energy_score(drawn, f).mean() < simplest - 0.35 * (simplest - 0.5)
        assert np.abs((drawn * c[:, None]).sum(2)).mean() > 0.75  # .42 for directions of the isotropic law


def test_a_training_that_does_harm_leaves_what_it_started_from(parts, monkeypatch):
    monkeypatch.setitem(residual_laws.TRAINING, "learning_rate", 3.0)
    train_on, held, test = parts
    shuffled = Pairing(train_on.pairs.take(np.arange(200)), "condition", "residual")
    root = torch.eye(4)
    law = flow(shuffled, held, root, 10, 16, 0)
    np.testing.assert_array_equal(law.draw(test.c, 3), Flow(root, 4, 16, 0).eval().draw(test.c, 3))
    assert law.kept == 0 and law.energy == law.judge(law.model)


def test_mirrored_pairs_have_residuals_of_mean_zero_along_the_condition():
    pairs, draw = mirrored_pairs(200, 5, 0.1, np.random.default_rng(0))
    c = pairs.modality("image")
    z = draw(c, 400)
    np.testing.assert_allclose(np.linalg.norm(z, axis=2), 1, atol=1e-6)
    assert standard_errors(z[:, :, 2:].mean(1)[:, 0], 0) < 4
    along = np.abs((z[:, :, 2:] * c[:, None]).sum(2))
    np.testing.assert_allclose(along.mean(1), 1 / math.sqrt(2), atol=0.02)
    np.testing.assert_allclose((z[:, :, :2] * unit(c[:, :2])[:, None]).sum(2).mean(1), 1 / math.sqrt(2), atol=0.02)
    for n, k, noise, words in ((0, 5, 0.1, "n: 0"), (9, 1, 0.1, "k: 1"), (9, 5, -0.1, "noise: -0.1")):
        with pytest.raises(ValueError, match=words):
            mirrored_pairs(n, k, noise, np.random.default_rng(0))
