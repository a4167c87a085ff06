"""What the store reads: plain contents, from files and folders in any layout, and what of them is refused."""

import os
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from safetensors.numpy import save_file

import modtrans_core
from modtrans_core import PairedEmbeddings
from modtrans_core.embed.sources import load_source
from modtrans_core.layouts.convert import convert
from modtrans_core.store.mapped import MappedRows
from modtrans_core.store.read import dimensions, read

load = PairedEmbeddings.load


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_contents_hold_what_was_given_and_nothing_else(tmp_path, suffix):
    path = tmp_path / f"pairs{suffix}"
    PairedEmbeddings({"image": np.eye(3, 4)}, metadata={"image": {"encoder": "a"}}).save(path)
    found, mapped = read(path), read(path, mapped=True)
    np.testing.assert_array_equal(found.arrays["image"], np.eye(3, 4))
    assert isinstance(mapped.arrays["image"], MappedRows)
    for contents in (found, mapped):
        assert contents[1:] == ({}, None, None, {"image": {"encoder": "a"}}, None, None)
        assert contents.encoder("image") == {"encoder": "a"} and contents.encoder("text") == {}


def test_a_number_beside_the_vectors_is_named(tmp_path):
    np.savez(tmp_path / "pairs.npz", image=np.eye(3, 4), epoch=3.0)
    assert dimensions(tmp_path / "pairs.npz") == {"image": 4, "epoch": 0}
    with pytest.raises(ValueError, match="epoch: float64 of shape \\(\\), floats"):
        read(tmp_path / "pairs.npz")


def test_vectors_called_metadata_are_refused_in_any_format(tmp_path):
    arrays = {name: np.eye(3, 4, dtype=np.float32) for name in ("image", "metadata")}
    np.savez(tmp_path / "pairs.npz", **arrays)
    save_file(arrays, tmp_path / "pairs.safetensors")
    for name in ("pairs.npz", "pairs.safetensors"):
        for mapped in (False, True):
            with pytest.raises(ValueError, match=f"{name}: (modality: 'metadata', a name|metadata: .* text in JSON)"):
                read(tmp_path / name, mapped=mapped)


def test_so_is_a_folder_of_them_in_clip_retrievals_layout(tmp_path):
    for name in ("img_emb", "text_emb", "metadata_emb"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / f"{name}_0.npy", np.eye(3, 4, dtype=np.float16))
    with pytest.raises(ValueError, match="modality: 'metadata', a name that pair sets have no other use for"):
        load(tmp_path)


