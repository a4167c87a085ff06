"""Held-out pairs of a split, the sampler whose law is known, and directions to certify."""

import numpy as np
from scipy import stats

from analysis.experiments.limits_certificates import (
    alike,
    drawn,
    fitted,
    held_out,
    perfect_sampler,
    put_to_the_test,
    table,
    three_directions,
    validation_level,
)
from analysis.experiments.synthetic import synthetic_pairs
from analysis.theory.certify import Observed
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


def test_groups_are_drawn_whole_and_as_often_as_the_others():
    """Items 0 and 2 are a group, of one and two pairs; their pairs are not side by side."""
    population = Observed.of([0.1, 0.2, 0.3, 0.4], item=[0, 1, 2, 2], group=["a", "b", "a"])
    rng, seen = np.random.default_rng(1), {"a": 0, "b": 0}
    for _ in range(200):
        observed = drawn(population, 3, rng)
        assert observed.groups == 3 and observed.largest_group == 2
        for g in range(3):
            cosine = tuple(observed.cosine[observed.group[observed.item] == g])
            seen[{(0.1, 0.3, 0.4): "a", (0.2,): "b"}[cosine]] += 1
        assert observed.items == observed.group.size == 3 + (np.bincount(observed.group) == 2).sum()
    assert stats.binomtest(seen["a"], 600, 0.5).pvalue > 1e-6


def test_items_that_are_alike_share_a_group():
    grouped = alike(Observed.of(np.tile([0.2, 0.8], 40)), 0.5)
    assert grouped.groups == 4 and grouped.largest_group == 20
    assert grouped.of_groups(grouped.reached(0.5)).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_misses_are_few_for_certificates_and_many_where_pairs_are_taken_for_independent():
    rng = np.random.default_rng(2)
    level = rng.normal(0.5, 0.1, 200)[np.arange(800) // 4]
    pairs = Observed.of(np.clip(level + 0.02 * rng.standard_normal(800), -1, 1), item=np.arange(800) // 2)
    tested = put_to_the_test(pairs, 0.5, rng)
    statements = ["items", "groups", "cosines", "curve"]
    assert tested["runs"].to_list() == [100, 100, 2000]
    assert (tested["any"] <= tested["allowed"]).all() and (tested[statements].max(axis=1) <= tested["each"]).all()
    assert (tested["any"] >= tested[statements].max(axis=1)).all()
    assert tested.loc["one pair a group", "any"] > 0.05 * 2000  # confidence is .8, and close to what is said


def test_the_level_is_that_of_validation_pairs():
    held = held_out(synthetic_pairs(300, 8, 24, 0.7, 3, np.random.default_rng(0))[0], "image", "text", 0)
    level = validation_level(held)
    assert validation_level(held._replace(c=-held.c, z=-held.z)) == level
    assert 0.5 < level < 1
