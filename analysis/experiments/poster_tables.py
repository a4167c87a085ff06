"""The poster's Tables 2 to 6: every number that it prints, ours beside it, and one word on what became of it.

A table is measured by a function of this signature, `REGISTRY` says which; it returns rows, and `table` adds those that
nothing was measured for, with what they need:

    rows(folder of packages or None, seeds, report) -> list[Row]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from pathlib import Path
from textwrap import fill
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from modtrans_core.checks import refuse_unless, refuse_unless_in
from modtrans_core.progress import Progress, silent

Verdict = Literal["reproduced", "reproduced in mechanism", "could not be", ""]
"""reproduced: the poster's data set, as far as its name says, and its encoder, and the number within `WITHIN`. In
mechanism: on other data or encoders, what makes the number as it is was measured, and it holds; or it follows from
another number of the poster. Could not be: neither; `why` says what is missing. Empty: the poster prints no such
number"""
WITHIN = 0.02
"""how far a reproduced cosine or share may be from the printed one"""
PAPER = 120
"""columns of a table in text"""

PRINTED: dict[tuple[int, str, str], float] = {}
"""(table, row, score) -> what the poster prints"""
for _number, _scores, _rows in (
    (2, ("Sim_txt", "Sim_img"), {
        "COCO: LAFITE": (0.0965, None), "COCO: CLIP-GEN": (0.3042, None), "COCO: VDLGAN": (0.6104, 0.7655),
        "COCO: ours": (0.8394, 0.8233),
        "CC3M: LAFITE": (0.0912, None), "CC3M: CLIP-GEN": (0.2896, None), "CC3M: VDLGAN": (0.6237, 0.7105),
        "CC3M: ours": (0.7389, 0.7443),
    }),
    (3, ("Sim_txt", "Sim_img"), {
        "COCO: ViT-L/14 both": (0.7765, 0.8192), "COCO: ViT-L/14, BERT": (0.9745, 0.7796),
        "COCO: DINOv2, CLIP RN50": (0.7917, 0.5207),
    }),
    (4, ("Sim_txt", "Sim_img"), {
        "COCO to CelebA: ViT-B/32 both": (0.8237, 0.5974), "COCO to CelebA: ViT-L/14 both": (0.6885, 0.5993),
        "CC3M to COCO: ViT-L/14 both": (0.6817, 0.7300),
    }),
    (5, ("BLEU-1", "BLEU-4", "ROUGE-L"), {
        "ClipCap": (74.7, 33.5, None), "CapDec": (69.2, 26.4, 51.8), "ours + ClipCap": (65.9, 23.6, 47.7),
        "ours + CapDec": (67.7, 25.5, 48.7),
    }),
    (6, ("accuracy",), {
        "raw: ViT-L/14": (85.05,), "raw: ViT-B/32": (69.69,), "ours: ViT-L/14": (77.11,), "ours: ViT-B/32": (60.74,),
    }),
):  # fmt: skip
    for _row, _values in _rows.items():
        PRINTED |= {(_number, _row, s): v for s, v in zip(_scores, _values, strict=True) if v is not None}


@dataclass(frozen=True)
class Row:
    """One number of a table: what the poster prints, and what was measured in its place.

    Raises
    ------
    ValueError
        A verdict that is none, or a row whose reason is missing where it could not be.

    Examples
    --------
    >>> row = Row.of(6, "raw: ViT-B/32", "accuracy", [60.0, 62.0], data="OpenMoji, 98 subgroups")
    >>> row.poster, row.ours, row.splits
    (69.69, 61.0, 2)
    """

    table: int
    """of the poster"""
    row: str
    """which row of it; a name of `PRINTED`, or what we add"""
    score: str
    """which column of it"""
    poster: float | None = None
    """the printed number; None where it prints none"""
    ours: float | None = None
    """mean over splits, in the poster's unit"""
    sd: float | None = None
    """standard deviation over splits; None of one"""
    splits: int = 0
    floor: float | None = None
    """the score of an answer that ignores its input"""
    ceiling: float | None = None
    """the score that nothing can be expected to exceed, where one is known"""
    recall_at_10: float | None = None
    """centered, among `gallery` items"""
    gallery: int | None = None
    data: str = ""
    """what ours was measured on: data, encoders, route"""
    verdict: Verdict = ""
    why: str = ""
    """one clause: what holds, what is missing, or what is unknown"""

    def __post_init__(self) -> None:
        refuse_unless_in("verdict", self.verdict, get_args(Verdict))
        if self.verdict == "could not be" and not self.why:
            raise ValueError(f"why: empty, a reason why {self.row!r} could not be reproduced is needed")

    @staticmethod
    def of(table: int, row: str, score: str, values: Sequence[float] = (), **facts: Any) -> Row:
        """The row of these values, one a split; the printed number is looked up.

        Parameters
        ----------
        facts : the other fields.
        """
        found = {"ours": float(np.mean(values)), "splits": len(values)} if len(values) else {}
        if len(values) > 1:
            found["sd"] = float(np.std(values, ddof=1))
        return Row(**{"table": table, "row": row, "score": score, "poster": PRINTED.get((table, row, score)),
                      **found, **facts})  # fmt: skip


