"""Which emoji are variants of one another: the same thing with another skin, gender or direction.

An emoji is written here as OpenMoji names its files, by its code points in hexadecimal:
`1F469-1F3FD-200D-1F33E` is woman, medium skin, joiner, sheaf of rice, which is a woman farmer. Its base form,
`1F9D1-200D-1F33E`, is what all farmers share. Near-copies on both sides of a split would let a model remember
instead of translate.
"""

from __future__ import annotations

_PRESENTATION = "FE0F"
_SKIN_TONES = {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"}
_JOINER = "200D"
_JOINED_SIGNS = ("2640", "2642", "27A1")  # female, male, facing right

# Gendered people, each written as the person that stands for both.
_PERSON = {
    "1F468": "1F9D1",  # man
    "1F469": "1F9D1",  # woman
    "1F466": "1F9D2",  # boy: child
    "1F467": "1F9D2",  # girl: child
    "1F474": "1F9D3",  # old man: older person
    "1F475": "1F9D3",  # old woman: older person
    "1F934": "1FAC5",  # prince: person with crown
    "1F478": "1FAC5",  # princess: person with crown
    "1F930": "1FAC4",  # pregnant woman: pregnant person
    "1FAC3": "1FAC4",  # pregnant man: pregnant person
    "1F57A": "1F483",  # man dancing: woman dancing
    "1F6BA": "1F6B9",  # women's room: men's room
}

# Emoji that are one code point in one skin and a sequence in another.
_SEQUENCE = {
    "1F385": "1F9D1-200D-1F384",  # Santa Claus, Mrs. Claus: Mx Claus
    "1F936": "1F9D1-200D-1F384",
    "1F46B": "1F9D1-200D-1F91D-200D-1F9D1",  # woman and man, men, women: people holding hands
    "1F46C": "1F9D1-200D-1F91D-200D-1F9D1",
    "1F46D": "1F9D1-200D-1F91D-200D-1F9D1",
    "1F48F": "1F9D1-200D-2764-200D-1F48B-200D-1F9D1",  # kiss
    "1F491": "1F9D1-200D-2764-200D-1F9D1",  # couple with heart
    "1F46F": "1F9D1-200D-1F430-200D-1F9D1",  # people with bunny ears
    "1F93C": "1F9D1-200D-1FAEF-200D-1F9D1",  # people wrestling
    "1F46A": "1F9D1-200D-1F9D1-200D-1F9D2",  # family: two adults and a child
    "1FAF1-200D-1FAF2": "1F91D",  # rightwards and leftwards hand: handshake
}

# Flags that are drawn alike, and so cannot be told apart from the picture.
_SAME_FLAG = {
    "1F1ED-1F1F2": "1F1E6-1F1FA",  # Heard and McDonald Islands: Australia
    "1F1EA-1F1E6": "1F1EA-1F1F8",  # Ceuta and Melilla: Spain
    "1F1F9-1F1E9": "1F1F7-1F1F4",  # Chad: Romania
    "1F1E8-1F1F5": "1F1EB-1F1F7",  # Clipperton Island: France
    "1F1F2-1F1EB": "1F1EB-1F1F7",  # St. Martin: France
    "1F1F2-1F1E8": "1F1EE-1F1E9",  # Monaco: Indonesia
    "1F1F8-1F1EF": "1F1F3-1F1F4",  # Svalbard and Jan Mayen: Norway
}


def base_form(hexcode: str) -> str:
    """What an emoji is once skin, gender, direction and presentation are taken away.

    Two emoji are variants of one another when their base forms are equal. The base form need not be an emoji.

    Examples
    --------
    >>> base_form("1F469-1F3FD-200D-1F33E")
    '1F9D1-200D-1F33E'
    >>> base_form("1F3C3-200D-2642-FE0F-200D-27A1-FE0F")
    '1F3C3'
    """
    points = [_PERSON.get(p, p) for p in hexcode.split("-") if p != _PRESENTATION and p not in _SKIN_TONES]
    base = "-".join(points)
    for sign in _JOINED_SIGNS:
        base = base.replace(f"-{_JOINER}-{sign}", "")
    return _SEQUENCE.get(base) or _SAME_FLAG.get(base) or base
