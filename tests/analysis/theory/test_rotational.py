"""The bound of a direction that is symmetric about an axis: simulation, the uniform law as a special case, edges."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.theory.arrays import unit_rows
from analysis.theory.bound import general_probability
from analysis.theory.rotational import rotational_probability
from analysis.theory.sphere import AlignmentLaw

FALSE_ALARM = 1e-6
seeds = st.integers(0, 2**32 - 1)


def geometry(seed, d):
    """z, p and mu that share something, and gamma."""
    rng = np.random.default_rng(seed)
    z = unit_rows(rng.standard_normal(d))
    mu = unit_rows(rng.standard_normal(d) / np.sqrt(d) + rng.uniform(-1, 1) * z)
    p = rng.uniform(0, 0.8) * unit_rows(rng.standard_normal(d)) + rng.uniform(-0.5, 0.8) * z
    return z, p, mu, rng.uniform(0.2, 2.0)


def level(z, p, f, gamma, share):
    """A cosine that a given share of translations falls short of."""
    zhat = p + gamma * f
    return float(np.quantile(zhat @ z / np.linalg.norm(zhat, axis=-1), share))


class TestSimulation:
    @pytest.mark.parametrize("d", [3, 4, 9, 200])
    @pytest.mark.parametrize("w", [-0.7, 0.0, 0.6, 0.98])
    def test_given_w(self, d, w):
        for seed in range(3):
            z, p, mu, gamma = geometry([seed, d], d)
            rng = np.random.default_rng([seed, d, 1])
            g = rng.standard_normal((20_000, d))
            g = unit_rows(g - np.outer(g @ mu, mu))
            f = w * mu + np.sqrt(1 - w * w) * g
            alpha = level(z, p, f[:1000], gamma, 0.3 + 0.2 * seed)
            zhat = p + gamma * f[1000:]
            hits = int((zhat @ z >= alpha * np.linalg.norm(zhat, axis=1)).sum())
            found = rotational_probability(alpha, p[None], z[None], mu, [w], gamma)
            assert stats.binomtest(hits, len(zhat), min(found.probability[0], 1.0)).pvalue > FALSE_ALARM
            assert found.error[0] < 1e-9

    def test_the_law_of_von_mises_and_fisher(self):
        """scipy draws it; here its w has the density exp(kappa w) (1 - w^2)^((d - 3)/2), integrated by scipy."""
        d, kappa = 6, 4.0
        z, p, mu, gamma = geometry(5, d)
        f = stats.vonmises_fisher(mu, kappa, seed=np.random.default_rng(6)).rvs(60_000)
        alpha = level(z, p, f[:1000], gamma, 0.4)
        nodes, weights = np.polynomial.legendre.leggauss(200)
        density = weights * np.exp(kappa * nodes) * (1 - nodes**2) ** ((d - 3) / 2)
        given_w = rotational_probability(alpha, p[None], z[None], mu, nodes[None], gamma).probability[0]
        law = density @ given_w / density.sum()
        zhat = p + gamma * f[1000:]
        hits = int((zhat @ z >= alpha * np.linalg.norm(zhat, axis=1)).sum())
        assert stats.binomtest(hits, len(zhat), law).pvalue > FALSE_ALARM
        a = p @ z
        uniform = general_probability(alpha, a, np.linalg.norm(p - a * z), gamma, d).probability
        assert stats.binomtest(hits, len(zhat), float(uniform)).pvalue < 1e-9  # which the uniform law is not


@settings(max_examples=15)
@given(seeds, st.integers(6, 60), st.floats(0.1, 0.9))
def test_with_the_w_of_the_uniform_law_it_is_the_general_probability_about_any_axis(seed, d, share):
    z, p, mu, gamma = geometry(seed, d)
    f = unit_rows(np.random.default_rng(seed).standard_normal((200, d)))
    alpha = level(z, p, f, gamma, share)
    nodes, weights = np.polynomial.legendre.leggauss(300)
    w = np.sin(np.pi / 2 * nodes)
    density = AlignmentLaw(d).pdf(w) * np.cos(np.pi / 2 * nodes) * np.pi / 2 * weights
    mixed = rotational_probability(alpha, p[None], z[None], mu, w[None], gamma).probability[0] @ density
    a = p @ z
    assert mixed == pytest.approx(general_probability(alpha, a, np.linalg.norm(p - a * z), gamma, d)[0], abs=2e-4)


@settings(max_examples=25)
@given(seeds, st.integers(4, 40), st.floats(-0.99, 0.99), st.floats(0.01, 100.0))
def test_lengths_of_the_target_and_the_axis_and_rotations_do_not_matter(seed, d, w, scale):
    z, p, mu, gamma = geometry(seed, d)
    alpha = level(z, p, unit_rows(np.random.default_rng(seed).standard_normal((50, d))), gamma, 0.5)
    plain = rotational_probability(alpha, p[None], z[None], mu, [w], gamma)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    p, z, mu = scale * p[None] @ turn, 3 * z[None] @ turn, 0.2 * mu @ turn
    turned = rotational_probability(alpha, p, z, mu, [w], scale * gamma)
    assert turned.probability[0] == pytest.approx(plain.probability[0], abs=1e-9)


def test_scipys_quadrature_in_the_plane_agrees():
    """d = 3: g is an angle, and the probability the share of the circle on which the cosine reaches alpha."""
    for seed in range(10):
        z, p, mu, gamma = geometry(seed, 3)
        basis = np.linalg.svd(mu[None])[2][1:]
        angle = np.linspace(0, 2 * np.pi, 400_001)[:-1]
        f = 0.5 * mu + np.sqrt(0.75) * (np.cos(angle)[:, None] * basis[0] + np.sin(angle)[:, None] * basis[1])
        alpha = level(z, p, f, gamma, 0.37)
        found = rotational_probability(alpha, p[None], z[None], mu, [0.5], gamma).probability[0]
        assert found == pytest.approx(0.63, abs=1e-5)


def on_the_circle(alpha, p, z, gamma, w):
    """d = 3, the axis the last: the share of the circle between the roots of the squared condition, with 60 digits."""
    with mpmath.workdps(60):
        alpha, gamma, w, *rest = map(mpmath.mpf, [alpha, gamma, w, *map(float, p), *map(float, z)])
        (x, y, last), (u, v, n) = rest[:3], rest[3:]
        scale, h, last = mpmath.sqrt(u * u + v * v + n * n), gamma * mpmath.sqrt(1 - w * w), last + gamma * w
        u, v, n = u / scale, v / scale, n / scale
        fixed, square = x * u + y * v + last * n, x * x + y * y + last * last + h * h
        wave, twist = h * (u - 1j * v) / 2, h * (x - 1j * y)
        first = 2 * fixed * wave - alpha**2 * twist
        none = fixed**2 + 2 * abs(wave) ** 2 - alpha**2 * square
        roots = mpmath.polyroots(
            [wave**2, first, none, mpmath.conj(first), mpmath.conj(wave**2)], maxsteps=2000, extraprec=400
        )
        cuts = sorted(mpmath.arg(root) for root in roots if abs(abs(root) - 1) < mpmath.mpf(10) ** -25)
        cuts = [*cuts, cuts[0] + 2 * mpmath.pi] if cuts else [0, 2 * mpmath.pi]
        share = mpmath.mpf(0)
        for begin, end in pairwise(cuts):
            cosine, sine = mpmath.cos((begin + end) / 2), mpmath.sin((begin + end) / 2)
            length = mpmath.sqrt(square + 2 * h * (x * cosine + y * sine))
            share += (end - begin) * (fixed + h * (u * cosine + v * sine) >= alpha * length)
        return float(share / (2 * mpmath.pi))


@pytest.mark.parametrize("away", [1e-15, 1e-12, 5e-10, 5e-7, 4e-4, 0.3])
def test_the_error_is_honest_where_a_translation_is_nearly_zero(away):
    """gamma is near the length of p, and p perpendicular to the axis, so that some direction undoes it."""
    rng = np.random.default_rng(3)
    z, turn, alpha = unit_rows(rng.standard_normal((8, 3))), rng.uniform(0, 2 * np.pi, 8), rng.uniform(-1, 1, 8)
    p = np.column_stack([np.cos(turn), np.sin(turn), rng.choice([0.0, away], 8)])
    for reached, *one in zip(alpha, p, z, strict=True):
        found = rotational_probability(reached, *np.array(one)[:, None], [0.0, 0.0, 1.0], [0.0], 1.0 + away)
        assert abs(found.probability[0] - on_the_circle(reached, *one, 1.0 + away, 0.0)) <= found.error[0] < 1e-8


@pytest.mark.parametrize("away", [0.0, 1e-15, -1e-12])
def test_the_error_is_honest_where_the_cosine_is_just_reached(away):
    rng = np.random.default_rng(4)
    for _ in range(5):
        p, z, gamma = rng.standard_normal(3), unit_rows(rng.standard_normal(3)), rng.uniform(0.1, 2.0)
        angle = np.linspace(0, 2 * np.pi, 200_001)
        f = np.column_stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)])
        alpha = min(level(z, p, f, gamma, 1.0) + away, 1.0)
        found = rotational_probability(alpha, p[None], z[None], [0.0, 0.0, 1.0], [0.0], gamma)
        assert abs(found.probability[0] - on_the_circle(alpha, p, z, gamma, 0.0)) <= found.error[0]


class TestEdges:
    z, p, mu = np.eye(5)[:1], np.array([[0.3, 0.4, 0.0, 0.0, 0.0]]), np.array([0.6, 0.0, 0.8, 0.0, 0.0])

    @pytest.mark.parametrize("w", [-1.0, 1.0])
    def test_a_direction_that_is_the_axis_reaches_alpha_or_does_not(self, w):
        zhat = self.p[0] + 0.5 * w * self.mu
        cosine = zhat[0] / np.linalg.norm(zhat)
        for alpha, expected in ((cosine - 1e-9, 1.0), (cosine + 1e-9, 0.0)):
            assert rotational_probability(alpha, self.p, self.z, self.mu, [w], 0.5).probability[0] == expected

    @pytest.mark.parametrize("scale", [1e-200, 1e200])
    def test_only_ratios_of_lengths_matter(self, scale):
        found, scaled = (
            rotational_probability(0.5, x * self.p, y * self.z, y * self.mu, [0.4], x * 0.9).probability[0]
            for x, y in ((1.0, 1.0), (scale, 1.0 / scale))
        )
        assert scaled == pytest.approx(found, rel=1e-9)

    def test_without_weight_it_is_the_cosine_of_p(self):
        found = rotational_probability(0.6, self.p, self.z, self.mu, [[0.2, 0.9]], 0.0).probability
        np.testing.assert_array_equal(found, [[1.0, 1.0]])
        assert rotational_probability(0.61, self.p, self.z, self.mu, [0.2], 0.0).probability[0] == 0.0

    @pytest.mark.parametrize("along", ["target", "projection", "both"])
    def test_an_axis_along_the_target_or_the_projection(self, along):
        """Against the same with an axis that is a hair beside it."""
        mu = self.p[0] if along == "projection" else self.z[0]
        p = 0.5 * self.z if along == "both" else self.p
        beside = mu + 1e-7 * np.ones(5)
        for alpha in (0.2, 0.55, 0.8):
            exact, near = (
                rotational_probability(alpha, p, self.z, axis, [0.4], 0.9).probability for axis in (mu, beside)
            )
            assert exact[0] == pytest.approx(near[0], abs=1e-5)

    def test_it_grows_with_an_axis_that_points_at_the_target(self):
        w = np.linspace(-0.9, 0.9, 19)[None]
        found = rotational_probability(0.6, 0.3 * self.z, self.z, self.z[0] + 0.1, w, 1.0).probability[0]
        assert (np.diff(found) >= -1e-12).all() and found[0] < 0.01 < 0.99 < found[-1]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"alpha": 2.0}, "alpha: 2"),
            ({"w": [1.5]}, "w: 1.5"),
            ({"w": [0.5, 0.5]}, "rows: projection 1, w 2"),
            ({"w": 0.1}, r"w: shape \(\), \(n,\) or \(n, m\) is needed"),
            ({"gamma": -1.0}, "gamma: -1"),
            ({"gamma": [1.0, 1.0]}, r"gamma: shape \(2,\), one number or 1 are needed"),
            ({"axis": np.zeros(5)}, "axis: it is zero"),
            ({"target": np.zeros((1, 5))}, "target: row 0 is zero"),
            ({"axis": np.ones(4)}, "axis, projection, target: shapes"),
        ],
    )
    def test_what_cannot_be_used_is_refused(self, change, words):
        given_ = {"alpha": 0.5, "projection": self.p, "target": self.z, "axis": self.mu, "w": [0.5], "gamma": 1.0}
        with pytest.raises(ValueError, match=words):
            rotational_probability(**{**given_, **change})


@pytest.mark.parametrize(
    ("d", "alpha", "gamma", "w", "exact"),  # by quadrature with 40 digits
    [
        (4, 0.8759956741061469, 1e-13, 0.25, 0.3073295881912522),
        (4, 0.45967856032720783, 1.0, 0.9999999999999858, 0.3526481227700066),
        (8, 0.8759956741061178, 1e-9, -0.5, 0.4999998536283704),
        (8, 0.8759954804568786, 1e-6, 0.25, 0.7294047085183412),
    ],
)
def test_the_error_is_honest_where_the_random_part_is_short(d, alpha, gamma, w, exact):
    z, p, mu = np.zeros((3, d))
    z[:2], p[:3], mu[3] = (0.6, 0.8), (0.5, 0.3, 0.2), 1.0
    found = rotational_probability(alpha, p[None], z[None], mu, [w], gamma)
    assert abs(found.probability[0] - exact) <= found.error[0] < 0.1
