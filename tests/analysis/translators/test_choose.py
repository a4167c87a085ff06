"""Choosing among candidates: sums over pairs, the mean over items, and the fit to all pairs in the end."""

import numpy as np
import pytest

import modtrans_core as mt
from analysis.translators.choose import Rows, chosen, grid, judge, judge_ranking
from modtrans_core.pairing import Pairing
from modtrans_core.vectors import unit


def several(rng, n=30):
    """Pictures with 1 to 4 captions each."""
    counts = rng.integers(1, 5, n)
    return rng.normal(size=(n, 5)), rng.normal(size=(n, 4, 3)), counts


def every_pair(c, z, counts):
    item = np.repeat(np.arange(len(c)), counts)
    captions = np.concatenate([z[i, :count] for i, count in enumerate(counts)])
    return unit(c[item]).astype(np.float64), unit(captions).astype(np.float64)


class Line:
    """zhat = c A."""

    def __init__(self, A):
        self.A = A

    def translate(self, c):
        return c @ self.A


class TestRows:
    def test_targets_of_one_condition_are_averaged(self, rng, pairing):
        c, z, counts = several(rng)
        rows = Rows.of(pairing(c, z, counts))
        np.testing.assert_array_equal(rows.weight, counts)
        np.testing.assert_allclose(rows.c, unit(c), atol=1e-6)
        np.testing.assert_allclose(rows.z[3], unit(z[3, : counts[3]]).mean(0), atol=1e-6)

    def test_centred_products_are_sums_over_all_pairs(self, rng, pairing):
        c, z, counts = several(rng)
        mean_c, mean_z, C, Z = Rows.of(pairing(c, z, counts)).centred()
        pair_c, pair_z = every_pair(c, z, counts)
        np.testing.assert_allclose(mean_c, pair_c.mean(0), atol=1e-6)
        np.testing.assert_allclose(mean_z, pair_z.mean(0), atol=1e-6)
        centred = pair_c - pair_c.mean(0)
        np.testing.assert_allclose(C.T @ C, centred.T @ centred, atol=1e-5)
        np.testing.assert_allclose(C.T @ Z, centred.T @ (pair_z - pair_z.mean(0)), atol=1e-5)

    def test_several_pairings_are_one_after_the_other(self, rng, pairing):
        c, z, counts = several(rng)
        both = Rows.of(pairing(c[:20], z[:20], counts[:20]), pairing(c[20:], z[20:], counts[20:]))
        for joined, whole in zip(both, Rows.of(pairing(c, z, counts)), strict=True):
            np.testing.assert_array_equal(joined, whole)

    def test_several_conditions_of_an_item(self, rng):
        c, z, counts = several(rng)
        pairs = mt.PairedEmbeddings({"image": c, "text": z}, {"text": counts})
        rows = Rows.of(Pairing(pairs, "text", "image"))
        np.testing.assert_array_equal(rows.weight, np.ones(counts.sum()))
        np.testing.assert_allclose(rows.z, unit(c)[np.repeat(np.arange(30), counts)], atol=1e-6)


class TestJudge:
    @pytest.mark.parametrize(("source", "target"), [("image", "text"), ("text", "image")])
    @pytest.mark.parametrize(("by", "score"), [(judge, "cosine"), (judge_ranking, "recall_at_10")])
    def test_it_is_what_a_translator_is_scored_with(self, rng, source, target, by, score):
        c, z, counts = several(rng)
        pairing = Pairing(mt.PairedEmbeddings({"image": c, "text": z}, {"text": counts}), source, target)
        line = Line(rng.normal(size=(pairing.k, pairing.d)))
        scored = mt.score(
            line.translate(unit(pairing.c)), np.asarray(pairing.targets), pairing.counts,
            mean=pairing.mean(), item=pairing.item,
        )  # fmt: skip
        assert by(pairing)(line) == pytest.approx(scored[score], abs=1e-6)


class TestChosen:
    def test_the_best_on_validation_is_fitted_to_all_pairs(self, rng, pairing):
        c = rng.normal(size=(40, 3))
        truth = rng.normal(size=(3, 3))
        train, validation = pairing(c[:30], c[:30] @ truth), pairing(c[30:], c[30:] @ truth)
        seen, steps = [], []

        def solver(rows):
            def solve(setting):
                seen.append((len(rows.c), setting))
                return Line(truth + setting * np.ones((3, 3)))

            return solve

        chosen(solver, [5.0, 0.0, 1.0], train, validation, lambda *step: steps.append(step))
        assert seen == [(30, 5.0), (30, 0.0), (30, 1.0), (40, 0.0)]
        assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def test_one_setting_is_not_judged(self, rng, pairing):
        c = rng.normal(size=(40, 3))
        seen = []
        chosen(
            lambda rows: lambda s: seen.append((len(rows.c), s)),
            [2.0],
            pairing(c[:30], c[:30]),
            pairing(c[30:], c[30:]),
        )
        assert seen == [(40, 2.0)]


def test_a_grid_has_both_ends():
    np.testing.assert_allclose(grid(-2, 3), 10.0 ** np.arange(-2, 3.5, 0.5))
    assert grid(0, 0) == (1.0,)
