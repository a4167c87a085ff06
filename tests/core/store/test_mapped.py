"""Pair sets that stay on disk: the same rows, checks, splits and trainings as in memory, and little of it read."""

import os
import pickle
import time
import tracemalloc

import numpy as np
import pytest
import torch

from modtrans_core import PairedEmbeddings, Pairing, PosterConfig, TrainConfig, fit
from modtrans_core.linear import NormalEquations
from modtrans_core.methods import translated_scores
from modtrans_core.pairing import Batches
from modtrans_core.store import mapped

load = PairedEmbeddings.load


def make(n=60, seed=0, kind=np.float32, **more):
    rng = np.random.default_rng(seed)
    arrays = {"image": rng.normal(size=(n, 7)).astype(kind), "text": rng.normal(size=(n, 3, 5)).astype(kind)}
    return arrays, {"text": rng.integers(1, 4, n)}, rng.integers(0, n // 2, n)


def write(path, arrays, counts, group, items, save=np.savez):
    """Vectors in the type they have, which `PairedEmbeddings.save` would widen."""
    named = {**arrays, **{f"{name}_count": count for name, count in counts.items()}, "group": group}
    named = {name: np.ascontiguousarray(array[items]) for name, array in named.items()}
    if path.suffix == ".npz":
        save(path, **named)
    else:
        from safetensors.numpy import save_file

        save_file(named, path)


@pytest.fixture(params=["npz", "safetensors", "shards", "float16", "one of each"])
def folder(request, tmp_path):
    """A set on disk in some layout, and the same in memory."""
    parts = make(kind=np.float16 if request.param == "float16" else np.float32)
    whole = np.arange(60)
    pairs = PairedEmbeddings(parts[0], parts[1], parts[2])
    if request.param in ("npz", "safetensors"):
        path = tmp_path / f"pairs.{request.param}"
        write(path, *parts, whole)
        return path, pairs
    for index, items in enumerate(np.split(whole, [7, 8, 41])):
        suffix = "safetensors" if request.param == "one of each" and index % 2 else "npz"
        write(tmp_path / f"{index}.{suffix}", *parts, items)
    return tmp_path, pairs


def test_what_is_mapped_is_what_is_in_memory(folder):
    path, memory = folder
    mapped = load(path, mapped=True)
    assert mapped.mapped and not load(path).mapped and len(mapped) == 60
    assert mapped.fingerprint() == memory.fingerprint() == load(path).fingerprint()
    for one, other in zip((mapped, *mapped.split(3)), (memory, *memory.split(3)), strict=True):
        assert one.fingerprint() == other.fingerprint()
        found, expected = (Pairing(pairs, "text", "image") for pairs in (one, other))
        for field in ("c", "z", "of_c", "of_z"):
            np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))
        for name in ("image", "text"):
            array, expected = one.modality(name), other.modality(name)
            rng = np.random.default_rng(0)
            for index in (
                slice(None), slice(3, 40, 5), slice(None, None, -1), rng.integers(0, len(one), 50), -1, 0,
                rng.random(len(one)) < 0.5, rng.integers(0, len(one), (4, 3)), np.array([], int), (slice(2), 1),
                expected > 0,
            ):  # fmt: skip
                assert array[index].dtype == np.float32
                np.testing.assert_array_equal(array[index], expected[index])
            assert array.shape == expected.shape and array.ndim == expected.ndim and array.dtype == expected.dtype
            with pytest.raises(IndexError):
                array[[len(one)]]


def test_clip_retrievals_layout_is_mapped_and_saved_again(tmp_path):
    rng = np.random.default_rng(0)
    for prefix in ("img_emb", "text_emb"):
        (tmp_path / prefix).mkdir()
        for index in range(12):
            np.save(tmp_path / prefix / f"{prefix}_{index}.npy", rng.normal(size=(4, 6)).astype(np.float16))
    mapped, memory = load(tmp_path, mapped=True), load(tmp_path)
    np.testing.assert_array_equal(mapped.modality("image"), memory.modality("image"))
    mapped.split(0)[0].save(tmp_path / "train.npz")
    assert load(tmp_path / "train.npz").fingerprint() == memory.split(0)[0].fingerprint()


