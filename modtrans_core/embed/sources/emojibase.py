"""What emoji are called in 28 locales: the same things, named by people of each."""

from __future__ import annotations

import json
from typing import Any

from modtrans_core.checks import refuse_unless, refuse_unless_in
from modtrans_core.embed.encoders import E5
from modtrans_core.embed.sources.base import Item, Listing, Skipped, caption
from modtrans_core.embed.sources.emoji_variants import base_form
from modtrans_core.embed.sources.openmoji import without_selector
from modtrans_core.embed.sources.tars import files

_SKINS = ("all", "none")


def emojibase(
    path: str, *, limit: int | None = None, seed: int = 0, locales: str = "en,fr", skins: str = "all"
) -> Listing:
    """The names of emoji, one modality a locale: `text-en`, `text-fr`.

    Parameters
    ----------
    path : the package, as `npm pack emojibase-data` fetches it.
    limit, seed : at most so many items, whole groups in an order that the seed decides.
    locales : two or more, with commas; `text-<locale>` is the modality of each.
    skins : `all`, or `none`: no emoji that differs from another in skin tone alone.

    Returns
    -------
    Listing
        key: code points as OpenMoji writes them, less U+FE0F. text-<locale>: the name. group: variants in skin, gender
        or direction. Emoji that a locale does not name are skipped.

    Raises
    ------
    ValueError
        If there is no such file, it is no such package, or a locale is not in it.
    """
    refuse_unless_in("skins", skins, _SKINS)
    chosen = [locale.strip() for locale in locales.split(",")]
    refuse_unless(len(set(chosen)) == len(chosen) > 1, "locales", locales, "two or more, each once")
    found = files(path, lambda name: name.endswith("/data.json") or name == "package/package.json")
    known = sorted(name.split("/")[1] for name in found if name.endswith("/data.json"))
    if not known:
        raise ValueError(f"{path}: not emojibase-data (no data.json)")
    for locale in chosen:
        refuse_unless_in("locales", locale, known)
    try:
        names = {locale: _names(json.loads(found[f"package/{locale}/data.json"]), skins) for locale in chosen}
        version = json.loads(found["package/package.json"])["version"]
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not emojibase-data ({error})") from None
    keys = sorted(set().union(*names.values()))
    group = {base: number for number, base in enumerate(sorted({base_form(key) for key in keys}))}
    entries: list[Item | Skipped] = []
    for key in keys:
        lacking = [locale for locale in chosen if key not in names[locale]]
        values = {f"text-{locale}": named[key] for locale, named in names.items() if key in named}
        entries.append(
            Skipped(key, f"no name in {lacking[0]}") if lacking else Item(key, values, group[base_form(key)])
        )
    facts = {
        "name": "emoji names",
        "captions": "emojibase's labels",
        "group": "variants in skin tone, gender or direction, and flags drawn alike",
        "versions": {"emojibase-data": version},
        "licence": "MIT",
        "url": "https://emojibase.dev",
    }
    encoders = {f"text-{locale}": E5 for locale in chosen}
    return Listing(entries, encoders, facts, grouped=True).at_most(limit, seed)


def _names(emoji: list[dict[str, Any]], skins: str) -> dict[str, str]:
    """Code points -> name; parts of emoji (a skin tone, the letters of flags) have no group and are left out."""
    listed = [entry for entry in emoji if "group" in entry]
    if skins == "all":
        listed += [skin for entry in listed for skin in entry.get("skins", ())]
    return {without_selector(entry["hexcode"]): caption(entry["label"]) for entry in listed}
