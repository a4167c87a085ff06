"""Arrays in files of many kinds become one pair set, and what is not one is refused by name."""

import json
import pickle
from datetime import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch

from modtrans_core import PairedEmbeddings
from modtrans_core.layouts.arrays import load_pairs, pack
from modtrans_core.layouts.convert import convert
from modtrans_core.store.columns import tensors

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(0)
IMAGE, TEXT = (RNG.normal(size=(9, d)).astype(np.float32) for d in (4, 3))
KEYS = [f"{number // 2}.jpg" for number in range(9)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def same(pairs):
    np.testing.assert_allclose(pairs.modality("image"), IMAGE, rtol=1e-6)
    np.testing.assert_allclose(pairs.modality("text"), TEXT, rtol=1e-6)


def test_columns_of_lists(folder):
    columns = {"file": KEYS, "image": [*IMAGE], "caption_vector": [row.tolist() for row in TEXT]}
    pq.write_table(pa.table(columns), "t.parquet", row_group_size=4)
    pairs = pack({"image": "t.parquet", "text": "t.parquet:caption_vector", "key": "t.parquet:file"})
    same(pairs)
    assert pairs.key.tolist() == KEYS
    same(load_pairs("image=t.parquet, text=t.parquet:caption_vector"))
    several = pa.table({"text": [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]})
    pq.write_table(several, "several.parquet")
    found = pack({"text": "several.parquet"}).modality("text")
    np.testing.assert_array_equal(found, np.arange(1.0, 9).reshape(2, 2, 2))
    several_each = np.arange(1.0, 61).reshape(5, 3, 4)
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(several_each)
    pq.write_table(pa.table({"text": pa.chunked_array([column[:2], column[2:]])}), "tensors.parquet")
    np.testing.assert_array_equal(pack({"text": "tensors.parquet"}).modality("text"), several_each)
    of_pandas = pd.Series(column, dtype=pd.ArrowDtype(column.type))
    for given in (column, pa.chunked_array([column[:2], column[2:]]), of_pandas, of_pandas.array):
        np.testing.assert_array_equal(PairedEmbeddings({"text": given}).modality("text"), several_each)
    with pytest.raises(ValueError, match="text: 'a column of no rows', a row or more is needed"):
        PairedEmbeddings({"text": pa.chunked_array([], type=column.type)})
    rows = [*several_each.reshape(5, 12)[:4].tolist(), [None] * 12]
    with_gap = pa.ExtensionArray.from_storage(column.type, pa.array(rows, column.type.storage_type))
    truths = pa.array([[True, False]], pa.list_(pa.bool_(), 2))
    truths = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.bool_(), [2]), truths)
    for spoilt, words in (
        (with_gap, "text: .12 numbers that are missing., a number in each place is needed"),
        (truths, "text: .?extension.*, a tensor of numbers is needed"),
    ):
        pq.write_table(pa.table({"text": spoilt}), "spoilt.parquet")
        with pytest.raises(ValueError, match=words):
            pack({"text": "spoilt.parquet"})


@pytest.mark.parametrize("kind", ["ray.data.arrow_tensor", "ray.data.arrow_tensor_v2"])
def test_tensors_of_ray_keep_their_shape(kind):
    expected = np.arange(1.0, 61).reshape(2, 5, 6)
    flat = pa.array([row.ravel().tolist() for row in expected])

    def read(shape, kind=kind):
        return tensors("text", flat, {b"ARROW:extension:name": kind.encode(), b"ARROW:extension:metadata": shape})

    for shape in ((30,), (5, 6), (1, 30)):
        for written in (json.dumps(shape).encode(), pickle.dumps(shape)):  # pickled by some versions of it
            np.testing.assert_array_equal(read(written), expected.reshape(2, *shape))
    assert read(b"[5, 6]", "of.another") is None
    with pytest.raises(ValueError, match="text: .list.*, 5 times 7 numbers in each row is needed"):
        read(b"[5, 7]")
    for shape in (pickle.dumps(eval), pickle.dumps((5, "6")), b"", b"[5, 6", b"\x80"):
        with pytest.raises(ValueError, match="text: 'a tensor of Ray whose shape cannot be read', a column of lists"):
            read(shape)
    field = pa.field("text", flat.type, metadata={"ARROW:extension:name": kind, "ARROW:extension:metadata": "[5, 6]"})
    pq.write_table(pa.table([flat], schema=pa.schema([field])), "ray.parquet")
    np.testing.assert_array_equal(pack({"text": "ray.parquet"}).modality("text"), expected)


