"""The pair set that a notebook looks at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress
from modtrans_core.vectors import unit


def load_pairs(pairs: str, progress: Progress | None = None) -> tuple[PairedEmbeddings, Path]:
    """The pair set, and the file or folder that holds it.

    Parameters
    ----------
    pairs : file or folder. Empty: OpenMoji, embedded once and cached.
    progress : of the embedding, called with (items done, in all).
    """
    if pairs:
        path = Path(pairs)
    else:
        from modtrans_core.embed.pair_set import cached_openmoji

        path = cached_openmoji(progress=progress)
    return PairedEmbeddings.load(path), path


def at_most(path: Path, items: int, smaller: Path) -> Path:
    """The path of a pair set, or `smaller`, a file that is written with so many of its items, evenly spaced.

    Parameters
    ----------
    items : 0: all.
    """
    data = PairedEmbeddings.load(path)
    if not items or len(data) <= items:
        return path
    data.at_most(items).save(smaller)
    return smaller


def one_vector(pairs: PairedEmbeddings, modality: str) -> np.ndarray:
    """One unit vector an item, (n, d): of several the first."""
    vectors = pairs.modality(modality)
    return unit(vectors if vectors.ndim == 2 else vectors[:, 0])
