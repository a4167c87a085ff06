"""The command `modtrans`: the core's verbs and the analysis'."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar, Literal

import tyro
from tyro.conf import Positional

from modtrans_core.checks import refuse_unless, refuse_unless_in
from modtrans_core.cli import VERBS
from modtrans_core.cli.use import held_out, refuse_without_expected
from modtrans_core.cli.verb import run, say
from modtrans_core.extras import refuse_missing

ANALYSIS = ("pandas", "matplotlib", "seaborn", "sklearn", "joblib", "jinja2")
"""what tables and figures are made with"""


@dataclass(frozen=True)
class Demo:
    """Example: modtrans demo

    A first result in a minute: 600 emoji of OpenMoji that come with the package, as vectors of their names and of their
    pictures, a translator from the one to the other, its scores on emoji that it has not seen, and a picture of what it
    finds.
    """

    out: Path = Path("modtrans-demo")
    """folder for openmoji.npz, the pairs, and figures/found.png and .pdf"""

    def run(self) -> None:
        from analysis.experiments import demo
        from modtrans_core import evaluate, fit
        from modtrans_core.cli.use import scores_in_words

        pairs = demo.demo_pairs()
        pairs.save(file := self.out / demo.VECTORS.name)
        train, validation, test = pairs.split(seed=0)
        say(f"{pairs}: {len(train)} to train, {len(validation)} to validate, {len(test)} kept for the test")
        translator = fit(train, "text", "image", validation=validation)
        print(scores_in_words(evaluate(translator, test), "text → image"))
        try:
            refuse_missing(("matplotlib",), "analysis")
        except ModuleNotFoundError as error:
            say(f"no picture: {error}")
        else:
            from analysis.plots.retrieval import contact_sheet
            from analysis.plots.style import paper_style, save_figure

            with paper_style():
                figure = contact_sheet(demo.found(translator, test), demo.thumbnails(pairs), demo.names(pairs))
                save_figure(figure, self.out, "found")
            say(f"{self.out / 'figures' / 'found.png'}: the pictures that five names find; the right one is framed")
        print(
            f"In Python:\n  import modtrans_core as mt\n"
            f'  train, validation, test = mt.PairedEmbeddings.load("{file}").split(seed=0)\n'
            '  print(mt.evaluate(mt.fit(train, "text", "image", validation=validation), test))'
        )


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
    """Example: modtrans certify runs/first openmoji.npz --alpha 0.5 --select --risk 0.2

    What is guaranteed of new items, from pairs that were held out: how often a translation reaches the cosine --alpha
    with its target, at least, and which cosine half and nine in ten of them reach, at least. Of a translator with a
    residual direction: the poster's bound, and a test of what it assumes. Of a calibrated translator: whether the
    cosines that it expects come true, and with --select which translations may be used. Choose --alpha, --risk and
    --floor before you look at these pairs: tried until the answer pleases, nothing is guaranteed. An item is a row of
    the pair set; items of a group depend on each other, as variants of a picture do.
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
    """items with an equal condition or (but for --split test) an equal target are one group, as in `train`: five
    captions of a picture that are five rows, say"""
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
        from modtrans_core.seen import group_equal

        self.refuse_what_cannot_be()
        translator, whole = load(self.run_folder), load_pairs(self.pairs)
        if self.select:
            refuse_without_expected("select", self.run_folder, translator)
        facts = translator.facts
        facts.refuse(whole)
        looked_at = (facts.source, facts.target) if self.split == "auto" else (facts.source,)
        if self.group_duplicates:
            whole = replace(whole, group=group_equal(whole, looked_at))
        pairs = held_out(self.run_folder, translator, whole, self.split)
        if not self.group_duplicates and (equal := equal_items(pairs, looked_at)):
            say(
                f"note: {equal} of these {len(pairs)} items have the same {' or '.join(looked_at)} as one of another"
                " group. They count as independent; where they are not, --group-duplicates makes equal ones one group"
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
        for name, said in (("selection", "Next"), ("selection_of_groups", "Next, if each group is to count once")):
            threshold = statements[name].threshold if name in statements else None
            if threshold is not None:
                say(f"{said}: modtrans translate {shlex.quote(str(self.run_folder))} IN OUT --accept {threshold:.4g}")
                return


@dataclass(frozen=True)
class Paper:
    """Example: modtrans paper --profile smoke

    Make the paper: embed OpenMoji (once, then cached), run the notebooks, gather figures, tables and numbers, and
    typeset the PDF. An interrupted run goes on where it was; finished notebooks are not run again. `modtrans paper
    poster-tables --data DIR` makes another one: each of the poster's tables, and what a translation is used for.
    """

    needs: ClassVar = {"paper": ("typst", "grimp", "papermill", "ipykernel", *ANALYSIS, "resvg_py", "timm")}

    paper: Positional[Literal["modality-translation", "poster-tables"]] = "modality-translation"
    """which one"""
    profile: Literal["smoke", "default", "full"] = "default"
    """smoke: everything, small; default: what the paper prints; full: hours"""
    out: Path | None = None
    """folder to make. Default: modtrans-paper or modtrans-poster-tables"""
    pairs: Path | None = None
    """your own pair set in place of OpenMoji"""
    data: Path | None = None
    """folder of files from npm and Debian, for poster-tables. Default: what needs them is left out, and named"""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NOTEBOOK.NAME=VALUE ...")] = ()
    """parameters of notebooks, such as 11_encoders.coco=/data/coco 04_translation.steps=5000"""

    def run(self) -> None:
        from analysis.paper.make import make

        out = self.out or Path("modtrans-paper" if self.paper == "modality-translation" else f"modtrans-{self.paper}")
        pdf = make(out, self.profile, self.pairs, self.set, self.paper, self.data)
        say(f"{pdf}: done. Figures, tables, numbers and executed notebooks are beside it")


@dataclass(frozen=True)
class Bench:
    """Example: modtrans bench --profile smoke

    Measure how fast translators train and translate, and how well, beside published ones: every contender in turn, in
    rounds. The peers come with pip install -e ".[bench]"; those that are missing are named and left out. An
    interrupted run goes on where it was.
    """

    needs: ClassVar = {"analysis": ANALYSIS}

    profile: Literal["smoke", "default", "full"] = "default"
    """smoke: about a minute, small; default: about 15 minutes on two cores; full: hours"""
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


@dataclass(frozen=True)
class Compare:
    """Example: modtrans compare openmoji.npz coco.npz --seeds 5 --out results/compare

    Compare `calibrated`, by each of its goals, with its rivals: every method is fitted to the same training and
    validation items of each split, in both directions, and scored on the test items. Printed are cosine and recall, of
    which rivals it is surely ahead, and what is not reached. An item is a row of the pair set.
    """

    needs: ClassVar = {"analysis": ANALYSIS}

    pairs: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="PAIRS...")]
    """pair sets"""
    source: str = ""
    """one modality; both directions are run. Default: image and text or, of a set that has two, these"""
    target: str = ""
    """the other modality"""
    seeds: int = 5
    """splits of each pair set, each with its own seed"""
    items: int = 0
    """use at most this many items of each, evenly spaced; 0: all"""
    rivals: tuple[str, ...] = ()
    """presets to compare with. Default: all that apply, those that see no pair too"""
    out: Path = Path("results/compare")
    """folder for tables/*.csv, figures/front.pdf and .png, and compare.txt"""
    overwrite: bool = False
    """compare anew where --out holds a comparison"""

    def run(self) -> None:
        from analysis.experiments.presets import RIVALS, as_text, duels, routes
        from analysis.paper.tables import mean_and_spread, save_table
        from analysis.plots.presets import fronts
        from analysis.plots.style import paper_style, save_figure
        from modtrans_core import PairedEmbeddings
        from modtrans_core.store.files import refuse_existing, replacing

        refuse_unless(self.seeds >= 1, "seeds", self.seeds, "at least 1")
        refuse_unless(self.items >= 0, "items", self.items, "at least 0")
        names = [path.stem for path in self.pairs]
        refuse_unless(len(names) > 0, "pairs", "none", "a pair set")
        refuse_unless(len(set(names)) == len(names), "pairs", " ".join(names), "a name of its own for each set")
        for rival in self.rivals:
            refuse_unless_in("rivals", rival, RIVALS)
        refuse_existing(self.out / "compare.txt", self.overwrite)
        sets = {path: routes(PairedEmbeddings.load(path), self.source, self.target) for path in self.pairs}
        found = self.compared(sets)
        judged = duels(found.gains)
        table = mean_and_spread(found.scores, ["route", "method"], [*found.scores.columns[3:]])
        for name, frame in zip(("runs", "gains", "duels", "presets"), (*found, judged, table), strict=True):
            save_table(frame, self.out, name)
        with paper_style():
            save_figure(fronts(table), self.out, "front")
        text = as_text(found.scores, judged)
        with replacing(self.out / "compare.txt") as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(text)
        say(f"{self.out}: done. tables/ has every number, figures/front.pdf shows them")

    def compared(self, sets: Mapping[Path, Any]) -> Any:
        """What was measured on all pair sets, each route with the name of its set."""
        import pandas as pd

        from analysis.experiments.data import at_most
        from analysis.experiments.presets import RIVALS, Compared, compare
        from modtrans_core.progress import reporting

        tables = []
        with TemporaryDirectory() as folder:
            for path, both in sets.items():
                smaller = at_most(path, self.items, Path(folder) / f"{path.stem}.npz")
                with reporting(None, 1, path.stem, "split") as report:
                    found = compare(smaller, both, self.seeds, report, rivals=self.rivals or RIVALS)
                tables.append([frame.assign(route=f"{path.stem}, " + frame["route"]) for frame in found])
        return Compared(*(pd.concat(frames, ignore_index=True) for frames in zip(*tables, strict=True)))


