"""One run of the bench: every contender in turn, round after round, each measurement kept as it is made.

A busy machine slows all contenders of a round alike: the ratios of one round can be trusted where seconds cannot.
"""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from analysis.bench import measure
from analysis.bench.contenders import Contender, ours
from analysis.bench.peers import peers
from analysis.bench.report import median, summarise, values
from analysis.bench.task import Task, synthetic_task
from analysis.experiments.data import print_of, refuse_unfit, warn_of_equal
from analysis.experiments.presets import routes
from modtrans_core.checks import differing, refuse_unless
from modtrans_core.cli.verb import say
from modtrans_core.device import device_of, seeded
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.store.described import checked
from modtrans_core.store.files import read_json, write_json

SCHEMA, FILE = 4, "bench.json"
COUNTED = 8
"""rows over which operations are counted; their number is proportional to the rows"""
EPOCH = 16
"""batches of an epoch whose steps are measured: an order is drawn and sent in the first of them"""
_FIT = {"seconds": "a positive number", "pairs_per_second": "a positive number"}
_TRANSLATED = {"embeddings_per_second": "a positive number"}
FIELDS = {
    "float32": {"flops_per_second": "a positive number"},
    "copy": {"bytes_per_second": "a positive number"},
    **dict.fromkeys(("small fit", "train", "fit"), _FIT),
    **dict.fromkeys(("translate", "one row", "many rows"), _TRANSLATED),
    "operations": {"translation": "a number"},
    "quality": {
        "seconds": "a positive number",
        "gallery": "a whole number from 1 on",
        **dict.fromkeys(("cosine", "floor", "centered_recall_at_1", "centered_recall_at_10"), "a number"),
    },
    "COCO": {"seconds": "a positive number"},
}
"""what a measurement of each quantity says that is read again"""
COCO, CAPTIONS, COCO_BATCH, COCO_EPOCHS = 82_783, 5, 8_192, 20
"""the training at the size of COCO 2014's captions, which only a GPU is given"""


@dataclass(frozen=True)
class Settings:
    """Sizes and lengths of a run; the defaults are those of the profile `default`."""

    d: int = 512
    """dimension of conditions and targets"""
    intrinsic: int = 64
    """dimensions of the subspace of R^d that conditions fill"""
    train: int = 40_000
    """training pairs"""
    small: int = 3_000
    """training pairs of a small fit of a closed form"""
    validation: int = 1_000
    """validation pairs"""
    test: int = 500
    """test pairs; also the retrieval gallery"""
    batch: int = 256
    """pairs of an optimiser step"""
    translated: int = 256
    """conditions translated in a call"""
    many: int = 8_192
    """conditions that a closed form translates in a call, where it is compared with the limit of the machine"""
    rounds: int = 3
    """times that each throughput is measured, all contenders in turn"""
    steps: int = 10
    """sampling steps of a diffusion model, unguided"""
    timed_steps: int = 2
    """sampling steps that a throughput is timed over, and scaled from"""
    budget: float = 40.0
    """seconds that a network is trained for before it is scored"""
    at_least: float = 0.3
    """seconds that a throughput is measured over, at least"""
    patience: float = 60.0
    """a measurement that took longer, in seconds, is not repeated in later rounds"""
    seed: int = 0
    """of data and noise"""


PROFILES: dict[str, Settings] = {
    "check": Settings(
        d=64, intrinsic=16, train=800, small=200, validation=100, test=50, batch=16, translated=32, many=256, rounds=1,
        steps=2, timed_steps=1, budget=0.3, at_least=0.01, patience=1.0,
    ),
    "smoke": Settings(
        d=256, train=2_000, small=1_000, validation=300, test=100, batch=32, translated=128, many=1_024, rounds=1,
        timed_steps=1, budget=1.0, at_least=0.05, patience=2.0,
    ),
    "default": Settings(),
    "full": Settings(
        train=100_000, validation=2_000, test=2_000, rounds=7, timed_steps=10, budget=1_800.0, at_least=1.0,
        patience=600.0,
    ),
}  # fmt: skip


