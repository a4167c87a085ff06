"""Nobody's random numbers are touched, and a device that cannot be used is named."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import modtrans_core as mt
from modtrans_core.device import device_of, seeded

RNG = np.random.default_rng(0)
PAIRS = mt.PairedEmbeddings({"image": RNG.normal(size=(40, 4)), "text": RNG.normal(size=(40, 3)) + 1})
SMALL = {"train.steps": 2, "width": 8, "depth": 1}


def test_a_seed_is_that_of_torch_and_leaves_the_state_alone():
    torch.manual_seed(3)
    wanted, state = torch.rand(2), torch.random.get_rng_state()
    with seeded(3):
        assert torch.equal(torch.rand(2), wanted)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_trainings_in_threads_are_those_of_one_alone():
    """Their noise comes from torch's generators, which the threads share."""

    def trained(_):
        return mt.fit(PAIRS, preset="poster", settings={**SMALL, "train.steps": 8}).translate(PAIRS.modality("image"))

    alone, state = trained(0), torch.random.get_rng_state()
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(trained, range(6)):
            np.testing.assert_array_equal(found, alone)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_making_training_and_loading_seed_no_gpu(monkeypatch, tmp_path):
    """`torch.manual_seed` would, as soon as there is one."""
    seeds = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    torch.manual_seed(1)
    assert len(seeds) == 1
    before = torch.random.get_rng_state()
    for preset, settings in (("poster", SMALL), ("MLP", {"train.steps": 2, "width": 8}), ("calibrated", {})):
        translator = mt.fit(PAIRS, preset=preset, settings=settings)
        translator.save(tmp_path / preset)
        mt.load(tmp_path / preset).translate(PAIRS.modality("image"))
    assert len(seeds) == 1 and torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", ["mps", "meta", "cuda:x", "cuda:99", ""])
def test_a_device_that_cannot_be_used_is_named(name, tmp_path):
    assert device_of("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match=f"^device: '{name}', .*cpu"):
        mt.fit(PAIRS, preset="ridge", device=name)
    mt.fit(PAIRS, preset="ridge", device="cpu").save(tmp_path / "run")
    with pytest.raises(ValueError, match=f"^device: '{name}', .*cpu"):
        mt.load(tmp_path / "run", name)
