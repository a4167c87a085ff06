"""What is imported at once, and what is not before it is needed; which arrows there are, `lint-imports` checks."""

import subprocess
import sys

import pytest

HEAVY = (
    "torch", "timm", "open_clip", "sentence_transformers", "transformers", "geoclip", "emoji", "resvg_py",
    "matplotlib", "pandas", "sklearn", "papermill", "typst",
)  # fmt: skip


def imported(module):
    """What of `HEAVY` a fresh interpreter has loaded after importing the module."""
    code = f"import sys, {module}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("module", ["analysis.cli", "modtrans_core", "modtrans_core.embed.pair_set"])
def test_help_does_not_wait_for_heavy_libraries(module):
    assert imported(module) == []