Measure = Callable[..., list[Row]]
REGISTRY = {
    2: "analysis.experiments.table_2:table2_rows",
    3: "analysis.experiments.table_3:table3_rows",
    4: "analysis.experiments.modalities:table4_rows",
    5: "analysis.experiments.captions:table5_rows",
    6: "analysis.experiments.classification:table6_rows",
}
"""table -> the function that measures it, imported when it is asked for"""
FILES = {2: ["emojibase"], 4: ["twemoji", "noto"], 6: ["emojibase"]}
"""table -> packages that give it more rows"""
TITLES = {
    2: "Table 2. Translations beside baselines: cosine with the target",
    3: "Table 3. Other encoders: cosine with the target",
    4: "Table 4. Trained on one data set, tested on another: cosine with the target",
    5: "Table 5. Captions of pictures that are translated into texts: per cent",
    6: "Table 6. Classification by prompts: per cent",
}
CLIP = "CLIP's weights, which no package holds"
NEEDS = {
    (2, "CC3M"): f"it takes CC3M's pictures and {CLIP}; --pairs takes the pair set",
    (2, "COCO: VDLGAN"): "its code is not public",
    (2, "CC3M: VDLGAN"): "its code is not public",
    2: f"it takes COCO's pictures and {CLIP}; --pairs takes the pair set",
    3: f"it takes COCO's pictures and {CLIP}; notebook 11 takes them",
    4: f"it takes COCO, CC3M and CelebA, and {CLIP}; notebook 12 takes them",
    5: f"it takes COCO's pictures, {CLIP}, and the published decoders",
    6: f"it takes CIFAR-10 and {CLIP}",
}
"""a table, a row of it, or all its rows of one data set -> why it was not measured"""


def verdict(poster: float | None, ours: float | None, same: bool, holds: bool, within: float = WITHIN) -> Verdict:
    """The word for a row.

    Parameters
    ----------
    poster, ours : None where the poster prints none, or nothing was measured.
    same : ours was measured on the poster's data set, by its encoder.
    holds : what makes the poster's number as it is was measured, and holds.
    within : how far a reproduced number may be off.

    Examples
    --------
    >>> verdict(0.0965, 0.099, same=True, holds=True), verdict(0.0965, 0.28, same=False, holds=True)
    ('reproduced', 'reproduced in mechanism')
    >>> verdict(0.0965, 0.28, same=True, holds=False), verdict(None, 0.28, same=True, holds=True)
    ('could not be', '')
    """
    if poster is None:
        return ""
    if ours is not None and same and abs(ours - poster) <= within:
        return "reproduced"
    return "reproduced in mechanism" if ours is not None and holds else "could not be"


def table(
    number: int, folder: Path | None = None, seeds: int = 5, report: Progress = silent, **options: Any
) -> list[Row]:
    """The rows of one table: what is measured, and what the poster prints besides, with what it would take.

    Parameters
    ----------
    number : 2 to 6.
    folder : where packages were fetched to; see `analysis.experiments.packages`.
    seeds : splits.
    report : called with (done, in all).
    options : of the table's own function.

    Raises
    ------
    ValueError
        There is no such table.
    """
    refuse_unless_in("table", number, REGISTRY)
    module, _, name = REGISTRY[number].partition(":")
    measure: Measure = getattr(import_module(module), name)
    return complete(number, measure(folder, seeds, report, **options))


def chosen_from(tables: str, pairs: str = "") -> list[int]:
    """The numbers of tables in a text with commas, each once.

    Parameters
    ----------
    pairs : pair sets for Table 2.

    Raises
    ------
    ValueError
        A number that is none of a table, or pair sets without Table 2.

    Examples
    --------
    >>> chosen_from("2, 3,2")
    [2, 3]
    >>> chosen_from("2,,3")
    Traceback (most recent call last):
    ValueError: tables: '2,,3', one or several of 2, 3, 4, 5, 6 with commas between them is needed
    """
    written = [text.strip() for text in tables.split(",")]
    known = {str(number): number for number in REGISTRY}
    needed = f"one or several of {', '.join(known)} with commas between them"
    refuse_unless(set(written) <= set(known), "tables", tables, needed)
    found = [known[text] for text in dict.fromkeys(written)]
    refuse_unless(not pairs.strip() or 2 in found, "pairs", pairs, "Table 2 among the tables")
    return found


