"""The notebooks as files, and the strict runner."""

import ast
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
import nbformat
import numpy as np
import papermill
import pytest
from PIL import Image

from analysis.experiments.migration import stand_in
from analysis.experiments.synthetic import synthetic_pairs
from analysis.paper import make as paper
from analysis.paper import runner as notebooks
from analysis.paper.twins import figures, with_tables, write_twin
from analysis.plots import style
from analysis.plots.figures import FIGURES
from modtrans_core import PairedEmbeddings
from modtrans_core.notebook import WrongParameter

FOLDER = Path(__file__).parent.parent / "notebooks"
TEXTS = sorted(FOLDER.glob("*.py"))
IMPORT = re.compile(r"^(from \S+ )?import ", re.M)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
DEFINES = "20_your_own_translator"
"""the one notebook with definitions of its own, which are what it shows"""
MEANINGS = {
    "floor": "cosine of the (training targets' mean|mean of the targets that)",
    "ceiling": r"(\\sqrt\{E\\langle z, z' \\rangle\}|here the training caption)",
    "skill": "share of the way from the floor to",
    "centered": "less (that|the|a) mean",
}
"""term -> what stands in the sentence of a notebook that says what it means"""


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_twins_agree_and_hold_no_outputs(text):
    twin = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(twin)
    written = [(cell.cell_type, cell.source) for cell in jupytext.read(text).cells]
    assert [(cell.cell_type, cell.source) for cell in twin.cells] == written
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in twin.cells)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_notebook_has_the_head_that_all_have(text):
    title, parameters, second, imports, *rest = jupytext.read(text).cells
    asks, question = title.source.split("\n\n")
    assert title.cell_type == "markdown" and asks.startswith("# ") and asks.endswith("?") and "\n" not in asks
    assert question.startswith("**Question.** ") and len(re.findall(r"[.?](?=\s|$)", question[14:])) <= 2
    assert not re.search(r"\d+ (s|seconds?|min|minutes?|hours?)\b", title.source), "times are in paper.toml"
    assert "parameters" in parameters.metadata["tags"] and parameters.source.startswith("out: str")
    assert second.source == "from modtrans_core.notebook import begin\n\nbegin(globals())"
    assert imports.source.startswith(("from ", "import "))
    assert not any(IMPORT.search(cell.source) for cell in rest if cell.cell_type == "code")
    for name, parameter in notebooks.parameters(text.with_suffix(".ipynb")).items():
        assert parameter["help"], f"{name} has no help"
        assert parameter["inferred_type_name"] in ("int", "float", "str", "bool"), f"{name} states no plain type"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_notebook_is_short_defines_nothing_and_ends_with_its_answer_and_what_asserts_it(text):
    cells = jupytext.read(text).cells
    assert len(cells) <= 16 and max(len(cell.source.splitlines()) for cell in cells) <= 15
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert any(isinstance(node, DEFINITIONS) for node in ast.walk(ast.parse(code))) == (text.stem == DEFINES)
    assert re.search(r'print\(f?"In numbers\W', code), "the answer's numbers are printed, computed from the results"
    answer, last = cells[-2:]
    assert "**Answer.** " in answer.source
    assert "assert " in last.source and last.source.splitlines()[-1].startswith("write_metrics(out, ")


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_notebook_says_what_its_scores_mean_and_has_its_symbols_in_latex(text):
    cells = [cell.source for cell in jupytext.read(text).cells if cell.cell_type == "markdown"]
    whole = " ".join("\n".join(cells).split())
    for term, meaning in MEANINGS.items():
        if re.search(rf"\*\*?{term}\*", whole, re.I):
            assert re.search(rf"\*\*?{term}\*\*?[^.]*{meaning}", whole, re.I), term
    prose = re.sub(r"`[^`]*`|\$\$.*?\$\$|\$[^$]*\$", "", whole)
    assert not re.search(r"\b(sqrt|zhat|rho|kappa|beta|alpha|gamma\*?) ?[=(<]|\|[a-zA-Z]\||\^2", prose), prose


