"""Translators beside the core's: simple ones that a translator must beat, and the poster's published code.

Each file is one method, registered in the entry-point group `modtrans.methods`, so that its presets are those of the
core too: `modtrans_core.fit(pairs, preset="ridge")`, `modtrans train pairs.npz --preset ridge`.
"""

from __future__ import annotations

SIMPLE = ("constant mean", "identity", "mean shift", "procrustes", "ridge")
"""presets that fit in seconds, each with all that the one before it can do, where it applies"""
SLOWER = ("ridge towards tI", "low-rank affine", "kernel ridge", "residual MLP", "MLP", "MLP InfoNCE")
"""presets that take up to a minute on one core"""
LANGUAGE_FREE = ("LAFITE", "LAFITE trained", "CapDec noise", "C3", "language-free Gaussian")
"""presets that see no pair, as published to train generators and decoders without texts; the identity sees none too"""
NEED_ONE_DIMENSION = ("identity", "mean shift", "ridge towards tI", *LANGUAGE_FREE)
"""presets that need one dimension for both modalities"""


def applicable(k: int, d: int, presets: tuple[str, ...] = SIMPLE + SLOWER) -> list[str]:
    """The presets that apply to conditions in R^k and targets in R^d."""
    return [name for name in presets if name not in not_applicable(k, d, presets)]


def not_applicable(k: int, d: int, presets: tuple[str, ...] = SIMPLE + SLOWER) -> dict[str, str]:
    """The presets that do not apply to conditions in R^k and targets in R^d, each with the reason.

    Examples
    --------
    >>> not_applicable(512, 384)["identity"]
    'needs one dimension for both modalities, here 512 and 384'
    """
    if k == d:
        return {}
    return {
        name: f"needs one dimension for both modalities, here {k} and {d}"
        for name in presets
        if name in NEED_ONE_DIMENSION
    }
