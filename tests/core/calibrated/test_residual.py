"""The law of the residual's direction, learnt from residuals that are known."""

import numpy as np
import torch

from modtrans_core.calibrated.residual import residual_root
from modtrans_core.vectors import unit

D = 20


def directions(n, scales, seed=0):
    """Directions (n, D) of a Gaussian with these scales of its coordinates."""
    return unit(np.random.default_rng(seed).standard_normal((n, D)) * scales)


def root_of(rows, held):
    return residual_root(torch.from_numpy(rows), torch.arange(len(rows)) < held)


def moment(root):
    found = root.double().T @ root.double()
    return (found / found.trace()).numpy()


def test_it_finds_the_shape_and_draws_have_it():
    scales = np.geomspace(1, 0.2, D)
    root = root_of(directions(8500, scales), 500)
    z = directions(4000, scales, 2)
    np.testing.assert_allclose(moment(root), z.T @ z / len(z), atol=6e-3)
    assert root.dtype == torch.float32
    draws = unit(np.random.default_rng(3).standard_normal((8000, D)) @ root.numpy())
    spread = np.square(draws).mean(0)
    np.testing.assert_allclose(spread, np.square(z).mean(0), rtol=0.2)  # scaling to length 1 rounds the shape a little
    assert np.corrcoef(spread, np.square(z).mean(0))[0, 1] > 0.99


def test_few_residuals_are_shrunk_until_the_law_is_never_singular():
    root = root_of(directions(58, np.ones(D)), 50)
    values = np.linalg.eigvalsh(moment(root))
    assert values.min() > 0.3 / D and values.max() < 3 / D  # what eight of them would give has twelve zeros


def test_what_cannot_be_chosen_is_no_shape_at_all():
    for held in (0, 30):
        np.testing.assert_allclose(
            moment(root_of(directions(30, np.geomspace(1, 0.2, D)), held)), np.eye(D) / D, atol=1e-7
        )
