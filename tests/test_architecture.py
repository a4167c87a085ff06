"""Arrows only point down: the core never sees the analysis, and the theory never sees torch."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = sorted((ROOT / "modtrans_core").rglob("*.py"))
HEAVY = ("torch", "timm", "open_clip", "sentence_transformers", "matplotlib", "pandas", "sklearn", "papermill", "typst")


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_never_imports_the_analysis(path):
    text = path.read_text()
    assert "import analysis" not in text and "from analysis" not in text


def imported(module):
    """What of `HEAVY` a fresh interpreter has loaded after importing the module."""
    code = f"import sys, {module}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize(
    "module",
    ["sphere", "bound", "decomposition", "gamma", "limits", "certify", "strategies"],
)
def test_the_theory_never_imports_torch(module):
    assert "torch" not in imported(f"analysis.theory.{module}")


@pytest.mark.parametrize("module", ["analysis.cli", "modtrans_core", "modtrans_core.cli", "modtrans_core.embed"])
def test_help_does_not_wait_for_heavy_libraries(module):
    assert imported(module) == []
