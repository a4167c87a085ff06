"""An index in a new encoder's space: ranks, what they prove of a full re-embedding, and the command."""

import json
import re

import numpy as np
import pytest

from analysis.cli import VERBS_HERE
from analysis.tasks.migration import (
    Queries,
    Ranked,
    Reembedded,
    ranked,
    ranks,
    read_arrays,
    retained,
    to_unit,
    write_translated,
)
from analysis.theory.betting import ratio_lower_limit
from modtrans_core import PairedEmbeddings, fit
from modtrans_core.cli.verb import run
from modtrans_core.vectors import unit

N, ASKED, K = 3000, 400, 10


class World:
    """An index of a linear old encoder, and a new one that hears some of what the old one does not."""

    def __init__(self, lost=0.2):
        rng = np.random.default_rng(0)
        u = rng.normal(size=(N, 12))
        self.old = (u @ rng.normal(size=(12, 20)) / 4).astype(np.float32)
        self.new = np.hstack([u @ rng.normal(size=(12, 16)) / 4, lost * rng.normal(size=(N, 8))]).astype(np.float32)
        self.row = rng.choice(N, ASKED, replace=False)
        self.asked = self.new[self.row] + 0.9 * rng.normal(size=(ASKED, 24)).astype(np.float32)
        self.random = rng.choice(N, 600, replace=False)

    def queries(self):
        return Queries.of(self.asked, self.row)

    def documents(self, rows):
        return Reembedded.of(self.new[rows], rows)

    def ranked(self, rows):
        """By the map that least squares gives of the 600."""
        c, z = self.old[self.random], self.new[self.random]
        M = np.linalg.lstsq(c, z, rcond=1e-6)[0]  # twelve of twenty directions, and no rounding
        return ranked(lambda old: unit(old @ M), self.old, self.queries(), self.documents(rows), K), self.old @ M


@pytest.fixture(scope="module")
def world():
    return World()


def brute(queries, row, gallery):
    """Ranks by sorting all cosines."""
    order = np.argsort(-(unit(queries) @ unit(gallery).T), axis=1, kind="stable")
    return 1 + np.argmax(order == np.asarray(row)[:, None], axis=1)


def test_ranks_are_those_of_sorting_whatever_the_pieces(world):
    q, gallery = unit(world.asked), unit(world.new)
    own = np.einsum("nd,nd->n", q, gallery[world.row])
    expected = brute(q, world.row, gallery)
    near = np.argsort(-(q @ gallery.T), axis=1)[:, :7]
    for size in (5, 700, N):
        found, at = ranks(q, own, ((start, gallery[start : start + size]) for start in range(0, N, size)), nearest=7)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.sort(at), np.sort(near))
    assert 1 < np.mean(expected) < N / 4


def test_equal_documents_do_not_push_each_other_down():
    gallery = unit(np.array([[1.0, 0.1], [1.0, 0.1], [0.0, 1.0]]))
    assert ranks(gallery[1:2], np.array([1.0]), iter([(0, gallery)]))[0] == [1]
    assert ranks(gallery[1:2], np.array([1.0]), iter([(0, gallery[:2]), (2, gallery[2:])]), last=True)[0] == [2]


def test_a_map_that_makes_all_documents_one_retains_nothing(world):
    mean = unit(world.new.mean(axis=0))
    found = ranked(lambda old: np.tile(mean, (len(old), 1)), world.old, world.queries(), world.documents(np.arange(N)))
    assert (found.translated == N).all()
    assert retained(found, world.queries(), (N, N)).limit == 0


def test_the_translated_rank_is_exact_and_the_new_one_a_bound(world):
    full = brute(world.asked, world.row, world.new)
    everything, translated = world.ranked(np.arange(N))
    np.testing.assert_allclose(everything.translated, brute(world.asked, world.row, translated), atol=1)  # near ties
    np.testing.assert_allclose(everything.new, full, atol=1)
    assert len(everything.wanted) == 0
    some, _ = world.ranked(np.union1d(world.random, world.row))
    np.testing.assert_array_equal(some.translated, everything.translated)
    assert (some.new <= everything.new).all() and (some.new <= K).mean() > (full <= K).mean() + 0.05


