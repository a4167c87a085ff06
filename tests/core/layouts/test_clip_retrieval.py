"""clip-retrieval's layout: what we write is what its own reader reads, row by row with its captions."""

import numpy as np
import pytest

from modtrans_core import PairedEmbeddings

pq = pytest.importorskip("pyarrow.parquet")

from modtrans_core.layouts.clip_retrieval import write_clip_retrieval  # noqa: E402
from modtrans_core.store.names import read_items  # noqa: E402


def make(n=23, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 4, n)
    key = np.array([f"photos/{index}.jpg" for index in range(n)])
    captions = {k: [f"caption {j} of {k}" for j in range(m)] for k, m in zip(key, counts, strict=True)}
    return PairedEmbeddings(
        {"image": rng.normal(size=(n, 7)) * 9, "text": rng.normal(size=(n, 3, 5)), "audio": rng.normal(size=(n, 4))},
        counts={"text": counts},
        group=np.arange(n) // 2,
        key=key,
        metadata={"image": {"encoder": "a"}, "captions": captions},
        own_split=np.arange(n) // 2 % 3,
    )


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize("part_rows", [4, 10**6])
def test_each_image_and_caption_is_a_row_and_all_of_it_comes_back(tmp_path, part_rows):
    pairs = make()
    write_clip_retrieval(pairs, tmp_path / "set", part_rows=part_rows)
    total = pairs.counts["text"].sum()
    parts = -(-total // part_rows)
    for name in ("img_emb", "text_emb", "audio_emb", "metadata"):
        assert len(list((tmp_path / "set" / name).iterdir())) == parts
    item = np.repeat(np.arange(23), pairs.counts["text"])
    text = np.concatenate([rows[:m] for rows, m in zip(pairs.modality("text"), pairs.counts["text"], strict=True)])
    for mapped in (False, True):
        back = PairedEmbeddings.load(tmp_path / "set", mapped)
        for name, expected in (("image", pairs.modality("image")[item]), ("text", text)):
            np.testing.assert_array_equal(back.modality(name), unit(expected).astype(np.float16).astype(np.float32))
        np.testing.assert_array_equal(back.group, pairs.group[item])
        np.testing.assert_array_equal(back.own_split, pairs.own_split[item])
        assert back.metadata == {"image": {"encoder": "a"}}
        assert back.key is None if mapped else list(back.key) == list(pairs.key[item])
    table = read_items(tmp_path / "set")
    assert table["image_path"].to_pylist() == list(pairs.key[item])
    expected = [[caption] for several in pairs.metadata["captions"].values() for caption in several]
    assert table["caption"].to_pylist() == expected


def test_its_own_reader_reads_rows_beside_their_captions(tmp_path):
    """embedding_reader, which autofaiss and clip-retrieval read with: files in the order of their names."""
    reader = pytest.importorskip("embedding_reader").EmbeddingReader
    pairs = make(40)
    write_clip_retrieval(pairs, tmp_path / "set", part_rows=5)  # more than ten parts
    whole = reader(
        embeddings_folder=str(tmp_path / "set" / "text_emb"), metadata_folder=str(tmp_path / "set" / "metadata"),
        file_format="parquet_npy", meta_columns=["image_path", "caption"],
    )  # fmt: skip
    vectors, rows = zip(*whole(batch_size=7, show_progress=False), strict=True)
    vectors = np.concatenate(vectors)
    captions = [caption for table in rows for caption in table["caption"]]
    assert whole.dimension == 5 and len(vectors) == whole.count == pairs.counts["text"].sum()
    assert captions == [caption for several in pairs.metadata["captions"].values() for caption in several]
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(float), axis=1), 1, atol=2e-3)
    expected = PairedEmbeddings.load(tmp_path / "set").modality("text")
    np.testing.assert_array_equal(vectors.astype(np.float32), expected)


def test_several_vectors_of_several_modalities_are_combined(tmp_path):
    rng = np.random.default_rng(0)
    counts = {"a": np.array([2, 1, 2]), "b": np.array([3, 2, 1])}
    arrays = {"a": rng.normal(size=(3, 2, 4)), "b": rng.normal(size=(3, 3, 4))}
    write_clip_retrieval(PairedEmbeddings(arrays, counts), tmp_path / "set", dtype="float32")
    back = PairedEmbeddings.load(tmp_path / "set")
    found = {(tuple(a), tuple(b)) for a, b in zip(back.modality("a"), back.modality("b"), strict=True)}
    one, other = ({(i, j): tuple(unit(array)[i, j].astype(np.float32)) for i in range(3) for j in range(array.shape[1])}
                  for array in arrays.values())  # fmt: skip
    expected = [(i, j, k) for i in range(3) for j in range(counts["a"][i]) for k in range(counts["b"][i])]
    assert len(back) == len(expected) == len(found) == 10
    np.testing.assert_allclose(sorted(found), sorted((one[i, j], other[i, k]) for i, j, k in expected), atol=1e-6)
    assert [len(set(back.group[list(range(*span))])) for span in ((0, 6), (6, 8), (8, 10))] == [1, 1, 1]


def test_a_set_without_groups_has_none_afterwards(tmp_path):
    write_clip_retrieval(PairedEmbeddings({"image": np.eye(4)}), tmp_path / "set")
    back = PairedEmbeddings.load(tmp_path / "set")
    assert back.group is None and back.own_split is None and back.metadata == {}


def test_whole_or_not_at_all(tmp_path, monkeypatch):
    write_clip_retrieval(make(), tmp_path / "set")
    before = PairedEmbeddings.load(tmp_path / "set").fingerprint()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", full)
        for name in ("set", "new"):
            with pytest.raises(OSError, match="No space"):
                write_clip_retrieval(make(9, 1), tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["set"]
    assert PairedEmbeddings.load(tmp_path / "set").fingerprint() == before
    write_clip_retrieval(make(9, 1), tmp_path / "set")
    assert PairedEmbeddings.load(tmp_path / "set").fingerprint() != before
    assert [file.name for file in tmp_path.iterdir()] == ["set"]


def test_impossible_settings_are_refused(tmp_path):
    for words, more in (("dtype: 'int8'", {"dtype": "int8"}), ("part_rows: 0", {"part_rows": 0})):
        with pytest.raises(ValueError, match=words):
            write_clip_retrieval(make(), tmp_path / "set", **more)
    write_clip_retrieval(make(), tmp_path / "set")
    with pytest.raises(ValueError, match="names: .* rows, but the set has 9 items"):
        write_clip_retrieval(make(9), tmp_path / "new", read_items(tmp_path / "set"))


def test_captions_alone_name_no_item(tmp_path):
    import pyarrow as pa

    for name in ("text_emb", "metadata"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "text_emb" / "text_emb_0.npy", np.ones((2, 3), np.float16))
    pq.write_table(pa.table({"caption": ["a", "b"]}), tmp_path / "metadata" / "metadata_0.parquet")
    assert PairedEmbeddings.load(tmp_path).key is None
    assert read_items(tmp_path)["key"].to_pylist() == ["0", "1"]
