"""Run folders: what is in them, what is refused, and exact resuming, whatever a run was stopped by."""

import errno
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from modtrans_core import CalibratedConfig, PairedEmbeddings, PosterConfig, TrainConfig, fit, load
from modtrans_core import run as runs
from modtrans_core.calibrated.model import TENSORS
from modtrans_core.protocol import Facts

SMALL = PosterConfig(width=16, depth=2, steps=2, train=TrainConfig(steps=12, batch=32))


def make_pairs(n=120, k=8, d=6, seed=0, noise=0.3):
    rng = np.random.default_rng(seed)
    c = rng.normal(size=(n, k))
    z = c @ np.random.default_rng(99).normal(size=(k, d)) / np.sqrt(k) + noise * rng.normal(size=(n, d))
    return PairedEmbeddings({"image": c, "text": z}, metadata={"image": {"encoder": "test:c"}})


@pytest.fixture
def often(monkeypatch):
    """A checkpoint every 4 steps."""
    begin = runs.begin

    def begun(*arguments):
        run = begin(*arguments)
        run.checkpoint_every = 4
        return run

    monkeypatch.setattr(runs, "begin", begun)


def interrupting(stop):
    """Progress that presses Ctrl-C in a step."""

    def progress(done, _):
        if done == stop:
            os.kill(os.getpid(), signal.SIGINT)

    return progress


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.tensors().values(), b.tensors().values(), strict=True))


def log(folder):
    lines = [json.loads(line) for line in (folder / runs.LOG).read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "time"} for line in lines]


def edit(folder, **values):
    path = folder / runs.DESCRIPTION
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def facts(k=8, d=6):
    return {"source": "image", "target": "text", "k": k, "d": d, "encoders": {}}


def test_what_follows_a_training_is_told_what_the_log_holds(tmp_path):
    told = []
    fit(
        make_pairs(),
        config=SMALL,
        device="cpu",
        out=tmp_path,
        log=lambda step, terms: told.append({"step": step} | terms),
    )
    assert told == log(tmp_path) and set(told[0]) == {"step", "total", "reconstruction", "noise"}
    with pytest.raises(ValueError, match="out: None, a run folder, as log is given, is needed"):
        fit(make_pairs(), config=SMALL, device="cpu", log=print)


def test_a_finished_poster_run_holds_a_description_a_log_and_what_translates(tmp_path):
    fitted = fit(make_pairs(), config=SMALL, device="cpu", out=tmp_path, split={"seed": 3})
    assert files(tmp_path) == ["metrics.jsonl", "model.safetensors", "seen.safetensors", "translator.json"]
    found = runs.description(tmp_path)
    assert list(found) == ["format", "method", "facts", "config", "pairs", "split", "validation_skill"]
    assert (found["format"], found["method"], found["split"]) == (5, "poster", {"seed": 3})
    assert found["facts"]["encoders"]["image"] == {"encoder": "test:c"} and found["validation_skill"] > 0
    assert set(load_file(tmp_path / runs.MODEL)) == set(fitted.tensors())
    assert [line["step"] for line in log(tmp_path)] == [10, 12]


def test_a_calibrated_run_has_no_network_and_no_training(tmp_path):
    fit(make_pairs(), device="cpu", out=tmp_path)
    assert files(tmp_path) == ["model.safetensors", "seen.safetensors", "translator.json"]
    assert sorted(load_file(tmp_path / runs.MODEL)) == sorted(TENSORS)
    found = runs.description(tmp_path)
    assert found["method"] == "calibrated" and found["config"] == {
        "landmarks": 4096,
        "goal": "balanced",
        "network": True,
        "seed": 0,
    }


