"""Rankings corrected for hubs, against the definitions, and where the correction is known to be needed."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from modtrans_core import ranking
from modtrans_core.ranking import CANDIDATES, Correction, Known, chosen, nearest
from modtrans_core.vectors import unit


def vectors(n, d=12, seed=0):
    return torch.from_numpy(unit(np.random.default_rng(seed).standard_normal((n, d))))


def test_csls_is_its_definition():
    """2 <q, g> - r(q) - r(g) of Conneau et al., whose r(q) is the same for all of a query's gallery, ranks the same."""
    q, g, bank = vectors(30), vectors(50, seed=1), vectors(40, seed=2)
    hubness = Correction(1, 10).hubness(bank, g)
    r = np.sort((bank @ g.T).numpy(), axis=0)[-10:].mean(0)
    np.testing.assert_allclose(2 * (q @ g.T - hubness), 2 * (q @ g.T).numpy() - r, atol=1e-6)


def test_the_inverted_softmax_is_its_definition():
    """The order of exp(b <q, g>) over its sum over the bank's queries."""
    q, g, bank = vectors(30), vectors(50, seed=1), vectors(40, seed=2)
    corrected = (q @ g.T - Correction(2, 20.0).hubness(bank, g)).numpy()
    defined = 20 * (q @ g.T).numpy() - logsumexp(20 * (bank @ g.T).numpy(), axis=0)
    np.testing.assert_allclose(corrected, defined / 20 + np.log(40) / 20, atol=1e-6)


@pytest.mark.parametrize("sharpness", [1e-30, 1e-12, 1e-3, 0.999, 5.0, 1e30])
def test_the_inverted_softmax_keeps_its_digits(sharpness):
    """Near 0 it is the mean similarity, and far up the largest."""
    g, bank = vectors(50, seed=1), vectors(40, seed=2)
    s = (bank.double() @ g.double().T).numpy()
    away = sharpness * (s - s.mean(0))
    wanted = (
        s.mean(0)
        + (np.log1p(np.expm1(away).mean(0)) if sharpness < 1 else logsumexp(away, axis=0) - np.log(40)) / sharpness
    )
    np.testing.assert_allclose(Correction(2, sharpness).hubness(bank, g), wanted, atol=3e-7)


@pytest.mark.parametrize("correction", CANDIDATES, ids=str)
def test_pieces_give_what_the_whole_gives(monkeypatch, correction):
    q, g, bank = vectors(30), vectors(50, seed=1), vectors(40, seed=2)
    whole = correction.hubness(bank, g), *nearest(q, g, 7)
    monkeypatch.setattr(ranking, "AT_ONCE", 100)
    pieces = correction.hubness(bank, g), *nearest(q, g, 7)
    for a, b in zip(whole, pieces, strict=True):
        torch.testing.assert_close(a, b)


def hubs(n, seed):
    """Queries near their items, and a gallery in which a tenth of the items are near to every query."""
    rng = np.random.default_rng(seed)
    g = rng.standard_normal((n, 12))
    q = g + 0.9 * rng.standard_normal((n, 12)) + 1
    g[: n // 10] += 1.5
    return [torch.from_numpy(unit(rows)) for rows in (q, g)]


def test_a_correction_is_chosen_where_there_are_hubs_and_none_where_it_does_not_help():
    (q, g), (bank, _) = hubs(300, 0), hubs(300, 1)
    found = chosen([Known(q, g, torch.arange(300), bank)])
    assert found.kind > 0
    trial = Known(q, g, torch.arange(300), bank)
    assert trial.reciprocal_ranks(found).mean() > trial.reciprocal_ranks(Correction(0)).mean() + 0.02
    same = vectors(50)
    assert chosen([Known(same, same, torch.arange(50), vectors(50, seed=1))]) == Correction(0)


def test_reciprocal_ranks_by_hand():
    g = torch.eye(3)
    q = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    found = Known(q, g, torch.tensor([0, 2]), q[:0]).reciprocal_ranks(Correction(0))[0]
    torch.testing.assert_close(found, torch.tensor([1.0, 1 / 3]))


def test_no_bank_is_no_correction():
    assert Correction(2, 20.0).hubness(vectors(0), vectors(5)).tolist() == [0.0] * 5
