"""Pictures through timm: pooled features before the classifier, not normalised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modtrans_core.encoders.base import Encoder, check_picture, image_workers, pick_device
from modtrans_core.encoders.extras import require
from modtrans_core.encoders.weights import PACKAGED, RANDOM, RANDOM_SEED, packaged_for, sha256

if TYPE_CHECKING:
    import torch

# EfficientNet-Lite was trained on (pixel - 127) / 128; timm's configuration says (pixel - 127.5) / 127.5.
_PIXELS = {"tf_efficientnet_lite0": (127.0, 128.0)}


class TimmEncoder(Encoder):
    """A timm network, cut before its classifier.

    Parameters
    ----------
    model : a name that `timm.list_models` knows.
    weights : `random`, the name of packaged weights that fit the model, or a `.safetensors` file.
    device : default: the GPU if there is one.

    Attributes
    ----------
    model : the whole network, with its classifier.
    """

    modality, normalised = "image", False

    def __init__(self, model: str, weights: str, device: str | torch.device | None = None):
        import torch

        timm = require("timm", "encoders")
        self.name = f"timm:{model}/{weights}"
        if not timm.is_model(model):
            raise ValueError(f"{self.name}: timm has no model {model!r}; see timm.list_models()")
        named = [*packaged_for("timm", model), RANDOM]
        if weights not in named and not (weights.endswith(".safetensors") and Path(weights).is_file()):
            known = ", ".join([*named, "a .safetensors file"])
            raise ValueError(f"{self.name}: unknown weights {weights!r}; known for {model}: {known}")
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(RANDOM_SEED)  # the CPU alone
            self.model = timm.create_model(model)
        self._sha256 = None if weights == RANDOM else self._load(weights)
        self.device = pick_device(device)
        self.model = self.model.eval().to(self.device, memory_format=torch.channels_last)
        self.dimension = self.model.head_hidden_size
        self.batch_size = 1 if self.device.type == "cpu" else 64
        self.workers = image_workers(self.device)

        config = self.model.pretrained_cfg
        self._size: int = config["input_size"][-1]
        mean, std = _PIXELS.get(model, (255 * np.array(config["mean"]), 255 * np.array(config["std"])))
        self._mean = torch.as_tensor(mean, dtype=torch.float32, device=self.device).view(-1, 1, 1)
        self._std = torch.as_tensor(std, dtype=torch.float32, device=self.device).view(-1, 1, 1)

    def _load(self, weights: str) -> str:
        """Load the weights and give their SHA-256."""
        import torch

        if weights not in PACKAGED:
            from safetensors.torch import load_file

            try:
                self.model.load_state_dict(load_file(weights))
            except RuntimeError:
                raise ValueError(f"{self.name}: the tensors of the file do not fit the model") from None
            return sha256(Path(weights))
        packaged = PACKAGED[weights]
        state = torch.load(packaged.locate(), map_location="cpu", weights_only=True)
        # The file has its own names for the tensors, in timm's order.
        target = self.model.state_dict()
        shapes, expected = [[tuple(t.shape) for t in tensors.values()] for tensors in (state, target)]
        if shapes != expected:
            raise ValueError(f"{weights}: its tensors differ in order or shape from timm's {packaged.model}")
        self.model.load_state_dict(dict(zip(target, state.values(), strict=True)))
        return packaged.sha256

    def prepare(self, item: np.ndarray) -> np.ndarray:
        return _square(item, self._size)

    def pixels(self, squares: Sequence[np.ndarray]) -> torch.Tensor:
        """Prepared pictures as the network's input (n, 3, size, size)."""
        import torch

        batch = torch.from_numpy(np.stack(squares)).to(self.device).permute(0, 3, 1, 2)  # channels_last in memory
        return (batch.float() - self._mean) / self._std

    def forward(self, prepared: Sequence[np.ndarray]) -> torch.Tensor:
        features = self.model.forward_features(self.pixels(prepared))
        return self.model.forward_head(features, pre_logits=True)

    def facts(self) -> dict[str, Any]:
        mean, std = (", ".join(f"{x:g}" for x in t.flatten().tolist()) for t in (self._mean, self._std))
        return self._facts(
            "timm",
            self._sha256,
            f"RGB, shorter side to {self._size} px (bicubic), centre crop, from 0..255 subtract {mean}, "
            f"divide by {std}; pooled features before the classifier",
        )


def _square(image: np.ndarray, size: int) -> np.ndarray:
    """The centre of a picture, (size, size, 3) uint8, its shorter side scaled to `size`."""
    if check_picture(image).shape[:2] == (size, size):
        return image
    from PIL import Image, ImageOps

    return np.array(ImageOps.fit(Image.fromarray(image), (size, size), Image.Resampling.BICUBIC))