@dataclass(frozen=True)
class Migrate:
    """Example: modtrans migrate old.npy new.npy --pairs reembedded.npz --queries queries.npz

    Change the encoder of an index without embedding it again: fit a translator to documents that were re-embedded, say
    what it keeps of the recall that a full re-embedding would have, and write the translated index unless that may be
    less than --retain. Documents are rows of OLD. reembedded.npz holds `row`, which documents (m,), and `new`, their
    vectors by the new encoder (m, d); a few thousand, drawn at random. queries.npz holds `new`, vectors of queries by
    the new encoder (n, d), and `row`, the document that answers each; some hundreds, like those to come. It may hold
    `group`, equal for queries that depend on each other, and `mean` (d,), of the unit vectors of other queries: NEW.npy
    is then less its own mean, for queries less that one, which often finds more. Where the limit is low since too
    little is known of the new ranking, re-embed the documents that --wanted names, add them to reembedded.npz with
    `fit` (m,) False for these, and run again.
    """

    old: Annotated[Positional[Path], tyro.conf.arg(metavar="OLD")]
    """the index: a .npy array (N, k), left on disk, or a pair set or folder with one modality"""
    new: Annotated[Positional[Path], tyro.conf.arg(metavar="NEW.npy")]
    """the translated index to write: unit vectors (N, d), float32"""
    pairs: Path
    """.npz of the re-embedded documents, as above"""
    queries: Path
    """.npz of the queries, as above"""
    retain: float = 0.9
    """write nothing unless at least this share of the recall is surely kept; choose it before you look"""
    k: int = 10
    """the recall is that among so many nearest"""
    confidence: float = 0.95
    """probability with which the certificate holds"""
    preset: str = "ridge"
    """the translator, as in `modtrans train`, not one that draws; choose it by other queries: of the best of several by
    these the certificate does not hold"""
    largest_group: int | None = None
    """how many queries a group can have at most, among new ones too. Default: as many as the largest here"""
    wanted: Annotated[Path | None, tyro.conf.arg(metavar="FILE.npy")] = None
    """also write which documents to re-embed for a sharper certificate, (w,)"""
    overwrite: bool = False
    """replace NEW.npy, and FILE.npy, when they are there"""
    json: bool = False
    """print one JSON object"""

    def run(self) -> None:
        import numpy as np

        from analysis.tasks import migration
        from analysis.theory.words import at_least
        from modtrans_core import fit
        from modtrans_core.cli.train import warnings_said
        from modtrans_core.progress import reporting
        from modtrans_core.store.files import refuse_existing, write_npy

        for name, share in (("retain", self.retain), ("confidence", self.confidence)):
            refuse_unless(0 < share < 1, name, share, "a share strictly between 0 and 1")
        refuse_unless(self.k >= 1, "k", self.k, "at least 1")
        for file in (self.new, *([self.wanted] if self.wanted else [])):
            refuse_unless(file.suffix == ".npy", str(file), file.suffix, "a name that ends in .npy")
            refuse_existing(file, self.overwrite)
        index = migration.load_index(self.old)
        refuse_unless(self.k < len(index), "k", self.k, f"less than the {len(index)} documents of the index")
        documents = migration.Reembedded.of(**migration.read_arrays(self.pairs, ("new", "row"), ("new", "row", "fit")))
        known = ("new", "row", "group", "mean")
        queries = migration.Queries.of(**migration.read_arrays(self.queries, ("new", "row"), known))
        pairs = documents.pairs(index, queries)
        with warnings_said():
            translator = fit(pairs, "old", "new", preset=self.preset)
        translate = migration.to_unit(translator, None if queries.mean is None else pairs.modality("old"))
        with reporting(None, len(index), "rank", "document") as report:
            found = migration.ranked(translate, index, queries, documents, self.k, report)
        sizes = len(index), len(documents.row)
        said = migration.retained(found, queries, sizes, self.k, self.confidence, self.largest_group)
        print(json.dumps(said.to_dict()) if self.json else "\n".join(said.lines()), flush=True)
        if self.wanted is not None:
            write_npy(self.wanted, (len(found.wanted),), np.int64, [found.wanted])
            say(f"{self.wanted}: {len(found.wanted)} documents to re-embed for a sharper certificate")
        if said.limit < self.retain:
            short = at_least(said.limit)
            raise ValueError(f"retain: {short} is sure, {self.retain:g} is needed; {self.new} was not written")
        with reporting(None, len(index), "translate", "document") as report:
            shape = migration.write_translated(translate, index, self.new, report)
        say(f"{self.new}: {shape[0]} vectors of dimension {shape[1]}, unit norm")