def test_the_readme_has_the_gallery_and_the_table_of_the_notebooks_and_no_dead_link():
    readme = (FOLDER / "README.md").read_text()
    assert with_tables(readme, TEXTS) == readme, "run python -m analysis.paper.twins"
    for text in TEXTS:
        assert f"[{text.stem}]({text.stem}.ipynb)" in readme
    links = re.findall(r"\]\(([^)]+)\)", readme)
    assert len(links) > 2 * len(FIGURES) and all((FOLDER / link).is_file() for link in links)


def test_each_figure_has_a_small_thumbnail_and_is_drawn_by_its_notebook():
    assert {name: text.stem for text in TEXTS for name, _ in figures(text)} == {
        name: notebook for name, (notebook, _) in FIGURES.items()
    }
    files = sorted((FOLDER / "gallery").iterdir())
    assert [file.name for file in files] == sorted(f"{name}.png" for name in FIGURES)
    sizes = [file.stat().st_size for file in files]
    assert max(sizes) < 15_000 and sum(sizes) < 600_000
    for file in files:
        with Image.open(file) as picture:
            assert picture.format == "PNG" and max(picture.size) == 240, file


def executed(name, out, monkeypatch, **given):
    """What the notebook's metrics are, run here without its second cell and its figures."""
    monkeypatch.setattr(style, "make_figure", lambda *_: None)
    cells = jupytext.read(FOLDER / f"{name}.py").cells
    first, _, *rest = [cell.source for cell in cells if cell.cell_type == "code"]
    names: dict = {}
    exec(first, names)
    exec("\n".join(rest), names | {"out": str(out), **given})
    return json.loads((out / "metrics.json").read_text())


@pytest.mark.parametrize(
    "given", [{"s": 0.0}, {"s": 1.0}, {"gamma": 0.0}, {"d": 1, "s": 0.0}, {"d": 2}, {"d": 512}], ids=str
)
def test_the_notebook_on_the_bound_runs_wherever_there_is_an_answer(given, tmp_path, monkeypatch):
    assert executed("03_cosine_bound", tmp_path, monkeypatch, draws=2000, **given)["p_value_general"] > 1e-6


