"""One protocol for every translator: its scores on held-out items, and of which rivals `calibrated` is ahead."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.experiments.kept import keep
from analysis.experiments.trial import Trial, every_trial
from analysis.tasks.retrieval import bank_of, corrected
from analysis.theory.arrays import Floats
from analysis.theory.confidence import mean_interval
from analysis.translators import LANGUAGE_FREE, SIMPLE, SLOWER, applicable
from modtrans_core import PairedEmbeddings, preset
from modtrans_core.calibrated.fit import fit_goals
from modtrans_core.calibrated.model import GOALS
from modtrans_core.checks import refuse_unless
from modtrans_core.device import default_device
from modtrans_core.progress import Progress, part_of, silent
from modtrans_core.protocol import Facts, Translator
from modtrans_core.ranking import Correction
from modtrans_core.scores import RANKS, away_from, cosine, hits
from modtrans_core.vectors import present, unit, unit_targets

RIVALS = tuple(name for name in SIMPLE + SLOWER + LANGUAGE_FREE if name != "LAFITE trained")
"""presets that it is compared with, where they apply; trained noise takes longer than all others"""
JUDGED = ("cosine", *(f"ranked_recall_at_{k}" for k in RANKS))
CORRECTION = Correction(1, 10)
"""for hubs, that rivals can rank with: CSLS of ten neighbours, as published"""
WITHIN = 0.01
"""of cosine, that a point may give up to a rival and still be compared with its ranking"""
WAYS = {"plain": "", "centered": "centered_", "own": "own_"}
"""rankings -> what their scores begin with"""
CONFIDENCE = 0.95
"""that one verdict is right"""
AT_RIDGE = "ranked_recall_at_1 at ridge's cosine"
"""the score in which the rival is the condition itself, ranked by cosine, where both modalities share a space"""
AIMS = {
    "cosine": "cosine ahead of every rival's",
    "ranked_recall_at_1": f"R@1 ahead of every rival's of comparable cosine (within {WITHIN:g})",
    "ranked_recall_at_10": f"R@10 ahead of every rival's of comparable cosine (within {WITHIN:g})",
    AT_RIDGE: "at ridge's cosine, R@1 at least that of the condition itself, by cosine",
}
"""score -> what is to be reached"""
RANKED = (
    "ranked: `calibrated` by its own ranking; a rival by the best on these test items of plain, centered and own,\n"
    "each with and without a correction for hubs"
)
"""the ranking that is judged"""


class Measured(NamedTuple):
    """Some methods on one split."""

    scores: pd.DataFrame
    """one row a method: `route`, `method`, `seed`, `analysis.experiments.trial.SCORES`, `seconds`, the time of its fit
    (of every goal together), and `ranked_recall_at_1` and `_10`, see `item_scores`"""
    items: dict[str, dict[str, Floats]]
    """method -> `item_scores`"""
    group: np.ndarray
    """(n,) of the test items"""


class Compared(NamedTuple):
    """What was measured: every method's scores, and the gains of `calibrated` by every goal over every rival."""

    scores: pd.DataFrame
    gains: pd.DataFrame


def routes(pairs: PairedEmbeddings, source: str = "", target: str = "") -> list[tuple[str, str]]:
    """Both directions between two modalities. Those that are not named are image and text, or the only two there are.

    Raises
    ------
    ValueError
        The two are not there, or are one.
    """
    names = list(pairs.arrays)
    usual = ["image", "text"] if {"image", "text"} <= set(names) else names if len(names) == 2 else []
    one = source or next((name for name in usual if name != target), "")
    other = target or next((name for name in reversed(usual) if name != one), "")
    ok = {one, other} <= set(names) and one != other
    given = f"{one}, {other}" if one or other else None
    refuse_unless(ok, "source, target", given, f"two of the modalities {', '.join(names)}")
    return [(one, other), (other, one)]


def compare(
    pairs: Path,
    both: Sequence[tuple[str, str]],
    seeds: int,
    report: Progress = silent,
    rivals: Mapping[str, Mapping[str, Any]] | Sequence[str] = RIVALS,
    goals: Sequence[str] = GOALS,
    folder: Path | None = None,
) -> Compared:
    """`ours` and then `theirs` on every route and split of a pair set; see `every_trial`."""
    works = partial(ours, goals=goals, folder=folder), partial(theirs, rivals=rivals)
    first, then = (
        every_trial(work, pairs, both, seeds, part_of(report, number, 2)) for number, work in enumerate(works)
    )
    found = [together(*two) for two in zip(first, then, strict=True)]
    return Compared(*(pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True)))