def test_an_answer_that_was_not_reembedded_counts_as_found_and_is_wanted(world):
    found, _ = world.ranked(world.random)
    unknown = ~np.isin(world.row, world.random)
    assert (found.new[unknown] == 1).all() and np.isin(world.row[unknown], found.wanted).all()


def test_the_wanted_documents_make_the_bound_nearly_exact(world):
    full = (brute(world.asked, world.row, world.new) <= K).mean()
    rows = np.union1d(world.random, world.row)
    first, _ = world.ranked(rows)
    assert not np.isin(first.wanted, rows).any()
    second, _ = world.ranked(np.union1d(rows, first.wanted))
    assert full <= (second.new <= K).mean() < full + 0.02 < (first.new <= K).mean()


def test_the_certificate_is_the_limit_of_the_ratio_by_groups(world):
    queries = world.queries()._replace(group=np.arange(ASKED) // 4)
    found = Ranked(np.arange(ASKED) % 14 + 1, np.arange(ASKED) % 12 + 1, np.empty(0, int))
    said = retained(found, queries, (N, 600), K, 0.9)
    hit, full = found.translated <= K, found.new <= K
    assert said.limit == ratio_lower_limit(hit, full, queries.group, 0.9, largest_group=4)
    assert (said.groups, said.largest_group, said.queries) == (ASKED // 4, 4, ASKED)
    assert (said.translated, said.new) == (hit.mean(), full.mean())
    assert retained(found, queries, (N, 600), K, 0.9, largest_group=40).limit < said.limit
    assert "at most, as far as" in said.lines()[2] and "at most, as" not in retained(found, queries, (9, 9)).lines()[2]
    assert retained(found._replace(new=np.full(ASKED, 99)), queries, (N, 600)).limit == 0
    for wrong in (-3, 2.5, 0):  # where there is no recall to be kept, too
        with pytest.raises(ValueError, match="^largest_group: "):
            retained(found._replace(new=np.full(ASKED, 99)), queries, (N, 600), largest_group=wrong)


def test_nothing_is_fitted_to_an_answer_or_to_what_queries_chose(world):
    documents = Reembedded.of(world.new[:50], np.arange(50), np.arange(50) >= 10)
    pairs = documents.pairs(world.old, Queries.of(world.asked[:3], [20, 21, 49]))
    left = [row for row in range(10, 50) if row not in (20, 21, 49)]
    np.testing.assert_array_equal(pairs.arrays["old"], world.old[left])
    np.testing.assert_array_equal(pairs.arrays["new"], world.new[left])


@pytest.fixture
def files(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.union1d(world.random, world.row)
    np.save("old.npy", world.old)
    np.savez("pairs.npz", row=rows, new=world.new[rows])
    np.savez("queries.npz", row=world.row, new=world.asked)
    return tmp_path


def migrate(capsys, *more, new="new.npy", pairs="pairs.npz"):
    arguments = ["migrate", "old.npy", new, "--pairs", pairs, "--queries", "queries.npz", *more]
    try:
        status = run(VERBS_HERE, "modtrans", "", arguments)
    except SystemExit as stop:
        status = stop.code
    return (status, *capsys.readouterr())


def test_too_little_is_refused_and_what_is_wanted_makes_it_enough(world, files, capsys):
    status, out, err = migrate(capsys, "--retain", "0.8", "--wanted", "wanted.npy")
    assert status == 1 and not (files / "new.npy").exists()
    assert out.startswith("retained recall@10 at least 0.") and "of 400 queries in the translated index of 3000" in out
    assert "is sure, 0.8 is needed; new.npy was not written" in err
    wanted = np.load("wanted.npy")
    rows = np.r_[np.load("pairs.npz")["row"], wanted]
    fit = np.arange(len(rows)) < len(rows) - len(wanted)
    np.savez("pairs.npz", row=rows, new=world.new[rows], fit=fit)
    status, out, err = migrate(capsys, "--retain", "0.8", "--json")
    said = json.loads(out)
    assert status == 0 and 0.8 <= said["limit"] < said["translated"] / said["new"] <= 1.05
    written = np.load("new.npy")
    assert written.shape == (N, 24) and written.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(written, axis=1), 1, atol=1e-5)
    rank = brute(world.asked, world.row, written)
    assert (rank <= K).mean() == pytest.approx(said["translated"], abs=0.003), "what was certified was written"


@pytest.mark.parametrize(
    ("file", "arrays", "words"),
    [
        ("queries.npz", {"row": np.array([0, N]), "new": np.ones((2, 24))}, f"row: {N}, answers among the documents"),
        ("queries.npz", {"row": np.array([0]), "new": np.ones((1, 5))}, "queries of dimension 24"),
        ("queries.npz", {"row": np.array([0.5]), "new": np.ones((1, 24))}, "row: 'float64', whole numbers"),
        ("queries.npz", {"new": np.ones((1, 24))}, "an array named row"),
        ("queries.npz", {"row": np.array([0]), "new": np.ones((1, 24)), "x": np.ones(1)}, "only new, row, group, mean"),
        ("pairs.npz", {"row": np.array([3, 3]), "new": np.ones((2, 24))}, "each document once"),
        ("pairs.npz", {"row": np.array([3, N]), "new": np.ones((2, 24))}, "documents of the index, 0 to 2999"),
        ("pairs.npz", {"row": np.array([3, 4]), "new": np.ones((2, 24)), "fit": np.array([0, 1])}, "pairs: 1, at"),
        ("pairs.npz", {"row": np.array([3, 4]), "new": np.ones((2, 24)), "fit": ["False", "True"]}, "fit: '<U5', True"),
        ("pairs.npz", {"row": np.array([3, 4]), "new": np.ones((2, 24)), "fit": np.array([0.5, 1])}, "fit: 'float64'"),
        ("pairs.npz", {"row": np.array([3, -4]), "new": np.ones((2, 24))}, "row: -4, documents of the index, 0 to"),
        ("queries.npz", {"row": [0], "new": np.ones((1, 24), complex)}, "queries.npz: new: 'complex128', an array of"),
        ("pairs.npz", {"row": [3, 4], "new": np.full((2, 24), "1")}, "pairs.npz: new: '<U1', an array of real numbers"),
        ("queries.npz", {"row": [0], "new": np.ones((1, 24)), "mean": ["x"] * 24}, "queries.npz: mean: '<U1', an"),
        ("queries.npz", {"row": [0], "new": np.ones((1, 24)), "mean": np.full(24, 9)}, "mean: 'of length 44.0908'"),
    ],
)  # fmt: skip
def test_bad_files_are_one_line_before_anything_is_fitted(files, capsys, monkeypatch, file, arrays, words):
    np.savez(file, **arrays)
    monkeypatch.setattr("modtrans_core.fit", lambda *_, **__: pytest.fail("began to fit"))
    status, out, err = migrate(capsys)
    assert status == 1 and not out and words in err and f" {file}: " in err and len(err.splitlines()) == 1
    assert not (files / "new.npy").exists()


def test_means_are_taken_out_of_both_sides(world, files, capsys):
    """Queries that lie off the documents by one vector are found again once it is known."""
    shift = np.zeros(24, dtype=np.float32)
    shift[[0, 5, 9]] = 4.0
    away, other = unit(world.asked + shift), unit(world.asked[::-1] + shift)
    found = {}
    for name, more in (("plain", {}), ("less", {"mean": other.mean(axis=0)})):
        np.savez("queries.npz", row=world.row, new=away, **more)
        status, out, _ = migrate(capsys, "--json", "--retain", "0.001", "--overwrite")
        assert status == 0
        found[name] = json.loads(out)["translated"]
    assert found["less"] > 1.5 * found["plain"]
    written = np.load("new.npy")
    assert np.linalg.norm(written.mean(axis=0)) < 0.1
    np.testing.assert_allclose(np.linalg.norm(written, axis=1), 1, atol=1e-5)
    rank = brute(unit(away - other.mean(axis=0)), world.row, written)
    assert (rank <= K).mean() == pytest.approx(found["less"], abs=0.003)


def test_translations_are_less_the_mean_of_their_own(world):
    """Documents off the origin: what is ranked and written is less what they have in common."""
    pairs = PairedEmbeddings({"old": world.old[:600], "new": unit(world.new[:600] + 2.0)})
    translator = fit(pairs, "old", "new", preset="ridge", device="cpu")
    rows = unit(translator.translate(world.old[:600]))
    less = to_unit(translator, world.old[:600])(world.old[:600])
    np.testing.assert_allclose(less, unit(rows - rows.mean(axis=0)), atol=1e-5)
    assert np.linalg.norm(rows.mean(axis=0)) > 0.9 and np.linalg.norm(less.mean(axis=0)) < 0.1
    np.testing.assert_allclose(to_unit(translator)(world.old[:600]), rows, atol=1e-6)


def test_what_is_sure_decides_and_not_what_these_queries_found(world, files, capsys):
    said = json.loads(migrate(capsys, "--json", "--retain", "0.01")[1])
    found = said["translated"] / said["new"]
    assert said["limit"] < found - 0.01
    between = f"{(said['limit'] + found) / 2:.4f}"
    (files / "new.npy").unlink()
    assert migrate(capsys, "--retain", between)[0] == 1 and not (files / "new.npy").exists()
    assert migrate(capsys, "--retain", f"{said['limit'] - 1e-4:.6f}")[0] == 0 and (files / "new.npy").exists()


def test_bad_options_and_an_index_that_is_there_are_refused(files, capsys, monkeypatch):
    assert "retain: 1.5, a share strictly between 0 and 1" in migrate(capsys, "--retain", "1.5")[2]
    assert "k: 3000, less than the 3000 documents of the index" in migrate(capsys, "--k", "3000")[2]
    assert "preset: 'none', one of" in migrate(capsys, "--preset", "none", pairs="none.npz")[2]
    with monkeypatch.context() as patch:
        patch.setattr("modtrans_core.fit", None)
        assert "largest-group: 0, at least " in migrate(capsys, "--largest-group", "0")[2]
    assert "none.npz: no such file" in migrate(capsys, pairs="none.npz")[2]
    old = (files / "old.npy").read_bytes()
    for wanted in ("./new.npy", "old.npy", "../" + files.name + "/old.npy"):
        assert "another file is needed" in migrate(capsys, "--wanted", wanted, "--overwrite")[2]
    assert (files / "old.npy").read_bytes() == old
    (files / "new.npy").write_bytes(b"mine")
    assert "exists; choose another name or add --overwrite" in migrate(capsys)[2]
    assert (files / "new.npy").read_bytes() == b"mine"


def test_the_new_index_takes_the_place_of_no_file_that_is_read(files, capsys):
    before = {path: path.read_bytes() for path in files.iterdir()}
    for out in ("old.npy", "./old.npy"):
        assert "NEW.npy: old.npy is old.npy, which is read" in migrate(capsys, "--overwrite", new=out)[2]
    assert {path: path.read_bytes() for path in files.iterdir()} == before


def test_what_was_reembedded_is_looked_at_where_it_is_read(files, capsys):
    with np.load(files / "pairs.npz") as held:
        row, new = held["row"], held["new"].astype(np.float64)
    new[3] *= 1e300
    np.savez(files / "far.npz", row=row, new=new)
    err = migrate(capsys, pairs="far.npz")[2]
    assert "far.npz: new: NaN or infinity in row 3 (1 bad of" in err and len(err.splitlines()) == 1


def test_arrays_that_were_made_to_harm_are_one_line_that_names_the_file(tmp_path):
    import io
    import zipfile

    path, rows = tmp_path / "queries.npz", np.eye(4)
    np.savez(path, new=rows, row=np.arange(4))
    whole = path.read_bytes()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**5)})
    spoilt = [whole[:place] for place in range(0, len(whole), 37)]
    for member in (header.getvalue(), b"no array", b""):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("new.npy", member)
        spoilt.append(path.read_bytes())
    np.savez(path, new=np.array([{}], dtype=object), row=np.arange(4))
    for content in [*spoilt, path.read_bytes()]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match="queries.npz: ") as caught:
            read_arrays(path, ("new", "row"), ("new", "row"))
        assert "\n" not in str(caught.value)


