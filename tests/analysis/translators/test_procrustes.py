"""The best turn, against scipy's, and where it must be exact."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from analysis.theory.arrays import unit_rows
from analysis.translators.procrustes import ProcrustesConfig
from modtrans_core.vectors import unit


def orthogonal(size, rng):
    return np.linalg.qr(rng.normal(size=(size, size)))[0]


def test_it_recovers_a_similarity(rng, fit):
    """Circles of latitude of radius .8 and .6, turned: the dilation is .75."""
    u, turn = unit_rows(rng.normal(size=(60, 4))), orthogonal(4, rng)
    c, z = np.c_[0.8 * u, np.full(60, 0.6)], np.c_[0.6 * u @ turn, np.full(60, 0.8)]
    fitted = fit(ProcrustesConfig(), c, z)
    np.testing.assert_allclose(fitted.translate(c), z, atol=1e-6)
    np.testing.assert_allclose(fitted.A[:4, :4].numpy(), 0.75 * turn, atol=1e-6)


def test_it_is_scipys(rng, fit):
    c, z = unit(rng.normal(size=(60, 4))), unit(rng.normal(size=(60, 4)))
    centred, aim = (x.astype(float) - x.mean(0, dtype=float) for x in (c, z))
    Q, trace = orthogonal_procrustes(centred, aim)
    np.testing.assert_allclose(fit(ProcrustesConfig(), c, z).A, trace / np.square(centred).sum() * Q, atol=1e-6)


@pytest.mark.parametrize(("k", "d", "n"), [(3, 7, 40), (7, 3, 40), (9, 6, 4)])
def test_it_is_semi_orthogonal(k, d, n, rng, fit):
    A = fit(ProcrustesConfig(), rng.normal(size=(n, k)), rng.normal(size=(n, d))).A.numpy()
    gram = A @ A.T if k < d else A.T @ A
    np.testing.assert_allclose(gram / gram[0, 0], np.eye(min(k, d)), atol=1e-9)


def test_it_beats_other_similarities(rng, fit):
    """k = d: no turn and no dilation near the fitted one leaves a smaller squared error."""
    c, z = unit(rng.normal(size=(60, 4))), unit(rng.normal(size=(60, 4)))
    A = fit(ProcrustesConfig(), c, z).A.numpy()
    centred, aim = c - c.mean(axis=0), z - z.mean(axis=0)
    best = np.square(aim - centred @ A).sum()
    for _ in range(20):
        twist = rng.normal(size=(4, 4)) * 0.05
        turn = np.linalg.qr(np.eye(4) + twist - twist.T)[0]
        turn = turn * np.sign(np.diag(turn))
        assert np.square(aim - centred @ A @ turn).sum() > best
    for scale in (0.9, 1.1):
        assert np.square(aim - scale * centred @ A).sum() > best


def test_a_point_cannot_be_turned(rng, fit):
    with pytest.raises(ValueError, match="procrustes: condition or target does not vary"):
        fit(ProcrustesConfig(), np.ones((8, 2)), np.eye(8))