@dataclass(frozen=True)
class Tables:
    """Example: modtrans tables 2 3 --pairs coco.npz --data packages --seeds 5

    Print the poster's Tables 2 to 6: its number, ours on data that are here, floor, ceiling and recall, and one word:
    reproduced, reproduced in mechanism, or could not be, with the reason. Rows whose data are missing say what
    they take; `analysis.experiments.packages` lists what --data may hold.
    """

    needs: ClassVar = {"analysis": ANALYSIS}

    numbers: Annotated[Positional[tuple[Literal[2, 3, 4, 5, 6], ...]], tyro.conf.arg(metavar="TABLE...")] = ()
    """tables. Default: all"""
    data: Path | None = None
    """folder of packages from npm and Debian. Default: what needs none"""
    pairs: tuple[Path, ...] = ()
    """Table 2: your own pair sets, each with one space for both modalities, such as CLIP's; one is the poster's data if
    COCO or CC3M is a word of its name, and it says that OpenAI's CLIP ViT-B/32 made both sides"""
    seeds: int = 5
    """splits, each with its own seed"""
    out: Path = Path("results/tables")
    """folder for tables/poster.csv, figures/poster.pdf and .png, and tables.txt"""
    overwrite: bool = False
    """measure anew where --out holds tables"""

    def run(self) -> None:
        from analysis.experiments.modalities import left_out
        from analysis.experiments.poster_tables import FILES, REGISTRY, as_frame, as_text, table
        from analysis.paper.tables import save_table
        from analysis.plots.poster_tables import beside
        from analysis.plots.style import paper_style, save_figure
        from modtrans_core.progress import reporting
        from modtrans_core.store.files import refuse_existing, replacing

        refuse_unless(self.seeds >= 1, "seeds", self.seeds, "at least 1")
        refuse_unless(self.data is None or self.data.is_dir(), "data", str(self.data), "a folder")
        for path in self.pairs:
            refuse_unless(path.exists(), "pairs", str(path), "a pair set")
        chosen: tuple[int, ...] = self.numbers or tuple(REGISTRY)
        refuse_unless(not self.pairs or 2 in chosen, "pairs", str(self.pairs[:1]), "Table 2 among the tables")
        refuse_existing(self.out / "tables.txt", self.overwrite)
        rows = []
        for number in chosen:
            with reporting(None, 1, f"Table {number}", "part") as report:
                options = {"pairs": self.pairs} if number == 2 else {}
                rows += table(number, self.data, self.seeds, report, **options)
            save_table(as_frame(rows), self.out, "poster")  # what is measured is kept, whatever ends the others
        with paper_style():
            save_figure(beside(as_frame(rows)), self.out, "poster")
        with replacing(self.out / "tables.txt") as temporary:
            temporary.write_text(as_text(rows), encoding="utf-8")
        print(as_text(rows))
        wanted = list(dict.fromkeys(name for number in chosen for name in FILES.get(number, [])))
        for name, command in left_out(wanted, self.data or "").items():
            say(f"left out: the rows of {name}; in the folder of --data: {command}")
        say(f"{self.out}: done. tables/poster.csv has every digit, figures/poster.pdf shows them")