def test_large_sets_are_mapped_by_default_and_compressed_ones_cannot_be(tmp_path, monkeypatch):
    parts = make()
    write(tmp_path / "a.npz", *parts, np.arange(60))
    write(tmp_path / "b.npz", *parts, np.arange(60), np.savez_compressed)
    with pytest.raises(ValueError, match=r"b.npz: image: compressed.*cannot be mapped"):
        load(tmp_path / "b.npz", mapped=True)
    by_column = np.asfortranarray(parts[0]["image"])
    np.savez(tmp_path / "c.npz", image=by_column)
    with pytest.raises(ValueError, match=r"c.npz: image: .*not row by row.*cannot be mapped"):
        load(tmp_path / "c.npz", mapped=True)
    monkeypatch.setattr(mapped, "LARGE", 60 * 22 * 4)
    assert not load(tmp_path / "a.npz").mapped
    monkeypatch.setattr(mapped, "LARGE", 60 * 22 * 4 - 1)
    assert load(tmp_path / "a.npz").mapped
    assert not load(tmp_path / "b.npz").mapped and not load(tmp_path / "c.npz").mapped


def test_shards_without_groups_get_one_for_each_item(tmp_path):
    arrays, _, group = make()
    for index, items in enumerate(np.split(np.arange(60), 3)):
        np.savez(tmp_path / f"{index}.npz", image=arrays["image"][items])
    for on_disk in (True, False):
        np.testing.assert_array_equal(load(tmp_path, on_disk).groups, np.arange(60))
    np.savez(tmp_path / "3.npz", image=arrays["image"], group=group)
    with pytest.raises(ValueError, match=r"shards differ: .*0.npz has no group"):
        load(tmp_path)


def test_shards_with_and_without_counts(tmp_path):
    arrays, counts, group = make()
    write(tmp_path / "0.npz", arrays, counts, group, np.arange(30))
    write(tmp_path / "1.npz", arrays, {}, group, np.arange(30, 60))
    mapped, memory = load(tmp_path, mapped=True), load(tmp_path)
    np.testing.assert_array_equal(mapped.counts["text"], np.r_[counts["text"][:30], np.full(30, 3)])
    np.testing.assert_array_equal(mapped.modality("text"), memory.modality("text"))
    assert mapped.fingerprint() == memory.fingerprint()


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_a_bad_row_is_named_when_it_is_read(tmp_path, value):
    (arrays, counts, group), words = make(), "NaN or infinity" if np.isnan(value) else "a zero vector"
    arrays["text"][43, 0] = value
    arrays["text"][50, counts["text"][50] :] = value  # a caption that is not there
    for index, items in enumerate(np.split(np.arange(60), [20, 40])):
        write(tmp_path / f"{index}.npz", arrays, counts, group, items)
    pairs = load(tmp_path, mapped=True)
    pairs.modality("text")[np.r_[:43, 44:60]]
    rows, item = pairs.rows("text")
    rows[item != 43]
    for read in (
        lambda: pairs.modality("text")[40:],
        lambda: np.asarray(rows),
        lambda: list(Pairing(pairs, "image", "text").sums(items=7)),
        lambda: pairs.take(np.array([2, 43])).modality("text")[-1],
    ):
        with pytest.raises(ValueError, match=rf"2.npz: text: {words} in row 3 \(1 bad of .*finite non-zero") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_a_torn_shard_is_refused_when_it_is_opened(tmp_path):
    for suffix in (".npz", ".safetensors"):
        path = tmp_path / f"pairs{suffix}"
        write(path, *make(), np.arange(60))
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(ValueError, match=f"pairs{suffix}: "):
            load(path, mapped=True)
    (tmp_path / "img_emb").mkdir()
    path = tmp_path / "img_emb" / "img_emb_0.npy"
    np.save(path, np.ones((9, 4)))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"img_emb_0.npy: damaged or cut short"):
        load(tmp_path, mapped=True)


