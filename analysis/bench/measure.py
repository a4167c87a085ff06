"""Measurements one after another, each kept as it is made, with the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from analysis.bench.record import Record
from modtrans_core.cli.verb import say


@dataclass(frozen=True)
class Job:
    """One measurement."""

    quantity: str
    contender: str
    round: int
    expected: float
    """seconds that it is thought to take, before one like it was made"""
    call: Callable[[], dict[str, Any]]


def measure(planned: Sequence[Job], record: Record, patience: float) -> None:
    """Make the measurements that the record lacks, with the time left on stderr.

    One that took longer than `patience` seconds is not repeated in later rounds.
    """
    took = {(e["quantity"], e["contender"]): e["took"] for e in record.measurements if "took" in e}
    waiting = [job for job in planned if not record.has(job.quantity, job.contender, job.round)]
    shape = "{desc:44.44} {percentage:3.0f}%|{bar}| {elapsed} done{postfix} left"
    start = time.perf_counter()

    def skipped(job: Job) -> bool:
        return job.round > 0 and took.get((job.quantity, job.contender), 0.0) > patience

    with tqdm(total=1.0, bar_format=shape, disable=None, leave=False) as bar:
        for index, job in enumerate(waiting):
            if skipped(job):
                continue
            rest = [later for later in waiting[index:] if not skipped(later)]
            left = sum(took.get((later.quantity, later.contender), later.expected) for later in rest)
            done = time.perf_counter() - start
            bar.n = done / (done + left)
            bar.set_description_str(f"{job.quantity}: {job.contender}", refresh=False)
            bar.set_postfix_str(tqdm.format_interval(left))
            begun = time.perf_counter()
            values = job.call()
            taken = time.perf_counter() - begun
            took[job.quantity, job.contender] = taken
            record.add(job.quantity, job.contender, job.round, {**values, "took": taken})
            if bar.disable and taken > 2:
                say(f"{job.quantity}: {job.contender}: {taken:.0f} s, about {tqdm.format_interval(left)} were left")
