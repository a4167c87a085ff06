"""One shard of a source through its encoders, into files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from modtrans_core.ahead import ahead
from modtrans_core.embed.encoders import Encoder, NonFiniteEmbedding, load_encoder
from modtrans_core.embed.engine.job import Folder, Job
from modtrans_core.embed.sources import Item, Shard, Skipped
from modtrans_core.embed.sources.reading import read
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.split import SPLITS
from modtrans_core.store.contents import CLASSES, INDEPENDENT, LETTERS
from modtrans_core.store.files import write_json
from modtrans_core.store.names import write_items
from modtrans_core.vectors import present

CHUNK = 256  # items that are held prepared while as many are encoded


class _Prepared(NamedTuple):
    """What the encoders take of an item, by modality."""

    values: Mapping[str, list[Any]]
    cut: Mapping[str, int]
    """how many of the values were longer than their encoder takes"""


class ShardEncoder:
    """The encoders of a job, loaded once, and what they make of a shard.

    Parameters
    ----------
    device : where the encoders run, such as `cuda:1`.
    """

    def __init__(self, job: Job, device: str | None) -> None:
        self.job = job
        self.encoders: dict[str, Encoder] = {
            modality: load_encoder(name, modality, device) for modality, name in job.encoders.items()
        }
        for encoder in self.encoders.values():
            encoder.check_length(job.entries())
        self.metadata = {
            "dataset": dict(job.loaded.facts),
            **{modality: encoder.facts() for modality, encoder in self.encoders.items()},
            **({INDEPENDENT: list(job.loaded.independent)} if job.loaded.independent else {}),
            **({CLASSES: list(job.loaded.classes)} if job.loaded.classes else {}),
        }

    def encode(self, shard: Shard, folder: Folder, progress: Callable[[int], object]) -> None:
        """Encode a shard and write its vectors, the sidecar of its items, and last the record that it is done.

        Items that cannot be read or prepared are skipped and recorded.

        Parameters
        ----------
        progress : called with the number of items just done, skipped ones among them.

        Raises
        ------
        ValueError
            If an embedding is not finite; the message names the item.
        """
        items: list[Item] = []
        skipped: list[Skipped] = []
        rows: dict[str, list[np.ndarray]] = {modality: [] for modality in self.encoders}
        counts: dict[str, list[int]] = {modality: [] for modality in self.encoders}
        cut = dict.fromkeys(self.encoders, 0)
        for kept, left_out in self._chunks(shard):
            keys = [item.key for item, _ in kept]
            for modality, encoder in self.encoders.items():
                values = [prepared.values[modality] for _, prepared in kept]
                cut[modality] += sum(prepared.cut[modality] for _, prepared in kept)
                counts[modality] += map(len, values)
                rows[modality].append(_encoded(encoder, keys, values))
            items += [item for item, _ in kept]
            skipped += left_out
            progress(len(kept) + len(left_out))
        if items:
            arrays = {m: _padded(np.concatenate(rows[m]), np.array(counts[m])) for m in self.encoders}
            self._write(folder.shard(shard.name), items, arrays, counts)
        write_json(
            folder.shard_record(shard.name),
            {
                "items": len(items),
                "cut": cut,
                "skipped": [[one.key, one.reason] for one in skipped],
            },
        )

    def _write(
        self, path: Path, items: list[Item], arrays: dict[str, np.ndarray], counts: dict[str, list[int]]
    ) -> None:
        split = [-1 if item.split is None else SPLITS.index(item.split) for item in items]
        group = np.array([item.group for item in items]) if self.job.loaded.grouped else None
        label = np.array([item.label for item in items]) if self.job.loaded.classes else None
        PairedEmbeddings(
            arrays=arrays,
            counts={modality: np.array(counts[modality]) for modality, rows in arrays.items() if rows.ndim == 3},
            group=group,
            own_split=np.array(split, dtype=np.int8) if self.job.loaded.has_splits else None,
            label=label,
            metadata=self.metadata,
        ).save(path, dtype=self.job.dtype)
        texts = [item.values.get("text") for item in items]
        captions = [[text] if isinstance(text, str) else list(text) for text in texts if text is not None]
        write_items(path.with_suffix(".parquet"), [item.key for item in items], captions or None)

    def _chunks(self, shard: Shard) -> Iterator[tuple[list[tuple[Item, _Prepared]], list[Skipped]]]:
        """What was prepared and what skipped, at most `CHUNK` entries at a time; the next are prepared meanwhile."""
        kept: list[tuple[Item, _Prepared]] = []
        left_out: list[Skipped] = []
        for entry, prepared in ahead(self._prepare, self._placed(shard), depth=CHUNK):
            if isinstance(entry, Skipped):
                left_out.append(entry)
            else:
                kept.append((entry, prepared))
            if len(kept) + len(left_out) == CHUNK:
                yield kept, left_out
                kept, left_out = [], []
        if kept or left_out:
            yield kept, left_out

    @staticmethod
    def _placed(shard: Shard) -> Iterator[tuple[int | None, Item | Skipped]]:
        for offset, entry in enumerate(shard.read()):
            yield (None if shard.start is None else shard.start + offset), entry

    def _prepare(self, placed: tuple[int | None, Item | Skipped]) -> tuple[Item | Skipped, _Prepared]:
        place, entry = placed
        if isinstance(entry, Skipped):
            return entry, _Prepared({}, {})
        if len(entry.key) > LETTERS:
            return Skipped(entry.key, f"a name of more than {LETTERS:,} letters"), _Prepared({}, {})
        if entry.key.endswith("\0"):
            return Skipped(entry.key, "a name that ends in a zero character"), _Prepared({}, {})
        values, cut = {}, {}
        try:
            for modality, encoder in self.encoders.items():
                if encoder.precomputed:
                    values[modality], cut[modality] = [encoder.prepare((place, entry.key))], 0
                    continue
                several = [read(modality, value) for value in _several(entry.values[modality], modality)]
                values[modality] = [encoder.prepare(value) for value in several]
                cut[modality] = sum(map(encoder.cuts, several))
        except ValueError as error:
            return Skipped(entry.key, str(error)), _Prepared({}, {})
        return entry, _Prepared(values, cut)


def _several(value: Any, modality: str) -> tuple[Any, ...]:
    """The values of an item in a modality; a location is one value although it is a tuple."""
    return value if isinstance(value, tuple) and modality != "location" else (value,)


def _encoded(encoder: Encoder, keys: list[str], values: list[list[Any]]) -> np.ndarray:
    """The rows of all values, item by item; a text that comes again, as prompts of classes do, is encoded once."""
    flat = list(chain.from_iterable(values))
    texts = all(isinstance(value, str) for value in flat)
    once = sorted(dict.fromkeys(flat), key=len) if texts else flat  # a batch is as wide as its longest text
    try:
        rows = encoder.encode_prepared(once)
    except NonFiniteEmbedding as error:
        index = flat.index(once[error.index]) if texts else error.index
        key = np.repeat(keys, [len(several) for several in values])[index]
        raise ValueError(f"{encoder.name}: the embedding of {key} is not finite") from None
    place = {value: number for number, value in enumerate(once)} if texts else {}
    return rows[[place[value] for value in flat]] if texts else rows


def _padded(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Rows (N, d) as (n, d) where every item has one, else (n, most, d) filled up with zeros."""
    width = counts.max()
    if width == 1:
        return rows
    padded = np.zeros((len(counts), width, rows.shape[1]), dtype=np.float32)
    padded[present(width, counts)] = rows
    return padded