@dataclass(frozen=True)
class Caption:
    """Example: modtrans caption runs/first pairs.npz captions.csv --decoder coco_weights.pt --length 10

    Say what a translation shows. The conditions of a pair set are translated, and a published caption decoder, ClipCap
    or CapDec, puts each into words; it has to be one for the encoder that the run translates into. Where the items have
    captions of their own, the metrics of COCO's evaluation are printed, of those that the run was not fitted to.
    """

    needs: ClassVar = {"downstream": ("transformers",)}

    run_folder: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """run folder of `modtrans train`"""
    pairs: Annotated[Positional[Path], tyro.conf.arg(metavar="PAIRS")]
    """conditions, one vector an item: a pair set (file or folder) whose source modality is taken, or a .npy array"""
    output: Annotated[Positional[Path], tyro.conf.arg(metavar="OUT.csv")]
    """table to write, with the columns key and caption"""
    decoder: Annotated[Path, tyro.conf.arg(metavar="CHECKPOINT.pt")]
    """checkpoint as published: a mapper and GPT-2. Nothing but tensors is read from it"""
    tokenizer: str = "gpt2"
    """GPT-2's tokenizer: a folder, or a name that transformers downloads"""
    unit: bool | None = None
    """the decoder was trained on unit embeddings. Default: as published, a transformer was and an MLP was not"""
    length: float | None = None
    """of a decoder that was not: the mean length of raw training embeddings, which translations are brought to"""
    beam: int = 5
    """candidates of the beam search; 1: the likeliest word each time"""
    references: Path | None = None
    """captions to score by: a pair set that has some, or a .json file {key: [caption, ...]}. Default: those of PAIRS"""
    limit: int | None = None
    """at most so many items, evenly spaced. Default: all"""
    json: bool = False
    """print one JSON object"""
    overwrite: bool = False
    """replace OUT.csv when it is there"""

    def run(self) -> None:
        from analysis.tasks.captions.checkpoint import load_decoder
        from analysis.tasks.captions.write import caption_items, read_references, scores, write_captions
        from analysis.tasks.items import familiar
        from modtrans_core import load
        from modtrans_core.store.files import refuse_existing

        refuse_unless(self.output.suffix == ".csv", "OUT", str(self.output), "a name that ends in .csv")
        refuse_existing(self.output, self.overwrite)
        given = read_references(self.references) if self.references else {}
        translator, decoder = load(self.run_folder), load_decoder(self.decoder, self.tokenizer, unit=self.unit)
        captions = caption_items(translator, decoder, self.pairs, width=self.beam, length=self.length, limit=self.limit)
        write_captions(self.output, captions)
        say(f"{self.output}: {len(captions)} captions")
        references = given or (read_references(self.pairs) if self.pairs.suffix != ".npy" else {})
        if not references:
            return
        seen = familiar(translator, self.pairs) & captions.keys()
        if seen:
            say(f"scored without {len(seen)} of them, which the run was fitted to")
        found = scores({key: text for key, text in captions.items() if key not in seen}, references)
        shown = {name: f"{value:.4f}" if isinstance(value, float) else value for name, value in found.items()}
        print(json.dumps(found) if self.json else "\n".join(f"{name:8} {value}" for name, value in shown.items()))


