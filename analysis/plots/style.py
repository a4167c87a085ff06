"""How every figure looks: a paper's column, STIX type, a colour-blind palette with a line style for each colour."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modtrans_core.store.files import replacing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.4, 7.0
"""widths in inches: one column, both columns"""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, told apart by people with any kind of colour vision"""
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 3)), (0, (1, 1)))
MARKERS = "osD^v<>*"
INK, GREY, PALE = "0.25", "0.5", "0.85"
"""what is measured in one colour, what it is compared with, and what lies behind"""
RULE: dict[str, Any] = {"color": GREY, "linewidth": 0.8}
"""a line that values are compared with: dashed for a floor, dotted for others"""
ZERO: dict[str, Any] = {"color": GREY, "linewidth": 0.6, "linestyle": "-", "zorder": 0}
BAND: dict[str, Any] = {"alpha": 0.2, "linewidth": 0}
"""an interval, or the range over seeds"""
NOTE = 6
"""size of type beside a point"""
LABELS = {
    "cosine": "test cosine",
    "centered_recall_at_1": "centered recall@1",
    "centered_recall_at_10": "centered recall@10",
    "ranked_recall_at_1": "ranked recall@1",
    "agreement": "cosine of two samples",
    "energy": "energy score",
    "energy_leading": "energy score, 16 directions",
    "best_recall_at_10": "recall@10 of the best draw",
    "set_size": "share of the gallery in a set",
}
"""score -> what it is called on an axis"""


def colour(index: int) -> str:
    """The colour of the line or point with this number."""
    return COLOURS[index % len(COLOURS)]


def line(index: int) -> dict[str, Any]:
    """Colour and line style of the line with this number."""
    return {"color": colour(index), "linestyle": LINES[index % len(LINES)]}


def point(index: int, full: bool = True) -> dict[str, Any]:
    """Colour and marker, full or open, of the points with this number."""
    face = {} if full else {"markerfacecolor": "white"}
    return {"color": colour(index), "marker": MARKERS[index % len(MARKERS)], "linestyle": "none", **face}


def over_seeds(values: pd.Series, index: int, ax: Axes, **style: Any) -> pd.DataFrame:
    """Draw the mean of the values at each place of their index, and the range over seeds behind; return all three."""
    spread = values.groupby(level=0).agg(["mean", "min", "max"])
    ax.plot(spread.index, spread["mean"], **{**line(index), **style})
    ax.fill_between(spread.index, spread["min"], spread["max"], color=colour(index), **BAND)
    return spread


def rows(ax: Axes, names: list[str]) -> None:
    """Name the rows of a figure, the first on top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)


@contextmanager
def paper_style() -> Iterator[None]:
    """Figures made inside look like the paper's. Needs no LaTeX."""
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib import pyplot as plt

    plt.switch_backend(mpl.get_backend())  # what the backend sets when it is first loaded is not of this style
    settings = {
        "figure.figsize": (COLUMN, 2.4),
        "figure.dpi": 150,
        "figure.constrained_layout.use": True,
        "savefig.dpi": 300,
        "font.family": "STIXGeneral",
        "mathtext.fontset": "stix",
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "legend.fontsize": 6.5,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "lines.linewidth": 1.1,
        "lines.markersize": 3.5,
        "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=LINES),
        "pdf.fonttype": 42,
        "svg.hashsalt": "modtrans",
    }
    with mpl.rc_context(settings):
        yield


def save_figure(figure: Figure, out: str | Path, name: str) -> None:
    """Write `out/figures/name.pdf` and `.png` in the paper's style; made twice, they are the same bytes.

    A notebook shows the file itself: once the cell has ended its style is gone, and mathematics has another font.
    """
    from matplotlib import pyplot as plt

    files = {suffix: Path(out) / "figures" / f"{name}{suffix}" for suffix in (".pdf", ".png")}
    for suffix, unset in ((".pdf", "CreationDate"), (".png", "Software")):
        with paper_style(), replacing(files[suffix]) as temporary:
            figure.savefig(temporary, metadata={unset: None})
    notebook = sys.modules.get("IPython")
    if notebook and getattr(notebook.get_ipython(), "kernel", None):
        plt.close(figure)
        picture = notebook.display.Image(str(files[".png"]), width=round(96 * figure.get_figwidth()))
        notebook.display.display(picture)
