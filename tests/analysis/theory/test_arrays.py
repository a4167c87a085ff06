"""Checks of arguments: what is refused, and in which words."""

from functools import partial

import numpy as np
import pytest

from analysis.theory import betting, certify, survival
from analysis.theory.arrays import in_range, matrix, row_cosine, row_lengths, unit_rows, vector
from analysis.theory.certify import Observed
from analysis.theory.confidence import lower_limit, mean_interval
from analysis.theory.conformal import ConformalFloor
from analysis.theory.dominance import judge_dominance
from analysis.theory.draws import measure
from analysis.theory.gamma import best_gamma
from analysis.theory.limits import limits
from analysis.theory.poisson_binomial import fewer_than_expected
from analysis.theory.premises import TranslatedPairs, measure_premises
from analysis.theory.reliability import judge_expectation, reliability
from analysis.theory.retrieval import certify_recall, counterexample, expected_recall, hub_skew, needed_cosine
from analysis.theory.selective import risk_curve, select
from analysis.theory.sphere import AlignmentLaw


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: in_range("y", -np.inf), r"y: -inf, a number in \(-inf, inf\) is needed"),
        (lambda: in_range("y", [0.5, 3.0], high=np.array([1.0, 2.0])), r"y: 3, a number in \(-inf, 2\] is needed"),
        (lambda: matrix("y", [[0.0, 1.0], [np.nan, 1.0]]), "y: row 1 is not finite, finite numbers are needed"),
        (lambda: matrix("y", np.zeros((3, 0))), r"y: shape \(3, 0\), a shape \(rows, columns\)"),
        (lambda: vector("y", [0.0, np.inf]), "y: entry 1 is inf, finite numbers are needed"),
        (lambda: vector("y", np.zeros((2, 2))), r"y: shape \(2, 2\), a shape \(n,\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_zero_row_has_no_cosine():
    cosine = row_cosine(np.array([[1.0, 0.0], [3.0, 4.0], [0.0, 0.0]]), np.array([[0.0, 2.0], [3.0, 4.0], [1.0, 0.0]]))
    assert cosine[:2].tolist() == [0.0, 1.0] and np.isnan(cosine[2])


@pytest.mark.parametrize("check", [vector, partial(in_range, low=-1.0, high=1.0)])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.array([0.5, 0.1 + 2j]), "x: complex numbers, real ones are needed"),
        (np.ma.masked_array([0.5, 0.9], mask=[False, True]), "x: masked numbers, real ones are needed"),
    ],
)
def test_nothing_of_a_number_is_dropped(check, value, words):
    with pytest.raises(ValueError, match=words):
        check("x", value)
    assert check("x", np.ma.masked_array([0.5], mask=False)).tolist() == [0.5]


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_directions_of_vectors_of_any_finite_length(scale):
    x, y = np.random.default_rng(0).standard_normal((2, 5, 3))
    assert np.array_equal(row_cosine(2.0**900 * x, 2.0**-900 * y), row_cosine(x, y))
    np.testing.assert_allclose(row_cosine(scale * x, y), row_cosine(x, y), rtol=1e-12)
    np.testing.assert_allclose(unit_rows(scale * x), unit_rows(x), rtol=1e-12)
    direction, length = row_lengths(scale * x)
    np.testing.assert_allclose(direction * length[:, None], scale * x, rtol=1e-12)


RNG = np.random.default_rng(0)
X, G = RNG.uniform(0.2, 0.9, 30), np.arange(30) // 3
Z, F = RNG.standard_normal((2, 30, 5))
F /= np.linalg.norm(F, axis=1, keepdims=True)
SINGLE, GROUPED = Observed.of(X, expected=X), Observed.of(X, group=G, expected=X)
PARTS = TranslatedPairs.of(0.5 * Z, F, 0.3, Z)

