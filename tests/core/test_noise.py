"""Noise that belongs to a row: wherever the row stands, whatever stands beside it, and standard normal."""

import itertools
from unittest import mock

import numpy as np
import pytest
import torch
from scipy import stats

from modtrans_core import CalibratedConfig, CalibratedTranslator, PosterConfig, PosterTranslator
from modtrans_core.noise import keys, normal
from modtrans_core.protocol import Facts

K, D = 24, 16
LEVEL = 1e-6
"""probability that a test of a law fails although the law holds"""
FACTS = Facts("image", "text", K, D)


@pytest.fixture(scope="module")
def poster():
    made = PosterTranslator(FACTS, PosterConfig(width=16, depth=2)).eval()
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():  # the network starts at zero: give it something to say
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=g))
    return made


@pytest.fixture(scope="module")
def calibrated():
    g = torch.Generator().manual_seed(0)
    landmarks = torch.nn.functional.normalize(torch.randn(5, K, generator=g), dim=1)
    M, root = 0.1 * torch.randn(K + 11, D, generator=g), torch.randn(D, D, generator=g)
    mean, bandwidths = torch.full((D,), 0.1, dtype=torch.float64), torch.tensor([0.2, 0.8])
    expected, bank, corrections = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.9]), torch.zeros(0, D), torch.zeros(2, 2)
    return CalibratedTranslator(
        FACTS, CalibratedConfig(), mean, M, M, landmarks, bandwidths, expected, root, bank, corrections
    )


@pytest.fixture(scope="module")
def c():
    return np.random.default_rng(0).normal(size=(200, K)).astype(np.float32)


def stands_anywhere(translated, c):
    """Row 7 alone, at another place, among others, in reverse order and seven times as long: the same translation."""
    whole = translated(c)
    assert np.abs(whole[0] - whole[1]).max() > 1e-2  # another row has another translation
    for rows, place in ((c[7:8], 0), (c[5:9], 2), (np.roll(c, 30, axis=0), 37), (c[::-1], 192), (7 * c, 7)):
        np.testing.assert_allclose(translated(rows)[place], whole[7], atol=1e-5)


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_a_row_of_the_posters_is_translated_alike_wherever_it_stands(poster, c, steps):
    stands_anywhere(lambda rows: poster.translate(rows, steps=steps), c)
    stands_anywhere(lambda rows: poster.draw(rows, 3, steps=steps), c)


def test_a_rows_calibrated_draws_are_alike_wherever_it_stands(calibrated, c):
    stands_anywhere(lambda rows: calibrated.draw(rows, 3), c)


def test_pieces_of_a_large_set_change_nothing(poster, calibrated, c, monkeypatch):
    whole = [translator.draw(c, 3) for translator in (poster, calibrated)]
    monkeypatch.setattr("modtrans_core.protocol.ROWS", 10)
    for translator, expected in zip((poster, calibrated), whole, strict=True):
        np.testing.assert_allclose(translator.draw(c, 3), expected, atol=1e-5)


def test_the_first_draws_do_not_depend_on_how_many_there_are(poster, calibrated, c):
    for translator in (poster, calibrated):
        np.testing.assert_allclose(translator.draw(c, 7)[:, :2], translator.draw(c, 2), atol=1e-5)
    np.testing.assert_allclose(poster.draw(c, 4)[:, 0], poster.translate(c), atol=1e-5)
    assert np.abs(np.diff(calibrated.draw(c, 2), axis=1)).max(2).min() > 1e-2


@pytest.mark.parametrize("name", ["poster", "calibrated"])
def test_kind_and_precision_of_the_conditions_do_not_matter(name, c, request):
    translator = request.getfixturevalue(name)
    expected = translator.draw(c, 2)
    np.testing.assert_array_equal(translator.draw(c.astype(np.float64), 2), expected)
    for dtype in (torch.float32, torch.float64):
        found = translator.draw(torch.from_numpy(c).to(dtype), 2)
        assert isinstance(found, torch.Tensor)
        np.testing.assert_array_equal(found.numpy(), expected)
    half = c.astype(np.float16)
    np.testing.assert_array_equal(translator.draw(half, 2), translator.draw(half.astype(np.float32), 2))


def test_no_random_state_is_read_or_left(c):
    key, state = keys(torch.from_numpy(c)), torch.random.get_rng_state()
    found = normal(key, (4,))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(normal(key, (4,)), found) and torch.equal(keys(torch.from_numpy(c)), key)


def test_numbers_are_a_function_of_row_seed_and_place_alone(c):
    key = keys(torch.from_numpy(c))
    whole = normal(key, (5, 6), seed=3)
    assert whole.shape == (200, 5, 6) and whole.dtype == torch.float32
    assert torch.equal(normal(key[40:50], (5, 6), seed=3), whole[40:50])
    assert torch.equal(normal(key, (2, 6), seed=3), whole[:, :2])
    assert torch.equal(normal(key, (30,), seed=3), whole.flatten(1))


def test_no_number_is_infinite_whatever_the_bits():
    """The two ends of the uniform numbers' range are as far from the middle as each other."""
    least, most = torch.tensor([0, -1])
    with mock.patch("modtrans_core.noise._mixed", lambda bits: bits.clone().fill_(least)):
        low = normal(torch.zeros(1, dtype=torch.int64), (1,))
    with mock.patch("modtrans_core.noise._mixed", lambda bits: bits.clone().fill_(most)):
        high = normal(torch.zeros(1, dtype=torch.int64), (1,))
    assert low == -high and 5 < high < 6


