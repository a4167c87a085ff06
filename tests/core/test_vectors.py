"""Vectors of several captions an item, against loops over items."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modtrans_core.vectors import mean_of_unit, norms, present, refuse_bad_rows, several, unit, unit_targets


def made(seed, n=7, m=3, d=4):
    """Captions of n items, NaN where an item has no more, and how many each has."""
    rng = np.random.default_rng(seed)
    targets, counts = rng.normal(size=(n, m, d)), rng.integers(1, m + 1, n)
    for item, count in enumerate(counts):
        targets[item, count:] = np.nan
    return targets, counts


def test_unit_refuses_what_has_no_direction():
    with pytest.raises(ValueError, match="vectors: vector 1 is zero, NaN or infinite"):
        unit(np.array([[1.0, 0], [0, 0]]))


@given(seed=st.integers(0, 10**6))
def test_norms_and_units_are_those_of_linear_algebra(seed):
    x = np.random.default_rng(seed).normal(size=(5, 2, 3)).astype(np.float16)
    np.testing.assert_allclose(norms(x), np.linalg.norm(x.astype(float), axis=-1), rtol=1e-12)
    np.testing.assert_allclose(norms(unit(x)), 1, rtol=1e-6)
    assert unit(x).dtype == np.float32


@given(seed=st.integers(0, 10**6))
def test_present_targets_are_those_counted(seed):
    targets, counts = made(seed)
    np.testing.assert_array_equal(present(3, counts), ~np.isnan(targets[..., 0]))
    np.testing.assert_array_equal(present(3, list(counts)), present(3, counts))


def test_one_target_an_item_is_one_of_several():
    targets = np.eye(4, 3)
    found, counts = several(targets)
    assert found.shape == (4, 1, 3) and list(counts) == [1] * 4
    found, counts = several(np.ones((2, 5, 3)))
    assert found.shape == (2, 5, 3) and list(counts) == [5, 5]
    assert several(np.ones((2, 5, 3)), [1, 2])[1].tolist() == [1, 2]


@given(seed=st.integers(0, 10**6))
def test_every_item_weighs_the_same_in_the_mean(seed):
    targets, counts = made(seed)
    own = [
        np.mean([t / np.linalg.norm(t) for t in several_[:m]], axis=0)
        for several_, m in zip(targets, counts, strict=True)
    ]
    np.testing.assert_allclose(mean_of_unit(targets, counts), np.mean(own, axis=0), atol=1e-7)
    z, found = unit_targets(targets, counts)
    assert not z[~present(3, counts)].any() and list(found) == list(counts)
    np.testing.assert_allclose(norms(z).sum(1), counts, rtol=1e-6)


@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN or infinity"), (np.inf, "NaN or infinity"), (0, "a zero")])
def test_bad_rows_are_named_and_absent_ones_are_not_looked_at(value, what):
    x = np.ones((4, 2, 3))
    x[2, 1] = value
    refuse_bad_rows("text", x, np.array([2, 2, 1, 2]))
    with pytest.raises(ValueError, match=rf"text: {what}.* in row 2 \(1 bad of 8\)"):
        refuse_bad_rows("text", x)
    with pytest.raises(ValueError, match=r"in row 30 "):
        refuse_bad_rows("text", x, np.full(4, 2), np.array([10, 20, 30, 40]))


@pytest.mark.parametrize("scale", [1e-310, 1e-300, 1e-170, 1.0, 1e170, 1e300])
def test_norms_of_vectors_of_any_finite_length(scale):
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    x[1:3] *= scale
    x[4, 1] = 0
    np.testing.assert_allclose(norms(x), np.hypot(np.hypot(x[..., 0], x[..., 1]), x[..., 2]), rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(unit(x[:4]), axis=-1), 1, rtol=1e-6)
