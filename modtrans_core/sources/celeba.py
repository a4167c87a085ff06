"""CelebA: faces, with captions made of their attributes or read from a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modtrans_core.files import read_json
from modtrans_core.sources.base import SPLITS, Item, Listing, Skipped, caption
from modtrans_core.sources.defaults import ENCODERS
from modtrans_core.sources.face_captions import face_captions
from modtrans_core.sources.zips import Zipped, zipped

_PICTURES = ("img_align_celeba", "CelebA-HQ-img", "images", "image")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_HOLDS = frozenset(("-1", "0", "1"))
_PARTS = ("", "Anno", "Eval", "Img")  # the folders that CelebA's own archive has


def celeba(path: str, *, limit: int | None = None, seed: int = 0, captions: str | None = None) -> Listing:
    """The faces of CelebA, or of CelebA-HQ where captions are given.

    Parameters
    ----------
    path : a folder that holds, itself or in `Img`, `Anno` and `Eval`: the pictures (`img_align_celeba` or
        `img_align_celeba.zip`; for CelebA-HQ `CelebA-HQ-img` or `images`), `list_attr_celeba.txt`, and where there are
        any `list_eval_partition.txt` and `identity_CelebA.txt`. The lists may be Kaggle's `.csv`.
    limit, seed : at most so many items, whole groups in an order that the seed decides.
    captions : captions to take in place of those made of the attributes: a file `.csv` (header, then picture and one or
        more captions), `.json` (picture to a caption or several), `.txt` (picture, blank, caption), or a folder with a
        file `NAME.txt` for each picture, one caption a line, as Multi-Modal-CelebA-HQ has them.

    Returns
    -------
    Listing
        key: the name of the picture without its suffix. text: see `face_captions`. group: the person, where identities
        are there. split: CelebA's own, where the partition is there.

    Raises
    ------
    ValueError
        If pictures or attributes are not there, or a list cannot be read.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ValueError(f"{path}: no such folder")
    pictures = _pictures(folder)
    lacking = "no attributes" if captions is None else "no caption"
    texts: Mapping[str, Sequence[str | bytes]] = _made(folder) if captions is None else _given(Path(captions))
    partition = _numbers(folder, "list_eval_partition", allowed=range(len(SPLITS)))
    identity = _numbers(folder, "identity_CelebA", allowed=range(1 << 31))

    def entry(key: str) -> Item | Skipped:
        if key not in pictures:
            return Skipped(key, "missing picture")
        if not texts.get(key):
            return Skipped(key, lacking)
        split = partition.get(key)
        try:
            values = {"image": pictures[key], "text": tuple(map(caption, texts[key]))}
        except ValueError as error:
            return Skipped(key, str(error))
        return Item(key, values, identity.get(key, -1), None if split is None else SPLITS[split])

    keys = sorted(pictures.keys() | texts.keys())
    facts = {
        "name": "CelebA",
        "captions": "made of the attributes" if captions is None else f"from {Path(captions).name}",
        "group": "the person" if identity else None,
        "licence": "non-commercial research only",
        "url": "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    }
    encoders = {modality: ENCODERS[modality] for modality in ("image", "text")}
    return Listing(map(entry, keys), encoders, facts, grouped=bool(identity)).at_most(limit, seed)


def _pictures(folder: Path) -> dict[str, Path | Zipped]:
    for place in (folder / part / name for name in _PICTURES for part in _PARTS):
        if (place / place.name).is_dir():  # Kaggle's archive has one within the other
            place = place / place.name
        if place.is_dir():
            return {_key(name): place / name for name in os.listdir(place) if name.lower().endswith(_SUFFIXES)}
        archive = place.with_name(f"{place.name}.zip")
        if archive.is_file():
            return {
                _key(file.name): file
                for file in zipped(archive)
                if file.name.lower().endswith(_SUFFIXES) and not file.name.startswith("__MACOSX")
            }
    names = ", ".join(f"{name} or {name}.zip" for name in _PICTURES)
    raise ValueError(f"{folder}: no folder of pictures, which is called {names}")


def _made(folder: Path) -> Mapping[str, Sequence[str]]:
    """Captions by key, made of the attributes."""
    found = _list(folder, "list_attr_celeba")
    if found is None:
        raise ValueError(f"{folder}: no list_attr_celeba.txt or .csv, and no captions are given (set captions=FILE)")
    file, rows = found
    names = next(rows, [])
    if "Male" not in names and "Smiling" not in names:
        raise ValueError(f"{file}: the line with the attributes' names was expected, found {' '.join(names[:5])!r}")
    names = names[1:] if file.suffix == ".csv" else names
    made = {}
    for row in rows:
        if len(row) != len(names) + 1 or not _HOLDS.issuperset(row[1:]):
            raise ValueError(f"{file}: {row[0]}: {len(names)} numbers are needed, each -1 or 1")
        holds = dict(zip(names, [value == "1" for value in row[1:]], strict=True))
        made[_key(row[0])] = face_captions(holds)
    return made


def _given(source: Path) -> Mapping[str, Sequence[str | bytes]]:
    """Captions by key, as somebody wrote them."""
    if source.is_dir():
        return {file.stem: _lines(file.read_bytes()) for file in sorted(source.glob("*.txt"))}
    if not source.is_file():
        raise ValueError(f"captions: {source}: no such file or folder")
    if source.suffix == ".json":
        told = read_json(source)
        captions = {name: [one] if isinstance(one, str) else one for name, one in _dictionary(told, source).items()}
        for name, several in captions.items():
            if not isinstance(several, list) or not all(isinstance(one, str) for one in several):
                raise ValueError(f"{source}: {name}: a caption or a list of captions is needed")
        return {_key(name): several for name, several in captions.items()}
    if source.suffix == ".csv":
        rows = _csv(source)
        next(rows, None)
    elif source.suffix == ".txt":
        rows = (line.split(maxsplit=1) for line in _text(source).split("\n") if line.strip())
    else:
        raise ValueError(f"captions: {source}: unknown suffix, .csv, .json, .txt or a folder is needed")
    written: dict[str, list[str | bytes]] = {}
    for name, *captions_of_row in rows:
        written.setdefault(_key(name), []).extend(one for one in captions_of_row if one.strip())
    return written


def _numbers(folder: Path, name: str, allowed: range) -> dict[str, int]:
    """A list of one number a picture; empty where the list is not there."""
    found = _list(folder, name)
    if found is None:
        return {}
    file, rows = found
    if file.suffix == ".csv":
        next(rows, None)
    numbers = {}
    for row in rows:
        if len(row) != 2 or not row[1].isascii() or not row[1].isdigit() or int(row[1]) not in allowed:
            needed = f"a picture and a number from {allowed.start} to {allowed.stop - 1} are needed"
            raise ValueError(f"{file}: {' '.join(row)!r}: {needed}")
        numbers[_key(row[0])] = int(row[1])
    return numbers


def _list(folder: Path, name: str) -> tuple[Path, Iterator[list[str]]] | None:
    """One of CelebA's lists and its rows, without the number of pictures that the attributes' list begins with."""
    for file in (folder / part / f"{name}{suffix}" for suffix in (".txt", ".csv") for part in _PARTS):
        if file.is_file():
            rows = _csv(file) if file.suffix == ".csv" else map(str.split, _text(file).split("\n"))
            return file, (row for row in rows if row and not (len(row) == 1 and row[0].isdigit()))
    return None


def _csv(file: Path) -> Iterator[list[str]]:
    try:
        yield from filter(None, csv.reader(_text(file).splitlines(keepends=True), strict=True))
    except csv.Error as error:
        raise ValueError(f"{file}: not valid CSV ({error})") from None


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8-sig", "surrogateescape")  # a caption that is not UTF-8 is skipped alone


def _key(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]  # a list of 202,599 makes `Path` slow


def _lines(text: bytes) -> list[bytes]:
    return [line for line in text.split(b"\n") if line.strip()]


def _dictionary(value: Any, file: Path) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{file}: an object of pictures and their captions is needed, found {type(value).__name__}")
    return value