def many(rows=60, numbers=4000, seed=0):
    """Numbers (rows, numbers) of random conditions."""
    g = torch.Generator().manual_seed(0)
    return normal(keys(torch.randn(rows, K, generator=g)), (numbers,), seed).double().numpy()


@pytest.mark.parametrize("along", ["a row", "rows", "seeds", "nearby keys"])
def test_numbers_are_standard_normal(along):
    """Kolmogorov and Smirnov's distance with its exact law; the uniform numbers' 24 bits are far below it."""
    if along == "a row":
        x = many(3, 30_000)
    elif along == "rows":
        x = many(30_000, 3).T
    elif along == "seeds":
        x = np.array([many(3, 1, seed)[:, 0] for seed in range(3000)]).T
    else:
        x = normal(torch.arange(30_000), (3,)).double().numpy().T
    for sample in x:
        assert stats.kstest(sample, "norm", method="exact").pvalue > LEVEL / len(x)
    assert np.isfinite(x).all()


def unrelated(x):
    """No two rows of x (m, n) of standard normal numbers are related.

    Given y, <x, y>/|y| is exactly N(0, 1), and the number of places where two signs agree is binomial.
    """
    m, n = x.shape
    each = LEVEL / (m * (m - 1) / 2)  # over all pairs of rows
    first, second = np.triu_indices(m, 1)
    along = (x @ x.T / np.linalg.norm(x, axis=1))[first, second]
    assert 2 * stats.norm.sf(np.abs(along).max()) > each
    squares = x**2 - 1  # whether large numbers meet, by their ranks
    assert stats.spearmanr(squares[0], squares[1]).pvalue > LEVEL
    agreeing = ((n + np.sign(x) @ np.sign(x).T) / 2)[first, second]
    for count in (agreeing.min(), agreeing.max()):
        assert stats.binomtest(round(count), n).pvalue > each


@pytest.mark.parametrize("among", ["rows", "coordinates", "seeds", "samples", "nearby keys"])
def test_numbers_are_unrelated(among):
    key = keys(torch.randn(2000, K, generator=torch.Generator().manual_seed(1)))
    unrelated(
        {
            "rows": lambda: many(),
            "coordinates": lambda: normal(key, (60,)).double().numpy().T,
            "seeds": lambda: np.stack([many(1, 4000, seed)[0] for seed in (*range(50), 2**31, 2**40)]),
            "samples": lambda: normal(key, (40, D)).double().permute(1, 0, 2).reshape(40, -1).numpy(),
            "nearby keys": lambda: normal(torch.arange(-30, 30), (4000,)).double().numpy(),
        }[among]()
    )


def test_numbers_of_one_stream_are_unrelated_to_its_own_past():
    x = many(1, 60_000)[0]
    for lag in (1, 2, 3, 16, 64, 4096):
        assert 2 * stats.norm.sf(abs(x[lag:] @ x[:-lag]) / np.linalg.norm(x[:-lag])) > LEVEL / 6


def test_another_seed_of_a_translation_is_another_sample(poster, calibrated, c):
    for translated in (lambda seed: poster.translate(c, seed=seed), lambda seed: calibrated.draw(c, 1, seed=seed)):
        np.testing.assert_array_equal(translated(3), translated(3))
        assert all(np.abs(translated(a) - translated(b)).max() > 1e-2 for a, b in itertools.combinations(range(4), 2))
    np.testing.assert_array_equal(poster.translate(c), poster.translate(c, seed=0))


@pytest.mark.parametrize("step", [1e-7, 1e-5, 1e-3, 1e-1])
def test_a_row_nearby_has_the_same_noise_or_unrelated_noise(step):
    g = torch.Generator().manual_seed(0)
    rows = torch.randn(50, 100, generator=g)
    key, nearby = keys(rows), keys(rows + step * torch.randn(50, 100, generator=g))
    same = key == nearby
    x, y = (normal(k[~same], (500,)).double().numpy() for k in (key, nearby))
    assert same.float().mean() > 0.9 if step < 1e-6 else step < 0.1 or not same.any()
    for a, b in zip(x, y, strict=True):
        assert 2 * stats.norm.sf(abs(a @ b) / np.linalg.norm(b)) > LEVEL / 50


def distinct(rows):
    assert len(set(keys(torch.from_numpy(np.asarray(rows, dtype=np.float32))).tolist())) == len(rows)


@pytest.mark.parametrize("k", [2, 3, 24, 384, 512, 700])
def test_rows_of_every_kind_have_keys_of_their_own(k):
    rng = np.random.default_rng(0)
    distinct(np.eye(k))
    distinct(-np.eye(k))
    if k < 24:
        return
    dense = rng.normal(size=(200, k))
    distinct(dense)
    distinct(np.abs(dense))
    distinct(dense.clip(min=0))  # as after a rectifier
    supports = {tuple(sorted(rng.choice(k, 3, replace=False))) for _ in range(200)}
    distinct([np.isin(np.arange(k), support) for support in supports])
    distinct(1 + 0.5 * dense)  # all near one direction
    distinct(10 * np.eye(k)[0] + dense)  # one coordinate outweighs all others


@pytest.mark.gpu
def test_a_gpu_gives_the_same_numbers(c):
    rows = torch.from_numpy(c)
    assert torch.equal(keys(rows.cuda()).cpu(), keys(rows))
    torch.testing.assert_close(
        normal(keys(rows.cuda()), (100,)).cpu(), normal(keys(rows), (100,)), rtol=1e-5, atol=1e-6
    )
