"""Certificates: what held-out pairs guarantee about a translator, and what they say of the bound's premises.

Statements, by what they need:

* independent pairs, no more (`analysis.theory.distribution_free`): P(cos(z, zhat) >= alpha) is at least a number;
  and the whole survival curve P(cos >= x) lies in a band;
* the parts zhat = p + gamma f as well (`analysis.theory.premises`, `analysis.theory.dominance`): the bound is
  refuted or not; so is the probability of a uniform direction in the exact geometry of the pairs; and the trained
  alignment dominates the uniform law, or does not;
* the cosines that a calibrated translator expects, in place of the parts (`analysis.theory.reliability.Expectation`):
  do they come true on average? Its residual has weight 0 in the translation, and the bound nothing to say of it.

**Multiplicity.** Each of the two, three, or five, statements is at confidence 1 - (1 - confidence) / (their number),
so that all are right together with probability at least `confidence` (Bonferroni).

**Independence.** Captions of one item and items of one group are not independent. One item is drawn of each
group, and one caption of each item: N is the number of groups, and the probability certified is that for a
random group, a random item of it and a random caption of that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.theory.arrays import fraction, matrix, row_cosine, rows_agree, vector
from analysis.theory.distribution_free import SurvivalBand, lower_limit, survival_band
from analysis.theory.intervals import group_numbers
from analysis.theory.premises import TESTS, Parts, Premises, measure_premises
from analysis.theory.reliability import Expectation, judge_expectation

if TYPE_CHECKING:
    from modtrans_core.translator import Translator

    from modtrans_core.pairs import PairedEmbeddings

QUANTILES = (0.5, 0.9)  # shares of pairs for which a certificate quotes the guaranteed cosine


@dataclass(frozen=True)
class Certificate:
    """What N independent held-out pairs say about P(cos(z, zhat) >= alpha); `text()` is for reading.

    Attributes
    ----------
    alpha, confidence : float
        The cosine asked for, and the probability that every statement here is right.
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
    premises : Premises or None
        The bound and its premises; None where only cosines were given.
    expectation : Expectation or None
        Whether the expected cosines come true; None where there are none.
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
    projection, direction : p and f, (n, d); f of unit length.
    gamma : at least 0; one number or (n,).
    target : z, (n, d), or (n, m, d) with `counts` (n,) where items have several; of any length, d at least 3.
    alpha : cosine to be reached, in [-1, 1].
    confidence : that all statements are right, in (0, 1).
    group : (n,) labels of items that are not independent of each other; None: all are.
    rng : draws one item a group and one caption an item; needed where there is more than one to draw from.

    Raises
    ------
    ValueError
        Bad shapes or values, or rng missing.
    """
    target = np.asarray(target)
    if target.ndim == 3:
        target = _one_caption(target, counts, rng)
    rows = _one_of_each(group, len(target), rng)
    rows_agree(projection=np.asarray(projection), direction=np.asarray(direction), target=target)
    gamma = np.broadcast_to(gamma, len(target))[rows]
    parts = Parts.of(np.asarray(projection)[rows], np.asarray(direction)[rows], gamma, target[rows])
    return _certificate(parts.cosine, alpha, confidence, len(target), parts)


def certify_translator(
    translator: Translator,
    pairs: PairedEmbeddings,
    alpha: float,
    confidence: float = 0.95,
    *,
    rng: np.random.Generator | None = None,
) -> Certificate:
    """Certify a trained translator on held-out pairs: one condition, one target an item, one item a group.

    A calibrated translator's residual is no part of its translation: of that one the observed cosines are certified,
    and whether the cosines that it expects come true.

    Parameters
    ----------
    rng : draws them; None: a generator with seed 0, so that two calls agree.
    alpha, confidence : as for `certify`.

    Raises
    ------
    ValueError
        Pairs of other modalities, dimensions or encoders than the translator's, a translator whose translation of an
        item depends on the items beside it, and as for `certify`.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    translator.check(pairs)
    normalisation = translator.config.sampling.normalisation
    if normalisation != "row":
        raise ValueError(f"sampling.normalisation: {normalisation!r}, a certificate needs 'row' (independent items)")
    condition, item = pairs.rows(translator.source)
    condition = condition[_one_of_each(item, len(item), rng)]
    target, counts = pairs.modality(translator.target), pairs.counts.get(translator.target)
    if translator.config.lift.landmarks:
        target = target if target.ndim == 2 else _one_caption(target, counts, rng)
        cosine = row_cosine(matrix("translation", translator.translate(condition)), matrix("target", target))
        expected = translator.expected_cosine(condition)
        return certify_cosines(cosine, alpha, confidence, expected=expected, group=pairs.labels, rng=rng)
    projection, direction, gamma = translator.parts(condition)
    return certify(projection, direction, gamma, target, alpha, confidence, counts=counts, group=pairs.labels, rng=rng)


