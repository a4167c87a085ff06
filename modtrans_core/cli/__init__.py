"""The core's verbs: embed, train, translate, evaluate, convert. Also `python -m modtrans_core`."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro
from tyro.conf import Positional

from modtrans_core.cli.data import Convert, Embed
from modtrans_core.cli.verb import refuse_unknown, run, say
from modtrans_core.config import Config, Goal, preset
from modtrans_core.evaluate import evaluate
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.store.files import refuse_existing
from modtrans_core.store.headers import SUFFIXES

FRACTIONS = (0.7, 0.1, 0.2)


@dataclass(frozen=True)
class Train:
    """Example: modtrans train openmoji.npz --out runs/first

    Train a translator. The pair set is split into train, validation and test as the data set itself is; where it has no
    parts of its own, by group (70, 10 and 20 per cent). The test part is never looked at, and `modtrans evaluate` finds
    it again by itself. Ctrl-C keeps what was done, and --resume goes on from there. On several GPUs:
    torchrun --nproc-per-node 8 -m modtrans_core train ...
    """

    parallel: ClassVar[bool] = True

    pairs: Positional[Path]
    """pair set: .npz, .safetensors, a folder of them, or clip-retrieval's layout"""
    out: Path
    """run folder to make"""
    source: str = "image"
    """modality to translate from"""
    target: str = "text"
    """modality to translate to"""
    preset: str = "poster"
    """settings to start from: poster, calibrated (the conditional mean in closed form), or released (what the authors'
    published code does; a large network, slow without a GPU)"""
    goal: Goal | None = None
    """what `calibrated` is chosen by: the cosine, the centered ranking (retrieval), or the best ranking at hardly any
    cost in cosine (balanced, the default)"""
    steps: int | None = None
    """optimiser steps. Default: the preset's"""
    seed: int = 0
    """seed of weights, order and training noise"""
    split_seed: int = 0
    """seed of the split"""
    own_split: bool = True
    """follow the data set's own split; --no-own-split deals all items out by --split-seed"""
    device: str | None = None
    """cpu, cuda or cuda:N. Default: a GPU when there is one; under torchrun, one for each process"""
    resume: bool = False
    """go on with the unfinished run in --out"""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")] = ()
    """any other setting, such as network.width=512 train.batch=1024 gamma=0.2"""

    def run(self) -> None:
        from modtrans_core.distributed import processes

        with processes(self.device) as device:
            self.train(device)

    def train(self, device: str | None) -> None:
        """Train on this device, together with the other processes that there may be."""
        config = with_settings(replace(preset(self.preset), seed=self.seed), self.set)
        if self.goal is not None:
            if not config.lift.landmarks:
                raise ValueError(f"goal: {self.goal!r}, nothing is chosen by it here; --preset calibrated is needed")
            config = replace(config, lift=replace(config.lift, goal=self.goal))
        if self.steps is not None:
            config = replace(config, train=replace(config.train, steps=self.steps))
        pairs = PairedEmbeddings.load(self.pairs)
        train, validation, test = parts_of(pairs, self.split_seed, FRACTIONS, self.own_split)
        out = len(pairs) - len(train) - len(validation) - len(test)
        say(
            f"{pairs}: {len(train)} to train, {len(validation)} to validate, {len(test)} kept for the test"
            + (f", {out} left out, as the data set has them in no part" if out else "")
        )

        from modtrans_core.translator import Translator

        facts = {"seed": self.split_seed, "fractions": list(FRACTIONS), "fingerprint": pairs.fingerprint()}
        facts |= {} if pairs.own_split is None else {"own": self.own_split}
        Translator.fit(
            train, self.source, self.target, validation=validation,
            config=config, out=self.out, resume=self.resume, device=device, facts={"split": facts},
        )  # fmt: skip
        say(f"{self.out}: done. Next: modtrans evaluate {self.out} {self.pairs}")


