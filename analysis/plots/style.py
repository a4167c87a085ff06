"""How every figure looks: a paper's column, STIX type, a colour-blind palette with a line style for each colour."""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from analysis.experiments.frames import of_numpy
from modtrans_core.checks import place, refuse_unless, refuse_unless_in
from modtrans_core.store.files import replacing_results
from modtrans_core.store.headers import reading

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = TypeVar("Draw", bound=Callable[..., Any])

FORMATS = ("pdf", "png")
"""of figures, the last one shown in notebooks"""
COLUMN, PAGE = 3.4, 7.0
"""widths in inches: one column, both columns"""
SMALLEST = 7.0
"""points, the least size of type that a figure has"""


@dataclass(frozen=True)
class Size:
    """How large a figure and its type are, in inches and points. No width or height: what the figure takes by itself.

    Raises
    ------
    ValueError
        A width or height that is not within 1 to 40 inches, type that is not within 7 to 30 points.
    """

    width: float | None = None
    height: float | None = None
    font: float = 8.0

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            value = getattr(self, name)
            refuse_unless(value is None or 1 <= value <= 40, name, value, "1 to 40 inches")
        refuse_unless(SMALLEST <= self.font <= 30, "font-size", self.font, f"{SMALLEST:g} to 30 points")


def plain(draw: Draw) -> Draw:
    """A function of tables whose columns are numpy's: categories become their values, and what is missing NaN.

    Texts of a table are drawn as they are written: no `$` begins a formula, and no `_` hides a name from a legend.
    """

    @wraps(draw)
    def drawn(*tables: Any, **named: Any) -> Any:
        return draw(*map(_plain, tables), **{name: _plain(value) for name, value in named.items()})

    return cast(Draw, drawn)


def _plain(value: Any) -> Any:
    import pandas as pd

    if not isinstance(value, pd.DataFrame):
        return value
    value = of_numpy(value)
    texts = [name for name, dtype in value.dtypes.items() if dtype.kind == "O" and name not in KEYS]
    return value.assign(**{name: [_as_written(one) for one in value[name]] for name in texts})


def _as_written(value: Any) -> Any:
    return re.sub(r"(?<!\\)\$", r"\\$", re.sub("^_", " _", value)) if isinstance(value, str) else value


KEYS = ("key", "query", "identity")
"""columns of items, which are looked up, and of formulas"""
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
PREDICTED = {"eps": r"$\epsilon$", "x0": "$x_0$", "v": "$v$", "v, joint": "$v$, joint"}


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


def in_print(method: str) -> str:
    """A method's name as a figure has it: gamma as the letter, what a network predicts as a formula."""
    return PREDICTED.get(method, re.sub(r"(?<!\\)gamma", r"$\\gamma$", method))


def seeds(count: int) -> str:
    """How many seeds, or splits, a figure is of: one has no spread."""
    return "one seed" if count == 1 else f"{count} seeds"


