"""Translators and unfinished runs on disk: safetensors beside JSON, never a pickle, whole or not there.

A run folder holds `translator.json` (configuration, modalities, encoder facts), `model.safetensors` (what translates),
`training.safetensors` (what a resumed run needs, and the step it is of), and `metrics.jsonl` (the log).
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from modtrans_core.config import Config
from modtrans_core.lift import LiftedMap
from modtrans_core.store.files import disk_errors, read_json, replacing, write_json
from modtrans_core.translator import Translator, default_device

FORMAT = 3
"""of `translator.json` and `model.safetensors`; one more with every change after which older folders cannot be read"""
DESCRIPTION, MODEL, TRAINING, LOG = "translator.json", "model.safetensors", "training.safetensors", "metrics.jsonl"


def refuse_existing(folder: str | Path) -> None:
    """Refuse the folder of a new run where a run is already, or a file."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any((folder / name).exists() for name in (DESCRIPTION, MODEL))):
        raise ValueError(f"{folder}: already holds a translator; choose another folder, or resume an unfinished run")


def save_translator(translator: Translator, folder: str | Path) -> None:
    """Write `translator.json` and `model.safetensors` into a new folder."""
    refuse_existing(folder)
    write_model(translator, Path(folder))
    write_description(translator, Path(folder))


def write_description(translator: Translator, folder: Path, **facts: Any) -> None:
    """Write `translator.json`; `facts` are kept beside the translator's own (the split that it was trained on)."""
    description = {
        "format": FORMAT,
        "source": translator.source,
        "target": translator.target,
        "k": translator.k,
        "d": translator.d,
        "config": translator.config.to_dict(),
        "encoders": translator.encoders,
    }
    write_json(folder / DESCRIPTION, {**description, **facts})


def read_description(folder: str | Path) -> dict[str, Any]:
    """`translator.json` of a run folder."""
    path = Path(folder) / DESCRIPTION
    if not path.exists():
        raise ValueError(f"{folder}: not a run folder, {DESCRIPTION} is missing")
    description = read_json(path)
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(f"{path}: format is not {FORMAT}, the one that this version reads")
    return description


def write_model(translator: Translator, folder: Path) -> None:
    """Write `model.safetensors`."""
    _write(folder / MODEL, dict(translator.state_dict()), {})


def load_translator(folder: str | Path, device: str | torch.device | None = None) -> Translator:
    """Build the translator that a run folder describes, with its weights."""
    description = read_description(folder)
    path = Path(folder) / MODEL
    try:
        names = ("k", "d", "source", "target", "encoders")
        config = Config.from_dict(description["config"])
        translator = Translator(config=config, **{name: description[name] for name in names})
    except KeyError as error:
        raise ValueError(f"{folder}/{DESCRIPTION}: {error} is missing") from None
    try:
        tensors = load_file(path)
        if config.lift.landmarks:
            translator.lift(LiftedMap(**{field.name: tensors[field.name] for field in fields(LiftedMap)}))
        translator.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path}: does not hold this translator's weights ({str(error).splitlines()[0]})") from None
    return translator.to(device or default_device()).eval()


def write_training(
    folder: Path, step: int, translator: Translator, average: Translator, optimizer: torch.optim.Optimizer
) -> None:
    """Write `training.safetensors`: weights, their moving average and the optimiser's moments after `step` steps."""
    tensors = {f"weights.{name}": value for name, value in translator.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
    _write(folder / TRAINING, tensors, {"step": str(step)})


def read_training(
    folder: str | Path, translator: Translator, average: Translator, optimizer: torch.optim.Optimizer
) -> int:
    """Put back what `write_training` wrote and return the step it was of."""
    path = Path(folder) / TRAINING
    try:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as file:
            step = int(file.metadata()["step"])
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot be resumed from ({error})") from None

    def below(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    try:
        translator.load_state_dict(below("weights."))
        average.load_state_dict(below("average."))
    except RuntimeError as error:
        raise ValueError(f"{path}: is of another configuration ({str(error).splitlines()[0]})") from None
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in below("optimizer.").items():
        index, moment = name.split(".", 1)
        state.setdefault(int(index), {})[moment] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return step


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    with replacing(path) as temporary, disk_errors(path):
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, temporary, metadata)
