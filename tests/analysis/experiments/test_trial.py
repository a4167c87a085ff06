"""The trial: one protocol for all, the same result however it is run, and an end when its caller ends."""

import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from analysis.experiments.synthetic import synthetic_pairs
from analysis.experiments.trial import SCORES, Trial, every_trial
from modtrans_core import PairedEmbeddings, preset
from modtrans_core.scores import score
from modtrans_core.vectors import unit


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.npz"
    synthetic_pairs(300, 12, 10, 0.5, 3, np.random.default_rng(0))[0].save(path)
    return path


@pytest.fixture
def calibrated():
    """A function of a function, which reaches a worker whole: none has to find this file by its name."""

    def race(trial):
        trial.race({"calibrated": preset("calibrated", {"landmarks": 8, "seed": trial.seed})}, landmarks=8)
        return trial.table()

    return race


def test_every_row_is_of_the_test_part_with_the_training_mean(path):
    pairs = PairedEmbeddings.load(path)
    trial = Trial.of(pairs, "text", "image", 3)
    train, validation, test = pairs.split(3)
    assert [len(part.pairs) for part in (trial.train, trial.validation, trial.test)] == [
        *map(len, (train, validation, test))
    ]
    mean = unit(train.modality("image")).mean(0, dtype=np.float64)
    np.testing.assert_allclose(trial.mean, mean, atol=1e-12)
    condition, item = test.rows("text")
    zhat = np.random.default_rng(0).standard_normal((len(condition), 12))
    trial.add("guess", zhat, gamma=0.5)
    trial.add("guess", zhat, mean=np.ones(12))
    targets = test.modality("image")
    expected = [score(zhat, targets, mean=mean, item=item), score(zhat, targets, mean=np.ones(12), item=item)]
    for row, scores in zip(trial.table().to_dict("records"), expected, strict=True):
        assert (row["route"], row["method"], row["seed"]) == ("text → image", "guess", 3)
        known = {name: np.nan if one is None else one for name, one in scores.items()}
        assert {name: row[name] for name in SCORES} == pytest.approx(known, abs=1e-9, nan_ok=True)
    assert trial.rows[0]["gamma"] == 0.5
    trial.rows[0]["ceiling"] = None  # not known
    assert trial.table()["ceiling"].dtype == float and np.isnan(trial.table()["ceiling"][0])
    held = trial.score(np.ones((len(validation.rows("text")[0]), 12)), part=trial.validation)
    assert held["gallery"] == len(validation)


def test_a_test_item_is_known_again_in_every_split():
    """Of a set without groups too: what is counted once an item is counted so over seeds."""
    number = np.random.default_rng(0).permutation(60)
    pairs = PairedEmbeddings({name: np.random.default_rng(1).normal(size=(60, 4)) for name in ("a", "b")}, label=number)
    parts = [Trial.of(pairs, "a", "b", seed) for seed in range(3)]
    for trial in parts:
        assert (number[trial.test.pairs.groups] == trial.test.pairs.label).all()
        assert trial.train.pairs.group is None  # a fit sees what `fit` would be given
    assert len(np.unique(np.concatenate([trial.test.pairs.groups for trial in parts]))) > 12


