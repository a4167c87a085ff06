"""The network: what it starts as, and that the null condition stands where a condition was dropped."""

import math

import pytest
import torch

from modtrans_core.poster.denoiser import Denoiser, frequencies, sinusoid

K, D = 6, 16


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = Denoiser(D, K, width=16, depth=2, dropout=0.5).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    return made


def test_null_condition_replaces_the_dropped_rows_only(network):
    c, x = torch.randn(11, K), torch.randn(11, D)
    t = torch.zeros(11, dtype=torch.long)
    drop = torch.arange(11) % 2 == 0
    with torch.no_grad():
        mixed = network(x, t, network.embed(torch.where(drop[:, None], network.null, c)))
        torch.testing.assert_close(mixed[drop], network(x, t, network.embed(None))[drop])
        torch.testing.assert_close(mixed[~drop], network(x, t, network.embed(c))[~drop])


def test_blocks_start_as_the_identity():
    network = Denoiser(D, K, width=16, depth=3, dropout=0.0)
    heard = []
    network.out.register_forward_pre_hook(lambda _, given: heard.append(given[0]))
    x, c = torch.randn(4, D), network.embed(torch.randn(4, K))
    network(x, torch.arange(4), c)
    assert torch.equal(heard[0], network.embed_x(x) + c)


def test_an_untrained_network_says_nothing():
    made = Denoiser(D, K, width=16, depth=3, dropout=0.1)
    assert not made(torch.randn(4, D), torch.arange(4), made.embed(torch.randn(4, K))).any()


def test_one_time_serves_every_row(network):
    c, x = network.embed(torch.randn(5, K)), torch.randn(5, D)
    with torch.no_grad():
        torch.testing.assert_close(network(x, torch.tensor([7]), c), network(x, torch.full((5,), 7), c))
        assert (network(x, torch.tensor([7]), c) - network(x, torch.tensor([900]), c)).abs().max() > 1e-3


@pytest.mark.parametrize("width", [16, 17])
def test_time_features_are_cosines_and_sines_of_falling_frequencies(width):
    frequency = frequencies(width)
    half = width // 2
    assert frequency.shape == (half,) and frequency[0] == 1
    expected = [math.exp(-math.log(1e4) * i / half) for i in range(half)]
    torch.testing.assert_close(frequency, torch.tensor(expected), rtol=1e-6, atol=0)
    t = torch.tensor([0, 3, 999])
    found = sinusoid(t, frequency)
    torch.testing.assert_close(found, torch.cat([(t[:, None] * frequency).cos(), (t[:, None] * frequency).sin()], 1))
    made = Denoiser(D, K, width, depth=1, dropout=0.0)
    assert made(torch.zeros(3, D), t, made.embed(None)).shape == (3, D)


def test_dropout_acts_in_training_alone(network):
    x, c = torch.randn(5, D), network.embed(torch.randn(5, K))
    t = torch.zeros(5, dtype=torch.long)
    assert torch.equal(network(x, t, c), network(x, t, c))
    network.train()
    assert not torch.equal(network(x, t, c), network(x, t, c))
