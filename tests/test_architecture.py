"""What is imported at once, and what is not before it is needed; which arrows there are, `lint-imports` checks."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "torch", "timm", "open_clip", "sentence_transformers", "transformers", "geoclip", "emoji", "resvg_py",
    "matplotlib", "pandas", "sklearn", "papermill", "typst",
)  # fmt: skip

CHECKS = {
    "cosines", "fraction", "in_range", "matrix", "number", "shared", "vector", "weights", "whole", "whole_number",
    "written",
}  # fmt: skip
"""functions that return what they have checked"""
ROOT = Path(__file__).parent.parent


def imported(module):
    """What of `HEAVY` a fresh interpreter has loaded after importing the module."""
    code = f"import sys, {module}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize(
    "module", ["analysis.cli", "modtrans_core", "modtrans_core.embed.pair_set", "modtrans_core.layouts.convert"]
)
def test_help_and_files_do_not_wait_for_heavy_libraries(module):
    assert imported(module) == []


def beside_the_check(function):
    """Where a function checks an argument and goes on with what was given: lines."""
    of_check = [node for node in ast.walk(function) if isinstance(node, ast.Call) and is_check(node)]
    allowed = [*of_check, *(one for one in ast.walk(function) if isinstance(one, ast.Compare) and is_none(one))]
    known = {id(node) for one in allowed for node in ast.walk(one)}
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)} | {"name"}
    checked = {arg.id for call in of_check for arg in call.args if isinstance(arg, ast.Name)} - own
    return [
        f"{function.name}:{node.lineno} {node.id}" for node in names if node.id in checked and id(node) not in known
    ]


def is_check(call):
    return isinstance(call.func, ast.Name) and call.func.id in CHECKS


def is_none(compare):
    return isinstance(compare.ops[0], ast.Is | ast.IsNot)


@pytest.mark.parametrize("package", ["analysis", "modtrans_core"])
def test_what_was_checked_is_what_is_used(package):
    found = []
    for file in sorted((ROOT / package).rglob("*.py")):
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        lost = [one.value for one in nodes if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)]
        found += [f"{file}:{call.lineno} thrown away" for call in lost if is_check(call)]
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name not in CHECKS]
        found += [f"{file}: {where}" for one in functions for where in beside_the_check(one)]
    assert found == []
