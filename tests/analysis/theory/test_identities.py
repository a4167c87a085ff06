"""The algebra by machine: SymPy derives each closed form from vectors, and the code agrees with it at random points.

The sign of what the printed formula adds is certified by interval arithmetic (Arb).
"""

import flint
import numpy as np
import pytest
import sympy as sp

from analysis.theory import bound, gamma
from analysis.theory.limit_law import kappa, limit_law, overstatement_limit
from analysis.theory.sphere import AlignmentLaw

S, RHO, WEIGHT = sp.symbols("s rho gamma", positive=True)
U, ALPHA = sp.symbols("u alpha", real=True)
RNG = np.random.default_rng(0)
POINTS = 200


def cosine_of(first, second):
    return first.dot(second) / sp.sqrt(first.dot(first) * second.dot(second))


def orthogonal():
    """cos(z, p + gamma f) with p = s e1, z = p + rho e2 and f = u e2 + sqrt(1 - u^2) e3, from the definition."""
    target = sp.Matrix([S, RHO, 0])
    translation = sp.Matrix([S, 0, 0]) + WEIGHT * sp.Matrix([0, U, sp.sqrt(1 - U**2)])
    return sp.simplify(cosine_of(target, translation))


COSINE = orthogonal()
NORM = sp.sqrt(S**2 + RHO**2)


def drawn(*names):
    """Random numbers for s and rho, with the norm that belongs to them, gamma, u and alpha."""
    table = {
        "s": RNG.uniform(0.1, 2.0, POINTS),
        "rho": RNG.uniform(0.1, 2.0, POINTS),
        "gamma": RNG.uniform(0.1, 3.0, POINTS),
        "u": RNG.uniform(-0.99, 0.99, POINTS),
        "alpha": RNG.uniform(-0.99, 0.99, POINTS),
    }
    return [table[name] for name in names] + [{"norm": np.hypot(table["s"], table["rho"]), "rho": table["rho"]}]


def agree(found, derived, symbols, *values):
    np.testing.assert_allclose(found, sp.lambdify(symbols, derived, "numpy")(*values), rtol=1e-9)


def test_cosine_and_beta():
    """beta is the only root u of cos = alpha, and the cosine rises with u."""
    (root,) = sp.solve(sp.Eq(COSINE, ALPHA), U)
    assert sp.simplify(sp.diff(COSINE, U, 2)) == 0 and sp.simplify(sp.diff(COSINE, U)).is_positive
    s, rho, weight, u, alpha, lengths = drawn("s", "rho", "gamma", "u", "alpha")
    agree(bound.cosine(u, s, weight, **lengths), COSINE, (S, RHO, WEIGHT, U), s, rho, weight, u)
    agree(bound.beta(alpha, s, weight, **lengths), root, (S, RHO, WEIGHT, ALPHA), s, rho, weight, alpha)


def test_the_best_gamma():
    """The derivative has one root in gamma and falls through it where u > 0."""
    (root,) = sp.solve(sp.diff(COSINE, WEIGHT), WEIGHT)
    assert sp.simplify(root - RHO * U) == 0
    positive = sp.Symbol("u", positive=True)
    at_root = sp.diff(COSINE, WEIGHT, 2).subs(U, positive).subs(WEIGHT, RHO * positive)
    assert sp.simplify(at_root).is_negative
    s, rho, u, lengths = drawn("s", "rho", "u")
    agree(gamma.peak_gamma(np.abs(u), s, **lengths), root, (S, RHO, U), s, rho, np.abs(u))


def test_break_even_gamma_and_alignment():
    """Where the cosine is again the one of gamma = 0, solved for gamma and for u."""
    linear = S / NORM
    assert sp.simplify(sp.limit(COSINE, WEIGHT, 0) - linear) == 0
    squared = sp.numer(sp.together(COSINE**2 - linear**2))
    roots = [root for root in sp.solve(squared, WEIGHT) if root != 0]
    (alignment,) = sp.solve(sp.Eq(COSINE, linear), U)
    assert len(roots) == 1
    s, rho, weight, u, lengths = drawn("s", "rho", "gamma", "u")
    u = np.abs(u) * np.minimum(1.0, 0.9 * s / rho)  # rho u < s: beyond, every gamma helps
    agree(gamma.break_even_gamma(u, s, **lengths), roots[0], (S, RHO, U), s, rho, u)
    agree(gamma.break_even_alignment(s, weight, **lengths), alignment, (S, RHO, WEIGHT), s, rho, weight)
    ceiling = COSINE.subs(U, 1)
    agree(gamma.ceiling(s, weight, **lengths), ceiling, (S, RHO, WEIGHT), s, rho, weight)