def rows(ax: Axes, names: list[str]) -> None:
    """Name the rows of a figure, the first on top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)


def note(ax: Axes, text: str, at: tuple[Any, Any], by: tuple[float, float] = (3, 3), **look: Any) -> None:
    """A note in small type beside the point `at`, so many points of type away from it."""
    look = {"fontsize": _small(), "ha": "right" if by[0] < 0 else "left", **look}
    ax.annotate(text, at, by, textcoords="offset points", **look)


def beside(ax: Axes, names: Iterable[tuple[str, float, float, Any]]) -> None:
    """Names right of the axes, each at the height of its point and joined to it, moved apart where they would overlap.

    Call it when the limits of the axes are set.

    Parameters
    ----------
    names : (name, x, y, colour), of the end of a line or of a point.
    """
    wanted = [(name, (x, y), ink) for name, x, y, ink in names if np.isfinite(x) and np.isfinite(y)]
    to_axes = ax.transData + ax.transAxes.inverted()
    places = np.array([np.clip(to_axes.transform(at)[1], 0.0, 1.0) for _, at, _ in wanted])
    size = _small()
    line = 1.2 * size / (ax.get_window_extent().height / ax.figure.dpi * 72)
    for (name, at, ink), height in zip(wanted, apart(places, line), strict=True):
        arrow = {
            "arrowstyle": "-",
            "color": ink,
            "linewidth": 0.4,
            "alpha": 0.6,
            "shrinkA": 0,
            "shrinkB": 1,
            "relpos": (0, 0.5),
        }
        look: dict[str, Any] = {"va": "center", "color": ink, "fontsize": size, "arrowprops": arrow}
        place: dict[str, Any] = {"xytext": (1.03, height), "textcoords": "axes fraction", "annotation_clip": False}
        ax.annotate(in_print(name), at, **place, **look)


def apart(places: np.ndarray, least: float) -> np.ndarray:
    """The places (n,) in [0, 1], each moved as little as it takes for `least` between any two, in the same order.

    Examples
    --------
    >>> [float(place) for place in apart(np.array([0.5, 0.5, 0.9]), 0.2).round(1)]
    [0.4, 0.6, 0.9]
    """
    order = np.argsort(places, kind="stable")
    groups: list[list[float]] = []  # of each run of neighbours: their wanted places, less what lies below in the run
    for at in places[order]:
        groups.append([float(at)])
        while len(groups) > 1 and _start(groups[-2], least) + least * len(groups[-2]) > _start(groups[-1], least):
            last = groups.pop()
            groups[-1] += last
    found = [_start(group, least) + least * number for group in groups for number in range(len(group))]
    moved = np.empty(len(places))
    moved[order] = found
    return moved


def _start(group: list[float], least: float) -> float:
    extent = least * (len(group) - 1)
    return float(np.clip(np.mean(group) - extent / 2, 0.0, max(0.0, 1.0 - extent)))


def ends(ax: Axes) -> None:
    """Name every labelled line at its right end, in place of a legend."""
    drawn = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
    last = [np.asarray(line.get_xydata(), dtype=float) for line in drawn]
    last = [points[np.isfinite(points).all(axis=1)][-1] for points in last]
    beside(ax, [(str(line.get_label()), *at, line.get_color()) for line, at in zip(drawn, last, strict=True)])


def panels(height: float, columns: int = 1, rows: int = 1, width: float = PAGE, **options: Any) -> tuple[Figure, Any]:
    """A figure and its axes (rows, columns), as large as wanted, unless `paper_style` has another size for it."""
    from matplotlib import pyplot as plt

    size = (_SIZE[-1].width or width, _SIZE[-1].height or height)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, **options)


def by_route(table: pd.DataFrame, height: float) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """A panel of that height for each `route` of a table, two in a row, and the lines of the table that it shows."""
    parts = [part for _, part in table.groupby("route", sort=False)]
    high = (len(parts) + 1) // 2
    figure, axes = panels(height * high, min(2, len(parts)), high)
    for ax in axes.flat[len(parts) :]:
        ax.set_axis_off()
    return figure, list(zip(axes.flat, parts, strict=False))


def figures(name: str, formats: Sequence[str] = FORMATS) -> list[str]:
    """The files of a figure, below its folder."""
    return [f"figures/{name}.{suffix}" for suffix in formats]


def make_figure(draw: Callable[..., Figure], results: str | Path, out: str | Path = "", **how: Any) -> list[Path]:
    """Draw a figure from the saved tables of a run, by which anyone can make it again, and save it.

    Parameters
    ----------
    draw : its name is the figure's, and its arguments are named after the tables that it reads.
    results : folder with `tables/<argument>.csv`; an argument with a default may have no table.
    out : as for `save_figure`. Default: `results`.
    how : `size` and `formats` of `save_figure`.
    """
    import pandas as pd

    tables = {}
    for name, argument in inspect.signature(draw).parameters.items():
        file = Path(results) / "tables" / f"{name}.csv"
        if file.exists() or argument.default is argument.empty:
            with reading(file):
                tables[name] = pd.read_csv(file, float_precision="round_trip", keep_default_na=False, na_values=[""])
    with paper_style(how.get("size", Size())):
        try:
            figure = draw(**tables)
        except Exception as error:  # tables that were changed, or are another figure's, raise anything
            why = f"{error} is missing" if isinstance(error, LookupError) else " ".join(str(error).split())
            raise ValueError(f"{Path(results) / 'tables'}: not the tables of {draw.__name__}: {why}") from error
    return save_figure(figure, out or results, draw.__name__, **how)


_SIZE = [Size()]


def _small() -> float:
    """Points of small type, of the style that is in force."""
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=mpl.rcParams["legend.fontsize"]).get_size_in_points())


@contextmanager
def paper_style(size: Size = _SIZE[0]) -> Iterator[None]:
    """Figures made inside look like the paper's, or have the size that is given. Needs no LaTeX."""
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib import pyplot as plt

    backend = mpl.get_backend()
    try:  # what the backend sets when it is first loaded is not of this style
        plt.switch_backend("agg" if backend == "pgf" else backend)
    except Exception:  # such as the `module://` of a terminal or an editor, which is not installed here or of its time
        plt.switch_backend("agg")
    settings = {
        "figure.figsize": (COLUMN, 2.4),
        "figure.dpi": 150,
        "figure.constrained_layout.use": True,
        "savefig.dpi": 300,
        "font.family": "STIXGeneral",
        "mathtext.fontset": "stix",
        "font.size": size.font,
        "axes.titlesize": size.font,
        "figure.titlesize": size.font,
        "axes.labelsize": size.font,
        **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), max(SMALLEST, size.font - 1)),
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
    _SIZE.append(size)
    try:
        with mpl.rc_context():
            mpl.rcdefaults()  # not on top of the caller's style
            mpl.rcParams.update(settings)
            yield
    finally:
        _SIZE.pop()
        with suppress(Exception):
            plt.switch_backend(backend)