LINEAR = synthetic_pairs(200, 8, 8, 0.5, 1, np.random.default_rng(0))[0].modality("image")
TURNED = LINEAR @ np.linalg.qr(np.random.default_rng(1).standard_normal((8, 8)))[0]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("01_alignment_law", {"largest_n": 4, "draws": 1}, "draws: 1, enough to tell the printed integrand"),
        ("02_projection_residual", {"penalty": 1e30}, r"penalty: 1e\+30, one whose map is"),
        ("02_projection_residual", {"penalty": 0.0}, "penalty: 0.0, one whose map is"),
        ("02_projection_residual", {"samples": 24}, "samples: 24, more than the 24 components is needed"),
        (
            "02_projection_residual",
            {"pairs": "same.npz"},
            "pairs: 'a residual of .*', targets that no linear map gives",
        ),
        ("02_projection_residual", {"pairs": "turned.npz"}, "pairs: 'a residual of .*', targets that no linear map"),
        ("06_gamma", {"items": 7}, "items: 7, of which 1 group is for validation"),
        ("13_cosine_to_recall", {"pairs": "few.npz", "seeds": 1}, "items: 4, a test part of more than 10 is needed"),
        ("09_speed", {"results": "bench.json"}, "results: 'bench.json', a run of `modtrans bench` with"),
    ],
)
def test_a_notebook_names_what_it_cannot_use_in_one_line(name, given, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    PairedEmbeddings({"image": LINEAR, "text": LINEAR}).save("same.npz")
    PairedEmbeddings({"image": LINEAR, "text": TURNED}).save("turned.npz")
    PairedEmbeddings({"image": LINEAR[:20], "text": TURNED[:20]}).save("few.npz")
    lists, objects = ("contenders", "ratios", "requirements"), ("machine", "settings", "left_out")
    Path("bench.json").write_text(json.dumps({**{name: [] for name in lists}, **{name: {} for name in objects}}))
    with pytest.raises(WrongParameter, match=f"^{words}"):
        executed(name, tmp_path, monkeypatch, **{"samples": 300} | given)


UNRELATED = np.random.default_rng(1).standard_normal((2, 150, 3))
ONE_IN_TWO = np.where(np.arange(160)[:, None] % 2, np.eye(6)[0], np.ones(6))  # a cut into domains leaves one constant
ITEMS = np.random.default_rng(2).standard_normal((160, 3))
SMALL = {"seeds": 1, "landmarks": 16}


@pytest.mark.parametrize(
    ("name", "arrays", "given"),
    [
        ("02_projection_residual", {}, {"samples": 2, "components": 1}),
        ("05_limits_certificates", {}, {"items": 40, "alpha": 0.5, "confidence": 0.99}),
        ("06_gamma", {"image": UNRELATED[0], "text": UNRELATED[1]}, {}),
        ("06_gamma", {"image": np.eye(3)[np.arange(160) % 2], "text": ITEMS}, {}),
        ("10_residual_role", {"image": LINEAR[:40], "text": ITEMS[:40]}, {**SMALL, "steps": 1, "draws": 2}),
        ("11_encoders", {"image": ITEMS, "text": ITEMS @ np.eye(3, 5)}, {**SMALL, "steps": 1, "offline": False}),
        ("12_cross_domain", {"image": ONE_IN_TWO, "text": ITEMS}, {**SMALL, "steps": 0, "offline": False}),
        ("13_cosine_to_recall", {"image": ITEMS, "text": np.ones(3) + 1e-4 * ITEMS}, SMALL),
        ("14_more_pairs", {}, {**SMALL, "largest": 1000, "landmarks": 1}),
        ("16_retrieval", {"image": UNRELATED[0], "text": UNRELATED[1]}, SMALL),
    ],
)
def test_findings_are_reported_of_other_pairs_and_parameters(name, arrays, given, tmp_path, monkeypatch):
    if arrays:
        PairedEmbeddings(arrays).save(tmp_path / "pairs.npz")
        given = given | {"pairs": str(tmp_path / "pairs.npz")}
    found = executed(name, tmp_path, monkeypatch, **given)["findings"]
    assert found and set(found.values()) <= {True, False}


def test_the_pairs_that_lie_where_a_notebook_writes_stay(tmp_path, monkeypatch):
    PairedEmbeddings({"image": ITEMS, "text": ITEMS}).save(tmp_path / "pairs.npz")
    whole = (tmp_path / "pairs.npz").read_bytes()
    executed("13_cosine_to_recall", tmp_path, monkeypatch, pairs=str(tmp_path / "pairs.npz"), items=100, **SMALL)
    assert (tmp_path / "pairs.npz").read_bytes() == whole


def test_findings_are_reported_of_an_index_of_ones_own(tmp_path, monkeypatch):
    documents, queries = map(str, stand_in(tmp_path, 200, 200, seed=3))
    few = {"seeds": 1, "landmarks": 16, "steps": 2, "draws": 5}
    assert not all(
        executed("18_migration", tmp_path, monkeypatch, pairs=documents, queries=queries, **few)["findings"].values()
    )


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_notebook_that_takes_pairs_reports_its_findings(text):
    takes = "pairs" in notebooks.parameters(text.with_suffix(".ipynb"))
    assert not takes or "established(" in text.read_text()


def test_the_notebook_on_a_translator_of_ones_own_runs(tmp_path):
    metrics = notebooks.run(FOLDER / f"{DEFINES}.ipynb", tmp_path / "out")
    assert all(metrics["findings"].values()) and (tmp_path / "out" / "neighbours" / "model.safetensors").is_file()
    cells = nbformat.read(tmp_path / "out" / f"{DEFINES}.ipynb", as_version=4).cells
    said = [output for cell in cells for output in cell.get("outputs", ())]
    assert not [one.text for one in said if "Warning" in one.get("text", "")]


def test_a_notebook_without_an_answer_is_refused(tmp_path):
    (tmp_path / "01_x.py").write_text("# %% [markdown]\n# # Does it?\n")
    with pytest.raises(ValueError, match=r"01_x.py: no paragraph \*\*Answer"):
        with_tables("| a |\n\n| b |\n", [tmp_path / "01_x.py"])


def test_a_twin_is_written_with_the_text_of_the_notebook(tmp_path):
    (tmp_path / "01_x.py").write_text("# %% [markdown]\n# # Does it?\n\n# %%\n1 + 1\n")
    first = write_twin(tmp_path / "01_x.py").read_bytes()
    assert write_twin(tmp_path / "01_x.py").read_bytes() == first
    assert [cell.source for cell in nbformat.reads(first.decode(), as_version=4).cells] == ["# Does it?", "1 + 1"]


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
        ({"m": 3}, "toy: parameter: 'm', one of out, n, name, rate is needed"),
        ({"n": 3.5}, "n: 3.5, a parameter of type int"),
        ({"n": "3"}, "n: '3', a parameter"),
        ({"n": True}, "n: True, a parameter"),
        ({"name": 3}, "type str"),
        ({"rate": "fast"}, "type float"),
    ],
)
def test_an_unknown_or_ill_typed_parameter_is_refused_before_anything_runs(tmp_path, values, words):
    with pytest.raises(ValueError, match=words):
        notebooks.run(notebook(tmp_path, "raise SystemExit"), tmp_path / "out", values)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("02_projection_residual", {"gamma": 0}, "gamma: 0, a finite number from 0.001 to 1000 is needed"),
        ("05_limits_certificates", {"gamma": 0.0}, "gamma: 0.0, a finite number from 0.001"),
        ("03_cosine_bound", {"d": 1, "s": 0.6}, "s: 0.6 where d is 1, 0 is needed"),
        ("04_translation", {"source": "sound"}, "source: 'sound', one of image, text is needed"),
        ("04_translation", {"pairs": "flat.npz", "source": "text"}, "source: 'text' of 2, a modality of at least 3"),
        (
            "05_limits_certificates",
            {"pairs": "flat.npz", "target": "text"},
            "target: 'text' of 2, a modality of at least 3",
        ),
        ("06_gamma", {"pairs": "flat.npz", "target": "text"}, "target: 'text' of 2, a modality of at least 3 numbers"),
        (
            "13_cosine_to_recall",
            {"pairs": "flat.npz", "target": "line"},
            "target: 'line' of 1, a modality of at least 2",
        ),
        ("07_presets", {"pairs": "pairs.npz", "target": "text"}, "target: 'text', one of image, sound, as pairs has"),
        ("01_alignment_law", {"largest_n": 1}, "largest_n: 1, a number of 64 bits and at least 2 is needed"),
        ("10_residual_role", {"draws": 1}, "draws: 1, a number of 64 bits and at least 2 is needed"),
        ("10_residual_role", {"items": 19}, "items: 19, a number of 64 bits and at least 20 is needed"),
        ("10_residual_role", {"pairs": "pairs.npz", "source": "text", "target": "sound"}, "source: 'text', one of"),
        ("11_encoders", {"coco": "nowhere"}, "coco: 'nowhere', a file or folder that is there is needed"),
        ("11_encoders", {"more": "pairs.npz, none.npz"}, "more: 'none.npz', a file or folder"),
        ("11_encoders", {"cc3m": "nowhere.tar"}, "cc3m: 'nowhere.tar', a file or folder"),
        ("08_released_and_sampling", {"width": 1}, "width: 1, a number of 64 bits and at least 8 is needed"),
        ("12_cross_domain", {"train": "pairs.npz", "test": "", "target": "sound"}, "train: 'pairs.npz' without test"),
        (
            "12_cross_domain",
            {"train": "pairs.npz", "test": "pairs.npz", "target": "text"},
            "target: 'text', one of image, sound, as train has them, is needed",
        ),
        ("13_cosine_to_recall", {"pairs": "torn.npz", "source": "image"}, "pairs: torn.npz: damaged or cut short"),
        ("14_more_pairs", {"largest": 30}, "largest: 30, a number of 64 bits and at least 1000 is needed"),
        ("16_retrieval", {"target": "sound"}, "target: 'sound', one of image, text is needed"),
        ("18_migration", {"pairs": "", "queries": "pairs.npz"}, "queries: 'pairs.npz' without pairs, both or neither"),
    ],
)
def test_what_a_notebook_cannot_use_is_refused_by_its_second_cell(name, values, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("pairs.npz", image=np.eye(3), sound=np.eye(3))
    np.savez("flat.npz", image=np.eye(3), text=np.eye(3, 2) + 1, line=np.ones((3, 1)))
    Path("torn.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=f"^{name}: {words}"):
        notebooks.check(FOLDER / f"{name}.ipynb", values)


def test_what_a_notebook_can_use_is_let_through(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("pairs.npz", image=np.eye(3), sound=np.eye(3))
    notebooks.check(FOLDER / "07_presets.ipynb", {"pairs": "pairs.npz", "target": "sound"})
    notebooks.check(FOLDER / "11_encoders.ipynb", {"pairs": "pairs.npz", "target": "text", "cc3m": "a/{0..9}.tar"})
    notebooks.check(
        FOLDER / "12_cross_domain.ipynb", {"train": "pairs.npz", "test": "pairs.npz", "pairs": "", "target": "sound"}
    )


def test_plain_papermill_stops_at_a_wrong_parameter_with_one_line(tmp_path):
    path = notebook(tmp_path, "from modtrans_core.notebook import begin\n\nbegin(globals())")
    with pytest.raises(papermill.PapermillExecutionError) as stopped:
        papermill.execute_notebook(str(path), str(tmp_path / "done.ipynb"), {"m": 3}, progress_bar=False)
    assert stopped.value.traceback == ["WrongParameter: parameter: 'm', one of out, n, name, rate is needed"]


def test_a_finding_is_asserted_of_its_own_pairs_and_reported_of_others(capsys):
    told = {"water is wet": np.bool_(True), "snow is black": np.bool_(False)}
    assert notebooks.established(told, asserted=False) == {"water is wet": True, "snow is black": False}
    assert capsys.readouterr().out == "holds here: water is wet\ndoes not hold here: snow is black\n"
    with pytest.raises(AssertionError, match="snow is black"):
        notebooks.established(told, asserted=True)


def test_all_kernels_are_killed_by_one_call(tmp_path):
    kernels, path = notebooks.Kernels(threads=1), notebook(tmp_path, "import time\ntime.sleep(600)")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(notebooks.run, path, tmp_path / "out", None, kernels)
        while not kernels.managers and not running.done():
            time.sleep(0.05)
        kernels.end()
        with pytest.raises(Exception, match=r"(?i)kernel"):
            running.result()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["toy.ipynb"]


def test_a_notebook_runs_in_this_interpreter_whatever_the_users_kernels_are_called(tmp_path, monkeypatch):
    kernel = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["false"], "display_name": "mine", "language": "python"}))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    body = (
        "import sys\nfrom analysis.paper.runner import write_metrics\n"
        f"write_metrics(out, dict(same=sys.executable == {sys.executable!r}))"
    )
    assert notebooks.run(notebook(tmp_path, body), tmp_path / "out") == {"same": True}


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


