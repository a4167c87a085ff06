"""`modtrans rank`: tables, arrays and vectors for an index, of any run."""

import csv

import numpy as np
import pytest

from modtrans_core import PairedEmbeddings, load, rank


@pytest.fixture
def sets(folder, trained):
    """A calibrated run; queries named q0, ... and a gallery named g0, ... with one or two vectors an item."""
    trained("run", "--device", "cpu", "--set", "landmarks=0")
    rng = np.random.default_rng(1)
    c, z = rng.normal(size=(12, 8)), rng.normal(size=(20, 2, 6))
    PairedEmbeddings({"image": c}, key=np.array([f"q{row}" for row in range(12)])).save("q.npz")
    counts = {"text": 1 + np.arange(20) % 2}
    PairedEmbeddings({"text": z}, counts, key=np.array([f"g {row}, é" for row in range(20)])).save("g.npz")
    return PairedEmbeddings.load("q.npz").modality("image"), *PairedEmbeddings.load("g.npz").rows("text")


def lines_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("options", [[], ["--together"]])
def test_a_table_and_arrays_hold_the_translators_ranking(sets, modtrans, options):
    c, z, item = sets
    indices, scores = rank(load("run", "cpu"), c, z, 4, item=item, together=bool(options))
    status, out, err = modtrans("rank", "run", "q.npz", "g.npz", "r.csv", "-k", "4", *options)
    assert status == 0 and not out and "r.csv: the 4 best of 20 text items for 12 image queries" in err
    lines = lines_of("r.csv")
    assert list(lines[0]) == ["query", "rank", "item", "score"]
    assert [line["query"] for line in lines] == np.repeat([f"q{row}" for row in range(12)], 4).tolist()
    assert [int(line["rank"]) for line in lines] == [1, 2, 3, 4] * 12
    assert [line["item"] for line in lines] == [f"g {row}, é" for row in indices.ravel()]
    np.testing.assert_allclose([float(line["score"]) for line in lines], scores.ravel(), atol=1e-6)
    assert modtrans("rank", "run", "q.npz", "g.npz", "r.npz", "-k", "4", *options)[0] == 0
    with np.load("r.npz") as found:
        np.testing.assert_array_equal(found["indices"], indices)
        np.testing.assert_allclose(found["scores"], scores, atol=1e-6)


def test_pandas_reads_the_table(sets, modtrans):
    pandas = pytest.importorskip("pandas")
    assert modtrans("rank", "run", "q.npz", "g.npz", "r.csv")[0] == 0
    best = pandas.read_csv("r.csv").query("rank == 1").set_index("query")["item"]
    assert len(best) == 12 and best["q3"].endswith(", é")


def test_arrays_are_named_by_their_rows(sets, modtrans):
    c, z, _ = sets
    np.save("c.npy", c)
    np.save("z.npy", z)
    assert modtrans("rank", "run", "c.npy", "z.npy", "r.csv", "-k", "2")[0] == 0
    indices = rank(load("run", "cpu"), c, z, 2)[0]
    found = [(line["query"], line["item"]) for line in lines_of("r.csv")]
    assert found == [(str(query), str(item)) for query, row in enumerate(indices) for item in row]


