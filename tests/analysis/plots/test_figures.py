"""Every figure by name, drawn again from its saved tables."""

import inspect
import os
import re
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pymupdf
import pytest
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from analysis.cli import VERBS_HERE
from analysis.paper.tables import save_data
from analysis.plots import certificates
from analysis.plots.figures import FIGURES, drawer, listed, remake, venue_size
from analysis.plots.style import Size, apart, beside, paper_style, save_figure
from modtrans_core.cli.verb import run

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
MADE = re.compile(r"make_figure\((?:\w+\.)?(\w+), out\)")
SAVED = re.compile(r'save_(?:data|table)\([^"]*?, out, "(\w+)"|save_(?:data|table)\(.*?, out, "(\w+)"')


@pytest.fixture
def results(tmp_path):
    """A paper's folder with the scores of notebook 04."""
    methods = ["constant mean", "ridge", "calibrated", "poster, gamma 0", "poster, 1 step"]
    rows = [
        {"route": route, "method": method, "seed": 0, "cosine": cosine, "floor": 0.4, "ceiling": None, "gallery": 50}
        | {"recall_at_10": 0.1 + number / 10, "centered_recall_at_10": 0.2 + number / 10}
        for route in ("image → text", "text → image")
        for number, (method, cosine) in enumerate(zip(methods, (0.4, 0.5, 0.6, -0.2, 0.55), strict=True))
    ]
    save_data(pd.DataFrame(rows), tmp_path / "notebooks" / "04_translation", "runs")
    return tmp_path


def test_the_figures_are_those_that_notebooks_make_from_tables_that_they_save():
    made = {}
    for notebook in NOTEBOOKS.glob("*.py"):
        text = notebook.read_text(encoding="utf-8")
        saved = {name for found in SAVED.findall(text) for name in found}
        for name in MADE.findall(text):
            made[name] = notebook.stem
            assert set(inspect.signature(drawer(name)).parameters) <= saved, f"{notebook.stem}: {name}"
    assert made == {name: notebook for name, (notebook, _) in FIGURES.items()}


def test_the_list_has_a_line_for_each():
    lines = listed().splitlines()
    assert [line.split()[0] for line in lines] == list(FIGURES) and all(line.endswith(".") for line in lines)


def test_a_figure_is_as_wide_as_wanted_and_its_type_as_large(results, capsys):
    told = ["figure", "cosine_recall", str(results), "--width", "5.5", "--font-size", "9", "--format", "pdf"]
    assert run(VERBS_HERE, "modtrans", "", [*told, "--out", str(results / "made")]) == 0
    (page,) = pymupdf.open(results / "made" / "figures" / "cosine_recall.pdf")
    assert page.rect.width == pytest.approx(5.5 * 72, abs=1)
    spans = [
        span for block in page.get_text("dict")["blocks"] for line in block["lines"] for span in line["spans"]
    ]  # fmt: skip
    assert {round(span["size"]) for span in spans} == {8, 9}
    assert {"calibrated", "ridge", "image → text, one seed"} <= {span["text"].strip() for span in spans}


