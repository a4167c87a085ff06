"""Pair sets of one data set with several encoders: which there are offline, and which a user names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from analysis.experiments.data import dataset_name, print_of
from modtrans_core.ahead import ahead
from modtrans_core.checks import refuse_unless
from modtrans_core.embed.encoders import IMAGE_ENCODER, identity, load_encoder
from modtrans_core.embed.pair_set import cache_dir, cached_openmoji, embed, writable_cache
from modtrans_core.embed.sources import load_source
from modtrans_core.embed.sources.places import on_sphere
from modtrans_core.embed.sources.reading import read
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress
from modtrans_core.store.files import stem

DRAWN = 256
"""pictures that are held while they are encoded"""
RANDOM_IMAGES = "timm:tf_efficientnet_lite0/random"
CITIES = 3000
"""cities that are embedded, of about 34,000"""
KINDS = {"coco": "coco", "cc3m": "webdataset", "celeba": "celeba", "cifar10": "cifar10"}
"""the poster's data sets, and the source that reads each"""


def with_random_weights(items: int = 0, progress: Progress | None = None) -> Path:
    """OpenMoji as by default, but the weights of the pictures' network are as they were drawn: cached."""
    return with_other_pictures(items, RANDOM_IMAGES, progress=progress)


def line_drawings(items: int = 0, progress: Progress | None = None) -> Path:
    """OpenMoji in black lines, without its colours: cached."""
    return with_other_pictures(items, style="black", progress=progress)


def with_other_pictures(
    items: int = 0, encoder: str = IMAGE_ENCODER, style: str = "colour", progress: Progress | None = None
) -> Path:
    """The texts of OpenMoji as they are cached, and other vectors of its pictures: cached.

    Parameters
    ----------
    items : at most, evenly spaced, less those that cannot be drawn; no others are encoded. 0: all.
    encoder, style : of the pictures, see `modtrans_core.embed.sources.openmoji`.
    progress : called with (pictures done, in all).
    """
    data = PairedEmbeddings.load(cached_openmoji(progress=progress))
    data = data.at_most(items or len(data))
    path = _cached("openmoji-pictures", data, identity(encoder), style)
    if path.exists():
        return path
    assert data.key is not None  # the engine writes it
    source, network = load_source("openmoji", settings={"style": style}), load_encoder(encoder, "image")
    drawings = {item.key: item.values["image"] for item in source.items}  # type: ignore[attr-defined]  # a listing

    def draw(key: str) -> np.ndarray | None:
        with suppress(ValueError):
            return network.prepare(read("image", drawings[key]))
        return None

    pictures, kept, vectors = ahead(draw, data.key), [], []
    while several := list(islice(pictures, DRAWN)):
        kept += [picture is not None for picture in several]
        vectors.append(network.encode_prepared([picture for picture in several if picture is not None]))
        if progress:
            progress(len(kept), len(data))
    facts = {"dataset": dict(source.facts), "image": network.facts()}
    replaced(data.take(np.flatnonzero(kept)), {"image": np.concatenate(vectors)}, facts).save(path)
    return path


def cities(items: int = CITIES, progress: Progress | None = None) -> Path:
    """At most so many cities with GeoCLIP and MiniLM: cached."""
    return embed("places", limit=items, progress=progress)


def cities_by_coordinates(items: int = CITIES, progress: Progress | None = None) -> Path:
    """The same cities, each a point on the unit sphere in place of GeoCLIP's vector: cached.

    The angle between two such vectors is the great circle's, so that a cosine of .99 is 900 km.
    """
    data = PairedEmbeddings.load(cities(items, progress))
    path = _cached("coordinates", data)
    if not path.exists():
        assert data.key is not None  # the engine writes it
        listed = load_source("places", items).items  # type: ignore[attr-defined]  # a listing
        place = {item.key: item.values["location"] for item in listed}
        vectors = on_sphere(np.array([place[key] for key in data.key])).astype(np.float32)
        replaced(data, {"location": vectors}, {"location": {"encoder": "array:coordinates"}}).save(path)
    return path


def replaced(
    pairs: PairedEmbeddings, vectors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> PairedEmbeddings:
    """The pair set with other vectors (n, d) of a modality, and what is then said of it.

    Examples
    --------
    >>> pairs = PairedEmbeddings({"image": np.eye(2), "text": np.eye(2, 3)})
    >>> replaced(pairs, {"image": np.eye(2, 5)}, {"image": {"encoder": "timm:other/random"}})
    PairedEmbeddings(image (2, 5), text (2, 3))
    """
    return replace(pairs, arrays={**pairs.arrays, **vectors}, metadata={**pairs.metadata, **metadata})


def _cached(name: str, pairs: PairedEmbeddings, *inputs: object) -> Path:
    """Where a pair set is kept that is made of another one and these inputs, JSON values."""
    text = json.dumps([print_of(pairs), *inputs, version("modtrans")], sort_keys=True)
    path = cache_dir() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.npz"
    return path if path.exists() else writable_cache() / path.name


def offline_sets(items: int = 0, progress: Progress | None = None) -> list[Path]:
    """All that needs no network: OpenMoji with real and with random weights, cities by GeoCLIP and by coordinates.

    Parameters
    ----------
    items : of OpenMoji with random weights, at most, those that `at_most` takes of OpenMoji itself. 0: all.
    progress : of each set in turn, called with (items done, in all).
    """
    return [
        cached_openmoji(progress=progress),
        with_random_weights(items, progress),
        cities(progress=progress),
        cities_by_coordinates(progress=progress),
    ]


def embedded(paths: Mapping[str, str], encoders: str, progress: Progress | None = None) -> list[Path]:
    """Pair sets of data on disk with every pair of encoders: cached.

    Parameters
    ----------
    paths : one of `KINDS` -> where it lies; the empty ones are left out.
    encoders : pairs `IMAGE, TEXT` of names as `modtrans_core.embed.encoders` has them, `;` between pairs.
    """
    chosen = {kind: path for kind, path in paths.items() if path}
    both = named_pairs(encoders) if chosen else []
    refuse_unless(bool(both) or not chosen, "encoders", encoders, "IMAGE, TEXT")
    for kind in chosen:
        if kind not in KINDS:
            raise ValueError(f"paths: {kind!r}, one of {', '.join(KINDS)} is needed")
    return [
        embed(f"{KINDS[kind]}:{path}", encoders={"image": image, "text": text}, progress=progress)
        for kind, path in chosen.items()
        for image, text in both
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
    name = dataset_name(pairs)
    said = [pairs.encoder(modality).get("encoder") for modality in list(pairs.arrays)[:2]]
    encoders = [short(one) for one in said if isinstance(one, str)]
    return stem(file) if name is None or len(encoders) < len(said) else f"{name}: {' | '.join(encoders)}"


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
