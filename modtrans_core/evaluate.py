"""The scores of a translator on a pair set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modtrans_core.scores import score

if TYPE_CHECKING:
    from modtrans_core.pairs import PairedEmbeddings
    from modtrans_core.translator import Translator


def evaluate(
    translator: Translator, pairs: PairedEmbeddings, *, steps: int | None = None, guidance: float | None = None
) -> dict[str, float | int | None]:
    """Translate every condition of `pairs` in one call and score the result against its targets.

    Returns plain floats: `cosine`, `floor`, `ceiling` (None where items have one target), `skill` = (cosine - floor) /
    (ceiling - floor) with a ceiling of 1 where none is known, `recall_at_1`, `recall_at_10`, `centered_recall_at_1`,
    `centered_recall_at_10`, and `gallery`, the number of items ranked.
    """
    translator.check(pairs)
    condition, item = pairs.rows(translator.source)
    predicted = translator.translate(condition, steps=steps, guidance=guidance)
    counts = pairs.counts.get(translator.target)
    targets = np.asarray(pairs.modality(translator.target))
    return score(predicted, targets, counts, mean=translator.target_mean, item=item)
