"""Ridge regression towards t I: closed form, limits, and where it helps."""

import numpy as np
import pytest

from analysis.translators.moves import MoveConfig
from analysis.translators.ridge import RidgeConfig
from analysis.translators.towards_identity import TowardsIdentityConfig
from modtrans_core.vectors import unit


@pytest.mark.parametrize("n", [50, 6])
def test_closed_form(n, rng, fit):
    """t I plus the ridge map of the residual, whether there are more rows than dimensions or fewer."""
    c, z = (unit(rng.normal(size=(n, 8))) for _ in range(2))
    centred, aim = c - c.mean(0), z - z.mean(0)
    residual_map = np.linalg.solve(centred.T @ centred + 2.0 * np.eye(8), centred.T @ (aim - 0.7 * centred))
    fitted = fit(TowardsIdentityConfig(2.0, 0.7), c, z)
    np.testing.assert_allclose(fitted.A, 0.7 * np.eye(8) + residual_map, atol=1e-5)
    np.testing.assert_allclose(fitted.translate(c), z.mean(0) + centred @ fitted.A.numpy(), atol=1e-5)


def test_limits_are_ridge_and_mean_shift(rng, fit):
    c, z = (unit(rng.normal(size=(40, 5))) for _ in range(2))
    at_zero, stiff = (fit(TowardsIdentityConfig(*setting), c, z) for setting in ((3.0, 0.0), (1e12, 1.0)))
    np.testing.assert_allclose(at_zero.translate(c), fit(RidgeConfig(3.0), c, z).translate(c), atol=1e-6)
    np.testing.assert_allclose(stiff.translate(c), fit(MoveConfig("mean shift"), c, z).translate(c), atol=1e-6)


def test_it_beats_ridge_where_axes_are_shared_and_only_there(rng, fit, mean_cosine):
    c = unit(rng.normal(size=(400, 30)))
    for turn, helps in ((np.eye(30), True), (np.linalg.qr(rng.normal(size=(30, 30)))[0], False)):
        z = unit(c @ turn + 0.1 * rng.normal(size=(400, 30)))
        train, held, test = ((c[part], z[part]) for part in (slice(30), slice(30, 50), slice(50, None)))
        ours, ridge = fit(TowardsIdentityConfig(), *train, held), fit(RidgeConfig(), *train, held)
        gain = mean_cosine(ours, *test) - mean_cosine(ridge, *test)
        assert (gain > 0.03) == helps
        assert (ours.t > 0.5) == helps


def test_impossible_settings(rng, fit):
    with pytest.raises(ValueError, match="t: nan, a finite number is needed"):
        TowardsIdentityConfig(1.0, float("nan"))
    with pytest.raises(ValueError, match="t: 0.5, a penalty above 0 beside it, or none of both, is needed"):
        TowardsIdentityConfig(t=0.5)
    with pytest.raises(ValueError, match="penalty: -1"):
        TowardsIdentityConfig(-1.0)
    with pytest.raises(ValueError, match="ridge towards tI: image 3 and text 2, one dimension is needed"):
        fit(TowardsIdentityConfig(), rng.normal(size=(8, 3)), rng.normal(size=(8, 2)))
