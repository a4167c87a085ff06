"""The network on top of a base: what it can gain is found, what it cannot is not claimed."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch

from modtrans_core import CalibratedConfig, PairedEmbeddings, fit, load
from modtrans_core.calibrated import held as held_out
from modtrans_core.calibrated import network
from modtrans_core.calibrated.network import Held, Network, OnBase, learn
from modtrans_core.pairing import Pairing
from modtrans_core.vectors import unit

CPU = torch.device("cpu")
K, D = 4, 6


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"WIDTH": 64, "BATCH": 128, "EPOCHS": 12}.items():
        monkeypatch.setattr(network, name, value)


def made(n, bend, seed=0, captions=1, group=None):
    """Targets about [c, bend cos(4 c)], of which a linear base knows c alone."""
    rng = np.random.default_rng(seed)
    c = unit(rng.standard_normal((n, K))).astype(np.float32)
    truth = np.concatenate([c, bend * np.cos(4 * c[:, : D - K])], axis=1)
    z = unit(truth[:, None] + 0.3 * rng.standard_normal((n, captions, D)))
    pairs = PairedEmbeddings({"image": c, "text": z if captions > 1 else z[:, 0]}, group=group)
    return Pairing(pairs, "image", "text"), torch.from_numpy(unit(truth)).float()


def linear(pairing):
    """The base: least squares."""
    c, z = pairing.unit_pairs()
    M = torch.linalg.lstsq(c, z).solution
    return lambda c: c @ M


def held(pairing, base):
    c, z = pairing.unit_pairs()
    return Held(c, z, base(c))


def cosine(zhat, z):
    return float((torch.nn.functional.normalize(zhat, dim=1) * z).sum(1).mean())


def test_what_bends_is_learned_and_the_gain_is_that_on_new_pairs():
    pairing, _ = made(5000, 1.0)
    base = linear(pairing)
    learned = learn(pairing, linear, held(made(1500, 1.0, seed=1)[0], base), CPU)
    new, truth = made(6000, 1.0, seed=2)
    c, z = new.unit_pairs()
    best = cosine(truth, z) - cosine(base(c), z)
    with torch.no_grad():
        gain = cosine(learned.network(c, base(c)), z) - cosine(base(c), z)
    assert 0.8 * best < gain < best + 0.002
    assert learned.gain == pytest.approx(gain, abs=0.02)


def test_where_the_base_is_right_there_is_no_network():
    pairing, _ = made(3000, 0.0)
    assert learn(pairing, linear, held(made(1000, 0.0, seed=1)[0], linear(pairing)), CPU) is None


def test_what_does_not_gain_on_held_out_conditions_is_given_up_early():
    pairing, _ = made(3000, 1.0)
    other, _ = made(1000, 0.0, seed=1)  # where nothing bends
    done = []
    found = learn(
        pairing, linear, held(other, linear(other)), CPU, report=lambda step, steps: done.append(step / steps)
    )
    assert found is None and 0.1 < max(done) < 0.3


def test_each_half_is_whole_groups_and_is_translated_by_the_fit_to_the_other():
    group = np.arange(600) // 20
    pairing, _ = made(600, 1.0, group=group)
    asked = {}

    def recorded(part):
        fitted, base = set(part.pairs.groups), linear(part)

        def predict(c):
            items = [np.flatnonzero((np.abs(unit(pairing.c) - row) < 1e-6).all(1))[0] for row in c.numpy()]
            asked[min(fitted)] = (fitted, set(group[items]), len(items))
            return base(c)

        return predict

    learn(pairing, recorded, held(made(100, 1.0, seed=1)[0], linear(pairing)), CPU)
    (one, other) = asked.values()
    assert one[0].isdisjoint(other[0]) and one[0] == other[1] and other[0] == one[1]
    assert one[2] + other[2] == 600 and min(one[2], other[2]) > 250


def test_a_batch_holds_what_the_base_said_of_its_own_conditions():
    pairing, _ = made(40, 1.0, captions=3)
    batches = OnBase(pairing, 16, 0, CPU, torch.from_numpy(unit(pairing.c)).tile(1, 2)[:, :D].half())
    for (both, z), step in zip(batches.iterate(range(9)), range(9), strict=True):  # an epoch has 7
        c, targets = (rows[torch.from_numpy(batches.chosen(step))] for rows in pairing.unit_pairs())
        assert torch.equal(both[:, :K], c) and torch.equal(z, targets)
        assert torch.allclose(both[:, K:], c.tile(1, 2)[:, :D], atol=1e-3)


def test_two_trainings_agree_to_the_bit_and_leave_the_callers_random_state():
    pairing, _ = made(1500, 1.0)
    aside = held(made(500, 1.0, seed=1)[0], linear(pairing))
    state = torch.get_rng_state()
    one, two = (learn(pairing, linear, aside, CPU) for _ in range(2))
    assert one.gain == two.gain and torch.equal(torch.get_rng_state(), state)
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, two.network.state_dict()[name])


def test_a_network_that_was_not_trained_adds_nothing():
    c, m = torch.randn(5, K), torch.randn(5, D)
    assert torch.equal(Network(K, D, 8)(c, m), m)


def test_of_more_conditions_than_there_is_room_for_so_many_are_looked_at(monkeypatch):
    pairing, _ = made(3000, 1.0)
    monkeypatch.setattr(network, "ROOM", 2 * D * 1500)
    fitted = []
    learn(
        pairing, lambda part: fitted.append(len(part)) or linear(part), held(*made(300, 1.0)[:1], linear(pairing)), CPU
    )
    assert sum(fitted) == 1500


def test_the_translator_keeps_a_network_that_gains_and_is_saved_with_it(tmp_path, monkeypatch):
    """On top of a linear map, of more conditions than are left out; of pairs with nothing to gain there is none."""
    monkeypatch.setattr(network, "ENOUGH", 3000)
    monkeypatch.setattr(import_module("modtrans_core.calibrated.model"), "WIDTH", 64)
    monkeypatch.setattr(held_out, "LEFT_OUT", 1000)
    config = CalibratedConfig(landmarks=0, goal="cosine")
    pairs, (new, truth) = made(5000, 1.0)[0].pairs, made(4000, 1.0, seed=2)
    fitted, plain = (fit(pairs, config=one, device="cpu") for one in (config, replace(config, network=False)))
    assert str(fitted) == "CalibratedTranslator(image 4 -> text 6, cosine, with a network)" and plain.network is None
    c, z = new.unit_pairs()
    gain = cosine(fitted.translate(c), z) - cosine(plain.translate(c), z)
    assert gain > 0.7 * (cosine(truth, z) - cosine(plain.translate(c), z)) > 0.01
    assert float(fitted.expected_cosine(c).mean()) == pytest.approx(cosine(fitted.translate(c), z), abs=0.01)
    fitted.save(tmp_path / "run")
    torch.testing.assert_close(load(tmp_path / "run", device="cpu").translate(c), fitted.translate(c))
    assert fit(made(5000, 0.0)[0].pairs, config=config, device="cpu").network is None
    assert fit(pairs.take(np.arange(2900)), config=config, device="cpu").network is None
