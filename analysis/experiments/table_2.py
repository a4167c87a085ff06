"""The poster's Table 2: its translator beside what needs no pair, in spaces that both modalities share.

Two things are asked of each pair set. Is LAFITE's cosine the identity's divided by sqrt(10)? And how much of a cosine
needs pairs at all?
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.experiments.data import dataset_name, refuse_unfit, warn_of_equal
from analysis.experiments.poster_tables import PRINTED, Row, of_scores, verdict
from analysis.experiments.presets import routes
from analysis.experiments.translation import ONE, posters
from analysis.experiments.trial import Trial, every_trial
from analysis.translators.c3 import C3Translator
from modtrans_core import PairedEmbeddings, preset
from modtrans_core.checks import refuse_unless
from modtrans_core.methods import own_vectors
from modtrans_core.progress import Progress, part_of, silent
from modtrans_core.scores import score
from modtrans_core.store.files import stem
from modtrans_core.vectors import mean_of_unit

PAIRS_FREE = {
    "LAFITE": "LAFITE", "LAFITE, learned noise": "LAFITE trained", "CLIP-GEN": "identity",
    "CapDec noise": "CapDec noise", "C3": "C3", "mean shift": "mean shift", "VDLGAN": "language-free Gaussian",
}  # fmt: skip
"""row -> the preset that it is measured by; none of them sees a pair"""
RATIO = 10**-0.5
"""LAFITE's cosine over the identity's: (1 - a)/sqrt((1 - a)^2 + a^2) at its weight a = .75"""
NEAR = 0.01
"""how far LAFITE's cosine may be from that"""
ITEMS = 1000
"""of a pair set, at most"""
WIDTH = 1024
"""of LAFITE's network, at most: as published, for d = 512"""
LANGUAGES = (("text-en", "text-fr"), ("text-en", "text-ja"))
CLIP = re.compile(r"(?=.*openai).*vit-?b(?:ase)?-(?:patch)?32", re.IGNORECASE)
"""the poster's encoder, by the names that libraries have for it"""


class SharedSpace(NamedTuple):
    """A pair set whose modalities share one space."""

    name: str
    path: Path
    routes: Sequence[tuple[str, str]]
    """(source, target); the first stands beside the poster's Sim_txt, the other way round beside its Sim_img"""
    clip: bool = False
    """whether it holds pictures and texts by the poster's encoder, as far as the set says"""


def raced(trial: Trial, steps: int = 150) -> pd.DataFrame:
    """What needs no pair, `ridge`, `calibrated` and the poster's translator by one DDIM step, on one split.

    C3 is scored in its own space, between collapsed vectors; all others against the targets.

    Parameters
    ----------
    steps : optimiser steps of the poster's translator, which starts at the ridge map.

    Returns
    -------
    One row a method: `route`, `method`, `seed`, `analysis.experiments.trial.SCORES`.
    """
    configs = {row: preset(name) for row, name in PAIRS_FREE.items() if row != "C3"}
    width = min(2 * trial.train.d, WIDTH)
    configs["LAFITE, learned noise"] = preset("LAFITE trained", {"width": width, "train.seed": trial.seed})
    configs |= {"ours": posters(steps, trial.seed)[ONE], "ridge": preset("ridge")}
    trial.race(configs | {"calibrated": preset("calibrated", {"seed": trial.seed})})
    trial.rows.append({"route": trial.route, "method": "C3", "seed": trial.seed, **collapsed_score(trial)})
    return trial.table()


def collapsed_score(trial: Trial) -> dict[str, Any]:
    """The scores of C3 between collapsed vectors, beside the mean of collapsed training targets."""
    fitted = trial.fit(preset("C3"))
    assert isinstance(fitted, C3Translator)
    (zhat, z), (_, trained) = (own_vectors(fitted, part) or ((), ()) for part in (trial.test, trial.train))
    mean = mean_of_unit(np.asarray(trained), trial.train.counts)
    return score(np.asarray(zhat), np.asarray(z), trial.test.counts, mean=mean, item=trial.test.item,
                 independent=trial.test.independent)  # fmt: skip


