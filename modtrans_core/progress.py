"""How far a long call is: a bar at a terminal or in a notebook, lines in a log, or a callback for a program."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from modtrans_core.ahead import whole_from
from modtrans_core.extras import imported

Seen = TypeVar("Seen")
Progress = Callable[[int, int], None]
"""(done, total), called as the work goes on"""
SOON, LATE = 5.0, 30.0
"""a log has a line after each tenth of the work, no sooner than 5 s after the last, and at any rate every 30 s"""


def silent(done: int, total: int) -> None:
    """Nothing to see: for one of several processes, or a part of what is reported as a whole."""


def watched() -> bool:
    """Whether a person sees a bar as it moves: at a terminal, or in a notebook."""
    shell = sys.modules.get("IPython")
    terminal = False
    with suppress(AttributeError, ValueError):  # it may be closed, None, or any object of a program's own
        terminal = sys.stderr.isatty()
    return terminal or bool(shell and getattr(shell.get_ipython(), "kernel", None))


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
    """Give `progress` itself; where it is None, a bar after `delay` seconds, or lines where nobody watches."""
    if progress is not None:
        yield progress
        return
    if not watched():
        yield lines(what, unit, first)
        return
    with imported("tqdm.auto").tqdm(total=total, initial=first, desc=what, unit=unit, delay=delay) as bar:

        def report(done: int, total: int) -> None:
            if total != bar.total:  # an estimate may get better
                bar.reset(total)
            bar.update(done - bar.n)

        yield report
        bar.leave = bar.n > 0  # of what says nothing no bar is left that never began


def lines(what: str, unit: str, first: int = 0, clock: Callable[[], float] = time.monotonic) -> Progress:
    """A callback that writes a line on stderr now and then, as a log wants it; what is over within 5 s writes none."""
    started = said = clock()
    tenth = 0

    def report(done: int, total: int) -> None:
        nonlocal said, tenth
        now, reached = clock(), 10 * done // max(total, 1)
        if now - said >= LATE or (now - said >= SOON and reached > tenth):
            left = (now - started) * (total - done) / max(done - first, 1)
            where = f"{done} of {total} {unit}s, {done / max(total, 1):.0%}, {left:.0f} s left"
            to_stderr(f"{what}: {where}")
            said, tenth = now, reached

    return report


def to_stderr(text: str) -> None:
    """A line on stderr; where nothing can be written there, as on a full disk, the work goes on without."""
    if sys.stderr is None:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - open for as long as the program runs


def counted(items: Iterable[Seen], what: str, unit: str) -> Iterator[Seen]:
    """The items, of which nobody knows how many there are; after two seconds their count appears where someone watches,
    from one process alone."""
    hidden = whole_from("RANK", 0) > 0 or not watched()
    yield from imported("tqdm.auto").tqdm(items, desc=what, unit=unit, disable=hidden, delay=2, leave=False)
