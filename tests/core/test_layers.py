"""A layer that learns by oneDNN: the numbers of torch's, and torch's own wherever nothing is learned."""

import pytest
import torch
from torch import nn

from modtrans_core.layers import ONEDNN_FROM, Linear

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")


def layers(bias=True, dtype=torch.float32):
    ours = Linear(200, ONEDNN_FROM // 200 + 1, bias=bias, dtype=dtype)
    theirs = nn.Linear(ours.in_features, ours.out_features, bias=bias, dtype=dtype)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def rows(*shape, dtype=torch.float32):
    return torch.randn(*shape, 200, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("shape", [(7,), (1,), (3, 5)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("needs", [True, False])
def test_a_large_layer_learns_by_onednn_and_has_the_gradients_of_torch(shape, bias, needs):
    found = []
    for layer in layers(bias):
        x = rows(*shape).requires_grad_(needs)
        z = layer(x)
        assert (z.grad_fn.name() == "ToDenseBackward0") is isinstance(layer, Linear)
        z.square().mean().backward()
        found.append([z, *([x.grad] if needs else []), *(weight.grad for weight in layer.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_it_is_torch_s_where_nothing_is_learned_in_float64_and_where_it_is_small():
    ours, theirs = layers()
    x = rows(7)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.eval()(x), theirs(x))
    ours, theirs = layers(dtype=torch.float64)
    assert torch.equal(ours(x.double()), theirs(x.double()))
    assert Linear(8, 8)(x[:, :8]).grad_fn.name() == "AddmmBackward0"


def test_who_switches_onednn_off_has_torch_s(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    assert layers()[0](rows(7)).grad_fn.name() == "AddmmBackward0"


def test_where_anomalies_are_looked_for_it_is_torch_s():
    with torch.autograd.set_detect_anomaly(True):
        z = layers()[0](rows(7))
        assert z.grad_fn.name() == "AddmmBackward0"
        z.sum().backward()
