"""The constant mean, the identity and the mean shift, where each is exact."""

import numpy as np
import pytest

from analysis.translators.moves import MoveConfig
from modtrans_core.vectors import unit


def test_constant_mean_is_the_best_constant(rng, fit, mean_cosine):
    c, z = rng.normal(size=(50, 4)), unit(rng.normal(size=(50, 3)) + 1.0)
    constant = fit(MoveConfig("constant mean"), c, z, (c, z))
    best = mean_cosine(constant, c, z)
    assert best == pytest.approx(np.linalg.norm(z.mean(axis=0)), rel=1e-6)
    assert np.ptp(constant.translate(c), axis=0).max() == 0
    for other in rng.normal(size=(20, 3)):
        assert (z @ other).mean() / np.linalg.norm(other) < best


def test_constant_mean_is_the_floor_of_every_score(rng, fit):
    c, z = rng.normal(size=(50, 4)), rng.normal(size=(50, 3)) + 1.0
    constant = fit(MoveConfig("constant mean"), c, z)
    np.testing.assert_allclose(constant.translate(c)[0], constant.mean.numpy(), atol=1e-6)


def test_identity(rng, fit):
    c = rng.normal(size=(40, 3))
    np.testing.assert_allclose(fit(MoveConfig("identity"), c, -c).translate(c), unit(c), atol=1e-7)


def test_mean_shift(rng, fit):
    """Two parallel circles of latitude: every target is its condition moved by one vector."""
    u = unit(rng.normal(size=(40, 3)))
    c, z = np.c_[0.8 * u, np.full(40, 0.6)], np.c_[0.8 * u, np.full(40, -0.6)]
    shift = fit(MoveConfig("mean shift"), c, z)
    np.testing.assert_allclose(shift.b.numpy(), [0, 0, 0, -1.2], atol=1e-6)
    np.testing.assert_allclose(shift.translate(c), z, atol=1e-6)


@pytest.mark.parametrize("move", ["identity", "mean shift"])
def test_one_dimension_is_needed(move, rng, fit):
    with pytest.raises(ValueError, match=f"{move}: image 3 and text 2, one dimension is needed"):
        fit(MoveConfig(move), rng.normal(size=(8, 3)), rng.normal(size=(8, 2)))


def test_an_unknown_move():
    with pytest.raises(ValueError, match="move: 'rotation', one of"):
        MoveConfig("rotation")