class Measurement(NamedTuple):
    """One of a run, made by a call."""

    quantity: str
    contender: str
    round: int
    make: Callable[[], dict[str, Any]]


def bench(
    out: Path,
    profile: str | Settings = "default",
    *,
    device: str | None = None,
    pairs: Path | None = None,
    source: str = "",
    target: str = "",
    overwrite: bool = False,
    shown: Iterable[str] = (),
) -> dict[str, Any]:
    """Measure everything, keep it in `out/bench.json`, and return the content of that file.

    What an earlier call with the same settings measured on this machine is not measured again.

    Parameters
    ----------
    out : folder of the file.
    profile : name of a profile, or sizes and lengths.
    device : `cpu` or `cuda`. Default: a GPU when there is one.
    pairs : pair set to use in place of synthetic pairs: at most so many items of it, evenly spaced.
    source, target : its modalities. Default: image and text or, of a set that has two, these.
    overwrite : measure anew where there is an earlier run.
    shown : files in the folder that show measurements; those of an earlier run go with it.

    Raises
    ------
    ValueError
        The folder holds another run or a damaged file, the profile is unknown, the pairs are too few, or the device
        is not there.
    """
    if isinstance(profile, str):
        if profile not in PROFILES:
            raise ValueError(f"profile: {profile!r}, one of {', '.join(PROFILES)} is needed")
        profile = PROFILES[profile]
    place = device_of(device or None)
    refuse_unless(pairs is not None or not (source or target), "source, target", f"{source}, {target}", "--pairs")
    sizes = profile.train, profile.validation, profile.test
    data: dict[str, Any] = {"pairs": "synthetic"}
    if pairs is None:
        task = synthetic_task(sizes, profile.d, profile.intrinsic, profile.seed, place)
    else:
        loaded = PairedEmbeddings.load(pairs)
        source, target = routes(loaded, source, target)[0]
        some = loaded.at_most(sum(sizes))
        refuse_unfit(pairs, some, (source, target))
        train, validation, test = some.split(profile.seed)
        task = Task(train, validation, test, place, None, source, target)
        warn_of_equal(pairs, some, source, target, profile.seed)
        data = {"pairs": str(pairs), "print": print_of(loaded), "source": source, "target": target}
        if len(some) < len(loaded):
            data["items"] = len(some)
            say(f"{pairs}: {len(some):,} of {len(loaded):,} items are taken, evenly spaced, as many as the profile has")
        if (most := profile.batch) > (found := len(task.train)):
            raise ValueError(f"{pairs}: {found} training items, at least {most} are needed (a batch)")
    facts = {"settings": asdict(profile), "data": data, "machine": measure.machine(place)}
    content = begin(out / FILE, facts, overwrite)
    others, content["left_out"] = peers(task.pairing.k, task.pairing.d)
    contenders = [*others, *ours()]
    for one in [one for one in contenders if one.most is not None and one.most < len(task.pairing)]:
        reason = f"takes {one.most:,} pairs at most, and here are {len(task.pairing):,}; its small fit is measured"
        content["left_out"][one.name] = reason
    content |= {"optimum": task.optimum, "dimensions": {"k": task.pairing.k, "d": task.pairing.d}}
    for name, reason in content["left_out"].items():
        say(f"{name} is left out: {reason}")
    whole = [one for one in contenders if one.name not in content["left_out"]]
    content["names"] = [{"name": c.name, "peer": c.peer, "gradient": c.learns} for c in whole]
    small = [copy.copy(one) for one in contenders if not one.learns]
    old = [out / name for name in shown] if overwrite else []
    make(list(planned(task, whole, small, profile, content)), content, out / FILE, profile.patience, old)
    content |= summarise(content)
    if not (out / FILE).exists() or read_json(out / FILE) != content:
        write_json(out / FILE, content)
    return content


