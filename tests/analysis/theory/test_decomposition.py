"""Justification 1 in numbers: what least squares, ridge and joint training make perpendicular, and what not."""

import numpy as np
import pytest
from scipy import stats

from analysis.theory.decomposition import ColumnSpace, decompose, decompose_translation

ROUNDING = 1e-12


class TestByHand:
    """Two samples, one condition, two target dimensions; C^T C = 2, M = C^+ Z = mean of the rows."""

    condition = np.array([[1.0], [1.0]])
    target = np.array([[1.0, 0.0], [0.0, 1.0]])

    def test_least_squares(self):
        result = decompose(self.condition, self.target)
        np.testing.assert_allclose(result.map, [[0.5, 0.5]])
        np.testing.assert_allclose(result.residual, [[0.5, -0.5], [-0.5, 0.5]])
        np.testing.assert_allclose(result.leverage, [0.5, 0.5])
        np.testing.assert_allclose(result.spectrum, [0.5, 0.0], atol=ROUNDING)
        np.testing.assert_allclose(result.cosine, [0.0, 0.0], atol=ROUNDING)
        assert result.effective_dimension == pytest.approx(1.0)

    def test_ridge_leans_towards_the_projection(self):
        result = decompose(self.condition, self.target, ridge=2.0)  # M = (2 + 2)^-1 C^T Z = 1/4
        np.testing.assert_allclose(result.map, [[0.25, 0.25]])
        np.testing.assert_allclose(result.cosine, [1 / np.sqrt(5)] * 2)  # <p, r> = .125, |p| = .3536, |r| = .7906
        assert result.pythagoras == pytest.approx(2 * 2.0 * (2 / 16) / 2)
        np.testing.assert_allclose(result.leverage, [0.25, 0.25])

    def test_relative_sizes(self):
        """C = (1, 1, 1), z = (3, 0, 0): M = 1, R = (2, -1, -1); and P = 0 leaves C^T R = 3."""
        condition, target = np.ones((3, 1)), np.array([[3.0], [0.0], [0.0]])
        assert decompose(condition, target).sign_residual == pytest.approx(1 / 3)
        nothing = decompose_translation(0 * target, target, condition)
        assert nothing.condition_residual == pytest.approx(1 / np.sqrt(3))
        assert nothing.projection_gap == pytest.approx(1.0)
        assert nothing.pythagoras == nothing.projection_residual == 0.0
        half = decompose_translation(0.5 * target, target, condition)
        assert half.projection_residual == pytest.approx(1.0)
        assert half.pythagoras == pytest.approx(0.5)

    def test_one_sample_is_not_perpendicular(self):
        target = np.array([[3.0, 0.0], [1.0, 0.0]])  # p = (2, 0) twice, r = (1, 0) and (-1, 0)
        result = decompose(self.condition, target)
        np.testing.assert_allclose(result.cosine, [1.0, -1.0])
        assert abs(result.projection_residual) < ROUNDING


class TestIdentities:
    def test_least_squares(self, pairs):
        condition, target = pairs
        result = decompose(condition, target)
        assert np.abs(condition.T @ result.residual).max() < ROUNDING
        assert np.abs(result.projection.T @ result.residual).max() < ROUNDING
        assert result.condition_residual < ROUNDING
        assert result.projection_residual < ROUNDING
        assert result.ridge_gap < ROUNDING
        assert abs(result.pythagoras) < ROUNDING
        assert result.projection_gap < ROUNDING
        np.testing.assert_allclose(result.map, np.linalg.lstsq(condition, target, rcond=None)[0], rtol=1e-9)

    def test_summary(self, pairs):
        result = decompose(*pairs)
        summary = result.summary()
        for name, level in (("cosine_q05", 0.05), ("cosine_q50", 0.5), ("cosine_q95", 0.95)):
            assert summary[name] == pytest.approx(np.quantile(result.cosine, level))
        assert summary["cosine_rms"] == pytest.approx(np.sqrt(np.mean(result.cosine**2)))
        assert summary["samples"] == 200
        assert "direction_captured" not in summary

    def test_per_sample_orthogonality_is_false(self, pairs):
        """The sum of <p_i, r_i> is zero to rounding, yet hardly any summand is."""
        result = decompose(*pairs)
        products = (result.projection * result.residual).sum(axis=1)
        assert abs(products.sum()) < ROUNDING
        assert (np.abs(result.cosine) > 0.1).mean() > 0.5

    def test_ridge(self, pairs):
        condition, target = pairs
        result = decompose(condition, target, ridge=3.0)
        np.testing.assert_allclose(condition.T @ result.residual, 3.0 * result.map, atol=ROUNDING)
        cross = result.projection.T @ result.residual
        np.testing.assert_allclose(cross, 3.0 * result.map.T @ result.map, atol=ROUNDING)
        gap = 2 * 3.0 * np.square(result.map).sum() / np.square(target).sum()
        assert result.pythagoras == pytest.approx(gap, rel=1e-10)
        assert result.ridge_gap < ROUNDING < result.condition_residual

    def test_ridge_matches_scikit_learn(self, pairs):
        from sklearn.linear_model import Ridge

        condition, target = pairs
        oracle = Ridge(alpha=0.7, fit_intercept=False).fit(condition, target)
        np.testing.assert_allclose(decompose(condition, target, 0.7).map, oracle.coef_.T, rtol=1e-9)

    def test_without_a_penalty_it_is_least_squares(self, pairs):
        condition, target = pairs
        space = ColumnSpace.of(condition)
        np.testing.assert_allclose(space.solve(target), np.linalg.pinv(condition) @ target, atol=1e-10)
        np.testing.assert_allclose(space.leverage(), np.diag(condition @ np.linalg.pinv(condition)), atol=1e-10)

    def test_rank_deficient_conditions(self, pairs):
        condition, target = pairs
        doubled = np.hstack([condition, condition[:, :3]])
        result = decompose(doubled, target)
        assert result.condition_residual < ROUNDING
        assert result.leverage.sum() == pytest.approx(7.0)
        np.testing.assert_allclose(result.projection, decompose(condition, target).projection, atol=1e-10)

    def test_interpolation_leaves_no_direction(self):
        rng = np.random.default_rng(1)
        result = decompose(rng.standard_normal((6, 9)), rng.standard_normal((6, 4)))
        assert np.isnan(result.cosine).all()
        assert not result.residual.any()
        assert result.effective_dimension == 0.0
        assert np.isnan(result.leave_one_out_cosine).all()
        assert all(np.isfinite(value) for value in result.summary().values())


