"""The verb that fits a translator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro
from tyro.conf import Positional

from modtrans_core.checks import refuse_absent_modality, refuse_unless
from modtrans_core.cli.verb import quoted, say
from modtrans_core.settings import changed, parsed
from modtrans_core.split import distinct, has_parts, shares

FRACTIONS = (0.7, 0.1, 0.2)


@dataclass(frozen=True)
class Train:
    """Example: modtrans train openmoji.npz --out runs/first

    Fit a translator. The pair set is split into train, validation and test as the data set itself is; where it has no
    parts of its own, by group (70, 10 and 20 per cent). The test part is never fitted to, and `modtrans evaluate` finds
    it again by itself; how many of its items equal one to train on is said. Ctrl-C keeps the steps that were made, and
    --resume goes on from there. On several GPUs: torchrun --nproc-per-node 8 -m modtrans_core train ...
    """

    parallel: ClassVar[bool] = True
    keeps: ClassVar[bool] = True

    pairs: Positional[Path]
    """pair set: .npz, .safetensors, a folder of them, clip-retrieval's layout, or image=image.npy,text=text.npy"""
    out: Path
    """run folder to make"""
    source: str = "image"
    """modality to translate from"""
    target: str = "text"
    """modality to translate to"""
    preset: str = "calibrated"
    """settings to start from: calibrated (the conditional mean in closed form), poster (a linear map and a diffusion
    model), or that of another method, such as ridge; an unknown name lists them all"""
    goal: str | None = None
    """what a translation of `calibrated` is good for. cosine: the highest cosine. retrieval: a plain ranking, for those
    who have nothing but the translation. balanced: as far towards the latter as .002 of the cosine allow. Or a number
    from 0 (cosine) to 1 (retrieval). `modtrans rank` ranks best with any. Default: balanced"""
    train_steps: Annotated[int | None, tyro.conf.arg(aliases=["--steps"])] = None
    """optimiser steps, where there are any. Default: the preset's"""
    seed: int | None = None
    """seed of weights, order and training noise. Default: 0"""
    split_seed: int = 0
    """seed of the split"""
    fractions: tuple[float, float, float] = FRACTIONS
    """shares of train, validation and test where the data set has no parts of its own; 0.9 0.1 0 keeps nothing for a
    test"""
    own_split: bool = True
    """follow the data set's own split; --no-own-split deals all items out by --split-seed"""
    group_duplicates: bool = False
    """items with an equal condition or an equal target are one group, which is never split apart. So they are anyway,
    as five captions of a picture that are five rows, unless the data set has groups of its own, its vectors stay on
    disk, or a modality comes from a list, as names of classes do (a vector is there more than 50 times on average)"""
    device: str | None = None
    """cpu, cuda or cuda:N. Default: a GPU when there is one; under torchrun, one for each process"""
    resume: bool = False
    """go on with the unfinished run in --out"""
    overwrite: bool = False
    """replace the run in --out"""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")] = ()
    """any other setting, such as gamma=0.2 width=512 train.batch=1024"""

    def run(self) -> None:
        from modtrans_core.distributed import processes

        with processes(self.device) as device:
            self.train(device)

    def train(self, device: str | None) -> None:
        """Fit on this device, together with the other processes that there may be."""
        from modtrans_core.device import device_of
        from modtrans_core.layouts.arrays import load_pairs, modalities_in
        from modtrans_core.methods import fit, preset
        from modtrans_core.run import refuse_out
        from modtrans_core.seen import equal_in_words, with_equal_together

        config = self.configured(preset(self.preset))
        device_of(device)
        fractions = shares(self.fractions[: 3 if self.fractions[2] else 2])  # no test part where its share is 0
        refuse_out(self.out, self.resume, self.overwrite)
        split = {"seed": self.split_seed, "fractions": list(self.fractions)}
        if self.resume:
            self.refuse_other(config, split)
        known = modalities_in(self.pairs)
        for modality in (self.source, self.target):
            refuse_absent_modality(modality, known)
        refuse_unless(self.source != self.target, "target", self.target, "another modality than the source")
        pairs = load_pairs(self.pairs)
        if self.group_duplicates:
            pairs = with_equal_together(pairs, (self.source, self.target), device or "cpu")
        own = self.own_split and len(fractions) == 3
        if own and has_parts(pairs.own_split) and (self.fractions, self.split_seed) != (FRACTIONS, 0):
            say("own_split: the data set's own parts are followed; --fractions and --split-seed deal out what lacks")
        train, validation, *test = pairs.split(self.split_seed, fractions, own)
        parts = [f"{len(train)} to train", f"{len(validation)} to validate"]
        parts += [f"{len(part)} kept for the test" for part in test] or ["none kept for a test"]
        if out := len(pairs) - sum(map(len, (train, validation, *test))):
            parts.append(f"{out} left out, as the data set has them in no part")
        say(f"{pairs}: {', '.join(parts)}")
        if (several := len(distinct(pairs.groups)[0])) < len(pairs):
            whole = "" if own and has_parts(pairs.own_split) else "; each is in one part"  # a split may tear them apart
            say(
                f"the {len(pairs)} items are in {several} groups of items that belong together, by the data set or as"
                f" they repeat a name or a vector{whole}"
            )
        others = {"validation": validation, **({"test": test[0]} if test else {})}
        advice = "" if self.group_duplicates else "; --group-duplicates keeps equal ones in one part"
        for found in equal_in_words(train, others, self.source, self.target, device or "cpu"):
            say(f"note: {found}. They are no test, and modtrans evaluate leaves them out{advice}")
        split |= {} if pairs.own_split is None else {"own": own}
        fit(
            train, self.source, self.target, config,
            validation=validation, out=self.out, resume=self.resume, overwrite=self.overwrite, device=device,
            split=split,
        )  # fmt: skip
        say(f"{self.out}: done. Next: modtrans evaluate {quoted(self.out)} {quoted(self.pairs)}")

    def refuse_other(self, config: Any, split: Mapping[str, Any]) -> None:
        """Refuse to go on with a run that was begun with other options."""
        from modtrans_core.methods import named
        from modtrans_core.run import described, description, refuse_changed

        found = description(self.out)
        facts = {**found["facts"], "source": self.source, "target": self.target}
        split = {**found.get("split", {}), **split}
        refuse_changed(self.out, described(named(config)[0], facts, config, split=split))

    def configured(self, config: Any) -> Any:
        """The preset's config with what the options say."""
        refuse_unless(self.split_seed >= 0, "split-seed", self.split_seed, "an integer >= 0")
        known = {field.name for field in fields(config)}
        settings = parsed(self.set)
        named: dict[str, Any] = {}
        if self.goal is not None:
            refuse_unless("goal" in known, "goal", self.goal, "--preset calibrated")
            named |= parsed([f"goal={self.goal}"])
        if self.train_steps is not None:
            refuse_unless("train" in known, "train-steps", self.train_steps, "a preset with steps, such as poster,")
            named["train.steps"] = self.train_steps
        if self.seed is not None:
            refuse_unless(
                "train" in known or "seed" in known, "seed", self.seed, "a preset that draws, such as poster,"
            )
            named["train.seed" if "train" in known else "seed"] = self.seed
        for name, value in named.items():
            refuse_unless(
                settings.get(name, value) == value, "set", f"{name}={settings.get(name)}", f"one value of {name}"
            )
        return changed(config, settings | named)
