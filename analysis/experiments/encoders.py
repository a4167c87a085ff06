"""Does the translator work with any pair of encoders? The same scores for each, beside its floor and its control.

A cosine says little across encoders: its floor, the cosine of the constant mean, is a property of the target's encoder.
Nor does the skill, between floor and ceiling, where targets differ: three numbers are predicted well and still do not
tell an item from its neighbours. What vectors know of an item is what the ranking in one gallery says.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.experiments.comparison import SCORES
from analysis.experiments.contenders import contenders
from analysis.experiments.splits import every_split
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, silent
from modtrans_core.scores import score
from modtrans_core.vectors import mean_of_unit

if TYPE_CHECKING:
    import pandas as pd

COMPARED = ("cosine", "floor", "skill", "recall_at_10", "centered_recall_at_10")
CLIP_ON_COCO = {
    "ViT-B/32": {"text": 0.716, "image": 0.689},
    "ViT-L/14": {"text": 0.710, "image": 0.594},
}
"""floors: |mean| of CLIP's unit embeddings of COCO val2014, from statistics that the poster's authors published"""
PUBLISHED = {
    "Table 2, COCO: ViT-B/32 both": (0.8394, 0.8233),
    "Table 2, CC3M: ViT-B/32 both": (0.7389, 0.7443),
    "Table 3, COCO: ViT-L/14 both": (0.7765, 0.8192),
    "Table 3, COCO: ViT-L/14, BERT": (0.9745, 0.7796),
    "Table 3, COCO: DINOv2, CLIP RN50": (0.7917, 0.5207),
    "Table 4, COCO to CelebA: ViT-B/32 both": (0.8237, 0.5974),
    "Table 4, COCO to CelebA: ViT-L/14 both": (0.6885, 0.5993),
    "Table 4, CC3M to COCO: ViT-L/14 both": (0.6817, 0.7300),
}
"""the poster's own cosines, Sim_txt and Sim_img. Table 3 heads its encoders text, image; the heads seem swapped, as
BERT reads no pictures. Table 4 trains on one data set and tests on another, as
`analysis.experiments.cross_domain` does"""


def contend(
    pairs: PairedEmbeddings,
    source: str,
    target: str,
    *,
    seed: int = 0,
    landmarks: int = 1024,
    steps: int = 300,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Fit `analysis.experiments.contenders` on the training part, choose on validation, score on the test part.

    Returns
    -------
    One row a method: `route`, `method`, `seed`, `analysis.experiments.comparison.SCORES`.
    """
    import pandas as pd

    train, validation, test = pairs.split(seed)
    fitted = contenders(
        train, validation, source, target, seed=seed, landmarks=landmarks, steps=steps, progress=progress
    )
    mean = mean_of_unit(train.modality(target), train.counts.get(target))
    condition, item = test.rows(source)
    targets, counts = test.modality(target), test.counts.get(target)
    return pd.DataFrame(
        [
            {
                "route": f"{source} → {target}", "method": name, "seed": seed,
                **score(translate(condition), targets, counts, mean=mean, item=item),
            }
            for name, translate in fitted.items()
        ]
    )  # fmt: skip


def contend_all(
    sets: Mapping[str, str | Path],
    seeds: int,
    *,
    landmarks: int = 1024,
    steps: int = 300,
    progress: Progress = silent,
) -> pd.DataFrame:
    """`contend` for every pair set, both routes between its first two modalities, and every seed.

    Parameters
    ----------
    sets : name -> file or folder of a pair set.
    progress : called with (steps done, steps of all).

    Returns
    -------
    The rows of `contend` with the set's name in front, as `pair`.
    """
    import pandas as pd

    found = []
    work = partial(contend, landmarks=landmarks, steps=steps)
    for index, (name, path) in enumerate(sets.items()):
        first, second = list(PairedEmbeddings.load(path).arrays)[:2]
        routes = [(first, second), (second, first)]

        def tell(done: int, total: int, before: int = index) -> None:
            progress(before * total + done, len(sets) * total)

        parts = every_split(work, path, routes, seeds, tell)
        found.append(pd.concat(parts, ignore_index=True).assign(pair=name))
    scores = pd.concat(found, ignore_index=True)
    return scores[["pair", "route", "method", "seed", *SCORES]]


def beside_control(scores: pd.DataFrame, real: str, control: str) -> pd.DataFrame:
    """What the real encoder has over its control, seed by seed, as both were split and tested on the same items.

    Where the control replaces the condition's encoder, targets and floor are the same and all scores compare; where it
    replaces the target's, only the ranking does.

    Parameters
    ----------
    scores : rows of `contend_all`.
    real, control : two values of its column `pair`.

    Returns
    -------
    One row a route and method: `route`, `method`, the mean difference of each of `COMPARED`, and its standard
    deviation over seeds as `<score>_sd`, 0 for one seed.
    """
    index = ["route", "method", "seed"]
    one, other = (scores[scores["pair"] == name].set_index(index)[list(COMPARED)] for name in (real, control))
    if not len(one) or not len(other):
        raise ValueError(f"pair: {real!r} and {control!r}, both are needed among {', '.join(scores['pair'].unique())}")
    grouped = (one - other).groupby(index[:2], sort=False)
    return grouped.mean().join(grouped.std(ddof=1).fillna(0.0).add_suffix("_sd")).reset_index()


def agreement(table: pd.DataFrame, method: str) -> dict[str, float | int]:
    """Over pairs of encoders and routes: what the cosine of a method goes with.

    Parameters
    ----------
    table : `analysis.paper.tables.mean_and_spread` of `contend_all` by pair, route and method.

    Returns
    -------
    `with_floor`, `with_recall` : Spearman's rank correlation of the cosine with the floor and with the centered
        recall@10 per place of a gallery at random (galleries differ in size); NaN for fewer than three cells.
    `n` : how many cells (pair, route) there are.
    """
    from scipy.stats import spearmanr

    part = table[table["method"] == method]
    if len(part) < 3:
        return {"with_floor": float("nan"), "with_recall": float("nan"), "n": len(part)}
    by_chance = np.minimum(1.0, 10 / part["gallery"])
    return {
        "with_floor": float(spearmanr(part["cosine"], part["floor"]).statistic),
        "with_recall": float(spearmanr(part["cosine"], part["centered_recall_at_10"] / by_chance).statistic),
        "n": len(part),
    }


def published(table: pd.DataFrame, method: str = "poster") -> pd.DataFrame:
    """The poster's numbers beside CLIP's floors on COCO, and ours where a pair set of COCO was run.

    Parameters
    ----------
    table : `analysis.paper.tables.mean_and_spread` of `contend_all`; pair sets whose name has `COCO` in it are ours.
    """
    import pandas as pd

    rows = [
        {"what": f"poster, {where}, {which}", "cosine": value, "floor": None}
        for where, both in PUBLISHED.items()
        for which, value in zip(("Sim_txt", "Sim_img"), both, strict=True)
    ]
    rows += [
        {"what": f"constant mean, CLIP {model} {modality}, COCO val2014", "cosine": value, "floor": value}
        for model, floors in CLIP_ON_COCO.items()
        for modality, value in floors.items()
    ]
    ours = table[(table["method"] == method) & table["pair"].str.contains("COCO")]
    rows += [
        {"what": f"ours, {row['pair']}, {row['route']}", "cosine": row["cosine"], "floor": row["floor"]}
        for row in ours.to_dict("records")
    ]
    if not len(ours):
        rows.append({"what": "ours, COCO: not run", "cosine": None, "floor": None})
    return pd.DataFrame(rows)
