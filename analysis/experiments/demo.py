"""The pairs of `modtrans demo`: 600 emoji of OpenMoji, one of each group, as vectors and as small pictures.

They come with the package: a first result needs no encoder and no network. `python -m analysis.experiments.demo`
makes them again, from OpenMoji's fonts and the encoders of the extra `openmoji`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.protocol import Translator
from modtrans_core.search import rank
from modtrans_core.vectors import unit

if TYPE_CHECKING:
    from analysis.experiments.retrieval import Sheet

FOLDER = Path(__file__).parents[1] / "_demo"
VECTORS, PICTURES = FOLDER / "openmoji.npz", FOLDER / "openmoji.png"
ITEMS, SIDE, COLUMNS = 600, 48, 30
ASKED, SHOWN = 5, 8
"""queries of the picture, and what is shown of each ranking"""


def demo_pairs() -> PairedEmbeddings:
    """The pairs: `text` (600, 384), the name of each emoji, and `image` (600, 1280)."""
    return PairedEmbeddings.load(VECTORS)


def names(pairs: PairedEmbeddings) -> dict[str, str]:
    """key -> the emoji's name."""
    return dict(pairs.metadata["names"])


def thumbnails(pairs: PairedEmbeddings) -> dict[str, np.ndarray]:
    """key -> picture (48, 48, 3), uint8. Needs pillow."""
    from PIL import Image

    with Image.open(PICTURES) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    tiles = pixels.reshape(-1, SIDE, COLUMNS, SIDE, 3).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)
    assert pairs.key is not None
    return dict(zip(pairs.key.tolist(), tiles[: len(pairs)], strict=True))


def found(translator: Translator, test: PairedEmbeddings) -> Sheet:
    """The first results of a few test items, evenly spaced, by plain cosine and by the translator's own ranking."""
    from analysis.experiments.retrieval import Sheet

    assert test.key is not None
    asked = np.linspace(0, len(test) - 1, ASKED + 2).astype(int)[1:-1]
    words, gallery = test.modality("text")[asked], unit(test.modality("image"))
    cosine = np.argsort(-unit(np.asarray(translator.translate(words))) @ gallery.T, axis=1)[:, :SHOWN]
    own, _ = rank(translator, words, gallery, SHOWN)
    results = {"plain cosine": test.key[cosine], "own ranking": test.key[np.asarray(own)]}
    return Sheet(test.key[asked].tolist(), results)


def make() -> None:
    """Write the vectors and the pictures."""
    from PIL import Image

    from modtrans_core.embed import load_source
    from modtrans_core.embed.pair_set import cached_openmoji

    whole = PairedEmbeddings.load(cached_openmoji())
    first = np.unique(whole.groups, return_index=True)[1]
    chosen = whole.take(np.sort(first)[np.linspace(0, len(first) - 1, ITEMS).astype(int)])
    assert chosen.key is not None
    said = chosen.metadata
    metadata = {name: said[name] for name in ("dataset", "image", "text")}
    metadata["names"] = {key: said["captions"][key][0] for key in chosen.key}
    text = chosen.modality("text")
    arrays = {"image": chosen.modality("image"), "text": text[:, 0] if text.ndim == 3 else text}
    FOLDER.mkdir(exist_ok=True)
    PairedEmbeddings(arrays, key=chosen.key, metadata=metadata).save(VECTORS, "float16")
    draw = {item.key: item.values["image"] for item in load_source("openmoji").items}
    sheet = Image.new("RGB", (COLUMNS * SIDE, -(-ITEMS // COLUMNS) * SIDE), "white")
    for number, key in enumerate(chosen.key):
        picture = Image.fromarray(np.asarray(draw[key]())).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        sheet.paste(picture, (number % COLUMNS * SIDE, number // COLUMNS * SIDE))
    sheet.quantize(128).save(PICTURES, optimize=True)


if __name__ == "__main__":
    make()
