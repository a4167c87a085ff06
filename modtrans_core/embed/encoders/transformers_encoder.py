"""Texts and sounds through Hugging Face transformers: BERT-like models, pooled here, and CLAP."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from modtrans_core.checks import refuse_unless
from modtrans_core.embed.encoders.base import Encoder, check_sound, device_of, item_workers, token_count
from modtrans_core.embed.encoders.folders import (
    LOCAL,
    loading,
    model_folder,
    refuse_absent,
    refuse_no_words,
    tokens_of,
    weights_digest,
)
from modtrans_core.extras import require

if TYPE_CHECKING:
    import torch

MODELS = {"mean": ("text",), "cls": ("text",), "clap": ("audio", "text")}  # model: the modalities that it encodes


class TransformersEncoder(Encoder):
    """What the three have in common: a folder's network in float32, and its tokenizer.

    Parameters
    ----------
    model : one of `MODELS`.
    weights : a hub id, or a local folder of `save_pretrained`. Pickled weights are refused, and code that
        comes with a model.
    modality : what is to be encoded.
    device : default: the GPU if there is one.
    """

    architecture: str
    max_tokens: int  # of a text

    def __init__(self, model: str, weights: str, modality: str, device: str | torch.device | None = None):
        self.name, self.modality = f"transformers:{model}/{weights}", modality
        if modality not in MODELS[model]:
            raise ValueError(f"{self.name}: {model} encodes {' and '.join(MODELS[model])}, no {modality}")
        library = require("transformers", "encoders")
        folder = model_folder(self.name, weights)
        with loading(self.name, folder):
            network = getattr(library, self.architecture)
            self.network, info = network.from_pretrained(
                folder, **LOCAL, trust_remote_code=False, output_loading_info=True
            )
            reader = "AutoTokenizer" if modality == "text" else "ClapFeatureExtractor"
            self._reader = getattr(library, reader).from_pretrained(folder, trust_remote_code=False)
        refuse_absent(self.name, info, self._used)
        self.device = device_of(device)
        with loading(self.name):  # numbers of a quantized network are no others
            self.network = self.network.float().eval().to(self.device)
        self._sha256 = weights_digest(folder)
        if modality == "text":
            refuse_no_words(self.name, self._reader, folder, tokens_of(self.network))
            if self._reader.pad_token is None:
                raise ValueError(f"{self.name}: its tokenizer has no padding, so it is no BERT-like model")
            self._reader.padding_side = "right"  # the first token is then that of the text
            with loading(self.name):
                self.max_tokens = self._most_tokens()
            refuse_unless(self.max_tokens >= 1, f"{self.name}: model_max_length", self.max_tokens, "at least 1")
            self.batch_size = 32 if self.device.type == "cpu" else 256

    def _used(self, tensor: str) -> bool:
        """Whether a tensor of that name has a part in the output."""
        return True

    def tokens(self, texts: Sequence[str]) -> Any:
        """Texts as the network takes them, padded to the longest, cut at `max_tokens`."""
        return self._reader(
            list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        ).to(self.device)

    @cached_property
    def _count(self) -> Callable[[str], int]:
        return token_count(self._reader)

    def cuts(self, item: Any) -> bool:
        return self._count(item) > self.max_tokens

    def _most_tokens(self) -> int:
        """The tokenizer's limit, or that of the table of positions if it is lower."""
        config = getattr(self.network.config, "text_config", self.network.config)
        positions = getattr(config, "max_position_embeddings", self._reader.model_max_length)
        for name, module in self.network.named_modules():
            if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
                positions -= module.padding_idx + 1  # RoBERTa's positions begin behind the padding's
        return min(self._reader.model_max_length, positions)


