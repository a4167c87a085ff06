"""`python -m analysis.plots.gallery RESULTS...`: the thumbnails of `notebooks/README.md`, one of each figure.

RESULTS are papers' folders. Each figure is drawn from the first that has its tables; what no folder has stays as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from analysis.plots.figures import FIGURES, remake
from analysis.plots.style import Size
from modtrans_core.store.files import replacing

GALLERY = Path(__file__).parents[2] / "notebooks" / "gallery"
SIDE, COLOURS = 240, 32
"""pixels of the longer side, and how many colours"""


def thumbnail(name: str, results: Sequence[Path], folder: Path = GALLERY) -> Path:
    """Draw a figure from the first of the results that has its tables, and write it small to `folder`.

    Raises
    ------
    ValueError
        None of them has its tables.
    """
    from PIL import Image

    why: Exception = ValueError("results: none, a paper's folder is needed")
    for place in results:
        with TemporaryDirectory() as scratch:
            try:
                (drawn,) = remake(name, place, Path(scratch), Size(), ("png",))
            except ValueError as error:
                why = error
                continue
            with Image.open(drawn) as whole, replacing(folder / f"{name}.png") as temporary:
                small = whole.convert("RGB")
                small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
                small.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(temporary, "PNG", optimize=True)
            return folder / f"{name}.png"
    raise why


if __name__ == "__main__":
    for figure in FIGURES:
        try:
            print(thumbnail(figure, [Path(argument) for argument in sys.argv[1:]]))
        except ValueError as error:
            print(f"{figure}: left as it is; {error}", file=sys.stderr)
