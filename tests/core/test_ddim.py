"""Schedule and sampler against the closed forms of a Gaussian and of a perfect denoiser."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from modtrans_core.ddim import add_noise, eps_and_x0, guided, sample, step, velocity
from modtrans_core.schedule import NoiseSchedule

STEPS = [1, 2, 7, 10, 50, 250, 1000]
KINDS = ["linear", "cosine", "constant"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("T", [1, 10, 1000])
def test_alpha_bar_falls_strictly_inside_zero_one(kind, T):
    alpha_bar = NoiseSchedule(T, kind).alpha_bar
    assert alpha_bar.dtype == torch.float64 and len(alpha_bar) == T
    assert (alpha_bar > 0).all() and (alpha_bar < 1).all() and (alpha_bar.diff() < 0).all()


def test_alpha_bar_of_the_published_schedules():
    linear = NoiseSchedule(1000, "linear").alpha_bar
    expected = 1.0
    for beta in torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64).tolist():
        expected *= 1 - beta
    assert linear[-1].item() == pytest.approx(expected, rel=1e-12)
    constant = NoiseSchedule(1000, "constant").alpha_bar
    assert constant[-1].item() == pytest.approx(0.992**1000, rel=1e-10)
    # An eps error is amplified 55 times at the last time; 51 times at time 980, where a grid of 50 steps of 20 begins.
    assert 1 / math.sqrt(constant[999]) == pytest.approx(55.5, abs=0.1)
    assert 1 / math.sqrt(constant[980]) == pytest.approx(51.4, abs=0.1)


@given(T=st.integers(1, 1000), data=st.data())
def test_the_grid_has_both_ends_and_falls(T, data):
    steps = data.draw(st.integers(1, T))
    grid = NoiseSchedule(T).grid(steps)
    assert len(grid) == steps + 1 and grid[0] == T - 1 and grid[-1] == -1
    assert all(a > b for a, b in itertools.pairwise(grid))


@pytest.mark.parametrize("steps", [0, 1001])
def test_an_impossible_number_of_steps_is_refused(steps):
    with pytest.raises(ValueError, match=f"steps: {steps}, 1 to 1000"):
        NoiseSchedule(1000).grid(steps)


@given(t=st.integers(0, 999), seed=st.integers(0, 1000))
def test_a_velocity_stands_for_the_pair_that_it_was_made_of(t, seed):
    g = torch.Generator().manual_seed(seed)
    x0, eps = torch.randn(2, 3, 4, generator=g, dtype=torch.float64)
    alpha_bar = NoiseSchedule().at(torch.full((3,), t))
    found = eps_and_x0(velocity(x0, eps, alpha_bar), add_noise(x0, eps, alpha_bar), alpha_bar)
    torch.testing.assert_close(found, (eps, x0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@given(t=st.integers(0, 999), seed=st.integers(0, 1000))
def test_every_prediction_stands_for_the_pair_that_it_was_made_of(prediction, t, seed):
    g = torch.Generator().manual_seed(seed)
    x0, eps = torch.randn(2, 3, 4, generator=g, dtype=torch.float64)
    alpha_bar = NoiseSchedule(1000, "constant").at(torch.full((3,), t))
    output = {"eps": eps, "x0": x0, "v": velocity(x0, eps, alpha_bar)}[prediction]
    found = eps_and_x0(output, add_noise(x0, eps, alpha_bar), alpha_bar, prediction)
    torch.testing.assert_close(found, (eps, x0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("prediction", "amplified"), [("eps", 55.5), ("x0", 1.0), ("v", 1.0)])
def test_an_error_in_the_noise_is_amplified_at_the_noisiest_level(prediction, amplified):
    """The reason for v: sqrt(1 - alpha_bar) / sqrt(alpha_bar) is 55.5 where beta = 0.008 a thousand times."""
    alpha_bar = NoiseSchedule(1000, "constant").at(torch.tensor([999]))
    xt, output, error = torch.randn(3, 1, 8, dtype=torch.float64)
    x0 = [eps_and_x0(value, xt, alpha_bar, prediction)[1] for value in (output, output + error)]
    assert ((x0[1] - x0[0]).norm() / error.norm()).item() == pytest.approx(amplified, abs=0.1)


@pytest.mark.parametrize("steps", [1, 5, 50])
def test_a_perfect_denoiser_samples_alike_whatever_it_outputs(steps):
    schedule = NoiseSchedule()
    start = torch.randn(4, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    oracle = gaussian_denoiser(schedule)

    def sampled(prediction):
        def predict(xt, t):
            eps, x0 = eps_and_x0(oracle(xt, t), xt, schedule.at(t))
            return {"eps": eps, "x0": x0, "v": velocity(x0, eps, schedule.at(t))}[prediction]

        return sample(predict, start, schedule, steps, prediction)

    for prediction in ("eps", "x0"):
        torch.testing.assert_close(sampled(prediction), sampled("v"), rtol=1e-8, atol=1e-8)


def test_a_step_to_time_minus_one_returns_x0():
    x0, eps = torch.randn(2, 3, 4)
    assert torch.equal(step(x0, eps, NoiseSchedule().at(torch.full((3,), -1))), x0)


MU, SIGMA = 2.0, 0.5


def gaussian_denoiser(schedule):
    """The velocity of E[x0 | x_t] for data N(MU, SIGMA^2)."""

    def predict(xt, t):
        a, b = (root[:, None] for root in (schedule.at(t).sqrt(), (1 - schedule.at(t)).sqrt()))
        x0 = MU + a * SIGMA**2 / (a**2 * SIGMA**2 + b**2) * (xt - a * MU)
        return velocity(x0, (xt - a * x0) / b, schedule.at(t))

    return predict


@pytest.mark.parametrize("kind", KINDS)
def test_gaussian_oracle(kind):
    """The sampler is affine here: the mean is exact for every number of steps, and the spread rises to SIGMA.

    Two starting points, the mean of x_T and one standard deviation above it, say everything.
    """
    schedule = NoiseSchedule(1000, kind)
    a = schedule.alpha_bar[-1].sqrt().item()
    spread = math.sqrt(a**2 * SIGMA**2 + 1 - a**2)
    start = torch.tensor([[a * MU], [a * MU + spread]], dtype=torch.float64)
    spreads = []
    for steps in STEPS:
        mean, above = sample(gaussian_denoiser(schedule), start, schedule, steps)[:, 0].tolist()
        assert mean == pytest.approx(MU, abs=1e-9)
        spreads.append(above - mean)
    assert all(low < high for low, high in itertools.pairwise(spreads))
    assert spreads[0] < 0.1 and SIGMA * 0.97 < spreads[-1] < SIGMA


def test_gaussian_oracle_fails_on_a_grid_that_stops_short():
    """The trap this guards against: a grid that starts below T - 1 hands pure noise to the wrong time."""
    schedule = NoiseSchedule(1000)

    class Leading(NoiseSchedule):
        def grid(self, steps):
            return [i * (1000 // steps) for i in reversed(range(steps))] + [-1]

    start = torch.full((1, 1), schedule.alpha_bar[-1].sqrt().item() * MU, dtype=torch.float64)
    for steps in (1, 2):
        off = sample(gaussian_denoiser(schedule), start, Leading(1000), steps).item()
        assert abs(off - MU) > 0.02


@pytest.mark.parametrize("steps", STEPS)
def test_perfect_x0_oracle(steps):
    """A denoiser that knows the clean vector leads there from any noise, in any number of steps."""
    schedule = NoiseSchedule()
    g = torch.Generator().manual_seed(0)
    x0, noise = torch.randn(2, 5, 3, generator=g, dtype=torch.float64)

    def predict(xt, t):
        alpha_bar = schedule.at(t)
        eps = (xt - alpha_bar[:, None].sqrt() * x0) / (1 - alpha_bar[:, None]).sqrt()
        return velocity(x0, eps, alpha_bar)

    torch.testing.assert_close(sample(predict, noise, schedule, steps), x0, rtol=1e-9, atol=1e-9)


def test_guidance_is_the_convention_of_the_paper():
    conditional, unconditional = (lambda xt, t: xt + 1), (lambda xt, t: xt)
    x = torch.zeros(2, 3)
    t = torch.zeros(2, dtype=torch.long)
    for scale in (0.0, 0.5, 1.0, 2.0, 6.0):
        assert torch.equal(guided(conditional, unconditional, scale)(x, t), torch.full((2, 3), scale))
    w = 5.0  # Ho and Salimans: (1 + w) conditional - w unconditional
    assert torch.equal(guided(conditional, unconditional, 1 + w)(x, t), (1 + w) * conditional(x, t) - w * x)