def test_what_is_wrong_with_a_shard_is_said_with_its_name(tmp_path):
    for number in range(3):
        np.savez(tmp_path / f"{number}.npz", image=np.eye(2, 4))
    np.savez(tmp_path / "1.npz", image=np.diag([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"1.npz: image: a zero vector in row 1 \(1 bad of 2\)"):
        load(tmp_path)
    np.savez(tmp_path / "1.npz", image=np.eye(2, 5))
    with pytest.raises(ValueError, match=r"shards differ: .*1.npz has image \(n, 5\), but .*0.npz has image \(n, 4\)"):
        load(tmp_path)


def test_what_is_wrong_beside_clip_retrievals_vectors_is_said_with_its_name(tmp_path):
    (tmp_path / "img_emb").mkdir()
    np.save(tmp_path / "img_emb" / "img_emb_0.npy", np.diag([1.0, 0.0]))
    with pytest.raises(ValueError, match=rf"^{tmp_path}: image: a zero vector in row 1"):
        load(tmp_path)
    (tmp_path / "modtrans.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match="modtrans.safetensors: damaged or cut short"):
        load(tmp_path)


def test_clip_retrieval_layout_is_read(tmp_path):
    rng = np.random.default_rng(0)
    whole = {}
    for prefix in ("img_emb", "text_emb"):
        (tmp_path / prefix).mkdir()
        parts = [rng.normal(size=(4, 6)).astype(np.float16) for _ in range(12)]
        for index, part in enumerate(parts):
            np.save(tmp_path / prefix / f"{prefix}_{index}.npy", part)
        whole[prefix] = np.concatenate(parts)
    pairs = PairedEmbeddings.load(tmp_path)
    np.testing.assert_array_equal(pairs.modality("image"), whole["img_emb"].astype(np.float32))
    np.testing.assert_array_equal(pairs.modality("text"), whole["text_emb"].astype(np.float32))


def test_shards_whose_groups_were_not_given_follow_each_other(tmp_path):
    for index in range(3):
        PairedEmbeddings({"a": np.ones((4, 3)) + index}).save(tmp_path / f"{index}.safetensors")
    whole = PairedEmbeddings.load(tmp_path)
    assert whole.group is None and list(whole.groups) == list(range(12))


def test_a_pickle_is_never_opened(tmp_path):
    np.savez(tmp_path / "evil.npz", image=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"evil.npz: .*Python objects, which are not read"):
        PairedEmbeddings.load(tmp_path / "evil.npz")


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"encoder": "B", "weights_sha256": None}, "text of .*1.npz by encoder B, of .*0.npz by A$"),
        ({"weights_sha256": "B"}, "text of .*1.npz by encoder A with weights_sha256 B, of .*0.npz by A with .* A$"),
        ({"preprocessing": "B"}, "with preprocessing B, of .*0.npz by A with preprocessing A$"),
    ],
)
def test_shards_of_several_encoders_are_refused(tmp_path, mapped, other, words):
    facts = {"encoder": "A", "weights_sha256": "A", "preprocessing": "A", "version": "1"}
    for index, said in enumerate([facts, {**facts, **other, "version": "2"}]):
        PairedEmbeddings({"text": np.ones((2, 3))}, metadata={"text": said}).save(tmp_path / f"{index}.npz")
    with pytest.raises(ValueError, match=f"shards differ: .*{words}"):
        load(tmp_path, mapped)
    PairedEmbeddings({"text": np.ones((2, 3))}, metadata={"text": {**facts, "version": "2"}}).save(tmp_path / "1.npz")
    assert len(load(tmp_path, mapped)) == 4


def test_a_folder_whose_embedding_is_unfinished_is_refused(tmp_path):
    PairedEmbeddings({"text": np.ones((2, 3))}).save(tmp_path / "0.safetensors")
    (tmp_path / ".modtrans-part-77").write_bytes(b"what a killed process left")
    (tmp_path / "embed.json").write_text('{"finished": false}')
    with pytest.raises(ValueError, match="unfinished; finish it with the same modtrans embed command"):
        load(tmp_path)
    (tmp_path / "embed.json").write_text('{"finished": true}')
    assert len(load(tmp_path)) == 2


def clip_retrieval(folder, **parts):
    for name, several in parts.items():
        (folder / f"{name}_emb").mkdir()
        for number, rows in several.items():
            np.save(folder / f"{name}_emb" / f"{name}_emb_{number}.npy", np.full((rows, 3), 1.0 + int(number)))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"img": {"0": 4, "2": 4}, "text": {"0": 4, "1": 4}}, "text_emb_1.npy: part 1, which the files of text"),
        ({"img": {"0": 4, "1": 4}, "text": {"0": 8}}, "text_emb_0.npy: 8 rows, but img_emb_0.npy has 4"),
        ({"img": {"0": 4, "1": 5}, "text": {"0": 5, "1": 4}}, "text_emb_0.npy: 5 rows, but img_emb_0.npy has 4"),
        ({"img": {"0": 4, "00": 4}, "text": {"0": 4, "1": 4}}, "img_emb_00.npy: has the number of img_emb_0.npy"),
    ],
)
@pytest.mark.parametrize("mapped", [False, True])
def test_rows_of_parts_that_do_not_belong_together_are_no_pairs(tmp_path, parts, words, mapped):
    clip_retrieval(tmp_path, **parts)
    with pytest.raises(ValueError, match=words):
        load(tmp_path, mapped=mapped)


def test_a_part_that_is_missing_everywhere_is_missed_by_nobody(tmp_path):
    clip_retrieval(tmp_path, img={"0": 4, "2": 3}, text={"0": 4, "2": 3})
    assert len(load(tmp_path)) == 7