def test_what_does_not_fit_in_memory_is_refused_before_it_is_read(monkeypatch):
    values = pa.array(np.ones(2**20))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(2**20)), 4)
    pq.write_table(pa.table({"x0": values, "x1": values}), "t.parquet")
    pq.write_table(pa.table({"x": lists, "another": lists}), "lists.parquet", row_group_size=1000)
    np.save("x.npy", np.ones((2**10, 2**10)))
    torch.save(torch.ones(2**10, 2**10), "x.pt")
    for memory, refused in ((2**20, True), (2**27, False)):
        monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": memory}.get)
        for file in ("t.parquet:x*", "lists.parquet:x", "x.npy", "x.pt"):
            if refused:
                with pytest.raises(
                    ValueError, match=f"{file.partition(':')[0]}: .*, at most the 0.0 GiB of this machine"
                ):
                    pack({"x": file})
            else:
                pack({"x": file})
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 10 * 2**20}.get)
    pack({"x": "lists.parquet:x"})  # and not the other column
    with pytest.raises(ValueError, match="t.parquet: x.: 0.0 GiB"):
        pack({"x": "t.parquet:x*"})


@pytest.mark.parametrize("order", [range(12), sorted(range(12), key=str), range(11, -1, -1)])
def test_columns_whose_names_differ_in_numbers_stand_by_number(order):
    wide = np.random.default_rng(1).normal(size=(5, 12)).astype(np.float32)
    lines = [",".join(["name", *(f"x_{number}" for number in order)])]
    lines += [",".join(["a", *map(str, row[order])]) for row in wide]
    Path("t.csv").write_text("\n".join(lines))
    pairs = pack({"image": "t.csv:x_*", "group": "t.csv:name"})
    np.testing.assert_allclose(pairs.modality("image"), wide, rtol=1e-6)
    assert len(set(pairs.groups)) == 1


@pytest.mark.parametrize("table", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("decimals", [False, True])
def test_other_columns_of_a_star_stand_in_the_order_of_the_table(table, decimals):
    columns = {"x_b": [1.5, 2, 3], "x_2": [4, 5, 6], "x_a": [7, 8, 9]}
    columns = {"x_0.25": [1.5, 2, 3], "x_0.5": [4, 5, 6]} if decimals else columns
    if table.endswith(".csv"):
        lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        Path(table).write_text("\n".join(lines))
    else:
        pq.write_table(pa.table(columns), table)
    np.testing.assert_array_equal(pack({"x": f"{table}:x_*"}).modality("x"), np.transpose([*columns.values()]))


@pytest.mark.parametrize("table", ["t.csv", "t.parquet"])
def test_a_star_that_fits_one_column_is_one_dimension_of_vectors_and_a_column_of_names(table):
    columns = {"age": list(range(1, 10)), "id": [f"{number:03}" for number in range(9)], "group": [7] * 9}
    if table == "t.csv":
        rows = zip(*columns.values(), strict=True)
        Path(table).write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]))
    else:
        pq.write_table(pa.table(columns), table)
    pairs = pack({"age": f"{table}:ag*", "key": f"{table}:i?", "group": f"{table}:gr*"})
    np.testing.assert_array_equal(pairs.modality("age"), np.arange(1.0, 10)[:, None])
    assert pairs.key.tolist() == columns["id"] and len(set(pairs.groups)) == 1


