"""Two processes find what one finds: sums, gradients, closed forms; and how their runs go on and end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cosine_similarity, normalize

from modtrans_core import CalibratedConfig, PairedEmbeddings, Pairing, PosterConfig, TrainConfig, distributed, fit, load
from modtrans_core import run as runs
from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run
from modtrans_core.linear import NormalEquations
from modtrans_core.poster.model import PosterTranslator, objective
from modtrans_core.protocol import Facts
from modtrans_core.train import Measured

HERE = Path(__file__).parent
BATCHES = (33, 2, 1)  # an odd row; a row each; a process with nothing to do
CONFIG = PosterConfig(
    width=16, depth=2, dropout=0.2, steps=2, reconstruction_steps=2, condition_dropout=0.3,
    train=TrainConfig(steps=24, batch=33, learning_rate=1e-3),
)  # fmt: skip
CALIBRATED = CalibratedConfig(landmarks=20)


def make_pairs(n, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(n, 8))
    text = np.tanh(image @ np.random.default_rng(99).normal(size=(8, 6)))[:, None] + 0.5 * rng.normal(size=(n, 3, 6))
    return PairedEmbeddings({"image": image, "text": text}, {"text": rng.integers(1, 4, n)})


def gradients(size):
    """Of the objective on a batch of this size, every parameter away from zero, on noise that is handed in."""
    translator = PosterTranslator(Facts("image", "text", 8, 6), CONFIG).eval()  # dropout's noise cannot be handed in
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in translator.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=g))
    c, z = (normalize(torch.randn(size, d, generator=g), dim=1) for d in (8, 6))
    normals = iter(torch.randn(2, size, 6, generator=g))
    t, uniform = torch.randint(1000, (size,), generator=g), torch.rand(size, generator=g)
    mine, weight = distributed.share(size)
    measured = distributed.parallel(Measured(translator, objective))
    with mock.patch.multiple(
        torch,
        randn_like=lambda _: next(normals)[mine],
        randint=lambda *_, **__: t[mine],
        rand=lambda *_, **__: uniform[mine],
    ):
        terms = measured(c[mine], z[mine])
    (weight * distributed.world() * terms["total"]).backward()
    return {name: parameter.grad for name, parameter in translator.named_parameters()}


def torchrun(*arguments, **options):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{HERE.parent.parent}{os.pathsep}{HERE}"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([str(part) for part in command], env=environment, **pipes, **options)


def lines_of(output):
    return [line for line in output.splitlines() if line.startswith("modtrans train: ")]


def log(folder):
    lines = [json.loads(line) for line in (folder / runs.LOG).read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "time"} for line in lines]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two_processes.py leaves."""
    folder = tmp_path_factory.mktemp("two")
    make_pairs(150).save(folder / "pairs.npz")
    make_pairs(20_000, seed=1).save(folder / "many.npz")
    process = torchrun(HERE / "two_processes.py", folder)
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    return folder


def test_sums_are_those_of_all_pairs(two):
    found, many = load_file(two / "found.safetensors"), Pairing(make_pairs(20_000, seed=1), "image", "text")
    assert (found["received"] == 0).all()
    c, z = (normalize(torch.from_numpy(rows).double(), dim=1) for rows in (many.c[many.of_c], many.z[many.of_z]))
    assert found["pairs"] == len(c)
    for name, expected in (("cc", c.T @ c), ("cz", c.T @ z)):
        torch.testing.assert_close(found[name], expected, rtol=1e-5, atol=1e-2)  # products in float32
    alone = NormalEquations.of(many.sums(), 8, 6)
    torch.testing.assert_close(found["cc"], alone.cc, rtol=1e-14, atol=1e-11)
    torch.testing.assert_close(found["cz"], alone.cz, rtol=1e-14, atol=1e-11)
    torch.testing.assert_close(found["mean"], torch.from_numpy(many.mean()), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("size", BATCHES)
def test_on_equal_noise_the_averaged_gradient_is_that_of_one_process(two, size):
    found = load_file(two / "found.safetensors")
    for name, gradient in gradients(size).items():
        assert gradient.abs().max() > 0 or name == "denoiser.null"
        torch.testing.assert_close(found[f"{size}.{name}"], gradient, rtol=2e-5, atol=2e-6)


def test_a_closed_form_is_that_of_one_process(two):
    alone, together = fit(make_pairs(20_000, seed=1), config=CALIBRATED, device="cpu"), load(two / "calibrated", "cpu")
    for name, tensor in together.tensors().items():
        torch.testing.assert_close(tensor, alone.tensors()[name], rtol=1e-3, atol=1e-3)
    assert together.facts.seen == alone.facts.seen


def test_as_many_processes_resume_to_the_bit(two):
    assert (two / "cut" / runs.MODEL).read_bytes() == (two / "whole" / runs.MODEL).read_bytes()
    assert log(two / "cut") == log(two / "whole")
    assert sorted(path.name for path in (two / "cut").iterdir()) == [runs.LOG, runs.MODEL, runs.SEEN, runs.DESCRIPTION]


def test_another_number_of_processes_goes_on_with_another_draw_of_the_same_law(two):
    """The steps that were made stay as they are; the translators of the two runs agree as those of two seeds do."""
    pairs = make_pairs(150)
    resumed = fit(pairs, config=CONFIG, out=two / "cut_for_one", resume=True, device="cpu")
    assert [line["step"] for line in log(two / "cut_for_one")] == [10, 20, 24]
    assert log(two / "cut_for_one")[0] == log(two / "whole")[0] != log(two / "cut_for_one")[1]
    c = torch.from_numpy(make_pairs(300, seed=2).modality("image"))
    alone = fit(pairs, config=CONFIG, device="cpu").translate(c)
    for other in (resumed.translate(c), load(two / "whole", "cpu").translate(c)):
        assert cosine_similarity(alone, other).mean() > 0.95
        assert not torch.equal(alone, other)


FAST = ["--preset", "poster", "--device", "cpu", "--train-steps", "300"]
FAST += ["--set", "width=16", "depth=1", "train.learning_rate=0.001", "train.batch=33"]


def test_an_interrupt_ends_both_with_one_line_and_one_process_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_pairs(150).save("pairs.npz")
    process = torchrun("-m", "modtrans_core", "train", "pairs.npz", "--out", "cut", *FAST, cwd=tmp_path)
    while process.poll() is None and not Path("cut/metrics.jsonl").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=120)[0]
    (line,) = lines_of(output)
    assert "interrupted after step" in line and process.returncode != 0
    stopped = int(line.split("after step ")[1].split()[0])
    assert 0 < stopped < 300 and not Path("cut/model.safetensors").exists()
    assert run(VERBS, "modtrans", "", ["train", "pairs.npz", *FAST, "--out", "cut", "--resume"]) == 0
    assert [line["step"] for line in log(Path("cut"))] == list(range(10, 301, 10))


