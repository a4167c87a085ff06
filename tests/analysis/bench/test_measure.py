"""Counts against closed forms and against a step made by hand; times against the clock."""

import sys
import time
from functools import partial

import pytest
import torch

import modtrans_core as mt
from analysis.bench import measure
from analysis.bench.contenders import Preset
from analysis.bench.task import synthetic_task
from modtrans_core.poster.model import PosterTranslator, objective
from modtrans_core.protocol import Facts
from modtrans_core.run import Training
from modtrans_core.train import Measured, gradient

CPU = torch.device("cpu")
ROWS, K, D = 8, 16, 16


@pytest.fixture(scope="module")
def task():
    return synthetic_task((4 * ROWS, 24, 20), D, 4, 0, CPU)


def per_step(task, preset, **settings):
    return measure.operations_per_step(partial(Preset(preset, **settings).fit, task, ROWS))


def test_views_and_allocations_are_not_launched():
    x = torch.ones(3, 4)
    with measure.Launches() as launches:
        x.T[1:].unsqueeze(0).detach().expand(2, -1, -1)
        torch.empty_like(x)
    assert launches.count == 0
    with measure.Launches() as launches:
        torch.relu(x @ x.T)
    assert launches.count == 2


def test_the_launches_counted_are_those_of_a_step_made_by_hand(task):
    small = {"width": 8, "depth": 1}
    model = PosterTranslator(Facts("image", "text", K, D), mt.PosterConfig(**small)).train()
    state, measured = Training.start(model, torch.optim.Adam, 1e-4, 1e-2), Measured(model, objective)
    c, z = (rows[:ROWS] for rows in task.pairing.unit_pairs())
    for _ in range(2):
        with measure.Launches() as launches:
            gradient(measured, 1.0, c, z)
            state.advance(0.5)
    assert per_step(task, "poster", **small)[0] == launches.count + 2  # the rows of the batch: conditions and targets


def test_one_operation_planted_in_the_loss_is_one_launch_more(task, monkeypatch):
    small = {"width": 8, "depth": 1}
    before, flops = per_step(task, "poster", **small)

    def planted(model, c, z):
        z.abs()
        return objective(model, c, z)

    monkeypatch.setattr(sys.modules["modtrans_core.poster.fit"], "objective", planted)
    assert per_step(task, "poster", **small) == (before + 1, flops)


@pytest.mark.parametrize("w", [64, 256])  # small layers, and one that learns by oneDNN
def test_a_step_of_the_mlp_takes_six_operations_a_weight_and_two_less_for_the_input(task, w):
    """Forward 2, backward 4, but no gradient of the input: Linear(k, w), Linear(w, w), Linear(w, d)."""
    assert per_step(task, "MLP", width=w)[1] == ROWS * (6 * (K * w + w * w + w * D) - 2 * K * w)


def test_a_step_of_a_translator_is_counted_without_the_ridge_map_that_it_starts_at(task):
    layers = (D * 8, K * 8, 2 * 64, 8 * 24, 2 * 64, 8 * D)  # embed_x, embed_c, embed_t, modulation, block, out
    inputs = D * 8 + 64  # x_t and the sinusoid need no gradient; the condition does, for its null
    counted = per_step(task, "poster", width=8, depth=1, dropout=0.0, lambda_1=0.0)[1]
    assert counted == ROWS * (6 * sum(layers) - 2 * inputs)


def test_a_call_and_a_step_take_the_time_of_the_clock():
    assert 0.005 <= measure.seconds_per_call(lambda: time.sleep(0.005), 0.02) < 0.5

    def train(steps, report):
        for step in range(steps):
            time.sleep(0.005 if step else 0.05)  # the first does not count
            report(step + 1, steps)

    assert 0.005 <= measure.seconds_per_step(train, CPU, 0.02) < 0.05


def test_the_machine_has_a_rate_and_a_name():
    assert measure.matrix_rate(CPU, 0.001, size=64) > 1e6
    small, large = (measure.copy_rate(CPU, 0.01, size=size) for size in (2**10, 2**22))
    assert min(small, large) > 1e6  # bytes, and not calls, are what takes the time of the larger
    assert 2**22 / large > 2**10 / small
    assert measure.machine(CPU)["device"]
