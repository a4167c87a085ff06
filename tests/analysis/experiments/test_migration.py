"""A change of encoders on made-up ones: what is counted, what is compared, and which certificate to believe."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis.experiments import migration as module
from analysis.experiments.migration import FULL, KINDS, NEW, OLD, STALE, Search, certificates, coverage, migration
from analysis.experiments.trial import Trial
from analysis.plots.migration import limits_by_kind, retained
from modtrans_core import PairedEmbeddings
from modtrans_core.vectors import unit


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return module.stand_in(tmp_path_factory.mktemp("stand-in"), items=1600, asked=1200)


@pytest.fixture(scope="module")
def trial(files):
    return Trial.of(PairedEmbeddings.load(files[0]), OLD, NEW, 0)


@pytest.fixture(scope="module")
def table(trial, files):
    return migration(trial, files[1], sizes=(50, 800, 10**9), landmarks=16, steps=60)


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        (lambda one: PairedEmbeddings({"old": one.modality(OLD)}, key=one.key), "modality 'text-old': not in"),
        (lambda one: PairedEmbeddings(one.arrays), "key: 'none', the name of each document"),
        (
            lambda one: PairedEmbeddings({OLD: one.modality(OLD), NEW: one.modality(NEW)[:, None]}, key=one.key),
            r"text-new: \(\d+, 1, \d+\), one vector of each document or query",
        ),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_which_file_lacks_names_or_an_encoder_is_said(files, tmp_path, place, lacking, words):
    given = [*files]
    lacking(PairedEmbeddings.load(given[place])).save(tmp_path / "lacking.npz")
    given[place] = tmp_path / "lacking.npz"
    with pytest.raises(ValueError, match=f"^{tmp_path / 'lacking.npz'}: {words}"):
        module.loaded(*given)


def test_documents_have_a_name_each(files, tmp_path):
    """Chunks of one document: which of them answers is not known."""
    documents = PairedEmbeddings.load(files[0])
    documents.take(np.r_[0:9, 0, 0]).save(tmp_path / "chunks.npz")
    name = documents.key[0]
    with pytest.raises(ValueError, match=f"^{tmp_path / 'chunks.npz'}: key: '{name} 3 times', another one a document"):
        module.loaded(tmp_path / "chunks.npz", files[1])
    module.loaded(files[0], files[1])


def test_queries_without_names_are_refused(trial, files, tmp_path):
    PairedEmbeddings(PairedEmbeddings.load(files[1]).arrays).save(tmp_path / "lacking.npz")
    with pytest.raises(ValueError, match="key: 'none', names of documents and queries is needed"):
        migration(trial, tmp_path / "lacking.npz")


def test_queries_are_those_whose_document_is_in_the_test_part(trial, files):
    asked, test = PairedEmbeddings.load(files[1]), trial.test.pairs
    search = Search.of(trial, asked)
    assert len(search.row) == sum(int(key) < 1200 for key in test.key) > 100
    answers = search.documents[NEW][search.row]
    known = {tuple(row) for row in unit(test.modality(NEW)).round(5).tolist()}
    assert {tuple(row) for row in answers.round(5).tolist()} <= known
    own = np.einsum("nd,nd->n", search.queries[NEW], answers).mean()
    assert own > np.einsum("nd,nd->n", search.queries[NEW], np.roll(answers, 1, axis=0)).mean() + 0.1


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (lambda tested, _: tested, "queries: 'none of .*whose document is in the training and validation part"),
        (lambda _, other: other, "queries: 'none of .*whose document is in the test part is needed"),
        (lambda tested, other: [*tested[:1], *other[:5]], "queries: '1 in the test part', some of which `text-"),
    ],
)
def test_queries_of_which_nothing_can_be_retained_are_refused(trial, files, tmp_path, kept, words):
    asked = PairedEmbeddings.load(files[1])
    inside = np.isin(asked.key, trial.test.pairs.key)
    rows = np.asarray(kept(np.flatnonzero(inside), np.flatnonzero(~inside)))
    few = asked.take(rows)
    if len(few) == 6:  # the one in the test part asks for what no document is near to
        few = PairedEmbeddings({name: -few.modality(name) for name in (OLD, NEW)}, key=few.key)
    few.save(tmp_path / "few.npz")
    with pytest.raises(ValueError, match=words):
        migration(trial, tmp_path / "few.npz", sizes=(), landmarks=8, steps=1)
    with pytest.raises(ValueError, match=words):
        certificates(trial, tmp_path / "few.npz", pairs=100, draws=1)


def test_a_full_reembedding_retains_all_and_a_row_is_what_sorting_says(table, trial, files):
    whole = table[table["method"] == FULL]
    plain = whole[["retained_recall_at_1", "retained_recall_at_10", "retained_mrr", "agreement"]]
    assert (plain == 1).all(axis=None)
    search = Search.of(trial, PairedEmbeddings.load(files[1]))
    cosine = search.queries[NEW] @ search.documents[NEW].T
    rank = 1 + (cosine > cosine[np.arange(len(cosine)), search.row][:, None] + 1e-6).sum(axis=1)
    row = whole.set_index("way").loc["index"]
    assert row["recall_at_1"] == (rank <= 1).mean() and row["mrr"] == pytest.approx((1 / rank).mean())
    stale = table[table["method"] == STALE].set_index("way")["recall_at_10"]
    full = whole.set_index("way")["recall_at_10"]
    assert stale["index"] == full["queries"] and stale["queries"] == full["index"]


def test_queries_less_their_own_mean_find_more(table, trial, files):
    at = table.set_index(["way", "method", "pairs"]).loc["index", "ridge", 800]
    assert at["retained_centered_recall_at_10"] > at["retained_recall_at_10"] + 0.05
    search = Search.of(trial, PairedEmbeddings.load(files[1]))
    assert len(search.others[NEW]) + len(search.row) == 1200
    scores, _ = search.scores(search.queries[NEW], search.documents[NEW], search.others[NEW])
    q, z = (
        unit(x - y.mean(axis=0)) for x, y in ((search.queries[NEW], search.others[NEW]), (search.documents[NEW],) * 2)
    )
    rank = 1 + (q @ z.T > np.einsum("nd,nd->n", q, z[search.row])[:, None] + 1e-6).sum(axis=1)
    assert scores["centered_mrr"] == pytest.approx((1 / rank).mean(), abs=1e-3)


def test_more_pairs_retain_more_and_every_method_beats_chance(table):
    fitted = table[table["pairs"].notna()].set_index(["way", "method", "pairs"])["retained_recall_at_10"].unstack()
    assert set(fitted.index.get_level_values("method")) >= {
        "procrustes", "low-rank affine", "residual MLP", "ridge", "calibrated"
    }  # fmt: skip
    assert (fitted[800] > fitted[50]).all() and list(fitted.columns) == [50, 800]
    assert (fitted[800] > 0.3).all() and (fitted.xs("ridge", level="method")[800] > 0.7).all()


def test_the_package_aecp_gives_its_own_map(trial):
    pytest.importorskip("aecp")
    from sklearn.linear_model import RidgeCV

    translate = module.aecp_ridge(trial)
    c, z = np.asarray(trial.test.c), np.asarray(trial.test.targets)
    assert np.einsum("nd,nd->n", translate(c), z).mean() > 0.9
    ours = RidgeCV(np.logspace(-3, 3, 25)).fit(np.asarray(trial.train.c), np.asarray(trial.train.targets)).predict(c)
    assert np.einsum("nd,nd->n", translate(c), unit(ours)).mean() > 0.999


def test_certificates_hold_in_the_whole_index_and_competitors_make_them_sharp(trial, files):
    found = certificates(trial, files[1], pairs=300, draws=150)
    rows = found.coverage.set_index("kind")
    assert list(rows.index) == list(KINDS)
    limit = rows["limit"]
    assert (rows.drop("small gallery")["p"] > 1e-3).all()
    assert limit["at random"] < limit["at random and competitors"] <= limit["all re-embedded"] < rows["truth"].iloc[0]
    gain = limit["all re-embedded"] - limit["at random"]
    assert limit["at random and competitors"] - limit["at random"] > 0.8 * gain
    assert rows.loc["small gallery", "p"] < 1e-6, "another number: neighbours are missing"
    by_draw = found.limits.pivot(index="draw", columns="kind", values="limit")
    assert (by_draw["at random"] <= by_draw["all re-embedded"] + 1e-9).all(), "a bound of the same queries"
    limits_by_kind(found.limits, plt.figure().gca())
    plt.close("all")


def test_limits_that_miss_too_often_are_found_out():
    limits = pd.DataFrame({"kind": "bad", "limit": np.arange(100) / 100, "truth": 0.85})
    (row,) = coverage(limits).to_dict("records")
    assert (row["misses"], row["draws"]) == (14, 100) and row["p"] < 1e-3


def test_the_figure_has_a_panel_for_each_change(table):
    figure = retained(table)
    assert len(figure.axes) == 4 and len(figure.axes[0].get_legend_handles_labels()[1]) >= 5
    plt.close("all")