def test_what_is_not_finite_retains_nothing(world, tmp_path):
    q, known = world.queries(), world.documents(world.random)
    with pytest.raises(ValueError, match="^vectors: 'NaN or infinity', finite ones, of queries and documents"):
        ranked(lambda old: np.full((len(old), 24), np.nan, np.float32), world.old, q, known, K)
    with pytest.raises(ValueError, match="^translation: NaN or infinity in row 0"):
        write_translated(lambda old: np.full((len(old), 24), np.inf, np.float32), world.old, tmp_path / "new.npy")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_certified_is_refused(world):
    q, known = world.queries(), world.documents(world.random)
    found = Ranked(np.ones(ASKED, int), np.ones(ASKED, int), np.array([]))
    for k in (0, -1, 2.5, np.nan):
        for call in (lambda k: retained(found, q, (9, 9), k), lambda k: ranked(unit, world.old, q, known, k)):
            with pytest.raises(ValueError, match="^k: .*, a whole number from 1 on is needed"):
                call(k)
    with pytest.raises(ValueError, match="^confidence: 1, a number strictly between"):
        retained(found, q, (9, 9), confidence=1)
    for rows, words in ((np.array([], int), "no document"), (np.array([N]), f"{N}, documents of the index")):
        with pytest.raises(ValueError, match=f"^row: .?{words}"):
            ranked(unit, world.old, q, Reembedded.of(np.ones((len(rows), 24)), rows), K)


