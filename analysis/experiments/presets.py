"""Which translator to choose: the cosine and the centered ranking side by side, and who wins both."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.experiments.trial import Trial
from analysis.theory.arrays import Floats
from analysis.theory.confidence import mean_interval
from analysis.translators import applicable
from modtrans_core import preset
from modtrans_core.calibrated.model import GOALS
from modtrans_core.scores import cosine, recall_at_k, unit_targets
from modtrans_core.vectors import unit

DEFAULT = "calibrated, balanced"
"""the method that is judged"""
RIVALS = ("ridge", "ridge towards tI", "kernel ridge", "MLP")
"""the methods that it has to win against"""
BOTH = ("cosine", "centered_recall_at_10")
"""the two scores of the front"""
JUDGED = ("cosine", "centered_recall_at_1", "centered_recall_at_10")
CONFIDENCE = 0.95
"""that one verdict is right"""


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
    fit. In the rows of `RIVALS` also `<score>_gain` of each of `JUDGED`, how much higher `DEFAULT` scores on the same
    test items, and `<score>_margin`, half the width of its interval (`gains`).
    """
    configs = {name: preset(name) for name in applicable(trial.train.k, trial.train.d, rivals)}
    for goal in GOALS:
        configs[f"calibrated, {goal}"] = preset("calibrated", {"goal": goal, "seed": trial.seed})
    fitted = trial.race(configs)
    judged = [name for name in fitted if name in (DEFAULT, *RIVALS)]
    scores = {name: item_scores(trial, fitted[name].translate(np.asarray(trial.test.c))) for name in judged}
    return trial.table().merge(gains(scores, trial.test.pairs.labels), on="method", how="left")


def item_scores(trial: Trial, zhat: np.ndarray) -> dict[str, Floats]:
    """`JUDGED` of each test item (n,), the mean over its conditions; their means over items are those of `Trial.score`.

    Parameters
    ----------
    zhat : (N, d) translations of the test part's conditions.
    """
    item = trial.test.item
    z, counts = unit_targets(np.asarray(trial.test.targets), trial.test.counts)
    found = {"cosine": cosine(zhat, z[item], counts[item])}
    for k in (1, 10):
        found[f"centered_recall_at_{k}"] = recall_at_k(unit(zhat) - trial.mean, z - trial.mean, counts, item, k)
    return {name: np.bincount(item, values) / np.bincount(item) for name, values in found.items()}


def gains(scores: dict[str, dict[str, Floats]], group: np.ndarray) -> pd.DataFrame:
    """How much higher than each rival `DEFAULT` scores on the same items, with intervals that respect their groups.

    Parameters
    ----------
    scores : method -> score -> (n,), one number an item.
    group : (n,) of the items.

    Returns
    -------
    One row a rival: `method`, and of each score `<score>_gain`, the item mean of the paired differences, and
    `<score>_margin`, half the width of `mean_interval` at such a confidence that the intervals of all rivals hold
    together with `CONFIDENCE` (Bonferroni). The margin is NaN where there is one group.
    """
    rivals = [name for name in scores if name != DEFAULT]
    each = 1.0 - (1.0 - CONFIDENCE) / max(len(rivals), 1)
    rows = []
    for rival in rivals:
        row: dict[str, float | str] = {"method": rival}
        for name in JUDGED:
            found = mean_interval(scores[DEFAULT][name] - scores[rival][name], group, each)
            row |= {f"{name}_gain": found.value, f"{name}_margin": (found.high - found.low) / 2.0}
        rows.append(row)
    return pd.DataFrame(rows, columns=["method", *(f"{name}_{of}" for name in JUDGED for of in ("gain", "margin"))])


def verdicts(scores: pd.DataFrame) -> pd.DataFrame:
    """Whether `DEFAULT` is at least as good as all of `RIVALS`, by each of `JUDGED`, on new items.

    Parameters
    ----------
    scores : rows of `presets`, of any number of seeds.

    Returns
    -------
    One row a route and score: `route`, `score`, `calibrated`, `rival`, the one of the best mean, `best` (its mean),
    `difference`, `low` and `high`, the interval of the latter, and `verdict`: ahead (of every rival), behind (at
    least one), or level.

    Notes
    -----
    Each seed splits the same items anew. Its gains are paired: both methods translate the same test items, and the
    interval of one seed is over their groups. Test parts of different seeds share items, and the training items of one
    seed are test items of another, so that the seeds are no independent repetitions, and the spread of their gains is
    no measure of error. But the standard deviation of a mean of J errors is at most the mean of their J standard
    deviations, however they depend on each other. The interval is therefore the mean gain, plus or minus the
    **mean margin** of the seeds: more seeds do not make it narrower. It is of the mean gain, over new items, of the J
    pairs of translators that were fitted here; that others would be fitted to other training items is not in it. (The
    corrected variance of Nadeau and Bengio [1]_ is about that, but needs several seeds, and an assumption on how much
    these correlate.) A recall is that in the galleries at hand.

    The intervals hold for all rivals together, so that it does not matter that the best one was found on the same
    items: ahead if the interval is above 0 for every rival, behind if it is below 0 for one, level otherwise. Each
    verdict has its own `CONFIDENCE`.

    References
    ----------
    .. [1] C. Nadeau and Y. Bengio, Inference for the generalization error, Machine Learning 52 (2003).
    """
    rows = []
    unknown = {f"{name}_margin": np.inf for name in JUDGED}
    for route, part in scores.fillna(unknown).groupby("route", sort=False):
        means = part.groupby("method", sort=False).mean(numeric_only=True)
        rivals = means.loc[[rival for rival in RIVALS if rival in means.index]]
        for name in JUDGED:
            gain, margin = rivals[f"{name}_gain"], rivals[f"{name}_margin"]
            best = str(rivals[name].idxmax())
            behind, ahead = (gain + margin < 0.0).any(), (gain - margin > 0.0).all()
            rows.append(
                {
                    "route": route,
                    "score": name,
                    "calibrated": means.loc[DEFAULT, name],
                    "rival": best,
                    "best": rivals.loc[best, name],
                    "difference": gain[best],
                    "low": gain[best] - margin[best],
                    "high": gain[best] + margin[best],
                    "verdict": "ahead" if ahead else "behind" if behind else "level",
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
