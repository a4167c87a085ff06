"""Emoji by other artists: Twemoji, Noto and whatever else Iconify packs, in place of OpenMoji's pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from typing import Any

from modtrans_core.embed.sources.base import Item, Listing, Skipped
from modtrans_core.embed.sources.drawing import SIZE, Svg
from modtrans_core.embed.sources.openmoji import openmoji, without_selector
from modtrans_core.embed.sources.tars import files

_NEEDED = ("icons", "chars", "info", "package")


def iconify(path: str, *, limit: int | None = None, seed: int = 0) -> Listing:
    """The emoji of OpenMoji as another set of icons draws them: keys, captions and groups are OpenMoji's.

    Parameters
    ----------
    path : a package of Iconify with names by code point, as `npm pack @iconify-json/twemoji` fetches it.
    limit, seed : at most so many items, whole groups in an order that the seed decides.

    Returns
    -------
    Listing
        image: drawn on white. Emoji that the set does not have are skipped.

    Raises
    ------
    ValueError
        If there is no such file, or it is no such package.
    ModuleNotFoundError
        If a package of `openmoji` is missing; the message is the command that installs it.
    """
    found = files(path, {f"package/{name}.json" for name in _NEEDED}.__contains__)
    try:
        icons, chars, info, package = (json.loads(found[f"package/{name}.json"]) for name in _NEEDED)
        drawn = {without_selector(code.upper()): _svg(icons, name) for code, name in chars.items()}
        facts = {"name": info["name"], "licence": info["license"]["spdx"], "url": info["author"]["url"]}
        version = package["version"]
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a set of icons of Iconify with chars.json ({error})") from None
    named = openmoji()
    facts |= {
        "picture": f"SVG drawn at {SIZE} px on white",
        "attribution": info["author"]["name"],
        "versions": {"iconify": version, **named.facts["versions"]},
        **{name: named.facts[name] for name in ("captions", "group")},
    }
    entries: list[Item | Skipped] = []
    for item in named.items:
        svg = drawn.get(without_selector(item.key))
        values = {"image": svg, "text": item.values["text"]}
        entries.append(Skipped(item.key, "not drawn in this set") if svg is None else replace(item, values=values))
    return Listing(entries, named.encoders, facts, grouped=True).at_most(limit, seed)


def _svg(icons: dict[str, Any], name: str) -> Svg:
    """The drawing of that name; sizes that it does not state are the set's."""
    icon = icons["icons"][name]
    left, top, width, height = (
        icon.get(side, icons.get(side, default))
        for side, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    box = escape(f"{left} {top} {width} {height}")
    return Svg(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{icon["body"]}</svg>')
