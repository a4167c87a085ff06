"""The certificate of a translator on held-out pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from analysis.theory.certify import GIVEN, Certificate, Maker, Observed, certify
from analysis.theory.retrieval import certify_recall
from modtrans_core.checks import refuse_unless
from modtrans_core.pairs import PairedEmbeddings, refuse_no_pairs
from modtrans_core.protocol import Expects, Facts, HasParts, Translator, refuse_no_translator
from modtrans_core.seen import group_equal
from modtrans_core.split import distinct


def observe(
    translator: Translator,
    pairs: PairedEmbeddings,
    *,
    whole: PairedEmbeddings | None = None,
    largest_group: int | None = None,
    seen_targets: bool = False,
) -> Observed:
    """The cosines of a translator on held-out pairs: every condition of an item with every target of it.

    Items that the translator was fitted to, in a condition or a target, are left out, and so are those of their groups.

    Parameters
    ----------
    translator : Translator
        Of independent items: what it says of one must not depend on the items beside it.
    pairs : PairedEmbeddings
        At least one item that it was not fitted to.
    whole : PairedEmbeddings, optional
        The pair set of which `pairs` are the part that was held out. No group has more items than its largest, and the
        sizes of its other groups make limits of items sharper, if the pairs have the groups that they have there, as
        `split` leaves them. Of it are counted the items that the translator was fitted to.
    largest_group : int, optional
        How many items a group can have at most, in place of what `whole` says, but not fewer than the largest group
        there. With neither it is what the largest has here, which is an assumption.
    seen_targets : bool
        Keep items of which targets alone were seen, since these come from a list, such as names of classes.

    Returns
    -------
    Observed
        With `parts` of a translator that `HasParts` and whose gamma is above 0, with `expected` of one that `Expects`
        cosines. `left_out` is None where the translator does not know what it was fitted to.

    Raises
    ------
    ValueError
        Pairs of other modalities, dimensions or encoders than the translator's, items that are not independent, or none
        that the translator was not fitted to.
    """
    refuse_no_translator(translator)
    for name, given in {"pairs": pairs, **({} if whole is None else {"whole": whole})}.items():
        refuse_no_pairs(name, given)
    numbered = pairs.group is not None  # as those of the whole set are
    facts, pairs, whole = translator.facts, pairs.grouped(), None if whole is None else whole.grouped()
    if not translator.row_by_row:
        raise ValueError(
            f"method: {translator.method!r}, whose rows are normalised over their batch; independent rows are needed"
        )
    left_out = None if facts.seen is None else _seen_in(facts, pairs if whole is None else whole, seen_targets)
    pairs = facts.unseen(pairs, targets=not seen_targets)
    condition, item = pairs.rows(facts.source)
    target = np.asarray(pairs.modality(facts.target))
    source = GIVEN
    if whole is not None:
        most = largest_in(whole)
        if largest_group is None:
            largest_group, source = most, "the largest of the whole pair set"
        refuse_unless(
            largest_group >= most, "largest_group", largest_group, f"at least {most}, the size of the largest group,"
        )
    how: dict[str, Any] = {
        "item": item,
        "counts": pairs.counts.get(facts.target),
        "group": pairs.groups,
        "largest_group": largest_group,
        "expected": translator.expected_cosine(condition) if isinstance(translator, Expects) else None,
    }
    if isinstance(translator, HasParts):
        found = Observed.of_parts(*translator.parts(condition), target, **how)
    else:
        found = Observed.of_translations(translator.translate(condition), target, **how)
    sizes = other_sizes(whole, pairs) if whole is not None and numbered else None
    found = replace(found, left_out=left_out, sizes=sizes)
    return found if largest_group is None else replace(found, largest_from=source)


def recall_of(translator: Translator, pairs: PairedEmbeddings, k: int, *, seen_targets: bool = False) -> Maker:
    """The statement of how often the right item is among the k nearest, ranked by cosine in the gallery of these pairs.

    Parameters
    ----------
    translator, pairs
        As for `observe`.
    k : int
        From 1 to the number of items less 1.
    seen_targets : bool
        As for `observe`.

    Returns
    -------
    callable
        `analysis.theory.retrieval.certify_recall` of the pairs that it was not fitted to, a function of `confidence`.
    """
    facts = translator.facts
    pairs = facts.unseen(pairs.grouped(), targets=not seen_targets)
    condition, item = pairs.rows(facts.source)
    target, counts = np.asarray(pairs.modality(facts.target)), pairs.counts.get(facts.target)
    translated = translator.translate(condition)
    return partial(certify_recall, translated, target, counts, k=k, item=item, group=pairs.groups)


def equal_items(pairs: PairedEmbeddings, modalities: Sequence[str]) -> int:
    """How many items have a vector of one of the modalities that an item of another group has too.

    Examples
    --------
    >>> image = np.repeat(np.random.default_rng(0).normal(size=(2, 16)), 3, axis=0)  # three rows a picture
    >>> alone = PairedEmbeddings({"image": image})
    >>> together = PairedEmbeddings({"image": image}, group=[0, 0, 0, 1, 1, 1])
    >>> equal_items(alone, ["image"]), equal_items(together, ["image"])
    (6, 0)
    """
    own = distinct(pairs.groups)[1]
    together = distinct(group_equal(pairs, modalities))[1]
    differ = np.bincount(np.unique(np.column_stack([together, own]), axis=0)[:, 0]) > 1
    return int(differ[together].sum())


def _seen_in(facts: Facts, pairs: PairedEmbeddings, seen_targets: bool) -> int:
    """How many items the translator was fitted to, or to others of their group; it knows which."""
    facts.refuse(pairs)
    assert facts.seen is not None
    return int(facts.seen.look(pairs, facts.source, facts.target).left_out(not seen_targets).sum())


def largest_in(pairs: PairedEmbeddings) -> int:
    """How many items the largest group has."""
    return int(np.unique(pairs.groups, return_counts=True)[1].max())


def other_sizes(whole: PairedEmbeddings, pairs: PairedEmbeddings) -> np.ndarray | None:
    """How many items each group of a pair set has, without those of a part of it; None where there are no others."""
    labels, sizes = np.unique(whole.groups, return_counts=True)
    other = ~np.isin(labels, pairs.groups)
    return sizes[other].astype(np.float64) if other.any() else None


def certify_translator(
    translator: Translator,
    pairs: PairedEmbeddings,
    alpha: float,
    confidence: float = 0.95,
    *,
    whole: PairedEmbeddings | None = None,
    largest_group: int | None = None,
    seen_targets: bool = False,
    statements: Mapping[str, Maker] | None = None,
) -> Certificate:
    """Certify a trained translator on held-out pairs.

    Parameters
    ----------
    translator, pairs, whole, largest_group, seen_targets
        As for `observe`.
    alpha, confidence, statements
        As for `analysis.theory.certify.certify`.

    Returns
    -------
    Certificate
        Of how often alpha is reached and which cosines are; of a translator in parts, whether the bound's premises
        hold; of one that expects cosines, whether these come true.

    Raises
    ------
    ValueError
        As for `observe` and `certify`.
    """
    observed = observe(translator, pairs, whole=whole, largest_group=largest_group, seen_targets=seen_targets)
    return certify(observed, alpha, confidence, statements=statements)
