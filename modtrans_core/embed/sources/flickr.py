"""Flickr8k (Hodosh et al., 2013) and Flickr30k (Young et al., 2014) in the forms in which they go round."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from modtrans_core.checks import refuse_unless_in
from modtrans_core.embed.sources.base import Listing
from modtrans_core.embed.sources.caption_files import Row, read_captions, text_lines
from modtrans_core.embed.sources.captioned import captioned, file_facts, first_of, folder_at
from modtrans_core.embed.sources.opening import FileWithin, of_folder, part_of

KARPATHY = ("dataset_flickr8k.json", "dataset_flickr30k.json")
TOKENS = ("Flickr8k.token.txt", "Flickr8k_text/Flickr8k.token.txt", "results_20130124.token")
TABLES = ("results.csv", "captions.txt")  # as on Kaggle
FOLDERS = (
    "Flicker8k_Dataset",
    "Flickr8k_Dataset/Flicker8k_Dataset",
    "Flickr8k_Dataset",
    "Flicker8k_Images",
    "flickr30k-images",
    "flickr30k_images/flickr30k_images",
    "flickr30k_images",
    "Images",
    "images",
)
LISTS = {
    "Flickr_8k.trainImages.txt": "train",
    "Flickr_8k.devImages.txt": "validation",
    "Flickr_8k.testImages.txt": "test",
}


def flickr(path: str, *, captions: str | None = None, limit: int | None = None, seed: int = 0) -> Listing:
    """The pictures of Flickr8k or Flickr30k with their five captions.

    Parameters
    ----------
    path : a folder with the pictures in one of `FOLDERS`, and a captions file.
    captions : which file; default: the first that is there of Karpathy's `dataset_flickr8k.json` and
        `dataset_flickr30k.json`, the token files `Flickr8k.token.txt` and `results_20130124.token`, and Kaggle's
        `results.csv` and `captions.txt`. The first two have their own split, the token file of Flickr8k where
        `Flickr_8k.trainImages.txt` and its like lie beside it; the rest have none.
    limit, seed : at most so many items, in an order that the seed decides; default: all.

    Returns
    -------
    Listing
        key: the name of the file, such as `1000268201_693b08cb0e.jpg`.

    Raises
    ------
    ValueError
        If captions or pictures are missing or damaged; the message lists what was looked for.
    """
    home = folder_at(path, "flickr")
    known = {Path(name).name: reader for name, reader in _READERS.items()}
    if captions is not None:
        refuse_unless_in("captions", Path(captions).name, known)
    file = first_of(home, _READERS if captions is None else [captions], "captions file")
    file = part_of(home, file) if captions is None else file
    pictures = first_of(home, FOLDERS, "folder of pictures")
    rows = known[file.name](file)
    lists = {file.with_name(name): split for name, split in LISTS.items() if file.with_name(name).is_file()}
    for one in lists:
        part_of(home, one)
    if lists and file.name == "Flickr8k.token.txt":
        rows = _with_splits(rows, lists)
    facts = {
        "name": "Flickr8k" if "8k" in file.name or file.name == "captions.txt" else "Flickr30k",
        **file_facts(home, [file]),
        "licence": "pictures are their owners' on Flickr; the data set is for research and education",
    }
    rows = (row._replace(file=of_folder(pictures, row.file)) for row in rows)
    return captioned(rows, partial(FileWithin, str(pictures)), facts, independent=True).at_most(limit, seed)


def _token_rows(file: Path) -> Iterator[Row]:
    """Lines such as `1000268201_693b08cb0e.jpg#0<tab>A child in a pink dress ...`."""
    for line in text_lines(file):
        if line.strip():
            name, tab, caption = line.partition("\t")
            yield Row(name.rpartition("#")[0] or name.strip(), (caption if tab else ValueError("line without a tab"),))


def _bar_rows(file: Path) -> Iterator[Row]:
    """Lines such as `1000092795.jpg| 0| Two young guys ...`; one, of 2199200615.jpg, lacks its second bar."""
    lines = text_lines(file)
    next(lines, None)  # image_name| comment_number| comment
    for line in lines:
        if found := re.fullmatch(r"([^|]*)\|\s*\d+\s*(?:\||\s)(.*)", line.strip(), re.DOTALL):
            yield Row(found[1].strip(), (found[2],))
        elif line.strip():
            yield Row(line.partition("|")[0].strip(), (ValueError("line without two bars"),))


def _with_splits(rows: Iterator[Row], lists: dict[Path, str]) -> Iterator[Row]:
    split_of: dict[str, str] = {}
    for file, split in lists.items():
        for line in text_lines(file):
            name = line.strip()
            if name and split_of.setdefault(name, split) != split:
                raise ValueError(f"{file}: {name!a} is in {split} and {split_of[name]}; one split is needed")
    for row in rows:
        yield row._replace(split=split_of.get(row.file))


def _comma_rows(file: Path) -> Iterator[Row]:
    return read_captions(file, ".csv")


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    **dict.fromkeys(KARPATHY, read_captions),
    **dict.fromkeys(TOKENS, _token_rows),
    "results.csv": _bar_rows,
    "captions.txt": _comma_rows,
}
