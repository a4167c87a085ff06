"""How a closed form is chosen: candidates fitted to training pairs, the best kept, and that one fitted to all pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.scores import recall_at_k
from modtrans_core.vectors import unit, unit_targets

Setting = TypeVar("Setting")


class Translates(Protocol):
    """What candidates can do."""

    def translate(self, c: np.ndarray) -> np.ndarray:
        """zhat (n, d) of the conditions c (n, k)."""


Candidate = TypeVar("Candidate", bound=Translates)


class Rows(NamedTuple):
    """Pairs with the targets of each condition averaged.

    For squared loss, and for the cosine of unit targets, this is the same problem as that of all pairs. Summed over the
    targets z of a condition c, |z - f(c)|^2 is weight |mean(z) - f(c)|^2 plus what f cannot change, and <z, f(c)> is
    weight <mean(z), f(c)>.
    """

    c: np.ndarray
    """(n, k) float64, unit conditions"""
    z: np.ndarray
    """(n, d) float64, the mean of the unit targets that each is paired with"""
    weight: np.ndarray
    """(n,) float64, how many these are"""

    @staticmethod
    def of(*pairings: Pairing) -> Rows:
        """Those of all pairs of these pairings together."""
        parts = [next(pairing.sums(items=len(pairing.pairs), share=(0, 1))) for pairing in pairings]
        c, total, count = (np.concatenate([part[i].double().numpy() for part in parts]) for i in range(3))
        return Rows(c, total / count[:, None], count)

    def mean_z(self) -> np.ndarray:
        """Mean (d,) of the targets of all pairs."""
        return np.average(self.z, axis=0, weights=self.weight)

    def centred(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """mean(c), mean(z), and sqrt(weight) times c - mean(c) and z - mean(z), whose products are sums over pairs."""
        means = [np.average(rows, axis=0, weights=self.weight) for rows in (self.c, self.z)]
        root = np.sqrt(self.weight)[:, None]
        return means[0], means[1], root * (self.c - means[0]), root * (self.z - means[1])


def grid(first: float, last: float, by: float = 0.5) -> tuple[float, ...]:
    """The powers of ten 10^first, 10^(first + by), ..., 10^last."""
    return tuple(float(10.0**power) for power in np.arange(first, last + by / 2, by))


def judge(validation: Pairing) -> Callable[[Translates], float]:
    """The mean validation cosine of a translator, every item weighing the same."""
    rows, item = Rows.of(validation), validation.item
    share = 1 / np.bincount(item)[item]  # an item's conditions share its weight

    def mean_cosine(translator: Translates) -> float:
        cosine = np.einsum("nd,nd->n", unit(translator.translate(rows.c)), rows.z)
        return float(np.average(cosine, weights=share))

    return mean_cosine


def judge_ranking(validation: Pairing) -> Callable[[Translates], float]:
    """Recall@10 among the validation items, of a translator, every item weighing the same."""
    z, counts = unit_targets(np.asarray(validation.targets), validation.counts)
    c, item = unit(validation.c), validation.item
    share = 1 / np.bincount(item)[item]

    def mean_recall(translator: Translates) -> float:
        return float(np.average(recall_at_k(translator.translate(c), z, counts, item, 10), weights=share))

    return mean_recall


def chosen(
    solver: Callable[[Rows], Callable[[Setting], Candidate]],
    grid: Sequence[Setting],
    pairing: Pairing,
    validation: Pairing,
    report: Progress = silent,
    final: Callable[[Rows], Callable[[Setting], Candidate]] | None = None,
) -> Candidate:
    """Fit one candidate a setting to the training pairs, keep the setting of the best mean validation cosine, and fit
    that one to the training and the validation pairs together.

    Parameters
    ----------
    solver : solver(rows) does what all settings share; solver(rows)(setting) is the translator.
    grid : settings; where there is one, nothing is chosen.
    pairing, validation : pairs to fit to, and to choose on.
    report : called with (fits done, fits in all).
    final : the solver of the fit to all pairs, where that is another one.
    """
    fits = len(grid) + 1 if len(grid) > 1 else 1
    best = grid[0]
    if len(grid) > 1:
        at, mean_cosine, scores = solver(Rows.of(pairing)), judge(validation), []
        for done, setting in enumerate(grid, start=1):
            scores.append(mean_cosine(at(setting)))
            report(done, fits)
        best = grid[int(np.argmax(scores))]
    found = (final or solver)(Rows.of(pairing, validation))(best)
    report(fits, fits)
    return found
