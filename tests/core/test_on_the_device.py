"""The step belongs to the device: nothing crosses between host and device, and nothing waits.

Shown without a GPU: on the meta device, which holds shapes and no values, under a mode that sees every operation. A
value that is read back, or tensors of two devices in one operation, raise.
"""

import sys
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from modtrans_core import CalibratedConfig, CalibratedTranslator, PairedEmbeddings, Pairing, PosterConfig
from modtrans_core.calibrated.regression import Basis, Regression
from modtrans_core.noise import keys, normal
from modtrans_core.pairing import Batches
from modtrans_core.poster.model import PosterTranslator, objective
from modtrans_core.protocol import Facts
from modtrans_core.run import Training
from modtrans_core.train import Measured, gradient


@pytest.fixture(autouse=True)
def fused_on_meta(monkeypatch):
    """Torch has the fused Adam for meta tensors, and does not list them among its devices."""
    listed = ["meta", "cuda"]
    monkeypatch.setattr(sys.modules["torch.optim.optimizer"], "_get_fused_kernels_supported_devices", lambda: listed)


K, D, N = 12, 10, 64
META = torch.device("meta")
FACTS = Facts("image", "text", K, D)


class NothingCrosses(TorchDispatchMode):
    """Raises on an operation between devices and on a value that is read back; counts the others."""

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "_local_scalar_dense" in str(function):
            raise AssertionError(f"{function}: a value is read back")
        found = function(*args, **(kwargs or {}))
        devices = {x.device.type for x in tree_flatten((args, kwargs, found))[0] if isinstance(x, torch.Tensor)}
        if len(devices) > 1:
            raise AssertionError(f"{function}: between {' and '.join(sorted(devices))}")
        self.seen[str(function)] += 1
        return found


def training(config, loss=objective, device=META):
    """A step of the poster's translator: the loss, the state, and batches of items with three captions."""
    rng = np.random.default_rng(0)
    pairs = PairedEmbeddings({"image": rng.normal(size=(N, K)), "text": rng.normal(size=(N, 3, D))})
    translator = PosterTranslator(FACTS, config).to(device).train()
    state = Training.start(translator, torch.optim.Adam, 1e-3, 1e-2)
    batches = Batches(Pairing(pairs, "image", "text"), 8, 0, device).iterate(range(20))
    return Measured(translator, loss), state, batches


def make_steps(module, state, batches, steps):
    for _ in range(steps):
        torch.manual_seed(1)
        gradient(module, 1.0, *next(batches))
        state.advance(0.9)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_training_step(steps):
    module, state, batches = training(PosterConfig(width=16, depth=2, reconstruction_steps=steps))
    make_steps(module, state, batches, 1)
    with NothingCrosses() as mode:
        make_steps(module, state, batches, 5)
    assert mode.seen["aten._fused_adam_.default"] == 5 and mode.seen["aten._foreach_lerp_.Scalar"] == 5


@pytest.mark.gpu
def test_a_training_step_waits_for_nothing():
    module, state, batches = training(PosterConfig(width=16, depth=2), device=torch.device("cuda"))
    make_steps(module, state, batches, 2)
    torch.cuda.set_sync_debug_mode("error")
    try:
        make_steps(module, state, batches, 5)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def planted_move(model, c, z):
    terms = objective(model, c, z)
    return {**terms, "total": terms["total"] + torch.ones(()).to(z.device)}


def planted_read(model, c, z):
    terms = objective(model, c, z)
    return {**terms, "total": terms["total"] * float(terms["noise"].detach() >= 0)}


@pytest.mark.parametrize("loss", [planted_move, planted_read])
def test_a_planted_crossing_is_caught(loss):
    module, state, batches = training(PosterConfig(width=16, depth=2), loss)
    with pytest.raises((AssertionError, RuntimeError), match=r"between|read back|meta"), NothingCrosses():
        make_steps(module, state, batches, 1)


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_the_posters_samples(steps, guidance):
    translator = PosterTranslator(FACTS, PosterConfig(width=16, depth=2)).to(META)
    c = torch.zeros(N, K, device=META)
    translator.sample(c, normal(keys(c), (2, D)), steps, guidance)  # moves the sampler's times, once
    with NothingCrosses() as mode:
        found = translator.sample(c, normal(keys(c), (2, D)), steps, guidance)
    assert found.shape == (N, 2, D) and mode.seen


def test_the_calibrated_translators_mean_and_draws():
    shapes = {"mean": (D,), "M": (K + 2 * 5 + 1, D), "N": (K + 2 * 5 + 1, D), "landmarks": (5, K), "expected": (5,)}
    shapes |= {"root": (D, D), "bank": (7, D)}
    tensors = {name: torch.zeros(shape, device=META) for name, shape in shapes.items()}
    few = {"bandwidths": torch.ones(2), "corrections": torch.zeros(2, 2)}  # read back once
    translator = CalibratedTranslator(FACTS, CalibratedConfig(), **tensors, **few)
    assert translator.widths == [1, 1]
    c = torch.zeros(N, K, device=META)
    start = normal(keys(c), (3, D))  # the tables of `keys` are made, and moved, once
    with NothingCrosses() as mode:
        assert translator.zhat(c).shape == (N, D) and translator.sample(c, start).shape == (N, 3, D)
        assert normal(keys(c), (3, D)).shape == start.shape
    assert mode.seen


@pytest.mark.parametrize("landmarks", [0, 5])
def test_the_sums_of_the_closed_form_between_chunks(landmarks):
    basis = Basis(
        torch.zeros(landmarks, K, device=META),
        1.0,
        torch.zeros(landmarks, landmarks, device=META),
    )
    chunk = [torch.zeros(shape, device=META) for shape in ((N, K), (N, D), (N,))]
    with NothingCrosses() as mode:
        c, total, count = chunk
        Regression(basis, D).add(basis.coordinates(c), total, count)
    products = 3 if landmarks else 2
    assert mode.seen["aten.mm.default"] == products  # the features, where there are landmarks, and the two sums
