"""How far a long call is: a bar for the person at the terminal, or a callback for a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], None]
"""(done, total), called as the work goes on"""


def silent(done: int, total: int) -> None:
    """Nothing to see: for one of several processes, or a part of what is reported as a whole."""


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
