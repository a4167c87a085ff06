"""Every statement that the package rests on: what it assumes, what computes it, and a check that can refute it.

Checks are simulations and searches of their own. They call the function that the statement is about, and hold it
against counts, maxima or refitted maps that do not. Notebook 00.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis.experiments.simulation import alignments, count_cosines, p_values
from analysis.experiments.synthetic import mean_length, synthetic_pairs
from analysis.experiments.weights import orthogonal_rows
from analysis.theory import (
    betting,
    bound,
    confidence,
    conformal,
    decomposition,
    dominance,
    gamma,
    joint_fit,
    least_absolute,
    limit_law,
    retrieval,
    rotational,
    samples,
    selective,
    sphere,
    survival,
)
from analysis.theory.arrays import row_cosine, unit_rows
from analysis.theory.certify import Observed

FALSE_ALARM = 1e-6  # chance that a check with random draws refutes a true statement
DRAWS = 20_000
RUNS = 400  # of certificates


class Found(NamedTuple):
    """What a check found: whether the statement stood, and the number that says so."""

    holds: bool
    number: str


class Statement(NamedTuple):
    """A statement with everything that could show it wrong."""

    name: str
    text: str
    assumes: str
    source: str
    """who says so: `poster`, a citation key, or `here`"""
    true: bool
    """what this project says of it"""
    by: Callable
    """the function that computes it"""
    proof: str
    tests: str
    """file below tests/"""
    check: Callable[[np.random.Generator], Found]


def table(statements: Sequence[Statement], rng: np.random.Generator) -> pd.DataFrame:
    """Run every check: one row a statement, with `claimed`, what the project says, and `found`."""
    rows = []
    for one in statements:
        found = one.check(rng)
        where = f"{one.by.__module__.removeprefix('analysis.')}.{one.by.__qualname__}"
        rows.append(
            {"name": one.name, "statement": one.text, "assumes": one.assumes, "source": one.source}
            | {"claimed": one.true, "found": bool(found.holds), "number": found.number}
            | {"where": where, "proof": one.proof, "tests": one.tests}
        )
    return pd.DataFrame(rows)


def _exact(counts: pd.DataFrame, probability: np.ndarray) -> Found:
    """Whether counted events have these probabilities, all levels together."""
    p = min(1.0, p_values(counts, probability.tolist()).min() * len(counts))
    return Found(p > FALSE_ALARM, f"p = {p:.2g}")


def _no_less(counts: pd.DataFrame, probability: np.ndarray) -> Found:
    """Whether counted events have at least these probabilities, all levels together."""
    p = min(1.0, p_values(counts, probability.tolist(), "less").min() * len(counts))
    return Found(p > FALSE_ALARM, f"p = {p:.2g}")


def _law_of_the_alignment(rng: np.random.Generator) -> Found:
    p = min(stats.kstest(alignments(n, DRAWS, rng), sphere.AlignmentLaw(n).cdf).pvalue for n in (2, 5, 64, 512))
    return Found(4 * p > FALSE_ALARM, f"p = {min(1.0, 4 * p):.2g}")


def _printed_law(rng: np.random.Generator) -> Found:
    p = stats.kstest(alignments(4, DRAWS, rng), bound.alignment_law(4, "printed").cdf).pvalue
    return Found(p > FALSE_ALARM, f"p = {p:.2g}")


def _pairs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    data, _ = synthetic_pairs(300, 8, 24, 0.7, 1, rng)
    return data.modality("image").astype(np.float64), data.modality("text").astype(np.float64)


def _normal_equations(rng: np.random.Generator) -> Found:
    found = decomposition.decompose(*_pairs(rng)).summary()
    worst = max(abs(found[name]) for name in ("condition_residual", "projection_residual", "pythagoras"))
    return Found(worst < 1e-12, f"{worst:.1e}")


def _perpendicular_sample(rng: np.random.Generator) -> Found:
    rms = np.sqrt(np.square(decomposition.decompose(*_pairs(rng)).cosine).mean())
    return Found(rms < 1e-6, f"rms cos(p, r) = {rms:.3f}")


def _jointly_fitted_map(rng: np.random.Generator) -> Found:
    """The map of z - gamma F for an F that is a function of the condition."""
    c, z = _pairs(rng)
    direction = np.tanh(c @ rng.standard_normal((8, 24)))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    projection = decomposition.ColumnSpace.of(c).project(z - direction)
    gap = decomposition.decompose_translation(projection, z, c).summary()["projection_gap"]
    return Found(gap < 1e-6, f"off by {gap:.2f} of its size")


def _l1_is_not_the_projection(rng: np.random.Generator) -> Found:
    c, z = _pairs(rng)
    few = z[:, :4]
    projection = c @ least_absolute.least_absolute(c, few).map
    gap = decomposition.decompose_translation(projection, few, c).summary()["projection_gap"]
    return Found(gap < 1e-6, f"off by {gap:.2f} of its size")


def _beta_is_the_threshold(rng: np.random.Generator) -> Found:
    """Of rows that are exactly orthogonal, those with u >= beta are those whose cosine reaches alpha."""
    agree = []
    for s, u, weight in rng.uniform([0.05, -1.0, 0.05], [0.95, 1.0, 2.0], (300, 3)):
        p, f, z = orthogonal_rows(s, u, 6, rng, 2)
        cosine = row_cosine(p + weight * f, z)[0]
        alpha = np.clip(cosine + rng.choice([-1e-6, 1e-6]), -1.0, 1.0)
        agree.append((u >= bound.beta(alpha, s, weight)) == (cosine >= alpha))
    return Found(all(agree), f"{sum(agree)} of {len(agree)} agree")


def _orthogonal(d: int, s: float) -> tuple[np.ndarray, np.ndarray]:
    """p and z of R^d with |z| = 1, |p| = s and p perpendicular to z - p."""
    p = np.zeros(d)
    p[:2] = s * s, s * np.sqrt(1.0 - s * s)
    return p, np.eye(d)[0]


def _printed_bound(rng: np.random.Generator) -> Found:
    alphas = bound.cosine(np.linspace(-0.9, 0.9, 19), 0.6, 0.5)
    counts = count_cosines(*_orthogonal(4, 0.6), 0.5, alphas, DRAWS, rng, perpendicular=True)
    return _no_less(counts, bound.probability(alphas, 0.6, 0.5, 4, "printed"))


def _printed_bound_without_perpendicularity(rng: np.random.Generator) -> Found:
    alphas = bound.cosine(np.linspace(-0.2, 0.0, 11), 0.8, 1.0)
    counts = count_cosines(*_orthogonal(256, 0.8), 1.0, alphas, DRAWS, rng)
    return _no_less(counts, bound.probability(alphas, 0.8, 1.0, 256, "printed"))


def _limit_law(rng: np.random.Generator) -> Found:
    """Directions in 10^10 dimensions, of which two coordinates and the length of the others count."""
    (x, y), rest, x_levels = rng.standard_normal((2, DRAWS)), rng.chisquare(1e10, DRAWS), np.linspace(-2.0, 2.0, 9)
    f = np.stack([x, y, np.sqrt(rest)], axis=1)
    p, law = np.array([0.64, 0.48, 0.0]), limit_law.limit_law(0.64, 0.48, 1.0)
    cosine = row_cosine(p + unit_rows(f), np.tile([1.0, 0.0, 0.0], (DRAWS, 1)))
    counts = (cosine[:, None] >= law.mean + x_levels * law.deviation / 1e5).sum(axis=0)
    return _exact(pd.DataFrame({"count": counts, "draws": DRAWS}), stats.norm.sf(x_levels))


def _complement(rng: np.random.Generator) -> Found:
    alphas = bound.cosine(np.linspace(-0.9, 0.9, 19), 0.6, 0.5)
    counts = count_cosines(*_orthogonal(4, 0.6), 0.5, alphas, DRAWS, rng, perpendicular=True)
    return _exact(counts, bound.probability(alphas, 0.6, 0.5, 4, "complement"))


def _general(rng: np.random.Generator) -> Found:
    p, z, alphas = np.array([0.2, 0.7, 0.0, 0.0, 0.0]), np.eye(5)[0], np.linspace(-0.8, 0.9, 18)
    counts = count_cosines(p, z, 0.8, alphas, DRAWS, rng)
    return _exact(counts, bound.general_probability(alphas, 0.2, 0.7, 0.8, 5).probability)


def _peak(rng: np.random.Generator) -> Found:
    s, u = 0.6, 0.3
    p, f, z = orthogonal_rows(s, u, 6, rng, 2)
    grid = np.linspace(0.0, 2.0, 20_001)
    cosines = [row_cosine(p + weight * f, z)[0] for weight in grid]
    off = abs(grid[int(np.argmax(cosines))] - gamma.peak_gamma(u, s))
    return Found(off <= 1e-4, f"off by {off:.0e}")


def _break_even(rng: np.random.Generator) -> Found:
    s = 0.6
    p, f, z = orthogonal_rows(s, float(gamma.break_even_alignment(s)), 6, rng, 2)
    off = abs(row_cosine(p + f, z)[0] - s)
    return Found(off < 1e-12, f"off by {off:.0e}")


def _random_never_pays(rng: np.random.Generator) -> Found:
    """The cosine that all but a share delta of random directions reach, counted, at rising gamma."""
    p, z = _orthogonal(16, 0.6)
    levels = gamma.guaranteed_level(0.1, 0.6, np.array([0.0, 0.25, 0.5, 1.0]), 16)
    shares = [
        count_cosines(p, z, weight, np.array([level]), DRAWS, rng, perpendicular=True)
        for weight, level in zip((0.25, 0.5, 1.0), levels[1:], strict=True)
    ]
    return Found(_exact(pd.concat(shares), np.full(3, 0.9)).holds and bool((np.diff(levels) < 0.0).all()),
                 " > ".join(f"{level:.2f}" for level in levels))  # fmt: skip


def _one_draw(rng: np.random.Generator) -> Found:
    """Pairs of draws of normalize(mu + noise), whose mean has a length in closed form."""
    draws = rng.standard_normal((2, DRAWS, 8)) + 1.5 * np.eye(8)[0]
    cosine = row_cosine(*draws)
    law = samples.sampling_law(float(mean_length(np.array(1.5), 8)), 1)
    off = (cosine.mean() - law) / (cosine.std() / np.sqrt(DRAWS))
    return Found(abs(off) < 5.0, f"{cosine.mean():.3f}, {off:+.1f} standard errors off")


def _directions(n: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """n unit vectors of R^d, uniform."""
    return unit_rows(rng.standard_normal((n, d)))


def _some_draws(rng: np.random.Generator) -> Found:
    """Means of 8 draws of a sampler that leans aside, in R^256, where lengths hardly vary."""
    d, kappa, K = 256, 20.0, 8
    z = rng.standard_normal((2000, d)) + kappa * np.eye(d)[0]
    w = rng.standard_normal((2000, K, d)) + kappa * (0.8 * np.eye(d)[0] + 0.6 * np.eye(d)[1])
    cosine = row_cosine(z, unit_rows(w).mean(axis=1))
    m = float(mean_length(np.array(kappa), d))
    off = cosine.mean() - float(samples.mean_of_draws(0.8 * m**2, m**2, K))
    return Found(abs(off) < 1e-3 + 5.0 * cosine.std() / np.sqrt(2000), f"{cosine.mean():.3f}, {off:+.4f} off")


def _best_joint_map(rng: np.random.Generator) -> Found:
    """Whether small steps from the projection raise the loss of M with the best direction beside it."""
    c, z = _pairs(rng)
    M = joint_fit.best_response(c, z, 0.0)
    steps = [1e-3 * sign * step for step in rng.standard_normal((20, *M.shape)) for sign in (1, -1)]
    change = min(joint_fit.joint_excess(z, c @ (M + step), 0.5) for step in steps)
    change -= joint_fit.joint_excess(z, c @ M, 0.5)
    return Found(change >= 0.0, f"a step changes the loss by {change:.1e}")


def _response_to_a_long_direction(rng: np.random.Generator) -> Found:
    c, z = _pairs(rng)
    m = c @ joint_fit.best_response(c, z, 0.0)
    m *= 0.5 / np.linalg.norm(m, axis=1, keepdims=True)
    cosine = row_cosine(c @ joint_fit.best_response(c, m, 1.0), m).mean()
    return Found(cosine < 0.0, f"mean cosine with m {cosine:.2f}")


def _about_an_axis(rng: np.random.Generator) -> Found:
    """Directions of one latitude w about mu, at 9 levels."""
    p, z, mu, w = np.array([0.2, 0.5, 0.1, 0.0]), np.eye(4)[0], np.array([0.8, 0.0, 0.6, 0.0]), 0.6
    g = rng.standard_normal((DRAWS, 4))
    g -= np.outer(g @ mu, mu)
    cosine = row_cosine(p + 0.7 * (w * mu + 0.8 * unit_rows(g)), z[None])
    worst = 1.0
    for alpha in np.quantile(cosine[:1000], np.linspace(0.1, 0.9, 9)):
        exact = float(rotational.rotational_probability(alpha, p[None], z[None], mu, [w], 0.7).probability[0])
        hits = int((cosine[1000:] >= alpha).sum())
        worst = min(worst, float(stats.binomtest(hits, DRAWS - 1000, min(exact, 1.0)).pvalue))
    return Found(9 * worst > FALSE_ALARM, f"p = {min(1.0, 9 * worst):.2g}")


def _forced_ranks(rng: np.random.Generator) -> Found:
    """Queries of every distance from their own vector: do those above the threshold rank first?"""
    z = _directions(30, 4, rng)
    q = z + rng.uniform(0.0, 1.0, (400, 30, 1)) * rng.standard_normal((400, 30, 4)) / 2.0
    cosine = q @ z.T / np.linalg.norm(q, axis=2, keepdims=True)
    own = np.einsum("rnn->rn", cosine)
    rank = (cosine > own[..., None]).sum(axis=2) + 1
    forced = own > retrieval.needed_cosine(z)
    return Found(bool((rank[forced] == 1).all()), f"all of {forced.sum()}, and {(rank == 1).sum() - forced.sum()} more")


def _tight_for_ten(rng: np.random.Generator) -> Found:
    """Whether some query just below the threshold of rank 2 is beaten by both of two rivals on opposite sides."""
    z = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.8, -0.6, 0.0]])
    q = _directions(50 * DRAWS, 3, rng)
    beaten = (q @ z[1:].T > (q @ z[0])[:, None]).all(axis=1)
    highest, needed = (q[beaten] @ z[0]).max(), retrieval.needed_cosine(z, k=2)[0]
    return Found(highest > needed - 0.05, f"highest {highest:.2f} of {needed:.2f}")


def _gaussian_gallery(rng: np.random.Generator) -> Found:
    query, rivals = np.array([[1.0, 0.5, 0.0]]), rng.standard_normal((DRAWS, 19, 3)) + 0.5
    own = float(query[0] @ np.full(3, 0.5)) + 1.5
    law = float(retrieval.expected_recall(query, [own], np.full(3, 0.5), np.eye(3), 20, 3)[0])
    p = stats.binomtest(int(((rivals @ query[0] > own).sum(axis=1) < 3).sum()), DRAWS, law).pvalue
    return Found(p > FALSE_ALARM, f"p = {p:.2g}")


def _lower_limit(rng: np.random.Generator) -> Found:
    hits, times = np.unique(rng.binomial(40, 0.8, DRAWS), return_counts=True)
    missed = sum(n for k, n in zip(hits, times, strict=True) if confidence.lower_limit(int(k), 40, 0.9) > 0.8)
    return _seldom(missed, 0.1)


def _groups_of_items(rng: np.random.Generator, largest: int = 8) -> tuple[np.ndarray, np.ndarray, float]:
    """Whether each item reaches (n,), its group, and the item mean: 40 groups, the large ones bad, alike inside."""
    sizes = rng.choice([1, largest], 40, p=[0.7, 0.3])
    good = rng.random(40) < np.where(sizes == 1, 0.9, 0.5)
    return np.repeat(good, sizes), np.repeat(np.arange(40), sizes), (0.63 + 0.15 * largest) / (0.7 + 0.3 * largest)


def _item_limit(rng: np.random.Generator) -> Found:
    missed = 0
    for _ in range(RUNS):
        reached, group, mean = _groups_of_items(rng)
        missed += betting.item_lower_limit(reached, group, 0.9, largest_group=8) > mean
    return _seldom(missed, 0.1, RUNS)


def _items_as_if_independent(rng: np.random.Generator) -> Found:
    missed = 0
    for _ in range(RUNS):
        reached, _, mean = _groups_of_items(rng)
        missed += confidence.lower_limit(int(reached.sum()), len(reached), 0.9) > mean
    return _seldom(missed, 0.1, RUNS)


def _quantile(rng: np.random.Generator) -> Found:
    missed = sum(survival.quantile_limit(rng.random(60), 0.9, 0.9) > 0.1 for _ in range(RUNS))
    return _seldom(missed, 0.1, RUNS)


def _against_the_projection(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p that leans on z, a direction f that leans against p, and z, (n, 16) each."""
    z, aside, noise = (_directions(n, 16, rng) for _ in range(3))
    p = 0.6 * z + 0.8 * aside
    f = noise - 0.5 * p
    return p, unit_rows(f), z


