"""A notebook runs again when something that it imports has changed, and not when something else has."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from analysis.paper.make import stages
from analysis.paper.reach import DATA, ROOT, Imports, imported, named

SCRIPT = """
import json, sys
from pathlib import Path
from analysis.paper.make import stages, stamp
from analysis.paper.reach import ROOT, Imports

def stamps():
    found = Imports.found()
    return {stage.name: stamp(stage, "pairs", found) for stage in stages("smoke")}

before, changed = stamps(), {}
for place in sys.argv[1:]:
    file = ROOT / place
    text = file.read_text()
    file.write_text(text + "\\n")
    changed[place] = [name for name, value in stamps().items() if value != before[name]]
    file.write_text(text)
print(json.dumps(changed))
"""
CHANGED = {
    "cli": "modtrans_core/cli/data.py",
    "encoder": "modtrans_core/embed/encoders/location_encoder.py",
    "source": "modtrans_core/embed/sources/places.py",
    "theory": "analysis/theory/sphere.py",
    "training": "modtrans_core/train.py",
    "plot": "analysis/plots/law.py",
    "notebook": "notebooks/07_presets.ipynb",
}


@pytest.fixture(scope="module")
def runs_again(tmp_path_factory):
    """What runs again after a change of each file, in a copy of the project."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("modtrans_core", "analysis", "notebooks", "papers"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", SCRIPT, *CHANGED.values()]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    changed = json.loads(done.stdout)
    return {name: {notebook[:2] for notebook in changed[place]} for name, place in CHANGED.items()}


def test_the_command_line_and_the_encoders_run_no_notebook_again_that_does_not_import_them(runs_again):
    assert runs_again["cli"] == {"09"}  # lines on stderr
    assert runs_again["encoder"] <= {"06", "09", "11", "12"} and runs_again["source"] <= {"06", "09", "11", "12"}


def test_what_a_notebook_imports_runs_it_again(runs_again):
    assert {"01", "03", "04", "05", "06"} <= runs_again["theory"] and "08" not in runs_again["theory"]
    assert {"04", "07", "08", "10", "11", "12"} <= runs_again["training"]
    assert not runs_again["training"] & {"01", "02", "03"}
    assert runs_again["plot"] == {"01"} and runs_again["notebook"] == {"07"}


def test_what_is_loaded_by_name_runs_it_again(runs_again):
    assert {"11", "12"} <= runs_again["encoder"] and {"11", "12"} <= runs_again["source"]


def test_modules_that_are_loaded_by_name_are_known():
    """Whoever imports names of a package that loads them lazily reaches the modules behind them."""
    found = Imports.found()
    assert {"modtrans_core.embed.sources.openmoji", "modtrans_core.embed.sources.places"} <= set(
        found.by_name["modtrans_core.embed.sources"]
    )
    encoders = {
        f"modtrans_core.embed.encoders.{path.stem}" for path in ROOT.glob("modtrans_core/embed/encoders/*_encoder.py")
    }
    assert encoders <= set(found.by_name["modtrans_core.embed.encoders"])
    import modtrans_core

    behind = {getattr(modtrans_core, name).__module__ for name in modtrans_core.__all__ if name != "__version__"}
    known = {*found.by_name["modtrans_core"], *found.written["modtrans_core"]}
    assert {name for name in behind if name.startswith("modtrans_core.")} <= known


def test_names_of_modules_are_told_from_other_texts():
    names = {"a", "a.b", "a.b.c", "a.d", "analysis.cli"}
    assert named("load('a.b.c')", "a.b", names) == set()
    assert named("import_module('a.b.c:make')", "a", names) == {"a.b.c"}
    assert named("TABLE = {'x': 'c'}\nimportlib.import_module(TABLE[x])", "a.b", names) == {"a.b.c"}
    assert named("import_module('b')", "a.d", names) == {"a.b"}
    assert named("entry_points(group='console_scripts')", "a", names) == {"analysis.cli"}


def test_import_statements_are_read_wherever_they_stand():
    names = {"a", "a.b", "a.b.c", "a.d"}
    assert imported("from a.b import c, d\ndef f():\n    import a.d", names) == {"a.b", "a.b.c", "a.d"}
    assert imported("from a import x", names) == {"a"} and imported("import numpy", names) == set()


def test_the_pair_set_is_in_the_stamp_and_not_what_made_it(tmp_path):
    found = Imports.found()
    assert DATA["imported"] not in found.written[DATA["importer"]]
    files = {stage.name: found.files(stage.notebook) for stage in stages("smoke")}
    assert ROOT / "modtrans_core" / "__init__.py" in files["02_projection_residual"]
    assert not any("embed" in file.relative_to(ROOT).parts for file in files["02_projection_residual"])
    for name in ("04_translation", "07_presets", "08_released_and_sampling", "10_residual_role"):
        assert not any("encoders" in file.relative_to(ROOT).parts for file in files[name]), name
