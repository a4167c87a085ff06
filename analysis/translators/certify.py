"""The certificate of a translator on held-out pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.theory.arrays import matrix, row_cosine
from analysis.theory.certify import Certificate, certify, certify_cosines, one_of_each, one_target
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.protocol import Expects, HasParts, Translator


def certify_translator(
    translator: Translator,
    pairs: PairedEmbeddings,
    alpha: float,
    confidence: float = 0.95,
    *,
    rng: np.random.Generator | None = None,
    seen_targets: bool = False,
) -> Certificate:
    """Certify a trained translator on held-out pairs: one condition and one target of an item, one item of a group.

    Items that the translator was fitted to, in condition or target, and items of their groups are left out and counted.

    Of a translator that `HasParts`, zhat = p + gamma f, the certificate is whole: limit, curve, the bound and its
    premises. Of any other the observed cosines are certified, and of one that `Expects` cosines, whether these come
    true.

    Parameters
    ----------
    translator : Translator
        Of independent items: what it says of one must not depend on the items beside it.
    pairs : PairedEmbeddings
        At least one item that it was not fitted to.
    alpha, confidence : float
        As for `analysis.theory.certify.certify`.
    rng : numpy.random.Generator, optional
        Draws the conditions, targets and items. None: a generator with seed 0, so that two calls agree.
    seen_targets : bool
        Keep items of which targets alone were seen, since these come from a list, such as names of classes.

    Returns
    -------
    Certificate
        With `premises`, with `expectation`, or with neither.

    Raises
    ------
    ValueError
        Pairs of other modalities, dimensions or encoders than the translator's, items that are not independent, none
        that the translator was not fitted to, and as for `certify`.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    facts = translator.facts
    given, pairs = len(pairs), facts.unseen(pairs, targets=not seen_targets)
    if not translator.row_by_row:
        raise ValueError(
            f"method: {translator.method!r}, whose rows are normalised over their batch; independent rows are needed"
        )
    condition, item = pairs.rows(facts.source)
    condition = condition[one_of_each(item, len(item), rng)]
    target, counts = pairs.modality(facts.target), pairs.counts.get(facts.target)
    if isinstance(translator, HasParts):
        projection, direction, gamma = translator.parts(condition)
        found = certify(
            projection, direction, gamma, target, alpha, confidence, counts=counts, group=pairs.labels, rng=rng
        )
        return replace(found, left_out=given - len(pairs))
    target = target if target.ndim == 2 else one_target(target, counts, rng)
    cosine = row_cosine(matrix("translation", translator.translate(condition)), matrix("target", target))
    expected = translator.expected_cosine(condition) if isinstance(translator, Expects) else None
    found = certify_cosines(cosine, alpha, confidence, expected=expected, group=pairs.labels, rng=rng)
    return replace(found, left_out=given - len(pairs))
