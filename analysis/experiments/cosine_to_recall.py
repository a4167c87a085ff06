"""From the cosine of a translation to its rank in a gallery. Notebook 13."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.experiments.data import one_vector
from analysis.experiments.trial import Trial
from analysis.theory.retrieval import MARGIN, expected_recall, hub_skew, needed_cosine
from modtrans_core import preset
from modtrans_core.notebook import refuse_unless
from modtrans_core.scores import cosine, recall_at_k
from modtrans_core.vectors import unit

RANKS = (1, 10)
LENGTHS = (0.25, 0.5, 1.0, 1.6, 2.5, 4.0, 8.0)
"""t: by how much the deviation of a translation from the mean is made longer"""


class Retrieved(NamedTuple):
    """One trial, with one condition and one target an item."""

    rankings: pd.DataFrame
    """one row a method and `ranking`, raw or centered: `route`, `seed`, `method`, the mean `cosine`, and what `ranked`
    says"""
    items: pd.DataFrame
    """one row a test item: `needed_1` and `needed_10`, the cosine above which the item is found by the raw ranking
    whatever the direction, and `cosine`, what the ridge map has"""
    lengths: pd.DataFrame
    """one row a t: the raw ranking by mean + t delta, where delta is how the ridge map's translations deviate from the
    mean, and the centered one by delta alone (t = inf), which no t changes"""


def refuse_small_gallery(n: int) -> None:
    """Refuse a test part in which every item is among the nearest."""
    refuse_unless(n > max(RANKS), "items", n, f"a test part of more than {max(RANKS)}")


def cosine_to_recall(trial: Trial, landmarks: int = 256) -> Retrieved:
    """Rank the translations of three closed forms, and of the ridge map with its deviation shrunk and stretched.

    Parameters
    ----------
    landmarks : at most, of the preset `calibrated`.
    """
    c, z = (one_vector(trial.test.pairs, name) for name in (trial.test.source, trial.test.target))
    refuse_small_gallery(len(z))
    mean = trial.mean.astype(np.float32)
    configs = {name: preset(name) for name in ("procrustes", "ridge")}
    configs["calibrated"] = preset("calibrated", {"seed": trial.seed, "landmarks": landmarks})
    translated = {name: trial.fit(config).translate(c) for name, config in configs.items()}
    facts = {"route": trial.route, "seed": trial.seed}

    def scored(zhat: np.ndarray) -> float:
        return float(cosine(zhat, z).mean())

    rankings = []
    for name, zhat in translated.items():
        own = {**facts, "method": name, "cosine": scored(zhat)}
        rankings += [{**own, "ranking": "raw", **ranked(zhat, z)}]
        rankings += [{**own, "ranking": "centered", **ranked(unit(zhat) - mean, z - mean)}]
    delta = translated["ridge"] - mean
    moved = {t: mean + t * delta for t in LENGTHS}
    lengths = [{**facts, "t": t, "cosine": scored(zhat), **ranked(zhat, z)} for t, zhat in moved.items()]
    lengths += [{**facts, "t": np.inf, "cosine": scored(delta), **ranked(delta, z - mean)}]
    needed = {f"needed_{k}": needed_cosine(z, k=k) for k in RANKS}
    items = pd.DataFrame({**facts, **needed, "cosine": cosine(translated["ridge"], z)})
    return Retrieved(pd.DataFrame(rankings), items, pd.DataFrame(lengths))


def ranked(queries: np.ndarray, gallery: np.ndarray) -> dict[str, float]:
    """What a ranking by cosine finds, and what is expected of it; query i belongs to row i of the gallery.

    Parameters
    ----------
    queries, gallery : (n, d), of any length, n above 10.

    Returns
    -------
    `recall_at_k`, measured; `law_at_k`, of a Gaussian gallery with the mean and covariance of this one; `forced_at_k`,
    the share that the cosine alone brings in; `hub_skew` of the 10 nearest; and `gallery`, its size.
    """
    q, z = (unit(x).astype(np.float64) for x in (queries, gallery))
    own, moments = np.einsum("nd,nd->n", q, z), (z.mean(axis=0), np.cov(z.T))
    row = {"hub_skew": hub_skew(q, z, k=max(RANKS)), "gallery": float(len(z))}
    for k in RANKS:
        row[f"recall_at_{k}"] = float(recall_at_k(queries, gallery, k=k).mean())
        row[f"law_at_{k}"] = float(expected_recall(q, own, *moments, len(z), k).mean())
        row[f"forced_at_{k}"] = float((own > needed_cosine(z, k=k) + MARGIN).mean())
    return row
