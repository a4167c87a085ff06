"""One piece of work for every route and seed, as many at once as the machine has cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress


def every_split(
    work: Callable[..., Any],
    pairs: str | Path,
    routes: Sequence[tuple[str, str]],
    seeds: int,
    progress: Progress | None = None,
) -> list[Any]:
    """`work(pairs, source, target, seed=, progress=)` for every seed and route, each in one thread of a process.

    One thread each is faster for matrices of this size, and makes the result independent of the number of cores.

    Parameters
    ----------
    work : a function that a process can be sent: of a module, or a `functools.partial` of one.
    pairs : file or folder of the pair set.
    routes : (source, target) modalities.
    seeds : 0 to seeds - 1 are run.
    progress : called with (steps done, steps of all), steps as `work` reports them.

    Returns
    -------
    What `work` returned, seed by seed, the routes of a seed together.
    """
    jobs = [(work, str(pairs), *route, seed) for seed in range(seeds) for route in routes]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(len(jobs), os.cpu_count() or 1), spawn) as pool:
        try:
            with TemporaryDirectory() as board:
                results = [pool.submit(_run, Path(board) / str(index), *job) for index, job in enumerate(jobs)]
                while wait(results, timeout=0.5, return_when=FIRST_EXCEPTION).not_done:
                    told = [path.read_text().split() for path in Path(board).iterdir()]
                    if progress is not None and told and all(told):
                        progress(sum(int(step) for step, _ in told), len(jobs) * int(told[0][1]))
                return [result.result() for result in results]
        except BaseException:  # the board is gone, so that running jobs end when they next report
            pool.shutdown(cancel_futures=True)
            raise


def _run(board: Path, work: Callable[..., Any], path: str, source: str, target: str, seed: int) -> Any:
    """The work in a process of its own, which ends soon after the one that asked for it has stopped."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    caller = multiprocessing.parent_process()

    def tell(step: int, of: int) -> None:
        if step % 10 == 0 or step == of or of < 100:
            board.write_text(f"{step} {of}")  # fails where the caller has cleaned up
            if caller is not None and not caller.is_alive():
                os._exit(1)

    with threadpool_limits(1):
        return work(PairedEmbeddings.load(path), source, target, seed=seed, progress=tell)
