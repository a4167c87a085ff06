"""What test_distributed.py starts under torchrun: process 0 writes what the processes found together."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from test_distributed import BATCHES, CONFIG, gradients, load

from modtrans_core import distributed
from modtrans_core.linear import NormalEquations
from modtrans_core.train import _target_mean, fit


def main(folder: Path) -> None:
    with distributed.processes("cpu") as device:
        assert device == "cpu" and distributed.world() == 2
        pairs, small = load(folder / "many.npz", mapped=True), load(folder / "pairs.npz", mapped=True)
        equations = NormalEquations.of(pairs, "image", "text")
        found = {"cc": equations.cc, "cz": equations.cz, "pairs": torch.tensor(equations.pairs)}
        found["mean"] = _target_mean(pairs, "text", torch.device("cpu"))
        for size in BATCHES:
            found |= {f"{size}.{name}": grad for name, grad in gradients(size).items()}
        received = torch.full((3,), float(distributed.rank()))
        distributed.broadcast(received)
        found["received"] = received
        if distributed.is_main():
            save_file(found, folder / "found.safetensors")
        fit(small, config=CONFIG, out=folder / "one_then_two", resume=True, device=device)
        fit(small, config=CONFIG, out=folder / "two", device=device)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
