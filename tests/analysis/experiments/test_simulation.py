"""Drawn directions against laws that are known without drawing."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.experiments import simulation
from analysis.theory.bound import probability


def test_the_alignment_in_three_dimensions_is_uniform_and_in_one_is_a_sign():
    rng = np.random.default_rng(0)
    assert stats.kstest(simulation.alignments(3, 20_000, rng), stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert set(simulation.alignments(1, 50, rng)) == {-1.0, 1.0}


LEVELS = np.linspace(-0.8, 0.8, 5)


def test_blocks_do_not_change_what_is_drawn(monkeypatch):
    def drawn():
        counted = simulation.count_cosines(np.eye(4)[1], np.eye(4)[0], 1.0, LEVELS, 100, np.random.default_rng(0))
        return simulation.alignments(4, 100, np.random.default_rng(0)), counted["count"].to_numpy()

    whole = drawn()
    for block in (64, 1):
        monkeypatch.setattr(simulation, "BLOCK", block)
        for found, expected in zip(drawn(), whole, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_counts_agree_with_the_law_and_refute_one_dimension_more():
    table = simulation.count_alignments([2, 4], 20_000, np.random.default_rng(0))
    assert table["p_value"].min() * len(table) > 1e-3 > table["p_value_printed"].min()


@pytest.mark.parametrize("perpendicular", [True, False])
def test_cosines_of_perpendicular_directions_follow_the_complement(perpendicular):
    d, s, gamma = 5, 0.6, 0.5
    z, p = np.eye(d)[0], np.zeros(d)
    p[:2] = s * s, s * np.sqrt(1 - s * s)
    alphas = np.linspace(0.1, 0.9, 9)
    counted = simulation.count_cosines(
        p, z, gamma, alphas, 40_000, np.random.default_rng(0), perpendicular=perpendicular
    )
    least = simulation.p_values(counted, probability(alphas, s, gamma, d, "complement")).min() * len(alphas)
    assert (least > 1e-3) == perpendicular


def test_every_direction_is_perpendicular_to_no_projection_and_a_zero_translation_has_the_cosine_0():
    z, nothing, levels = np.eye(3)[0], np.zeros(3), np.array([-0.5, 0.0, 0.5])
    counted = simulation.count_cosines(nothing, z, 1.0, levels, 20_000, np.random.default_rng(0), perpendicular=True)
    assert simulation.p_values(counted, [0.75, 0.5, 0.25]).min() > 1e-3  # uniform in three dimensions
    still = simulation.count_cosines(nothing, z, 0.0, levels, 10, np.random.default_rng(0))
    assert still["count"].tolist() == [10, 10, 0]


def test_levels_about_a_cosine_leave_it_out():
    for mean in (-1.0, 0.0, 0.6, 1.0):
        levels = simulation.levels_about(mean, 0.3, 7)
        assert len(levels) == 7 and np.abs(levels - mean).min() > 0.02 and np.abs(levels).max() <= 0.97


def test_p_values_are_those_of_an_exact_test():
    counted = pd.DataFrame({"count": [3, 0], "draws": [10, 4]})
    np.testing.assert_allclose(simulation.p_values(counted, [0.5, 0.5], "less"), [176 / 1024, 1 / 16])


def test_p_values_against_scipy_and_where_it_overflows():
    """Probabilities near 0 and 1, and counts of none and all."""
    counted = pd.DataFrame({"count": [0, 1, 37, 60, 60, 0], "draws": 60})
    probabilities = [0.01, 0.2, 0.5, 0.99, 1 - 1e-16, 1e-16]
    tests = [
        min(1.0, 2.0 * min(stats.binom.cdf(k, n, p), stats.binom.sf(k - 1, n, p)))
        for k, n, p in zip(counted["count"], counted["draws"], probabilities, strict=True)
    ]
    np.testing.assert_allclose(simulation.p_values(counted, probabilities), tests, rtol=1e-10)
    one_sided = [
        stats.binomtest(k, n, p, alternative="less").pvalue
        for k, n, p in zip(counted["count"], counted["draws"], probabilities, strict=True)
    ]
    np.testing.assert_allclose(simulation.p_values(counted, probabilities, "less"), one_sided, rtol=1e-10)
    extreme = pd.DataFrame({"count": [0, 1, 40_000, 39_999, 0, 40_000], "draws": 40_000})
    tiny = 6.6e-309  # with it scipy's binomtest raises OverflowError
    far = simulation.p_values(extreme, [tiny, tiny, 1.0, 1.0, 0.0, tiny])
    np.testing.assert_allclose(far, [1.0, 8e4 * tiny, 1.0, 0.0, 1.0, 0.0], rtol=1e-10)
