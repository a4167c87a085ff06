"""What is to be embedded, and the folder in which it is done."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from typing import Any

from modtrans_core.checks import differing, refuse_unless_in
from modtrans_core.embed.encoders import base_modality, identity
from modtrans_core.embed.sources import Shard, Source, load_source, parsed
from modtrans_core.store.described import metadata
from modtrans_core.store.files import SCRATCH, read_description, refuse_links, write_json
from modtrans_core.store.headers import RECORD, reading, small_arrays
from modtrans_core.store.locks import LOCK, is_held
from modtrans_core.store.write import DTYPES

_PARTS = ".embedding"
_SHARD = re.compile(r"\d{6}(-.*)?\.safetensors")
"""the names of shards"""


@dataclass(frozen=True)
class Job:
    """A source and its encoders, by their names alone, so that any process can be handed one.

    Parameters
    ----------
    source, limit, seed, settings : see `modtrans_core.embed.sources.load_source`.
    named : encoders by modality, `library:model/weights`; one for `text` is that of `text-fr`, too, where this has no
        other. The source's own where none is named.
    device : what kind of device encodes: `cpu` or `cuda`. Vectors from another kind differ in their last digits.
    shard_items : items of a shard, where the source does not come in shards.
    dtype : of the vectors on disk, float32 or float16.

    Raises
    ------
    ValueError
        If a name, a setting or a number is not what it can be.
    """

    source: str
    limit: int | None = None
    seed: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    shard_items: int = 1024
    dtype: str = "float32"

    def __post_init__(self) -> None:
        refuse_unless_in("dtype", self.dtype, DTYPES)

    @cached_property
    def loaded(self) -> Source:
        """The source itself."""
        return load_source(self.source, self.limit, self.seed, self.settings)

    @cached_property
    def shards(self) -> list[Shard]:
        """Its shards, in order."""
        return list(self.loaded.shards(self.shard_items))

    def entries(self) -> int | None:
        """How many items the source lists, skipped ones among them; None where only reading tells."""
        sizes = [shard.size for shard in self.shards if shard.start is not None and shard.size is not None]
        return sum(sizes) if len(sizes) == len(self.shards) else None

    @cached_property
    def encoders(self) -> dict[str, str]:
        """The encoder of each modality, by name."""
        own = self.loaded.encoders
        for modality in self.named:
            if modality not in own and modality not in map(base_modality, own):
                raise ValueError(f"{modality}-encoder: {self.source} has no {modality}; it has {', '.join(own)}")
        return {
            name: self.named.get(name, self.named.get(base_modality(name), encoder)) for name, encoder in own.items()
        }

    @cached_property
    def description(self) -> dict[str, Any]:
        """All that the result depends on, as JSON values."""
        return {
            "source": parsed(self.source)[0],
            "settings": dict(self.settings),
            "content": self.loaded.identity(),
            **{f"{modality}-encoder": identity(name) for modality, name in self.encoders.items()},
            "device": self.device,
            "shard-items": self.shard_items,
            "dtype": self.dtype,
            "modtrans": version("modtrans"),
        }

    def digest(self) -> str:
        """Twelve hexadecimal digits that change with the description, the device aside."""
        inputs = {name: value for name, value in self.description.items() if name != "device"}
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]


class Folder:
    """A folder that a job fills: shards, their sidecars, and `embed.json`, which says what is being made.

    Until all is done a subfolder holds the record of each finished shard, and the locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts = path / _PARTS

    def begin(self, job: Job) -> None:
        """Set out on the job, or go on with it.

        Raises
        ------
        ValueError
            If the folder holds something else.
        """
        if self.begun:
            refuse_links(self.parts)
            if other := self.difference(job):
                raise ValueError(f"{self.path}: begun with {other}; choose another folder, or add overwrite=True")
            return
        if self.path.exists() and (not self.path.is_dir() or self._foreign()):
            raise ValueError(f"{self.path}: holds something else; choose another folder")
        refuse_links(self.path)
        write_json(self.path / RECORD, {"finished": False, "job": job.description})

    def clear(self) -> None:
        """Remove what was made here; a folder with anything else in it is refused."""
        self._refuse_foreign()
        shutil.rmtree(self.path)

    def move(self, to: Path) -> None:
        """Move what was made here; a folder with anything else in it is refused."""
        self._refuse_foreign()
        os.replace(self.path, to)

    def _refuse_foreign(self) -> None:
        refuse_links(self.path)
        if entry := self._foreign():
            raise ValueError(f"{entry}: was not made by modtrans embed; choose another folder, or remove it")

    def _foreign(self) -> Path | None:
        """Something in the folder that was not made here."""
        return next((entry for entry in self.path.iterdir() if not self._is_own(entry)), None)

    def _is_own(self, entry: Path) -> bool:
        if entry.is_dir() or entry.name.startswith(SCRATCH):
            return entry.name.startswith((_PARTS, SCRATCH))
        return entry.name in (RECORD, "skipped.csv") or (
            entry.suffix in (".safetensors", ".parquet") and _is_shard(entry.with_suffix(".safetensors"))
        )

    @property
    def begun(self) -> bool:
        """Whether a job was begun here."""
        return (self.path / RECORD).exists()

    @property
    def empty(self) -> bool:
        """Whether nothing would be lost: a job was begun, and no shard of it has an item."""
        return not self.finished and not any(self.path.glob("[!.]*.safetensors"))

    def difference(self, job: Job) -> str:
        """The first thing in which the job that was begun here differs from this one; "" where they are the same."""
        begun = self.record()["job"]
        found = ((name, differing(begun.get(name), value, name)) for name, value in job.description.items())
        name, words = next(filter(itemgetter(1), found), ("", ""))
        return "other items: other files of the source, or another limit or seed" if name == "content" else words

    def record(self) -> dict[str, Any]:
        """What `embed.json` says."""
        fields = {"finished": "true or false", "job": "an object"}
        return read_description(
            self.path / RECORD, fields, dict.fromkeys(("skipped", "cut"), "an object of whole numbers")
        )

    @property
    def finished(self) -> bool:
        """Whether every shard is there and nothing more will be done."""
        return self.begun and self.record()["finished"]

    def done(self, name: str) -> bool:
        """Whether a shard needs nothing more."""
        return self.shard_record(name).exists() or self.finished

    def done_names(self) -> set[str]:
        """The shards whose records are there."""
        return {file.stem for file in self.parts.glob("[!.]*.json")}

    def lock(self, name: str) -> Path:
        """The lock of whoever does a shard, or what follows them all."""
        return self.parts / f".{name}{LOCK}"

    @property
    def alone(self) -> bool:
        """Whether no other process is at work here."""
        return not any(is_held(file) for file in self.parts.glob(f".*{LOCK}"))

    def shard(self, name: str) -> Path:
        """The file of a shard's vectors."""
        return self.path / f"{name}.safetensors"

    def shard_record(self, name: str) -> Path:
        """The file whose presence says that a shard is done; JSON with `items`, `cut` and `skipped`."""
        return self.parts / f"{name}.json"


def _is_shard(file: Path) -> bool:
    """Whether it is the vectors of a shard, which say what data set they are of."""
    with suppress(ValueError), reading(file):
        return bool(_SHARD.fullmatch(file.name)) and "dataset" in metadata(small_arrays(file)["metadata"])
    return False
