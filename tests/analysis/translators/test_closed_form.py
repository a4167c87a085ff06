"""Translators that are tensors: what is refused when they are restored."""

import numpy as np
import pytest
import torch

from analysis.translators.closed_form import Affine, one_dimension
from analysis.translators.ridge import RidgeConfig, RidgeTranslator
from modtrans_core.protocol import Facts

FACTS = Facts("image", "text", 3, 2)


@pytest.fixture
def affine(rng):
    arrays = {"mean": rng.normal(size=2), "A": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    return Affine.of(FACTS, None, torch.device("cpu"), **arrays)


def test_an_affine_map_of_unit_conditions(affine, rng):
    c = rng.normal(size=(5, 3))
    expected = c / np.linalg.norm(c, axis=1, keepdims=True) @ affine.A.numpy() + affine.b.numpy()
    np.testing.assert_allclose(affine.translate(c), expected, atol=1e-6)
    assert torch.equal(affine.translate(torch.from_numpy(c)), torch.from_numpy(affine.translate(c)))


def test_its_tensors_make_it_again(affine, rng):
    again = Affine.restore(FACTS, None, affine.tensors(), torch.device("cpu"))
    c = rng.normal(size=(5, 3))
    np.testing.assert_array_equal(again.translate(c), affine.translate(c))
    assert repr(again) == "Affine(image 3 -> text 2)"


@pytest.mark.parametrize(
    ("change", "message"),
    [({"b": None}, "b: missing"), ({"A": torch.zeros(2, 3)}, r"A: \(2, 3\), shape \(3, 2\) is needed")],
)
def test_other_tensors_are_refused(affine, change, message):
    tensors = {name: value for name, value in {**affine.tensors(), **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        Affine.restore(FACTS, None, tensors, torch.device("cpu"))


def test_weights_of_other_settings_are_refused():
    arrays = {"mean": np.ones(2), "A": np.ones((3, 2)), "b": np.ones(2), "penalty": 7.0}
    made = RidgeTranslator.of(FACTS, RidgeConfig(7.0), torch.device("cpu"), **arrays)
    for config in (RidgeConfig(), RidgeConfig(7.0)):
        RidgeTranslator.restore(FACTS, config, made.tensors(), torch.device("cpu"))
    with pytest.raises(ValueError, match="^penalty: 7.0, 0.5, as the settings say, is needed"):
        RidgeTranslator.restore(FACTS, RidgeConfig(0.5), made.tensors(), torch.device("cpu"))
    with pytest.raises(ValueError, match="^more: none of this translator's tensors, mean, A, b, penalty are needed"):
        RidgeTranslator.restore(FACTS, RidgeConfig(), made.tensors() | {"more": made.mean}, torch.device("cpu"))


def test_two_dimensions_are_refused():
    with pytest.raises(ValueError, match="identity: image 3 and text 2, one dimension is needed"):
        one_dimension("identity", FACTS)
