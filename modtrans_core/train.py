"""Training: one loop that reads top to bottom.

All randomness of step s is drawn from a generator seeded with (seed, s), and the batch of step s is a function of
(seed, s) too. A run therefore has no hidden state: weights, moving average, optimiser moments and the step number are
all that a resumed run needs to end with the bits that an undisturbed one ends with.

Under torchrun every process runs the same loop on its rows of each batch. It draws the randomness of all rows and keeps
that of its own, so that the averaged gradient is a single process' to rounding, and a run may be resumed with another
number of processes. Process 0 writes, logs and shows progress; the run folder has to be on a file system that all see.
"""

from __future__ import annotations

import copy
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from modtrans_core import checkpoint, distributed
from modtrans_core.ahead import ahead
from modtrans_core.batches import Batches, on_device
from modtrans_core.calibrate import PASSES, calibrate
from modtrans_core.config import Config, preset
from modtrans_core.linear import LinearMap, NormalEquations
from modtrans_core.objective import Loss, objective
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, reporting, silent
from modtrans_core.store.files import replacing
from modtrans_core.translator import Translator, default_device
from modtrans_core.vectors import unit

LOG_EVERY = 10
COMPILE_FROM = 2000  # steps on a GPU from which compiling, about a minute, is won back
ROWS_AT_ONCE = 8192  # rows of a pass over the pairs
CHOOSE_ON = 65536  # validation items that choose the penalty, at most


def fit(
    pairs: PairedEmbeddings,
    source: str = "image",
    target: str = "text",
    *,
    config: Config | None = None,
    validation: PairedEmbeddings | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
    facts: dict[str, Any] | None = None,
) -> Translator:
    """Train a translator from `source` to `target`.

    M starts at the ridge map whose penalty has the best validation cosine, then everything is trained jointly. Where
    the configuration has landmarks, M is the closed-form map of the lifted condition and stays it: with `train.steps`
    above 0, the network learns the direction of what M leaves.

    Parameters
    ----------
    pairs : training pairs.
    config : settings. Default: the preset `poster`.
    validation : pairs that choose the ridge penalty, at most 65,536 items of them, evenly spaced, or all that
        `modtrans_core.calibrate` chooses. Default: an eighth of `pairs`, whole groups, kept out of training.
    out : run folder for checkpoints and the log. Default: nothing is written.
    resume : go on with the unfinished run in `out`.
    device : Default: a GPU when there is one.
    progress : called after every step with (steps done, steps in all). Default: a bar on stderr when someone watches.
    facts : JSON values to keep in the run folder's description.
    """
    config = config or preset("poster")
    device = torch.device(device) if device else default_device()
    settings = config.train
    if distributed.world() > 1 and config.sampling.normalisation == "batch":
        raise ValueError("sampling.normalisation: 'batch', 'row' is needed with several processes, which share a batch")
    if validation is None:
        pairs, validation = pairs.split(config.seed, (0.875, 0.125), own=False)
    folder = None if out is None else Path(out)
    facts = {} if folder is None else {"pairs": pairs.fingerprint(), **(facts or {})}

    speaks = distributed.is_main()
    k, d = (pairs.modality(name).shape[-1] for name in (source, target))
    encoders = {name: pairs.encoder(name) for name in (source, target)}
    translator = Translator(k, d, config, source, target, encoders).to(device)
    translator.check(validation)
    if folder is not None:
        if resume:
            _refuse_another_run(folder, translator, facts)
        else:
            checkpoint.refuse_existing(folder)
    distributed.barrier()  # every process has looked before one writes
    _closed_form(translator, pairs, validation, None if progress is None and speaks else silent)
    terms = config.objective
    every = terms.lambda_1 > 0 and terms.lambda_2 > 0 and terms.dropping == "row"
    model = distributed.parallel(_Objective(translator), every=every)
    average = copy.deepcopy(translator).eval()
    adam = {"coupled": torch.optim.Adam, "decoupled": torch.optim.AdamW}[settings.decay]
    optimizer = adam(translator.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)

    first = 0
    if folder is not None and resume:
        first = checkpoint.read_training(folder, translator, average, optimizer)
        if speaks:
            _cut_log(folder / checkpoint.LOG, first)
    elif folder is not None and speaks:
        checkpoint.write_training(folder, 0, translator, average, optimizer)
        checkpoint.write_description(translator, folder, **facts)
    if device.type == "cuda" and settings.steps >= COMPILE_FROM and distributed.world() == 1:
        translator.denoiser.compile()  # of several processes, each would draw its dropout without the others' rows

    batches = Batches(pairs, source, target, device, settings.batch, config.seed)
    mine, weight = distributed.share(batches.size)
    translator.train()
    with (
        reporting(progress if speaks else silent, settings.steps, "train", "step", first) as report,
        _interrupt_between_steps() as interrupted,
    ):
        for step, (c, z) in enumerate(batches.iterate(range(first, settings.steps), mine), first):
            with _seeded(config.seed, step, device), _whole_batch(batches.size, mine), translator.autocast():
                loss: Loss = model(c, z)
            optimizer.zero_grad(set_to_none=True)
            (weight * distributed.world() * loss.total).backward()  # gradients are averaged over the processes
            optimizer.step()
            _average(average, translator, min(settings.ema, (1 + step) / (10 + step)))

            done = step + 1
            report(done, settings.steps)
            log = done % LOG_EVERY == 0 or done == settings.steps
            stop = interrupted() if distributed.world() == 1 else log and _anywhere(interrupted(), device)
            save = done % settings.checkpoint_every == 0 or done == settings.steps or stop
            if save or log:
                values = _over_the_batch(loss, weight)
                if not math.isfinite(values["total"]):  # a loss that is once not finite stays so
                    raise ValueError(f"loss: {values['total']} after step {done}; try a smaller learning_rate")
                if folder is not None and log and speaks:
                    _log(folder / checkpoint.LOG, step=done, **values)
            if folder is not None and save and speaks:
                checkpoint.write_training(folder, done, translator, average, optimizer)
            if stop:
                raise KeyboardInterrupt(f"after step {done} of {settings.steps}")
    if folder is not None and speaks:
        checkpoint.write_model(average, folder)
    distributed.barrier()
    return average


