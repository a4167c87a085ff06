"""The poster's Table 3: encoders that were never trained together, and what a high cosine says of them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from analysis.experiments.data import at_most
from analysis.experiments.encoder_pairs import CLIP_ON_COCO, encoder_pairs
from analysis.experiments.encoder_sets import named, with_random_weights
from analysis.experiments.poster_tables import Row, of_scores, verdict
from analysis.experiments.translation import ONE
from modtrans_core.progress import Progress, silent

NARROW = 0.9
"""floor of targets that lie close together"""
AT_FLOOR = 0.02
"""how far from it a cosine that is all floor may be"""
KNOWN_FLOOR = CLIP_ON_COCO["ViT-L/14"]


def table3_rows(
    folder: Path | None, seeds: int, report: Progress = silent, *, steps: int = 150, items: int = 1000
) -> list[Row]:
    """OpenMoji by EfficientNet and MiniLM, which share nothing, and by an EfficientNet of random weights.

    Parameters
    ----------
    folder : not used: all of it comes with the package.
    steps : optimiser steps of the poster's translator.
    items : of each set, at most, evenly spaced; 0: all.
    """
    from modtrans_core.embed.pair_set import cached_openmoji

    sets = named([cached_openmoji(), with_random_weights(items)])
    with TemporaryDirectory() as scratch:
        files = [Path(scratch) / f"{number}.npz" for number in range(len(sets))]
        smaller = {name: at_most(path, items, file) for (name, path), file in zip(sets.items(), files, strict=True)}
        scores = encoder_pairs(smaller, seeds, 256, steps, report, methods=[ONE])
    real, random = sets
    rows = []
    for row, column, pair, route in (
        ("COCO: DINOv2, CLIP RN50", "Sim_txt", real, "image → text"),
        ("COCO: DINOv2, CLIP RN50", "Sim_img", real, "text → image"),
        ("COCO: ViT-L/14, BERT", "Sim_txt", random, "text → image"),
        ("COCO: ViT-L/14, BERT", "Sim_img", real, "text → image"),
    ):
        part = scores[(scores["pair"] == pair) & (scores["route"] == route)]
        found = of_scores(3, row, column, part, f"{pair}, {route}")
        holds, why = at_floor(found) if pair == random else above_floor(part, steps)
        rows.append(Row(**{**vars(found), "verdict": verdict(found.poster, found.ours, False, holds), "why": why}))
    return rows + [
        Row.of(3, "COCO: ViT-L/14 both", column, floor=KNOWN_FLOOR[modality], verdict="could not be",
               why="no package holds CLIP's weights; its floors on COCO are published")
        for column, modality in (("Sim_txt", "text"), ("Sim_img", "image"))
    ]  # fmt: skip


def above_floor(part: pd.DataFrame, steps: int) -> tuple[bool, str]:
    """Whether the poster's translator is above the constant mean in every split (a line each), and a clause."""
    above = bool((part["cosine"] > part["floor"]).all())
    than = "above" if above else "not above"
    return above, f"two encoders that share nothing; {than} the floor in every split, after {steps} steps"


def at_floor(row: Row) -> tuple[bool, str]:
    """Whether a cosine near 1 is all floor, as of targets that lie close together, and a clause."""
    assert row.floor is not None and row.ours is not None
    all_floor = row.floor > NARROW and abs(row.ours - row.floor) < AT_FLOOR
    said = "the cosine is the floor" if all_floor else "the cosine is not the floor"
    return all_floor, f"targets that lie close together, here of random weights as BERT's do: {said}"
