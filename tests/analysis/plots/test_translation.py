"""The figure of the front page."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis.plots.style import in_print, paper_style
from analysis.plots.translation import cosine, cosine_and_recall, cosine_recall, summary


def test_what_is_far_below_the_floor_is_beyond_a_break_and_leaves_room_for_the_others():
    cosines = {"constant mean": 0.67, "ridge": 0.74, "poster, 50 steps": 0.63, "poster, gamma 0": -0.37}
    scores = pd.DataFrame({"method": list(cosines), "cosine": list(cosines.values()), "seed": 0, "route": "a → b"})
    with paper_style():
        figure, ax = plt.subplots()
        summary(scores.assign(floor=0.67, ceiling=None), ax)
        figure.canvas.draw()
    left, right = ax.get_xlim()
    assert 0.5 < left < 0.63 and right < 0.8
    notes = {text.get_text(): text.get_window_extent() for text in ax.texts}
    assert set(notes) == {"0.670", "0.740", "0.630", "−0.370", "//", "floor 0.670"}
    frame = ax.get_window_extent()
    broken = notes.pop("//")
    assert all(box.x0 >= frame.x0 - 1 and box.y0 >= frame.y0 for box in notes.values()), "each is to be seen"
    assert all(ax.transData.transform((tick, 0))[0] > broken.x1 for tick in ax.get_xticks()), "it has no scale there"
    floor = ax.transData.transform((0.67, 0))[0]
    assert not any(box.x0 < floor < box.x1 for box in notes.values()), "no note is struck by the floor"
    assert "poster, $\\gamma$ 0" in [label.get_text() for label in ax.get_yticklabels()]
    plt.close(figure)


@pytest.mark.parametrize("floor", [0.3, 0.2, -0.9])
@pytest.mark.parametrize("cosines", [[0.2, 0.1], [0.2, 0.2], [0.2, -0.9], [-0.8, -0.9], [0.2, np.nan]])
def test_methods_below_the_floor_are_drawn_where_they_are(cosines, floor):
    scores = pd.DataFrame({"method": ["ridge", "other"], "cosine": cosines, "seed": 0, "route": "a → b"})
    scores = scores.assign(floor=floor, ceiling=None, recall_at_10=0.1, centered_recall_at_10=0.2, gallery=20)
    best = np.nanmax(cosines)
    with paper_style():
        figure, (left, right) = plt.subplots(1, 2)
        summary(scores, left)
        low, high = left.get_xlim()
        assert low < min(floor, best) <= max(floor, best) < high
        cosine_and_recall(scores, right)
        figure.canvas.draw()
    drawn = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "o" and line.get_markersize() < 5]
    named = [text.get_text() for text in right.texts]
    for at, own, name in zip(drawn, cosines, named, strict=False):
        assert np.isnan(own) or at == own or (own < at <= min(floor, best) and f"(at {own:.2f})" in name)
    plt.close(figure)


@pytest.mark.parametrize("routes", [1, 2, 3, 4])
def test_routes_are_two_in_a_row_however_many_there_are(routes):
    scores = pd.DataFrame({"method": ["calibrated", "ridge"] * routes, "cosine": [0.6, 0.5] * routes, "seed": 0})
    scores["route"] = np.repeat([f"set {number}, image → text" for number in range(routes)], 2)
    scores = scores.assign(floor=0.3, ceiling=None, recall_at_10=0.1, centered_recall_at_10=0.2, gallery=20)
    for draw in (cosine, cosine_recall):
        with paper_style():
            figure = draw(scores)
            figure.canvas.draw()
        drawn = [ax for ax in figure.axes if ax.axison]
        titles = [ax.title.get_window_extent() for ax in drawn]
        assert len(drawn) == routes and figure.get_figheight() == 2.8 * ((routes + 1) // 2)
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in titles)
        plt.close(figure)


def test_no_cosine_at_all_is_said():
    none = pd.DataFrame(
        {"method": ["ridge"], "cosine": [np.nan], "floor": 0.3, "ceiling": None, "seed": 0, "route": "a"}
    )
    for draw in (summary, cosine_and_recall):
        with pytest.raises(ValueError, match=r"^cosine: \[nan\], a number for one method or more is needed"):
            draw(none)
        with pytest.raises(ValueError, match=r"^cosine: \[\], a number for one method or more is needed"):
            draw(none[:0])
    plt.close("all")


def test_nothing_is_smaller_than_seven_points():
    with paper_style():
        sizes = [plt.rcParams[f"{part}.labelsize"] for part in ("axes", "xtick", "ytick")]
        assert min(plt.rcParams["legend.fontsize"], plt.rcParams["font.size"], *sizes) >= 7
    assert in_print("ridge + best gamma F") == "ridge + best $\\gamma$ F"
