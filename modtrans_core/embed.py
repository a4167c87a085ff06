"""A source through two encoders: a pair set, kept in a cache so that it is made once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from modtrans_core import __version__
from modtrans_core.encoders import (
    IMAGE_ENCODER,
    TEXT_ENCODER,
    Encoder,
    NonFiniteEmbedding,
    identity,
    load_encoder,
)
from modtrans_core.files import replacing
from modtrans_core.pairs import SUFFIXES, PairedEmbeddings
from modtrans_core.progress import Progress, reporting
from modtrans_core.sources import Source, load_source

CHUNK = 256  # pictures between two checkpoints


def embed(
    source: str = "openmoji",
    out: str | Path | None = None,
    image_encoder: str = IMAGE_ENCODER,
    text_encoder: str = TEXT_ENCODER,
    limit: int | None = None,
    seed: int = 0,
    device: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make the pair set of a source: arrays `image` (n, d) and `text` (n, m, d'), captions counted.

    The pair set is made in the cache, under a name that its inputs decide: the source and its packages, the
    encoders and their libraries, the limit and the seed. Asked for again, it is there. Pictures are encoded
    in chunks that are kept as soon as they are done, so an interrupted call goes on where it was; what comes
    out is the same to the byte.

    Parameters
    ----------
    source : one of `modtrans_core.sources.SOURCES`.
    out : where to write the pair set, `.npz` or `.safetensors`; a file of that name is replaced. Default:
        the cache alone.
    image_encoder, text_encoder : `library:model/weights`, see `modtrans_core.encoders`.
    limit, seed : at most so many items, whole groups in an order that the seed decides; default: all.
    device : default: the GPU if there is one.
    progress : called with (pictures and captions done, in all). Default: a bar on stderr when someone watches.

    Returns
    -------
    Path
        `out`, or the file in the cache.

    Raises
    ------
    ValueError
        If a name is unknown, weights are not the published ones, or an embedding is not finite.
    ModuleNotFoundError
        If a package is missing; the message is the command that installs it.
    """
    if out is not None and Path(out).suffix not in SUFFIXES:
        raise ValueError(f"{out}: unknown suffix, one of {', '.join(SUFFIXES)} is needed")
    items = load_source(source, limit, seed)
    cached = _cached_path(source, items, image_encoder, text_encoder)
    if not cached.exists():
        chunks = cached.with_suffix(".chunks")
        image = load_encoder(image_encoder, "image", device)
        text = load_encoder(text_encoder, "text", device)
        total = len(items) + sum(map(len, items.captions))
        with reporting(progress, total, "embed", "item") as report:
            pictures = _encode_pictures(items, image, chunks, _Counter(report, total))
            texts, counts = _encode_captions(items, text, _Counter(report, total, len(items)))
        PairedEmbeddings(
            arrays={"image": pictures, "text": texts},
            counts={"text": counts},
            group=items.group,
            key=np.array(items.key),
            metadata={
                "dataset": items.facts,
                "image": image.facts(),
                "text": text.facts(),
                "captions": dict(zip(items.key, map(list, items.captions), strict=True)),
            },
        ).save(cached)
        shutil.rmtree(chunks, ignore_errors=True)
    if out is None:
        return cached
    PairedEmbeddings.load(cached).save(out)
    return Path(out)


def cached_openmoji(limit: int | None = None, progress: Progress | None = None) -> Path:
    """The OpenMoji pair set with the default encoders, made on the first call."""
    return embed("openmoji", limit=limit, progress=progress)


def openmoji_is_cached(limit: int | None = None) -> bool:
    """Whether `cached_openmoji` returns at once."""
    return _cached_path("openmoji", load_source("openmoji", limit), IMAGE_ENCODER, TEXT_ENCODER).exists()


def cache_dir() -> Path:
    """Where pair sets are kept: `$MODTRANS_CACHE`, else `modtrans` in the user's cache folder."""
    if chosen := os.environ.get("MODTRANS_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modtrans"


def _cached_path(source: str, items: Source, *encoders: str) -> Path:
    return cache_dir() / f"{source}-{_fingerprint(items, *encoders)}.npz"


def _fingerprint(items: Source, *encoders: str) -> str:
    """Twelve hexadecimal digits that change with whatever the pair set depends on, the device aside."""
    inputs = {
        "facts": items.facts,
        "items": [items.key, items.captions, items.group.tolist()],
        "encoders": [identity(encoder) for encoder in encoders],
        "modtrans": __version__,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]


class _Counter:
    """Adds up what is done and reports the sum."""

    def __init__(self, report: Progress, total: int, done: int = 0) -> None:
        self.report, self.total, self.done = report, total, done

    def __call__(self, more: int) -> None:
        self.done += more
        self.report(self.done, self.total)


def _encode_pictures(items: Source, encoder: Encoder, chunks: Path, count: _Counter) -> np.ndarray:
    """Embeddings of the pictures, (n, d); chunks that an earlier call left are taken as they are."""
    rows = np.empty((len(items), encoder.dimension), dtype=np.float32)
    for start in range(0, len(items), CHUNK):
        keys, images = items.key[start : start + CHUNK], items.images[start : start + CHUNK]
        path = chunks / f"{encoder.device.type}-{start:06d}.npy"
        try:
            chunk = np.load(path, allow_pickle=False)
            count(len(keys))
        except FileNotFoundError:
            chunk = _encode(encoder, keys, images, count)
            with replacing(path) as temporary:
                np.save(temporary, chunk)
        rows[start : start + CHUNK] = chunk
    return rows


def _encode_captions(items: Source, encoder: Encoder, count: _Counter) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of the captions, (n, m, d) padded with zeros, and how many each item has, (n,)."""
    counts = np.array([len(captions) for captions in items.captions])
    keys = np.repeat(np.array(items.key), counts)
    rows = _encode(encoder, keys, list(chain.from_iterable(items.captions)), count)
    texts = np.zeros((len(items), counts.max(), encoder.dimension), dtype=np.float32)
    texts[np.arange(counts.max()) < counts[:, None]] = rows
    return texts, counts


def _encode(
    encoder: Encoder, keys: Sequence[str] | np.ndarray, items: Sequence, progress: Callable[[int], object]
) -> np.ndarray:
    try:
        return encoder.encode(items, progress)
    except NonFiniteEmbedding as error:
        raise ValueError(f"{encoder.name}: the embedding of {keys[error.index]} is not finite") from None
