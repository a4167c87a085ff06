"""One direction of a pair set against loops over its items and captions, and the batches of a training."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modtrans_core import PairedEmbeddings, Pairing, distributed
from modtrans_core.pairing import Batches, on_device
from modtrans_core.vectors import mean_of_unit, unit

CPU = torch.device("cpu")


def made(seed, several=("a", "b"), n=None):
    """Up to 9 items with up to 3 vectors of each modality that is in `several`, NaN where an item has no more."""
    rng = np.random.default_rng(seed)
    n = n or int(rng.integers(1, 10))
    arrays, counts = {}, {}
    for name, d in (("a", 4), ("b", 3)):
        if name not in several:
            arrays[name] = rng.normal(size=(n, d)).astype(np.float32)
            continue
        counts[name] = rng.integers(1, 4, n)
        arrays[name] = rng.normal(size=(n, 3, d)).astype(np.float32)
        arrays[name][np.arange(3) >= counts[name][:, None]] = np.nan
    return PairedEmbeddings(arrays, counts, group=rng.integers(0, 3, n))


def loop(pairs):
    """Every pair as (item, c, z), item by item, caption by caption."""

    def of(name, item):
        array = pairs.modality(name)
        return array[item : item + 1] if array.ndim == 2 else array[item, : pairs.counts[name][item]]

    return [(item, c, z) for item in range(len(pairs)) for c in of("a", item) for z in of("b", item)]


SETS = st.builds(made, st.integers(0, 10**6), st.sampled_from([(), ("a",), ("b",), ("a", "b")]))


@given(pairs=SETS)
def test_pairs_are_those_of_a_loop(pairs):
    pairing, expected = Pairing(pairs, "a", "b"), loop(pairs)
    assert (len(pairing), pairing.k, pairing.d) == (len(expected), 4, 3)
    item, c, z = (np.array(values) for values in zip(*expected, strict=True))
    np.testing.assert_array_equal(pairing.c[pairing.of_c], c)
    np.testing.assert_array_equal(pairing.z[pairing.of_z], z)
    np.testing.assert_array_equal(pairing.item[pairing.of_c], item)
    np.testing.assert_array_equal(pairing.group, pairs.groups[item])
    assert len(pairing.c) == len(np.unique(pairing.of_c)) and len(pairing.z) == len(np.unique(pairing.of_z))
    found_c, found_z = pairing.unit_pairs()
    np.testing.assert_allclose(found_c, unit(c), atol=1e-6)
    np.testing.assert_allclose(found_z, unit(z), atol=1e-6)


@given(pairs=SETS, items=st.integers(1, 4), processes=st.integers(1, 3))
def test_sums_are_those_of_a_loop(pairs, items, processes):
    """In whatever chunks and on however many processes."""
    pairing, found = Pairing(pairs, "a", "b"), []
    for rank in range(processes):
        found += list(pairing.sums(items=items, share=(rank, processes)))
    c, total, count = (torch.cat(tensors).double().numpy() for tensors in zip(*found, strict=True))
    every_c, every_z = (unit(np.array([pair[place] for pair in loop(pairs)])).astype(float) for place in (1, 2))
    assert len(c) == len(pairing.c) and count.sum() == len(pairing)
    np.testing.assert_allclose((c * count[:, None]).T @ c, every_c.T @ every_c, atol=1e-5)
    np.testing.assert_allclose(c.T @ total, every_c.T @ every_z, atol=1e-5)
    np.testing.assert_allclose(total.sum(0), every_z.sum(0), atol=1e-5)


def test_sums_report_the_items_that_were_done():
    seen = []
    list(Pairing(made(0, n=9), "a", "b").sums(items=4, report=lambda *done: seen.append(done)))
    assert seen == [(4, 9), (8, 9), (9, 9)]


@given(pairs=SETS)
def test_the_mean_weighs_every_item_the_same(pairs):
    means = {}
    for item, _, z in loop(pairs):
        means.setdefault(item, []).append(unit(z).astype(float))
    expected = np.mean([np.mean(rows, axis=0) for rows in means.values()], axis=0)
    found = Pairing(pairs, "a", "b").mean()
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found, mean_of_unit(pairs.modality("b"), pairs.counts.get("b")), atol=1e-6)


def test_pieces_of_a_large_set_change_nothing(monkeypatch):
    pairing = Pairing(made(3, n=9), "a", "b")
    mean, rows = pairing.mean(), on_device(pairing.z, CPU)
    monkeypatch.setattr("modtrans_core.pairing.ROWS", 2)
    np.testing.assert_allclose(pairing.mean(), mean, atol=1e-7)
    assert torch.equal(on_device(pairing.z, CPU), rows)


def test_targets_and_counts_are_the_sets():
    pairs = made(3, ("b",), n=5)
    pairing = Pairing(pairs, "a", "b")
    assert pairing.targets is pairs.modality("b") and pairing.counts is pairs.counts["b"]
    assert Pairing(pairs, "b", "a").counts is None and (Pairing(pairs, "b", "a").k, Pairing(pairs, "b", "a").d) == (
        3,
        4,
    )


def test_some_of_the_pairs():
    pairing = Pairing(made(3, n=9), "a", "b")
    few = pairing.take(np.array([7, 2]))
    np.testing.assert_array_equal(few.c, np.concatenate([pairing.c[pairing.item == item] for item in (7, 2)]))
    assert len(few.pairs) == 2 and few.item.max() == 1
    assert len(pairing.at_most(4).pairs) == 4 and len(pairing.at_most(100)) == len(pairing)


def test_a_modality_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="modality 'sound': not in this pair set"):
        Pairing(made(0), "a", "sound")


@given(seed=st.integers(0, 10**6), size=st.integers(1, 12), n=st.integers(1, 9))
def test_epochs_are_permutations(seed, size, n):
    """Cut into whole batches; less than a batch is left out of an epoch."""
    batches = Batches(Pairing(made(seed, n=n), "a", "b"), size, seed, CPU)
    steps = batches.pairs // batches.size
    assert batches.size == min(size, batches.pairs)
    for epoch in range(2):
        chosen = np.concatenate([batches.chosen(epoch * steps + step) for step in range(steps)])
        assert len(chosen) == steps * batches.size and len(set(chosen)) == len(chosen)
        assert batches.pairs - len(chosen) < batches.size and set(chosen) <= set(range(batches.pairs))


def test_the_order_is_the_seeds_and_another_one_in_every_epoch():
    pairing = Pairing(made(0, (), n=9), "a", "b")
    orders = [
        tuple(np.concatenate([Batches(pairing, 3, seed, CPU).chosen(3 * epoch + step) for step in range(3)]))
        for seed in (0, 1)
        for epoch in range(4)
    ]
    assert len(set(orders)) == 8
    again = np.concatenate([Batches(pairing, 3, 0, CPU).chosen(step) for step in range(3)])
    assert tuple(again) == orders[0]


@pytest.fixture
def both(tmp_path):
    """One pairing whose vectors are in memory, and the same one on disk."""
    made(5, n=9).save(tmp_path / "pairs.npz")
    return [Pairing(PairedEmbeddings.load(tmp_path / "pairs.npz", mapped), "a", "b") for mapped in (False, True)]


def test_a_batch_is_its_pairs_wherever_the_vectors_are(both):
    memory, disk = (Batches(pairing, 4, 7, CPU) for pairing in both)
    assert memory.resident is not None and disk.resident is None
    expected = loop(both[0].pairs)
    steps = range(3, 17)  # from the middle of an epoch through several
    for step, one, other in zip(steps, memory.iterate(steps), disk.iterate(steps), strict=True):
        rows = [expected[pair] for pair in memory.chosen(step)]
        for place, (found, read) in enumerate(zip(one, other, strict=True), 1):
            assert torch.equal(found, read) and found.dtype == torch.float32
            np.testing.assert_allclose(found, unit(np.array([row[place] for row in rows])), atol=1e-6)


@pytest.mark.parametrize("world", [2, 3, 5])
def test_processes_share_the_batch_of_one(both, monkeypatch, world):
    """Row by row, in its order: the data order does not depend on how many processes there are."""
    for pairing in both:
        whole = list(Batches(pairing, 4, 7, CPU).iterate(range(12)))
        shared = [[] for _ in whole]
        monkeypatch.setattr(distributed, "world", lambda: world)
        for rank in range(world):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            mine, weight = distributed.share(4)
            for rows, found in zip(shared, Batches(pairing, 4, 7, CPU).iterate(range(12), mine), strict=True):
                rows += [found] if weight else []
        monkeypatch.undo()
        for rows, (c, z) in zip(shared, whole, strict=True):
            assert torch.equal(torch.cat([row[0] for row in rows]), c)
            assert torch.equal(torch.cat([row[1] for row in rows]), z)


def test_vectors_on_the_device_are_unit_vectors(both):
    memory, disk = (on_device(pairing.c, CPU) for pairing in both)
    assert torch.equal(memory, disk)
    torch.testing.assert_close(memory.norm(dim=1), torch.ones(len(memory)))
