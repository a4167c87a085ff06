"""Arrays of every kind are taken rightly, or refused in one line; none of them is the caller's afterwards."""

import json
from dataclasses import replace
from pathlib import Path
from pickle import PickleBuffer

import numpy as np
import pytest
import torch
from numpy.dtypes import StringDType
from safetensors.numpy import save_file

import modtrans_core as mt
from modtrans_core.layouts.arrays import pack
from modtrans_core.store.contents import LETTERS

X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
TAKEN = {
    "lists": X.tolist(),
    "floats of a table that may be missing": X.astype(object),  # as pandas gives nullable ones
    "rows of a table": np.array([*X, None], dtype=object)[:-1],
    "tensor with a gradient": torch.tensor(X, requires_grad=True),
    "half": torch.tensor(X).half(),
    "bfloat16": torch.tensor(X).bfloat16(),
    "long double": X.astype(np.longdouble),
    "big-endian": X.astype(">f8"),
    "negative strides": X[::-1, ::-1].copy()[::-1, ::-1],
    "by column": np.asfortranarray(X),
    "nothing masked": np.ma.masked_array(X, mask=False),
}
REFUSED = {
    "rows of different shapes, one shape is needed": [[1.0, 2.0], [3.0]],
    "2 values are masked, none is needed": np.ma.masked_array(X, mask=np.eye(30, 4) * [1, 1, 0, 0]),
    "1 values are masked": [np.ma.masked_array(X[0], mask=[0, 1, 0, 0]), *X[1:]],
    "complex64 of shape": X.astype(np.complex64),
    "int64 of shape": np.ones((3, 3), dtype=np.int64),
    "Tensor, an array of numbers is needed": torch.eye(3).to_sparse(),
    "Tensor, an array of numbers": torch.ones(3, 2, device="meta"),
    "NaN or infinity in row 0": X.astype(np.float64) * 1e60,
    "a zero vector in row 0": X.astype(np.float64) * 1e-60,
    "object of shape \\(\\), floats": None,
}


LONG = ["x" * LETTERS, "y" * (LETTERS + 1)]
NAMED = {
    "a list": lambda: mt.PairedEmbeddings({"image": X[:2]}, key=LONG),
    "objects": lambda: mt.PairedEmbeddings({"image": X[:2]}, key=np.array(LONG, dtype=object)),
    "an array": lambda: mt.PairedEmbeddings({"image": X[:2]}, key=np.array(LONG)),
    "bytes": lambda: mt.PairedEmbeddings({"image": X[:2]}, key=np.array(LONG).astype("S")),
    "a .npz": lambda: mt.PairedEmbeddings.load("long.npz"),
    "a .safetensors": lambda: mt.PairedEmbeddings.load("long.safetensors"),
    "a sidecar": lambda: mt.PairedEmbeddings.load("set"),
    "a column of a .parquet": lambda: pack({"image": "image.npy", "key": "names.parquet"}),
    "a column of a .csv": lambda: pack({"image": "image.npy", "group": "names.csv:key"}),
    "an array in a .npz": lambda: pack({"image": "image.npy", "key": "long.npz"}),
}


@pytest.mark.parametrize("kind", NAMED)
def test_a_name_as_long_as_a_picture_does_not_make_all_others_as_wide(tmp_path, monkeypatch, kind):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.chdir(tmp_path)
    Path("set").mkdir()
    np.save("image.npy", X[:2])
    np.savez_compressed("long.npz", image=X[:2], key=["x", "y" * 4 * LETTERS + "z"])
    save_file({"image": X[:2]}, "long.safetensors", {"key": json.dumps(LONG)})
    mt.PairedEmbeddings({"image": X[:2]}).save("set/0.npz")
    for file in ("set/0.parquet", "names.parquet"):
        parquet.write_table(pa.table({"key": LONG}), file)
    Path("names.csv").write_text("\n".join(["key", *LONG]))
    with pytest.raises(ValueError, match="(key of row 1: 1,001 letters|texts: '<U4001'), .*at most 1,000 letters"):
        NAMED[kind]()


@pytest.mark.parametrize("kind", TAKEN)
def test_what_is_taken(kind):
    found = mt.PairedEmbeddings({"image": TAKEN[kind]})
    rounding = {"half": 1e-3, "bfloat16": 1e-2}.get(kind, 0)
    np.testing.assert_allclose(found.modality("image"), X, rtol=rounding)
    assert found.modality("image").dtype == np.float32 and len(found.fingerprint()) == 64


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused(message):
    with pytest.raises(ValueError, match=f"^image: {message}"):
        mt.PairedEmbeddings({"image": REFUSED[message]})


