"""Run folders: a translator, or the state of an unfinished training. Safetensors and JSON, whole or not there.

`translator.json` says what it is: format, method, facts, settings, and how the pairs were split.
`model.safetensors` is what translates, and by `seen.safetensors` the rows are known again that it was fitted to.
`training.safetensors` is there while steps are left: weights, moving average and moments, and the step that they are
of. `metrics.jsonl` is the log, one JSON object a line: `time` in seconds since 1970, `step`, and the terms of the loss
by name, `total` among them.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from modtrans_core import distributed
from modtrans_core.checks import differing, in_one_line, naming, place, refuse_unless
from modtrans_core.ends import Asked, answering
from modtrans_core.store.described import checked, json_text, parsed
from modtrans_core.store.files import (
    RUN,
    WROTE,
    at,
    disk_errors,
    is_run,
    keep_as_old,
    read_json,
    refuse_links,
    refuse_special,
    replacing,
    scratch_folder,
    sweep,
    write_json,
)
from modtrans_core.store.headers import RECORD, clip_retrieval_parts, shard_files
from modtrans_core.store.locks import holding, refuse_held

FORMAT = 5
"""of the folder; one more with every change after which older folders cannot be read"""
DESCRIPTION, MODEL, TRAINING, SEEN, LOG = RUN
CARD = "README.md"
LIBRARY = "library_name: modtrans"
"""line by which a model card is known again"""
CHOSEN = ("validation", "split")
"""what a description has of a run that was given them"""
SPLIT = {
    "seed": "a whole number from 0 on", "fractions": "a list of shares, from 0 to 1 each,", "own": "true or false",
}  # fmt: skip
"""what a description may say of how the pairs were split, beside what else the caller of `fit` says of it"""
CHECKPOINT_EVERY = 200
Log = Callable[[int, Mapping[str, float]], None]
"""called with (step, terms of the loss by name) whenever a line of the log is written"""


def refuse_old_run(folder: str | Path, overwrite: bool = False) -> None:
    """Refuse the folder of a new run where a file would be lost or, unless it may go, a translator or steps of one."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: a file, a folder is needed; choose another name")
    begun = is_run(folder)
    if begun and not overwrite and any((folder / name).exists() for name in (MODEL, TRAINING)):
        raise ValueError(
            f"{folder}: already holds a translator; choose another folder, overwrite it, or resume an unfinished run"
        )
    if begun:
        is_card(folder / CARD)  # which is read before it goes
    for name in (RECORD, WROTE, *(() if begun else (DESCRIPTION, MODEL, TRAINING, SEEN, LOG))):
        if (folder / name).exists():
            raise ValueError(f"{folder}: holds {name}, which is of no run; choose another folder")
    if not begun and folder.is_dir() and (clip_retrieval_parts(folder) or shard_files(folder)):
        raise ValueError(f"{folder}: holds a pair set, of which the weights would become a part; choose another folder")


def refuse_out(folder: str | Path, resume: bool = False, overwrite: bool = False) -> None:
    """Refuse the folder of a run that can be neither begun there nor, where that is asked for, gone on with, and one
    that another process writes: before any work.
    """
    _refuse_out(folder, resume, overwrite)
    if distributed.is_main():
        refuse_held(folder)


def _refuse_out(folder: str | Path, resume: bool, overwrite: bool) -> None:
    refuse_unless(not (resume and overwrite), "overwrite", overwrite, "False where a run is resumed")
    folder = place("folder", folder)
    refuse_links(folder, (*RUN, CARD))
    if not resume:
        refuse_old_run(folder, overwrite)
    elif not (folder / DESCRIPTION).exists():
        raise ValueError(f"{folder}: not a run folder, no run was begun in it; leave out resume=True to begin one")


def refuse_changed(folder: str | Path, wanted: Mapping[str, Any]) -> None:
    """Refuse to go on with a run whose description says something else than what is `wanted`, by its names."""
    found = description(folder)
    for name in wanted:
        if other := differing(found.get(name), wanted[name], name):
            raise ValueError(f"{folder}: was started with {other}; resume it as it was")


def clear(folder: str | Path) -> None:
    """Remove the run and its model card from a folder; one that holds no run, and other files, are left alone."""
    if is_run(Path(folder)):
        drop_card(Path(folder) / CARD)  # first: where it cannot go, the run stays
        for name in (MODEL, SEEN, TRAINING, LOG, DESCRIPTION):
            (Path(folder) / name).unlink(missing_ok=True)


def is_card(path: Path) -> bool:
    """Whether this is the model card of a translator, whose numbers are of no other."""
    return path.is_file() and LIBRARY in path.read_text(encoding="utf-8", errors="replace")


