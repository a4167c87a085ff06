"""Packages that are optional, and the command that installs them."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from modtrans_core import extras

ROOT = Path(extras.__file__).parents[1]


def test_the_command_is_for_the_place_that_the_package_came_from(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    assert extras.command("paper") == 'pip install -e ".[paper]"'
    monkeypatch.chdir(tmp_path)
    assert extras.command("paper") == f'pip install -e "{ROOT}[paper]"'


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        ('{"url": "file:///dist/modtrans-0.1.0-py3-none-any.whl"}', "modtrans[audio] @ file:///dist/modtrans-0.1.0-py3-none-any.whl"),
        (None, "modtrans[audio]"),
    ],
)  # fmt: skip
def test_of_a_wheel_it_names_the_wheel(monkeypatch, tmp_path, origin, wanted):
    installed = tmp_path / "site-packages" / "modtrans_core" / "extras.py"
    monkeypatch.setattr(extras, "__file__", str(installed))
    monkeypatch.setattr(importlib.metadata.Distribution, "read_text", lambda _, name: origin, raising=False)
    monkeypatch.setattr(importlib.metadata.PathDistribution, "read_text", lambda _, name: origin)
    assert extras.command("audio") == f'pip install "{wanted}"'
    assert Requirement(wanted).extras == {"audio"}  # pip reads it


def test_what_is_not_there_is_refused_before_anything_is_imported():
    code = """import sys
from modtrans_core.extras import refuse_missing
refuse_missing(["typst", "math"], "paper")
print("typst" in sys.modules)
refuse_missing(["math", "no_such_module"], "paper")"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.stdout == "False\n" and "no_such_module is not installed; run: pip install -e" in shown.stderr


def test_a_part_of_a_missing_package_is_the_package():
    with pytest.raises(ModuleNotFoundError, match=r"^absent_package is not installed; run: pip install .*\[encoders\]"):
        extras.require("absent_package.csv", "encoders")
