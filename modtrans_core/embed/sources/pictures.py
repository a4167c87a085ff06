"""Pictures as arrays, whatever they come as."""

from __future__ import annotations

import math
import threading
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from modtrans_core.embed.encoders.base import check_picture
from modtrans_core.embed.sources.opening import opened

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")  # none that starts another program
MEGAPIXELS = 178  # more are skipped; Pillow, too, takes them for an attack
LARGE = 16  # megapixels; more are halved, and so on: the encoders see at most a few hundred pixels a side
LONGEST = 100  # times the shorter side; resizing the shorter side of a thread of pixels would fill the memory
_16_BIT = ("PNG", "PPM")  # formats whose 32-bit grey, mode I, holds 0..65535
_ROWS = 64  # of the result are made at a time from a large picture
_TOO_LARGE = f"picture over {MEGAPIXELS} megapixels"
_ORIENTATION = 0x0112  # its EXIF tag
_one_large = threading.Lock()


def read_picture(value: Any) -> np.ndarray:
    """A picture as an (h, w, 3) uint8 RGB array.

    Of an animation it is the first frame. It is turned as its EXIF orientation says, transparent parts are white, and
    16 bits a channel are scaled to 8. A picture of more than `LARGE` megapixels comes in a half, a third, ... of its
    width and height; one at a time is decoded, so that threads do not multiply its memory (100 megapixels: about
    500 MiB, a baseline JPEG 100 MiB).

    Parameters
    ----------
    value : a path, the bytes of a file, an (h, w, 3) uint8 array, or a function that gives one of these when called.

    Raises
    ------
    ValueError
        If it is missing, damaged (cut short, say), has over `MEGAPIXELS` megapixels or is over `LONGEST` times as long
        as it is wide; the message is a few words that are the same for all such pictures.
    """
    if callable(value):
        value = value()
    if isinstance(value, np.ndarray):
        if not value.size:
            raise ValueError("empty picture")
        return check_picture(value)
    with opened(value) as file:
        picture = _recognised(file)
        pixels = picture.width * picture.height
        if pixels <= LARGE * 1e6:
            return _decoded(picture, 1)
        with _one_large:
            return _decoded(picture, math.ceil(math.sqrt(pixels / (LARGE * 1e6))))


def _recognised(file: BinaryIO) -> Image.Image:
    """A picture that is worth decoding; nothing but its header has been read."""
    pillow = _pillow()
    try:
        picture = pillow.open(file, formats=[name for name in FORMATS if name in pillow.OPEN])
    except pillow.DecompressionBombError:
        raise ValueError(_TOO_LARGE) from None
    except pillow.UnidentifiedImageError:
        raise ValueError("not a picture") from None
    except Exception:  # a damaged file makes Pillow raise nearly anything
        raise ValueError("damaged picture") from None
    width, height = picture.size
    if width * height > MEGAPIXELS * 1e6:
        raise ValueError(_TOO_LARGE)
    if max(width, height) > LONGEST * min(width, height):
        raise ValueError(f"picture over {LONGEST} times as long as wide")
    if picture.mode == "F" or (picture.mode == "I" and picture.format not in _16_BIT):
        raise ValueError("pixels without a known range")
    return picture


def _decoded(picture: Image.Image, smaller: int) -> np.ndarray:
    """The pixels, width and height divided by `smaller` or, of a JPEG, by the next power of two."""
    full = picture.size
    try:
        if smaller > 1:
            # A JPEG is decoded at a half, a quarter or an eighth of its size; of other formats this does nothing.
            divisor = 1 << (smaller - 1).bit_length()
            picture.draft(None, (full[0] // divisor, full[1] // divisor))
        picture.load()
        if smaller > 1 and picture.size == full:
            rgb = _reduced(picture, smaller)
        else:
            rgb = _rgb(picture)
    except MemoryError:
        raise ValueError("too little memory for a picture") from None
    except Exception:
        raise ValueError("damaged picture") from None
    return np.array(_upright(rgb, _orientation(picture)))


def _reduced(picture: Image.Image, factor: int) -> Image.Image:
    """RGB, in boxes of factor x factor pixels, some rows at a time: a large picture is in memory once."""
    width, height = picture.size
    rgb = _pillow().new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, factor * _ROWS):
        rows = picture.crop((0, top, width, min(top + factor * _ROWS, height)))
        rgb.paste(_rgb(rows).reduce(factor), (0, top // factor))
    return rgb


def _rgb(picture: Image.Image) -> Image.Image:
    pillow = _pillow()
    if picture.mode.startswith("I"):
        return pillow.fromarray(np.rint(np.asarray(picture) / 257).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        white = pillow.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return picture.convert("RGB")


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none."""
    try:
        return picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # EXIF that is damaged says nothing of the pixels
        return 1


def _upright(rgb: Image.Image, orientation: int) -> Image.Image:
    """The picture turned as the EXIF orientation says."""
    from PIL import ImageOps

    rgb.info.clear()  # what else it says of itself may be damaged
    rgb.getexif()[_ORIENTATION] = orientation
    return ImageOps.exif_transpose(rgb)


@cache
def _pillow() -> Any:
    from PIL import Image

    Image.init()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # on files that it finds large or odd, one line for each
    return Image
