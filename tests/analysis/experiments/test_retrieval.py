"""Methods by scores: what a row says, what is chosen where, and the contact sheet."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis.experiments.retrieval import MEASURES, WAYS, Sheet, gains, needed, retrieval, shared_space, sheet
from analysis.experiments.synthetic import synthetic_pairs
from analysis.experiments.trial import Trial
from analysis.paper.tables import mean_and_spread
from analysis.plots.retrieval import blocks, recalls
from modtrans_core import PairedEmbeddings, preset
from modtrans_core.scores import score
from modtrans_core.vectors import unit


def pairs(same=False):
    """Targets of several captions that share a mean; named encoders, one for both where asked for."""
    made, _ = synthetic_pairs(500, 16, 16, 0.9, 2, np.random.default_rng(0))
    text = unit(made.modality("text") + np.full(16, 0.3))
    metadata = {"image": {"encoder": "clip"}, "text": {"encoder": "clip" if same else "bert"}}
    key = np.array([f"item {i}" for i in range(500)])
    return PairedEmbeddings({"image": made.modality("image"), "text": text}, key=key, metadata=metadata)


@pytest.fixture(scope="module")
def trial():
    return Trial.of(pairs(), "image", "text", 0)


@pytest.fixture(scope="module")
def found(trial):
    return retrieval(trial, ("ridge", "calibrated"), landmarks=16)


def test_a_row_is_what_the_evaluation_says(trial, found):
    zhat = trial.fit(preset("ridge"), unseen=True).translate(np.asarray(trial.test.c))
    said = score(zhat, trial.test.targets, trial.test.counts, mean=trial.mean, item=trial.test.item)
    ridge = found[found["method"] == "ridge"].set_index("score")
    assert ridge.loc["cosine", "recall_at_10"] == pytest.approx(said["recall_at_10"])
    assert ridge.loc["centered", "recall_at_10"] == pytest.approx(said["own_recall_at_10"])  # of its own length
    assert len(found) == 2 * len(WAYS) + 1 and set(found["score"][found["method"] == "calibrated"]) > {"own"}
    assert found.set_index("score")["transductive"].groupby(level=0).first().to_dict() == {
        name: name.startswith("dual") for name in found["score"]
    }


def test_the_test_part_chooses_nothing(trial, found):
    """Another order of the test targets changes every measure, and no parameter."""
    test = trial.test
    swapped = test.pairs.take(np.roll(np.arange(len(test.pairs)), 1))
    arrays = {"image": test.pairs.modality("image"), "text": swapped.modality("text")}
    other = Trial.between(0, trial.train, trial.validation, replace(test, pairs=replace(test.pairs, arrays=arrays)))
    again = retrieval(other, ("ridge",))
    ridge = found[found["method"] == "ridge"]
    assert again["parameter"].tolist() == ridge["parameter"].tolist()
    assert (again["mrr"] < ridge["mrr"].to_numpy() / 2).all()


def test_a_bank_are_translations_of_training_conditions(trial):
    translator = trial.fit(preset("ridge"), unseen=True)
    for way, has_one in (("cosine", False), ("csls", True), ("inverted", True), ("dual", False)):
        needs = needed(trial, translator, way, centered=True)
        assert set(needs) == ({"mean", "bank"} if has_one else {"mean"})
        if has_one:
            np.testing.assert_allclose(needs["bank"], translator.translate(np.asarray(trial.train.c)), atol=1e-6)


def test_the_condition_itself_is_ranked_where_the_space_is_shared():
    assert not shared_space(pairs(), "image", "text") and shared_space(pairs(same=True), "image", "text")
    assert not shared_space(replace(pairs(), metadata={}), "image", "text")
    both = Trial.of(pairs(same=True), "text", "image", 0)
    assert set(retrieval(both, ("ridge",))["method"]) == {"ridge", "identity"}
    shown = sheet(both, queries=3, k=4)
    assert list(shown.results) == ["raw", "translated", "centered", "corrected"]
    assert all(keys.shape == (3, 4) for keys in shown.results.values()) and len(set(shown.queries)) == 3
    assert set(shown.results["raw"].ravel()) <= set(both.test.pairs.key.tolist())
    nameless = sheet(Trial.of(replace(pairs(same=True), key=None), "text", "image", 0), queries=3, k=4)
    assert {*nameless.queries} <= {*np.arange(len(both.test.pairs)).astype(str)}


def test_gains_are_of_what_needs_no_other_query_and_of_the_least_and_the_most():
    rows = [
        {"route": "a → b", "seed": seed, "method": method, "score": score, "transductive": score == "dual",
         **dict.fromkeys(("recall_at_1", "recall_at_10", "mrr"), value + 0.01 * seed)}
        for seed in (0, 1)
        for method, by in {"ridge": (0.1, 0.2, 0.3, 0.9), "procrustes": (0.15, 0.3, 0.2, 0.9)}.items()
        for score, value in zip(("cosine", "centered", "csls", "dual"), by, strict=True)
    ]  # fmt: skip
    won = gains(pd.DataFrame(rows), ("ridge", "procrustes"))
    assert won["of_score"].to_numpy() == pytest.approx(0.15)  # of procrustes: .3 - .15; ridge gains .2
    assert won["of_map"].to_numpy() == pytest.approx(0.1) and won["of_map_sd"].to_numpy() == pytest.approx(0.0)


def test_the_contact_sheet_frames_what_is_right_and_the_figure_opens_what_is_transductive(found):
    picture = {name: np.full((4, 4, 3), 9 * i, np.uint8) for i, name in enumerate("abc")}
    shown = Sheet(["a", "b"], {"plain": np.array([["a", "b"], ["c", "a"]]), "dual": np.array([["b", "a"], ["b", "c"]])})
    figure = blocks(shown.table(), picture, {name: f"query {name}" for name in "abc"})
    (ax,) = figure.axes
    assert len(ax.images) == 2 + 8 and {text.get_text() for text in ax.texts} >= {"query a", "plain", "dual"}
    framed = [patch.get_xy() for patch in ax.patches if patch.get_linewidth() > 1]
    assert [round(x) for x, _ in framed] == [0, 1, 0]
    plt.close(figure)
    table = mean_and_spread(found, ["route", "method", "score", "transductive"], MEASURES)
    figure = recalls(table.fillna({"recall_at_10_sd": 0.0}))
    values = [np.asarray(bars[0].get_xdata(), float) for bars in figure.axes[0].containers]
    np.testing.assert_allclose(np.sort(np.concatenate(values)), np.sort(table["recall_at_10"]))
    faces = {bars[0].get_markerfacecolor() for bars in figure.axes[0].containers}
    assert "white" in faces and len(faces) == 3  # one open, one full for each method
    plt.close(figure)
