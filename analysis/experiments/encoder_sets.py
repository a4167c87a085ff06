"""Pair sets of one data set with several encoders: which there are offline, and which a user names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from modtrans_core.embed.pair_set import cache_dir, cached_openmoji, embed, is_cached
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, part_of
from modtrans_core.store.files import replacing

RANDOM_IMAGES = "timm:tf_efficientnet_lite0/random"
CITIES = 6000
"""cities that are embedded, of about 34,000: their names take MiniLM a minute or two on two cores"""
KINDS = {"coco": "coco", "cc3m": "webdataset", "celeba": "celeba", "cifar10": "cifar10"}
"""the poster's data sets, and the source that reads each"""


def with_random_weights(progress: Progress | None = None) -> Path:
    """OpenMoji as by default, but the weights of the pictures' network are as they were drawn: cached."""
    return embed("openmoji", encoders={"image": RANDOM_IMAGES}, progress=progress)


def line_drawings(progress: Progress | None = None) -> Path:
    """OpenMoji in black lines, without its colours: cached."""
    return embed("openmoji", settings={"style": "black"}, progress=progress)


def cities(items: int = CITIES, progress: Progress | None = None) -> Path:
    """At most so many cities with GeoCLIP and MiniLM: cached."""
    return embed("places", limit=items, progress=progress)


def cities_by_coordinates(items: int = CITIES, progress: Progress | None = None) -> Path:
    """The same cities, each a point on the unit sphere in place of GeoCLIP's vector: cached.

    The angle between two such vectors is the great circle's, so that a cosine of .99 is 900 km.
    """
    from modtrans_core.embed.sources import load_source

    listed = load_source("places", items)
    path = cache_dir() / f"coordinates-{listed.identity()[:12]}.npz"  # the name is a part of what is cached
    if not path.exists():
        places = listed.items  # type: ignore[attr-defined]  # a listing
        vectors = on_sphere(np.array([item.values["location"] for item in places]))
        with replacing(path) as temporary:
            np.savez(temporary, key=np.array([item.key for item in places]), vectors=vectors)
    return embed("places", encoders={"location": f"array:{path}"}, limit=items, progress=progress)


def on_sphere(location: np.ndarray) -> np.ndarray:
    """Latitude and longitude in degrees, (n, 2), as unit vectors (n, 3): x to (0, 0), z to the north pole."""
    latitude, longitude = np.radians(np.asarray(location, dtype=np.float64)).T
    across = np.cos(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], axis=1)


def offline_sets(cities_at_most: int = CITIES, progress: Progress | None = None) -> list[Path]:
    """All that needs no network: OpenMoji with real and with random weights, cities by GeoCLIP and by coordinates.

    Parameters
    ----------
    progress : of each set in turn, called with (items done, in all).
    """
    return [
        cached_openmoji(progress=progress),
        with_random_weights(progress),
        cities(cities_at_most, progress),
        cities_by_coordinates(cities_at_most, progress),
    ]


def embed_offline(progress: Progress) -> None:
    """All of `offline_sets`, and `line_drawings`.

    Parameters
    ----------
    progress : called with (hundredths done, in all), of each set in turn.
    """
    offline_sets(progress=part_of(progress, 0, 2))
    line_drawings(part_of(progress, 1, 2))


def offline_is_embedded() -> bool:
    """Whether `embed_offline` returns at once."""
    drawn = is_cached("openmoji", {"image": RANDOM_IMAGES}) and is_cached("openmoji", settings={"style": "black"})
    return drawn and is_cached("places", limit=CITIES)


def embedded(paths: Mapping[str, str], encoders: str, progress: Progress | None = None) -> list[Path]:
    """Pair sets of data on disk with every pair of encoders: cached.

    Parameters
    ----------
    paths : one of `KINDS` -> where it lies; the empty ones are left out.
    encoders : pairs `IMAGE, TEXT` of names as `modtrans_core.embed.encoders` has them, `;` between pairs.
    """
    chosen = {kind: path for kind, path in paths.items() if path}
    for kind in chosen:
        if kind not in KINDS:
            raise ValueError(f"paths: {kind!r}, one of {', '.join(KINDS)} is needed")
    return [
        embed(f"{KINDS[kind]}:{path}", encoders={"image": image, "text": text}, progress=progress)
        for kind, path in chosen.items()
        for image, text in named_pairs(encoders)
    ]


def named_pairs(encoders: str) -> list[tuple[str, str]]:
    """`A, B; C, D` as [(A, B), (C, D)].

    Raises
    ------
    ValueError
        A pair that is not two names.
    """
    pairs = []
    for pair in filter(str.strip, encoders.split(";")):
        names = [name.strip() for name in pair.split(",")]
        if len(names) != 2 or not all(names):
            raise ValueError(f"encoders: {pair.strip()!r}, IMAGE, TEXT is needed; ';' goes between pairs")
        pairs.append((names[0], names[1]))
    return pairs


def named(files: Iterable[str | Path]) -> dict[str, Path]:
    """Pair sets by their names: the data set and both encoders where its metadata say, else the file's.

    A file that is listed twice is taken once; another one of the same name gets a number.
    """
    found: dict[str, Path] = {}
    for file in map(Path, files):
        if any(file.resolve() == other.resolve() for other in found.values()):
            continue
        name = called = _called(file)
        number = 1
        while name in found:
            number += 1
            name = f"{called} ({number})"
        found[name] = file
    return found


def _called(file: Path) -> str:
    pairs = PairedEmbeddings.load(file)
    name = pairs.metadata.get("dataset", {}).get("name")
    encoders = [pairs.metadata.get(modality, {}).get("encoder") for modality in list(pairs.arrays)[:2]]
    return file.stem if name is None or None in encoders else f"{name}: {' | '.join(map(short, encoders))}"


def short(encoder: str) -> str:
    """The name of an encoder in a table.

    Examples
    --------
    >>> short("timm:tf_efficientnet_lite0/random"), short("geoclip:location/geoclip"), short("array:a/b-12.npz")
    ('tf_efficientnet_lite0 (random)', 'geoclip', 'b')
    """
    library, _, rest = encoder.partition(":")
    model, _, weights = rest.partition("/")
    if library == "array":
        return Path(rest).stem.split("-")[0]
    if library == "geoclip":
        return weights
    return f"{model} (random)" if weights == "random" else model
