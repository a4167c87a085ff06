"""What batch-wide normalisation leaves of F, against closed forms."""

import warnings

import numpy as np
import pytest
from matplotlib import pyplot as plt

from analysis.experiments.released import LINEAR, START, WHOLE, in_batches, reduced, released, row_by_row
from analysis.experiments.synthetic import synthetic_pairs
from analysis.experiments.trial import Trial
from analysis.plots.sampling import of_batches
from analysis.theory.gamma import general_cosine
from analysis.translators.released import ReleasedConfig
from modtrans_core import fit
from modtrans_core.settings import changed
from modtrans_core.vectors import unit

TINY = changed(reduced(16, 3), {"depth": 2, "reconstruction_steps": 1, "steps": 2})


@pytest.fixture(scope="module")
def pairs():
    return synthetic_pairs(300, 12, 16, 0.5, 2, np.random.default_rng(0))[0]


@pytest.fixture(scope="module")
def translator(pairs):
    return fit(pairs, "image", "text", TINY, device="cpu")


@pytest.fixture(scope="module")
def frame(pairs):
    return released(Trial.of(pairs, "image", "text", 0), TINY, batches=(64, 2048))


def test_the_reduced_preset_differs_in_size_alone():
    full = ReleasedConfig()
    sizes = {name: getattr(full, name) for name in ("width", "depth", "steps", "reconstruction_steps")}
    assert changed(reduced(), {**sizes, "train.steps": full.train.steps}) == full


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_every_batch_has_its_size(translator, pairs, size):
    """In a batch of B the mean square of |F| is 1/B, also where there are fewer than B rows to translate."""
    c = unit(pairs.modality("image"))[:40]
    length = np.linalg.norm(in_batches(translator, c, size) - c @ translator.M.detach().numpy(), axis=1)
    assert len(length) == 40
    assert np.square(length).mean() == pytest.approx(1 / size, rel=0.2)


def test_batches_of_one_are_the_rows_by_themselves(translator, pairs):
    c = pairs.modality("image")[:9]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # rows by themselves have no batch to warn of
        alone = row_by_row(translator).translate(c)
    np.testing.assert_allclose(in_batches(translator, c, 1), alone, atol=1e-5)


def test_one_row_for_each_translation_in_a_tidy_frame(frame):
    keys = list(zip(frame["translation"], frame["batch"].fillna(0), strict=True))
    assert keys == [(START, 0), (LINEAR, 0), (WHOLE, 1), (WHOLE, 64), (WHOLE, 2048)]
    rows = frame.set_index("translation")
    assert rows.loc[LINEAR, ["difference", "length", "moved"]].abs().max() < 1e-6
    length = frame.loc[frame["translation"] == WHOLE, "length"].to_numpy(float)
    np.testing.assert_allclose(length, [1, 64**-0.5, 2048**-0.5], rtol=0.2)


def test_the_cosine_of_a_batch_is_the_closed_form_at_gamma_one_over_root_B(translator, pairs):
    """theory: cos(z, p + gamma f) from four inner products, with gamma = |F| of each row."""
    c, z = unit(pairs.modality("image")), unit(pairs.modality("text")[:, 0])
    p, f, _ = translator.parts(c)
    gamma = np.linalg.norm(f, axis=1)
    direction = f / gamma[:, None]
    a, t, q, s = (x.astype(np.float64) for x in ((z * p).sum(1), (z * direction).sum(1), (p * direction).sum(1), p))
    expected = general_cosine(gamma, a, t, q, np.linalg.norm(s, axis=1))
    np.testing.assert_allclose((unit(translator.translate(c)) * z).sum(1), expected, atol=1e-5)
    # to first order the cosine moves by gamma (t - a q / s^2) / s: nothing is left of F in a large batch
    s = np.linalg.norm(s, axis=1)
    np.testing.assert_allclose(expected - a / s, gamma * (t - a * q / s**2) / s, atol=3 * (gamma / s).max() ** 2)


def test_the_larger_the_batch_the_less_is_left_of_F(frame):
    whole = frame[frame["translation"] == WHOLE].set_index("batch")
    assert whole["moved"].is_monotonic_decreasing and whole.loc[1, "moved"] > 50 * whole.loc[2048, "moved"]
    assert abs(whole.loc[2048, "difference"]) < 0.01 < abs(whole.loc[1, "difference"])


def test_the_figure_has_a_curve_and_its_linear_map(frame):
    ax = of_batches(frame)
    curve, linear = ax.get_lines()
    assert list(curve.get_xdata()) == [1, 64, 2048]
    assert set(linear.get_ydata()) == {frame.loc[frame["translation"] == LINEAR, "cosine"].item()}
    plt.close(ax.figure)
