"""Tables and figures as files."""

import re
import shutil
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from subprocess import run

import nbformat
import numpy as np
import pandas as pd
import pymupdf
import pytest
from matplotlib import pyplot as plt
from nbclient import NotebookClient
from PIL import Image

from analysis.paper.tables import BETWEEN, LETTER, PAGE, _printed, latex, mean_and_spread, nested, save_table
from analysis.plots.style import line, paper_style, point, save_figure


def test_a_table_keeps_every_digit_in_csv_and_rounds_in_latex(tmp_path):
    frame = pd.DataFrame({"method_name": ["ridge & co", "50%"], "cosine": [1 / 3, None], "n": [10, 20]})
    save_table(frame, tmp_path, "t")
    assert pd.read_csv(tmp_path / "tables" / "t.csv")["cosine"][0] == 1 / 3
    lines = (tmp_path / "tables" / "t.tex").read_text().splitlines()
    assert lines[1] == r"\begin{tabular}{lrr}" and lines[3] == r"method name & cosine & n \\"
    assert lines[5:7] == [r"ridge \& co & 0.333 & 10 \\", r"50\% & -- & 20 \\"]


def awkward():
    """What a table can hold: names with signs of LaTeX, a sentence, one seed, many columns."""
    frame = pd.DataFrame(
        {"route": ["image → text | 5% & <b>", "a_b ^ ~ \\ # {x} $"], "method": ["ridge + gamma F", "√2 × γ"]}
    )
    for number in range(14):
        frame = frame.assign(
            **{f"centered_recall_at_{number}": [0.5, -0.25], f"centered_recall_at_{number}_sd": [0.01, None]}
        )
    why = ["a sentence that is far too long for one line of any column " * 2, None]
    return frame.assign(
        runs=[3, 1], why=why, where=["analysis.theory.gamma.a_function_of_a_long_name", "tests/a/b_c.py"]
    )


def test_a_value_and_its_deviation_share_a_cell_and_one_seed_has_none():
    text = latex(awkward())
    assert r"$0.500 \pm 0.010$" in text and "$-0.250$ &" in text and "sd" not in text.replace("\\smallskip", "")
    assert "centered R@3" in text and r"ridge + $\gamma$ F" in text
    assert r"theory.\allowbreak gamma.\allowbreak a\_\allowbreak function" in text, (
        "a name in code stays, and can break"
    )


def test_no_table_is_wider_than_a_page_and_every_row_has_its_cells():
    blocks = re.findall(r"\\begin{tabular}{(.*?)}\n(.*?)\\end{tabular}", latex(awkward()), re.S)
    assert len(blocks) > 1, "what is wider goes on below"
    for kinds, body in blocks:
        columns = len(re.sub(r"p{\w+}?", "l", kinds))
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {columns}
        width = sum(
            max(_printed(cell.strip().removesuffix(r" \\")) for cell in column)
            for column in zip(*(re.split(r"(?<!\\)&", line) for line in lines), strict=True)
        )
        assert width * LETTER + columns * BETWEEN <= PAGE or "p{" in kinds


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs a LaTeX")
def test_tables_compile_within_a_page(tmp_path):
    rules = "".join(rf"\let\{rule}\hline" for rule in ("toprule", "midrule", "bottomrule"))  # booktabs comes by itself
    head = rf"\documentclass{{article}}{rules}\textwidth={PAGE}pt\begin{{document}}\noindent"
    (tmp_path / "t.tex").write_text(f"{head}\n{latex(awkward())}\\end{{document}}", encoding="utf-8")
    found = run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0 and "Overfull" not in found.stdout, found.stdout[-1500:]


@pytest.mark.parametrize(
    ("value", "sd", "shown"),
    [
        (-0.0, None, "0.000"),
        (-0.0, 0.01, r"$0.000 \pm 0.010$"),
        (1e-5, None, "1.0e-05"),
        (1e-5, 1e-6, r"$1.0e-05 \pm 1.0e-06$"),
        (1e-5, 0.02, r"$0.000 \pm 0.020$"),
        (np.True_, None, "yes"),
    ],
)
def test_a_cell_says_what_its_value_is(value, sd, shown):
    table = pd.DataFrame({"x": pd.Series([value, 0.5], dtype=object), **({} if sd is None else {"x_sd": [sd, sd]})})
    assert latex(table).splitlines()[5] == f"{shown} " + r"\\"


def test_missing_values_and_categories_are_those_of_pandas():
    table = pd.DataFrame({"m": ["a", "a", None, None], "v": [1.0, 2.0, 3.0, 5.0]})
    for typed in (table, table.convert_dtypes(), table.astype({"m": pd.CategoricalDtype(["a", "b"])})):
        found = mean_and_spread(typed, ["m"], ["v"])
        assert found["v"].tolist() == [1.5, 4.0] and found["runs"].tolist() == [2, 2]
        assert latex(typed).count("-- & ") == 2


