"""Settings: what is refused, and that they survive JSON."""

import json
from dataclasses import replace

import pytest
from modtrans_core.config import (
    Config,
    DiffusionConfig,
    NetworkConfig,
    ObjectiveConfig,
    SamplingConfig,
    TrainConfig,
    preset,
)

from modtrans_core.cli import with_settings


def test_the_poster_preset_is_the_posters_text():
    poster = preset("poster")
    assert poster.gamma == 1
    assert (poster.objective.lambda_1, poster.objective.lambda_2) == (1, 2)
    assert (poster.train.learning_rate, poster.train.weight_decay) == (1e-4, 1e-2)
    assert poster.network.dropout > 0 and poster.objective.condition_dropout > 0
    assert poster.diffusion.measure == "eps" and poster.sampling.guidance > 1


# what the released code does otherwise than the poster's text (the authors' training code, read beside the poster)
RELEASED = [
    "network.kind=skip", "network.width=2048", "network.depth=10", "network.dropout=0.0",
    "diffusion.schedule=constant", "diffusion.prediction=eps",
    "sampling.steps=50", "sampling.guidance=6.0", "sampling.guided=sample", "sampling.normalisation=batch",
    "objective.lambda_1=2.0", "objective.lambda_2=1.0", "objective.reconstruction_steps=50",
    "objective.reconstruction_guidance=6.0", "objective.noise_norm=l1", "objective.dropping=batch",
    "train.batch=256", "train.decay=decoupled", "train.ema=0.0",
]  # fmt: skip


def test_the_released_preset_is_the_posters_with_these_settings_changed():
    assert with_settings(preset("poster"), RELEASED) == preset("released")
    for setting in RELEASED:  # each is a difference, and usable by itself
        assert with_settings(preset("poster"), [setting]) != preset("poster")


def test_a_configuration_written_before_these_settings_is_the_posters():
    values = preset("poster").to_dict()
    for path in ("network.kind", "diffusion.prediction", "sampling.guided", "sampling.normalisation", "train.decay"):
        concern, name = path.split(".")
        del values[concern][name]
    assert Config.from_dict(values) == preset("poster")


def test_a_configuration_survives_json():
    config = replace(Config(), gamma=0.25, network=NetworkConfig(width=64))
    assert Config.from_dict(json.loads(json.dumps(preset("released").to_dict()))) == preset("released")
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
        (lambda: ObjectiveConfig(lambda_2=0, dropping="batch"), "lambda_2: 0, a number > 0 where whole batches are"),
        (lambda: ObjectiveConfig(dropping="none"), "dropping: 'none', one of .'row', 'batch'."),
        (lambda: ObjectiveConfig(noise_norm="linf"), "noise_norm: 'linf', one of"),
        (lambda: ObjectiveConfig(reconstruction_guidance=-1), "reconstruction_guidance: -1"),
        (lambda: NetworkConfig(kind="unet"), "kind: 'unet', one of .'residual', 'skip'."),
        (lambda: DiffusionConfig(prediction="score"), "prediction: 'score', one of"),
        (lambda: SamplingConfig(guided="never"), "guided: 'never', one of .'step', 'sample'."),
        (lambda: SamplingConfig(normalisation="none"), "normalisation: 'none', one of .'row', 'batch'."),
        (lambda: TrainConfig(decay="none"), "decay: 'none', one of .'coupled', 'decoupled'."),
        (lambda: TrainConfig(batch=0), "batch"),
        (lambda: TrainConfig(learning_rate=0), "learning_rate"),
        (
            lambda: Config(diffusion=DiffusionConfig(timesteps=4), sampling=SamplingConfig(steps=5)),
            "at most timesteps = 4",
        ),
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
