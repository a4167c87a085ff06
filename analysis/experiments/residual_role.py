r"""What the residual F adds to a calibrated conditional mean m(c): measures of draws, and the ablation.

For a unit target z with m = E[z|c], E cos(z, m) = |m| and E|z - m|^2 = 1 - |m|^2. So the length of a calibrated zhat is
the cosine to expect of it, and zhat_k = m + gamma F_k with gamma(c) = sqrt(1 - |m|^2) and E F_k = 0 are draws that have
the mean and the total variance of p(z|c), whatever the law of the unit vector F_k. That law is what is compared here.

If F_k is perpendicular to m, a draw has length 1 exactly: |zhat_k|^2 = 1 + 2 gamma <m, F_k>. A residual of the length
gamma and a residual perpendicular to the projection are one and the same for unit targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor
from torch.nn.functional import normalize

from analysis.experiments.sampling_steps import prediction_error
from analysis.experiments.trial import Trial
from analysis.theory.certify import Observed
from analysis.theory.conformal import ALL, ConformalFloor
from analysis.theory.draws import MEASURES, direction_score, energy_score, listed, measure, siblings
from analysis.theory.samples import mean_of_draws
from analysis.theory.selective import RiskCurve, Selection, risk_curve, select
from analysis.translators.certify import largest_in
from modtrans_core import CalibratedTranslator, Pairing, PosterTranslator, preset
from modtrans_core.checks import refuse_unless
from modtrans_core.pairing import Batches
from modtrans_core.scores import cosine
from modtrans_core.train import train
from modtrans_core.vectors import several, unit, unit_targets

NEAREST = 10
"""training conditions, the nearest to c, whose residuals the neighbours' draws take"""
LEADING = 16
"""principal directions of the training targets in which the energy score is taken a second time"""
DDIM = {
    "lambda_1": 0.0, "steps": 20, "guidance": 1.0,
    "train.batch": 256, "train.learning_rate": 1e-3, "train.weight_decay": 0.0,
}  # fmt: skip
"""how the trained residual differs from the preset `poster`: a rate at which a short training gets far"""
OF = ("items", "groups")
"""the populations of a selection"""
MEAN, LIST, SIBLING = "m alone", "m, its K nearest", "another target"


class Role(NamedTuple):
    """One trial."""

    scores: pd.DataFrame
    """one row a law of F: `route`, `seed`, `law`, `MEASURES` on the test items, `energy_leading` (the energy
    score of the coordinates along the `LEADING` principal directions), `predicted` (the cosine of the mean of the draws
    by the law of K draws, from `cosine` and `similarity`), `gallery`, `draws`"""
    cosines: pd.DataFrame
    """one row a test item: `route`, `seed`, `group`, `expected`, `observed`"""
    log_score: float
    """`direction_score` of the Gaussian on the test residuals, nats a coordinate"""
    observed: Observed
    """the test pairs, with the cosines that m expects"""


def residual_role(
    trial: Trial,
    *,
    draws: int = 10,
    items: int | None = None,
    landmarks: int = 1024,
    denoiser_steps: int = 100,
    width: int = 256,
) -> Role:
    """Fit the calibrated m once and put every law of F behind it: none, isotropic, Gaussian, neighbours', DDIM.

    Parameters
    ----------
    trial : one condition an item.
    draws : K, at least 2.
    items : measure on at most this many test items, which are the gallery too. Default: all.
    landmarks : at most, of the preset `calibrated`.
    denoiser_steps, width : the training of the DDIM and its network; 0 steps leave it out.
    """
    refuse_unless(draws >= 2, "draws", draws, "at least 2")
    held = trial.test
    if len(held.c) > len(held.pairs):
        raise ValueError(f"{held.source}: {len(held.c)} vectors of {len(held.pairs)} items, one an item is needed")
    held = held.take(np.arange(len(held.pairs))[:items])
    calibrated = trial.fit(preset("calibrated", {"seed": trial.seed, "landmarks": landmarks}))
    assert isinstance(calibrated, CalibratedTranslator)

    c, n = np.asarray(held.c), len(held.pairs)
    targets, counts = several(held.targets, held.counts)
    m, expected = calibrated.translate(c), calibrated.expected_cosine(c)
    gamma = np.sqrt(1.0 - expected**2)[:, None, None]  # E|z - m|^2 = 1 - |m|^2
    rng = np.random.default_rng([trial.seed, 4])
    laws = {
        "isotropic": unit(rng.standard_normal((n, draws, held.d))),
        "Gaussian": unit(rng.standard_normal((n, draws, held.d)) @ calibrated.root.numpy()),
        "neighbours": _neighbours(calibrated, trial.train, c, draws, rng),
    }
    if denoiser_steps:
        laws["DDIM"] = trained(calibrated, trial, denoiser_steps, width).draw(c, draws)
    copies, z = np.repeat(m[:, None], draws, axis=1), unit_targets(targets, counts)[0]
    leading = np.linalg.eigh(np.cov(unit(trial.train.z), rowvar=False))[1][:, -LEADING:]

    def scores(drawn: np.ndarray) -> dict[str, float]:
        along = energy_score(drawn @ leading, z @ leading, counts)
        return {**measure(drawn, targets, counts, trial.mean), "energy_leading": float(along.mean())}

    found = {MEAN: {**scores(copies[:, :1]), "similarity": 1.0}, LIST: listed(m, draws, targets, counts, trial.mean)}
    for law, F in laws.items():
        own = scores(copies + gamma * F)
        found[law] = {**own, "predicted": float(mean_of_draws(own["cosine"], own["similarity"], draws))}
    found |= {SIBLING: siblings(targets, counts)}
    facts = {"route": trial.route, "seed": trial.seed}
    empty = dict.fromkeys([*MEASURES, "energy_leading", "predicted"], np.nan)
    rows = [{**facts, "law": law, **empty, **row, "gallery": n, "draws": draws} for law, row in found.items()]
    cosines = pd.DataFrame({"group": held.pairs.labels, "expected": expected, "observed": cosine(m, targets, counts)})
    residual = unit(held.z[held.of_z]) - m[held.item[held.of_c]]
    log_score = direction_score(calibrated.root.numpy(), unit(residual)).mean() / held.d
    largest = max(largest_in(part.pairs) for part in (trial.train, trial.validation, trial.test))
    observed = Observed.of_translations(
        m, targets, counts=counts, group=held.pairs.labels, largest_group=largest, expected=expected
    )
    return Role(pd.DataFrame(rows), cosines.assign(**facts), float(log_score), observed)


