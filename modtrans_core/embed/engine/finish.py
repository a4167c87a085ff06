"""What is left when every shard is there: one width for all, the list of what was skipped, a single file if wanted."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core.checks import refuse_unless
from modtrans_core.embed.engine.job import Folder, Job
from modtrans_core.pairs import PairedEmbeddings, as_written
from modtrans_core.store.contents import JOB, captions_of
from modtrans_core.store.files import read_description, replacing, sweep, write_json
from modtrans_core.store.headers import RECORD
from modtrans_core.store.names import read_items

SKIPPED, COLUMNS = "skipped.csv", ("key", "reason")


def finish(job: Job, folder: Folder) -> None:
    """Make the shards one pair set. Interrupted anywhere, it can be done again.

    Raises
    ------
    ValueError
        If nothing is left of the source once what cannot be encoded is skipped.
    """
    fields = {"items": "a whole number from 0 on", "skipped": "a list of pairs"}
    optional = {"cut": "an object of whole numbers"}
    records = {shard.name: read_description(folder.shard_record(shard.name), fields, optional) for shard in job.shards}
    skipped = [tuple(one) for record in records.values() for one in record["skipped"]]
    reasons = Counter(reason for _, reason in skipped)
    items = sum(record["items"] for record in records.values())
    if not items:
        raise ValueError(f"{job.source}: no item is left; {skipped_in_words(reasons)}")
    widths = {folder.shard(name): _width(folder.shard(name), job) for name, one in records.items() if one["items"]}
    widest = {m: max(width[m] for width in widths.values()) for m in job.encoders}
    for shard, width in widths.items():
        if width != widest:
            _widen(shard, widest, job.dtype)
    sweep(folder.path)
    if skipped:
        with (
            replacing(folder.path / SKIPPED) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file).writerows([COLUMNS, *skipped])
    cut = {m: total for m in job.encoders if (total := sum(one.get("cut", {}).get(m, 0) for one in records.values()))}
    said: dict[str, Any] = {
        "finished": True,
        "items": items,
        "skipped": dict(sorted(reasons.items())),
        "job": job.description,
    }
    write_json(folder.path / RECORD, said | ({"cut": cut} if cut else {}))
    shutil.rmtree(folder.parts, ignore_errors=True)


def merge(folder: Folder, out: Path, dtype: str, job: str) -> None:
    """The finished shards as one file that has the names and captions of its items, and the digest of its job; beside
    it what was skipped."""
    pairs = as_written(folder.path, mapped=False)
    names = read_items(folder.path)
    metadata: dict[str, Any] = dict(pairs.metadata)
    record = folder.record()
    metadata["dataset"] |= {name: record[name] for name in ("skipped", "cut") if name in record} | {"items": len(pairs)}
    metadata[JOB] = job
    if "caption" in names.column_names:
        metadata |= captions_of(names["key"].to_pylist(), names["caption"].to_pylist())
    copy_skipped(folder.path / SKIPPED, out)
    replace(pairs, key=np.array(names["key"].to_pylist()), metadata=metadata).save(out, dtype=dtype)


def skipped_beside(out: Path) -> Path:
    """Where the list of what was skipped is kept for a single file."""
    return out.with_name(f"{out.name}.{SKIPPED}")


def refuse_other_list(out: Path) -> None:
    """Refuse a file in the place of the list beside a single file that is no such list: it would be replaced."""
    listed = skipped_beside(out)
    with suppress(FileNotFoundError), open(listed, "rb") as file:
        if file.readline(100).strip() != ",".join(COLUMNS).encode():
            raise ValueError(f"{listed}: is no list of what was skipped, and would be replaced; choose another --out")


def copy_skipped(listed: Path, out: Path) -> None:
    """Put a list of what was skipped, where there is one, beside a single file; an older one there goes."""
    skipped_beside(out).unlink(missing_ok=True)
    if listed.exists():
        with replacing(skipped_beside(out)) as temporary:
            shutil.copyfile(listed, temporary)


def skipped_in_words(reasons: Mapping[str, int]) -> str:
    """How many items were skipped, and for which reasons, the commonest first."""
    parts = [f"{count:,} {reason}" for reason, count in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))]
    return f"{sum(reasons.values()):,} skipped ({', '.join(parts)})" if parts else "nothing skipped"


def _width(path: Path, job: Job) -> dict[str, int]:
    """How many vectors an item of a shard has at most, for each modality."""
    arrays = PairedEmbeddings.load(path).arrays
    own = ", ".join(job.encoders)
    refuse_unless(set(arrays) == set(job.encoders), str(path), ", ".join(arrays), f"{own}, as in its job,")
    return {modality: rows.shape[1] if rows.ndim == 3 else 1 for modality, rows in arrays.items()}


def _widen(path: Path, width: dict[str, int], dtype: str) -> None:
    """Fill a shard up with zeros to the width of the widest, (n, m, d) where any item has more than one."""
    pairs = as_written(path, mapped=False)
    arrays, counts = dict(pairs.arrays), dict(pairs.counts)
    for modality, m in width.items():
        if m == 1:
            continue
        rows = arrays[modality] if arrays[modality].ndim == 3 else arrays[modality][:, None]
        counts.setdefault(modality, np.ones(len(rows), dtype=np.int64))
        arrays[modality] = np.pad(rows, ((0, 0), (0, m - rows.shape[1]), (0, 0)))
    replace(pairs, arrays=arrays, counts=counts, key=None).save(path, dtype=dtype)
