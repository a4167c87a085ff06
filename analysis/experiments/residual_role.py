r"""What the residual F adds to a calibrated conditional mean m(c): draws by several laws of F behind one m.

For a unit target z with m = E[z|c], E cos(z, m) = |m| and E|z - m|^2 = 1 - |m|^2. So the length of a calibrated zhat is
the cosine to expect of it, and zhat_k = m + gamma F_k with gamma(c) = sqrt(1 - |m|^2) and E F_k = 0 are draws that have
the mean and the total variance of p(z|c), whatever the law of the unit vector F_k. That law is what is compared here.

If F_k is perpendicular to m, a draw has length 1 exactly: |zhat_k|^2 = 1 + 2 gamma <m, F_k>. A residual of the length
gamma and a residual perpendicular to the projection are one and the same for unit targets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.experiments.residual_laws import Gaussian, Law, Neighbours, ddim, flow, residuals
from analysis.experiments.synthetic import mirrored_pairs
from analysis.experiments.trial import Trial
from analysis.theory.certify import Observed
from analysis.theory.confidence import mean_interval
from analysis.theory.conformal import ALL, ConformalFloor
from analysis.theory.draws import MEASURES, energy_score, measure, nearest_draw, similarity
from analysis.theory.samples import mean_of_draws
from analysis.theory.selective import risk_curve, select
from analysis.translators.certify import largest_in
from modtrans_core import CalibratedTranslator, Pairing, preset
from modtrans_core.checks import refuse_unless
from modtrans_core.vectors import present, several, unit, unit_targets

LEADING = 16
"""principal directions of the training targets in which the energy score is taken a second time"""
COMPARED = [*MEASURES, "energy_leading", "set_size"]
"""what is compared item by item"""
LISTS = ["best_recall_at_1", "best_recall_at_10"]
"""of these, what is read off lists"""
FACTS = ["covered", "similarity", "predicted", "lean", "kept", "fit_seconds", "draw_seconds"]
"""what is said of a law in a trial"""
OF = ("items", "groups")
"""the populations of a selection"""
SELECTED = ("of", "threshold", "coverage", "missed", "risk", "alpha", "confidence")
"""of a selection, what is kept"""
MEAN, SIMPLEST, MIRRORED = "m alone", "Gaussian", "mirrored"
"""no draws at all, the closed form that the others are compared with, and pairs that are no real ones"""
ROUNDING = 1e-6
ON_AVERAGE = 1e-9
"""a confidence so low that a floor holds on average over held-out sets, and nothing is said of this one"""


class Role(NamedTuple):
    """One trial."""

    items: pd.DataFrame
    """one row a law of F and test item: `route`, `seed`, `law`, `group`, and `COMPARED`: those of
    `analysis.theory.draws.MEASURES`, `energy_leading` (the energy score of the coordinates along the `LEADING`
    principal directions), and `set_size`, the share of the gallery in the conformal set"""
    laws: pd.DataFrame
    """one row a law of F: `route`, `seed`, `law`, and `FACTS`: `covered` (the share of the targets in their conformal
    sets, every group weighing the same), `similarity` of two draws, `predicted` (the cosine of the mean of the draws by
    the law of K draws), `lean` (the mean cosine of two F, which is |E F|^2), `kept` (the step of a training whose
    weights are kept), `fit_seconds`, and `draw_seconds` of one draw"""
    cosines: pd.DataFrame
    """one row a test item: `route`, `seed`, `group`, `expected`, `observed`"""
    observed: Observed
    """the test pairs, with the cosines that m expects"""


def residual_role(
    trial: Trial,
    *,
    draws: int = 10,
    share: float = 0.9,
    items: int | None = None,
    landmarks: int = 512,
    steps: int = 100,
    width: int = 256,
) -> Role:
    """Fit the calibrated m once and put every law of F behind it: none, isotropic, Gaussian, neighbours', DDIM, flow.

    An item that has several conditions is translated from the first of them.

    Parameters
    ----------
    draws : K, at least 2. Without draws, m has K lists in the place of one a draw.
    share : of the targets that conformal sets hold.
    items : draw for at most this many test items, which are the gallery too. Default: all.
    landmarks : at most, of the preset `calibrated`.
    steps, width : of the trainings and their networks; 0 steps leave them out.
    """
    refuse_unless(draws >= 2, "draws", draws, "at least 2")
    mean = trial.fit(preset("calibrated", {"seed": trial.seed, "landmarks": landmarks}), unseen=True)
    assert isinstance(mean, CalibratedTranslator)
    observed = _expected_and_observed(trial, mean)
    held = trial.test.at_most(items or len(trial.test.pairs))
    c, group = _first(held), held.pairs.groups
    z, counts = unit_targets(held.targets, held.counts)
    m = mean.translate(c)
    gamma = np.sqrt(1.0 - np.square(mean.expected_cosine(c)))[:, None, None]  # E|z - m|^2 = 1 - |m|^2
    leading = np.linalg.eigh(np.cov(unit(trial.train.z), rowvar=False))[1][:, -LEADING:]
    facts = {"route": trial.route, "seed": trial.seed}
    rows, laws = [], []

    def look(law: str, drawn: np.ndarray, **more: float) -> None:
        found: dict[str, np.ndarray] = measure(drawn, z, counts, trial.mean, draws)
        if drawn.shape[1] > 1:
            more["similarity"] = alike = float(similarity(drawn).mean())
            more["predicted"] = float(mean_of_draws(found["cosine"].mean(), max(alike, ROUNDING), draws))
        found["energy_leading"] = energy_score(drawn @ leading, z @ leading, counts)
        seen, of = nearest_draw(drawn, z[present(z.shape[1], counts)], trial.mean), np.repeat(np.arange(len(z)), counts)
        covered, found["set_size"] = conformal_sets(seen, of, group, share, trial.seed)
        rows.append(pd.DataFrame({**facts, "law": law, "group": group, **found}))
        more["covered"] = float(pd.Series(covered).groupby(group).mean().mean())
        laws.append({**facts, "law": law, **dict.fromkeys(FACTS, np.nan), **more})

    look(MEAN, m[:, None])
    for law, fit in _fits(trial, mean, steps, width).items():
        started = time.perf_counter()
        fitted = fit()
        ready = time.perf_counter()
        F = fitted.draw(c, draws, seed=trial.seed)
        seconds = {"fit_seconds": ready - started, "draw_seconds": (time.perf_counter() - ready) / F[..., 0].size}
        look(law, m[:, None] + gamma * F, **seconds, lean=float(similarity(F).mean()), kept=getattr(fitted, "kept", 0))
    assert observed.expected is not None
    cosines = {"expected": observed.of_items(observed.expected), "observed": observed.of_items(observed.cosine)}
    all_items = pd.DataFrame({**facts, "group": trial.test.pairs.groups, **cosines})
    return Role(pd.concat(rows), pd.DataFrame(laws), all_items, observed)


def _first(held: Pairing) -> np.ndarray:
    """The first condition of each item, (n, k)."""
    return np.asarray(held.c)[np.searchsorted(held.item, np.arange(len(held.pairs)))]


def _expected_and_observed(trial: Trial, mean: CalibratedTranslator) -> Observed:
    """The test pairs of each item's first condition, with the cosines that are expected."""
    held, largest = trial.test, max(largest_in(part.pairs) for part in (trial.train, trial.validation, trial.test))
    c = _first(held)
    return Observed.of_translations(
        mean.translate(c),
        unit_targets(held.targets, held.counts)[0],
        counts=several(held.targets, held.counts)[1],
        group=held.pairs.groups,
        largest_group=largest,
        expected=mean.expected_cosine(c),
    )


