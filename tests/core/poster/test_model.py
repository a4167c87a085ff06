"""The poster's translator: its formula, its objective as printed, and what it refuses."""

import copy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from modtrans_core import PosterConfig, PosterTranslator, TrainConfig
from modtrans_core.noise import keys, normal
from modtrans_core.poster import diffusion
from modtrans_core.poster.model import objective, restore
from modtrans_core.protocol import Draws, Expects, Facts, HasParts

K, D = 6, 16
FACTS = Facts("image", "text", K, D)
CONFIG = PosterConfig(width=16, depth=2, steps=3)


def made(config=CONFIG, seed=0):
    """With every parameter away from the zero that it may start at."""
    translator = PosterTranslator(FACTS, config).eval()
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in translator.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=g))
        translator.mean.fill_(0.1)
    return translator


@pytest.fixture
def translator():
    return made()


@pytest.fixture
def c():
    return np.random.default_rng(0).normal(size=(11, K)).astype(np.float32)


def unit_batch(n=9, seed=1):
    g = torch.Generator().manual_seed(seed)
    return [normalize(torch.randn(n, width, generator=g), dim=1) for width in (K, D)]


def test_a_translation_is_the_sum_of_its_parts(translator, c):
    parts = translator.parts(c)
    unit = c / np.linalg.norm(c, axis=1, keepdims=True)
    np.testing.assert_allclose(parts.projection, unit @ translator.M.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(parts.direction, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(translator.translate(c), parts.projection + parts.gamma * parts.direction, atol=1e-7)


def test_a_direction_is_the_normalised_sample_of_the_guided_network(translator, c):
    """Composed by hand: the row's own noise, guidance in every step, DDIM, unit length."""
    rows = normalize(torch.from_numpy(c), dim=1)
    noise = normal(keys(rows), (1, D), seed=5)[:, 0]
    network = translator.denoiser

    def guided(xt, t):
        conditional, null = network(xt, t, network.embed(rows)), network(xt, t, network.embed(None))
        return null + 1.7 * (conditional - null)

    with torch.no_grad():
        x0 = diffusion.ddim(guided, noise, translator.roots, diffusion.grid(1000, 4))
    found = translator.parts(c, steps=4, guidance=1.7, seed=5).direction
    np.testing.assert_allclose(found, normalize(x0, dim=1), atol=1e-5)


def test_noise_may_be_handed_in(translator, c):
    rows = normalize(torch.from_numpy(c), dim=1)
    own = normal(keys(rows), (D,))
    np.testing.assert_allclose(translator.parts(c, noise=own).direction, translator.parts(c).direction, atol=1e-6)
    other = torch.randn(11, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert np.abs(translator.parts(c, noise=other).direction - translator.parts(c).direction).max() > 1e-3
    with pytest.raises(ValueError, match=r"noise: \(11, 6\), shape \(11, 16\) is needed"):
        translator.parts(c, noise=other[:, :6])
    np.testing.assert_array_equal(*(translator.translate(c, noise=one) for one in (other, other.numpy())))
    with pytest.raises(ValueError, match="noise: 'NaN or infinity', finite numbers is needed"):
        translator.parts(c, noise=torch.full_like(other, torch.nan))


@pytest.mark.parametrize("verb", ["translate", "parts", "draw"])
def test_weights_of_another_type_are_refused(translator, c, verb):
    samples = [3] if verb == "draw" else []
    for way in ("double", "half", "bfloat16"):
        with pytest.raises(ValueError, match="^weights: 'torch.*', torch.float32, as translator.float"):
            getattr(getattr(copy.deepcopy(translator), way)(), verb)(c, *samples)


def test_every_row_is_normalised_by_itself(translator, c):
    """A row's translation does not depend on the rows beside it."""
    whole = translator.translate(c)
    np.testing.assert_allclose(translator.translate(c[:1]), whole[:1], atol=1e-6)
    other = c.copy()
    other[1:] = other[1:][::-1]
    np.testing.assert_allclose(translator.translate(other)[0], whole[0], atol=1e-6)


def test_gamma_zero_is_the_linear_map(c):
    translator = made(replace(CONFIG, gamma=0.0))
    np.testing.assert_allclose(translator.translate(c), translator.parts(c).projection, atol=1e-7)
    translator.direction = lambda *_: pytest.fail("sampled what gamma 0 drops")
    assert translator.translate(c).shape == translator.translate(torch.from_numpy(c)).shape


def test_gamma_is_the_length_of_the_residual(c):
    short, long = (made(replace(CONFIG, gamma=gamma)) for gamma in (0.25, 2.0))
    np.testing.assert_allclose(short.parts(c).direction, long.parts(c).direction, atol=1e-7)
    residual = long.translate(c) - long.parts(c).projection
    np.testing.assert_allclose(np.linalg.norm(residual, axis=1), 2, atol=1e-5)


def test_the_length_of_a_condition_does_not_matter(translator, c):
    np.testing.assert_allclose(translator.translate(7 * c), translator.translate(c), atol=1e-5)


def test_torch_in_torch_out_and_the_input_is_left_alone(translator, c):
    given = torch.from_numpy(c.copy())
    result = translator.translate(given)
    assert isinstance(result, torch.Tensor) and torch.equal(given, torch.from_numpy(c))
    np.testing.assert_array_equal(result.numpy(), translator.translate(c))
    assert all(isinstance(part, torch.Tensor) for part in translator.parts(given)[:2])


def test_draws_are_distinct_and_lie_gamma_from_one_projection(translator, c):
    draws = translator.draw(c, 4)
    assert draws.shape == (11, 4, D) and translator.draw(c, 1).shape == (11, 1, D)
    residual = draws - translator.parts(c).projection[:, None]
    np.testing.assert_allclose(np.linalg.norm(residual, axis=2), 1, atol=1e-5)
    assert np.ptp(draws, axis=1).max() > 1e-3
    np.testing.assert_allclose(translator.draw(c, 1)[:, 0], translator.translate(c), atol=1e-6)


def test_noise_comes_from_the_seed(translator, c):
    np.testing.assert_array_equal(translator.translate(c, seed=3), translator.translate(c, seed=3))
    np.testing.assert_array_equal(translator.translate(c, seed=0), translator.translate(c))
    assert np.abs(translator.translate(c, seed=3) - translator.translate(c, seed=4)).max() > 1e-3
    assert np.abs(translator.draw(c, 2, seed=3) - translator.draw(c, 2, seed=4)).max() > 1e-3


def test_settings_reach_the_sampler(translator, c):
    assert np.abs(translator.translate(c, steps=1) - translator.translate(c, steps=9)).max() > 1e-4
    assert np.abs(translator.translate(c, guidance=1) - translator.translate(c, guidance=3)).max() > 1e-4
    np.testing.assert_array_equal(translator.translate(c), translator.translate(c, steps=3, guidance=2.0))
    noise = torch.randn(11, D, generator=torch.Generator().manual_seed(0))
    with_other = np.roll(c, 1, axis=0)
    unconditional = [translator.parts(x, guidance=0, noise=noise).direction for x in (c, with_other)]
    np.testing.assert_allclose(*unconditional, atol=1e-6)


def test_the_order_of_the_numbers_of_steps_does_not_matter(translator, c):
    """The sampler's times are made once for each number of steps."""
    expected = {steps: made().translate(c, steps=steps) for steps in (1, 2, 9)}
    for steps in (9, 1, 2, 9, 2):
        np.testing.assert_array_equal(translator.translate(c, steps=steps), expected[steps])


def test_translating_leaves_training_mode_and_torchs_generator_alone(translator, c):
    translator.train()
    state = torch.random.get_rng_state()
    expected = translator.translate(c)
    assert translator.training and torch.equal(state, torch.random.get_rng_state())
    np.testing.assert_array_equal(translator.eval().translate(c), expected)  # dropout is off while it translates


def test_weights_are_those_of_the_seed():
    first, again, other = (
        PosterTranslator(FACTS, replace(CONFIG, train=TrainConfig(seed=seed))).denoiser.embed_x.weight
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_what_it_can():
    translator = made()
    assert isinstance(translator, HasParts) and isinstance(translator, Draws) and not isinstance(translator, Expects)
    assert (translator.method, translator.row_by_row) == ("poster", True)
    assert repr(translator) == "PosterTranslator(image 6 -> text 16, gamma 1, 3 steps)"
    assert repr(PosterTranslator(FACTS, PosterConfig(gamma=0.25))).endswith("gamma 0.25, 1 step)")


@pytest.mark.parametrize("verb", ["translate", "parts", "draw"])
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"steps": 0}, "steps: 0, 1 to 1000"),
        ({"steps": 1001}, "1 to 1000"),
        ({"steps": 3.0}, "steps: 3.0, 1 to 1000"),
        ({"steps": "3"}, "steps: '3', 1 to 1000"),
        ({"steps": True}, "steps: True, 1 to 1000"),
        ({"guidance": -1}, "guidance: -1"),
        ({"guidance": "1"}, "guidance: '1', a number >= 0"),
    ],
)
def test_bad_settings_are_refused(translator, c, verb, setting, words):
    samples = [3] if verb == "draw" else []
    translator.times(1), translator.times(3)
    with pytest.raises(ValueError, match=words) as caught:
        getattr(translator, verb)(c, *samples, **setting)
    assert "\n" not in str(caught.value)