def test_made_again_it_is_the_same_file(results):
    for folder in ("one", "two"):
        remake("cosine", results, results / folder, Size(), ("pdf",))
    one, two = ((results / folder / "figures" / "cosine.pdf").read_bytes() for folder in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("name", ["cosine", "cosine_recall"])
@pytest.mark.parametrize(
    "typed",
    [
        lambda table: table.astype({"route": "category", "method": "category", "seed": "category"}),
        lambda table: table.convert_dtypes(),
        lambda table: table.convert_dtypes(dtype_backend="pyarrow"),
    ],
)
def test_the_types_of_columns_make_no_other_picture(results, name, typed):
    table = pd.read_csv(results / "notebooks" / "04_translation" / "tables" / "runs.csv")
    pictures, given = [], typed(table)
    for one in (table, given):
        with warnings.catch_warnings(), paper_style():
            warnings.simplefilter("error")
            figure = drawer(name)(one)
            figure.canvas.draw()
            pictures.append(np.array(figure.canvas.buffer_rgba()))
            plt.close(figure)
    np.testing.assert_array_equal(*pictures)
    pd.testing.assert_frame_equal(given, typed(table))


def test_a_name_is_drawn_as_it_is_written():
    names = ["_mine", "$5 vs $6", "a $x_$ b", "ridge"]
    table = pd.DataFrame([{"name": name, "alpha": at, "observed": at} for name in names for at in (0.1, 0.9)])
    with paper_style():
        figure, ax = plt.subplots()
        certificates.reached(table.assign(low=np.nan, high=np.nan), ax)
        figure.canvas.draw()
        drawn = [in_letters(text) for text in ax.get_legend().get_texts()]
        plt.close(figure)
    assert drawn == [" _mine", *names[1:]]


def in_letters(text):
    """What is drawn of a text in which there is no formula."""
    plain, formula = text._preprocess_math(text.get_text())
    assert formula is False
    return plain


def test_every_figure_takes_its_tables_as_plain_columns():
    for name in FIGURES:
        assert hasattr(drawer(name), "__wrapped__") == bool(inspect.signature(drawer(name)).parameters), name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cosin"], "figure: 'cosin', one of"),
        (["steps"], "holds no tables/steps_runs.csv, of which notebook 08_released_and_sampling makes steps"),
        (["growth", "notebooks/04_translation"], "not the tables of growth: "),
        (["cosine", "--width", "0.1"], "width: 0.1, 1 to 40 inches is needed"),
        (["cosine", "--width", "1", "--font-size", "30"], "width, height: 1 and "),
        (["cosine", "--format"], "format: no value, at least one is needed"),
        (["cosine", "--font-size", "5"], "font-size: 5.0, 7 to 30 points is needed"),
        (["cosine", "--venue", "vogue"], "venue: 'vogue', one of"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(results, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(results)
    if len(arguments) != 2:
        arguments = [arguments[0], ".", *arguments[1:]]
    assert run(VERBS_HERE, "modtrans", "", ["figure", *arguments]) in (1, 2)
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and not (results / "figures").exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: "", "runs.csv: damaged or cut short (No columns to parse from file)"),
        (lambda text: text.splitlines()[0], "not the tables of cosine: "),
        (lambda text: re.sub(r"0\.\d+", "x", text), "not the tables of cosine: "),
        (lambda text: text.replace("cosine", "cosin"), "not the tables of cosine: "),
    ],
)
def test_tables_that_were_changed_are_one_line_that_names_them(results, capsys, spoil, words):
    table = results / "notebooks" / "04_translation" / "tables" / "runs.csv"
    table.write_text(spoil(table.read_text()))
    assert run(VERBS_HERE, "modtrans", "", ["figure", "cosine", str(results), "--out", str(results)]) == 1
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and "please report" not in said and str(results) in said


def test_a_venue_has_its_width_and_nothing_under_seven_points():
    assert venue_size("neurips2024") == Size(width=5.5, font=9)
    assert venue_size("icml2024").width == 3.25 and venue_size("icml2024").font >= 7


def test_names_beside_points_do_not_overlap_and_stay_within_the_axes():
    places = np.array([0.98, 1.0, 0.99, 0.02, 0.5])
    moved = apart(places, 0.1)
    assert np.diff(np.sort(moved)).min() > 0.0999 and moved.min() >= 0 and moved.max() <= 1
    assert (np.argsort(moved) == np.argsort(places)).all() and moved[4] == 0.5
    with paper_style():
        figure, ax = plt.subplots()
        ax.set(xlim=(0, 1), ylim=(0, 1))
        beside(ax, [(f"name {number}", 0.5, 0.5, "k") for number in range(6)])
        figure.canvas.draw()
        boxes = sorted((Text.get_window_extent(text) for text in ax.texts), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))
    plt.close(figure)


def test_a_backend_that_is_none_is_named():
    said = subprocess.run(
        [sys.executable, "-c", "import analysis.plots.style"], env={**os.environ, "MPLBACKEND": "none"}, text=True,
        capture_output=True,
    )  # fmt: skip
    assert said.stderr.splitlines()[-1] == (
        "ValueError: MPLBACKEND: 'none', a backend of matplotlib, such as agg, is needed"
    )


@pytest.mark.parametrize("backend", ["module://of_an_editor", "module://of_its_time", "pgf"])
def test_a_backend_that_cannot_draw_is_not_needed(tmp_path, monkeypatch, backend):
    """As a terminal or an editor sets it for its own Python; `pgf` draws by LaTeX."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "of_its_time.py").write_text("class FigureCanvasOfIt: pass")
    monkeypatch.syspath_prepend(tmp_path)
    with plt.rc_context({"backend": backend}):
        with paper_style():
            save_figure(plt.figure(), tmp_path, "a")
        assert plt.get_backend() == ("pgf" if backend == "pgf" else "agg")
        plt.switch_backend("agg")
    assert (tmp_path / "figures" / "a.png").stat().st_size > 0


def test_a_canvas_that_only_shows_is_not_asked_to_write(tmp_path):
    class Shown(FigureCanvasAgg):
        def print_png(self, *_):
            raise TypeError("a terminal is needed")

    figure = plt.figure()
    Shown(figure)
    save_figure(figure, tmp_path, "a")
    assert (tmp_path / "figures" / "a.png").stat().st_size > 0
