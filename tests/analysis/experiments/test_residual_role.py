"""The role of the residual, on synthetic pairs."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from analysis.experiments.residual_role import LIST, MEAN, SIBLING, ablation
from analysis.experiments.synthetic import synthetic_pairs
from analysis.plots.residual_role import measured_against, reliability_diagram
from analysis.theory.draws import MEASURES
from analysis.theory.reliability import reliability


@pytest.fixture(scope="module")
def role():
    pairs, _ = synthetic_pairs(700, 8, 24, 0.7, 3, np.random.default_rng(0))
    return ablation(pairs, "image", "text", draws=4, landmarks=128, denoiser_steps=5, width=16)


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


def test_the_posterior_is_nearly_isotropic_and_so_is_what_was_learnt(role):
    rows = role.scores.set_index("law")
    assert rows.loc["Gaussian", "energy"] == pytest.approx(rows.loc["isotropic", "energy"], rel=0.02)
    assert abs(role.log_score) < 0.03


def test_the_validation_part_is_other_items():
    pairs, _ = synthetic_pairs(300, 6, 8, 0.7, 2, np.random.default_rng(0))
    settings = {"draws": 2, "landmarks": 32, "denoiser_steps": 0}
    parts = [ablation(pairs, "image", "text", part=part, **settings).cosines for part in ("test", "validation")]
    assert [len(part) for part in parts] == [60, 30] and not set(parts[0]["group"]) & set(parts[1]["group"])
    with pytest.raises(ValueError, match="draws: 1"):
        ablation(pairs, "image", "text", draws=1)
    with pytest.raises(ValueError, match="text: several vectors an item"):
        ablation(pairs, "text", "image")


def test_figures_return_their_axes(role):
    found = reliability(role.cosines["expected"], role.cosines["observed"], role.cosines["group"], bins=5)
    _, (left, right) = plt.subplots(1, 2)
    assert reliability_diagram(found, left) is left
    assert measured_against(role.scores, "precision", "coverage", right) is right
    assert len(right.get_legend_handles_labels()[1]) == 6  # all but the siblings
    plt.close("all")