@dataclass(frozen=True)
class Generate:
    """Example: modtrans generate runs/first pairs.npz pictures/ --model karlo-v1-alpha-image-variations --limit 8

    Draw what a translation shows. The conditions of a pair set are translated into image embeddings, and a diffusion
    model that reads those draws each: Karlo or Stable unCLIP, of the CLIP that the run translates into. A picture is
    the same wherever its item stands.
    """

    needs: ClassVar = {"downstream": ("diffusers",)}

    run_folder: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """run folder of `modtrans train`"""
    pairs: Annotated[Positional[Path], tyro.conf.arg(metavar="PAIRS")]
    """conditions, one vector an item: a pair set (file or folder) whose source modality is taken, or a .npy array"""
    output: Annotated[Positional[Path], tyro.conf.arg(metavar="OUT")]
    """folder for 000000.png, ... and pictures.csv, which names their items"""
    model: Path
    """folder of kakaobrain/karlo-v1-alpha-image-variations, or of a Stable unCLIP for image variations"""
    length: float | None = None
    """of raw embeddings, which translations are brought to. Default: from --prior, or from the model's normalizer"""
    prior: Path | None = None
    """folder of kakaobrain/karlo-v1-alpha, whose prior knows the length"""
    steps: int | None = None
    """denoising steps. Default: the model's"""
    seed: int = 0
    """of the noise"""
    limit: int | None = None
    """at most so many items, evenly spaced. Default: all"""
    batch: int = 4
    """pictures at once"""
    device: str = "cpu"
    """cpu or cuda"""
    overwrite: bool = False
    """replace OUT when it is there"""

    def run(self) -> None:
        from analysis.tasks.generation import draw_items, load_generator, raw_length
        from modtrans_core import load
        from modtrans_core.store.files import refuse_existing

        refuse_existing(self.output, self.overwrite)
        length = raw_length(self.prior or self.model) if self.length is None else self.length
        pipeline = load_generator(self.model, self.device)
        drawn = draw_items(
            load(self.run_folder), pipeline, self.pairs, self.output, length,
            steps=self.steps, seed=self.seed, limit=self.limit, batch=self.batch,
        )  # fmt: skip
        say(f"{self.output}: {drawn} pictures, of embeddings of length {length:.2f}")


VERBS_HERE = {
    "demo": Demo,
    **VERBS,
    "bound": Bound,
    "certify": Certify,
    "paper": Paper,
    "bench": Bench,
    "compare": Compare,
    "tables": Tables,
    "caption": Caption,
    "generate": Generate,
    "migrate": Migrate,
}


def main() -> None:
    """`modtrans`."""
    sys.exit(run(VERBS_HERE, "modtrans", "Translate embeddings between modalities, and say how far to believe it."))