def test_names_are_one_column():
    Path("t.csv").write_text("x,id0,id1\n1,a,b\n2,c,d\n")
    with pytest.raises(ValueError, match=r"t.csv: column: 'id\*', one column, not 2, is needed"):
        pack({"image": "t.csv:x*", "key": "t.csv:id*"})


def test_texts_of_a_table_are_lists_too():
    """As json and as numpy print them, over several lines."""
    with open("t.csv", "w") as file:
        file.write("image,text,key\n")
        for image, text, key in zip(IMAGE, TEXT, KEYS, strict=True):
            printed = str(text.astype(float)).replace(" ", "\n ", 1)
            file.write(f'"{json.dumps(image.tolist())}","{printed}",{key}\n')
    pairs = pack(dict.fromkeys(("image", "text", "key"), "t.csv"))
    np.testing.assert_allclose(pairs.modality("image"), IMAGE, rtol=1e-6)
    np.testing.assert_allclose(pairs.modality("text"), TEXT, atol=1e-7)
    assert pairs.key.tolist() == KEYS


def test_tensors_by_name():
    torch.save(
        {"image": torch.from_numpy(IMAGE), "z": torch.from_numpy(TEXT).bfloat16(), "group": list(range(9))}, "t.pt"
    )
    pairs = pack({"image": "t.pt", "text": "t.pt:z", "group": "t.pt"})
    np.testing.assert_array_equal(pairs.modality("image"), IMAGE)
    np.testing.assert_allclose(pairs.modality("text"), TEXT, rtol=1e-2)
    torch.save(torch.from_numpy(IMAGE).requires_grad_(), "one.pt")
    np.testing.assert_array_equal(pack({"image": "one.pt"}).modality("image"), IMAGE)


NAMES = ["007", "true", "NA", "2020-01-01", "1e5", "[4]", "99999999999999999999", "a", "é"]


def test_tensors_may_be_called_by_numbers():
    torch.save({0: torch.eye(3), "text": [torch.ones(2)] * 3}, "t.pt")
    assert repr(pack({"image": "t.pt:0", "text": "t.pt"})) == "PairedEmbeddings(image (3, 3), text (3, 2))"


def test_names_in_a_table_of_texts_are_texts():
    """007 is not 7, and true no truth value, whatever a reader of tables makes of a whole column."""
    for names in (NAMES, [f"{number:03}" for number in range(9)], ["true", "false", "true"] * 3, ["2020-01-01"] * 9):
        with open("t.csv", "w", encoding="utf-8") as file:
            file.writelines(["id\n", *(f"{name}\n" for name in names)])
        np.save("image.npy", IMAGE)
        assert pack({"image": "image.npy", "key": "t.csv:id"}).key.tolist() == names
        group = pack({"image": "image.npy", "group": "t.csv:id"}).groups
        np.testing.assert_array_equal(group[:, None] == group, np.array(names)[:, None] == np.array(names))


@pytest.mark.parametrize("field", ["key", "group"])
def test_a_row_without_a_name_is_of_no_item(field):
    Path("t.csv").write_text("x,id\n1,a\n2,\n3,\n")
    with pytest.raises(ValueError, match="t.csv: id: '2 rows with nothing in it', a value in each row is needed"):
        pack({"image": "t.csv:x*", field: "t.csv:id"})


