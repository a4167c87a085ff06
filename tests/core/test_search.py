"""Rankings of any translator, against every product computed at once, other libraries and the definitions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from modtrans_core import CalibratedConfig, PairedEmbeddings, evaluate, fit, rank, ranking, search
from modtrans_core.protocol import Facts, Stored, conditions, like
from modtrans_core.search import gallery_vectors, search_vectors
from modtrans_core.vectors import unit


class Linear(Stored):
    """zhat = mean + c M, without a ranking of its own."""

    method, config = "linear", None

    def __init__(self, M, mean):
        self.M, self.mean, self.facts = torch.tensor(M).float(), torch.tensor(mean), Facts("image", "text", *M.shape)

    def translate(self, c):
        return like(self.mean.float() + conditions(c, self.facts, self.M.device) @ self.M, c)


def make_pairs(n, seed):
    """Items with one to three targets, away from the origin."""
    rng = np.random.default_rng(seed)
    c = rng.standard_normal((n, 8))
    z = c[:, None, :6] + 0.5 * rng.standard_normal((n, 3, 6)) + 1
    return PairedEmbeddings({"image": c, "text": z}, {"text": rng.integers(1, 4, n)})


@pytest.fixture(scope="module", params=["calibrated", "linear"])
def translator(request):
    if request.param == "linear":
        return Linear(np.random.default_rng(1).standard_normal((8, 6)), np.full(6, 0.3))
    return calibrated_translator()


def calibrated_translator(alone=(1.0, 5.0), together=(2.0, 20.0)):
    """With these corrections, whichever the fit has chosen."""
    fitted = fit(make_pairs(300, 0), config=CalibratedConfig(landmarks=50), device="cpu")
    return replace(fitted, corrections=torch.tensor([alone, together]))


def best_of_items(q, g, item):
    """The score (n, items) of every query and item, from every product at once."""
    return np.maximum.reduceat(q @ g.T, np.flatnonzero(np.diff(item, prepend=-1)), axis=1)


def test_names_of_items_are_refused_by_name():
    rng = np.random.default_rng(0)
    pairs = PairedEmbeddings({"image": rng.normal(size=(90, 4)), "text": rng.normal(size=(90, 3)) + 1})
    with pytest.raises(ValueError, match="item: '<U1', an array of integers is needed"):
        rank(fit(pairs), pairs.modality("image")[:2], pairs.modality("text")[:3], item=["a", "a", "b"])


def test_an_item_along_the_mean_wins_every_query_by_cosine_and_none_by_rank():
    """Condition i is translated to .6 e_0 + .2 e_i and has the target .6 e_0 + .8 e_i; one more item is e_0."""
    e = np.eye(21)
    translator = Linear(0.2 * e[1:], 0.6 * e[0])
    gallery = np.concatenate([0.6 * e[:1] + 0.8 * e[1:], e[:1]])
    c = np.eye(20)
    assert ((unit(translator.translate(c)) @ gallery.T).argmax(1) == 20).all()
    indices, scores = rank(translator, c, gallery, 1)
    np.testing.assert_array_equal(indices[:, 0], np.arange(20))
    np.testing.assert_allclose(scores, 1, atol=1e-6)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("at_once", [(8192, 2**25), (7, 100)])
def test_pieces_give_what_every_product_at_once_gives(monkeypatch, tmp_path, translator, together, at_once):
    if together and translator.method == "linear":
        pytest.skip("has no correction")
    pairs = make_pairs(90, 2)
    c, (z, item) = pairs.modality("image"), pairs.rows("text")
    q = search_vectors(translator, c)
    score = best_of_items(q, gallery_vectors(translator, z, q if together else None), item)
    monkeypatch.setattr(search, "ROWS", at_once[0])
    monkeypatch.setattr(ranking, "AT_ONCE", at_once[1])
    pairs.save(tmp_path / "pairs.safetensors")
    on_disk = PairedEmbeddings.load(tmp_path / "pairs.safetensors", mapped=True).rows("text")[0]
    seen = []
    for gallery in (z, on_disk, z.astype(np.float64)):
        report = (lambda done, total: seen.append((done, total))) if gallery is on_disk else search.silent
        indices, scores = rank(translator, c, gallery, 90, together=together, item=item, report=report)
        np.testing.assert_allclose(scores, -np.sort(-score), atol=1e-5)
        np.testing.assert_allclose(np.take_along_axis(score, indices, 1), scores, atol=1e-5)
        assert (np.sort(indices) == np.arange(90)).all()
        first, high = rank(translator, c, gallery, 5, together=together, item=item)
        np.testing.assert_array_equal(first, indices[:, :5])
        np.testing.assert_array_equal(high, scores[:, :5])
    assert seen == sorted(seen) and seen[-1] == (90 + len(z), 90 + len(z))


def test_rank_is_what_an_index_of_inner_products_finds(translator):
    pairs = make_pairs(90, 2)
    c, z = pairs.modality("image"), pairs.rows("text")[0]
    q, g = search_vectors(translator, c), gallery_vectors(translator, z)
    assert q.dtype == g.dtype == np.float32
    indices, scores = rank(translator, c, z, 10)
    np.testing.assert_array_equal(indices, np.argsort(-(q @ g.T), axis=1)[:, :10])
    by_cosine = np.argsort(-(unit(q) @ unit(g).T), axis=1)[:, :10]
    assert (indices != by_cosine).any() == (translator.method == "calibrated")  # whose vectors are no unit vectors
    np.testing.assert_allclose(scores, np.take_along_axis(q @ g.T, indices, 1), atol=1e-6)


def test_faiss_finds_what_rank_finds(translator):
    faiss = pytest.importorskip("faiss")
    c, z = make_pairs(90, 2).modality("image"), make_pairs(90, 2).rows("text")[0]
    index = faiss.IndexFlatIP(search_vectors(translator, c).shape[1])
    index.add(gallery_vectors(translator, z))
    scores, indices = index.search(search_vectors(translator, c), 10)
    found, reached = rank(translator, c, z, 10)
    np.testing.assert_array_equal(found, indices)
    np.testing.assert_allclose(reached, scores, atol=1e-5)


def test_hnswlib_finds_what_rank_finds(translator):
    hnswlib = pytest.importorskip("hnswlib")
    c, z = make_pairs(90, 2).modality("image"), make_pairs(90, 2).rows("text")[0]
    g = gallery_vectors(translator, z)
    index = hnswlib.Index("ip", g.shape[1])
    index.init_index(len(g), ef_construction=400, M=48)
    index.add_items(g)
    index.set_ef(len(g))  # looks at all: no approximation
    indices, distances = index.knn_query(search_vectors(translator, c), 10)
    found, reached = rank(translator, c, z, 10)
    np.testing.assert_array_equal(found, indices)
    np.testing.assert_allclose(reached, 1 - distances, atol=1e-5)


def test_queries_together_are_an_inverted_softmax():
    """Smith et al.'s exp(b s(q, g)) over its sum over the queries, with b = 20: the order of the queries' softmax."""
    translator = calibrated_translator(alone=(0.0, 0.0))
    pairs = make_pairs(90, 2)
    c, z = pairs.modality("image"), pairs.rows("text")[0]
    q, g = search_vectors(translator, c)[:, :-1], unit(unit(z) - translator.mean.numpy())
    expected = (log_softmax(20 * (q @ g.T), axis=0) + np.log(90)) / 20
    indices, scores = rank(translator, c, z, 10, together=True)
    np.testing.assert_allclose(scores, -np.sort(-expected)[:, :10], atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(expected, indices, 1), scores, atol=1e-5)
    assert (indices != rank(translator, c, z, 10)[0]).any()
    for a, b in zip(translator.rank(c, z, 10, together=True), (indices, scores), strict=True):
        np.testing.assert_array_equal(a, b)


def test_evaluate_scores_this_ranking(translator):
    pairs = make_pairs(90, 2)
    z, item = pairs.rows("text")
    indices, _ = rank(translator, pairs.modality("image"), z, 10, item=item)
    found = evaluate(translator, pairs)
    hit = indices == np.arange(90)[:, None]
    assert found["own_recall_at_1"] == pytest.approx(hit[:, 0].mean()) and 0 < hit[:, 0].mean() < 1
    assert found["own_recall_at_10"] == pytest.approx(hit.any(1).mean())


def test_what_comes_back_is_of_the_queries_kind(translator):
    c, z = make_pairs(9, 2).modality("image"), make_pairs(9, 2).rows("text")[0]
    arrays = rank(translator, c, torch.from_numpy(z), 2)
    tensors = rank(translator, torch.from_numpy(c), z, 2)
    for array, tensor in zip(arrays, tensors, strict=True):
        assert isinstance(array, np.ndarray) and isinstance(tensor, torch.Tensor)
        np.testing.assert_array_equal(array, tensor.numpy())
    assert rank(translator, c[:0], z, 2)[0].shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"k": 0}, "k: 0, a whole number from 1 to 30, the size of the gallery, is needed"),
        ({"k": 2.5}, "k: 2.5, a whole number from 1 to 30"),
        ({"k": True}, "k: True, a whole number from 1 to 30"),
        ({"gallery": np.ones((0, 6))}, "gallery: 'empty', a vector or more is needed"),
        ({"k": 31}, "k: 31, a whole number from 1 to 30"),
        ({"k": 11, "item": np.arange(30) // 3}, "k: 11, a whole number from 1 to 10"),
        ({"item": np.arange(29)}, "item: '29 numbers', ascending ones from 0 without a gap, 30 as in the gallery"),
        ({"item": np.arange(30) + 1}, "from 0 without a gap"),
        ({"item": np.arange(30) * 2}, "from 0 without a gap"),
        ({"item": np.arange(30)[::-1]}, "ascending"),
        ({"queries": np.ones((5, 7))}, r"c: shape \(5, 7\), \(n, 8\) is needed"),
        ({"gallery": np.ones((30, 5))}, r"z: shape \(30, 5\), \(n, 6\) is needed"),
        ({"gallery": np.where(np.arange(30)[:, None] == 28, np.nan, np.ones((30, 6)))}, "z: zero, NaN .* in row 28"),
        ({"gallery": make_pairs(30, 1)}, "z: a pair set, its vectors are needed"),
        ({"queries": make_pairs(30, 1)}, "c: a pair set, its vectors are needed"),
    ],
)
def test_bad_input_is_refused(monkeypatch, translator, change, words):
    monkeypatch.setattr(search, "ROWS", 7)
    given = {"queries": np.eye(8), "gallery": np.random.default_rng(0).standard_normal((30, 6)), "k": 3} | change
    with pytest.raises(ValueError, match=words):
        rank(translator, **given)


def test_together_needs_a_ranking_of_its_own():
    translator = Linear(np.eye(8, 6), np.full(6, 0.3))
    with pytest.raises(ValueError, match="together: 'linear', a method that has search_vectors, such as calibrated,"):
        rank(translator, np.eye(8), np.eye(6), 1, together=True)


def test_what_is_not_finite_is_not_ranked_first():
    fitted = fit(make_pairs(200, 1), device="cpu")
    spoilt = replace(fitted, N=torch.full_like(fitted.N, torch.nan))
    with pytest.raises(ValueError, match="^scores: 'NaN or infinity', a translator whose search and gallery vectors"):
        rank(spoilt, np.eye(8), np.random.default_rng(0).standard_normal((30, 6)), 3)


@pytest.mark.parametrize("rows", [1, -1])
def test_what_is_ranked_is_a_vector_of_each_row(rows):
    class Torn(Linear):
        def translate(self, c):
            found = super().translate(c)
            return torch.cat([found, found[:1]]) if rows > 0 else found[:rows]

    pairs = make_pairs(9, 0)
    translator = Torn(np.ones((8, 6)), np.full(6, 0.3))
    with pytest.raises(ValueError, match=r"search vectors: .*, a vector each of 9 rows is needed"):
        rank(translator, pairs.modality("image"), pairs.rows("text")[0], 3)
