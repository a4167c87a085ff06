"""The verbs that use a translator: translate and evaluate."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import tyro
from tyro.conf import Positional

from modtrans_core.checks import refuse_unless
from modtrans_core.cli.verb import refuse_unknown, say
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.split import has_parts
from modtrans_core.store.files import STREAM, refuse_existing
from modtrans_core.store.headers import SUFFIXES

if TYPE_CHECKING:
    from modtrans_core.protocol import Translator

VERBS = {"train": "train", "validation": "validate"}


@dataclass(frozen=True)
class Translate:
    """Example: modtrans translate runs/first openmoji.npz translated.npz

    Translate the vectors of one modality into the other: those of a pair set, or the rows of an array (n, k) in a .npy
    file. Written are an array (n, d), float32; a pair set with names, groups and split of the input; or a folder that
    clip-retrieval indexes. A calibrated translator estimates the mean of what is likely; --samples K writes K likely
    translations of each row, (n, K, d). As part of a pipe: modtrans translate runs/first - - < c.npy > z.npy
    """

    writes: ClassVar = ("expected_cosine", "output")

    run_folder: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """run folder of `modtrans train`"""
    input: Annotated[Positional[Path], tyro.conf.arg(metavar="IN")]
    """conditions: a .npy array, (n, k) or (n, m, k), or a pair set (file or folder) whose source modality is taken; -
    reads such an array from standard input"""
    output: Annotated[Positional[Path], tyro.conf.arg(metavar="OUT")]
    """translations to write: .npy, a pair set .npz or .safetensors, or a folder in clip-retrieval's layout; - writes an
    array to standard output"""
    steps: int | None = None
    """DDIM steps of a translator that samples. Default: the run's"""
    guidance: float | None = None
    """guidance scale of a translator that samples, 1 for none. Default: the run's"""
    samples: int | None = None
    """draw so many translations of each row, written as (n, K, d). Default: one, written as (n, d)"""
    expected_cosine: Annotated[Path | None, tyro.conf.arg(metavar="FILE.npy")] = None
    """also write the cosine that each translation is expected to have with its target, (n,); calibrated runs only"""
    accept: float | None = None
    """translate only what is expected to reach this cosine, such as the threshold that `certify --select` finds; OUT, a
    pair set or a folder, names these items (as c.npy:12, row 12, where IN has no names); calibrated runs only"""
    seed: int | None = None
    """seed of the noise of a translator that samples. Default: 0"""
    device: str | None = None
    """cpu, cuda or cuda:N. Default: a GPU when there is one"""
    overwrite: bool = False
    """replace OUT, and FILE.npy, when they are there"""
    json: bool = False
    """print one JSON object: the file, its modality and shape, and the mean cosine that is expected (null where a run
    expects none)"""

    def run(self) -> None:
        if self.output != STREAM:
            self.write(self.output)
            return
        refuse_unless(not self.json, "json", self.json, "a file as OUT")
        with TemporaryDirectory() as folder:  # nothing is written before all of it is there
            self.write(whole := Path(folder) / "translated.npy")
            with open(whole, "rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)

    def write(self, output: Path) -> None:
        """Translate into a file or a folder."""
        from modtrans_core.layouts.convert import named
        from modtrans_core.layouts.translate import accepted, load_conditions, mean_expected, translate_set
        from modtrans_core.methods import load
        from modtrans_core.protocol import Draws, able
        from modtrans_core.store.names import read_sidecars

        if self.expected_cosine is not None and self.expected_cosine.suffix != ".npy":
            raise ValueError(f"{self.expected_cosine}: a name that ends in .npy is needed")
        if self.accept is not None and output.suffix == ".npy":
            raise ValueError(f"{self.output}: an array does not say which rows were accepted; a pair set is needed")
        refuse_unknown(output, ".npy", *SUFFIXES)
        for file in (output, *([self.expected_cosine] if self.expected_cosine else [])):
            refuse_existing(file, self.overwrite)
        translator = load(self.run_folder, self.device)
        work = translator.translate if self.samples is None else able(translator, Draws).draw
        settings = given(work, steps=self.steps, guidance=self.guidance, seed=self.seed)
        if self.accept is not None:
            refuse_without_expected("accept", self.run_folder, translator)
        pairs = load_conditions(self.input, translator)
        names = None
        if output.suffix != ".npy" and (output.suffix == "" or find_spec("pyarrow")):
            names = read_sidecars(self.input)
        pairs = named(pairs, names)
        if self.accept is not None:
            kept = accepted(translator, pairs, self.accept)
            say(f"{len(kept)} of {len(pairs)} items are accepted")
            if pairs.key is None:
                rows = [f"{self.input}:{row}" for row in range(len(pairs))]  # as rows of other files have other names
                pairs = replace(pairs, key=np.array(rows))
                names = None if names is None else names.append_column("key", [rows])
            pairs, names = pairs.take(kept), None if names is None else names.take(kept)
        shape = translate_set(
            translator, pairs, output, self.run_folder, names,
            expected_cosine=self.expected_cosine, samples=self.samples, **settings,
        )  # fmt: skip
        if self.json:
            found = {"file": str(output), "modality": translator.facts.target, "shape": shape}
            print(json.dumps({**found, "expected_cosine": mean_expected(translator, pairs)}))
        several = "" if self.samples is None else f"{self.samples} each, "
        facts = translator.facts
        where = "standard output" if self.output == STREAM else output
        say(f"{where}: {shape[0]} {facts.target} vectors, {several}of dimension {facts.d}")


@dataclass(frozen=True)
class Evaluate:
    """Example: modtrans evaluate runs/first openmoji.npz

    Score a translator on items that it was not fitted to. A run knows the rows again that it was trained or validated
    on, in any file: as float16, rescaled, in another order or among others. Items with such a condition or target, and
    items of their groups, are left out, and counted.
    """

    run_folder: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """run folder of `modtrans train`"""
    pairs: Positional[Path]
    """pair set, or arrays: image=image.npy,text=text.npy"""
    split: Literal["auto", "test", "train", "validation", "all"] = "auto"
    """which items. auto: those of which the run has seen neither condition nor target (of the data set's own test part,
    where it has one). test: those of which it has not seen the condition, for targets that come from a list, such as
    names of classes. train, validation, all: no test"""
    ranking: bool = False
    """also measure each ranking: median rank, MRR, mAP (correct are the items of one class, or of one group where there
    are no labels) and hubs, items that many queries name among their first ten"""
    limit: int | None = None
    """score at most this many of them, evenly spaced: ranking takes time with the square of it. Default: all"""
    steps: int | None = None
    """DDIM steps of a translator that samples. Default: the run's"""
    guidance: float | None = None
    """guidance scale of a translator that samples, 1 for none. Default: the run's"""
    json: bool = False
    """print one JSON object"""

    def run(self) -> None:
        from modtrans_core.layouts.arrays import load_pairs
        from modtrans_core.methods import NO_SKILL, load, translated_scores
        from modtrans_core.run import description

        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit: {self.limit}, at least 1 is needed")
        translator = load(self.run_folder)
        pairs = held_out(self.run_folder, translator, load_pairs(self.pairs), self.split)
        pairs = pairs if self.limit is None else pairs.at_most(self.limit)
        skill = description(self.run_folder).get("validation_skill")
        if skill is not None and skill < 0:
            say(f"note: skill {skill:.3f} on the run's validation pairs: {NO_SKILL}")
        settings = given(translator.translate, steps=self.steps, guidance=self.guidance)
        scores = translated_scores(translator, pairs, ranking=self.ranking, **settings)
        if self.json:
            print(json.dumps(scores))
        else:
            part = {"auto": "", "test": ""}.get(self.split, f", {self.split} items: no test")
            print(scores_in_words(scores, f"{translator.facts.source} → {translator.facts.target}{part}"))


def given(work: Callable[..., Any], **settings: Any) -> dict[str, Any]:
    """The settings that were given at all; one that `work` does not take is a ValueError."""
    found = {name: value for name, value in settings.items() if value is not None}
    taken = signature(work).parameters.values()
    for name, value in found.items():
        known = any(one.name == name or one.kind is one.VAR_KEYWORD for one in taken)
        refuse_unless(known, name, value, "a translator that samples")
    return found


def refuse_without_expected(name: str, run: Path, translator: Translator) -> None:
    """Refuse an option that only a run whose translator `Expects` cosines can have."""
    from modtrans_core.protocol import Expects

    if not isinstance(translator, Expects):
        raise ValueError(
            f"{name}: {run} is {translator.method!r}, which expects no cosines; a calibrated run is needed"
        )


def held_out(run: Path, translator: Translator, pairs: PairedEmbeddings, part: str = "auto") -> PairedEmbeddings:
    """The items of a part, as `Evaluate.split` names it, and a line that says which these are."""
    facts, n = translator.facts, len(pairs)
    facts.refuse(pairs)
    if facts.seen is None:
        if part not in ("auto", "all"):
            raise ValueError(f"split: {part!r}, but {run} does not say what it was fitted to; auto or all is needed")
        say(f"used all {n} items: {run} does not say what it was fitted to, so that they may be no test")
        return pairs
    if part in ("train", "validation"):
        familiar = facts.seen.look(pairs, facts.source, facts.target, part)
        chosen = np.flatnonzero(familiar.condition & familiar.target)
        if not len(chosen):
            raise ValueError(f"split: {part!r}, of which {n} items have none; another part is needed")
        say(f"used the {len(chosen)} items of {n} that are the run's to {VERBS[part]} on: no test")
        return pairs.take(chosen)
    familiar, targets = facts.seen.look(pairs, facts.source, facts.target), part == "auto"
    left_out = familiar.left_out(targets or part == "all")
    if part == "all":
        note = f", {left_out.sum()} of them seen in training or akin to such: no test" if left_out.any() else ""
        say(f"used all {n} items{note}")
        return pairs
    keep = ~left_out if (own := _own_test(run, pairs)) is None else ~left_out & own
    if not keep.any():
        hint = "; --split test leaves out seen conditions alone"
        if familiar.left_out(False).all():
            hint = ", or, where rows repeat, a run of train --group-duplicates"
        raise ValueError(f"{run}: was fitted to all {n} items or others of their groups; other pairs are needed{hint}")
    others = "" if own is None else f", {(~left_out & ~own).sum()} in no test part of the data set"
    why = f". Left out {n - keep.sum()}: {familiar.in_words(targets)}{others}" if not keep.all() else ""
    new = (~familiar.left_out(False) & (True if own is None else own)).sum()
    if targets and new >= 2 * keep.sum():
        why += f"; --split test leaves out seen conditions alone, and uses {new}"
    same = 0 if targets else int((familiar.target & keep).sum())
    several = len(np.unique(pairs.groups[keep]))
    of = f", in {several} groups of items that belong together" if several < keep.sum() else ""
    say(f"used the {keep.sum()} items of {n} that the run was not fitted to{of}{why}")
    if same:
        say(f"{same} of these have a target that it was fitted to")
    return pairs.take(np.flatnonzero(keep))


def _own_test(run: Path, pairs: PairedEmbeddings) -> np.ndarray | None:
    """Which items (n,) are in the data set's own test part, where the run followed its parts."""
    from modtrans_core.run import description

    own = pairs.own_split
    if own is None or not has_parts(own) or not description(run).get("split", {}).get("own", False):
        return None
    return own == (2 if (own == 2).any() else 1)


def scores_in_words(scores: Mapping[str, Any], title: str) -> str:
    """The scores as a short text with a line on what each number stands beside."""

    def number(key: str) -> str:
        value = scores[key]
        return "     -" if value is None else f"{value:6.3f}"

    top, way = f"ceiling {number('ceiling')} (two targets of one item)", "ceiling"
    if scores["ceiling"] is None:
        top, way = "1 (no ceiling is known: no item has two targets that are said to be independent)", "1"
    return "\n".join(
        [
            title,
            f"  cosine     {number('cosine')}   between floor {number('floor')} (the training mean, whatever the input)"
            f" and {top}",
            f"  skill      {number('skill')}   share of the way from floor to {way}",
            f"  recall     @1 {number('recall_at_1')}   @10 {number('recall_at_10')}   of {scores['gallery']} items,"
            " by plain cosine",
            f"  centered   @1 {number('centered_recall_at_1')}   @10 {number('centered_recall_at_10')}"
            "   ranked after subtracting the training mean",
            f"  own        @1 {number('own_recall_at_1')}   @10 {number('own_recall_at_10')}"
            "   the translator's own ranking (modtrans rank)",
            *rankings_in_words(scores.get("rankings", {})),
        ]
    )


def rankings_in_words(rankings: Mapping[str, Mapping[str, float]]) -> list[str]:
    """One line a ranking, below what its columns are called; nothing where there is none."""
    columns = {"recall_at_5": "@5", "median_rank": "median rank", "mrr": "MRR", "map": "mAP", "hub_skew": "hub skew"}
    columns |= {"anti_hubs": "anti-hubs", "largest_hub": "largest hub"}
    lines = ["  ranking " + "".join(f"{name:>13}" for name in columns.values())] if rankings else []
    for name, found in rankings.items():
        lines += [f"  {name:<9}" + "".join(f"{found[key]:13.{1 if key == 'median_rank' else 3}f}" for key in columns)]
    explained = "  hubs: skewness of how often an item is among the first ten, share of items that never are, share of"
    return [*lines, f"{explained} queries that name the commonest"] if rankings else []