def certify_cosines(
    cosine: np.ndarray,
    alpha: float,
    confidence: float = 0.95,
    *,
    expected: np.ndarray | None = None,
    group: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> Certificate:
    """Certify held-out cosines (n,) of any translator, without the bound; arguments as for `certify`.

    Parameters
    ----------
    expected : (n,) what the translator expected these cosines to be, 0 to 1; None: it does not say. With them rng is
        needed, to bet on the pairs in a random order.
    """
    cosine = vector("cosine", cosine)
    rows = _one_of_each(group, len(cosine), rng)
    if expected is None:
        return _certificate(cosine[rows], alpha, confidence, len(cosine))
    expected = vector("expected", expected)
    rows_agree(cosine=cosine, expected=expected)
    rows = _needed(rng, "expected cosines are given").permutation(rows)
    return _certificate(cosine[rows], alpha, confidence, len(cosine), expected=expected[rows])


def _certificate(
    cosine: np.ndarray,
    alpha: float,
    confidence: float,
    rows: int,
    parts: Parts | None = None,
    expected: np.ndarray | None = None,
) -> Certificate:
    if not -1.0 <= alpha <= 1.0:
        raise ValueError(f"alpha: {alpha}, allowed is -1 to 1")
    statements = 2 + (TESTS if parts is not None else 0) + (1 if expected is not None else 0)
    level = (1.0 - fraction("confidence", confidence)) / statements
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
        premises=None if parts is None else measure_premises(parts, alpha, level),
        expectation=None if expected is None else judge_expectation(expected, cosine, 1.0 - level),
    )


def _one_of_each(group: np.ndarray | None, n: int, rng: np.random.Generator | None) -> np.ndarray:
    """One row of each group, uniformly; all rows where every row is its own group."""
    labels = group_numbers(group, n)
    if labels.max() + 1 == n:
        return np.arange(n)
    order = _needed(rng, "rows come in groups").permutation(n)
    return np.sort(order[np.unique(labels[order], return_index=True)[1]])


def _one_caption(target: np.ndarray, counts: np.ndarray | None, rng: np.random.Generator | None) -> np.ndarray:
    """One of the targets of each item, (n, d), uniformly."""
    n, m, _ = target.shape
    counts = np.full(n, m) if counts is None else np.asarray(counts)
    if counts.shape != (n,) or counts.min() < 1 or counts.max() > m:
        raise ValueError(f"counts: shape {counts.shape}, allowed are ({n},) numbers from 1 to {m}")
    return target[np.arange(n), _needed(rng, "items have several targets").integers(counts)]


def _needed(rng: np.random.Generator | None, why: str) -> np.random.Generator:
    if rng is None:
        raise ValueError(f"rng: none, allowed is a numpy.random.Generator where {why}")
    return rng


def _level(cosine: float) -> str:
    return f"{cosine:.4f}" if cosine > -1.0 else "-1 (these pairs are too few for more)"
