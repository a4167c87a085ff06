"""Running a verb of the command line: what is refused, what is said, and how it ends."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_type_hints

import tyro
from tyro.conf import Positional

from modtrans_core import __version__
from modtrans_core.checks import refuse_unless
from modtrans_core.ends import raise_asked
from modtrans_core.extras import refuse_missing


def refuse_unknown(path: Path, *suffixes: str) -> None:
    """Refuse a name to write that is neither a folder's nor ends in one of these."""
    if path.suffix not in ("", *suffixes) and not path.is_dir():
        raise ValueError(
            f"{path}: a name that ends in {', '.join(suffixes)} is needed, or a folder's, without a suffix"
        )


def say(text: str) -> None:
    """A line for the person who watches, from one process: on stderr, so that stdout holds results alone."""
    if _processes()[0] == 0:
        print(text, file=sys.stderr)


def _processes() -> tuple[int, int]:
    """The number of this process and how many there are, as torchrun left them in the environment."""
    world = _number("WORLD_SIZE", 1)
    return _number("RANK", 0) if world > 1 else 0, world


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "").strip()
    return int(text) if text.isdecimal() else otherwise


def added_up(arguments: Sequence[str], options: Collection[str]) -> list[str]:
    """The arguments with what follows a repeated option put behind its first occurrence: all of it counts.

    Parameters
    ----------
    options : those that take any number of values, such as `--set`.

    Examples
    --------
    >>> added_up(["train", "--set", "a=1", "--seed", "3", "--set=b=2"], ["--set"])
    ['train', '--set', 'a=1', 'b=2', '--seed', '3']
    """
    found: list[str] = []
    ends: dict[str, int] = {}
    into: str | None = None
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in options:
            into = name
            if name not in ends:
                found.append(name)
                ends[name] = len(found)
            if not equals:
                continue
            argument = value
        elif re.match("--?[A-Za-z]", argument):
            into = None
        if into is None:
            found.append(argument)
        else:
            found.insert(ends[into], argument)
            ends = {option: end + (end >= ends[into]) for option, end in ends.items()}
        if equals and name in options:
            into = None
    return found


def _options(verb: type | None) -> list[str]:
    """The options of a verb that take any number of values."""
    if verb is None:
        return []
    found = []
    for field in fields(verb):
        kind = get_type_hints(verb)[field.name]
        marks = get_args(get_type_hints(verb, include_extras=True)[field.name])
        if get_args(kind)[1:] == (...,) and Positional not in marks:
            found.append(f"--{field.name.replace('_', '-')}")
    return found


