"""Names and captions beside the vectors: what is written is what is read, in every layout."""

import os
import sys

import numpy as np
import pytest

from modtrans_core import PairedEmbeddings

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from modtrans_core.layouts.convert import convert  # noqa: E402
from modtrans_core.store.names import read_items, write_items  # noqa: E402

KEYS = [f"photos/{index:03d} ü.jpg" for index in range(11)]
CAPTIONS = [[f"a picture of {index}", "zwölf 🙂"][: 1 + index % 2] for index in range(11)]


def vectors(n, seed=0):
    return {"image": np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)}


def shards(folder, cuts=(4, 9), write=True):
    folder.mkdir(exist_ok=True)
    for number, items in enumerate(np.split(np.arange(11), cuts)):
        PairedEmbeddings(vectors(len(items), number)).save(folder / f"{number:06d}.safetensors")
        if write:
            keys, captions = ([column[i] for i in items] for column in (KEYS, CAPTIONS))
            write_items(folder / f"{number:06d}.parquet", keys, captions, {"width": items + 100})
    return folder


def test_a_sidecar_is_read_as_it_was_written_and_written_alike_each_time(tmp_path):
    table = read_items(shards(tmp_path / "a"))
    assert table.column_names == ["key", "caption", "width"]
    assert table["key"].to_pylist() == KEYS and table["caption"].to_pylist() == CAPTIONS
    assert table["width"].to_pylist() == list(range(100, 111))
    shards(tmp_path / "b")
    for file in (tmp_path / "a").glob("*.parquet"):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    assert {file.suffix for file in (tmp_path / "a").iterdir()} == {".safetensors", ".parquet"}


def test_a_column_may_have_any_name(tmp_path):
    names = ("path", "captions", "columns", "self", "name")
    PairedEmbeddings(vectors(2)).save(tmp_path / "set" / "000000.safetensors")
    write_items(tmp_path / "set" / "000000.parquet", ["a", "b"], None, {name: [1, 2] for name in names})
    convert(tmp_path / "set", tmp_path / "shards", layout="shards")
    found = read_items(tmp_path / "shards")
    assert found.column_names == ["key", *names] and all(found[name].to_pylist() == [1, 2] for name in names)


def test_without_captions_there_is_no_such_column(tmp_path):
    PairedEmbeddings(vectors(2)).save(tmp_path / "0.npz")
    write_items(tmp_path / "0.parquet", ["a", "b"])
    assert read_items(tmp_path).column_names == ["key"]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (([1, 2], [3.5, None], [4, 5]), [1, 2, 3.5, None, 4, 5]),  # pandas' numbers where a picture has none
        ((pa.array([1, 2], pa.int32()), [3, 4], [5, 6]), [1, 2, 3, 4, 5, 6]),
        ((["u", "v"], pa.array(["w", "x"], pa.large_string()), ["y", None]), ["u", "v", "w", "x", "y", None]),
        (([2**60 + 1, 2], [None, 0.5], [1, 1]), [f"{2**60 + 1}", "2", None, "0.5", "1", "1"]),
        (([1, 2], pa.array([2**63 + 5, 1], pa.uint64()), [1, 1]), ["1", "2", f"{2**63 + 5}", "1", "1", "1"]),
        (([1, 2], ["unlikely", None], [3, 4]), ["1", "2", "unlikely", None, "3", "4"]),
        ((["u", "v"], pa.array(["w", "x"]).dictionary_encode(), [None, None]), ["u", "v", "w", "x", None, None]),
    ],
)
def test_a_column_may_have_another_type_in_every_part(tmp_path, parts, expected):
    for prefix in ("img_emb", "metadata"):
        (tmp_path / "set" / prefix).mkdir(parents=True)
    for number, column in enumerate(parts):
        np.save(tmp_path / "set" / "img_emb" / f"img_emb_{number}.npy", np.eye(3)[:2] + number)
        columns = {"image_path": [f"{number}-0", f"{number}-1"], "width": column}
        pq.write_table(pa.table(columns), tmp_path / "set" / "metadata" / f"metadata_{number}.parquet")
    assert read_items(tmp_path / "set")["width"].to_pylist() == expected
    convert(tmp_path / "set", tmp_path / "shards", layout="shards")
    assert read_items(tmp_path / "shards")["width"].to_pylist() == expected


def test_clip_retrievals_metadata_is_read_by_number(tmp_path):
    for prefix in ("img_emb", "metadata"):
        (tmp_path / prefix).mkdir()
    for number in range(11):
        np.save(tmp_path / "img_emb" / f"img_emb_{number}.npy", np.ones((2, 3), np.float16))
        columns = {"image_path": [f"{number}-0", f"{number}-1"], "caption": [f"caption {number}", None]}
        pq.write_table(pa.table(columns), tmp_path / "metadata" / f"metadata_{number}.parquet")
    table = read_items(tmp_path)
    assert table["key"].to_pylist() == [f"{number}-{row}" for number in range(11) for row in (0, 1)]
    assert table["caption"].to_pylist() == [one for number in range(11) for one in ([f"caption {number}"], [])]
    assert table["image_path"].to_pylist() == table["key"].to_pylist()


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_single_file_holds_names_and_captions_itself(tmp_path, suffix):
    path = tmp_path / f"pairs{suffix}"
    said = {"captions": dict(zip(KEYS, CAPTIONS, strict=True))}
    PairedEmbeddings(vectors(11), key=np.array(KEYS), metadata=said).save(path)
    table = read_items(path)
    assert table["key"].to_pylist() == KEYS and table["caption"].to_pylist() == CAPTIONS


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_items_that_nothing_names_are_called_by_their_places(tmp_path, suffix):
    for number, items in enumerate(([0, 1], [2])):
        captions = {"captions": [CAPTIONS[item] for item in items]}
        PairedEmbeddings(vectors(len(items)), metadata=captions).save(tmp_path / f"{number}{suffix}")
    table = read_items(tmp_path)
    assert table["key"].to_pylist() == ["0", "1", "2"] and table["caption"].to_pylist() == CAPTIONS[:3]


