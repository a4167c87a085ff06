"""A linear fit that streams its pairs, in a process of its own: how fast it is and how much memory it takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import torch

from modtrans_core.linear import NormalEquations

CHUNK = 65_536
"""pairs generated at once"""
PENALTY = 1e-3


def streamed_fit(pairs: int, k: int, d: int, threads: int) -> dict[str, float]:
    """Fit M (k, d) to pairs that are generated chunk by chunk.

    Returns
    -------
    `bytes`, by which the process grew at most over what it held when its first chunk was there; `pairs_per_second` of
    the sums alone, without the generation; `seconds` of these sums and of the solution.
    """
    arguments = [str(number) for number in (pairs, k, d, threads)]
    done = subprocess.run(
        [sys.executable, "-m", "analysis.bench.streamed", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"streamed fit of {pairs:,} pairs: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout)


def fit(pairs: int, k: int, d: int) -> dict[str, float]:
    """The same in this process."""
    generator = torch.Generator().manual_seed(0)
    both = torch.empty(min(CHUNK, pairs), k + d).normal_(generator=generator)
    held = peak_bytes()
    equations = NormalEquations(k, d)
    seconds = 0.0
    for start in range(0, pairs, CHUNK):
        rows = both[: min(CHUNK, pairs - start)].normal_(generator=generator)
        begun = time.perf_counter()
        equations.add(rows[:, :k], rows[:, k:])
        seconds += time.perf_counter() - begun
    begun = time.perf_counter()
    equations.solve(PENALTY)
    solved = time.perf_counter() - begun
    return {
        "bytes": float(peak_bytes() - held),
        "pairs_per_second": pairs / seconds,
        "seconds": seconds + solved,
    }


def peak_bytes() -> int:
    """The most memory that this process has held."""
    try:  # of this program alone; what getrusage says is inherited from the program that started it
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":  # python -m analysis.bench.streamed PAIRS K D THREADS
    count, k, d, threads = map(int, sys.argv[1:])
    torch.set_num_threads(threads)
    print(json.dumps(fit(count, k, d)))
