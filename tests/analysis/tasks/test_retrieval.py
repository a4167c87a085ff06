"""Scores of a ranking against their definitions, and galleries whose hubs are known."""

import doctest
import tracemalloc

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from analysis.tasks import retrieval as task
from analysis.tasks.retrieval import SCORES, bank_of, chosen, measured, rank, vectors
from modtrans_core import PairedEmbeddings, fit, ranking, scores
from modtrans_core.vectors import unit


def data(n=40, g=60, d=8, seed=0):
    """Queries near their items, all around one mean; a bank of other queries."""
    rng = np.random.default_rng(seed)
    gallery = rng.standard_normal((g, d)) + 1
    return gallery[:n] + 0.7 * rng.standard_normal((n, d)), gallery, rng.standard_normal((50, d)) + 1


def needs(score, bank, mean):
    return {"bank": bank if score in ("csls", "inverted") else None, "mean": mean if score == "centered" else None}


def along_the_mean(n=30, d=40, seed=0):
    """Queries m + delta_j, and unit items whose first one is the mean's direction: <m, g_0> is ahead of the others by
    more than 2 max|delta|, and each other item has its own delta."""
    m = 0.5 * np.eye(d)[0]
    own = np.pad(np.linalg.qr(np.random.default_rng(seed).standard_normal((d - 1, n)))[0].T, ((0, 0), (1, 0)))
    gallery = np.concatenate([2 * m[None], m + np.sqrt(0.75) * own])
    queries = m + 0.1 * own
    assert (gallery @ m)[0] - (gallery @ m)[1:].max() > 2 * 0.1
    return queries, gallery, m


def test_one_item_along_the_mean_wins_every_query_and_centering_mends_it():
    queries, gallery, mean = along_the_mean()
    n, right = len(queries), np.arange(1, len(queries) + 1)
    plain = rank(queries, gallery, k=1).items.ravel()
    assert (plain == 0).all()  # N_1 = n
    assert (rank(queries, gallery, "centered", 1, mean=mean).items.ravel() == right).all()
    found = scores.ranking_scores(*vectors(queries, gallery), relevant=right, k=1)
    assert found["largest_hub"] == 1.0 and found["recall_at_1"] == 0.0 and found["anti_hubs"] == n / (n + 1)
    mended = scores.ranking_scores(*vectors(queries, gallery, "centered", mean=mean), relevant=right, k=1)
    assert mended["largest_hub"] == 1 / n and mended["recall_at_1"] == mended["mrr"] == 1.0
    bank = queries[::-1] + 0.001  # the same hub among other queries: a bank sees it too
    assert (rank(queries, gallery, "inverted", 1, bank=bank, parameter=80).items.ravel() == right).all()


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("score", SCORES)
def test_every_score_is_its_definition(score, centered):
    q, g, bank = data()
    mean = unit(g).mean(0)
    if score in ("cosine", "centered") and centered != (score == "centered"):
        pytest.skip("no such score")
    parameter = None if score in ("cosine", "centered") else 7
    found = rank(
        q, g, score, 60, **{**needs(score, bank, mean), "mean": mean if centered else None}, parameter=parameter
    )
    u, v, b = (unit(x - mean if centered else x) for x in (q, unit(g), bank))
    s = (u @ v.T).astype(float)
    if score == "csls":
        s = s - np.sort((b @ v.T).astype(float), axis=0)[-7:].mean(0) / 2
    elif score in ("inverted", "dual"):
        others = (b if score == "inverted" else u) @ v.T
        s = 7 * s - logsumexp(7 * others.astype(float), axis=0)  # the log of a share, whose order is the score's
    assert np.diff(np.take_along_axis(s, found.items, 1), axis=1).max() < 1e-5
    assert (np.sort(found.items, axis=1) == np.arange(60)).all()
    assert found.transductive == (score == "dual") and found.score == score


