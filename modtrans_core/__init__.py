"""Train and run a translator between the embeddings of two modalities: `zhat = c M + gamma F(c)`.

What needs torch is loaded when it is first used, so that scoring and checking do not wait for it.
"""

from importlib import import_module
from typing import Any

from modtrans_core.config import Config, preset
from modtrans_core.evaluate import evaluate
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.scores import score

__version__ = "0.1.0"

_NEEDS_TORCH = {"Translator": "translator", "LinearMap": "linear", "NoiseSchedule": "schedule", "Denoiser": "denoiser"}
__all__ = [
    "Config",
    "Denoiser",
    "LinearMap",
    "NoiseSchedule",
    "PairedEmbeddings",
    "Translator",
    "evaluate",
    "preset",
    "score",
]


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
