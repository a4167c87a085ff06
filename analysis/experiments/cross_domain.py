"""Train on one domain, test on another: what is lost, and what a new mean brings back.

Both translators are tested on the same items of the domain `home`: one was trained at home, one away. Away, the
constant that a user would have is the mean of the away targets; its cosine on the test is the honest floor. Beside it
stands the floor at home, which needs targets of the test's domain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from analysis.experiments.data import refuse_few
from analysis.experiments.encoder_pairs import contenders
from analysis.experiments.trial import Trial, every_trial
from modtrans_core import PairedEmbeddings, Pairing
from modtrans_core.checks import naming, refuse_unless
from modtrans_core.progress import Progress, part_of, silent
from modtrans_core.repeats import is_list
from modtrans_core.scores import floor
from modtrans_core.seen import Seen
from modtrans_core.split import whole_groups
from modtrans_core.vectors import unit

Translate = Callable[[np.ndarray], np.ndarray]
CONSTANT = "constant mean"
MENDED = "calibrated"
MENDS = {
    f"{MENDED}, conditions recentred": (True, False),
    f"{MENDED}, targets recentred": (False, True),
    f"{MENDED}, recentred": (True, True),
}
"""name -> whether conditions and whether targets are moved by the difference of the domains' means"""
LOST = ("cosine", "skill", "centered_recall_at_10")
AWAY = (0.875, 0.125)
"""shares of the domain away to train on and to choose on: the ratio of a whole split's"""


def cross(
    trial: Trial,
    away: PairedEmbeddings | str | Path,
    *,
    one_set: bool = False,
    few: int = 100,
    equal: bool = True,
    landmarks: int = 1024,
    steps: int = 300,
    methods: Sequence[str] = (),
) -> pd.DataFrame:
    """Train at home and away, and test both on the test part of home.

    Parameters
    ----------
    trial : of home, the domain of the test.
    away : the domain to train on instead, or its file, less what is in the test: see `without`.
    one_set : both domains are cut from one set: its groups, which go whole, say what belongs together, as in any split.
    few : the mends know the means of so many conditions and of as many other targets of home's training part, at most
        half of it each: nobody has to know what belongs together.
    equal : cut the larger training part to the size of the smaller, so that what is lost is the domain's doing.
    landmarks, steps, methods : see `analysis.experiments.encoder_pairs.contenders`; `calibrated` is among them.

    Returns
    -------
    One row a translator: `route`, `method` (`constant mean`, the contenders and, away, `MENDS`), `seed`, the scores
    of `modtrans_core.scores.score`, whose floor and centre are the mean of the targets known to that translator,
    `trained` (home or away), `n` (items trained on), and `floor_at_home`, by the mean of home's training targets.
    """
    if not isinstance(away, PairedEmbeddings):
        away = PairedEmbeddings.load(away)
    source, target, test = trial.test.source, trial.test.target, trial.test
    far, far_validation = (away if one_set else without(away, trial)).split(trial.seed, AWAY)
    n = min(len(trial.train.pairs), len(far)) if equal else max(len(trial.train.pairs), len(far))
    near, far = _at_most(trial.train.pairs, n, trial.seed), _at_most(far, n, trial.seed)
    at_home = Trial.between(trial.seed, Pairing(near, source, target), trial.validation, test)
    far_train, far_held = (Pairing(part, source, target) for part in (far, far_validation))
    abroad = Trial.between(trial.seed, far_train, far_held, test)
    facts: dict[str, Any] = {"floor_at_home": floor(at_home.mean, test.targets, test.counts)}
    c = np.asarray(test.c)
    for place, one in {"home": at_home, "away": abroad}.items():
        facts |= {"trained": place, "n": len(one.train.pairs)}
        one.add(CONSTANT, np.broadcast_to(one.mean, (len(c), test.d)), **facts)
        fitted = one.race(contenders(one, landmarks, steps, methods), **facts)
    rng = np.random.default_rng([trial.seed, few])
    shift_c, shift_z = shifts(abroad.train, at_home.train, few, rng)
    for method, (of_conditions, of_targets) in MENDS.items():
        zhat = recentred(fitted[MENDED].translate, c, of_conditions * shift_c, of_targets * shift_z)
        abroad.add(method, zhat, mean=abroad.mean + of_targets * shift_z, **facts)
    return pd.concat([at_home.table(), abroad.table()], ignore_index=True)


