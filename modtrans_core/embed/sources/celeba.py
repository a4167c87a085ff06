"""CelebA: faces, with captions made of their attributes or read from a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modtrans_core.embed.sources.base import SPLITS, Item, Listing, Skipped, caption
from modtrans_core.embed.sources.caption_files import read_captions, text_lines
from modtrans_core.embed.sources.captioned import ENCODERS
from modtrans_core.embed.sources.face_captions import face_captions
from modtrans_core.embed.sources.opening import OUTSIDE, FileWithin, ZipFiles, ZipMember, is_within, part_of
from modtrans_core.progress import counted
from modtrans_core.store.files import refuse_closed

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
    captions : captions to take in place of those made of the attributes: CSV, TSV, JSONL or JSON, see `caption_files`;
        `.txt` with picture, blank, caption on a line; or a folder with a file `NAME.txt` for each picture, one caption
        a line, as Multi-Modal-CelebA-HQ has them.

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
    texts: Mapping[str, Sequence[Any]] = _made(folder) if captions is None else _given(Path(captions))
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
    return Listing(map(entry, keys), ENCODERS["image"], facts, grouped=bool(identity)).at_most(limit, seed)


def _pictures(folder: Path) -> dict[str, FileWithin | ZipMember]:
    for place in (folder / part / name for name in _PICTURES for part in _PARTS):
        if (place / place.name).is_dir():  # Kaggle's archive has one within the other
            place = place / place.name
        if place.is_dir():
            return {
                _key(name): FileWithin(str(place), name)
                for name in os.listdir(place)
                if name.lower().endswith(_SUFFIXES)
            }
        archive = place.with_name(f"{place.name}.zip")
        if archive.is_file():
            files = ZipFiles(archive)
            return {
                _key(name): files(name)
                for name in files
                if name.lower().endswith(_SUFFIXES) and os.path.dirname(os.path.normpath(name)) in ("", place.name)
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
    for row in counted(rows, "list faces", "row"):
        if len(row) != len(names) + 1 or not _HOLDS.issuperset(row[1:]):
            raise ValueError(f"{file}: {row[0]}: {len(names)} numbers are needed, each -1 or 1")
        holds = dict(zip(names, [value == "1" for value in row[1:]], strict=True))
        made[_key(row[0])] = face_captions(holds)
    return made


def _given(source: Path) -> Mapping[str, Sequence[Any]]:
    """Captions by key, as somebody wrote them."""
    if source.is_dir():
        refuse_closed(source)
        files = [file for file in sorted(source.glob("*.txt")) if file.is_file()]
        outside = [ValueError(OUTSIDE)]
        return {
            file.stem: _lines(file.read_bytes()) if is_within(str(source), file.name) else outside for file in files
        }
    if not source.is_file():
        raise ValueError(f"captions: {source}: no such file or folder")
    written: dict[str, list[Any]] = {}
    if source.suffix == ".txt":
        for line in filter(str.strip, text_lines(source)):
            name, *text = line.split(maxsplit=1)
            written.setdefault(_key(name), []).extend(text)
    else:
        for row in read_captions(source):
            written.setdefault(_key(str(row.file)), []).extend(row.captions)
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
    for row in counted(rows, "list parts and people", "row"):
        if len(row) != 2 or not row[1].isascii() or not row[1].isdigit() or int(row[1]) not in allowed:
            needed = f"a picture and a number from {allowed.start} to {allowed.stop - 1} are needed"
            raise ValueError(f"{file}: {' '.join(row)!r}: {needed}")
        numbers[_key(row[0])] = int(row[1])
    return numbers


def _list(folder: Path, name: str) -> tuple[Path, Iterator[list[str]]] | None:
    """One of CelebA's lists and its rows, without the number of pictures that the attributes' list begins with."""
    for file in (folder / part / f"{name}{suffix}" for suffix in (".txt", ".csv") for part in _PARTS):
        if file.is_file():
            part_of(folder, file)
            rows = (line.replace(",", " ").split() for line in text_lines(file))
            return file, (row for row in rows if row and not (len(row) == 1 and row[0].isdigit()))
    return None


def _key(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]  # a list of 202,599 makes `Path` slow


def _lines(text: bytes) -> list[bytes]:
    return [line for line in text.split(b"\n") if line.strip()]
