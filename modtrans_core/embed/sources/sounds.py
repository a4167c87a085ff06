"""Sounds as samples, whatever they come as."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import numpy as np

from modtrans_core.embed.sources.opening import opened
from modtrans_core.extras import require

LONGEST = 2**28  # samples of all channels: an hour and a half of CD sound, 1 GiB in float32
_SIZE_UNKNOWN = 2**31 - 2**16  # what programs that write into a pipe put for the size of a WAV file, or more
_OGG_PAGE = 27 + 255 + 255 * 255  # bytes of the longest page
_NOT_RECOGNISED = 1  # libsndfile: SF_ERR_UNRECOGNISED_FORMAT


def read_sound(value: Any) -> tuple[np.ndarray, int]:
    """A sound as (samples, rate): (t,) float32 mono in [-1, 1], the mean of the channels, and Hz.

    Parameters
    ----------
    value : a path, the bytes of a file (WAV, FLAC, Ogg and whatever else libsndfile reads), or a function that gives
        one of these when called.

    Raises
    ------
    ValueError
        If it is missing, cut short or otherwise damaged, empty or too long; the message is a few words that are the
        same for all such sounds.
    ModuleNotFoundError
        If soundfile is missing; the message is the command that installs it.
    """
    soundfile = require("soundfile", "audio")
    if callable(value):
        value = value()
    with opened(value) as file:
        if _cut_short(file):
            raise ValueError("damaged sound")
        try:
            with soundfile.SoundFile(file) as sound:
                frames, rate, channels = sound.frames, sound.samplerate, sound.channels
                if frames * channels > LONGEST:
                    raise ValueError(f"sound of over {LONGEST >> 20} Mi samples")
                samples = sound.read(dtype="float32", always_2d=True).mean(axis=1)
                if sound.format in ("WAV", "FLAC") and len(samples) < frames:
                    raise ValueError("damaged sound")
        except soundfile.LibsndfileError as error:
            raise ValueError("not a sound" if error.code == _NOT_RECOGNISED else "damaged sound") from None
    if not len(samples):
        raise ValueError("empty sound")
    if not np.isfinite(samples).all():
        raise ValueError("sound that is not finite")
    return np.clip(samples, -1, 1), rate


def _cut_short(file: BinaryIO) -> bool:
    """Whether a WAV or Ogg file ends before it says it does. libsndfile takes what is there for the whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    short = False
    if head[:4] == b"RIFF":
        short = _wav_ends(file) > size
    elif head[:4] == b"OggS":
        file.seek(max(0, size - _OGG_PAGE))
        tail = file.read()
        page = tail[tail.rfind(b"OggS") :]
        # RFC 3533, section 6: in byte 5 the flag of the last page, from byte 27 on the sizes of the page's segments.
        short = len(page) < 27 or not page[5] & 4 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
    file.seek(0)
    return short


def _wav_ends(file: BinaryIO) -> int:
    """Where a WAV file says that its samples end: past its own end if it has none, 0 if it does not say."""
    place = 12
    while len(chunk := file.read(8)) == 8:
        size = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            return 0 if size >= _SIZE_UNKNOWN else place + 8 + size
        place += 8 + size + size % 2
        file.seek(place)
    return place + 8