def test_columns_of_hugging_face():
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"image": X.tolist(), "name": [str(row) for row in range(30)]})
    found = mt.PairedEmbeddings({"image": table["image"]}, key=table["name"])
    np.testing.assert_array_equal(found.modality("image"), X)


def test_names_may_be_texts_of_numpy():
    pairs = mt.PairedEmbeddings({"image": X[:2]}, key=np.array(["b", "é"], dtype=StringDType()))
    assert pairs.key.tolist() == ["b", "é"] and pairs.key.dtype.kind == "U"
    with pytest.raises(ValueError, match="key: \\[nan\\], text is needed"):
        mt.PairedEmbeddings({"image": X[:2]}, key=np.array(["b", np.nan], dtype=StringDType(na_object=np.nan)))


def test_names_may_be_a_list():
    pairs = mt.PairedEmbeddings({"image": X}, key=[str(row) for row in range(30)])
    assert pairs.take(np.array([3, 1])).key.tolist() == ["3", "1"]
    with pytest.raises(ValueError, match="key: \\[None\\], text is needed"):
        mt.PairedEmbeddings({"image": X}, key=[None, *"a" * 29])


def columns_of(names):
    """Columns of tables with these names, of the packages that are there."""
    pa, pd = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    yield from (pd.Series(names), pd.Series(names, dtype="string"), pd.Index(names), pa.array(names))
    yield from (pa.chunked_array([names[:1], names[1:]]), np.array(names, dtype=object), tuple(names))


def test_names_may_be_columns_of_tables():
    for column in columns_of(["b", "é"]):
        assert mt.PairedEmbeddings({"image": X[:2]}, key=column).key.tolist() == ["b", "é"], type(column)
    for column in columns_of(["b", None]):
        with pytest.raises(ValueError, match=r"^key: \[(None|nan|<NA>)\], text is needed$"):
            mt.PairedEmbeddings({"image": X[:2]}, key=column)
    for unordered in ({"a", "b"}, {"a": 1, "b": 2}):
        with pytest.raises(ValueError, match="^key: "):
            mt.PairedEmbeddings({"image": X[:2]}, key=unordered)