def begin(path: Path, facts: dict[str, Any], overwrite: bool) -> dict[str, Any]:
    """The content of a new run, or that of the one in the file, which has to be of the same facts."""
    fresh = {"schema": SCHEMA, **facts, "measurements": []}
    if overwrite or not path.exists():
        return fresh
    found = read_json(path)
    for name in ("schema", *facts):
        was, wanted = found.get(name) if isinstance(found, dict) else None, fresh[name]
        if name == "data" and isinstance(was, dict) and was.get("print", "") == wanted.get("print"):
            wanted = {**wanted, "pairs": was.get("pairs")}  # the same set, by whatever path
        if other := differing(was, wanted, name):
            raise ValueError(f"{path}: was begun with {other}; choose another folder, or add overwrite=True")
    kinds = {"quantity": "text", "contender": "text", "round": "a whole number from 0 on", "took": "a number"}
    measured = checked(path, found, {"measurements": "a list"})["measurements"]
    for one in measured:
        checked(f"{path}: measurements", one, kinds)
    made = Counter((one["quantity"], one["contender"], one["round"]) for one in measured)
    for (quantity, contender, _), times in made.items():
        refuse_unless(times == 1, f"{path}: measurements: {quantity} of {contender}", times, "one a round")
    for one in measured:
        quantity, learns = one["quantity"], made["train", one["contender"], 0] > 0
        steps = dict.fromkeys(("launches", "pair"), "a number") if quantity == "operations" and learns else {}
        checked(f"{path}: measurements: {quantity}", one, FIELDS.get(quantity, {}) | steps)
    return found


def make(
    measurements: Sequence[Measurement],
    content: dict[str, Any],
    path: Path,
    patience: float,
    old: Iterable[Path] = (),
) -> None:
    """Make the measurements that the content lacks, and write the file after each.

    One that took longer than `patience` seconds is not repeated in later rounds. What is `old` goes with the first.
    """
    took = {(m["quantity"], m["contender"], m["round"]): m["took"] for m in content["measurements"]}
    with tqdm(measurements, disable=None, leave=False) as bar:
        for quantity, contender, round_, call in bar:
            bar.set_description(f"{quantity}: {contender}")
            slow = any(took.get((quantity, contender, earlier), 0.0) > patience for earlier in range(round_))
            if slow or (quantity, contender, round_) in took:
                continue
            begun = time.perf_counter()
            found = call()
            took[quantity, contender, round_] = time.perf_counter() - begun
            entry = {"quantity": quantity, "contender": contender, "round": round_, **found}
            content["measurements"].append({**entry, "took": took[quantity, contender, round_]})
            write_json(path, content)
            for file in old:
                file.unlink(missing_ok=True)


def planned(
    task: Task,
    contenders: Sequence[Contender],
    small: Sequence[Contender],
    settings: Settings,
    content: dict[str, Any],
) -> Iterator[Measurement]:
    """Every measurement of a run, in the order in which they are made.

    Parameters
    ----------
    small : closed forms of their own for the small fits.
    """
    rate, copied = (partial(of, task.device, settings.at_least) for of in (measure.matrix_rate, measure.copy_rate))
    learners = [contender for contender in contenders if contender.learns]
    few = replace(task, train=task.train.at_most(settings.small))
    for round_ in range(settings.rounds):
        yield Measurement("float32", "machine", round_, lambda: {"flops_per_second": rate()})
        yield Measurement("copy", "machine", round_, lambda: {"bytes_per_second": copied()})
        for one in small:
            yield Measurement("small fit", one.name, round_, partial(fitting, few, one))
        for learner in learners:
            yield Measurement("train", learner.name, round_, partial(training, task, learner, settings))
        for closed in (contender for contender in contenders if not contender.learns):
            yield Measurement("fit", closed.name, round_, partial(fitting, task, closed))
        for contender in contenders:
            yield Measurement("translate", contender.name, round_, partial(translating, task, contender, settings))
        for closed in (contender for contender in contenders if not contender.learns):
            for what, rows in (("one row", 1), ("many rows", settings.many)):
                work = partial(translating, task, closed, settings, rows)
                yield Measurement(what, closed.name, round_, work)
    for contender in contenders:
        yield Measurement("operations", contender.name, 0, partial(operations, task, contender, settings))
    for contender in contenders:
        yield Measurement("quality", contender.name, 0, partial(quality, task, contender, settings, content))
    if task.device.type == "cuda" and settings.train >= PROFILES["default"].train:
        sizes = COCO, settings.validation, settings.test
        large = synthetic_task(sizes, settings.d, settings.intrinsic, settings.seed, task.device, CAPTIONS)
        steps = COCO_EPOCHS * len(large.pairing) // COCO_BATCH
        for contender in (contender for contender in contenders if not contender.peer):
            yield Measurement("COCO", contender.name, 0, partial(fitting, large, contender, COCO_BATCH, steps))