def _alignment_tells(rng: np.random.Generator) -> Found:
    """A direction that does worse than random ones on average: is its alignment with the residual below theirs?"""
    p, f, z = _against_the_projection(DRAWS, rng)
    random = row_cosine(p + _directions(DRAWS, 16, rng), z).mean()
    worse, u = row_cosine(p + f, z).mean() < random, row_cosine(z - p, f).mean()
    return Found(not (worse and u > 5.0 / np.sqrt(16 * DRAWS)), f"u = {u:+.2f} where it does worse")


def _beaten_is_uniform(rng: np.random.Generator) -> Found:
    """The share that a direction beats, where it is random itself and p leans."""
    p, _, z = _against_the_projection(2000, rng)
    a = (p * z).sum(axis=1)
    k = row_cosine(p + 0.7 * _directions(2000, 16, rng), z)
    b = np.linalg.norm(p - a[:, None] * z, axis=1)
    p_value = stats.kstest(dominance.beaten(k, a, b, 0.7, 16), "uniform").pvalue
    return Found(p_value > FALSE_ALARM, f"p = {p_value:.2g}")


def _selection(rng: np.random.Generator) -> Found:
    """Scores e, cosines that reach .5 with probability e: the risk above t is (1 - t) / 2."""
    missed, chosen = 0, 0
    for _ in range(RUNS):
        e = rng.random(150)
        found = selective.select(Observed.of(np.where(rng.random(150) < e, 0.6, 0.4), expected=e), 0.5, 0.9, risk=0.2)
        missed += found.threshold is not None and (1.0 - found.threshold) / 2.0 > 0.2
        chosen += found.threshold is not None
    return Found(_seldom(missed, 0.1, RUNS).holds and chosen > 0, _seldom(missed, 0.1, RUNS).number)