def test_seeds_of_a_set_with_a_split_of_its_own_are_said_to_be_one_split(path, tmp_path):
    pairs = PairedEmbeddings.load(path)
    own = PairedEmbeddings(pairs.arrays, own_split=np.repeat([0, 1, 2], [210, 30, 60]))
    own.save(tmp_path / "own.npz")

    def items(trial):
        return trial.test.pairs.groups.tolist()

    with pytest.warns(UserWarning, match=r"own.npz: own_split: all 2 seeds have the test items of the data set's own"):
        found = every_trial(items, tmp_path / "own.npz", [("image", "text")], 2)
    assert found[0] == found[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        every_trial(items, tmp_path / "own.npz", [("image", "text")], 1)
        one, other = every_trial(items, path, [("image", "text")], 2)
    assert one != other


def test_a_race_fits_every_config_and_gives_back_the_translators(path):
    trial = Trial.of(PairedEmbeddings.load(path), "image", "text", 0)
    (fitted,) = trial.race({"calibrated": preset("calibrated", {"landmarks": 8})}, landmarks=8).values()
    (row,) = trial.rows
    assert row["cosine"] == trial.score(fitted.translate(trial.test.c))["cosine"] > row["floor"]
    assert row["landmarks"] == 8 and row["seconds"] > 0


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")


def test_all_at_once_is_the_same_as_one_by_one(path, calibrated, two_cores, monkeypatch):
    routes, told = [("image", "text"), ("text", "image")], []
    together = every_trial(calibrated, path, routes, 2, lambda *news: told.append(news))
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    one_by_one = every_trial(calibrated, path, routes, 2, lambda *news: told.append(news))
    assert told == 2 * [(done, 4) for done in (1, 2, 3, 4)]
    assert [table["seed"][0] for table in together] == [0, 0, 1, 1]
    for found, expected in zip(together, one_by_one, strict=True):
        pd.testing.assert_frame_equal(found[["route", "seed"]], expected[["route", "seed"]])
        np.testing.assert_allclose(found[SCORES].astype(float), expected[SCORES].astype(float), atol=1e-5)


def test_nothing_is_said_of_a_worker_that_is_replaced(path):
    def replaced(*_):
        warnings.warn("A worker stopped while some jobs were given to the executor.", stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert every_trial(lambda trial: trial.seed, path, [("image", "text")], 1, replaced) == [0]
        with pytest.raises(UserWarning, match="other"):
            every_trial(lambda trial: warnings.warn("other", stacklevel=1), path, [("image", "text")], 1)


def test_a_failure_in_one_trial_is_told_at_once(path, calibrated, two_cores):
    with pytest.raises(ValueError, match="modality 'sound'"):
        every_trial(calibrated, path, [("image", "sound"), ("text", "sound")], 1)


def test_a_number_of_processes_that_is_none_is_named(path, monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "abc")
    with pytest.raises(ValueError, match="^LOKY_MAX_CPU_COUNT: 'abc', a whole number is needed"):
        every_trial(lambda trial: trial.seed, path, [("image", "text")], 1)


def test_workers_end_when_their_caller_is_killed(path, tmp_path, two_cores):
    marker, script = tmp_path / "started", tmp_path / "script.py"
    script.write_text(
        "import pathlib\n"
        "from analysis.experiments.trial import every_trial\n"
        "def work(trial):\n"
        f"    pathlib.Path({str(marker)!r}).touch()\n"
        "    while True: pass\n"
        "if __name__ == '__main__':\n"
        f"    every_trial(work, {str(path)!r}, [('image', 'text')], 2)\n"
    )
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 300
        while not marker.exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert marker.exists()
        process.kill()
        process.wait(timeout=60)
        while workers(process.pid) and time.monotonic() < deadline + 60:
            time.sleep(0.2)
        assert not workers(process.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def workers(session):
    """Processes of a session that are still there."""
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(session)], capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if "Z" not in line.split()[1]]


def test_a_part_of_one_group_is_refused():
    pairs, _ = synthetic_pairs(9, 4, 3, 0.5, 1, np.random.default_rng(0))
    words = "items: 9, of which 1 group is for validation, a pair set with at least 2 groups for each part is needed"
    with pytest.raises(ValueError, match=f"^{words}"):
        Trial.of(pairs, "image", "text", 0)


def test_a_worker_that_is_killed_is_one_line(path, monkeypatch):
    """As the system does where memory runs out."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    with pytest.raises(RuntimeError, match="^one of 2 processes ended, as where memory runs out; LOKY_MAX"):
        every_trial(lambda trial: os.kill(os.getpid(), signal.SIGKILL), path, [("image", "text")], 2)


def test_the_workers_of_a_block_end_with_it(path, monkeypatch):
    from analysis.experiments import trial

    def work(_):
        return os.getpid()

    monkeypatch.setattr(trial, "cpu_count", lambda: 2)
    with pytest.raises(KeyboardInterrupt), trial.workers():
        found = every_trial(work, path, [("image", "text")], 2)
        assert os.getpid() not in found
        raise KeyboardInterrupt
    for number in found:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)
    assert os.getpid() not in every_trial(work, path, [("image", "text")], 2)  # others take their place
