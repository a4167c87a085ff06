"""Baselines: closed forms, the transformations that each must recover exactly, and those it must not."""

import numpy as np
import pytest
from analysis.translators.repeats import mean_cosine, merge, merge_unit

from analysis.theory.decomposition import decompose
from analysis.translators import (
    MLP,
    CanonicalCorrelation,
    ConstantMean,
    Identity,
    KernelRidge,
    MeanShift,
    OptimalTransport,
    PartialLeastSquares,
    Procrustes,
    Ridge,
    RidgeTowardsIdentity,
    baselines,
    not_applicable,
)
from modtrans_core.scores import cosine


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def unit_rows(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def orthogonal(size, rng):
    return np.linalg.qr(rng.standard_normal((size, size)))[0]


def noisy_pairs(n, k, d, rng, noise=1.0):
    """Unit rows (n, k) and (n, d), linear but for the noise."""
    condition = unit_rows(rng.standard_normal((n, k)))
    return condition, unit_rows(condition @ rng.standard_normal((k, d)) + noise * rng.standard_normal((n, d)))


def small_mlp():
    return MLP(width=16, steps=20, every=5)


class TestWhichApply:
    def test_one_dimension(self):
        assert list(baselines(8, 8)) == ["constant mean", "identity", "mean shift", "procrustes", "ridge"]
        assert not_applicable(8, 8) == {}

    def test_two_dimensions(self):
        assert list(baselines(9, 8)) == ["constant mean", "procrustes", "ridge"]
        assert set(not_applicable(9, 8)) == {"identity", "mean shift"}
        assert "9 and 8" in not_applicable(9, 8)["identity"]

    def test_full_adds_and_needs_one_dimension_for_two_of_the_added(self):
        added = ["ridge towards tI", "kernel ridge", "CCA", "PLS", "MLP", "optimal transport"]
        assert list(baselines(8, 8, full=True)) == [*baselines(8, 8), *added]
        assert list(baselines(9, 8, full=True)) == [*baselines(9, 8), *added[1:-1]]
        assert set(not_applicable(9, 8, full=True)) == {*not_applicable(9, 8), added[0], added[-1]}
        assert not_applicable(8, 8, full=True) == {}

    @pytest.mark.parametrize(("k", "d"), [(6, 6), (6, 9), (9, 6), (1, 4), (4, 1)])
    def test_all_that_apply_translate(self, k, d, rng):
        condition, target = unit_rows(rng.standard_normal((30, k))), unit_rows(rng.standard_normal((30, d)))
        before = condition.copy(), target.copy()
        for make in (baselines(k, d, full=True) | {"MLP": small_mlp}).values():
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

    @pytest.mark.parametrize(
        "make", [Ridge, RidgeTowardsIdentity, KernelRidge, CanonicalCorrelation, PartialLeastSquares]
    )
    def test_choice_needs_validation(self, make, rng):
        with pytest.raises(ValueError, match="validation: none"):
            make().fit(*noisy_pairs(20, 4, 4, rng))

    @pytest.mark.parametrize("penalties", [[], [0.0], [np.inf], [-1.0, 1.0]])
    def test_impossible_penalties(self, penalties):
        with pytest.raises(ValueError, match="penalties"):
            Ridge(penalties)


class TestRidgeTowardsIdentity:
    def test_closed_form(self, rng):
        """tI plus the ridge map of the residual, whether there are more rows than dimensions or fewer."""
        for n in (50, 5):
            condition, target = rng.standard_normal((n, 8)), rng.standard_normal((n, 8))
            centred, aim = condition - condition.mean(axis=0), target - target.mean(axis=0)
            residual_map = np.linalg.solve(centred.T @ centred + 2.0 * np.eye(8), centred.T @ (aim - 0.7 * centred))
            fitted = RidgeTowardsIdentity([2.0], [0.7]).fit(condition, target)
            np.testing.assert_allclose(fitted.map, 0.7 * np.eye(8) + residual_map, atol=1e-10)
            expected = target.mean(axis=0) + centred @ fitted.map
            np.testing.assert_allclose(fitted.translate(condition), expected, atol=1e-10)

    def test_limits_are_ridge_and_mean_shift(self, rng):
        condition, target = noisy_pairs(40, 5, 5, rng)
        ridge, shift = Ridge([3.0]).fit(condition, target), MeanShift().fit(condition, target)
        at_zero, stiff = (RidgeTowardsIdentity([p], [t]).fit(condition, target) for p, t in ((3.0, 0.0), (1e12, 1.0)))
        np.testing.assert_allclose(at_zero.translate(condition), ridge.translate(condition), atol=1e-10)
        np.testing.assert_allclose(stiff.translate(condition), shift.translate(condition), atol=1e-9)

    def test_it_beats_ridge_where_axes_are_shared_and_only_there(self, rng):
        condition = unit_rows(rng.standard_normal((220, 30)))
        for turn, helps in ((np.eye(30), True), (orthogonal(30, rng), False)):
            target = unit_rows(condition @ turn + 0.1 * rng.standard_normal((220, 30)))
            training, held = (condition[:40], target[:40]), (condition[40:], target[40:])
            ours, ridge = RidgeTowardsIdentity().fit(*training, held), Ridge().fit(*training, held)
            gain = np.subtract(*(cosine(b.translate(held[0]), held[1]).mean() for b in (ours, ridge)))
            assert (gain > 0.05) == helps
            assert (ours.scale > 0.5) == helps
            assert ours.validation_cosines[ours.penalty, ours.scale] == max(ours.validation_cosines.values())

    def test_impossible_settings(self):
        with pytest.raises(ValueError, match="scales: nan, allowed"):
            RidgeTowardsIdentity(scales=[np.nan])
        with pytest.raises(ValueError, match="scales: empty"):
            RidgeTowardsIdentity(scales=[])


class TestRepeats:
    def test_merge(self):
        condition = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -0.0]])
        rows = merge(condition, np.array([[1.0], [5.0], [2.0]]))
        np.testing.assert_array_equal(rows.condition, [[1.0, 0.0], [0.0, 1.0]])
        np.testing.assert_array_equal(rows.target, [[1.5], [5.0]])
        np.testing.assert_array_equal(rows.weight, [2.0, 1.0])

    def test_mean_cosine_is_that_of_the_rows(self, rng):
        item = rng.integers(0, 7, 40)
        condition, target = rng.standard_normal((7, 3))[item], rng.standard_normal((40, 4))
        turn = rng.standard_normal((3, 4))
        rows = merge_unit(condition, target)
        expected = cosine(condition @ turn, target).mean()
        assert mean_cosine(rows.condition @ turn, rows) == pytest.approx(expected, abs=1e-6)