class PooledEncoder(TransformersEncoder):
    """A BERT-like model's last layer: its mean over the tokens of a text, or its first token (CLS). Not normalised."""

    architecture, normalised = "AutoModel", False

    def __init__(self, model: str, weights: str, modality: str, device: str | torch.device | None = None):
        super().__init__(model, weights, modality, device)
        config = self.network.config
        if config.is_encoder_decoder or hasattr(config, "text_config"):
            raise ValueError(
                f"{self.name}: {config.model_type} is no BERT-like model, one network from tokens to vectors"
            )
        self._pool = model
        self.dimension = config.hidden_size

    def _used(self, tensor: str) -> bool:
        return "pooler." not in tensor

    def forward(self, prepared: Sequence[str]) -> torch.Tensor:
        tokens = self.tokens(prepared)
        states = self.network(**tokens).last_hidden_state.float()  # (n, tokens, d)
        if self._pool == "cls":
            return states[:, 0]
        mask = tokens["attention_mask"][:, :, None].float()
        return (states * mask).sum(1) / mask.sum(1)

    def facts(self) -> dict[str, Any]:
        pooled = "the first token" if self._pool == "cls" else "mean over tokens"
        return self._facts(
            "transformers",
            self._sha256,
            f"the model's tokenizer, at most {self.max_tokens} tokens, {pooled} of the last layer",
        )


class ClapEncoder(TransformersEncoder):
    """One tower of CLAP (arXiv:2211.06687) with its projection; the library scales to unit norm.

    A sound longer than the model's window (10 s) is cut: its beginning is taken. The library would draw a part, or
    three, at random.
    """

    architecture, normalised = "ClapModel", True

    def __init__(self, model: str, weights: str, modality: str, device: str | torch.device | None = None):
        super().__init__(model, weights, modality, device)
        self.dimension = self.network.config.projection_dim
        if modality == "audio":
            self.batch_size = 4 if self.device.type == "cpu" else 64
            self.workers = item_workers(self.device)

    def prepare(self, item: Any) -> Any:
        """A text itself; of a sound the log-mel spectrogram of the window, (1 or 4, frames, mel bands) float32."""
        if self.modality == "text":
            return item
        samples, rate = check_sound(*item)
        window, target = self._reader.nb_max_samples, self._reader.sampling_rate
        # A second more than the window keeps the end of the cut out of the resampling filter's reach.
        samples = resampled(samples[: math.ceil(window / target + 1) * rate], rate, target)[:window]
        features = self._reader(samples, sampling_rate=target, return_tensors="np")
        return np.asarray(features["input_features"][0], dtype=np.float32)

    def cuts(self, item: Any) -> bool:
        if self.modality == "text":
            return super().cuts(item)
        samples, rate = item
        return len(samples) * self._reader.sampling_rate > self._reader.nb_max_samples * rate

    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        import torch

        if self.modality == "text":
            found = self.network.get_text_features(**self.tokens(prepared))
        else:
            found = self.network.get_audio_features(
                input_features=torch.from_numpy(np.stack(prepared)).to(self.device),
                is_longer=torch.zeros(len(prepared), 1, dtype=torch.bool, device=self.device),  # none is, once cut
            )
        return found if isinstance(found, torch.Tensor) else found.pooler_output

    def facts(self) -> dict[str, Any]:
        if self.modality == "text":
            preprocessing = f"the model's tokenizer, at most {self.max_tokens} tokens"
        else:
            of, seconds = self._reader, self._reader.nb_max_samples / self._reader.sampling_rate
            preprocessing = (
                f"mono, {of.sampling_rate} Hz (polyphase filter), the first {seconds:g} s, "
                f"shorter ones {of.padding}, {of.feature_size} mel bands, {of.truncation}"
            )
        return self._facts("transformers", self._sha256, preprocessing)


def resampled(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Samples (t,) at another rate in Hz, through scipy's polyphase filter."""
    if rate == target:
        return samples
    from scipy.signal import resample_poly

    common = math.gcd(rate, target)
    return resample_poly(samples, target // common, rate // common)


def transformers_encoder(
    model: str, weights: str, modality: str, device: str | torch.device | None = None
) -> TransformersEncoder:
    """The encoder of that model, one of `MODELS`."""
    if model not in MODELS:
        raise ValueError(f"transformers:{model}/{weights}: unknown model {model!r}; known: {', '.join(MODELS)}")
    return (ClapEncoder if model == "clap" else PooledEncoder)(model, weights, modality, device)
