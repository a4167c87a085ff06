"""Scores that two notebooks show: measured by one of them, and kept for the other."""

from __future__ import annotations

import hashlib
import inspect
import json
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import modtrans_core
from analysis.experiments.trial import SCORES, Trial
from modtrans_core.store.files import read_json, write_json


def keep(folder: Path, trial: Trial, config: Any) -> None:
    """Keep the scores of the row that was added to the trial last: those of a fit of this config; where nothing can be
    written, or through a link, the other notebook fits again."""
    if folder.is_symlink():  # nothing is written through a link
        return
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(_file(folder, trial, config), {name: trial.rows[-1][name] for name in SCORES})


def kept(folder: Path, trial: Trial, config: Any) -> dict[str, Any] | None:
    """The scores of this config on the same split of the same pairs; None where none are kept, or they are damaged."""
    try:
        found = read_json(_file(folder, trial, config))
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and set(found) == set(SCORES)
    return found if whole and all(isinstance(value, int | float | None) for value in found.values()) else None


def _file(folder: Path, trial: Trial, config: Any) -> Path:
    """Named by all that the scores depend on: the pairs of every part, the route, the config, and the code of fits and
    of scores."""
    parts = [(part.pairs.fingerprint(), part.independent) for part in (trial.train, trial.validation, trial.test)]
    inputs = [parts, trial.test.source, trial.test.target, type(config).__name__, asdict(config), version("torch")]
    digest = hashlib.sha256(json.dumps(inputs).encode())
    for file in (Path(inspect.getfile(Trial)), *sorted(Path(modtrans_core.__file__).parent.rglob("*.py"))):
        digest.update(file.read_bytes())
    return folder / f"{digest.hexdigest()[:16]}.json"
