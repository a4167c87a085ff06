"""Pictures and texts through open_clip, scaled to unit norm here (open_clip leaves them as they are)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError

from modtrans_core.checks import in_one_line
from modtrans_core.embed.encoders.base import Encoder, check_picture, device_of, item_workers, token_count
from modtrans_core.embed.encoders.weights import RANDOM, RANDOM_SEED, fetching
from modtrans_core.extras import require
from modtrans_core.store.files import sha256
from modtrans_core.store.headers import more_than_tensors

if TYPE_CHECKING:
    import torch

_UNREADABLE = (UnpicklingError, SafetensorError, LookupError, AttributeError, TypeError, EOFError)  # not weights at all


class OpenClipEncoder(Encoder):
    """One tower of an open_clip model.

    Parameters
    ----------
    model : a name that `open_clip.list_models` knows.
    pretrained : a tag that open_clip knows for the model (`openai`; fetched when it is not cached), a file of
        weights (safetensors, or torch's without pickled code), or `random`. OpenAI's weights in a file want the model
        that is called so: `ViT-B-32-quickgelu`; the tag knows by itself.
    modality : `image` or `text`.
    device : default: the GPU if there is one.
    """

    normalised = True

    def __init__(self, model: str, pretrained: str, modality: str, device: str | torch.device | None = None):
        import torch

        open_clip = require("open_clip", "encoders")
        self.name = f"open_clip:{model}/{pretrained}"
        if model not in open_clip.list_models():
            raise ValueError(f"{self.name}: open_clip has no model {model!r}; see open_clip.list_models()")
        tags = open_clip.list_pretrained_tags_by_model(model)
        if pretrained not in (RANDOM, *tags) and not Path(pretrained).is_file():
            known = ", ".join([RANDOM, "a file", *tags])
            raise ValueError(f"{self.name}: unknown weights {pretrained!r}; known for {model}: {known}")
        tag = open_clip.get_pretrained_cfg(model, pretrained)
        file = None if pretrained == RANDOM else pretrained
        if tag:
            with fetching(self.name, f"{pretrained!r} of {model}", f"open_clip:{model}/FILE of weights"):
                if place := os.path.dirname(tag.get("hf_hub", "")):
                    # Asked once whether it can be reached: open_clip asks for each of its files six times.
                    require("huggingface_hub", "encoders").snapshot_download(place, allow_patterns="*.json")
                file = open_clip.download_pretrained(tag)
        try:
            if file and not tag and not file.endswith((".safetensors", ".npz", ".npy")):
                # Before open_clip, which tries again without `weights_only` where that is a TypeError.
                with warnings.catch_warnings(action="ignore"):  # of what is refused below
                    torch.load(file, map_location="meta", weights_only=True)
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(RANDOM_SEED)  # the CPU alone
                network, _, preprocess = open_clip.create_model_and_transforms(
                    model,
                    pretrained=None if pretrained == RANDOM else pretrained,
                    # Tags such as `openai` were trained with another GELU than the plain model name builds.
                    force_quick_gelu=bool(tag.get("quick_gelu", False)),
                    pretrained_hf=False,  # no weights of a text tower's own under those of the whole
                )
                self._tokenizer = open_clip.get_tokenizer(model)
        except (*_UNREADABLE, RuntimeError, ValueError, OSError) as error:
            reason = "its tensors do not fit the model" if "state_dict" in str(error) else _why(error)
            raise ValueError(f"{self.name}: {reason}") from error
        self.device = device_of(device)
        self.network = network.eval().to(self.device)
        self.modality = modality
        self._sha256 = None if file is None else sha256(Path(file))
        *self._squares, to_tensor, normalize = preprocess.transforms
        assert "ToTensor" in type(to_tensor).__name__ and type(normalize).__name__ == "Normalize"
        self._mean, self._std = (
            torch.tensor(values, device=self.device).view(-1, 1, 1) for values in (normalize.mean, normalize.std)
        )
        self.dimension = open_clip.get_model_config(model)["embed_dim"]
        self.batch_size = 4 if self.device.type == "cpu" else 256
        self.workers = item_workers(self.device) if modality == "image" else 1

    def prepare(self, item: Any) -> Any:
        if self.modality == "text":
            return item
        from PIL import Image

        picture = Image.fromarray(check_picture(item))
        for step in self._squares:
            picture = step(picture)
        return np.array(picture)  # of bytes: the rest is done for a batch at once, where the network is

    @cached_property
    def _count(self) -> Callable[[str], int]:
        tokenizer = self._tokenizer
        if hasattr(tokenizer, "encode"):  # open_clip's own, which puts a token before a text and one behind it
            return lambda text: len(tokenizer.encode(text)) + 2
        count = token_count(tokenizer.tokenizer)
        return lambda text: count(tokenizer.clean_fn(text))

    def cuts(self, item: Any) -> bool:
        return self.modality == "text" and self._count(item) > self._tokenizer.context_length

    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        import torch

        if self.modality == "text":
            return self.network.encode_text(self._tokenizer(list(prepared)).to(self.device))
        batch = torch.from_numpy(np.stack(prepared)).to(self.device).permute(0, 3, 1, 2).contiguous()
        return self.network.encode_image((batch.float() / 255 - self._mean) / self._std)

    def facts(self) -> dict[str, Any]:
        if self.modality == "text":
            preprocessing = f"the model's tokenizer, {self._tokenizer.context_length} tokens"
        else:
            preprocessing = ", ".join(f"{key} {value}" for key, value in self.network.visual.preprocess_cfg.items())
        return self._facts("open_clip_torch", self._sha256, preprocessing)


def _why(error: Exception) -> str:
    if why := more_than_tensors(error):
        return f"{why}; a file of its tensors, or a tag, is needed"
    if isinstance(error, _UNREADABLE):
        return "not a file of tensors, or one with pickled code, which is not read"
    return in_one_line(error)
