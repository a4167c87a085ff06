"""What is read is no more than what was proved."""

import decimal
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.theory import words
from analysis.theory.certify import Observed, certify, curve
from analysis.theory.conformal import ConformalFloor
from analysis.theory.reliability import Expectation
from analysis.theory.retrieval import RecallLimit, certify_recall
from analysis.theory.selective import Selection, select


@given(st.floats(-1, 1), st.integers(0, 6), st.booleans())
def test_lower_limits_are_rounded_down_and_upper_limits_up(limit, digits, percent):
    lower, upper = (
        float(text(limit, digits, percent=percent).rstrip("%")) / (100 if percent else 1)
        for text in (words.at_least, words.at_most)
    )
    assert lower <= limit + 1e-12 and upper >= limit - 1e-12  # digits beyond are noise
    assert upper - lower <= 1.001 * 10.0**-digits
    assert "-0." not in words.at_most(-1e-9)


@given(st.floats(-1, 1), st.integers(1, 9), st.booleans())
def test_no_context_of_the_caller_changes_a_limit(limit, digits, percent):
    expected = [text(limit, percent=percent) for text in (words.at_least, words.at_most)]
    with decimal.localcontext(prec=digits, traps=[decimal.Inexact, decimal.Rounded], rounding=decimal.ROUND_UP):
        assert [text(limit, percent=percent) for text in (words.at_least, words.at_most)] == expected


@pytest.mark.parametrize("cosine", [0.70718, 0.70712])
def test_a_level_that_no_translation_reaches_is_not_certified(cosine):
    observed = Observed.of(np.full(400, cosine))
    lines = [*certify(observed, 0.5).text().split("\n"), *ConformalFloor.of(observed).lines()]
    assert "Half of all items: at least 0.7071. Nine in ten: at least 0.7071." in lines[-3]
    assert lines[-1] == "  It reaches a cosine of 0.7071."


def test_a_margin_is_rounded_up():
    observed = Observed.of(np.full(400, 0.5), expected=np.full(400, 0.70713))
    assert "less 0.2072." in ConformalFloor.of(observed).lines()[1]


def test_limits_of_other_statements():
    assert "at least 65.34% of" in RecallLimit(1, 9, 9, 0.7, 0.1, 0.65349, 0.9).lines()[1]
    assert "between -0.1235 and -0.0123." in Expectation(0.5, 0.4, -0.12341, -0.01236, True, None, None).lines()[2]
    none = Selection("items", 0.5, 0.1, 0.9, None, 0.5, 0.12341, 0.4, 0.1, 9)
    assert "Guaranteed is only that at most 12.35% of new ones do." in none.lines()[-1]


def test_what_was_asked_for_has_all_its_digits():
    """A confidence of .99999 is not 1, and a threshold is copied into a command."""
    text = certify(Observed.of(np.linspace(0, 1, 400)), 0.123456, 0.99999).text()
    assert "at least 0.99999." in text and "a cosine of 0.123456 or more" in text
    some = Selection("items", 0.123456, 0.054321, 0.9, 0.654321, None, None, 0.4, 0.01, 9)
    assert "at most 5.4321% of those may miss a cosine of 0.123456" in some.lines()[0]
    assert "at least 0.654321." in some.lines()[1]


def test_a_curve_speaks_of_the_cosines_that_it_was_asked_for():
    """At .98 its limits are near, elsewhere they are not."""
    observed = Observed.of(np.linspace(0, 0.99, 100))
    one, two = curve(observed, [0.98], 0.95), curve(observed, [0.98, 0.5], 0.95)
    assert one.lines()[1].endswith("holds at 1 cosine.") and two.lines()[1].endswith("holds at each of 2 cosines.")
    assert "every cosine" not in one.lines()[1]


def test_a_sentence_is_one_thought():
    """Of every statement: in groups of several pairs, of translations in parts, and of one item."""
    rng = np.random.default_rng(0)
    item, group = np.repeat(np.arange(60), 2), np.arange(60) // 2
    z, p, f = (one / np.linalg.norm(one, axis=1)[:, None] for one in rng.standard_normal((3, 60, 16)))
    parts = Observed.of_parts(p, f, 0.5, z, group=group)
    observed = replace(Observed.of(rng.random(120), item=item, group=group, expected=rng.random(120)), left_out=3)
    more = {
        "some": partial(select, observed, 0.2, risk=0.9),
        "by_group": partial(select, observed, 0.2, risk=0.9, of="groups"),
        "none": partial(select, observed, 0.9, risk=0.1),
        "floor": partial(ConformalFloor.of, observed, 0.8),
        "recall": partial(certify_recall, z, z, k=3, group=group),
        "curve": partial(curve, observed, [0.2, 0.5]),
    }
    certificates = [certify(observed, 0.5, statements=more), certify(parts, 0.5), certify(Observed.of([0.5]), 0.5)]
    text = "\n".join(one.text() for one in certificates)
    sentences = re.split(r"[.?:](?=\s|$)", text)
    assert len(sentences) > 60 and max(len(one.split()) for one in sentences) <= 17
    assert ";" not in text
