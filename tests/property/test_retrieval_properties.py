"""A cosine above the threshold forces the rank; every cosine below it does not; what shrinking does to a ranking."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.theory.arrays import unit_rows
from analysis.theory.retrieval import certify_recall, counterexample, expected_recall, needed_cosine

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(2, 12), st.integers(1, 3), st.integers(2, 6), st.floats(0.01, 2.0), st.data())
def test_a_cosine_above_the_threshold_forces_the_rank(seed, n, m, d, noise, data):
    rng = np.random.default_rng(seed)
    k = data.draw(st.integers(1, n - 1))
    gallery, counts = unit_rows(rng.standard_normal((n, m, d)) + rng.uniform(0, 2)), rng.integers(1, m + 1, n)
    needed = needed_cosine(gallery, counts, k)
    for i in range(n):
        own = gallery[i, : counts[i]]
        query = unit_rows(own[rng.integers(counts[i])] + noise * rng.standard_normal(d) / np.sqrt(d))
        best = [(gallery[o, : counts[o]] @ query).max() for o in range(n)]
        if (own @ query > needed[i, : counts[i]] + 1e-12).any():
            assert sum(other > best[i] for other in best) < k


@given(seeds, st.integers(2, 12), st.integers(2, 6), st.floats(1e-6, 1.0))
def test_below_the_threshold_the_nearest_rival_can_win(seed, n, d, share):
    z = unit_rows(np.random.default_rng(seed).standard_normal((n, d)))
    needed = needed_cosine(z)[0]
    assume(needed < 1 - 1e-6)
    cosine = needed - share * (1 + needed)
    q = counterexample(z[0], z[1:], max(cosine, -1.0))
    assert q @ q == pytest.approx(1.0) and q @ z[0] == pytest.approx(max(cosine, -1.0), abs=1e-9)
    assert (z[1:] @ q).max() > z[0] @ q - 1e-12
    with pytest.raises(ValueError, match="cosine: .* below"):
        counterexample(z[0], z[1:], min(needed + 1e-9, 1.0))


@given(seeds, st.integers(4, 10), st.integers(3, 6), st.integers(2, 3), st.floats(1e-3, 1.0))
def test_a_counterexample_is_beaten_by_k_rivals_and_never_above_the_threshold(seed, n, d, k, share):
    z = unit_rows(np.random.default_rng(seed).standard_normal((n, d)) + 0.5)
    needed = needed_cosine(z, k=k)[0]
    try:
        q = counterexample(z[0], z[1:], needed - share * (1 + needed), k)
    except ValueError:
        return  # for k > 1 there may be none this near
    assert np.sort(z[1:] @ q)[-k] > z[0] @ q
    with pytest.raises(ValueError):
        counterexample(z[0], z[1:], needed + 1e-9, k)


@given(seeds, st.floats(0.05, 1.0))
def test_shrinking_leaves_the_centered_ranking_and_costs_the_raw_one(seed, t):
    """q = mu + t delta, with <mu, z> at its mean and uncorrelated with <delta, z>."""
    rng = np.random.default_rng(seed)
    d, n = 6, 50
    mean = np.eye(d)[0]
    spread = np.diag(rng.uniform(0.1, 1.0, d))
    delta, own = np.append(0.0, rng.standard_normal((5, d - 1)).T[:, 0]), np.append(0.0, rng.standard_normal(d - 1))
    assume(delta @ own > 0.0)

    def law(query, centre):
        return expected_recall(query[None], [query @ (mean + own - centre)], mean - centre, spread, n)[0]

    assert law(t * delta, mean) == pytest.approx(law(delta, mean), rel=1e-9)
    assert law(mean + t * delta, 0.0 * mean) <= law(mean + delta, 0.0 * mean) + 1e-12


@given(seeds, st.integers(3, 30), st.integers(1, 3))
def test_forced_hits_are_hits_and_the_limit_is_below_the_recall(seed, n, k):
    assume(k < n)
    rng = np.random.default_rng(seed)
    z = unit_rows(rng.standard_normal((n, 4)))
    found = certify_recall(z + 0.4 * rng.standard_normal(z.shape), z, k=k, group=rng.integers(0, n, n))
    assert found.forced <= found.recall + 1e-9
    assert 0.0 <= found.lower_limit <= found.recall + 1e-9