class _Objective(nn.Module):
    """The objective as a module, so that its gradients can be averaged over processes."""

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self.translator = translator

    def forward(self, c: Tensor, z: Tensor) -> Loss:
        return objective(self.translator, c, z)


def _whole_batch(size: int, mine: slice) -> AbstractContextManager[Any]:
    return nullcontext() if distributed.world() == 1 else distributed.WholeBatch(size, mine)


def _over_the_batch(loss: Loss, weight: float) -> dict[str, float]:
    """The loss of the whole batch from that of this process' share."""
    values = weight * torch.stack([value.detach().double() for value in loss])
    distributed.all_reduce(values)
    return dict(zip(loss._fields, values.tolist(), strict=True))


def _anywhere(asked: bool, device: torch.device) -> bool:
    """Whether any process was asked to stop: all have to stop after the same step."""
    asking = torch.tensor(float(asked), device=device)
    distributed.all_reduce(asking)
    return bool(asking > 0)


@torch.no_grad()
def _closed_form(
    translator: Translator, pairs: PairedEmbeddings, validation: PairedEmbeddings, bar: Progress | None
) -> None:
    """Give the translator the mean of its targets, and M in closed form."""
    source, target, config, device = translator.source, translator.target, translator.config, translator.device
    translator.mean.copy_(_target_mean(pairs, target, device))
    if config.lift.landmarks:
        with reporting(bar, PASSES, "fit", "pass") as report:
            mean = translator.mean
            translator.lift(calibrate(pairs, validation, source, target, mean, config.lift, config.seed, report))
    else:
        held_c, held_z, of_c, of_z = _on_device(validation.at_most(CHOOSE_ON), source, target, device)
        equations = NormalEquations.of(pairs, source, target, device, bar)
        translator.M.copy_(LinearMap.solve(equations, validation=(held_c[of_c], held_z[of_z])).M)


def _target_mean(pairs: PairedEmbeddings, target: str, device: torch.device) -> Tensor:
    """The mean (d,) of the unit targets in float64, every item weighing the same, each process reading its share."""
    z, item = pairs.rows(target)
    counts = pairs.counts.get(target, np.ones(len(pairs)))

    def share(start: int) -> np.ndarray:
        rows = slice(start, start + ROWS_AT_ONCE)
        return (unit(z[rows]) / counts[item[rows], None]).sum(0) / len(pairs)

    starts = range(distributed.rank() * ROWS_AT_ONCE, len(z), distributed.world() * ROWS_AT_ONCE)
    mean = torch.from_numpy(sum(ahead(share, starts), np.zeros(z.shape[1]))).to(device)
    distributed.all_reduce(mean)
    return mean


def _on_device(
    pairs: PairedEmbeddings, source: str, target: str, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unit conditions and targets, and the indices of every pair of them, all on the device."""
    c, z, of_c, of_z = pairs.pairings(source, target)
    i, j = (torch.from_numpy(of).to(device) for of in (of_c, of_z))
    return on_device(c, device), on_device(z, device), i, j


@contextmanager
def _seeded(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Torch's default generator as a function of (seed, step), put back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence([seed, 2, step]).generate_state(1, np.uint64)[0]))
        yield


@torch.no_grad()
def _average(average: Translator, translator: Translator, decay: float) -> None:
    mine: list[Tensor] = list(average.parameters())
    theirs: list[Tensor] = list(translator.parameters())
    torch._foreach_lerp_(mine, theirs, 1 - decay)


def _refuse_another_run(folder: Path, translator: Translator, facts: dict[str, Any]) -> None:
    description = checkpoint.read_description(folder)
    wanted = {"config": translator.config.to_dict(), "source": translator.source, "target": translator.target, **facts}
    for name, value in wanted.items():
        if description.get(name) != value:
            raise ValueError(
                f"{folder}: was started with {name} {description.get(name)}, not {value}; resume it as it was"
            )


def _log(path: Path, **values: float) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"time": round(time.time(), 3), **values}) + "\n")


def _cut_log(path: Path, step: int) -> None:
    """Drop what the interrupted run logged after the step that is resumed from."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        with replacing(path) as temporary:
            temporary.write_text("".join(line for line in lines if json.loads(line)["step"] <= step), encoding="utf-8")


@contextmanager
def _interrupt_between_steps() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a flag, so that it never falls inside an update; a second one acts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def ask(_: int, __: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