class TestLeverage:
    def test_against_the_hat_matrix(self, pairs):
        condition, target = pairs
        hat = condition @ np.linalg.solve(condition.T @ condition + 0.5 * np.eye(7), condition.T)
        result = decompose(condition, target, ridge=0.5)
        np.testing.assert_allclose(result.leverage, np.diag(hat), rtol=1e-10)
        assert result.summary()["effective_parameters"] == pytest.approx(np.trace(hat))

    @pytest.mark.parametrize("ridge", [0.0, 0.4])
    def test_leave_one_out_by_refitting(self, pairs, ridge):
        condition, target = pairs
        cosine = decompose(condition, target, ridge).leave_one_out_cosine
        for i in (0, 17, 199):
            rest = np.arange(len(target)) != i
            p = condition[i] @ ColumnSpace.of(condition[rest]).solve(target[rest], ridge)
            r = target[i] - p
            assert cosine[i] == pytest.approx(p @ r / np.linalg.norm(p) / np.linalg.norm(r), rel=1e-9)

    def test_a_sample_that_decides_its_own_prediction_has_no_held_out_one(self):
        """Sample 0 alone has the first coordinate: its leverage is 1 to rounding, which may leave it below 1."""
        below = []
        for seed in range(20):
            condition, target = np.random.default_rng(seed).standard_normal((2, 30, 4))
            condition[:, 0] = np.arange(30) == 0
            result = decompose(condition, target)
            below.append(0.0 < 1.0 - result.leverage[0] < 1e-14)
            assert np.isnan(result.leave_one_out_cosine).tolist() == [True] + [False] * 29
        assert any(below)

    def test_in_sample_flatters(self):
        """With k close to n the fit is nearly perpendicular in sample, and held out it is not."""
        rng = np.random.default_rng(2)
        result = decompose(rng.standard_normal((60, 50)), rng.standard_normal((60, 40)))
        in_sample, held_out = np.mean(result.cosine), np.nanmean(result.leave_one_out_cosine)
        assert abs(in_sample) < 0.05
        assert held_out < -0.5  # the prediction is mostly noise, which the residual has to take back


class TestEffectiveDimension:
    def test_flat_spectrum(self):
        target = np.vstack([np.eye(6), -np.eye(6)])
        result = decompose_translation(np.zeros_like(target), target)
        np.testing.assert_allclose(result.spectrum, np.full(6, 1 / 6))
        assert result.effective_dimension == pytest.approx(6.0)

    def test_one_direction(self):
        target = np.outer(np.arange(1.0, 9.0), [3.0, 4.0])
        assert decompose_translation(np.zeros_like(target), target).effective_dimension == pytest.approx(1.0)

    def test_isotropic_is_seen_smaller(self):
        """S = R^T R of n Gaussian rows in R^d: E (tr S)^2 = n d (n d + 2), E tr S^2 = n d (n + d + 1)."""
        n, d = 400, 300
        target = np.random.default_rng(3).standard_normal((n, d))
        seen = decompose_translation(np.zeros_like(target), target).effective_dimension
        assert seen == pytest.approx((n * d + 2) / (n + d + 1), rel=0.01)
        assert seen < 0.6 * d