def repeated_pairs(rng):
    """30 conditions, each with 1 to 4 targets, in mixed order."""
    item = rng.permutation(np.repeat(np.arange(30), rng.integers(1, 5, 30)))
    return unit_rows(rng.standard_normal((30, 4)))[item], unit_rows(rng.standard_normal((len(item), 3)))


class TestKernelRidge:
    def test_merged_conditions_change_nothing(self, rng):
        """Oracle: the dual solution on all rows, repeats included, with the kernel written out."""
        condition, target = repeated_pairs(rng)
        assert len(np.unique(condition, axis=0)) < len(condition)
        fitted = KernelRidge([0.8], [0.1]).fit(condition, target)
        different = np.unique(condition, axis=0)
        distance = np.linalg.norm(different[:, None] - different, axis=2)
        assert fitted.width == pytest.approx(0.8 * np.median(distance[np.triu_indices(30, 1)]))

        def kernel(a, b):
            return np.exp(-np.square(np.linalg.norm(a[:, None] - b, axis=2)) / (2 * fitted.width**2))

        mean, new = target.mean(axis=0), unit_rows(rng.standard_normal((9, 4)))
        dual = np.linalg.solve(kernel(condition, condition) + 0.1 * np.eye(len(condition)), target - mean)
        np.testing.assert_allclose(fitted.translate(new), mean + kernel(new, condition) @ dual, atol=1e-9)

    def test_landmarks_at_every_condition_are_exact(self, rng):
        condition, target = repeated_pairs(rng)
        exact = KernelRidge([0.8], [0.1]).fit(condition, target).translate(condition)
        same = KernelRidge([0.8], [0.1], exact=1).fit(condition, target).translate(condition)
        np.testing.assert_allclose(same, exact, atol=1e-7)
        fewer = KernelRidge([0.8], [0.1], exact=1, landmarks=5).fit(condition, target).translate(condition)
        assert np.abs(fewer - exact).max() > 1e-3

    def test_few_landmarks_are_scikit_learns_nystroem(self, rng):
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import Ridge as ScikitRidge

        condition, target = noisy_pairs(200, 4, 3, rng)
        fitted = KernelRidge([1.0], [0.3], exact=1, landmarks=20, seed=3).fit(condition, target)
        features = Nystroem(gamma=0.5 / fitted.width**2, n_components=20).fit(fitted.centres)
        ridge = ScikitRidge(alpha=0.3, fit_intercept=False)
        ridge.fit(features.transform(condition), target - target.mean(axis=0))
        expected = target.mean(axis=0) + features.transform(condition[:9]) @ ridge.coef_.T
        np.testing.assert_allclose(fitted.translate(condition[:9]), expected, atol=1e-7)

    @pytest.mark.parametrize("exact", [1, 6000])
    def test_it_bends_and_no_line_can_follow(self, exact, rng):
        angle = rng.uniform(0, 2 * np.pi, 400)
        condition = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        target = np.stack([np.cos(3 * angle), np.sin(3 * angle)], axis=1)
        held = condition[300:], target[300:]
        scores = {}
        for name, baseline in {"kernel": KernelRidge(exact=exact, landmarks=100), "ridge": Ridge()}.items():
            baseline.fit(condition[:300], target[:300], held)
            scores[name] = cosine(baseline.translate(held[0]), held[1]).mean()
            kept = max(baseline.validation_cosines.values())
            assert kept == pytest.approx(scores[name], abs=1e-3)
        assert scores["kernel"] > 0.999
        assert scores["ridge"] < 0.5

    def test_bad_input(self):
        with pytest.raises(ValueError, match="kernel ridge: condition does not vary"):
            KernelRidge().fit(np.ones((3, 2)), np.eye(3), (np.ones((3, 2)), np.eye(3)))
        with pytest.raises(ValueError, match="bandwidths: 0"):
            KernelRidge([0.0])
        with pytest.raises(ValueError, match="landmarks: 0, allowed is a whole number of at least 1"):
            KernelRidge(landmarks=0)