def mirrored(seeds: int, **settings: Any) -> list[Role]:
    """The same where a trained F is needed: on `analysis.experiments.synthetic.mirrored_pairs`, another set a seed."""
    found = []
    for seed in range(seeds):
        pairs, _ = mirrored_pairs(1500, 6, 0.2, np.random.default_rng([seed, 7]))
        # items of different sets are different
        trial = Trial.of(
            replace(pairs, group=np.arange(seed * len(pairs), (seed + 1) * len(pairs))), "image", "text", seed
        )
        role = residual_role(trial, landmarks=128, steps=300, width=64, **settings)
        found.append(role._replace(items=role.items.assign(route=MIRRORED), laws=role.laws.assign(route=MIRRORED)))
    return found


def _fits(trial: Trial, mean: CalibratedTranslator, steps: int, width: int) -> dict[str, Callable[[], Law]]:
    """The laws of F by name, each still to be fitted."""
    learn, held = (residuals(part, mean) for part in (trial.train, trial.validation))
    root, seed = mean.root.cpu(), trial.seed  # the laws are fitted and drawn there
    found: dict[str, Callable[[], Law]] = {
        "isotropic": lambda: Gaussian(np.eye(learn.d, dtype=np.float32)),
        SIMPLEST: lambda: Gaussian(root.numpy()),  # fitted with the mean
        "neighbours": lambda: Neighbours(learn),
    }
    if steps:
        found["DDIM"] = lambda: ddim(learn, held, steps, width, seed)
        found["flow matching"] = lambda: flow(learn, held, root, steps, width, seed)
    return found