def test_no_samples_are_refused(translator, c):
    with pytest.raises(ValueError, match="samples: 0, a whole number from 1 on"):
        translator.draw(c, 0)


def test_a_diverged_network_is_an_error_not_a_nan(translator, c):
    with torch.no_grad():
        translator.denoiser.out[1].bias.fill_(float("inf"))
    for work in (translator.translate, lambda rows: translator.draw(rows, 2)):
        with pytest.raises(ValueError, match="diverged"):
            work(c)


def test_tensors_restore_it(translator, c):
    tensors = translator.tensors()
    assert "roots" not in tensors  # what the settings say is not saved
    found = restore(FACTS, CONFIG, tensors, torch.device("cpu"))
    np.testing.assert_array_equal(found.translate(c), translator.translate(c))
    assert not found.training
    missing = {name: value for name, value in tensors.items() if name != "M"}
    for spoilt, words in ((missing, "M: None"), ({**tensors, "M": torch.zeros(2, 2)}, r"M: .*\(2, 2\)")):
        with pytest.raises(ValueError, match=words) as caught:
            restore(FACTS, CONFIG, spoilt, torch.device("cpu"))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_the_objective_is_what_is_printed(prediction, steps):
    """Its two terms computed by hand, with the random draws replayed."""
    config = replace(CONFIG, dropout=0.0, condition_dropout=0.3, prediction=prediction, gamma=0.7)
    config = replace(config, reconstruction_steps=steps)
    translator = made(config).train()
    c, z = unit_batch()
    torch.manual_seed(5)
    found = objective(translator, c, z)
    torch.manual_seed(5)
    x0 = D**0.5 * z
    eps, start = torch.randn_like(x0), torch.randn_like(x0)
    t = torch.randint(1000, (9,))
    dropped = torch.rand(9) < 0.3
    assert 0 < dropped.sum() < 9
    alpha_bar = diffusion.linear_schedule()[t][:, None]
    a, b = alpha_bar.sqrt().float(), (1 - alpha_bar).sqrt().float()
    xt = a * x0 + b * eps
    condition = torch.where(dropped[:, None], translator.denoiser.null, c)
    output = translator.denoiser(xt, t, translator.denoiser.embed(condition))
    eps_theta = {"eps": output, "x0": (xt - a * output) / b, "v": b * xt + a * output}[prediction]
    noise = (eps - eps_theta).pow(2).sum() / 9
    f = translator.normalised(translator.sampled(c, start, steps, 1.0))
    reconstruction = torch.linalg.vector_norm(z - (c @ translator.M + 0.7 * f), ord=1, dim=1).mean()
    torch.testing.assert_close(found["noise"], noise)
    torch.testing.assert_close(found["reconstruction"], reconstruction)
    torch.testing.assert_close(found["total"], reconstruction + 2 * noise)