def complete(number: int, rows: Sequence[Row]) -> list[Row]:
    """The rows, and those that the poster prints and they lack, in the poster's order."""
    there = {(row.row, row.score) for row in rows}
    lacking = [(row, score) for table, row, score in PRINTED if table == number and (row, score) not in there]
    added = [Row.of(number, *key, verdict="could not be", why=_needed(number, key[0])) for key in lacking]
    order = list(dict.fromkeys(row for table, row, _ in PRINTED if table == number))
    return sorted([*rows, *added], key=lambda row: order.index(row.row) if row.row in order else len(order))


def _needed(number: int, row: str) -> str:
    keys: list[Any] = [(number, row), (number, row.partition(":")[0]), number]
    return next(NEEDS[key] for key in keys if key in NEEDS)


def best_words(rows: Sequence[Row]) -> dict[str, int]:
    """How many printed numbers have each word; one that was measured several times has its best.

    Examples
    --------
    >>> best_words(complete(6, [Row.of(6, "ours: ViT-B/32", "accuracy", [60.0], verdict="reproduced")]))
    {'reproduced': 1, 'could not be': 3}
    """
    order = [word for word in get_args(Verdict) if word]
    best: dict[tuple[int, str, str], str] = {}
    for row in sorted((row for row in rows if row.poster is not None), key=lambda row: order.index(row.verdict)):
        best.setdefault((row.table, row.row, row.score), row.verdict)
    counts = {word: list(best.values()).count(word) for word in order}
    return {word: count for word, count in counts.items() if count}


def as_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """One line a row, with every digit."""
    return pd.DataFrame([asdict(row) for row in rows], columns=[item.name for item in fields(Row)])


def as_text(rows: Sequence[Row]) -> str:
    """The tables as people read them, no wider than `PAPER` columns: the poster's number, ours, and the word. Below are
    what was measured on, in round brackets, and the reasons, in square ones."""
    parts = []
    for number in dict.fromkeys(row.table for row in rows):
        part = [row for row in rows if row.table == number]
        data, notes = (_numbered(values) for values in ((row.data for row in part), (row.why for row in part)))
        lines = [_cells(row, data.get(row.data, ""), notes.get(row.why, "")) for row in part]
        frame = pd.DataFrame(lines).fillna("")
        frame = frame.loc[:, (frame != "").any()]
        parts += [TITLES[number], frame.to_string(index=False, justify="left", formatters=_left(frame)), ""]
        legend = [f"({i}) {one}" for one, i in data.items()] + [f"[{i}] {why}" for why, i in notes.items()]
        parts += [*(fill(line, PAPER, subsequent_indent="    ") for line in legend), ""]
    return "\n".join(parts)


def _numbered(texts: Iterable[str]) -> dict[str, str]:
    """Each text that says something -> its number, from 1 in their order."""
    return {text: str(i) for i, text in enumerate(dict.fromkeys(filter(None, texts)), start=1)}


def _cells(row: Row, data: str, note: str) -> dict[str, str]:
    """What is printed of a row, column by column."""
    digits = 4 if row.table < 5 else 2

    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    ours = shown(row.ours) + (f" ± {row.sd:.{digits}f}" if row.sd is not None else "")
    recall = "" if row.recall_at_10 is None else f"{row.recall_at_10:.3f} of {row.gallery}"
    return {
        "row": row.row, "score": row.score, "poster": shown(row.poster), "ours": ours, "floor": shown(row.floor),
        "ceiling": shown(row.ceiling), "R@10": recall, "on": data and f"({data})", "": row.verdict,
        "note": note and f"[{note}]",
    }  # fmt: skip


def _left(frame: pd.DataFrame) -> dict[str, Callable[[str], str]]:
    """Formatters that fill each column up on the right."""
    return {name: f"{{:<{max(map(len, [name, *frame[name]]))}}}".format for name in frame}


def of_scores(number: int, row: str, score: str, scores: pd.DataFrame, data: str, **facts: Any) -> Row:
    """The row of what a translator reaches on several splits.

    Parameters
    ----------
    scores : one line a split, with `analysis.experiments.trial.SCORES`.
    facts : other fields of a row, `verdict` and `why`.
    """
    known = scores["ceiling"].astype(float).dropna()
    return Row.of(
        number, row, score, list(scores["cosine"]), data=data, floor=float(scores["floor"].mean()),
        ceiling=float(known.mean()) if len(known) else None, gallery=int(scores["gallery"].iloc[0]),
        recall_at_10=float(scores["centered_recall_at_10"].mean()), **facts,
    )  # fmt: skip
