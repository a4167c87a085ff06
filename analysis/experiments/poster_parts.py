"""What the parts of a trained poster's translator, c M and F(c), are to each other and to the mean. Notebook 04."""

from __future__ import annotations

import numpy as np

from analysis.experiments.trial import Trial
from analysis.theory.arrays import Floats
from analysis.theory.bound import general_probability
from analysis.theory.joint_fit import best_response
from analysis.theory.rotational import rotational_probability
from analysis.translators.ridge import PENALTIES, ridge_maps
from modtrans_core import PosterTranslator
from modtrans_core.scores import cosine
from modtrans_core.vectors import several, unit


def trained_parts(poster: PosterTranslator, trial: Trial, alpha: float) -> dict[str, float]:
    """The trained M beside the best response to F, and how far the mean explains the cosines that F reaches.

    The best response is the linear map with the least squared error of z - gamma F(c) on the training part, its ridge
    penalty chosen on the validation part. The axis mu is the training mean, and w = <F, mu> as measured on the
    conditions, so that F is taken as w mu and a random direction perpendicular to that.

    Parameters
    ----------
    alpha : cosine to be reached.

    Returns
    -------
    On the test part: `alone`, the mean cosine of c M by itself, and `alone_best`, of the best response; `agreement`,
    the mean cosine of the two; `with_f` and `with_f_best`, with gamma F added to each. On pairs of a test condition and
    the first target of its item: `observed`, the share that reaches alpha; `uniform`, the probability for a uniform
    direction, and `about_mean`, for one of the measured w about mu. `w`, its mean.
    """
    c, best = np.asarray(trial.test.c), _best_response(poster, trial)
    projection, f, gamma = (np.asarray(part, dtype=np.float64) for part in poster.parts(c))
    response, moved = unit(c) @ best, np.reshape(gamma, (-1, 1)) * f
    z = unit(several(np.asarray(trial.test.targets), trial.test.counts)[0][:, 0])[trial.test.item].astype(np.float64)
    mu = trial.mean / np.linalg.norm(trial.mean)
    along = (projection * z).sum(axis=1)
    across = np.linalg.norm(projection - along[:, None] * z, axis=1)

    def score(zhat: Floats) -> float:
        found = trial.score(zhat)["cosine"]
        assert found is not None
        return float(found)

    return {
        "agreement": float(cosine(projection, response).mean()),
        "alone": score(projection),
        "alone_best": score(response),
        "with_f": score(projection + moved),
        "with_f_best": score(response + moved),
        "w": float((f @ mu).mean()),
        "alpha": alpha,
        "observed": float((cosine(projection + moved, z) >= alpha).mean()),
        "uniform": float(general_probability(alpha, along, across, gamma, z.shape[1]).probability.mean()),
        "about_mean": float(rotational_probability(alpha, projection, z, mu, f @ mu, gamma).probability.mean()),
    }


def _best_response(poster: PosterTranslator, trial: Trial) -> Floats:
    """The best response to the trained F, (k, d), for unit conditions."""

    def parts(part: str) -> tuple[Floats, Floats, Floats, float]:
        c, z = (rows.numpy() for rows in getattr(trial, part).unit_pairs())
        _, f, gamma = poster.parts(c)
        return c.astype(np.float64), z.astype(np.float64), f.astype(np.float64), float(np.mean(gamma))

    c, z, f, gamma = parts("train")
    held_c, held_z, held_f, _ = parts("validation")
    response, held_left = ridge_maps(c, z - gamma * f), held_z - gamma * held_f
    penalty = min(PENALTIES, key=lambda one: float(np.square(held_left - held_c @ response(one)).sum()))
    return best_response(c, z, gamma, f, penalty=penalty)