_DATED = {"pdf": "CreationDate", "png": "Software", "svg": "Date"}
"""formats of figures, and what each would say of the day or the program"""


def save_figure(
    figure: Figure,
    out: str | Path,
    name: str,
    *,
    size: Size = _SIZE[0],
    formats: tuple[str, ...] = FORMATS,
) -> list[Path]:
    """Write `out/figures/name` in these formats and the paper's style; made twice, they are the same bytes.

    A notebook shows the file itself: once the cell has ended its style is gone, and mathematics has another font.

    Returns
    -------
    The files.
    """
    from matplotlib import pyplot as plt
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    refuse_unless(bool(re.fullmatch(r"[\w-]+", name)), "name", name, "letters, digits, _ and - alone")
    for suffix in formats:
        refuse_unless_in("format", suffix, _DATED)
    names = figures(name, formats)
    FigureCanvasAgg(figure)  # some backend's own canvas draws to a terminal alone
    with replacing_results(place("out", out)) as results:
        for file in [results / one for one in names]:
            file.parent.mkdir(exist_ok=True)
            unset = _DATED[file.suffix[1:]]
            try:
                with paper_style(size), warnings.catch_warnings():
                    warnings.filterwarnings("error", "constrained_layout not applied")
                    figure.canvas.draw()  # the layout of axes of equal aspect settles at the second drawing
                    figure.savefig(file, metadata={unset: None}, format=file.suffix[1:])
            except UserWarning:
                width, height = figure.get_size_inches()
                found = f"{width:g} and {height:g} inches"
                raise ValueError(f"width, height: {found}, larger ones or smaller type are needed") from None
    files = [Path(out) / one for one in names]
    notebook = sys.modules.get("IPython")
    if notebook and getattr(notebook.get_ipython(), "kernel", None):
        picture = notebook.display.Image(str(files[-1]), width=round(96 * figure.get_figwidth()))
        notebook.display.display(picture)
    plt.close(figure)
    return files
