"""Figures of sampling: the cosine against the size of a batch-wide norm's batch, and quality against DDIM steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from analysis.experiments.released import LINEAR, WHOLE
from analysis.experiments.sampling_steps import TOLERANCE, fewest_steps
from analysis.plots.style import COLUMN, GREY, LABELS, PAGE, RULE, colour, ends, note, over_seeds, panels, plain, seeds

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@plain
def batch_sizes(released_runs: pd.DataFrame) -> Figure:
    """What the released code's cosine measures: that of the linear map, the more rows share a norm."""
    figure, ((ax,),) = panels(2.4, width=COLUMN)
    of_batches(released_runs, ax)
    _floor(ax, released_runs["floor"].mean())
    return figure


@plain
def steps(steps_runs: pd.DataFrame) -> Figure:
    """Cosine, ranking and agreement of F against the number of DDIM steps, a line a training."""
    return _against_steps(steps_runs, ("cosine", "centered_recall_at_10", "agreement"), "F", PAGE)


@plain
def steps_whole(steps_runs: pd.DataFrame) -> Figure:
    """Cosine and ranking of cM + F against the number of DDIM steps, a line a training."""
    return _against_steps(steps_runs, ("cosine", "centered_recall_at_10"), "cM + F", 0.7 * PAGE)


def _against_steps(runs: pd.DataFrame, scores: tuple[str, ...], translation: str, width: float) -> Figure:
    figure, (axes,) = panels(2.4, len(scores), width=width)
    for ax, score in zip(axes, scores, strict=True):
        quality_against_steps(runs, score, translation, ax)
    ends(axes[-1])
    for ax, score in zip(axes, scores, strict=True):
        if score == "centered_recall_at_10":
            ax.axhline(10 / runs["gallery"].iloc[0], linestyle=":", **RULE)
            note(ax, "dotted: chance", (ax.get_xlim()[1], 0), (-1, 3), color=GREY)  # at chance there are lines
        elif score == "cosine":
            _floor(ax, runs.loc[runs["part"] == "test", "floor"].mean())
    figure.suptitle(
        f"${translation}$, {runs['route'].iloc[0]}, gallery {runs['gallery'].iloc[0]:.0f}, "
        f"{seeds(runs['seed'].nunique())}; a line: what the network predicts"
    )
    return figure


def _floor(ax: Axes, at: float) -> None:
    ax.axhline(at, linestyle="--", **RULE)
    note(ax, "floor", (ax.get_xlim()[0], at), (2, -8), color=GREY)


@plain
def of_batches(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Test cosine of c M + F against the rows that share a norm; dashed, c M alone. The range over seeds is shaded.

    `frame` is that of `analysis.experiments.released.released`, any seeds, one route or several.
    """
    ax = ax or plt.gca()
    for index, (route, part) in enumerate(frame.groupby("route", sort=False)):
        whole = part[part["translation"] == WHOLE].set_index("batch")["cosine"]
        look = {"linestyle": "-", "marker": "o", "label": f"{route}, $cM + F$"}
        sizes = over_seeds(whole, index, ax, **look).index
        linear = part.loc[part["translation"] == LINEAR, "cosine"].mean()
        ax.axhline(linear, color=colour(index), linestyle="--", linewidth=0.8, label=f"{route}, $cM$ alone")
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
    ax.minorticks_off()
    ax.set_xlabel("rows translated at once (1: one query)")
    ax.set_ylabel(LABELS["cosine"])
    ax.set_title(f"batch-wide norm, {seeds(frame['seed'].nunique())}")
    ax.legend()
    return ax


@plain
def quality_against_steps(
    frame: pd.DataFrame, score: str = "cosine", translation: str = "F", ax: Axes | None = None
) -> Axes:
    """Test score against the number of DDIM steps, a line a training, the range over seeds shaded.

    In the cosine's figure a dot marks the fewest steps that are within `TOLERANCE` of the best validation cosine.

    Parameters
    ----------
    frame : of `analysis.experiments.sampling_steps.sampling_steps`, any seeds, one route.
    score : `cosine`, `centered_recall_at_10` or `agreement`.
    translation : `F` or `cM + F`.
    """
    ax = ax or plt.gca()
    chosen = fewest_steps(frame).set_index(["translation", "trained"])["fewest"]
    shown = frame[(frame["part"] == "test") & (frame["translation"] == translation)]
    for index, (trained, part) in enumerate(shown.groupby("trained", sort=False)):
        spread = over_seeds(part.set_index("steps")[score], index, ax, label=trained)
        if score == "cosine":
            fewest = chosen[translation, trained]
            ax.plot(fewest, spread.loc[fewest, "mean"], "o", color=colour(index))
    ax.set_xscale("log")
    ticks = sorted(shown["steps"].unique())
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel("DDIM steps" + (f" (dot: fewest within {TOLERANCE:g})" if score == "cosine" else ""))
    ax.set_ylabel(LABELS[score])
    if score == "centered_recall_at_10":
        ax.set_ylim(bottom=0)
    return ax