def _floor(rng: np.random.Generator) -> Found:
    """Cosines around what is expected, uniform within .3: a margin c holds for the share (c + .3) / .6."""
    missed = 0
    for _ in range(RUNS):
        e = rng.uniform(0.3, 0.7, 60)
        margin = conformal.ConformalFloor.of(Observed.of(e + rng.uniform(-0.3, 0.3, 60), expected=e), 0.8, 0.9).margin
        missed += margin["all"] is not None and (margin["all"] + 0.3) / 0.6 < 0.8
    return _seldom(missed, 0.1, RUNS)


def _seldom(missed: int, delta: float, runs: int = DRAWS) -> Found:
    """Whether a limit that may miss with probability delta missed so often."""
    p = stats.binomtest(int(missed), runs, delta, alternative="greater").pvalue
    return Found(p > FALSE_ALARM, f"missed {missed / runs:.2%} of {delta:.0%}")


STATEMENTS = [
    Statement(
        "alignment", "The alignment of a random direction has (1 + u)/2 ~ Beta((n - 1)/2, (n - 1)/2)",
        "f uniform on the sphere of R^n", "here", True,
        sphere.AlignmentLaw, "closed form; interval arithmetic", "analysis/theory/test_sphere.py",
        _law_of_the_alignment,
    ),
    Statement(
        "printed law", "Its density is c (1 - u^2)^(h/2 - 1) in R^h", "f uniform on the sphere of R^h", "poster", False,
        bound.probability, "simulation", "analysis/theory/test_bound.py", _printed_law,
    ),
    Statement(
        "normal equations", "C^T R = 0, and |Z|^2 = |C M|^2 + |R|^2", "M by least squares, over samples",
        "poster", True, decomposition.decompose, "linear algebra", "analysis/theory/test_decomposition.py",
        _normal_equations,
    ),
    Statement(
        "perpendicular sample", "The residual of a sample is perpendicular to its projection", "M by least squares",
        "poster", False, decomposition.decompose, "counterexample", "analysis/theory/test_decomposition.py",
        _perpendicular_sample,
    ),
    Statement(
        "joint map", "The M trained beside F is the projection of z", "F a function of the condition, gamma = 1",
        "poster", False, decomposition.decompose_translation, "counterexample",
        "analysis/theory/test_decomposition.py", _jointly_fitted_map,
    ),
    Statement(
        "L1 map", "The M of the L1 loss is the projection of z", "skewed residuals", "poster", False,
        least_absolute.least_absolute, "counterexample; duality", "analysis/theory/test_least_absolute.py",
        _l1_is_not_the_projection,
    ),
    Statement(
        "threshold", "cos(z, zhat) >= alpha just where u >= beta", "p perpendicular to r and to f", "poster", True,
        bound.beta, "algebra, by machine", "analysis/theory/test_bound.py", _beta_is_the_threshold,
    ),
    Statement(
        "printed bound", "P(cos >= alpha) is at least the printed integral",
        "f uniform and perpendicular to p, beta < 0",
        "poster", False, bound.probability, "interval arithmetic; simulation", "analysis/theory/test_bound.py",
        _printed_bound,
    ),
    Statement(
        "printed bound, d = 256", "P(cos >= alpha) is at least the printed integral, d = 256",
        "f uniform, p perpendicular to r, beta < 0", "poster", False, limit_law.uniform_overstatement,
        "limit law; simulation", "analysis/theory/test_limit_law.py", _printed_bound_without_perpendicularity,
    ),
    Statement(
        "limit law", "sqrt(d) (cos - a/L) tends to N(0, sigma^2)", "f uniform on the sphere of R^d, any p",
        "here", True, limit_law.limit_law, "algebra, by machine", "analysis/theory/test_limit_law.py", _limit_law,
    ),
    Statement(
        "complement", "P(cos >= alpha) is the law's tail in n = d - 1", "f uniform and perpendicular to p",
        "here", True, bound.probability, "closed form; simulation", "analysis/theory/test_bound.py", _complement,
    ),
    Statement(
        "general geometry", "P(cos >= alpha) is one integral over the latitude",
        "f uniform on the sphere of R^d, any p",
        "here", True, bound.general_probability, "simulation; slicing", "analysis/theory/test_bound.py", _general,
    ),
    Statement(
        "peak", "The cosine is largest at gamma = rho u", "p perpendicular to r and to f, u > 0", "here", True,
        gamma.peak_gamma, "algebra, by machine", "analysis/theory/test_gamma.py", _peak,
    ),
    Statement(
        "break-even", "gamma = 1 helps just where u > s / (rho (s + sqrt(s^2 + 1)))", "p perpendicular to r and to f",
        "here", True, gamma.break_even_alignment, "algebra, by machine", "analysis/theory/test_gamma.py", _break_even,
    ),
    Statement(
        "random F", "The level guaranteed for a random direction only falls as gamma grows",
        "f uniform and perpendicular to p, delta < 1/2", "here", True, gamma.guaranteed_level, "monotone ratio",
        "analysis/theory/test_gamma.py", _random_never_pays,
    ),
    Statement(
        "one draw", "A perfect sampler scores |m|^2 where the conditional mean scores |m|", "z unit, m = E[z|c]",
        "here", True, samples.sampling_law, "algebra", "analysis/theory/test_samples.py", _one_draw,
    ),
    Statement(
        "K draws", "The mean of K draws scores E<z, w> / sqrt(A + (1 - A)/K), A the cosine of two draws",
        "independent draws of any sampler; nearly, if they spread over many dimensions", "here", True,
        samples.mean_of_draws, "algebra; simulation", "analysis/theory/test_samples.py", _some_draws,
    ),
    Statement(
        "best joint map", "The projection of z is the best M beside a free unit direction F", "squared loss, gamma > 0",
        "poster", False, joint_fit.joint_excess, "algebra; counterexample", "analysis/theory/test_joint_fit.py",
        _best_joint_map,
    ),
    Statement(
        "long direction", "The best M beside F = m/|m| points away from m", "squared loss, gamma > |m|, one |m|",
        "here", True, joint_fit.best_response, "linear algebra", "analysis/theory/test_joint_fit.py",
        _response_to_a_long_direction,
    ),
    Statement(
        "axis", "P(cos >= alpha) is one integral for each latitude w of f about an axis",
        "f = w mu + sqrt(1 - w^2) g, g uniform perpendicular to mu", "here", True, rotational.rotational_probability,
        "simulation; the uniform law as a mixture", "analysis/theory/test_rotational.py", _about_an_axis,
    ),
    Statement(
        "rank", "cos(z, zhat) > sqrt((1 + c)/2) forces rank 1", "c the largest cosine of z with a rival", "here", True,
        retrieval.needed_cosine, "triangle inequality", "analysis/theory/test_retrieval.py", _forced_ranks,
    ),
    Statement(
        "rank k", "The same number for rank k is tight", "c the k-th largest, k > 1", "here", False,
        retrieval.needed_cosine, "counterexample", "analysis/theory/test_retrieval.py", _tight_for_ten,
    ),
    Statement(
        "Gaussian gallery", "The rank is binomial, with the normal tail of the own score",
        "independent rivals whose scores are normal", "here", True, retrieval.expected_recall, "simulation",
        "analysis/theory/test_retrieval.py", _gaussian_gallery,
    ),
    Statement(
        "lower limit", "The certified probability is too high in a share delta of the cases at most",
        "independent pairs", "clopper1934", True, confidence.lower_limit, "exact tail",
        "analysis/theory/test_confidence.py", _lower_limit,
    ),
    Statement(
        "items", "A limit for items that come in groups is too high in a share delta of the cases at most",
        "independent groups of known largest size", "waudbysmith2024", True, betting.item_lower_limit,
        "supermartingale", "analysis/theory/test_coverage.py", _item_limit,
    ),
    Statement(
        "flattened", "So is the limit of independent pairs for them", "independent groups", "usual practice", False,
        confidence.lower_limit, "counterexample", "analysis/theory/test_coverage.py", _items_as_if_independent,
    ),
    Statement(
        "quantile", "A share q reaches a cosine; it is too high in a share delta of the cases at most",
        "independent pairs", "here", True, survival.quantile_limit, "exact tail", "analysis/theory/test_survival.py",
        _quantile,
    ),
    Statement(
        "alignment tells", "A direction that does worse than random ones aligns less with the residual",
        "any p", "usual practice", False, dominance.judge_dominance, "counterexample",
        "analysis/theory/test_dominance.py", _alignment_tells,
    ),
    Statement(
        "beaten", "A random direction beats a uniform share of the random directions", "f uniform on the sphere, any p",
        "here", True, dominance.beaten, "probability integral transform", "analysis/theory/test_dominance.py",
        _beaten_is_uniform,
    ),
    Statement(
        "selection", "More than the risk asked for is accepted in a share delta of the cases at most",
        "independent pairs, thresholds fixed before", "wiens2005", True, selective.select, "fallback procedure",
        "analysis/theory/test_selective.py", _selection,
    ),
    Statement(
        "floor", "Too few cosines stay above their floor in a share delta of the cases at most", "independent pairs",
        "vovk2012", True, conformal.ConformalFloor, "exact tail", "analysis/theory/test_conformal.py", _floor,
    ),
]  # fmt: skip
"""in the order in which the paper needs them"""
