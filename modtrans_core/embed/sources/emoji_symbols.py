"""Which emoji are symbols and which are pictures of things: Unicode's group `Symbols`."""

from __future__ import annotations

# The first code points of the group by subgroup, single ones and closed ranges (Unicode's emoji-test.txt, version 16).
_SYMBOLS = {
    "transport-sign": "1F3E7 1F6AE 1F6B0 267F 1F6B9-1F6BC 1F6BE 1F6C2-1F6C5",
    "warning": "26A0 1F6B8 26D4 1F6AB 1F6B3 1F6AD 1F6AF 1F6B1 1F6B7 1F4F5 1F51E 2622 2623",
    "arrow": "2194-2199 21A9-21AA 27A1 2934-2935 2B05-2B07 1F503-1F504 1F519-1F51D",
    "religion": "1F6D0 269B 1F549 2721 2638 262F 271D 2626 262A 262E 1F54E 1F52F 1FAAF",
    "zodiac": "2648-2653 26CE",
    "av-symbol": "1F500-1F502 25B6 23E9-23EF 25C0 23F8-23FA 23CF 1F53C-1F53D 1F3A6 1F505-1F506 1F4F6 1F6DC 1F4F3-1F4F4",
    "gender": "2640 2642 26A7",
    "math": "2716 2795-2797 1F7F0 267E",
    "punctuation": "203C 2049 2753-2755 2757 3030",
    "currency": "1F4B1-1F4B2",
    "other-symbol": "2695 267B 269C 1F531 1F4DB 1F530 2B55 2705 2611 2714 274C 274E 27B0 27BF 303D 2733-2734 2747 00A9 "
    "00AE 2122 1FADF",
    "keycap": "0023 002A 0030-0039 1F51F",
    "alphanum": "1F520-1F524 1F170-1F171 1F18E 1F191-1F19A 2139 24C2 1F17E-1F17F 1F201-1F202 1F21A 1F22F 1F232-1F23A "
    "1F250-1F251 3297 3299",
    "geometric": "1F534-1F53B 1F7E0-1F7EB 26AA-26AB 2B1B-2B1C 25FB-25FE 25AA-25AB 1F4A0 1F518 1F532-1F533",
}


def is_symbol(hexcode: str) -> bool:
    """Whether an emoji, named by its code points such as `2648` or `0023-FE0F-20E3`, is a symbol.

    Examples
    --------
    >>> is_symbol("2648"), is_symbol("1F34E")
    (True, False)
    """
    return int(hexcode.split("-")[0], 16) in _CODES


def _codes(listed: str) -> range:
    first, _, last = listed.partition("-")
    return range(int(first, 16), int(last or first, 16) + 1)


_CODES = frozenset(code for listed in _SYMBOLS.values() for one in listed.split() for code in _codes(one))
