"""A whole set through a translator: one call's numbers, in whatever pieces and whatever file."""

import tracemalloc

import numpy as np
import pytest
import torch

from modtrans_core import PairedEmbeddings, PosterConfig, PosterTranslator, fit
from modtrans_core.layouts.translate import load_conditions, translate_set
from modtrans_core.protocol import Facts

ENCODERS = {"image": {"encoder": "timm:a/b"}, "text": {"encoder": "sentence-transformers:c/d", "normalised": True}}


@pytest.fixture(scope="module")
def translator():
    config = PosterConfig(width=8, depth=1, steps=2)
    made = PosterTranslator(Facts("image", "text", 4, 5, ENCODERS), config).eval()
    with torch.no_grad():
        made.M.normal_(generator=torch.Generator().manual_seed(0))
        for parameter in made.denoiser.parameters():
            parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    return made


@pytest.fixture
def run(tmp_path, translator):
    translator.save(tmp_path / "run")
    return tmp_path / "run"


def pairs(n=30, **more):
    rng = np.random.default_rng(0)
    return PairedEmbeddings(
        {"image": rng.normal(size=(n, 4)), "text": rng.normal(size=(n, 2, 5))},
        group=np.arange(n) // 3,
        key=np.array([f"k{index}" for index in range(n)]),
        metadata={"dataset": {"licence": "CC0"}, "captions": {f"k{index}": ["a", "b"] for index in range(n)}, **more},
        own_split=np.arange(n) // 3 % 3,
    )


@pytest.mark.parametrize("samples", [None, 3])
@pytest.mark.parametrize("rows_at_once", [8192, 7])
def test_pieces_give_the_numbers_of_one_call(tmp_path, translator, run, monkeypatch, samples, rows_at_once):
    given = pairs()
    c = given.modality("image")
    expected = translator.translate(c, seed=7) if samples is None else translator.draw(c, samples, seed=7)
    for module in ("protocol", "layouts.translate"):
        monkeypatch.setattr(f"modtrans_core.{module}.ROWS", rows_at_once)
    for suffix in (".npy", ".npz", ".safetensors"):
        path = tmp_path / f"z{suffix}"
        shape = translate_set(translator, given, path, run, samples=samples, seed=7)
        found = np.load(path) if suffix == ".npy" else PairedEmbeddings.load(path).modality("text")
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert shape == expected.shape
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run", "z.npy", "z.npz", "z.safetensors"]


def test_what_is_not_row_by_row_is_translated_in_one_piece(tmp_path, translator, run, monkeypatch):
    monkeypatch.setattr("modtrans_core.layouts.translate.ROWS", 7)
    seen, translate = [], PosterTranslator.translate
    monkeypatch.setattr(PosterTranslator, "translate", lambda self, c: seen.append(len(c)) or translate(self, c))
    for row_by_row, expected in ((True, [7, 7, 7, 7, 2]), (False, [30])):
        seen.clear()
        monkeypatch.setattr(PosterTranslator, "row_by_row", row_by_row)
        translate_set(translator, pairs(), tmp_path / f"{row_by_row}.npy", run)
        assert seen == expected


def test_draws_and_expected_cosines_of_a_calibrated_translator(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    fitted = fit(PairedEmbeddings({"image": rng.normal(size=(60, 4)), "text": 1 + rng.normal(size=(60, 5))}))
    fitted.save(tmp_path / "run")
    c = pairs().modality("image")
    monkeypatch.setattr("modtrans_core.layouts.translate.ROWS", 7)
    shape = translate_set(
        fitted, pairs(), tmp_path / "z.npy", tmp_path / "run", samples=3, expected_cosine=tmp_path / "s.npy", seed=2
    )
    assert shape == (30, 3, 5)
    np.testing.assert_allclose(np.load(tmp_path / "z.npy"), fitted.draw(c, 3, seed=2), atol=1e-6)
    np.testing.assert_allclose(np.load(tmp_path / "s.npy"), fitted.expected_cosine(c), atol=1e-6)
    several = PairedEmbeddings({"image": rng.normal(size=(30, 2, 4))}, {"image": rng.integers(1, 3, 30)})
    translate_set(fitted, several, tmp_path / "z2.npy", tmp_path / "run", expected_cosine=tmp_path / "s2.npy")
    assert np.load(tmp_path / "s2.npy").shape == (30, 2)
    files, more = sorted(tmp_path.iterdir()), {"samples": 0, "expected_cosine": tmp_path / "s3.npy"}
    with pytest.raises(ValueError, match="samples: 0, a whole number from 1 on"):
        translate_set(fitted, pairs(), tmp_path / "z3.npy", tmp_path / "run", **more)
    assert sorted(tmp_path.iterdir()) == files


def test_what_a_translator_cannot_do_is_refused_before_anything_is_written(tmp_path, translator, run):
    with pytest.raises(ValueError, match="expected_cosine: method 'poster' cannot do it"):
        translate_set(translator, pairs(), tmp_path / "z.npy", run, expected_cosine=tmp_path / "s.npy")
    with pytest.raises(ValueError, match="steps: 0, 1 to 1000"):
        translate_set(translator, pairs(), tmp_path / "z.npy", run, steps=0)
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_a_translated_pair_set_keeps_names_groups_and_split_and_says_what_it_is(tmp_path, translator, run):
    encoders = {"image": {"encoder": "timm:a/b"}, "text": {"encoder": "sentence-transformers:c/d"}}
    given = pairs(**encoders, independent=["text"])  # its captions are; what is translated from one picture is not
    translate_set(translator, given, tmp_path / "z.npz", run)
    found = PairedEmbeddings.load(tmp_path / "z.npz")
    assert list(found.arrays) == ["text"] and list(found.key) == list(given.key)
    assert given.independent("text") and not found.independent("text")
    np.testing.assert_array_equal(found.group, given.group)
    np.testing.assert_array_equal(found.own_split, given.own_split)
    assert found.metadata["captions"] == given.metadata["captions"] and "image" not in found.metadata
    facts = found.metadata["text"]
    assert facts["encoder"] == "sentence-transformers:c/d" and facts["normalised"] is False
    assert facts["translated"]["run"] == "run" and facts["translated"]["encoder"] == "timm:a/b"
    assert len(facts["translated"]["model_sha256"]) == 64


@pytest.mark.parametrize("mapped", [False, True])
def test_each_vector_of_an_item_is_translated(tmp_path, translator, run, mapped):
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 4, 30)
    PairedEmbeddings({"image": rng.normal(size=(30, 3, 4))}, {"image": counts}).save(tmp_path / "c.npz")
    given = PairedEmbeddings.load(tmp_path / "c.npz", mapped)
    translate_set(translator, given, tmp_path / "z.npy", run)
    translate_set(translator, given, tmp_path / "z.npz", run)
    found, array = PairedEmbeddings.load(tmp_path / "z.npz"), np.load(tmp_path / "z.npy")
    rows = given.rows("image")[0]
    np.testing.assert_allclose(found.rows("text")[0], translator.translate(np.asarray(rows)), rtol=1e-5)
    np.testing.assert_array_equal(found.counts["text"], counts)
    assert array.shape == (30, 3, 5) and not array[np.arange(3) >= counts[:, None]].any()
    np.testing.assert_array_equal(array[np.arange(3) < counts[:, None]], found.rows("text")[0])
    with pytest.raises(ValueError, match=r"samples: image is \(30, 3, 4\); one vector an item is needed"):
        translate_set(translator, given, tmp_path / "new.npy", run, samples=2)


