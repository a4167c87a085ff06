"""Schedule and sampler against the closed forms of a Gaussian and of a perfect denoiser."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modtrans_core.poster.diffusion import at, ddim, eps_and_x0, grid, guided, linear_schedule, roots

STEPS = [1, 2, 7, 10, 50, 250, 1000]
ROOTS = roots(linear_schedule()).double()
"""of the schedule as the code holds it, in float32, so that what follows is exact in float64"""
ROOTS[1] = (1 - ROOTS[0].square()).sqrt()


def levels(t):
    """signal and noise at one time."""
    return at(ROOTS, torch.tensor([t]))


def velocity(x0, eps, signal, noise):
    return signal * eps - noise * x0


def sample(network, xT, steps, prediction="v"):
    return ddim(network, xT, ROOTS, grid(1000, steps), prediction)


@pytest.mark.parametrize("T", [1, 10, 1000])
def test_alpha_bar_falls_strictly_inside_zero_one(T):
    alpha_bar = linear_schedule(T)
    assert alpha_bar.dtype == torch.float64 and len(alpha_bar) == T
    assert (alpha_bar > 0).all() and (alpha_bar < 1).all() and (alpha_bar.diff() < 0).all()


def test_alpha_bar_of_the_published_schedule():
    expected = 1.0
    for beta in torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64).tolist():
        expected *= 1 - beta
    assert linear_schedule(1000)[-1].item() == pytest.approx(expected, rel=1e-12)


def test_roots_are_taken_in_float64_and_end_with_the_clean_vector():
    alpha_bar = linear_schedule()
    found = roots(alpha_bar)
    assert found.shape == (2, 1001) and found.dtype == torch.float32
    torch.testing.assert_close(found[0, :-1], alpha_bar.sqrt().float(), rtol=0, atol=0)
    torch.testing.assert_close(found[1, :-1], (1 - alpha_bar).sqrt().float(), rtol=0, atol=0)
    assert found[:, -1].tolist() == [1, 0]
    signal, noise = at(found, torch.tensor([0, -1, 999]))
    assert signal.shape == noise.shape == (3, 1) and noise[1] == 0 and signal[1] == 1


@given(T=st.integers(1, 1000), data=st.data())
def test_the_grid_has_both_ends_and_falls(T, data):
    steps = data.draw(st.integers(1, T))
    times = grid(T, steps).tolist()
    assert len(times) == steps + 1 and times[0] == T - 1 and times[-1] == -1
    assert all(a > b for a, b in itertools.pairwise(times))


@pytest.mark.parametrize("steps", [0, 1001])
def test_an_impossible_number_of_steps_is_refused(steps):
    with pytest.raises(ValueError, match=f"steps: {steps}, 1 to 1000"):
        grid(1000, steps)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@given(t=st.integers(0, 999), seed=st.integers(0, 1000))
def test_every_prediction_stands_for_the_pair_that_it_was_made_of(prediction, t, seed):
    g = torch.Generator().manual_seed(seed)
    x0, eps = torch.randn(2, 3, 4, generator=g, dtype=torch.float64)
    signal, noise = levels(t)
    output = {"eps": eps, "x0": x0, "v": velocity(x0, eps, signal, noise)}[prediction]
    found = eps_and_x0(output, signal * x0 + noise * eps, signal, noise, prediction)
    torch.testing.assert_close(found, (eps, x0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_an_error_in_the_noise_is_amplified_at_the_noisiest_level(prediction):
    """The reason for v: an error in eps reaches x_0 sqrt(1 - alpha_bar) / sqrt(alpha_bar) times as large."""
    alpha_bar = torch.tensor(0.992, dtype=torch.float64) ** 1000  # beta = .008, a thousand times
    signal, noise = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    xt, output, error = torch.randn(3, 1, 8, dtype=torch.float64)
    x0 = [eps_and_x0(value, xt, signal, noise, prediction)[1] for value in (output, output + error)]
    amplified = {"eps": 55.5, "x0": 1.0, "v": 1.0}[prediction]
    assert ((x0[1] - x0[0]).norm() / error.norm()).item() == pytest.approx(amplified, abs=0.1)
    signal, noise = levels(0)
    eps = [eps_and_x0(value, xt, signal, noise, prediction)[0] for value in (output, output + error)]
    amplified = {"eps": 1.0, "x0": (signal / noise).item(), "v": signal.item()}[prediction]
    assert ((eps[1] - eps[0]).norm() / error.norm()).item() == pytest.approx(amplified, rel=1e-6)


@pytest.mark.parametrize("steps", [1, 5, 50])
def test_a_perfect_denoiser_samples_alike_whatever_it_outputs(steps):
    start = torch.randn(4, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def sampled(prediction):
        def predict(xt, t):
            signal, noise = at(ROOTS, t)
            eps, x0 = eps_and_x0(gaussian_denoiser(xt, t), xt, signal, noise)
            return {"eps": eps, "x0": x0, "v": velocity(x0, eps, signal, noise)}[prediction]

        return sample(predict, start, steps, prediction)

    for prediction in ("eps", "x0"):
        torch.testing.assert_close(sampled(prediction), sampled("v"), rtol=1e-8, atol=1e-8)


def test_a_step_to_time_minus_one_returns_x0():
    output, xt = torch.randn(2, 3, 4, dtype=torch.float64)
    for t in (0, 500, 999):
        found = ddim(lambda *_: output, xt, ROOTS, torch.tensor([t, -1]))
        assert torch.equal(found, eps_and_x0(output, xt, *levels(t))[1])


def test_each_step_is_equation_12():
    """By hand: x_{t-1} = sqrt(alpha_bar_{t-1}) x_0 + sqrt(1 - alpha_bar_{t-1}) eps, for a network that looks at t."""
    x = torch.randn(3, 4, dtype=torch.float64)
    seen = []

    def network(xt, t):
        seen.append(t.tolist())
        return 0.1 * xt + t.double() / 1000

    found = ddim(network, x, ROOTS, torch.tensor([999, 400, 7, -1]), "eps")
    for t, after in ((999, 400), (400, 7), (7, -1)):
        (a, b), (a_after, b_after) = levels(t), levels(after)
        eps = 0.1 * x + t / 1000
        x = a_after * (x - b * eps) / a + b_after * eps
    torch.testing.assert_close(found, x, rtol=1e-12, atol=1e-12)
    assert seen == [[999], [400], [7]]


MU, SIGMA = 2.0, 0.5


def gaussian_denoiser(xt, t):
    """The velocity of E[x0 | x_t] for data N(MU, SIGMA^2)."""
    a, b = at(ROOTS, t)
    x0 = MU + a * SIGMA**2 / (a**2 * SIGMA**2 + b**2) * (xt - a * MU)
    return velocity(x0, (xt - a * x0) / b, a, b)


def test_gaussian_oracle():
    """The sampler is affine here: the mean is exact for every number of steps, and the spread rises to SIGMA.

    Two starting points, the mean of x_T and one standard deviation above it, say everything.
    """
    a = levels(999)[0].item()
    spread = math.sqrt(a**2 * SIGMA**2 + 1 - a**2)
    start = torch.tensor([[a * MU], [a * MU + spread]], dtype=torch.float64)
    spreads = []
    for steps in STEPS:
        mean, above = sample(gaussian_denoiser, start, steps)[:, 0].tolist()
        assert mean == pytest.approx(MU, abs=1e-9)
        spreads.append(above - mean)
    assert all(low < high for low, high in itertools.pairwise(spreads))
    assert spreads[0] < 0.1 and SIGMA * 0.97 < spreads[-1] < SIGMA


def test_gaussian_oracle_fails_on_a_grid_that_stops_short():
    """The trap this guards against: a grid that starts below T - 1 hands pure noise to the wrong time."""
    start = torch.full((1, 1), levels(999)[0].item() * MU, dtype=torch.float64)
    for steps in (1, 2):
        leading = torch.tensor([i * (1000 // steps) for i in reversed(range(steps))] + [-1])
        off = ddim(gaussian_denoiser, start, ROOTS, leading).item()
        assert abs(off - MU) > 0.02


@pytest.mark.parametrize("steps", STEPS)
def test_perfect_x0_oracle(steps):
    """A denoiser that knows the clean vector leads there from any noise, in any number of steps."""
    g = torch.Generator().manual_seed(0)
    x0, start = torch.randn(2, 5, 3, generator=g, dtype=torch.float64)

    def predict(xt, t):
        signal, noise = at(ROOTS, t)
        return velocity(x0, (xt - signal * x0) / noise, signal, noise)

    torch.testing.assert_close(sample(predict, start, steps), x0, rtol=1e-9, atol=1e-9)


def test_guidance_is_the_convention_of_the_paper():
    conditional, unconditional = (lambda xt, t: xt + 1), (lambda xt, t: xt)
    x = torch.zeros(2, 3)
    t = torch.zeros(2, dtype=torch.long)
    for scale in (0.0, 0.5, 1.0, 2.0, 6.0):
        assert torch.equal(guided(conditional, unconditional, scale)(x, t), torch.full((2, 3), scale))
    w = 5.0  # Ho and Salimans: (1 + w) conditional - w unconditional
    assert torch.equal(guided(conditional, unconditional, 1 + w)(x, t), (1 + w) * conditional(x, t) - w * x)


@pytest.mark.parametrize("scale", [0, 1])
def test_guidance_evaluates_no_network_in_vain(scale):
    networks = [lambda *_: pytest.fail("evaluated in vain")] * 2
    networks[1 - scale] = lambda xt, t: xt
    guided(*networks, scale)(torch.zeros(1), torch.zeros(1))
