"""The reliability diagram where the truth is known."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from analysis.experiments.residual_role import LIST, MEAN, SIBLING, ablation
from analysis.experiments.synthetic import synthetic_pairs
from analysis.plots.residual_role import measured_against, reliability_diagram
from analysis.theory.draws import MEASURES
from analysis.theory.reliability import reliability
from modtrans_core.scores import cosine


@pytest.fixture(scope="module")
def known():
    """|E[z|c]| and the cosine of each of 4,000 synthetic pairs."""
    pairs, mean = synthetic_pairs(4000, 8, 16, 0.7, 1, np.random.default_rng(0))
    return np.linalg.norm(mean, axis=1), cosine(mean, pairs.modality("text"))


def test_the_length_of_the_true_mean_is_reliable(known):
    found = reliability(*known, bins=20)
    assert found.bins["n"].sum() == 4000 and found.bins["expected"].is_monotonic_increasing
    assert found.error < 1.5 * found.error_by_chance and abs(found.bias) < 0.01
    inside = ((found.bins["low"] <= found.bins["expected"]) & (found.bins["expected"] <= found.bins["high"])).sum()
    assert inside >= 15  # 20 intervals of 95%: fewer than 16 has probability .0026
    assert found.rank_correlation > 0.3


def test_overconfidence_is_seen(known):
    expected, observed = known
    found = reliability(expected + 0.1, observed)
    assert found.bias == pytest.approx(-0.1, abs=0.01) and found.error > 5 * found.error_by_chance
    assert reliability(np.random.default_rng(0).permutation(expected), observed).rank_correlation < 0.1


def test_by_chance_alone_the_error_is_what_it_says():
    rng = np.random.default_rng(0)
    expected = np.linspace(0, 1, 200)
    errors, promised = zip(
        *(reliability(expected, expected + 0.1 * rng.standard_normal(200))[1:3] for _ in range(300)), strict=True
    )
    assert np.mean(errors) == pytest.approx(np.mean(promised), rel=0.06)


@pytest.mark.parametrize(
    ("observed", "bins", "words"),
    [(np.zeros(9), 10, "observed: 9 values, allowed are 10"), (np.zeros(10), 11, "bins: 11, allowed is 2 to 10")],
)
def test_what_does_not_fit_is_refused(observed, bins, words):
    with pytest.raises(ValueError, match=words):
        reliability(np.zeros(10), observed, bins=bins)


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