def test_a_member_that_is_no_array_is_named(tmp_path):
    np.savez(tmp_path / "p.npz", image=np.eye(2, 4))
    with zipfile.ZipFile(tmp_path / "p.npz", "a") as archive:
        archive.writestr("README.txt", "hello")
    with pytest.raises(ValueError, match="p.npz: README.txt: 'no array', a .npz file of arrays alone is needed"):
        load(tmp_path / "p.npz")


@pytest.fixture
def closed():
    """A folder below which all may go, and what closes a file or folder in it and makes this process one that is not
    root's.
    """
    was = os.geteuid()
    with TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)

        def close(*names):
            for path in folder.rglob("*"):
                path.chmod(0o755)
            for name in names:
                (folder / name).chmod(0)
            if was == 0:
                os.seteuid(65_534)

        try:
            yield folder, close
        finally:
            os.seteuid(was)
            for path in [folder, *folder.rglob("*")]:
                path.chmod(0o755)


@pytest.mark.parametrize(
    "name",
    [
        "set/000000.safetensors",
        "set/000000.parquet",
        "retrieval/img_emb",
        "retrieval/text_emb/text_emb_0.npy",
        "retrieval/metadata",
        "retrieval/metadata/metadata_0.parquet",
    ],
)
def test_what_may_not_be_read_is_said_of_the_file(closed, name):
    folder, close = closed
    pairs = PairedEmbeddings({"image": np.eye(3) + 1, "text": np.eye(3, 4) + 1}, key=np.array(["a", "b", "c"]))
    for layout in ("shards", "clip-retrieval"):
        pairs.save(folder / "pairs.npz")
        convert(folder / "pairs.npz", folder / ("set" if layout == "shards" else "retrieval"), layout=layout)
    (folder / "retrieval" / ".modtrans.json").unlink()  # as clip-retrieval's own are without
    load(folder / name.partition("/")[0])  # what reads it is loaded while everything may be read
    close(name)
    with pytest.raises(ValueError, match=f"^{folder / name}: no permission to read it$"):
        load(folder / name.partition("/")[0])


@pytest.mark.parametrize("kind", ["webdataset:", ""])
def test_a_folder_of_a_source_that_may_not_be_read_is_said_to_be_one(closed, kind):
    folder, close = closed
    (folder / "tars").mkdir()
    (folder / "tars" / "0.tar").write_bytes(b"")
    source = f"{kind}{folder / 'tars'}"
    with pytest.raises(ValueError, match="no tar here holds"):  # what reads it is loaded while everything may be read
        [list(shard.read()) for shard in load_source(source).shards(1)]
    close("tars")
    with pytest.raises(ValueError, match=f"^{folder / 'tars'}: no permission to read it$"):
        load_source(source)


@pytest.mark.parametrize("name", ["model.safetensors", "seen.safetensors", "translator.json"])
def test_what_may_not_be_read_of_a_run_is_said_of_the_file(closed, name):
    folder, close = closed
    rng = np.random.default_rng(0)
    pairs = PairedEmbeddings({"image": rng.normal(size=(30, 3)), "text": rng.normal(size=(30, 3)) + 1})
    modtrans_core.fit(pairs, out=folder / "run", device="cpu")
    modtrans_core.load(folder / "run", "cpu")
    close(f"run/{name}")
    with pytest.raises(ValueError, match=f"^{folder / 'run' / name}: no permission to read it$"):
        modtrans_core.load(folder / "run", "cpu")


def test_a_modality_without_a_file_is_left_out_with_a_word(tmp_path):
    PairedEmbeddings({"image": np.eye(3) + 1, "text": np.eye(3, 4) + 1}).save(tmp_path / "pairs.npz")
    convert(tmp_path / "pairs.npz", tmp_path / "set")
    (tmp_path / "set" / "img_emb" / "img_emb_0.npy").rename(tmp_path / "away.npy")
    (tmp_path / "set" / ".modtrans.json").unlink()
    with pytest.warns(UserWarning, match="set: image has no numbered .npy file, and is left out"):
        assert [*load(tmp_path / "set").arrays] == ["text"]
