"""Rows of captions made into a source: one item a file, with all its captions, and an account of what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modtrans_core.embed.encoders import CLAP, CLIP
from modtrans_core.embed.sources.base import Item, Listing, Skipped, caption
from modtrans_core.embed.sources.caption_files import Row
from modtrans_core.embed.sources.opening import relative
from modtrans_core.progress import counted
from modtrans_core.store.files import refuse_special, sha256

NO_CAPTION = "no caption"
ENCODERS = {"image": {"image": CLIP, "text": CLIP}, "audio": {"audio": CLAP, "text": CLAP}}


def encoders_of(media: Sequence[str]) -> dict[str, str]:
    """The encoders of pictures, sounds or both with captions, these as the first of them has them."""
    return {medium: ENCODERS[medium][medium] for medium in media} | {"text": ENCODERS[media[0]]["text"]}


@dataclass(slots=True)
class _Found:
    """What the rows of one file say, taken together."""

    value: Any = None
    captions: list[str] = field(default_factory=list)
    group: str | None = None
    split: str | None = None
    reason: str | None = None  # why it is skipped: the last thing that was wrong with it
    barred: bool = False  # whether it is skipped although it has a caption


def captioned(
    rows: Iterable[Row],
    value: Callable[[str], Any],
    facts: Mapping[str, Any],
    modality: str = "image",
    others: Iterable[str] = (),
    independent: bool = False,
) -> Listing:
    """A source of captioned files, in the order in which the rows first name them.

    Parameters
    ----------
    rows : several rows of one file are several captions.
    value : what the item of a key holds; a ValueError skips it.
    facts : of the data set, the names of its captions files, `captions`, among them. Added are `listed`, the number of
        entries, and by reason how many are `skipped` and, of captions, `captions_skipped`.
    modality : `image` or `audio`.
    others : keys that are skipped for want of a caption where no row names them.
    independent : whether several captions of a file are by people who do not know of each other's.

    Raises
    ------
    ValueError
        If nothing but what is skipped is there.
    """
    found: dict[str, _Found] = {}
    captions_skipped: Counter[str] = Counter()
    for row in counted(rows, "list captions", "row"):
        entry = _entry(found, row.file, value)
        if entry.barred:
            continue
        for name in ("group", "split"):
            said, before = getattr(row, name), getattr(entry, name)
            if said and before and said != before:
                entry.reason, entry.barred = f"rows disagree on its {name}", True
            elif said:
                setattr(entry, name, said)
        for text in row.captions:
            try:
                entry.captions.append(caption(text))
            except ValueError as error:
                entry.reason = str(error)
                captions_skipped[str(error)] += 1
    for key in others:
        _entry(found, key, value)
    number: dict[str, int] = {}
    entries = [
        Skipped(key, entry.reason or NO_CAPTION)
        if entry.barred or not entry.captions
        else Item(
            key,
            {modality: entry.value, "text": tuple(entry.captions)},
            -1 if entry.group is None else number.setdefault(entry.group, len(number)),
            entry.split,
        )
        for key, entry in found.items()
    ]
    skipped = Counter(entry.reason for entry in entries if isinstance(entry, Skipped))
    if skipped.total() == len(entries):
        why = ", ".join(f"{times} for {reason!r}" for reason, times in skipped.most_common())
        raise ValueError(f"{', '.join(facts['captions'])}: no file has a caption; skipped: {why or 'none, for no row'}")
    counts = {"listed": len(entries), "skipped": dict(skipped), "captions_skipped": dict(captions_skipped)}
    return Listing(entries, ENCODERS[modality], {**facts, **counts}, bool(number), ("text",) if independent else ())


def file_facts(folder: Path, captions: Iterable[Path]) -> dict[str, Any]:
    """Where a source lies, and the captions files that it was read from."""
    files = list(captions)
    return {
        "folder": folder.resolve().name,
        "captions": [file.name for file in files],
        "captions_sha256": [sha256(file) for file in files],
    }


def folder_at(path: str | Path, kind: str) -> Path:
    """The path as a folder that is there, else a ValueError."""
    folder = Path(path)
    if not folder.is_dir():
        raise ValueError(f"{kind}:{path}: {'not a folder' if folder.exists() else 'there is no such folder'}")
    return folder


def first_of(folder: Path, names: Iterable[str], what: str) -> Path:
    """The first of the names that is there; if none is, a ValueError that lists them."""
    names = list(names)
    for name in names:
        if (folder / name).exists():
            refuse_special(folder / name)
            return folder / name
    raise ValueError(f"{folder}: no {what}; looked for {', '.join(names)}")


def _entry(found: dict[str, _Found], name: Any, value: Callable[[str], Any]) -> _Found:
    """What is known of the file of that name, a new entry if it is the first time."""
    if isinstance(name, str) and name in found:
        return found[name]
    key = str(name).encode("utf-8", "backslashreplace").decode()
    try:
        if not isinstance(name, str):
            raise ValueError("file name is not text")
        key = relative(name)
        return found.setdefault(key, _Found(value(key))) if key not in found else found[key]
    except ValueError as error:
        return found.setdefault(key, _Found(reason=str(error), barred=True))