def table2_rows(
    folder: Path | None,
    seeds: int,
    report: Progress = silent,
    *,
    pairs: Sequence[Path] = (),
    steps: int = 150,
    items: int = ITEMS,
) -> list[Row]:
    """Table 2 on every pair set in a shared space that is there.

    Parameters
    ----------
    folder : of packages; with that of emoji names, English to French and to Japanese through one encoder is added.
    pairs : pair sets of the user's.
    steps : see `raced`.
    items : of each set, at most, evenly spaced; 0: all.
    """
    rows, sets = derived(), [*named(pairs, seeds, items), *offline(folder)]
    with TemporaryDirectory() as scratch:
        for number, space in enumerate(sets):
            path, told = Path(scratch) / f"{number}.npz", part_of(report, number, len(sets))
            chosen = PairedEmbeddings.load(space.path)
            chosen = chosen.at_most(items) if items else chosen
            if number < len(pairs):
                warn_of_equal(space.path, chosen, *space.routes[0])
            chosen.save(path)
            trials = every_trial(partial(raced, steps=steps), path, space.routes, seeds, told)
            rows += rows_of(space, pd.concat(trials))
    return rows


def named(pairs: Sequence[Path], seeds: int = 1, items: int = ITEMS) -> list[SharedSpace]:
    """Pair sets of the user's, both ways between two modalities of one dimension.

    Parameters
    ----------
    seeds : splits of each.
    items : of each, at most; 0: all.

    Raises
    ------
    ValueError
        Two dimensions: no space is shared; more than two modalities, of which none are image and text; one name twice.
    """
    found: list[SharedSpace] = []
    stems = [stem(path) for path in pairs]
    refuse_unless(len(set(stems)) == len(stems), "pairs", " ".join(stems), "a name of its own for each set")
    for path in map(Path, pairs):
        data = PairedEmbeddings.load(path)
        told = list(data.arrays)
        two = len(told) == 2 or {"image", "text"} <= set(told)
        needed = "image and text, or two modalities alone (modtrans pack NAME=FILE:NAME ... OUT),"
        refuse_unless(two, f"pairs: {path}", ", ".join(told), needed)
        both = routes(data)
        k, d = (data.modality(name).shape[-1] for name in both[0])
        if k != d:
            raise ValueError(f"pairs: {path}, dimensions {k} and {d}, one space for both modalities is needed")
        refuse_unfit(path, data.at_most(items) if items else data, both[0], seeds)
        both = both if both[0][1] == "text" else both[::-1] if both[0][1] == "image" else both
        clip = all(CLIP.search(str(data.encoder(name).get("encoder"))) for name in both[0])
        name = dataset_name(data) or stem(path)
        name = f"{name} ({stem(path)})" if name in [space.name for space in found] else name
        found.append(SharedSpace(name, path, both, clip and set(both[0]) == {"image", "text"}))
    return found


def offline(folder: Path | None) -> list[SharedSpace]:
    """OpenMoji in colour and as line drawings by one encoder; and names of emoji in three languages, where they are."""
    found = [SharedSpace("OpenMoji by EfficientNet", drawings(), [("colour", "drawing")])]
    if folder is not None:
        from analysis.experiments.modalities import names_by_locale, there

        if there(["emojibase"], folder):
            found.append(SharedSpace("emoji names by multilingual E5", names_by_locale(folder), LANGUAGES))
    return found


def drawings() -> Path:
    """OpenMoji's pictures in colour and as line drawings, item by item, as one pair set: cached."""
    from modtrans_core.embed.pair_set import cached_openmoji, embed

    black = embed("openmoji", settings={"style": "black"})
    path = black.with_name(f"{black.stem}-beside-colour.npz")
    if not path.exists():
        colour, drawn = (PairedEmbeddings.load(one) for one in (cached_openmoji(), black))
        assert colour.key is not None and drawn.key is not None
        _, of_colour, of_drawn = np.intersect1d(colour.key, drawn.key, return_indices=True)
        colour, drawn = colour.take(of_colour), drawn.take(of_drawn)
        arrays = {"colour": colour.modality("image"), "drawing": drawn.modality("image")}
        PairedEmbeddings(arrays, group=colour.group, key=colour.key).save(path)
    return path