def test_what_a_reader_adds_to_results_or_changes_in_them_stays_and_is_none_of_them(tmp_path, capsys):
    body = (
        "import pathlib; (pathlib.Path(out) / 'figures').mkdir(); (pathlib.Path(out) / 'figures/a.csv').write_text('1')"
    )
    toy = notebook(tmp_path, f"{body}\nfrom analysis.paper.runner import write_metrics\nwrite_metrics(out, {{'n': n}})")
    results = tmp_path / "out"
    notebooks.run(toy, results)
    before = paper.contents(results)
    added = [results / name for name in ("mine.txt", "figures/annotated.svg", ".ipynb_checkpoints/deep/a.ipynb")]
    for file in added:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    assert paper.contents(results) == before
    (results / "figures" / "a.csv").write_text("edited")
    assert paper.contents(results) != before
    notes = (results / "toy.ipynb").read_text().replace("write_metrics(out", "print('my notes'); write_metrics(out")
    for turn in ("", "1"):  # read and changed again
        (results / "toy.ipynb").write_text(notes + turn)
        notebooks.run(toy, results)
        assert (results / f"toy.ipynb.old{turn}").read_text() == notes + turn
        assert f"toy.ipynb: what was changed in it is kept in toy.ipynb.old{turn}\n" in capsys.readouterr().err
        assert "my notes" not in (results / "toy.ipynb").read_text()
    added += [results / "toy.ipynb.old", results / "toy.ipynb.old1"]
    for file in added[-2:]:
        file.write_text("mine")
    assert (results / "figures" / "a.csv.old").read_text() == "edited"
    notebooks.run(toy, results)
    assert capsys.readouterr().err == "", "nothing was changed"
    assert paper.contents(results) == before and all(file.read_text() == "mine" for file in added)
    results.rename(tmp_path / ".out.old")  # as a process that is killed between two steps leaves it
    notebooks.run(toy, results)
    assert paper.contents(results) == before and all(file.read_text() == "mine" for file in added)
    assert not (tmp_path / ".out.old").exists()


