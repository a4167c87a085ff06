"""Settings: what is refused, and that they survive JSON."""

import json
from dataclasses import replace

import pytest

from modtrans_core.cli import with_settings
from modtrans_core.config import (
    Config,
    DiffusionConfig,
    NetworkConfig,
    ObjectiveConfig,
    SamplingConfig,
    TrainConfig,
    preset,
)


def test_the_poster_preset_is_the_posters_text():
    poster = preset("poster")
    assert poster.gamma == 1
    assert (poster.objective.lambda_1, poster.objective.lambda_2) == (1, 2)
    assert (poster.train.learning_rate, poster.train.weight_decay) == (1e-4, 1e-2)
    assert poster.network.dropout > 0 and poster.objective.condition_dropout > 0
    assert poster.diffusion.measure == "eps" and poster.sampling.guidance > 1


def test_a_configuration_survives_json():
    config = replace(Config(), gamma=0.25, network=NetworkConfig(width=64))
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Config(gamma=-1), "gamma: -1"),
        (lambda: Config(gamma=float("nan")), "gamma: nan"),
        (lambda: Config(seed=-1), "seed: -1"),
        (lambda: NetworkConfig(width=4), "width: 4, at least 8"),
        (lambda: NetworkConfig(depth=0), "depth: 0"),
        (lambda: NetworkConfig(dropout=1.0), r"dropout: 1.0, a probability in \[0, 1\)"),
        (lambda: DiffusionConfig(timesteps=0), "timesteps"),
        (lambda: DiffusionConfig(schedule="sine"), "schedule: 'sine', one of"),
        (lambda: DiffusionConfig(measure="score"), "measure: 'score', one of"),
        (lambda: SamplingConfig(steps=0), "steps"),
        (lambda: SamplingConfig(guidance=-0.1), "guidance"),
        (lambda: ObjectiveConfig(lambda_1=-1), "lambda_1"),
        (lambda: ObjectiveConfig(lambda_1=0, lambda_2=0), "lambda_2"),
        (lambda: TrainConfig(batch=0), "batch"),
        (lambda: TrainConfig(learning_rate=0), "learning_rate"),
        (lambda: Config(diffusion=DiffusionConfig(timesteps=4)), "sampling.steps: 5, at most timesteps = 4"),
        (lambda: preset("best"), "preset: 'best', one of poster"),
        (lambda: Config.from_dict({"gama": 1}), "gama: 1, a setting among gamma, seed"),
        (lambda: Config.from_dict({"network": {"width": "big"}}), "network.width: 'big', int"),
        (lambda: Config.from_dict({"seed": True}), "seed: True, int"),
        (lambda: with_settings(Config(), ["gamma"]), "NAME=VALUE"),
        (lambda: with_settings(Config(), ["network=1"]), "'network' is not a setting"),
        (lambda: with_settings(Config(), ["network.w=1"]), "not a setting; settings are gamma, seed, lift.landmarks"),
    ],
)
def test_an_impossible_setting_is_refused_in_one_line(make, words):
    with pytest.raises(ValueError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_settings_from_the_command_line():
    config = with_settings(Config(), ["network.width=64", "gamma=0.5", "diffusion.measure=v"])
    assert (config.network.width, config.gamma, config.diffusion.measure) == (64, 0.5, "v")
