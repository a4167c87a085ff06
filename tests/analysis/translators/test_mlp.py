"""The small network: what it learns, when it stops, and which weights are kept."""

import numpy as np
import pytest
import torch

from analysis.translators import mlp
from analysis.translators.mlp import MLPConfig
from analysis.translators.moves import MoveConfig
from analysis.translators.ridge import RidgeConfig
from modtrans_core import TrainConfig
from modtrans_core.vectors import unit


@pytest.fixture
def looks(monkeypatch):
    """The `Looks` of every fit."""
    made = []

    class Kept(mlp.Looks):
        def __init__(self, *given):
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(mlp, "Looks", Kept)
    return made


def test_it_bends_and_no_line_can_follow(rng, fit, mean_cosine, looks):
    c = unit(rng.normal(size=(1200, 3)))
    z = unit(np.stack([c[:, 0] * c[:, 1], np.square(c[:, 2]) - 0.3], axis=1))
    train, held = (c[:1000], z[:1000]), (c[1000:], z[1000:])
    config = MLPConfig(64, dropout=0.0, train=TrainConfig(600, 256, 1e-2, ema=0.0))
    score = mean_cosine(fit(config, *train, held), *held)
    assert score > 0.95
    assert score == pytest.approx(max(looks[0].scores.values()), abs=1e-6)
    assert mean_cosine(fit(RidgeConfig(), *train, held), *held) < 0.7


def test_it_stops_when_there_is_nothing_to_learn(rng, fit, mean_cosine, looks):
    """Targets that have nothing to do with the conditions: early, and no better than the constant mean."""
    c, z = rng.normal(size=(400, 8)), unit(rng.normal(size=(400, 8)) + 0.5)
    train, held, done = (c[:200], z[:200]), (c[200:], z[200:]), []
    config = MLPConfig(64, every=5, patience=3, train=TrainConfig(1000, 256, 2e-3, ema=0.0))
    fitted = fit(config, *train, held, progress=lambda *step: done.append(step))
    best = max(looks[0].scores, key=looks[0].scores.get)
    assert done[-1] == (best + 3 * 5, 1000)
    assert mean_cosine(fitted, *held) == pytest.approx(looks[0].scores[best], abs=1e-6)
    assert mean_cosine(fitted, *held) < mean_cosine(fit(MoveConfig("constant mean"), *train, held), *held) + 0.02


def test_the_rate_falls_to_zero_as_a_cosine(pairing, rng):
    watch = mlp.Looks(pairing(np.eye(3), np.eye(3)), MLPConfig(8, every=100, train=TrainConfig(learning_rate=0.1)))
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    state = mlp.Training(torch.nn.Identity(), torch.nn.Identity(), optimizer)
    rates = []
    for step in (1, 2, 3):
        watch.after(step, 4, None, state)
        rates.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(rates, 0.05 * (1 + np.cos(np.pi * np.array([1, 2, 3]) / 4)))


def test_its_seed_decides_and_the_callers_state_is_kept(rng, fit):
    c, z = rng.normal(size=(40, 5)), rng.normal(size=(40, 3))
    before = torch.get_rng_state()
    first, again, other = (
        fit(MLPConfig(8, every=2, train=TrainConfig(4, ema=0.0, seed=seed)), c, z, (c, z)).translate(c)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    assert torch.equal(torch.get_rng_state(), before)


def test_conditions_are_standardised_over_the_training_pairs(rng, fit):
    c, z = unit(rng.normal(size=(90, 5)) + 2), rng.normal(size=(90, 3))
    c[:, 4] = 0
    fitted = fit(MLPConfig(8, train=TrainConfig(1)), unit(c), z, (c, z))
    np.testing.assert_allclose(fitted.centre, unit(c).mean(0), atol=1e-6)
    np.testing.assert_allclose(fitted.deviation, [*unit(c)[:, :4].std(0), 1], rtol=1e-4)


def test_without_steps_it_is_the_untrained_network(rng, fit):
    c, z = rng.normal(size=(40, 5)), rng.normal(size=(40, 3))
    assert np.isfinite(fit(MLPConfig(8, train=TrainConfig(0)), c, z).translate(c)).all()


@pytest.mark.parametrize(("setting", "value"), [("width", 0), ("dropout", 1.0), ("every", 0), ("patience", 0)])
def test_impossible_settings(setting, value):
    with pytest.raises(ValueError, match=f"{setting}: {value}"):
        MLPConfig(**{setting: value})
