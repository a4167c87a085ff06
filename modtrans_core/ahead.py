"""Work done ahead of time: numpy leaves Python's lock, so that threads read and prepare what comes next."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def threads() -> int:
    """The cores of this process, where several processes share a machine its part of them; 8 at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores // max(1, whole_from("LOCAL_WORLD_SIZE", 1))))


def whole_from(name: str, otherwise: int) -> int:
    """The whole number that a variable of the environment holds, `otherwise` where it holds none."""
    text = os.environ.get(name, "").strip()
    return int(text) if text.isascii() and text.isdecimal() else otherwise


def ahead(work: Callable[[Given], Made], items: Iterable[Given], depth: int | None = None) -> Iterator[Made]:
    """`work(item)` of every item, in their order; the next `depth` are under way. Default: one for each thread.

    An error of `work` is raised where its result would come.
    """
    count = threads()
    depth = count if depth is None else depth
    pending: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(count, "ahead") as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > depth:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
