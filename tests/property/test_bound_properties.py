"""The bound for any geometry, and a search that finds by itself where the printed formula fails."""

import numpy as np
import pytest
from hypothesis import assume, given, settings, target
from hypothesis import strategies as st

from analysis.theory import bound, gamma
from analysis.theory.sphere import AlignmentLaw
from analysis.theory.strategies import geometries, unit_vectors

alphas = st.floats(-1.0, 1.0)
alignments = st.floats(-1.0, 1.0)
quantiles = st.floats(0.0, 1.0)


@given(geometries(), alignments)
def test_cosine_reaches_alpha_exactly_where_u_reaches_beta(g, u):
    cosine = bound.cosine(u, g.s, g.gamma)
    beta = bound.beta(g.alpha, g.s, g.gamma)
    if abs(cosine - g.alpha) > 1e-12:
        assert (cosine > g.alpha) == (u > beta)


@given(geometries(degenerate=False))
def test_beta_and_cosine_are_inverse(g):
    beta = bound.beta(g.alpha, g.s, g.gamma)
    assume(abs(beta) <= 1.0)
    assert np.isclose(bound.cosine(beta, g.s, g.gamma), g.alpha, rtol=1e-12, atol=1e-14)


@given(st.data(), st.integers(3, 24), st.floats(0.01, 0.99), st.floats(0.01, 3.0))
def test_beta_holds_for_explicit_vectors(data, d, s, weight):
    """p, r and f built as vectors with p perpendicular to r and f: the cosine of the sum is the formula's."""
    basis, _ = np.linalg.qr(np.stack([data.draw(unit_vectors(d)) for _ in range(3)] + list(np.eye(d)), axis=1))
    e, r, rest = basis.T[:3]
    u = data.draw(alignments)
    rho = np.sqrt(1.0 - s * s)
    z, f = s * e + rho * r, u * r + np.sqrt(1.0 - u * u) * rest
    translated = s * e + weight * f
    direct = z @ translated / np.linalg.norm(translated)
    assert np.isclose(bound.cosine(u, s, weight), direct, atol=1e-13)
    assert np.isclose(gamma.general_cosine(weight, z @ (s * e), z @ f, (s * e) @ f, s), direct, atol=1e-12)


@given(geometries(), alphas)
def test_probability_falls_with_alpha(g, other):
    low, high = min(g.alpha, other), max(g.alpha, other)
    d = g.n + 1
    assert bound.probability(low, g.s, g.gamma, d) >= bound.probability(high, g.s, g.gamma, d) * (1.0 - 1e-13)


@given(geometries())
def test_printed_errs_upwards_for_negative_beta_and_downwards_for_positive(g):
    d = g.n + 1
    names = ("complement", "sphere", "printed")
    exact, sphere, printed = (bound.probability(g.alpha, g.s, g.gamma, d, name) for name in names)
    tolerance = 1e-13
    if bound.beta(g.alpha, g.s, g.gamma) <= 0.0:
        assert exact <= sphere + tolerance and sphere <= printed + tolerance
    else:
        assert exact >= sphere - tolerance and sphere >= printed - tolerance


@given(geometries(degenerate=False), st.floats(0.01, 100.0))
def test_lengths_scale_out(g, scale):
    plain = bound.beta(g.alpha, g.s, g.gamma)
    scaled = bound.beta(g.alpha, g.s * scale, g.gamma * scale, norm=scale)
    assert np.isclose(scaled, plain, rtol=1e-9, atol=1e-9)


@given(geometries(), quantiles)
def test_guaranteed_level_is_guaranteed(g, delta):
    d = g.n + 1
    alpha = float(gamma.guaranteed_level(delta, g.s, g.gamma, d))
    assert -1.0 - 1e-15 <= alpha <= 1.0 + 1e-15
    slack = 1e-9  # rounding of alpha near a jump or a steep part
    assert bound.probability(max(alpha - slack, -1.0), g.s, g.gamma, d) >= (1.0 - delta) * (1.0 - 1e-9)


@given(geometries(), st.floats(0.0, 0.5), st.floats(0.0, 4.0))
def test_guaranteed_level_falls_with_gamma(g, delta, other):
    low, high = sorted([g.gamma, other])
    assume(g.s > 0.0)
    levels = gamma.guaranteed_level(delta, g.s, [low, high], g.n + 1)
    assume(delta < 0.5 or g.n > 1)  # one dimension, delta = 1/2: the quantile is the upper atom
    assert levels[0] >= levels[1] - 1e-15


@given(geometries(), alignments, st.floats(0.0, 4.0))
def test_peak_gamma_is_best(g, u, other):
    assume(g.s > 0.0)
    best = gamma.peak_gamma(u, g.s)
    assert bound.cosine(u, g.s, best) >= bound.cosine(u, g.s, other) - 1e-14
    crossing = gamma.break_even_gamma(u, g.s)
    if abs(other - crossing) > 1e-6 * (1.0 + other) and abs(bound.cosine(u, g.s, other) - g.s) > 1e-14:
        assert (bound.cosine(u, g.s, other) >= g.s) == (other <= crossing)


@settings(max_examples=40)
@given(alphas, st.floats(-1.0, 1.0), st.floats(0.0, 1.0), st.floats(0.01, 3.0), st.integers(3, 300))
def test_general_geometry_mirrors(alpha, a, b, weight, d):
    """Turning z around turns the cosine's sign: P_a(cos >= alpha) = 1 - P_(-a)(cos > -alpha)."""
    left = bound.general_probability(alpha, a, b, weight, d)
    right = bound.general_probability(-alpha, -a, b, weight, d)
    assert abs(left.probability + right.probability - 1.0) <= 1e-11 + left.error + right.error


@settings(max_examples=40)
@given(alphas, alphas, st.floats(-1.0, 1.0), st.floats(0.0, 1.0), st.floats(0.01, 3.0), st.integers(2, 300))
def test_general_probability_falls_with_alpha(alpha, other, a, b, weight, d):
    low, high = sorted([alpha, other])
    at_low, at_high = bound.general_probability([low, high], a, b, weight, d).probability
    assert 1.0 >= at_low >= at_high - 1e-10 and at_high >= 0.0


@pytest.mark.parametrize("d", [3, 17])
def test_search_finds_the_worst_overstatement(d):
    """Guided search over geometries refutes the printed formula and comes within 2% of the closed form."""
    found = []

    @settings(max_examples=800)
    @given(st.floats(0.0, 1.0), st.floats(0.0, 2.0), alphas)
    def search(s, weight, alpha):
        printed = bound.probability(alpha, s, weight, d, "printed")
        excess = float(printed - bound.probability(alpha, s, weight, d, "complement"))
        target(excess)
        found.append(excess)

    search()
    worst = float(bound.printed_overstatement(d, "complement").amount)
    assert 0.98 * worst < max(found) <= worst * (1.0 + 1e-12)


def test_search_does_not_refute_the_exact_formula():
    """The same search against the integral of the density in dimension 5 finds nothing."""
    found = []

    @settings(max_examples=200)
    @given(geometries(degenerate=False))
    def search(g):
        beta = np.clip(bound.beta(g.alpha, g.s, g.gamma), -1.0, 1.0)
        x = np.linspace(beta, 1.0, 2001)
        integral = np.trapezoid(AlignmentLaw(5.0).pdf(x), x)
        excess = abs(float(bound.probability(g.alpha, g.s, g.gamma, 6)) - integral)
        target(excess)
        found.append(excess)

    search()
    assert max(found) < 1e-6
