"""Precomputed vectors: the rows of the file, and clear words where they do not fit."""

import hashlib
import os

import numpy as np
import pytest

from modtrans_core.embed.encoders import identity, load_encoder

ROWS = np.random.default_rng(0).normal(size=(5, 3))
KEYS = ["d", "a", "e", "b", "ü"]


def load(path, modality="image"):
    return load_encoder(f"array:{path}", modality, "cpu")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("modality", ["image", "text", "audio", "location"])
def test_rows_are_found_by_place(tmp_path, dtype, modality):
    path = tmp_path / "rows of:mine.npy"
    np.save(path, ROWS.astype(dtype))
    encoder = load(path, modality)
    encoder.check_length(5)
    found = encoder.encode([(3, "x"), (0, "y")])
    np.testing.assert_array_equal(found, ROWS.astype(dtype).astype(np.float32)[[3, 0]])
    facts = encoder.facts()
    assert found.dtype == np.float32 and encoder.precomputed
    assert (facts["normalised"], facts["dimension"], facts["modality"]) == (False, 3, modality)
    assert facts["preprocessing"] == "precomputed"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts["weights_sha256"] == identity(f"array:{path}")["sha256"] == digest


@pytest.mark.parametrize("kind", [str, bytes, int])
def test_rows_are_found_by_key(tmp_path, kind):
    names = ["7", "40", "6", "5", "1000"] if kind is int else KEYS
    key = np.array([name.encode() for name in names]) if kind is bytes else np.array(names).astype(kind)
    np.savez(tmp_path / "rows.npz", key=key, vectors=ROWS.astype(np.float32))
    encoder = load(tmp_path / "rows.npz")
    encoder.check_length(1000)  # found by key: any source will do
    encoder.check_length(None)
    np.testing.assert_array_equal(encoder.encode([(None, names[4]), (0, names[1])]), ROWS.astype(np.float32)[[4, 1]])
    with pytest.raises(ValueError, match="^no precomputed vector$"):
        encoder.prepare((0, "none"))


def test_unit_rows_are_said_to_be_and_left_as_they_are(tmp_path):
    unit = (ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)).astype(np.float16)
    np.save(tmp_path / "unit.npy", np.concatenate([unit, np.zeros((1, 3), np.float16)]))
    encoder = load(tmp_path / "unit.npy")
    assert encoder.facts()["normalised"] is True
    np.testing.assert_array_equal(encoder.encode([(0, "x")]), unit[:1].astype(np.float32))
    np.save(tmp_path / "off.npy", 1.002 * unit.astype(np.float32))
    assert load(tmp_path / "off.npy").facts()["normalised"] is False


@pytest.mark.parametrize("n", [4, 6, None])
def test_a_source_of_another_length_is_refused(tmp_path, n):
    np.save(tmp_path / "rows.npy", ROWS)
    with pytest.raises(ValueError, match=r"rows\.npy: 5 rows for .* entries of the source"):
        load(tmp_path / "rows.npy").check_length(n)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([1.0, np.nan, 0.0], "precomputed vector is zero or not finite"),
        ([0.0, 0.0, 0.0], "precomputed vector is zero or not finite"),
        ([1e300, 0.0, 0.0], "precomputed vector is zero or not finite"),
    ],
)
def test_a_bad_row_is_an_error_of_its_item_alone(tmp_path, row, words):
    np.save(tmp_path / "rows.npy", np.array([row, [1.0, 2.0, 3.0]]))
    encoder = load(tmp_path / "rows.npy")
    with pytest.raises(ValueError, match=f"^{words}$"):
        encoder.prepare((0, "x"))
    assert encoder.encode([(1, "y")]).tolist() == [[1, 2, 3]]
    with pytest.raises(ValueError, match="^no precomputed vector$"):
        encoder.prepare((2, "z"))


def test_a_file_that_is_written_again_meanwhile_is_no_fault_of_an_item(tmp_path):
    np.save(tmp_path / "rows.npy", np.eye(3) + 1)
    encoder = load(tmp_path / "rows.npy")
    assert encoder.prepare((0, "a")).tolist() == [2.0, 1.0, 1.0]
    np.save(tmp_path / "rows.npy", np.eye(3))
    os.utime(tmp_path / "rows.npy", ns=(1, 1))
    with pytest.raises(RuntimeError, match=r"array:.*rows.npy: .*rows.npy: 'changed', the file that was loaded is"):
        encoder.prepare((0, "a"))


def _saved(path, **arrays):
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("file", "write", "words"),
    [
        ("a.npy", lambda p: None, "no such file"),
        ("a.csv", lambda p: p.write_text("1,2"), "unknown suffix, .npy or .npz is needed"),
        ("a.npy", lambda p: p.write_bytes(b""), "not a readable array file"),
        ("a.npy", lambda p: p.write_bytes(b"\x93NUMPY junk"), "not a readable array file"),
        ("a.npz", lambda p: p.write_bytes(b"PK junk"), "not a readable array file"),
        ("a.npy", lambda p: np.save(p, np.array([{}])), "not a readable array file"),
        ("a.npy", lambda p: np.save(p, np.ones((2, 3), int)), "int64 of shape (2, 3), float16, float32 or float64"),
        ("a.npy", lambda p: np.save(p, np.ones((2, 3), complex)), "complex128 of shape (2, 3)"),
        ("a.npy", lambda p: np.save(p, np.ones(3)), "float64 of shape (3,)"),
        ("a.npy", lambda p: np.save(p, np.ones((0, 3))), "float64 of shape (0, 3)"),
        ("a.npz", lambda p: _saved(p, vectors=ROWS), "no array 'key'; key and vectors are needed"),
        ("a.npz", lambda p: _saved(p, key=np.array(KEYS, object), vectors=ROWS), "not a readable array file"),
        (
            "a.npz",
            lambda p: _saved(p, key=np.ones(5), vectors=ROWS),
            "key is float64 of shape (5,), text of shape (n,)",
        ),
        ("a.npz", lambda p: _saved(p, key=np.array([b"\xff"] * 5), vectors=ROWS), "key is not UTF-8"),
        ("a.npz", lambda p: _saved(p, key=np.array(["a"] * 5), vectors=ROWS), "1 different keys for 5 vectors"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path, file, write, words):
    write(tmp_path / file)
    with pytest.raises(ValueError) as caught:
        load(tmp_path / file)
    assert f"array:{tmp_path / file}: " in str(caught.value) and words in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)