class TestJointTraining:
    """|Z - C M - gamma F|_F^2 in M alone: P = P_C (Z - gamma F)."""

    def fit_jointly(self, condition, target, direction, gamma):
        return condition @ np.linalg.lstsq(condition, target - gamma * direction, rcond=None)[0]

    def test_projection_of_what_is_left(self, pairs):
        condition, target = pairs
        direction = np.random.default_rng(4).standard_normal(target.shape)
        projection = self.fit_jointly(condition, target, direction, gamma=0.3)
        space = ColumnSpace.of(condition)
        np.testing.assert_allclose(projection, space.project(target - 0.3 * direction), atol=ROUNDING)
        shift = np.linalg.norm(0.3 * space.project(direction)) / np.linalg.norm(space.project(target))
        assert decompose_translation(projection, target, condition).projection_gap == pytest.approx(shift)

    def test_jointly_trained_is_not_the_projection(self, pairs):
        condition, target = pairs
        direction = condition @ np.random.default_rng(5).standard_normal((7, 5))  # all of it within reach of M
        projection = self.fit_jointly(condition, target, direction, gamma=1.0)
        result = decompose_translation(projection, target, condition, direction)
        assert result.direction_captured == pytest.approx(1.0)
        assert result.projection_gap > 0.5
        assert result.condition_residual > 0.1

    def test_it_is_where_f_is_out_of_reach(self, pairs):
        condition, target = pairs
        noise = np.random.default_rng(6).standard_normal(target.shape)
        direction = noise - ColumnSpace.of(condition).project(noise)
        projection = self.fit_jointly(condition, target, direction, gamma=1.0)
        result = decompose_translation(projection, target, condition, direction)
        assert result.direction_captured < ROUNDING
        assert result.projection_gap < ROUNDING

    def test_normalising_the_residual_brings_it_back_in_reach(self, pairs):
        """P_C R = 0, but the unit vectors r_i / |r_i| are another matrix: the poster's F is normalised per
        row.
        """
        condition, target = pairs
        residual = decompose(condition, target).residual
        direction = residual / np.linalg.norm(residual, axis=1, keepdims=True)
        assert decompose(condition, target, direction=residual).direction_captured < ROUNDING
        assert decompose(condition, target, direction=direction).direction_captured > 0.02

    def test_chance_level(self):
        """For an F without knowledge of C, |P_C F|^2 / |F|^2 follows Beta(k d / 2, (n - k) d / 2)."""
        rng = np.random.default_rng(7)
        n, k, d = 90, 10, 4
        condition, target, direction = (rng.standard_normal((n, width)) for width in (k, d, d))
        captured = decompose(condition, target, direction=direction).direction_captured
        level = stats.beta.cdf(captured**2, k * d / 2, (n - k) * d / 2)
        assert 1e-6 < level < 1 - 1e-6


class TestBadInput:
    good = np.eye(3)

    @pytest.mark.parametrize(
        ("condition", "target", "ridge", "words"),
        [
            (np.eye(3)[0], np.eye(3), 0.0, "condition: shape"),
            (np.eye(3), np.eye(4), 0.0, "rows: condition 3, target 4"),
            (np.array([[np.nan]]), np.eye(1), 0.0, "condition: row 0"),
            (np.eye(3), np.eye(3), -1.0, "ridge: -1,"),
            (np.eye(3), np.eye(3), np.inf, "ridge: inf"),
            (np.zeros((3, 2)), np.eye(3), 0.0, "condition: all zero"),
            (np.eye(3), np.zeros((3, 2)), 0.0, "target: all zero"),
        ],
    )
    def test_decompose(self, condition, target, ridge, words):
        with pytest.raises(ValueError, match=words):
            decompose(condition, target, ridge)

    def test_translation(self):
        with pytest.raises(ValueError, match="projection: shape"):
            decompose_translation(np.eye(3), np.ones((3, 2)))
        with pytest.raises(ValueError, match="direction: given without condition"):
            decompose_translation(self.good, self.good, direction=self.good)
        with pytest.raises(ValueError, match="map is not known"):
            _ = decompose_translation(self.good, self.good, self.good).leave_one_out_cosine

    def test_inputs_stay(self, pairs):
        condition, target = (array.copy() for array in pairs)
        decompose(condition, target, 1.0, target)
        decompose_translation(target, target, condition, target)
        np.testing.assert_array_equal(condition, pairs[0])
        np.testing.assert_array_equal(target, pairs[1])


@pytest.mark.parametrize("scale", [1e-170, 1e170])
def test_numbers_whose_squares_are_lost_are_refused(pairs, scale):
    condition, target = pairs
    for call, name in (
        (lambda: decompose(scale * condition, target), "condition"),
        (lambda: decompose(condition, scale * target), "target"),
        (lambda: decompose_translation(scale * target, target), "projection"),
    ):
        with pytest.raises(ValueError, match=f"^{name}: a largest entry of .*, one from 1e-140 to 1e140 is needed"):
            call()
    assert abs(decompose_translation(0.0 * target, target).pythagoras) < 1e-15
