"""The Poisson binomial tail against exact fractions, scipy, and the binomial law of equal probabilities."""

import time
from fractions import Fraction
from itertools import accumulate, product

import mpmath
import numpy as np
import pytest
from scipy import stats

from analysis.theory import poisson_binomial
from analysis.theory.poisson_binomial import fewer_than_expected


def exact(p):
    """P(S <= k) for every k by fractions: the floats in `p` are taken for the rational numbers that they are."""
    law = [Fraction(1)]
    for q in map(Fraction, p):
        law = [(1 - q) * here + q * before for here, before in zip([*law, 0], [0, *law], strict=True)]
    return list(accumulate(law))


def binomial(k, n, p):
    """P(Binomial(n, p) <= k) with 50 digits, term by term from k down."""
    with mpmath.workdps(50):
        p = mpmath.mpf(p)
        term = total = mpmath.binomial(n, k) * p**k * (1 - p) ** (n - k)
        for j in range(k, 0, -1):
            term *= mpmath.mpf(j) / (n - j + 1) * (1 - p) / p
            total += term
        return total


def test_against_enumeration():
    p = np.array([0.1, 0.5, 0.9, 0.35, 0.0, 1.0])
    totals = np.zeros(7)
    for outcome in product([0, 1], repeat=6):
        totals[sum(outcome)] += np.prod(np.where(outcome, p, 1 - p))
    for k in range(7):
        assert fewer_than_expected(k, p) == pytest.approx(totals[: k + 1].sum(), abs=1e-15)


@pytest.mark.parametrize("block", [1, 4, 128])
def test_against_fractions(block, monkeypatch):
    """Every k of laws whose probabilities lie anywhere, near 0 and 1 too, for any way to cut the trials into blocks."""
    monkeypatch.setattr(poisson_binomial, "BLOCK", block)
    rng = np.random.default_rng(0)
    for p in (rng.random(61), rng.random(40) ** 20, 1 - rng.random(40) ** 20, [1e-300, 0.5, 1 - 2**-53, 1.0, 0.0]):
        for k, value in enumerate(map(float, exact(p))):
            assert fewer_than_expected(k, p) == pytest.approx(value, rel=1e-12, abs=1e-307), (k, value)


def test_against_scipy():
    """Its convolution is of another kind, and keeps digits where nothing is small."""
    p = np.random.default_rng(1).beta(2, 5, 1500)
    for k in (360, 400, 430, 470, 600):
        assert fewer_than_expected(k, p) == pytest.approx(stats.poisson_binom.cdf(k, p), rel=1e-9)


@pytest.mark.parametrize(("n", "p"), [(301, 0.3), (20_000, 0.5), (20_000, 0.999), (100_000, 0.01)])
@pytest.mark.parametrize("deviations", [0, 4, 15, 29])
def test_equal_probabilities_are_binomial(n, p, deviations):
    """Down to 1e-200 and beyond, with all digits but a few."""
    k = max(int(n * p - deviations * np.sqrt(n * p * (1 - p))), 0)
    oracle = binomial(k, n, p)
    if oracle > 1e-300:
        assert abs(fewer_than_expected(k, np.full(n, p)) / oracle - 1) < 1e-11
    else:
        assert fewer_than_expected(k, np.full(n, p)) <= 1e-300


def test_the_far_tail_is_reached():
    """The cases above contain some below 1e-180, where a plain convolution has nothing but noise."""
    assert fewer_than_expected(7_900, np.full(20_000, 0.5)) < 1e-180


def test_a_hundred_thousand_trials_take_less_than_a_second():
    p = np.random.default_rng(2).random(100_000)
    begin = time.process_time()
    value = fewer_than_expected(49_000, p)
    assert time.process_time() - begin < 1.0
    # the normal law with Cornish and Fisher's first correction, an independent approximation
    mean, variance, third = p.sum(), (p * (1 - p)).sum(), (p * (1 - p) * (1 - 2 * p)).sum()
    x = (49_000.5 - mean) / np.sqrt(variance)
    normal = stats.norm.cdf(x) - third / variance**1.5 * (x * x - 1) * stats.norm.pdf(x) / 6
    assert value == pytest.approx(normal, rel=0.02)


def test_mixed_probabilities_in_the_far_tail_against_a_slower_sum():
    """A long double convolution of 3,000 trials, one by one: all terms are positive."""
    p = np.random.default_rng(3).random(3000)
    law = np.zeros(3001, dtype=np.longdouble)
    law[0] = 1.0
    for q in p.astype(np.longdouble):
        law[1:] = law[1:] * (1 - q) + law[:-1] * q
        law[0] *= 1 - q
    for k in (600, 900, 1300, 1450):
        assert fewer_than_expected(k, p) == pytest.approx(float(law[: k + 1].sum()), rel=1e-11, abs=1e-307)


def test_a_certain_event_is_not_more_than_certain():
    """Rounding puts the sum of all terms above 1 for some of these."""
    rng = np.random.default_rng(29)
    for n in (2, 3, 7, 50):
        for _ in range(20):
            p = rng.random(n)
            assert fewer_than_expected(n, p) == 1.0
            assert fewer_than_expected(n - 1, p) == pytest.approx(1.0 - np.prod(p), abs=1e-14)
            assert fewer_than_expected(n - 1, p / 4) <= 1.0


def test_certain_trials_are_counted():
    assert fewer_than_expected(1, [1.0, 1.0, 0.5]) == 0.0
    assert fewer_than_expected(2, [1.0, 1.0, 0.5]) == 0.5
    assert fewer_than_expected(0, [0.0, 0.0]) == 1.0


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_what_is_no_probability(p):
    with pytest.raises(ValueError, match="probabilities: "):
        fewer_than_expected(0, np.array([0.5, p]))


@pytest.mark.parametrize("successes", [-1, 3, 0.5])
def test_what_is_no_number_of_successes(successes):
    with pytest.raises(ValueError, match=f"successes: {successes}, a whole number from 0 to 1"):
        fewer_than_expected(successes, np.array([0.5]))
