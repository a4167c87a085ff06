"""The list of mutants fits the code as it is, and the script that plants them tells a survivor from a kill."""

import ast
import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parent / "mutants.py"))
MUTANTS, ROOT, Mutant, mutated, passes = (SCRIPT[name] for name in ("MUTANTS", "ROOT", "Mutant", "mutated", "passes"))

BOUND = Mutant("", "analysis/theory/bound.py", "", "", ())


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_code_and_names_checks_that_are_there(mutant):
    ast.parse(mutated(mutant))
    assert mutant.new != mutant.old
    for name in mutant.checks:
        assert (ROOT / (name if name.endswith(".py") else f"notebooks/{name}.py")).exists()


def test_a_text_that_is_not_there_just_once_is_refused():
    with pytest.raises(ValueError, match="0 places in analysis/theory/bound.py"):
        mutated(BOUND._replace(old="no such text"))


def test_a_kill_is_told_from_a_survivor():
    check = "tests/analysis/theory/test_arrays.py"
    harmless = MUTANTS[0]._replace(file="analysis/theory/arrays.py", old="from __future__", new="\nfrom __future__")
    assert passes(harmless, check)
    assert not passes(harmless._replace(new="raise SystemExit\nfrom __future__"), check)
