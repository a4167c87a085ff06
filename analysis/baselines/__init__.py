"""What a translator must beat: translators with no network in them, behind one protocol.

>>> for name, make in baselines(512, 512).items():
...     prediction = make().fit(condition, target, validation).translate(test_condition)
"""

from __future__ import annotations

from collections.abc import Callable

from analysis.baselines.procrustes import Procrustes
from analysis.baselines.protocol import Baseline
from analysis.baselines.ridge import Ridge
from analysis.baselines.translation import ConstantMean, Identity, MeanShift

__all__ = [
    "Baseline",
    "ConstantMean",
    "Identity",
    "MeanShift",
    "Procrustes",
    "Ridge",
    "baselines",
    "not_applicable",
]

_FACTORIES: dict[str, Callable[[], Baseline]] = {
    "constant mean": ConstantMean,
    "identity": Identity,
    "mean shift": MeanShift,
    "procrustes": Procrustes,
    "ridge": Ridge,
}
_NEED_ONE_DIMENSION = ("identity", "mean shift")


def baselines(k: int, d: int) -> dict[str, Callable[[], Baseline]]:
    """Factories by name of the baselines that apply to conditions in R^k and targets in R^d."""
    return {name: make for name, make in _FACTORIES.items() if name not in not_applicable(k, d)}


def not_applicable(k: int, d: int) -> dict[str, str]:
    """The baselines that `baselines(k, d)` leaves out, each with the reason."""
    for name, dimension in (("k", k), ("d", d)):
        if dimension < 1:
            raise ValueError(f"{name}: {dimension}, allowed is a whole number of at least 1")
    if k == d:
        return {}
    return dict.fromkeys(_NEED_ONE_DIMENSION, f"needs one dimension for both modalities, here {k} and {d}")