@pytest.mark.parametrize(("term", "moved"), [("lambda_1", True), ("lambda_2", False)])
def test_only_the_reconstruction_term_moves_M(term, moved):
    translator = PosterTranslator(FACTS, replace(CONFIG, **{"lambda_1": 0.0, "lambda_2": 0.0, term: 1.0}))
    objective(translator, *unit_batch())["total"].backward()
    assert (translator.M.grad is not None and translator.M.grad.abs().sum() > 0) == moved


@pytest.mark.parametrize("steps", [1, 3])
def test_the_reconstruction_term_reaches_the_network_through_the_sampler(steps):
    translator = PosterTranslator(FACTS, replace(CONFIG, lambda_2=0.0, reconstruction_steps=steps))
    objective(translator, *unit_batch())["total"].backward()
    assert translator.denoiser.out[1].weight.grad.abs().sum() > 0


def test_a_term_without_weight_costs_nothing():
    translator = made(replace(CONFIG, lambda_1=0.0))
    evaluated = []
    translator.denoiser.register_forward_hook(lambda _, given, __: evaluated.append(len(given[0])))
    found = objective(translator, *unit_batch(9))
    assert found["reconstruction"] == 0 and found["total"] == 2 * found["noise"] and evaluated == [9]
    linear = made(replace(CONFIG, lambda_2=0.0, gamma=0.0))
    linear.denoiser.register_forward_hook(lambda *_: pytest.fail("evaluated in vain"))
    assert objective(linear, *unit_batch())["noise"] == 0


