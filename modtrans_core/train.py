"""Training: one loop that reads top to bottom.

All randomness of step s is drawn from a generator seeded with (seed, s), and the batch of step s is a function of
(seed, s) too. A run therefore has no hidden state: weights, moving average, optimiser moments and the step number are
all that a resumed run needs to end with the bits that an undisturbed one ends with.
"""

from __future__ import annotations

import copy
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modtrans_core import checkpoint
from modtrans_core.config import Config, preset
from modtrans_core.evaluate import target_mean, unit
from modtrans_core.files import replacing
from modtrans_core.lift import LiftedMap
from modtrans_core.linear import LinearMap
from modtrans_core.objective import objective
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, reporting
from modtrans_core.translator import Translator, default_device

LOG_EVERY = 10
COMPILE_FROM = 2000  # steps on a GPU from which compiling, about a minute, is won back


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
    the configuration has landmarks, M is the closed-form map of the lifted condition and nothing else is trained.

    Parameters
    ----------
    pairs : training pairs.
    config : settings. Default: the preset `poster`.
    validation : pairs that choose the ridge penalty. Default: an eighth of `pairs`, whole groups, kept out of training.
    out : run folder for checkpoints and the log. Default: nothing is written.
    resume : go on with the unfinished run in `out`.
    device : Default: a GPU when there is one.
    progress : called after every step with (steps done, steps in all). Default: a bar on stderr when someone watches.
    facts : JSON values to keep in the run folder's description.
    """
    config = config or preset("poster")
    device = torch.device(device) if device else default_device()
    settings = config.train
    if validation is None:
        pairs, validation = pairs.split(config.seed, (0.875, 0.125))
    folder = None if out is None else Path(out)
    facts = {"pairs": pairs.fingerprint(), **(facts or {})}

    c, z, of_c, of_z = _on_device(pairs, source, target, device)
    encoders = {name: pairs.metadata.get(name, {}) for name in (source, target)}
    translator = Translator(c.shape[1], z.shape[1], config, source, target, encoders).to(device)
    if folder is not None:
        if resume:
            _refuse_another_run(folder, translator, facts)
        else:
            checkpoint.refuse_existing(folder)
    with torch.no_grad():
        held_c, held_z, of_held_c, of_held_z = _on_device(validation, source, target, device)
        held_out = (held_c[of_held_c], held_z[of_held_z])
        if config.lift.landmarks:
            translator.lift(LiftedMap.fit(c, z, of_c, of_z, *held_out, config.lift, config.seed))
        else:
            translator.M.copy_(LinearMap.fit(c[of_c], z[of_z], validation=held_out).M)
        translator.mean.copy_(torch.from_numpy(target_mean(pairs.modality(target), pairs.counts.get(target))))
    average = copy.deepcopy(translator).eval()
    adam = {"coupled": torch.optim.Adam, "decoupled": torch.optim.AdamW}[settings.decay]
    optimizer = adam(translator.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)

    first = 0
    if folder is not None and resume:
        first = checkpoint.read_training(folder, translator, average, optimizer)
        _cut_log(folder / checkpoint.LOG, first)
    elif folder is not None:
        checkpoint.write_training(folder, 0, translator, average, optimizer)
        checkpoint.write_description(translator, folder, **facts)
    if device.type == "cuda" and settings.steps >= COMPILE_FROM:
        translator.denoiser.compile()

    translator.train()
    with (
        reporting(progress, settings.steps, "train", "step", first) as report,
        _interrupt_between_steps() as interrupted,
    ):
        for step in range(first, settings.steps):
            chosen = _batch(len(of_c), settings.batch, config.seed, step).to(device)
            with _seeded(config.seed, step, device), translator.autocast():
                loss = objective(translator, c[of_c[chosen]], z[of_z[chosen]])
            optimizer.zero_grad(set_to_none=True)
            loss.total.backward()
            optimizer.step()
            _average(average, translator, min(settings.ema, (1 + step) / (10 + step)))

            done = step + 1
            report(done, settings.steps)
            save = done % settings.checkpoint_every == 0 or done == settings.steps or interrupted()
            log = done % LOG_EVERY == 0 or done == settings.steps
            if (save or log) and not loss.total.isfinite():  # a loss that is once not finite stays so
                raise ValueError(f"loss: {loss.total.item()} after step {done}; try a smaller learning_rate")
            if folder is not None and log:
                _log(folder / checkpoint.LOG, step=done, **{k: v.item() for k, v in loss._asdict().items()})
            if folder is not None and save:
                checkpoint.write_training(folder, done, translator, average, optimizer)
            if interrupted():
                raise KeyboardInterrupt(f"after step {done} of {settings.steps}")
    if folder is not None:
        checkpoint.write_model(average, folder)
    return average


def _on_device(
    pairs: PairedEmbeddings, source: str, target: str, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unit conditions and targets, and the indices of every pair of them, all on the device for the whole run."""
    c, z, of_c, of_z = pairs.pairings(source, target)
    tensors = (torch.from_numpy(np.ascontiguousarray(array)) for array in (unit(c), unit(z), of_c, of_z))
    c_, z_, of_c_, of_z_ = (tensor.to(device) for tensor in tensors)
    return c_, z_, of_c_, of_z_


def _batch(n: int, size: int, seed: int, step: int) -> Tensor:
    """The pairs of a step: epochs are permutations of all n, cut into whole batches; a remainder is left out."""
    size = min(size, n)
    epoch, position = divmod(step, n // size)
    return _order(n, seed, epoch)[position * size : (position + 1) * size]


@lru_cache(maxsize=1)
def _order(n: int, seed: int, epoch: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng([seed, 1, epoch]).permutation(n))


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
