"""Checks of arguments: what is refused, and in which words."""

import numpy as np
import pytest

from analysis.theory.arrays import in_range, matrix, row_cosine, vector


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
