"""Captions of faces, made of CelebA's attributes.

The rule: what a person looks like, in a fixed order, said in three ways. A photo of somebody smiling and young, with
wavy blond hair, wearing eyeglasses is

    a photo of a smiling young woman with wavy blond hair and eyeglasses
    a smiling young woman who has wavy blond hair and wears eyeglasses
    she is smiling and young, has wavy blond hair and wears eyeglasses

Only what is there is said, with two exceptions: somebody not `Young` is older, and somebody without `No_Beard` has a
beard. `Attractive` is left out: it is the annotator's judgement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_LOOKS = {"Smiling": "smiling", "Chubby": "chubby"}
_HAIR_FORMS = {"Straight_Hair": "straight", "Wavy_Hair": "wavy"}
_HAIR_COLOURS = {"Black_Hair": "black", "Blond_Hair": "blond", "Brown_Hair": "brown", "Gray_Hair": "grey"}
_HAS = {
    "Bald": "a bald head",
    "Bangs": "bangs",
    "Receding_Hairline": "a receding hairline",
    "Sideburns": "sideburns",
    "Arched_Eyebrows": "arched eyebrows",
    "Bushy_Eyebrows": "bushy eyebrows",
    "Narrow_Eyes": "narrow eyes",
    "Bags_Under_Eyes": "bags under the eyes",
    "Big_Nose": "a big nose",
    "Pointy_Nose": "a pointy nose",
    "High_Cheekbones": "high cheekbones",
    "Rosy_Cheeks": "rosy cheeks",
    "Big_Lips": "big lips",
    "Mouth_Slightly_Open": "a slightly open mouth",
    "Oval_Face": "an oval face",
    "Double_Chin": "a double chin",
    "Pale_Skin": "pale skin",
    "5_o_Clock_Shadow": "a five o'clock shadow",
    "Goatee": "a goatee",
    "Mustache": "a moustache",
}
_WEARS = {
    "Eyeglasses": "eyeglasses",
    "Wearing_Hat": "a hat",
    "Wearing_Earrings": "earrings",
    "Wearing_Necklace": "a necklace",
    "Wearing_Necktie": "a necktie",
    "Wearing_Lipstick": "lipstick",
    "Heavy_Makeup": "heavy make-up",
}


def face_captions(attributes: Mapping[str, bool]) -> tuple[str, ...]:
    """Three captions of a face.

    Parameters
    ----------
    attributes : CelebA's names, and whether they hold; what is not given is not said.

    Examples
    --------
    >>> face_captions({"Male": True, "Young": False, "Gray_Hair": True, "Wearing_Hat": True})[0]
    'a photo of an older man with grey hair and a hat'
    """
    who, pronoun = {True: ("man", "he"), False: ("woman", "she"), None: ("person", "this person")}[
        attributes.get("Male")
    ]
    looks = _said(_LOOKS, attributes)
    if "Young" in attributes:
        looks.append("young" if attributes["Young"] else "older")
    has = _hair(attributes) + _said(_HAS, attributes)
    if attributes.get("No_Beard") is False:
        has.append("a beard")
    wears = _said(_WEARS, attributes)
    somebody = _with_article(" ".join([*looks, who]))
    photo = "a blurry photo" if attributes.get("Blurry") else "a photo"
    has_and_wears = [f"{verb} {_listed(things)}" for verb, things in (("has", has), ("wears", wears)) if things]
    all_of_it = ([f"is {_listed(looks)}"] if looks else []) + has_and_wears
    captions = [
        f"{photo} of {somebody}" + (f" with {_listed(has + wears)}" if has or wears else ""),
        somebody + (f" who {' and '.join(has_and_wears)}" if has_and_wears else ""),
        *([f"{pronoun} {_listed(all_of_it)}"] if all_of_it else []),
    ]
    return tuple(captions)


def _hair(attributes: Mapping[str, bool]) -> list[str]:
    forms, colours = _said(_HAIR_FORMS, attributes), _said(_HAIR_COLOURS, attributes)
    words = [_listed(described) for described in (forms, colours) if described]
    return [" ".join([*words, "hair"])] if words else []


def _said(words: Mapping[str, str], attributes: Mapping[str, bool]) -> list[str]:
    return [word for name, word in words.items() if attributes.get(name)]


def _with_article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _listed(parts: Sequence[str]) -> str:
    """`one`, `one and two`, `one, two and three`."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
