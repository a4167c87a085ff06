"""The notebooks as files, and the strict runner."""

import json
import re
from pathlib import Path

import jupytext
import nbformat
import pytest

from analysis.paper import runner as notebooks

FOLDER = Path(__file__).parent.parent / "notebooks"
TEXTS = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_twins_agree_and_hold_no_outputs(text):
    twin = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(twin)
    written = [(cell.cell_type, cell.source) for cell in jupytext.read(text).cells]
    assert [(cell.cell_type, cell.source) for cell in twin.cells] == written
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in twin.cells)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_notebook_states_its_question_and_its_parameters(text):
    cells = jupytext.read(text).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ") and len(code) <= 15
    assert not re.search(r"\d+ (s|seconds?|min|minutes?|hours?)\b", cells[0].source), "times are in paper.toml"
    parameters = notebooks.parameters(text.with_suffix(".ipynb"))
    assert "out" in parameters
    for name, parameter in parameters.items():
        assert parameter["help"], f"{name} has no help"
        assert parameter["inferred_type_name"] in ("int", "float", "str", "bool"), f"{name} states no plain type"
    assert "assert " in code[-1].source and "write_metrics(" in code[-1].source


def notebook(folder, body, parameters='n: int = 3  # how many\nname: str = "x"  # a name\nrate: float = 0.5  # a rate'):
    cells = [
        nbformat.v4.new_code_cell(f'out: str = ""  # folder\n{parameters}', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(body),
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = folder / "toy.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"m": 3}, "toy: no parameter 'm'; it has out, n, name, rate"),
        ({"n": 3.5}, "parameter 'n' is 3.5, a value of type int"),
        ({"n": "3"}, "parameter 'n' is '3'"),
        ({"n": True}, "parameter 'n' is True"),
        ({"name": 3}, "type str"),
        ({"rate": "fast"}, "type float"),
    ],
)
def test_an_unknown_or_ill_typed_parameter_is_refused_before_anything_runs(tmp_path, values, words):
    with pytest.raises(ValueError, match=words):
        notebooks.run(notebook(tmp_path, "raise SystemExit"), tmp_path / "out", values)
    assert not (tmp_path / "out").exists()


def test_an_int_is_a_float_and_results_are_put_in_place(tmp_path):
    body = (
        "from analysis.paper.runner import write_metrics\nwrite_metrics(out, dict(n=n, rate=rate, none=float('nan')))"
    )
    path = notebook(tmp_path, body)
    metrics = notebooks.run(path, tmp_path / "out", {"n": 7, "rate": 1})
    assert metrics == {"n": 7, "rate": 1, "none": None}
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == metrics
    assert nbformat.read(tmp_path / "out" / "toy.ipynb", as_version=4).cells[-1].execution_count
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out", "toy.ipynb"]


def test_a_failed_run_keeps_the_earlier_results_and_says_where_it_failed(tmp_path):
    good = notebook(tmp_path, "from analysis.paper.runner import write_metrics\nwrite_metrics(out, {'n': n})")
    notebooks.run(good, tmp_path / "out")
    before = (tmp_path / "out" / "metrics.json").read_text()
    bad = notebook(tmp_path, "assert n < 0, 'n is too large'")
    with pytest.raises(RuntimeError, match="toy: AssertionError: n is too large"):
        notebooks.run(bad, tmp_path / "out")
    assert (tmp_path / "out" / "metrics.json").read_text() == before
    assert (tmp_path / "out.failed.ipynb").exists()


def test_a_notebook_without_metrics_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match=r"did not write metrics.json"):
        notebooks.run(notebook(tmp_path, "n"), tmp_path / "out")


def test_infinite_metrics_are_refused(tmp_path):
    with pytest.raises(ValueError, match="metrics: Infinity"):
        notebooks.write_metrics(tmp_path, {"x": float("inf")})


def test_a_notebook_can_say_how_far_it_is(tmp_path):
    out = tmp_path / "out"
    assert notebooks.progress(out) == (0.0, "")
    notebooks.report(notebooks.scratch_folder(out), 3, 4, "training")
    assert notebooks.progress(out) == (0.75, "training")
