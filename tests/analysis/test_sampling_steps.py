"""Quality against DDIM steps: what is trained, what is chosen, and what one step makes of a sampler."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from modtrans_core.config import Config, NetworkConfig, ObjectiveConfig, SamplingConfig, TrainConfig, preset

from analysis.experiments.sampling_steps import JOINT, fewest_steps, measure_steps, trainings
from analysis.experiments.synthetic import synthetic_pairs
from analysis.plots.sampling import quality_against_steps

SMALL = Config(
    network=NetworkConfig(width=48, depth=2, dropout=0.0),
    sampling=SamplingConfig(guidance=1.0),
    train=TrainConfig(steps=300, batch=128, learning_rate=3e-3, weight_decay=0.0),
)


@pytest.fixture(scope="module")
def measured():
    """Two trainings on pairs whose conditional mean is known, with the cosine that it has."""
    pairs, mean = synthetic_pairs(1500, 6, 8, 0.7, 1, np.random.default_rng(0))
    told = []
    configs = trainings(SMALL, ("x0", "v"), joint=False)
    frame = measure_steps(
        pairs, "image", "text", configs=configs, steps=(1, 3, 50), items=250, progress=lambda *x: told.append(x)
    )
    return frame, float(np.linalg.norm(mean, axis=1).mean()), told


def test_each_prediction_is_trained_on_its_own_error_with_M_left_at_ridge():
    configs = trainings(preset("poster"))
    assert list(configs) == ["eps", "x0", "v", JOINT] and configs[JOINT] == preset("poster")
    for name in ("eps", "x0", "v"):
        assert (configs[name].diffusion.prediction, configs[name].diffusion.measure) == (name, name)
        assert configs[name].objective.lambda_1 == 0


def test_one_row_for_each_training_part_number_and_translation(measured):
    frame, _, told = measured
    keys = ["trained", "part", "steps", "translation"]
    assert len(frame) == 2 * 2 * 3 * 2 and not frame.duplicated(keys).any()
    assert set(frame["gallery"]) == {150, 250}  # validation has 150 items
    assert told[-1] == (600, 600) and all(a[0] <= b[0] for a, b in itertools.pairwise(told))


def test_one_step_is_the_conditional_mean_and_many_are_a_sampler(measured):
    """At T - 1 nothing is left of x_0, so that x_0-hat is E[x_0 | c]: its cosine is the best there is, and all samples
    of a condition agree. A perfect sampler scores m^2 where the mean scores m (theory: unit z, |E[z|c]| = m)."""
    frame, m, _ = measured
    test = frame[(frame["part"] == "test") & (frame["translation"] == "F")].set_index(["trained", "steps"])
    for trained in ("x0", "v"):
        assert test.loc[(trained, 1), "agreement"] > 0.97
        assert test.loc[(trained, 50), "agreement"] < 0.9
        assert m - 0.06 < test.loc[(trained, 1), "cosine"] < m + 0.03
        assert test.loc[(trained, 50), "cosine"] < test.loc[(trained, 1), "cosine"] - 0.02
        assert test.loc[(trained, 50), "cosine"] > m**2 - 0.08


def by_hand(validation, test):
    rows = [
        {"route": "a → b", "trained": "v", "translation": "F", "part": part, "steps": n, "seed": seed,
         "cosine": cosine + shift, "centered_recall_at_10": 0.5, "agreement": 0.9, "gallery": 7}
        for part, values in (("validation", validation), ("test", test))
        for n, cosine in values.items()
        for seed, shift in ((0, 0.1), (1, -0.1))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_fewest_steps_are_chosen_on_validation_and_reported_on_test():
    frame = by_hand({1: 0.5, 2: 0.598, 5: 0.599, 10: 0.6, 50: 0.55}, {1: 0.9, 2: 0.3, 5: 0.2, 10: 0.35, 50: 0.1})
    (row,) = fewest_steps(frame, tolerance=0.0021).to_dict("records")
    assert (row["fewest"], row["best_steps"]) == (2, 10)
    assert row["cosine"] == pytest.approx(0.3) and row["lost"] == pytest.approx(0.05)
    assert [fewest_steps(frame, tolerance)["fewest"].item() for tolerance in (0, 0.0015, 0.2)] == [10, 5, 1]
    with pytest.raises(ValueError, match="tolerance: -1"):
        fewest_steps(frame, -1)


@pytest.mark.parametrize("score", ["cosine", "centered_recall_at_10", "agreement"])
def test_the_figure_has_a_line_for_each_training(measured, score):
    frame, *_ = measured
    ax = quality_against_steps(frame, score)
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 3]
    assert [line.get_label() for line in lines] == ["x0", "v"]
    shown = frame.query("part == 'test' and translation == 'F' and trained == 'v'")
    np.testing.assert_array_equal(lines[1].get_ydata(), shown[score])
    plt.close(ax.figure)


def test_a_joint_training_is_tied_to_its_own_number_of_steps():
    """M and F fit each other after the steps that the reconstruction term samples with, and no others."""
    pairs, _ = synthetic_pairs(1500, 6, 8, 0.7, 1, np.random.default_rng(0))
    joint = replace(SMALL, train=replace(SMALL.train, steps=150))
    configs = {str(steps): replace(joint, objective=ObjectiveConfig(reconstruction_steps=steps)) for steps in (1, 5)}
    frame = measure_steps(pairs, "image", "text", configs=configs, steps=(1, 5), items=250)
    cosine = frame.query("part == 'test' and translation == 'cM + F'").set_index(["trained", "steps"])["cosine"]
    assert cosine["1", 1] > cosine["1", 5] + 0.05
    assert cosine["5", 5] > cosine["5", 1] + 0.03
