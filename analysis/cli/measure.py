"""The verbs `compare` and `bench`: how well and how fast, beside rivals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro
from tyro.conf import Positional

from modtrans_core.checks import refuse_unless, refuse_unless_in
from modtrans_core.cli.verb import say
from modtrans_core.store.files import stem

ANALYSIS = ("pandas", "matplotlib", "seaborn", "sklearn", "joblib")
"""what tables and figures are made with"""
TABLES = ("runs", "gains", "duels", "presets")
"""that `compare` writes"""


@dataclass(frozen=True)
class Compare:
    """Example: modtrans compare openmoji.npz coco.npz --seeds 5 --out results/compare

    Compare `calibrated`, by each of its goals, with its rivals: every method is fitted to the same training and
    validation items of each split, in both directions, and scored on the test items. Printed are cosine and recall, of
    which rivals it is surely ahead, and what is not reached. An item is a row of the pair set.
    """

    needs: ClassVar = {"analysis": ANALYSIS}
    holds: ClassVar = "out"

    pairs: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="PAIRS...")]
    """pair sets"""
    source: str = ""
    """one modality; both directions are run. Default: image and text or, of a set that has two, these"""
    target: str = ""
    """the other modality"""
    seeds: int = 5
    """splits of each pair set, each with its own seed; one that has a split of its own is tested on that alone"""
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
        from analysis.experiments.trial import workers
        from analysis.paper.tables import mean_and_spread, save_table
        from analysis.plots.presets import front
        from analysis.plots.style import figures, make_figure
        from analysis.translators import not_applicable
        from modtrans_core import PairedEmbeddings
        from modtrans_core.store.files import refuse_results, replacing_results

        refuse_unless(self.seeds >= 1, "seeds", self.seeds, "at least 1")
        refuse_unless(self.items >= 0, "items", self.items, "at least 0")
        names = [stem(path) for path in self.pairs]
        refuse_unless(len(names) > 0, "pairs", "none", "a pair set")
        refuse_unless(len(set(names)) == len(names), "pairs", " ".join(names), "a name of its own for each set")
        for rival in self.rivals:
            refuse_unless_in("rivals", rival, RIVALS)
        tables = [f"tables/{name}.{suffix}" for name in TABLES for suffix in ("csv", "tex")]
        refuse_results(self.out, ["compare.txt", *tables, *figures("front")], self.overwrite)
        sets: dict[Path, list[tuple[str, str]]] = {}
        for path in self.pairs:
            loaded = PairedEmbeddings.load(path)
            sets[path] = routes(loaded, self.source, self.target)
            k, d = (loaded.modality(name).shape[-1] for name in sets[path][0])
            left = not_applicable(k, d, self.rivals)
            some = not self.rivals or len(left) < len(self.rivals)
            refuse_unless(some, "rivals", ", ".join(left), f"one that applies to {path}, {k} and {d} dimensions,")
            for rival, why in left.items():
                say(f"{path}: {rival} is left out: it {why}")
        with workers():
            found = self.compared(sets)
        judged = duels(found.gains)
        table = mean_and_spread(found.scores, ["route", "method"], [*found.scores.columns[3:]])
        text = as_text(found.scores, judged)
        try:
            with replacing_results(self.out) as results:
                for name, frame in zip(TABLES, (*found, judged, table), strict=True):
                    save_table(frame, results, name)
                make_figure(front, results)
                (results / "compare.txt").write_text(text, encoding="utf-8")
        finally:  # on a full disk, too
            print(text)
        say(f"{self.out}: done. tables/ has every number, figures/front.pdf shows them")

    def compared(self, sets: Mapping[Path, Any]) -> Any:
        """What was measured on all pair sets, each route with the name of its set."""
        import pandas as pd

        from analysis.experiments.data import at_most, refuse_unfit, warn_of_equal
        from analysis.experiments.presets import RIVALS, Compared, compare
        from modtrans_core import PairedEmbeddings
        from modtrans_core.progress import reporting
        from modtrans_core.store.files import scratch_folder

        tables = []
        with scratch_folder(self.out / "pairs") as folder:
            smaller = {path: at_most(path, self.items, folder / f"{stem(path)}.npz") for path in sets}
            for path, both in sets.items():  # a bad set is refused before anything is measured
                refuse_unfit(path, PairedEmbeddings.load(smaller[path]), both[0], self.seeds)
            for path, both in sets.items():
                warn_of_equal(path, PairedEmbeddings.load(smaller[path]), *both[0])
                with reporting(None, 1, stem(path), "part") as report:
                    found = compare(smaller[path], both, self.seeds, report, rivals=self.rivals or RIVALS)
                tables.append([frame.assign(route=f"{stem(path)}, " + frame["route"]) for frame in found])
        return Compared(*(pd.concat(frames, ignore_index=True) for frames in zip(*tables, strict=True)))


@dataclass(frozen=True)
class Bench:
    """Example: modtrans bench --profile smoke

    Measure how fast translators train and translate, and how well, beside published ones: every contender in turn, in
    rounds. The peers come with pip install -e ".[bench]"; those that are missing are named and left out. An
    interrupted run goes on where it was.
    """

    needs: ClassVar = {"analysis": ANALYSIS}
    keeps: ClassVar[bool] = True
    holds: ClassVar = "out"

    profile: Literal["smoke", "default", "full"] = "default"
    """smoke: about a minute, small; default: about 15 minutes on two cores; full: hours"""
    out: Path = Path("modtrans-bench")
    """folder for bench.json, tables/speed.csv, and figures/speed.pdf and .png"""
    device: str | None = None
    """cpu or cuda. Default: a GPU when there is one, which is given the training at COCO's size too"""
    pairs: Path | None = None
    """your own pair set in place of synthetic pairs with a known optimum: at most as many of its items"""
    source: str = ""
    """modality of --pairs to translate from. Default: image, or the first of two"""
    target: str = ""
    """modality of --pairs to translate to. Default: text, or the other of two"""
    overwrite: bool = False
    """measure anew where --out holds a run"""
    json: bool = False
    """print one JSON object"""

    def run(self) -> None:
        from analysis.bench.report import text
        from analysis.bench.run import FILE, bench
        from analysis.paper.tables import save_data
        from analysis.plots.speed import measured, speed
        from analysis.plots.style import figures, make_figure
        from modtrans_core.store.files import refuse_results, replacing_results

        made = ["tables/speed.csv", *figures("speed")]
        file = self.out / FILE
        refuse_results(self.out, made, self.overwrite or file.exists())
        before = file.read_bytes() if file.exists() else b""
        content = bench(
            self.out, self.profile, device=self.device, pairs=self.pairs,
            source=self.source, target=self.target, overwrite=self.overwrite, shown=made,
        )  # fmt: skip
        if file.read_bytes() != before or not all((self.out / name).exists() for name in made):
            with replacing_results(self.out) as results:
                save_data(measured(content), results, "speed")
                make_figure(speed, results)
        print(json.dumps(content) if self.json else text(content))
        say(f"{self.out}: done. bench.json holds every measurement, figures/speed.pdf shows them")
