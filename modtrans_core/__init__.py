"""Fit and use translators between the embeddings of two modalities.

Names are loaded when they are first used, so that scoring and checking do not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modtrans_core.calibrated.model import CalibratedConfig, CalibratedTranslator
    from modtrans_core.methods import evaluate, fit, load, preset
    from modtrans_core.pairing import Pairing
    from modtrans_core.pairs import PairedEmbeddings
    from modtrans_core.poster.config import PosterConfig
    from modtrans_core.poster.model import PosterTranslator
    from modtrans_core.protocol import Draws, Expects, HasParts, Translator
    from modtrans_core.scores import score
    from modtrans_core.search import rank
    from modtrans_core.train import TrainConfig

__version__ = "0.1.0"

__all__ = [
    "CalibratedConfig",
    "CalibratedTranslator",
    "Draws",
    "Expects",
    "HasParts",
    "PairedEmbeddings",
    "Pairing",
    "PosterConfig",
    "PosterTranslator",
    "TrainConfig",
    "Translator",
    "evaluate",
    "fit",
    "load",
    "preset",
    "rank",
    "score",
]

_WHERE = {
    "CalibratedConfig": "calibrated.model",
    "CalibratedTranslator": "calibrated.model",
    "Draws": "protocol",
    "Expects": "protocol",
    "HasParts": "protocol",
    "PairedEmbeddings": "pairs",
    "Pairing": "pairing",
    "PosterConfig": "poster.config",
    "PosterTranslator": "poster.model",
    "TrainConfig": "train",
    "Translator": "protocol",
    "evaluate": "methods",
    "fit": "methods",
    "load": "methods",
    "preset": "methods",
    "rank": "search",
    "score": "scores",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return __all__
