"""The comparison: one protocol for all, the same result however it is run, and an end when its caller ends."""

import itertools
import multiprocessing
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from analysis.experiments.comparison import SCORES, compare, compare_all
from analysis.experiments.synthetic import synthetic_pairs
from modtrans_core import PairedEmbeddings
from modtrans_core.scores import cosine, score
from modtrans_core.vectors import mean_of_unit, unit


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.npz"
    synthetic_pairs(600, 12, 12, 0.5, 3, np.random.default_rng(0))[0].save(path)
    return path


def test_every_method_is_scored_on_the_test_part_alone(path):
    pairs = PairedEmbeddings.load(path)
    scores, curve, certificates = compare(pairs, "image", "text", seed=3, steps=5, progress=lambda *_: None)
    train, _, test = pairs.split(3)
    constant = np.tile(mean_of_unit(train.modality("text"), train.counts["text"]), (len(test), 1))
    expected = score(constant, test.modality("text"), test.counts["text"], mean=constant[0])
    row = scores.set_index("method").loc["constant mean"]
    assert row["cosine"] == pytest.approx(expected["cosine"], abs=1e-3) and row["gallery"] == len(test)
    assert {"identity", "mean shift", "procrustes", "ridge", "poster", "ridge + best gamma F"} <= set(scores["method"])
    assert set(SCORES) <= set(scores.columns)
    zero = curve.loc[curve["gamma"] == 0, "cosine"].item()
    assert zero == pytest.approx(scores.set_index("method").loc["poster, gamma 0", "cosine"], abs=1e-9)
    assert 0 <= certificates["lower_limit"].item() <= certificates["observed"].item()


def test_ridge_is_scikit_learns_on_the_same_split(path):
    from sklearn.linear_model import Ridge

    pairs = PairedEmbeddings.load(path)
    scores = compare(pairs, "image", "text", seed=0, steps=0, progress=lambda *_: None).scores.set_index("method")
    train, _, test = pairs.split(0)
    c, z, of_c, of_z = train.pairings("image", "text")
    targets = test.modality("text"), test.counts["text"]
    best = 0.0
    for alpha, intercept in itertools.product(np.logspace(-4, 3, 15), (False, True)):
        fitted = Ridge(alpha, fit_intercept=intercept).fit(unit(c)[of_c], unit(z)[of_z])
        best = max(best, cosine(fitted.predict(unit(test.modality("image"))), *targets).mean())
    assert best - 0.01 <= scores.loc["ridge", "cosine"] <= best + 1e-6


def test_all_at_once_is_the_same_as_one_by_one(path):
    routes = [("image", "text"), ("text", "image")]
    told = []
    together = compare_all(path, routes, 2, steps=11, progress=lambda *news: told.append(news))
    pairs = PairedEmbeddings.load(path)
    one = compare(pairs, "text", "image", seed=1, steps=11, progress=lambda *_: None)
    same = together.scores[(together.scores["seed"] == 1) & (together.scores["route"] == "text → image")]
    np.testing.assert_allclose(same[SCORES[:1]].to_numpy(float), one.scores[SCORES[:1]].to_numpy(float), atol=1e-5)
    assert list(together.scores["seed"].unique()) == [0, 1]
    assert all(0 <= done <= total for done, total in told)


def test_a_failure_in_one_run_is_told_at_once(path):
    with pytest.raises(ValueError, match="modality 'sound'"):
        compare_all(path, [("image", "sound")], 1, steps=5)
    assert not [child for child in multiprocessing.active_children() if child.is_alive()]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_when_their_caller_ends(path, how, tmp_path):
    marker = tmp_path / "started"
    code = (
        "import pathlib; from analysis.experiments.comparison import compare_all\n"
        "if __name__ == '__main__':\n"
        f"    compare_all({str(path)!r}, [('image', 'text')], 2, steps=100000,\n"
        f"        progress=lambda *_: pathlib.Path({str(marker)!r}).touch())\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert marker.exists()
    process.send_signal(how)
    process.wait(timeout=30)
    while workers(process.pid) and time.monotonic() < deadline + 30:
        time.sleep(0.2)
    assert not workers(process.pid)


def workers(session):
    """Processes of the session that are still there."""
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(session)], capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if "Z" not in line]