@dataclass(frozen=True)
class Translate:
    """Example: modtrans translate runs/first openmoji.npz translated.npz

    Translate the vectors of one modality into the other: those of a pair set, or the rows of an array (n, k) in a .npy
    file. Written are an array (n, d), float32; a pair set with names, groups and split of the input; or a folder that
    clip-retrieval indexes. Of a calibrated translator, which estimates the mean of what is likely, --samples K writes K
    likely translations of each row, (n, K, d).
    """

    run_folder: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """run folder of `modtrans train`"""
    input: Annotated[Positional[Path], tyro.conf.arg(metavar="IN")]
    """conditions: a .npy array, (n, k) or (n, m, k), or a pair set (file or folder) whose source modality is taken"""
    output: Annotated[Positional[Path], tyro.conf.arg(metavar="OUT")]
    """translations to write: .npy, a pair set .npz or .safetensors, or a folder in clip-retrieval's layout"""
    steps: int | None = None
    """DDIM steps. Default: the run's"""
    guidance: float | None = None
    """guidance scale, 1 for none. Default: the run's"""
    samples: int | None = None
    """draw so many translations of each row, written as (n, K, d). Default: one, written as (n, d)"""
    expected_cosine: Annotated[Path | None, tyro.conf.arg(metavar="FILE.npy")] = None
    """also write the cosine that each translation is expected to have with its target, (n,); calibrated runs only"""
    seed: int = 0
    """seed of the starting noise"""
    overwrite: bool = False
    """replace OUT, and FILE.npy, when they are there"""

    def run(self) -> None:
        import torch

        from modtrans_core.layouts.translate import load_conditions, translate_set
        from modtrans_core.store.names import read_items, sidecars
        from modtrans_core.translator import Translator

        if self.expected_cosine == self.output:
            raise ValueError(f"expected-cosine: {self.output} is where the translations go; another file is needed")
        if self.expected_cosine is not None and self.expected_cosine.suffix != ".npy":
            raise ValueError(f"{self.expected_cosine}: a name that ends in .npy is needed")
        refuse_unknown(self.output, ".npy", *SUFFIXES)
        for file in (self.output, *([self.expected_cosine] if self.expected_cosine else [])):
            refuse_existing(file, self.overwrite)
        translator = Translator.load(self.run_folder)
        pairs = load_conditions(self.input, translator)
        names = read_items(self.input) if self.output.suffix == "" and sidecars(self.input) else None
        say_of_batch(translator.config, len(pairs.rows(translator.source)[0]))
        shape = translate_set(
            translator, pairs, self.output, self.run_folder, names, expected_cosine=self.expected_cosine,
            samples=self.samples, steps=self.steps, guidance=self.guidance,
            generator=torch.Generator().manual_seed(self.seed),
        )  # fmt: skip
        several = "" if self.samples is None else f"{self.samples} each, "
        say(f"{self.output}: {shape[0]} {translator.target} vectors, {several}of dimension {translator.d}")


@dataclass(frozen=True)
class Evaluate:
    """Example: modtrans evaluate runs/first openmoji.npz

    Score a translator. On the pair set that it was trained from, only the part kept for the test is used.
    """

    run_folder: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """run folder of `modtrans train`"""
    pairs: Positional[Path]
    """pair set"""
    split: Literal["auto", "test", "all"] = "auto"
    """which items: the test part of the run's split, all, or (auto) the test part where the run saw these pairs"""
    limit: int | None = None
    """score at most this many of them, evenly spaced: ranking takes time with the square of it. Default: all"""
    steps: int | None = None
    """DDIM steps. Default: the run's"""
    guidance: float | None = None
    """guidance scale, 1 for none. Default: the run's"""
    json: bool = False
    """print one JSON object"""

    def run(self) -> None:
        from modtrans_core.translator import Translator

        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit: {self.limit}, at least 1 is needed")
        pairs = held_out(self.run_folder, PairedEmbeddings.load(self.pairs), self.split)
        pairs = pairs if self.limit is None else pairs.at_most(self.limit)
        translator = Translator.load(self.run_folder)
        say_of_batch(translator.config, len(pairs.rows(translator.source)[0]))
        scores = evaluate(translator, pairs, steps=self.steps, guidance=self.guidance)
        if self.json:
            print(json.dumps(scores))
        else:
            print(scores_in_words(scores, f"{translator.source} → {translator.target}"))