@pytest.mark.parametrize("score", SCORES)
def test_blocks_give_what_the_whole_gives(monkeypatch, score):
    q, g, bank = data()
    more = needs(score, bank, unit(g).mean(0))
    whole, measures = rank(q, g, score, 9, **more), measured(q, g, score, **more)
    for module in (ranking, scores):
        monkeypatch.setattr(module, "AT_ONCE", 150)
    pieces = rank(q, g, score, 9, **more)
    np.testing.assert_array_equal(whole.items, pieces.items)
    np.testing.assert_allclose(whole.scores, pieces.scores, atol=1e-6)
    assert measured(q, g, score, **more) == pytest.approx(measures)


def test_an_item_scores_by_its_best_vector_in_both_shapes():
    q, g, bank = data()
    item = np.repeat(np.arange(30), 2)
    ranked = rank(q, g, "csls", 30, bank=bank, item=item)
    several = vectors(q, g.reshape(30, 2, -1), "csls", counts=np.full(30, 2), bank=bank)
    best = np.einsum("qd,nmd->qnm", *several).max(2)
    np.testing.assert_array_equal(ranked.items, np.argsort(-best, axis=1))
    one = vectors(q, g.reshape(30, 2, -1), counts=np.ones(30, int))[1]
    assert not one[:, 1].any()  # an absent vector is none


def test_only_dual_ranks_a_query_by_the_queries_beside_it():
    q, g, bank = data()
    for score in SCORES:
        more = needs(score, bank, unit(g).mean(0))
        among, alone = rank(q, g, score, 20, **more), rank(q[:5], g, score, 20, **more)
        assert np.array_equal(among.items[:5], alone.items) != (score == "dual")
        assert measured(q, g, score, **more)["transductive"] == (score == "dual")


def test_an_index_of_inner_products_ranks_by_every_score():
    faiss = pytest.importorskip("faiss")
    q, g, bank = data()
    for score in SCORES:
        more = needs(score, bank, unit(g).mean(0))
        queries, items = vectors(q, g, score, **more)
        index = faiss.IndexFlatIP(items.shape[1])
        index.add(items)
        np.testing.assert_array_equal(index.search(queries, 10)[1], rank(q, g, score, **more).items)


def test_the_parameter_with_the_best_mean_reciprocal_rank_is_chosen():
    q, g, bank = data()
    for score in ("csls", "inverted", "dual"):
        more = needs(score, bank, None)
        item = np.arange(len(q))
        by = {
            p: measured(q, g, score, item=item, parameter=p, **more)["mrr"]
            for p in (5.0, 10.0, 20.0, 40.0, 50.0, 80.0)
            if p in {"csls": (5.0, 10.0, 20.0, 50.0)}.get(score, (5.0, 10.0, 20.0, 40.0, 80.0))
        }
        assert len(set(by.values())) > 1 and by[chosen(q, g, score, item=item, **more)] == max(by.values())
    assert chosen(q, g, "cosine") == 0.0


