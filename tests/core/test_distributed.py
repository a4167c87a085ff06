"""Two processes find what one finds: sums, gradients, whole runs, and how a run ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from modtrans_core.config import Config, NetworkConfig, ObjectiveConfig, SamplingConfig, TrainConfig
from safetensors.torch import load_file

from modtrans_core import PairedEmbeddings, Translator, distributed
from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run
from modtrans_core.linear import NormalEquations
from modtrans_core.train import _Objective, _seeded, _target_mean, _whole_batch, fit

HERE = Path(__file__).parent
BATCHES = (33, 2, 1)  # an odd row; a row each; a process with nothing to do
CONFIG = Config(
    network=NetworkConfig(width=16, depth=2, dropout=0.2),
    sampling=SamplingConfig(steps=2),
    objective=ObjectiveConfig(reconstruction_steps=2),
    train=TrainConfig(steps=14, batch=33, learning_rate=1e-3, checkpoint_every=4),
)
load = PairedEmbeddings.load


def make_pairs(n, seed=0):
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(n, 3, 6)).astype(np.float32)
    return PairedEmbeddings({"image": rng.normal(size=(n, 8)), "text": text}, {"text": rng.integers(1, 4, n)})


def gradients(size):
    """Of the objective on a batch of this size, with every parameter away from zero and all dropouts on."""
    translator = Translator(8, 6, CONFIG).train()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in translator.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    c, z = (torch.nn.functional.normalize(torch.randn(size, d, generator=generator), dim=1) for d in (8, 6))
    mine, weight = distributed.share(size)
    model = distributed.parallel(_Objective(translator), every=True)
    with _seeded(3, 7, torch.device("cpu")), _whole_batch(size, mine):
        loss = model(c[mine], z[mine])
    (weight * distributed.world() * loss.total).backward()
    return {name: parameter.grad for name, parameter in translator.named_parameters()}


def torchrun(*arguments, **options):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{HERE.parent.parent}{os.pathsep}{HERE}"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([str(part) for part in command], env=environment, **pipes, **options)


def lines_of(output):
    return [line for line in output.splitlines() if line.startswith("modtrans train: ")]


def close(a, b):
    """Equal to rounding: a thousandth of what a training step of 1e-3 moves a weight."""
    return all(torch.allclose(x, y, rtol=1e-5, atol=1e-6) for x, y in zip(a.values(), b.values(), strict=True))


def test_two_processes_find_what_one_does(tmp_path):
    pairs, many = make_pairs(150), make_pairs(20_000, seed=1)
    pairs.save(tmp_path / "pairs.npz")
    many.save(tmp_path / "many.npz")

    def interrupt(done, _):
        if done == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(pairs, config=CONFIG, out=tmp_path / "one_then_two", device="cpu", progress=interrupt)
    process = torchrun(HERE / "two_processes.py", tmp_path)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output

    found = load_file(tmp_path / "found.safetensors")
    assert (found["received"] == 0).all()
    c, z, of_c, of_z = (torch.from_numpy(array) for array in many.pairings("image", "text"))
    c, z = (torch.nn.functional.normalize(x.double(), dim=1) for x in (c, z))
    assert found["pairs"] == len(of_c)
    for name, expected in (("cc", c[of_c].T @ c[of_c]), ("cz", c[of_c].T @ z[of_z])):
        torch.testing.assert_close(found[name], expected, rtol=1e-6, atol=1e-3)
    alone = NormalEquations.of(many, "image", "text")
    torch.testing.assert_close(found["cc"], alone.cc, rtol=1e-14, atol=1e-11)
    torch.testing.assert_close(found["cz"], alone.cz, rtol=1e-14, atol=1e-11)
    mean = _target_mean(many, "text", torch.device("cpu"))
    torch.testing.assert_close(found["mean"], mean, rtol=1e-12, atol=1e-15)

    for size in BATCHES:
        for name, grad in gradients(size).items():
            assert grad.abs().max() > 0 or name == "denoiser.null"
            torch.testing.assert_close(found[f"{size}.{name}"], grad, rtol=2e-5, atol=2e-6)

    whole = fit(pairs, config=CONFIG, out=tmp_path / "one", device="cpu").state_dict()
    log = (tmp_path / "one" / "metrics.jsonl").read_text().splitlines()
    for name in ("two", "one_then_two"):
        assert close(Translator.load(tmp_path / name, "cpu").state_dict(), whole)
        other = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        for a, b in zip(log, other, strict=True):
            a, b = ({k: v for k, v in json.loads(line).items() if k != "time"} for line in (a, b))
            assert a == pytest.approx(b, rel=1e-5)


FAST = ["--device", "cpu", "--steps", "300", "--set", "network.width=16", "network.depth=1"]
FAST += ["objective.lambda_1=0", "train.learning_rate=0.001", "train.batch=33"]  # no kink that rounding grows at


def test_an_interrupt_ends_both_with_one_line_and_one_process_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_pairs(150).save("pairs.npz")
    process = torchrun("-m", "modtrans_core", "train", "pairs.npz", "--out", "cut", *FAST, cwd=tmp_path)
    while process.poll() is None and not Path("cut/metrics.jsonl").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    (line,) = lines_of(output)
    assert "interrupted after step" in line and process.returncode != 0
    stopped = int(line.split("after step ")[1].split()[0])
    assert 0 < stopped < 300 and not Path("cut/model.safetensors").exists()
    for arguments in (["cut", "--resume"], ["whole"]):
        assert run(VERBS, "modtrans", "", ["train", "pairs.npz", *FAST, "--out", *arguments]) == 0
    assert close(*(Translator.load(name, "cpu").state_dict() for name in ("cut", "whole")))


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
    output = process.communicate(timeout=60)[0]
    (line,) = lines_of(output)
    assert "image: NaN or infinity in row 77" in line and "pairs.npz" in line and process.returncode == 1


@pytest.mark.parametrize(("rank", "world"), [(0, 1), (2, 7), (6, 7)])
def test_draws_are_those_of_the_whole_batch(monkeypatch, rank, world):
    monkeypatch.setattr(distributed, "rank", lambda: rank)
    monkeypatch.setattr(distributed, "world", lambda: world)
    mine, _ = distributed.share(30)
    x = torch.ones(30, 5)

    def draw(x):
        torch.manual_seed(0)
        return [
            torch.randn_like(x), torch.randint(9, (len(x),)), torch.rand(len(x)), torch.randn(len(x), 2),
            torch.nn.functional.dropout(x, 0.5), torch.nn.Dropout(0.3)(3 * x), torch.rand(()),
        ]  # fmt: skip

    expected = draw(x)
    with distributed.WholeBatch(30, mine):
        found = draw(x[mine])
    for a, b in zip(found[:-1], expected[:-1], strict=True):
        assert torch.equal(a, b[mine])
    assert found[-1] == expected[-1]
    with distributed.WholeBatch(30, mine):
        if world > 1:
            with pytest.raises(RuntimeError, match=r"shape \(30,\): neither a scalar nor the"):
                torch.rand(30)
        with pytest.raises(RuntimeError, match="randperm: has no rule for several processes"):
            torch.randperm(4)


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


@pytest.mark.parametrize("rank", [0, 1])
def test_other_verbs_are_refused_and_one_process_says_so(monkeypatch, capsys, rank):
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    for arguments, status, words in (
        (["evaluate", "run", "pairs.npz"], 1, "modtrans evaluate: runs in one process; start it without torchrun"),
        (["train", "pairs.npz"], 2, "--out"),
    ):
        with pytest.raises(SystemExit) as stop:
            run(VERBS, "modtrans", "", arguments)
        error = capsys.readouterr().err
        assert stop.value.code == status and (words in error if rank == 0 else error == "")


def test_alone_everything_is_a_no_op():
    x = torch.arange(3.0)
    distributed.all_reduce(x)
    distributed.broadcast(x)
    distributed.barrier()
    assert torch.equal(x, torch.arange(3.0)) and distributed.share(5) == (slice(0, 5), 1.0)
    assert (distributed.rank(), distributed.world(), distributed.is_main()) == (0, 1, True)
    assert distributed.first_to_fail()
    module = torch.nn.Linear(2, 2)
    assert distributed.parallel(module, every=False) is module
    with distributed.processes("cuda:3") as device:
        assert device == "cuda:3"
