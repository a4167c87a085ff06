"""The role of the residual, on synthetic pairs."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from analysis.experiments.residual_role import LIST, MEAN, SIBLING, residual_role, trained, usable
from analysis.experiments.synthetic import synthetic_pairs
from analysis.experiments.trial import Trial
from analysis.plots.residual_role import measured_against, reliability_diagram
from analysis.theory.conformal import ConformalFloor
from analysis.theory.draws import MEASURES
from analysis.theory.reliability import reliability
from analysis.theory.selective import select
from modtrans_core import PairedEmbeddings, preset
from modtrans_core.vectors import unit


@pytest.fixture(scope="module")
def role():
    pairs, _ = synthetic_pairs(700, 8, 24, 0.7, 3, np.random.default_rng(0))
    return residual_role(Trial.of(pairs, "image", "text", 0), draws=4, landmarks=128, denoiser_steps=5, width=16)


def test_every_law_is_measured_on_the_same_items(role):
    laws = [MEAN, LIST, "isotropic", "Gaussian", "neighbours", "DDIM", SIBLING]
    assert list(role.scores["law"]) == laws
    rows = role.scores.set_index("law")
    assert set(MEASURES) < set(rows.columns) and (rows["gallery"] == 140).all() and len(role.cosines) == 140
    drawn = rows.loc[["isotropic", "Gaussian", "neighbours", "DDIM"]]
    assert drawn[[*MEASURES, "energy_leading"]].notna().all(axis=None)
    assert (drawn["cosine"] < rows.loc[MEAN, "cosine"]).all()
    assert (drawn["cosine_of_mean"] > drawn["cosine"]).all()
    assert rows.loc[SIBLING, "energy"] < rows.loc["Gaussian", "energy"] < rows.loc[MEAN, "energy"]


def test_what_may_be_used_is_the_statements_of_the_test_pairs(role):
    np.testing.assert_allclose(role.observed.of_items(role.observed.cosine), role.cosines["observed"], atol=1e-6)
    np.testing.assert_allclose(role.observed.of_items(role.observed.expected), role.cosines["expected"], atol=1e-6)
    selections, curves, table = usable([role], 0.5, 0.3, 0.8)
    assert selections["items"] == [select(role.observed, 0.5, 0.95, risk=0.3)]
    assert curves["groups"][0].coverage[-1] == 1.0
    assert table["coverage_of_items"][0] == selections["items"][0].coverage > 0
    assert table["margin"][0] == ConformalFloor.of(role.observed, 0.8).margin["all"]
    assert -1 < table["same_floor"][0] < 1 and abs(table["floor"][0] - table["same_floor"][0]) < 0.1
    rare = usable([role], 0.99, 0.01, 0.999)[2]
    assert rare["coverage_of_items"][0] == 0 and rare[["margin", "floor", "same_floor"]].isna().all(axis=None)


def test_the_posterior_is_nearly_isotropic_and_so_is_what_was_learnt(role):
    rows = role.scores.set_index("law")
    assert rows.loc["Gaussian", "energy"] == pytest.approx(rows.loc["isotropic", "energy"], rel=0.02)
    assert abs(role.log_score) < 0.03


def test_what_does_not_fit_is_refused():
    pairs, _ = synthetic_pairs(300, 6, 8, 0.7, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="draws: 1"):
        residual_role(Trial.of(pairs, "image", "text", 0), draws=1)
    with pytest.raises(ValueError, match=r"text: \d+ vectors of \d+ items"):
        residual_role(Trial.of(pairs, "text", "image", 0))


def test_without_steps_there_is_no_network_and_items_are_the_gallery():
    pairs, _ = synthetic_pairs(300, 6, 8, 0.7, 2, np.random.default_rng(0))
    found = residual_role(Trial.of(pairs, "image", "text", 0), draws=2, landmarks=32, denoiser_steps=0, items=40)
    assert "DDIM" not in set(found.scores["law"]) and set(found.scores["gallery"]) == {40} and len(found.cosines) == 40


def test_a_trained_residual_samples_the_directions_that_are_left():
    """Its draws are unit vectors with no linear part, and it learns the mean of the residuals' directions."""
    rng = np.random.default_rng(0)
    c = unit(rng.standard_normal((600, 4)))
    z = unit(np.eye(8)[0] + np.eye(8)[rng.integers(1, 3, 600)])  # one of two targets, whatever the condition
    trial = Trial.of(PairedEmbeddings({"image": c, "text": z}), "image", "text", 0)
    calibrated = trial.fit(preset("calibrated", {"landmarks": 0}))
    drawn = trained(calibrated, trial, 300, 32).draw(np.asarray(trial.test.c), 2)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=2), 1, atol=1e-5)
    either = unit(np.eye(8)[1] - np.eye(8)[2])
    assert np.abs(drawn @ either).mean() > 0.75  # .3 for the directions of an isotropic law


def test_figures_return_their_axes(role):
    found = reliability(role.cosines["expected"], role.cosines["observed"], role.cosines["group"], bins=5)
    _, (left, right) = plt.subplots(1, 2)
    assert reliability_diagram(found, left) is left
    assert measured_against(role.scores, "precision", "coverage", right) is right
    assert len(right.get_legend_handles_labels()[1]) == 6  # all but the siblings
    plt.close("all")
