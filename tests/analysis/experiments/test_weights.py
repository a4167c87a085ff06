"""The weight of the residual: rows of a split, directions, and the closed forms that the measurements follow."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.experiments import weights
from analysis.theory.bound import cosine
from analysis.theory.gamma import best_gamma, ceiling


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    data = replace(weights.pair_set("", 300, rng), group=np.arange(300))  # tells items apart in every part
    parts = zip(("train", "validation", "test"), data.split(0), strict=True)
    return data, {name: weights.rows(part, "image", "text") for name, part in parts}, rng


def test_a_row_is_a_pair_and_its_sibling_is_another_target_of_the_same_item(split):
    data, parts, _ = split
    test = parts["test"]
    assert len(test.z) == 5 * len(np.unique(test.group))
    assert np.abs(np.linalg.norm(test.z, axis=1) - 1).max() < 1e-6
    text = data.modality("text")
    for row in range(0, len(test.z), 17):
        item = int(np.flatnonzero(data.group == test.group[row])[0])
        own = [int(np.abs(text[item] - vector[row]).max(1).argmin()) for vector in (test.z, test.sibling)]
        assert own[0] != own[1] and np.abs(text[item][own[1]] - test.sibling[row]).max() < 1e-6


def test_every_direction_has_a_gain_that_the_calibration_does_not_lose(split):
    _, parts, rng = split
    held, test = parts["validation"], parts["test"]
    translators = weights.linear_translators(parts["train"], held, test, 32, rng)
    assert list(translators) == ["learned F", "random F", "mean F", "sample F"]
    measured = weights.measure(translators, held, test, 0.95)
    table = measured.table.set_index("name")
    assert (table["mismatch"] < 1e-6).all()
    assert table.loc["mean F", "cosine_calibrated"] > table.loc["mean F", "cosine_0"]
    assert table.loc["random F", "cosine_1"] < table.loc["random F", "cosine_0"]
    at_zero = measured.gain[measured.gain["gamma"] == 0.0]
    assert (at_zero["value"] == 0).all() and len(measured.curve) == 4 * len(weights.GAMMAS)
    fixed = weights.fixed_weights(translators["random F"], test, 0.6, 0.01)
    assert list(fixed["guaranteed"].values()) == sorted(fixed["guaranteed"].values(), reverse=True)


def test_gamma_is_chosen_and_its_limit_taken_by_groups(split):
    """The five captions of a picture say nearly the same: taken for independent rows they would fake certainty."""
    _, parts, rng = split
    held, test = parts["validation"], parts["test"]
    translators = weights.linear_translators(parts["train"], held, test, 32, rng)
    found = weights.measure(translators, held, test, 0.9)
    for name, chosen in found.calibrations.items():
        own = translators[name][0]
        assert chosen == best_gamma(*own, held.z, group=held.group, confidence=0.9)
        assert chosen.lower_limit <= best_gamma(*own, held.z, confidence=0.9).lower_limit
    assert found.calibrations["mean F"] != best_gamma(*translators["mean F"][0], held.z, confidence=0.9)
    table = found.table.set_index("name")
    assert table.loc["mean F", "certified"] == found.calibrations["mean F"].certified_gamma


@pytest.mark.parametrize(("s", "u"), [(0.3, 0.2), (0.7, -0.4), (0.5, 1.0)])
def test_orthogonal_rows_have_the_s_and_u_that_they_are_given(s, u):
    p, f, z = weights.orthogonal_rows(s, u, 12, np.random.default_rng(1))
    residual = z - p
    for product, value in (((p * residual).sum(1), 0), ((p * f).sum(1), 0), ((p * p).sum(1), s**2)):
        np.testing.assert_allclose(product, value, atol=1e-12)
    np.testing.assert_allclose((residual * f).sum(1), u * np.sqrt(1 - s**2), atol=1e-12)
    found = weights.equal_orthogonal(p, f, z, 0.4)
    np.testing.assert_allclose(cosine(found[1], found[0], found[2]), ((p + 0.4 * f) * z).sum(1) / np.hypot(s, 0.4))


def test_the_closed_forms_are_those_of_simulated_rows(split):
    _, parts, rng = split
    translators = weights.linear_translators(parts["train"], parts["validation"], parts["test"], 32, rng)
    table = weights.measure(translators, parts["validation"], parts["test"], 0.95).table
    best, perfect, even = weights.closed_forms(table, 0.6, 20, rng)
    for row in table.itertuples():
        assert abs(best[row.name] - row.best) < 1e-5
    np.testing.assert_allclose(perfect, ceiling(0.6))
    np.testing.assert_allclose(even, 0.6)
    for s in (0.05, 0.95, 0.999):
        np.testing.assert_allclose(weights.closed_forms(table, s, 20, rng)[2], s)
    assert not any(len(rows) for rows in weights.closed_forms(table, 1.0, 20, rng)[1:])
    assert weights.fixed_weights(translators["random F"], parts["test"], 1.0, 0.01)["at_one"]["needed"] is None
