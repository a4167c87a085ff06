"""Running a verb of the command line: what is refused, what is said, and how it ends."""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields, replace
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import tyro
from tyro.conf import Positional

from modtrans_core import __version__
from modtrans_core.ahead import whole_from
from modtrans_core.checks import FULL, in_one_line, naming, refuse_unless
from modtrans_core.ends import ASKING, answering, open_closed, raise_asked
from modtrans_core.extras import refuse_missing
from modtrans_core.progress import to_stderr

COLUMNS = 40
"""letters of a line of help, at least: in a few, tyro looks for a layout without end"""


def refuse_unknown(path: Path, *suffixes: str) -> None:
    """Refuse a name to write that is neither a folder's nor ends in one of these."""
    if path.suffix not in ("", *suffixes) and not path.is_dir():
        raise ValueError(
            f"{path}: a name that ends in {', '.join(suffixes)} is needed, or a folder's, without a suffix"
        )


def quoted(path: Path | str) -> str:
    """A path as a command line takes it; of ./-x `Path` leaves -x, which would be an option there."""
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))


def say(text: str) -> None:
    """A line for the person who watches, from one process: on stderr, so that stdout holds results alone."""
    if _processes()[0] == 0:
        to_stderr(text)


def _processes() -> tuple[int, int]:
    """The number of this process and how many there are, as torchrun left them in the environment."""
    world = whole_from("WORLD_SIZE", 1)
    return whole_from("RANK", 0) if world > 1 else 0, world


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


def _options(verb: type | None, kind: Callable[[Any], bool]) -> list[str]:
    """The options of a verb whose type is of a kind."""
    if verb is None:
        return []
    types, marked = get_type_hints(verb), get_type_hints(verb, include_extras=True)
    found = [field.name for field in fields(verb) if kind(types[field.name])]
    return [f"--{name.replace('_', '-')}" for name in found if Positional not in get_args(marked[name])]


def _aliases(verb: type | None) -> dict[str, str]:
    """The options of a verb by their other names."""
    marked = get_type_hints(verb, include_extras=True) if verb else {}
    return {
        alias: f"--{name.replace('_', '-')}"
        for name, kind in marked.items()
        for mark in get_args(kind)[1:]
        for alias in getattr(mark, "aliases", None) or ()
    }


def _spelt(argument: str) -> str:
    """An argument in which an option has one spelling: tyro takes _ for - in its name."""
    name, equals, value = argument.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}" if re.match("--[A-Za-z]", name) else argument


def _is_many(kind: Any) -> bool:
    """Whether an option of this type takes any number of values."""
    return get_args(kind)[1:] == (...,)


@cache
def _in_words(verb: type) -> type:
    """The verb, whose help shows no default that is none or empty: what happens then is said in words."""
    for field in fields(verb):
        if field.default in (MISSING, None, "", ()):
            hint = "(required)" if field.default is MISSING else ""
            kind = get_type_hints(verb, include_extras=True)[field.name]
            verb.__annotations__[field.name] = Annotated[kind, tyro.conf.arg(help_behavior_hint=hint)]
    return verb


