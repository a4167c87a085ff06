"""The network on top of a base: what it can gain is found, what it cannot is not claimed."""

import numpy as np
import pytest
import torch

from modtrans_core import PairedEmbeddings
from modtrans_core.calibrated import network
from modtrans_core.calibrated.network import Network, OnBase, answers, learn
from modtrans_core.pairing import Pairing
from modtrans_core.vectors import unit

CPU = torch.device("cpu")
K, D = 4, 6


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"ENOUGH": 1000, "WIDTH": 64, "BATCH": 128, "EPOCHS": 12}.items():
        monkeypatch.setattr(network, name, value)


def made(n, bend, noise=0.3, seed=0, captions=1):
    """Targets about [c, cos(4 c)] where `bend` is 1, of which a linear base knows c alone; and that base."""
    rng = np.random.default_rng(seed)
    c = unit(rng.standard_normal((n, K))).astype(np.float32)
    truth = np.concatenate([c, bend * np.cos(4 * c[:, : D - K])], axis=1)
    z = unit(truth[:, None] + noise * rng.standard_normal((n, captions, D)))
    pairs = PairedEmbeddings({"image": c, "text": z if captions > 1 else z[:, 0]})
    M = torch.from_numpy(np.linalg.lstsq(c, z.mean(1))[0]).float()
    return Pairing(pairs, "image", "text"), lambda c, fold: c @ M, truth


def folds(pairing):
    return np.arange(len(pairing.pairs)) % 5


def cosine(zhat, z):
    return float((torch.nn.functional.normalize(zhat, dim=1) * z).sum(1).mean())


def test_what_bends_is_learned_and_the_gain_is_that_on_new_pairs():
    pairing, base, _ = made(6000, 1.0)
    learned = learn(pairing, folds(pairing), base, CPU)
    new, _, truth = made(6000, 1.0, seed=1)
    c, z = new.unit_pairs()
    m = base(c, None)
    best = cosine(torch.from_numpy(truth).float(), z) - cosine(m, z)
    with torch.no_grad():
        gain = cosine(learned.network(c, m), z) - cosine(m, z)
    assert gain > 0.8 * best and gain < best + 0.002
    assert learned.gain == pytest.approx(gain, abs=0.03)
    assert len(learned.held) == 600


def test_where_the_base_is_right_there_is_no_network():
    pairing, base, _ = made(3000, 0.0)
    assert learn(pairing, folds(pairing), base, CPU) is None


def test_of_few_conditions_nothing_is_tried():
    pairing, _, _ = made(999, 1.0)

    def never(c, fold):
        raise AssertionError

    assert learn(pairing, folds(pairing), never, CPU) is None


def test_the_base_is_asked_once_for_each_condition_with_the_fold_of_its_item():
    pairing, _, _ = made(50, 1.0)
    group = np.arange(50) % 7
    found = answers(pairing, group, lambda c, fold: c[:, :1] + torch.zeros(1, D) + 10 * fold[:, None], CPU)
    assert torch.allclose(found[:, 0].float(), torch.from_numpy(unit(pairing.c)[:, 0] + 10 * group).float(), atol=0.05)


def test_a_batch_holds_what_the_base_said_of_its_own_conditions():
    pairing, _, _ = made(40, 1.0, captions=3)
    batches = OnBase(pairing, 16, 0, CPU, torch.from_numpy(unit(pairing.c)).tile(1, 2)[:, :D].half())
    for (both, z), step in zip(batches.iterate(range(9)), range(9), strict=True):  # an epoch has 7
        c, targets = (rows[torch.from_numpy(batches.chosen(step))] for rows in pairing.unit_pairs())
        assert torch.equal(both[:, :K], c) and torch.equal(z, targets)
        assert torch.allclose(both[:, K:], c.tile(1, 2)[:, :D], atol=1e-3)


def test_held_out_are_whole_groups_and_a_training_sees_none_of_them(monkeypatch):
    pairing, base, _ = made(2000, 1.0)
    group = np.arange(2000) // 20
    grouped = Pairing(PairedEmbeddings(dict(pairing.pairs.arrays), group=group), "image", "text")
    trained = []
    monkeypatch.setattr(network, "OnBase", lambda seen, *rest: trained.append(seen) or OnBase(seen, *rest))
    learned = learn(grouped, group % 5, base, CPU)
    held = set(group[learned.held])
    assert len(held) == 10 and len(learned.held) == 200 and held.isdisjoint(trained[0].pairs.labels)


def test_two_trainings_agree_to_the_bit_and_leave_the_callers_random_state():
    pairing, base, _ = made(1500, 1.0)
    state = torch.get_rng_state()
    one, two = (learn(pairing, folds(pairing), base, CPU) for _ in range(2))
    assert one.gain == two.gain and torch.equal(torch.get_rng_state(), state)
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, two.network.state_dict()[name])


def test_a_network_that_was_not_trained_adds_nothing():
    c, m = torch.randn(5, K), torch.randn(5, D)
    assert torch.equal(Network(K, D, 8)(c, m), m)


def test_of_more_conditions_than_there_is_room_for_so_many_are_looked_at(monkeypatch):
    pairing, base, _ = made(3000, 1.0)
    monkeypatch.setattr(network, "ROOM", 2 * D * 1500)
    asked = []

    def counted(c, fold):
        asked.append(len(c))
        return base(c, fold)

    learned = learn(pairing, folds(pairing), counted, CPU)
    assert sum(asked) == 1500 and len(learned.held) == 150
