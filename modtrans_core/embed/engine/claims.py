"""Which of many processes does which piece of work: locks that end with the process that holds them.

A process that is killed leaves no lock behind, so that nothing has to time out and nobody has to clean up. The locks
are byte ranges of one file (`fcntl.lockf`), which work between the machines of a cluster where its file system has
POSIX locks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system: one process at a time, and nothing to claim
    fcntl = None  # type: ignore[assignment]


class Claims:
    """Claims on numbered pieces of work, kept in a file that every process opens.

    One object a process: POSIX locks do not keep the threads of a process apart, and all of them are gone when the
    process closes the file once.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0))

    def close(self) -> None:
        """Give up every claim."""
        os.close(self._file)

    @contextmanager
    def claim(self, number: int, wait: bool) -> Iterator[bool]:
        """Hold piece `number`; gives False at once if another process does and `wait` is False."""
        if fcntl is None:
            yield True
            return
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, number)
        except (BlockingIOError, PermissionError):
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number)

    def alone(self) -> bool:
        """Whether no other process holds a claim."""
        if fcntl is None:
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        fcntl.lockf(self._file, fcntl.LOCK_UN)
        return True
