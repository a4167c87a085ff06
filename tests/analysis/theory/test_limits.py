"""Floor, ceiling, skill and the price of sampling, against a task whose posterior is known."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from analysis.experiments.synthetic import mean_length, synthetic_pairs
from analysis.theory.arrays import unit_rows
from analysis.theory.confidence import mean_interval
from analysis.theory.limits import (
    ceiling_interval,
    limits,
    mean_length_bracket,
    pair_agreement,
    population_floor,
    skill,
)
from analysis.theory.samples import sampling_law
from modtrans_core.scores import ceiling, cosine, floor, score
from modtrans_core.vectors import mean_of_unit

FALSE_ALARM = 1e-6  # of one statistical assertion; the seeds are fixed, so a test that passes once always does


class TestClosedForms:
    def test_pair_agreement_by_hand(self):
        x, y = np.array([1.0, 0.0]), np.array([0.0, 1.0])
        targets = np.array([[x, x, y], [x, -x, y], [x, y, y]])
        counts = np.array([3, 2, 1])
        np.testing.assert_allclose(pair_agreement(targets, counts)[:2], [1 / 3, -1.0], atol=1e-7)
        assert np.isnan(pair_agreement(targets, counts)[2])
        assert np.isnan(pair_agreement(targets[:, 0])).all()

    def test_point_estimates_are_the_evaluations(self):
        pairs, mean = synthetic_pairs(80, 6, 10, 0.8, 3, np.random.default_rng(2))
        targets, counts = pairs.modality("text"), np.random.default_rng(3).integers(1, 4, 80)
        constant = mean_of_unit(targets, counts)
        result = limits(mean, targets, constant, counts, independent=True)
        assert result.cosine.value == pytest.approx(cosine(mean, targets, counts).mean())
        assert result.floor.value == pytest.approx(floor(constant, targets, counts))
        assert result.ceiling.value == ceiling(targets, counts)
        assert result.ceiling.groups == (counts > 1).sum()
        assert result.ceiling.low < result.ceiling.value < result.ceiling.high
        expected = (result.cosine.value - result.floor.value) / (result.ceiling.value - result.floor.value)
        assert result.skill.value == pytest.approx(expected)
        assert result.to_dict()["skill"]["groups"] == 80

    def test_a_mean_of_zero_has_the_floor_zero(self):
        pairs, mean = synthetic_pairs(20, 4, 8, 0.5, 1, np.random.default_rng(4))
        targets = pairs.modality("text")
        found = limits(mean.tolist(), targets, np.zeros(8).tolist())
        assert (found.floor.value, found.floor.low, found.floor.high) == (floor(np.zeros(8), targets), 0.0, 0.0)
        assert found.skill.value == pytest.approx(found.cosine.value)
        with pytest.raises(ValueError, match=r"training_mean: \(7,\), one vector \(8,\) is needed"):
            limits(mean, targets, np.ones(7))

    def test_without_second_targets(self):
        pairs, mean = synthetic_pairs(50, 4, 8, 0.5, 1, np.random.default_rng(4))
        result = limits(mean, pairs.modality("text"), mean_of_unit(pairs.modality("text")))
        assert result.ceiling is None
        assert result.skill.value == pytest.approx(skill(result.cosine.value, result.floor.value, 1.0))

    def test_targets_that_are_not_said_to_be_independent_have_no_ceiling(self):
        """Aliases chosen to differ: a prediction that knows the item scores far above what would be their ceiling."""
        axes = np.eye(3)
        aliases = unit_rows(axes[[0, 1, 2]][:, None] + 0.8 * axes[[[1, 2], [2, 0], [0, 1]]])
        best = unit_rows(aliases.sum(axis=1))
        assert cosine(best, aliases).mean() > ceiling_interval(aliases).value + 0.05
        found = limits(best, aliases, np.ones(3))
        assert found.ceiling is None and 0 < found.skill.value < 1
        assert found.skill.value == pytest.approx(skill(found.cosine.value, found.floor.value, 1.0))

    def test_population_floor_by_hand(self):
        """Three items in two groups, (x, x) and (y): the only products are <x, y> = 0."""
        targets = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        assert population_floor(targets, group=np.array([5, 5, 9])) == 0.0
        assert population_floor(targets) == pytest.approx(np.sqrt(1 / 3))  # one pair of three agrees


class TestJackknife:
    """The delta method against leaving out one group after the other: an oracle that knows no derivative."""

    @pytest.mark.parametrize("name", ["cosine", "floor", "ceiling", "skill"])
    def test_every_interval(self, name):
        rng = np.random.default_rng(30)
        group = np.repeat(np.arange(150), rng.integers(1, 4, 150))
        mu = (np.eye(6)[0] + 0.8 * rng.standard_normal((150, 6)))[group]
        targets = unit_rows(mu[:, None] + 0.6 * rng.standard_normal((len(group), 3, 6)))
        counts = rng.integers(1, 4, len(group))
        predicted, constant = mu + 0.5, np.ones(6)
        full = getattr(limits(predicted, targets, constant, counts, group, independent=True), name)
        left_out = []
        for g in range(150):
            rest = group != g
            part = limits(predicted[rest], targets[rest], constant, counts[rest], group[rest], independent=True)
            left_out.append(getattr(part, name).value)
        error = np.sqrt(149 / 150 * np.square(left_out - np.mean(left_out)).sum())
        half = stats.t.ppf(0.975, full.groups - 1) * error
        assert (full.high - full.low) / 2 == pytest.approx(half, rel=0.03)

    def test_the_skill_where_few_items_decide_the_ceiling(self):
        """One item in eight has two targets: leaving one of these out moves the ceiling eight times as far."""
        rng = np.random.default_rng(32)
        n, counts = 400, np.where(np.arange(400) % 8, 1, 2)
        spread = np.where(np.arange(n) % 16, 0.1, 2.0)[:, None, None]
        targets = unit_rows(np.eye(6)[0] + spread * rng.standard_normal((n, 2, 6)))
        constant, predicted = np.array([0.0, 1, 0, 0, 0, 0]), np.tile(np.eye(6)[0], (n, 1))
        full = limits(predicted, targets, constant, counts, independent=True).skill
        left_out = []
        for item in range(n):
            rest = np.arange(n) != item
            part = limits(predicted[rest], targets[rest], constant, counts[rest], independent=True)
            left_out.append(part.skill.value)
        error = np.sqrt((n - 1) / n * np.square(left_out - np.mean(left_out)).sum())
        assert (full.high - full.low) / 2 == pytest.approx(stats.t.ppf(0.975, n - 1) * error, rel=0.05)


class TestBracket:
    """sqrt(M2^3 / M4) <= E|m| <= sqrt(M2), where |m| varies and is known."""

    lengths = np.array([0.9, 0.7, 0.4, 0.2])

    def simulate(self, rng, groups=200, size=1, m=6):
        """Targets +-x with the mean +-|m| x, of items whose length all items of their group share."""
        group = np.repeat(np.arange(groups), size)
        length = rng.choice(self.lengths, groups)[group][:, None]
        signs = np.where(rng.random((len(group), m)) < (1 + length) / 2, 1.0, -1.0)
        return signs[..., None] * np.eye(2)[0], rng.integers(4, m + 1, len(group)), group

    def moments(self, targets, counts):
        """Means over all pairs, and over all pairs of disjoint pairs, of different targets, one after the other."""
        second, fourth = [], []
        for z, m in zip(targets, counts, strict=True):
            A = z[:m] @ z[:m].T
            second.append(np.mean([A[i, j] for i, j in permutations(range(m), 2)]))
            fourth.append(np.mean([A[a, b] * A[c, d] for a, b, c, d in permutations(range(m), 4)]))
        return np.mean(second), np.mean(fourth)

    def test_where_a_moment_is_not_positive_the_lower_end_is_unknown(self):
        """Twelve noisy items: 0 is an estimate, and no certainty."""
        targets = np.random.default_rng(3).standard_normal((12, 4, 3)) + 0.3
        low, high = mean_length_bracket(targets)
        assert high.value > 0.2 and low.value == low.low == 0.0 and low.high == high.high > 0.4

    def test_the_moments_are_those_of_the_definition(self):
        rng = np.random.default_rng(33)
        targets = unit_rows(np.eye(3)[0] + 0.5 * rng.standard_normal((30, 6, 3)))
        counts = rng.integers(2, 7, 30)
        enough = counts >= 4
        M2, M4 = self.moments(targets[enough], counts[enough])
        found = mean_length_bracket(targets, counts)
        assert found.high.value == pytest.approx(np.sqrt(M2), rel=1e-6)
        assert found.low.value == pytest.approx(np.sqrt(M2**3 / M4), rel=1e-6)
        assert found.low.groups == found.high.groups == enough.sum()

    def test_it_holds_the_mean_length_and_closes_where_that_does_not_vary(self):
        rng = np.random.default_rng(34)
        targets, counts, _ = self.simulate(rng, 20_000)
        found = mean_length_bracket(targets, counts)
        assert found.low.high < self.lengths.mean() < found.high.low
        self.lengths = np.array([0.6])
        targets, counts, _ = self.simulate(rng, 20_000)
        found = mean_length_bracket(targets, counts)
        assert found.low.value <= found.high.value
        assert found.low.value == pytest.approx(0.6, abs=0.02) and found.high.value == pytest.approx(0.6, abs=0.02)

    @pytest.mark.parametrize("end", ["low", "high"])
    def test_both_intervals_by_leaving_out_one_group_after_the_other(self, end):
        targets, counts, group = self.simulate(np.random.default_rng(37), 200, 2)
        full = getattr(mean_length_bracket(targets, counts, group), end)
        left_out = [
            getattr(mean_length_bracket(targets[group != g], counts[group != g], group[group != g]), end).value
            for g in range(200)
        ]
        error = np.sqrt(199 / 200 * np.square(left_out - np.mean(left_out)).sum())
        assert (full.high - full.low) / 2 == pytest.approx(stats.t.ppf(0.975, 199) * error, rel=0.03)

    @pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
    def test_both_ends_cover(self, confidence):
        """400 groups of two items; of 2,000 sets as many may miss as chance allows where 1.5 points are given up."""
        M2, M4 = np.mean(self.lengths**2), np.mean(self.lengths**4)
        truth = {"low": np.sqrt(M2**3 / M4), "high": np.sqrt(M2)}
        rng = np.random.default_rng(35)
        found = [
            mean_length_bracket(targets, counts, group, confidence)
            for targets, counts, group in (self.simulate(rng, 400, 2) for _ in range(2000))
        ]
        for end, value in truth.items():
            missed = sum(not getattr(one, end).low <= value <= getattr(one, end).high for one in found)
            assert stats.binom.sf(missed - 1, 2000, 1 - confidence + 0.015) > 1e-4

    def test_the_row_as_unit_does_not_cover(self):
        rng = np.random.default_rng(36)
        missed = 0
        for _ in range(300):
            targets, counts, _ = self.simulate(rng, 100, 6)
            high = mean_length_bracket(targets, counts).high
            missed += not high.low <= np.sqrt(np.mean(self.lengths**2)) <= high.high
        assert stats.binom.sf(missed - 1, 300, 0.065) < 1e-4

    def test_where_nothing_is_known(self):
        x = np.eye(2)[0]
        assert mean_length_bracket(np.tile(x, (5, 3, 1))) is None
        assert mean_length_bracket(np.tile(x, (5, 4, 1)), np.full(5, 3)) is None
        apart = np.tile([x, x, -x, -x], (5, 1, 1))  # <z, z'> of -1/3 on average
        found = mean_length_bracket(apart)
        assert found.low.value == found.high.value == 0.0


class TestKnownPosterior:
    """z = normalize(mu(c) + sigma noise): E[z|c] is a closed form."""

    @pytest.mark.parametrize("d", [2, 3, 64])
    def test_mean_length_by_simulation(self, d):
        rng = np.random.default_rng(d)
        mu = np.zeros(d)
        mu[0] = 1.5
        first = unit_rows(mu + rng.standard_normal((40_000, d)))[:, 0]
        assert stats.ttest_1samp(first, mean_length(1.5, d)).pvalue > FALSE_ALARM

    def test_mean_length_closed_forms(self):
        kappa = np.array([0.1, 1.0, 4.0])
        langevin = kappa * np.sqrt(2 / np.pi) * np.exp(-(kappa**2) / 2) + (kappa**2 - 1) * (
            2 * stats.norm.cdf(kappa) - 1
        )
        np.testing.assert_allclose(mean_length(kappa, 3), langevin / kappa**2, rtol=1e-10)  # by integration in R^3
        assert mean_length(0.0, 5) == 0.0
        assert mean_length(1e4, 5) == pytest.approx(1.0, abs=1e-7)

    @pytest.mark.parametrize(
        ("noise", "optimum", "sample"), [(0.3, 0.958, 0.917), (0.7, 0.819, 0.671), (1.5, 0.555, 0.308)]
    )
    def test_optimum_ceiling_and_one_sample(self, noise, optimum, sample):
        """In R^512 the lengths hardly vary: m = 1 / sqrt(1 + noise^2), the ceiling is m, one sample scores
        m^2.
        """
        pairs, mean = synthetic_pairs(500, 32, 512, noise, 3, np.random.default_rng(5))
        targets = pairs.modality("text")
        assert cosine(mean, targets).mean() == pytest.approx(optimum, abs=2e-3)
        assert np.linalg.norm(mean, axis=1).mean() == pytest.approx(optimum, abs=2e-3)
        assert ceiling(targets) == pytest.approx(optimum, abs=2e-3)
        assert cosine(targets[:, 0], targets[:, 1:]).mean() == pytest.approx(sample, abs=3e-3)

    def test_ceiling_is_above_every_prediction_and_strictly_where_lengths_vary(self):
        """|E[z|c]| of .9 and .1 in turn: the best prediction scores .5, the ceiling is sqrt(.41) = .64."""
        rng = np.random.default_rng(6)
        lengths = np.tile([0.9, 0.1], 4000)
        signs = np.where(rng.random((8000, 2)) < (1 + lengths[:, None]) / 2, 1.0, -1.0)
        targets = signs[:, :, None] * np.array([1.0, 0.0])
        best = mean_interval(cosine(np.tile([1.0, 0.0], (8000, 1)), targets), confidence=1 - FALSE_ALARM)
        top = ceiling_interval(targets, confidence=1 - FALSE_ALARM)
        assert best.low < 0.5 < best.high
        assert top.low < np.sqrt(0.41) < top.high
        assert top.low > best.high

    def test_dependent_captions_put_the_ceiling_wrong(self):
        """Captions drawn to differ, z' = -z on a fair coin: the estimate is 0, though z = x would score above
        it.
        """
        sign = np.where(np.random.default_rng(7).random(2000) < 0.7, 1.0, -1.0)
        targets = np.stack([sign, -sign], axis=1)[:, :, None] * np.array([1.0, 0.0])
        assert ceiling_interval(targets).value == 0.0
        assert cosine(np.tile([1.0, 0.0], (2000, 1)), targets[:, 0]).mean() > 0.3


class TestUnbiased:
    """The mean over many small data sets against the truth, by a t test of stated false alarm."""

    def test_pair_agreement(self):
        rng = np.random.default_rng(8)
        kappa, d = 2.0, 6
        mu = np.zeros(d)
        mu[0] = kappa
        targets = unit_rows(mu + rng.standard_normal((4000, 4, d)))
        agreement = pair_agreement(targets, rng.integers(2, 5, 4000))
        truth = mean_length(kappa, d) ** 2
        assert stats.ttest_1samp(agreement, truth).pvalue > FALSE_ALARM
        plug_in = np.square(np.linalg.norm(targets.mean(axis=1), axis=1))
        assert stats.ttest_1samp(plug_in, truth).pvalue < FALSE_ALARM  # the squared length of the mean is not

    def test_population_floor_squared(self):
        """Groups of 1 to 3 items that share most of their noise; 6 groups a data set."""
        rng = np.random.default_rng(9)
        d, kappa, trials = 5, 1.0, 3000
        mu = np.zeros(d)
        mu[0] = kappa
        group = np.repeat(np.arange(6), [1, 1, 2, 2, 3, 3])
        squares, naive = np.empty(trials), np.empty(trials)
        for trial in range(trials):
            targets = unit_rows(mu + rng.standard_normal((6, d)))[group]
            sums = np.zeros((6, d))
            np.add.at(sums, group, targets)
            squares[trial] = population_floor_square(targets, group)
            naive[trial] = np.square(targets.mean(axis=0)).sum()
        truth = mean_length(kappa, d) ** 2
        assert stats.ttest_1samp(squares, truth).pvalue > FALSE_ALARM
        assert stats.ttest_1samp(naive, truth).pvalue < FALSE_ALARM


def population_floor_square(targets, group):
    """The U statistic before its root, by definition: the mean product over items of different groups."""
    across = group[:, None] != group
    return (targets @ targets.T)[across].mean()


def test_population_floor_of_unequally_many_captions():
    """Every item weighs the same, whether it has one caption or four."""
    rng = np.random.default_rng(14)
    targets, counts = unit_rows(rng.standard_normal((30, 4, 5)) + np.eye(5)[0]), rng.integers(1, 5, 30)
    of_item = np.array([z[:m].mean(axis=0) for z, m in zip(targets, counts, strict=True)])
    group = rng.integers(0, 8, 30)
    expected = np.sqrt(population_floor_square(of_item, group))
    assert population_floor(targets, counts, group) == pytest.approx(expected, rel=1e-6)
    assert population_floor(targets, counts, group) != pytest.approx(population_floor(targets, None, group), rel=1e-3)


def test_population_floor_is_the_root_of_the_definition():
    rng = np.random.default_rng(10)
    targets, group = unit_rows(rng.standard_normal((40, 6)) + 1.0), rng.integers(0, 9, 40)
    expected = np.sqrt(population_floor_square(targets, group))
    assert population_floor(targets, group=group) == pytest.approx(expected, rel=1e-6)


class TestCoverage:
    """Two-sided 95% intervals on grouped data, 600 data sets: is the true coverage at least 93%, in exact
    tails?
    """

    trials, groups = 600, 60
    constant = np.eye(8)[0]

    def simulate(self, rng):
        """60 groups of 1 to 5 items with 3 captions; items of a group share their condition entirely."""
        group = np.repeat(np.arange(self.groups), rng.integers(1, 6, self.groups))
        d, mu = 8, np.zeros((self.groups, 8))
        mu[:, 0] = 1.5
        mu += 0.7 * rng.standard_normal((self.groups, d))
        return unit_rows(mu[group][:, None] + rng.standard_normal((len(group), 3, d))), mu[group], group

    @pytest.fixture(scope="class")
    def results(self):
        rng = np.random.default_rng(11)
        robust, naive = [], []
        for _ in range(self.trials):
            targets, mu, group = self.simulate(rng)
            predicted = mu + 0.3
            robust.append(limits(predicted, targets, self.constant, group=group, independent=True))
            naive.append(limits(predicted, targets, self.constant))
        return robust, naive

    @pytest.mark.parametrize("name", ["cosine", "floor", "ceiling", "skill"])
    def test_the_group_as_unit_covers(self, results, name):
        robust, _ = results
        truth = self.truth()[name]
        covered = sum(getattr(r, name).low <= truth <= getattr(r, name).high for r in robust)
        assert stats.binom.cdf(covered, self.trials, 0.93) > FALSE_ALARM

    def test_the_row_as_unit_does_not(self, results):
        _, naive = results
        truth = self.truth()["floor"]
        covered = sum(r.floor.low <= truth <= r.floor.high for r in naive)
        assert stats.binom.cdf(covered, self.trials, 0.93) < FALSE_ALARM

    def truth(self):
        """Population values, from 100,000 groups of one item (all items weigh the same, whatever their
        group).
        """
        rng = np.random.default_rng(12)
        mu = np.array([1.5] + [0.0] * 7) + 0.7 * rng.standard_normal((100_000, 8))
        targets = unit_rows(mu[:, None] + rng.standard_normal((100_000, 3, 8)))
        values = {
            "cosine": cosine(mu + 0.3, targets).mean(),
            "floor": floor(self.constant, targets),
            "ceiling": ceiling(targets),
        }
        return values | {"skill": skill(values["cosine"], values["floor"], values["ceiling"])}


class TestSamplingLaw:
    def test_ends(self):
        m = np.array([0.2, 0.819, 1.0])
        np.testing.assert_allclose(sampling_law(m, 1), m**2)
        np.testing.assert_allclose(sampling_law(m, np.inf), m)
        assert (np.diff(sampling_law(0.6, np.arange(1, 50))) > 0).all()

    @pytest.mark.parametrize("samples", [1, 2, 5, 25])
    def test_known_posterior_in_512_dimensions(self, samples):
        """One condition with a closed-form posterior; the bias of the ratio is below 2e-3 here."""
        rng = np.random.default_rng(13 + samples)
        d = 512
        kappa = np.sqrt(d) / 0.7
        mu = np.zeros(d)
        mu[0] = kappa
        scores = []
        for _ in range(300):
            draws = unit_rows(mu + rng.standard_normal((samples + 1, d)))
            mean = draws[1:].mean(axis=0)
            scores.append(draws[0] @ mean / np.linalg.norm(mean))
        law = float(sampling_law(mean_length(kappa, d), samples))
        interval = mean_interval(np.array(scores), confidence=1 - FALSE_ALARM)
        assert interval.low - 2e-3 < law < interval.high + 2e-3

    def test_it_is_an_approximation_in_low_dimension(self):
        """z = +-1 with mean m: the sign of a majority of three scores m (3 m - m^3) / 2, which is not the
        law.
        """
        m = np.array([0.3, 0.9])
        exact = m * (3 * m - m**3) / 2
        np.testing.assert_allclose(sampling_law(m, 3) - exact, [0.0126, -0.0201], atol=1e-4)  # either sign


class TestPerfectDrawOnAProjection:
    """zhat = p + gamma z' for z' a perfect draw of p(z|c), <z, p> = |p|^2 = s^2: (s^2 + gamma m^2) / |zhat|."""

    def law(self, s, m, gamma=1.0):
        return (s**2 + gamma * m**2) / np.sqrt(s**2 + gamma**2 + 2 * gamma * s**2)

    def test_at_gamma_one_it_loses_to_the_projection_unless_the_noise_is_small(self):
        s, m = np.array([0.933, 0.794, 0.531]), np.array([0.958, 0.819, 0.556])
        np.testing.assert_allclose(self.law(s, m), [0.941, 0.765, 0.435], atol=1e-3)
        assert list(self.law(s, m) > s) == [True, False, False]

    def test_by_simulation(self):
        pairs, mean = synthetic_pairs(1500, 8, 512, 0.7, 2, np.random.default_rng(31))
        first, second = pairs.modality("text").transpose(1, 0, 2)
        m = np.linalg.norm(mean, axis=1).mean()
        score = mean_interval(cosine(mean + second, first), confidence=1 - FALSE_ALARM)
        assert score.low - 1e-3 < self.law(m, m) < score.high + 1e-3  # the ratio's bias is below 1e-3 here


class TestBadInput:
    @pytest.mark.parametrize(
        ("length", "samples", "words"), [(0.0, 1, "length"), (1.1, 1, "length"), (0.5, 0, "samples")]
    )
    def test_sampling_law(self, length, samples, words):
        with pytest.raises(ValueError, match=words):
            sampling_law(length, samples)

    def test_one_group_has_no_population(self):
        with pytest.raises(ValueError, match="at least 2"):
            population_floor(np.eye(2), group=np.zeros(2))

    @pytest.mark.parametrize(
        ("second", "mean", "ceiling"), [([-1.0, 0.0], [0.0, 1.0], 0.0), ([1.0, 0.0], [1.0, 0.0], 1.0)]
    )
    def test_where_the_ceiling_is_not_above_the_floor_there_is_no_skill(self, second, mean, ceiling):
        targets = np.array([[1.0, 0.0], second])[None].repeat(3, axis=0)
        found = limits(np.ones((3, 2)), targets, np.array(mean), independent=True)
        assert found.ceiling.value == ceiling and found.floor.value >= ceiling and found.skill is None
        assert score(np.ones((3, 2)), targets, mean=np.array(mean), independent=True)["skill"] is None
        with pytest.raises(ValueError, match="differs from the floor"):
            skill(0.5, 0.7, 0.7)

    def test_targets_that_are_all_the_same(self):
        targets = np.array([[1.0, 0.0], [1.0, 0.0]])[None].repeat(3, axis=0)
        with pytest.raises(ValueError, match="targets: a constant has the cosine 1.0000 with them, different ones"):
            limits(np.ones((3, 2)), targets, np.array([1.0, 0.0]))