@pytest.mark.parametrize("config", [SMALL, CalibratedConfig(20)], ids=["poster", "calibrated"])
def test_save_and_load_give_the_same_translator(tmp_path, config):
    fitted = fit(make_pairs(), config=config, device="cpu", out=tmp_path / "fitted")
    fitted.save(tmp_path / "saved")
    c = make_pairs(5).modality("image")
    for folder in ("fitted", "saved"):
        loaded = load(tmp_path / folder, device="cpu")
        assert type(loaded) is type(fitted) and same(fitted, loaded)
        assert (loaded.config, loaded.facts) == (fitted.config, fitted.facts)
        np.testing.assert_array_equal(fitted.translate(c), loaded.translate(c))
        np.testing.assert_array_equal(fitted.draw(c, 3), loaded.draw(c, 3))
    assert files(tmp_path / "saved") == ["model.safetensors", "seen.safetensors", "translator.json"]
    with pytest.raises(ValueError, match="already holds a translator"):
        fitted.save(tmp_path / "saved")


def test_what_is_overwritten_is_a_run_and_nothing_else(tmp_path):
    """A cell that saves, or fits into a folder, can run twice; an unfinished training leaves nothing in a new run."""
    for preset in ("poster", "ridge"):
        settings = {"width": 16, "depth": 1, "steps": 2, "train.steps": 3} if preset == "poster" else {}
        fitted = fit(make_pairs(), preset=preset, settings=settings, device="cpu", out=tmp_path / "a", overwrite=True)
        (tmp_path / "a" / "training.safetensors").touch()
        (tmp_path / "a" / "notes.txt").write_text("mine")
        fitted.save(tmp_path / "a", overwrite=True)
        assert files(tmp_path / "a") == ["model.safetensors", "notes.txt", "seen.safetensors", "translator.json"]
        assert same(load(tmp_path / "a", device="cpu"), fitted)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.safetensors").write_text("of another program")
    with pytest.raises(ValueError, match="other: holds model.safetensors, which is of no run"):
        fitted.save(tmp_path / "other", overwrite=True)
    assert (tmp_path / "other" / "model.safetensors").read_text() == "of another program"
    with pytest.raises(ValueError, match="overwrite: True, False where a run is resumed"):
        fit(make_pairs(), preset="ridge", out=tmp_path / "a", overwrite=True, resume=True)


@pytest.mark.parametrize("settings", [{"preset": "identity"}, {"preset": "C3"}, {"preset": "language-free Gaussian"}])
def test_a_refusal_of_the_pairs_leaves_nothing_of_the_new_run_and_all_of_the_old(tmp_path, settings):
    with pytest.raises(ValueError, match="one dimension is needed"):
        fit(make_pairs(), device="cpu", out=tmp_path / "new", **settings)
    assert not (tmp_path / "new").exists()
    fit(make_pairs(), preset="ridge", device="cpu", out=tmp_path / "old")
    before = {name: (tmp_path / "old" / name).read_bytes() for name in files(tmp_path / "old")}
    with pytest.raises(ValueError, match="one dimension is needed"):
        fit(make_pairs(), device="cpu", out=tmp_path / "old", overwrite=True, **settings)
    assert {name: (tmp_path / "old" / name).read_bytes() for name in files(tmp_path / "old")} == before


