r"""What the residual F adds to a calibrated conditional mean m(c): measures of draws, and the ablation.

For a unit target z with m = E[z|c], E cos(z, m) = |m| and E|z - m|^2 = 1 - |m|^2. So the length of a calibrated zhat is
the cosine to expect of it, and zhat_k = m + gamma F_k with gamma(c) = sqrt(1 - |m|^2) and E F_k = 0 are draws that have
the mean and the total variance of p(z|c), whatever the law of the unit vector F_k. That law is what is compared here.

If F_k is perpendicular to m, a draw has length 1 exactly: |zhat_k|^2 = 1 + 2 gamma <m, F_k>. A residual of the length
gamma and a residual perpendicular to the projection are one and the same for unit targets.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from modtrans_core.config import Config, DiffusionConfig, NetworkConfig, TrainConfig, preset

from analysis.theory.draws import MEASURES, direction_score, energy_score, filled, listed, measure, siblings
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress
from modtrans_core.scores import cosine
from modtrans_core.vectors import unit

if TYPE_CHECKING:
    import pandas as pd
    from modtrans_core.translator import Translator

NEAREST = 10
"""training conditions, the nearest to c, whose residuals the neighbours' draws take"""
LEADING = 16
"""principal directions of the training targets in which the energy score is taken a second time"""
SAMPLER_STEPS = 20
"""DDIM steps of a draw"""
MEAN, LIST, SIBLING = "m alone", "m, its K nearest", "another target"


class Role(NamedTuple):
    """One split, one direction."""

    scores: pd.DataFrame
    """one row a law of F: `route`, `seed`, `law`, `MEASURES` on the held-out items, `energy_leading` (the energy
    score of the coordinates along the `LEADING` principal directions), `gallery`, `draws`"""
    cosines: pd.DataFrame
    """one row a held-out item: `route`, `seed`, `group`, `expected`, `observed`"""
    log_score: float
    """`direction_score` of the Gaussian on the held-out residuals, nats a coordinate"""


def ablation(
    pairs: PairedEmbeddings,
    source: str,
    target: str,
    *,
    seed: int = 0,
    draws: int = 10,
    items: int | None = None,
    landmarks: int = 1024,
    denoiser_steps: int = 100,
    width: int = 256,
    part: Literal["test", "validation"] = "test",
    progress: Progress | None = None,
) -> Role:
    """Fit the calibrated m once and put every law of F behind it: none, isotropic, Gaussian, neighbours', DDIM.

    Parameters
    ----------
    pairs : the whole pair set; it is split here. One condition an item.
    seed : of the split, the training and the draws.
    draws : K, at least 2.
    items : measure on at most this many held-out items, which are the gallery too. Default: all.
    landmarks : at most, of the preset `calibrated`.
    denoiser_steps, width : the training of the DDIM and its network; 0 steps leave it out.
    part : which part to measure on; settings such as `denoiser_steps` are to be chosen on the validation part.
    """
    import pandas as pd
    from modtrans_core.translator import Translator

    if draws < 2:
        raise ValueError(f"draws: {draws}, allowed is at least 2")
    if pairs.modality(source).ndim == 3:
        raise ValueError(f"{source}: several vectors an item, allowed is one condition an item")
    train, validation, test = pairs.split(seed)
    held = {"test": test, "validation": validation}[part]
    held = held.take(np.arange(len(held))[:items])
    config = _config(preset("calibrated"), seed, landmarks, denoiser_steps, width)
    translator = Translator.fit(train, source, target, config=config, validation=validation, progress=progress)

    c, targets = held.modality(source), held.modality(target)
    targets = targets[:, None] if targets.ndim == 2 else targets
    counts = held.counts.get(target, np.ones(len(held), dtype=np.int64))
    m, expected, mean = translator.translate(c), translator.expected_cosine(c), translator.target_mean
    gamma = np.sqrt(1.0 - expected**2)[:, None, None]
    laws = _laws(translator, train, c, draws, np.random.default_rng([seed, 4]))
    facts = {"route": f"{source} → {target}", "seed": seed}
    copies = np.repeat(m[:, None], draws, axis=1)
    z, leading = filled(targets, counts), _leading(unit(train.rows(target)[0]))

    def scores(drawn: np.ndarray) -> dict[str, float]:
        along = energy_score(drawn @ leading, z @ leading, counts)
        return {**measure(drawn, targets, counts, mean), "energy_leading": float(along.mean())}

    found = {MEAN: {**scores(copies[:, :1]), "similarity": 1.0}, LIST: listed(m, draws, targets, counts, mean)}
    found |= {law: scores(copies + gamma * F) for law, F in laws.items()}
    found |= {SIBLING: siblings(targets, counts)}
    empty = dict.fromkeys([*MEASURES, "energy_leading"], np.nan)
    rows = [{**facts, "law": law, **empty, **row, "gallery": len(held), "draws": draws} for law, row in found.items()]
    cosines = pd.DataFrame({"group": held.labels, "expected": expected, "observed": cosine(m, targets, counts)})
    of = np.repeat(np.arange(len(held)), counts)
    residual = unit(z[np.arange(z.shape[1]) < counts[:, None]] - m[of])
    log_score = direction_score(translator.root.cpu().numpy(), residual).mean() / m.shape[1]
    return Role(pd.DataFrame(rows), cosines.assign(**facts), float(log_score))


def _leading(z: np.ndarray) -> np.ndarray:
    """The leading principal directions (d, `LEADING`) of the rows z."""
    return np.linalg.eigh(np.cov(z, rowvar=False))[1][:, -LEADING:]


def _config(base: Config, seed: int, landmarks: int, steps: int, width: int) -> Config:
    """The denoiser predicts the velocity and is trained on its error, at a rate at which a short training gets far."""
    return replace(
        base,
        seed=seed,
        lift=replace(base.lift, landmarks=landmarks),
        network=NetworkConfig(width=width) if steps else base.network,
        diffusion=DiffusionConfig(measure="v"),
        sampling=replace(base.sampling, steps=SAMPLER_STEPS),
        train=TrainConfig(steps=steps, batch=256, learning_rate=1e-3, weight_decay=0.0),
    )


def _laws(
    translator: Translator, train: PairedEmbeddings, c: np.ndarray, K: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """F_k (n, K, d), unit vectors, by law."""
    shape = (len(c), K, translator.d)
    laws = {
        "isotropic": unit(rng.standard_normal(shape)),
        "Gaussian": unit(rng.standard_normal(shape) @ translator.root.cpu().numpy()),
        "neighbours": _neighbours(translator, train, c, K, rng),
    }
    if translator.config.train.steps:
        laws["DDIM"] = translator.parts(c, samples=K).residual
    return laws


def _neighbours(
    translator: Translator, train: PairedEmbeddings, c: np.ndarray, K: int, rng: np.random.Generator
) -> np.ndarray:
    """Directions of the training residuals at conditions near c, a target of such a condition at random."""
    conditions, z = train.modality(translator.source), train.rows(translator.target)[0]
    counts = train.counts.get(translator.target, np.ones(len(train), dtype=np.int64))
    near = np.argpartition(-(unit(c) @ unit(conditions).T), NEAREST, axis=1)[:, :NEAREST]
    chosen = near[np.arange(len(c))[:, None], rng.integers(NEAREST, size=(len(c), K))]
    target = (np.cumsum(counts) - counts)[chosen] + rng.integers(counts[chosen])
    return unit(unit(z[target]) - translator.translate(conditions)[chosen])
