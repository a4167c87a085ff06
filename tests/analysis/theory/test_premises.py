"""The bound on given pairs and its premises: geometries in which each of them holds, or does not."""

import numpy as np
import pytest
from scipy import stats

from analysis.theory.arrays import unit_rows
from analysis.theory.bound import general_probability, probability
from analysis.theory.dominance import judge_dominance
from analysis.theory.premises import TESTS, Claim, Premises, TranslatedPairs, measure_premises
from analysis.theory.sphere import AlignmentLaw

FALSE_ALARM = 1e-6  # of one statistical assertion; the seeds are fixed, so a test that passes once always does


class TestPremises:
    def test_orthogonal_geometry_is_exact(self, orthogonal_parts):
        rng = np.random.default_rng(4)
        p, f, z = orthogonal_parts(300, 12, 0.7, rng)
        premises = measure_premises(TranslatedPairs.of(p, f, 0.8, z), 0.6, 0.97)
        assert premises.bound.probability == pytest.approx(probability(0.6, 0.7, 0.8, 12, "complement"))
        assert premises.perpendicular
        assert premises.misjudged == 0.0
        assert premises.dominance.verdict == "undecided"
        assert premises.dominance.pairs == premises.pairs == 300

    def test_p_values_are_binomial_where_all_pairs_are_alike(self, orthogonal_parts):
        rng = np.random.default_rng(31)
        p, f, z = orthogonal_parts(60, 12, 0.7, rng)
        parts = TranslatedPairs.of(p, f, 0.8, z)
        premises = measure_premises(parts, 0.6, 0.97)
        reached = int((parts.cosine >= 0.6).sum())
        for claim in (premises.bound, premises.exact):
            oracle = stats.binomtest(reached, 60, claim.probability, alternative="less").pvalue
            assert claim.p_value == pytest.approx(oracle, rel=1e-6)
            assert not claim.refuted
        at_its_level, below_it = (
            measure_premises(parts, 0.6, 1 - TESTS * premises.bound.p_value * (1 + error)) for error in (1e-9, -1e-9)
        )
        assert (at_its_level.bound.refuted, below_it.bound.refuted) == (True, False)

    def test_typical_angles_by_hand(self):
        """Angles of known cosine, 0, 1/200, ..., 1/2: p against r in the one plane, f against p in another."""
        cosines = np.arange(101) / 200
        sines = np.sqrt(1 - cosines**2)
        zero = np.zeros(101)
        p = np.stack([zero + 0.5, zero, zero], axis=1)
        r = 0.25 * np.stack([-cosines, sines, zero], axis=1)
        f = np.stack([cosines / 2, zero, np.sqrt(1 - cosines**2 / 4)], axis=1)
        size = np.linalg.norm(p + r, axis=1, keepdims=True)
        premises = measure_premises(TranslatedPairs.of(p / size, f, 1.0, (p + r) / size), 0.5, 0.97)
        assert premises.projection_residual == pytest.approx((0.25, 0.475))
        assert premises.direction_projection == pytest.approx((0.125, 0.2375))
        assert not premises.perpendicular
        words = "\n".join(premises.lines())
        assert "|cos(p, r)| is 0.2500, that of |cos(F, p)| 0.1250." in words

    @pytest.mark.parametrize("leaning", ["residual", "direction"])
    def test_either_angle_can_break_the_geometry(self, orthogonal_parts, leaning):
        p, f, z = orthogonal_parts(50, 8, 0.7, np.random.default_rng(32))
        if leaning == "residual":
            z[17] = unit_rows(z[17] + 1e-4 * p[17])
        else:
            f[17] = unit_rows(f[17] + 1e-4 * p[17])
        assert not measure_premises(TranslatedPairs.of(p, f, 0.8, z), 0.6, 0.97).perpendicular

    def test_reaching_alpha_exactly_counts(self):
        """zhat = f: cos is <z, f>, 0 or 1 without rounding, and so is the alignment that is needed."""
        z, f = np.eye(4)[[0, 0]], np.eye(4)[[1, 0]]
        for alpha, reached in ((0.0, 2), (1.0, 1)):
            premises = measure_premises(TranslatedPairs.of(np.zeros((2, 4)), f, 1.0, z), alpha, 0.97)
            p = premises.bound.probability  # of each of the two
            assert premises.bound.p_value == pytest.approx({2: 1.0, 1: 1 - p**2}[reached])
            assert premises.misjudged == 0.0

    def test_a_projection_as_long_as_the_target_is_possible(self):
        """|p| = 1 leaves no residual in the orthogonal geometry: cos = 1 / sqrt(1 + gamma^2) for certain."""
        p, f, z = (np.eye(4)[[k, k]] for k in (0, 1, 2))
        for alpha, certain in ((0.7, 1.0), (0.71, 0.0)):
            assert measure_premises(TranslatedPairs.of(p, f, 1.0, z), alpha, 0.97).bound.probability == certain

    def test_a_longer_projection_is_misjudged_where_it_reaches_alpha(self):
        """p = 1.5 z is excluded by the orthogonal geometry, and yet zhat points where z does. The other three have
        p = z / 2: f within 120 degrees of z reaches alpha on S^3, and u uniform on [-1, 1] has to reach beta.
        """
        z = np.eye(4)
        p = np.array([1.5, 0.5, 0.5, 0.5])[:, None] * z
        premises = measure_premises(TranslatedPairs.of(p, z, 0.5, z), 0.5, 0.97)
        assert premises.misjudged == 0.25
        beta = (0.5 * np.sqrt(0.5) - 0.25) / (0.5 * np.sqrt(0.75))
        assert premises.bound.probability == pytest.approx(3 / 4 * (1 - beta) / 2)
        cap = 2 / 3 + np.sqrt(3) / (4 * np.pi)
        assert premises.exact.probability == pytest.approx((1 + 3 * cap) / 4)

    def test_three_dimensions_are_enough_and_two_are_not(self, orthogonal_parts):
        p, f, z = orthogonal_parts(5, 3, 0.7, np.random.default_rng(33))
        assert measure_premises(TranslatedPairs.of(p, f, 0.8, z), 0.6, 0.97).dominance.pairs == 5
        with pytest.raises(ValueError, match="d at least 3"):
            TranslatedPairs.of(p[:, :2], f[:, :2], 0.8, z[:, :2])

    def test_checked_parts_have_unit_length(self, orthogonal_parts):
        p, f, z = orthogonal_parts(5, 4, 0.7, np.random.default_rng(34))
        size = np.array([[0.9995, 1.0005, 1.0, 1.0, 1.0]]).T
        parts = TranslatedPairs.of(p, size * f, np.arange(5), 7 * z)
        np.testing.assert_allclose(parts.direction, f, atol=1e-12)
        np.testing.assert_allclose(parts.target, z, atol=1e-12)
        np.testing.assert_allclose(parts.translation, p + np.arange(5)[:, None] * f, atol=1e-12)
        with pytest.raises(ValueError, match="direction: row 1 has length 1.002, 1 is needed"):
            TranslatedPairs.of(p, np.where(size > 1, 1.002, 1.0) * f, 1.0, z)

    @pytest.mark.parametrize("changed", range(3))
    @pytest.mark.parametrize("columns", [5, 7])
    def test_one_shape_for_all(self, orthogonal_parts, changed, columns):
        arrays = list(orthogonal_parts(4, 6, 0.7, np.random.default_rng(40)))
        arrays[changed] = unit_rows(np.ones((4, columns)))
        p, f, z = arrays
        with pytest.raises(ValueError, match=r"one \(n, d\)"):
            TranslatedPairs.of(p, f, 1.0, z)

    @pytest.mark.parametrize("gamma", [np.inf, np.nan, -0.5])
    def test_gamma_has_to_be_a_weight(self, orthogonal_parts, gamma):
        p, f, z = orthogonal_parts(5, 4, 0.7, np.random.default_rng(35))
        with pytest.raises(ValueError, match=r"gamma: .*, a number in \[0, inf\) is needed"):
            TranslatedPairs.of(p, f, np.array([1.0, gamma, 1.0, 0.0, 1.0]), z)

    def test_zero_rows_are_named(self, orthogonal_parts):
        p, f, z = orthogonal_parts(5, 4, 0.7, np.random.default_rng(36))
        z[3] = 0.0
        with pytest.raises(ValueError, match="target: row 3 is zero"):
            TranslatedPairs.of(p, f, 1.0, z)

    def test_exact_geometry_against_simulated_directions(self):
        """One pair whose p and r are far from perpendicular, 4,000 uniform directions."""
        rng = np.random.default_rng(5)
        z, p = np.eye(8)[:1].repeat(4000, 0), np.zeros((4000, 8))
        p[:, 0], p[:, 1] = 0.6, 0.2
        premises = measure_premises(TranslatedPairs.of(p, unit_rows(rng.standard_normal((4000, 8))), 1.0, z), 0.3, 0.97)
        assert premises.exact.probability == pytest.approx(general_probability(0.3, 0.6, 0.2, 1.0, 8).probability)
        assert premises.exact.probability == pytest.approx(0.778, abs=5e-4)
        reached = (TranslatedPairs.of(p, unit_rows(rng.standard_normal((4000, 8))), 1.0, z).cosine >= 0.3).sum()
        assert stats.binomtest(int(reached), 4000, premises.exact.probability).pvalue > FALSE_ALARM
        assert not premises.perpendicular
        assert premises.misjudged > 0.01
        assert premises.bound.probability != pytest.approx(premises.exact.probability, abs=0.01)

    def test_marginal_dominance_is_not_enough(self):
        """V is uniform over all pairs, but the pairs that need a high one get a low one.

        p = s z, so that V is the law of u = <z, f> at u where gamma >= s.
        """
        rng = np.random.default_rng(6)
        n, d, alpha, gamma = 2000, 30, 0.3, 0.8
        u = np.sort(AlignmentLaw(d).rvs(n, rng))[:, None]
        s = np.repeat([0.2, 0.8], n // 2)[:, None]  # the hard pairs, with the poor half of the alignments, come first
        z, g = unit_rows(rng.standard_normal((2, n, d)))
        f = u * z + np.sqrt(1 - u**2) * unit_rows(g - (g * z).sum(1, keepdims=True) * z)
        premises = measure_premises(TranslatedPairs.of(s * z, f, gamma, z), alpha, 0.97)
        assert premises.dominance.verdict == "undecided"
        assert premises.exact.refuted

    def test_the_orthogonal_bound_can_be_too_high_for_a_good_direction(self, orthogonal_parts):
        """p leans away from its residual by .25: a uniform direction, made a little better, still misses the
        bound.
        """
        rng = np.random.default_rng(19)
        p, f, z = orthogonal_parts(2000, 20, 0.7, rng)
        z = unit_rows(z - 0.25 * p)
        f = unit_rows(f + 0.1 * unit_rows(z - p))
        premises = measure_premises(TranslatedPairs.of(p, f, 0.3, z), 0.55, 0.97)
        assert premises.dominance.verdict == "supported"
        assert premises.bound.refuted
        assert not premises.exact.refuted

    def test_a_projection_longer_than_the_target(self, orthogonal_parts):
        """|p| > 1 is impossible in the orthogonal geometry: the bound claims nothing there, the exact one
        does.
        """
        p, f, z = orthogonal_parts(50, 6, 0.8, np.random.default_rng(7))
        premises = measure_premises(TranslatedPairs.of(2 * p, f, 0.1, z), 0.5, 0.97)
        assert premises.bound.probability == 0.0
        assert premises.exact.probability == pytest.approx(1.0)

    def test_no_projection_is_perpendicular_to_all(self):
        rng = np.random.default_rng(27)
        z, f = unit_rows(rng.standard_normal((2, 300, 6)))
        premises = measure_premises(TranslatedPairs.of(np.zeros((300, 6)), f, 1.0, z), 0.2, 0.97)
        assert premises.perpendicular
        assert premises.bound.probability == pytest.approx(AlignmentLaw(5).sf(0.2))  # the law of n = d - 1
        assert premises.exact.probability == pytest.approx(AlignmentLaw(6).sf(0.2))  # the truth: f is anywhere

    def test_gamma_zero_on_some_pairs_and_on_all(self, orthogonal_parts):
        """Where gamma is 0 the claims are certain, and the direction is not judged."""
        p, f, z = orthogonal_parts(20, 6, 0.8, np.random.default_rng(8))
        premises = measure_premises(TranslatedPairs.of(p, f, np.repeat([0.0, 0.1], 10), z), 0.7, 0.97)
        assert (premises.pairs, premises.dominance.pairs) == (20, 10)
        assert premises.bound == premises.exact == Claim(1.0, 1.0, False)
        with pytest.raises(ValueError, match="gamma: 0 on every pair"):
            measure_premises(TranslatedPairs.of(p, f, 0.0, z), 0.7, 0.97)

    @pytest.mark.parametrize(
        ("alpha", "confidence", "words"), [(1.5, 0.9, "alpha: 1.5"), (0.5, 1.0, "confidence: 1.0")]
    )
    def test_bad_input(self, orthogonal_parts, alpha, confidence, words):
        parts = TranslatedPairs.of(*orthogonal_parts(4, 6, 0.8, np.random.default_rng(8))[:2], 0.5, np.eye(4, 6))
        with pytest.raises(ValueError, match=words):
            measure_premises(parts, alpha, confidence)


class TestWords:
    def test_the_last_line_says_what_remains(self):
        claims = {refuted: Claim(0.5, 0.0 if refuted else 0.7, refuted) for refuted in (False, True)}
        v = np.random.default_rng(24).random(400)
        endings = {
            (False, False, 0.4): "borne out",
            (False, False, 1.0): "neither refute nor confirm",
            (False, False, 2.5): "at some cosines F does worse",
            (True, False, 0.4): "for perpendicular, which they are not",
            (False, True, 0.4): "no guarantee: F does worse than a random direction would",
            (True, True, 0.4): "worse than a random direction would",
        }
        for (bound, exact, power), words in endings.items():
            dominance = judge_dominance(v**power)
            premises = Premises(
                0.6, 500, 0.4, claims[bound], claims[exact], (0.1, 0.2), (0.0, 0.1), False, 0.25, dominance
            )
            lines = premises.lines()
            assert words in lines[-1]
            text = "\n".join(lines)
            assert "Tested on 500 pairs, one a group. Of these 40.00% reach 0.6." in text
            assert "misjudges 25.00%" in text
            assert {"supported": "SUPPORTED at the nine deciles", "refuted": "REFUTED", "undecided": "UNDECIDED"}[
                dominance.verdict
            ] in lines[-3]

    def test_claims_in_words(self):
        assert str(Claim(0.25, 0.031, False)) == "25.00% would. That F reaches as many is NOT REFUTED (p-value 0.031)."
        assert str(Claim(0.25, 1.2e-98, True)) == "25.00% would. That F reaches as many is REFUTED (p-value 1.2e-98)."
        assert str(Claim(0.25, 1e-99, True)) == "25.00% would. That F reaches as many is REFUTED (p-value 1e-99)."
        assert str(Claim(0.25, 0.0, True)) == "25.00% would. That F reaches as many is REFUTED (p-value < 1e-99)."


class TestTies:
    def test_where_nothing_moves_a_cosine_of_alpha_refutes_nothing(self):
        """Half of the pairs have gamma 0 and cos(p, z) = alpha but for rounding; the others are random."""
        for seed in range(20):
            rng = np.random.default_rng(seed)
            z, e, f = (unit_rows(rng.standard_normal((200, 16))) for _ in range(3))
            e = unit_rows(e - (e * z).sum(axis=1, keepdims=True) * z)
            p, gamma = 0.7 * (0.5 * z + np.sqrt(0.75) * e), np.repeat([0.0, 0.8], 100)
            found = measure_premises(TranslatedPairs.of(p, f, gamma, z), 0.5, 1 - 1e-6)
            assert not found.exact.refuted and found.dominance.pairs == 100
            assert "whatever the cosine? On the 100 pairs whose cosine F moves: " in found.lines()[6]

    def test_where_nothing_moves_the_length_of_p_may_be_alpha(self):
        """p is perpendicular to its residual: its cosine is its length, .7, here of pairs that rounding sets apart."""
        rng = np.random.default_rng(0)
        z, e, f = (unit_rows(rng.standard_normal((2000, 16))) for _ in range(3))
        p = 0.49 * z + 0.7 * np.sqrt(0.51) * unit_rows(e - (e * z).sum(axis=1, keepdims=True) * z)
        apart = (np.linalg.norm(p, axis=1) >= 0.7) & (TranslatedPairs.of(p, f, 0.0, z).cosine < 0.7)
        rows, gamma = np.append(np.flatnonzero(apart), 0), np.append(np.zeros(apart.sum()), 0.8)
        found = measure_premises(TranslatedPairs.of(p[rows], f[rows], gamma, z[rows]), 0.7, 1 - 1e-6)
        assert len(rows) > 20 and not found.bound.refuted

    def test_a_direction_that_rounding_drowns_is_not_judged(self):
        """p parallel to z: the cosine is 1 - gamma^2 (1 - t^2) / 2, of which float64 keeps nothing."""
        rng = np.random.default_rng(1)
        z, f = (unit_rows(rng.standard_normal((400, 4096))) for _ in range(2))
        assert not TranslatedPairs.of(z, f, 2e-6, z).moved.any()
        seen = TranslatedPairs.of(z, f, 2e-3, z)
        assert seen.moved.all() and stats.kstest(seen.beaten, "uniform").pvalue > 1e-6


class TestTheLastLine:
    """It says no more than the lines above it."""

    dominance = judge_dominance(np.random.default_rng(24).random(400))
    claims = tuple(Claim(0.5, 0.0 if refuted else 0.7, refuted) for refuted in (False, True))

    def last(self, bound, exact, perpendicular):
        angles = (0.0, 0.0) if perpendicular else (0.1, 0.2)
        return Premises(
            0.6, 400, 0.4, self.claims[bound], self.claims[exact], angles, angles, perpendicular, 0.25, self.dominance
        ).lines()[-1]

    def test_perpendicular_parts_are_not_called_otherwise(self):
        assert "worse than a random direction that is perpendicular to p" in self.last(True, False, True)
        assert "not perpendicular" not in self.last(True, False, True)
        assert "which they are not" in self.last(True, False, False)

    def test_a_bound_that_is_not_refuted_does_not_fail(self):
        assert "fails" not in self.last(False, True, False) and "fails" in self.last(True, True, False)
