"""Locations through GeoCLIP (arXiv:2309.16020), with the weights of its package. Not normalised, as it leaves them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modtrans_core.embed.encoders.base import Encoder, device_of
from modtrans_core.embed.encoders.weights import PACKAGED, packaged_names
from modtrans_core.extras import require

if TYPE_CHECKING:
    import torch


class LocationEncoder(Encoder):
    """GeoCLIP's location encoder: (latitude, longitude) in degrees to 512 numbers.

    Parameters
    ----------
    model, weights : `location` from `geoclip`.
    device : default: the GPU if there is one. In float32 there too: the random Fourier features have phases of
        thousands of radians, which bfloat16 cannot tell apart.
    """

    dimension, normalised, autocast = 512, False, False

    def __init__(self, model: str, weights: str, modality: str, device: str | torch.device | None = None):
        import torch

        self.name, self.modality = f"geoclip:{model}/{weights}", modality
        if f"{model}/{weights}" not in packaged_names("geoclip"):
            raise ValueError(f"{self.name}: unknown model or weights; known: {', '.join(packaged_names('geoclip'))}")
        file = PACKAGED[weights].locate()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch.jit.script, which geoclip calls on import
            library = require("geoclip", "places")
        with torch.random.fork_rng(devices=[]):  # its features are drawn before the weights replace them
            self.network = library.LocationEncoder(from_pretrained=False)
        self.network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        self.device = device_of(device)
        self.network = self.network.eval().to(self.device)
        self.batch_size = 256 if self.device.type == "cpu" else 4096
        self._sha256 = PACKAGED[weights].sha256

    def prepare(self, item: Sequence[float]) -> tuple[float, float]:
        latitude, longitude = map(float, item)
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):  # NaN is refused with them
            raise ValueError("latitude not in [-90, 90] or longitude not in [-180, 180]")
        return latitude, longitude

    def forward(self, prepared: Sequence[tuple[float, float]]) -> torch.Tensor:
        import torch

        return self.network(torch.tensor(prepared, dtype=torch.float32, device=self.device))

    def facts(self) -> dict[str, Any]:
        return self._facts("geoclip", self._sha256, "(latitude, longitude) in degrees, Equal Earth projection")
