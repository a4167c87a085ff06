"""From cosine to recall: what a ranking is scored by, and what a longer deviation changes."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from analysis.experiments.cosine_to_recall import LENGTHS, cosine_to_recall, ranked
from analysis.experiments.synthetic import synthetic_pairs
from analysis.experiments.trial import Trial
from analysis.plots.cosine_to_recall import needed, shrinking
from modtrans_core import PairedEmbeddings
from modtrans_core.scores import score
from modtrans_core.vectors import unit


@pytest.fixture(scope="module")
def trial():
    """Targets that share a mean."""
    pairs, _ = synthetic_pairs(700, 12, 16, 0.6, 1, np.random.default_rng(0))
    text = unit(pairs.modality("text") + np.full(16, 0.25))
    return Trial.of(PairedEmbeddings({"image": pairs.modality("image"), "text": text}), "image", "text", 0)


@pytest.fixture(scope="module")
def found(trial):
    return cosine_to_recall(trial, landmarks=64)


def test_a_row_is_what_the_evaluation_says(trial, found):
    from modtrans_core import preset

    zhat = trial.fit(preset("procrustes")).translate(np.asarray(trial.test.c))
    expected = score(zhat, trial.test.targets, mean=trial.mean)
    rows = found.rankings.set_index(["method", "ranking"]).loc["procrustes"]
    for k in (1, 10):
        assert rows.loc["raw", f"recall_at_{k}"] == pytest.approx(expected[f"recall_at_{k}"])
        assert rows.loc["centered", f"recall_at_{k}"] == pytest.approx(expected[f"centered_recall_at_{k}"], abs=0.01)
    assert rows.loc["raw", "cosine"] == pytest.approx(expected["cosine"])
    assert len(found.items) == rows.loc["raw", "gallery"] == len(trial.test.pairs)


def test_the_best_cosine_is_near_the_map_itself_and_shrinking_costs_recall(found):
    rows = found.lengths.set_index("t")
    assert list(rows.index[:-1]) == list(LENGTHS) and rows.index[-1] == np.inf
    raw = rows.iloc[:-1]
    assert 0.5 <= raw["cosine"].idxmax() <= 1.6
    assert raw.loc[0.25, "recall_at_10"] < raw.loc[4.0, "recall_at_10"]
    assert raw.loc[0.25, "law_at_10"] < raw.loc[4.0, "law_at_10"]
    assert raw.loc[0.25, "hub_skew"] > raw.loc[4.0, "hub_skew"]


def test_what_is_forced_is_found_and_what_finds_itself_is_forced():
    z = np.random.default_rng(1).standard_normal((60, 20))
    row = ranked(z + 0.1, z)
    assert 0.5 < row["forced_at_1"] <= row["recall_at_1"] == 1.0 and row["gallery"] == 60
    assert ranked(z, z)["forced_at_10"] == 1.0


def test_the_figures_show_every_item_and_every_length(found):
    ax = needed(found.items, plt.figure().gca())
    assert [len(line.get_xdata()) for line in ax.get_lines()] == [len(found.items)] * 3
    plt.close(ax.figure)
    ax = shrinking(found.lengths, plt.figure().gca())
    measured, law, _ = ax.get_lines()
    raw = found.lengths[np.isfinite(found.lengths["t"])]
    np.testing.assert_allclose(measured.get_ydata(), raw["recall_at_10"])
    np.testing.assert_allclose(law.get_ydata(), raw["law_at_10"])
    plt.close(ax.figure)
