"""webdataset tars, as img2dataset writes them for CC3M, CC12M and LAION: pictures or sounds with captions."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from modtrans_core.checks import refuse_unless
from modtrans_core.embed.sources.base import Item, Shard, Skipped, Source, caption
from modtrans_core.embed.sources.captioned import encoders_of
from modtrans_core.embed.sources.opening import is_within
from modtrans_core.embed.sources.tars import DamagedTar, Sample, samples
from modtrans_core.extras import require
from modtrans_core.store.described import checked, parsed
from modtrans_core.store.files import refuse_closed, refuse_special

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
MOST = 10**6
"""tars that a pattern of names may have"""
_PICTURES = ("jpg", "jpeg", "png", "webp")
_SOUNDS = ("wav", "flac")
_LARGEST = {  # bytes of a member
    **dict.fromkeys((*_PICTURES, *_SOUNDS), 256 << 20),
    **dict.fromkeys(("txt", "json"), 4 << 20),
}


def webdataset(path: str, *, limit: int | None = None, seed: int = 0, caption: str | None = None) -> Source:
    """Pictures (jpg, jpeg, png, webp) or sounds (wav, flac) with captions, from tars that are read as they come.

    Each tar is a shard. A sample of which img2dataset's record (`.json`) says that it failed is skipped, as is one
    without picture, sound or caption. Of a damaged tar what comes before the damage is kept.

    Parameters
    ----------
    path : a folder of tars (`.tar`, `.tar.gz`, `.tgz`), one tar, or a pattern such as `cc3m/{00000..00331}.tar`
        or `cc3m/*.tar`, whose files may be links to anywhere; those of a folder may not lead out of it.
    limit : the first so many samples that have all members they need. They are found by reading headers.
    seed : not used: the first samples are taken.
    caption : the field of the `.json` member that holds the caption, or a list of several.
        Default: the `.txt` member, else the field `caption`.

    Returns
    -------
    Source
        key: `shard/key`. image or audio: the bytes of the member. Which of the two is there, the first readable tar
        decides.

    Raises
    ------
    ValueError
        If there is no tar, or none that holds a picture or sound.
    ModuleNotFoundError
        If the path has braces and braceexpand is missing; the message is the command that installs it.
    """
    refuse_unless(limit is None or limit >= 1, "limit", limit, "at least 1")
    return _Tars(path, _tars(path), limit, caption)


def _tars(path: str) -> list[Path]:
    found = _listed(path)
    for file in found:
        refuse_special(file)
    return found


def _listed(path: str) -> list[Path]:
    if Path(path).is_dir():
        refuse_closed(Path(path))
        found = sorted(file for file in Path(path).glob("[!.]*") if file.name.endswith(TAR_SUFFIXES))
        if not found:
            raise ValueError(f"{path}: a folder with no {' or '.join(TAR_SUFFIXES)} file")
        if link := next((file for file in found if not is_within(path, file.name)), None):
            raise ValueError(
                f"{link}: leads out of {path}, in which a data set has its tars; a pattern names any, {path}/*"
            )
        return found
    if Path(path).is_file():
        return [Path(path)]
    ranges = re.findall(r"\{(-?\d+)\.\.(-?\d+)(?:\.\.-?\d+)?\}", path)
    several = math.prod(abs(int(last) - int(first)) + 1 for first, last in ranges)
    refuse_unless(several <= MOST, path, f"{several:,} names", f"a pattern of at most {MOST:,}")
    names = list(require("braceexpand", "webdataset").braceexpand(path)) if "{" in path else [path]
    found = [Path(file) for name in names for file in (sorted(glob(name)) if has_magic(name) else [name])]
    missing = [file for file in found if not file.is_file()]
    if missing or not found:
        more = f" ({len(missing)} of {len(found)} are missing)" if len(names) > 1 else ""
        raise ValueError(f"{missing[0] if missing else path}: no such tar{more}")
    return list(dict.fromkeys(found))


class _Tars(Source):
    def __init__(self, path: str, tars: Sequence[Path], limit: int | None, caption: str | None) -> None:
        self.names = _names(tars)
        self.reader = _Reader(_modalities(path, tars), caption)
        self.encoders = encoders_of(self.reader.media)
        self.tars: list[tuple[Path, int | None]] = [(tar, None) for tar in tars]  # with how many samples to take
        self.facts = {
            "name": f"webdataset {Path(path).name}",
            "captions": f"field {caption!r}" if caption else "txt, else the field 'caption'",
            "tars": len(tars),
            "bytes": sum(tar.stat().st_size for tar in tars),
        }
        if limit is not None:
            self.tars = self.reader.first(tars, limit)
            self.facts["choice"] = f"the first {limit}"

    def shards(self, items: int) -> Sequence[Shard]:
        return [
            Shard(f"{number:06d}-{tar.name.split('.')[0]}", None, partial(self.reader.read, tar, name, count))
            for number, ((tar, count), name) in enumerate(zip(self.tars, self.names, strict=False))
        ]

    def identity(self) -> str:
        held = [(name, tar.stat().st_size, count) for name, (tar, count) in zip(self.names, self.tars, strict=False)]
        said = [held, self.reader.media, self.reader.caption]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


@dataclass(frozen=True)
class _Reader:
    """Turns samples into items with these modalities beside text, and captions from that field of the record."""

    media: tuple[str, ...]
    caption: str | None

    def first(self, tars: Sequence[Path], limit: int) -> list[tuple[Path, int | None]]:
        """The tars that hold the first `limit` samples, and how many of them each."""
        found: list[tuple[Path, int | None]] = []
        for tar in tars:
            count = 0
            try:
                for sample in samples(tar, _LARGEST, headers_only=True):
                    count += self._lacks(sample) is None
                    if count == limit:
                        break
            except DamagedTar:
                pass
            found.append((tar, count))
            limit -= count
            if limit == 0:
                break
        return found

    def read(self, tar: Path, name: str, limit: int | None) -> Iterator[Item | Skipped]:
        """The items of a tar, and what is skipped; of the samples that lack nothing, the first `limit`."""
        seen: set[str] = set()
        count = 0
        try:
            for sample in samples(tar, _LARGEST):
                if count == limit:
                    return
                count += self._lacks(sample) is None
                key = f"{name}/{sample.key}".encode("utf-8", "replace").decode()
                if sample.key in seen:
                    yield Skipped(key, "duplicate key")
                    continue
                seen.add(sample.key)
                try:
                    yield Item(key, self._values(sample))
                except ValueError as error:
                    yield Skipped(key, str(error))
        except DamagedTar:
            yield Skipped(tar.name, "damaged tar")

    def _values(self, sample: Sample) -> dict[str, Any]:
        record = _record(sample)
        if record.get("status", "success") != "success":
            raise ValueError("not downloaded")
        if reason := self._lacks(sample):
            raise ValueError(reason)
        values: dict[str, Any] = {modality: _first(sample, modality) for modality in self.media}
        if self.caption is None and "txt" in sample.members:
            return {**values, "text": caption(sample.members["txt"])}
        told = record.get(self.caption or "caption")
        captions = told if isinstance(told, list) else [told]
        texts = tuple(caption(one) for one in captions if isinstance(one, str))
        if not texts or len(texts) < len(captions):
            raise ValueError("no caption")
        return {**values, "text": texts}

    def _lacks(self, sample: Sample) -> str | None:
        """Why a sample cannot be an item, as far as its headers tell."""
        if sample.reason is not None:
            return sample.reason
        for modality in self.media:
            if _first(sample, modality) is None:
                return "no picture" if modality == "image" else "no sound"
        captioned = "json" in sample.members or (self.caption is None and "txt" in sample.members)
        return None if captioned else "no caption"


def _first(sample: Sample, modality: str) -> bytes | None:
    suffixes = _PICTURES if modality == "image" else _SOUNDS
    return next((sample.members[suffix] for suffix in suffixes if suffix in sample.members), None)


def _record(sample: Sample) -> Mapping[str, Any]:
    try:
        return checked("json", parsed("json", sample.members.get("json") or b"{}"), {})
    except ValueError:
        raise ValueError("damaged record") from None


def _modalities(path: str, tars: Sequence[Path]) -> tuple[str, ...]:
    """Image, audio or both: what the first sample has that has any."""
    for tar in tars:
        try:
            for sample in samples(tar, _LARGEST, headers_only=True):
                found = tuple(modality for modality in ("image", "audio") if _first(sample, modality) is not None)
                if found and sample.reason is None:
                    return found
        except DamagedTar:
            continue
    held = ", ".join((*_PICTURES, *_SOUNDS))
    raise ValueError(f"{path}: no tar here holds a picture or sound ({held}), {len(tars)} read")


def _names(tars: Sequence[Path]) -> list[str]:
    """What tells the tars apart: their stems, or their paths below the folder they share."""
    stems = [tar.name.split(".")[0] for tar in tars]
    if max(Counter(stems).values()) == 1:
        return stems
    shared = os.path.commonpath([tar.parent.resolve() for tar in tars])
    return [str(tar.resolve().relative_to(shared)) for tar in tars]
