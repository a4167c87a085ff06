"""The values of an item, read and decoded as the encoders take them."""

from __future__ import annotations

from typing import Any


def kind_of(modality: str) -> str:
    """What a modality's values are: its name, or the last word of it where several are alike.

    Examples
    --------
    >>> kind_of("text"), kind_of("old-text"), kind_of("new-text")
    ('text', 'text', 'text')
    """
    return modality.rpartition("-")[2]


def read(modality: str, value: Any) -> Any:
    """What an encoder of this modality prepares.

    Raises
    ------
    ValueError
        If the value cannot be read; the message is a few words that are the same for all such values.
    """
    if modality == "image":
        from modtrans_core.embed.sources.pictures import read_picture

        return read_picture(value)
    if modality == "audio":
        from modtrans_core.embed.sources.sounds import read_sound

        return read_sound(value)
    return value