def together(ours: Measured, theirs: Measured) -> Compared:
    """Both on one split; see `gains`."""
    gained = gains(theirs.items | ours.items, list(ours.items), ours.group)
    named = {name: ours.scores[name].iloc[0] for name in ("route", "seed")}
    return Compared(pd.concat([theirs.scores, ours.scores], ignore_index=True), gained.assign(**named))


def theirs(trial: Trial, rivals: Mapping[str, Mapping[str, Any]] | Sequence[str] = RIVALS) -> Measured:
    """Rivals on one split.

    Parameters
    ----------
    rivals : presets of `analysis.translators`, and what is set otherwise in each; those that need one dimension for
        both modalities are left out where there are two.
    """
    otherwise = rivals if isinstance(rivals, Mapping) else {name: {} for name in rivals}
    names = applicable(trial.train.k, trial.train.d, tuple(rivals))
    return _measured(trial, trial.race({name: preset(name, otherwise[name]) for name in names}))


def ours(trial: Trial, goals: Sequence[str] = GOALS, folder: Path | None = None) -> Measured:
    """`calibrated` by each goal on one split.

    Parameters
    ----------
    folder : in which the scores of the preset `calibrated` are kept, see `analysis.experiments.kept`.
    """
    started, config = time.perf_counter(), preset("calibrated", {"seed": trial.seed})
    facts = Facts.of(trial.train.pairs, trial.train.source, trial.train.target)
    joined = fit_goals(trial.train, trial.validation, facts, config, default_device(), goals)
    points = {f"calibrated, {one.config.goal}": one for one in joined}
    seconds = time.perf_counter() - started
    for name, one in points.items():
        zhat, own = trial.answers(one)
        trial.add(name, zhat, own=own, seconds=seconds)
        if folder and one.config == config:
            keep(folder, trial, config)
    return _measured(trial, points)


def _measured(trial: Trial, fitted: Mapping[str, Translator]) -> Measured:
    """Of methods whose rows the trial has."""
    items = {name: item_scores(trial, one) for name, one in fitted.items()}
    found = trial.table()
    found = found[found["method"].isin(items)].copy()
    for k in RANKS:
        name = f"ranked_recall_at_{k}"
        found[name] = [items[method][name].mean() for method in found["method"]]
    return Measured(found, items, trial.test.pairs.groups)


def item_scores(trial: Trial, translator: Translator) -> dict[str, Floats]:
    """`JUDGED` and the plain `recall_at_1` of each test item (n,), the mean over its conditions.

    `calibrated` ranks by its own ranking. A rival is given that of `rankings` which finds the most on this test part:
    an advantage, as nobody knows it before.
    """
    item, (zhat, _) = trial.test.item, trial.answers(translator)
    z, counts = unit_targets(np.asarray(trial.test.targets), trial.test.counts)
    several = np.bincount(item)
    found = {"cosine": np.bincount(item, cosine(zhat, z[item], counts[item])) / several}
    ways = [hits(*way, counts, item, RANKS) for way in rankings(trial, translator, zhat, z, counts)]
    found["recall_at_1"] = np.bincount(item, hits(unit(zhat), z, counts, item, (1,))[0]) / several
    for place, k in enumerate(RANKS):
        recalls = [np.bincount(item, way[place]) / several for way in ways]
        found[f"ranked_recall_at_{k}"] = max(recalls, key=np.mean)
    return found