def held_out(run: Path, pairs: PairedEmbeddings, split: str = "auto") -> PairedEmbeddings:
    """The items to score: the test part of the run's own split where these are the pairs that it was trained from."""
    from modtrans_core.checkpoint import read_description

    trained_on = read_description(run).get("split")
    same = trained_on is not None and trained_on["fingerprint"] == pairs.fingerprint()
    if split == "all" or (split == "auto" and not same):
        if same:
            say("scored on all items, training items among them: these scores are not a test")
        elif trained_on is not None:
            say(f"scored on all {len(pairs)} items: not the pairs that the run was trained from")
        return pairs
    if trained_on is None:
        raise ValueError(f"{run}: has no split, --split all is needed")
    test = parts_of(pairs, trained_on["seed"], trained_on["fractions"], trained_on.get("own", False))[-1]
    say(f"scored on the {len(test)} items of {len(pairs)} that were kept for the test")
    return test


def parts_of(pairs: PairedEmbeddings, seed: int, fractions: Sequence[float], own: bool) -> tuple[PairedEmbeddings, ...]:
    """`pairs.split`, whose warnings become lines on stderr."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        parts = pairs.split(seed, fractions, own)
    for warning in caught:
        say(f"note: {warning.message}")
    return parts


def say_of_batch(config: Config, n: int) -> None:
    """Say that these n rows are one batch, where that matters."""
    if config.sampling.normalisation == "batch":
        say(f"F(c) is normalised over these {n} rows at once: in another batch, or alone, a row translates otherwise")


def scores_in_words(scores: Mapping[str, float | int | None], title: str) -> str:
    """The scores as a short text with a line on what each number stands beside."""

    def number(key: str) -> str:
        value = scores[key]
        return "     -" if value is None else f"{value:6.3f}"

    return "\n".join(
        [
            title,
            f"  cosine     {number('cosine')}   between floor {number('floor')} (the training mean, whatever the input)"
            f" and ceiling {number('ceiling')} (two targets of one item)",
            f"  skill      {number('skill')}   share of the way from floor to ceiling",
            f"  recall     @1 {number('recall_at_1')}   @10 {number('recall_at_10')}   of {scores['gallery']} items",
            f"  centered   @1 {number('centered_recall_at_1')}   @10 {number('centered_recall_at_10')}"
            "   ranked after subtracting the training mean",
        ]
    )


def with_settings(config: Config, settings: Sequence[str]) -> Config:
    """`config` with each NAME=VALUE put in; names are dotted paths of the configuration."""
    values = config.to_dict()
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"set: {setting!r}, NAME=VALUE is needed")
        *path, last = name.split(".")
        place: Any = values
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place or isinstance(place[last], dict):
            raise ValueError(f"set: {name!r} is not a setting; settings are {', '.join(_paths(config.to_dict()))}")
        try:
            place[last] = json.loads(text)
        except json.JSONDecodeError:
            place[last] = text
    return Config.from_dict(values)


def _paths(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    nested = ([f"{prefix}{k}"] if not isinstance(v, dict) else _paths(v, f"{prefix}{k}.") for k, v in values.items())
    return [path for paths in nested for path in paths]


VERBS: dict[str, type] = {
    "embed": Embed,
    "train": Train,
    "translate": Translate,
    "evaluate": Evaluate,
    "convert": Convert,
}


def main() -> None:
    """`python -m modtrans_core`."""
    sys.exit(run(VERBS, "modtrans", "Train and run a translator between the embeddings of two modalities."))
