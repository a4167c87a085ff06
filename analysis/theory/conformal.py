r"""A floor for the cosine of each translation: its expected cosine less a margin, which most pairs stay above.

Let e be the cosine that a translation is expected to have and k the one that it has. The **shortfall** of held-out
pairs, e - k, says how large a margin c must be for the floor e - c to hold for a share q of new pairs. Nothing is
assumed of the translator or of its expected cosines. Where these are poor, the margin is large.

Two statements hold of one margin, the larger of two. In both, the new pair is a random pair of a random item of a new
group; where every group is one pair it is just a new pair.

* **On average over held-out sets**, P(k >= e - c) >= q. A new group and the G held-out ones are exchangeable. So each
  of them has the weight 1 / (G + 1), which its items share and then the pairs of an item, and the new group might
  have any shortfall. c is the least shortfall that pairs of the weight q do not exceed: split conformal prediction [1]_
  in its form for hierarchical data [2]_, [3]_.
* **For this held-out set**, P(k >= e - c) >= q with the confidence asked for. At a fixed c, let H_g be the share of
  group g above the floor; the mean of H_g over groups is the probability in question. c is the least shortfall at which
  a mean of less than q is refuted. Where every group is one pair, it is refuted by P(Binomial(G, q) >= held) <= delta,
  and c is an order statistic [4]_; elsewhere by the bets of `analysis.theory.betting`. H_g grows with c, so that there
  is one crossing: c is too small only if the mean is refuted at the largest c for which it is below q.

**By category.** With categories of the items, each gets its own margin from its own items, and the new item is one of
that category [5]_. The confidence is split over the categories, so that all hold together.

The margin is the same for every e. Margins that shrink with e, as sqrt(1 - e^2) or 1 - e^2, made lower floors on
average on real pairs, and held for the certain translations less often than for the others.

References
----------
.. [1] V. Vovk, A. Gammerman and G. Shafer, Algorithmic learning in a random world (2005); H. Papadopoulos and others,
   Inductive confidence machines for regression (2002).
.. [2] R. Dunn, L. Wasserman and A. Ramdas, Distribution-free prediction sets for two-layer hierarchical models,
   arXiv:1809.07441.
.. [3] Y. Lee, R. F. Barber and R. Willett, Distribution-free inference with hierarchical data, arXiv:2306.06342.
.. [4] V. Vovk, Conditional validity of inductive conformal predictors, arXiv:1209.2673.
.. [5] V. Vovk, D. Lindsay, I. Nouretdinov and A. Gammerman, Mondrian confidence machine (2003).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc

from analysis.theory.arrays import Floats, fraction, in_range, shared, vector
from analysis.theory.betting import reaches
from analysis.theory.certify import Observed
from analysis.theory.confidence import distinct
from analysis.theory.words import at_least, at_most, given

ALL = "all"
"""the one category where none are given"""
ROUNDING = 1e-12  # of a sum of weights


@dataclass(frozen=True)
class ConformalFloor:
    """Floors of cosines, from held-out pairs; a call gives those of new translations.

    Attributes
    ----------
    share : float
        q, the share of new pairs that stay above their floors.
    confidence : float
        Probability that all the margins are large enough.
    margin : dict
        For each category, or for `ALL`, c: the floor is the expected cosine less c. None: too few groups for a floor.
    groups : dict
        How many independent groups the margin of a category rests on.
    items : int
        How many items were held out.
    mean_floor : float
        The mean of their floors.
    expects : bool
        Whether there are expected cosines; otherwise 0 stands for each.
    """

    share: float
    confidence: float
    margin: Mapping[str, float | None]
    groups: Mapping[str, int]
    items: int
    mean_floor: float
    expects: bool

    @staticmethod
    def of(
        observed: Observed, share: float = 0.9, confidence: float = 0.95, *, category: ArrayLike | None = None
    ) -> ConformalFloor:
        """The floors that held-out pairs allow.

        Parameters
        ----------
        observed : Observed
            Held-out pairs. Without expected cosines, or other scores, the same is expected of all.
        share : float
            q, in (0, 1).
        confidence : float
            In (0, 1).
        category : (n,) array_like, optional
            A category of each item, of any kind, known without its targets.

        Returns
        -------
        ConformalFloor
            One margin a category.

        Raises
        ------
        ValueError
            A share or confidence outside (0, 1), categories of another length.

        Examples
        --------
        >>> expected = np.linspace(0.2, 0.9, 400)
        >>> cosine = expected + np.tile([0.1, 0.0, -0.1, -0.2], 100)
        >>> floor = ConformalFloor.of(Observed.of(cosine, expected=expected), share=0.7)
        >>> print(round(floor.margin["all"], 3), floor([0.5, 0.8]).round(3))
        0.1 [0.4 0.7]
        """
        share, confidence = fraction("share", share), fraction("confidence", confidence)
        names = _names(category, observed.items)
        expected = np.zeros(observed.pairs) if observed.expected is None else observed.expected
        kinds = np.unique(names)
        delta = 1.0 - shared(confidence, len(kinds))
        margin: dict[str, float | None] = {}
        groups = {}
        for kind in kinds:
            which = names == kind
            pair = which[observed.item]
            item = np.unique(observed.item[pair], return_inverse=True)[1]
            part = Observed.of(observed.cosine[pair], item=item, group=observed.group[which])
            margin[str(kind)] = _margin(part, expected[pair] - part.cosine, share, delta)
            groups[str(kind)] = part.groups
        floors = _floors(expected, names[observed.item], margin)
        return ConformalFloor(
            share=share,
            confidence=confidence,
            margin=margin,
            groups=groups,
            items=observed.items,
            mean_floor=float(observed.of_items(floors).mean()),
            expects=observed.expected is not None,
        )

    def __call__(self, expected: ArrayLike, category: ArrayLike | None = None) -> Floats:
        """Floors (n,) of translations.

        Parameters
        ----------
        expected : (n,) array_like
            What the translator expects of them; zeros, if it expects nothing.
        category : (n,) array_like, optional
            The category of each; needed where the margins have categories.

        Returns
        -------
        (n,) array
            In [-1, 1]; -1 where there is no margin.

        Raises
        ------
        ValueError
            A category without held-out pairs, or none where they are needed.
        """
        expected = in_range("expected", vector("expected", expected), low=-1.0, high=1.0)
        names = _names(category, len(expected))
        if unknown := set(np.unique(names).tolist()) - set(self.margin):
            raise ValueError(f"category: {min(unknown)!r}, one of {', '.join(self.margin)} is needed")
        return _floors(expected, names, self.margin)

    def lines(self) -> list[str]:
        """In plain words."""
        lines = [
            f"How good is each translation at least, if {given(100.0 * (1.0 - self.share))}% of new ones may be worse?"
        ]
        for name, margin in self.margin.items():
            of = "" if name == ALL else f"{name}: "
            if margin is None:
                lines.append(f"  {of}No floor: {self.groups[name]:,} independent groups are too few.")
            elif self.expects:
                lines.append(f"  {of}It reaches the cosine that is expected of it less {at_most(margin)}.")
            else:
                lines.append(f"  {of}It reaches a cosine of {at_least(max(-margin, -1.0))}.")
        if self.expects:
            lines.append(f"  That is a cosine of {self.mean_floor:.4f} on average over the items held out.")
        if sum(self.groups.values()) < self.items:
            lines.append("  New ones are items of new groups here. Each group counts the same, whatever its size.")
        return lines


def _names(category: ArrayLike | None, n: int) -> np.ndarray:
    """The category of each of n translations, as text."""
    if category is None:
        return np.full(n, ALL)
    kinds, number = distinct("category", category, n)
    return kinds.astype(str)[number]


def _floors(expected: Floats, names: np.ndarray, margin: Mapping[str, float | None]) -> Floats:
    """Expected cosines (n,) less the margins of their categories, at least -1."""
    known = {name: np.inf if one is None else one for name, one in margin.items()}
    return np.maximum(expected - np.array([known[str(name)] for name in names]), -1.0)


def _margin(pairs: Observed, shortfall: Floats, share: float, delta: float) -> float | None:
    """The least shortfall (N,) that is margin enough in both senses; None where none is."""
    steps = np.unique(shortfall)
    single = pairs.pairs == pairs.groups

    def enough(margin: float) -> bool:
        held = pairs.of_groups(pairs.of_items(shortfall <= margin))  # H_g
        if held.sum() < share * (pairs.groups + 1) - ROUNDING:
            return False
        if single:
            return bool(bdtrc(held.sum() - 1.0, pairs.groups, share) <= delta)  # P(Binomial >= held)
        return reaches(share, held, np.ones(pairs.groups), 1, 1.0 - delta)

    below, above = -1, len(steps)  # the steps up to `below` are too small, those from `above` on are enough
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if enough(float(steps[middle])) else (middle, above)
    return float(steps[above]) if above < len(steps) else None
