"""How far a long call is: a bar for the person at the terminal, or a callback for a program."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Seen = TypeVar("Seen")
Progress = Callable[[int, int], None]
"""(done, total), called as the work goes on"""


def silent(done: int, total: int) -> None:
    """Nothing to see: for one of several processes, or a part of what is reported as a whole."""


def part_of(report: Progress, number: int, parts: int) -> Progress:
    """What one of several parts of about the same length reports to: told in hundredths of a part.

    Examples
    --------
    >>> part_of(lambda done, total: print(done, total), 1, 3)(1, 4)
    125 300
    """
    return lambda done, total: report(100 * number + 100 * done // total, 100 * parts)


@contextmanager
def reporting(
    progress: Progress | None, total: int, what: str, unit: str, first: int = 0, delay: float = 0.0
) -> Iterator[Progress]:
    """Give `progress` itself; where it is None, a bar on stderr that is silent when that is not a terminal.

    The bar appears after `delay` seconds.
    """
    if progress is not None:
        yield progress
        return
    from tqdm import tqdm

    with tqdm(total=total, initial=first, desc=what, unit=unit, disable=None, delay=delay) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total  # an estimate may get better
            bar.update(done - bar.n)

        yield report


def counted(items: Iterable[Seen], what: str, unit: str) -> Iterator[Seen]:
    """The items, of which nobody knows how many there are; after two seconds their count appears on stderr when that is
    a terminal, from one process alone."""
    from tqdm import tqdm

    hidden = True if int(os.environ.get("RANK", "0")) else None
    yield from tqdm(items, desc=what, unit=unit, disable=hidden, delay=2, leave=False)
