"""A notebook runs again when something that it imports has changed, and not when something else has."""

from types import SimpleNamespace

import pytest

import modtrans_core
from analysis.paper import make
from analysis.paper.make import stages
from analysis.paper.reach import DATA, ROOT, Imports, imported, named


@pytest.fixture(scope="module")
def found():
    return Imports.found()


@pytest.fixture(scope="module")
def runs_again(found):
    """The notebooks, by their numbers, that run again where a file has changed."""
    files = {stage.name[:2]: [stage.notebook, *found.files(stage.notebook)] for stage in stages("smoke")}
    return lambda place: {number for number, read in files.items() if ROOT / place in read}


def test_a_notebook_runs_again_where_its_text_a_parameter_the_pairs_or_a_file_has_changed(tmp_path, monkeypatch):
    stage = SimpleNamespace(notebook=tmp_path / "a.ipynb", parameters={"n": 1}, pairs=True)
    monkeypatch.setattr(make, "ROOT", tmp_path)
    read = SimpleNamespace(files=lambda notebook: [tmp_path / "a.py"])
    (tmp_path / "a.py").write_text("a")
    stage.notebook.write_text("{}")
    seen = [make.stamp(stage, "pairs", read), make.stamp(stage, "others", read)]
    for file in ("a.py", "a.ipynb"):
        (tmp_path / file).write_text("b")
        seen.append(make.stamp(stage, "pairs", read))
    stage.parameters = {"n": 2}
    seen.append(make.stamp(stage, "pairs", read))
    assert len(set(seen)) == 5 and make.stamp(stage, "pairs", read) == seen[-1]
    stage.pairs = False
    assert make.stamp(stage, "pairs", read) == make.stamp(stage, "others", read) not in seen


def test_the_command_line_and_the_encoders_run_no_notebook_again_that_does_not_import_them(runs_again):
    assert runs_again("modtrans_core/cli/data.py") == {"09"}  # lines on stderr
    for place in ("encoders/location_encoder.py", "sources/places.py"):
        assert {"11", "12"} <= runs_again(f"modtrans_core/embed/{place}") <= {"06", "09", "11", "12"}  # by name


def test_what_a_notebook_imports_runs_it_again(runs_again):
    theory, training = runs_again("analysis/theory/sphere.py"), runs_again("modtrans_core/train.py")
    assert {"01", "03", "04", "05", "06"} <= theory and "08" not in theory
    assert {"04", "07", "08", "10", "11", "12"} <= training and not training & {"01", "02", "03"}
    assert runs_again("analysis/plots/law.py") == {"01"} and runs_again("notebooks/07_presets.ipynb") == {"07"}


def test_modules_that_are_loaded_by_name_are_known(found):
    """Whoever imports names of a package that loads them lazily reaches the modules behind them."""
    assert {"modtrans_core.embed.sources.openmoji", "modtrans_core.embed.sources.places"} <= set(
        found.by_name["modtrans_core.embed.sources"]
    )
    encoders = {
        f"modtrans_core.embed.encoders.{path.stem}" for path in ROOT.glob("modtrans_core/embed/encoders/*_encoder.py")
    }
    assert encoders <= set(found.by_name["modtrans_core.embed.encoders"])
    behind = {getattr(modtrans_core, name).__module__ for name in modtrans_core.__all__ if name != "__version__"}
    known = {*found.by_name["modtrans_core"], *found.written["modtrans_core"]}
    assert {name for name in behind if name.startswith("modtrans_core.")} <= known


def test_names_of_modules_are_told_from_other_texts():
    names = {"a", "a.b", "a.b.c", "a.d", "analysis.start"}
    assert named("load('a.b.c')", "a.b", names) == set()
    assert named("import_module('a.b.c:make')", "a", names) == {"a.b.c"}
    assert named("TABLE = {'x': 'c'}\nimportlib.import_module(TABLE[x])", "a.b", names) == {"a.b.c"}
    assert named("import_module('b')", "a.d", names) == {"a.b"}
    assert named("entry_points(group='console_scripts')", "a", names) == {"analysis.start"}


def test_import_statements_are_read_wherever_they_stand():
    names = {"a", "a.b", "a.b.c", "a.d"}
    assert imported("from a.b import c, d\ndef f():\n    import a.d", names) == {"a.b", "a.b.c", "a.d"}
    assert imported("from a import x", names) == {"a"} and imported("import numpy", names) == set()


def test_the_pair_set_is_in_the_stamp_and_not_what_made_it(found):
    assert DATA["imported"] not in found.written[DATA["importer"]]
    files = {stage.name: found.files(stage.notebook) for stage in stages("smoke")}
    assert ROOT / "modtrans_core" / "__init__.py" in files["02_projection_residual"]
    assert not any("embed" in file.relative_to(ROOT).parts for file in files["02_projection_residual"])
    for name in ("04_translation", "07_presets", "08_released_and_sampling", "10_residual_role"):
        assert not any("encoders" in file.relative_to(ROOT).parts for file in files[name]), name