def conformal_sets(
    seen: np.ndarray, of: np.ndarray, group: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sets of gallery targets that hold the targets of a new item with the probability `share`, whatever the scores.

    One half of the groups sets the score that the targets of the other half have to reach, and the other way round. So
    P(a target is in its set) >= share for a random target of a random item of a random group, on average over halves.

    Parameters
    ----------
    seen : (n, g), a score of each gallery target for each item; higher is nearer, -1 to 1.
    of : (g,), the item of each target, ascending.
    group : (n,), of the items.
    share : in (0, 1).
    seed : of the halves.

    Returns
    -------
    covered : (n,), the share of the item's own targets in its set.
    size : (n,), the share of the gallery in its set.
    """
    own = seen[of, np.arange(len(of))]  # (g,)
    number = np.unique(group, return_inverse=True)[1]
    half = np.random.default_rng([seed, 6]).permutation(number.max() + 1)[number] % 2  # (n,)
    least = np.empty(len(group))
    for side in (0, 1):
        pair = half[of] == side
        item = np.unique(of[pair], return_inverse=True)[1]
        scores = Observed.of(own[pair], item=item, group=group[half == side])
        least[half != side] = ConformalFloor.of(scores, share, ON_AVERAGE)([0.0])
    covered = np.bincount(of, own >= least[of]) / np.bincount(of)
    return covered, (seen >= least[:, None]).mean(1)


def compared(roles: Sequence[Role], to: str = SIMPLEST) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every law of F in numbers, and how far it is from one of them, with 95% intervals.

    Parameters
    ----------
    roles : any seeds and routes. The same item has the same group in each.
    to : the law that is subtracted, item by item.

    Returns
    -------
    laws : one row a route and law, the means of `COMPARED` over items and of `FACTS` over trials.
    differences : one row a route, measure and other law: `difference`, `low`, `high`. Intervals are of the mean over
        groups of items; those of `set_size` over trials, as all sets of a trial rest on the same calibration.
    """
    items = pd.concat([role.items for role in roles], ignore_index=True)
    by = ["route", "law"]
    means = items.groupby(by, sort=False)[COMPARED].mean()
    means = means.join(pd.concat([role.laws for role in roles]).groupby(by)[FACTS].mean())
    rows = []
    for route, part in items.groupby("route", sort=False):
        base = part[part["law"] == to]
        for law, other in part[part["law"] != to].groupby("law", sort=False):
            for name in COMPARED:
                more = other[name].to_numpy(float) - base[name].to_numpy(float)
                found = mean_interval(more, base["seed" if name == "set_size" else "group"])
                row = {"route": route, "measure": name, "law": law, "difference": found.value}
                rows.append({**row, "low": found.low, "high": found.high})
    return means.reset_index(), pd.DataFrame(rows)


def which_usable(
    roles: Sequence[Role], alpha: float, risk: float, share: float, confidence: float = 0.95
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Which translations of m may be used, and how good each is at least, trial by trial.

    Parameters
    ----------
    alpha, risk, confidence : of the selections, as for `analysis.theory.selective.select`.
    share, confidence : of the floors, as for `analysis.theory.conformal.ConformalFloor`.

    Returns
    -------
    The selections, one row a trial (`seed`) and population `of`: `threshold`, `coverage`, `missed`, `risk`, `alpha`,
    `confidence`; their risk curves, the same with `high` for `risk`, without rows where nothing is expected to be any
    good; and one row a trial: `coverage_of_items` and `coverage_of_groups`, 0 where nothing may be used; `margin` and
    `floor`, the mean one; `same_floor`, the one that all would have if the same were expected of all. Where there are
    too few pairs for a floor it is missing.
    """
    selections, curves, rows = [], [], []
    for role in roles:
        seed = int(role.laws["seed"].iloc[0])
        kept = [select(role.observed, alpha, confidence, risk=risk, of=of) for of in OF]
        for one in kept:
            selections.append({"seed": seed, **{name: getattr(one, name) for name in SELECTED}})
            curve = risk_curve(role.observed, alpha, confidence, of=one.of)._asdict()
            curves.append(pd.DataFrame(curve).assign(seed=seed, of=one.of))
        floor, same = (
            ConformalFloor.of(pairs, share, confidence)
            for pairs in (role.observed, replace(role.observed, expected=None))
        )
        rows.append(
            {f"coverage_of_{one.of}": one.coverage if one.threshold is not None else 0.0 for one in kept}
            | {"margin": floor.margin[ALL], "floor": floor.mean_floor if floor.margin[ALL] is not None else None}
            | {"same_floor": same.mean_floor if same.margin[ALL] is not None else None}
        )
    return pd.DataFrame(selections), pd.concat(curves, ignore_index=True), pd.DataFrame(rows).astype(float)
