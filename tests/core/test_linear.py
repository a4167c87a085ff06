"""The closed-form map against numpy's lstsq and scikit-learn's Ridge."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from modtrans_core.linear import PENALTIES, LinearMap, NormalEquations, principal


def data(n=300, k=12, d=7, seed=0):
    """Another seed is another sample of the same linear map."""
    g, map_ = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(99)
    c = torch.randn(n, k, generator=g)
    return c, c @ torch.randn(k, d, generator=map_) + 0.3 * torch.randn(n, d, generator=g)


def test_no_penalty_is_least_squares():
    c, z = data()
    np.testing.assert_allclose(LinearMap.fit(c, z, 0.0).M, np.linalg.lstsq(c, z, rcond=None)[0], atol=1e-5)


@pytest.mark.parametrize("penalty", [1e-3, 0.1, 10.0])
def test_a_penalty_is_scikit_learns_ridge(penalty):
    c, z = data()
    alpha = penalty * float((c.double().T @ c.double()).trace()) / c.shape[1]
    expected = Ridge(alpha=alpha, fit_intercept=False).fit(c.double(), z.double()).coef_.T
    np.testing.assert_allclose(LinearMap.fit(c, z, penalty).M, expected, atol=1e-5)


def test_two_shards_add_up_to_the_whole():
    c, z = data()
    whole, parts = NormalEquations(12, 7), NormalEquations(12, 7)
    whole.add(c, z)
    parts.add(c[:100], z[:100])
    parts.add(c[100:], z[100:])
    assert parts.pairs == whole.pairs == 300
    torch.testing.assert_close(parts.solve(0.1), whole.solve(0.1), rtol=1e-5, atol=1e-6)


def test_a_condition_with_no_extent_in_some_direction_gets_the_pseudo_inverse():
    c, z = data(k=4)
    c = torch.cat([c, c[:, :2]], dim=1).double()
    expected = torch.linalg.pinv(c) @ z.double()
    np.testing.assert_allclose(LinearMap.fit(c, z.double(), 0.0).M, expected, atol=1e-5)


def test_validation_chooses_the_penalty():
    c, z = data(n=30, k=25, d=5)
    held = data(n=400, k=25, d=5, seed=1)
    chosen = LinearMap.fit(c, z, validation=held)

    def mean_cosine(penalty):
        return torch.nn.functional.cosine_similarity(held[0] @ LinearMap.fit(c, z, penalty).M, held[1]).mean()

    assert chosen.penalty == max(PENALTIES, key=mean_cosine)


def test_a_penalty_must_come_from_somewhere():
    with pytest.raises(ValueError, match="penalty: None"):
        LinearMap.fit(*data())
    with pytest.raises(ValueError, match="penalty: -1"):
        LinearMap.fit(*data(), penalty=-1)


@pytest.mark.parametrize("n", [1, 7, 20, 60])
def test_principal_vectors_are_those_of_the_gram_matrix_whichever_way_they_are_found(n):
    rows = torch.randn(n, 40, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    values, vectors = principal(rows)
    torch.testing.assert_close(values, torch.linalg.eigvalsh(rows.T @ rows), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close((vectors * values) @ vectors.T, rows.T @ rows)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(40, dtype=torch.float64))


def test_principal_vectors_of_rows_that_repeat():
    rows = torch.nn.functional.normalize(torch.randn(10, 384, generator=torch.Generator().manual_seed(0)), dim=1)
    rows = rows[torch.arange(200) % 10]
    values, vectors = principal(rows)
    np.testing.assert_allclose((vectors * values) @ vectors.T, rows.T @ rows, atol=1e-4)
