"""How every figure looks: a paper's column, STIX type, a colour-blind palette with a line style for each colour."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modtrans_core.store.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.4, 7.0
"""widths in inches: one column, both columns"""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, told apart by people with any kind of colour vision"""
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 3)), (0, (1, 1)))


@contextmanager
def paper_style() -> Iterator[None]:
    """Figures made inside look like the paper's. Needs no LaTeX."""
    import matplotlib as mpl
    from cycler import cycler

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
    """Write `out/figures/name.pdf` and `.png`; made twice, they are the same bytes."""
    for suffix, unset in ((".pdf", "CreationDate"), (".png", "Software")):
        with replacing(Path(out) / "figures" / f"{name}{suffix}") as temporary:
            figure.savefig(temporary, metadata={unset: None})
