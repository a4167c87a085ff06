"""Translators that are tensors and nothing else: what a fit in closed form leaves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from modtrans_core.checks import refuse_unless
from modtrans_core.protocol import Facts, Stored, Vectors, as_asked, conditions, exactly, floating, in_pieces, like


@dataclass(frozen=True, repr=False, eq=False)
class ClosedForm(Stored, ABC):
    """A translator whose fields after `facts` and `config` are tensors, which are what is saved.

    A subclass adds its tensors as fields and says in `zhat` what they make of a condition.
    """

    facts: Facts
    config: Any
    mean: Tensor
    """(d,) float64, of the unit training targets"""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.facts})"

    @as_asked
    def translate(self, c: Vectors) -> Vectors:
        """zhat (n, d) of the conditions c (n, k), numpy or torch; their length does not matter."""
        return like(in_pieces(self.zhat, conditions(c, self.facts, self.mean.device)), c)

    @abstractmethod
    def zhat(self, c: Tensor) -> Tensor:
        """Translations (n, d) of the unit conditions c (n, k)."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes that tensors have to have, by name; of what a class says nothing of, that of one number."""
        return {**{item.name: () for item in fields(self)[2:]}, "mean": (self.facts.d,)}

    def tensors(self) -> dict[str, Tensor]:
        """What is saved."""
        return {item.name: getattr(self, item.name) for item in fields(self)[2:]}

    @classmethod
    def of(cls, facts: Facts, config: Any, device: torch.device, **arrays: np.ndarray | float) -> Self:
        """That of these arrays and numbers, float64 on the device."""
        made = {name: torch.tensor(array, dtype=torch.float64, device=device) for name, array in arrays.items()}
        return cls(facts, config, **made)

    @classmethod
    def restore(cls, facts: Facts, config: Any, tensors: Mapping[str, Tensor], device: torch.device) -> Self:
        """The translator of these tensors; a missing or misshapen one is a ValueError."""
        names = [item.name for item in fields(cls)[2:]]
        tensors = exactly(tensors, names)
        made = cls(facts, config, **{name: floating(name, tensors[name], torch.float64).to(device) for name in names})
        for name, shape in made.shapes().items():
            found = tuple(getattr(made, name).shape)
            refuse_unless(found == shape, name, found, f"shape {shape}")
        said, own = getattr(config, "penalty", 0), tensors.get("penalty")
        if said and own is not None:  # where the settings do not leave it to the fit
            refuse_unless(own.item() == said, "penalty", own.item(), f"{said}, as the settings say,")
        return made


@dataclass(frozen=True, repr=False, eq=False)
class Affine(ClosedForm):
    """zhat = c A + b."""

    A: Tensor
    """(k, d)"""
    b: Tensor
    """(d,)"""

    def zhat(self, c: Tensor) -> Tensor:
        return c @ self.A.float() + self.b.float()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {**super().shapes(), "A": (self.facts.k, self.facts.d), "b": (self.facts.d,)}


def one_dimension(name: str, facts: Facts) -> None:
    """Refuse modalities of two dimensions, for a method that needs one space."""
    if facts.k != facts.d:
        raise ValueError(f"{name}: {facts.source} {facts.k} and {facts.target} {facts.d}, one dimension is needed")
