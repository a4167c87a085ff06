"""Baselines: closed forms, the transformations that each must recover exactly, and those it must not."""

import numpy as np
import pytest

from analysis.baselines import ConstantMean, Identity, MeanShift, Procrustes, Ridge, baselines, not_applicable
from analysis.decomposition import decompose
from modtrans_core.evaluate import cosine


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def unit_rows(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def orthogonal(size, rng):
    return np.linalg.qr(rng.standard_normal((size, size)))[0]


class TestWhichApply:
    def test_one_dimension(self):
        assert list(baselines(8, 8)) == ["constant mean", "identity", "mean shift", "procrustes", "ridge"]
        assert not_applicable(8, 8) == {}

    def test_two_dimensions(self):
        assert list(baselines(9, 8)) == ["constant mean", "procrustes", "ridge"]
        assert set(not_applicable(9, 8)) == {"identity", "mean shift"}
        assert "9 and 8" in not_applicable(9, 8)["identity"]

    @pytest.mark.parametrize(("k", "d"), [(6, 6), (6, 9), (9, 6), (1, 4), (4, 1)])
    def test_all_that_apply_translate(self, k, d, rng):
        condition, target = unit_rows(rng.standard_normal((30, k))), unit_rows(rng.standard_normal((30, d)))
        before = condition.copy(), target.copy()
        for make in baselines(k, d).values():
            prediction = make().fit(condition, target, (condition, target)).translate(condition[:5])
            assert prediction.shape == (5, d)
            assert np.isfinite(prediction).all()
        np.testing.assert_array_equal(before[0], condition)
        np.testing.assert_array_equal(before[1], target)

    def test_impossible_sizes(self):
        with pytest.raises(ValueError, match="k: 0"):
            baselines(0, 3)


class TestExactRecovery:
    def test_constant_mean_is_the_best_constant(self, rng):
        target = unit_rows(rng.standard_normal((50, 4)) + 1.0)
        best = cosine(ConstantMean().fit(target, target).translate(target), target).mean()
        assert best == pytest.approx(np.linalg.norm(target.mean(axis=0)), rel=1e-6)
        for other in rng.standard_normal((20, 4)):
            assert cosine(np.tile(other, (50, 1)), target).mean() < best

    def test_identity(self, rng):
        condition = rng.standard_normal((5, 3))
        translated = Identity().fit(condition, condition).translate(condition)
        np.testing.assert_array_equal(translated, condition)
        assert translated is not condition

    def test_mean_shift(self, rng):
        condition, gap = rng.standard_normal((20, 3)), np.array([1.0, -2.0, 0.5])
        shift = MeanShift().fit(condition, condition + gap)
        np.testing.assert_allclose(shift.translate(condition), condition + gap)

    def test_procrustes_recovers_a_similarity(self, rng):
        condition, turn = rng.standard_normal((40, 5)), orthogonal(5, rng)
        target = 0.3 * condition @ turn + 2.0
        fitted = Procrustes().fit(condition, target)
        np.testing.assert_allclose(fitted.translate(condition), target, atol=1e-12)
        np.testing.assert_allclose(fitted.map, 0.3 * turn, atol=1e-12)

    @pytest.mark.parametrize(("k", "d"), [(3, 7), (7, 3)])
    def test_procrustes_is_semi_orthogonal(self, k, d, rng):
        fitted = Procrustes().fit(rng.standard_normal((40, k)), rng.standard_normal((40, d)))
        gram = fitted.map @ fitted.map.T if k < d else fitted.map.T @ fitted.map
        np.testing.assert_allclose(gram / gram[0, 0], np.eye(min(k, d)), atol=1e-12)

    def test_procrustes_beats_other_similarities(self, rng):
        """k = d: no turn and no dilation near the fitted one leaves a smaller squared error."""
        condition, target = rng.standard_normal((60, 4)), rng.standard_normal((60, 4))
        fitted = Procrustes().fit(condition, target)
        centred, aim = condition - condition.mean(axis=0), target - target.mean(axis=0)
        best = np.square(aim - centred @ fitted.map).sum()
        for _ in range(20):
            twist = rng.standard_normal((4, 4)) * 0.05
            turn = np.linalg.qr(np.eye(4) + twist - twist.T)[0]
            turn = turn * np.sign(np.diag(turn))
            assert np.square(aim - centred @ fitted.map @ turn).sum() > best
        for scale in (0.9, 1.1):
            assert np.square(aim - scale * centred @ fitted.map).sum() > best

    def test_ridge_is_the_closed_form_on_centred_data(self, rng):
        condition, target = rng.standard_normal((50, 6)), rng.standard_normal((50, 4))
        centred, aim = condition - condition.mean(axis=0), target - target.mean(axis=0)
        expected = target.mean(axis=0) + centred @ decompose(centred, aim, ridge=2.0).map
        np.testing.assert_allclose(Ridge([2.0]).fit(condition, target).translate(condition), expected, atol=1e-10)


class TestRidgePenalty:
    def test_it_keeps_the_best_on_validation(self, rng):
        condition = unit_rows(rng.standard_normal((60, 20)))
        target = unit_rows(condition @ rng.standard_normal((20, 8)) + 3.0 * rng.standard_normal((60, 8)))
        training, validation = slice(0, 30), slice(30, 60)
        held_out = condition[validation], target[validation]
        fitted = Ridge().fit(condition[training], target[training], held_out)
        assert fitted.validation_cosines[fitted.penalty] == max(fitted.validation_cosines.values())
        again = cosine(fitted.translate(held_out[0]), held_out[1]).mean()
        assert again == pytest.approx(fitted.validation_cosines[fitted.penalty])
        assert fitted.penalty > min(fitted.penalties)  # on 30 noisy pairs in R^20 the smallest penalty must lose

    def test_choice_needs_validation(self, rng):
        with pytest.raises(ValueError, match="validation: none"):
            Ridge().fit(np.eye(3), np.eye(3))

    @pytest.mark.parametrize("penalties", [[], [0.0], [np.inf], [-1.0, 1.0]])
    def test_impossible_penalties(self, penalties):
        with pytest.raises(ValueError, match="penalties"):
            Ridge(penalties)


class TestOrder:
    def test_each_wins_where_its_assumption_holds(self, rng):
        """Shift only, turn only, any linear map: the simplest baseline that can follow is exact, simpler ones
        are not.
        """
        condition = unit_rows(rng.standard_normal((400, 6)))
        gap = 0.5 * np.ones(6)
        tasks = {
            "mean shift": condition + gap,
            "procrustes": condition @ orthogonal(6, rng) + gap,
            "ridge": condition @ rng.standard_normal((6, 6)) + gap,
        }
        order = list(baselines(6, 6))
        for exact, target in tasks.items():
            for name, make in baselines(6, 6).items():
                fitted = make().fit(condition[:300], target[:300], (condition[300:], target[300:]))
                score = cosine(fitted.translate(condition[300:]), target[300:]).mean()
                if order.index(name) < order.index(exact):
                    assert score < 0.99, (exact, name)
                else:
                    assert score > 0.9999, (exact, name)


class TestBadInput:
    @pytest.mark.parametrize("make", [ConstantMean, Identity, MeanShift, Procrustes, Ridge])
    def test_before_fit_and_wrong_dimension(self, make):
        with pytest.raises(ValueError, match="before fit"):
            make().translate(np.eye(3))
        fitted = make().fit(np.eye(3), np.eye(3)[::-1], (np.eye(3), np.eye(3)))
        with pytest.raises(ValueError, match="dimension 2, allowed is the fitted 3"):
            fitted.translate(np.ones((1, 2)))

    @pytest.mark.parametrize("make", [ConstantMean, Procrustes, Ridge])
    def test_rows(self, make):
        with pytest.raises(ValueError, match="rows: condition 3, target 2"):
            make().fit(np.eye(3), np.eye(3)[:2], (np.eye(3), np.eye(3)))
        with pytest.raises(ValueError, match="target: row 1"):
            make().fit(np.eye(2), np.array([[1.0], [np.inf]]), (np.eye(2), np.eye(2)))

    @pytest.mark.parametrize("make", [Identity, MeanShift])
    def test_one_dimension_needed(self, make):
        with pytest.raises(ValueError, match="dimension 3 and target 2"):
            make().fit(np.eye(3), np.eye(3)[:, :2])

    def test_procrustes_of_a_point(self):
        with pytest.raises(ValueError, match="does not vary"):
            Procrustes().fit(np.ones((3, 2)), np.eye(3))