def test_names_of_groups_may_be_bytes():
    table = pa.table({"id": pa.array([key.encode() for key in KEYS], pa.binary())})
    pq.write_table(table, "t.parquet")
    np.save("image.npy", IMAGE)
    groups = pack({"image": "image.npy", "group": "t.parquet:id"}).groups
    assert (groups[:, None] == groups).tolist() == [[n // 2 == m // 2 for n in range(9)] for m in range(9)]


def test_files_that_are_packed_one_by_one_are_one_set(recwarn):
    """A name of a group is the same number in each, and groups that were found are found anew across them."""
    rng = np.random.default_rng(0)
    picture = rng.permutation(np.repeat(np.arange(60), 5))
    image, text = rng.normal(size=(60, 8))[picture], rng.normal(size=(300, 6))
    names = np.array([f"p{number}" for number in picture])
    for folder, vectors, more in (("named", rng.normal(size=(300, 8)), {"group": names}), ("found", image, {})):
        Path(folder).mkdir()
        for number, rows in enumerate(np.split(np.arange(300), [150, 290])):
            arrays = {"image": vectors, "text": text, **more}
            np.savez("a.npz", **{name: array[rows] for name, array in arrays.items()})
            pack(dict.fromkeys(arrays, "a.npz")).save(f"{folder}/{number}.npz")
            convert(f"{folder}/{number}.npz", f"{folder}/{number}.npz")
        found = PairedEmbeddings.load(folder).groups
        np.testing.assert_array_equal(found[:, None] == found, picture[:, None] == picture)


def test_groups_of_one_number_in_several_files_are_told_of(recwarn):
    for number in range(2):
        Path("sets").mkdir(exist_ok=True)
        pairs = PairedEmbeddings({"image": IMAGE}, group=np.arange(9) // 3 + 2 * number)
        pairs.save(f"sets/{number}.npz")
    assert PairedEmbeddings.load("sets/1.npz").groups.max() == 4 and not recwarn
    with pytest.warns(UserWarning, match="sets: 1 numbers of groups are in several files, and one group each"):
        PairedEmbeddings.load("sets")
    convert("sets", "one", "shards", shard_items=7)
    recwarn.clear()
    assert len(np.unique(PairedEmbeddings.load("one").groups)) == 5 and not recwarn


def test_items_with_several_vectors_are_packed_anew_with_their_counts():
    several = np.zeros((9, 3, 2), dtype=np.float32)
    counts = np.arange(9) % 3 + 1
    several[np.arange(3) < counts[:, None]] = 1
    pairs = PairedEmbeddings({"image": IMAGE, "text": several}, {"text": counts})
    pairs.save("set.npz")
    for files in ({"image": "set.npz", "text": "set.npz"}, {"image": "set.npz:image", "text": "set.npz:text"}):
        assert pack(files).fingerprint() == pairs.fingerprint()


def test_decimals_are_numbers():
    id_ = [Decimal(n // 2) for n in range(9)]
    vectors = [[Decimal(f"{value:.4f}") for value in row] for row in IMAGE.tolist()]
    table = {"id": pa.array(id_, pa.decimal128(20, 0)), "image": pa.array(vectors, pa.list_(pa.decimal128(12, 4)))}
    table["half"] = pa.array([one + Decimal("0.5") for one in id_], pa.decimal128(20, 1))
    pq.write_table(pa.table(table), "t.parquet")
    found = pack({"image": "t.parquet", "text": "t.parquet:hal*", "group": "t.parquet:id"})
    assert found.groups.tolist() == [n // 2 for n in range(9)] and found.modality("text").shape == (9, 1)
    np.testing.assert_allclose(found.modality("image"), IMAGE, atol=1e-4)
    with pytest.raises(ValueError, match="group: float64 of shape"):
        pack({"image": "t.parquet", "group": "t.parquet:half"})


class Loud:
    def __reduce__(self):
        return (open, ("ran", "w"))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("t.parquet:other", "t.parquet: column: 'other', one of gap, short, word, x, struct, time is needed"),
        ("t.parquet:gap", "t.parquet: gap: '1 rows with nothing in it', a value in each row is needed"),
        ("t.parquet:short", r"t.parquet: short: '\(1,\) in row 1', \(2,\), as in row 0, is needed"),
        ("t.parquet:struct", "t.parquet: struct: 'struct<a: int64>', numbers, texts or lists is needed"),
        ("t.parquet:time", r"t.parquet: time: 'time64\[us\]', numbers, texts or lists is needed"),
        ("t.parquet:word", r"image: <U1 of shape \(2,\), floats"),
        ("objects.npy", "objects.npy: holds Python objects, which are not read. Of a dictionary"),
        ("loud.pt:image", "loud.pt: is no file of tensors alone"),
        ("torn.pt:image", "torn.pt: damaged or cut short"),
        ("none.pt:image", "image: 'none.pt', a file that exists is needed"),
        ("torn.parquet:image", "torn.parquet: "),
        ("sparse.pt:image", "sparse.pt: image: 'a tensor that is sparse or holds no numbers', a dense one is needed"),
        ("ragged.pt:image", "ragged.pt: image: rows of different shapes, one shape is needed"),
        ("empty.parquet:short", "empty.parquet: rows of short: 0, 1 or more is needed"),
        ("twice.csv:x*", r"twice.csv: column: \['x0'\], a name that one column has is needed"),
        ("twice.csv:nested", r"twice.csv: nested: '\[\[1 2\] \[3 4\]\] in row 0', a list of numbers is needed"),
    ],
)
def test_what_is_no_array_is_refused_by_name(folder, file, words):
    columns = {
        "gap": [[1.0], None],
        "short": [[1.0, 2.0], [1.0]],
        "word": ["a", "b"],
        "x": [1.0, 2.0],
        "struct": [{"a": 1}] * 2,
        "time": [time(1), time(2)],
    }
    pq.write_table(pa.table(columns), "t.parquet")
    pq.write_table(pa.table(columns)[:0], "empty.parquet")
    torch.save({"image": Loud()}, "loud.pt")
    np.save("objects.npy", np.array({"a": [1.0]}), allow_pickle=True)
    torch.save({"image": torch.eye(3).to_sparse()}, "sparse.pt")
    torch.save({"image": [torch.ones(2), torch.ones(3)]}, "ragged.pt")
    Path("twice.csv").write_text("x0,x0,nested\n1,2,[[1 2] [3 4]]\n")
    for name in ("torn.pt", "torn.parquet"):
        (folder / name).write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ValueError, match=words) as refused:
        pack({"image": file})
    assert "\n" not in str(refused.value) and not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("key;x0;x1\na;1,5;2,5\n", "utf-8"), ("key,x0\nclé,1\n", "latin-1"), ("# by x\nkey,x0\na,1\n", "utf-8")],
)
def test_a_csv_of_another_kind_is_told_what_is_needed(tmp_path, text, encoding):
    pytest.importorskip("pyarrow")
    np.save(tmp_path / "image.npy", np.eye(2))
    (tmp_path / "t.csv").write_text(text, encoding=encoding)
    with pytest.raises(ValueError, match=r"t\.csv: a table in UTF-8 whose first line names its columns, with commas"):
        pack({"image": tmp_path / "image.npy", "key": f"{tmp_path / 't.csv'}:key"})


@pytest.mark.parametrize("between", [";", "\t"])
def test_a_csv_without_commas_is_told_what_is_needed(tmp_path, between):
    pytest.importorskip("pyarrow")
    (tmp_path / "t.csv").write_text("image_0,image_1\n.5,1\n.25,1\n".replace(",", between))
    with pytest.raises(ValueError, match=r"t\.csv: first line: '?image_0.*image_1'?, names with commas between them"):
        pack({"image": f"{tmp_path / 't.csv'}:image_*"})


@pytest.mark.parametrize("suffix", [".parquet", ".npy", ".npz", ".csv"])
def test_a_folder_that_is_called_as_a_file_is_said_to_be_one(tmp_path, suffix):
    """As Spark, Dask and polars write parquet."""
    (tmp_path / f"t{suffix}").mkdir()
    with pytest.raises(ValueError, match=rf"t{suffix}: a folder, a file is needed"):
        pack({"image": f"{tmp_path / 't'}{suffix}"})
