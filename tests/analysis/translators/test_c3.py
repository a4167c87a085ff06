"""Connect, collapse, corrupt: what a shift does not change, and what a decoder is trained on."""

import numpy as np
import pytest
from scipy import stats

import modtrans_core as mt
from analysis.translators.c3 import C3Config
from analysis.translators.moves import MoveConfig
from modtrans_core.protocol import Ranks
from modtrans_core.vectors import unit


@pytest.fixture
def circles(rng):
    """Parallel circles of latitude: all rows of one modality move along one axis and stay unit vectors."""
    u = unit(rng.normal(size=(120, 3)))

    def at(height):
        return np.c_[np.sqrt(1 - height**2) * u, np.full(len(u), height)]

    return at


@pytest.mark.parametrize(("c_at", "z_at"), [(0.1, 0.6), (-0.8, 0.6), (0.1, -0.9)])
def test_a_shift_of_a_modality_changes_nothing(circles, fit, c_at, z_at):
    """The identity and what is trained on pairs change; the collapsed vectors do not."""
    plain, moved = fit(C3Config(), circles(0.1), circles(0.6)), fit(C3Config(), circles(c_at), circles(z_at))
    zhat = plain.translate(circles(0.1))
    np.testing.assert_allclose(moved.translate(circles(c_at)), zhat, atol=1e-5)
    np.testing.assert_allclose(moved.gallery_vectors(circles(z_at)), plain.gallery_vectors(circles(0.6)), atol=1e-5)
    if c_at != 0.1:
        assert (
            np.abs(fit(MoveConfig("identity"), circles(c_at), circles(z_at)).translate(circles(c_at)) - zhat).max()
            > 0.3
        )


def test_it_ranks_by_collapsed_vectors(circles, fit):
    c, z = circles(0.7), circles(-0.7)
    fitted = fit(C3Config(), c, z)
    assert isinstance(fitted, Ranks)
    pairs = mt.PairedEmbeddings({"image": c[::5], "text": z[::5]})
    with pytest.warns(UserWarning, match="no test"):
        scores = mt.evaluate(fitted, pairs)
    queries, gallery = fitted.search_vectors(c[::5]), fitted.gallery_vectors(z[::5])
    first = (queries @ gallery.T).argmax(1)
    assert scores["own_recall_at_1"] == pytest.approx((first == np.arange(len(pairs))).mean())
    assert scores["cosine"] < 0.72 < scores["own_recall_at_1"]


def test_moved_back_it_is_the_mean_shift(rng, fit):
    c, z = unit(rng.normal(size=(40, 5)) + 1), unit(rng.normal(size=(40, 5)) - 1)
    fitted = fit(C3Config(), c, z)
    back = fitted.translate(c) * np.linalg.norm(c - fitted.mean_c.numpy(), axis=1)[:, None] + fitted.mean_z.numpy()
    np.testing.assert_allclose(back - c, np.tile((fitted.mean_z - fitted.mean_c).numpy(), (40, 1)), atol=1e-6)


def test_a_decoder_is_trained_on_corrupted_targets(rng, fit):
    """As many rows as an exact law says are nearer to the clean vector than its median: the noise is added to z - mean
    of its own length, here .6, as published.
    """
    c, z = rng.normal(size=(1000, 64)), np.c_[0.6 * unit(rng.normal(size=(1000, 63))), np.full(1000, 0.8)]
    z[3::4, :-1] = -z[1::4, :-1]  # targets of every other row are looked at: their mean is 0 beside the .8
    clean, corrupt = (fit(C3Config(v), c, z).training_vectors(z) for v in (0.0, 0.016))
    np.testing.assert_allclose(clean, fit(C3Config(), c, z).gallery_vectors(z), atol=1e-6)
    median = stats.nct(63, 0.6 / 0.016**0.5).median() / np.sqrt(63)
    near = (clean * corrupt).sum(1) > median / np.sqrt(1 + median**2)
    assert stats.binomtest(int(near.sum()), 1000, 0.5).pvalue > 1e-3
    np.testing.assert_allclose(np.linalg.norm(corrupt, axis=1), 1, atol=1e-6)


def test_impossible_settings():
    with pytest.raises(ValueError, match="variance: -1.0"):
        C3Config(-1.0)
