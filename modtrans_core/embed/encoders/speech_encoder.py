"""Speech through Google's speech embedding (arXiv:2002.01322), with the weights of the package pyopen-wakeword."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modtrans_core.embed.encoders.base import Encoder, check_sound
from modtrans_core.embed.encoders.transformers_encoder import resampled
from modtrans_core.embed.encoders.weights import PACKAGED, packaged_names
from modtrans_core.extras import require

if TYPE_CHECKING:
    import torch

_SECONDS = 30  # of a sound; longer ones are cut


class SpeechEncoder(Encoder):
    """96 numbers every 80 ms, each from 775 ms of sound; their mean, maximum and standard deviation over time: 288.

    Parameters
    ----------
    model, weights : `speech` from `embedding_model`.
    modality : `audio`.
    device : not heeded.
    """

    dimension, normalised, batch_size = 3 * 96, False, 16

    def __init__(self, model: str, weights: str, modality: str, device: str | torch.device | None = None):
        import torch

        self.name, self.modality = f"pyopen-wakeword:{model}/{weights}", modality
        if f"{model}/{weights}" not in (known := packaged_names("pyopen-wakeword")):
            raise ValueError(f"{self.name}: unknown model or weights; known: {', '.join(known)}")
        self._sha256 = PACKAGED[weights].sha256
        PACKAGED[weights].locate()
        self._library = require("pyopen_wakeword", "downstream").openwakeword
        self._network = self._library.OpenWakeWordFeatures.from_builtin()
        self.device = torch.device("cpu")

    def prepare(self, item: Any) -> np.ndarray:
        """16-bit samples at 16 kHz, after silence of one window, so that the first windows see the beginning."""
        samples, rate = check_sound(*item)
        samples = resampled(samples[: _SECONDS * rate], rate, self._library.SAMPLE_RATE)
        chunk = self._library.SAMPLES_PER_CHUNK
        silence = -(-_window(self._library) // chunk) * chunk
        padded = np.pad(samples, (silence, -len(samples) % chunk + chunk))
        return np.rint(32767 * np.clip(padded, -1, 1)).astype(np.int16)

    def cuts(self, item: Any) -> bool:
        samples, rate = item
        return len(samples) > _SECONDS * rate

    def forward(self, prepared: Sequence[np.ndarray]) -> torch.Tensor:
        import torch

        return torch.from_numpy(np.stack([self._over_time(samples) for samples in prepared]))

    def _over_time(self, samples: np.ndarray) -> np.ndarray:
        network, chunk = self._network, self._library.SAMPLES_PER_CHUNK
        network.reset()
        network.new_audio_samples = 0  # the library would hear eight seconds of silence first
        parts = (samples[start : start + chunk].tobytes() for start in range(0, len(samples), chunk))
        frames = np.concatenate([frame[0, 0] for part in parts for frame in network.process_streaming(part)])
        return np.concatenate([frames.mean(0), frames.max(0), frames.std(0)])

    def facts(self) -> dict[str, Any]:
        steps = (
            f"mono, 16 kHz (polyphase filter), at most {_SECONDS} s, silence before; mean, maximum, deviation over time"
        )
        return self._facts("pyopen-wakeword", self._sha256, steps)


def _window(library: Any) -> int:
    """Samples that one vector comes from: 76 spectra, 160 samples apart."""
    return library.EMB_FEATURES * 160
