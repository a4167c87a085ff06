"""The examples in the docstrings of the core, run as they stand there."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import modtrans_core

HOME = Path(modtrans_core.__file__).parent
WITH_EXAMPLES = [path for path in sorted(HOME.rglob("*.py")) if ">>> " in path.read_text()]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(HOME)))
def test_examples(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = import_module(".".join(["modtrans_core", *path.relative_to(HOME).with_suffix("").parts]))
    failed, attempted = doctest.testmod(module)
    assert attempted and not failed
