"""Pictures through timm: pooled features before the classifier, not normalised.

Pictures have the size that timm's configuration says, 518 px for the DINOv2 ViTs.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError

from modtrans_core.embed.encoders.base import Encoder, check_picture, device_of, item_workers
from modtrans_core.embed.encoders.weights import PACKAGED, RANDOM, RANDOM_SEED, fetching, packaged_for
from modtrans_core.extras import require
from modtrans_core.store.files import sha256

if TYPE_CHECKING:
    import torch

# EfficientNet-Lite was trained on (pixel - 127) / 128; timm's configuration says (pixel - 127.5) / 127.5. Its pictures
# are cropped to a square only, where timm keeps the inner 87.5 % of that.
_PIXELS = {"tf_efficientnet_lite0": (127.0, 128.0)}


class TimmEncoder(Encoder):
    """A timm network, cut before its classifier.

    Parameters
    ----------
    model : a name that `timm.list_models` knows, with or without one of its tags (`vit_small_patch14_dinov2.lvd142m`).
    weights : a tag that timm knows for the model (`lvd142m`; fetched when it is not cached), a `.safetensors` file, the
        name of packaged weights that fit the model, or `random`.
    modality : `image`.
    device : default: the GPU if there is one.

    Attributes
    ----------
    model : the whole network, with its classifier; on the CPU `folded`.
    """

    normalised = False

    def __init__(self, model: str, weights: str, modality: str, device: str | torch.device | None = None):
        import torch

        timm = require("timm", "encoders")
        self.name, self.modality = f"timm:{model}/{weights}", modality
        architecture, _, tag = model.partition(".")
        tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
        if not timm.is_model(model) or (tag and tag not in tags):
            raise ValueError(f"{self.name}: timm has no model {model!r}; see timm.list_models()")
        tags = [tag] if tag else tags
        named = [*packaged_for("timm", model), RANDOM]
        if weights not in (*named, *tags) and not (weights.endswith(".safetensors") and Path(weights).is_file()):
            known = ", ".join([*named, "a .safetensors file", *tags])
            raise ValueError(f"{self.name}: unknown weights {weights!r}; known for {model}: {known}")
        full = f"{architecture}.{weights}" if weights in tags else model
        file = None if weights in named else self._fetch(full) if weights in tags else weights
        try:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(RANDOM_SEED)  # the CPU alone
                # timm translates the names of published tensors itself, given the file in place of its own.
                overlay = {"pretrained_cfg_overlay": {"file": file, "custom_load": False}} if file else {}
                self.model = timm.create_model(full, pretrained=file is not None, **overlay)
        except (RuntimeError, KeyError, SafetensorError) as error:
            if file is None:
                raise
            raise ValueError(f"{self.name}: the tensors of the file do not fit the model") from error
        self._sha256 = sha256(Path(file)) if file else None if weights == RANDOM else self._load_packaged(weights)
        self.device = device_of(device)
        self.model = self.model.eval().to(self.device, memory_format=torch.channels_last)
        self.dimension = getattr(self.model, "head_hidden_size", None) or self.model.num_features
        self.batch_size = 2 if self.device.type == "cpu" else 64
        self.workers = item_workers(self.device)

        config = timm.data.resolve_model_data_config(self.model)
        self._size: int = config["input_size"][-1]
        if self.device.type == "cpu":  # in bfloat16 it would change more than the last digits
            self.model = folded(self.model, self._size)
        self._transform = None
        self._preparation = f"shorter side to {self._size} px (bicubic), centre crop"
        if model not in _PIXELS:
            self._transform = timm.data.create_transform(**config, normalize=False)
            self._preparation = (
                f"timm's evaluation transform to {self._size} px ({config['interpolation']}, "
                f"crop_pct {config['crop_pct']:g}, crop_mode {config['crop_mode']})"
            )
        mean, std = _PIXELS.get(model, (255 * np.array(config["mean"]), 255 * np.array(config["std"])))
        self._mean = torch.as_tensor(mean, dtype=torch.float32, device=self.device).view(-1, 1, 1)
        self._std = torch.as_tensor(std, dtype=torch.float32, device=self.device).view(-1, 1, 1)

    def _fetch(self, model: str) -> str:
        """The safetensors file of a tagged model in the hub's cache."""
        import timm

        hub = require("huggingface_hub", "encoders")
        published = timm.get_pretrained_cfg(model)
        place = published and published.hf_hub_id
        with fetching(self.name, f"model.safetensors of {place or model}", "a local .safetensors file"):
            if not place:
                raise ValueError("timm knows no place on the Hugging Face hub")
            # Of a whole repository the hub is asked once; of one file, where there is no network, six times.
            return str(Path(hub.snapshot_download(place, allow_patterns="model.safetensors")) / "model.safetensors")

    def _load_packaged(self, weights: str) -> str:
        """Load packaged weights and give their SHA-256."""
        import torch

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
        """The part of a picture that is encoded, (size, size, 3) uint8."""
        if self._transform is None:
            return _square(item, self._size)
        from PIL import Image

        return self._transform(Image.fromarray(check_picture(item))).permute(1, 2, 0).numpy()

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
            f"RGB, {self._preparation}, from 0..255 subtract {mean}, divide by {std}; "
            "pooled features before the classifier",
        )


def folded(model: torch.nn.Module, size: int) -> torch.nn.Module:
    """A timm network with every batch norm in the convolution before it: a third faster, and the same but for rounding.

    Parameters
    ----------
    size : of pictures, in pixels. If one of noise comes out otherwise, as where more than a norm takes what a
        convolution gives, the network itself is returned.
    """
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    watched: Any = deepcopy(model)
    quick: Any = deepcopy(model)
    given: list[tuple[torch.Tensor, str]] = []
    norm_of: dict[str, str] = {}
    for name, module in watched.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda *of, name=name: given.append((of[2], name)))
        elif isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_pre_hook(
                lambda _, taken, name=name: norm_of.update((conv, name) for x, conv in given if x is taken[0])
            )
    noise = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = watched.forward_features(noise)
        for conv, norm in norm_of.items():
            module = quick.get_submodule(norm)
            quick.set_submodule(conv, fuse_conv_bn_eval(quick.get_submodule(conv), module))
            after = [getattr(module, name) for name in ("drop", "act") if hasattr(module, name)]  # timm's norms have
            quick.set_submodule(norm, torch.nn.Sequential(*after))
        error = (quick.forward_features(noise) - expected).abs().max()
    return quick if error <= 1e-4 * expected.abs().max() else model


def _square(image: np.ndarray, size: int) -> np.ndarray:
    """The centre of a picture, (size, size, 3) uint8, its shorter side scaled to `size`."""
    if check_picture(image).shape[:2] == (size, size):
        return image
    from PIL import Image, ImageOps

    return np.array(ImageOps.fit(Image.fromarray(image), (size, size), Image.Resampling.BICUBIC))
