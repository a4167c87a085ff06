"""Fitting the poster's translator: where it starts, and one real training that must beat its baselines."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from modtrans_core import PairedEmbeddings, Pairing, PosterConfig, TrainConfig, fit
from modtrans_core.linear import LinearMap
from modtrans_core.methods import translated_scores
from modtrans_core.vectors import mean_of_unit

SMALL = PosterConfig(width=16, depth=2, steps=2, train=TrainConfig(steps=12, batch=32))


def make_pairs(n=120, k=8, d=6, seed=0, noise=0.3):
    rng = np.random.default_rng(seed)
    c = rng.normal(size=(n, k))
    z = c @ np.random.default_rng(99).normal(size=(k, d)) / np.sqrt(k) + noise * rng.normal(size=(n, d))
    return PairedEmbeddings({"image": c, "text": z})


def several(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return PairedEmbeddings(
        {"image": rng.normal(size=(n, 8)), "text": rng.normal(size=(n, 3, 6))}, {"text": rng.integers(1, 4, n)}
    )


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.tensors().values(), b.tensors().values(), strict=True))


@pytest.mark.filterwarnings("ignore:.*the constant mean:UserWarning")
@pytest.mark.parametrize("pairs", [make_pairs(), several(120)], ids=["one target", "several targets"])
def test_an_untrained_translator_starts_at_the_ridge_map(pairs):
    """And at the mean of the targets, every item weighing the same."""
    validation = make_pairs(60, seed=1)
    fitted = fit(pairs, config=replace(SMALL, train=TrainConfig(steps=0)), validation=validation, device="cpu")
    made = Pairing(pairs, "image", "text")
    c, z = (torch.from_numpy(np.asarray(rows)) for rows in (made.c[made.of_c], made.z[made.of_z]))
    held = tuple(normalize(torch.tensor(validation.modality(name)), dim=1) for name in ("image", "text"))
    expected = LinearMap.fit(normalize(c, dim=1), normalize(z, dim=1), validation=held).M
    torch.testing.assert_close(fitted.M.detach(), expected, atol=1e-5, rtol=1e-5)
    mean = mean_of_unit(pairs.modality("text"), pairs.counts.get("text"))
    np.testing.assert_allclose(fitted.mean.numpy(), mean, atol=1e-7)
    assert fitted.mean.dtype == torch.float64


def test_seeds_are_what_makes_runs_differ():
    pairs, validation = make_pairs(), make_pairs(40, seed=1)
    runs = [
        fit(pairs, config=replace(SMALL, train=replace(SMALL.train, seed=seed)), validation=validation, device="cpu")
        for seed in (0, 0, 1)
    ]
    assert same_weights(runs[0], runs[1]) and not same_weights(runs[0], runs[2])


def test_training_leaves_torchs_generator_and_the_pairs_alone():
    pairs = make_pairs()
    before, state = pairs.fingerprint(), torch.random.get_rng_state()
    fit(pairs, config=SMALL, device="cpu")
    assert pairs.fingerprint() == before and torch.equal(torch.random.get_rng_state(), state)


def test_a_network_learns_from_the_training_pairs_alone():
    """Validation pairs choose the penalty of the ridge map and nothing else."""
    pairs, validation = make_pairs(), make_pairs(40, seed=1)
    first = fit(pairs, config=SMALL, validation=validation, device="cpu")
    turned = PairedEmbeddings({"image": -validation.modality("image"), "text": -validation.modality("text")})
    assert same_weights(first, fit(pairs, config=SMALL, validation=turned, device="cpu"))


@pytest.mark.filterwarnings("ignore:.*the constant mean:UserWarning")
def test_both_directions_with_several_captions():
    pairs = several()
    independent = replace(pairs, metadata={"independent": ["text"]})
    for source, target in (("image", "text"), ("text", "image")):
        fitted = fit(pairs, source, target, config=SMALL, device="cpu")
        scores, known = (translated_scores(fitted, one) for one in (pairs, independent))
        assert scores["gallery"] == 60 and scores["ceiling"] is None
        assert (known["ceiling"] is None) == (target == "image")


@pytest.mark.filterwarnings("ignore:.*the constant mean:UserWarning")
def test_a_diverging_run_stops_and_says_so():
    config = replace(SMALL, train=TrainConfig(steps=50, learning_rate=1e30))
    with pytest.raises(ValueError, match=r"(loss: (nan|inf)|F\(c\): not finite)"):
        fit(make_pairs(), config=config, device="cpu")


def test_a_real_training_finds_what_no_linear_map_can():
    """Targets whose residual is a function of the condition with no linear part: F(c) must find it.

    z = (x, |x|-like part): the second half is even in c, so least squares sees nothing of it.
    """
    rng = np.random.default_rng(0)
    c = rng.normal(size=(4000, 4))
    even = np.abs(c) - np.sqrt(2 / np.pi)
    pairs = PairedEmbeddings({"image": c, "text": np.hstack([0.3 * c, even])})
    train, validation, test = pairs.split(0)
    config = PosterConfig(
        width=64, depth=2, dropout=0.0, steps=1, guidance=1.0,
        train=TrainConfig(steps=400, batch=128, learning_rate=2e-3, weight_decay=0.0, ema=0.99),
    )  # fmt: skip
    trained = translated_scores(fit(train, config=config, validation=validation, device="cpu"), test)
    straight = replace(config, gamma=0.0, train=TrainConfig(steps=0))
    linear = translated_scores(fit(train, config=straight, validation=validation, device="cpu"), test)
    assert linear["floor"] < 0.2 and linear["cosine"] < 0.65
    assert trained["cosine"] > linear["cosine"] + 0.25
    assert trained["recall_at_10"] > linear["recall_at_10"] + 0.15
