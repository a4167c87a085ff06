"""Tux Paint's stamps: pictures, their captions in 77 languages, and the captions read aloud in some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from modtrans_core.checks import refuse_unless
from modtrans_core.embed.encoders import E5, IMAGE_ENCODER, SPEECH_ENCODER
from modtrans_core.embed.sources.base import Item, Listing, Skipped, caption
from modtrans_core.embed.sources.drawing import Svg
from modtrans_core.embed.sources.tars import files

_FOLDER = "usr/share/tuxpaint/stamps/"
_FOLDERS = 2  # that make a group: `symbols/alphabets` holds letters filled and outlined, in three languages
_ENCODERS = {"image": IMAGE_ENCODER, "text": E5, "audio": SPEECH_ENCODER}


def tuxpaint(
    path: str, *, limit: int | None = None, seed: int = 0, modalities: str = "image,text-en", without: str = ""
) -> Listing:
    """The stamps that have all the modalities asked for; the others are skipped.

    Parameters
    ----------
    path : the package, as `apt-get download tuxpaint-stamps-default` fetches it. What is asked for is held in memory.
    limit, seed : at most so many items, whole groups in an order that the seed decides.
    modalities : two or more of `image`, `text-<language>` (the caption) and `audio-<language>` (the caption read aloud,
        in `fr`, `ru`, `ro`, `ca`, `bg`, `es`, `be`, `el`, `da` and, of few stamps, others), with commas.
    without : folders that are left out, such as `symbols/alphabets`, with commas.

    Returns
    -------
    Listing
        key: the stamp's path, such as `animals/birds/crow`. group: two folders deep, so that letters and signs of one
        template are together; folders in which stamps have the same English caption are one group.

    Raises
    ------
    ValueError
        If there is no such file, it holds no stamps, or no stamp has all the modalities.
    """
    asked = [name.strip() for name in modalities.split(",")]
    kinds = {name: _kind(name) for name in asked}
    refuse_unless(len(kinds) == len(asked) > 1, "modalities", modalities, "two or more, each once")
    endings = {ending for name in asked for ending in _endings(*kinds[name])} | {".txt"}
    found = files(path, lambda name: name.startswith(_FOLDER) and name.endswith(tuple(endings)))
    held = {name.removeprefix(_FOLDER): contents for name, contents in found.items()}
    left_out = tuple(f"{folder.strip()}/" for folder in without.split(",") if folder.strip())
    stamps = {
        name.removesuffix(".txt"): _captions(contents)
        for name, contents in sorted(held.items())
        if name.endswith(".txt") and not name.startswith(left_out)
    }
    group = dict(zip(stamps, _groups(stamps), strict=True))
    entries: list[Item | Skipped] = []
    for key, captions in stamps.items():
        values = {name: _value(held, key, captions, *kinds[name]) for name in asked}
        lacking = [name for name, value in values.items() if value is None]
        entries.append(Skipped(key, f"no {lacking[0]}") if lacking else Item(key, values, group[key]))
    if not any(isinstance(entry, Item) for entry in entries):
        raise ValueError(f"{path}: no stamp with {modalities}")
    facts = {
        "name": "Tux Paint stamps",
        "package": PurePosixPath(path).name,
        "without": without,
        "group": "two folders deep, and folders that share an English caption",
        "licence": "GPL-2.0",
        "url": "https://tuxpaint.org",
    }
    encoders = {name: _ENCODERS[kind] for name, (kind, _) in kinds.items()}
    return Listing(entries, encoders, facts, grouped=True).at_most(limit, seed)


def _kind(name: str) -> tuple[str, str]:
    """The kind of a modality and its language, "" of a picture."""
    kind, _, language = name.partition("-")
    known = name == "image" or (kind in ("text", "audio") and language != "")
    refuse_unless(known, "modalities", name, "image, text-<language> or audio-<language>")
    return kind, language


def _endings(kind: str, language: str) -> Sequence[str]:
    """How the names of a modality's files end, the one that is preferred first."""
    spoken = "_desc" if language == "en" else f"_desc_{language}"
    return {"image": (".png", ".svg"), "audio": (f"{spoken}.ogg", f"{spoken}.wav"), "text": ()}[kind]


def _value(held: Mapping[str, bytes], key: str, captions: Mapping[str, str], kind: str, language: str) -> Any:
    if kind == "text":
        return captions.get(language)
    ending = next((ending for ending in _endings(kind, language) if key + ending in held), None)
    if ending is None:
        return None
    contents = held[key + ending]
    return Svg(contents.decode("utf-8", "replace")) if ending == ".svg" else contents


def _captions(contents: bytes) -> dict[str, str]:
    """Language -> caption: the first line is English, the others are `fr.utf8=Une grenouille.`"""
    english, *others = contents.decode("utf-8", "replace").splitlines() or [""]
    named = [("en", english), *((name, said) for name, _, said in (line.partition(".utf8=") for line in others))]
    return {name: caption(said) for name, said in named if said.strip()}


def _groups(stamps: Mapping[str, Mapping[str, str]]) -> list[int]:
    """The group of each stamp."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    folders = ["/".join(PurePosixPath(key).parent.parts[:_FOLDERS]) for key in stamps]
    said = [captions.get("en", key) for key, captions in stamps.items()]
    (_, folder), (_, words) = (np.unique(names, return_inverse=True) for names in (folders, said))
    n = folder.max(initial=-1) + 1
    size = int(n + words.max(initial=-1) + 1)
    joined = coo_array((np.ones(len(folder)), (folder, n + words)), shape=(size, size))
    return connected_components(joined, directed=False)[1][folder].tolist()