def training(task: Task, learner: Contender, settings: Settings) -> dict[str, float]:
    """The time of an optimiser step."""
    fit = partial(learner.fit, task.few(EPOCH * settings.batch), settings.batch)
    seconds = measure.seconds_per_step(fit, task.device, settings.at_least)
    return {"seconds": seconds, "pairs_per_second": settings.batch / seconds}


def fitting(task: Task, contender: Contender, batch: int = 0, steps: int = 0) -> dict[str, float]:
    """The time of a whole fit, with the choice of what there is to choose."""
    start = time.perf_counter()
    contender.fit(task, batch, steps)
    if task.device.type == "cuda":
        torch.cuda.synchronize(task.device)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "pairs_per_second": len(task.pairing) / seconds}


def ready(task: Task, contender: Contender) -> None:
    """Make it able to translate: a closed form is fitted, a network may be fitted badly."""
    if contender.fitted is None:
        contender.fit(task.few(COUNTED) if contender.learns else task, COUNTED, 1)


def translating(task: Task, contender: Contender, settings: Settings, rows: int = 0) -> dict[str, float]:
    """Translations per second, so many rows in a call; by default those of the settings."""
    ready(task, contender)
    c, steps = (
        task.conditions(rows or settings.translated),
        settings.timed_steps if contender.samples else settings.steps,
    )
    seconds = measure.seconds_per_call(lambda: contender.translate(c, steps), settings.at_least)
    return {"embeddings_per_second": len(c) * steps / (seconds * settings.steps)}


def operations(task: Task, contender: Contender, settings: Settings) -> dict[str, float]:
    """Launches of an optimiser step, and FLOP of a pair in it and of a translation."""
    ready(task, contender)
    found, c = {}, task.conditions(COUNTED)
    few = task.few(EPOCH * COUNTED)
    with FlopCounterMode(display=False) as flops:
        contender.translate(c, settings.steps)
    found["translation"] = flops.get_total_flops() / COUNTED
    if contender.learns:
        counts = measure.operations_per_step(partial(contender.fit, few, COUNTED))
        found |= {"launches": counts[0], "pair": counts[1] / COUNTED}
    return found


def quality(task: Task, contender: Contender, settings: Settings, content: dict[str, Any]) -> dict[str, Any]:
    """Train for the budget (a closed form: fit), then score the translations of the test conditions."""
    found: dict[str, Any] = {}
    with seeded(settings.seed, task.device):
        if contender.learns:
            ends: list[float] = []
            start = time.perf_counter()
            step = median(values(content, "train", contender.name, "seconds").values())
            steps = max(1, int(settings.budget / step))
            contender.fit(task, settings.batch, steps, lambda done, total: ends.append(time.perf_counter()))
            found = {"seconds": ends[-1] - start, "steps": len(ends), "pairs_seen": len(ends) * settings.batch}
        else:
            ready(task, contender)
            found = {"seconds": median(values(content, "fit", contender.name, "seconds").values())}
        return found | task.score(lambda c: contender.translate(c, settings.steps), settings.translated)
