"""The table of statements: it says what checks find, names what is there, and a wrong claim shows."""

from pathlib import Path

import numpy as np
import pytest

from analysis.experiments.theorems import STATEMENTS, Found, table

ROOT = Path(__file__).parents[3]


def untested(statements, root):
    """The names of the statements whose test file is not there, or does not name the function."""

    def tested(one):
        path = root / "tests" / one.tests
        return path.exists() and one.by.__qualname__.split(".")[0] in path.read_text()

    return [one.name for one in statements if not tested(one)]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda one: one.name)
def test_a_statement_stands_or_falls_as_claimed_for_other_draws_too(statement):
    assert all(statement.check(np.random.default_rng(seed)).holds == statement.true for seed in (1, 2))


def test_names_are_single_and_every_function_is_tested_where_it_says():
    assert len({one.name for one in STATEMENTS}) == len(STATEMENTS)
    assert untested(STATEMENTS, ROOT) == []
    away = STATEMENTS[0]._replace(tests="analysis/theory/test_nothing.py")
    assert untested([away, STATEMENTS[0]._replace(by=untested)], ROOT) == [away.name] * 2


def test_a_wrong_claim_shows_in_the_table():
    wrong = STATEMENTS[0]._replace(check=lambda rng: Found(False, "p = 0"))
    (row,) = table([wrong], np.random.default_rng(0)).to_dict("records")
    assert (row["claimed"], row["found"], row["number"]) == (True, False, "p = 0")
    assert row["where"] == "theory.sphere.AlignmentLaw"
