"""Which translator to choose: the cosine and the centered ranking side by side, and who wins both."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from modtrans_core.config import Goal, preset

from analysis.experiments.comparison import unit_pairs
from analysis.experiments.splits import every_split
from analysis.translators import baselines
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, silent
from modtrans_core.scores import score
from modtrans_core.vectors import mean_of_unit, unit

if TYPE_CHECKING:
    import pandas as pd

GOALS: tuple[Goal, ...] = ("cosine", "balanced", "retrieval")
RIVALS = ("ridge", "ridge towards tI", "kernel ridge", "MLP")
"""the baselines that `calibrated` has to win against"""
BOTH = ("cosine", "centered_recall_at_10")
"""the two scores of the front"""
JUDGED = ("cosine", "centered_recall_at_1", "centered_recall_at_10")


def contend(
    pairs: PairedEmbeddings,
    source: str,
    target: str,
    *,
    seed: int = 0,
    rivals: Sequence[str] = ("constant mean", "identity", "mean shift", *RIVALS),
    progress: Progress = silent,
) -> pd.DataFrame:
    """Fit baselines and `calibrated` by each goal on the training part, choose on validation, score on the test part.

    Parameters
    ----------
    pairs : the whole pair set; it is split here.
    seed : of the split, and of whatever a method draws.
    rivals : names of `analysis.translators.baselines(k, d, full=True)`; those that need one dimension for both
        modalities are left out where there are two.
    progress : called with (methods fitted, methods).

    Returns
    -------
    One row a method: `route`, `method`, `seed`, `analysis.experiments.comparison.SCORES`, and `seconds`, the
    time of its fit.
    """
    import pandas as pd
    from modtrans_core.translator import Translator

    train, validation, test = pairs.split(seed)
    fitted, held = (unit_pairs(part, source, target) for part in (train, validation))
    mean = mean_of_unit(train.modality(target), train.counts.get(target))
    condition, item = test.rows(source)
    applicable = baselines(fitted[0].shape[1], fitted[1].shape[1], full=True)
    chosen = [name for name in rivals if name in applicable]

    rows: list[dict[str, object]] = []

    def add(method: str, predicted: np.ndarray, seconds: float) -> None:
        found = score(predicted, test.modality(target), test.counts.get(target), mean=mean, item=item)
        rows.append({"route": f"{source} → {target}", "method": method, "seed": seed, **found, "seconds": seconds})
        progress(len(rows), len(chosen) + len(GOALS))

    for name in chosen:
        started = time.perf_counter()
        rival = applicable[name]().fit(*fitted, validation=held)
        add(name, rival.translate(unit(condition)), time.perf_counter() - started)
    for goal in GOALS:
        config = preset("calibrated")
        config = replace(config, seed=seed, lift=replace(config.lift, goal=goal))
        started = time.perf_counter()
        translator = Translator.fit(train, source, target, config=config, validation=validation)
        add(f"calibrated, {goal}", translator.translate(condition), time.perf_counter() - started)
    return pd.DataFrame(rows)


def contend_all(
    pairs: str | Path, routes: Sequence[tuple[str, str]], seeds: int, progress: Progress | None = None
) -> pd.DataFrame:
    """`contend` for every route and seed; see `analysis.experiments.splits.every_split`."""
    import pandas as pd

    return pd.concat(every_split(contend, pairs, routes, seeds, progress), ignore_index=True)


def verdicts(scores: pd.DataFrame, goal: Goal = "balanced") -> pd.DataFrame:
    """Whether `calibrated` is at least as good as the best of `RIVALS`, by each of `JUDGED`.

    The best rival is the one of the best mean; the difference is taken seed by seed, on the same test items.

    Returns
    -------
    One row a route and score: `route`, `score`, `calibrated`, `rival`, `best` (its mean), `difference` (mean),
    `difference_sd` (over seeds, 0 for one), and `verdict`: ahead (by more than the spread), level, or behind.
    """
    import pandas as pd

    rows = []
    for route, part in scores.groupby("route", sort=False):
        for name in JUDGED:
            table = part.pivot(index="seed", columns="method", values=name)
            means = table[[rival for rival in RIVALS if rival in table]].mean()
            difference = table[f"calibrated, {goal}"] - table[means.idxmax()]
            mean, spread = difference.mean(), float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
            rows.append(
                {
                    "route": route,
                    "score": name,
                    "calibrated": table[f"calibrated, {goal}"].mean(),
                    "rival": means.idxmax(),
                    "best": means.max(),
                    "difference": mean,
                    "difference_sd": spread,
                    "verdict": "ahead" if mean > spread else "behind" if mean < -spread else "level",
                }
            )
    return pd.DataFrame(rows)


def on_front(table: pd.DataFrame) -> pd.Series:
    """For each row of a table of means: whether no other on its route is as good by `BOTH` scores and better by one.

    These are the translators among which the task has to choose: the Pareto front.
    """
    values = table[list(BOTH)].to_numpy()
    same = table["route"].to_numpy()[:, None] == table["route"].to_numpy()
    no_worse = (values[None] >= values[:, None]).all(2) & same
    better = (values[None] > values[:, None]).any(2)
    return table["route"].notna() & ~(no_worse & better).any(1)
