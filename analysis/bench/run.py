"""One run of the bench, from settings to a file and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from analysis.bench import machine, summary
from analysis.bench.contender import Gradient
from analysis.bench.jobs import jobs
from analysis.bench.measure import measure
from analysis.bench.ours import translators
from analysis.bench.peers import peers
from analysis.bench.record import Record
from analysis.bench.settings import Settings
from analysis.bench.settings import profile as profile_settings
from analysis.bench.task import synthetic_task, task_from
from modtrans_core.cli.verb import say


def bench(
    out: Path,
    settings: Settings,
    *,
    device: str | None = None,
    pairs: Path | None = None,
    source: str = "image",
    target: str = "text",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Measure everything, keep it in `out/bench.json`, and return the content of that file.

    What an earlier call with the same settings measured on this machine is not measured again.

    Parameters
    ----------
    out : folder of the file.
    settings : sizes and lengths.
    device : `cpu` or `cuda`. Default: a GPU when there is one.
    pairs : pair set to use in place of synthetic pairs, translated from `source` to `target`.
    overwrite : measure anew where there is an earlier run.

    Raises
    ------
    ValueError
        The folder holds another run, the pairs are unusable, or the device is not there.
    """
    where = _device(device)
    if pairs is None:
        task, data = synthetic_task(settings, where), {"pairs": "synthetic"}
    else:
        task = task_from(pairs, source, target, settings, where)
        data = {"pairs": str(pairs), "fingerprint": task.train.fingerprint(), "source": source, "target": target}
    facts = {"settings": settings.to_dict(), "data": data, "machine": machine.machine(where)}
    record = Record(out, facts, overwrite)
    others, left_out = peers(task)
    for name, reason in left_out.items():
        say(f"{name} is left out: {reason}")
    record.content["left_out"] = left_out
    record.content |= {"optimum": task.optimum, "dimensions": {"k": task.k, "d": task.d}}
    contenders = [*others, *translators(task, settings.landmarks)]
    record.content["names"] = [
        {"name": c.name, "peer": c.peer, "gradient": isinstance(c, Gradient)} for c in contenders
    ]
    measure(jobs(task, contenders, settings, record), record, settings.patience)
    record.content |= summary.summarise(record.content)
    record.write()
    return record.content


def bench_and_draw(out: Path, profile: str, *, device: str | None = None, **options: Any) -> dict[str, Any]:
    """`bench` with the settings of a profile, and its figure `out/figures/speed`; the other options are `bench`'s."""
    from matplotlib import pyplot as plt

    from analysis.plots import speed
    from analysis.plots.style import paper_style, save_figure

    settings = profile_settings(profile, gpu=_device(device).type == "cuda")
    content = bench(out, settings, device=device, **options)
    with paper_style():
        figure = speed.both(content)
        save_figure(figure, out, "speed")
        plt.close(figure)
    return content


def _device(name: str | None) -> torch.device:
    device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device: {name}, but torch sees no GPU here")
    return device
