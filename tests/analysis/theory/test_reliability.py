"""The reliability diagram where the truth is known."""

import numpy as np
import pytest

from analysis.experiments.synthetic import synthetic_pairs
from analysis.theory.reliability import reliability
from modtrans_core.scores import cosine


@pytest.fixture(scope="module")
def known():
    """|E[z|c]| and the cosine of each of 4,000 synthetic pairs."""
    pairs, mean = synthetic_pairs(4000, 8, 16, 0.7, 1, np.random.default_rng(0))
    return np.linalg.norm(mean, axis=1), cosine(mean, pairs.modality("text"))


def test_the_length_of_the_true_mean_is_reliable(known):
    found = reliability(*known, bins=20)
    assert found.bins["n"].sum() == 4000 and (np.diff(found.bins["expected"]) > 0).all()
    assert found.error < 1.5 * found.error_by_chance and abs(found.bias) < 0.01
    inside = ((found.bins["low"] <= found.bins["expected"]) & (found.bins["expected"] <= found.bins["high"])).sum()
    assert inside >= 15  # 20 intervals of 95%: fewer than 16 has probability .0026
    assert found.rank_correlation > 0.3


def test_overconfidence_is_seen(known):
    expected, observed = known
    found = reliability(expected + 0.1, observed)
    assert found.bias == pytest.approx(-0.1, abs=0.01) and found.error > 5 * found.error_by_chance
    assert reliability(np.random.default_rng(0).permutation(expected), observed).rank_correlation < 0.1


def test_by_chance_alone_the_error_is_what_it_says():
    rng = np.random.default_rng(0)
    expected = np.linspace(0, 1, 200)
    errors, promised = zip(
        *(reliability(expected, expected + 0.1 * rng.standard_normal(200))[1:3] for _ in range(300)), strict=True
    )
    assert np.mean(errors) == pytest.approx(np.mean(promised), rel=0.06)


@pytest.mark.parametrize(
    ("observed", "bins", "words"),
    [(np.zeros(9), 10, "observed: 9 values, 10 are needed"), (np.zeros(10), 11, "bins: 11, 2 to 10")],
)
def test_what_does_not_fit_is_refused(observed, bins, words):
    with pytest.raises(ValueError, match=words):
        reliability(np.zeros(10), observed, bins=bins)
