"""The cost model's counts against what torch counts; its rates are statements, not measurements."""

import pytest
import torch
from modtrans_core.config import Config, NetworkConfig, ObjectiveConfig
from modtrans_core.lift import lifted
from modtrans_core.objective import objective
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import FlopCounterMode

from analysis import cost
from modtrans_core import Translator
from modtrans_core.linear import NormalEquations

BATCH = 32
SHAPES = [(512, 512, 384, 3, 5), (512, 256, 384, 4, 6), (384, 512, 512, 3, 1)]
ONLY_VIEWS = {"t", "view", "_unsafe_view", "expand", "slice", "select", "split", "unsqueeze", "detach", "transpose"}
DRAWS = {"randn", "randn_like", "rand", "randint", "bernoulli_"}


class Operators(TorchDispatchMode):
    """Counts operators that do work, the numbers that they read and write, and those that they draw."""

    def __init__(self):
        super().__init__()
        self.launched = self.moved = self.drawn = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.__name__.split(".")[0]
        if name not in ONLY_VIEWS:
            tensors = [x for x in tree_flatten((args, kwargs or {}, out))[0] if isinstance(x, torch.Tensor)]
            self.launched += 1
            self.moved += sum(x.numel() for x in tensors)
            self.drawn += out.numel() if name in DRAWS else 0
        return out


def counted(k, d, width, depth, steps, batch):
    """FLOP, operators and the number of parameters of one step's objective and gradient."""
    config = Config(network=NetworkConfig(width, depth), objective=ObjectiveConfig(reconstruction_steps=steps))
    translator = Translator(k, d, config).train()
    c, z = (torch.nn.functional.normalize(torch.randn(batch, n), dim=1) for n in (k, d))
    with FlopCounterMode(display=False) as flops:
        objective(translator, c, z).total.backward()
    translator.zero_grad()
    with Operators() as operators:
        objective(translator, c, z).total.backward()
    return flops.get_total_flops(), operators, sum(parameter.numel() for parameter in translator.parameters())


@pytest.mark.parametrize("shape", SHAPES)
def test_counts_of_the_network_are_torchs(shape):
    """What is done once a batch (embedding the sampler's times, reading weights) cancels between two batches."""
    (flops, small, parameters), (more_flops, large, _) = (counted(*shape, batch) for batch in (BATCH, 2 * BATCH))
    pairs, network = cost.Pairs("", 1, 1, *shape[:2]), cost.Network(*shape[2:])
    assert cost.parameters(pairs, network) == parameters
    assert cost.flops(pairs, network) * BATCH == more_flops - flops
    assert cost.random_numbers(pairs, network) * BATCH == large.drawn - small.drawn
    assert cost.numbers_moved(pairs, network) * BATCH == pytest.approx(large.moved - small.moved, rel=0.05)
    assert cost.operators(network) == pytest.approx(large.launched, rel=0.05)
    once = 4.5 * (network.reconstruction_steps + 1) * parameters
    assert once == pytest.approx(2 * small.moved - large.moved, rel=0.25)


@pytest.mark.parametrize("landmarks", [0, 96])
def test_flops_of_the_normal_equations_are_torchs(landmarks):
    pairs = cost.Pairs("", 500, 1, 24, 16)
    c, z, near = (torch.empty(shape, device="meta") for shape in ((500, 24), (500, 16), (landmarks, 24)))
    with FlopCounterMode(display=False) as counted:
        features = lifted(c, near, torch.ones((), device="meta")) if landmarks else c
        NormalEquations(features.shape[1], 16, "meta").add(features, z)
    device = cost.Device(float32=1.0, matrix_share=1.0)
    assert cost.closed_form(pairs, 1, landmarks, device).matrix == counted.get_total_flops()
    assert cost.closed_form(pairs, 4, landmarks, device).matrix == counted.get_total_flops() / 4


def test_time_is_what_limits_it_and_shares_shrink():
    """Twice the work, twice the time; an infinitely fast link and host leave the device's own parts."""
    fast = cost.Device(host=1e30, disk=1e30, launch=0, inside=1e30, between=1e30)
    laion = cost.SETS[2]
    for fit in (cost.closed_form, lambda pairs, p, device: cost.trained(pairs, p, 8192, device=device)):
        alone, eight = (fit(laion, p, device=fast) for p in (1, 8))
        assert alone.matrix == pytest.approx(8 * eight.matrix) and alone.host < 1e-9 and eight.link < 1e-9
        assert alone.seconds == pytest.approx(max(alone.matrix, alone.memory) + alone.solve)
        twice = fit(laion._replace(conditions=2 * laion.conditions), 1, device=fast)
        assert twice.matrix == pytest.approx(2 * alone.matrix)
    assert cost.trained(laion, 8, 8192).limit in ("disk", "host")


def test_what_every_process_draws_does_not_shrink():
    """At 64 processes the whole batch's random numbers are most of what a device writes."""
    device = cost.Device(memory=1.0, memory_share=1.0)
    pairs = cost.Pairs("", 2**20, 1)
    per_step = [cost.trained(pairs, p, 65_536, device=device).memory / 16 for p in (1, 64, 10**9)]
    drawn = 4 * 65_536 * cost.random_numbers(pairs)
    weights = (4 * 9 + 2 * 4.5 * (cost.POSTER.reconstruction_steps + 1)) * cost.parameters(pairs)
    assert per_step[2] == pytest.approx(drawn + weights, rel=1e-3)
    assert drawn > 0.4 * per_step[1] and drawn < 0.03 * per_step[0]


def test_the_table_has_a_line_for_every_case():
    lines = cost.table().splitlines()
    assert len(lines) == 2 + 3 * 2 * 3 and len({line.count("|") for line in lines}) == 1
    assert all(name in cost.table() for name in ("COCO | 1 | linear", "LAION-400M | 64 | network"))
