"""Speech and questions: what is found beside what has to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.plots.style import GREY, LABELS, PAGE, panels, plain, point, rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOK = {"ridge": 0, "calibrated": 1, "prior": 2}
"""of a method, in both panels"""


@plain
def controls(control_runs: pd.DataFrame, question_runs: pd.DataFrame | None = None) -> Figure:
    """What is found of pairs as they are and of shuffled ones, and, where there are any, the questions answered."""
    columns = 1 if question_runs is None else 2
    routes = control_runs["route"].nunique()
    figure, (axes,) = panels(0.8 + 0.8 * routes, columns, width=PAGE * columns / 2)
    found(control_runs, axes[0]).legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    if question_runs is not None:
        answers(question_runs, axes[1]).legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


@plain
def found(scores: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Centered recall@10 by pairs as they are (full) and shuffled (open), a row a route and split; the cross is chance.

    `scores` is that of `analysis.experiments.modalities.controlled`; bars are the standard deviation over seeds.
    """
    ax = ax or plt.gca()
    methods = list(scores["method"].unique())
    cells = list(scores.groupby(["route", "split"], sort=False))
    for y, (_, cell) in enumerate(cells):
        ax.plot(cell["chance"].mean(), y, "x", color=GREY, label="chance" if y == 0 else None, zorder=3)
        for (method, training), own in cell.groupby(["method", "training"], sort=False):
            full, at = training == "paired", y + _apart(methods.index(method), len(methods))
            label = method if y == 0 and full else None
            _point(own["centered_recall_at_10"], at, LOOK.get(method, len(LOOK)), full, label, ax)
    rows(ax, [f"{route}\n{split}, gallery {cell['gallery'].mean():.0f}" for (route, split), cell in cells])
    ax.set_xlim(left=0)
    ax.set_xlabel(f"{LABELS['centered_recall_at_10']} (open: shuffled pairs)")
    return ax


@plain
def answers(scores: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The share of right answers, a row a kind of question; `scores` is that of `modalities.questions`."""
    ax = ax or plt.gca()
    methods = list(scores["method"].unique())
    cells = list(scores.groupby("kind", sort=False))
    for y, (_, cell) in enumerate(cells):
        for method, own in cell.groupby("method", sort=False):
            fitted, _, shuffled = method.partition(", ")
            label, at = method if y == 0 else None, y + _apart(methods.index(method), len(methods))
            _point(own["accuracy"], at, LOOK.get(fitted, len(LOOK)), not shuffled, label, ax)
    rows(ax, [f"{kind}\n{cell['questions'].mean():.0f} questions" for kind, cell in cells])
    ax.set_xlim(0, 1)
    ax.set_xlabel("share of right answers")
    return ax


def _apart(index: int, of: int) -> float:
    return 0.5 * ((index + 0.5) / of - 0.5)


def _point(values: pd.Series, y: float, index: int, full: bool, label: str | None, ax: Axes) -> None:
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    ax.errorbar(values.mean(), y, xerr=spread, elinewidth=0.6, label=label, **point(index, full))
