"""How far a long call is: a bar for the person at the terminal, or a callback for a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], None]
"""(done, total), called as the work goes on"""


@contextmanager
def reporting(progress: Progress | None, total: int, what: str, unit: str, first: int = 0) -> Iterator[Progress]:
    """Give `progress` itself; where it is None, a bar on stderr that is silent when that is not a terminal."""
    if progress is not None:
        yield progress
        return
    from tqdm import tqdm

    with tqdm(total=total, initial=first, desc=what, unit=unit, disable=None) as bar:
        yield lambda done, _: bar.update(done - bar.n) and None
