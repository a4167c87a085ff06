"""Certificates: what held-out pairs guarantee about a translator, and what they say of the bound's premises.

Which statements a certificate makes depends on what is known of the translations.

* The cosines alone (`analysis.theory.confidence`): P(cos(z, zhat) >= alpha) is at least a number, and the whole
  survival curve P(cos >= x) lies in a band.
* The parts of zhat = p + gamma f as well (`analysis.theory.premises`, `analysis.theory.dominance`): the bound is
  refuted or not, the probability of a uniform direction in the exact geometry of the pairs is refuted or not, and the
  trained alignment dominates the uniform one or does not.
* The cosines that the translator expects, in place of the parts (`analysis.theory.reliability`): they come true on
  average or do not.

**Multiplicity.** Each of the two, three or five statements is at confidence 1 - (1 - confidence) / (their number), so
that all are right together with probability `confidence` or more (Bonferroni).

**Independence.** Captions of one item and items of one group are not independent. One item is drawn of each group,
and one caption of each item: N is the number of groups, and the probability certified is the one for a random group,
a random item of it and a random caption of that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.theory.arrays import Floats, fraction, rows_agree, vector
from analysis.theory.confidence import SurvivalBand, group_numbers, lower_limit, survival_band
from analysis.theory.premises import TESTS, Premises, TranslatedPairs, measure_premises
from analysis.theory.reliability import Expectation, judge_expectation

QUANTILES = (0.5, 0.9)  # shares of pairs for which a certificate quotes the guaranteed cosine


@dataclass(frozen=True)
class Certificate:
    """What N independent held-out pairs say of P(cos(z, zhat) >= alpha); `text()` is for reading, `to_dict()` for JSON.

    Attributes
    ----------
    alpha, confidence : float
        The cosine asked for, and the probability with which every statement here is right.
    each : float
        Confidence of each single statement.
    rows, pairs : int
        Rows given, and N, the independent pairs drawn from them.
    successes : int
        Pairs with cos >= alpha.
    lower_limit : float
        P(cos >= alpha) is at least this.
    band : SurvivalBand
        The whole curve.
    premises : Premises, optional
        The bound and its premises; None where only cosines were given.
    expectation : Expectation, optional
        Whether the expected cosines come true; None where there are none.
    left_out : int
        Rows that were given but are not of these, since the translator was fitted to them.
    """

    alpha: float
    confidence: float
    each: float
    rows: int
    pairs: int
    successes: int
    lower_limit: float
    band: SurvivalBand
    premises: Premises | None
    expectation: Expectation | None = None
    left_out: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; of the band its half width and the cosines guaranteed to `QUANTILES`."""
        plain = {name: value for name, value in vars(self).items() if name not in ("band", "premises", "expectation")}
        return plain | {
            "observed": self.successes / self.pairs,
            "band_half_width": self.band.half_width,
            "guaranteed_cosine": {str(q): self.band.guaranteed_cosine(q) for q in QUANTILES},
            "premises": None if self.premises is None else asdict(self.premises),
            "expectation": None if self.expectation is None else asdict(self.expectation),
        }

    def text(self) -> str:
        """The certificate in plain words, one statement a line."""
        half, most = (_level(self.band.guaranteed_cosine(q)) for q in QUANTILES)
        lines = [
            f"{self.pairs} independent held-out pairs, of {self.rows} rows. With confidence"
            f" {self.confidence:.4g} all of this is right.",
            *([f"{self.left_out} rows left out, as the translator was fitted to them."] if self.left_out else []),
            "Guaranteed, whatever the translator is:",
            f"  P(cos >= {self.alpha:.4g}) is at least {self.lower_limit:.4f}; observed is"
            f" {self.successes / self.pairs:.4f}.",
            f"  Half of all pairs reach a cosine of {half}, nine in ten {most};"
            f" the true curve is within {self.band.half_width:.4f} of the observed one.",
        ]
        if self.premises is not None:
            lines += self.premises.lines(self.lower_limit)
        if self.expectation is not None:
            lines += self.expectation.lines()
        return "\n".join(lines)


