"""The verbs `bound` and `certify`: how far a translation can be believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from modtrans_core.checks import refuse_unless
from modtrans_core.cli.use import held_out, refuse_without_expected
from modtrans_core.cli.verb import quoted, say


@dataclass(frozen=True)
class Bound:
    """Example: modtrans bound --alpha 0.5 --projection 0.7 --gamma 1 --dim 6

    The poster's bound: P(cos(z, zhat) >= alpha) for a unit target whose projection has length s and is perpendicular to
    the residual, when the direction F is uniformly random. `complement` is exact for an F that is kept perpendicular to
    the projection (n = dim - 1), `uniform` for an F anywhere on the sphere. `sphere` draws the alignment as on the
    whole sphere (n = dim), and `printed` is the poster's formula as printed (n = dim + 1); neither is a lower bound.
    """

    alpha: float
    """level of the cosine, -1 to 1"""
    projection: float
    """s = |c M|, 0 to 1"""
    dim: int
    """d, dimension of the target"""
    gamma: float = 1.0
    """length of the residual, >= 0"""
    geometry: Literal["printed", "sphere", "complement", "uniform"] = "complement"
    """where the random F is, as above"""
    json: bool = False
    """print one JSON object"""

    def run(self) -> None:
        from analysis.theory import bound

        refuse_unless(0 <= self.projection <= 1, "projection", self.projection, "a length from 0 to 1")
        least = 1 if self.geometry in ("sphere", "printed") else 2
        refuse_unless(self.dim >= least, "dim", self.dim, f"at least {least} with the geometry {self.geometry}")
        s, level = self.projection, float(bound.beta(self.alpha, self.projection, self.gamma))
        if self.geometry == "uniform":
            p = s * s, s * ((1 - s) * (1 + s)) ** 0.5
            probability = float(bound.general_probability(self.alpha, *p, self.gamma, self.dim).probability)
        else:
            probability = float(bound.probability(self.alpha, s, self.gamma, self.dim, self.geometry))
        if self.json:
            finite = level if abs(level) != float("inf") else None
            print(json.dumps({"beta": finite, "probability": probability}))
        else:
            if self.geometry != "uniform":  # where F is not kept perpendicular, no one alignment decides
                print(
                    f"beta         {level:.6g}   the cosine of F with the rest, target less projection, that is needed"
                )
            print(f"probability  {probability:.6g}   of reaching alpha with a uniformly random F ({self.geometry})")


@dataclass(frozen=True)
class Certify:
    """Example: modtrans certify runs/first openmoji.npz --alpha 0.4 --select --risk 0.3

    What is guaranteed of new items, from pairs that were held out. How often does a translation reach the cosine
    --alpha with its target, at least? Which cosine do half and nine in ten of them reach, at least? Of a translator
    with a residual direction, the poster's bound and what it assumes are tested. Of a calibrated translator it is
    tested whether the cosines that it expects come true; --select says which translations may be used. Choose --alpha,
    --risk and --floor before you look at these pairs. If they are tried until the answer pleases, nothing is
    guaranteed. An item is a row of the pair set. Items of a group depend on each other, as variants of a picture do.
    """

    run_folder: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """run folder of `modtrans train`"""
    pairs: Positional[Path]
    """pair set; items that the run was fitted to, or to others of their group, are left out"""
    split: Literal["auto", "test"] = "auto"
    """auto: items of which the run has seen neither condition nor target. test: those of which it has not seen the
    condition, for targets that come from a list, such as names of classes"""
    alpha: float = 0.5
    """cosine to be reached, -1 to 1; from what you need it for or from validation pairs, never from these pairs"""
    confidence: float = 0.95
    """probability with which every statement holds together"""
    select: bool = False
    """also: which translations may be used, if at most --risk of those may miss --alpha? The answer is an expected
    cosine, for `translate --accept`; calibrated runs only"""
    risk: float | None = None
    """with --select: the share of accepted translations that may miss, 0 to 1. Default: 0.2"""
    start: float | None = None
    """with --select: the expected cosine to begin at, known from earlier pairs. Default: alpha to alpha + 0.3"""
    floor: float | None = None
    """also: what is each translation's cosine at least, in this share of cases, such as 0.9? Of a calibrated run, the
    cosine that is expected of it less a margin"""
    largest_group: int | None = None
    """how many items a group can have at most, among new items too. Default: as many as the largest of the pair set"""
    group_duplicates: bool = False
    """items with an equal condition or (but for --split test) an equal target are one group, as in `train`.
    So they are anyway, but in the cases that `train --help` names"""
    recall: int | None = None
    """also: how often is the right item among so many nearest of these items, such as 10?"""
    json: bool = False
    """print one JSON object"""

    def run(self) -> None:
        from analysis.theory.certify import Maker, certify
        from analysis.theory.conformal import ConformalFloor
        from analysis.theory.selective import select
        from analysis.translators.certify import equal_items, observe, recall_of
        from modtrans_core import load
        from modtrans_core.layouts.arrays import load_pairs
        from modtrans_core.seen import with_equal_together

        self.refuse_what_cannot_be()
        translator, whole = load(self.run_folder), load_pairs(self.pairs)
        if self.select:
            refuse_without_expected("select", self.run_folder, translator)
        facts = translator.facts
        facts.refuse(whole)
        looked_at = (facts.source, facts.target) if self.split == "auto" else (facts.source,)
        if self.group_duplicates:
            whole = with_equal_together(whole, looked_at)
        pairs = held_out(self.run_folder, translator, whole, self.split)
        if not self.group_duplicates and (equal := equal_items(pairs, looked_at)):
            say(
                f"note: {equal} of these {len(pairs)} items have the same {' or '.join(looked_at)} as one of another"
                " group. They count as independent. If they are not, --group-duplicates makes equal ones one group"
            )
        observed = observe(
            translator, pairs, whole=whole, largest_group=self.largest_group, seen_targets=self.split == "test"
        )
        more: dict[str, Maker] = {}
        if self.select:
            starts = None if self.start is None else [self.start]
            choose = partial(select, observed, self.alpha, risk=self.granted, starts=starts)
            more["selection"] = choose
            if observed.largest_group > 1:
                more["selection_of_groups"] = partial(choose, of="groups")
        if self.floor is not None:
            more["floor"] = partial(ConformalFloor.of, observed, self.floor)
        if self.recall is not None:
            refuse_unless(self.recall < len(pairs), "recall", self.recall, f"less than {len(pairs)}, the items here,")
            more["recall"] = recall_of(translator, pairs, self.recall, seen_targets=self.split == "test")
        certificate = certify(observed, self.alpha, self.confidence, statements=more)
        print(json.dumps(certificate.to_dict()) if self.json else certificate.text())
        self.say_what_to_do(certificate.statements)

    @property
    def granted(self) -> float:
        """The risk, given or not."""
        return 0.2 if self.risk is None else self.risk

    def refuse_what_cannot_be(self) -> None:
        """Options outside their range, by the names that they have here, before anything is read."""
        refuse_unless(-1 <= self.alpha <= 1, "alpha", self.alpha, "a cosine from -1 to 1")
        refuse_unless(self.recall is None or self.recall >= 1, "recall", self.recall, "at least 1")
        for name, share in (("confidence", self.confidence), ("risk", self.granted), ("floor", self.floor)):
            refuse_unless(share is None or 0 < share < 1, name, share, "a share strictly between 0 and 1")
        refuse_unless(self.start is None or 0 < self.start <= 1, "start", self.start, "a cosine above 0, at most 1,")
        for name, value in (("risk", self.risk), ("start", self.start)):
            refuse_unless(self.select or value is None, name, value, "--select beside it")

    def say_what_to_do(self, statements: Mapping[str, Any]) -> None:
        """The command that translates what may be used."""
        from analysis.theory.words import given

        for name, said in (("selection", "Next"), ("selection_of_groups", "Next, if each group is to count once")):
            threshold = statements[name].threshold if name in statements else None
            if threshold is not None:
                say(f"{said}: modtrans translate {quoted(self.run_folder)} IN OUT --accept {given(threshold)}")
                return
