"""`modtrans train`: which settings, which items, and what is refused."""

import json

import numpy as np
import pytest

from modtrans_core import PairedEmbeddings, load
from modtrans_core import run as runs


def test_the_default_is_calibrated(folder, modtrans):
    status, out, err = modtrans("train", "pairs.npz", "--out", "run")
    assert status == 0 and not out
    assert "56 to train, 8 to validate, 16 kept for the test" in err
    assert "run: done. Next: modtrans evaluate run pairs.npz" in err
    found = runs.description("run")
    assert found["method"] == "calibrated" and found["config"]["goal"] == "balanced"
    assert found["split"]["seed"] == 0 and found["split"]["fractions"] == [0.7, 0.1, 0.2]


@pytest.mark.filterwarnings("ignore:.*the constant mean:UserWarning")
def test_the_other_direction_and_other_modalities(folder, modtrans, poster):
    for source, target in (("text", "image"), ("audio", "text")):
        out = f"{source}-{target}"
        assert modtrans("train", "pairs.npz", "--source", source, "--target", target, "--out", out, *poster)[0] == 0
        assert load(out).facts[:2] == (source, target)
        assert json.loads(modtrans("evaluate", out, "pairs.npz", "--json")[1])["gallery"] == 16


def test_each_goal_trains(folder, modtrans):
    for goal in ("cosine", "retrieval"):
        assert modtrans("train", "pairs.npz", "--goal", goal, "--out", goal, "--device", "cpu")[0] == 0
        assert runs.description(goal)["config"]["goal"] == goal
    assert modtrans("train", "pairs.npz", "--set", "goal=cosine", "landmarks=9", "--out", "set")[0] == 0
    assert runs.description("set")["config"] == {"landmarks": 9, "goal": "cosine", "seed": 0}


@pytest.mark.parametrize("option", ["--train-steps", "--steps"])
def test_steps_are_those_of_the_optimiser(folder, modtrans, option):
    settings = ["width=16", "depth=1", "gamma=0.5", "steps=4"]
    arguments = ["--preset", "poster", option, "5", "--seed", "3", "--set", *settings]
    assert modtrans("train", "pairs.npz", "--out", "run", *arguments)[0] == 0
    config = runs.description("run")["config"]
    assert (config["train"]["steps"], config["train"]["seed"]) == (5, 3)
    assert (config["steps"], config["gamma"], config["width"]) == (4, 0.5, 16)


def test_the_seed_is_the_methods(folder, modtrans):
    modtrans("train", "pairs.npz", "--out", "run", "--seed", "3")
    assert runs.description("run")["config"]["seed"] == 3 and runs.description("run")["split"]["seed"] == 0
    modtrans("train", "pairs.npz", "--out", "other", "--split-seed", "3", "--set", "seed=5")
    assert runs.description("other")["config"]["seed"] == 5 and runs.description("other")["split"]["seed"] == 3


def test_everything_may_be_used_to_train(folder, modtrans):
    pairs = PairedEmbeddings.load("pairs.npz")
    PairedEmbeddings(pairs.arrays, own_split=np.arange(80) % 3).save("own.npz")
    for name in ("pairs", "own"):
        status, _, err = modtrans("train", f"{name}.npz", "--out", name, "--fractions", "0.9", "0.1", "0")
        assert status == 0 and "72 to train, 8 to validate, none kept for a test" in err
        status, out, err = modtrans("evaluate", name, f"{name}.npz")
        assert status == 1 and not out
        assert f"modtrans evaluate: {name}: kept nothing for a test; other pairs are needed, or --split all" in err
        assert modtrans("evaluate", name, f"{name}.npz", "--split", "test")[0] == 1
        status, out, err = modtrans("evaluate", name, f"{name}.npz", "--split", "all", "--json")
        assert status == 0 and json.loads(out)["gallery"] == 80 and "these scores are not a test" in err
    pairs.take(np.arange(40)).save("other.npz")
    assert json.loads(modtrans("evaluate", "pairs", "other.npz", "--json")[1])["gallery"] == 40


def test_other_shares(folder, modtrans):
    status, _, err = modtrans("train", "pairs.npz", "--out", "run", "--fractions", "0.5", "0.25", "0.25")
    assert status == 0 and "40 to train, 20 to validate, 20 kept for the test" in err
    assert json.loads(modtrans("evaluate", "run", "pairs.npz", "--json")[1])["gallery"] == 20


def test_the_data_sets_own_split_is_followed_and_found_again(folder, modtrans, poster):
    pairs = PairedEmbeddings.load("pairs.npz")
    own = np.array([-1, -1, *[0] * 60, *[2] * 18])
    group = np.where(np.arange(80) == 79, 2, np.arange(80))  # the last, of the test, with the first to train on
    PairedEmbeddings(pairs.arrays, group=group, own_split=own).save("own.npz")
    status, _, err = modtrans("train", "own.npz", "--out", "own", *poster)
    assert status == 0 and "52 to train, 8 to validate, 18 kept for the test, 2 left out" in err
    assert "note: the data set's own split tears 1 of 79 groups apart" in err
    status, out, err = modtrans("evaluate", "own", "own.npz", "--json")
    assert json.loads(out)["gallery"] == 18 and "18 items of 80 that were kept" in err
    assert modtrans("train", "own.npz", "--out", "dealt", "--no-own-split", *poster)[0] == 0
    assert json.loads(modtrans("evaluate", "dealt", "own.npz", "--json")[1])["gallery"] == 16
    status, _, err = modtrans("train", "own.npz", "--out", "own", "--resume", "--no-own-split", *poster)
    assert status == 1 and "own: was started with" in err


def test_a_finished_run_may_be_resumed(folder, modtrans, poster):
    assert modtrans("train", "pairs.npz", "--out", "run", *poster)[0] == 0
    before = (folder / "run" / runs.MODEL).read_bytes()
    assert modtrans("train", "pairs.npz", "--out", "run", "--resume", *poster)[0] == 0
    assert (folder / "run" / runs.MODEL).read_bytes() == before


def test_a_translator_without_skill_is_noted(folder, modtrans, poster):
    rng = np.random.default_rng(0)
    PairedEmbeddings({"image": rng.normal(size=(90, 8)), "text": 5 + rng.normal(size=(90, 6))}).save("far.npz")
    status, _, err = modtrans("train", "far.npz", "--out", "run", *poster, "gamma=0")
    assert status == 0 and "note: PosterTranslator(image 8 -> text 6, gamma 0, 1 step): skill -" in err
    assert "the constant mean translates better" in err