def test_the_polar_form():
    """gamma = s tan(psi): R cos(psi - psi0) / |z|, with R^2 = s^2 + rho^2 u^2 and tan(psi0) = rho u / s."""
    psi = sp.Symbol("psi", positive=True)
    polar = sp.sqrt(S**2 + (RHO * U) ** 2) * sp.cos(psi - sp.atan2(RHO * U, S)) / NORM
    direct = COSINE.subs(WEIGHT, S * sp.tan(psi))
    assert sp.simplify(sp.expand_trig(polar**2 - direct**2)) == 0  # their signs agree with the code below
    s, rho, u, lengths = drawn("s", "rho", "u")
    angle = RNG.uniform(0.01, 1.5, POINTS)
    agree(bound.cosine(u, s, s * np.tan(angle), **lengths), polar, (S, RHO, U, psi), s, rho, u, angle)


def test_the_general_cosine_and_its_peak():
    """From p, f and z as vectors: their products are a, t and q, and the derivative has one root in gamma."""
    a, t, q = sp.symbols("a t q", real=True)
    b, t2, t3 = sp.symbols("b t2 t3", real=True)
    z, p, f = sp.Matrix([1, 0, 0]), sp.Matrix([a, b, 0]), sp.Matrix([t, t2, t3])
    value = cosine_of(z, p + WEIGHT * f)
    value = value.subs(t3, sp.sqrt(1 - t**2 - t2**2)).subs(t2, (q - a * t) / b).subs(b, sp.sqrt(S**2 - a**2))
    value = sp.simplify(value)
    (root,) = sp.solve(sp.numer(sp.together(sp.diff(value, WEIGHT))), WEIGHT)
    target, condition, direction = RNG.standard_normal((3, POINTS, 4))
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    weight, s = RNG.uniform(0.1, 3.0, POINTS), np.linalg.norm(condition, axis=1)
    numbers = [(x * y).sum(axis=1) for x, y in ((target, condition), (target, direction), (condition, direction))]
    agree(gamma.general_cosine(weight, *numbers, s), value, (WEIGHT, a, t, q, S), weight, *numbers, s)
    peak, derived = gamma.general_peak_gamma(*numbers, s), sp.lambdify((a, t, q, S), root)(*numbers, s)
    inner = (peak > 0.0) & np.isfinite(peak)
    assert inner.sum() > 20
    np.testing.assert_allclose(peak[inner], derived[inner], rtol=1e-9)


def test_the_limit_law_and_kappa():
    """The delta method: x = <z, f> and y = <e, f> have the variance 1/d, and f has length 1 whatever they are."""
    a, b, x, y = sp.symbols("a b x y", real=True)
    direction = sp.Matrix([x, y, sp.sqrt(1 - x**2 - y**2)])
    value = cosine_of(sp.Matrix([1, 0, 0]), sp.Matrix([a, b, 0]) + WEIGHT * direction)
    centre = {x: 0, y: 0}
    mean, variance = value.subs(centre), sum(sp.diff(value, axis).subs(centre) ** 2 for axis in (x, y))
    first, second, weight = RNG.uniform(-1, 1, POINTS), RNG.uniform(0, 1, POINTS), RNG.uniform(0.1, 3.0, POINTS)
    law = limit_law(first, second, weight)
    agree(law.mean, mean, (a, b, WEIGHT), first, second, weight)
    agree(law.deviation, sp.sqrt(variance), (a, b, WEIGHT), first, second, weight)

    # p perpendicular to r: p = s e1, z = p + rho e2, in the frame of z/|z| and the unit vector perpendicular to it
    along = S**2 / NORM
    perpendicular = {a: along, b: sp.sqrt(S**2 - along**2)}
    ratio = sp.simplify(variance.subs(perpendicular) / sp.diff(COSINE, U) ** 2)
    assert sp.simplify(ratio - 1 - S**2 * WEIGHT**4 / (RHO**2 * (S**2 + WEIGHT**2) ** 2)) == 0
    s, rho, weight, lengths = drawn("s", "rho", "gamma")
    agree(kappa(s, weight, **lengths), sp.sqrt(ratio), (S, RHO, WEIGHT), s, rho, weight)


def test_the_worst_of_the_limit():
    """d/dw (Phi(-w) - Phi(-w/k)) = 0 has one root w < 0."""
    w, k = sp.symbols("w k", real=True)
    spread = 1 + sp.Symbol("m", positive=True)
    normal = sp.erfc(w / sp.sqrt(2)) / 2
    slope = sp.diff(normal - normal.subs(w, w / k), w).subs(k, spread)
    worst = overstatement_limit(0.8, 1.0)
    number = sp.Float(str(kappa(0.8, 1.0)), 30)
    root = sp.nsolve(slope.subs(spread.args[1], number - 1), w, -1.2)
    assert float(root) == pytest.approx(worst.beta, rel=1e-12)
    assert float((normal - normal.subs(w, w / k)).subs({k: number, w: root})) == pytest.approx(worst.amount, rel=1e-12)


