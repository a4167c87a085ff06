"""The translator's formula, its settings, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from modtrans_core.config import NetworkConfig, SamplingConfig

from modtrans_core import Config, PairedEmbeddings, Translator, evaluate

K, D = 6, 16


@pytest.fixture
def translator():
    made = Translator(K, D, Config(network=NetworkConfig(width=16, depth=2), sampling=SamplingConfig(steps=3)))
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():  # the network starts at zero: give it something to say
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=g))
        made.mean.fill_(0.1)
    return made


@pytest.fixture
def c():
    return np.random.default_rng(0).normal(size=(11, K)).astype(np.float32)


def test_a_translation_is_the_sum_of_its_parts(translator, c):
    parts = translator.parts(c)
    unit = c / np.linalg.norm(c, axis=1, keepdims=True)
    np.testing.assert_allclose(parts.projection, unit @ translator.M.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(parts.residual, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(translator.translate(c), parts.projection + parts.gamma * parts.residual, atol=1e-7)


def test_every_row_is_normalised_by_itself(translator, c):
    """A row's translation does not depend on the rows beside it, given its noise."""
    whole = translator.translate(c)
    np.testing.assert_allclose(translator.translate(c[:1]), whole[:1], atol=1e-6)
    other = c.copy()
    other[1:] = other[1:][::-1]
    np.testing.assert_allclose(translator.translate(other)[0], whole[0], atol=1e-6)


def test_gamma_zero_is_the_linear_map(translator, c):
    translator.config = replace(translator.config, gamma=0.0)
    np.testing.assert_allclose(translator.translate(c), translator.parts(c).projection, atol=1e-7)
    translator.residual = lambda *_: pytest.fail("sampled what gamma 0 drops")
    assert translator.translate(c).shape == translator.translate(torch.from_numpy(c)).shape


def test_the_length_of_a_condition_does_not_matter(translator, c):
    np.testing.assert_allclose(translator.translate(7 * c), translator.translate(c), atol=1e-5)


def test_torch_in_torch_out_and_the_input_is_left_alone(translator, c):
    given = torch.from_numpy(c.copy())
    result = translator.translate(given)
    assert isinstance(result, torch.Tensor) and torch.equal(given, torch.from_numpy(c))
    np.testing.assert_array_equal(result.numpy(), translator.translate(c))


def test_samples_are_distinct_unit_residuals_around_one_projection(translator, c):
    parts = translator.parts(c, samples=4)
    assert parts.residual.shape == (11, 4, D)
    assert translator.translate(c, samples=4).shape == (11, 4, D)
    assert translator.translate(c, samples=1).shape == (11, 1, D)
    assert np.ptp(parts.residual, axis=1).max() > 1e-3
    np.testing.assert_allclose(translator.translate(c, samples=1)[:, 0], translator.translate(c), atol=1e-6)


def test_noise_comes_from_the_generator(translator, c):
    def draw(seed):
        return translator.translate(c, generator=torch.Generator().manual_seed(seed))

    np.testing.assert_array_equal(draw(3), draw(3))
    np.testing.assert_array_equal(draw(0), translator.translate(c))
    assert np.abs(draw(3) - draw(4)).max() > 1e-3


def test_settings_reach_the_sampler(translator, c):
    assert np.abs(translator.translate(c, steps=1) - translator.translate(c, steps=9)).max() > 1e-4
    assert np.abs(translator.translate(c, guidance=1) - translator.translate(c, guidance=3)).max() > 1e-4
    with_other = np.roll(c, 1, axis=0)
    unconditional = [translator.parts(x, guidance=0).residual for x in (c, with_other)]
    np.testing.assert_allclose(*unconditional, atol=1e-6)


def test_translating_leaves_training_mode_and_torchs_generator_alone(translator, c):
    translator.train()
    state = torch.random.get_rng_state()
    translator.translate(c)
    assert translator.training and torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c[:, :-1], rf"c: shape \(11, 5\), \(n, {K}\) is needed \(image vectors\)"),
        (lambda c: c[0], "c: shape"),
        (lambda c: np.where(np.arange(11)[:, None] == 4, 0, c), "row 4"),
        (lambda c: np.where(np.arange(11)[:, None] == 4, np.nan, c), "row 4"),
    ],
)
def test_bad_conditions_are_refused(translator, c, change, words):
    with pytest.raises(ValueError, match=words):
        translator.translate(change(c).astype(np.float32))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"steps": 0}, "steps: 0"),
        ({"steps": 1001}, "1 to 1000"),
        ({"guidance": -1}, "guidance"),
        ({"samples": 0}, "samples"),
    ],
)
def test_bad_settings_are_refused(translator, c, setting, words):
    with pytest.raises(ValueError, match=words):
        translator.translate(c, **setting)


