"""Scores that one experiment keeps and another shows: those of the same fit, and of no other."""

import json
from dataclasses import replace

import numpy as np
import pytest

from analysis.experiments import translation as experiment
from analysis.experiments.kept import kept
from analysis.experiments.presets import ours
from analysis.experiments.synthetic import synthetic_pairs
from analysis.experiments.trial import SCORES, Trial
from modtrans_core import preset


@pytest.fixture(scope="module")
def trial():
    pairs = synthetic_pairs(300, 8, 8, 0.5, 3, np.random.default_rng(0))[0]
    return lambda seed=0: Trial.of(pairs, "image", "text", seed)


@pytest.fixture(scope="module")
def folder(trial, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores") / "new"
    ours(trial(), ("cosine", "balanced"), folder)
    return folder


def calibrated(scores):
    return scores.set_index("method").loc["calibrated", SCORES].astype(float)


def test_what_is_kept_is_what_a_fit_would_give(trial, folder, monkeypatch):
    fitted = calibrated(experiment.calibrated(trial()))
    raced = []
    race = Trial.race
    monkeypatch.setattr(Trial, "race", lambda self, given, **facts: raced.extend(given) or race(self, given, **facts))
    shown = calibrated(experiment.calibrated(trial(), folder))
    np.testing.assert_allclose(shown, fitted, atol=1e-6)
    assert not raced


def test_another_split_config_or_folder_has_none(trial, folder, tmp_path):
    config = preset("calibrated", {"seed": 0})
    assert kept(folder, trial(), config)
    assert kept(folder, trial(1), config) is kept(tmp_path, trial(), config) is None
    assert kept(folder, trial(), preset("calibrated", {"seed": 0, "goal": "cosine"})) is None


def test_the_same_vectors_without_a_ceiling_have_none(trial, folder):
    """What the metadata say of the targets is in the scores, and not in the fingerprint of the pairs."""
    split = trial()
    said = [replace(part, pairs=replace(part.pairs, metadata={})) for part in (
        split.train, split.validation, split.test
    )]  # fmt: skip
    assert [one.pairs.fingerprint() for one in said[:1]] == [split.train.pairs.fingerprint()]
    assert kept(folder, Trial.between(0, *said), preset("calibrated", {"seed": 0})) is None


@pytest.mark.parametrize("damage", ["", "[]", "null", '{"cosine": 1}', {"cosine": "high"}, {"more": 1}])
def test_damaged_ones_are_none(trial, folder, damage):
    (file,) = folder.iterdir()
    before = file.read_text()
    file.write_text(damage if isinstance(damage, str) else json.dumps({**json.loads(before), **damage}))
    assert kept(folder, trial(), preset("calibrated", {"seed": 0})) is None
    file.write_text(before)


def test_where_nothing_can_be_written_nothing_is_kept_and_the_scores_are_there(trial, folder):
    (folder / "file").touch()
    assert "calibrated, balanced" in set(ours(trial(), ("balanced",), folder / "file" / "folder").scores["method"])
    assert kept(folder / "file" / "folder", trial(), preset("calibrated", {"seed": 0})) is None


def test_nothing_is_kept_through_a_link(trial, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "scores").symlink_to(tmp_path / "theirs")
    ours(trial(), ("balanced",), tmp_path / "scores")
    assert not [*(tmp_path / "theirs").iterdir()]
