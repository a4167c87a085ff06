"""Train on one domain, test on another: what is lost, and what a new mean brings back.

Both translators are tested on the same items of the domain `home`: one was trained at home, one away. Away, the
constant that a user would have is the mean of the away targets; its cosine on the test is the honest floor. Beside it
stands the floor at home, which needs targets of the test's domain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from analysis.experiments.contenders import Translate, contenders
from analysis.experiments.splits import every_split
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, silent
from modtrans_core.scores import floor, score
from modtrans_core.split import whole_groups
from modtrans_core.vectors import mean_of_unit, unit

if TYPE_CHECKING:
    import pandas as pd

CONSTANT = "constant mean"
MENDED = "calibrated"
MENDS = {
    f"{MENDED}, conditions recentred": (True, False),
    f"{MENDED}, targets recentred": (False, True),
    f"{MENDED}, recentred": (True, True),
}
"""name -> whether conditions and whether targets are moved by the difference of the domains' means"""
LOST = ("cosine", "skill", "centered_recall_at_10")


def cross(
    away: PairedEmbeddings,
    source: str,
    target: str,
    *,
    home: PairedEmbeddings | str | Path,
    seed: int = 0,
    few: int = 100,
    equal: bool = True,
    landmarks: int = 1024,
    steps: int = 300,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Train at home and away, and test both on the test part of home.

    Parameters
    ----------
    away : the domain to train on instead. Groups that hold a key of a test item are left out of it.
    home : the domain of the test, which is split; or its file.
    few : the mends know the means of so many conditions and of as many other targets of home's training part, at most
        half of it each: nobody has to know what belongs together.
    equal : cut the larger training part to the size of the smaller, so that what is lost is the domain's doing.
    landmarks, steps, seed : see `analysis.experiments.contenders`; the seed also splits.
    progress : called with (translators fitted, in all).

    Returns
    -------
    One row a translator: `route`, `trained` (home or away), `method` (`constant mean`, those of
    `analysis.experiments.contenders` and, away, `MENDS`), `seed`, `n` (items trained on), the scores of
    `modtrans_core.scores.score`, whose floor and centre are the mean of the targets known to that translator, and
    `floor_at_home`, by the mean of home's training targets.
    """
    import pandas as pd

    if not isinstance(home, PairedEmbeddings):
        home = PairedEmbeddings.load(home)
    train, validation, test = home.split(seed)
    away_train, away_validation = without(away, test).split(seed, (0.875, 0.125))
    if equal:
        n = min(len(train), len(away_train))
        train, away_train = _at_most(train, n, seed), _at_most(away_train, n, seed)
    condition, item = test.rows(source)
    targets, counts = test.modality(target), test.counts.get(target)
    at_home = floor(_mean(train, target), targets, counts)
    rows: list[dict[str, object]] = []

    def examine(trained: str, method: str, translate: Translate, mean: np.ndarray, n: int) -> None:
        facts = {"route": f"{source} → {target}", "trained": trained, "method": method, "seed": seed, "n": n}
        found = score(translate(condition), targets, counts, mean=mean, item=item)
        rows.append({**facts, **found, "floor_at_home": at_home})

    trainings = {"home": (train, validation), "away": (away_train, away_validation)}
    for place, (trained, parts) in enumerate(trainings.items()):
        mean, n = _mean(parts[0], target), len(parts[0])
        fitted: dict[str, Translate] = {CONSTANT: partial(_constant, mean)}
        fitted |= contenders(
            *parts, source, target, seed=seed, landmarks=landmarks, steps=steps,
            progress=partial(_part_of, progress, place, len(trainings)),
        )  # fmt: skip
        for method, translate in fitted.items():
            examine(trained, method, translate, mean, n)
    shift_c, shift_z = shifts(away_train, train, source, target, few, np.random.default_rng([seed, few]))
    for method, (of_conditions, of_targets) in MENDS.items():
        mended = recentred(fitted[MENDED], of_conditions * shift_c, of_targets * shift_z)
        examine("away", method, mended, mean + of_targets * shift_z, n)
    return pd.DataFrame(rows)


def cross_all(
    crossings: Mapping[str, tuple[PairedEmbeddings, PairedEmbeddings]],
    routes: Sequence[tuple[str, str]],
    seeds: int,
    *,
    few: int = 100,
    equal: bool = True,
    landmarks: int = 1024,
    steps: int = 300,
    progress: Progress = silent,
) -> pd.DataFrame:
    """`cross` for every crossing, route and seed.

    Parameters
    ----------
    crossings : name -> (away, home).
    routes : (source, target); of each crossing those are run whose modalities it has.
    progress : called with (steps done, steps of all).

    Returns
    -------
    The rows of `cross` with the crossing's name in front, as `crossing`.
    """
    import pandas as pd

    found = []
    for index, (name, (away, home)) in enumerate(crossings.items()):
        own = [route for route in routes if set(route) <= set(away.arrays)]

        def tell(done: int, total: int, before: int = index) -> None:
            progress(before * total + done, len(crossings) * total)

        with TemporaryDirectory() as folder:
            files = [Path(folder) / "away.npz", Path(folder) / "home.npz"]
            away.save(files[0])
            home.save(files[1])
            work = partial(cross, home=files[1], few=few, equal=equal, landmarks=landmarks, steps=steps)
            parts = every_split(work, files[0], own, seeds, tell)
        found.append(pd.concat([pd.DataFrame({"crossing": name}, index=part.index).join(part) for part in parts]))
    return pd.concat(found, ignore_index=True)


def losses(scores: pd.DataFrame) -> pd.DataFrame:
    """What training away costs, seed by seed on the same test items; a mend stands beside its own method at home.

    Returns
    -------
    One row a crossing, route and method away: `crossing`, `route`, `method`; of each of `LOST` the means
    `<score>_home` and `<score>_away`, and their mean difference away - home as `<score>`, with its standard deviation
    over seeds as `<score>_sd`, 0 for one seed; `over_floor_at_home`, the cosine away less the floor at home: below 0,
    to know the domain alone is worth more than the translator; `n` (items trained on) and `gallery`.
    """
    import pandas as pd

    by = ["crossing", "route", "seed"]
    home = scores[scores["trained"] == "home"].set_index([*by, "method"])
    rows = []
    for (crossing, route, method), part in scores[scores["trained"] == "away"].groupby(
        ["crossing", "route", "method"], sort=False
    ):
        part = part.set_index(by)
        own = home.xs(MENDED if method in MENDS else method, level="method").loc[part.index]
        row: dict[str, object] = {"crossing": crossing, "route": route, "method": method}
        for name in LOST:
            difference = part[name] - own[name]
            spread = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
            row |= {f"{name}_home": own[name].mean(), f"{name}_away": part[name].mean()}
            row |= {name: difference.mean(), f"{name}_sd": spread}
        row["over_floor_at_home"] = (part["cosine"] - part["floor_at_home"]).mean()
        rows.append({**row, "n": int(part["n"].mean()), "gallery": int(part["gallery"].mean())})
    return pd.DataFrame(rows)


def without(away: PairedEmbeddings, test: PairedEmbeddings) -> PairedEmbeddings:
    """Away, less every group that holds a key of a test item; all of it where one of the two has no keys.

    So no picture of a test item is trained on, in another style or as a variant.
    """
    if away.key is None or test.key is None:
        return away
    held = np.unique(away.labels[np.isin(away.key, test.key)])
    return away.take(np.flatnonzero(~np.isin(away.labels, held)))


def shifts(
    away: PairedEmbeddings, home: PairedEmbeddings, source: str, target: str, few: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """By how much the means of the unit conditions (k,) and of the unit targets (d,) differ, home - away.

    Home's means are of `few` items each, other ones for the conditions than for the targets.
    """
    order, few = rng.permutation(len(home)), min(few, len(home) // 2)
    if few < 1:
        raise ValueError(f"few: {few} of {len(home)} items at home, 1 for conditions and 1 for targets is needed")
    chosen = {source: home.take(order[:few]), target: home.take(order[few : 2 * few])}
    shift_c, shift_z = (_mean(part, name) - _mean(away, name) for name, part in chosen.items())
    return shift_c, shift_z


def recentred(translate: Translate, shift_c: np.ndarray, shift_z: np.ndarray) -> Translate:
    """Conditions moved to where the translator was trained, translations moved back to where they are wanted.

    Parameters
    ----------
    translate : from unit conditions (n, k) to (n, d); `calibrated` has the length of the mean of unit targets, so that
        a difference of such means can be added.
    shift_c, shift_z : (k,) and (d,), see `shifts`.
    """
    return lambda c: translate(unit(c) - shift_c) + shift_z


def _part_of(progress: Progress, place: int, of: int, done: int, total: int) -> None:
    progress(place * total + done, of * total)


def _constant(mean: np.ndarray, condition: np.ndarray) -> np.ndarray:
    return np.broadcast_to(mean, (len(condition), len(mean)))


def _mean(pairs: PairedEmbeddings, modality: str) -> np.ndarray:
    return mean_of_unit(pairs.modality(modality), pairs.counts.get(modality))


def _at_most(pairs: PairedEmbeddings, items: int, seed: int) -> PairedEmbeddings:
    return pairs.take(whole_groups(pairs.labels, items, seed))