def test_other_pairs_are_refused(translator):
    rng = np.random.default_rng(0)

    def pairs(k=K, encoder=None):
        metadata = {} if encoder is None else {"image": {"encoder": encoder}}
        return PairedEmbeddings(
            {"image": rng.normal(size=(20, k)), "text": rng.normal(size=(20, D))}, metadata=metadata
        )

    evaluate(translator, pairs())
    with pytest.raises(ValueError, match="image: dimension 7, but the translator was trained on 6"):
        evaluate(translator, pairs(7))
    translator.encoders = {"image": {"encoder": "open_clip:RN50/openai"}}
    with pytest.raises(ValueError, match="encoder timm:x/y, but the translator was trained on open_clip:RN50/openai"):
        evaluate(translator, pairs(encoder="timm:x/y"))


B32, L14 = "open_clip:ViT-B-32/openai", "open_clip:ViT-L-14/openai"


@pytest.mark.parametrize(
    ("here", "trained", "words"),
    [
        ({"encoder": L14}, {"encoder": B32}, f"image: encoder {L14}, but the translator was trained on {B32}"),
        (
            {"encoder": L14, "weights_sha256": "a", "preprocessing": "p"},
            {"encoder": B32, "weights_sha256": "b", "preprocessing": "q"},
            f"image: encoder {L14}, but the translator was trained on {B32}",
        ),
        (
            {"encoder": "open_clip:m/w.pt", "weights_sha256": "a"},
            {"encoder": "open_clip:m/w.pt", "weights_sha256": "b"},
            "image: encoder open_clip:m/w.pt with weights_sha256 a, "
            "but the translator was trained on open_clip:m/w.pt with weights_sha256 b",
        ),
        (
            {"encoder": "transformers:cls/f", "weights_sha256": "a", "preprocessing": "first"},
            {"encoder": "transformers:mean/f", "weights_sha256": "a", "preprocessing": "mean"},
            "image: encoder transformers:cls/f with preprocessing first, "
            "but the translator was trained on transformers:mean/f with preprocessing mean",
        ),
        (
            {"encoder": "timm:m/random", "weights_sha256": None},
            {"encoder": "timm:m/w.safetensors", "weights_sha256": "a"},
            "image: encoder timm:m/random, but the translator was trained on timm:m/w.safetensors",
        ),
    ],
)
def test_pairs_of_another_encoder_are_refused_by_both_names(translator, here, trained, words):
    translator.encoders = {"image": trained}
    vectors = {"image": np.ones((2, K)), "text": np.ones((2, D))}
    with pytest.raises(ValueError) as caught:
        translator.check(PairedEmbeddings(vectors, metadata={"image": here}))
    assert str(caught.value) == words
    translator.check(PairedEmbeddings(vectors, metadata={"image": trained}))


@pytest.mark.parametrize(
    ("here", "trained"),
    [
        (
            {"encoder": "open_clip:m/new/w.pt", "weights_sha256": "a"},
            {"encoder": "open_clip:m/w.pt", "weights_sha256": "a"},
        ),
        ({"encoder": B32, "weights_sha256": "a"}, {}),
        ({}, {"encoder": B32, "preprocessing": "p"}),
        (
            {"preprocessing": "p", "precision": "float32"},
            {"preprocessing": "p", "precision": "bfloat16 autocast on CUDA"},
        ),
        (  # rows that were computed elsewhere: their file says nothing about the encoder
            {"encoder": "array:test.npy", "weights_sha256": "a", "preprocessing": "precomputed"},
            {"encoder": B32, "weights_sha256": "b", "preprocessing": "p"},
        ),
    ],
)
def test_pairs_of_the_same_encoder_are_taken_wherever_its_file_lies(translator, here, trained):
    translator.encoders = {"image": trained}
    vectors = {"image": np.ones((2, K)), "text": np.ones((2, D))}
    translator.check(PairedEmbeddings(vectors, metadata={"image": here}))


def test_a_diverged_network_is_an_error_not_a_nan(translator, c):
    with torch.no_grad():
        translator.denoiser.out[1].bias.fill_(float("inf"))
    with pytest.raises(ValueError, match="diverged"):
        translator.translate(c)


def test_null_condition_replaces_the_dropped_rows_only(translator, c):
    rows, x = torch.from_numpy(c), torch.randn(11, D)
    t = torch.zeros(11, dtype=torch.long)
    drop = torch.arange(11) % 2 == 0
    translator.eval()
    with torch.no_grad():
        network = translator.denoiser
        mixed = network(x, t, network.embed(rows, drop))
        torch.testing.assert_close(mixed[drop], network(x, t, network.embed(None))[drop])
        torch.testing.assert_close(mixed[~drop], network(x, t, network.embed(rows))[~drop])


def test_blocks_start_as_the_identity():
    made = Translator(K, D, Config(network=NetworkConfig(width=16, depth=3)))
    h, shared = torch.randn(4, 16), torch.zeros(4, 48)
    for block in made.denoiser.blocks:
        assert torch.equal(block(h, shared), h)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_agrees_with_the_cpu(translator, c):
    cpu = translator.parts(c)
    gpu = translator.to("cuda").parts(c)
    np.testing.assert_allclose(gpu.projection, cpu.projection, atol=1e-5)
    assert (np.sum(gpu.residual * cpu.residual, axis=1) > 0.98).all()