def test_what_is_wrong_with_a_sidecar_is_one_line_that_names_it(tmp_path):
    sidecar = shards(tmp_path) / "000001.parquet"
    whole = sidecar.read_bytes()
    for torn in (b"", b"PAR1", whole[: len(whole) // 2], whole[:-3]):
        sidecar.write_bytes(torn)
        with pytest.raises(ValueError, match="000001.parquet: damaged or cut short") as caught:
            read_items(tmp_path)
        assert "\n" not in str(caught.value)
    write_items(sidecar, KEYS[:4])
    with pytest.raises(ValueError, match=r"000001.parquet: 4 items, but 000001.safetensors has 5"):
        read_items(tmp_path)
    pq.write_table(pa.table({"name": ["a"] * 5}), sidecar)
    with pytest.raises(ValueError, match="000001.parquet: no column key or image_path"):
        read_items(tmp_path)
    with pytest.raises(ValueError, match="x.csv: a pair set, .npz or .safetensors or a folder, is needed"):
        (tmp_path / "x.csv").touch()
        read_items(tmp_path / "x.csv")
    for column, values, words in (
        ("image_path", ["a", None, "c", None, "e"], "image_path: 2 rows with nothing in it, a name in each"),
        ("key", [["a"]] * 5, "damaged or cut short"),
        ("key", [b"\xff"] * 5, "damaged or cut short"),
    ):
        pq.write_table(pa.table({column: values}), sidecar)
        for read in (read_items, PairedEmbeddings.load, lambda path: PairedEmbeddings.load(path, mapped=True)):
            with pytest.raises(ValueError, match=f"000001.parquet: {words}"):
                read(tmp_path)
    for captions, expected in (([1] * 5, ["1"]), (pa.array([[1, 2]] * 5, pa.large_list(pa.int8())), ["1", "2"])):
        pq.write_table(pa.table({"key": KEYS[:5], "caption": captions}), sidecar)
        assert read_items(tmp_path)["caption"].to_pylist()[4] == expected
    sidecar.unlink()
    with pytest.raises(ValueError, match="000001.parquet: missing, but other shards have theirs"):
        read_items(tmp_path)
    with pytest.raises(ValueError, match="no such file or folder"):
        read_items(tmp_path / "none")


def test_columns_have_to_fit_and_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "0.parquet"
    write_items(path, KEYS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="caption: 2 values, but there are 11 items"):
        write_items(path, KEYS, CAPTIONS[:2])
    with pytest.raises(ValueError, match="width: not a column of one type"):
        write_items(path, KEYS[:2], None, {"width": [1, "b"]})

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        write_items(path, KEYS[:3])
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_missing_pyarrow_is_told_with_the_command_that_installs_it(tmp_path, monkeypatch):
    shards(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for call in (lambda: read_items(tmp_path), lambda: write_items(tmp_path / "9.parquet", ["a"])):
        with pytest.raises(ModuleNotFoundError, match=r'pip install -e ".*\[encoders\]"'):
            call()


def test_shards_take_their_names_from_the_sidecars_where_they_have_none(tmp_path):
    pairs = PairedEmbeddings.load(shards(tmp_path))
    assert list(pairs.key) == KEYS and pairs.group is None and "captions" not in pairs.metadata
    assert PairedEmbeddings.load(tmp_path, mapped=True).key is None
    named = np.array([f"own {index}" for index in range(4)])
    PairedEmbeddings(vectors(4), key=named).save(tmp_path / "000000.safetensors")
    write_items(tmp_path / "000000.parquet", KEYS[:4])
    assert list(PairedEmbeddings.load(tmp_path).key) == KEYS  # one shard with names of its own is not all of them
    (tmp_path / "000002.parquet").write_bytes(b"torn")
    with pytest.raises(ValueError, match="000002.parquet: damaged or cut short"):
        PairedEmbeddings.load(tmp_path)


@pytest.mark.parametrize("name", ["shards", "indexed"])
def test_a_sidecar_that_is_no_file_is_not_waited_for(tmp_path, name):
    folder = shards(tmp_path / "shards")
    if name == "indexed":
        convert(folder, folder := tmp_path / "indexed")
    sidecar = next(folder.rglob("*.parquet"))
    sidecar.unlink()
    os.mkfifo(sidecar)
    with pytest.raises(ValueError, match=f"{sidecar.name}: a pipe or a device, a file is needed"):
        PairedEmbeddings.load(folder)
    sidecar.unlink()
    sidecar.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ValueError, match=f"{sidecar.name}: a Git LFS pointer, not the data; run: git lfs pull"):
        PairedEmbeddings.load(folder)


def test_without_pyarrow_shards_have_no_names(tmp_path, monkeypatch):
    shards(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert PairedEmbeddings.load(tmp_path).key is None
