"""MS-COCO captions (Lin et al., 2014; Chen et al., 2015, arXiv 1504.00325), 2014 and 2017, as distributed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from modtrans_core.checks import refuse_unless_in
from modtrans_core.embed.sources.base import Listing
from modtrans_core.embed.sources.caption_files import Row, read_captions
from modtrans_core.embed.sources.captioned import captioned, file_facts, folder_at
from modtrans_core.embed.sources.opening import OUTSIDE, FileWithin, ZipFiles, of_folder, part_of

YEARS = ("2017", "2014")
PARTS = {"train": "train", "val": "test"}  # the part's split: the captions of COCO's own test pictures are not public
KARPATHY = ("dataset_coco.json", "annotations/dataset_coco.json")


def coco(
    path: str, *, year: str | None = None, part: str | None = None, limit: int | None = None, seed: int = 0
) -> Listing:
    """The pictures of MS-COCO with their five or more captions.

    In `path` are `annotations/captions_train2017.json` and the like, and the pictures, in the folder `train2017` (or
    `images/train2017`) or in `train2017.zip`, which is read as it is and never extracted.

    Parameters
    ----------
    path : the folder.
    year : 2014 or 2017; default: the one that is there, 2017 if both are.
    part : `train`, `val`, `both`, or `karpathy`: train2014 and val2014 in the split of Karpathy and Fei-Fei (2015), by
        `dataset_coco.json`. Default: what is there of train and val, else `karpathy`. `train` is the split train, and
        `val` the split test; there is no validation but what is split off train.
    limit, seed : at most so many items, in an order that the seed decides; default: all.

    Returns
    -------
    Listing
        key: part and file, such as `train2017/000000000009.jpg`.

    Raises
    ------
    ValueError
        If annotations or pictures are missing or damaged; the message lists what was looked for.
    """
    home = folder_at(path, "coco")
    if year is not None:
        refuse_unless_in("year", year, YEARS)
    if part is not None:
        refuse_unless_in("part", part, (*PARTS, "both", "karpathy"))
    karpathy = next((home / name for name in KARPATHY if (home / name).is_file()), None)
    if part == "karpathy" and year == "2017":
        raise ValueError("set: part karpathy is of year 2014, not 2017")
    parts = [] if part == "karpathy" else _parts(home, year, part)
    if parts:
        files = {name: part_of(home, home / f"annotations/captions_{name}.json") for name in parts}
    elif karpathy and part in (None, "karpathy") and year != "2017":
        parts, files = ["train2014", "val2014"], {"karpathy": part_of(home, karpathy)}
    else:
        raise ValueError(f"{home}: no COCO captions with their pictures; looked for {_sought(year, part)}")
    stores = {name: store for name in parts if (store := _store(home, name)) is not None}
    if not stores:
        raise ValueError(f"{home}: no pictures of {' or '.join(parts)}; looked for {_places(parts[0])}")
    facts = {
        "name": "MS-COCO",
        **file_facts(home, files.values()),
        "parts": parts,
        "licence": "annotations CC BY 4.0; each picture has its own licence",
        "url": "https://cocodataset.org",
    }
    return captioned(_rows(home, files), partial(_picture, stores), facts, independent=True).at_most(limit, seed)


def _parts(home: Path, year: str | None, part: str | None) -> list[str]:
    """What is there of the parts that are asked for, such as `train2017`; nothing, where that is not enough."""
    for candidate in YEARS if year is None else (year,):
        wanted = [f"{name}{candidate}" for name in PARTS if part in (None, "both", name)]
        there = [
            name
            for name in wanted
            if (home / f"annotations/captions_{name}.json").is_file() and _store_path(home, name) is not None
        ]
        if there == wanted or (there and part is None):
            return there
    return []


def _rows(home: Path, files: dict[str, Path]) -> Iterator[Row]:
    for name, file in files.items():
        place = None if name == "karpathy" else _store_path(home, name)
        for row in read_captions(file):
            if place is None:  # its names have the part before them
                yield row
            else:
                picture = str(of_folder(place, row.file))
                inside = picture if os.path.isabs(picture) else f"{name}/{picture}"  # or refused as it is
                yield row._replace(file=inside, split=PARTS[name.rstrip("0123456789")])


def _picture(stores: dict[str, Callable[[str], Any]], key: str) -> Any:
    part, _, name = key.partition("/")
    if part not in stores:
        raise ValueError("missing folder" if part.startswith(tuple(PARTS)) else OUTSIDE)
    return stores[part](name)


def _store(home: Path, part: str) -> Callable[[str], Any] | None:
    """What gives the pictures of a part by their names: a folder or a zip file."""
    place = _store_path(home, part)
    if place is None:
        return None
    if place.is_dir():
        return partial(FileWithin, str(place))
    archive = ZipFiles(place)
    return lambda name: archive(f"{part}/{name}")


def _store_path(home: Path, part: str) -> Path | None:
    folders = (home / part, home / "images" / part)
    zips = (home / f"{part}.zip", home / "images" / f"{part}.zip")
    return next((p for p in folders if p.is_dir()), None) or next((p for p in zips if p.is_file()), None)


def _places(part: str) -> str:
    return f"{part}/, images/{part}/, {part}.zip, images/{part}.zip"


def _sought(year: str | None, part: str | None) -> str:
    if part == "karpathy":
        return " or ".join(KARPATHY)
    years = "|".join(YEARS) if year is None else year
    names = {"train": "train", "val": "val"}.get(part or "", "train|val" if part is None else "train and val")
    return (
        f"annotations/captions_({names})({years}).json, each with its folder or zip file, as in {_places('train2017')}"
    )
