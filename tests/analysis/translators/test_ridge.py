"""Ridge maps against their closed form, and what validation pairs choose."""

import numpy as np
import pytest

from analysis.translators import ridge
from analysis.translators.ridge import PENALTIES, RidgeConfig, ridge_maps
from modtrans_core.vectors import unit


def test_it_is_the_closed_form_on_centred_data(rng, fit):
    c, z = unit(rng.normal(size=(50, 6))), unit(rng.normal(size=(50, 4)))
    centred, aim = c - c.mean(0), z - z.mean(0)
    M = np.linalg.solve(centred.T @ centred + 2.0 * np.eye(6), centred.T @ aim)
    fitted = fit(RidgeConfig(2.0), c, z)
    np.testing.assert_allclose(fitted.A, M, atol=1e-5)
    np.testing.assert_allclose(fitted.translate(c), z.mean(0) + centred @ M, atol=1e-5)


def test_several_targets_of_an_item_are_so_many_pairs(rng):
    import modtrans_core as mt

    c, z, counts = rng.normal(size=(40, 5)), rng.normal(size=(40, 3, 4)), rng.integers(1, 4, 40)
    item = np.repeat(np.arange(40), counts)
    captions = np.concatenate([z[i, :count] for i, count in enumerate(counts)])
    several = mt.PairedEmbeddings({"image": c, "text": z}, {"text": counts})
    single = mt.PairedEmbeddings({"image": c[item], "text": captions})
    maps = [mt.fit(pairs, config=RidgeConfig(1.0), validation=pairs).A for pairs in (several, single)]
    np.testing.assert_allclose(*maps, atol=1e-6)


def test_it_keeps_the_best_penalty_on_validation(rng, fit, mean_cosine):
    c = unit(rng.normal(size=(60, 20)))
    z = unit(c @ rng.normal(size=(20, 8)) + 3.0 * rng.normal(size=(60, 8)))
    train, held = (c[:30], z[:30]), (c[30:], z[30:])
    nothing = train[0][:1], train[1][:1]  # so that the candidates below see what the choice saw, one pair twice aside
    candidates = {p: mean_cosine(fit(RidgeConfig(p), *(x[1:] for x in train), nothing), *held) for p in PENALTIES}
    penalty = float(fit(RidgeConfig(), *train, held).penalty)
    assert candidates[penalty] == max(candidates.values())
    assert penalty > min(PENALTIES)  # on 30 noisy pairs in R^20 the smallest penalty must lose
    again = fit(RidgeConfig(penalty), *train, held)
    np.testing.assert_array_equal(fit(RidgeConfig(), *train, held).A, again.A)  # both on all pairs


@pytest.mark.parametrize("n", [4, 30])
def test_one_decomposition_solves_every_penalty(rng, n):
    C, Z = rng.normal(size=(n, 6)), rng.normal(size=(n, 3))
    solution = ridge_maps(C, Z)
    for penalty in PENALTIES:
        np.testing.assert_allclose(solution(penalty), np.linalg.solve(C.T @ C + penalty * np.eye(6), C.T @ Z))


def test_only_what_is_chosen_is_solved_by_itself(rng, fit, monkeypatch):
    solved, solver = [], ridge.Ridge
    monkeypatch.setattr(ridge, "Ridge", lambda alpha: solved.append(alpha) or solver(alpha=alpha))
    found = fit(RidgeConfig(), unit(rng.normal(size=(50, 6))), unit(rng.normal(size=(50, 4))))
    assert solved == [float(found.penalty)]


@pytest.mark.parametrize("penalty", [-1.0, np.inf, np.nan])
def test_impossible_penalties(penalty):
    with pytest.raises(ValueError, match="penalty"):
        RidgeConfig(penalty)
