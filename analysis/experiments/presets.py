"""Which translator to choose: the cosine and the centered ranking side by side, and who wins both."""

from __future__ import annotations

from typing import get_args

import pandas as pd

from analysis.experiments.trial import Trial
from analysis.translators import applicable
from modtrans_core import preset
from modtrans_core.calibrated.model import Goal

GOALS: tuple[Goal, ...] = get_args(Goal)
RIVALS = ("ridge", "ridge towards tI", "kernel ridge", "MLP")
"""the methods that `calibrated` has to win against"""
BOTH = ("cosine", "centered_recall_at_10")
"""the two scores of the front"""
JUDGED = ("cosine", "centered_recall_at_1", "centered_recall_at_10")


def presets(
    trial: Trial, rivals: tuple[str, ...] = ("constant mean", "identity", "mean shift", *RIVALS)
) -> pd.DataFrame:
    """Rivals, and `calibrated` by each goal.

    Parameters
    ----------
    rivals : presets of `analysis.translators`; those that need one dimension for both modalities are left out where
        there are two.

    Returns
    -------
    One row a method: `route`, `method`, `seed`, `analysis.experiments.trial.SCORES`, and `seconds`, the time of its
    fit.
    """
    configs = {name: preset(name) for name in applicable(trial.train.k, trial.train.d, rivals)}
    for goal in GOALS:
        configs[f"calibrated, {goal}"] = preset("calibrated", {"goal": goal, "seed": trial.seed})
    trial.race(configs)
    return trial.table()


def verdicts(scores: pd.DataFrame, goal: Goal = "balanced") -> pd.DataFrame:
    """Whether `calibrated` is at least as good as the best of `RIVALS`, by each of `JUDGED`.

    The best rival is the one of the best mean; the difference is taken seed by seed, on the same test items.

    Returns
    -------
    One row a route and score: `route`, `score`, `calibrated`, `rival`, `best` (its mean), `difference` (mean),
    `difference_sd` (over seeds, 0 for one), and `verdict`: ahead (by more than the spread), level, or behind.
    """
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
    """For each row of a table of means: whether none of its route is as good by `BOTH` scores and better by one.

    These are the translators among which the task has to choose: the Pareto front.
    """
    values = table[list(BOTH)].to_numpy()
    same = table["route"].to_numpy()[:, None] == table["route"].to_numpy()
    no_worse = (values[None] >= values[:, None]).all(2) & same
    better = (values[None] > values[:, None]).any(2)
    return table["route"].notna() & ~(no_worse & better).any(1)
