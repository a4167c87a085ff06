r"""Floor, ceiling and skill of the cosine, with intervals.

For unit targets z of a condition c, and a prediction g(c) of them:

* the **floor** is the cosine of the best constant, which is the mean: it scores |E z|;
* the **ceiling** is an upper bound of every prediction's expected cosine,

      E cos(z, g(c)) <= E|E[z|c]| <= sqrt(E|E[z|c]|^2) = sqrt(E<z, z'>),                                             (1)

  for two targets z, z' that are independent given c, such as captions of one picture by two people. The last inequality
  is an equality only where |E[z|c]| is constant; four targets say how far from it one is (`mean_length_bracket`).
  Captions share the **picture**, not just its embedding c: this is the ceiling of the best possible encoder, which is
  no lower than that of this one. Captions that were chosen to differ from each other (synonyms, aliases) are not
  independent: of these the number is **no ceiling**, and predictions can be above it;
* the **skill** is (cosine - floor) / (ceiling - floor): 0 for the constant, and at most 1.

Point estimates are those of `modtrans_core.scores`, intervals those of `analysis.theory.confidence.mean_interval`.
Predictions and the training mean are held fixed: an interval covers new test groups, not new training runs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np

from analysis.theory.arrays import Floats, vector
from analysis.theory.confidence import Estimate, group_numbers, linear_interval, mean_interval
from modtrans_core.checks import refuse_unless
from modtrans_core.scores import ceiling as ceiling_estimate
from modtrans_core.scores import cosine as cosine_with_targets
from modtrans_core.vectors import unit_targets


@dataclass(frozen=True)
class Limits:
    """Cosine of a prediction, its floor, its ceiling (None where no item has two independent targets) and its skill.

    As in `modtrans_core.scores.score`, the skill is measured against 1 without a ceiling, and there is none where the
    ceiling is not above the floor.
    """

    cosine: Estimate
    floor: Estimate
    ceiling: Estimate | None
    skill: Estimate | None

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
    independent: bool = False,
) -> Limits:
    """Cosine, floor, ceiling and skill of a prediction on held-out items, each with its interval.

    Parameters
    ----------
    predicted : (n, d) array
        Of any length.
    targets : (n, d) or (n, m, d) array
        The targets of each item.
    training_mean : (d,) array
        Mean of the **training** targets, the constant that is the floor.
    counts : (n,) array, optional
        How many of the m targets each item has; None: all.
    group : (n,) array, optional
        Labels of items that are not independent of each other; None: every item is its own group.
    confidence : float
        In (0, 1).
    independent : bool
        Whether an item's targets are independent of each other given the item, as
        `modtrans_core.pairs.PairedEmbeddings.independent` says; else they have no ceiling.

    Returns
    -------
    Limits
        Four estimates.

    Raises
    ------
    ValueError
        Wrong shapes, a vector without direction, targets that are all the same.

    Notes
    -----
    The interval of the skill is the delta method on three means at once, whose errors are correlated since they share
    items. Let c, f and k be cosine, floor and ceiling. An item moves the skill by

        ((dc - df) - skill (dk - df)) / (k - f),   dk = d(k^2) / (2 k).                                              (2)

    Examples
    --------
    >>> from modtrans_core.vectors import unit
    >>> rng = np.random.default_rng(0)
    >>> mean = 0.5 + rng.standard_normal((500, 1, 8))
    >>> targets = unit(mean + 0.5 * rng.standard_normal((500, 3, 8)))
    >>> found = limits(targets[:, 0], targets[:, 1:], np.ones(8), independent=True)  # a third target as the prediction
    >>> print(*(round(estimate.value, 2) for estimate in (found.floor, found.cosine, found.ceiling, found.skill)))
    0.4 0.81 0.9 0.82
    """
    cosines, training_mean = cosine_with_targets(predicted, targets, counts), vector("training_mean", training_mean)
    shape = np.shape(predicted)
    refuse_unless(training_mean.shape == shape[1:], "training_mean", training_mean.shape, f"one vector {shape[1:]}")
    constant = np.zeros(shape[0])  # of a mean that is zero, and has no direction
    if training_mean.any():
        constant = cosine_with_targets(np.broadcast_to(training_mean, shape), targets, counts)
    cosine = mean_interval(cosines, group, confidence)
    floor = mean_interval(constant, group, confidence)
    ceiling = ceiling_interval(targets, counts, group, confidence) if independent else None
    top = 1.0 if ceiling is None else ceiling.value
    if ceiling is None and top <= floor.value:
        raise ValueError(f"targets: a constant has the cosine {floor.value:.4f} with them, different ones are needed")
    if top <= floor.value:  # targets that agree no more than with a constant, or by chance
        return Limits(cosine, floor, ceiling, None)
    value = skill(cosine.value, floor.value, top)
    ceiling_moves = np.zeros(len(targets))
    if ceiling is not None:
        agreement = pair_agreement(targets, counts)
        several = np.isfinite(agreement)
        ceiling_moves[several] = (agreement[several] - top**2) / (2.0 * top) / several.mean()
    floor_moves = constant - floor.value
    moves = cosines - cosine.value - floor_moves - value * (ceiling_moves - floor_moves)
    skill_estimate = linear_interval(value, moves / (top - floor.value), group, confidence)  # (2)
    return Limits(cosine, floor, ceiling, skill_estimate)


def ceiling_interval(
    targets: np.ndarray,
    counts: np.ndarray | None = None,
    group: np.ndarray | None = None,
    confidence: float = 0.95,
) -> Estimate | None:
    """The ceiling sqrt(E<z, z'>) with its interval; None where no item has two targets.

    Parameters
    ----------
    targets : (n, m, d) array
        Independent of each other given the item. Items that have one target are left out.
    counts, group, confidence
        As for `limits`.

    Returns
    -------
    Estimate or None
        The ceiling.

    Raises
    ------
    ValueError
        As for `limits`.

    Notes
    -----
    The mean of <z, z'> over items is unbiased and gets the interval of `mean_interval`. Its ends then go through the
    square root, cut at 0, so that nothing is linearised near 0. The root of the mean is too low by about
    variance / (8 ceiling^3).

    Examples
    --------
    >>> targets = np.array([[[1.0, 0.0], [0.6, 0.8]], [[0.0, 1.0], [0.0, 1.0]]])
    >>> print(round(ceiling_interval(targets).value, 4))  # the root of (.6 + 1) / 2
    0.8944
    """
    value = ceiling_estimate(targets, counts)
    if value is None:
        return None
    agreement = pair_agreement(targets, counts)
    several = np.isfinite(agreement)
    square = mean_interval(agreement[several], group_numbers(group, len(targets))[several], confidence)
    return Estimate(value, _root(square.low), _root(square.high), square.confidence, square.groups)


def pair_agreement(targets: np.ndarray, counts: np.ndarray | None = None) -> Floats:
    """Mean of <z, z'> over the pairs of different unit targets of each item, (n,); NaN where an item has one.

    The m targets of an item have a sum S with |S|^2 = m + m (m - 1) mean<z, z'>.
    """
    total, counts = _target_sums(targets, counts)
    pairs = counts * (counts - 1.0)
    excess = np.square(total).sum(axis=1) - counts
    return np.divide(excess, pairs, out=np.full(len(total), np.nan), where=pairs > 0)


class Bracket(NamedTuple):
    """E|m| of m = E[z|c], the cosine that the best prediction can expect, lies between these."""

    low: Estimate
    """sqrt(M2^3 / M4)"""
    high: Estimate
    """sqrt(M2), the ceiling"""


def mean_length_bracket(
    targets: np.ndarray,
    counts: np.ndarray | None = None,
    group: np.ndarray | None = None,
    confidence: float = 0.95,
) -> Bracket | None:
    """From below and above, the cosine that the best function of the item can expect; None without four targets.

    Parameters
    ----------
    targets : (n, m, d) array
        Independent of each other given the item. The items that have four or more are the population spoken of; the
        others are left out.
    counts, group, confidence
        As for `limits`; the confidence is that of each end by itself.

    Returns
    -------
    Bracket or None
        Both ends, of the same items. The lower one is 0 where an estimate of a moment is not positive, with an interval
        up to that of the upper one, and at most the upper one. Intervals of one group are NaN.

    Raises
    ------
    ValueError
        As for `limits`.

    Notes
    -----
    Let X = |m|, M2 = E X^2 = E<z, z'> and M4 = E X^4 = E<z1, z2><z3, z4> for four targets of an item. Hoelder's
    inequality with the exponents 3/2 and 3, E X^2 = E X^(2/3) X^(4/3) <= (E X)^(2/3) (E X^4)^(1/3), is

        sqrt(M2^3 / M4) <= E X <= sqrt(M2),                                                                          (3)

    an equality on both sides where X is constant. M2 and M4 are estimated without bias, by the means over the pairs,
    and over the pairs of disjoint pairs, of an item's targets (U statistics). With the products A_ij = <z_i, z_j> of
    different targets, their row sums r_i and their sum S, the sum over four different ones is

        sum A_ij A_kl = S^2 - 4 sum_i r_i^2 + 2 sum_ij A_ij^2.                                                       (4)

    The interval of the lower end is the delta method: an item moves its logarithm by 3/2 dM2 / M2 - 1/2 dM4 / M4.

    References
    ----------
    W. Hoeffding, A class of statistics with asymptotically normal distribution, Annals of Mathematical Statistics 19
    (1948).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> lengths = np.repeat([0.9, 0.3], 1000)[:, None]  # of E[z|c]; the best prediction scores their mean, .6
    >>> targets = np.where(rng.random((2000, 5)) < (1 + lengths) / 2, 1.0, -1.0)[..., None] * np.eye(2)[0]
    >>> found = mean_length_bracket(targets)
    >>> print(round(found.low.value, 2), round(found.high.value, 2))
    0.53 0.67
    """
    z, counts = unit_targets(targets, counts)
    several = counts >= 4
    if not several.any():
        return None
    z, m = z[several].astype(np.float64), counts[several].astype(np.float64)
    product = np.einsum("nid,njd->nij", z, z)
    product[:, np.arange(z.shape[1]), np.arange(z.shape[1])] = 0.0
    rows = product.sum(axis=2)
    total = rows.sum(axis=1)
    second = total / (m * (m - 1.0))
    fourth = np.square(total) - 4.0 * np.square(rows).sum(axis=1) + 2.0 * np.square(product).sum(axis=(1, 2))  # (4)
    fourth /= m * (m - 1.0) * (m - 2.0) * (m - 3.0)
    labels = group_numbers(group, len(targets))[several]
    square = mean_interval(second, labels, confidence)
    high = Estimate(_root(square.value), _root(square.low), _root(square.high), square.confidence, square.groups)
    M2, M4 = float(second.mean()), float(fourth.mean())
    if min(M2, M4) <= 0.0:
        return Bracket(Estimate(0.0, 0.0, high.high, square.confidence, square.groups), high)
    value = float(np.sqrt(M2**3 / M4))  # (3)
    low = linear_interval(value, value * (1.5 * (second / M2 - 1.0) - 0.5 * (fourth / M4 - 1.0)), labels, confidence)
    return Bracket(replace(low, value=min(value, high.value)), high)


def population_floor(targets: np.ndarray, counts: np.ndarray | None = None, group: np.ndarray | None = None) -> float:
    """|E z|, the floor of an unlimited training set, estimated from these targets.

    Parameters
    ----------
    targets, counts, group
        As for `limits`.

    Returns
    -------
    float
        The root of an unbiased estimate of |E z|^2, 0 where that is negative.

    Raises
    ------
    ValueError
        Fewer than two groups.

    Notes
    -----
    The length of a sample mean is too large: its square exceeds |E z|^2 by the trace of the mean's covariance. The
    products <z_i, z_j> of items of **different groups** have the expectation |E z|^2 exactly. Their mean, a U
    statistic, is therefore unbiased for the square.

    Examples
    --------
    >>> targets = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # one of the three pairs agrees
    >>> print(round(population_floor(targets), 4), round(float(np.linalg.norm(targets.mean(axis=0))), 4))
    0.5774 0.7454
    """
    total, counts = _target_sums(targets, counts)
    labels = group_numbers(group, len(total))
    sizes = np.bincount(labels)
    if len(sizes) < 2:
        raise ValueError("group: 1 group, at least 2 are needed")
    sums = np.zeros((len(sizes), total.shape[1]))
    np.add.at(sums, labels, total / counts[:, None])
    across = np.square(sums.sum(axis=0)).sum() - np.square(sums).sum()
    return _root(across / (sizes.sum() ** 2 - np.square(sizes).sum()))


def skill(cosine: float, floor: float, ceiling: float) -> float:
    """(cosine - floor) / (ceiling - floor): 0 for the constant, 1 at the ceiling; ValueError where these are equal."""
    if ceiling == floor:
        raise ValueError(f"ceiling: {ceiling}, a value that differs from the floor {floor} is needed")
    return (cosine - floor) / (ceiling - floor)


def _target_sums(targets: np.ndarray, counts: np.ndarray | None) -> tuple[Floats, np.ndarray]:
    """Sum of the unit targets of each item, (n, d), and how many there are, (n,)."""
    z, counts = unit_targets(targets, counts)
    return z.sum(1, dtype=np.float64), counts


def _root(square: float) -> float:
    """Square root, 0 for a negative number; NaN stays NaN."""
    return 0.0 if square < 0.0 else float(np.sqrt(square))
