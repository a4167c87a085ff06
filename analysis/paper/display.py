"""How far the paper is, for whoever watches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from analysis.paper import runner
from modtrans_core.progress import LATE, Progress, to_stderr


class Display:
    """One bar for all that runs side by side, with the time left; where no one watches, a line a stage and each 30 s.

    Parameters
    ----------
    seconds : of all stages together.
    """

    def __init__(self, seconds: float) -> None:
        shape = "{desc:48.48} {percentage:3.0f}%|{bar}| {elapsed} done, {remaining} left"
        self.bar = tqdm(total=seconds, bar_format=shape, disable=None, leave=False)
        self._done = 0.0
        self._running: dict[str, tuple[float, Callable[[], tuple[float, str]]]] = {}
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Display:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.bar.close()

    def add(self, seconds: float) -> None:
        """There are so many more to come."""
        self.bar.total += seconds

    @contextmanager
    def part(self, name: str, seconds: float, results: Path | None = None) -> Iterator[Progress]:
        """A stage of about `seconds`, in any thread. It may report by the callback that it is given; a notebook reports
        in `results`.

        One that says nothing is taken to be on time.
        """
        started, said = time.monotonic(), [(0.0, "")]

        def state() -> tuple[float, str]:
            fraction, text = runner.progress(results) if results else said[0]
            return fraction or min(0.95, (time.monotonic() - started) / max(seconds, 1.0)), text

        def report(done: int, total: int) -> None:
            said[0] = (done / total, "")

        with self._lock:
            self._running[name] = (seconds, state)
        try:
            yield report
        finally:
            with self._lock:
                del self._running[name]
                self._done += seconds
        took = time.monotonic() - started
        if self.bar.disable and took > 0.5:
            to_stderr(f"{name}: {took:.0f} s")

    def _follow(self) -> None:
        told = time.monotonic()
        while not self._ended.wait(0.5):
            with self._lock:
                running, done = dict(self._running), self._done
            texts = []
            for name, (seconds, state) in running.items():
                fraction, text = state()
                done += seconds * fraction
                texts.append(f"{name} {text}".strip())
            self.bar.n = max(self.bar.n, done)
            if not self.bar.disable:
                self.bar.set_description_str(" | ".join(texts), refresh=True)
            elif time.monotonic() - told >= LATE:
                told = time.monotonic()
                to_stderr(f"{self.bar.n / self.bar.total:.0%}: {' | '.join(texts)}")
