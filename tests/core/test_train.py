"""The loop, of a module and a loss that are none of the project's: against the same steps written out."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from modtrans_core import PairedEmbeddings, Pairing, TrainConfig, distributed
from modtrans_core.pairing import Batches
from modtrans_core.run import Run
from modtrans_core.train import LOG_EVERY, _seed, train

CPU = torch.device("cpu")


def batches(size=16, seed=3, n=50):
    rng = np.random.default_rng(0)
    pairs = PairedEmbeddings({"a": rng.normal(size=(n, 4)), "b": rng.normal(size=(n, 3))})
    return Batches(Pairing(pairs, "a", "b"), size, seed, CPU)


class Map(nn.Module):
    """A linear map with a buffer that no step changes."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.linear = nn.Linear(4, 3)
        self.register_buffer("kept", torch.arange(3.0))


def loss(module, c, z):
    """Squared distance under noise, so that the state of the generators matters."""
    off = (z - module.linear(c + 0.1 * torch.randn_like(c))).square().mean()
    return {"total": off, "twice": 2 * off}


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_steps_are_these(optimizer, ema):
    config = TrainConfig(steps=30, batch=16, learning_rate=1e-2, weight_decay=0.1, ema=ema, seed=3)
    module = Map()
    found = train(module, loss, batches(), config, optimizer=optimizer)

    expected, data = Map(), batches()
    average = copy.deepcopy(expected)
    made = optimizer(expected.parameters(), lr=1e-2, weight_decay=0.1)
    for step in range(30):
        chosen = data.chosen(step)
        c, z = (rows[torch.from_numpy(chosen)] for rows in data.pairing.unit_pairs())
        torch.manual_seed(_seed(3, step))
        made.zero_grad()
        loss(expected, c, z)["total"].backward()
        made.step()
        decay = min(ema, (1 + step) / (10 + step))
        for mine, theirs in zip(average.parameters(), expected.parameters(), strict=True):
            mine.data = decay * mine.data + (1 - decay) * theirs.data
    for a, b in ((module, expected), (found, average)):
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True):
            torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6)
    assert (ema == 0) == torch.equal(found.linear.weight, module.linear.weight)
    assert isinstance(found, Map) and not found.training and found is not module


def test_a_training_finds_the_least_squares_map():
    def squares(module, c, z):
        return {"total": (z - module.linear(c)).square().mean()}

    data = batches(size=50)
    config = TrainConfig(steps=400, batch=50, learning_rate=3e-2, weight_decay=0.0, ema=0.0)
    found = train(Map(), squares, data, config)
    c, z = data.pairing.unit_pairs()
    expected = torch.linalg.lstsq(torch.hstack([c, torch.ones(50, 1)]), z).solution
    torch.testing.assert_close(found.linear.weight.detach(), expected[:-1].T, rtol=0, atol=2e-3)


def test_no_steps_are_the_module_itself():
    module = Map()
    found = train(module, loss, batches(), TrainConfig(steps=0))
    assert all(torch.equal(x, y) for x, y in zip(found.parameters(), module.parameters(), strict=True))


def test_the_callers_random_state_is_neither_read_nor_changed():
    config = TrainConfig(steps=5, batch=16)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.random.get_rng_state()
        found.append(train(Map(), loss, batches(), config).linear.weight)
        assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(*found)


def test_noise_is_another_one_in_every_step_seed_and_process(monkeypatch):
    seeds = {_seed(seed, step) for seed in range(20) for step in range(200)}
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    seeds |= {_seed(seed, step) for seed in range(20) for step in range(200)}
    assert len(seeds) == 2 * 20 * 200


def test_every_step_is_reported_and_some_are_logged(tmp_path):
    seen = []
    config = TrainConfig(steps=2 * LOG_EVERY + 3, batch=16)
    train(Map(), loss, batches(), config, Run(tmp_path, False), lambda *done: seen.append(done))
    assert seen == [(done, config.steps) for done in range(1, config.steps + 1)]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [LOG_EVERY, 2 * LOG_EVERY, config.steps]
    assert all(list(line) == ["time", "step", "total", "twice"] for line in lines)
    assert all(line["twice"] == pytest.approx(2 * line["total"]) for line in lines)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_it(value):
    def diverging(module, c, z):
        return {"total": value * module.linear(c).square().sum()}

    with pytest.raises(ValueError, match=r"^loss: (nan|inf) after step 10; try a smaller learning_rate$"):
        train(Map(), diverging, batches(), TrainConfig(steps=50, batch=16))


def test_a_working_directory_that_is_gone_is_named(monkeypatch):
    def gone(*_):
        raise FileNotFoundError(2, "No such file or directory")  # of torch, which asks for it

    monkeypatch.setattr("modtrans_core.train.Training.start", gone)
    with pytest.raises(ValueError, match="^working directory: removed, one that is there is needed$"):
        train(Map(), lambda *given: {}, batches(), TrainConfig(steps=1))


def test_another_folder_that_cannot_be_made_keeps_its_name(monkeypatch):
    def refused(*_):
        raise FileNotFoundError(2, "No such file or directory", "/nowhere/compiled")

    monkeypatch.setattr("modtrans_core.train.Training.start", refused)
    with pytest.raises(FileNotFoundError, match="/nowhere/compiled"):
        train(Map(), lambda *given: {}, batches(), TrainConfig(steps=1))


def test_batches_may_be_smaller_than_asked_for():
    """And an epoch that does not divide into batches leaves its remainder out."""
    assert batches(size=64).size == 50
    train(Map(), loss, batches(size=64), TrainConfig(steps=3, batch=64))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": -1}, "steps: -1, at least 0 is needed"),
        ({"batch": 0}, "batch: 0, at least 1 is needed"),
        ({"learning_rate": 0}, "learning_rate: 0, a positive number is needed"),
        ({"learning_rate": math.inf}, "learning_rate: inf, a positive number is needed"),
        ({"weight_decay": -1}, "weight_decay: -1, a number >= 0 is needed"),
        ({"ema": 1.0}, r"ema: 1.0, a number in \[0, 1\) is needed"),
        ({"seed": -1}, "seed: -1, an integer >= 0 is needed"),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        TrainConfig(**settings)