def test_a_folder_is_clip_retrievals_layout_with_translations_for_the_targets(tmp_path, translator, run):
    pytest.importorskip("pyarrow")
    from modtrans_core.store.names import read_items

    given = pairs()
    translate_set(translator, given, tmp_path / "set", run)
    found, names = PairedEmbeddings.load(tmp_path / "set"), read_items(tmp_path / "set")
    expected = translator.translate(given.modality("image"))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found.modality("text"), expected, atol=1e-3)
    assert list(found.arrays) == ["text"] and names["key"].to_pylist() == list(given.key)
    assert names["caption"].to_pylist() == [["a"]] * 30
    assert found.metadata["text"]["translated"]["run"] == "run"


def test_conditions_of_another_encoder_or_kind_are_refused(tmp_path, translator):
    pairs(image={"encoder": "open_clip:RN50/openai"}).save(tmp_path / "other.npz")
    with pytest.raises(
        ValueError, match="image: encoder open_clip:RN50/openai, but the translator was trained on timm"
    ):
        load_conditions(tmp_path / "other.npz", translator)
    pairs(image={"encoder": "timm:a/b"}, text={"encoder": "another"}).save(tmp_path / "same.npz")
    assert len(load_conditions(tmp_path / "same.npz", translator)) == 30  # the targets' encoder does not matter here
    np.savez(tmp_path / "table.npz", x=np.arange(3))
    with pytest.raises(ValueError, match=r"table.npz: x: int64 of shape \(3,\)"):
        load_conditions(tmp_path / "table.npz", translator)
    np.savez(tmp_path / "unnamed.npz", np.ones((3, 4)))
    with pytest.raises(ValueError, match="unnamed.npz: has arr_0 but no image, which the run"):
        load_conditions(tmp_path / "unnamed.npz", translator)
    np.save(tmp_path / "columns.npy", np.asfortranarray(np.random.default_rng(0).normal(size=(6, 4))))
    assert load_conditions(tmp_path / "columns.npy", translator).modality("image").shape == (6, 4)


def test_nothing_is_left_of_a_translation_that_fails(tmp_path, translator, run, monkeypatch):
    given = pairs()
    before = {file.name for file in tmp_path.rglob("*")}

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PosterTranslator, "translate", full)
    for name in ("z.npy", "z.npz", "set"):
        with pytest.raises(OSError, match="No space"):
            translate_set(translator, given, tmp_path / name, run)
    assert {file.name for file in tmp_path.rglob("*")} == before


def test_a_set_on_disk_is_translated_in_bounded_memory(tmp_path, translator, run):
    """40 MB of conditions and 100 MB of translations, as float32."""
    pytest.importorskip("pyarrow")
    linear = PosterTranslator(Facts("image", "text", 100, 250), PosterConfig(gamma=0.0)).eval()
    with torch.no_grad():
        linear.M.normal_()
    (tmp_path / "c").mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        vectors = {"image": rng.standard_normal((25_000, 100), np.float32)}
        PairedEmbeddings(vectors).save(tmp_path / "c" / f"{index}.safetensors", dtype="float16")
    given = PairedEmbeddings.load(tmp_path / "c", mapped=True)
    tracemalloc.start()
    translate_set(linear, given, tmp_path / "z.npy", run)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
    some = rng.integers(0, 100_000, 50)
    expected = linear.translate(given.modality("image")[some])
    np.testing.assert_allclose(np.load(tmp_path / "z.npy", mmap_mode="r")[some], expected, rtol=1e-4, atol=1e-5)
