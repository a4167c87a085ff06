"""The poster's Tables 2 to 6: every number that it prints, ours beside it, and one word on what became of it.

A table is measured by a function of this signature, `REGISTRY` says which; it returns rows, and `table` adds those that
nothing was measured for, with what they need:

    rows(folder of packages or None, seeds, report) -> list[Row]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from modtrans_core.checks import refuse_unless_in
from modtrans_core.progress import Progress, silent

Verdict = Literal["reproduced", "reproduced in mechanism", "could not be", ""]
"""reproduced: the same kind of data and encoder, and the number within `WITHIN`. In mechanism: on other data or
encoders, what makes the number as it is was measured, and it holds. Could not be: neither; `why` says what is missing.
Empty: the poster prints no such number"""
WITHIN = 0.02
"""how far a reproduced cosine or share may be from the printed one"""

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


Measure = Callable[[Path | None, int, Progress], list[Row]]
REGISTRY = {
    2: "analysis.experiments.poster_tables:table2_rows",
    3: "analysis.experiments.poster_tables:table3_rows",
    4: "analysis.experiments.modalities:table4_rows",
    5: "analysis.experiments.captions:table5_rows",
    6: "analysis.experiments.classification:table6_rows",
}
"""table -> the function that measures it, imported when it is asked for"""