def derived() -> list[Row]:
    """LAFITE's printed rows from CLIP-GEN's printed rows."""
    rows = []
    for data in ("COCO", "CC3M"):
        value = RATIO * PRINTED[2, f"{data}: CLIP-GEN", "Sim_txt"]
        row = Row.of(2, f"{data}: LAFITE", "Sim_txt", ours=value, data=f"{data}, the poster's CLIP-GEN / sqrt(10)")
        near = abs(value - PRINTED[2, row.row, row.score]) <= NEAR
        why = "noise of weight .75 divides every cosine by sqrt(10): the row says no more than CLIP-GEN's"
        rows.append(Row(**{**vars(row), "verdict": verdict(row.poster, value, False, near), "why": why}))
    return rows


def rows_of(space: SharedSpace, scores: pd.DataFrame) -> list[Row]:
    """The rows of one pair set.

    Parameters
    ----------
    scores : of `raced`, every split and route.
    """
    words = re.split(r"[^A-Z0-9]|(?<=COCO)(?=20\d\d)", space.name.upper())
    data = next((one for one in ("CC3M", "COCO") if one in words or f"MS{one}" in words), "")
    rows = []
    for source, target in space.routes:
        part = scores[scores["route"] == f"{source} → {target}"].set_index("method")
        column = "Sim_img" if (source, target) == space.routes[0][::-1] else "Sim_txt"
        for method in [*PAIRS_FREE, "ours", "ridge", "calibrated"]:
            key = 2, f"{data or 'COCO'}: {method}", column
            name = key[1] if key[:2] in {known[:2] for known in PRINTED} else method
            holds, why = judged(method, part)
            row = of_scores(2, name, column, part.loc[[method]], f"{space.name}, {source} → {target}")
            found = verdict(row.poster, row.ours, bool(data) and space.clip and method != "VDLGAN", holds)
            if found == "reproduced":
                why = f"{data} by the set's name; {why}"
            rows.append(Row(**{**vars(row), "verdict": found, "why": why}))
    return rows


def judged(method: str, part: pd.DataFrame) -> tuple[bool, str]:
    """Whether what makes a row's number as it is holds on one pair set and route, and a clause that says it."""
    mean = part.groupby(level=0)["cosine"].mean()
    floor = part["floor"].drop("C3").mean()
    identity, ridge, free = mean["CLIP-GEN"], mean["ridge"], mean["VDLGAN"]
    if method in ("LAFITE", "CLIP-GEN"):  # in spaces that share nothing both are near 0, and nothing is shown
        own = part.loc[["CLIP-GEN"]]
        found, chance = own[["recall_at_10", "centered_recall_at_10"]].mean().max(), (10 / own["gallery"]).mean()
        if not found > 2 * chance:
            return False, f"no space is shared: the condition itself has R@10 {found:.3f}, chance {chance:.3f}"
    if method == "LAFITE":
        return abs(mean[method] - RATIO * identity) <= NEAR, f"the identity / sqrt(10) is {RATIO * identity:.4f}"
    if method == "CLIP-GEN":
        below = identity < floor
        than = "below" if below else "above"
        return bool(below), f"the condition itself, {than} what a constant reaches, {floor:.3f}"
    if method == "VDLGAN":
        why = f"its code is not public; a linear Gaussian model after its idea, without pairs; ridge has {ridge:.3f}"
        return False, why
    if method == "ours":
        own = part.loc[["ours"]]
        rivals = np.maximum(part.loc[["CLIP-GEN"], "cosine"].to_numpy(), own["floor"].to_numpy())
        above = bool((own["cosine"].to_numpy() > rivals).all())
        than = "above" if above else "not above"
        return above, f"{than} floor and CLIP-GEN in every split; no pair {free:.3f}, ridge {ridge:.3f}"
    return False, "cosine and floor between collapsed vectors" if method == "C3" else ""
