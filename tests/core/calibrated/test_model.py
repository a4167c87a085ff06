"""The calibrated translator: its mean, its draws, and the cosine that it expects of itself."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from modtrans_core import CalibratedConfig, CalibratedTranslator, PairedEmbeddings, fit
from modtrans_core.calibrated.model import LEAST_COSINE, TENSORS, TOGETHER, expected_length, restore
from modtrans_core.protocol import Draws, Expects, Facts, HasParts, Ranks
from modtrans_core.scores import cosine
from modtrans_core.vectors import unit

K, D = 6, 8
CPU = torch.device("cpu")


def pairs(n=400, seed=0):
    """Unit pairs whose noise grows with the first coordinate of the condition, and lies mostly in one half of R^d."""
    rng, map_ = np.random.default_rng(seed), np.random.default_rng(99)
    c = unit(rng.standard_normal((n, K)))
    noise = rng.standard_normal((n, 3, D)) * np.where(np.arange(D) < D // 2, 1, 0.2)
    signal = np.tanh(2 * c @ map_.standard_normal((K, D)))[:, None]
    return PairedEmbeddings({"image": c, "text": unit(signal + (0.1 + np.abs(c[:, :1, None])) * noise)})


@pytest.fixture(scope="module")
def calibrated():
    return fit(pairs(2000), config=CalibratedConfig(landmarks=64), validation=pairs(300, 1), device="cpu")


@pytest.fixture(scope="module")
def linear():
    return fit(pairs(2000), config=CalibratedConfig(landmarks=0), validation=pairs(300, 1), device="cpu")


@pytest.fixture
def c():
    return pairs(50, 2).modality("image")


def from_the_true_spread(translator, F):
    """How far the mean square of each coordinate of F is from that of unseen residuals' directions, over how far a
    direction without preference is from it."""
    held = pairs(3000, 5)
    residual = unit((held.modality("text") - translator.translate(held.modality("image"))[:, None]).reshape(-1, D))
    true, found = np.square(residual).mean(0), np.square(F.reshape(-1, D)).mean(0)
    return np.abs(found - true).max() / np.abs(1 / D - true).max()


def test_a_translation_is_the_formula_by_hand(calibrated, c):
    """m = expected length of [c, phi_1(c), phi_2(c), 1] M; rankings by the direction of [...] N."""
    M, N, landmarks = (calibrated.tensors()[name].double().numpy() for name in ("M", "N", "landmarks"))
    q0, q1, q2, low, high = calibrated.expected.tolist()
    assert len(landmarks) == 64 and len(calibrated.bandwidths) == 2
    phi = [np.exp(-np.square(c[:, None] - landmarks).sum(2) / (2 * h)) for h in calibrated.bandwidths.tolist()]
    x = np.hstack([c, *phi, np.ones((50, 1))])
    zhat = x @ M
    s = np.linalg.norm(zhat, axis=1, keepdims=True)
    at = s.clip(low, high)
    expected = zhat / s * (q0 + q1 * at + q2 * at**2).clip(LEAST_COSINE, 1)
    np.testing.assert_allclose(calibrated.translate(c), expected, atol=5e-4)  # M is long
    np.testing.assert_allclose(calibrated.translate(7 * c), expected, atol=5e-4)
    np.testing.assert_allclose(calibrated.search_vectors(c), np.hstack([unit(x @ N), np.ones((50, 1))]), atol=2e-3)


def test_a_ranking_is_the_inner_product_of_the_vectors_for_an_index(calibrated, c):
    z = pairs(40, 4).modality("text")[:, 0]
    found, scores = calibrated.rank(c, 3 * z, k=5)
    product = calibrated.search_vectors(c) @ calibrated.gallery_vectors(z).T
    np.testing.assert_allclose(scores, -np.sort(-product, axis=1)[:, :5], atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(product, found, 1), scores, atol=1e-5)
    alone = [calibrated.rank(c[:1], z, k=40)[1], calibrated.rank(c, z, k=40)[1][:1]]
    np.testing.assert_allclose(*alone, atol=1e-5)  # a query's ranking does not depend on those beside it
    assert np.square(calibrated.gallery_vectors(z)[:, :-1]).sum(1) == pytest.approx(1, abs=1e-5)


def test_queries_together_correct_each_other(calibrated, c):
    """By the inverted softmax over the queries themselves, computed by hand."""
    both = dataclasses.replace(calibrated, corrections=torch.tensor([[0.0, 0.0], [2.0, 20.0]]))
    z = pairs(40, 4).modality("text")[:, 0]
    similarity = both.search_vectors(c)[:, :-1] @ both.gallery_vectors(z)[:, :-1].T
    corrected = similarity - (logsumexp(20 * similarity, axis=0) - np.log(50)) / 20
    _, scores = both.rank(c, z, k=40, together=True)
    np.testing.assert_allclose(scores, -np.sort(-corrected, axis=1), atol=1e-5)
    _, scores = both.rank(c, z, k=40)
    np.testing.assert_allclose(scores, -np.sort(-similarity, axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (
            lambda one, c, z: one.rank(c, z, k=0),
            "^k: 0, a whole number from 1 to 3, the size of the gallery, is needed$",
        ),
        (lambda one, c, z: one.rank(c, z, k=4), "^k: 4, a whole number from 1 to 3"),
        (lambda one, c, z: one.rank(c, z[:, :-1], k=1), r"^z: shape \(3, 7\), \(n, 8\) is needed \(text vectors\)$"),
        (lambda one, c, z: one.gallery_vectors(0 * z), "^z: zero, NaN or infinite in row 0"),
        (lambda one, c, z: one.search_vectors(c[:, 1:]), "^c: shape"),
    ],
)
def test_what_cannot_be_ranked_is_refused(calibrated, c, work, words):
    with pytest.raises(ValueError, match=words):
        work(calibrated, c, unit(np.ones((3, D)) + np.eye(3, D)))


def test_a_translation_is_the_mean_and_draws_lie_about_it(calibrated, c):
    m = calibrated.translate(c)
    draws = calibrated.draw(c, 400)
    assert draws.shape == (50, 400, D)
    gamma = np.sqrt(1 - np.square(m).sum(1))
    np.testing.assert_allclose(np.linalg.norm(draws - m[:, None], axis=2), np.repeat(gamma[:, None], 400, 1), atol=1e-5)
    off = np.linalg.norm(draws.mean(1) - m, axis=1)  # of 400 independent draws: gamma / 20 in the root mean square
    assert np.square(off / gamma).mean() == pytest.approx(1 / 400, rel=0.25)
    np.testing.assert_allclose(np.square(draws).sum(2).mean(), 1, atol=0.01)  # unit vectors, in the mean square


def test_draws_take_the_directions_of_the_residuals(calibrated, c):
    directions = unit(calibrated.draw(c, 200) - calibrated.translate(c)[:, None])
    assert from_the_true_spread(calibrated, directions) < 0.25


def test_draws_come_from_the_seed(calibrated, c):
    np.testing.assert_array_equal(calibrated.draw(c, 2, seed=3), calibrated.draw(c, 2, seed=3))
    np.testing.assert_array_equal(calibrated.draw(c, 2, seed=0), calibrated.draw(c, 2))
    assert np.abs(calibrated.draw(c, 2, seed=3) - calibrated.draw(c, 2, seed=4)).max() > 1e-3
    with pytest.raises(ValueError, match="samples: 0, a whole number from 1 on"):
        calibrated.draw(c, 0)


def comes_true(translator, held):
    """The observed cosine of each quarter of the pairs, ordered by what they expect, is what it expects."""
    c = held.modality("image")
    expected, observed = translator.expected_cosine(c), cosine(translator.translate(c), held.modality("text"))
    for items in np.array_split(np.argsort(expected), 4):
        assert observed[items].mean() == pytest.approx(expected[items].mean(), abs=0.025)
    return expected


def test_the_expected_cosine_is_the_length_and_comes_true(calibrated):
    held = pairs(4000, 3)
    expected = comes_true(calibrated, held)
    np.testing.assert_allclose(
        expected, np.linalg.norm(calibrated.translate(held.modality("image")), axis=1), rtol=1e-6
    )
    assert expected.std() > 0.03


def test_without_landmarks_it_has_mean_lengths_and_draws(linear, c):
    """Nothing but the radial basis functions goes."""
    assert linear.M.shape == (K + 1, D) and linear.landmarks.shape == (0, K)
    assert np.linalg.norm(linear.mean) > 0.01 and tuple(linear.expected) != (0, 1, 0, 0, 1)
    held = pairs(4000, 3)
    comes_true(linear, held)
    assert linear.draw(c, 3).shape == (50, 3, D)
    assert from_the_true_spread(linear, unit(linear.draw(c, 200) - linear.translate(c)[:, None])) < 0.4


def test_results_are_of_the_kind_that_came_in_and_never_above_one(calibrated, c):
    given = torch.from_numpy(c)
    for work in (calibrated.expected_cosine, calibrated.translate, lambda rows: calibrated.draw(rows, 2)):
        result = work(given)
        assert isinstance(result, torch.Tensor) and len(result) == 50
        np.testing.assert_array_equal(result.numpy(), work(c))
    ones = {"mean": torch.ones(D, dtype=torch.float64), "M": torch.ones(K + 1, D), "N": torch.ones(K + 1, D)}
    ones |= {"landmarks": torch.zeros(0, K), "bandwidths": torch.zeros(0), "root": torch.eye(D)}
    ones |= {"expected": torch.tensor([0.0, 1.0, 0.0, 0.0, 9.0])}
    ones |= {"bank": torch.ones(1, D), "corrections": torch.zeros(2, 2)}
    long = restore(calibrated.facts, CalibratedConfig(), ones, CPU)
    assert long.expected_cosine(c).max() == 1 and np.isfinite(long.draw(c, 2)).all()


def test_a_length_is_never_zero_or_negative():
    delta = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    short = expected_length(delta, torch.tensor([-5.0, 0.0, 0.0, 0.0, 9.0]))
    torch.testing.assert_close(short.norm(dim=1), torch.full((50,), LEAST_COSINE))


def test_what_it_can(calibrated):
    assert isinstance(calibrated, Draws) and isinstance(calibrated, Expects) and isinstance(calibrated, Ranks)
    assert not isinstance(calibrated, HasParts)
    assert repr(calibrated) == "CalibratedTranslator(image 6 -> text 8, balanced)"
    assert (calibrated.method, calibrated.row_by_row) == ("calibrated", True)


def test_conditions_of_another_shape_are_refused(calibrated, c):
    for work in (calibrated.translate, calibrated.expected_cosine, lambda rows: calibrated.draw(rows, 2)):
        with pytest.raises(ValueError, match="c: shape"):
            work(c[:, :-1])


@pytest.mark.parametrize("name", TENSORS)
def test_a_missing_or_misshapen_tensor_is_refused_by_name(calibrated, name):
    tensors = calibrated.tensors()
    assert list(tensors) == list(TENSORS)
    missing = {other: value for other, value in tensors.items() if other != name}
    for spoilt in (missing, *({**tensors, name: torch.zeros(shape)} for shape in ((3, 3), (4, 3, 2), (7,)))):
        with pytest.raises(ValueError, match=f"^{name}: ") as caught:
            restore(calibrated.facts, calibrated.config, spoilt, CPU)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="^mean: "):
        restore(Facts("image", "text", K, D + 1), calibrated.config, tensors, CPU)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"bank": torch.zeros(0, D)}, r"bank: \(0, [0-9]+\), at least one direction is needed"),
        ({"corrections": torch.tensor([[0.0, 0.0], [9.0, 1.0]])}, r"corrections: \[9.0, 1.0\], a kind that there is"),
        ({"corrections": torch.tensor([[1.0, -1.0], [0.0, 0.0]])}, r"corrections: \[1.0, -1.0\], a kind that there is"),
        ({"more": torch.ones(1)}, "more: none of this translator's tensors, mean, M, N, "),
        ({}, "landmarks: [0-9]+, at most 3, as the settings say, is needed"),
    ],
)
def test_tensors_that_do_not_go_together_are_refused(calibrated, changed, words):
    config = calibrated.config if changed else CalibratedConfig(landmarks=3)
    with pytest.raises(ValueError, match=f"^{words}"):
        restore(calibrated.facts, config, calibrated.tensors() | changed, CPU)


def test_it_is_immutable(calibrated):
    with pytest.raises(AttributeError):
        calibrated.M = torch.zeros(1)
    assert isinstance(calibrated, CalibratedTranslator)


def test_a_single_query_does_not_lower_what_is_near_to_it():
    """By the inverted softmax of one query all scores would be equal."""
    pairs = pairs_of_one_space()
    fitted = fit(pairs, device="cpu")
    fitted = dataclasses.replace(fitted, corrections=torch.tensor([[0.0, 0.0], [2.0, 20.0]]))
    c, z = (pairs.modality(name) for name in ("image", "text"))
    for few in (1, TOGETHER - 1):
        alone, together = (fitted.rank(c[:few], z, together=together) for together in (False, True))
        assert all((one == other).all() for one, other in zip(alone, together, strict=True))
    assert (fitted.rank(c[:TOGETHER], z, together=True)[1] != fitted.rank(c[:TOGETHER], z)[1]).any()


def pairs_of_one_space():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(150, 6))
    return PairedEmbeddings({"image": image, "text": image[:, :4] + rng.normal(size=(150, 4))})
