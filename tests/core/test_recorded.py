"""A recorded function against the function itself: on the processor by a tape of operations in place of CUDA's graph,
and on a GPU by the graph."""

import gc
import sys
from contextlib import contextmanager, nullcontext
from functools import partial
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from modtrans_core import PairedEmbeddings, Pairing, PosterConfig, PosterTranslator, TrainConfig, fit
from modtrans_core.pairing import Batches
from modtrans_core.poster.model import objective
from modtrans_core.protocol import Facts
from modtrans_core.recorded import Recorded
from modtrans_core.run import Training
from modtrans_core.train import Enough, Measured, Watch, gradient, train

K, D, N = 12, 12, 64
RNG = np.random.default_rng(0)
PAIRS = PairedEmbeddings({"image": RNG.normal(size=(N, K)), "text": RNG.normal(size=(N, 3, D))})
PAIRING, FACTS = Pairing(PAIRS, "image", "text"), Facts("image", "text", K, D)


class Tape(TorchDispatchMode):
    """The operations that are made while it is entered; played again, they overwrite what they gave."""

    def __init__(self):
        super().__init__()
        self.made = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if not function.is_view:  # a view sees what is overwritten
            self.made.append((function, *tree_map_only(torch.Tensor, torch.Tensor.detach, (args, kwargs or {}, found))))
        return found

    def replay(self):
        for function, args, kwargs, found in self.made:
            again = function(*args, **kwargs)
            for old, new in zip(*map(tree_leaves, (found, again)), strict=True):
                if isinstance(old, torch.Tensor):
                    old.copy_(new)


@pytest.fixture
def taped(monkeypatch):
    """CUDA's graphs replaced by tapes."""

    @contextmanager
    def recording(tape, **_):
        with torch.random.fork_rng(devices=[]), tape:  # a graph draws nothing while it is recorded
            yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Tape)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    for name in ("device", "stream"):
        monkeypatch.setattr(torch.cuda, name, lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "current_stream", MagicMock)
    monkeypatch.setattr("modtrans_core.recorded.stream_of", MagicMock())


def test_the_function_is_called_twice_and_launched_with_every_batch(taped):
    called = []

    def function(c, z):
        called.append(len(c))
        return {"total": (c * z).sum() + torch.rand(())}

    recorded = Recorded(function)
    for step in range(6):
        c, z = torch.full((3, 2), float(step)), torch.ones(3, 2)
        torch.manual_seed(step)
        found = float(recorded(c, z)["total"])
        torch.manual_seed(step)
        assert found == pytest.approx(6 * step + float(torch.rand(())))
    assert called == [3, 3]


DEVICES = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
WAYS = {"as it stands": lambda function: function, "recorded": Recorded}


@DEVICES
@pytest.mark.parametrize("steps", [1, 3])
def test_a_recorded_step_has_the_bits_of_one_that_is_not(request, device, steps):
    if device == "cpu":
        request.getfixturevalue("taped")
    found = {}
    for name, way in WAYS.items():
        torch.manual_seed(0)
        model = PosterTranslator(FACTS, PosterConfig(width=16, depth=2, reconstruction_steps=steps)).to(device).train()
        state = Training.start(model, torch.optim.Adam, 1e-3, 1e-2)
        measure, losses = way(partial(gradient, Measured(model, objective), 1.0)), []
        for step, (c, z) in enumerate(Batches(PAIRING, 8, 0, torch.device(device)).iterate(range(12))):
            torch.manual_seed(step)
            losses.append(measure(c, z)["total"].clone())
            state.advance(0.9)
        found[name] = [*losses, *state.tensors().values()]
    assert len(set(map(float, found["recorded"][:12]))) == 12
    assert all(torch.equal(x, y) for x, y in zip(*found.values(), strict=True))


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:.*the constant mean:UserWarning")
@pytest.mark.parametrize("preset", ["poster", "MLP", "LAFITE trained"])
def test_a_translator_has_the_bits_of_one_that_was_fitted_unrecorded(monkeypatch, preset):
    found = []
    for way in WAYS.values():
        monkeypatch.setattr(sys.modules["modtrans_core.train"], "Recorded", way)
        fitted = fit(PAIRS, preset=preset, settings={"train.steps": 60, "train.batch": 16}, device="cuda")
        found.append(fitted.tensors().values())
    assert all(torch.equal(x, y) for x, y in zip(*found, strict=True))


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:.*the constant mean:UserWarning")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("around", [partial(torch.autocast, "cuda", torch.bfloat16), partial(torch.device, "cuda")])
def test_a_training_has_the_same_bits_whatever_is_around_it(monkeypatch, way, around):
    monkeypatch.setattr(sys.modules["modtrans_core.train"], "Recorded", WAYS[way])
    found = []
    for context in (nullcontext, around):
        with context():
            fitted = fit(PAIRS, preset="MLP", settings={"train.steps": 60, "train.batch": 16}, device="cuda")
        found.append(fitted.tensors().values())
    assert all(torch.equal(x, y) for x, y in zip(*found, strict=True))


@pytest.mark.gpu
def test_a_training_gives_back_the_memory_of_the_gpu():
    held = []
    for _ in range(4):
        fit(PAIRS, preset="MLP", settings={"train.steps": 12, "train.batch": 16}, device="cuda")
        gc.collect()
        held.append(torch.cuda.memory_allocated())
    assert held[3] <= held[1]


@pytest.mark.gpu
def test_a_loss_that_keeps_its_graph_is_recorded():
    kept = []

    def keeping(model, c, z):
        kept.append(objective(model, c, z))
        return kept[-1]

    model = PosterTranslator(FACTS, PosterConfig(width=16, depth=2)).cuda()
    batches = Batches(PAIRING, 8, 0, torch.device("cuda"))
    train(model, keeping, batches, TrainConfig(steps=5, batch=8), record=True)
    assert len(kept) == 2


@pytest.mark.gpu
def test_a_resumed_training_has_the_bits_of_an_undisturbed_one():
    class Stops(Watch):
        def after(self, step, steps, values, state):
            if step == 7:
                self.kept = {name: value.clone() for name, value in state.tensors().items()}
                raise Enough

    class Resumes(Watch):
        def resume(self, state):
            state.put_back(stops.kept)
            return 7

    def trained(watch):
        torch.manual_seed(0)
        model = PosterTranslator(FACTS, PosterConfig(width=16, depth=2)).cuda()
        batches = Batches(PAIRING, 8, 0, torch.device("cuda"))
        return train(model, objective, batches, TrainConfig(steps=20, batch=8), watch, record=True)

    stops = Stops()
    with pytest.raises(Enough):
        trained(stops)
    found = zip(trained(None).parameters(), trained(Resumes()).parameters(), strict=True)
    assert all(torch.equal(x, y) for x, y in found)
