"""The shards of a job given to the workers of Ray: those of this machine, or of a cluster with a shared file system."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import Any

from modtrans_core.checks import in_one_line
from modtrans_core.embed.engine.job import Folder, Job
from modtrans_core.embed.engine.work import Counter, ShardWorker
from modtrans_core.extras import require
from modtrans_core.progress import Progress, reporting


class _Actor:
    """A process of Ray's that keeps its encoders; called with a row that names a shard."""

    job: Job
    folder: Folder

    def __init__(self) -> None:
        self.worker = ShardWorker(self.job, self.folder, None)

    def __call__(self, row: dict[str, int]) -> dict[str, str]:
        try:
            self.worker.do(row["shard"], wait=True, progress=lambda _: None)
        except (ValueError, OSError, RuntimeError, ImportError) as error:  # Ray would lose its words on the way
            return {"error": str(error)}
        return {"error": ""}


def work_with_ray(job: Job, folder: Folder, progress: Progress | None = None) -> None:
    """`modtrans_core.embed.engine.work.work`, by as many workers as Ray has GPUs, or CPUs where the job is the CPU's.

    A cluster is joined where the environment names one (`RAY_ADDRESS`); otherwise Ray is started on this machine and
    stopped at the end.

    Raises
    ------
    ValueError
        Of a worker, as it would be raised here.
    RuntimeError
        Ray cannot be started, or the cluster does not answer.
    """
    if folder.finished:
        return
    ray = require("ray", "ray")
    data = require("ray.data", "ray")
    missing = [{"shard": number} for number, shard in enumerate(job.shards) if not folder.done(shard.name)]
    started_here = not ray.is_initialized()
    if started_here:
        _start(ray)
    context = data.DataContext.get_current()
    context.enable_progress_bars, context.print_on_execution_start = False, False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        counter = Counter(job, folder)
        kind = "GPU" if job.device == "cuda" else "CPU"
        workers = max(1, min(len(missing), int(ray.cluster_resources().get(kind, 1))))
        with reporting(progress, counter.total(), f"embed {job.source}", "item", counter.done()) as report:
            if missing:
                shards = data.from_items(missing, override_num_blocks=len(missing))
                given = {"job": replace(job), "folder": Folder(folder.path.absolute())}  # of the job, its names alone
                actor = type("Actor", (_Actor,), given)
                done = shards.map(actor, concurrency=workers, max_restarts=0, **{f"num_{kind.lower()}s": 1})
                for row in done.iter_rows():
                    if row["error"]:
                        raise ValueError(row["error"])
                    counter.refresh()
                    report(counter.done(), counter.total())
    finally:
        if started_here:
            ray.shutdown()
    ShardWorker(job, folder, None).finish()


def _start(ray: Any) -> None:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its future default, which it warns of
    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
    except Exception as error:  # Ray raises no narrower one, where its daemons are not up within seconds
        cluster = os.environ.get("RAY_ADDRESS")
        what = f"RAY_ADDRESS: no cluster answers at {cluster!r}" if cluster else "Ray did not start on this machine"
        way = "without it the shards are shared by as many `modtrans embed` as are started"
        raise RuntimeError(f"--engine ray: {what} ({in_one_line(error)}); {way}") from None
