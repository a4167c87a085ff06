"""The K-sample law of any sampler: exact ends, simulation between them, and where it is an approximation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.experiments.synthetic import mean_length
from analysis.theory.arrays import unit_rows
from analysis.theory.draws import similarity
from analysis.theory.samples import mean_of_draws, sampling_law

FALSE_ALARM = 1e-6


def discrete(seed, atoms, d):
    """A law of unit vectors with few atoms, (atoms, d), and its probabilities: every expectation is a sum."""
    rng = np.random.default_rng(seed)
    return unit_rows(rng.standard_normal((atoms, d)) + rng.uniform(0, 1)), rng.dirichlet(np.ones(atoms))


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(2, 5))
def test_one_draw_and_all_draws_are_exact_for_any_two_laws(seed, atoms, d):
    z, pz = discrete(seed, atoms, d)
    w, pw = discrete(seed + 1, atoms, d)
    cosine = pz @ (z @ w.T) @ pw
    agreement = pw @ (w @ w.T) @ pw
    mean = pw @ w
    assert mean_of_draws(cosine, agreement, 1) == pytest.approx(cosine)
    everything = pz @ z @ mean / np.linalg.norm(mean)
    assert mean_of_draws(cosine, agreement, np.inf) == pytest.approx(everything)
    assert abs(everything) <= np.linalg.norm(pz @ z) + 1e-12  # |m| at most


@given(st.integers(0, 2**32 - 1), st.integers(2, 3), st.integers(2, 4))
def test_numerator_and_squared_length_are_exact_for_every_K(seed, atoms, K):
    """All K draws written out: E<z, mean> and E|mean|^2, from which the law is made."""
    z, pz = discrete(seed, atoms, 3)
    w, pw = discrete(seed + 1, atoms, 3)
    choice = np.stack(np.meshgrid(*[range(atoms)] * K, indexing="ij"), axis=-1).reshape(-1, K)
    weight, mean = pw[choice].prod(axis=1), w[choice].mean(axis=1)
    cosine, agreement = pz @ (z @ w.T) @ pw, pw @ (w @ w.T) @ pw
    ratio = weight @ (mean @ (pz @ z)) / np.sqrt(weight @ np.square(mean).sum(axis=1))
    assert mean_of_draws(cosine, agreement, K) == pytest.approx(ratio)


@pytest.mark.parametrize("K", [1, 2, 8])
def test_a_sampler_that_is_not_perfect_in_512_dimensions(K):
    """Draws lean away from the targets and are narrower; cosine and agreement have closed forms."""
    rng = np.random.default_rng(K)
    d, wide, narrow = 512, np.sqrt(512) / 0.7, np.sqrt(512) / 0.4
    e, lean = np.eye(d)[0], 0.6 * np.eye(d)[0] + 0.8 * np.eye(d)[1]
    z = unit_rows(wide * e + rng.standard_normal((3000, d)))
    w = unit_rows(narrow * lean + rng.standard_normal((3000, K, d)))
    found = np.einsum("nd,nd->n", z, unit_rows(w.mean(axis=1)))
    agreement = float(mean_length(narrow, d)) ** 2
    cosine = 0.6 * float(mean_length(wide, d)) * np.sqrt(agreement)
    law = mean_of_draws(cosine, agreement, K)
    assert abs(found.mean() - law) < 5e-4 + stats.norm.isf(FALSE_ALARM) * stats.sem(found)  # 5e-4: the ratio's bias
    if K > 1:
        assert abs(similarity(w).mean() - agreement) < 1e-3
        assert abs(found.mean() - sampling_law(float(mean_length(wide, d)), K)) > 0.1  # it is not the perfect one's


def test_between_the_ends_it_is_an_approximation():
    """Draws of +-1 with mean e: the sign of three has the mean (3 e - e^3) / 2, which is not the law's."""
    e = 0.5
    assert abs(mean_of_draws(0.8 * e, e**2, 3) - 0.8 * (3 * e - e**3) / 2) > 0.003


def test_the_perfect_sampler_is_the_case_of_equal_means():
    m = np.array([0.2, 0.8, 1.0])
    np.testing.assert_allclose(sampling_law(m, 7), mean_of_draws(m**2, m**2, 7))


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ((1.1, 0.5, 1), "cosine: 1.1"),
        ((0.5, 0.0, 1), "agreement: 0"),
        ((0.5, 0.5, 0.5), "samples: 0.5"),
        ((1.0, 0.01, np.inf), "cosine of the mean: 10, a number in"),
    ],
)
def test_what_cannot_be_is_refused(given_, words):
    with pytest.raises(ValueError, match=words):
        mean_of_draws(*given_)


@pytest.mark.parametrize("length", [np.ma.masked_greater([0.5, 0.9], 0.8), np.array([0.5, 0.1j]), [0.5, 0.0], [2.0]])
@pytest.mark.filterwarnings("error")
def test_lengths_are_real_numbers(length):
    with pytest.raises(ValueError, match="^length: "):
        sampling_law(length, 4)


@pytest.mark.parametrize("d", [2, 64, 4096])
def test_for_few_outcomes_the_law_is_off_in_any_dimension(d):
    """Two axes, equally likely, against one of them: of two draws, 1, 1/sqrt(2) twice, 0."""
    w = np.eye(2, d)
    cosine = np.mean([(w[i] + w[j])[0] / np.linalg.norm(w[i] + w[j]) for i in (0, 1) for j in (0, 1)])
    assert cosine - mean_of_draws(0.5, 0.5, 2) == pytest.approx(0.0262, abs=1e-4)
