"""Settings: what is refused, and that they survive JSON."""

import json
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import pytest

from modtrans_core import CalibratedConfig, PosterConfig, TrainConfig, preset
from modtrans_core.settings import changed, from_dict, parsed


@dataclass(frozen=True)
class Inner:
    size: int = 3
    rate: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str = "a"
    open: bool = True
    inner: Inner = field(default_factory=Inner)


def test_the_poster_preset_is_the_posters_text():
    poster = preset("poster")
    assert poster == PosterConfig() and poster.gamma == 1
    assert (poster.lambda_1, poster.lambda_2) == (1, 2)
    assert (poster.train.learning_rate, poster.train.weight_decay) == (1e-4, 1e-2)
    assert poster.dropout > 0 and poster.condition_dropout > 0 and poster.guidance > 1


@pytest.mark.parametrize(
    "config",
    [
        Outer("b", False, Inner(4, 0.25)),
        PosterConfig(gamma=0.25, train=TrainConfig(steps=9)),
        CalibratedConfig(9, "cosine"),
    ],
)
def test_a_configuration_survives_json(config):
    assert from_dict(type(config), json.loads(json.dumps(asdict(config)))) == config


def test_what_is_not_said_is_the_default():
    assert from_dict(Outer, {"inner": {"size": 9}}) == Outer(inner=Inner(size=9))
    assert from_dict(PosterConfig, {}) == PosterConfig()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PosterConfig(gamma=-1), "gamma: -1, a number >= 0 is needed"),
        (lambda: PosterConfig(gamma=float("nan")), "gamma: nan"),
        (lambda: PosterConfig(gamma=float("inf")), "gamma: inf"),
        (lambda: PosterConfig(width=4), "width: 4, 8 to"),
        (lambda: PosterConfig(depth=0), "depth: 0"),
        (lambda: PosterConfig(dropout=1.0), r"dropout: 1.0, a probability in \[0, 1\)"),
        (lambda: PosterConfig(timesteps=0), "timesteps: 0"),
        (lambda: PosterConfig(steps=0), "steps: 0, 1 to timesteps = 1000"),
        (lambda: PosterConfig(guidance=-0.1), "guidance: -0.1"),
        (lambda: PosterConfig(lambda_1=-1), "lambda_1: -1"),
        (lambda: PosterConfig(lambda_2=-1), "lambda_2: -1"),
        (lambda: PosterConfig(lambda_1=0, lambda_2=0), "lambda_2: 0, a positive lambda_1 or lambda_2"),
        (lambda: PosterConfig(prediction="score"), "prediction: 'score', one of eps, x0, v is"),
        (lambda: PosterConfig(condition_dropout=1), "condition_dropout: 1, a probability"),
        (lambda: PosterConfig(timesteps=4, steps=5), "steps: 5, 1 to timesteps = 4"),
        (lambda: PosterConfig(timesteps=4, reconstruction_steps=5), "reconstruction_steps: 5, 1 to timesteps = 4"),
        (lambda: CalibratedConfig(landmarks=-1), "landmarks: -1, at least 0"),
        (lambda: CalibratedConfig(goal="both"), "goal: 'both', cosine, balanced, retrieval or a number"),
        (lambda: CalibratedConfig(seed=-1), "seed: -1, an integer >= 0"),
        (lambda: from_dict(PosterConfig, {"gama": 1}), "gama: 1, a setting among gamma, width"),
        (lambda: from_dict(PosterConfig, {"width": "big"}), "width: 'big', int is needed"),
        (lambda: from_dict(PosterConfig, {"width": 9.5}), "width: 9.5, int is needed"),
        (lambda: from_dict(PosterConfig, {"gamma": None}), "gamma: None, float is needed"),
        (lambda: from_dict(PosterConfig, {"train": 3}), "train: 3, settings by name is needed"),
        (lambda: from_dict(PosterConfig, {"train": {"seed": True}}), "train.seed: True, int"),
        (lambda: from_dict(PosterConfig, {"train": {"step": 1}}), "train.step: 1, a setting among steps, batch"),
        (lambda: from_dict(Outer, {"open": 1}), "open: 1, bool is needed"),
        (lambda: from_dict(Outer, {"name": 1}), "name: 1, str is needed"),
        (lambda: changed(PosterConfig(), {"train": 1}), "'train' is not a setting"),
        (
            lambda: changed(PosterConfig(), {"train.stepz": 1}),
            "'train.stepz' is not a setting; settings are gamma, width",
        ),
        (lambda: changed(PosterConfig(), {"gamma.x": 1}), "'gamma.x' is not a setting"),
        (
            lambda: changed(CalibratedConfig(), {"gamma": 1}),
            "'gamma' is not a setting; settings are landmarks, goal, network, seed",
        ),
        (lambda: changed(PosterConfig(), {"gamma": -1}), "gamma: -1"),
        (lambda: changed(PosterConfig(), {"gamma": "wide"}), "gamma: 'wide', float"),
        (lambda: parsed(["gamma"]), "set: 'gamma', NAME=VALUE is needed"),
    ],
)
def test_an_impossible_setting_is_refused_in_one_line(make, words):
    with pytest.raises(ValueError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_settings_are_changed_by_dotted_paths():
    config = changed(PosterConfig(), {"train.steps": 9, "gamma": 0.5, "prediction": "eps"})
    assert config == replace(PosterConfig(), gamma=0.5, prediction="eps", train=TrainConfig(steps=9))
    assert changed(config, {}) == config
    assert changed(PosterConfig(), {"gamma": 2}).gamma == 2  # an integer is a number


def test_numpys_numbers_are_numbers():
    config = changed(
        PosterConfig(), {"train.steps": np.int64(9), "gamma": np.float32(0.7), "guidance": np.float64(1.1)}
    )
    assert config == replace(PosterConfig(), gamma=0.7, guidance=1.1, train=TrainConfig(steps=9))
    assert changed(PosterConfig(width=np.uint16(64)), {}) == PosterConfig(width=64)
    assert changed(CalibratedConfig(), {"goal": np.float32(0.3)}) == CalibratedConfig(goal=0.3)
    json.dumps(asdict(config))
    for name, value in (("train.steps", np.float64(9)), ("train.steps", np.bool_(True)), ("gamma", np.complex64(1))):
        with pytest.raises(ValueError, match="is needed"):
            changed(PosterConfig(), {name: value})


def test_settings_from_the_command_line():
    found = parsed(["train.batch=64", "gamma=0.5", "prediction=eps", "name=a=b", "open=true", "text="])
    assert found == {"train.batch": 64, "gamma": 0.5, "prediction": "eps", "name": "a=b", "open": True, "text": ""}


@pytest.mark.parametrize("text", ["0.3", ".3", "+.3", "3e-1", "+3.E-1", ".03e1", "30.e-2"])
def test_a_number_is_taken_as_people_type_it(text):
    assert changed(PosterConfig(), parsed([f"gamma={text}"])).gamma == 0.3
    assert changed(CalibratedConfig(), parsed([f"goal={text}"])).goal == 0.3


@pytest.mark.parametrize("text", [".", "+", "e5", ".e5", "1_0", "0x1", "007", "1.2.3", "٣", "+" + "9" * 5_000])
def test_what_is_no_number_is_text(text):
    assert parsed([f"name={text}"]) == {"name": text}


@pytest.mark.parametrize("goal", ["cosine", 0, 1, 0.3])
def test_a_goal_is_a_text_or_any_number(goal):
    assert changed(CalibratedConfig(), {"goal": goal}).goal == goal


def test_what_is_no_json_that_python_reads_is_text():
    deep, long = "[" * 100_000, "9" * 5_000
    assert parsed([f"a={deep}", f"b={long}"]) == {"a": deep, "b": long}


@pytest.mark.parametrize("settings", [{1: 2}, [("gamma", 1.0)], "gamma"])
def test_settings_are_a_mapping_from_names(settings):
    with pytest.raises(ValueError, match="settings: .* a mapping from the names of settings to values is needed"):
        changed(PosterConfig(), settings)


@pytest.mark.parametrize("name", ["guidance", "lambda_1", "lambda_2", "gamma", "train.weight_decay"])
def test_a_setting_is_finite(name):
    with pytest.raises(ValueError, match=f"{name.split('.')[-1]}: inf, a number >= 0 is needed"):
        preset("poster", {name: float("inf")})


@pytest.mark.parametrize(
    ("config", "name", "value", "words"),
    [
        (PosterConfig(), "gamma", 1e300, r"gamma: 1e\+300, 0 or a number from 1e-30 to 1e30 in size"),
        (PosterConfig(), "gamma", 1e-300, "gamma: 1e-300, 0 or a number from 1e-30 to 1e30 in size"),
        (PosterConfig(), "lambda_1", 10**30, "lambda_1: 10*, an integer of 64 bits"),
        (PosterConfig(), "train.seed", 10**30, "train.seed: 10*, an integer of 64 bits"),
        (CalibratedConfig(), "landmarks", 2**63, "landmarks: 9223372036854775808, an integer of 64 bits"),
    ],
)
def test_numbers_that_nobody_means_are_named(config, name, value, words):
    with pytest.raises(ValueError, match=f"^{words} is needed$"):
        changed(config, {name: value})
    assert changed(config, {name: 2})