class TestLatent:
    def test_cca_is_scikit_learns(self, rng):
        """The correlations, and the regression on the variates, of the iterations without a penalty."""
        from sklearn.cross_decomposition import CCA
        from sklearn.linear_model import LinearRegression

        condition, target = noisy_pairs(300, 6, 4, rng, noise=0.5)
        oracle = CCA(n_components=2, scale=False, max_iter=20000, tol=1e-14).fit(condition, target)
        first, second = oracle.transform(condition, target)
        fitted = CanonicalCorrelation([1e-9], [2]).fit(condition, target)
        expected = [np.corrcoef(first[:, i], second[:, i])[0, 1] for i in range(2)]
        np.testing.assert_allclose(fitted.correlations, expected, atol=1e-6)
        regression = LinearRegression().fit(first, target).predict(first)
        np.testing.assert_allclose(fitted.translate(condition), regression, atol=1e-5)

    def test_cca_with_all_components_is_ridge(self, rng):
        condition, target = noisy_pairs(60, 4, 7, rng)
        fitted, ridge = (b.fit(condition, target) for b in (CanonicalCorrelation([2.0], [99]), Ridge([2.0])))
        np.testing.assert_allclose(fitted.translate(condition), ridge.translate(condition), atol=1e-10)
        fewer = CanonicalCorrelation([2.0], [3]).fit(condition, target)
        assert np.linalg.matrix_rank(fewer.map) == 3
        assert np.abs(fewer.translate(condition) - ridge.translate(condition)).max() > 1e-3

    @pytest.mark.parametrize(("k", "d"), [(30, 25), (12, 5), (5, 12)])
    def test_pls_is_scikit_learns(self, k, d, rng):
        from sklearn.cross_decomposition import PLSRegression

        condition, target = noisy_pairs(80, k, d, rng)
        for rank in (1, 4):
            oracle = PLSRegression(rank, scale=False, max_iter=20000, tol=1e-15).fit(condition, target)
            fitted = PartialLeastSquares([rank]).fit(condition, target)
            np.testing.assert_allclose(fitted.translate(condition), oracle.predict(condition), atol=1e-6)

    def test_pls_with_all_components_is_least_squares(self, rng):
        condition, target = noisy_pairs(60, 5, 7, rng)
        fitted = PartialLeastSquares([99]).fit(condition, target)
        np.testing.assert_allclose(fitted.map, Ridge([1e-9]).fit(condition, target).map, atol=1e-6)

    def test_pls_stops_where_nothing_is_left(self, rng):
        condition = rng.standard_normal((50, 2)) @ rng.standard_normal((2, 6))
        fitted = PartialLeastSquares([5]).fit(condition, condition[:, :4])
        assert fitted.rank == 2
        np.testing.assert_allclose(fitted.translate(condition), condition[:, :4], atol=1e-9)
        with pytest.raises(ValueError, match="PLS: condition or target does not vary"):
            PartialLeastSquares().fit(np.ones((3, 2)), np.eye(3))

    @pytest.mark.parametrize("make", [CanonicalCorrelation, PartialLeastSquares])
    def test_it_finds_the_rank(self, make, rng):
        """Three shared directions among 24: more components than that only add noise, fewer miss some."""
        shared = rng.standard_normal((300, 3))
        condition = unit_rows(shared @ rng.standard_normal((3, 24)) + rng.standard_normal((300, 24)))
        target = unit_rows(shared @ rng.standard_normal((3, 24)) + rng.standard_normal((300, 24)))
        training, held = (condition[:100], target[:100]), (condition[100:], target[100:])
        fitted = make().fit(*training, held)
        assert 2 <= fitted.rank <= 4
        score = cosine(fitted.translate(held[0]), held[1]).mean()
        assert score == pytest.approx(max(fitted.validation_cosines.values()))
        one = make(components=[1]).fit(*training, held)
        assert score > cosine(one.translate(held[0]), held[1]).mean() + 0.02

    @pytest.mark.parametrize("make", [CanonicalCorrelation, PartialLeastSquares])
    def test_impossible_components(self, make):
        with pytest.raises(ValueError, match="components: 0, allowed is a whole number of at least 1"):
            make(components=[0])


