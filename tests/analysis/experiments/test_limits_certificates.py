"""Held-out pairs of a split, the sampler whose law is known, and directions to certify."""

import numpy as np

from analysis.experiments.limits_certificates import fitted, held_out, perfect_sampler, table, three_directions
from analysis.experiments.synthetic import synthetic_pairs
from analysis.theory.limits import limits


def test_baselines_lie_where_they_must_and_directions_are_unit_vectors():
    rng = np.random.default_rng(0)
    data = synthetic_pairs(300, 8, 24, 0.7, 3, rng)[0]
    held = held_out(data, "image", "text", 0)
    assert len(held.train[0]) == len(held.train[1]) == 3 * 210 and held.z.shape == (60, 3, 24)
    translators = fitted(held)
    scores = {
        name: limits(baseline.translate(held.c), held.z, held.trial.mean, held.counts, held.group)
        for name, baseline in translators.items()
    }
    found = table(scores).set_index("translator")
    assert abs(found.loc["constant mean", "skill"]) < 1e-6 < found.loc["ridge", "skill"]
    assert ((found["low"] < found["cosine"]) & (found["cosine"] < found["high"])).all()
    directions = three_directions(held, 16, rng)
    for direction in directions.values():
        np.testing.assert_allclose(np.linalg.norm(direction, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(directions["turned round"], -directions["learned"])


def test_the_mean_of_draws_follows_its_law():
    m, law = perfect_sampler(24, 0.7, 0.99, np.random.default_rng(0))
    assert abs(law["law"].iloc[0] - m**2) < 1e-12 and (law["value"] - law["law"]).abs().max() < 0.03