ZERO = ["a", "b\0"]
MADE = {
    "Python": lambda: mt.PairedEmbeddings({"image": X[:2]}, key=ZERO),
    "bytes": lambda: mt.PairedEmbeddings({"image": X[:2]}, key=[b"a", b"b\0"]),
    "the header of a file": lambda: mt.PairedEmbeddings.load("zero.safetensors"),
    "a parquet file beside the vectors": lambda: mt.PairedEmbeddings.load("set"),
    "a column": lambda: pack({"image": "image.npy", "key": "names.parquet"}),
    "names of groups": lambda: pack({"image": "image.npy", "group": "names.parquet:key"}),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_name_that_ends_in_a_zero_character_is_not_cut(tmp_path, monkeypatch, kind):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.chdir(tmp_path)
    Path("set").mkdir()
    np.save("image.npy", X[:2])
    save_file({"image": X[:2]}, "zero.safetensors", {"key": json.dumps(ZERO)})
    mt.PairedEmbeddings({"image": X[:2]}).save("set/0.npz")
    for file in ("set/0.parquet", "names.parquet"):
        parquet.write_table(pa.table({"key": ZERO}), file)
    with pytest.raises(
        ValueError, match="(key|texts|group) of row 1: b?'b.x00', a name that ends in no zero character"
    ):
        MADE[kind]()


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_names_are_text_in_every_file(tmp_path, suffix):
    """Old files have bytes, and some have numbers."""
    for key, names in (([b"a", "é".encode()], ["a", "é"]), (np.array([3, 1]), ["3", "1"])):
        pairs = mt.PairedEmbeddings({"image": X[:2]}, key=np.array(key))
        assert pairs.key.tolist() == names
        pairs.save(tmp_path / f"pairs{suffix}")
        assert mt.PairedEmbeddings.load(tmp_path / f"pairs{suffix}").key.tolist() == names
    for key in (np.array([b"\xff", b"a"]), np.array([0.5, np.nan])):
        with pytest.raises(ValueError, match="^key: .*text"):
            mt.PairedEmbeddings({"image": X[:2]}, key=key)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"arrays": [X, X]}, "arrays: .* a mapping from modality to vectors is needed"),
        ({"metadata": None}, "metadata: None, a mapping of JSON values is needed"),
        ({"metadata": {"independent": 5}}, "metadata: independent: 5, text or a list of texts is needed"),
        ({"label": np.full(30, 2**64 - 1, dtype=np.uint64)}, "label: 18446744073709551615 of item 0"),
    ],
)
def test_fields_of_another_kind_are_refused_before_they_are_used(fields, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        mt.PairedEmbeddings(**{"arrays": {"image": X}, **fields})
    assert len(mt.PairedEmbeddings({"image": X}, None)) == 30


def test_a_set_is_not_the_callers_array(tmp_path):
    given = X.copy()
    pairs = mt.PairedEmbeddings({"image": given})
    given[:] = 7
    np.testing.assert_array_equal(pairs.modality("image"), X)
    for part in (pairs, pairs.take(np.arange(5))):
        with pytest.raises(ValueError, match="read-only"):
            part.modality("image")[0] = 1
    given, held = X.astype(np.float32), X.astype(np.float32)
    held.flags.writeable = (view := given[:]).flags.writeable = False
    pairs = mt.PairedEmbeddings({"image": view, "text": held})
    given[:] = 7  # whoever holds what a read-only array is a view of can write
    np.testing.assert_array_equal(pairs.modality("image"), held)
    assert np.shares_memory(pairs.modality("text"), held)
    again = replace(pairs, group=np.arange(len(X)))
    assert all(np.shares_memory(again.modality(name), pairs.modality(name)) for name in ("image", "text"))
    np.save(tmp_path / "x.npy", X)
    mapped = mt.PairedEmbeddings({"image": np.load(tmp_path / "x.npy", mmap_mode="r+")}).modality("image")
    assert isinstance(mapped, np.memmap) and not mapped.flags.writeable  # it stays on disk


def frozen(view):
    view.flags.writeable = False
    return view


VIEWS = {
    "of numpy": lambda a: frozen(a[:]),
    "of a view": lambda a: frozen(frozen(a[:])[::1]),
    "of a buffer": lambda a: np.asarray(memoryview(a).toreadonly()),
    "of the buffer of a view": lambda a: np.asarray(memoryview(frozen(a[:]))),
    "of bytes of a buffer": lambda a: np.frombuffer(memoryview(a).toreadonly(), np.float32).reshape(a.shape),
    "of a pickle's": lambda a: np.asarray(PickleBuffer(frozen(a[:]))),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_a_set_is_no_read_only_view_of_what_is_written_to(kind):
    view = VIEWS[kind](given := X.astype(np.float32))
    assert np.shares_memory(view, given) and not view.flags.writeable
    pairs = mt.PairedEmbeddings({"image": view})
    given[:] = 7
    np.testing.assert_array_equal(pairs.modality("image"), X.astype(np.float32))


def test_a_set_is_what_nobody_can_write_to():
    view = np.frombuffer(X.astype(np.float32).tobytes(), np.float32).reshape(X.shape)
    assert np.shares_memory(mt.PairedEmbeddings({"image": view}).modality("image"), view)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize(
    "copied",
    [
        np.memmap.copy,
        lambda x: x.astype(np.float32),
        lambda x: np.sort(x, axis=0),
        lambda x: x.take(np.arange(30), axis=0),
    ],
)
def test_a_set_is_not_a_copy_of_a_memory_map(tmp_path, mode, copied):
    """Of which numpy says that it is a `memmap`."""
    np.save(tmp_path / "x.npy", X)
    given = copied(np.load(tmp_path / "x.npy", mmap_mode=mode))
    before = given.copy()
    pairs = mt.PairedEmbeddings({"image": given})
    given[:] = np.nan
    np.testing.assert_array_equal(pairs.modality("image"), before)


def test_a_set_does_not_see_what_is_written_into_a_private_map(tmp_path):
    np.save(tmp_path / "x.npy", X)
    given = np.load(tmp_path / "x.npy", mmap_mode="c")
    pairs = mt.PairedEmbeddings({"image": given})
    given[:] = np.nan
    np.testing.assert_array_equal(pairs.modality("image"), X)