class TestMLP:
    def test_it_bends_and_no_line_can_follow(self, rng):
        condition = unit_rows(rng.standard_normal((1200, 3)))
        target = unit_rows(np.stack([condition[:, 0] * condition[:, 1], np.square(condition[:, 2]) - 0.3], axis=1))
        training, held = (condition[:1000], target[:1000]), (condition[1000:], target[1000:])
        fitted, ridge = MLP(width=64, dropout=0.0, rate=1e-2).fit(*training, held), Ridge().fit(*training, held)
        score = cosine(fitted.translate(held[0]), held[1]).mean()
        assert score > 0.95
        assert score == pytest.approx(max(fitted.validation_cosines.values()), abs=1e-6)
        assert cosine(ridge.translate(held[0]), held[1]).mean() < 0.7

    def test_it_stops_when_there_is_nothing_to_learn(self, rng):
        """Targets that have nothing to do with the conditions: early, and no better than the constant mean."""
        condition, target = unit_rows(rng.standard_normal((400, 8))), unit_rows(rng.standard_normal((400, 8)) + 0.5)
        held = condition[200:], target[200:]
        fitted = MLP(width=64, steps=1000, every=5, patience=3).fit(condition[:200], target[:200], held)
        assert max(fitted.validation_cosines) < 1000
        constant = ConstantMean().fit(condition[:200], target[:200]).translate(held[0])
        assert max(fitted.validation_cosines.values()) < cosine(constant, held[1]).mean() + 0.02

    def test_its_seed_decides_and_the_callers_state_is_kept(self, rng):
        import torch

        condition, target = noisy_pairs(40, 5, 3, rng)
        before = torch.get_rng_state()
        settings = {"width": 8, "steps": 4, "every": 2}
        first, again, other = (
            MLP(**settings, seed=seed).fit(condition, target, (condition, target)).translate(condition)
            for seed in (0, 0, 1)
        )
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).max() > 1e-3
        assert torch.equal(torch.get_rng_state(), before)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="validation: none"):
            MLP().fit(np.eye(3), np.eye(3))
        for setting, value in {"width": 0, "dropout": 1.0, "rate": 0.0, "weight_decay": -1.0, "steps": 1.5}.items():
            with pytest.raises(ValueError, match=f"{setting}: {value}, allowed"):
                MLP(**{setting: value})