@pytest.mark.parametrize("config", [replace(SMALL), CalibratedConfig(landmarks=16)])
def test_a_run_that_is_overwritten_goes_at_the_first_step_or_when_the_new_one_is_whole(tmp_path, config):
    old = fit(make_pairs(), preset="ridge", device="cpu", out=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(make_pairs(), config=config, device="cpu", out=tmp_path, overwrite=True, progress=interrupting(1))
    if config == SMALL:
        assert runs.description(tmp_path)["method"] == "poster" and not runs.is_finished(tmp_path)
    else:
        assert same(load(tmp_path, device="cpu"), old)
    new = fit(make_pairs(), config=config, device="cpu", out=tmp_path, overwrite=True)
    assert same(load(tmp_path, device="cpu"), new) and not (tmp_path / runs.TRAINING).exists()


def test_a_closed_form_ended_before_its_weights_were_there_is_not_finished_and_can_be_begun_again(tmp_path):
    fitted = fit(make_pairs(), preset="ridge", device="cpu", out=tmp_path / "run")
    for name in files(tmp_path / "run"):
        if name != runs.DESCRIPTION:
            (tmp_path / "run" / name).unlink()
    with pytest.raises(ValueError, match="run: not finished; go on with resume=True"):
        load(tmp_path / "run")
    fit(make_pairs(), preset="ridge", device="cpu", out=tmp_path / "run", resume=True)
    assert same(load(tmp_path / "run", device="cpu"), fitted)


@pytest.mark.parametrize("stop", [1, 4, 7, 12])
def test_a_run_stopped_at_any_step_resumes_to_the_bit(tmp_path, often, stop):
    pairs = make_pairs()
    whole = fit(pairs, config=SMALL, device="cpu", out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt, match=f"after step {stop} of 12"):
        fit(pairs, config=SMALL, device="cpu", out=tmp_path / "cut", progress=interrupting(stop))
    kept = 8 if stop == 12 else stop  # after the last step there is nothing to keep: four are made again
    with pytest.raises(ValueError, match="not finished; go on with resume=True"):
        load(tmp_path / "cut")
    assert files(tmp_path / "cut")[-2:] == ["training.safetensors", "translator.json"]
    with runs.safe_open(tmp_path / "cut" / runs.TRAINING, framework="pt") as file:
        assert file.metadata() == {"step": str(kept)}
    torch.manual_seed(12345)  # a resumed run must not care about the process it finds itself in
    seen = []
    resumed = fit(
        pairs, config=SMALL, device="cpu", out=tmp_path / "cut", resume=True, progress=lambda *done: seen.append(done)
    )
    assert same(whole, resumed) and seen == [(done, 12) for done in range(kept + 1, 13)]
    assert len({(tmp_path / run / runs.MODEL).read_bytes() for run in ("whole", "cut")}) == 1
    assert log(tmp_path / "whole") == log(tmp_path / "cut") and files(tmp_path / "whole") == files(tmp_path / "cut")


def test_ctrl_c_falls_between_steps_and_a_second_one_acts_at_once(tmp_path):
    before = signal.getsignal(signal.SIGINT)

    def twice(done, _):
        if done == 2:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("went on")

    with pytest.raises(KeyboardInterrupt, match="^$"):
        fit(make_pairs(), config=SMALL, device="cpu", out=tmp_path, progress=twice)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("sent", [("SIGHUP", "SIGHUP"), ("SIGTERM", "SIGHUP"), ("SIGINT", "SIGHUP", "SIGTERM")])
def test_several_signals_of_one_end_save_the_training(tmp_path, sent):
    """As of a terminal that is closed, which its shell tells and then the system, or after Ctrl-C."""
    numbers = [getattr(signal, name) for name in sent]
    before = [signal.getsignal(number) for number in numbers]

    def all_at_once(done, _):
        if done == 2:
            for number in numbers:
                os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt, match="after step 2 of") as caught:
        fit(make_pairs(), config=SMALL, device="cpu", out=tmp_path, progress=all_at_once)
    assert caught.value.number == numbers[0] and (tmp_path / runs.TRAINING).exists()
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is full")
def test_a_full_disk_while_logging_names_the_log():
    with pytest.raises(OSError) as caught:
        runs._log(Path("/dev/full"), step=1)
    assert caught.value.filename == "/dev/full"


@pytest.mark.parametrize("ignored", [False, True], ids=["", "nohup"])
def test_a_training_outlives_its_terminal_only_where_it_was_told_to(tmp_path, ignored):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        with nullcontext() if ignored else pytest.raises(KeyboardInterrupt, match="after step 2 of"):
            fit(
                make_pairs(), config=SMALL, device="cpu", out=tmp_path,
                progress=lambda done, _: os.kill(os.getpid(), signal.SIGHUP) if done == 2 else None,
            )  # fmt: skip
    finally:
        assert signal.signal(signal.SIGHUP, before) is (signal.SIG_IGN if ignored else signal.SIG_DFL)
    assert ((tmp_path / runs.MODEL).exists(), (tmp_path / runs.TRAINING).exists()) == (ignored, not ignored)


