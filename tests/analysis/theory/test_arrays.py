"""Checks of arguments: what is refused, and in which words."""

from functools import partial

import numpy as np
import pytest

from analysis.theory.arrays import in_range, matrix, row_cosine, unit_rows, vector
from analysis.theory.certify import Observed


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


def test_sizes_and_labels_are_what_they_say():
    assert Observed.of([0.5, 0.6], largest_group=np.int64(3)).largest_group == 3
    for size in (2.7, np.nan, "2"):
        with pytest.raises(ValueError, match="largest_group: .* a whole number is needed"):
            Observed.of([0.5, 0.6], largest_group=size)
    with pytest.raises(ValueError, match="group: labels of several kinds"):
        Observed.of([0.5, 0.6], group=[None, "a"])


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_directions_of_vectors_of_any_finite_length(scale):
    x, y = np.random.default_rng(0).standard_normal((2, 5, 3))
    assert np.array_equal(row_cosine(2.0**900 * x, 2.0**-900 * y), row_cosine(x, y))
    np.testing.assert_allclose(row_cosine(scale * x, y), row_cosine(x, y), rtol=1e-12)
    np.testing.assert_allclose(unit_rows(scale * x), unit_rows(x), rtol=1e-12)