def test_a_failed_run_keeps_the_earlier_results_and_says_where_it_failed(tmp_path, monkeypatch):
    good = notebook(tmp_path, "from analysis.paper.runner import write_metrics\nwrite_metrics(out, {'n': n})")
    notebooks.run(good, tmp_path / "out")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    notebooks.run(good, tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    before = (tmp_path / "out" / "metrics.json").read_text()
    bad = notebook(tmp_path, "assert n < 0, 'n is too large'")
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    with pytest.raises(RuntimeError, match="toy: AssertionError: n is too large"):
        notebooks.run(bad, tmp_path / "out")
    with pytest.raises(RuntimeError, match=r"toy: AssertionError: assert n < 0 \(cell"):
        notebooks.run(notebook(tmp_path, "assert n < 0"), tmp_path / "out")
    assert (tmp_path / "out" / "metrics.json").read_text() == before
    assert [file.name for file in tmp_path.glob("out.failed*")] == ["out.failed.ipynb"]


@pytest.mark.parametrize("change", [lambda text: text.replace("assert n", "# mine\\nassert n"), lambda text: "mine"])
def test_what_a_reader_wrote_into_a_notebook_that_failed_is_kept(tmp_path, capsys, monkeypatch, change):
    failed, bad = tmp_path / "out.failed.ipynb", notebook(tmp_path, "assert n < 0")

    def run():
        with pytest.raises(RuntimeError, match="AssertionError"):
            notebooks.run(bad, tmp_path / "out")

    run()
    failed.write_text(mine := change(failed.read_text()))
    assert mine != (run(), failed.read_text())[1] and (tmp_path / "out.failed.ipynb.old").read_text() == mine
    assert f"{failed}: what was changed in it is kept in out.failed.ipynb.old" in capsys.readouterr().err
    run()
    assert len([*tmp_path.glob("out.failed*")]) == 2
    monkeypatch.setattr("nbformat.write", lambda *_: Path("/dev/full").write_text("x"))
    run()
    assert len([*tmp_path.glob("out.failed*")]) == 2 and "assert n < 0" in failed.read_text()


def test_a_notebook_without_metrics_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match=r"did not write metrics.json"):
        notebooks.run(notebook(tmp_path, "n"), tmp_path / "out")
    other = "from pathlib import Path\nPath(out, 'metrics.json').write_text('[1]')"
    with pytest.raises(ValueError, match=r"metrics.json: \[1\], an object in JSON is needed"):
        notebooks.run(notebook(tmp_path, other), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_infinite_metrics_are_refused(tmp_path):
    with pytest.raises(ValueError, match="metrics: Infinity"):
        notebooks.write_metrics(tmp_path, {"x": float("inf")})


def test_a_notebook_can_say_how_far_it_is(tmp_path):
    out = tmp_path / "out"
    assert notebooks.progress(out) == (0.0, "")
    notebooks.report(notebooks.scratch_folder(out), 3, 4, "training")
    assert notebooks.progress(out) == (0.75, "training")
    notebooks.write_metrics(notebooks.scratch_folder(out), {})
    assert [file.name for file in notebooks.scratch_folder(out).iterdir()] == ["metrics.json"]
