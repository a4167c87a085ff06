"""What needs no premise but independent pairs: limits of a probability and of a mean, a band for a survival curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from analysis.theory.arrays import cosines, fraction, vector

BOLDEST = 0.75  # share of the wealth that a bet on a mean risks at most


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


def betting_interval(
    values: np.ndarray, lowest: float, highest: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Two-sided interval of the mean of independent values (N,), covering with at least `confidence`.

    A gambler bets against each mean m in turn: a wealth that begins at 1 and is multiplied by 1 + b_i (x_i - m) is fair
    if m is the mean, and reaches 2 / (1 - confidence) with probability (1 - confidence) / 2 at most (Ville 1939). The
    stakes b_i follow the spread of the values before the i-th (Waudby-Smith and Ramdas, arXiv:2010.09686).
    The order of the values matters little, but must not depend on them.

    Parameters
    ----------
    lowest, highest : what the values can be.

    Raises
    ------
    ValueError
        A value outside [lowest, highest], a confidence outside (0, 1).
    """
    values = vector("values", values)
    if not (lowest <= values.min() and values.max() <= highest and lowest < highest):
        raise ValueError(f"values: {values.min()} to {values.max()}, allowed is {lowest} to {highest}")
    wealth = np.log(2.0 / (1.0 - fraction("confidence", confidence)))
    x = (values - lowest) / (highest - lowest)
    low, high = _lowest_mean(x, wealth), 1.0 - _lowest_mean(1.0 - x, wealth)
    return lowest + (highest - lowest) * low, lowest + (highest - lowest) * high


def _lowest_mean(x: np.ndarray, wealth: float) -> float:
    """Means of x (N,) in [0, 1] below this are refuted: the log wealth of bets on more reaches `wealth`."""
    seen = np.arange(1, len(x) + 1)
    mean = (0.5 + x.cumsum()) / (seen + 1)
    variance = (0.25 + np.square(x - mean).cumsum()) / (seen + 1)
    before = np.concatenate([[0.25], variance[:-1]])
    stake = np.sqrt(2.0 * wealth / (len(x) * before))

    def surplus(m: float) -> float:
        return float(np.log1p(np.minimum(stake, BOLDEST / m) * (x - m)).cumsum().max()) - wealth

    least = 1e-9
    return float(brentq(surplus, least, 1.0)) if surplus(least) > 0.0 else 0.0
