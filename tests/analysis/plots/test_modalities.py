"""What the figures of speech and questions show, taken from the axes."""

import matplotlib

matplotlib.use("Agg")
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis.plots.modalities import answers, found


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def points(ax):
    """Of each point with a bar: where it is, and whether it is full."""
    found = []
    for container in ax.containers:
        line = container.lines[0]
        found.append((round(float(line.get_xdata()[0]), 3), line.get_markerfacecolor() != "white"))
    return found


def test_controls_show_paired_full_and_shuffled_open_beside_chance(ax):
    rows = [
        {
            "route": "a → b",
            "split": split,
            "training": training,
            "method": "ridge",
            "centered_recall_at_10": value + seed / 100,
        }
        | {"chance": 0.1, "gallery": 100}
        for split, paired in (("by group", 0.4), ("by item", 0.8))
        for training, value in (("paired", paired), ("shuffled", 0.1))
        for seed in (-1, 1)
    ]
    found(pd.DataFrame(rows), ax)
    assert points(ax) == [(0.4, True), (0.1, False), (0.8, True), (0.1, False)]
    assert [label.get_text().split("\n")[1] for label in ax.get_yticklabels()] == [
        "by group, gallery 100",
        "by item, gallery 100",
    ]
    assert ax.get_legend_handles_labels()[1] == ["chance", "ridge"]


def test_answers_show_every_method_of_every_kind(ax):
    rows = [
        {"kind": kind, "method": method, "accuracy": value, "questions": 30}
        for kind, value in (("all", 0.5), ("what", 0.9))
        for method in ("prior", "ridge", "ridge, shuffled")
    ]
    answers(pd.DataFrame(rows), ax)
    assert points(ax) == [(0.5, True), (0.5, True), (0.5, False), (0.9, True), (0.9, True), (0.9, False)]
    assert ax.get_xlim() == (0, 1)
