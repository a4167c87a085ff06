"""Which translator to choose: the front, the verdicts, and one comparison that runs."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from analysis.experiments.presets import BOTH, GOALS, JUDGED, on_front, presets, verdicts
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


def scores(**methods):
    """Seeds of each method: (cosine, recall@1, recall@10)."""
    return pd.DataFrame(
        [
            {"route": "image → text", "method": name, "seed": seed, **dict(zip(JUDGED, values, strict=True))}
            for name, seeds in methods.items()
            for seed, values in enumerate(seeds)
        ]
    )


def test_verdicts_are_of_the_best_rival_and_seed_by_seed():
    """The rivals' own spread over seeds is large, and does not matter: the difference is the same in every seed."""
    found = verdicts(
        scores(
            **{
                "ridge": [(0.5, 0.1, 0.3), (0.7, 0.1, 0.3), (0.6, 0.1, 0.3)],
                "kernel ridge": [(0.4, 0.2, 0.3), (0.6, 0.3, 0.3), (0.5, 0.2, 0.4)],
                "calibrated, balanced": [(0.51, 0.1, 0.3), (0.711, 0.2, 0.4), (0.609, 0.1, 0.2)],
            }
        )
    ).set_index("score")
    assert list(found["rival"]) == ["ridge", "kernel ridge", "kernel ridge"]
    assert list(found["verdict"]) == ["ahead", "behind", "level"]
    assert found.loc["cosine", "difference"] == pytest.approx(0.01)
    assert found.loc["cosine", "difference_sd"] == pytest.approx(np.std([0.01, 0.011, 0.009], ddof=1))


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


def test_the_figure_names_every_method(compared):
    again = compared.assign(seed=2, cosine=compared["cosine"] + 0.01)
    table = mean_and_spread(pd.concat([compared, again]), ["route", "method"], [*SCORES, "seconds"])
    table["on_front"] = on_front(table)
    _, ax = plt.subplots()
    assert figure.front(table, ax=ax) is ax
    written = set(ax.get_legend_handles_labels()[1])
    assert written == set(compared["method"]) - set(figure.NOT_DRAWN)
    plt.close("all")
