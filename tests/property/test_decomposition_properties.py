"""Invariants of the decomposition, for any shape, rank and scale."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.theory.decomposition import decompose, decompose_translation

ENTRIES = st.integers(-20, 20).map(lambda value: value / 4.0)
ROUNDING = 1e-9


@st.composite
def problems(draw):
    """Conditions (n, k) and targets (n, d), neither all zero; ranks and repeated rows as they fall."""
    n, k, d = draw(st.integers(1, 12)), draw(st.integers(1, 6)), draw(st.integers(1, 5))
    condition = draw(arrays(np.float64, (n, k), elements=ENTRIES).filter(np.any))
    target = draw(arrays(np.float64, (n, d), elements=ENTRIES).filter(np.any))
    return condition, target


@settings(deadline=None)
@given(problems(), st.sampled_from([0.0, 0.01, 1.0, 100.0]))
def test_the_parts_add_up_and_the_identities_hold(problem, ridge):
    condition, target = problem
    result = decompose(condition, target, ridge)
    size = np.linalg.norm(target)
    assert np.linalg.norm(result.projection + result.residual - target) <= ROUNDING * size
    assert result.ridge_gap <= ROUNDING
    assert result.pythagoras >= -ROUNDING
    lean = 2 * ridge * np.square(result.map).sum() / size**2
    assert abs(result.pythagoras - lean) <= ROUNDING
    assert (result.leverage >= 0).all()
    assert (result.leverage <= 1 + ROUNDING).all()
    assert abs(result.spectrum.sum() - np.square(result.residual_norm).mean()) <= ROUNDING * size**2
    assert 0 <= result.effective_dimension <= min(target.shape) + ROUNDING


@settings(deadline=None)
@given(problems())
def test_least_squares_is_the_shortest_residual(problem):
    """No other map leaves less: the normal equations are sufficient, since the cost is convex."""
    condition, target = problem
    result = decompose(condition, target)
    best = np.linalg.norm(result.residual)
    for shift in (0.1, -1.0):
        other = decompose_translation(condition @ (result.map + shift), target)
        assert np.linalg.norm(other.residual) >= best - ROUNDING


@settings(deadline=None)
@given(problems(), st.sampled_from([0.5, 2.0, 1024.0]), st.integers(0, 2**32 - 1))
def test_scale_and_rotation_of_the_targets_change_no_angle(problem, scale, seed):
    condition, target = problem
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((target.shape[1],) * 2))[0]
    first, second = decompose(condition, target), decompose(condition, scale * target @ rotation)
    both = (first.residual_norm > 1e-6) & (first.projection_norm > 1e-6)
    np.testing.assert_allclose(first.cosine[both], second.cosine[both], atol=1e-6)
    np.testing.assert_allclose(scale**2 * first.spectrum, second.spectrum, atol=1e-8 * (1 + scale**2))


@settings(deadline=None)
@given(problems())
def test_a_projection_that_was_projected_stays(problem):
    condition, target = problem
    projection = decompose(condition, target).projection
    if np.linalg.norm(projection) > 1e-6:
        assert np.linalg.norm(decompose(condition, projection).residual) <= ROUNDING * np.linalg.norm(target)
