"""Tiny pictures and sounds in the real formats."""

import io

import numpy as np
import pytest


@pytest.fixture(scope="session")
def jpeg():
    """The bytes of a JPEG of one colour, 24 px wide and 16 high."""
    image = pytest.importorskip("PIL.Image")

    def make(colour="red", **options):
        buffer = io.BytesIO()
        image.new("RGB", (24, 16), colour).save(buffer, "JPEG", **options)
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def sound():
    """The bytes of a sound file."""
    soundfile = pytest.importorskip("soundfile")

    def make(samples, format="WAV", subtype=None, rate=16_000):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.asarray(samples), rate, format=format, subtype=subtype)
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def read_all():
    """Every entry of a source, through its shards: items as they are, what is skipped as {key: reason}."""
    from modtrans_core.embed.sources import Item

    def read(source, items=3):
        entries = [entry for shard in source.shards(items) for entry in shard.read()]
        found = {entry.key: entry for entry in entries if isinstance(entry, Item)}
        skipped = {entry.key: entry.reason for entry in entries if not isinstance(entry, Item)}
        assert len(found) + len(skipped) == len(entries)
        return found, skipped

    return read