def certify(
    projection: np.ndarray,
    direction: np.ndarray,
    gamma: ArrayLike,
    target: np.ndarray,
    alpha: float,
    confidence: float = 0.95,
    *,
    counts: np.ndarray | None = None,
    group: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> Certificate:
    """Certify translations zhat = p + gamma f of held-out pairs, with the bound and its premises.

    Parameters
    ----------
    projection, direction : (n, d) arrays
        p of any length, f of unit length; d is at least 3.
    gamma : array_like
        One number, or (n,); at least 0.
    target : (n, d) or (n, m, d) array
        z, of any length.
    alpha : float
        Cosine to be reached, in [-1, 1].
    confidence : float
        Probability with which all statements are right, in (0, 1).
    counts : (n,) array, optional
        How many of the m targets each item has; None: all.
    group : (n,) array, optional
        Labels of items that are not independent of each other; None: all are.
    rng : numpy.random.Generator, optional
        Draws one item of each group and one target of each item; needed where there is more than one to draw from.

    Returns
    -------
    Certificate
        With `premises`.

    Raises
    ------
    ValueError
        Bad shapes or values, or no rng where it is needed.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z, f = rng.standard_normal((2, 500, 8))
    >>> f /= np.linalg.norm(f, axis=1, keepdims=True)
    >>> certificate = certify(0.2 * z, f, 0.5, z, alpha=0.5)
    >>> print(round(certificate.lower_limit, 3), round(certificate.premises.exact.probability, 3))
    0.849 0.895
    """
    target = np.asarray(target)
    if target.ndim == 3:
        target = one_target(target, counts, rng)
    rows = one_of_each(group, len(target), rng)
    rows_agree(projection=np.asarray(projection), direction=np.asarray(direction), target=target)
    gamma = np.broadcast_to(gamma, len(target))[rows]
    pairs = TranslatedPairs.of(np.asarray(projection)[rows], np.asarray(direction)[rows], gamma, target[rows])
    return _certificate(pairs.cosine, alpha, confidence, len(target), pairs)


def certify_cosines(
    cosine: ArrayLike,
    alpha: float,
    confidence: float = 0.95,
    *,
    expected: ArrayLike | None = None,
    group: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> Certificate:
    """Certify held-out cosines of any translator, without the bound.

    Parameters
    ----------
    cosine : (n,) array_like
        cos(z, zhat) of each row.
    alpha, confidence, group
        As for `certify`.
    expected : (n,) array_like, optional
        The cosines that the translator expected, 0 to 1; None: it expects none.
    rng : numpy.random.Generator, optional
        Draws one item of each group, and the order in which expected cosines are bet on; needed for either.

    Returns
    -------
    Certificate
        With `expectation` where expected cosines are given.

    Raises
    ------
    ValueError
        Bad shapes or values, or no rng where it is needed.

    Examples
    --------
    >>> certificate = certify_cosines(np.linspace(0.4, 0.8, 100), alpha=0.5)
    >>> print(certificate.successes, round(certificate.lower_limit, 3))
    75 0.653
    """
    cosine = vector("cosine", cosine)
    rows = one_of_each(group, len(cosine), rng)
    if expected is None:
        return _certificate(cosine[rows], alpha, confidence, len(cosine))
    expected = vector("expected", expected)
    rows_agree(cosine=cosine, expected=expected)
    rows = _needed(rng, "expected cosines are given").permutation(rows)
    return _certificate(cosine[rows], alpha, confidence, len(cosine), expected=expected[rows])


def one_of_each(group: ArrayLike | None, n: int, rng: np.random.Generator | None) -> np.ndarray:
    """One of the n rows of each group, uniformly, in ascending order; all rows where every row is its own group."""
    labels = group_numbers(group, n)
    if labels.max() + 1 == n:
        return np.arange(n)
    order = _needed(rng, "rows come in groups").permutation(n)
    return np.sort(order[np.unique(labels[order], return_index=True)[1]])


def one_target(target: np.ndarray, counts: np.ndarray | None, rng: np.random.Generator | None) -> np.ndarray:
    """One of the targets (n, m, d) of each item, (n, d), uniformly; item i has counts[i] of them."""
    n, m, _ = target.shape
    counts = np.full(n, m) if counts is None else np.asarray(counts)
    if counts.shape != (n,) or counts.min() < 1 or counts.max() > m:
        raise ValueError(f"counts: shape {counts.shape}, ({n},) numbers from 1 to {m} are needed")
    return target[np.arange(n), _needed(rng, "items have several targets").integers(counts)]


def _certificate(
    cosine: Floats,
    alpha: float,
    confidence: float,
    rows: int,
    pairs: TranslatedPairs | None = None,
    expected: Floats | None = None,
) -> Certificate:
    """The certificate of independent cosines, and of what else is known of them."""
    if not -1.0 <= alpha <= 1.0:
        raise ValueError(f"alpha: {alpha}, -1 to 1 is needed")
    statements = 2 + (TESTS if pairs is not None else 0) + (1 if expected is not None else 0)
    level = (1.0 - fraction("confidence", confidence)) / statements  # Bonferroni
    successes = int((cosine >= alpha).sum())
    return Certificate(
        alpha=float(alpha),
        confidence=float(confidence),
        each=1.0 - level,
        rows=rows,
        pairs=len(cosine),
        successes=successes,
        lower_limit=lower_limit(successes, len(cosine), 1.0 - level),
        band=survival_band(cosine, 1.0 - level),
        premises=None if pairs is None else measure_premises(pairs, alpha, level),
        expectation=None if expected is None else judge_expectation(expected, cosine, 1.0 - level),
    )


def _needed(rng: np.random.Generator | None, why: str) -> np.random.Generator:
    if rng is None:
        raise ValueError(f"rng: none, a numpy.random.Generator is needed where {why}")
    return rng


def _level(cosine: float) -> str:
    return f"{cosine:.4f}" if cosine > -1.0 else "-1 (these pairs are too few for more)"
