"""Who writes a folder: locks of the operating system, which end with the process that holds them.

A process that is killed holds nothing any more, so that nothing has to time out. On a network file system a lock keeps
machines apart where the system has POSIX locks, as NFS does; where a file system has none, nobody is kept apart.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modtrans_core.checks import refuse_unless

try:
    import fcntl
except ImportError:  # not a POSIX system: nobody is kept apart
    fcntl = None  # type: ignore[assignment]

LOCK = ".modtrans-lock"
_LOOKED_AT = 1  # seconds in which one who only looks whether it is held, or has not said yet who holds it, is done


@contextmanager
def holding(folder: str | Path) -> Iterator[None]:
    """Be the only one who writes a folder that stays where it is; made where it is missing.

    Raises
    ------
    ValueError
        Another process holds it; the message says which. Or it is a file.
    """
    refuse_unless(folder != "", "folder", folder, "the name of a folder")
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: a file, a folder is needed; choose another name")
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder / LOCK, folder):
            yield
    finally:
        with suppress(OSError):  # what was made for nothing goes again
            for place in made:
                place.rmdir()


def refuse_held(folder: str | Path) -> None:
    """Refuse a folder that another process holds, before work that would be for nothing."""
    if (Path(folder) / LOCK).exists():
        with locked(Path(folder) / LOCK, Path(folder)):
            pass


@contextmanager
def locked(file: Path, subject: Path) -> Iterator[None]:
    """Hold a lock file, which is there for no longer than that, for the sake of `subject`."""
    with _naming(subject), claimed(file) as other:
        if other:
            raise ValueError(f"{subject}: {other} writes it; wait for it to end, or choose another name")
        yield


@contextmanager
def _naming(subject: Path) -> Iterator[None]:
    """A lock file that cannot be made is an error of what it is for."""
    try:
        yield
    except OSError as error:
        if LOCK in str(error.filename):
            raise OSError(error.errno, error.strerror, str(subject)) from None
        raise


@contextmanager
def claimed(file: Path, wait: bool = False) -> Iterator[str]:
    """Hold a lock file, and give ""; or give who holds it, unless its end is to be waited for."""
    file = file.absolute()  # the working directory may be another one by the end
    held, other = _held(file, wait)
    try:
        yield other
    finally:
        if held is not None:
            file.unlink(missing_ok=True)  # first: whoever opened it meanwhile sees that it is no longer the one
            os.close(held)


def is_held(file: Path) -> bool:
    """Whether a process holds this lock file, or may hold it for all that is known."""
    if fcntl is None:
        return True
    try:
        found = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        return not _taken(found)
    except OSError:
        return True
    finally:
        os.close(found)


def drop(file: Path) -> None:
    """Remove a lock file that no process holds."""
    with suppress(OSError):
        found = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
        try:
            if fcntl is not None and _taken(found) and _is_still(file, found):
                file.unlink()
        finally:
            os.close(found)


def _held(file: Path, wait: bool) -> tuple[int | None, str]:
    """The open lock file, held, None where the file system has no locks; or who holds it."""
    ends = time.monotonic() + _LOOKED_AT
    while fcntl is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:  # whoever was done with the folder has just removed it
            if time.monotonic() < ends:
                continue
            raise
        try:
            ours = _taken(found, wait)
        except OSError:
            file.unlink(missing_ok=True)
            os.close(found)
            return None, ""
        if not ours:
            other = os.read(found, 200).decode(errors="replace").split("\n")[0]
            os.close(found)
            if not other and time.monotonic() < ends:
                time.sleep(0.01)
                continue
            return None, other or "another process"
        if _is_still(file, found):
            with suppress(OSError):  # on a full disk it is held without a name
                os.ftruncate(found, 0)
                os.write(found, f"process {os.getpid()} on {socket.gethostname()}, since {time.ctime()},\n".encode())
            return found, ""
        os.close(found)
    return None, ""


def _taken(found: int, wait: bool = False) -> bool:
    """Take the lock, unless another process has it whose end is not to be waited for; whether it is ours now."""
    try:
        fcntl.flock(found, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _is_still(file: Path, found: int) -> bool:
    """Whether the open file is the one of that name, and not one that its last holder removed."""
    try:
        return os.path.samestat(os.stat(file), os.fstat(found))
    except FileNotFoundError:
        return False
