"""What is measured: any method, by the name of a preset."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

import modtrans_core as mt
from analysis.bench.task import Task
from modtrans_core import methods
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts
from modtrans_core.settings import changed


class Contender(ABC):
    """What can be fitted and can translate."""

    name: str
    peer: bool = False
    """whether ours are compared with it"""
    learns: bool = True
    """whether it is fitted by optimiser steps, and not in closed form"""
    samples: bool = False
    """whether it samples in steps"""
    most: int | None = None
    """pairs that it can be fitted to, at most"""

    one_space: bool = False
    """whether it needs one dimension for both modalities"""

    fitted: Any = None
    """what the last fit left"""

    @abstractmethod
    def fit(self, task: Task, batch: int, steps: int, report: Progress = silent) -> None:
        """Start anew, and fit to the training pairs: by so many optimiser steps, or in closed form."""

    @abstractmethod
    def translate(self, c: Tensor, steps: int) -> Tensor:
        """zhat (n, d) of unit conditions c (n, k), unguided in so many steps where it samples."""


class Preset(Contender):
    """A preset of any registered method; a fit is that of `modtrans_core.fit`, without the evaluation at its end.

    Raises
    ------
    ValueError
        No preset has that name, or a setting is impossible.
    """

    def __init__(self, preset: str, name: str = "", *, peer: bool = False, **settings: Any) -> None:
        self.name, self.peer, self.config = name or preset, peer, mt.preset(preset, settings)
        self.method = next(m for m in map(methods.method, methods.names()) if m.config is type(self.config))
        self.learns, self.samples = hasattr(self.config, "train"), getattr(self.config, "steps", 1) > 1

    def fit(self, task: Task, batch: int, steps: int, report: Progress = silent) -> None:
        config = changed(self.config, {"train.steps": steps, "train.batch": batch} if self.learns else {})
        facts = Facts.of(task.train, task.source, task.target)
        self.fitted = self.method.fit(task.pairing, task.held, facts, config, task.device, None, report)

    def translate(self, c: Tensor, steps: int) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the published network speaks of its batch in every call
            settings = {"steps": steps, "guidance": 1.0} if self.samples else {}
            found: Tensor = self.fitted.translate(c, **settings)
        return found


def ours() -> list[Contender]:
    """The translators of this package; the number of radial basis functions is the most that a search may choose."""
    return [
        Preset("poster"),
        Preset("calibrated", "calibrated, linear", landmarks=0),
        Preset("calibrated"),
    ]
