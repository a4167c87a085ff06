"""Noise added to a condition: exact laws of the cosine that is left, and whose the noise is."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from analysis.theory.confidence import mean_interval
from analysis.theory.sphere import AlignmentLaw
from analysis.translators.perturbed import METHOD, PerturbedConfig
from modtrans_core.vectors import unit

D, N = 512, 2000
LAFITE, CAPDEC = METHOD.presets["LAFITE"], METHOD.presets["CapDec noise"]


@pytest.fixture(scope="module")
def c():
    return unit(np.random.default_rng(0).normal(size=(N, D)))


def cosines(a, b):
    return (unit(a) * unit(b)).sum(1)


def expected(share):
    """Whether so many of N rows lie above a level that each is above with this probability: two-sided, 1e-3."""
    return lambda above: stats.binomtest(int(above.sum()), N, share).pvalue > 1e-3


def lafite_level(x, a=0.75):
    """cos(zhat, c) where <e, c> = x; it rises with x for a > 1/2."""
    return (1 - a + a * x) / np.sqrt((1 - a) ** 2 + a**2 + 2 * a * (1 - a) * x)


class TestLAFITE:
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_what_is_left_of_a_cosine_follows_the_law_of_a_random_direction(self, c, fit, share):
        """At share 1/2 the level is 1/sqrt(10), whatever the dimension."""
        level = lafite_level(AlignmentLaw(D).isf(share))
        zhat = fit(LAFITE, c, c).translate(c)
        assert expected(share)(cosines(zhat, c) > level)
        assert not expected(share)(cosines(zhat, c) > level + 0.02)

    def test_a_cosine_is_divided_by_the_root_of_ten(self, c, fit):
        """Given <e, c>, the rest of e is symmetric about c, so that E cos(zhat, z) = cos(c, z) E cos(zhat, c)."""
        z = unit(c + 0.05 * np.random.default_rng(1).normal(size=c.shape))
        exact = quad(lambda x: AlignmentLaw(D).pdf(x) * lafite_level(x), -0.5, 0.5, epsabs=1e-9)[0]
        assert exact == pytest.approx(10**-0.5, abs=1 / D)
        left = cosines(fit(LAFITE, c, z).translate(c), z)
        found = mean_interval(left - exact * cosines(c, z), confidence=0.999)
        assert found.low < 0 < found.high < 0.01
        assert mean_interval(left - 0.35 * cosines(c, z), confidence=0.999).high < 0

    def test_no_noise_is_the_identity(self, c, fit):
        np.testing.assert_allclose(cosines(fit(PerturbedConfig(noise=0.0), c, c).translate(c), c), 1, atol=1e-6)


class TestCapDec:
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_what_is_left_of_a_cosine_follows_a_noncentral_t(self, c, fit, share):
        """The cotangent of the angle times sqrt(d - 1) is noncentral t, d - 1 degrees of freedom, centre 1/sqrt(v)."""
        cotangent = stats.nct(D - 1, 0.016**-0.5).isf(share) / np.sqrt(D - 1)
        level = cotangent / np.sqrt(1 + cotangent**2)
        zhat = fit(CAPDEC, c, c).translate(c)
        assert expected(share)(cosines(zhat, c) > level)
        if share == 0.5:
            assert level == pytest.approx((1 + 0.016 * D) ** -0.5, abs=1e-3) == pytest.approx(0.330, abs=1e-3)


def test_the_noise_is_the_rows_own_and_another_seed_is_another(c, fit):
    fitted = fit(LAFITE, c, c)
    noise = fitted.translate(c) - 0.25 * c
    np.testing.assert_allclose(np.linalg.norm(noise, axis=1), 0.75, atol=1e-5)
    np.testing.assert_allclose(fitted.translate(3 * c[5:7])[1:] - 0.25 * c[6], noise[6:7], atol=1e-6)
    assert np.abs(cosines(noise[1:], noise[:-1])).max() < 0.25
    other = fit(PerturbedConfig(seed=1), c, c).translate(c) - 0.25 * c
    assert np.abs(cosines(other, noise)).max() < 0.25


@pytest.mark.parametrize(("setting", "value"), [("own", 0.0), ("noise", -1.0), ("noise", np.inf)])
def test_impossible_settings(setting, value):
    with pytest.raises(ValueError, match=f"{setting}: {value!r}"):
        PerturbedConfig(**{setting: value})