def run(verbs: Mapping[str, type], program: str, description: str, arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what a user can cause into one line and an exit status: 1 failed, 2 usage, 130 Ctrl-C, 143
    SIGTERM, 129 SIGHUP, and 141 where whoever reads the results has left, such as `head`.

    `--debug` anywhere among the arguments, or MODTRANS_DEBUG in the environment, shows where an error arose.
    """
    open_closed()
    try:
        os.getcwd()
    except OSError:
        say(f"{program}: the working directory is gone; change to one that is there")
        return 1
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
    except KeyboardInterrupt:  # before the verb began
        say(f"{program}: interrupted")
        return 130
    except OSError as error:  # a full disk
        say(f"{program}: results cannot be written to standard output: {_said(error)}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(verbs: Mapping[str, type], program: str, description: str, arguments: Sequence[str]) -> int:
    rank, world = _processes()
    for stream in (sys.stdout, sys.stderr):  # results are not lost for a letter that the encoding has not
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    given = list(arguments)
    debug = "--debug" in given or bool(os.environ.get("MODTRANS_DEBUG"))
    named = verbs.get(next((argument for argument in given if not argument.startswith("-")), ""))
    given = [_spelt(argument) for argument in given if argument != "--debug"]
    given = added_up(given, _options(named, _is_many))
    for option in _options(named, _is_many):  # `--only $names`, a variable that is not set, would be all of them
        if any(one == option and re.match("--?[A-Za-z]", after) for one, after in pairwise([*given, "--end"])):
            say(f"{program}: {option[2:]}: no value, at least one is needed")
            return 2
    others = _aliases(named)
    options = [re.sub("^--no-", "--", others.get(name, name)) for name in (one.partition("=")[0] for one in given)]
    for option in _options(named, lambda kind: not _is_many(kind)):
        if options.count(option) > 1:
            say(f"{program}: {option[2:]}: given {options.count(option)} times, one value is needed")
            return 2
    try:
        if shutil.get_terminal_size().columns < COLUMNS:
            os.environ["COLUMNS"] = str(COLUMNS)
        command: Any = tyro.extras.subcommand_cli_from_dict(
            {name: _in_words(kind) for name, kind in verbs.items()},
            prog=program,
            description=f"{description} With --debug, an error shows where it arose.",
            args=given,
            console_outputs=rank == 0,
            sort_subcommands=False,
            config=(tyro.conf.PositionalMetavarFromFieldName, tyro.conf.DisallowNone),
        )
        verb = next(name for name, kind in verbs.items() if type(command) is kind)
        several = [option[2:].replace("-", "_") for option in _options(type(command), _is_many)]
        command = replace(command, **{name: tuple(dict.fromkeys(getattr(command, name))) for name in several})
        if world > 1 and not getattr(command, "parallel", False):
            say(f"{program} {verb}: runs in one process; start it without torchrun")
            raise SystemExit(1)
    except AssertionError as error:  # tyro's, of a shell that it does not know
        say(f"{program}: {in_one_line(error)}")
        return 2
    except SystemExit as stop:
        if stop.code and rank > 0:
            time.sleep(10)  # torchrun ends them all with the first that leaves: let it be the one that speaks
        raise
    here = [name for name, value in vars(command).items() if Path() in _each(value)]
    empty, dots = (any(re.fullmatch(rf"(-.*=)?{value}", one) for one in given) for value in ("", r"(\./*)+"))
    if here and empty and not dots:  # "", a variable that is not set, would be the working directory
        say(f"{program}: {here[0]}: '', the name of a file or folder is needed")
        return 2
    try:
        for extra, modules in getattr(command, "needs", {}).items():
            refuse_missing(modules, extra)
        from modtrans_core.store.files import refuse_special

        for name, value in vars(command).items():
            refuse_unless(not isinstance(value, int) or abs(value) < 2**63, name, value, "a number of 64 bits")
            for path in _each(value):
                if isinstance(path, Path):
                    with naming(name):
                        refuse_special(path, name in ("out", "output", *getattr(command, "writes", ())))
                home = isinstance(path, Path) and str(path).startswith("~") and (path.parts[0] == "~" or path.parts[1:])
                refuse_unless(not home or path.exists(), name, str(path), "the folder's whole name, as here ~ is none,")
        _refuse_written_over(command)
        with _interruption(), _signals_ask(), _notes(), _held(command):
            command.run()
    except KeyboardInterrupt as stop:
        number = getattr(stop, "number", signal.SIGINT)
        by = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
        where = f" {stop}" if str(stop) else ""
        kept = "; what was finished is kept" if hasattr(command, "keeps") else ""
        _say_once(f"{program} {verb}: {by}{where}{kept}")
        return 128 + number
    except BrokenPipeError:
        raise
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.filename is None and error.errno in FULL:  # no file's
            raise
        _say_once(f"{program} {verb}: {_short_of(error)}{_of_what(error, command)}")
    except MemoryError as error:
        if debug:
            raise
        _say_once(f"{program} {verb}: too little memory ({_said(error)})")
    except Exception as error:  # what nobody foresaw
        if debug:
            raise
        _say_once(
            f"{program} {verb}: failed with {type(error).__name__}: {_said(error)}, given {_inputs(command)}."
            " This is a fault of modtrans: please report it, with what --debug beside the command shows"
        )
    else:
        return 0
    return 1


def _refuse_written_over(command: Any) -> None:
    """Refuse to write in the place of what is read: a verb's `writes` are its results, and its other files are read."""
    from modtrans_core.store.files import STREAM, refuse_same

    files = {name: value for name, value in vars(command).items() if isinstance(value, Path) and value != STREAM}
    for name in getattr(command, "writes", ()):
        marks = get_args(get_type_hints(type(command), include_extras=True)[name])
        named = [mark.metavar for mark in marks if Positional in marks and getattr(mark, "metavar", None)]
        option = named[0] if named else name.replace("_", "-")
        if name in files:
            refuse_same(option, files[name], [file for other, file in files.items() if other != name])


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
def _notes() -> Iterator[None]:
    """Inside, what a user is warned of is a line on stderr, and each is said once."""
    said: set[str] = set()
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, UserWarning):
                others(message, category, *where, **more)
            elif (text := in_one_line(message, None)) not in said:
                said.add(text)
                say(f"note: {text}")

        warnings.showwarning = show
        warnings.simplefilter("always", UserWarning)
        yield