def test_mean_and_spread_of_runs():
    frame = pd.DataFrame({"method": ["a", "a", "b"], "cosine": [0.2, 0.4, 0.5]})
    table = mean_and_spread(frame, ["method"], ["cosine"]).set_index("method")
    assert table.loc["a", "cosine"] == 0.30000000000000004 and abs(table.loc["a", "cosine_sd"] - 0.02**0.5) < 1e-12
    assert list(table["runs"]) == [2, 1] and pd.isna(table.loc["b", "cosine_sd"])


def test_figures_are_reproducible_to_the_byte_and_leave_no_style_behind(tmp_path):
    before = dict(plt.rcParams)
    for folder in ("one", "two"):
        with paper_style():
            figure, ax = plt.subplots()
            ax.plot([0, 1], [0, 1])
            save_figure(figure, tmp_path / folder, "line")
        plt.close(figure)
    for suffix in ("pdf", "png"):
        files = [(tmp_path / folder / "figures" / f"line.{suffix}").read_bytes() for folder in ("one", "two")]
        assert files[0] == files[1]
    assert dict(plt.rcParams) == before


@pytest.mark.parametrize(
    "own",
    [
        {"text.usetex": True},
        {"axes.grid": True, "lines.marker": "o", "axes.titlelocation": "left", "axes.facecolor": "red"},
        {"savefig.bbox": "tight", "savefig.transparent": True, "figure.autolayout": True, "svg.fonttype": "none"},
        "dark_background",
    ],
)
def test_a_style_of_ones_own_makes_no_other_figure_and_stays(tmp_path, own):
    def made(folder):
        with paper_style():
            figure, ax = plt.subplots()
            ax.plot([0, 1], [0, 1], label="x")
            ax.set_title("$x^2$")
            ax.legend()
        return [file.read_bytes() for file in save_figure(figure, tmp_path / folder, "line", formats=("pdf", "svg"))]

    expected = made("one")
    with plt.style.context(own):
        before = dict(plt.rcParams)
        assert made("two") == expected
        assert dict(plt.rcParams) == before


def test_a_table_as_mappings_keeps_its_order_and_types():
    frame = pd.DataFrame({"pair": ["b", "b", "a"], "method": ["x", "y", "x"], "n": [1, 2, 3], "said": ["p", "q", "r"]})
    found = nested(frame, "pair", "method")
    assert list(found) == ["b", "a"] and found["b"]["y"] == {"n": 2, "said": "q"}
    twice = nested(frame.assign(seed="0"), "pair", "method", "seed")
    assert list(twice["b"]) == ["x, 0", "y, 0"]


def test_a_figure_that_is_saved_outside_the_style_has_its_fonts(tmp_path):
    with paper_style():
        figure, ax = plt.subplots()
        ax.set_title("words")
    save_figure(figure, tmp_path, "f")
    plt.close(figure)
    assert b"Type3" not in (tmp_path / "figures" / "f.pdf").read_bytes()


def test_every_line_and_point_of_a_figure_has_its_own_look():
    assert len({str(line(index)) for index in range(7)}) == len({str(point(index)) for index in range(7)}) == 7
    assert point(2, full=False)["markerfacecolor"] == "white" and "markerfacecolor" not in point(2)


def test_a_notebook_shows_every_figure_as_it_is_in_its_file(tmp_path):
    draw = """with style.paper_style():
    figure = law.plt.figure()
    figure.suptitle(r"$\\gamma$ {0}")
    style.save_figure(figure, ".", "{0}")"""
    head = "from analysis.plots import law, style"
    cells = [nbformat.v4.new_code_cell(code) for code in (head, *(draw.format(number) for number in range(3)))]
    book = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(book, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [b64decode(output.data["image/png"]) for cell in book.cells for output in cell.outputs]
    assert shown == [(tmp_path / "figures" / f"{number}.png").read_bytes() for number in range(3)]
    for number, png in enumerate(shown):
        with Image.open(BytesIO(png)) as picture:
            assert [round(dots) for dots in picture.info["dpi"]] == [300, 300]
        (page,) = pymupdf.open(tmp_path / "figures" / f"{number}.pdf")
        assert {font[2] for font in page.get_fonts()} == {"Type0"}  # TrueType, by the numbers of its glyphs


def test_nothing_but_the_style_saves_a_figure():
    """So that every figure has its fonts and its dots."""
    root = Path(__file__).parent.parent.parent
    files = [file for folder in ("analysis", "modtrans_core", "notebooks") for file in (root / folder).rglob("*.py")]
    assert [file.name for file in files if "savefig(" in file.read_text(encoding="utf-8")] == ["style.py"]


def test_no_cell_is_an_option_of_the_line_before_it_or_a_paragraph():
    import pandas as pd

    said = latex(pd.DataFrame({"method": ["[ours] kNN", "*best", "a\n\nb"], "cosine": [0.1, 0.2, 0.3]}))
    lines = said.splitlines()
    assert "{}[ours] kNN & 0.100" in said and "{}*best & 0.200" in said and "a  b & 0.300" in said
    assert "" not in lines and not any(line.startswith(("[", "*")) for line in lines)