@pytest.mark.gpu
def test_a_gpu_agrees_with_the_cpu(translator, c):
    cpu = translator.parts(c)
    gpu = translator.to("cuda").parts(c)
    np.testing.assert_allclose(gpu.projection, cpu.projection, atol=1e-5)
    assert (np.sum(gpu.direction * cpu.direction, axis=1) > 0.98).all()


@pytest.mark.parametrize("guidance", [0.0, 1.0, 3.0])
def test_draws_of_a_known_law_are_what_its_sampler_says(guidance):
    """x0 given c is N(a(c), s2 I): the network is known, and DDIM, in numpy and float64, is an affine map."""
    translator, steps, s2, d = made(), 7, 0.5, 16
    alpha_bar = translator.alpha_bar()

    class Known(torch.nn.Module):
        def embed(self, c):
            return torch.full((d,), 0.3) if c is None else torch.cat([c, c, c], 1)[:, :d]

        def forward(self, x, t, mean):
            signal, noise = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
            x0 = mean + s2 * signal / (signal**2 * s2 + noise**2) * (x - signal * mean)
            return ((signal * x - x0) / noise).float()  # the velocity

    translator.denoiser = Known()
    c = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    unit_c = c / c.norm(dim=1, keepdim=True)
    x = normal(keys(unit_c), (4, d)).numpy().astype(np.float64)
    mean = 0.3 + guidance * (torch.cat([unit_c] * 3, 1)[:, None, :d].numpy().astype(np.float64) - 0.3)
    levels = np.append(alpha_bar.numpy(), 1.0)
    times = np.round(np.linspace(len(levels) - 2, -1, steps + 1)).astype(int)
    for t, after in pairwise(levels[times]):
        x0 = mean + s2 * np.sqrt(t) / (t * s2 + 1 - t) * (x - np.sqrt(t) * mean)
        x = np.sqrt(after) * x0 + np.sqrt(1 - after) * (x - np.sqrt(t) * x0) / np.sqrt(1 - t)
    expected = (unit_c @ translator.M.detach())[:, None].numpy() + x / np.linalg.norm(x, axis=-1, keepdims=True)
    found = translator.draw(c, 4, steps=steps, guidance=guidance).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
