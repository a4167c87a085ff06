"""The comparison: every method on the same split, and what the poster's parts are worth apart."""

import itertools

import numpy as np
import pytest

from analysis.experiments.synthetic import synthetic_pairs
from analysis.experiments.translation import MANY, ONE, mean_cosine, posters, translation
from analysis.experiments.trial import SCORES, Trial
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