def signed(card: str) -> str:
    """The text of a model card with a last line by which `drop_card` knows that nobody changed it."""
    return f"{card}<!-- sha256 of the lines above: {hashlib.sha256(card.encode()).hexdigest()} -->\n"


def drop_card(path: Path) -> None:
    """Remove a model card; one that a reader wrote or changed is kept as `.old`, and what is no card stays."""
    if is_card(path):
        text = path.read_text(encoding="utf-8", errors="replace")
        if text == signed(text.rpartition("<!--")[0]):
            path.unlink()
        else:
            keep_as_old(path, path)


def begin(
    folder: str | Path,
    method: str,
    facts: Mapping[str, Any],
    config: Any,
    more: Mapping[str, Any],
    resume: bool,
    overwrite: bool = False,
) -> Run:
    """The folder of a new run, or that of an unfinished one, whose description has to be the same.

    A run that is overwritten stays until the new one has come to its first step, or is whole.
    """
    folder = Path(folder)
    wanted = described(method, facts, config, **more)
    if distributed.is_main():
        sweep(folder)
    _refuse_out(folder, resume, overwrite)
    if resume:
        refuse_changed(folder, wanted | {name: wanted.get(name) for name in CHOSEN})
    run = Run(folder.absolute(), resume and (folder / TRAINING).exists(), wanted=None if resume else wanted)
    old = is_run(folder)
    distributed.barrier()  # every process has looked before one writes
    if not old:
        run.describe()
    return run


def described(method: str, facts: Mapping[str, Any], config: Any, **more: Any) -> dict[str, Any]:
    """What `translator.json` says; the settings are those of a dataclass. What is no JSON value is a ValueError, and so
    is what would not be read again.
    """
    given = {"format": FORMAT, "method": method, "facts": dict(facts), "config": asdict(config), **more}
    found = {name: parsed(name, json_text(name, value, allow_nan=False)) for name, value in given.items()}
    checked("split", found.get("split", {}), {}, SPLIT)
    return found


def write(
    folder: str | Path,
    method: str,
    facts: Mapping[str, Any],
    config: Any,
    tensors: Mapping[str, Tensor],
    seen: Mapping[str, Tensor] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a translator, and the rows that it has seen where they are known, into a new folder, or over an old run.

    The old run goes once all of the new one is written.
    """
    folder, said = place("folder", folder), described(method, facts, config)
    refuse_not_finite(tensors)
    with holding(folder):
        sweep(folder)
        refuse_links(folder, (*RUN, CARD))
        refuse_old_run(folder, overwrite)
        _replace(folder, said, tensors, seen)


def _replace(
    folder: Path, said: Mapping[str, Any], tensors: Mapping[str, Tensor], seen: Mapping[str, Tensor] | None
) -> None:
    with scratch_folder(folder / MODEL) as new:
        write_json(new / DESCRIPTION, said)
        write_model(new, tensors, seen, made(said["method"], said["facts"]))
        clear(folder)
        for name in (DESCRIPTION, SEEN, MODEL):  # the last one makes it whole
            if (new / name).exists():
                os.replace(new / name, folder / name)


def description(folder: str | Path) -> dict[str, Any]:
    """`translator.json` of a run folder.

    Raises
    ------
    ValueError
        No run folder, or one of another format.
    """
    path = place("folder", folder) / DESCRIPTION
    if not path.exists():
        pair = f"; two arrays are a pair set as image={folder},text=FILE" if path.parent.suffix == ".npy" else ""
        raise ValueError(f"{folder}: not a run folder, {DESCRIPTION} is missing{pair}")
    found = read_json(path)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"{path}: format is not {FORMAT}, the one that this version reads")
    fields = {"method": "text", "facts": "an object", "config": "an object"}
    told = {
        **dict.fromkeys(("pairs", "validation"), "text"),
        "split": "an object",
        "validation_skill": "a number or null",
    }
    checked(f"{path}: split", checked(path, found, fields, told).get("split", {}), {}, SPLIT)
    return found


def made(method: str, facts: Mapping[str, Any]) -> str:
    """What weights are of, in words: method, modalities and dimensions."""
    return f"{method}: {facts['source']} {facts['k']} -> {facts['target']} {facts['d']}"


def write_model(folder: Path, tensors: Mapping[str, Tensor], seen: Mapping[str, Tensor] | None, of: str) -> None:
    """Write `seen.safetensors` where the rows are known, and then `model.safetensors`, which makes the run whole.

    The weights say what they are `of`, see `made`, and which rows were seen: files of several runs are told apart.
    """
    refuse_not_finite(tensors)
    (folder / SEEN).unlink(missing_ok=True)  # of a run before that was cut off: of this one it would say what is wrong
    if seen is not None:
        _write(folder / SEEN, seen, {})
    digest = {} if seen is None else {"seen": _sha256(folder / SEEN)}
    _write(folder / MODEL, tensors, {"run": json.dumps({"of": of, **digest})})


def _sha256(path: Path) -> str:
    refuse_special(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_model(folder: str | Path, of: str | None = None) -> dict[str, Tensor]:
    """The tensors of `model.safetensors`, in main memory.

    Parameters
    ----------
    of : what they have to be of, see `made`. Default: anything.

    Raises
    ------
    ValueError
        One that is not finite; weights that are of something else, or without the rows beside which they were written.
    """
    path = Path(folder) / MODEL
    tensors = _read(path, "a translator's weights")
    with safe_open(path, framework="pt") as file:
        held = (file.metadata() or {}).get("run", "{}")  # none of an older version
    said = checked(f"{path}: run", parsed(path, held), {}, {"of": "text", "seen": "text"})
    if of is not None and (found := said.get("of", of)) != of:
        raise ValueError(f"{path}: weights of {found!r}, but {DESCRIPTION} says {of!r}: of one run is needed")
    seen = Path(folder) / SEEN
    if said and said.get("seen") != (_sha256(seen) if seen.exists() else None):
        what = "not the rows" if seen.exists() else "missing, the rows"
        raise ValueError(f"{seen}: {what} that the run of {MODEL} has seen; both of one run are needed")
    with naming(path):
        refuse_not_finite(tensors)
    return tensors


def refuse_not_finite(tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights with NaN or infinity, and those that no file holds; the message names the first such tensor."""
    for name, value in tensors.items():
        right = isinstance(name, str) and name != "__metadata__"
        refuse_unless(right, "tensors", name, "a text other than '__metadata__', for a name,")
        dense = isinstance(value, Tensor) and value.layout == torch.strided
        refuse_unless(dense, f"tensors: {name}", value, "a tensor of torch that is not sparse")
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f"{name}: NaN or infinity in the weights, finite ones are needed")