def test_several_vectors_of_an_item_are_queries_each(sets, modtrans):
    c, z, item = sets
    PairedEmbeddings({"image": c.reshape(6, 2, 8)}, {"image": np.array([2, 1, 2, 2, 2, 2])}).save("two.npz")
    assert modtrans("rank", "run", "two.npz", "g.npz", "r.csv", "-k", "1")[0] == 0
    lines, left = lines_of("r.csv"), np.delete(np.arange(12), 3)
    assert [(line["query"], line["vector"]) for line in lines] == [(str(row // 2), str(row % 2)) for row in left]
    indices = rank(load("run", "cpu"), c[left], z, 1, item=item)[0]
    assert [line["item"] for line in lines] == [f"g {row}, é" for row in indices[:, 0]]


@pytest.mark.parametrize("options", [[], ["--together"]])
def test_a_folder_holds_vectors_whose_inner_product_is_the_score(sets, modtrans, options):
    c, z, item = sets
    status, _, err = modtrans("rank", "run", "q.npz", "g.npz", "index", *options)
    assert status == 0 and "index: 12 queries and 30 gallery vectors of dimension 7, for inner products" in err
    product = np.load("index/queries.npy") @ np.load("index/gallery.npy").T
    indices, scores = rank(load("run", "cpu"), c, z, 5, together=bool(options))
    np.testing.assert_array_equal(np.argsort(-product, axis=1)[:, :5], indices)
    np.testing.assert_allclose(-np.sort(-product)[:, :5], scores, atol=1e-6)
    rows = lines_of("index/gallery.csv")
    assert [line["item"] for line in rows] == [f"g {row}, é" for row in item]
    assert [line["vector"] for line in rows[:4]] == ["0", "0", "1", "0"]
    assert lines_of("index/queries.csv")[11] == {"row": "11", "item": "q11"}
    assert modtrans("rank", "run", "q.npz", "g.npz", "index")[0] == 1
    assert modtrans("rank", "run", "q.npz", "q.npz", "index", "--overwrite")[0] == 1
    np.testing.assert_array_equal(np.load("index/queries.npy") @ np.load("index/gallery.npy").T, product)


@pytest.mark.parametrize("options", [[], ["--together"]])
def test_without_a_file_the_first_queries_are_printed(sets, modtrans, options):
    c, z, item = sets
    status, out, err = modtrans("rank", "run", "q.npz", "g.npz", "-k", "2", *options)
    assert status == 0 and "3 of 12 queries, the 2 best of 20 text items" in err
    indices, scores = rank(load("run", "cpu"), c, z, 2, item=item, together=bool(options))
    lines = [line.split(maxsplit=2) for line in out.splitlines() if line]
    assert out.split()[:4] == ["query", "rank", "item", "score"]
    assert [line[:2] for line in lines[1:]] == [[f"q{row}", str(place)] for row in range(3) for place in (1, 2)]
    for line, row, score in zip(lines[1:], indices[:3].ravel(), scores[:3].ravel(), strict=True):
        assert line[2].startswith(f"g {row}, é ") and line[2].endswith(f" {score:.6f}")


def test_every_method_ranks(sets, modtrans, trained, poster):
    c, z, item = sets
    trained("poster", *poster)
    assert modtrans("rank", "poster", "q.npz", "g.npz", "r.npz", "-k", "20")[0] == 0
    translator = load("poster", "cpu")
    mean = translator.mean.numpy()
    delta, g = translator.translate(c) - mean, z / np.linalg.norm(z, axis=1, keepdims=True) - mean
    cosine = delta @ g.T / np.linalg.norm(delta, axis=1)[:, None] / np.linalg.norm(g, axis=1)
    best = np.stack([cosine[:, item == one].max(1) for one in range(20)], axis=1)
    with np.load("r.npz") as found:
        np.testing.assert_allclose(found["scores"], -np.sort(-best), atol=1e-5)
        np.testing.assert_allclose(np.take_along_axis(best, found["indices"], 1), found["scores"], atol=1e-5)
    status, _, err = modtrans("rank", "poster", "q.npz", "g.npz", "--together")
    assert status == 1 and "together: 'poster', a method that has search_vectors, such as calibrated, is" in err


def test_another_encoder_is_refused(folder, modtrans):
    given = PairedEmbeddings.load("pairs.npz")
    both = {"image": {"encoder": "open_clip:RN50/openai"}, "text": {"encoder": "e5"}}
    PairedEmbeddings(given.arrays, metadata=both).save("one.npz")
    assert modtrans("train", "one.npz", "--out", "run", "--device", "cpu")[0] == 0
    for name, arguments in (("image", ["other.npz", "one.npz"]), ("text", ["one.npz", "other.npz"])):
        PairedEmbeddings(given.arrays, metadata={**both, name: {"encoder": "timm:vit/dino"}}).save("other.npz")
        status, _, err = modtrans("rank", "run", *arguments, f"{name}.csv")
        assert status == 1 and f"{name}: encoder timm:vit/dino, but the translator was trained on" in err
        assert modtrans("rank", "run", *arguments[::-1], f"{name}.csv")[0] == 0  # the side that is not taken


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["run", "narrow.npy", "g.npz", "r.csv"], 1, "image: dimension 7, but the translator was trained on 8"),
        (["run", "q.npz", "narrow.npy", "r.csv"], 1, "text: dimension 7, but the translator was trained on 6"),
        (["run", "q.npz", "nan.npy", "r.csv"], 1, "text: NaN or infinity in row 3"),
        (["run", "q.npz", "q.npz", "r.csv"], 1, "q.npz: has image but no text, which the run ranks"),
        (["run", "g.npz", "g.npz", "r.csv"], 1, "g.npz: has text but no image, which the run translates"),
        (
            ["run", "q.npz", "g.npz", "r.csv", "-k", "21"],
            1,
            "k: 21, a whole number from 1 to 20, the size of the gallery,",
        ),
        (["run", "q.npz", "g.npz", "r.csv", "-k", "0"], 1, "k: 0, a whole number from 1 to 20"),
        (["run", "q.npz", "g.npz", "index", "-k", "5"], 1, "k: 5, a .csv or .npz file as OUT is needed"),
        (["run", "q.npz", "g.npz", "r.txt"], 1, "r.txt: a name that ends in .csv, .npz is needed, or a folder's"),
        (["run", "q.npz", "g.npz", "q.npz"], 1, "OUT: q.npz is q.npz, which is read or written too; another file"),
        (["run", "q.npz", "none.npz", "r.csv"], 1, "none.npz: no such file or folder"),
        (["q.npz", "q.npz", "g.npz", "r.csv"], 1, "q.npz: not a run folder"),
        (["run", "q.npz"], 2, "GALLERY"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_left_behind(sets, folder, modtrans, arguments, status, words):
    np.save("narrow.npy", np.ones((5, 7)))
    np.save("nan.npy", np.where(np.arange(5)[:, None] == 3, np.nan, np.ones((5, 6))))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found, out, err = modtrans("rank", *arguments)
    assert found == status and words in err and not out
    if status == 1:
        assert len([line for line in err.splitlines() if line.startswith("modtrans rank: ")]) == 1
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
