"""The strategies that users import: what they promise, and a check that passes and fails when it should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.theory import bound
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


# --- what the check counts, and what it refuses ---------------------------------------------------

PLANE = np.eye(3)


def fixed(towards, against):
    """Rows without direction (gamma 0) whose projection is the target or its opposite, and the targets."""
    targets = np.tile(PLANE[0], (towards + against, 1))
    sign = np.repeat([1.0, -1.0], [towards, against])[:, None]
    return targets, lambda c: (sign * targets, np.tile(PLANE[1], (len(targets), 1)), 0.0)


@pytest.mark.parametrize("geometry", ["general", "printed"])
def test_rows_at_alpha_reach_it(geometry):
    """cos = 3/5 exactly, without a direction: the bound is 1, and no row may miss it."""
    targets = np.tile([1.0, 0.0, 0.0], (50, 1))
    projection = {"general": [3.0, 4.0, 0.0], "printed": [0.36, 0.48, 0.0]}[geometry]

    def parts(c):
        return np.tile(projection, (50, 1)), np.tile([0.0, 0.0, 1.0], (50, 1)), 0.0

    assert_bound_holds(parts, targets, targets, 0.6, geometry=geometry, false_alarm=0.999)
    beyond = 0.6 * (1 + 1e-12)
    assert_bound_holds(parts, targets, targets, beyond, geometry="general", false_alarm=0.999)  # nothing is promised


@pytest.mark.parametrize("geometry", ["general", "printed", "sphere", "complement"])
def test_a_perfect_translator_keeps_the_bound(geometry):
    """Its cosine is 1 to rounding: what a row reaches is not computed in two ways."""
    z = np.random.default_rng(0).standard_normal((200, 8))
    assert_bound_holds(lambda c: (0.5 * z, np.eye(8)[np.zeros(200, int)], 0.0), z, z, 1.0, geometry=geometry)


@pytest.mark.parametrize("seed", range(40))
def test_rows_without_a_direction_reach_their_own_cosine(seed):
    p, z = np.random.default_rng(seed).standard_normal((2, 1, 8))
    alpha = float((p * z).sum() / np.linalg.norm(p) / np.linalg.norm(z))
    assert_bound_holds(lambda c: (p, np.eye(8)[:1], 0.0), z, z, alpha, false_alarm=0.999)


def test_each_row_has_its_own_bound():
    """100 rows are certain and 100 impossible: 100 is what must come, and 99 cannot."""
    targets, parts = fixed(100, 100)
    assert_bound_holds(parts, targets, targets, 0.5, false_alarm=0.999)

    def one_missing(c):
        """A row turned away from its target by a direction that is drawn with probability below .01."""
        projection, direction, _ = parts(c)
        gamma = np.zeros(200)
        gamma[0], direction[0] = 2.0, -PLANE[0]
        return projection, direction, gamma

    with pytest.raises(AssertionError, match="99 of 200 rows reach cosine -0.99"):
        assert_bound_holds(one_missing, targets, targets, -0.99, false_alarm=1e-2)


def test_the_check_is_the_exact_tail():
    """At the probability of so few it fails, just below it passes: no alarm more than allowed, and none less."""
    rng = np.random.default_rng(3)
    targets, direction = rng.standard_normal((2, 60, 8))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    projection, weight = 0.3 * targets + rng.standard_normal((60, 8)), rng.uniform(0.5, 1.5, 60)
    unit = targets / np.linalg.norm(targets, axis=1, keepdims=True)
    along = (projection * unit).sum(axis=1)
    across = np.linalg.norm(projection - along[:, None] * unit, axis=1)
    bounds = bound.general_probability(0.3, along, across, weight, 8).probability
    zhat = projection + weight[:, None] * direction
    reached = int(((zhat * unit).sum(axis=1) >= 0.3 * np.linalg.norm(zhat, axis=1)).sum())
    tail = float(stats.poisson_binom.cdf(reached, bounds))
    assert 0.01 < tail < 0.99

    def check(false_alarm):
        assert_bound_holds(lambda c: (projection, direction, weight), targets, targets, 0.3, false_alarm=false_alarm)

    check(tail * (1 - 1e-9))
    with pytest.raises(AssertionError, match=f"{reached} of 60 rows .* promises {bounds.sum():.1f} on average"):
        check(tail * (1 + 1e-9))


def test_false_alarms_are_no_more_frequent_than_allowed():
    rng = np.random.default_rng(4)
    targets, alarms, runs = np.tile(np.eye(4)[0], (30, 1)), 0, 300
    projection = np.tile([0.3, 0.2, 0.0, 0.0], (30, 1))
    for _ in range(runs):
        direction = rng.standard_normal((30, 4))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        try:
            assert_bound_holds(lambda c, f=direction: (projection, f, 1.0), targets, targets, 0.2, false_alarm=0.1)
        except AssertionError:
            alarms += 1
    assert stats.binom.sf(alarms - 1, runs, 0.1) > 1e-6 and alarms > 3


def test_projections_longer_than_the_target_promise_nothing_in_the_orthogonal_geometry():
    targets, parts = fixed(10, 0)
    longer = lambda c: (-1.01 * targets, parts(c)[1], 0.0)  # noqa: E731
    assert_bound_holds(longer, targets, targets, 0.9, geometry="complement")
    as_long = lambda c: (-targets, parts(c)[1], 0.0)  # noqa: E731
    with pytest.raises(AssertionError, match="0 of 10"):
        assert_bound_holds(as_long, targets, targets, 0.9, geometry="complement")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"direction": 2.0 * PLANE}, "direction: row 0 has length 2, 1 is needed"),
        ({"direction": 0.0 * PLANE}, "direction: row 0 has length 0, 1 is needed"),
        ({"projection": -PLANE[[1, 2, 0]]}, "a row is zero, vectors with a direction are needed"),
        ({"projection": np.nan * PLANE}, "projection: row 0 is not finite"),
        ({"projection": PLANE[:2]}, "rows: projection 2, direction 3, target 3"),
        ({"projection": PLANE[:, :1]}, r"projection, direction, target: \(3, 1\), \(3, 3\), \(3, 3\)"),
        ({"gamma": np.ones((3, 1))}, r"gamma: shape \(3, 1\), one number or 3 are needed"),
        ({"gamma": np.ones((1, 3))}, r"gamma: shape \(1, 3\), one number or 3 are needed"),
        ({"gamma": np.ones(2)}, r"gamma: shape \(2,\), one number or 3 are needed"),
        ({"gamma": -1.0}, r"gamma: .*, a number in \[0, inf\) is needed"),
        ({"targets": 0.0 * PLANE}, "target: row 0 is zero"),
    ],
)
def test_check_refuses_what_is_no_translation(change, message):
    parts = {"projection": PLANE, "direction": PLANE[[1, 2, 0]], "gamma": 1.0, "targets": PLANE} | change
    targets = parts.pop("targets")
    with pytest.raises(ValueError, match=message):
        assert_bound_holds(lambda c: tuple(parts.values()), PLANE, targets, 0.5)


def test_a_row_whose_cosine_is_alpha_reaches_it():
    z, f = np.tile(np.eye(4)[0], (100, 1)), np.tile(np.eye(4)[1], (100, 1))
    assert_bound_holds(
        lambda c: (np.zeros_like(z), f, 1.0), z, z, alpha=0.0
    )  # a random direction reaches it half the time
