"""Running a verb of the command line: what is refused, what is said, and how it ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tyro


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
    world = int(os.environ.get("WORLD_SIZE", "1"))
    return int(os.environ.get("RANK", "0")) if world > 1 else 0, world


def run(verbs: Mapping[str, type], program: str, description: str, arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what a user can cause into one line and an exit status: 1 failed, 2 usage."""
    rank, world = _processes()
    try:
        command: Any = tyro.extras.subcommand_cli_from_dict(
            dict(verbs),
            prog=program,
            description=description,
            args=arguments,
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
        command.run()
    except KeyboardInterrupt as stop:
        where = f" {stop}" if str(stop) else ""
        _say_once(f"{program} {verb}: interrupted{where}; what was finished is kept")
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        if os.environ.get("MODTRANS_DEBUG"):
            raise
        named = isinstance(error, OSError) and error.filename and error.strerror
        text = f"{error.filename}: {error.strerror[:1].lower()}{error.strerror[1:]}" if named else str(error)
        _say_once(f"{program} {verb}: {' '.join(text.split())}")
    else:
        return 0
    return 1


def _say_once(text: str) -> None:
    """What ended the run. Of several processes the first to end says it: the others end because of it."""
    if _processes()[1] == 1:
        say(text)
        return
    from modtrans_core.distributed import first_to_fail

    if first_to_fail():
        lost = " (another process ended or cannot be reached)" if "gloo" in text or "NCCL" in text else ""
        print(f"{text}{lost}", file=sys.stderr, flush=True)