# --- the sign of printed minus complement ---------------------------------------------------------


@pytest.fixture
def digits():
    """Interval arithmetic with 60 digits."""
    before, flint.ctx.dps = flint.ctx.dps, 60
    yield
    flint.ctx.dps = before


def test_the_difference_of_two_dimensions_is_one_term():
    """Q_n(x) - Q_(n+2)(x) = x w^nu / (2 nu B(nu, 1/2)) with w = 1 - x^2 and nu = (n - 1)/2, above 0 on (0, 1).

    Both sides are 0 at x = 1, and their derivatives agree. With n = d - 1 it is printed minus complement at beta = -x,
    for every d above 2.
    """
    x, nu = sp.symbols("x nu", positive=True)

    def density(order):
        return (1 - x**2) ** (order - 1) * sp.gamma(order + sp.Rational(1, 2)) / (sp.sqrt(sp.pi) * sp.gamma(order))

    term = x * (1 - x**2) ** nu * sp.gamma(nu + sp.Rational(1, 2)) / (2 * nu * sp.gamma(nu) * sp.sqrt(sp.pi))
    relative = sp.diff(sp.expand_log(sp.log(term), force=True), x) + (density(nu) - density(nu + 1)) / term
    assert sp.simplify(sp.powsimp(sp.expand_func(sp.expand(relative)))) == 0
    d, points = np.array([[2.5], [4], [33], [300]]), np.linspace(0.02, 0.98, 49)
    printed, exact = (bound.alignment_law(d, name).cdf(points) for name in ("printed", "complement"))
    derived = sp.lambdify((x, nu), term, ["scipy", "numpy"])(points, (d - 2) / 2)
    np.testing.assert_allclose(printed - exact, derived, rtol=1e-9, atol=1e-15)


def tail(n, x):
    """P(U > x), an enclosure, for x above 0: I_w((n - 1)/2, 1/2) / 2 with w = 1 - x^2."""
    return (1 - flint.arb(x) ** 2).beta_lower(flint.arb(n - 1) / 2, flint.arb(1) / 2, regularized=True) / 2


@pytest.mark.parametrize("d", [3, 4, 5, 8, 16, 32, 128])
def test_printed_is_too_large_on_every_cell_below_zero(d, digits):
    """Certified on cells that cover beta from -9 / sqrt(d) (or -.99) to -.01 / sqrt(d); the code lies inside.

    A tail falls with x. On a cell (x1, x2) the printed value is therefore at least 1 - Q_(d+1)(x1), and the exact one
    at most 1 - Q_(d-1)(x2). A cell on which the first is not the larger is halved.
    """
    end = min(9 / d**0.5, 0.99)
    cells, certified = [(0.01 / d**0.5, end)], 0
    while cells:
        low, high = cells.pop()
        if tail(d - 1, high) > tail(d + 1, low):
            certified += 1
        else:
            assert high - low > 1e-9, "no cell is small enough"
            cells += [(low, (low + high) / 2), ((low + high) / 2, high)]
    assert certified > 10
    printed, exact = bound.alignment_law(d, "printed"), bound.alignment_law(d, "complement")
    for point in np.linspace(0.01 / d**0.5, end, 40):
        difference = float((tail(d - 1, point) - tail(d + 1, point)).mid())
        assert float(printed.cdf(point) - exact.cdf(point)) == pytest.approx(difference, rel=1e-9, abs=1e-15)
        assert AlignmentLaw(d - 1).sf(point) == pytest.approx(float(tail(d - 1, point).mid()), rel=1e-12)


@pytest.mark.parametrize("geometry", ["sphere", "complement"])
@pytest.mark.parametrize("d", [4, 16, 512])
def test_the_worst_beta_is_where_the_densities_agree(geometry, d, digits):
    """The slope of the difference changes its sign within 1e-12 of the stated beta, by interval arithmetic.

    It does so only there: the logarithm of the densities' ratio is a constant plus a positive multiple of
    log(1 - beta^2), which falls in |beta|.
    """
    worst = bound.printed_overstatement(d, geometry)
    n = d + bound.GEOMETRIES[geometry]

    def log_density(order, x):
        nu = flint.arb(order - 1) / 2
        constant = (nu + flint.arb(1) / 2).lgamma() - nu.lgamma() - flint.arb.pi().log() / 2
        return constant + (nu - 1) * (1 - x * x).log()

    for factor, sign in ((1 - 1e-12, 1), (1 + 1e-12, -1)):
        x = flint.arb(-float(worst.beta) * factor)
        assert sign * (log_density(d + 1, x) - log_density(n, x)) > 0
    x = -float(worst.beta)
    assert float(worst.amount) == pytest.approx(float((tail(n, x) - tail(d + 1, x)).mid()), rel=1e-10)