def test_what_a_finished_run_is_resumed_to_is_its_translator(tmp_path):
    for name, config in (("poster", SMALL), ("calibrated", CalibratedConfig())):
        fitted = fit(make_pairs(), config=config, device="cpu", out=tmp_path / name)
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / name).iterdir()}
        again = fit(
            make_pairs(), config=config, device="cpu", out=tmp_path / name, resume=True,
            progress=lambda *_: pytest.fail("made a step"),
        )  # fmt: skip
        assert same(fitted, again)
        assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / name).iterdir()}


def test_an_existing_run_is_never_overwritten_and_another_is_never_resumed(tmp_path):
    pairs = make_pairs()
    fit(pairs, config=SMALL, device="cpu", out=tmp_path / "run")
    fit(pairs, config=SMALL, device="cpu", out=tmp_path / "chosen", validation=make_pairs(seed=5))
    fit(pairs, config=CalibratedConfig(), device="cpu", out=tmp_path / "closed", validation=make_pairs(seed=5))
    fit(pairs, config=SMALL, device="cpu", out=tmp_path / "split", split={"seed": 1})
    (tmp_path / "file").write_text("")
    for out, settings, words in (
        ("run", {}, "already holds a translator"),
        ("file", {}, "file: a file, a folder is needed"),
        ("run", {"config": replace(SMALL, gamma=0.5), "resume": True}, "was started with config.gamma 1.0, not 0.5"),
        ("run", {"config": CalibratedConfig(), "resume": True}, "was started with method poster, not calibrated"),
        ("run", {"pairs": make_pairs(seed=5), "resume": True}, "was started with pairs"),
        ("run", {"validation": make_pairs(seed=5), "resume": True}, "was started with pairs"),
        ("chosen", {"validation": make_pairs(seed=6), "resume": True}, "was started with validation"),
        ("run", {"source": "text", "target": "image", "resume": True}, "was started with facts"),
        (
            "closed",
            {"config": CalibratedConfig(), "resume": True},
            "was started with validation [0-9a-f]{64}, not None",
        ),
        ("new", {"split": {"own": 1}}, "split: own: 1, true or false is needed"),
        ("new", {"split": "by hand"}, "split: 'by hand', a mapping of JSON values is needed"),
        ("run", {"split": {"seed": 1}, "resume": True}, "was started with split None, not"),
        ("split", {"resume": True}, "was started with split {'seed': 1}, not None"),
        ("none", {"resume": True}, "not a run folder"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            fit(**{"pairs": pairs, "config": SMALL, "device": "cpu", "out": tmp_path / out, **settings})
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "none").exists()


def test_a_run_is_where_it_was_begun(tmp_path, monkeypatch):
    """Whatever the working directory is by its end."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    fitted = fit(make_pairs(), config=SMALL, out="run", progress=lambda *_: os.chdir(tmp_path / "elsewhere"))
    assert same(load(tmp_path / "run", device="cpu"), fitted)
    assert files(tmp_path / "elsewhere") == [] and ".modtrans-lock" not in files(tmp_path / "run")


def test_a_folder_with_nothing_to_lose_may_be_used(tmp_path):
    """As a run leaves it that was ended before its first checkpoint."""
    fit(make_pairs(), config=SMALL, device="cpu", out=tmp_path / "run")
    for name in (runs.MODEL, runs.LOG):
        (tmp_path / "run" / name).unlink()
    whole = fit(make_pairs(), config=replace(SMALL, gamma=0.5), device="cpu", out=tmp_path / "run")
    (tmp_path / "run" / runs.MODEL).unlink()
    again = fit(make_pairs(), config=replace(SMALL, gamma=0.5), device="cpu", out=tmp_path / "run", resume=True)
    assert same(whole, again)


def shortened(folder, change):
    """The model with some of its tensors changed."""
    tensors = load_file(folder / runs.MODEL)
    save_file(change(tensors), folder / runs.MODEL)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """A run of each method."""
    folder = tmp_path_factory.mktemp("runs")
    fit(make_pairs(), config=replace(SMALL, train=TrainConfig(steps=0)), device="cpu", out=folder / "poster")
    fit(make_pairs(), config=CalibratedConfig(), device="cpu", out=folder / "calibrated")
    return folder


@pytest.mark.parametrize("method", ["poster", "calibrated"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda run: (run / "model.safetensors").write_bytes(b"torn"), "model.safetensors: does not hold"),
        (lambda run: (run / "model.safetensors").unlink(), "run: not finished"),
        (lambda run: shortened(run, lambda t: {n: t[n] for n in t if n != "M"}), "model.safetensors: does not hold.*M"),
        (lambda run: shortened(run, lambda t: {**t, "M": torch.zeros(2, 2)}), "model.safetensors: does not hold.*M"),
        (lambda run: shortened(run, lambda t: {**t, "mean": torch.zeros(2)}), "model.safetensors: does not hold.*mean"),
        (lambda run: (run / "translator.json").unlink(), "not a run folder"),
        (lambda run: (run / "translator.json").write_text("{"), "not valid JSON"),
        (lambda run: (run / "translator.json").write_text("{}"), "translator.json: format is not 5"),
        (lambda run: (run / "translator.json").write_text("[]"), "translator.json: format is not 5"),
        (lambda run: edit(run, format=3), "translator.json: format is not 5, the one that this version reads"),
        (lambda run: (run / "translator.json").write_text('{"format": 5}'), "translator.json: method: missing"),
        (lambda run: edit(run, method="magic"), "method: 'magic', one of calibrated, poster"),
        (lambda run: edit(run, facts={"k": 8}), "translator.json: facts: source: missing, text is needed"),
        (lambda run: edit(run, facts=[]), r"translator.json: facts: \[\], an object is needed"),
        (lambda run: edit(run, facts=facts(k=9)), "weights of .* 8 -> te"),
        (lambda run: edit(run, facts={"source": "image", "target": "text", "k": 8, "d": 6}), "encoders: missing, an"),
        (lambda run: edit(run, config={"gama": 1}), "gama"),
        (lambda run: edit(run, split={"fractions": "abc"}), "json: split: fractions: 'abc', a list of shares"),
        (lambda run: edit(run, split={"fractions": [0.5, math.nan]}), "split: fractions: .*, a list of shares"),
        (lambda run: edit(run, split={"seed": -1}), "translator.json: split: seed: -1, a whole number from 0 on"),
        (lambda run: edit(run, split={"own": []}), r"translator.json: split: own: \[\], true or false is needed"),
        (lambda run: edit(run, validation_skill=math.nan), "validation_skill: nan, a number or null is needed"),
        (lambda run: edit(run, pairs=3), "translator.json: pairs: 3, text is needed"),
    ],
)  # fmt: skip
def test_a_damaged_run_is_refused_by_name(tmp_path, untouched, method, spoil, words):
    shutil.copytree(untouched / method, tmp_path / "run")
    spoil(tmp_path / "run")
    with pytest.raises(ValueError, match=words) as caught:
        load(tmp_path / "run")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(b"torn"), "training.safetensors: cannot be resumed from"),
        (lambda path: save_file(load_file(path), path), "training.safetensors: cannot be resumed from"),
        (lambda path: save_file({"weights.M": torch.ones(1)}, path, {"step": "4"}), "is of another configuration"),
        (lambda path: save_file({"x": torch.ones(1)}, path, {"step": "4"}), "is of another configuration"),
        (lambda path: save_file({"x.y": torch.ones(1)}, path, {"step": "4"}), "is of another configuration"),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path, often, spoil, words):
    with pytest.raises(KeyboardInterrupt):
        fit(make_pairs(), config=SMALL, device="cpu", out=tmp_path, progress=interrupting(5))
    spoil(tmp_path / runs.TRAINING)
    with pytest.raises(ValueError, match=words) as caught:
        fit(make_pairs(), config=SMALL, device="cpu", out=tmp_path, resume=True)
    assert "\n" not in str(caught.value)


def test_a_torn_line_of_the_log_does_not_keep_a_run_from_going_on(tmp_path):
    """As a full disk leaves it."""
    config = replace(SMALL, train=TrainConfig(steps=30, batch=32))
    with pytest.raises(KeyboardInterrupt):
        fit(make_pairs(), config=config, device="cpu", out=tmp_path, progress=interrupting(15))
    with open(tmp_path / runs.LOG, "a") as file:
        file.write('{"time": 3, "st')
    fit(make_pairs(), config=config, device="cpu", out=tmp_path, resume=True)
    assert [line["step"] for line in log(tmp_path)] == [10, 20, 30]


def test_a_full_disk_is_an_os_error_that_keeps_the_last_checkpoint(tmp_path, monkeypatch, often):
    written = []

    def full_after_two(tensors, path, metadata):
        if len(written) == 2:
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        written.append(path)
        save_file(tensors, path, metadata)

    with monkeypatch.context() as patched:
        patched.setattr("modtrans_core.run.save_file", full_after_two)
        with pytest.raises(OSError, match=r"training.safetensors: cannot be written .*No space left"):
            fit(make_pairs(), config=SMALL, device="cpu", out=tmp_path / "run")
    assert not list((tmp_path / "run").glob(".modtrans-*"))
    resumed = fit(make_pairs(), config=SMALL, device="cpu", out=tmp_path / "run", resume=True)
    assert same(resumed, fit(make_pairs(), config=SMALL, device="cpu"))


@pytest.mark.parametrize(("config", "room"), [(CalibratedConfig(), 0), (CalibratedConfig(), 1), (SMALL, 0)])
def test_a_disk_that_is_full_before_the_first_step_leaves_a_folder_to_begin_in(tmp_path, monkeypatch, config, room):
    written, write = [], runs._write

    def full(path, *content):
        if len(written) == room:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written.append(path)
        write(path, *content)

    with monkeypatch.context() as patched:
        patched.setattr(runs, "_write", full)
        with pytest.raises(OSError, match="No space left"):
            fit(make_pairs(), config=config, device="cpu", out=tmp_path)
    assert files(tmp_path) == []
    assert same(fit(make_pairs(), config=config, device="cpu", out=tmp_path), load(tmp_path, "cpu"))


def bits(folder):
    """Of what a run leaves; a half-written file of a process that was killed has another name and is never read."""
    whole = [name for name in files(folder) if not name.startswith(".")]
    return [(folder / name).read_bytes() for name in (runs.MODEL, runs.DESCRIPTION)], log(folder), whole


def test_a_killed_run_resumes_to_the_bit(tmp_path):
    """Six steps put five files in place: the description, two checkpoints, the description and the model."""
    make_pairs().save(tmp_path / "pairs.npz")
    command = [sys.executable, Path(__file__).parent / "training_worker.py", tmp_path, "11"]
    output = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert output.returncode == 0, output.stderr
    found = json.loads(output.stdout)
    for moment in range(10):
        assert found[f"cut{moment}"] == [-signal.SIGKILL, 0], output.stderr
        assert bits(tmp_path / f"cut{moment}") == bits(tmp_path / "whole")
    assert found["cut10"] == [0, 0]  # there is no further moment
    assert -signal.SIGKILL in found["random"] and found["random"][-1] == 0, output.stderr
    assert bits(tmp_path / "random") == bits(tmp_path / "long")


@pytest.mark.parametrize("torn", [b'{"time": 3, "st', b'{"time": 3, "st{"step": 1}\n', b"[]\n", b"\xff\n", b"3\n"])
def test_a_log_that_a_full_disk_tore_is_mended_by_resuming(tmp_path, torn):
    from modtrans_core.run import _cut_log

    line = b'{"time": 1.0, "step": 1, "total": 2.0}\n'
    (tmp_path / "metrics.jsonl").write_bytes(line + torn)
    _cut_log(tmp_path / "metrics.jsonl", 3)
    assert (tmp_path / "metrics.jsonl").read_bytes() == line


def test_a_network_that_the_file_does_not_hold_is_never_made(tmp_path, untouched):
    shutil.copytree(untouched / "poster", tmp_path / "run")
    kept = json.loads((tmp_path / "run" / "translator.json").read_text())["config"]
    for name, value in (("timesteps", 300_000_000), ("depth", 10**9), ("width", 30_000), ("depth", 1000)):
        edit(tmp_path / "run", config={**kept, name: value})
        with pytest.raises(ValueError, match=r"run/(translator\.json|model\.safetensors): .*(timesteps|depth|width)"):
            load(tmp_path / "run")
    edit(tmp_path / "run", config=kept, facts=facts(k=10**7, d=10**7))
    with pytest.raises(ValueError, match="weights of 'poster: image 8 -> text 6'"):
        load(tmp_path / "run")
    save_file(load_file(tmp_path / "run" / runs.MODEL), tmp_path / "run" / runs.MODEL)  # as an older version wrote them
    with pytest.raises(ValueError, match="does not hold this translator's weights .M: "):
        load(tmp_path / "run")


def test_what_was_seen_is_never_that_of_a_run_before(tmp_path):
    """Killed before its weights were written, a run leaves what it has seen; of the next one that says nothing."""
    fitted = fit(make_pairs(), preset="ridge", device="cpu", out=tmp_path / "run")
    (tmp_path / "run" / runs.MODEL).unlink()
    unknown = replace(fitted, facts=fitted.facts._replace(seen=None))
    unknown.save(tmp_path / "run")
    assert load(tmp_path / "run", device="cpu").facts.seen is None


def test_a_new_log_does_not_go_on_with_an_old_one(tmp_path):
    fit(make_pairs(), config=SMALL, device="cpu", out=tmp_path)
    before = log(tmp_path)
    (tmp_path / runs.MODEL).unlink()
    fit(make_pairs(), config=SMALL, device="cpu", out=tmp_path)
    assert log(tmp_path) == before


def test_files_of_several_runs_are_told_apart(tmp_path):
    """A certificate rests on the rows that were seen: those of another run would let training items pass for a test."""
    whole = make_pairs(200, k=6)
    for name, rows in (("one", np.arange(100)), ("other", np.arange(100, 200))):
        fit(whole.take(rows), preset="ridge", device="cpu", out=tmp_path / name)
    for mixed in (runs.SEEN, runs.MODEL):
        shutil.copytree(tmp_path / "one", tmp_path / f"with {mixed}")
        shutil.copy(tmp_path / "other" / mixed, tmp_path / f"with {mixed}")
        with pytest.raises(
            ValueError, match="seen.safetensors: not the rows that the run of model.safetensors has seen"
        ):
            load(tmp_path / f"with {mixed}")
    shutil.copytree(tmp_path / "one", tmp_path / "without", ignore=shutil.ignore_patterns(runs.SEEN))
    with pytest.raises(ValueError, match="seen.safetensors: missing, the rows that the run of model.safetensors has"):
        load(tmp_path / "without")
    facts = json.loads((tmp_path / "one" / runs.DESCRIPTION).read_text())["facts"]
    edit(tmp_path / "one", facts={**facts, "source": "text", "target": "image"})
    with pytest.raises(
        ValueError, match="weights of 'ridge: image 6 -> text 6', but translator.json says 'ridge: text 6"
    ):
        load(tmp_path / "one")


@pytest.mark.parametrize("name", [runs.DESCRIPTION, runs.MODEL, runs.SEEN])
def test_what_git_has_in_the_place_of_a_large_file_is_named(tmp_path, name):
    fit(make_pairs(), preset="ridge", device="cpu", out=tmp_path)
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    with pytest.raises(ValueError, match=f"{name}: a Git LFS pointer, not the data; run: git lfs pull"):
        load(tmp_path)


def test_rows_of_other_modalities_are_not_those_that_were_seen(tmp_path):
    fit(make_pairs(), preset="ridge", device="cpu", out=tmp_path)
    tensors = load_file(tmp_path / runs.MODEL)
    save_file(tensors, tmp_path / runs.MODEL)  # as an older version wrote them
    assert load(tmp_path).facts.seen is not None
    rows = load_file(tmp_path / runs.SEEN)
    save_file({name.replace("image", "sound"): row for name, row in rows.items()}, tmp_path / runs.SEEN)
    with pytest.raises(ValueError, match="seen.safetensors: train.image: missing, rows of image and text are needed"):
        load(tmp_path)


def test_what_is_refused_costs_no_old_run(tmp_path):
    """An encoder's facts that are no JSON values, or weights that are not finite: the old run stays as it was."""
    old = fit(make_pairs(), preset="ridge", device="cpu", out=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    pairs = replace(make_pairs(), metadata={"image": {"encoder": "test:c", "width": float("nan")}})
    with pytest.raises(ValueError, match="^facts: .*JSON"):
        fit(pairs, preset="ridge", device="cpu", out=tmp_path, overwrite=True)
    with pytest.raises(ValueError, match="^facts: .*JSON"):
        fit(pairs, preset="ridge", device="cpu").save(tmp_path, overwrite=True)
    with pytest.raises(ValueError, match="^A: NaN or infinity in the weights"):
        replace(old, A=old.A * torch.nan).save(tmp_path, overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("full", [runs.DESCRIPTION, runs.SEEN, runs.MODEL])
def test_a_full_disk_costs_no_old_run_where_another_is_saved(tmp_path, monkeypatch, full):
    fit(make_pairs(), preset="ridge", device="cpu", out=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other, replace_file = fit(make_pairs(), preset="procrustes", device="cpu"), os.replace

    def no_room(source, target):
        if Path(target).name == full:
            raise OSError(errno.ENOSPC, "No space left on device", str(source))
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", no_room)
    with pytest.raises(OSError, match="No space left"):
        other.save(tmp_path, overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_else_lies_in_a_run_folder_is_left_alone(tmp_path):
    fit(make_pairs(), preset="ridge", device="cpu", out=tmp_path)
    np.savez(tmp_path / "translated.npz", text=np.eye(3))
    fit(make_pairs(), preset="procrustes", device="cpu").save(tmp_path, overwrite=True)
    assert load(tmp_path).method == "procrustes"
    fit(make_pairs(), preset="ridge", device="cpu", out=tmp_path, overwrite=True)
    assert load(tmp_path).method == "ridge" and (tmp_path / "translated.npz").exists()


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"A": np.ones(3)}, "tensors: A: array([1., 1., 1.]), a tensor of torch that is not sparse is needed"),
        ({"A": None}, "tensors: A: None, a tensor of torch"),
        ({"A": torch.eye(3).to_sparse()}, "tensors: A: tensor("),
        ({3: torch.eye(3)}, "tensors: 3, a text other than '__metadata__', for a name, is needed"),
        ({"__metadata__": torch.eye(3)}, "tensors: '__metadata__', a text other than"),
    ],
)
def test_weights_that_no_file_would_give_back_are_not_written(tmp_path, tensors, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        runs.write(tmp_path / "run", "mine", Facts("a", "b", 1, 1).plain(), TrainConfig(), tensors)
    assert not (tmp_path / "run").exists()


def test_a_run_is_resumed_whose_facts_are_tuples(tmp_path):
    pairs = replace(make_pairs(), metadata={"image": {"encoder": "test:c", "size": (224, 224)}})
    fit(pairs, preset="ridge", device="cpu", out=tmp_path)
    assert fit(pairs, preset="ridge", device="cpu", out=tmp_path, resume=True).facts.encoders["image"]["size"]
