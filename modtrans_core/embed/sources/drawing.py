"""Drawings as pictures: SVG on white, by resvg."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np

from modtrans_core.extras import require

SIZE = 224  # of the longer side of a picture in pixels


def draw(svg: str) -> np.ndarray:
    """The drawing on white, (h, w, 3) uint8 RGB, its longer side `SIZE`."""
    import resvg_py
    from PIL import Image

    png = resvg_py.svg_to_bytes(
        svg_string=svg,
        width=SIZE,
        height=SIZE,
        background="white",
        skip_system_fonts=True,  # a drawing must not depend on what is installed
    )
    return np.array(Image.open(io.BytesIO(png)).convert("RGB"))


@dataclass(frozen=True)
class Svg:
    """An SVG drawing that is drawn when it is called for.

    Raises
    ------
    ValueError
        From the call, if it cannot be drawn.
    ModuleNotFoundError
        From the call, if resvg is missing; the message is the command that installs it.
    """

    svg: str

    def __call__(self) -> np.ndarray:
        require("resvg_py", "openmoji")
        try:
            return draw(self.svg)
        except Exception:  # resvg_py and the parser below it raise what they like
            raise ValueError("drawing that resvg cannot draw") from None

    @property
    def identity(self) -> str:
        """The SHA-256 of the drawing, by which a listing tells two of them apart."""
        return hashlib.sha256(self.svg.encode()).hexdigest()
