"""Quality against DDIM steps: what is trained, what is chosen, and what one step makes of a sampler."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt

from analysis.experiments.sampling_steps import (
    JOINT,
    fewest_steps,
    noise_alone,
    prediction_error,
    sampling_steps,
    trainings,
)
from analysis.experiments.synthetic import synthetic_pairs
from analysis.experiments.trial import Trial
from analysis.plots.sampling import quality_against_steps
from modtrans_core import PosterConfig, TrainConfig, preset
from modtrans_core.poster.model import objective
from modtrans_core.settings import changed

SMALL = PosterConfig(
    width=48, depth=2, dropout=0.0, guidance=1.0,
    train=TrainConfig(steps=300, batch=128, learning_rate=3e-3, weight_decay=0.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def measured():
    """Two trainings on pairs whose conditional mean is known, with the cosine that it has."""
    pairs, mean = synthetic_pairs(1500, 6, 8, 0.7, 1, np.random.default_rng(0))
    configs = {name: config for name, config in trainings(SMALL).items() if name in ("x0", "v")}
    frame = sampling_steps(Trial.of(pairs, "image", "text", 0), configs, steps=(1, 3, 50), items=250)
    return frame, float(np.linalg.norm(mean, axis=1).mean())


def test_each_prediction_is_trained_on_its_own_error_with_M_left_at_ridge():
    configs = trainings(preset("poster"))
    assert list(configs) == ["eps", "x0", "v", JOINT] and configs[JOINT] == preset("poster")
    for name in ("eps", "x0", "v"):
        assert (configs[name].prediction, configs[name].lambda_1) == (name, 0)
    pairs, _ = synthetic_pairs(200, 6, 8, 0.7, 1, np.random.default_rng(0))
    trial = Trial.of(pairs, "image", "text", 0)
    first, last = (noise_alone(trial, changed(SMALL, {"lambda_1": 0.0, "train.steps": steps})) for steps in (0, 3))
    assert torch.equal(first.M, last.M) and first.M.any()
    assert not torch.equal(first.denoiser.embed_x.weight, last.denoiser.embed_x.weight)


def test_the_error_of_a_predicted_noise_is_the_noise_term_itself():
    """The error of v is that of eps over sqrt(alpha_bar), and that of x_0 over sqrt(1 - alpha_bar): at one level."""
    pairs, _ = synthetic_pairs(200, 6, 8, 0.7, 1, np.random.default_rng(0))
    trial = Trial.of(pairs, "image", "text", 0)
    c, z = trial.train.unit_pairs()
    found = {}
    for name in ("eps", "x0", "v"):
        model = noise_alone(trial, changed(SMALL, {"lambda_1": 0.0, "prediction": name, "train.steps": 0}))
        terms = []
        for loss in (prediction_error, objective):
            torch.manual_seed(0)
            terms.append(loss(model, c, z)["total"].item())
        found[name] = terms
    assert found["eps"][0] == pytest.approx(found["eps"][1], rel=1e-5)
    assert found["v"][0] > found["v"][1] and found["x0"][0] != pytest.approx(found["x0"][1], rel=0.1)


def test_one_row_for_each_training_part_number_and_translation(measured):
    frame, _ = measured
    keys = ["trained", "part", "steps", "translation"]
    assert len(frame) == 2 * 2 * 3 * 2 and not frame.duplicated(keys).any()
    assert set(frame["gallery"]) == {150, 250}  # validation has 150 items


def test_one_step_is_the_conditional_mean_and_many_are_a_sampler(measured):
    """At T - 1 nothing is left of x_0, so that x_0-hat is E[x_0 | c]: its cosine is the best there is, and all samples
    of a condition agree. A perfect sampler scores m^2 where the mean scores m (theory: unit z, |E[z|c]| = m)."""
    frame, m = measured
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
    configs = {str(n): changed(SMALL, {"train.steps": 150, "reconstruction_steps": n}) for n in (1, 5)}
    frame = sampling_steps(Trial.of(pairs, "image", "text", 0), configs, steps=(1, 5), items=250)
    cosine = frame.query("part == 'test' and translation == 'cM + F'").set_index(["trained", "steps"])["cosine"]
    assert cosine["1", 1] > cosine["1", 5] + 0.05
    assert cosine["5", 5] > cosine["5", 1] + 0.03
