"""The calibrated translator: the conditional mean in closed form, whose length is the cosine to expect."""

from modtrans_core.calibrated.fit import fit
from modtrans_core.calibrated.model import CalibratedConfig, CalibratedTranslator, restore
from modtrans_core.protocol import Method

METHOD = Method(CalibratedConfig, fit, restore, {"calibrated": CalibratedConfig()}, leaves_out=True)

__all__ = ["METHOD", "CalibratedConfig", "CalibratedTranslator"]
