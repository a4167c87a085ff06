"""The small network: what it learns, when it stops, and which weights are kept."""

import numpy as np
import pytest
import torch

from analysis.translators import mlp
from analysis.translators.mlp import MLPConfig
from analysis.translators.moves import MoveConfig
from analysis.translators.ridge import RidgeConfig
from modtrans_core import TrainConfig
from modtrans_core.scores import recall_at_k
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


class Answers(torch.nn.Module):
    """A model that says what it is told."""

    def __init__(self, zhat, loss, scale=5.0):
        super().__init__()
        self.zhat, self.config = torch.tensor(zhat, dtype=torch.float32), MLPConfig(loss=loss)
        self.log_scale = torch.tensor(np.log(scale))

    def forward(self, c):
        return self.zhat


class TestLosses:
    def test_of_answers_that_are_right(self):
        """n orthonormal targets: InfoNCE at scale s is log(1 + (n - 1) exp(-s))."""
        z = torch.eye(4)
        assert mlp.loss(Answers(np.eye(4), "InfoNCE"), z, z)["total"] == pytest.approx(np.log(1 + 3 * np.exp(-5)))
        for name in ("cosine", "squared"):
            assert mlp.loss(Answers(np.eye(4), name), z, z)["total"] == 0

    def test_of_wrong_ones(self):
        z, wrong = torch.eye(4), np.eye(4)[[1, 0, 2, 3]]
        assert mlp.loss(Answers(wrong, "cosine"), z, z)["total"] == pytest.approx(0.5)
        assert mlp.loss(Answers(2 * wrong, "squared"), z, z)["total"] == pytest.approx((5 + 5 + 1 + 1) / 4)
        right = np.log(1 + 3 * np.exp(-5))
        assert mlp.loss(Answers(wrong, "InfoNCE"), z, z)["total"] == pytest.approx(right + 5 / 2)

    def test_both_directions_count(self):
        """One answer for all finds one target, and each target finds an answer by chance."""
        found = mlp.loss(Answers(np.eye(4)[[0, 0, 0, 0]], "InfoNCE"), torch.eye(4), torch.eye(4))["total"]
        assert found == pytest.approx((np.log(np.exp(5) + 3) - 5 / 4 + np.log(4)) / 2)

    def test_one_target_in_two_pairs_is_no_error(self):
        """The two are not set against each other: each has two others, and the third has three."""
        z = torch.eye(4)[[0, 0, 1, 2]]
        two, three = (np.log(1 + others * np.exp(-5)) for others in (2, 3))
        found = mlp.loss(Answers(z.numpy(), "InfoNCE"), torch.eye(4), z)["total"]
        assert found == pytest.approx((two + three) / 2)

    def test_a_scale_is_at_most_100(self):
        z = torch.eye(2)
        found = mlp.loss(Answers(0.05 * np.eye(2), "InfoNCE", 1e4), z, z)["total"]
        assert found == pytest.approx(np.log(1 + np.exp(-5)), rel=1e-4)


def test_trained_to_rank_it_ranks_better_and_scores_worse(rng, fit, mean_cosine):
    """What tells items of a kind apart is a small part of the target, under noise that nothing can predict."""
    kind, own = rng.integers(0, 4, 900), unit(rng.normal(size=(900, 4)))
    c = unit(np.c_[2 * np.eye(4)[kind], own])
    z = unit(np.c_[3 * np.eye(4)[kind], 0.5 * own, 0.35 * rng.normal(size=(900, 8))])
    train, held, test = ((c[part], z[part]) for part in (slice(500), slice(500, 700), slice(700, None)))
    found = {}
    for name in ("cosine", "InfoNCE"):
        fitted = fit(MLPConfig(64, loss=name, train=TrainConfig(300, 128, 5e-3, ema=0.0)), *train, held)
        found[name] = mean_cosine(fitted, *test), recall_at_k(fitted.translate(test[0]), test[1], k=1).mean()
    assert found["InfoNCE"][1] > found["cosine"][1] + 0.03
    assert found["InfoNCE"][0] < found["cosine"][0] - 0.03


class TestSkip:
    def test_untrained_it_is_the_condition_itself(self, rng, fit):
        c, config = unit(rng.normal(size=(40, 5))), MLPConfig(8, skip=True, loss="squared", train=TrainConfig(0))
        np.testing.assert_allclose(fit(config, c, unit(rng.normal(size=(40, 5)))).translate(c), c, atol=1e-6)

    def test_or_a_linear_map_of_it(self, rng, fit):
        c, z = unit(rng.normal(size=(40, 5))), unit(rng.normal(size=(40, 3)))
        fitted = fit(MLPConfig(8, skip=True, loss="squared", train=TrainConfig(0)), c, z)
        np.testing.assert_allclose(fitted.translate(c), c @ fitted.straight.weight.detach().numpy().T, atol=1e-6)

    def test_it_learns_what_is_to_be_added(self, rng, fit, mean_cosine):
        c = unit(rng.normal(size=(1200, 4)))
        z = unit(c + 0.5 * np.abs(c[:, ::-1]))
        train, held = (c[:1000], z[:1000]), (c[1000:], z[1000:])
        config = MLPConfig(64, 0.0, layers=1, skip=True, loss="squared", train=TrainConfig(300, 256, 1e-2, ema=0.0))
        fitted = fit(config, *train, held)
        assert mean_cosine(fitted, *held) > 0.99 > mean_cosine(fit(RidgeConfig(), *train, held), *held)
        assert np.linalg.norm(fitted.translate(held[0]), axis=1).mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("loss", ["cosine", "InfoNCE"])
def test_a_length_that_the_loss_does_not_see_is_one(loss, rng, fit):
    c, z = rng.normal(size=(40, 5)), rng.normal(size=(40, 3))
    fitted = fit(MLPConfig(8, loss=loss, train=TrainConfig(2, ema=0.0)), c, z)
    np.testing.assert_allclose(np.linalg.norm(fitted.translate(c), axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("width", 0), ("dropout", 1.0), ("layers", 0), ("loss", "l1"), ("every", 0), ("patience", 0)],
)
def test_impossible_settings(setting, value):
    with pytest.raises(ValueError, match=f"{setting}: {value!r}"):
        MLPConfig(**{setting: value})
