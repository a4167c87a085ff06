"""What a translator must beat: simpler translators, behind one protocol.

>>> for name, make in baselines(512, 512).items():
...     prediction = make().fit(condition, target, validation).translate(test_condition)

The linear ones that fit in seconds are always there; `full=True` adds those that take up to a minute on one core.
"""

from __future__ import annotations

from collections.abc import Callable

from analysis.translators.kernel import KernelRidge
from analysis.translators.latent import CanonicalCorrelation, PartialLeastSquares
from analysis.translators.mlp import MLP
from analysis.translators.procrustes import Procrustes
from analysis.translators.protocol import Baseline
from analysis.translators.ridge import Ridge
from analysis.translators.towards_identity import RidgeTowardsIdentity
from analysis.translators.translation import ConstantMean, Identity, MeanShift
from analysis.translators.transport import OptimalTransport

__all__ = [
    "MLP",
    "Baseline",
    "CanonicalCorrelation",
    "ConstantMean",
    "Identity",
    "KernelRidge",
    "MeanShift",
    "OptimalTransport",
    "PartialLeastSquares",
    "Procrustes",
    "Ridge",
    "RidgeTowardsIdentity",
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
_MORE: dict[str, Callable[[], Baseline]] = {
    "ridge towards tI": RidgeTowardsIdentity,
    "kernel ridge": KernelRidge,
    "CCA": CanonicalCorrelation,
    "PLS": PartialLeastSquares,
    "MLP": MLP,
    "optimal transport": OptimalTransport,
}
_NEED_ONE_DIMENSION = ("identity", "mean shift", "ridge towards tI", "optimal transport")


def baselines(k: int, d: int, *, full: bool = False) -> dict[str, Callable[[], Baseline]]:
    """Factories by name of the baselines that apply to conditions in R^k and targets in R^d.

    `full` adds the ridge towards tI, kernel ridge, CCA, PLS, MLP and optimal transport.
    """
    left_out = not_applicable(k, d, full=full)
    return {name: make for name, make in _chosen(full).items() if name not in left_out}


def not_applicable(k: int, d: int, *, full: bool = False) -> dict[str, str]:
    """The baselines that `baselines(k, d, full=full)` leaves out for their dimensions, each with the reason."""
    for name, dimension in (("k", k), ("d", d)):
        if dimension < 1:
            raise ValueError(f"{name}: {dimension}, allowed is a whole number of at least 1")
    if k == d:
        return {}
    reason = f"needs one dimension for both modalities, here {k} and {d}"
    return {name: reason for name in _chosen(full) if name in _NEED_ONE_DIMENSION}


def _chosen(full: bool) -> dict[str, Callable[[], Baseline]]:
    return _FACTORIES | _MORE if full else _FACTORIES
