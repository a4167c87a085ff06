"""The poster's translator, trained as it is printed: zhat = c M + gamma F(c)."""

from modtrans_core.poster.config import PosterConfig
from modtrans_core.poster.fit import fit
from modtrans_core.poster.model import PosterTranslator, restore
from modtrans_core.protocol import Method

METHOD = Method(PosterConfig, fit, restore, {"poster": PosterConfig()})

__all__ = ["METHOD", "PosterConfig", "PosterTranslator"]
