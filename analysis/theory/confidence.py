"""What needs no premise but independent pairs: a binomial limit, and a band for a whole survival curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.theory.arrays import cosines, fraction


def lower_limit(successes: int, trials: int, confidence: float = 0.95) -> float:
    """One-sided lower limit of a probability (Clopper and Pearson 1934), covering with at least `confidence`.

    The p at which P(Binomial(trials, p) >= successes) = 1 - confidence; 0 for no success.

    Raises
    ------
    ValueError
        successes outside 0..trials, no trial, a confidence outside (0, 1).
    """
    fraction("confidence", confidence)
    if not (trials >= 1 and 0 <= successes <= trials):
        raise ValueError(f"successes: {successes} of {trials}, allowed is 0 to trials, and trials at least 1")
    if successes == 0:
        return 0.0
    return float(stats.beta.ppf(1.0 - confidence, successes, trials - successes + 1))


@dataclass(frozen=True)
class SurvivalBand:
    """Observed P(cos >= x), and a band that holds the true curve at all x with probability `confidence`.

    Attributes
    ----------
    cosine : (N,)
        The observed cosines, ascending.
    half_width : float
        sqrt(log(2 / (1 - confidence)) / (2 N)): Dvoretzky, Kiefer and Wolfowitz (1956), Massart (1990).
    confidence : float
    """

    cosine: np.ndarray
    half_width: float
    confidence: float

    def observed(self, x: np.ndarray) -> np.ndarray:
        """Share of cosines that are at least x."""
        return 1.0 - np.searchsorted(self.cosine, x, side="left") / len(self.cosine)

    def low(self, x: np.ndarray) -> np.ndarray:
        """Lower edge of the band at x, at least 0."""
        return np.maximum(self.observed(x) - self.half_width, 0.0)

    def high(self, x: np.ndarray) -> np.ndarray:
        """Upper edge of the band at x, at most 1."""
        return np.minimum(self.observed(x) + self.half_width, 1.0)

    def guaranteed_cosine(self, q: float) -> float:
        """Largest alpha with P(cos >= alpha) >= q guaranteed by the band; -1 where there is none."""
        fraction("q", q)
        reachable = self.cosine[self.low(self.cosine) >= q]
        return float(reachable[-1]) if reachable.size else -1.0


def survival_band(cosine: np.ndarray, confidence: float = 0.95) -> SurvivalBand:
    """The band of independent cosines (N,). ValueError for bad cosines or a confidence outside (0, 1)."""
    cosine = cosines("cosine", cosine)
    half_width = np.sqrt(np.log(2.0 / (1.0 - fraction("confidence", confidence))) / (2.0 * len(cosine)))
    return SurvivalBand(cosine, float(half_width), confidence)
