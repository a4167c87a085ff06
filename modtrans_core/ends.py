"""How a process starts, and how it ends: asked to by a signal, or with the process that started it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

ASKING: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""signals that ask a process to end: Ctrl-C, what a scheduler or `docker stop` sends, and a terminal that is closed"""
EPOCH = "SOURCE_DATE_EPOCH"
"""of the environment: the date that reproducible files have, which numpy and matplotlib read"""
LAST = 253_402_300_799
"""second of the year 9999"""


class Asked(KeyboardInterrupt):
    """The process was asked to end, by this signal.

    Parameters
    ----------
    where : how far it had come, for whoever reads of it.
    number : of the signal.
    """

    def __init__(self, where: str = "", number: int = signal.SIGINT) -> None:
        super().__init__(where)
        self.number = number


@contextmanager
def starting(program: str) -> Iterator[None]:
    """Inside, a command imports what it needs: Ctrl-C ends it without a word, and an error is one line; --debug shows
    where it arose.
    """
    open_closed()  # before a library that is imported takes their numbers
    try:
        _refuse_epoch()
        with _at_once():
            yield
    except Exception as error:
        if "--debug" in sys.argv or os.environ.get("MODTRANS_DEBUG"):
            raise
        where = traceback.extract_tb(error.__traceback__)[-1].filename
        kind = "" if type(error) is ValueError and where == __file__ else f"{where}: {type(error).__name__}: "
        sys.exit(f"{program}: does not start: {kind}{' '.join(str(error).split())}")


def open_closed() -> None:
    """What is written to a closed stream goes nowhere, here and in processes that are started, and no file gets its
    number.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, mode)  # noqa: SIM115 - for as long as the program runs
            os.set_inheritable(nowhere.fileno(), nowhere.fileno() == number)
            setattr(sys, name, nowhere)


def _refuse_epoch() -> None:
    """Refuse a date for reproducible files that libraries cannot read; an empty one is none."""
    if (epoch := os.environ.get(EPOCH, "0").strip()) == "":
        del os.environ[EPOCH]
    elif not (epoch.isascii() and epoch.isdecimal() and int(epoch[:20]) <= LAST):
        raise ValueError(f"{EPOCH}: {epoch!r}, seconds since 1970, 0 to {LAST}, are needed")


@contextmanager
def _at_once() -> Iterator[None]:
    """Inside, where nothing is begun yet, Ctrl-C ends this process with 130 and without a word."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # it is ignored, or somebody else's
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    yield
    signal.signal(signal.SIGINT, before)


@contextmanager
def answering(
    handler: Callable[[int, object], None], numbers: Iterable[signal.Signals] = ASKING
) -> Iterator[Callable[..., None]]:
    """Inside, these signals call this, until what is given is called, with some of them or for all; what is ignored, as
    after `nohup`, stays so.
    """
    found = {number: signal.getsignal(number) for number in numbers}
    before = {number: old for number, old in found.items() if old not in (signal.SIG_IGN, None)}

    def restore(*some: int) -> None:
        for number in some or before:
            signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, handler)
    try:
        yield restore
    finally:
        restore()


def raise_asked(number: int, _: object) -> None:
    """A handler for the signals of `ASKING`."""
    raise Asked("", number)


def end_with(parent: int) -> None:
    """From now on this process ends within a second of `parent`, which started it, however that one ends."""
    threading.Thread(target=_wait_for, args=(parent,), daemon=True).start()


def _wait_for(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
