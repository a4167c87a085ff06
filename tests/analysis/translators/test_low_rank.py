"""Ridge maps of few directions: against the least error that any such map has, and an optimiser that looks for it."""

import numpy as np
import pytest

from analysis.translators.low_rank import LowRankConfig
from analysis.translators.ridge import RidgeConfig
from modtrans_core.vectors import unit


def test_it_recovers_a_map_of_low_rank(rng, fit, mean_cosine):
    """Of the condition the target sees a point of a circle alone, turned into a plane of R^5."""
    angle, other = rng.uniform(0, 2 * np.pi, 80), unit(rng.normal(size=(80, 6)))
    circle = np.c_[np.cos(angle), np.sin(angle)]
    plane = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    c, z = np.c_[0.6 * circle, 0.8 * other], np.c_[0.6 * circle, np.full(80, 0.8)] @ plane[:3]
    fitted = fit(LowRankConfig(2, 1e-9), c, z)
    np.testing.assert_allclose(fitted.translate(c), z, atol=1e-5)
    np.testing.assert_allclose(fitted.A[:2], plane[:2], atol=1e-5)
    assert np.linalg.matrix_rank(fitted.A.numpy(), tol=1e-6) == 2
    assert mean_cosine(fit(LowRankConfig(1, 1e-9), c, z), c, z) < 0.95


def loss(M, centred, aim, penalty):
    return np.square(aim - centred @ M).sum() + penalty * np.square(M).sum()


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("penalty", [1e-6, 2.0])
def test_no_map_of_its_rank_has_less_error(rank, penalty, rng, fit):
    """By Eckart and Young, and by alternating least squares from a random start."""
    c, z = unit(rng.normal(size=(60, 6))), unit(rng.normal(size=(60, 5)))
    centred, aim = (x.astype(float) - x.mean(0, dtype=float) for x in (c, z))
    fitted = fit(LowRankConfig(rank, penalty), c, z)
    found = loss(fitted.A.numpy(), centred, aim, penalty)
    # the penalty as rows of a regression without one: what of the aim lies in the span of the conditions, truncated
    C, Z = np.r_[centred, np.sqrt(penalty) * np.eye(6)], np.r_[aim, np.zeros((6, 5))]
    inside = np.linalg.svd(np.linalg.qr(C)[0].T @ Z, compute_uv=False)
    assert found == pytest.approx(np.square(Z).sum() - np.square(inside[:rank]).sum(), rel=1e-6)
    V = rng.normal(size=(rank, 5))
    for _ in range(500):
        U = np.linalg.lstsq(C, Z @ np.linalg.pinv(V), rcond=None)[0]
        V = np.linalg.lstsq(C @ U, Z, rcond=None)[0]
    assert loss(U @ V, centred, aim, penalty) == pytest.approx(found, rel=1e-6)


def test_of_full_rank_it_is_ridge(rng, fit):
    c, z = unit(rng.normal(size=(60, 6))), unit(rng.normal(size=(60, 4)))
    np.testing.assert_allclose(fit(LowRankConfig(4, 0.5), c, z).A, fit(RidgeConfig(0.5), c, z).A, atol=1e-6)


def test_the_rank_is_chosen_where_few_directions_matter(rng, fit, mean_cosine):
    """8 of 40 directions carry the target, and the pairs are few: ridge alone keeps the noise of the others."""
    M = rng.normal(size=(40, 8)) @ rng.normal(size=(8, 40))
    c = unit(rng.normal(size=(360, 40)))
    z = unit(c @ M + 0.6 * np.linalg.norm(M) / 40 * rng.normal(size=(360, 40)))
    train, held, test = ((c[part], z[part]) for part in (slice(90), slice(90, 160), slice(160, None)))
    fitted = fit(LowRankConfig(), *train, held)
    assert fitted.rank == 8
    assert mean_cosine(fitted, *test) > mean_cosine(fit(RidgeConfig(), *train, held), *test) + 0.01


@pytest.mark.parametrize(("setting", "value"), [("rank", -1), ("penalty", -1.0), ("penalty", np.inf)])
def test_impossible_settings(setting, value):
    with pytest.raises(ValueError, match=f"{setting}: {value}, .* is needed"):
        LowRankConfig(**{setting: value})