@contextmanager
def _interruption() -> Iterator[None]:
    """Inside, an error that an interruption led to is that interruption: what is cut off midway cannot tidy up."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__context__
        if cause is None:
            raise
        raise cause from error


@contextmanager
def _signals_ask() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP end this process as Ctrl-C does; one of several processes ends at once, as torchrun
    wants it.
    """
    if threading.current_thread() is not threading.main_thread() or _processes()[1] > 1:
        yield
        return
    with answering(raise_asked, set(ASKING) - {signal.SIGINT}):
        yield


def _said(error: BaseException) -> str:
    """The message of an error, in one line. Of a file the file comes first; of a GPU what was asked of it."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror[:1].lower()}{error.strerror[1:]}"
    return re.sub(r"^(CUDA .*?)(\. GPU | when calling ).*", r"\1", in_one_line(error, None))


def _short_of(error: BaseException) -> str:
    """What stands before the words of torch where it had too little memory."""
    if not isinstance(error, RuntimeError) or not re.search("(out of|allocate) memory|ALLOC_FAILED", str(error)):
        return ""
    gpu = " on the GPU, where CUDA_VISIBLE_DEVICES= in the environment takes the processor" * ("CUDA" in str(error))
    return f"too little memory{gpu}: "


def _of_what(error: BaseException, command: Any) -> str:
    """The message, with `option=True` as it is written here, and the files that were given where it names neither what
    was given nor what to install.
    """
    options = "|".join(vars(command))
    message = re.sub(rf"\b({options})=True\b", r"--\1", _said(error))
    option = f"--{message.partition(':')[0].replace('_', '-')}" in _options(type(command), lambda _: True)
    given = [getattr(command, field.name) for field in fields(command) if getattr(command, field.name) != field.default]
    files = _paths(given)
    named = [*files, *(repr(value) for value in given if isinstance(value, str) and value)]
    said = isinstance(error, ImportError) or option or not files or any(name in message for name in named)
    return message if said else f"{message}, given {_inputs(command)}"


def _inputs(command: Any) -> str:
    """The files that a verb was given."""
    return ", ".join(_paths(vars(command).values())) or "no file"


def _paths(values: Iterable[Any]) -> list[str]:
    """The files among the values of options."""
    return [str(one) for value in values for one in _each(value) if isinstance(one, Path)]


def _each(value: Any) -> tuple[Any, ...]:
    """The values of an option, of which some take several."""
    return value if isinstance(value, tuple) else (value,)


def _say_once(text: str) -> None:
    """What ended the run. Of several processes the first to end says it: the others end because of it."""
    if _processes()[1] == 1:
        say(text)
        return
    from modtrans_core.distributed import first_to_fail

    if first_to_fail():
        lost = " (another process ended or cannot be reached)" if "gloo" in text or "NCCL" in text else ""
        to_stderr(f"{text}{lost}")
