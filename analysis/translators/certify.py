"""The certificate of a translator on held-out pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.theory.arrays import matrix, row_cosine
from analysis.theory.certify import Certificate, certify, certify_cosines, one_of_each, one_target

if TYPE_CHECKING:
    from modtrans_core.pairs import PairedEmbeddings
    from modtrans_core.translator import Translator


def certify_translator(
    translator: Translator,
    pairs: PairedEmbeddings,
    alpha: float,
    confidence: float = 0.95,
    *,
    rng: np.random.Generator | None = None,
) -> Certificate:
    """Certify a trained translator on held-out pairs: one condition and one target of an item, one item of a group.

    Of a translator with parts zhat = p + gamma f the certificate is whole: limit, curve, the bound and its premises. A
    calibrated translator has none, as its residual is no part of its translation. Of that one the observed cosines are
    certified, and whether the cosines that it expects come true.

    Parameters
    ----------
    translator : Translator
        Of independent items: what it says of one must not depend on the items beside it.
    pairs : PairedEmbeddings
        That it was not trained on.
    alpha, confidence : float
        As for `analysis.theory.certify.certify`.
    rng : numpy.random.Generator, optional
        Draws the conditions, targets and items. None: a generator with seed 0, so that two calls agree.

    Returns
    -------
    Certificate
        With `premises`, or with `expectation`.

    Raises
    ------
    ValueError
        Pairs of other modalities, dimensions or encoders than the translator's, items that are not independent, and as
        for `certify`.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    translator.check(pairs)
    normalisation = translator.config.sampling.normalisation
    if normalisation != "row":
        raise ValueError(f"sampling.normalisation: {normalisation!r}, 'row' (independent items) is needed")
    condition, item = pairs.rows(translator.source)
    condition = condition[one_of_each(item, len(item), rng)]
    target, counts = pairs.modality(translator.target), pairs.counts.get(translator.target)
    if translator.config.lift.landmarks:
        target = target if target.ndim == 2 else one_target(target, counts, rng)
        cosine = row_cosine(matrix("translation", translator.translate(condition)), matrix("target", target))
        expected = translator.expected_cosine(condition)
        return certify_cosines(cosine, alpha, confidence, expected=expected, group=pairs.group, rng=rng)
    projection, direction, gamma = translator.parts(condition)
    return certify(projection, direction, gamma, target, alpha, confidence, counts=counts, group=pairs.group, rng=rng)