def usable(
    roles: Sequence[Role], alpha: float, risk: float, share: float, confidence: float = 0.95
) -> tuple[dict[str, list[Selection]], dict[str, list[RiskCurve]], pd.DataFrame]:
    """Which translations of m may be used, and how good each is at least, trial by trial.

    Parameters
    ----------
    alpha, risk, confidence : of the selections, as for `analysis.theory.selective.select`.
    share, confidence : of the floors, as for `analysis.theory.conformal.ConformalFloor`.

    Returns
    -------
    The selections of items and of groups; their risk curves; and one row a trial: `coverage_of_items` and
    `coverage_of_groups`, 0 where nothing may be used; `margin` and `floor`, the mean one; `same_floor`, the one that
    all would have if the same were expected of all. Where there are too few pairs for a floor it is missing.
    """
    found = {of: [select(one.observed, alpha, confidence, risk=risk, of=of) for one in roles] for of in OF}
    curves = {of: [risk_curve(one.observed, alpha, confidence, of=of) for one in roles] for of in OF}
    rows = []
    for index, role in enumerate(roles):
        kept = [found[of][index] for of in OF]
        floor, same = (
            ConformalFloor.of(pairs, share, confidence)
            for pairs in (role.observed, replace(role.observed, expected=None))
        )
        rows.append(
            {f"coverage_of_{one.of}": one.coverage if one.threshold is not None else 0.0 for one in kept}
            | {"margin": floor.margin[ALL], "floor": floor.mean_floor if floor.margin[ALL] is not None else None}
            | {"same_floor": same.mean_floor if same.margin[ALL] is not None else None}
        )
    return found, curves, pd.DataFrame(rows).astype(float)


def trained(calibrated: CalibratedTranslator, trial: Trial, steps: int, width: int) -> PosterTranslator:
    """A poster's translator with M = 0 and gamma = 1 whose DDIM samples the direction of z - m(c).

    Its network predicts the velocity, and is trained on its error.
    """
    settings = {**DDIM, "width": width, "train.steps": steps, "train.seed": trial.seed}
    model = PosterTranslator(calibrated.facts, preset("poster", settings))

    def loss(model: PosterTranslator, c: Tensor, z: Tensor) -> dict[str, Tensor]:
        return prediction_error(model, c, normalize(z - calibrated.m(c), dim=1))

    batches = Batches(trial.train, model.config.train.batch, trial.seed, model.device)
    return train(model, loss, batches, model.config.train)


def _neighbours(
    calibrated: CalibratedTranslator, train: Pairing, c: np.ndarray, K: int, rng: np.random.Generator
) -> np.ndarray:
    """Directions of the training residuals at conditions near c, a target of such a condition at random."""
    counts = np.ones(len(train.pairs), dtype=np.int64) if train.counts is None else train.counts
    near = np.argpartition(-(unit(c) @ unit(train.c).T), NEAREST, axis=1)[:, :NEAREST]
    chosen = near[np.arange(len(c))[:, None], rng.integers(NEAREST, size=(len(c), K))]
    target = (np.cumsum(counts) - counts)[chosen] + rng.integers(counts[chosen])
    return unit(unit(train.z[target]) - calibrated.translate(train.c)[chosen])