def test_what_a_score_does_not_take_is_refused():
    q, g, bank = data()
    for score, more, message in (
        ("softmax", {}, "^score: 'softmax', one of cosine, centered"),
        ("csls", {}, "^bank: None, an array of vectors, for the score 'csls', is needed"),
        ("centered", {}, "^mean: None"),
        ("dual", {"bank": bank}, "^bank: 'an array', nothing, for the score 'dual', is needed"),
        ("cosine", {"mean": bank[0]}, "^mean: 'an array', nothing"),
        ("csls", {"bank": bank, "parameter": 1.5}, "^parameter: 1.5, a whole number from 1 on is needed"),
        ("inverted", {"bank": bank, "parameter": -1}, "^parameter: -1, a number from 1e-30 to 1e30"),
        ("csls", {"bank": bank, "parameter": np.inf}, "^parameter: inf, a whole number from 1 on is needed"),
        ("inverted", {"bank": bank, "parameter": 1e39}, r"^parameter: 1e\+39, a number from 1e-30 to 1e30"),
        ("dual", {"parameter": np.nan}, "^parameter: nan, a number from 1e-30 to 1e30"),
        ("cosine", {"parameter": 99}, "^parameter: 99, nothing, for the score 'cosine', is needed"),
        ("cosine", {"k": 2.5}, "^k: 2.5, a whole number from 1 to 60"),
        ("cosine", {"k": 61}, "^k: 61, a whole number from 1 to 60"),
        ("cosine", {"item": np.arange(3)}, "^item: '3 numbers', ascending ones from 0 without a gap, 60"),
        ("cosine", {"item": np.r_[np.arange(58), 59, 58]}, "^item: '60 numbers', ascending ones from 0"),
        ("cosine", {"item": np.r_[0, np.arange(2, 61)]}, "^item: '60 numbers', ascending ones from 0"),
        ("cosine", {"item": np.arange(60.0)}, "^item: '60 numbers', ascending ones from 0"),
        ("cosine", {"item": np.ma.array(np.arange(60), mask=np.arange(60) == 3)}, "^item: 'masked numbers', an array"),
        ("centered", {"mean": np.ma.array(bank[0], mask=bank[0] > 0)}, "^mean: 'masked numbers', an array of real"),
        ("csls", {"bank": np.ma.array(bank, mask=bank > 0)}, "^bank: 'masked numbers', an array of real"),
        ("csls", {"bank": bank[:, 1:]}, "^bank: .*, vectors of dimension"),
        ("centered", {"mean": bank[0, 1:]}, "^mean: .*, a vector "),
    ):
        with pytest.raises(ValueError, match=message):
            rank(q, g, score, **more)
    for queries, gallery, message in (
        (np.ma.array(q, mask=q > 0), g, "^queries: 'masked numbers', an array of real"),
        (q, np.ma.array(g, mask=g > 0), "^gallery: 'masked numbers', an array of real"),
        (q[:, 1:], g, "^queries: .*, vectors of dimension"),
        (q[0], g, "^queries: .*, an array"),
        (q, g[:0], "^gallery: .*, an array .* with no empty side"),
        ([["a"]], g, "^queries: '<U1', an array of real numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            rank(queries, gallery)
    q[7] = np.nan
    with pytest.raises(ValueError, match="^queries: NaN or infinity in row 7"):
        rank(q, g, "centered", mean=bank[0])


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("score", SCORES)
def test_scores_are_float32_inside_autocast(score, precision):
    q, g, bank = data()
    given = needs(score, bank, unit(g).mean(0))
    ranked, way = rank(q, g, score, **given), vectors(q, g, score, **given)
    with torch.autocast("cpu", dtype=precision):
        inside, other = rank(q, g, score, **given), vectors(q, g, score, **given)
    for one, two in ((ranked.items, inside.items), (ranked.scores, inside.scores), *zip(way, other, strict=True)):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int64, bool, list])
def test_numbers_of_any_kind_are_ranked_as_the_numbers_that_they_are(score, kind):
    arrays = [np.abs(np.rint(9 * x)) % 50 + 1 for x in data()]
    arrays = [np.c_[x > x.mean(), np.full(len(x), True)] if kind is bool else x for x in arrays]
    plain, given = [np.float64(x) for x in arrays], [x.tolist() if kind is list else x.astype(kind) for x in arrays]
    ours, theirs = (needs(score, bank, 0.1 * plain[1].mean(0)) for bank in (given[2], plain[2]))
    np.testing.assert_array_equal(rank(*given[:2], score, **ours).items, rank(*plain[:2], score, **theirs).items)


def test_the_measures_hold_no_matrix_of_all_scores(monkeypatch):
    q = unit(np.random.default_rng(0).standard_normal((4000, 8)))
    monkeypatch.setattr(scores, "AT_ONCE", 2**18)
    tracemalloc.start()
    try:
        scores.ranking_scores(q, q)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20 < q.shape[0] ** 2 * 4 / 7  # all at once are 61 MiB


def test_a_bank_is_evenly_spaced_translations():
    rng = np.random.default_rng(0)
    image = rng.standard_normal((60, 5))
    translator = fit(PairedEmbeddings({"image": image, "text": image[:, :4] + 1}))
    np.testing.assert_array_equal(bank_of(translator, image, 20), translator.translate(image[::3]))
    assert len(bank_of(translator, image, 25)) == 20


def test_the_examples():
    failed, attempted = doctest.testmod(task)
    assert attempted and not failed
