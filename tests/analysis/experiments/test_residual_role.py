"""The role of the residual, on synthetic pairs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from scipy import stats

import modtrans_core
from analysis.experiments.residual_role import (
    COMPARED,
    FACTS,
    MEAN,
    MIRRORED,
    SIMPLEST,
    compared,
    conformal_sets,
    mirrored,
    residual_role,
    which_usable,
)
from analysis.experiments.synthetic import mirrored_pairs, synthetic_pairs
from analysis.experiments.trial import Trial
from analysis.plots.residual_role import diagram, difference
from analysis.theory.confidence import mean_interval
from analysis.theory.conformal import ConformalFloor
from analysis.theory.draws import energy_score
from analysis.theory.reliability import reliability
from analysis.theory.selective import select
from modtrans_core import preset

LAWS = [MEAN, "isotropic", SIMPLEST, "neighbours", "DDIM", "flow matching"]


@pytest.fixture(scope="module")
def role():
    pairs, _ = synthetic_pairs(700, 8, 24, 0.7, 3, np.random.default_rng(0))
    return residual_role(Trial.of(pairs, "image", "text", 0), draws=4, landmarks=128, steps=20, width=16)


@pytest.fixture(scope="module")
def needed():
    return mirrored(1, draws=10, share=0.9)


def test_every_law_is_measured_on_the_same_items(role):
    assert list(role.laws["law"]) == LAWS and len(role.cosines) == 140
    groups = [part["group"].tolist() for _, part in role.items.groupby("law", sort=False)]
    assert len(groups) == len(LAWS) and all(one == role.cosines["group"].tolist() for one in groups)
    assert role.items[COMPARED].notna().all(axis=None)
    assert role.laws.set_index("law").loc[LAWS[1:], FACTS].notna().all(axis=None)
    means = role.items.groupby("law")[COMPARED].mean()
    assert (means["cosine"].drop(MEAN) < means.loc[MEAN, "cosine"]).all()
    assert (means["cosine_of_mean"].drop(MEAN) > means["cosine"].drop(MEAN)).all()


def test_where_the_posterior_is_nearly_isotropic_no_law_of_F_is_better_than_the_gaussian(role):
    laws, apart = compared([role])
    laws, energy = laws.set_index("law"), apart[apart["measure"] == "energy"].set_index("law")
    assert (energy["high"] > 0).all() and energy.loc[MEAN, "low"] > 0
    assert laws.loc[SIMPLEST, "energy"] == pytest.approx(laws.loc["isotropic", "energy"], rel=0.02)


def test_where_the_residual_has_two_opposite_directions_a_trained_F_wins(needed):
    laws, apart = compared(needed)
    laws, apart = laws.set_index("law"), apart.set_index(["measure", "law"])
    assert set(laws["route"]) == {MIRRORED}
    for law in ("DDIM", "flow matching"):
        assert laws.loc[law, "kept"] > 0 and apart.loc[("energy", law), "high"] < 0
    gained = laws.loc[SIMPLEST, "energy"] - laws.loc["flow matching", "energy"]
    trial = Trial.of(mirrored_pairs(1500, 6, 0.2, np.random.default_rng([0, 7]))[0], "image", "text", 0)
    _, draw = mirrored_pairs(1, 6, 0.2, np.random.default_rng(1))
    perfect = energy_score(draw(np.asarray(trial.test.c), 10), trial.test.z).mean()
    assert gained > 0.4 * (laws.loc[SIMPLEST, "energy"] - perfect) > 0.02
    assert laws.loc["flow matching", "set_size"] < 0.5 * laws[["set_size"]].loc[[MEAN, SIMPLEST]].min().item()
    assert apart.loc[("best_recall_at_1", "flow matching"), "low"] > 0.3


def test_a_conformal_set_holds_the_target_exactly_as_often_as_is_asked_for():
    """Of 18 items 9 set the score for each of the others: the 8th of 9 of any scores is reached with 8 in 10."""
    rng, held = np.random.default_rng(0), 0
    for run in range(1500):
        seen = np.tanh(rng.standard_normal((18, 18)) + np.eye(18))
        covered, size = conformal_sets(seen, np.arange(18), np.arange(18), 0.8, run)
        held += covered[0]
        assert size[0] >= covered[0] / 18
    assert stats.binomtest(int(held), 1500, 0.8).pvalue > 1e-4


def test_conformal_sets_by_hand():
    """Two groups of one item each cannot promise a half less than all: every target is in the set."""
    covered, size = conformal_sets(np.eye(2), np.arange(2), np.arange(2), 0.9, 0)
    assert covered.tolist() == [1, 1] and size.tolist() == [1, 1]
    seen = np.repeat([[0.9], [0.1]], 6, axis=0).reshape(2, 6)  # one group sees all, and the other little of anything
    _, size = conformal_sets(seen, np.repeat([0, 1], 3), np.arange(2), 0.5, 0)
    assert size.tolist() == [1, 0]


def test_differences_are_paired_and_their_intervals_of_groups_or_of_trials(role):
    other = role._replace(items=role.items.assign(seed=1, set_size=role.items["set_size"] * 0.9))
    _, apart = compared([role, other])
    items = role.items.set_index("law")
    row = apart.set_index(["measure", "law"])
    more = np.tile(items.loc["isotropic", "energy"].to_numpy() - items.loc[SIMPLEST, "energy"].to_numpy(), 2)
    found = mean_interval(more, np.tile(items.loc[SIMPLEST, "group"], 2))
    assert row.loc[("energy", "isotropic"), ["difference", "low", "high"]].tolist() == pytest.approx(
        [found.value, found.low, found.high]
    )
    size = items["set_size"].groupby("law").mean()
    change = size["isotropic"] - size[SIMPLEST]
    half = stats.t.ppf(0.975, 1) * abs(0.05 * change)  # two trials: .95 of it each side of the mean by .05
    found = row.loc[("set_size", "isotropic")]
    assert found["difference"] == pytest.approx(0.95 * change) and found["high"] - found["difference"] == pytest.approx(
        half
    )


def test_what_may_be_used_is_the_statements_of_the_test_pairs(role):
    np.testing.assert_allclose(role.observed.of_items(role.observed.cosine), role.cosines["observed"], atol=1e-6)
    np.testing.assert_allclose(role.observed.of_items(role.observed.expected), role.cosines["expected"], atol=1e-6)
    selections, curves, table = which_usable([role], 0.5, 0.3, 0.8)
    of_items = select(role.observed, 0.5, 0.95, risk=0.3)
    assert selections.set_index("of").loc["items", "threshold"] == of_items.threshold
    assert curves[curves["of"] == "groups"]["coverage"].iloc[-1] == 1.0
    assert table["coverage_of_items"][0] == of_items.coverage > 0
    assert table["margin"][0] == ConformalFloor.of(role.observed, 0.8).margin["all"]
    assert -1 < table["same_floor"][0] < 1 and abs(table["floor"][0] - table["same_floor"][0]) < 0.1
    rare = which_usable([role], 0.99, 0.01, 0.999)[2]
    assert rare["coverage_of_items"][0] == 0 and rare[["margin", "floor", "same_floor"]].isna().all(axis=None)


def test_one_draw_has_no_spread():
    pairs, _ = synthetic_pairs(300, 6, 8, 0.7, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="draws: 1"):
        residual_role(Trial.of(pairs, "image", "text", 0), draws=1)


def test_of_several_conditions_the_first_is_translated_and_without_steps_there_is_no_network():
    pairs, _ = synthetic_pairs(300, 6, 8, 0.7, 2, np.random.default_rng(0))
    trial = Trial.of(pairs, "text", "image", 0)
    found = residual_role(trial, draws=2, landmarks=32, steps=0, items=40)
    assert list(found.laws["law"]) == LAWS[:4] and len(found.items) == 4 * 40 and len(found.cosines) == 60
    mean = trial.fit(preset("calibrated", {"seed": 0, "landmarks": 32}), unseen=True)
    zhat = mean.translate(trial.test.pairs.modality("text")[:, 0])
    np.testing.assert_allclose(np.linalg.norm(zhat, axis=1), found.cosines["expected"], atol=1e-6)


def test_the_laws_are_fitted_on_the_processor_wherever_the_translator_lies(monkeypatch):
    """A stand-in for a GPU: numbers that lie elsewhere until they are fetched."""

    class Elsewhere(torch.Tensor):
        def numpy(self):
            raise TypeError("can't convert a device's tensor to numpy")

        def cpu(self):
            return self.as_subclass(torch.Tensor)

    def fit(self, config, *, unseen=False):
        found = modtrans_core.fit(self.train.pairs, self.train.source, self.train.target, config=config)
        return replace(found, root=found.root.as_subclass(Elsewhere))

    monkeypatch.setattr(Trial, "fit", fit)
    pairs, _ = synthetic_pairs(300, 6, 8, 0.7, 2, np.random.default_rng(0))
    found = residual_role(Trial.of(pairs, "image", "text", 0), draws=2, landmarks=32, steps=2, width=8, items=20)
    assert list(found.laws["law"]) == LAWS


@pytest.mark.gpu
def test_laws_of_a_translator_that_lies_on_a_gpu():
    pairs, _ = synthetic_pairs(300, 6, 8, 0.7, 2, np.random.default_rng(0))
    found = residual_role(Trial.of(pairs, "image", "text", 0), draws=2, landmarks=32, steps=2, width=8, items=20)
    assert list(found.laws["law"]) == LAWS


def test_figures_return_their_axes(role, needed):
    found = reliability(role.cosines["expected"], role.cosines["observed"], role.cosines["group"], bins=5)
    _, (left, right) = plt.subplots(1, 2)
    facts = pd.Series({**found._asdict(), "seed": 0})
    assert diagram(pd.DataFrame(found.bins), facts, left) is left
    _, apart = compared([role, *needed])
    shown = apart[(apart["law"] != MEAN) | (apart["measure"] != "energy")]
    named = [name for name, *_ in difference(shown, "energy", right)]
    assert named == right.get_legend_handles_labels()[1]
    assert [tick.get_text() for tick in right.get_yticklabels()] == [law for law in LAWS if law != SIMPLEST]
    assert len(right.get_legend_handles_labels()[1]) == 2
    drawn = right.containers[0].lines[0]
    energy = apart[(apart["measure"] == "energy") & (apart["route"] == role.laws["route"][0])].set_index("law")
    at = dict(zip(np.round(drawn.get_ydata()), drawn.get_xdata(), strict=True))
    assert np.isnan(at[0]) and at[4] == energy.loc["flow matching", "difference"]  # m's row is there, and empty
    plt.close("all")
