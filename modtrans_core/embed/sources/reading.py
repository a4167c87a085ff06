"""The values of an item, read and decoded as the encoders take them."""

from __future__ import annotations

from typing import Any

from modtrans_core.embed.encoders import base_modality


def read(modality: str, value: Any) -> Any:
    """What an encoder of this modality prepares.

    Raises
    ------
    ValueError
        If the value cannot be read; the message is a few words that are the same for all such values.
    """
    modality = base_modality(modality)
    if modality == "image":
        from modtrans_core.embed.sources.pictures import read_picture

        return read_picture(value)
    if modality == "audio":
        from modtrans_core.embed.sources.sounds import read_sound

        return read_sound(value)
    return value