WHOLE = {
    "largest_group": lambda n: Observed.of(X, largest_group=n),
    "largest_group of bets": lambda n: betting.item_lower_limit(X, None, largest_group=n),
    "horizon": lambda n: betting.running_limits(X, horizon=n),
    "bins": lambda n: reliability(X, X, bins=n),
    "trials": lambda n: lower_limit(0, n),
    "successes": lambda n: lower_limit(n, 3),
    "successes of unlike trials": lambda n: fewer_than_expected(n, [0.2, 0.5, 0.9]),
    "k": lambda n: needed_cosine(Z, k=n),
    "k of hubs": lambda n: hub_skew(Z, Z, k=n),
    "k of certificates": lambda n: certify_recall(Z, Z, k=n),
    "k of a counterexample": lambda n: counterexample(Z[0], Z[1:], -0.9, k=n),
    "k of a Gaussian": lambda n: expected_recall(np.eye(2), [1.0, 0.0], np.zeros(2), np.eye(2), n=9, k=n),
    "n of a Gaussian": lambda n: expected_recall(np.eye(2), [1.0, 0.0], np.zeros(2), np.eye(2), n=n),
    "k of a moment": lambda n: AlignmentLaw(5).moment(n),
    "lists": lambda n: measure(np.ones((4, 2, 3)), np.eye(4, 3) + 1, lists=n),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_counted_is_a_whole_number(name):
    call, word = WHOLE[name], name.split()[0]
    for number in (2.5, np.nan, np.inf, -1, "2", None if word not in ("largest_group", "lists") else -2, 10**400, [2]):
        if number != 10**400 or word in ("trials", "successes", "bins"):
            with pytest.raises(ValueError, match=f"^{word}: .*, a whole number from [0-9]* (on|to .*) is needed$"):
                call(number)
    for number in (np.int64(2), 2.0, np.array(2)):
        assert repr(call(number)) == repr(call(2))


BETWEEN = {
    "confidence": lambda x: lower_limit(20, 30, x),
    "confidence of an interval": lambda x: mean_interval(X, G, x),
    "confidence of bets": lambda x: betting.item_lower_limit(X, G, x, largest_group=3),
    "confidence of a ratio": lambda x: betting.ratio_lower_limit(X > 0.4, X > 0.5, None, x),
    "confidence of two sides": lambda x: betting.item_interval(X, G, x, largest_group=3, low=0.0, high=1.0),
    "confidence of a mean": lambda x: betting.lower_mean_limit(X, x, low=0.0, high=1.0),
    "confidence on the way": lambda x: betting.running_limits(X, None, x, horizon=60),
    "confidence of a quantile": lambda x: survival.item_quantile_limit(X, None, G, 0.5, x, largest_group=3),
    "q": lambda x: survival.item_quantile_limit(X, None, G, x, 0.9, largest_group=3),
    "q of independent ones": lambda x: survival.quantile_limit(X, x, 0.9),
    "confidence of a band": lambda x: survival.survival_band(X, x),
    "confidence of a band of one": lambda x: survival.survival_band(X[:1], x),
    "confidence of a band of groups": lambda x: survival.item_survival_band(X, None, G, x, largest_group=3),
    "confidence of bins": lambda x: reliability(X, X, G, confidence=x),
    "confidence of a judgement": lambda x: judge_expectation(X, X, x, group=G, largest_group=3),
    "confidence of groups": lambda x: certify.share_of_groups(GROUPED, 0.5, x),
    "confidence of a certificate": lambda x: certify.certify(GROUPED, 0.5, x),
    "confidence of premises": lambda x: measure_premises(PARTS, 0.5, x),
    "confidence of a selection": lambda x: select(GROUPED, 0.5, x, risk=0.2),
    "risk": lambda x: select(GROUPED, 0.5, 0.9, risk=x),
    "risk of independent ones": lambda x: select(SINGLE, 0.5, 0.9, risk=x),
    "confidence of a curve": lambda x: risk_curve(GROUPED, 0.5, x),
    "confidence of a floor": lambda x: ConformalFloor.of(GROUPED, 0.7, x),
    "share": lambda x: ConformalFloor.of(GROUPED, x, 0.9),
    "level": lambda x: judge_dominance(X, x),
    "confidence of a recall": lambda x: certify_recall(Z + 0.1 * F, Z, k=3, confidence=x, group=G),
    "confidence of a gamma": lambda x: best_gamma(0.5 * Z, F, Z, confidence=x),
    "confidence of a skill": lambda x: limits(Z, Z + 0.1 * F, np.ones(5), None, G, x),
}


@pytest.mark.parametrize("name", BETWEEN)
@pytest.mark.filterwarnings("error")
def test_a_confidence_is_between_0_and_1_and_as_near_as_one_likes(name):
    """Near 1 it is refused where it is divided among so many statements that no digits are left."""
    call, word = BETWEEN[name], name.split()[0]
    for number in (0, 1, np.nan, -0.5, [0.5, 0.6], "0.5", None, 1j):
        with pytest.raises(ValueError, match=f"^{word}: .* needed$"):
            call(number)
    for number in (1e-300, 1e-18, 1 - 1e-9, 1 - 1e-12):
        call(number)
    for number in (1 - 1e-15, np.nextafter(1.0, 0.0)):
        try:
            call(number)
        except ValueError as error:
            assert f"confidence: {number}, at most 1 - " in str(error)


def test_no_confidence_is_divided_beyond_its_digits():
    for call in (BETWEEN["confidence of two sides"], BETWEEN["confidence of a certificate"]):
        with pytest.raises(ValueError, match="^confidence: 0.9999999999999999, at most 1 - .e-14 for . statements"):
            call(np.nextafter(1.0, 0.0))
