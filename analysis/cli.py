"""The command `modtrans`: the core's verbs and the analysis'."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from modtrans_core.cli import VERBS
from modtrans_core.cli.use import held_out
from modtrans_core.cli.verb import run, say


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
    """where F is, and which law of the alignment"""
    json: bool = False
    """print one JSON object"""

    def run(self) -> None:
        from analysis.theory import bound

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
            print(f"beta         {level:.6g}   the alignment u = <r/|r|, F> that the level needs")
            print(f"probability  {probability:.6g}   of reaching it with a uniformly random F ({self.geometry})")


@dataclass(frozen=True)
class Certify:
    """Example: modtrans certify runs/first openmoji.npz --alpha 0.5 --confidence 0.95

    What is guaranteed on held-out pairs: how often a translation reaches the cosine --alpha with its target, at least,
    and which cosine half and nine in ten of them reach, at least. Of a translator with a residual direction: the
    poster's bound, and a test of what it assumes. Of a calibrated translator: whether the cosines that it expects come
    true. Choose --alpha before you look at these pairs.
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
    risk: float = 0.2
    """with --select: the share of accepted translations that may miss, 0 to 1"""
    start: float | None = None
    """with --select: the expected cosine to begin at, known from earlier pairs. Default: alpha to alpha + 0.3"""
    floor: float | None = None
    """also: what is each translation's cosine at least, in this share of cases, such as 0.9?"""
    largest_group: int | None = None
    """how many items that depend on each other there can be at most. Default: the largest group of the pair set"""
    recall: int | None = None
    """say too how often the right item is among so many nearest of these items, at least"""
    json: bool = False
    """print one JSON object"""

    def run(self) -> None:
        from analysis.theory.certify import Maker, certify
        from analysis.theory.conformal import ConformalFloor
        from analysis.theory.selective import select
        from analysis.translators.certify import observe, recall_of
        from modtrans_core import PairedEmbeddings, load

        translator, whole = load(self.run_folder), PairedEmbeddings.load(self.pairs)
        pairs = held_out(self.run_folder, translator, whole, self.split)
        observed = observe(
            translator, pairs, whole=whole, largest_group=self.largest_group, seen_targets=self.split == "test"
        )
        more: dict[str, Maker] = {}
        if self.select:
            starts = None if self.start is None else [self.start]
            choose = partial(select, observed, self.alpha, risk=self.risk, starts=starts)
            more["selection"] = choose
            if observed.largest_group > 1:
                more["selection_of_groups"] = partial(choose, of="groups")
        if self.floor is not None:
            more["floor"] = partial(ConformalFloor.of, observed, self.floor)
        if self.recall is not None:
            more["recall"] = recall_of(translator, pairs, self.recall, seen_targets=self.split == "test")
        certificate = certify(observed, self.alpha, self.confidence, statements=more)
        print(json.dumps(certificate.to_dict()) if self.json else certificate.text())


@dataclass(frozen=True)
class Paper:
    """Example: modtrans paper --profile smoke

    Make the paper: embed OpenMoji (once, then cached), run the notebooks, gather figures, tables and numbers, and
    typeset the PDF. An interrupted run goes on where it was; finished notebooks are not run again.
    """

    profile: Literal["smoke", "default", "full"] = "default"
    """smoke: everything, small; default: what the paper prints; full: hours"""
    out: Path = Path("modtrans-paper")
    """folder to make"""
    pairs: Path | None = None
    """your own pair set in place of OpenMoji"""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NOTEBOOK.NAME=VALUE ...")] = ()
    """parameters of notebooks, such as 11_encoders.coco=/data/coco 04_translation.steps=5000"""

    def run(self) -> None:
        from analysis.paper.make import make

        pdf = make(self.out, self.profile, self.pairs, self.set)
        say(f"{pdf}: done. Figures, tables, numbers and executed notebooks are beside it")


@dataclass(frozen=True)
class Bench:
    """Example: modtrans bench --profile smoke

    Measure how fast translators train and translate, and how well, beside published ones: every contender in turn, in
    rounds. The peers come with pip install "modtrans[bench]"; those that are missing are named and left out. An
    interrupted run goes on where it was.
    """

    profile: Literal["smoke", "default", "full"] = "default"
    """smoke: about a minute, small; default: under 12 minutes on two cores; full: hours"""
    out: Path = Path("modtrans-bench")
    """folder for bench.json and figures/speed.pdf and .png"""
    device: str | None = None
    """cpu or cuda. Default: a GPU when there is one, which is given the training at COCO's size too"""
    pairs: Path | None = None
    """your own pair set in place of synthetic pairs with a known optimum"""
    source: str = "image"
    """modality of --pairs to translate from"""
    target: str = "text"
    """modality of --pairs to translate to"""
    overwrite: bool = False
    """measure anew where --out holds a run"""
    json: bool = False
    """print one JSON object"""

    def run(self) -> None:
        from analysis.bench.report import text
        from analysis.bench.run import bench
        from analysis.plots import speed
        from analysis.plots.style import paper_style, save_figure

        content = bench(
            self.out, self.profile, device=self.device, pairs=self.pairs,
            source=self.source, target=self.target, overwrite=self.overwrite,
        )  # fmt: skip
        with paper_style():
            save_figure(speed.both(content), self.out, "speed")
        print(json.dumps(content) if self.json else text(content))
        say(f"{self.out}: done. bench.json holds every measurement, figures/speed.pdf shows them")


VERBS_HERE = {**VERBS, "bound": Bound, "certify": Certify, "paper": Paper, "bench": Bench}


def main() -> None:
    """`modtrans`."""
    sys.exit(run(VERBS_HERE, "modtrans", "Translate embeddings between modalities, and say how far to believe it."))
