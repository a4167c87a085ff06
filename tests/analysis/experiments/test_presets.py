"""Which translator to choose: the front, the verdicts, and one comparison that runs."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from scipy import stats

from analysis.experiments.presets import (
    BOTH,
    DEFAULT,
    GOALS,
    JUDGED,
    RIVALS,
    gains,
    on_front,
    presets,
    verdicts,
)
from analysis.experiments.trial import SCORES, Trial
from analysis.paper.tables import mean_and_spread
from analysis.plots import presets as figure
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.vectors import unit


@st.composite
def tables(draw):
    values = draw(st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=12))
    return pd.DataFrame([{"route": d % 2, BOTH[0]: x / 6, BOTH[1]: y / 6} for d, x, y in values])


@given(tables())
def test_the_front_is_what_no_other_beats(table):
    for (_, row), found in zip(table.iterrows(), on_front(table), strict=True):
        others = table[table["route"] == row["route"]][list(BOTH)].to_numpy()
        mine = row[list(BOTH)].to_numpy(float)
        beaten = any((other >= mine).all() and (other > mine).any() for other in others)
        assert found != beaten


def told(default, rivals, *, seeds=2):
    """Scores of some seeds: of the default, and (score, gain, margin) of each rival, the same by every score."""
    rows = [{"method": DEFAULT, **dict.fromkeys(JUDGED, default)}]
    for name, (score, gain, margin) in rivals.items():
        rows.append({"method": name, **dict.fromkeys(JUDGED, score)})
        rows[-1] |= {f"{judged}_gain": gain for judged in JUDGED} | {f"{judged}_margin": margin for judged in JUDGED}
    return pd.DataFrame([{"route": "image → text", "seed": seed, **row} for seed in range(seeds) for row in rows])


@pytest.mark.parametrize(
    ("ridge", "kernel", "verdict"),
    [
        ((0.5, 0.1, 0.05), (0.4, 0.2, 0.05), "ahead"),
        ((0.5, 0.1, 0.05), (0.4, 0.2, 0.25), "level"),  # surely of the best rival, but not of the other one
        ((0.5, 0.1, 0.15), (0.4, 0.2, 0.05), "level"),
        ((0.7, -0.1, 0.15), (0.65, -0.05, 0.04), "behind"),  # surely of one, not the best
        ((0.6, 0.0, 0.0), (0.5, 0.1, 0.05), "level"),
        ((0.5, 0.1, np.nan), (0.4, 0.2, 0.05), "level"),  # of one group nothing is known
    ],
)
def test_ahead_of_all_behind_one_or_level(ridge, kernel, verdict):
    found = verdicts(told(0.6, {"ridge": ridge, "kernel ridge": kernel})).set_index("score")
    assert list(found["verdict"]) == [verdict] * 3 and set(found["rival"]) == {"ridge"}
    assert found.loc["cosine", "difference"] == pytest.approx(ridge[1])
    if np.isfinite(ridge[2]):
        assert found.loc["cosine", "high"] - found.loc["cosine", "low"] == pytest.approx(2 * ridge[2])


def test_one_seed_without_an_interval_leaves_none():
    told_twice = told(0.6, {"ridge": (0.5, 0.1, 0.05)})
    margins = [f"{name}_margin" for name in JUDGED]
    told_twice.loc[told_twice["seed"] == 0, margins] = np.nan
    assert set(verdicts(told_twice)["verdict"]) == {"level"}


def test_more_seeds_are_no_more_evidence():
    few, many = (verdicts(told(0.6, {"ridge": (0.5, 0.1, 0.15)}, seeds=seeds)) for seeds in (1, 9))
    pd.testing.assert_frame_equal(few, many)


def test_gains_are_paired_and_of_groups():
    """Copies of an item are no news, and what both methods find hard does not matter."""
    rng = np.random.default_rng(0)
    hard, gain, group = 10 * rng.random(30), 0.1 + 0.1 * rng.standard_normal(30), np.repeat(np.arange(30), 4)
    scores = {"ridge": dict.fromkeys(JUDGED, hard[group]), DEFAULT: dict.fromkeys(JUDGED, (hard + gain)[group])}
    found = gains(scores, group).set_index("method").loc["ridge"]
    assert found["cosine_gain"] == pytest.approx(gain.mean())
    assert found["cosine_margin"] == pytest.approx(stats.t.ppf(0.975, 29) * gain.std(ddof=1) / np.sqrt(30))
    two = gains(scores | {"MLP": scores["ridge"]}, group)
    assert two.loc[0, "cosine_margin"] == pytest.approx(
        stats.t.ppf(0.9875, 29) * gain.std(ddof=1) / np.sqrt(30)  # Bonferroni
    )


def test_level_translators_are_seldom_called_ahead():
    """400 sets of 5 splits of the same 200 items in groups of 4, two translators that are equally good on average.
    The mean over its standard deviation over splits, which ignores what these share, calls one ahead far more often.
    """
    rng, group, rows = np.random.default_rng(1), np.repeat(np.arange(50), 4), []
    for route in range(400):
        difference = np.repeat(rng.standard_normal(50), 4) + 0.1 * rng.standard_normal(200)  # of an item
        for seed in range(5):
            kept = np.isin(group, rng.choice(50, 25, replace=False))
            scores = {name: dict.fromkeys(JUDGED, x[kept]) for name, x in (("ridge", 0 * group), (DEFAULT, difference))}
            told = {"route": route, "seed": seed} | dict.fromkeys(JUDGED, 0.0)
            rows += [told | gains(scores, group[kept]).iloc[0].to_dict(), told | {"method": DEFAULT}]
    table = pd.DataFrame(rows)
    found = verdicts(table)
    for verdict in ("ahead", "behind"):
        false = ((found["verdict"] == verdict) & (found["score"] == "cosine")).sum()
        assert stats.binom.sf(false - 1, 400, 0.025) > 1e-4
    gained = table[table["method"] == "ridge"].groupby("route")["cosine_gain"]
    assert stats.binom.sf((gained.mean().abs() > gained.std()).sum() - 1, 400, 0.05) < 1e-4


@pytest.fixture(scope="module")
def compared():
    rng = np.random.default_rng(0)
    c = unit(rng.standard_normal((300, 6)))
    bent = np.tanh(3 * c @ rng.standard_normal((6, 8))) @ rng.standard_normal((8, 6)) + 1
    pairs = PairedEmbeddings({"image": c, "text": unit(bent + 0.3 * rng.standard_normal((300, 6)))})
    rivals = ("constant mean", "identity", "ridge", "ridge towards tI", "kernel ridge")
    return presets(Trial.of(pairs, "image", "text", 1), rivals)


def test_every_method_is_scored_on_the_same_test_items(compared):
    assert {f"calibrated, {goal}" for goal in GOALS} | {"identity", "kernel ridge"} <= set(compared["method"])
    assert not compared[[name for name in SCORES if name != "ceiling"]].isna().any().any()
    assert (compared["gallery"] == 60).all() and (compared["seed"] == 1).all()
    means = compared.set_index("method")
    assert means.loc["constant mean", "cosine"] == pytest.approx(means.loc["constant mean", "floor"], abs=1e-6)
    assert means.loc["calibrated, cosine", "cosine"] > means.loc["ridge", "cosine"] + 0.01  # the targets bend


def test_gains_are_differences_of_the_scores(compared):
    means = compared.set_index("method")
    for rival in RIVALS:
        for name in JUDGED if rival in means.index else ():
            assert means.loc[rival, f"{name}_gain"] == pytest.approx(means.loc[DEFAULT, name] - means.loc[rival, name])
            assert means.loc[rival, f"{name}_margin"] >= 0
    assert means.loc[["constant mean", DEFAULT], "cosine_gain"].isna().all()
    found = verdicts(compared).set_index("score")
    assert (found["difference"] - (found["calibrated"] - found["best"])).abs().max() < 1e-9
    straight = verdicts(compared[compared["method"] != "kernel ridge"]).set_index("score")
    assert straight.loc["cosine", "verdict"] == "ahead"  # of the linear maps, where the targets bend


def test_the_figure_names_every_method(compared):
    again = compared.assign(seed=2, cosine=compared["cosine"] + 0.01)
    table = mean_and_spread(pd.concat([compared, again]), ["route", "method"], [*SCORES, "seconds"])
    table["on_front"] = on_front(table)
    _, ax = plt.subplots()
    assert figure.front(table, ax=ax) is ax
    written = set(ax.get_legend_handles_labels()[1])
    assert written == set(compared["method"]) - set(figure.NOT_DRAWN)
    plt.close("all")