def read_seen(folder: str | Path) -> dict[str, Tensor] | None:
    """The tensors of `seen.safetensors`; None where the run does not say what it has seen."""
    path = Path(folder) / SEEN
    return _read(path, "the rows that were seen") if path.exists() else None


def is_finished(folder: str | Path) -> bool:
    """Whether a run folder holds a translator, with no steps left."""
    return (Path(folder) / MODEL).exists() and not (Path(folder) / TRAINING).exists()


@dataclass
class Training:
    """A training between two steps."""

    module: nn.Module
    average: nn.Module
    """a copy whose weights are the moving average of the module's"""
    optimizer: torch.optim.Optimizer

    @staticmethod
    def start(
        module: nn.Module, optimizer: type[torch.optim.Optimizer], learning_rate: float, weight_decay: float
    ) -> Training:
        """Before the first step."""
        made = optimizer(module.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)  # type: ignore[call-arg]
        return Training(module, copy.deepcopy(module).eval().requires_grad_(False), made)

    def advance(self, decay: float) -> None:
        """A step of the optimiser, and of the average by 1 - decay of its way to the weights."""
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.module.parameters()), 1 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        found = {f"weights.{name}": value for name, value in self.module.state_dict().items()}
        found |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        return found

    def put_back(self, tensors: Mapping[str, Tensor]) -> None:
        """Become what `tensors` were taken from; others are a RuntimeError or a KeyError."""
        below: dict[str, dict[str, Tensor]] = {"weights": {}, "average": {}, "optimizer": {}}
        for name, value in tensors.items():
            prefix, rest = name.split(".", 1)
            below[prefix][rest] = value
        self.module.load_state_dict(below["weights"])
        self.average.load_state_dict(below["average"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in below["optimizer"].items():
            index, moment = name.split(".", 1)
            state.setdefault(int(index), {})[moment] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


class Run:
    """The folder of a training: log, checkpoints, and an orderly end on Ctrl-C, SIGTERM and SIGHUP.

    Of several processes, process 0 writes; the folder has to be on a file system that all see.

    Parameters
    ----------
    folder : the run folder.
    resuming : go on from the checkpoint that is there.
    checkpoint_every : steps between two checkpoints.
    wanted : what the description is to say. Default: it says so already.
    """

    def __init__(
        self,
        folder: Path,
        resuming: bool,
        checkpoint_every: int = CHECKPOINT_EVERY,
        wanted: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.resuming, self.checkpoint_every, self.wanted = folder, resuming, checkpoint_every, wanted
        self.writes = distributed.is_main()
        self.asked = 0  # the signal that asked to end, if one did
        self.log: Log | None = None

    def describe(self) -> None:
        """Write the description, if it is still wanted; what the folder holds of an old run goes."""
        if self.wanted is not None and self.writes:
            clear(self.folder)
            (self.folder / LOG).unlink(missing_ok=True)
            write_json(self.folder / DESCRIPTION, self.wanted)
        self.wanted = None

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Inside, an error before the first step takes all that was written away: nothing could be gone on with."""
        try:
            yield
        except Exception:
            if (
                self.wanted is None
                and self.writes
                and not any((self.folder / name).exists() for name in (MODEL, TRAINING))
            ):
                clear(self.folder)
            raise

    @contextmanager
    def interruptible(self) -> Iterator[Run]:
        """Make a flag of a signal that asks to end, so that it never falls inside a step. A second Ctrl-C acts at once;
        of the other signals a system may send several, as where a terminal is closed.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return

        def ask(number: int, _: object) -> None:
            self.asked = self.asked or number
            if number == signal.SIGINT:
                restore(number)

        with answering(ask) as restore:
            yield self

    def resume(self, state: Training) -> int:
        """Put back the last checkpoint, or write the first. Returns the steps that were made."""
        if not self.resuming:
            self.describe()
            if self.writes:
                self._save(0, state)
            return 0
        path = self.folder / TRAINING
        refuse_special(path)
        try:
            tensors = load_file(path)
            with safe_open(path, framework="pt") as file:
                step = int(file.metadata()["step"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: cannot be resumed from ({in_one_line(error)})") from None
        try:
            state.put_back(tensors)
        except (RuntimeError, KeyError, ValueError) as error:
            raise ValueError(f"{path}: is of another configuration ({in_one_line(error)})") from None
        if self.writes:
            _cut_log(self.folder / LOG, step)
        return step

    def after(self, step: int, steps: int, values: Mapping[str, float] | None, state: Training) -> None:
        """After a step: log the values of the loss where they were looked at, save now and then, stop where asked to.

        Raises
        ------
        Asked
            After a step in which Ctrl-C was pressed, or SIGTERM or SIGHUP sent, once the state is saved.
        """
        if values is not None and self.writes:
            _log(self.folder / LOG, step=step, **values)
            if self.log is not None:
                self.log(step, values)
        stop = bool(self.asked)
        if distributed.world() > 1:  # all have to stop after the same step: they agree where the loss is looked at
            stop = values is not None and distributed.anywhere(stop)
        if (step % self.checkpoint_every == 0 or stop) and step < steps and self.writes:
            self._save(step, state)
        if stop:
            raise Asked(f"after step {step} of {steps}", self.asked or signal.SIGTERM)

    def finish(self, tensors: Mapping[str, Tensor], seen: Mapping[str, Tensor] | None = None, **more: Any) -> None:
        """Write what translates, the rows seen, and more JSON values into the description; no steps are left."""
        if self.writes and self.wanted is not None:
            _replace(self.folder, {**self.wanted, **more}, tensors, seen)
        elif self.writes:
            said = description(self.folder)
            write_json(self.folder / DESCRIPTION, {**said, **more})
            write_model(self.folder, tensors, seen, made(said["method"], said["facts"]))
            (self.folder / TRAINING).unlink(missing_ok=True)
        distributed.barrier()

    def _save(self, step: int, state: Training) -> None:
        _write(self.folder / TRAINING, state.tensors(), {"step": str(step)})


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    with replacing(path) as temporary, disk_errors(path):
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, temporary, metadata)


def _read(path: Path, what: str) -> dict[str, Tensor]:
    refuse_special(path)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: does not hold {what} ({in_one_line(error)})") from None


def _log(path: Path, **values: float) -> None:
    if path.is_symlink():
        raise ValueError(f"{path}: a link, and nothing is written through links; remove it")
    with at(path), open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"time": round(time.time(), 3), **values}) + "\n")


def _cut_log(path: Path, step: int) -> None:
    """Drop what the interrupted run logged after the step that is resumed from, and a line that a full disk cut off."""
    if path.exists():
        refuse_special(path)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        with replacing(path) as temporary:
            temporary.write_text("".join(line for line in lines if _is_up_to(line, step)), encoding="utf-8")


def _is_up_to(line: str, step: int) -> bool:
    """Whether a line of the log is whole, and of a step up to this one."""
    try:
        return line.endswith("\n") and json.loads(line)["step"] <= step
    except (ValueError, TypeError, LookupError, RecursionError):
        return False