class TestOptimalTransport:
    def test_it_recovers_the_gradient_of_a_convex_function_and_no_turn(self, rng):
        """Brenier: a symmetric positive map is its own transport; a rotated cloud is carried elsewhere."""
        condition, root = rng.standard_normal((60, 5)), rng.standard_normal((5, 5))
        stretch, turn = root @ root.T + 0.1 * np.eye(5), orthogonal(5, rng)
        fitted = OptimalTransport(shrinkage=0.0).fit(condition, condition @ stretch + 2.0)
        np.testing.assert_allclose(fitted.map, stretch, atol=1e-8)
        np.testing.assert_allclose(fitted.translate(condition), condition @ stretch + 2.0, atol=1e-8)
        turned = OptimalTransport(shrinkage=0.0).fit(condition, condition @ turn)
        assert np.abs(turned.map - turn).max() > 0.1

    @pytest.mark.parametrize("shrinkage", [0.0, 0.3])
    def test_it_carries_one_covariance_to_the_other(self, shrinkage, rng):
        clouds = rng.standard_normal((2, 80, 4)) @ rng.standard_normal((4, 4))
        fitted = OptimalTransport(shrinkage).fit(*clouds)
        first, second = (
            (1 - shrinkage) * s + shrinkage * np.trace(s) / 4 * np.eye(4)
            for s in (np.cov(cloud.T, bias=True) for cloud in clouds)
        )
        np.testing.assert_allclose(fitted.map @ first @ fitted.map, second, atol=1e-9)
        np.testing.assert_allclose(fitted.map, fitted.map.T, atol=1e-9)
        assert np.linalg.eigvalsh(fitted.map)[0] > 0

    def test_it_ignores_the_pairing(self, rng):
        condition, target = noisy_pairs(50, 4, 4, rng)
        fitted, mixed = (OptimalTransport().fit(condition, z) for z in (target, rng.permutation(target)))
        np.testing.assert_allclose(fitted.map, mixed.map, atol=1e-10)
        assert np.abs(Ridge([1.0]).fit(condition, target).map - fitted.map).max() > 1e-2

    def test_bad_input(self):
        with pytest.raises(ValueError, match="shrinkage: 1.5, allowed is a number from 0 to 1"):
            OptimalTransport(1.5)
        with pytest.raises(ValueError, match="condition: covariance of rank below 3"):
            OptimalTransport(0.0).fit(np.eye(3), np.eye(3))
        with pytest.raises(ValueError, match="condition: covariance of rank below 2"):
            OptimalTransport().fit(np.ones((3, 2)), np.eye(3)[:, :2])


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
    @pytest.mark.parametrize("make", [*baselines(3, 3, full=True).values()])
    def test_before_fit_and_wrong_dimension(self, make):
        with pytest.raises(ValueError, match="before fit"):
            make().translate(np.eye(3))
        fitted = make().fit(np.eye(3), np.eye(3)[::-1], (np.eye(3), np.eye(3)))
        with pytest.raises(ValueError, match="dimension 2, allowed is the fitted 3"):
            fitted.translate(np.ones((1, 2)))

    @pytest.mark.parametrize("make", [*baselines(3, 1, full=True).values()])
    def test_rows(self, make):
        with pytest.raises(ValueError, match="rows: condition 3, target 2"):
            make().fit(np.eye(3), np.eye(3)[:2], (np.eye(3), np.eye(3)))
        with pytest.raises(ValueError, match="target: row 1"):
            make().fit(np.eye(2), np.array([[1.0], [np.inf]]), (np.eye(2), np.eye(2)))

    @pytest.mark.parametrize("make", [Identity, MeanShift, RidgeTowardsIdentity, OptimalTransport])
    def test_one_dimension_needed(self, make):
        with pytest.raises(ValueError, match="dimension 3 and target 2"):
            make().fit(np.eye(3), np.eye(3)[:, :2])

    def test_procrustes_of_a_point(self):
        with pytest.raises(ValueError, match="does not vary"):
            Procrustes().fit(np.ones((3, 2)), np.eye(3))
