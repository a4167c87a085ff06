"""The comparison: every method on the same split, and what the poster's parts are worth apart."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from analysis.experiments import translation as experiment
from analysis.experiments.synthetic import synthetic_pairs
from analysis.experiments.translation import MANY, ONE, mean_cosine, posters, translation
from analysis.experiments.trial import SCORES, Trial
from analysis.theory.gamma import best_gamma
from modtrans_core import PairedEmbeddings, Pairing
from modtrans_core.scores import cosine, score
from modtrans_core.vectors import mean_of_unit, unit


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.npz"
    synthetic_pairs(600, 12, 12, 0.5, 3, np.random.default_rng(0))[0].save(path)
    return path


def test_every_method_is_scored_on_the_test_part_alone(path):
    pairs = PairedEmbeddings.load(path)
    scores, curve, certificates, parts = translation(Trial.of(pairs, "image", "text", 3), steps=5)
    train, _, test = pairs.split(3)
    constant = np.tile(mean_of_unit(train.modality("text"), train.counts["text"]), (len(test), 1))
    expected = score(constant, test.modality("text"), test.counts["text"], mean=constant[0])
    row = scores.set_index("method").loc["constant mean"]
    assert row["cosine"] == pytest.approx(expected["cosine"], abs=1e-3) and row["gallery"] == len(test)
    assert {"identity", "mean shift", "procrustes", "ridge", ONE, MANY, "ridge + best gamma F"} <= set(scores["method"])
    assert set(SCORES) <= set(scores.columns)
    zero = curve.loc[curve["gamma"] == 0, "cosine"].item()
    assert zero == pytest.approx(scores.set_index("method").loc["poster, gamma 0", "cosine"], abs=1e-9)
    assert parts["alone"].item() == pytest.approx(zero, abs=1e-9)
    assert parts["with_f"].item() == pytest.approx(scores.set_index("method").loc[ONE, "cosine"], abs=1e-6)
    assert 0 <= certificates["lower_limit"].item() <= certificates["observed"].item()


def test_gamma_is_chosen_on_whole_groups_and_kappa_is_the_trained_projections(path, monkeypatch):
    """Both choices of gamma get the validation part's groups, and kappa is the one of the poster's own lengths |p|."""
    pairs = PairedEmbeddings.load(path)
    trial = Trial.of(replace(pairs, group=np.arange(len(pairs)) // 4), "image", "text", 3)
    seen = []

    def chosen(projection, direction, targets, *, group):
        seen.append(group)
        return best_gamma(projection, direction, targets, group=group)

    monkeypatch.setattr(experiment, "best_gamma", chosen)
    made = []
    certified = experiment.certified
    monkeypatch.setattr(experiment, "certified", lambda *given: made.append(given[0]) or certified(*given))
    certificates = translation(trial, steps=5).certificates
    assert len(seen) == 2
    for group in seen:
        np.testing.assert_array_equal(group, trial.validation.group)
        assert len(np.unique(group)) < len(group)
    p, _, gamma = made[0].parts(np.asarray(trial.test.c))
    s = np.linalg.norm(p.astype(np.float64), axis=1)
    assert s.max() > 1.0  # which no projection perpendicular to its residual is: left out
    s = s[s < 1.0]
    spread = np.sqrt(1 + s**2 * gamma**4 / ((1 - s**2) * (s**2 + gamma**2) ** 2))
    assert certificates["kappa"].item() == pytest.approx(np.median(spread), rel=1e-4)


def test_ridge_is_scikit_learns_on_the_same_split(path):
    from sklearn.linear_model import Ridge

    pairs = PairedEmbeddings.load(path)
    scores = translation(Trial.of(pairs, "image", "text", 0), steps=0).scores.set_index("method")
    train, validation, test = pairs.split(0)
    seen = [Pairing(part, "image", "text").unit_pairs() for part in (train, validation)]
    c, z = (np.concatenate(rows) for rows in zip(*seen, strict=True))
    targets = test.modality("text"), test.counts["text"]
    best = 0.0
    for alpha, intercept in itertools.product(np.logspace(-4, 3, 15), (False, True)):
        fitted = Ridge(alpha, fit_intercept=intercept).fit(c, z)
        best = max(best, cosine(fitted.predict(unit(test.modality("image"))), *targets).mean())
    assert best - 0.01 <= scores.loc["ridge", "cosine"] <= best + 1e-6


def test_the_many_steps_are_of_a_sampler_that_no_number_of_steps_was_trained_through():
    one, many = (posters(7, 3)[name] for name in (ONE, MANY))
    assert (one.steps, one.reconstruction_steps, one.lambda_1 > 0) == (1, 1, True)
    assert (many.steps, many.lambda_1) == (50, 0)
    assert one.train == many.train and (one.train.steps, one.train.seed) == (7, 3)


def test_the_mean_cosine_is_the_score_of_items_with_several_conditions(path):
    pairing = Pairing(PairedEmbeddings.load(path), "text", "image")
    zhat = np.random.default_rng(0).standard_normal((len(pairing.c), 12))
    expected = score(zhat, pairing.targets, mean=np.ones(12), item=pairing.item)["cosine"]
    assert mean_cosine(pairing, zhat) == pytest.approx(expected, abs=1e-12)
