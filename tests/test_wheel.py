"""The wheel stands alone: installed away from the sources, it has its first result and its notebooks."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    made = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", made, ROOT]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=120)
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("pip cannot fetch hatchling, which builds the wheel")
    assert done.returncode == 0, done.stderr
    (found,) = made.iterdir()
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel that sees the packages of this one, but not the sources."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files are not read
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    clean["PATH"] = f"{python.parent}{os.pathsep}{clean['PATH']}"

    def run(*arguments):
        done = subprocess.run(arguments, cwd=folder, env=clean, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        return done

    where = run("python", "-c", "import analysis, modtrans_core; print(analysis.__file__, modtrans_core.__file__)")
    assert all(Path(path).is_relative_to(site) for path in where.stdout.split())
    return folder, run


def test_it_says_what_it_is(wheel):
    with ZipFile(wheel) as held:
        names = set(held.namelist())
        (described,) = (name for name in names if name.endswith("METADATA"))
        metadata = held.read(described).decode()
    for line in ("License-Expression: MIT", "Classifier: Typing :: Typed", "Requires-Python: >=3.11"):
        assert f"\n{line}\n" in metadata
    assert "\nAuthor: The modtrans authors\n" in metadata and "Provides-Extra: onnx" in metadata
    assert {f"{package}/py.typed" for package in ("modtrans_core", "analysis")} < names
    assert {"analysis/_demo/openmoji.npz", "analysis/_demo/LICENSE.txt"} < names
    assert sum(name.startswith("analysis/_project/notebooks/") and name.endswith(".ipynb") for name in names) == len(
        list((ROOT / "notebooks").glob("*.ipynb"))
    )


def test_its_first_result(installed):
    folder, run = installed
    said = run("modtrans", "demo").stdout
    assert "floor" in said and "In Python:" in said
    assert (folder / "modtrans-demo" / "figures" / "found.png").stat().st_size > 10_000


def test_a_notebook_of_it_runs_where_it_was_copied(installed):
    folder, run = installed
    assert "01_alignment_law" in run("modtrans", "notebooks").stdout
    assert (
        "my/notebooks: done. Next: jupyter lab my/notebooks"
        in run("modtrans", "notebooks", "--copy", "my/notebooks").stderr
    )
    small = ["-p", "draws", "2000", "-p", "largest_n", "16", "-p", "out", "made"]
    run("python", "-m", "papermill", "my/notebooks/01_alignment_law.ipynb", "executed.ipynb", "--cwd", ".", *small)
    assert (folder / "my" / "notebooks" / "gallery" / "law.png").exists()
    assert (folder / "made" / "metrics.json").exists() and (folder / "made" / "figures" / "law.pdf").exists()
