"""The contenders: each learns and translates, and what is missing is named."""

import sys

import pytest
import torch

from analysis.bench import contenders, peers
from analysis.bench.contenders import Preset
from analysis.bench.run import Settings, operations
from analysis.bench.task import synthetic_task
from modtrans_core import preset
from modtrans_core.scores import cosine

TINY = Settings(translated=16, steps=4)


@pytest.fixture(scope="module")
def task():
    return synthetic_task((96, 24, 20), 16, 4, 0, torch.device("cpu"))


def fitted(task, contender):
    contender.fit(task, 32, 3)
    return contender


def test_ours_are_the_presets_and_the_calibrated_map_by_its_size():
    found = {one.name: one for one in contenders.ours()}
    assert list(found) == ["poster", "calibrated, linear", "calibrated"]
    assert (
        found["calibrated, linear"].config.landmarks == 0
        and found["calibrated"].config.landmarks == preset("calibrated").landmarks
    )
    assert [one.learns for one in found.values()] == [True, False, False]


def test_calibrated_with_no_functions_has_a_mean_and_lengths(task):
    translator = fitted(task, Preset("calibrated", landmarks=0)).fitted
    assert translator.mean.shape == (16,) and translator.expected_cosine(task.conditions(5)).shape == (5,)


def test_a_calibrated_translation_takes_one_product_with_its_features(task):
    for landmarks in (0, 32):
        contender = fitted(task, Preset("calibrated", landmarks=landmarks))
        L, features = len(contender.fitted.landmarks), len(contender.fitted.M)
        assert landmarks == L and features > 16 + L
        assert operations(task, contender, TINY) == {"translation": 2 * (16 * L + features * 16)}


def test_ridge_is_nearly_the_linear_calibrated_map(task):
    c = task.conditions(50)
    ridge, linear = (fitted(task, one).translate(c, 1) for one in (Preset("ridge"), Preset("calibrated", landmarks=0)))
    assert cosine(ridge.numpy(), linear.numpy()).mean() > 0.95


@pytest.mark.parametrize("name", peers.PEERS)
def test_a_peer_learns_and_translates(task, name, monkeypatch):
    for constant, value in (("DEPTH", 1), ("HEADS", 2), ("PEERS", {name: peers.PEERS[name]})):
        monkeypatch.setattr(peers, constant, value)
    able, left_out = peers.peers(16, 16)
    if not able:
        pytest.skip(str(left_out))
    (peer,) = able
    if name == "published network":
        peer = Preset("released", name, peer=True, lambda_1=0.0, width=32, depth=2)
    c = task.conditions(20)
    assert peer.peer and fitted(task, peer).translate(c, 2).shape == (20, 16)
    assert torch.allclose(c.norm(dim=1), torch.ones(20), atol=1e-5)  # nobody changes the caller's vectors
    if isinstance(peer, peers.Prior):
        peer.fit(task, 32, 1)
        before, after = peer.fitted, fitted_for(task, peer, 30)
        assert loss(task, peer, after) < loss(task, peer, before)


def fitted_for(task, peer, steps):
    peer.fit(task, 32, steps)
    return peer.fitted


def loss(task, peer, network):
    torch.manual_seed(0)
    with torch.no_grad():
        return sum(float(peer.loss(network, *task.pairing.unit_pairs())) for _ in range(5))


def test_a_missing_peer_is_one_line_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    monkeypatch.setattr(peers, "PEERS", {"diffusers prior": peers.DiffusersPrior, "ridge": peers.PEERS["ridge"]})
    able, left_out = peers.peers(16, 16)
    assert [peer.name for peer in able] == ["ridge"]
    assert list(left_out) == ["diffusers prior"] and ".[bench]" in left_out["diffusers prior"]


def test_a_peer_of_one_space_is_left_out_where_there_are_two(monkeypatch):
    class OneSpace(Preset):
        one_space = True

    monkeypatch.setattr(peers, "PEERS", {"one": lambda: OneSpace("ridge")})
    assert peers.peers(16, 8) == ([], {"one": "needs one dimension for both modalities, here 16 and 8"})


def test_kernel_ridge_is_the_closed_form_and_nystroem_comes_near_to_it(task):
    exact, near = (peers.PEERS[name]() for name in ("KernelRidge", "Nystroem + Ridge"))
    c = task.conditions(40)
    found = fitted(task, exact).translate(c, 1)
    train, z = (rows.double() for rows in task.pairing.unit_pairs())
    gamma = exact.fitted.gamma
    kernel = torch.exp(-gamma * torch.cdist(train, train).square())
    weights = torch.linalg.solve(kernel + torch.eye(len(train)), z)
    assert torch.allclose(
        found.double(), torch.exp(-gamma * torch.cdist(c.double(), train).square()) @ weights, atol=1e-4
    )
    assert cosine(fitted(task, near).translate(c, 1).numpy(), found.numpy()).mean() > 0.9
    assert len(near.fitted[0].components_) == 96  # all of its pairs, which are few
