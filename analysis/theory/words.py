"""Numbers in sentences. A limit is rounded to its safe side, so that what is read is no more than what was proved."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation

EXACT = Context(prec=400, traps=[InvalidOperation])
"""enough digits for any float, whatever context the caller computes in"""


def at_least(limit: float, digits: int = 4, *, percent: bool = False) -> str:
    """A lower limit with so many decimals, rounded down.

    Examples
    --------
    >>> at_least(0.70718), at_least(0.41), at_least(-0.00001), at_least(0.65349, 2, percent=True)
    ('0.7071', '0.4100', '-0.0001', '65.34%')
    """
    return _rounded(limit, digits, percent, ROUND_FLOOR)


def at_most(limit: float, digits: int = 4, *, percent: bool = False) -> str:
    """An upper limit with so many decimals, rounded up.

    Examples
    --------
    >>> at_most(0.70711), at_most(0.41), at_most(-0.00001), at_most(0.15381, 2, percent=True)
    ('0.7072', '0.4100', '0.0000', '15.39%')
    """
    return _rounded(limit, digits, percent, ROUND_CEILING)


def given(number: float) -> str:
    """A number that was asked for, with all the digits that it was given with.

    Examples
    --------
    >>> given(0.5), given(0.123456), given(1 - 0.9)
    ('0.5', '0.123456', '0.1')
    """
    return f"{number:.15g}"


def _rounded(limit: float, digits: int, percent: bool, rounding: str) -> str:
    """The decimal that this float is to 12 digits after the point, rounded. Beyond is noise of its computation."""
    number = Decimal(repr(round(float(limit), 12))).scaleb(2 if percent else 0, EXACT)
    number = number.quantize(Decimal(1).scaleb(-digits, EXACT), rounding, EXACT)
    return f"{number.copy_abs() if number == 0 else number}{'%' if percent else ''}"