def test_more_shards_than_maps_that_may_be_open(tmp_path):
    (tmp_path / "text_emb").mkdir()
    whole = np.random.default_rng(0).normal(size=(mapped._OPEN_MAPS + 30, 1, 4)).astype(np.float16)
    for index, rows in enumerate(whole):
        np.save(tmp_path / "text_emb" / f"text_emb_{index}.npy", rows)
    pairs = load(tmp_path, mapped=True)
    for _ in range(2):
        np.testing.assert_array_equal(pairs.modality("text"), whole[:, 0].astype(np.float32))
    assert mapped._map.cache_info().currsize == mapped._OPEN_MAPS


@pytest.mark.parametrize("source", ["image", "text"])
@pytest.mark.parametrize("processes", [1, 3])
def test_sums_are_those_over_pairs(tmp_path, source, processes):
    write(tmp_path / "pairs.npz", *make(), np.arange(60))
    target = "text" if source == "image" else "image"
    memory = load(tmp_path / "pairs.npz")
    pairing = Pairing(memory, source, target)
    c, z, of_c, of_z = pairing.c, pairing.z, pairing.of_c, pairing.of_z
    c, z = (x.astype(float) / np.linalg.norm(x.astype(float), axis=1, keepdims=True) for x in (c, z))
    total = np.zeros((len(c), z.shape[1]))
    np.add.at(total, of_c, z[of_z])
    expected = np.column_stack([c, total, np.bincount(of_c)])
    for pairs in (memory, load(tmp_path / "pairs.npz", mapped=True)):
        shares = [(r, processes) for r in range(processes)]
        chunks = [list(Pairing(pairs, source, target).sums(items=7, share=share)) for share in shares]
        dealt = [chunks[i % processes][i // processes] for i in range(9)]
        assert sum(map(len, chunks)) == 9  # 60 items, 7 at a time
        assert all(part.dtype == torch.float32 for chunk in dealt for part in chunk)
        found = np.concatenate([np.column_stack(chunk) for chunk in dealt])
        np.testing.assert_allclose(found, expected, atol=1e-6)


CONFIG = PosterConfig(width=16, depth=1, steps=2, train=TrainConfig(steps=9, batch=20))


def test_training_from_disk_ends_with_the_bits_of_training_from_memory(folder):
    path, memory = folder
    mapped = load(path, mapped=True)
    for source, target in (("image", "text"), ("text", "image")):
        one, other = (fit(pairs, source, target, CONFIG, device="cpu") for pairs in (mapped, memory))
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
            assert torch.equal(a, b)
        assert translated_scores(one, mapped) == translated_scores(one, memory)


def test_a_set_that_fits_on_the_device_is_put_there(folder, monkeypatch):
    mapped, device = load(folder[0], mapped=True), torch.device("cpu")
    streamed = Batches(Pairing(mapped, "image", "text"), 20, 0, device)
    monkeypatch.setattr("modtrans_core.pairing._room", lambda _: 4 * (60 * 7 + folder[1].counts["text"].sum() * 5))
    resident = Batches(Pairing(mapped, "image", "text"), 20, 0, device)
    assert streamed.resident is None and resident.resident is not None
    steps = range(2, 25)
    for one, other in zip(streamed.iterate(steps, slice(3, 9)), resident.iterate(steps, slice(3, 9)), strict=True):
        assert one[0].shape == (6, 7) and torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    assert list(streamed.iterate(range(4, 4), slice(3, 9))) == []


def test_a_bad_row_met_in_training_is_one_error(tmp_path):
    arrays, counts, group = make()
    write(tmp_path / "pairs.npz", arrays, counts, group, np.arange(60))
    pairing = Pairing(load(tmp_path / "pairs.npz", mapped=True), "image", "text")
    batches = Batches(pairing, 20, 0, torch.device("cpu"))
    arrays["image"][pairing.of_c[batches.chosen(1)[0]]] = np.inf
    write(tmp_path / "pairs.npz", arrays, counts, group, np.arange(60))
    pairing = Pairing(load(tmp_path / "pairs.npz", mapped=True), "image", "text")
    batches = Batches(pairing, 20, 0, torch.device("cpu"))
    with pytest.raises(ValueError, match="image: NaN or infinity in row"):
        for _ in batches.iterate(range(1, 9), slice(20)):
            pass


def test_the_linear_part_streams_in_bounded_memory(tmp_path, monkeypatch):
    """64 MB as float32, of which two threads hold chunks of 2.6 MB with their intermediate results."""
    monkeypatch.setattr("modtrans_core.ahead.threads", lambda: 2)
    rng = np.random.default_rng(0)
    for prefix, d in (("img_emb", 32), ("text_emb", 48)):
        (tmp_path / prefix).mkdir()
        for index in range(4):
            np.save(
                tmp_path / prefix / f"{prefix}_{index}.npy", rng.standard_normal((50_000, d), np.float32).astype("f2")
            )
    pairs = load(tmp_path, mapped=True)
    tracemalloc.start()
    equations = NormalEquations.of(Pairing(pairs, "image", "text").sums(), 32, 48)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert equations.pairs == 200_000 and peak < 200_000 * 80 * 4 / 2


def sparse(folder, n, d, shards, filled=()):
    """A set in clip-retrieval's layout whose files have their full size and, but for some rows, no content."""
    for prefix in ("img_emb", "text_emb"):
        (folder / prefix).mkdir(parents=True)
        for index in range(shards):
            with open(folder / prefix / f"{prefix}_{index}.npy", "wb") as file:
                header = {"descr": "<f2", "fortran_order": False, "shape": (n // shards, d)}
                np.lib.format.write_array_header_1_0(file, header)
                start = file.tell()
                for row in filled:
                    if row // (n // shards) == index:
                        file.seek(start + row % (n // shards) * d * 2)
                        file.write(np.full(d, row % 97 + 1, np.float16).tobytes())
                file.truncate(start + n // shards * d * 2)
    return folder


def test_ten_million_pairs_open_in_a_second(tmp_path):
    """10^7 x 512 float16 in both modalities, 20 GB if they were there."""
    folder = sparse(tmp_path / "set", 10**7, 512, 10, filled=[0, 5, 9_999_999])
    started = time.process_time()
    pairs = load(folder)
    took = time.process_time() - started
    assert pairs.mapped and pairs.modality("image").shape == (10**7, 512) and took < 1
    assert (pairs.modality("text")[[9_999_999, 5]][:, 0] == [9_999_999 % 97 + 1, 6]).all()
    with pytest.raises(ValueError, match="img_emb_0.npy: image: a zero vector in row 4"):
        pairs.modality("image")[4:6]


def test_the_fingerprint_of_a_large_set_is_of_a_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "LARGE", 10**5)
    arrays, counts, group = make(5000)
    for index, items in enumerate(np.split(np.arange(5000), 4)):
        write(tmp_path / f"{index}.npz", arrays, counts, group, items)
    pairs = load(tmp_path)
    expected = PairedEmbeddings(arrays, counts, group).fingerprint()  # in memory: neither layout nor type matters
    assert pairs.mapped and pairs.fingerprint() == expected
    changed = {name: array.copy() for name, array in arrays.items()}
    changed["image"][-1] += 1
    other_counts = {"text": np.where(np.arange(5000) == 17, 4 - counts["text"], counts["text"])}
    others = [
        PairedEmbeddings(changed, counts, group),
        PairedEmbeddings({**arrays, "image": arrays["image"] * 1.01}, counts, group),
        PairedEmbeddings(arrays, {"text": np.clip(other_counts["text"] % 3 + 1, 1, 3)}, group),
        PairedEmbeddings(arrays, counts, np.roll(group, 1)),
        pairs.take(np.arange(4999)),
        pairs.take(np.arange(5000)[::-1]),
    ]
    assert len({expected, *(other.fingerprint() for other in others)}) == 7


def test_items_are_chosen_on_disk_as_in_memory(folder):
    """By numbers, also from the end, and by a mask; what is not there is refused before a row is read."""
    path, whole = folder
    pairs = load(path, mapped=True)
    n = len(pairs)
    mask = np.arange(n) % 3 == 0
    for part in (np.array([-1, 2, -n]), mask, np.flatnonzero(mask)[::-1]):
        for name, array in pairs.take(part).arrays.items():
            np.testing.assert_array_equal(np.asarray(array), np.asarray(whole.take(part).arrays[name]))
    some = pairs.take(np.arange(10, 20))
    np.testing.assert_array_equal(some.take(np.array([-1])).modality("image")[:], pairs.modality("image")[19:20])
    for wrong in (np.array([n]), np.array([-n - 1]), mask[:-1], np.array([0.0])):
        with pytest.raises(IndexError):
            pairs.modality("image").take(wrong)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_set_on_disk_is_the_file_that_was_loaded_wherever_one_goes(tmp_path, monkeypatch, suffix):
    for name, sign in (("one", 1.0), ("two", -1.0)):
        (tmp_path / name).mkdir()
        PairedEmbeddings({"image": sign * (np.eye(3) + 1)}).save(tmp_path / name / f"m{suffix}")
    monkeypatch.chdir(tmp_path / "one")
    pairs = PairedEmbeddings.load(f"m{suffix}", mapped=True)
    monkeypatch.chdir(tmp_path / "two")
    for again in (pairs, pickle.loads(pickle.dumps(pairs)), pairs.take(np.arange(2))):
        assert (again.modality("image")[:2] == np.eye(3)[:2] + 1).all()


def test_a_file_that_was_removed_or_replaced_is_named(tmp_path):
    file = tmp_path / "m.npz"
    PairedEmbeddings({"image": np.eye(9)}).save(file)
    pairs = PairedEmbeddings.load(file, mapped=True)
    PairedEmbeddings({"image": np.eye(3)}).save(file)
    os.utime(file, ns=(1, 1))
    with pytest.raises(ValueError, match="m.npz: 'changed', the file that was loaded is needed"):
        pairs.modality("image")[0]
    file.unlink()
    with pytest.raises(ValueError, match="m.npz: 'no file', the one that was loaded is needed"):
        pairs.modality("image")[0]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_file_that_is_written_again_in_its_place_while_rows_of_it_are_read_is_named(tmp_path, suffix):
    """Its map would show other vectors under the old names, and end the process behind the end of a shorter file."""
    file, other = tmp_path / f"m{suffix}", tmp_path / f"other{suffix}"
    for path, sign in ((file, 1.0), (other, -1.0)):
        PairedEmbeddings({"image": sign * (np.eye(9) + 1)}).save(path)
    pairs = PairedEmbeddings.load(file, mapped=True)
    first = pairs.modality("image")[:3]
    with open(file, "r+b") as held:  # as numpy, h5py and cp write
        held.write(other.read_bytes())
    os.utime(file, ns=(1, 1))
    for rows in (pairs.modality("image"), pairs.take(np.arange(4)).modality("image")):
        with pytest.raises(ValueError, match=f"m{suffix}: 'changed', the file that was loaded is needed"):
            rows[:3]
    os.truncate(file, 0)
    with pytest.raises(ValueError, match="changed"):
        pairs.modality("image")[8]
    os.replace(other, file)  # as everything here writes: what is mapped is the old file still
    PairedEmbeddings({"image": np.eye(9) + 1}).save(file)
    pairs = PairedEmbeddings.load(file, mapped=True)
    assert (pairs.modality("image")[:3] == first).all()
    PairedEmbeddings({"image": -np.eye(9) - 1}).save(file)
    assert (pairs.modality("image")[:3] == first).all()
    file.unlink()
    assert (pairs.modality("image")[:3] == first).all()


def test_a_file_that_is_written_to_while_rows_are_read_is_named(tmp_path, monkeypatch):
    class Slow:
        """Rows that another process writes while they are read."""

        def __init__(self, rows, file):
            self.rows, self.file = rows, file

        def __getitem__(self, index):
            os.utime(self.file, ns=(1, 1))
            return self.rows[index]

    file = tmp_path / "m.npz"
    PairedEmbeddings({"image": np.eye(9) + 1}).save(file)
    rows = PairedEmbeddings.load(file, mapped=True).modality("image")
    rows[:2]
    (block,) = rows.blocks
    held, state = mapped._map(block)
    monkeypatch.setattr(mapped, "_map", lambda _: (Slow(held, file), state))
    with pytest.raises(ValueError, match="m.npz: 'changed', the file that was loaded is needed"):
        rows[:2]
