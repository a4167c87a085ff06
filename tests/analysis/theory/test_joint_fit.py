"""The joint fit of a linear map and a unit direction, against direct minimisation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from analysis.theory.arrays import unit_rows
from analysis.theory.joint_fit import best_direction, best_response, joint_excess

seeds = st.integers(0, 2**32 - 1)


def task(seed, n=6, k=2, d=3, targets=4):
    """A few conditions c, each with as many equally likely unit targets z: conditions, targets and means m."""
    rng = np.random.default_rng(seed)
    c = rng.standard_normal((n, k))
    z = unit_rows((c @ rng.standard_normal((k, d)))[:, None] + rng.standard_normal((n, targets, d)))
    return c, z, z.mean(axis=1)


def loss(z, c, M, gamma, F):
    """E|z - c M - gamma F|^2 by its definition."""
    return np.square(z - (c @ M + gamma * F)[:, None]).sum(axis=2).mean()


@given(seeds, st.floats(0.0, 3.0))
def test_the_loss_with_the_best_direction_is_the_formula_and_no_direction_is_better(seed, gamma):
    rng = np.random.default_rng(seed)
    c, z, m = task(seed)
    M = rng.standard_normal((2, 3))
    noise = np.square(z - m[:, None]).sum(axis=2).mean()
    best = loss(z, c, M, gamma, best_direction(m, c @ M))
    assert best == pytest.approx(noise + joint_excess(m, c @ M, gamma))
    for _ in range(5):
        assert loss(z, c, M, gamma, unit_rows(rng.standard_normal(m.shape))) >= best - 1e-12


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.5])
def test_direct_minimisation_over_both_finds_the_minimum_of_the_formula(seed, gamma):
    """M and the angles of F as free parameters of the loss itself, against M alone in the formula."""
    c, z, m = task(seed, n=5)
    rng = np.random.default_rng(seed)

    def whole(x):
        return loss(z, c, x[:6].reshape(2, 3), gamma, unit_rows(x[6:].reshape(5, 3)))

    def formula(x):
        return joint_excess(m, c @ x.reshape(2, 3), gamma)

    starts = rng.standard_normal((6, 21))
    both = min(minimize(whole, x, method="BFGS").fun for x in starts)
    alone = min(minimize(formula, x[:6], method="BFGS").fun for x in starts)
    assert both == pytest.approx(np.square(z - m[:, None]).sum(axis=2).mean() + alone, abs=1e-5)


@given(seeds, st.floats(0.0, 3.0))
def test_the_best_response_to_a_fixed_direction_is_the_minimum_of_the_loss(seed, gamma):
    rng = np.random.default_rng(seed)
    c, z, m = task(seed)
    F = unit_rows(rng.standard_normal(m.shape))
    M = best_response(c, m, gamma, F)
    least = loss(z, c, M, gamma, F)
    for step in rng.standard_normal((5, 2, 3)) * 0.01:
        assert loss(z, c, M + step, gamma, F) >= least - 1e-12
    rows, each = np.repeat(c, 4, axis=0), np.repeat(F, 4, axis=0)
    np.testing.assert_allclose(best_response(rows, z.reshape(-1, 3), gamma, each), M, atol=1e-8)  # of targets or means


@given(seeds, st.floats(0.0, 5.0))
def test_beside_the_direction_of_the_mean_it_is_the_projection_of_what_that_leaves(seed, gamma):
    """M of (1 - gamma / |m|) m; with means of one length, -(gamma / |m| - 1) times the projection itself."""
    c, _, m = task(seed)
    length = np.linalg.norm(m, axis=1, keepdims=True)
    projector = c @ np.linalg.pinv(c)
    M = best_response(c, m, gamma)
    np.testing.assert_allclose(c @ M, projector @ ((1 - gamma / length) * m), atol=1e-8)
    even = 0.8 * m / length
    np.testing.assert_allclose(c @ best_response(c, even, gamma), (1 - gamma / 0.8) * projector @ even, atol=1e-8)


def test_beyond_the_length_of_the_mean_the_map_alone_points_away_from_it():
    c, _, m = task(0)
    projected = c @ best_response(c, m, 0.0)
    for gamma, sign in ((0.5 * np.linalg.norm(m, axis=1).min(), 1), (2 * np.linalg.norm(m, axis=1).max(), -1)):
        assert sign * (c @ best_response(c, m, gamma) * projected).sum() > 0


def test_a_penalty_is_that_of_rows_of_zeros():
    """Ridge is least squares with sqrt(penalty) I below the conditions, and nothing to fit there."""
    c, _, m = task(3)
    longer, empty = np.vstack([c, np.sqrt(0.7) * np.eye(2)]), np.vstack([m, np.zeros((2, 3))])
    below = best_response(longer, empty, 0.0, np.eye(3)[[0] * 8])
    np.testing.assert_allclose(best_response(c, m, 0.0, penalty=0.7), below, atol=1e-12)


def test_minimisers_are_not_unique():
    """One constant condition: a whole sphere of maps about m has no excess, and the projection m has gamma^2."""
    m, gamma = np.array([[0.3, 0.4, 0.0]]), 0.7
    around = unit_rows(np.random.default_rng(1).standard_normal((50, 3)))
    assert max(joint_excess(m, m + gamma * e[None], gamma) for e in around) < 1e-15
    assert joint_excess(m, m, gamma) == pytest.approx(gamma**2)


def test_the_projection_is_stationary_only_where_the_unit_residuals_are_perpendicular_to_the_conditions():
    """Slope of the excess at the projection against 2 gamma E c^T (m - c M) / |m - c M|, by differences."""
    c, _, m = task(2)
    M = best_response(c, m, 0.0)
    gamma, step = 0.7, 1e-6
    slope = np.zeros_like(M)
    for i in np.ndindex(*M.shape):
        move = np.zeros_like(M)
        move[i] = step
        slope[i] = (joint_excess(m, c @ (M + move), gamma) - joint_excess(m, c @ (M - move), gamma)) / (2 * step)
    expected = 2 * gamma * c.T @ best_direction(m, c @ M) / len(c)
    np.testing.assert_allclose(slope, expected, atol=1e-6)
    assert np.abs(expected).max() > 0.01  # not stationary in general
    level = np.array([[1.0], [1.0], [1.0], [1.0]])  # residuals of one length: stationary
    means = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert np.abs(level.T @ best_direction(means, 0.0 * means)).max() < 1e-15


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: joint_excess(np.eye(2), np.eye(3), 1.0), "projection: shape"),
        (lambda: joint_excess(np.eye(2), np.eye(2), -1.0), "gamma: -1"),
        (lambda: best_direction(np.eye(2), np.eye(2)), "projection: row 0"),
        (lambda: best_response(np.eye(2), np.ones((3, 2)), 1.0), "rows: conditions 2, targets 3"),
        (
            lambda: best_response([[1.0]], [[0.5, 0.0]], 1.0, directions=[[1.0]]),
            r"directions: shape \(1, 1\), \(1, 2\), that of the targets, is needed",
        ),
        (
            lambda: best_response([[1.0]], [[0.5, 0.0]], 1.0, directions=[[5.0, 0.0]]),
            "directions: row 0 has length 5, 1 is needed",
        ),
        (lambda: joint_excess([[1.0]], [[0.5]], [1.0, 2.0]), r"gamma: shape \(2,\), one number is needed"),
    ],
)
def test_what_cannot_be_used_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_long_direction_turns_the_map_away_only_where_lengths_are_one_or_means_linear():
    """For one |m|, and for linear m, E<c M, m> < 0. A constant condition with m = .9 and -.8 is neither."""
    c, _, m = task(3)
    linear = c @ np.random.default_rng(4).standard_normal((2, 3))
    for means in (0.5 * unit_rows(m), 0.5 * linear / np.linalg.norm(linear, axis=1).max()):
        assert ((c @ best_response(c, means, 1.0)) * means).sum() < -0.01
    c, m = np.ones((2, 1)), np.array([[0.9, 0.0], [-0.8, 0.0]])
    assert c @ best_response(c, m, 1.0) == pytest.approx(np.array([[0.05, 0.0]] * 2))
    assert ((c @ best_response(c, m, 1.0)) * m).sum() == pytest.approx(0.005)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_the_best_direction_does_not_depend_on_lengths(scale):
    m, projection = np.random.default_rng(0).standard_normal((2, 5, 3))
    np.testing.assert_allclose(best_direction(scale * m, scale * projection), best_direction(m, projection), rtol=1e-12)
