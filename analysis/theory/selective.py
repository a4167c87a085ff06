r"""Which translations may be used: those with a score so high that few of them miss.

A translation is **accepted** where its score, such as the cosine that its translator expects, is at least a threshold
t. It **misses** where cos(z, zhat) < alpha. The **risk** of t is the probability that an accepted one misses,

    R(t) = E(accepted pairs that miss) / E(accepted pairs),                                                         (1)

over a random pair of a random item, or over a random pair of a random item of a random group, as in
`analysis.theory.certify`. Which risk r is small enough is said beforehand, and so is alpha.

**One threshold.** H_t: R(t) > r is tested at a level d.

* Where each group is one pair: of n accepted ones f miss, and given n their number is binomial. H_t is rejected where
  P(Binomial(n, r) <= f) <= d.
* Elsewhere by the bets of `analysis.theory.betting` against the share 1 - r that reaches alpha, on the accepted pairs
  of each group alone. For groups, these are divided by the number of all its items.

**Many thresholds.** A list t_1 > t_2 > ... > t_m and shares w_1 + ... + w_m = 1 of the level delta = 1 - confidence are
fixed without the pairs, and H_j is tested at the level

    d_j = w_j delta + (d_{j-1} where H_{j-1} was rejected, else 0).                                                 (2)

With probability `confidence` or more, no H_j that is true is rejected, so that every threshold whose hypothesis was
rejected has a risk of at most r, the lowest of them too. Proof: let j be the first true hypothesis that is rejected,
and i < j the true one before it. H_i was not rejected, so that d_j <= delta (w_{i+1} + ... + w_j), a number that was
fixed beforehand. What is rejected at one level is so at every higher one; the bets have the stakes of delta at all of
them. The sums, over all true hypotheses, add up to delta or less. This is the fallback procedure [1]_;
with w = (1, 0, ..., 0) it is a fixed sequence, as in Learn then Test [2]_, section 4.

The thresholds are the hundredths. The shares are equal at a few **starts** and 0 elsewhere. The first hypotheses of a
fixed sequence must not be hopeless: high thresholds accept too few pairs for any rejection. A start is a guess of where
that ends. An expected cosine that comes true on average suffices somewhere above alpha, so that the starts are alpha
and steps above it, unless others are known from earlier pairs.

Neither may be quantiles of the certified pairs' own scores. Which true hypothesis is the first would then depend on how
many pairs lie above it, and the sums in the proof would not be fixed.

References
----------
.. [1] B. L. Wiens and A. Dmitrienko, The fallback procedure for evaluating a single family of hypotheses, Journal of
   Biopharmaceutical Statistics 15 (2005).
.. [2] A. N. Angelopoulos, S. Bates, E. J. Candes, M. I. Jordan and L. Lei, Learn then test: calibrating predictive
   algorithms to achieve risk control, arXiv:2110.01052.
.. [3] Y. Geifman and R. El-Yaniv, Selective classification for deep neural networks, arXiv:1705.08500.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import bdtr

from analysis.theory.arrays import Floats, fraction, number, shared, vector, written
from analysis.theory.betting import boldness, reaches
from analysis.theory.certify import Observed
from analysis.theory.words import at_most, given

THRESHOLDS = tuple(hundredths / 100 for hundredths in range(99, 0, -1))
"""that are tested, from the highest start down"""
STARTS = (0.30, 0.25, 0.20, 0.15, 0.10, 0.05, 0.0)
"""above alpha"""
HALVINGS = 16  # of the interval of a risk's limit


@dataclass(frozen=True)
class Selection:
    """Which translations may be used.

    Attributes
    ----------
    of : str
        The population, "items" or "groups".
    alpha, risk, confidence : float
        With probability `confidence`, at most `risk` of the accepted translations miss alpha.
    threshold : float, optional
        They are accepted where the expected cosine is at least this; None: no threshold is certain enough.
    nearest : float, optional
        Without a threshold, the start that was nearest to being one; None where the starts accept nothing.
    enough : float, optional
        For a risk of so much, these pairs would have been enough there.
    coverage : float
        The share that the threshold accepts here, or the nearest one would; 0 without either.
    missed : float, optional
        The share of these that misses here; None where nothing is accepted.
    accepted : int
        How many items these are.
    """

    of: str
    alpha: float
    risk: float
    confidence: float
    threshold: float | None
    nearest: float | None
    enough: float | None
    coverage: float
    missed: float | None
    accepted: int

    def lines(self) -> list[str]:
        """In plain words."""
        if self.of == "items":
            lines = [
                f"Which translations may be used, if at most {given(100.0 * self.risk)}% of those may miss a cosine of"
                f" {given(self.alpha)}?"
            ]
            those, none, whose = "Those", "None", "of the items held out"
        else:
            lines, begin = [], "If each group counts once:"
            those, none, whose = f"{begin} those", f"{begin} none", "of those held out"
        if self.threshold is not None:
            return [
                *lines,
                f"  {those} with an expected cosine of at least {given(self.threshold)}. These are"
                f" {self.coverage:.2%} {whose}. Of these {self.missed:.2%} miss.",
            ]
        lines.append(f"  {none}, no expected cosine is known to be high enough.")
        if self.nearest is not None and self.enough is not None:
            lines.append(
                f"  Nearest to it is {given(self.nearest)}. It accepts {self.coverage:.2%} {whose},"
                f" {self.accepted:,} items. Of these {self.missed:.2%} miss. Guaranteed is only that at most"
                f" {at_most(self.enough, 2, percent=True)} of new ones do. For less, take more independent items."
                " Or ask for a lower cosine, of items that nobody has looked at."
            )
        return lines


def select(
    observed: Observed,
    alpha: float,
    confidence: float = 0.95,
    *,
    risk: float,
    of: str = "items",
    starts: Sequence[float] | None = None,
) -> Selection:
    """The lowest threshold of the expected cosine above which few enough translations miss.

    Parameters
    ----------
    observed : Observed
        Held-out pairs with `expected` cosines, or any other scores from 0 to 1 of their conditions.
    alpha : float
        Cosine to be reached, in [-1, 1]. It was chosen before these pairs were looked at.
    confidence : float
        In (0, 1).
    risk : float
        r, the share of accepted translations that may miss, in (0, 1).
    of : str
        The population, "items" or "groups".
    starts : sequence of float, optional
        Thresholds to begin at, above 0 and at most 1, chosen without these pairs; the fewer, the better if they are
        good. None: `STARTS` above alpha.

    Returns
    -------
    Selection
        The threshold, if there is one, and what it accepts here.

    Raises
    ------
    ValueError
        alpha, confidence, risk or a start outside its range, another population, pairs without expected cosines.

    Examples
    --------
    >>> expected = np.linspace(0.2, 0.9, 400)
    >>> cosine = expected + np.tile([0.1, -0.1], 200)
    >>> found = select(Observed.of(cosine, expected=expected), 0.5, 0.95, risk=0.2)
    >>> print(found.threshold, round(found.coverage, 3), round(found.missed, 3))
    0.47 0.615 0.15
    """
    risk, confidence = fraction("risk", risk), fraction("confidence", confidence)
    alpha = number("alpha", alpha, low=-1.0, high=1.0)
    pairs = _scored(observed, alpha, of)
    begin = _starts(alpha, starts)
    level, each = 1.0 - confidence, 1.0 - shared(confidence, len(begin))
    chosen, carried = None, 0.0
    for threshold in sorted({*begin, *(t for t in THRESHOLDS if t < max(begin))}, reverse=True):
        carried += each if threshold in begin else 0.0  # (2)
        if carried > 0.0 and pairs.safe(threshold, risk, carried, level):
            chosen = threshold
        else:
            carried = 0.0
    shown, nearest, enough = chosen, None, None
    if chosen is None:
        limits = {t: pairs.limit(t, each, level) for t in begin if pairs.accepts(t).any()}
        if limits:
            nearest, enough = min(limits.items(), key=lambda one: one[1])
        shown = nearest
    coverage, missed = (0.0, None) if shown is None else pairs.observed(shown)
    accepted = 0 if shown is None else len(np.unique(observed.item[pairs.accepts(shown)]))
    return Selection(
        of=of,
        alpha=alpha,
        risk=risk,
        confidence=confidence,
        threshold=chosen,
        nearest=nearest,
        enough=enough,
        coverage=coverage,
        missed=missed,
        accepted=accepted,
    )


class RiskCurve(NamedTuple):
    """Risk against coverage, one entry a threshold that accepts something and not the same as the one before.

    Attributes
    ----------
    threshold, coverage, missed : (T,) arrays
        As in `Selection`, from high thresholds to low ones.
    high : (T,) array
        Upper limits of the risks, each at the confidence by itself.
    alpha, confidence : float
        Those that were given.
    """

    threshold: Floats
    coverage: Floats
    missed: Floats
    high: Floats
    alpha: float
    confidence: float


def risk_curve(observed: Observed, alpha: float, confidence: float = 0.95, *, of: str = "items") -> RiskCurve:
    """How the risk grows as more is accepted.

    Parameters
    ----------
    observed, alpha, of
        As for `select`.
    confidence : float
        Of each upper limit by itself, in (0, 1). A threshold that is read off the curve is not certified; `select`
        certifies one.

    Returns
    -------
    RiskCurve
        Shares observed, and their limits; of length 0 where no cosine of .01 or more is expected.

    Raises
    ------
    ValueError
        As for `select`.

    Examples
    --------
    >>> expected = np.linspace(0.2, 0.9, 400)
    >>> curve = risk_curve(Observed.of(expected - 0.1, expected=expected), 0.7)
    >>> print(curve.threshold[9], curve.coverage[9], round(curve.missed[9], 3), round(curve.high[9], 3))
    0.81 0.13 0.0 0.056
    """
    confidence = fraction("confidence", confidence)
    level = 1.0 - confidence
    alpha = number("alpha", alpha, low=-1.0, high=1.0)
    pairs = _scored(observed, alpha, of)
    rows = [(t, *pairs.observed(t), pairs.limit(t, level, level)) for t in THRESHOLDS if pairs.accepts(t).any()]
    table = np.array(rows).reshape(-1, 4)
    table = table[np.unique(table[:, 1], return_index=True)[1]]
    threshold, coverage, missed, high = table.T
    return RiskCurve(threshold, coverage, missed, high, alpha, confidence)


@dataclass(frozen=True)
class _Scored:
    """Pairs with their scores, and whether they reach alpha."""

    pairs: Observed
    score: Floats
    reached: Floats
    of: str
    binomial: bool

    def accepts(self, threshold: float) -> np.ndarray:
        """Which pairs (N,) are accepted."""
        return self.score >= threshold

    def observed(self, threshold: float) -> tuple[float, float]:
        """The share that is accepted, and the share of these that misses; something is accepted."""
        accepted = self.accepts(threshold)
        both = [self.pairs.of_items(values) for values in (accepted, accepted * (1.0 - self.reached))]
        coverage, missed = (float((self.pairs.of_groups(x) if self.of == "groups" else x).mean()) for x in both)
        return coverage, missed / coverage

    def safe(self, threshold: float, risk: float, level: float, whole: float) -> bool:
        """Whether H_t is rejected at the level, a part of the whole one, for which the stakes are best."""
        accepted = self.accepts(threshold)
        if not accepted.any():
            return False
        if self.binomial:
            return bool(bdtr((1.0 - self.reached[accepted]).sum(), accepted.sum(), risk) <= level)
        reached, counts = (self.pairs.of_items(x) for x in (accepted * self.reached, accepted))
        if self.of == "groups":
            sums, counts, largest, scale = self.pairs.of_groups(reached), self.pairs.of_groups(counts), 1, 1.0
        else:
            group, largest = self.pairs.group, self.pairs.largest_group
            scale = boldness(largest, self.pairs.sizes)
            sums, counts = (np.bincount(group, x).astype(np.float64) for x in (reached, counts))
        some = counts > 0.0
        return reaches(1.0 - risk, sums[some], counts[some], largest, 1.0 - level, scale, best_at=1.0 - whole)

    def limit(self, threshold: float, level: float, whole: float) -> float:
        """The least risk for which H_t is rejected, from above, or 1."""
        low, high = 0.0, 1.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2.0
            low, high = (low, middle) if self.safe(threshold, middle, level, whole) else (middle, high)
        return high


def _scored(observed: Observed, alpha: float, of: str) -> _Scored:
    """The pairs, if they have scores."""
    if of not in ("items", "groups"):
        raise ValueError(f"of: {of!r}, 'items' or 'groups' is needed")
    if observed.expected is None:
        raise ValueError("expected: none, expected cosines, or other scores, are needed to select by")
    single = observed.pairs == observed.items == observed.groups
    binomial = single and (of == "groups" or observed.largest_group == 1)
    return _Scored(observed, observed.expected, (observed.cosine >= alpha).astype(np.float64), of, binomial)


def _starts(alpha: float, starts: Sequence[float] | None) -> list[float]:
    """Those that were given, or else hundredths at and above alpha, as far as they are thresholds."""
    if starts is None:
        found = [t for t in (round(alpha + step, 2) for step in STARTS) if THRESHOLDS[-1] <= t <= THRESHOLDS[0]]
        return found or [THRESHOLDS[0] if alpha > 0.0 else THRESHOLDS[-1]]
    found = sorted(set(vector("starts", written("starts", starts)).tolist()))
    if not 0.0 < found[0] <= found[-1] <= 1.0:
        raise ValueError(f"starts: {found}, one or more above 0 and at most 1 are needed")
    return found