def cross_domain(
    crossings: Mapping[str, tuple[PairedEmbeddings, PairedEmbeddings]],
    routes: Sequence[tuple[str, str]],
    seeds: int,
    *,
    within: Collection[str] = (),
    report: Progress = silent,
    **settings: Any,
) -> pd.DataFrame:
    """`cross` for every crossing, route and seed.

    Parameters
    ----------
    crossings : name -> (away, home).
    routes : (source, target); of each crossing those are run whose modalities it has.
    within : the crossings whose domains are cut from one set.
    report : called with (hundredths of a crossing done, in all).
    settings : of `cross`.

    Returns
    -------
    The rows of `cross` with the crossing's name in front, as `crossing`.
    """
    refuse_small(crossings, seeds)
    found = []
    for number, (name, (away, home)) in enumerate(crossings.items()):
        own = [route for route in routes if set(route) <= set(home.arrays)]
        with TemporaryDirectory() as folder:
            files = [Path(folder) / "away.npz", Path(folder) / "home.npz"]
            away.save(files[0])
            home.save(files[1])
            told = part_of(report, number, len(crossings))
            with naming(name):
                one = partial(cross, away=files[0], one_set=name in within, **settings)
                tables = every_trial(one, files[1], own, seeds, told)
        found += [pd.DataFrame({"crossing": name}, index=table.index).join(table) for table in tables]
    return pd.concat(found, ignore_index=True)


def refuse_small(crossings: Mapping[str, tuple[PairedEmbeddings, PairedEmbeddings]], seeds: int) -> None:
    """Refuse crossings of which a domain has too few groups for one of the splits by 0, 1, ..."""
    for name, (away, home) in crossings.items():
        with naming(name):
            for seed in range(seeds):
                refuse_few(*home.split(seed))
                away.split(seed, AWAY)


def losses(scores: pd.DataFrame) -> pd.DataFrame:
    """What training away costs, seed by seed on the same test items; a mend stands beside its own method at home.

    Returns
    -------
    One row a crossing, route and method away: `crossing`, `route`, `method`; of each of `LOST` the means
    `<score>_home` and `<score>_away`, and their mean difference away - home as `<score>`, with its standard deviation
    over seeds as `<score>_sd`, 0 for one seed; `over_floor_at_home`, the cosine away less the floor at home: below 0,
    to know the domain alone is worth more than the translator; `n` (items trained on) and `gallery`.
    """
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


def without(away: PairedEmbeddings, trial: Trial) -> PairedEmbeddings:
    """Away, less every group with a test item: one of its key, or with a condition or a target that equals one of the
    test's, unless these come from a list, as names of classes do.

    So no picture of a test item is trained on, in another style, as a variant or under another name.

    Raises
    ------
    ValueError
        Nothing is left.
    """
    test, parts = trial.test, [part.pairs for part in (trial.train, trial.validation, trial.test)]
    known = Seen.of({"test": test.pairs}, (test.source, test.target)).look(away, test.source, test.target)
    held = np.zeros(len(away), dtype=bool)
    if away.key is not None and test.pairs.key is not None:
        held |= np.isin(away.key, test.pairs.key)
    for name, equal in ((test.source, known.condition), (test.target, known.target)):
        if equal.any() and not _is_list(name, away, parts):
            held |= equal
    left = np.flatnonzero(~np.isin(away.groups, away.groups[held]))
    found = f"{len(away)} items, each with a vector of the test in {test.source} or {test.target}"
    refuse_unless(len(left) > 0, "train", found, "others or, where these are names of classes, sets with a `label`")
    return away if len(left) == len(away) else away.take(left)


def _is_list(name: str, away: PairedEmbeddings, home: Sequence[PairedEmbeddings]) -> bool:
    """Whether a modality is taken for a list away, at home or in both together."""
    rows = [pairs.modality(name) for pairs in (away, *home)]
    labels = [pairs.label for pairs in home if pairs.label is not None]
    of_home = np.concatenate(labels) if labels else None
    return is_list(rows[:1], away.label) or is_list(rows[1:], of_home) or is_list(rows)


def shifts(away: Pairing, home: Pairing, few: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """By how much the means of the unit conditions (k,) and of the unit targets (d,) differ, home - away.

    Home's means are of `few` items each, other ones for the conditions than for the targets.
    """
    items = len(home.pairs)
    order, few = rng.permutation(items), min(few, items // 2)
    if few < 1:
        raise ValueError(f"few: {few} of {items} items at home, 1 for conditions and 1 for targets is needed")
    conditions, targets = home.take(order[:few]), home.take(order[few : 2 * few])
    return _condition_mean(conditions) - _condition_mean(away), targets.mean() - away.mean()


def recentred(translate: Translate, c: np.ndarray, shift_c: np.ndarray, shift_z: np.ndarray) -> np.ndarray:
    """Translations of conditions c (n, k) that are moved to where the translator was trained, moved back (n, d).

    Parameters
    ----------
    translate : from conditions (n, k) to (n, d); `calibrated` has the length of the mean of unit targets, so that
        a difference of such means can be added.
    shift_c, shift_z : (k,) and (d,), see `shifts`.
    """
    return translate(unit(c) - shift_c) + shift_z


def _condition_mean(pairing: Pairing) -> np.ndarray:
    return Pairing(pairing.pairs, pairing.target, pairing.source).mean()


def _at_most(pairs: PairedEmbeddings, items: int, seed: int) -> PairedEmbeddings:
    return pairs.take(whole_groups(pairs.groups, items, seed))
