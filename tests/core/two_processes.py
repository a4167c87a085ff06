"""What test_distributed.py starts under torchrun: process 0 writes what the processes found together."""

import os
import shutil
import signal
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from test_distributed import BATCHES, CALIBRATED, CONFIG, gradients

from modtrans_core import PairedEmbeddings, Pairing, distributed, fit
from modtrans_core.linear import NormalEquations


def interrupt(done: int, _: int) -> None:
    """Ctrl-C in step 5 of one process."""
    if done == 5:
        os.kill(os.getpid(), signal.SIGINT)


def main(folder: Path) -> None:
    with distributed.processes("cpu") as device:
        assert device == "cpu" and distributed.world() == 2
        many, small = (PairedEmbeddings.load(folder / f"{name}.npz", mapped=True) for name in ("many", "pairs"))
        pairing = Pairing(many, "image", "text")
        equations = NormalEquations.of(pairing.sums(), pairing.k, pairing.d)
        found = {"cc": equations.cc, "cz": equations.cz, "pairs": equations.pairs}
        found["mean"] = torch.from_numpy(pairing.mean())
        for size in BATCHES:
            found |= {f"{size}.{name}": gradient for name, gradient in gradients(size).items()}
        received = torch.full((3,), float(distributed.rank()))
        distributed.broadcast(received)
        found["received"] = received
        if distributed.is_main():
            save_file(found, folder / "found.safetensors")
        fit(many, config=CALIBRATED, out=folder / "calibrated", device=device)
        fit(small, config=CONFIG, out=folder / "whole", device=device)
        try:
            fit(small, config=CONFIG, out=folder / "cut", device=device, progress=interrupt)
        except KeyboardInterrupt:  # in both processes, after the step in which they next look
            distributed.barrier()
        if distributed.is_main():
            shutil.copytree(folder / "cut", folder / "cut_for_one")
        distributed.barrier()
        fit(small, config=CONFIG, out=folder / "cut", resume=True, device=device)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
