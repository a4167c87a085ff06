"""How far the paper is, for whoever watches."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from analysis.paper import runner
from modtrans_core.progress import Progress


class Display:
    """One bar for the whole paper with the time left; one line a stage where no one watches."""

    def __init__(self, seconds: float) -> None:
        shape = "{desc:32.32} {percentage:3.0f}%|{bar}| {elapsed} done, {remaining} left"
        self.bar = tqdm(total=seconds, bar_format=shape, disable=None, leave=False)

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    @contextmanager
    def part(self, name: str, seconds: float, results: Path | None = None) -> Iterator[Progress]:
        """A stage of about `seconds`. It may report by the callback that it is given; a notebook reports in `results`.

        One that says nothing is taken to be on time.
        """
        first, started = self.bar.n, time.monotonic()
        said = [(0.0, "")]
        finished = threading.Event()

        def follow() -> None:
            while not finished.wait(0.5):
                fraction, text = runner.progress(results) if results else said[0]
                waited = min(0.95, (time.monotonic() - started) / max(seconds, 1.0))
                self._show(f"{name} {text}".strip(), first + seconds * (fraction or waited))

        def report(done: int, total: int) -> None:
            said[0] = (done / total, "")

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield report
        finally:
            finished.set()
            thread.join()
        self._show(name, first + seconds)
        took = time.monotonic() - started
        if self.bar.disable and took > 0.5:
            print(f"{name}: {took:.0f} s", file=sys.stderr)

    def _show(self, text: str, done: float) -> None:
        self.bar.n = max(self.bar.n, done)
        if not self.bar.disable:
            self.bar.set_description_str(text, refresh=True)
