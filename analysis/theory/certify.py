"""Certificates: what held-out pairs guarantee about a translator, in statements that hold together.

**Populations.** A *pair* is a translated condition with one target. An *item* is a row of the pair set; it may have
several conditions and targets, and so several pairs. A *group* holds items that are not independent of each other, such
as variants of one picture. Groups are independent draws from one population. Each statement says of which it speaks:

* of items: of a random item and one of its pairs. An item's value is the share of its pairs with cos >= alpha, and
  every item weighs the same. The probability is E(sum of the values in a group) / E(items in a group);
* of groups: of a random group, an item of it and a pair of that. It stands beside the first where groups have several
  items. The two differ where large groups do better, or worse, than small ones;
* of pairs, one a group: the first of each group, by a fixed rule, for tests that need independent pairs.

**Statements.** A `Statement` has `lines()`, plain words, and plain fields. It is made by a function of the confidence
that it may use up. With m statements each gets the confidence 1 - (1 - confidence) / m, so that all hold together
with probability `confidence` or more (Bonferroni). Nothing is drawn: a certificate depends on the pairs alone.

**Choose alpha before you look at these pairs**: by what the use needs, or on validation pairs. For a level that was
read off the certified pairs, such as their median, no limit here is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.theory.arrays import (
    Floats,
    cosines,
    fraction,
    in_range,
    matrix,
    number,
    row_cosine,
    rows_agree,
    shared,
    vector,
    weights,
    written,
)
from analysis.theory.betting import item_lower_limit, lower_mean_limit
from analysis.theory.confidence import group_numbers
from analysis.theory.premises import TranslatedPairs, measure_premises
from analysis.theory.reliability import judge_expectation
from analysis.theory.survival import item_quantile_limit, item_survival_band
from analysis.theory.words import at_least, at_most, given
from modtrans_core.checks import refuse_unless, whole
from modtrans_core.vectors import integers, real

QUANTILES = (0.5, 0.9)
"""shares of the items for which a certificate quotes the cosine that they reach"""

THESE = "the largest here, assumed for all others"
GIVEN = "given beforehand"
"""where the size of the largest group comes from"""

Integers = NDArray[np.intp]


class Statement(Protocol):
    """One thing that a certificate says: a frozen dataclass of plain fields."""

    def lines(self) -> list[str]:
        """In plain words."""


Maker = Callable[..., Statement]
"""(confidence=) -> a statement that is right with that probability or more"""


@dataclass(frozen=True)
class Observed:
    """The cosines of held-out pairs, and how the pairs belong together. `of` and `of_parts` make it.

    Attributes
    ----------
    cosine : (N,) array
        cos(z, zhat) of each pair, in [-1, 1].
    item : (N,) array
        The item of each pair, 0 to n - 1, ascending.
    group : (n,) array
        The group of each item, 0 to G - 1.
    largest_group : int
        No group of the population has more items.
    largest_from : str
        Where that number comes from, in words: `GIVEN`, `THESE`, or others.
    expected : (N,) array, optional
        The cosines that the translator expected.
    parts : TranslatedPairs, optional
        zhat = p + gamma f of the first pair of each group.
    sizes : (M,) array, optional
        How many items other groups of the population have, none of which is here. No limit rests on them; they make
        those of items sharper.
    left_out : int, optional
        How many items are not here since the translator was fitted to them, or to others of their group. None: nobody
        knows whether the translator was fitted to some of those that are here.
    """

    cosine: Floats
    item: Integers
    group: Integers
    largest_group: int
    largest_from: str
    expected: Floats | None = None
    parts: TranslatedPairs | None = None
    sizes: Floats | None = None
    left_out: int | None = None

    @staticmethod
    def of(
        cosine: ArrayLike,
        *,
        item: ArrayLike | None = None,
        group: ArrayLike | None = None,
        largest_group: int | None = None,
        expected: ArrayLike | None = None,
    ) -> Observed:
        """Check and number the cosines of any translator.

        Parameters
        ----------
        cosine : (N,) array_like
            cos(z, zhat) of each pair.
        item : (N,) array_like, optional
            The item of each pair, 0 to n - 1, ascending, each at least once. None: one pair an item.
        group : (n,) array_like, optional
            Labels of items that are not independent of each other. None: all are.
        largest_group : int, optional
            How many items a group can have at most, in the population. Take it from the whole pair set, before a part
            was held out. None: as many as the largest has here.
        expected : (N,) array_like, optional
            The cosines that the translator expected, 0 to 1. None: it expects none.

        Raises
        ------
        ValueError
            Bad shapes or values, a group that is larger than the largest.

        Examples
        --------
        >>> observed = Observed.of([0.4, 0.6, 0.8], item=[0, 0, 1], group=["a", "b"])
        >>> print(observed.reached(0.5), observed.largest_group)
        [0.5 1. ] 1
        """
        cosine = cosines("cosine", cosine)
        item = _numbered(item, cosine=cosine)
        if item[0] != 0 or not np.isin(np.diff(item), (0, 1)).all():
            raise ValueError("item: not 0 to n - 1, ascending, each at least once; such numbers are needed")
        labels = group_numbers(group, int(item[-1]) + 1)
        here = int(np.bincount(labels).max())
        largest = here if largest_group is None else whole("largest_group", largest_group, 1)
        if largest < here:
            raise ValueError(f"largest_group: {largest}, at least {here}, the size of the largest group, is needed")
        source = THESE if largest_group is None else GIVEN
        if expected is not None:
            expected = in_range("expected", vector("expected", expected), low=0.0, high=1.0).copy()
            rows_agree(cosine=cosine, expected=expected)
        return Observed(cosine, item.astype(np.intp), labels, largest, source, expected)

    @staticmethod
    def of_translations(
        translation: ArrayLike,
        target: ArrayLike,
        *,
        item: ArrayLike | None = None,
        counts: ArrayLike | None = None,
        group: ArrayLike | None = None,
        largest_group: int | None = None,
        expected: ArrayLike | None = None,
    ) -> Observed:
        """Check and number translations and their targets; each translation meets all targets of its item.

        Parameters
        ----------
        translation : (rows, d) array_like
            zhat, of any length.
        target : (n, d) or (n, m, d) array_like
            z, of any length.
        item : (rows,) array_like, optional
            The item of each translation, 0 to n - 1, ascending, each at least once. None: one translation an item.
        counts : (n,) array_like, optional
            How many of the m targets each item has. None: all.
        group, largest_group
            As for `of`.
        expected : (rows,) array_like, optional
            The cosines that the translator expected, 0 to 1. None: it expects none.

        Raises
        ------
        ValueError
            Bad shapes or values.

        Examples
        --------
        >>> targets = [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]  # two for each of two items
        >>> print(Observed.of_translations([[2.0, 0.0], [3.0, 4.0]], targets).cosine)
        [1.  0.  0.8 0.8]
        """
        translation = matrix("translation", translation)
        row, number, z = _every_pair(translation, target, item, counts)
        if z.shape[1] != translation.shape[1]:
            raise ValueError(f"target: {z.shape[1]} dimensions, {translation.shape[1]} as in translation are needed")
        cosine = row_cosine(translation[row], matrix("target", z))
        expected = _of_pairs(expected, row, translation=translation)
        return Observed.of(cosine, item=number, group=group, largest_group=largest_group, expected=expected)

    @staticmethod
    def of_parts(
        projection: ArrayLike,
        direction: ArrayLike,
        gamma: ArrayLike,
        target: ArrayLike,
        *,
        item: ArrayLike | None = None,
        counts: ArrayLike | None = None,
        group: ArrayLike | None = None,
        largest_group: int | None = None,
        expected: ArrayLike | None = None,
    ) -> Observed:
        """Check and number translations zhat = p + gamma f, in parts, and their targets.

        Parameters
        ----------
        projection, direction : (rows, d) array_like
            p of any length, f of unit length; d is at least 3.
        gamma : array_like
            One number, or (rows,); at least 0.
        target, item, counts, group, largest_group, expected
            As for `of_translations`.

        Returns
        -------
        Observed
            With `parts` where gamma is above 0: elsewhere there is no direction to speak of.

        Raises
        ------
        ValueError
            Bad shapes or values.

        Examples
        --------
        >>> z, f = np.eye(3), np.roll(np.eye(3), 1, axis=0)
        >>> [Observed.of_parts(z, f, gamma, z).parts is None for gamma in (0.0, 0.5)]
        [True, False]
        """
        projection, direction = matrix("projection", projection), matrix("direction", direction)
        rows_agree(projection=projection, direction=direction)
        gamma = weights("gamma", gamma, len(projection))
        row, number, z = _every_pair(projection, target, item, counts)
        parts = TranslatedPairs.of(projection[row], direction[row], gamma[row], z)
        expected = _of_pairs(expected, row, projection=projection)
        found = Observed.of(parts.cosine, item=number, group=group, largest_group=largest_group, expected=expected)
        parts = parts.take(found.first)
        return replace(found, parts=parts) if parts.moved.any() else found

    @property
    def first(self) -> Integers:
        """The first pair of the first item of each group, (G,)."""
        return np.unique(self.group[self.item], return_index=True)[1]

    def of_items(self, values: ArrayLike) -> Floats:
        """The mean of values (N,) of pairs over those of each item, (n,)."""
        return np.bincount(self.item, np.asarray(values, dtype=np.float64)) / np.bincount(self.item)

    def of_groups(self, values: ArrayLike) -> Floats:
        """The mean of values (n,) of items over those of each group, (G,)."""
        return np.bincount(self.group, np.asarray(values, dtype=np.float64)) / np.bincount(self.group)

    def reached(self, alpha: float) -> Floats:
        """Share of the pairs of each item with cos >= alpha, (n,)."""
        return self.of_items(self.cosine >= alpha)

    @property
    def alone(self) -> bool:
        """Whether every group is one pair, by the plan and not by chance."""
        return self.largest_group == 1 and self.pairs == self.items

    @property
    def bets(self) -> dict[str, Any]:
        """What limits of items are told of the sizes of groups, by name."""
        return {"largest_group": self.largest_group, "sizes": self.sizes}

    @property
    def labels(self) -> tuple[Integers, Integers] | tuple[None, None]:
        """The item and the group of each pair; None where every pair is alone."""
        return (None, None) if self.alone else (self.item, self.group[self.item])

    @property
    def pairs(self) -> int:
        """N."""
        return len(self.cosine)

    @property
    def items(self) -> int:
        """n."""
        return len(self.group)

    @property
    def groups(self) -> int:
        """G."""
        return int(self.group.max()) + 1


def _numbered(item: ArrayLike | None, **rows: Floats) -> np.ndarray:
    """The item of each of the rows, integers (N,); their numbers where none are given."""
    found = np.arange(len(*rows.values())) if item is None else integers("item", item)
    if found.dtype.kind not in "iu" or found.ndim != 1:
        raise ValueError(f"item: {found.dtype} of shape {found.shape}, a vector of integers is needed")
    rows_agree(**rows, item=found)
    return found


def _of_pairs(expected: ArrayLike | None, row: Integers, **rows: Floats) -> Floats | None:
    """What is expected of the row of each pair."""
    if expected is None:
        return None
    expected = vector("expected", expected)
    rows_agree(**rows, expected=expected)
    return expected[row]


def _every_pair(
    rows: Floats, target: ArrayLike, item: ArrayLike | None, counts: ArrayLike | None
) -> tuple[Integers, Integers, np.ndarray]:
    """The row, the item and the target (d,) of each pair, rows of one item beside all its targets."""
    target = real("target", target)
    target = target[:, None] if target.ndim == 2 else target
    if target.ndim != 3 or target.size == 0:
        raise ValueError(f"target: shape {target.shape}, (n, d) or (n, m, d) with no empty side is needed")
    n, m, _ = target.shape
    counts = np.full(n, m) if counts is None else integers("counts", counts)
    if counts.dtype.kind not in "iu" or counts.shape != (n,) or counts.min() < 1 or counts.max() > m:
        raise ValueError(f"counts: shape {counts.shape} of {counts.dtype}, ({n},) integers from 1 to {m} are needed")
    item = _numbered(item, rows=rows)
    if item.max() != n - 1:
        raise ValueError(f"item: {item.max() + 1} items have translations, {n} have targets; as many are needed")
    each = counts[item]
    row = np.repeat(np.arange(len(rows)), each)
    which = np.arange(len(row)) - np.repeat(np.cumsum(each) - each, each)
    return row, item[row], target[item[row], which]


@dataclass(frozen=True)
class Share:
    """A lower limit of how often alpha is reached.

    Attributes
    ----------
    of : str
        The population, "items" or "groups".
    alpha : float
        The cosine to be reached.
    limit : float
        P(cos >= alpha) is at least this in the population.
    observed : float
        The share here.
    confidence : float
        Probability with which the limit is right.
    """

    of: str
    alpha: float
    limit: float
    observed: float
    confidence: float

    def lines(self) -> list[str]:
        """In plain words."""
        limit = at_least(self.limit, 2, percent=True)
        if self.of == "items":
            return [
                f"How often does a translation have a cosine of {given(self.alpha)} or more with its target?",
                f"  For at least {limit} of all items, guaranteed. Observed: {self.observed:.2%} of those held out.",
            ]
        return [f"  If each group counts once: for at least {limit}, guaranteed. Observed: {self.observed:.2%}."]


def share_of_items(observed: Observed, alpha: float, confidence: float) -> Share:
    """How often a random pair of a random item reaches alpha, at least.

    Parameters
    ----------
    observed : Observed
        Held-out pairs.
    alpha : float
        Cosine to be reached, in [-1, 1]. It was chosen before these pairs were looked at.
    confidence : float
        In (0, 1).

    Returns
    -------
    Share
        With the limit of Clopper and Pearson where each group is one pair, else of `item_lower_limit`.

    Raises
    ------
    ValueError
        alpha or confidence outside its range.

    Examples
    --------
    >>> found = share_of_items(Observed.of(np.linspace(0.4, 0.8, 100)), 0.5, confidence=0.975)
    >>> print(found.observed, round(found.limit, 3))
    0.75 0.653
    """
    alpha = number("alpha", alpha, low=-1.0, high=1.0)
    confidence = fraction("confidence", confidence)
    limit = _item_limit(observed, alpha, confidence)
    return Share("items", alpha, limit, float(observed.reached(alpha).mean()), confidence)


def share_of_groups(observed: Observed, alpha: float, confidence: float) -> Share:
    """How often a random pair of a random item of a random group reaches alpha, at least.

    Parameters
    ----------
    observed, alpha, confidence
        As for `share_of_items`.

    Returns
    -------
    Share
        With the limit of `lower_mean_limit` of the groups' means.

    Raises
    ------
    ValueError
        alpha or confidence outside its range.

    Examples
    --------
    >>> observed = Observed.of([0.9, 0.9, 0.9, 0.2], group=[0, 0, 0, 1])
    >>> print(share_of_items(observed, 0.5, confidence=0.9).observed, share_of_groups(observed, 0.5, 0.9).observed)
    0.75 0.5
    """
    alpha = number("alpha", alpha, low=-1.0, high=1.0)
    confidence = fraction("confidence", confidence)
    reached = observed.of_groups(observed.reached(alpha))
    limit = lower_mean_limit(reached, confidence, low=0.0, high=1.0)
    return Share("groups", alpha, limit, float(reached.mean()), confidence)


@dataclass(frozen=True)
class Levels:
    """Cosines that shares of the items reach.

    Attributes
    ----------
    cosine : dict
        For each of `QUANTILES`, as text, the cosine that at least such a share of the items reaches; -1 where there are
        too few for any.
    confidence : float
        Probability with which all of them are right.
    """

    cosine: Mapping[str, float]
    confidence: float

    def lines(self) -> list[str]:
        """In plain words."""
        half, most = (_level(self.cosine[str(q)]) for q in QUANTILES)
        return [
            "Which cosine do most translations have with their target?",
            f"  Half of all items: {half}. Nine in ten: {most}.",
        ]


def guaranteed_levels(observed: Observed, confidence: float) -> Levels:
    """The cosines that half and nine in ten of the items reach, at least.

    Parameters
    ----------
    observed : Observed
        Held-out pairs.
    confidence : float
        In (0, 1); each of the two has half of what is left to 1.

    Returns
    -------
    Levels
        The limits of `item_quantile_limit`.

    Raises
    ------
    ValueError
        A confidence outside its range.

    Examples
    --------
    >>> guaranteed_levels(Observed.of(np.arange(100) / 100), confidence=0.9).cosine
    {'0.5': 0.41, '0.9': 0.04}
    """
    confidence = fraction("confidence", confidence)
    each = shared(confidence, len(QUANTILES))
    item, group = observed.labels
    limits = {str(q): item_quantile_limit(observed.cosine, item, group, q, each, **observed.bets) for q in QUANTILES}
    return Levels(limits, confidence)


@dataclass(frozen=True)
class Curve:
    """How often each of some cosines is reached, between two limits; for figures.

    Attributes
    ----------
    alpha : tuple of float
        The cosines.
    observed, low, high : tuple of float
        For each the share of the items here, and the limits of the share of all items.
    confidence : float
        Probability with which all limits are right, at every one of the cosines.
    """

    alpha: tuple[float, ...]
    observed: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    confidence: float

    def lines(self) -> list[str]:
        """In plain words."""
        farthest = max(np.subtract(self.high, self.observed).max(), np.subtract(self.observed, self.low).max())
        at = "1 cosine" if len(self.alpha) == 1 else f"each of {len(self.alpha):,} cosines"
        return [
            "How often is a cosine reached?",
            "  For all items as often as for those held out, give or take"
            f" {at_most(farthest, 2, percent=True)} or less. That holds at {at}.",
        ]


def curve(observed: Observed, alpha: ArrayLike, confidence: float) -> Curve:
    """The whole curve of P(cos >= alpha) for a random pair of a random item.

    Parameters
    ----------
    observed : Observed
        Held-out pairs.
    alpha : (m,) array_like
        Cosines at which it is wanted, any.
    confidence : float
        In (0, 1).

    Returns
    -------
    Curve
        The band of `item_survival_band`.

    Raises
    ------
    ValueError
        A confidence outside its range.

    Examples
    --------
    >>> found = curve(Observed.of(np.arange(100) / 100), [0.5], 0.95)
    >>> print(round(found.low[0], 3), found.observed[0], round(found.high[0], 3))
    0.346 0.5 0.654
    """
    alpha, confidence = vector("alpha", written("alpha", alpha)), fraction("confidence", confidence)
    item, group = observed.labels
    band = item_survival_band(observed.cosine, item, group, confidence, **observed.bets)
    share, low, high = (tuple(edge(alpha).tolist()) for edge in (band.observed, band.low, band.high))
    return Curve(tuple(alpha.tolist()), share, low, high, confidence)


@dataclass(frozen=True)
class Certificate:
    """What held-out pairs say of a translator; `text()` is for reading, `to_dict()` for JSON.

    Attributes
    ----------
    alpha, confidence : float
        The cosine asked for, and the probability with which every statement here is right.
    each : float
        Confidence of each single statement.
    pairs, items, groups : int
        How many were held out.
    largest_group : int
        No group of the population has more items.
    largest_from : str
        Where that number comes from.
    left_out : int, optional
        How many items were not held out: the translator was fitted to them, or to others of their group. None: nobody
        knows whether the items here were held out.
    statements : dict
        By name: "items" and, where groups can have several items, "groups" (`Share`); "cosines" (`Levels`);
        "premises" of translations in parts; "expectation" of expected cosines; and those that were added.
    """

    alpha: float
    confidence: float
    each: float
    pairs: int
    items: int
    groups: int
    largest_group: int
    largest_from: str
    left_out: int | None
    statements: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return vars(self) | {"statements": {name: asdict(one) for name, one in self.statements.items()}}

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """The certificate in plain words."""
        several = self.pairs > self.items
        pairs = f", with {self.pairs:,} pairs of condition and target" if several else ""
        lines = [
            f"Items held out: {self.items:,}{pairs}. They are taken for a random sample of all items.",
            f"All statements below hold together with probability at least {given(self.confidence)}.",
            f"That needs a cosine of {given(self.alpha)}, and settings, chosen before anyone looked at these items.",
        ]
        if self.left_out is None:
            lines.append(
                "Whether the translator was trained on any of these items is not known. If it was, nothing below holds."
            )
        elif self.left_out:
            seen = f"{self.left_out:,} other items were left out."
            lines.append(f"{seen} The translator was fitted to them or to others of their group.")
        if several:
            lines.append("An item with several pairs counts once. Each of its pairs is an equal part of it.")
        if self.largest_group > 1:
            lines.append(
                f"Items of a group depend on each other. There are {self.groups:,} groups here, none with more than"
                f" {self.largest_group} items. That number is {self.largest_from}."
            )
            lines.append("The random sample is then one of groups. The larger a group can be, the less is guaranteed.")
        return "\n".join([*lines, *(line for one in self.statements.values() for line in one.lines())])


def certify(
    observed: Observed, alpha: float, confidence: float = 0.95, *, statements: Mapping[str, Maker] | None = None
) -> Certificate:
    """Certify a translator on held-out pairs.

    Parameters
    ----------
    observed : Observed
        Pairs that the translator was not trained on.
    alpha : float
        Cosine to be reached, in [-1, 1]. Choose it before you look at these pairs.
    confidence : float
        Probability with which all statements are right, in (0, 1).
    statements : mapping, optional
        More of them, by name: functions that take `confidence` and return a `Statement`.

    Returns
    -------
    Certificate
        The statements about items, groups and levels; with "premises" where the translations are in parts and
        "expectation" where cosines are expected; and the ones that were added.

    Raises
    ------
    ValueError
        alpha or confidence outside its range, a name that is taken, and what the statements refuse.

    Examples
    --------
    >>> print(certify(Observed.of(np.linspace(0.4, 0.8, 100)), alpha=0.5))
    Items held out: 100. They are taken for a random sample of all items.
    All statements below hold together with probability at least 0.95.
    That needs a cosine of 0.5, and settings, chosen before anyone looked at these items.
    Whether the translator was trained on any of these items is not known. If it was, nothing below holds.
    How often does a translation have a cosine of 0.5 or more with its target?
      For at least 65.34% of all items, guaranteed. Observed: 75.00% of those held out.
    Which cosine do most translations have with their target?
      Half of all items: at least 0.5535. Nine in ten: at least 0.4121.
    """
    alpha = number("alpha", alpha, low=-1.0, high=1.0)
    makers: dict[str, Maker] = {"items": partial(share_of_items, observed, alpha)}
    if observed.largest_group > 1:  # by the plan: how many statements there are may not depend on the draw
        makers["groups"] = partial(share_of_groups, observed, alpha)
    makers["cosines"] = partial(guaranteed_levels, observed)
    if observed.parts is not None:
        makers["premises"] = partial(measure_premises, observed.parts, alpha)
    if observed.expected is not None:
        makers["expectation"] = partial(
            judge_expectation,
            observed.of_items(observed.expected),
            observed.of_items(observed.cosine),
            group=observed.group,
            **observed.bets,
        )
    statements = statements or {}
    for name, maker in statements.items():
        refuse_unless(callable(maker), f"statements: {name}", maker, "a function of the confidence")
    if taken := makers.keys() & statements.keys():
        raise ValueError(f"statements: {min(taken)!r} is one of the certificate's own, another name is needed")
    makers |= statements
    confidence = fraction("confidence", confidence)
    each = shared(confidence, len(makers))
    return Certificate(
        alpha=alpha,
        confidence=confidence,
        each=each,
        pairs=observed.pairs,
        items=observed.items,
        groups=observed.groups,
        largest_group=observed.largest_group,
        largest_from=observed.largest_from,
        left_out=observed.left_out,
        statements={name: make(confidence=each) for name, make in makers.items()},
    )


def _item_limit(observed: Observed, alpha: float, confidence: float) -> float:
    """A random pair of a random item reaches alpha with this probability at least."""
    reached = observed.cosine >= alpha
    share = reached if observed.pairs == observed.items else observed.of_items(reached)
    return item_lower_limit(share, observed.group, confidence, **observed.bets)


def _level(cosine: float) -> str:
    return f"at least {at_least(cosine)}" if cosine > -1.0 else "unknown, too few independent items"