def test_queries_of_one_vector_or_one_answer_are_one_group():
    """Fifty queries with ten answers each, a row for each, are fifty draws; so are ten questions of each document."""
    rng = np.random.default_rng(0)
    asked, number = rng.normal(size=(50, 8)), np.repeat(np.arange(50), 10)
    for new, row in ((asked[number], np.arange(500)), (rng.normal(size=(500, 8)), number)):
        group = Queries.of(new, row).group
        assert len(np.unique(group)) == 50 and (group == group[10 * number]).all()
    new = rng.normal(size=(500, 8))
    new[:50:10] = new[0]  # a question that led to five documents joins theirs, and tears none apart
    assert sorted(np.unique(Queries.of(new, number).group, return_counts=True)[1]) == [10] * 45 + [50]
    new[:150:10] = new[0]  # to fifteen: too many are one, and the answers stay whole
    assert (np.unique(Queries.of(new, number).group, return_counts=True)[1] == 10).all()
    answers = rng.integers(0, 400, 500)  # each of the fifty shares one with some other: the queries stay whole
    assert (np.unique(Queries.of(asked[number], answers).group, return_counts=True)[1] == 10).all()
    assert len(np.unique(Queries.of(new, number, group=np.arange(500) // 20).group)) == 25


@pytest.mark.parametrize(
    ("of", "given", "words"),
    [
        (of, given, words)
        for of in (Queries.of, Reembedded.of)
        for given, words in (
            ({"new": np.ma.array(np.eye(3), mask=np.eye(3))}, "new: 'masked numbers', an array of real numbers"),
            ({"new": np.eye(3, dtype=complex)}, "new: 'complex128', an array of real numbers"),
            ({"row": np.ma.array([0, 1, 2], mask=[0, 1, 0])}, "row: 'masked numbers', an array of integers"),
            ({"row": np.array([0, 1, np.nan])}, "row: 'float64', whole numbers"),
        )
    ]
    + [
        (Queries.of, {"group": ["a", float("nan"), "b"]}, "group: NaN, None or masked, a label of every item"),
        (Queries.of, {"group": np.ma.array([0, 1, 2], mask=[0, 1, 0])}, "group: NaN, None or masked, a label of"),
        (Queries.of, {"group": [[0], [1], [2]]}, "group: shape (3, 1), (3,), one label an item, is needed"),
        (Queries.of, {"mean": np.ma.array([0.1, 0, 0], mask=[1, 0, 0])}, "mean: 'masked numbers', an array of real"),
        (Reembedded.of, {"fit": np.ma.array([True] * 3, mask=[0, 1, 0])}, "fit: 'masked numbers', an array of"),
    ],
)
def test_what_is_missing_is_no_value(of, given, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        of(**({"new": np.eye(3), "row": [0, 1, 2]} | given))
