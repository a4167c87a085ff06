"""What several tests of the theory build."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def orthogonal_parts():
    """The function that builds translations in the orthogonal geometry."""
    return _orthogonal_parts


def _orthogonal_parts(n, d, s, rng, alignment=None):
    """p, f, z (n, d), |z| = 1, |p| = s, p perpendicular to r and f to p; f uniform there or with alignments (n,)."""
    frame = np.linalg.qr(rng.standard_normal((n, d, 3)))[0].transpose(2, 0, 1)
    p, e, other = frame[0], frame[1], frame[2]
    target = s * p + np.sqrt(1 - s**2) * e
    if alignment is None:
        free = rng.standard_normal((n, d))
        free -= (free * p).sum(axis=1, keepdims=True) * p
        direction = free / np.linalg.norm(free, axis=1, keepdims=True)
    else:
        u = alignment[:, None]
        direction = u * e + np.sqrt(1 - u**2) * other
    return s * p, direction, target


@pytest.fixture
def pairs():
    """Conditions (200, 7), targets (200, 5): unit rows, a signal and skewed noise."""
    rng = np.random.default_rng(0)
    condition = rng.standard_normal((200, 7))
    target = condition @ rng.standard_normal((7, 5)) + rng.exponential(2.0, (200, 5))
    return (
        condition / np.linalg.norm(condition, axis=1, keepdims=True),
        target / np.linalg.norm(target, axis=1, keepdims=True),
    )