def run(verbs: Mapping[str, type], program: str, description: str, arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what a user can cause into one line and an exit status: 1 failed, 2 usage, 130 Ctrl-C, 143
    SIGTERM, and 141 where whoever reads the results has left, such as `head`.

    `--debug` anywhere among the arguments, or MODTRANS_DEBUG in the environment, shows where an error arose.
    """
    _replace_closed()
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given and given[0] not in verbs and (close := get_close_matches(given[0], verbs, 1)):
        say(f"{program}: {given[0]!r} is unknown; did you mean `{program} {close[0]}`?")
        return 2
    try:
        try:
            if given == ["--version"]:
                print(f"{program} {__version__}")
                return 0
            return _run(verbs, program, description, given or ["--help"])
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to write goes nowhere
        return 141
    except OSError as error:  # a full disk
        say(f"{program}: results cannot be written: {in_one_line(error)}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _replace_closed() -> None:
    """What is written to a closed stream goes nowhere, and no file gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - open for as long as the program runs


def _run(verbs: Mapping[str, type], program: str, description: str, arguments: Sequence[str]) -> int:
    rank, world = _processes()
    for stream in (sys.stdout, sys.stderr):  # results are not lost for a letter that the encoding has not
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    given = list(arguments)
    debug = "--debug" in given or bool(os.environ.get("MODTRANS_DEBUG"))
    named = verbs.get(next((argument for argument in given if not argument.startswith("-")), ""))
    given = added_up([argument for argument in given if argument != "--debug"], _options(named))
    try:
        command: Any = tyro.extras.subcommand_cli_from_dict(
            dict(verbs),
            prog=program,
            description=f"{description} With --debug, an error shows where it arose.",
            args=given,
            console_outputs=rank == 0,
            sort_subcommands=False,
        )
        verb = next(name for name, kind in verbs.items() if type(command) is kind)
        if world > 1 and not getattr(command, "parallel", False):
            say(f"{program} {verb}: runs in one process; start it without torchrun")
            raise SystemExit(1)
    except SystemExit as stop:
        if stop.code and rank > 0:
            time.sleep(10)  # torchrun ends them all with the first that leaves: let it be the one that speaks
        raise
    try:
        for extra, modules in getattr(command, "needs", {}).items():
            refuse_missing(modules, extra)
        for name, value in vars(command).items():
            refuse_unless(not isinstance(value, int) or abs(value) < 2**63, name, value, "a number of 64 bits")
        with _sigterm_asks(), _held(command):
            command.run()
    except KeyboardInterrupt as stop:
        number = getattr(stop, "number", signal.SIGINT)
        by = "ended by SIGTERM" if number == signal.SIGTERM else "interrupted"
        where = f" {stop}" if str(stop) else ""
        _say_once(f"{program} {verb}: {by}{where}; what was finished is kept")
        return 128 + number
    except BrokenPipeError:
        raise
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        if debug:
            raise
        _say_once(f"{program} {verb}: {_of_what(error, command)}")
    except MemoryError as error:
        if debug:
            raise
        _say_once(f"{program} {verb}: too little memory ({in_one_line(error)})")
    except Exception as error:  # what nobody foresaw
        if debug:
            raise
        _say_once(
            f"{program} {verb}: failed with {type(error).__name__}: {in_one_line(error)}, given {_inputs(command)}."
            " This is a fault of modtrans: please report it, with what --debug beside the command shows"
        )
    else:
        return 0
    return 1


@contextmanager
def _held(command: Any) -> Iterator[None]:
    """Inside, the folder that a verb fills step by step, its `holds`, is written by nobody else."""
    if not (name := getattr(command, "holds", None)):
        yield
        return
    from modtrans_core.store.files import sweep
    from modtrans_core.store.locks import holding

    with holding(getattr(command, name)):
        sweep(getattr(command, name), "*")
        yield


@contextmanager
def _sigterm_asks() -> Iterator[None]:
    """Inside, SIGTERM ends this process as Ctrl-C does; one of several processes ends at once, as torchrun wants it."""
    if threading.current_thread() is not threading.main_thread() or _processes()[1] > 1:
        yield
        return
    before = signal.signal(signal.SIGTERM, raise_asked)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def in_one_line(error: BaseException) -> str:
    """The message of an error, in one line; its type where it has none. Of a file the file comes first."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror[:1].lower()}{error.strerror[1:]}"
    return " ".join(str(error).split()) or type(error).__name__


def _of_what(error: BaseException, command: Any) -> str:
    """The message, with `option=True` as it is written here, and the files that were given where it names neither what
    was given nor what to install.
    """
    options = "|".join(vars(command))
    message = re.sub(rf"\b({options})=True\b", r"--\1", in_one_line(error))
    option = message.partition(":")[0].replace("-", "_") in vars(command)
    given = [getattr(command, field.name) for field in fields(command) if getattr(command, field.name) != field.default]
    files = [str(value) for value in given if isinstance(value, Path)]
    named = [*files, *(repr(value) for value in given if isinstance(value, str) and value)]
    said = isinstance(error, ImportError) or option or not files or any(name in message for name in named)
    return message if said else f"{message}, given {_inputs(command)}"


def _inputs(command: Any) -> str:
    """The files that a verb was given."""
    return ", ".join(str(value) for value in vars(command).values() if isinstance(value, Path)) or "no file"


def _say_once(text: str) -> None:
    """What ended the run. Of several processes the first to end says it: the others end because of it."""
    if _processes()[1] == 1:
        say(text)
        return
    from modtrans_core.distributed import first_to_fail

    if first_to_fail():
        lost = " (another process ended or cannot be reached)" if "gloo" in text or "NCCL" in text else ""
        print(f"{text}{lost}", file=sys.stderr, flush=True)
