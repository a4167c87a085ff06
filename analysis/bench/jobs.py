"""What is measured: limits, throughput in interleaved rounds, quality, the linear fit, scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import torch

from analysis.bench import linear_fit, machine, scale, streamed
from analysis.bench.contender import Closed, Contender, Gradient, flops
from analysis.bench.measure import Job
from analysis.bench.record import Record, median
from analysis.bench.settings import Settings
from analysis.bench.task import Task
from modtrans_core.linear import NormalEquations

MACHINE = "machine"


def jobs(task: Task, contenders: Sequence[Contender], settings: Settings, record: Record) -> list[Job]:
    """Every measurement of a run, in the order in which they are made."""
    planned = list(_limits(task, settings))
    for round_ in range(settings.rounds):
        planned += _throughput(task, contenders, settings, round_)
    planned += [Job("operations", c.name, 0, 1.0, partial(_operations, c, settings)) for c in contenders]
    for contender in contenders:
        expected = settings.budget + 20 if isinstance(contender, Gradient) else 1.0
        planned.append(
            Job("quality", contender.name, 0, expected, partial(_quality, task, contender, settings, record))
        )
    return planned + list(_linear(task, settings)) + list(_at_scale(task, settings))


def _limits(task: Task, settings: Settings) -> Iterator[Job]:
    device, at_least = task.device, settings.at_least
    yield Job("bandwidth", MACHINE, 0, 1.0, lambda: {"bytes_per_second": machine.bandwidth(device, at_least)})
    yield Job("bfloat16", MACHINE, 0, 2.0, partial(_matrix_rate, task, torch.bfloat16, at_least))


def _matrix_rate(task: Task, dtype: torch.dtype, at_least: float) -> dict[str, float]:
    return {"flops_per_second": machine.matrix_rate(task.device, dtype, at_least)}


def _operations(contender: Contender, settings: Settings) -> dict[str, float]:
    counted = {"translation": contender.translation_flops(settings.steps)}
    return counted | ({"pair": contender.step_flops()} if isinstance(contender, Gradient) else {})


def _throughput(task: Task, contenders: Sequence[Contender], settings: Settings, round_: int) -> Iterator[Job]:
    """One round: each quantity of every contender in turn, and the matrix rate beside them."""
    at_least, device = settings.at_least, task.device
    kinds = {"float32": torch.float32} | ({"bfloat16": torch.bfloat16} if device.type == "cuda" and round_ else {})
    for name, dtype in kinds.items():
        yield Job(name, MACHINE, round_, 1.0, partial(_matrix_rate, task, dtype, at_least))
    learners = [c for c in contenders if isinstance(c, Gradient)]
    for batch in settings.batches:
        for learner in learners:
            yield Job(f"train {batch}", learner.name, round_, 5.0, partial(_training, learner, batch, at_least))
    for closed in (c for c in contenders if isinstance(c, Closed)):
        yield Job("fit", closed.name, round_, 5.0, partial(_fitting, closed))
    yield Job("accumulate", "normal equations", round_, at_least, partial(_accumulation, task, settings))
    for contender in contenders:
        yield Job("translate", contender.name, round_, 2.0, partial(_translating, contender, settings, 1.0))
    for contender in (c for c in contenders if c.diffusion):
        guided = partial(_translating, contender, settings, settings.guidance)
        yield Job("translate guided", contender.name, round_, 4.0, guided)


def _training(learner: Gradient, batch: int, at_least: float) -> dict[str, float]:
    return {"pairs_per_second": batch / learner.step_seconds(batch, at_least)}


def _fitting(closed: Closed) -> dict[str, float]:
    seconds, counted = closed.fit_seconds()
    return {
        "seconds": seconds,
        "pairs_per_second": len(closed.task.rows[0]) / seconds,
        "flops": counted,
    }


def _accumulation(task: Task, settings: Settings) -> dict[str, float]:
    """The sums of the normal equations at the batch of an optimiser step: the closed form's training step."""
    batch = settings.batches[-1]
    c, z = (rows[:batch] for rows in task.tensors)
    equations = NormalEquations(task.k, task.d, task.device)
    counted = flops(lambda: equations.add(c, z))
    seconds = machine.seconds_per_call(lambda: equations.add(c, z), task.device, settings.at_least)
    return {"pairs_per_second": batch / seconds, "flops_per_second": counted / seconds}


def _translating(contender: Contender, settings: Settings, guidance: float) -> dict[str, float]:
    contender.ready()
    c = contender.task.conditions(settings.translated)
    steps = settings.timed_steps if contender.diffusion else settings.steps
    seconds = machine.seconds_per_call(
        lambda: contender.translate(c, steps, guidance), contender.task.device, settings.at_least
    )
    scaled = settings.steps / steps if contender.diffusion else 1.0
    return {"embeddings_per_second": len(c) / (seconds * scaled)}


def _quality(task: Task, contender: Contender, settings: Settings, record: Record) -> dict[str, Any]:
    """Train for the budget (a closed form: fit), then score the translations of the test conditions."""
    device = task.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        return _trained_and_scored(task, contender, settings, record)


def _trained_and_scored(task: Task, contender: Contender, settings: Settings, record: Record) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if isinstance(contender, Gradient):
        batch = settings.batches[0]
        steps = max(1, int(settings.budget / contender.step_seconds(batch, settings.at_least)))
        values = {"seconds": contender.train(steps, batch), "steps": steps, "pairs_seen": steps * batch}
    else:
        contender.ready()
        values = {"seconds": median(record.values("fit", contender.name, "seconds"))}
    c = task.test_rows[0]

    def scores(guidance: float) -> dict[str, Any]:
        parts = [contender.translate(part, settings.steps, guidance) for part in c.split(settings.translated)]
        return task.score(torch.cat(parts).float())

    values |= scores(1.0)
    if contender.diffusion and settings.guided_quality:
        values |= {f"guided_{name}": value for name, value in scores(settings.guidance).items()}
    return values


def _linear(task: Task, settings: Settings) -> Iterator[Job]:
    fits = linear_fit.LinearFits(settings.linear_pairs, settings.d, settings.d, settings.seed)
    for round_ in range(max(3, settings.rounds)):
        for name in linear_fit.FITS:
            yield Job("linear fit", name, round_, 3.0, partial(fits.measure, name))
    for round_, pairs in enumerate(settings.streamed):
        yield Job("stream", f"{pairs:,} pairs", 0, 8.0 * (1 + 3 * round_), partial(_streaming, pairs, settings))


def _streaming(pairs: int, settings: Settings) -> dict[str, Any]:
    return {"pairs": pairs, **streamed.streamed_fit(pairs, settings.d, settings.d, torch.get_num_threads())}


def _at_scale(task: Task, settings: Settings) -> Iterator[Job]:
    if not settings.coco:
        return

    coco = cache(partial(scale.coco_task, settings, task.device))
    for landmarks in (size for size in settings.landmarks if size <= settings.coco):
        name = f"closed form, {landmarks:,} functions" if landmarks else "ridge, closed form"
        yield Job("COCO", name, 0, 20.0, partial(_fit_at_scale, coco, landmarks))
    for mode in scale.modes(task.device):
        yield Job("COCO", mode, 0, 60.0, partial(_steps_at_scale, coco, mode, settings.at_least))


def _fit_at_scale(coco: Callable[[], Task], landmarks: int) -> dict[str, Any]:
    return scale.fit_whole(coco(), landmarks)


def _steps_at_scale(coco: Callable[[], Task], mode: str, at_least: float) -> dict[str, Any]:
    return scale.train_steps(coco(), mode, at_least)
