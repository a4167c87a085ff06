"""The strategies that users import: what they promise, and a check that passes and fails when it should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.theory.strategies import (
    assert_bound_holds,
    dimensions,
    geometries,
    linear_translators,
    pair_arrays,
    unit_vectors,
)


@given(dimensions().flatmap(unit_vectors))
def test_unit_vectors_are_unit(vector):
    assert np.isclose(np.linalg.norm(vector), 1.0, rtol=1e-14)


@given(geometries())
def test_geometries_are_right_triangles(g):
    assert np.isclose(g.s**2 + g.rho**2, 1.0, rtol=1e-14)
    assert g.gamma >= 0.0 and -1.0 <= g.alpha <= 1.0 and g.n >= 1


@given(geometries(degenerate=False, max_gamma=2.0, max_n=16))
def test_degenerate_geometries_can_be_left_out(g):
    assert 0.0 < g.s < 1.0 and g.rho > 0.0 and 0.0 < g.gamma <= 2.0 and abs(g.alpha) < 1.0 and 2 <= g.n <= 16


@given(pair_arrays(rows=30, source=5, target=7))
def test_pair_arrays_are_pairs(pairs):
    conditions, targets = pairs
    assert conditions.shape == (30, 5) and targets.shape == (30, 7)
    assert np.allclose(np.linalg.norm(targets, axis=1), 1.0)


@given(pair_arrays(), linear_translators(6, 8))
def test_translators_are_callables_with_parts(pairs, translate):
    conditions, _ = pairs
    projection, direction, weight = translate.parts(conditions)
    assert np.allclose(np.linalg.norm(direction, axis=1), 1.0)
    assert np.array_equal(translate(conditions), projection + weight * direction)


@settings(max_examples=30)
@given(pair_arrays(), linear_translators(6, 8), st.floats(-0.9, 0.9), st.integers(0, 2**32 - 1))
def test_bound_holds_for_random_directions(pairs, translate, alpha, seed):
    """F drawn uniformly, whatever M is: the exact general bound is kept."""
    conditions, targets = pairs

    def parts(c):
        direction = np.random.default_rng(seed).standard_normal(targets.shape)
        return (
            c @ translate.matrix,
            direction / np.linalg.norm(direction, axis=1, keepdims=True),
            translate.gamma,
        )

    assert_bound_holds(parts, conditions, targets, alpha)


def one_pair_of_parts(sign):
    rng = np.random.default_rng(0)
    targets = rng.standard_normal((200, 8))
    projection = 0.5 * targets + 0.3 * rng.standard_normal((200, 8))
    residual = sign * (targets - projection)
    return targets, lambda c: (projection, residual / np.linalg.norm(residual, axis=1, keepdims=True), 1.0)


@pytest.mark.parametrize("geometry", ["general", "printed", "sphere", "complement"])
def test_check_passes_for_directions_that_help_and_fails_for_those_that_harm(geometry):
    targets, helpful = one_pair_of_parts(1.0)
    assert_bound_holds(helpful, targets, targets, 0.3, geometry=geometry)
    targets, harmful = one_pair_of_parts(-1.0)
    with pytest.raises(AssertionError, match=rf"of 200 rows reach cosine 0\.3; the bound \({geometry}\)"):
        assert_bound_holds(harmful, targets, targets, 0.3, geometry=geometry)


def test_check_refuses_unknown_geometries():
    targets, helpful = one_pair_of_parts(1.0)
    with pytest.raises(ValueError, match="geometry: poster, general or printed"):
        assert_bound_holds(helpful, targets, targets, 0.7, geometry="poster")
    with pytest.raises(ValueError, match="false_alarm: 2"):
        assert_bound_holds(helpful, targets, targets, 0.7, false_alarm=2.0)
