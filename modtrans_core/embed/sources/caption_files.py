"""Files that say which caption belongs to which picture or sound: CSV, JSONL, COCO's JSON and Karpathy's."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from modtrans_core.store.described import parsed
from modtrans_core.store.files import refuse_special

FILE_COLUMNS = ("image", "file", "filename", "file_name", "path", "filepath", "image_name", "audio", "sound")
CAPTION_COLUMNS = ("caption", "captions", "text", "title")
DELIMITERS = ",\t;|"
SUFFIXES = (".csv", ".tsv", ".jsonl", ".json")
SPLIT_NAMES = {  # restval: Karpathy's for what is left of COCO's validation pictures
    **dict.fromkeys(("train", "training", "restval"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""the split that a data set's own word stands for"""


class Row(NamedTuple):
    """What one line or record says: the file as it is named there, and captions, which may be anything."""

    file: Any
    captions: tuple[Any, ...]
    group: str | None = None
    split: str | None = None


def read_captions(path: Path, suffix: str | None = None) -> Iterator[Row]:
    """The rows of a captions file in the format of a suffix, one of `SUFFIXES`; default: its own.

    Text that is not UTF-8 comes with the bytes as surrogates, as from `os.fsdecode`.

    Raises
    ------
    ValueError
        If the file is damaged or lacks what is needed; the message names the file, what was found and what is allowed.
    """
    refuse_special(path)
    suffix = path.suffix.lower() if suffix is None else suffix
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: suffix {path.suffix!r}, one of {', '.join(SUFFIXES)} is needed")
    if suffix == ".json":
        return _json_rows(path)
    return _jsonl_rows(path) if suffix == ".jsonl" else _csv_rows(path, "\t" if suffix == ".tsv" else DELIMITERS)


def split_named(path: Path, name: Any) -> str | None:
    """The split that a file's own word stands for; None for no word.

    Raises
    ------
    ValueError
        If the word is unknown.
    """
    if name is None or not str(name).strip():
        return None
    try:
        return SPLIT_NAMES[str(name).strip().lower()]
    except KeyError:
        raise ValueError(f"{path}: split {name!a}, one of {', '.join(SPLIT_NAMES)} is needed") from None


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a text file with their ends as they are; UTF-8, with or without a byte order mark."""
    refuse_special(path)
    with open(path, "rb") as binary:
        if binary.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError(f"{path}: the text is UTF-16, UTF-8 is needed")
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield from file


def _csv_rows(path: Path, delimiters: Iterable[str]) -> Iterator[Row]:
    lines = text_lines(path)
    header = next(lines, "")
    for delimiter in delimiters:
        try:
            columns = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
        except csv.Error as error:
            raise ValueError(f"{path}: first line: damaged CSV ({error})") from None
        file, caption = _column(columns, FILE_COLUMNS), _column(columns, CAPTION_COLUMNS)
        if file is not None and caption is not None:
            break
    else:
        raise ValueError(
            f"{path}: first line {header.strip()[:80]!a}; needed are the names of a column of files "
            f"({', '.join(FILE_COLUMNS)}) and one of captions ({', '.join(CAPTION_COLUMNS)})"
        )
    group, split = _column(columns, ("group",)), _column(columns, ("split",))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 2  # where the next row begins
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"{path}: row from line {line} on: damaged CSV ({error})") from None
        if cells is None:
            return
        if cells:
            whole = len(cells) == len(columns)
            yield Row(
                cells[file] if file < len(cells) else "",
                (cells[caption] if whole else ValueError("row with more or fewer cells than columns"),),
                cells[group] if whole and group is not None else None,
                split_named(path, cells[split]) if whole and split is not None else None,
            )


def _column(columns: list[str], names: Iterable[str]) -> int | None:
    """The place of the first of the names that is a column."""
    return next((columns.index(name) for name in names if name in columns), None)


def _jsonl_rows(path: Path) -> Iterator[Row]:
    with open(path, "rb") as file:  # str.splitlines would split at more than line feeds
        for number, line in enumerate(file, 1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8", errors="surrogateescape")
            if text.strip():
                yield _row_of(path, parsed(f"{path}: line {number}", text), f"line {number}")


def _json_rows(path: Path) -> Iterator[Row]:
    content = parsed(path, path.read_bytes().decode("utf-8-sig", errors="surrogateescape"))
    if isinstance(content, list):
        for number, record in enumerate(content, 1):
            yield _row_of(path, record, f"record {number}")
    elif isinstance(content, dict) and isinstance(content.get("images"), list):
        yield from _coco_rows(path, content) if "annotations" in content else _karpathy_rows(path, content)
    else:
        found = ", ".join(map(ascii, list(content)[:8])) if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"{path}: found {found or 'nothing'}; a list of objects, COCO's images and annotations, or "
            "Karpathy's images with sentences are needed"
        )


def _row_of(path: Path, record: Any, where: str) -> Row:
    names = list(record) if isinstance(record, dict) else []
    file, caption = (next((name for name in known if name in names), None) for known in (FILE_COLUMNS, CAPTION_COLUMNS))
    if file is None:
        raise ValueError(
            f"{path}: {where} has {', '.join(map(ascii, names[:8])) or 'no names'}; one of {', '.join(FILE_COLUMNS)} "
            f"is needed, with the caption, or a list of captions, in one of {', '.join(CAPTION_COLUMNS)}"
        )
    said = record.get(caption)
    captions = tuple(said) if isinstance(said, list) else () if said is None else (said,)
    group = record.get("group")
    return Row(record[file], captions, None if group is None else str(group), split_named(path, record.get("split")))


def _coco_rows(path: Path, content: dict[str, Any]) -> Iterator[Row]:
    """Images with their annotations, by id. An annotation of no image, or of two, is an error."""
    name_of: dict[Any, Any] = {}
    try:
        for image in content["images"]:
            if name_of.setdefault(image["id"], image["file_name"]) != image["file_name"]:
                raise ValueError(f"{path}: two images have the id {image['id']!a}")
        captions: dict[Any, list[Any]] = {number: [] for number in name_of}
        for annotation in content["annotations"]:
            captions[annotation["image_id"]].append(annotation["caption"])
        for number, name in name_of.items():
            yield Row(name, tuple(captions[number]))
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: damaged at {error}; images with id and file_name, and annotations with caption and "
            "the image_id of an image are needed"
        ) from None


def _karpathy_rows(path: Path, content: dict[str, Any]) -> Iterator[Row]:
    """The JSON of Karpathy and Fei-Fei (2015), https://cs.stanford.edu/people/karpathy/deepimagesent."""
    try:
        for image in content["images"]:
            folder = f"{image['filepath']}/" if image.get("filepath") else ""
            captions = tuple(sentence["raw"] for sentence in image["sentences"])
            yield Row(folder + image["filename"], captions, split=split_named(path, image.get("split")))
    except (KeyError, TypeError, AttributeError) as error:
        needed = "images with filename and sentences with raw are needed"
        raise ValueError(f"{path}: damaged at {error}; {needed}") from None
