r"""Floor, ceiling and skill of the cosine, with intervals; and what sampling costs.

For unit targets z of a condition c, and a prediction g(c):

* floor: the best constant scores |E z|, and it is the mean;
* ceiling: E[cos(z, g(c))] <= E|E[z|c]| <= sqrt(E|E[z|c]|^2) = sqrt(E<z, z'>) for two targets z, z'
  independent given c (two captions of one picture). The last step is an equality only where |E[z|c]| is
  constant. Captions share the **picture**, not just its embedding c: this is the ceiling of the best possible
  encoder, which is no lower than that of this one. Captions chosen to differ from each other (synonyms,
  aliases) are not independent and put it too low;
* skill: (cosine - floor) / (ceiling - floor), 0 for the constant and at most 1.

Point estimates are those of `modtrans_core.scores`; intervals are those of `analysis.theory.intervals`.
Predictions and the training mean are held fixed: an interval covers new test groups, not new training runs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.theory.intervals import Estimate, group_numbers, linear_interval, mean_interval
from modtrans_core.scores import ceiling as ceiling_estimate
from modtrans_core.scores import cosine as cosine_with_targets
from modtrans_core.vectors import unit


@dataclass(frozen=True)
class Limits:
    """Cosine of a prediction between its floor and its ceiling (None where no item has two targets).

    Without a ceiling the skill is measured against 1, as `modtrans_core.scores.score` does.
    """

    cosine: Estimate
    floor: Estimate
    ceiling: Estimate | None
    skill: Estimate

    def to_dict(self) -> dict[str, dict | None]:
        """Plain nested dicts, ready for JSON."""
        return asdict(self)


def limits(
    predicted: np.ndarray,
    targets: np.ndarray,
    training_mean: np.ndarray,
    counts: np.ndarray | None = None,
    group: np.ndarray | None = None,
    confidence: float = 0.95,
) -> Limits:
    """Cosine, floor, ceiling and skill of a prediction on held-out items, each with its interval.

    The skill's interval is the delta method on three means at once, whose errors are correlated since they
    share items: with c, f, k for cosine, floor and ceiling and q = k^2, an item moves the skill by
    ((dc - df) - skill (dk - df)) / (k - f), where dk = dq / (2 k).

    Parameters
    ----------
    predicted : (n, d), any length.
    targets, counts : (n, d), or (n, m, d) with (n,).
    training_mean : (d,), mean of the **training** targets: the constant that is the floor.
    group : (n,) labels; None: every item is its own group.

    Raises
    ------
    ValueError
        Wrong shapes, a vector without direction, a ceiling that is not above the floor.
    """
    cosines = cosine_with_targets(predicted, targets, counts)
    constant = cosine_with_targets(np.broadcast_to(training_mean, predicted.shape), targets, counts)
    cosine = mean_interval(cosines, group, confidence)
    floor = mean_interval(constant, group, confidence)
    ceiling = ceiling_interval(targets, counts, group, confidence)
    top = 1.0 if ceiling is None else ceiling.value
    if top <= floor.value:
        raise ValueError(f"ceiling: {top:.4f}, allowed is above the floor, here {floor.value:.4f}")
    value = skill(cosine.value, floor.value, top)
    ceiling_moves = np.zeros(len(targets))
    if ceiling is not None:
        agreement = pair_agreement(targets, counts)
        several = np.isfinite(agreement)
        ceiling_moves[several] = (agreement[several] - top**2) / (2.0 * top) / several.mean()
    floor_moves = constant - floor.value
    moves = cosines - cosine.value - floor_moves - value * (ceiling_moves - floor_moves)
    skill_estimate = linear_interval(value, moves / (top - floor.value), group, confidence)
    return Limits(cosine, floor, ceiling, skill_estimate)


def ceiling_interval(
    targets: np.ndarray,
    counts: np.ndarray | None = None,
    group: np.ndarray | None = None,
    confidence: float = 0.95,
) -> Estimate | None:
    """The ceiling sqrt(E<z, z'>) with its interval; None where no item has two targets.

    The mean of <z, z'> over items is unbiased and gets the t interval, whose ends then go through the square
    root (cut at 0), so that nothing is linearised near 0. The root itself is low by about variance / (8
    ceiling^3).

    Parameters
    ----------
    targets : (n, m, d), item i has `counts[i]` targets (all m where None); items with one are left out.
    """
    value = ceiling_estimate(targets, counts)
    if value is None:
        return None
    agreement = pair_agreement(targets, counts)
    several = np.isfinite(agreement)
    square = mean_interval(agreement[several], group_numbers(group, len(targets))[several], confidence)
    return Estimate(value, _root(square.low), _root(square.high), confidence, square.groups)


def pair_agreement(targets: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Mean of <z, z'> over the pairs of different unit targets of each item, (n,); NaN where there are no
    two.

    The m targets of an item with sum S have |S|^2 = m + m (m - 1) mean<z, z'>.
    """
    total, counts = _target_sums(targets, counts)
    pairs = counts * (counts - 1.0)
    excess = np.square(total).sum(axis=1) - counts
    return np.divide(excess, pairs, out=np.full(len(total), np.nan), where=pairs > 0)


def population_floor(targets: np.ndarray, counts: np.ndarray | None = None, group: np.ndarray | None = None) -> float:
    """|E z|, the floor of an unlimited training set, estimated from this one.

    The length of a sample mean is too large: its square exceeds |E z|^2 by the trace of the mean's
    covariance. The products <z_i, z_j> of items of **different groups** have the expectation |E z|^2 exactly,
    so their mean is unbiased for the square (a U statistic); its root is returned, 0 where it is negative.

    Raises
    ------
    ValueError
        Fewer than two groups.
    """
    total, counts = _target_sums(targets, counts)
    labels = group_numbers(group, len(total))
    sizes = np.bincount(labels)
    if len(sizes) < 2:
        raise ValueError("group: 1 group, allowed are at least 2")
    sums = np.zeros((len(sizes), total.shape[1]))
    np.add.at(sums, labels, total / counts[:, None])
    across = np.square(sums.sum(axis=0)).sum() - np.square(sums).sum()
    return _root(across / (sizes.sum() ** 2 - np.square(sizes).sum()))


def skill(cosine: float, floor: float, ceiling: float) -> float:
    """(cosine - floor) / (ceiling - floor): 0 for the constant, 1 at the ceiling; ValueError if they meet."""
    if ceiling == floor:
        raise ValueError(f"ceiling: {ceiling}, allowed is a value that differs from the floor {floor}")
    return (cosine - floor) / (ceiling - floor)


def sampling_law(length: ArrayLike, samples: ArrayLike) -> np.ndarray:
    r"""Expected cosine with z of the mean of K perfect samples of p(z|c), where |E[z|c]| = m.

    m^2 / sqrt(m^2 + (1 - m^2) / K): one sample scores m^2, and the limit is the conditional mean's own m. The
    numerator is E<z, mean> and the radicand E|mean|^2, both exactly. Their ratio is the expected cosine for K
    = 1, where every length is 1, and for K to infinity; between these it neglects that the length of a mean
    varies, which fades as the dimension grows.

    Parameters
    ----------
    length : m, in (0, 1].
    samples : K >= 1, broadcast against m; infinity is allowed.
    """
    length, samples = np.asarray(length, dtype=np.float64), np.asarray(samples, dtype=np.float64)
    if not ((length > 0.0) & (length <= 1.0)).all():
        raise ValueError(f"length: {length}, allowed is above 0 and at most 1")
    if not (samples >= 1.0).all():
        raise ValueError(f"samples: {samples}, allowed is at least 1")
    square = np.square(length)
    return square / np.sqrt(square + (1.0 - square) / samples)


def _target_sums(targets: np.ndarray, counts: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the unit targets of each item, (n, d), and how many there are, (n,)."""
    targets = targets[:, None] if targets.ndim == 2 else targets
    counts = np.full(len(targets), targets.shape[1]) if counts is None else np.asarray(counts)
    present = np.arange(targets.shape[1]) < counts[:, None]
    total = np.zeros((len(targets), targets.shape[2]))
    np.add.at(total, np.nonzero(present)[0], unit(targets[present]))
    return total, counts


def _root(square: float) -> float:
    """Square root, 0 for a negative number; NaN stays NaN."""
    return 0.0 if square < 0.0 else float(np.sqrt(square))
