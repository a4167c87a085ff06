"""Least absolute deviations: by hand, by duality, and where it parts from least squares."""

import numpy as np
import pytest

from analysis.theory import least_absolute as module
from analysis.theory.decomposition import decompose, decompose_translation
from analysis.theory.least_absolute import least_absolute


class TestLeastAbsolute:
    def test_median(self):
        """On a constant, L2 gives the mean and L1 the median."""
        target = np.array([[0.0], [1.0], [10.0]])
        fit = least_absolute(np.ones((3, 1)), target)
        np.testing.assert_allclose(fit.map, [[1.0]])
        np.testing.assert_allclose(decompose(np.ones((3, 1)), target).map, [[11 / 3]])

    @pytest.mark.parametrize("columns", [1e-100, 1e-10, 1e-8, 1.0, 1e8, 1e100])
    @pytest.mark.parametrize("targets", [1e-100, 1e-8, 1e8, 1e100])
    def test_the_proof_does_not_rest_on_the_size_of_numbers(self, pairs, columns, targets):
        """The solver's own tolerances are absolute."""
        condition, target = (array[:40, :3] for array in pairs)
        best = least_absolute(condition, target)
        size = np.array([columns, 1.0, columns])
        fit = least_absolute(size * condition, targets * target)
        np.testing.assert_allclose(fit.map * size[:, None], targets * best.map, rtol=1e-6)
        assert 0.0 <= fit.gap < 1e-10
        assert np.abs((size * condition).T @ fit.subgradient / size[:, None]).max() < 1e-12
        assert np.abs(fit.subgradient).max() <= 1.0
        median = least_absolute(columns * np.ones((3, 1)), targets * np.array([[0.0], [1.0], [10.0]]))
        np.testing.assert_allclose(median.map, [[targets / columns]])

    def test_no_gap_is_zero_where_constraints_are_not_met(self, pairs, monkeypatch):
        """A dual that is far from feasible proves little, and the gap says so."""
        condition, target = pairs
        solve = module.linprog

        def careless(*arguments, **settings):
            found = solve(*arguments, **settings)
            found.x = np.clip(found.x + 0.1, -1, 1)
            return found

        monkeypatch.setattr(module, "linprog", careless)
        fit = least_absolute(condition, target)
        assert fit.gap > 1e-3 and np.abs(condition.T @ fit.subgradient).max() < 1e-10

    def test_normal_equations_and_duality(self, pairs):
        condition, target = pairs
        fit = least_absolute(condition, target)
        residual = target - condition @ fit.map
        touched = np.abs(residual) < 1e-9
        assert np.abs(condition.T @ fit.subgradient).max() < 1e-10
        assert np.abs(fit.subgradient).max() <= 1 + 1e-12
        np.testing.assert_allclose(fit.subgradient[~touched], np.sign(residual[~touched]))
        assert abs(fit.gap) < 1e-12

    def test_the_sign_equation_holds_only_with_a_subgradient(self, pairs):
        """C^T sign(R) is not zero: k residuals a column are, and their signs are free."""
        condition, target = pairs
        projection = condition @ least_absolute(condition, target).map
        residual = np.where(np.abs(target - projection) < 1e-9, 0.0, target - projection)
        assert ((residual == 0).sum(axis=0) == condition.shape[1]).all()
        assert np.abs(condition.T @ np.sign(residual)).max() > 0.1
        result = decompose_translation(target - residual, target, condition)
        assert 0.0 < result.sign_residual < 0.3 * decompose(*pairs).sign_residual

    def test_a_map_that_is_not_optimal_has_a_gap(self, pairs, monkeypatch):
        """With another map beside the true subgradient the gap is what the map costs too much, over |Z|_1."""
        condition, target = pairs
        best, solve = least_absolute(condition, target), module._dual
        monkeypatch.setattr(module, "_dual", lambda *columns: (solve(*columns)[0] + 0.1, solve(*columns)[1]))
        worse = least_absolute(condition, target)
        cost = [np.abs(target - condition @ fit.map).sum() for fit in (best, worse)]
        assert worse.gap == pytest.approx((cost[1] - cost[0]) / np.abs(target).sum()) and worse.gap > 0.01

    def test_no_fit_is_cheaper(self, pairs):
        condition, target = pairs
        fit = least_absolute(condition, target)
        cost = np.abs(target - condition @ fit.map).sum()
        rng = np.random.default_rng(8)
        for scale in (1e-3, 1e-1):
            other = fit.map + scale * rng.standard_normal(fit.map.shape)
            assert np.abs(target - condition @ other).sum() > cost
        assert np.abs(decompose(condition, target).residual).sum() > cost

    def test_skew_moves_it_away_from_the_projection(self, pairs):
        condition, target = pairs
        projection = condition @ least_absolute(condition, target).map
        result = decompose_translation(projection, target, condition)
        assert result.projection_gap > 0.02
        assert result.condition_residual > 0.005

    @pytest.mark.parametrize("skewed", [False, True])
    def test_symmetry_is_enough_but_not_necessary(self, skewed):
        """Pairs (c, r), (c, -r) are symmetric given c; (c, r), (-c, r) are skewed: the L2 map is an L1
        optimum of both.
        """
        rng = np.random.default_rng(9)
        c, r = rng.standard_normal((50, 1)), rng.exponential(1.0, (50, 1))
        slope = np.array([[2.0]])
        condition = np.vstack([c, -c]) if skewed else np.vstack([c, c])
        noise = np.vstack([r, r]) if skewed else np.vstack([r, -r])
        target = condition @ slope + noise
        np.testing.assert_allclose(decompose(condition, target).map, slope)
        best = np.abs(target - condition @ least_absolute(condition, target).map).sum()
        assert np.abs(noise).sum() == pytest.approx(best, rel=1e-12)

    def test_symmetry_about_a_curve_is_not_enough(self):
        """Noise-free z = c^2 has no spread at all about E[z|c], and the two fits still differ."""
        condition = np.linspace(0.0, 1.0, 101)[:, None]
        target = condition**2
        mean_map, median_map = decompose(condition, target).map, least_absolute(condition, target).map
        assert abs(mean_map - median_map).item() > 0.03
