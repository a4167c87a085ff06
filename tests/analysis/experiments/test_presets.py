"""Which translator to choose: paired gains, verdicts on tables made by hand, and one comparison that runs."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from analysis.experiments.presets import (
    AT_RIDGE,
    GOALS,
    JUDGED,
    as_text,
    duels,
    gains,
    item_scores,
    ours,
    rankings,
    routes,
    theirs,
    together,
    verdicts,
)
from analysis.experiments.trial import SCORES, Trial
from analysis.paper.tables import mean_and_spread
from analysis.plots import presets as figure
from modtrans_core import preset
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.scores import hits
from modtrans_core.vectors import unit, unit_targets

R1 = "ranked_recall_at_1"


def told(points, rivals, margin=0.05, *, seeds=2):
    """Gains of some seeds. points, rivals: name -> (cosine, recall); margin: of all, or of (score, point, rival)."""
    rows = []
    scores = (*JUDGED, AT_RIDGE)
    for seed, score, (point, own), (rival, other) in product(range(seeds), scores, points.items(), rivals.items()):
        if score == AT_RIDGE and rival != "identity":
            continue
        of_point, of_rival = (values[score != "cosine"] for values in (own, other))
        width = margin.get((score, point, rival), 0.05) if isinstance(margin, dict) else margin
        row = {"score": score, "point": point, "rival": rival, "of_point": of_point, "of_rival": of_rival}
        rows.append({**row, "gain": of_point - of_rival, "margin": width, "route": "image → text", "seed": seed})
    return pd.DataFrame(rows)


def judged(*given, **options):
    """The duel of each (score, rival)."""
    return duels(told(*given, **options)).set_index(["score", "rival"])


class TestDuels:
    @pytest.mark.parametrize(
        ("rival", "margin", "verdict"),
        [
            (0.5, 0.05, "ahead"),
            (0.5, 0.15, "level"),
            (0.7, 0.05, "behind"),
            (0.6, 0.0, "level"),
            (0.5, np.nan, "level"),
        ],
    )
    def test_ahead_behind_or_level(self, rival, margin, verdict):
        found = judged({"a": (0.6, 0.6)}, {"ridge": (rival, rival)}, margin).loc["cosine", "ridge"]
        assert found["verdict"] == verdict and found["difference"] == pytest.approx(0.6 - rival)
        if np.isfinite(margin):
            assert found["high"] - found["low"] == pytest.approx(2 * margin)

    def test_the_cosine_is_that_of_the_best_point(self):
        found = judged({"a": (0.62, 0.2), "b": (0.6, 0.4)}, {"ridge": (0.58, 0.1)})
        assert found.loc[("cosine", "ridge"), "point"] == "a"

    @pytest.mark.parametrize(
        ("cosine", "point", "comparable"),
        [
            (0.70, "c", False),  # better than all of ours
            (0.625, "a", True),
            (0.609, "b", True),  # b gives up .009 of cosine
            (0.591, "b", True),  # and c .011
            (0.589, "c", True),
            (0.571, "c", True),
            (0.569, "c", False),  # worse than all of ours
        ],
    )
    def test_a_ranking_is_the_best_of_comparable_points(self, cosine, point, comparable):
        points = {"a": (0.62, 0.2), "b": (0.6, 0.3), "c": (0.58, 0.4)}
        row = judged(points, {"ridge": (0.1, 0.1), "MLP": (cosine, 0.1)}).loc[R1, "MLP"]
        assert (row["point"], row["comparable"]) == (point, comparable)
        assert judged(points, {"MLP": (cosine, 0.1)}).loc[("cosine", "MLP"), "comparable"]

    def test_the_condition_itself_at_ridges_cosine(self):
        points = {"a": (0.62, 0.5), "b": (0.6, 0.7), "c": (0.5, 0.9)}
        found = judged(points, {"identity": (0.1, 0.74), "ridge": (0.605, 0.1)}).loc[AT_RIDGE]
        assert list(found.index) == ["identity"] and found.loc["identity", "point"] == "b"
        assert found.loc["identity", "difference"] == pytest.approx(-0.04)
        assert AT_RIDGE not in judged(points, {"ridge": (0.605, 0.1)}).index

    def test_more_seeds_are_no_more_evidence(self):
        given = {"a": (0.6, 0.6)}, {"ridge": (0.5, 0.5)}, 0.15
        pd.testing.assert_frame_equal(judged(*given, seeds=1), judged(*given, seeds=9))

    def test_one_seed_without_an_interval_leaves_none(self):
        table = told({"a": (0.6, 0.6)}, {"ridge": (0.5, 0.5)})
        table.loc[table["seed"] == 0, "margin"] = np.nan
        assert set(duels(table)["verdict"]) == {"level"}


POINTS = {"a": (0.62, 0.5), "b": (0.6, 0.6)}


class TestVerdicts:
    def of(self, rivals, margin=0.01):
        return verdicts(duels(told(POINTS, rivals, margin))).set_index("score")

    def test_ahead_of_all(self):
        found = self.of({"ridge": (0.6, 0.4), "MLP": (0.55, 0.5)})
        assert set(found["verdict"]) == {"ahead"} and found["reached"].all() and set(found["not_ahead"]) == {""}
        assert found.loc["cosine", "rival"] == "ridge" and found.loc[R1, "rival"] == "ridge"  # MLP is not comparable

    def test_level_with_one_that_is_not_the_best(self):
        margin = {("cosine", "a", "MLP"): 0.2}
        found = self.of({"ridge": (0.6, 0.4), "MLP": (0.55, 0.5)}, {**margin, ("cosine", "a", "ridge"): 0.01})
        row = found.loc["cosine"]
        assert (row["verdict"], row["rival"], row["not_ahead"], row["reached"]) == ("level", "MLP", "MLP", False)

    def test_behind_one(self):
        row = self.of({"ridge": (0.6, 0.4), "kernel ridge": (0.6, 0.7), "MLP": (0.6, 0.595)}).loc[R1]
        assert (row["verdict"], row["rival"], row["reached"]) == ("behind", "kernel ridge", False)
        assert row["not_ahead"] == "kernel ridge, MLP" and row["difference"] == pytest.approx(-0.1)

    @pytest.mark.parametrize(("itself", "reached"), [(0.59, True), (0.6, True), (0.605, False)])
    def test_at_least_as_good_as_the_condition_itself(self, itself, reached):
        row = self.of({"ridge": (0.6, 0.4), "identity": (0.1, itself)}, 0.02).loc[AT_RIDGE]
        assert row["reached"] == reached and row["verdict"] == "level"

    def test_what_is_not_reached_is_said_with_its_numbers(self):
        table = duels(told(POINTS, {"ridge": (0.6, 0.4), "kernel ridge": (0.61, 0.7), "MLP": (0.2, 0.8)}, 0.015))
        rows = [
            {"route": "image → text", "method": name, "seed": seed, "floor": 0.4, "gallery": 100, "cosine": 0.6}
            | dict.fromkeys(
                [f"{way}recall_at_{k}" for way in ("", "centered_", "own_", "ranked_") for k in (1, 10)], 0.3
            )
            | {"seconds": 1.0}
            for name in ("ridge", "kernel ridge", "a", "b")
            for seed in range(2)
        ]
        text = as_text(pd.DataFrame(rows), table)
        assert "not reached: cosine" in text and "not reached: R@1" in text
        assert "b 0.600, kernel ridge 0.700 (R@1, at cosines 0.600 and 0.610): -0.100, -0.115 to -0.085, behind" in text
        assert "a 0.620, kernel ridge 0.610 (cosine): +0.010, -0.005 to +0.025, level" in text
        other = text.split("whose cosines are others:\n")[1]
        assert other.startswith(
            "    b 0.600, MLP 0.800 (R@1, at cosines 0.600 and 0.200): -0.200, -0.215 to -0.185, behind"
        )
        assert "a rival by the best" in text.splitlines()[-2]
        assert "seeds 2" in text and "gallery 100" in text and text.count("ridge 0.400") == 0


class TestGains:
    def test_they_are_paired_and_of_groups(self):
        """Copies of an item are no news, and what both methods find hard does not matter."""
        rng = np.random.default_rng(0)
        hard, gain, group = 10 * rng.random(30), 0.1 + 0.1 * rng.standard_normal(30), np.repeat(np.arange(30), 4)
        items = {"ridge": dict.fromkeys(JUDGED, hard[group]), "a": dict.fromkeys(JUDGED, (hard + gain)[group])}
        found = gains(items, ["a"], group).set_index("score").loc["cosine"]
        assert (found["point"], found["rival"]) == ("a", "ridge") and found["gain"] == pytest.approx(gain.mean())
        error = gain.std(ddof=1) / np.sqrt(30)
        assert found["margin"] == pytest.approx(stats.t.ppf(0.975, 29) * error)
        for other, several in ((hard[group], 4), (items["a"]["cosine"], 2)):  # the same point again is one
            more = gains(items | {"MLP": items["ridge"], "b": dict.fromkeys(JUDGED, other)}, ["a", "b"], group)
            assert len(more) == 4 * len(JUDGED)
            assert more.loc[0, "margin"] == pytest.approx(stats.t.ppf(1 - 0.025 / several, 29) * error)  # Bonferroni

    def test_level_translators_are_seldom_called_ahead(self):
        """400 sets of 5 splits of the same 200 items in groups of 4, two translators that are equally good on average.
        The mean over its standard deviation over splits, which ignores what these share, calls one ahead far oftener.
        """
        rng, group, tables = np.random.default_rng(1), np.repeat(np.arange(50), 4), []
        for route in range(400):
            difference = np.repeat(rng.standard_normal(50), 4) + 0.1 * rng.standard_normal(200)  # of an item
            for seed in range(5):
                kept = np.isin(group, rng.choice(50, 25, replace=False))
                items = {name: dict.fromkeys(JUDGED, x[kept]) for name, x in (("ridge", 0 * group), ("a", difference))}
                tables.append(gains(items, ["a"], group[kept]).assign(route=route, seed=seed))
        table = pd.concat(tables)
        found = duels(table)
        for verdict in ("ahead", "behind"):
            false = ((found["verdict"] == verdict) & (found["score"] == "cosine")).sum()
            assert stats.binom.sf(false - 1, 400, 0.025) > 1e-4
        gained = table[table["score"] == "cosine"].groupby("route")["gain"]
        assert stats.binom.sf((gained.mean().abs() > gained.std()).sum() - 1, 400, 0.05) < 1e-4


class TestRoutes:
    pairs = PairedEmbeddings({name: np.ones((2, 3)) for name in ("image", "text", "sound")})

    def test_those_named_or_image_and_text_or_the_two_there_are(self):
        assert routes(self.pairs) == [("image", "text"), ("text", "image")]
        assert routes(self.pairs, "sound", "text") == [("sound", "text"), ("text", "sound")]
        two = PairedEmbeddings({name: np.ones((2, 3)) for name in ("place", "name")})
        assert routes(two) == [("place", "name"), ("name", "place")]

    @pytest.mark.parametrize("one", ["image", "text", "sound"])
    def test_of_one_that_is_named_the_other_is_the_usual_one(self, one):
        other = {"image": "text", "text": "image", "sound": "text"}[one]
        assert routes(self.pairs, source=one)[0] == (one, other)
        other = {"image": "text", "text": "image", "sound": "image"}[one]
        assert routes(self.pairs, target=one)[0] == (other, one)
        two = PairedEmbeddings({name: np.ones((2, 3)) for name in ("place", "name")})
        assert routes(two, source="name") == routes(two, target="place") == [("name", "place"), ("place", "name")]

    @pytest.mark.parametrize("named", [("smell", ""), ("image", "smell"), ("text", "text")])
    def test_others_are_refused(self, named):
        with pytest.raises(ValueError, match="source, target: .*, two of the modalities image, text, sound is needed"):
            routes(self.pairs, *named)


@pytest.fixture(scope="module")
def trial():
    rng = np.random.default_rng(0)
    c = unit(rng.standard_normal((300, 6)))
    bent = np.tanh(3 * c @ rng.standard_normal((6, 8))) @ rng.standard_normal((8, 6)) + 1
    texts = unit(bent[:, None] + 0.3 * rng.standard_normal((300, 2, 6)))
    pairs = PairedEmbeddings({"image": c, "text": texts}, {"text": 1 + np.arange(300) % 2})
    return Trial.of(pairs, "image", "text", 1)


@pytest.fixture(scope="module")
def compared(trial):
    rivals = ("constant mean", "identity", "ridge", "ridge towards tI", "kernel ridge")
    return together(ours(trial), theirs(trial, rivals))


def test_a_rival_is_set_otherwise_where_that_is_said(trial, compared):
    stiff = theirs(replace(trial, rows=[], answered={}), {"ridge": {"penalty": 1e4}}).scores
    assert stiff["cosine"].item() < compared.scores.set_index("method").loc["ridge", "cosine"] - 0.01


def gallery_of(trial):
    """Unit targets (n, m, d), their counts, and the item of each target."""
    z, counts = unit_targets(np.asarray(trial.test.targets), trial.test.counts)
    return z, counts, np.repeat(np.arange(len(z)), counts)


class TestRankings:
    def test_ours_is_what_rank_finds(self, trial):
        fitted = trial.fit(preset("calibrated"))
        z, counts, owner = gallery_of(trial)
        found = fitted.rank(np.asarray(trial.test.c), z[np.arange(z.shape[1]) < counts[:, None]], k=1)[0][:, 0]
        recall = item_scores(trial, fitted)["ranked_recall_at_1"]
        np.testing.assert_array_equal(recall, owner[found] == np.arange(len(z)))
        assert 0 < recall.sum() < len(z)

    def test_a_rival_may_correct_for_hubs(self, trial):
        """CSLS as it was published: 2 cos(q, g) - r(q) - r(g), r the mean over the ten nearest."""
        fitted = trial.fit(preset("ridge"))
        z, counts, owner = gallery_of(trial)
        zhat = fitted.translate(np.asarray(trial.test.c))
        ways = [hits(*way, counts, None, (1,))[0] for way in rankings(trial, fitted, zhat, z, counts)]
        there = z[np.arange(z.shape[1]) < counts[:, None]]
        bank = unit(fitted.translate(np.asarray(trial.train.c)))
        near = [np.sort(side, axis=1)[:, -10:].mean(1) for side in (unit(zhat) @ there.T, there @ bank.T)]
        score = 2 * unit(zhat) @ there.T - near[0][:, None] - near[1]
        np.testing.assert_array_equal(ways[1], owner[score.argmax(1)] == np.arange(len(z)))
        assert len(ways) == 6 and (ways[0] != ways[1]).any()
        best = item_scores(trial, fitted)["ranked_recall_at_1"].mean()
        assert best == pytest.approx(max(way.mean() for way in ways))

    def test_a_rival_has_the_ranking_that_finds_most(self, trial, compared):
        rows = compared.scores.set_index("method")
        for method in ("identity", "ridge", "kernel ridge"):
            for k in (1, 10):
                ways = [rows.loc[method, f"{way}recall_at_{k}"] for way in ("", "centered_", "own_")]
                assert rows.loc[method, f"ranked_recall_at_{k}"] >= max(ways) - 1e-9
        for goal in GOALS:
            row = rows.loc[f"calibrated, {goal}"]
            assert row["ranked_recall_at_1"] == pytest.approx(row["own_recall_at_1"])

    def test_the_mean_alone_finds_by_chance(self, trial):
        class Mean:
            def translate(self, c):
                return np.broadcast_to(trial.mean, (len(c), 6))

        found = item_scores(trial, Mean())
        assert found["ranked_recall_at_10"].mean() == pytest.approx(10 / 60)


class TestCompared:
    def test_every_method_is_scored_on_the_same_test_items(self, compared):
        scores = compared.scores
        assert {f"calibrated, {goal}" for goal in GOALS} | {"identity", "kernel ridge"} <= set(scores["method"])
        assert not scores[[name for name in SCORES if name != "ceiling"]].isna().any().any()
        assert (scores["gallery"] == 60).all() and (scores["seed"] == 1).all()
        means = scores.set_index("method")
        assert means.loc["constant mean", "cosine"] == pytest.approx(means.loc["constant mean", "floor"], abs=1e-6)
        assert means.loc["calibrated, cosine", "cosine"] > means.loc["ridge", "cosine"] + 0.01  # the targets bend

    def test_gains_are_differences_of_the_scores(self, compared):
        means = compared.scores.set_index("method")
        assert len(compared.gains) == (len(JUDGED) * 5 + 1) * len(GOALS)
        for row in compared.gains.to_dict("records"):
            scores = ("ranked_recall_at_1", "recall_at_1") if row["score"] == AT_RIDGE else (row["score"], row["score"])
            ours, theirs = (means.loc[row[of], score] for of, score in zip(("point", "rival"), scores, strict=True))
            assert (row["of_point"], row["of_rival"]) == pytest.approx((ours, theirs))
            assert row["gain"] == pytest.approx(ours - theirs) and row["margin"] >= 0
        found = duels(compared.gains).set_index(["score", "rival"])
        assert found.loc[("cosine", "ridge"), "verdict"] == "ahead"  # of a linear map, where the targets bend

    def test_the_figure_names_every_method(self, compared):
        again = compared.scores.assign(seed=2, cosine=compared.scores["cosine"] + 0.01)
        both = pd.concat([compared.scores, again])
        both = pd.concat([both, both.assign(route="other")])
        table = mean_and_spread(both, ["route", "method"], [*SCORES, *JUDGED[1:], "seconds"])
        drawn = figure.front(table)
        for ax in drawn.axes:
            ours = {f"calibrated, {goal}" for goal in GOALS}
            named = {text.get_text() for text in ax.texts}
            assert named == {"ridge", "ridge towards tI", "kernel ridge", "the condition itself"} | ours
        assert [ax.get_title().split(",")[0] for ax in drawn.axes] == ["image → text", "other"]
        plt.close("all")

    def test_what_is_far_to_the_left_is_drawn_at_the_edge_with_its_cosine(self, compared):
        away = compared.scores["method"].isin(["calibrated, retrieval", "kernel ridge"])
        low = compared.scores.assign(cosine=compared.scores["cosine"].mask(away, -0.9))
        table = mean_and_spread(pd.concat([low, low]), ["route", "method"], [*SCORES, *JUDGED[1:], "seconds"])
        (drawn, *_) = figure.front(table).axes
        written = {text.get_text() for text in drawn.texts}
        assert {"calibrated, retrieval (at -0.90)", "kernel ridge (at -0.90)", "calibrated, cosine"} <= written
        assert drawn.get_xlim()[0] > -0.8
        barred = [bar.has_xerr for bar in drawn.containers]
        assert sum(barred) == len(barred) - 2, "a bar is not where its cosine is"
        plt.close("all")
