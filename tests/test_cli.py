"""The analysis' verbs as a user runs them; those of the core are tested in its room."""

import json

import numpy as np
import pytest

from analysis.cli import VERBS_HERE
from modtrans_core import PairedEmbeddings
from modtrans_core.cli.verb import run

POSTER = ["--preset", "poster", "--device", "cpu", "--train-steps", "3", "--set", "width=16", "depth=1"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    c = rng.normal(size=(80, 8))
    PairedEmbeddings({"image": c, "text": c @ rng.normal(size=(8, 6))}).save("pairs.npz")
    return tmp_path


def modtrans(capsys, *arguments):
    """Exit status, stdout, stderr."""
    try:
        status = run(VERBS_HERE, "modtrans", "", [str(argument) for argument in arguments])
    except SystemExit as stop:
        status = stop.code
    return (status, *capsys.readouterr())


def test_train_and_certify(folder, capsys):
    assert modtrans(capsys, "train", "pairs.npz", "--out", "run", *POSTER)[0] == 0
    status, out, _ = modtrans(capsys, "certify", "run", "pairs.npz", "--alpha", "0.2", "--json")
    said = json.loads(out)["statements"]
    assert status == 0 and 0 <= said["items"]["limit"] <= said["items"]["observed"] and "premises" in said
    assert modtrans(capsys, "train", "pairs.npz", "--goal", "retrieval", "--out", "calibrated")[0] == 0
    status, out, _ = modtrans(capsys, "certify", "calibrated", "pairs.npz", "--alpha", "0.2", "--json")
    said = json.loads(out)["statements"]
    assert status == 0 and "premises" not in said and "refuted" in said["expectation"]
    status, out, _ = modtrans(capsys, "certify", "run", "pairs.npz", "--alpha", "0.2", "--largest-group", "3")
    assert status == 0 and "With confidence 0.95 everything below is right at once." in out


def test_certify_refuses_another_encoder(folder, capsys):
    given = PairedEmbeddings.load("pairs.npz")
    for name, encoder in (("one", "open_clip:RN50/openai"), ("other", "timm:vit/dino")):
        PairedEmbeddings(given.arrays, metadata={"image": {"encoder": encoder}}).save(f"{name}.npz")
    assert modtrans(capsys, "train", "one.npz", "--out", "run", *POSTER)[0] == 0
    status, _, err = modtrans(capsys, "certify", "run", "other.npz")
    assert status == 1 and "encoder timm:vit/dino, but the translator was trained on open_clip:RN50/openai" in err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["certify", "run", "pairs.npz", "--alpha", "2"], 1, "alpha: 2"),
        (["certify", "run", "pairs.npz", "--largest-group", "0"], 1, "largest_group: 0, at least 1"),
        (["bound", "--alpha", "2", "--projection", "0.7", "--dim", "6"], 1, "alpha"),
        (["bound", "--alpha", "0.5", "--projection", "0.7", "--dim", "6", "--geometry", "flat"], 2, "flat"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_left_behind(folder, capsys, arguments, status, words):
    if "run" in arguments:
        modtrans(capsys, "train", "pairs.npz", "--out", "run", *POSTER)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found, out, err = modtrans(capsys, *arguments)
    assert found == status and words in err and not out
    if status == 1:
        message = [line for line in err.splitlines() if line.startswith(f"modtrans {arguments[0]}: ")]
        assert len(message) == 1 and "Traceback" not in err
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("verb", list(VERBS_HERE))
def test_help_begins_with_an_example_that_names_the_verb(verb, capsys):
    status, out, _ = modtrans(capsys, verb, "--help")
    assert status == 0 and f"Example: modtrans {verb}" in out


def test_bound_prints_what_was_derived_by_hand(capsys):
    """d = 6, s = .7, gamma = 1, alpha = .5: 0.3748 with F perpendicular to the projection, 0.3450 as printed.

    With F anywhere on the sphere it is 0.3880; of 4 million drawn directions .38800 reach it.
    """
    for geometry, expected in (("complement", 0.3748), ("printed", 0.3450), ("uniform", 0.3880)):
        arguments = ["--alpha", 0.5, "--projection", 0.7, "--gamma", 1, "--dim", 6, "--geometry", geometry, "--json"]
        status, out, _ = modtrans(capsys, "bound", *arguments)
        result = json.loads(out)
        assert status == 0 and list(result) == ["beta", "probability"]
        assert result["probability"] == pytest.approx(expected, abs=5e-5)
        assert result["beta"] == pytest.approx((0.5 * (0.49 + 1) ** 0.5 - 0.49) / 0.51**0.5)
    assert "uniformly random" in modtrans(capsys, "bound", *arguments[:-1])[1]
