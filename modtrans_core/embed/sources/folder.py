"""A folder of pictures or sounds and a file of their captions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from modtrans_core.checks import refuse_unless_in
from modtrans_core.embed.sources.base import Listing
from modtrans_core.embed.sources.caption_files import SUFFIXES, Row, read_captions, text_lines
from modtrans_core.embed.sources.captioned import ENCODERS, captioned, file_facts, first_of, folder_at
from modtrans_core.embed.sources.opening import OUTSIDE, FileWithin, is_within, of_folder, part_of
from modtrans_core.store.files import refuse_special

CAPTIONS = tuple(f"captions{suffix}" for suffix in SUFFIXES)
_ENDINGS = {  # files of these are listed although no row names them
    "image": (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".jp2", ".avif"),
    "audio": (".wav", ".flac", ".ogg", ".oga", ".mp3"),
}


def folder(
    path: str,
    *,
    captions: str | None = None,
    images: str | None = None,
    modality: str = "image",
    limit: int | None = None,
    seed: int = 0,
) -> Listing:
    """The pictures, or sounds, of a folder that a captions file names.

    A file that is missing or damaged is found when it is read; one that no row names is skipped for want of a caption.

    Parameters
    ----------
    path : the folder.
    captions : CSV, TSV, JSONL or JSON; a path in the folder, or else anywhere. Default: the file named `captions` in
        the folder. Columns are found by name, see `caption_files`: a file, relative to the folder, and a caption;
        where they are there, `group` (what must not be torn apart) and `split`. Several rows of one file are several
        captions. JSON is COCO's, Karpathy's, or a list of what the lines of JSONL hold. Without such a file, the text
        of `000.txt` is the caption of `000.jpg`, as img2dataset and clip-retrieval have it.
    images : where the files are, if not in `path`: a folder in it, or else anywhere.
    modality : what they are, `image` or `audio`.
    limit, seed : at most so many items, whole groups in an order that the seed decides; default: all.

    Returns
    -------
    Listing
        key: the path of the file in its folder, `/` between its parts.

    Raises
    ------
    ValueError
        If the folder or the captions file is missing, or the file is damaged or lacks a column.
    """
    refuse_unless_in("modality", modality, ENCODERS)
    home = folder_at(path, "folder")
    where = home if images is None else folder_at(home / images if (home / images).is_dir() else images, "set images")
    files = sorted(_files(where, _ENDINGS[modality]))
    rows: Iterable[Row]
    if captions is None and not any((home / name).exists() for name in CAPTIONS) and (rows := _beside(where, files)):
        digest = hashlib.sha256(repr(rows).encode("utf-8", "backslashreplace")).hexdigest()
        facts: dict[str, Any] = {"folder": where.resolve().name, "captions": ["*.txt"], "captions_sha256": [digest]}
    else:
        file = part_of(home, first_of(home, CAPTIONS, "captions file")) if captions is None else home / captions
        refuse_special(file)
        if not file.is_file():
            file = Path(captions or file)
        if not file.is_file():
            raise ValueError(f"set: captions {captions!r}: no such file in {home} or elsewhere")
        known = frozenset(files)
        rows = (row._replace(file=of_folder(where, row.file, known)) for row in read_captions(file))
        facts = file_facts(where, [file])
    named = {"name": home.resolve().name, **facts}
    return captioned(rows, partial(FileWithin, str(where)), named, modality, files).at_most(limit, seed)


def _beside(folder: Path, files: Sequence[str]) -> list[Row]:
    """What the files of text say that are called as these are: 000.txt is the caption of 000.jpg."""
    rows = []
    for name in files:
        text = Path(name).with_suffix(".txt").as_posix()
        if (folder / text).is_file():
            within = is_within(str(folder), text)
            rows.append(Row(name, ("".join(text_lines(folder / text)).strip() if within else ValueError(OUTSIDE),)))
    return rows


def _files(folder: Path, endings: tuple[str, ...]) -> Iterator[str]:
    """The files of a folder and the folders in it that end so; links to folders are not followed."""
    for place, _, names in os.walk(folder):
        inside = os.path.relpath(place, folder).replace(os.sep, "/")
        for name in names:
            if name.lower().endswith(endings):
                yield name if inside == "." else f"{inside}/{name}"