def rankings(
    trial: Trial, translator: Translator, zhat: np.ndarray, z: np.ndarray, counts: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Queries (N, D) and gallery (n, m, D) of each way to rank the unit targets z (n, m, d), by inner product.

    A translator with a ranking of its own has that. Any other can rank by zhat itself (plain), by its direction less
    the mean (centered), and by what it adds to the mean (own), and correct each for hubs by `CORRECTION`, with its
    translations of training conditions as the bank.
    """
    if vectors := trial.answers(translator)[1]:
        return [vectors]
    there, mean = present(z.shape[1], counts), trial.mean
    centered = np.zeros_like(z)
    centered[there] = unit(z[there] - mean)
    bank = bank_of(translator, trial.train.c)
    directions: tuple[tuple[Callable[[np.ndarray], np.ndarray], np.ndarray], ...] = (
        (unit, z), (lambda x: unit(unit(x) - mean), centered), (partial(away_from, mean), centered)
    )  # fmt: skip
    ways = []
    for direction, gallery in directions:
        queries = direction(zhat).astype(np.float32)
        ways += [(queries, gallery), corrected(queries, gallery, direction(bank), CORRECTION, counts)]
    return ways


def gains(items: dict[str, dict[str, Floats]], points: Sequence[str], group: np.ndarray) -> pd.DataFrame:
    """How much higher than each rival each point scores on the same items, with intervals that respect their groups.

    Parameters
    ----------
    items : method -> score -> (n,), one number an item.
    points : the methods that are ours; the others are rivals.
    group : (n,) of the items.

    Returns
    -------
    One row a score, point and rival: `score`, `point`, `rival`, `of_point` and `of_rival`, the item means, `gain`, the
    mean of the paired differences, and `margin`, half the width of `mean_interval` at such a confidence that the
    intervals of a score hold for all points and rivals together with `CONFIDENCE` (Bonferroni; points that score the
    same on every item are one). The margin is NaN where there is one group.
    """
    rivals = [name for name in items if name not in points]
    asked = [(score, score, rival) for score in JUDGED for rival in rivals]
    asked += [(AT_RIDGE, "recall_at_1", "identity")] if "identity" in rivals else []
    rows = []
    for score, of_rival, rival in asked:
        different = len({items[point][score.split()[0]].tobytes() for point in points})
        each = 1.0 - (1.0 - CONFIDENCE) / (different * (1 if score == AT_RIDGE else len(rivals)))
        for point in points:
            ours, theirs = items[point][score.split()[0]], items[rival][of_rival]
            found = mean_interval(ours - theirs, group, each)
            row = {
                "score": score,
                "point": point,
                "rival": rival,
                "of_point": ours.mean(),
                "of_rival": theirs.mean(),
            }
            rows.append({**row, "gain": found.value, "margin": (found.high - found.low) / 2.0})
    return pd.DataFrame(rows)


def duels(gains: pd.DataFrame) -> pd.DataFrame:
    """Each rival against the goal of `calibrated` whose cosine is comparable with its own, on new items.

    Parameters
    ----------
    gains : those of `presets`, of any number of seeds.

    Returns
    -------
    One row a route, score and rival: `route`, `score`, `rival`, its mean score `best` and `cosine`; `point`, its
    `calibrated` and `point_cosine`; `difference`, `low` and `high`, the interval of the latter; `verdict`: ahead,
    behind, or level; and `comparable`. In the cosine the point is that of the best cosine. In a ranking it is,
    of those whose cosine is at most `WITHIN` below the rival's, the one that ranks best. A rival is comparable unless
    every point is that far above it or below it. `AT_RIDGE` sets the condition itself against a point that is
    comparable with ridge.

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

    The intervals of a score hold for all points and rivals together, so that it does not matter that the point was
    found on the same items.

    References
    ----------
    .. [1] C. Nadeau and Y. Bengio, Inference for the generalization error, Machine Learning 52 (2003).
    """
    rows = []
    for route, part in gains.fillna({"margin": np.inf}).groupby("route", sort=False):
        means = part.groupby(["score", "rival", "point"], sort=False)[["of_point", "of_rival", "gain", "margin"]].mean()
        ours, theirs = (means.loc["cosine"][f"of_{of}"].groupby(of, sort=False).first() for of in ("point", "rival"))
        asked = [(score, rival, rival) for score in JUDGED for rival in theirs.index]
        asked += [(AT_RIDGE, "identity", "ridge")] if {"identity", "ridge"} <= set(theirs.index) else []
        for score, rival, level in asked:
            near = ours[ours >= theirs[level] - WITHIN]
            ranked = means.loc[score, rival]["of_point"][(ours if near.empty else near).index]
            point = (ours if score == "cosine" else ranked).idxmax()
            found = means.loc[score, rival, point]
            low, high = found["gain"] - found["margin"], found["gain"] + found["margin"]
            comparable = score == "cosine" or ours.min() - WITHIN <= theirs[level] <= ours.max() + WITHIN
            row = {"route": route, "score": score, "rival": rival, "best": found["of_rival"], "cosine": theirs[rival]}
            row |= {"point": point, "calibrated": found["of_point"], "point_cosine": ours[point]}
            row |= {"difference": found["gain"], "low": low, "high": high, "comparable": comparable}
            rows.append(row | {"verdict": "ahead" if low > 0.0 else "behind" if high < 0.0 else "level"})
    return pd.DataFrame(rows)


def verdicts(duels: pd.DataFrame) -> pd.DataFrame:
    """Whether what is aimed at is reached, on each route: ahead of every comparable rival in every score.

    Returns
    -------
    One row a route and score: the columns of `duels` of the rival whose interval reaches lowest; `verdict`: ahead (of
    every comparable rival), behind (at least one), or level; `not_ahead`, the rivals that `calibrated` is not ahead of;
    and `reached`: the verdict is ahead or, of `AT_RIDGE`, the difference is not negative. Each verdict has its own
    `CONFIDENCE`.
    """
    rows = []
    for (_, score), part in duels[duels["comparable"]].groupby(["route", "score"], sort=False):
        worst, found = part.loc[part["low"].idxmin()], set(part["verdict"])
        verdict = "behind" if "behind" in found else "level" if "level" in found else "ahead"
        reached = worst["difference"] >= 0.0 if score == AT_RIDGE else verdict == "ahead"
        missed = ", ".join(part.loc[part["verdict"] != "ahead", "rival"])
        rows.append({**worst, "verdict": verdict, "not_ahead": missed, "reached": bool(reached)})
    return pd.DataFrame(rows).drop(columns="comparable")


def as_text(scores: pd.DataFrame, judged: pd.DataFrame) -> str:
    """Every method's mean scores, and of each aim whether it is reached; what is not, with its numbers.

    Parameters
    ----------
    scores : those of `presets`.
    judged : `duels` of its gains.
    """
    lines = []
    for route, part in scores.groupby("route", sort=False):
        first = part.iloc[0]
        lines += [
            f"{route}: floor {part['floor'].mean():.3f}, gallery {first['gallery']}, seeds {part['seed'].nunique()}"
        ]
        lines += [f"{'':22}{'cosine':>14}" + "".join(f"{way:>14}" for way in WAYS) + f"{'ranked':>14}{'seconds':>9}"]
        lines += [f"{'':22}{'mean ± sd':>14}" + f"{'R@1  R@10':>14}" * (len(WAYS) + 1)]
        for method, rows in part.groupby("method", sort=False):
            mean, spread = rows.mean(numeric_only=True), rows["cosine"].std()
            recalls = [[mean[f"{way}recall_at_{k}"] for k in RANKS] for way in [*WAYS.values(), "ranked_"]]
            shown = "".join(f"{one:>8.3f} {ten:.3f}" for one, ten in recalls)
            about = f" ± {spread:.3f}" if len(rows) > 1 else f"{'':8}"
            lines.append(f"{method:22}{mean['cosine']:>6.3f}{about}{shown}{mean['seconds']:>9.1f}")
        mine = judged[judged["route"] == route]
        for verdict in verdicts(mine).to_dict("records"):
            of = mine[(mine["score"] == verdict["score"]) & mine["comparable"]]
            lines.append(f"{'REACHED' if verdict['reached'] else 'not reached'}: {AIMS[verdict['score']]}")
            short = of if verdict["score"] == AT_RIDGE else of[of["verdict"] != "ahead"]
            lines += map(_in_words, [verdict] if short.empty else short.to_dict("records"))
        others = mine[~mine["comparable"] & (mine["verdict"] != "ahead")]
        lines += ["not ahead of these rivals' rankings, whose cosines are others:"] if len(others) else []
        lines += map(_in_words, others.to_dict("records"))
        lines.append("")
    return "\n".join([*lines, RANKED])


def _in_words(duel: dict[str, Any]) -> str:
    """A line of numbers."""
    cosines = f"at cosines {duel['point_cosine']:.3f} and {duel['cosine']:.3f}"
    what = "cosine" if duel["score"] == "cosine" else f"R@{duel['score'].split('_')[3].split()[0]}, {cosines}"
    return (
        f"    {duel['point']} {duel['calibrated']:.3f}, {duel['rival']} {duel['best']:.3f} ({what}):"
        f" {duel['difference']:+.3f}, {duel['low']:+.3f} to {duel['high']:+.3f}, {duel['verdict']}"
    )