def test_a_failing_process_ends_both_with_one_line(tmp_path):
    """A row that is bad on disk is met by whichever process reads it first; the other one waits for it in a sum."""
    pairs = make_pairs(150)
    image = pairs.modality("image").copy()
    image[:] = np.where(np.arange(150)[:, None] == 77, np.nan, image)
    np.savez(tmp_path / "pairs.npz", image=image, text=pairs.modality("text"), text_count=pairs.counts["text"])
    (tmp_path / "mapped.py").write_text(
        "from modtrans_core import cli\nfrom modtrans_core.store import mapped\nmapped.LARGE = 0\ncli.main()\n",
        encoding="utf-8",
    )
    process = torchrun("mapped.py", "train", "pairs.npz", "--out", "run", "--split-seed", "1", *FAST, cwd=tmp_path)
    output = process.communicate(timeout=120)[0]
    (line,) = lines_of(output)
    assert "image: NaN or infinity in row 77" in line and "pairs.npz" in line and process.returncode == 1


@pytest.mark.parametrize(("n", "world"), [(33, 2), (64, 7), (7, 7), (3, 5), (1, 4)])
def test_shares_are_every_row_once(monkeypatch, n, world):
    monkeypatch.setattr(distributed, "world", lambda: world)
    weights, rows = [], []
    for rank in range(world):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        mine, weight = distributed.share(n)
        held = np.arange(n)[mine]
        assert len(held) >= 1 and len(held) - weight * n in (0, 1)
        rows += list(held) if weight else []
        weights.append(weight)
    assert rows == list(range(n)) and sum(weights) == pytest.approx(1)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("cuda:3", "device: 'cuda:3', cpu or cuda is needed with 2 processes"),
        ("cuda", "nproc-per-node: more than the 0"),
    ],
)
def test_a_device_that_processes_cannot_share_is_refused(monkeypatch, device, words):
    for name, value in {"WORLD_SIZE": 2, "RANK": 0, "LOCAL_RANK": 0, "MASTER_ADDR": "here", "MASTER_PORT": 9}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda _: None)
    monkeypatch.setattr(distributed, "world", lambda: 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match=words), distributed.processes(device):
        pytest.fail("went on")


@pytest.mark.parametrize(
    ("set_", "words"),
    [
        ({}, "RANK: 'not set', what torchrun sets beside WORLD_SIZE"),
        ({"RANK": "0"}, "MASTER_ADDR: 'not set'"),
        ({"RANK": "0", "MASTER_ADDR": "here", "MASTER_PORT": "x"}, "MASTER_PORT: 'x'"),
    ],
)
def test_an_environment_that_is_half_set_is_named(monkeypatch, set_, words):
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"WORLD_SIZE": "2", **set_}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=words), distributed.processes("cpu"):
        pytest.fail("went on")


def test_alone_everything_is_a_no_op():
    x = torch.arange(3.0)
    distributed.all_reduce(x)
    distributed.broadcast(x)
    distributed.barrier()
    assert torch.equal(x, torch.arange(3.0)) and distributed.share(5) == (slice(0, 5), 1.0)
    assert (distributed.rank(), distributed.world(), distributed.is_main()) == (0, 1, True)
    assert distributed.first_to_fail() and distributed.anywhere(True) and not distributed.anywhere(False)
    module = torch.nn.Linear(2, 2)
    assert distributed.parallel(module) is module
    with distributed.processes("cuda:3") as device:
        assert device == "cuda:3"
