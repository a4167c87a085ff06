"""What test_run.py starts: trainings that are killed and gone on with. Its children start in milliseconds, everything
imported, and say on stdout how they ended."""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import torch
import torch._dynamo  # the first step of an optimiser would

from modtrans_core import PairedEmbeddings, Pairing, PosterConfig, TrainConfig, poster
from modtrans_core import run as runs
from modtrans_core.protocol import Facts

CHECKPOINT_EVERY = 3


def config(steps: int) -> PosterConfig:
    return PosterConfig(width=16, depth=2, steps=2, train=TrainConfig(steps=steps, batch=32))


def train(folder, steps, kill_at=None):
    """Begin the run in the folder, or go on with it, as `modtrans_core.fit` does.

    Parameters
    ----------
    kill_at : end the process as kill -9 does, before or after a file is put in place: moments 0, 1, 2, ...
    """
    if kill_at is not None:
        _kill_at(kill_at)
    pairs = PairedEmbeddings.load(folder.parent / "pairs.npz")
    facts, pairing = Facts.of(pairs, "image", "text"), Pairing(pairs, "image", "text")
    run = runs.begin(folder, "poster", facts.plain(), config(steps), {}, (folder / runs.DESCRIPTION).exists())
    run.checkpoint_every = CHECKPOINT_EVERY
    if not runs.is_finished(folder):
        fitted = poster.METHOD.fit(pairing, pairing, facts, config(steps), torch.device("cpu"), run)
        run.finish(fitted.tensors(), validation_skill=0.5)


def _kill_at(moment):
    rename, seen = os.replace, iter(range(10**6))

    def replace(source, target):
        number = next(seen)
        if moment == 2 * number:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)
        if moment == 2 * number + 1:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace


def ended(folder, steps, kill_at=None, kill_after=None):
    """How a training ends that is killed at a moment, after so many seconds, or not at all."""
    child = os.fork()
    if child == 0:
        try:
            train(folder, steps, kill_at)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder, moments):
    """Every run of six steps is killed at another moment, and one of forty at random moments, until it is whole."""
    found = {"whole": [ended(folder / "whole", 6)]}
    for moment in range(moments):
        found[f"cut{moment}"] = [ended(folder / f"cut{moment}", 6, moment), ended(folder / f"cut{moment}", 6)]
    begun, rng = time.perf_counter(), random.Random(0)
    found["long"] = [ended(folder / "long", 40)]
    took, found["random"] = time.perf_counter() - begun, []
    while len(found["random"]) < 5:
        status = ended(folder / "random", 40, kill_after=rng.uniform(0, took))
        if status == 0 and not any(found["random"]):  # the machine has become faster: again, with less time
            shutil.rmtree(folder / "random")
            took /= 2
            continue
        found["random"].append(status)
    found["random"].append(ended(folder / "random", 40))
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
