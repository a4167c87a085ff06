"""Sounds: mono samples at their rate, or a reason."""

import numpy as np
import pytest

from modtrans_core.embed.sources import sounds
from modtrans_core.embed.sources.reading import read
from modtrans_core.embed.sources.sounds import read_sound

pytest.importorskip("soundfile")

TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)


@pytest.mark.parametrize(
    ("format", "subtype", "error"),
    [
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "FLOAT", 1e-7),
        ("WAV", "DOUBLE", 1e-7),
        ("FLAC", "PCM_16", 2**-15),
        ("OGG", "VORBIS", 0.05),
    ],
)
def test_every_format_gives_the_samples(sound, tmp_path, format, subtype, error):
    data = sound(TONE, format, subtype)
    path = tmp_path / "sound"
    path.write_bytes(data)
    for value in (data, path, str(path), lambda: path, lambda: data):
        samples, rate = read("audio", value)
        assert rate == 16_000 and samples.dtype == np.float32 and samples.shape == TONE.shape
        assert np.abs(samples - TONE).max() <= error


def test_channels_are_averaged(sound):
    samples, rate = read_sound(sound(np.stack([TONE, -TONE / 2, TONE / 4], axis=1), "WAV", "FLOAT", rate=48_000))
    assert rate == 48_000
    np.testing.assert_allclose(samples, TONE / 4, atol=1e-7)


@pytest.mark.parametrize(("format", "subtype"), [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16")])
def test_a_sound_that_is_cut_short_anywhere_is_never_half_a_sound(sound, format, subtype):
    data = sound(TONE[:400], format, subtype)
    for length in range(1, len(data)):
        try:
            samples, _ = read_sound(data[:length])
            assert len(samples) == 400
        except ValueError as error:
            assert str(error) in ("damaged sound", "not a sound")
    with pytest.raises(ValueError, match="^damaged sound$"):
        read_sound(data[: len(data) * 3 // 4])


def test_an_ogg_file_that_is_cut_short(sound):
    noise = np.random.default_rng(0).normal(scale=0.1, size=100_000)
    data = sound(noise, "OGG", "VORBIS")
    assert len(read_sound(data)[0]) == len(noise) and data.count(b"OggS") > 4
    for length in (len(data) - 1, len(data) // 2, len(data) // 4, data.rfind(b"OggS"), 200):
        with pytest.raises(ValueError, match="^damaged sound$"):
            read_sound(data[:length])


def test_a_wav_file_of_unknown_size_is_read_to_its_end(sound):
    """As ffmpeg writes it into a pipe."""
    data = bytearray(sound(TONE, "WAV", "PCM_16"))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert len(read_sound(bytes(data))[0]) == len(TONE)


def test_what_is_no_sound_is_named(sound, tmp_path, monkeypatch):
    for value, reason in [
        (sound([], "WAV", "PCM_16"), "empty sound"),
        (b"", "empty file"),
        (b"a dog barks " * 20, "not a sound"),
        (tmp_path, "not a file"),
        (tmp_path / "missing.wav", "missing file"),
        (sound([0.0, np.nan], "WAV", "FLOAT"), "sound that is not finite"),
        (sound([0.0, np.inf], "WAV", "FLOAT"), "sound that is not finite"),
    ]:
        with pytest.raises(ValueError, match=f"^{reason}$"):
            read_sound(value)
    monkeypatch.setattr(sounds, "LONGEST", 20_000)
    assert len(read_sound(sound(TONE))[0]) == 16_000
    with pytest.raises(ValueError, match="^sound of over 0 Mi samples$"):
        read_sound(sound(np.stack([TONE, TONE], axis=1)))


def test_samples_stay_in_range(sound):
    samples, _ = read_sound(sound([0.5, 3.0, -3.0], "WAV", "FLOAT"))
    assert samples.tolist() == [0.5, 1.0, -1.0]
