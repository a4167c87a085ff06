"""The law of the residual's direction, learnt from pairs whose residuals are known."""

import numpy as np
import torch

from modtrans_core import PairedEmbeddings, Pairing
from modtrans_core.calibrated.residual import residual_root
from modtrans_core.vectors import unit

D = 20


def pairs(n, scales, seed=0, captions=2):
    """Targets whose directions are those of a Gaussian with these scales of its coordinates."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, captions, D)) * scales
    return PairedEmbeddings({"image": rng.standard_normal((n, 3)), "text": z})


def root_of(train, validation, predict=lambda c: c.new_zeros(len(c), D)):
    return residual_root(
        *(Pairing(part, "image", "text") for part in (train, validation)), predict, torch.device("cpu")
    )


def moment(root):
    found = root.double().T @ root.double()
    return (found / found.trace()).numpy()


def test_it_finds_the_shape_and_draws_have_it():
    scales = np.geomspace(1, 0.2, D)
    root = root_of(pairs(4000, scales), pairs(500, scales, 1))
    z = unit(pairs(4000, scales, 2).modality("text").reshape(-1, D))
    np.testing.assert_allclose(moment(root), z.T @ z / len(z), atol=6e-3)
    assert root.dtype == torch.float32
    draws = unit(np.random.default_rng(3).standard_normal((8000, D)) @ root.numpy())
    spread = np.square(draws).mean(0)
    np.testing.assert_allclose(spread, np.square(z).mean(0), rtol=0.2)  # scaling to length 1 rounds the shape a little
    assert np.corrcoef(spread, np.square(z).mean(0))[0, 1] > 0.99


def test_the_residual_is_what_the_prediction_leaves():
    rng = np.random.default_rng(0)
    c = unit(rng.standard_normal((2000, D)))
    z = unit(0.8 * c + 0.1 * rng.standard_normal((2000, D)) * np.where(np.arange(D) < 5, 1, 0.01))
    train, held = (PairedEmbeddings({"image": c[part], "text": z[part]}) for part in (slice(1500), slice(1500, 2000)))
    root = root_of(train, held, lambda rows: 0.8 * rows)
    blind = root_of(train, held)
    assert moment(root)[:5, :5].trace() > moment(blind)[:5, :5].trace() + 0.1


def test_few_pairs_are_shrunk_until_the_law_is_never_singular():
    scales = np.ones(D)
    root = root_of(pairs(8, scales, captions=1), pairs(50, scales, 1))
    values = np.linalg.eigvalsh(moment(root))
    assert values.min() > 0.3 / D and values.max() < 3 / D  # eight vectors, left alone, would have twelve zeros


def test_many_pairs_are_hardly_shrunk():
    scales = np.geomspace(1, 0.05, D)
    values = np.linalg.eigvalsh(moment(root_of(pairs(3000, scales), pairs(500, scales, 1))))
    assert values.max() / values.min() > 100


def test_a_prediction_that_leaves_nothing_leaves_no_preference():
    c = unit(np.random.default_rng(0).standard_normal((50, D)))
    exact = PairedEmbeddings({"image": c, "text": c})
    np.testing.assert_allclose(moment(root_of(exact, exact, lambda rows: rows)), np.eye(D) / D, atol=1e-6)


def test_pieces_of_a_large_set_change_nothing(monkeypatch):
    sets = pairs(300, np.geomspace(1, 0.2, D)), pairs(100, np.geomspace(1, 0.2, D), 1)
    whole = root_of(*sets)
    monkeypatch.setattr("modtrans_core.calibrated.residual.ROWS", 7)
    np.testing.assert_allclose(moment(root_of(*sets)), moment(whole), atol=1e-6)
