"""Methods at every number of pairs, and the network where it pays, on sets small enough for a test."""

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.experiments import growth
from analysis.experiments.trial import Trial
from analysis.plots.growth import growth as drawn
from modtrans_core import PairedEmbeddings, fit, preset
from modtrans_core.calibrated import network, stack

SMALL = {
    "K": 4,
    "D": 6,
    "KAPPA": 40.0,
    "SHARE": 0.8,
    "SIZES": (200, 3000, 10**9),
    "TESTED": 600,
    "STEPS": (50, 200),
    "TRIED": 1000,
}


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        for name, value in SMALL.items():
            patched.setattr(growth, name, value)
        for name, value in {"BATCH": 128, "WIDTH": 64}.items():
            patched.setattr(network, name, value)
        path = growth.write_set(3, 3000, tmp_path_factory.mktemp("set") / "waves.npz")
        yield Trial.of(PairedEmbeddings.load(path), "image", "text", 0)


@pytest.fixture(scope="module")
def table(trial):
    return growth.growth(trial, landmarks=8)


def test_every_method_has_a_row_at_every_size_that_there_is(table):
    assert table.groupby("pairs").size().to_dict() == {200: 4, 3000: 4}
    assert (table["gallery"] == 600).all()
    assert table.groupby("method")["pairs"].apply(list).map(lambda pairs: pairs == [200, 3000]).all()


def test_with_more_pairs_networks_are_better_and_nothing_beats_the_best(table):
    cosine = table.set_index(["method", "pairs"])["cosine"]
    for method in (growth.NETWORK, "MLP"):  # 8 landmarks are soon at their end
        assert cosine[method, 3000] > cosine[method, 200]
    assert cosine.max() < growth.mean_alignment(SMALL["KAPPA"], SMALL["D"]) + 0.01
    assert cosine[growth.CLOSED, 3000] > cosine["ridge", 3000] + 0.003


def test_the_network_gains_on_few_landmarks_and_is_not_tried_on_few_pairs(table):
    rows = table[table["method"] == growth.NETWORK].set_index("pairs")
    closed = table[table["method"] == growth.CLOSED].set_index("pairs")
    assert np.isnan(rows.loc[200, "gain"]) and rows.loc[200, "cosine"] == closed.loc[200, "cosine"]
    assert rows.loc[3000, "gain"] > network.GAIN and rows.loc[3000, "cosine"] > closed.loc[3000, "cosine"] + 0.005
    assert (rows["seconds"] > closed["seconds"]).all()


def test_what_is_held_out_is_translated_by_a_fit_that_has_not_seen_it_and_fits_no_ranking(trial, monkeypatch):
    asked, config = {}, preset("calibrated", {"landmarks": 8, "goal": "cosine", "network": False})
    monkeypatch.setattr(growth, "learn", lambda pairing, fit, held, *rest: asked.update(fit=fit, held=held))
    part, (c, z) = trial.train.take(np.arange(100)), trial.validation.unit_pairs()
    alone, of_all = trial.fit(config, unseen=True).translate(c), trial.fit(config).translate(c)
    of_part = fit(part.pairs, config=config, progress=lambda *_: None).translate(c)
    monkeypatch.setattr(stack, "to_rank", None)
    translate, gain = growth.with_network(trial, config, len)
    assert translate is len and np.isnan(gain)
    assert torch.equal(asked["held"].m, alone) and torch.allclose(asked["held"].z, z, atol=1e-6)
    assert not torch.equal(alone, of_all)
    assert torch.equal(asked["fit"](part)(c), of_part)


def test_the_figure_has_a_row_a_set_and_the_best_cosine(table):
    both = pd.concat([table.assign(set="few"), table.assign(set="many")])
    figure = drawn(both)
    assert [ax.get_title() for ax in figure.axes] == ["few", "", "", "many", "", ""]
    for ax in (figure.axes[0], figure.axes[1]):
        assert any(set(line.get_ydata()) == {growth.BEST} for line in ax.lines)


def test_the_base_has_no_network_of_its_own(trial, monkeypatch):
    """From 65,536 conditions on it would have one, and the network beside it would be on top of that."""
    configs, race = {}, Trial.race
    monkeypatch.setattr(growth, "SIZES", (200,))
    monkeypatch.setattr(Trial, "race", lambda self, given, **facts: configs.update(given) or race(self, given, **facts))
    growth.growth(trial, landmarks=8)
    assert configs[growth.CLOSED].network is False
