"""Synthetic pairs: their law against scipy's and an integral, and their best cosine against what is reached."""

import numpy as np
import pytest
from scipy import integrate, stats

from analysis.experiments.synthetic import BLOCK, mean_alignment, von_mises_fisher, waves
from modtrans_core.vectors import unit


def targets(n, d, kappa, seed):
    rng = np.random.default_rng(seed)
    mu = unit(rng.standard_normal((n, d)))
    return mu, von_mises_fisher(mu, kappa, rng)


@pytest.mark.parametrize(("d", "kappa"), [(2, 0.7), (3, 4.0), (16, 30.0), (48, 100.0)])
def test_the_best_cosine_is_an_integral_over_the_density(d, kappa):
    def moment(power):
        def integrand(angle):  # of a density exp(kappa t) (1 - t^2)^((d - 3)/2), t = cos(angle)
            return np.cos(angle) ** power * np.exp(kappa * (np.cos(angle) - 1)) * np.sin(angle) ** (d - 2)

        return integrate.quad(integrand, 0, np.pi, epsabs=0, epsrel=1e-10, limit=200)[0]

    assert mean_alignment(kappa, d) == pytest.approx(moment(1) / moment(0), rel=1e-8)


@pytest.mark.parametrize(
    ("d", "kappa", "known"),
    [(1024, 100.0, 0.0967439948699), (512, 1.0, 0.0019531175785), (4096, 2000.0, 0.4073049792528), (5, 0.0, 0.0)],
)
def test_the_best_cosine_is_a_number_in_any_dimension(d, kappa, known):
    """By mpmath, at 40 digits."""
    assert mean_alignment(kappa, d) == pytest.approx(known, rel=1e-10)


@pytest.mark.parametrize(("d", "kappa"), [(2, 0.7), (3, 4.0), (16, 30.0)])
def test_targets_have_the_law_of_scipy_and_its_mean_cosine(d, kappa):
    mu, z = targets(20_000, d, kappa, 1)
    t = np.einsum("nd,nd->n", mu, z)
    theirs = stats.vonmises_fisher(np.eye(d)[0], kappa).rvs(20_000, random_state=np.random.default_rng(2))[:, 0]
    assert stats.ks_2samp(t, theirs).pvalue > 1e-4
    assert stats.ttest_1samp(t, mean_alignment(kappa, d)).pvalue > 1e-4
    assert stats.ttest_1samp(t, mean_alignment(1.1 * kappa, d)).pvalue < 1e-6


def test_what_is_beside_mu_is_isotropic():
    """In R^3 about one mu the angle around it is uniform."""
    rng = np.random.default_rng(3)
    z = von_mises_fisher(np.tile(np.eye(3)[2], (20_000, 1)), 5.0, rng)
    angle = np.arctan2(z[:, 1], z[:, 0])
    assert stats.kstest(angle, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-4
    assert np.allclose(np.linalg.norm(z, axis=1), 1)


def test_a_smaller_set_is_the_beginning_of_a_larger_one():
    few, many = (waves(n, 3, 4, 10.0, 0.5, 8, seed=5) for n in (BLOCK + 10, BLOCK + 30))
    other = waves(10, 3, 4, 10.0, 0.5, 8, seed=6)
    for name in ("image", "text"):
        assert np.array_equal(few.modality(name), many.modality(name)[: BLOCK + 10])
        assert not np.array_equal(few.modality(name)[:10], other.modality(name))
        assert len(np.unique(many.modality(name), axis=0)) == BLOCK + 30  # no block is another's


def test_least_squares_reaches_the_best_cosine_where_there_are_no_waves_and_misses_it_where_there_are():
    reached = {}
    for share in (0.0, 0.5):
        pairs = waves(40_000, 4, 5, 20.0, share, 64)
        c, z = (pairs.modality(name).astype(float) for name in ("image", "text"))
        c = np.concatenate([c, np.ones((len(c), 1))], axis=1)
        zhat = unit(c[20_000:] @ np.linalg.lstsq(c[:20_000], z[:20_000])[0])
        reached[share] = np.einsum("nd,nd->n", zhat, z[20_000:]).mean()
    best = mean_alignment(20.0, 5)
    assert reached[0.0] == pytest.approx(best, abs=0.03) and reached[0.0] < best + 0.003  # unit mu bends a little
    assert reached[0.5] < reached[0.0] - 0.05


@pytest.mark.parametrize("setting", ["n: 0", "k: 0", "d: 1", "count: 0", "kappa: 0.0", "share: 1.5"])
def test_numbers_out_of_range_are_refused_by_name(setting):
    good = {"n": 3, "k": 2, "d": 3, "kappa": 1.0, "share": 0.5, "count": 2}
    name, value = setting.split(": ")
    with pytest.raises(ValueError, match=f"{setting}, "):
        waves(**{**good, name: type(good[name])(value)})
